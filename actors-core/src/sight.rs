//! A look at the actors of this process: a snapshot, a subscription, and who is stuck.
use crate::cell::{ActorState, Cell};
use crate::census;
use crate::event::{self, Event, Events, SUBSCRIBERS};
use crate::id::ActorId;
use crate::mailbox::{self, Keep, MailboxStats, WATCHERS};
use crate::policy::Capacity;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// One live actor, as it was when the snapshot was taken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ActorInfo {
    /// Its id.
    pub id: ActorId,
    /// Its name.
    pub name: String,
    /// The type of its state.
    pub type_name: &'static str,
    /// The actor whose child it is.
    pub parent: Option<ActorId>,
    /// Where it is in its life.
    pub state: ActorState,
    /// How many messages its mailbox holds.
    pub capacity: Capacity,
    /// What became of its messages; `waiting` is the mailbox's length.
    pub mailbox: MailboxStats,
    /// How often its supervisor has started it before.
    pub incarnation: u32,
    /// For how long it has been up, since its last restart. Known only for children, and while
    /// they run.
    pub uptime: Option<Duration>,
    /// The type of the message it is handling.
    pub message: Option<&'static str>,
    /// Since when it handles that. Known only for messages that were begun while a [`Timings`] is
    /// held.
    pub since: Option<Instant>,
}

/// The actors that have not ended, in the order of their ids.
///
/// Cheap for the actors, which go on; so each is described as it is when its turn comes.
pub fn actors() -> Vec<ActorInfo> {
    let mut actors: Vec<ActorInfo> = census::all().map(|keep| info(&keep)).collect();
    actors.sort_unstable_by_key(|actor| actor.id);
    actors
}

/// How many actors have not ended. They are counted one by one, while others start and end.
pub fn actor_count() -> usize {
    census::count()
}

/// How many tasks of the current runtime are vacant: actors that have ended lived in them, and the
/// next ones will. The runtime counts them among its
/// [living tasks](tokio::runtime::RuntimeMetrics::num_alive_tasks). Outside of a runtime: none.
///
/// In a process at most 18,432 are, of some 400 or 500 bytes each: 2,048, and what bursts of actors have
/// left. Of those, some end when others come and nobody has needed them for a second. All end with their
/// runtime.
///
/// ```
/// use actors_core::{Actor, vacant_tasks};
///
/// #[derive(Actor)]
/// struct Short;
///
/// # #[actors_core::main(flavor = "current_thread")]
/// # async fn main() {
/// let tasks = tokio::runtime::Handle::current().metrics();
/// for _ in 0..10 {
///     let short = Short.spawn();
///     short.stop();
///     short.stopped().await;
/// }
/// assert_eq!(tasks.num_alive_tasks(), 1);
/// assert_eq!(vacant_tasks(), 1);
/// # }
/// ```
pub fn vacant_tasks() -> usize {
    mailbox::vacant_tasks()
}

pub(crate) fn info(keep: &Keep<Cell>) -> ActorInfo {
    let (cell, queue) = (keep.beside(), keep.queue());
    let (message, since) = queue.turn().message().unzip();
    ActorInfo {
        id: cell.id,
        name: cell.name().to_owned(),
        type_name: (cell.type_name)(),
        parent: cell.parent(),
        state: cell.state(),
        capacity: queue.capacity(),
        mailbox: queue.stats(),
        incarnation: cell.incarnation(),
        uptime: cell.uptime(),
        message,
        since: since.flatten(),
    }
}

/// As long as one is held, actors note when they begin a message, at the cost of a look at the
/// clock for each.
#[derive(Debug)]
pub struct Timings(());

impl Timings {
    /// Begins.
    pub fn measure() -> Self {
        WATCHERS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Timings {
    fn drop(&mut self) {
        WATCHERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Subscribes to what happens to the actors of this process: starts and ends with their reasons,
/// dead letters, stuck handlers.
///
/// ```
/// use actors_core::{Actor, Event, events};
///
/// #[derive(Actor)]
/// struct Brief;
///
/// # #[actors_core::main]
/// # async fn main() {
/// let mut events = events();
/// let brief = Brief.spawn();
/// brief.stop();
/// loop {
///     if let Event::Stopped { actor, reason, .. } = events.recv().await {
///         assert_eq!(actor.id(), brief.id());
///         assert!(reason.is_normal());
///         break;
///     }
/// }
/// # }
/// ```
pub fn events() -> Events {
    watch_for_stuck();
    Events::subscribe()
}

/// How often the monitor looks, at the most.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Starts the thread that reports handlers which run for too long, if it does not run yet. It is
/// needed only when there is somebody to report to.
pub(crate) fn watch_for_stuck() {
    static MONITOR: OnceLock<()> = OnceLock::new();
    MONITOR.get_or_init(|| {
        let monitor = thread::Builder::new()
            .name("actors-monitor".into())
            .spawn(monitor);
        if let Err(error) = monitor {
            tracing::error!(%error, "stuck handlers are not reported: no thread");
        }
    });
}

/// A handler that was seen running.
struct Seen {
    /// How many messages its actor had handled before: tells one message from the next.
    handled: u64,
    at: Instant,
    told: bool,
}

fn monitor() {
    let mut seen: HashMap<ActorId, Seen> = HashMap::new();
    loop {
        let began = Instant::now();
        seen = look(&seen);
        // Of a process with very many actors this takes one part in fifty, not more.
        thread::sleep(LOOK_EVERY.max(began.elapsed() * 50));
    }
}

/// Looks at all actors once, reports the stuck, and gives what was seen.
fn look(before: &HashMap<ActorId, Seen>) -> HashMap<ActorId, Seen> {
    let mut seen = HashMap::new();
    if SUBSCRIBERS.load(Ordering::Relaxed) == 0 && !tracing::enabled!(tracing::Level::WARN) {
        return seen;
    }
    let now = Instant::now();
    // Reported afterwards: who listens may look at the actors too.
    let mut stuck = Vec::new();
    for keep in census::all() {
        let (cell, queue) = (keep.beside(), keep.queue());
        if cell.stuck_after() == 0 {
            continue;
        }
        let Some((message, _)) = queue.turn().message() else {
            continue;
        };
        let handled = queue.begun();
        let (at, mut told) = match before.get(&cell.id) {
            Some(seen) if seen.handled == handled => (seen.at, seen.told),
            _ => (now, false),
        };
        let running = now - at;
        if !told && running >= Duration::from_millis(cell.stuck_after().into()) {
            told = true;
            stuck.push((cell.actor_name(), message, running));
        }
        seen.insert(cell.id, Seen { handled, at, told });
    }
    for (actor, message, running) in stuck {
        tracing::warn!(%actor, message_type = message, ?running, "stuck");
        event::emit(|| Event::Stuck {
            actor,
            message,
            running,
        });
    }
    seen
}
