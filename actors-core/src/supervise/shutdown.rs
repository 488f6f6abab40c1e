//! Shutting a tree down within a deadline, whatever its handlers do.
use crate::aborts::{Abort, Aborts, abort};
use crate::addr::ended;
use crate::cell::Cell;
use crate::error::ActorName;
use crate::mailbox::Keep;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// How a shutdown went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How long it took.
    pub took: Duration,
    /// Who had to be killed: those that exceeded their own limit, and those that had not ended at
    /// the deadline. Not who was killed by somebody else meanwhile.
    pub aborted: Vec<Aborted>,
}

impl ShutdownReport {
    /// Whether all actors ended as they were asked to.
    pub fn is_clean(&self) -> bool {
        self.aborted.is_empty()
    }
}

/// An actor that was killed during a shutdown.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Aborted {
    /// The actor.
    pub actor: ActorName,
    /// The type of the message that it was handling, if it was.
    pub message: Option<&'static str>,
    /// Its handler does not await, so it goes on although the actor was killed. It ends when its
    /// handler returns, or with the process.
    pub still_running: bool,
}

/// After the deadline, as long as it takes to drop what can be dropped.
const GRACE: Duration = Duration::from_millis(50);

/// Closes the actor `root` and waits until it has ended with all its descendants; at the deadline
/// kills those that are left.
pub(super) async fn shut_down(root: &Keep<Cell>, deadline: Duration) -> ShutdownReport {
    let began = Instant::now();
    let aborts = Aborts::watch(root);
    root.queue().close();
    if within(deadline, ended(root.beside())).await.is_none() {
        let mut actors = Vec::new();
        descend(root, &mut actors);
        for actor in &actors {
            abort(actor);
        }
        let all = async {
            for actor in &actors {
                ended(actor.beside()).await;
            }
        };
        let _ = within(GRACE, all).await;
    }
    let aborted = aborts.take().into_iter().map(|Abort { actor, message }| {
        let cell = actor.beside();
        Aborted {
            actor: cell.actor_name(),
            message,
            still_running: cell.stop_reason().is_none(),
        }
    });
    ShutdownReport {
        took: began.elapsed(),
        aborted: aborted.collect(),
    }
}

/// The actor and all below it that have not ended.
fn descend(actor: &Keep<Cell>, into: &mut Vec<Keep<Cell>>) {
    let from = into.len();
    into.push(actor.clone());
    let mut at = from;
    while let Some(next) = into.get(at).cloned() {
        next.beside().scope_if_any(|scope| {
            into.extend(scope.children().map(|child| child.keep.clone()));
        });
        at += 1;
    }
}

/// What the future gives, unless it takes longer.
///
/// Whichever comes first, a timer of the runtime or a thread of our own: where all of the runtime's
/// threads are held by handlers that block, there is nobody to look at its timers.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let bell = Bell::ring_after(limit);
    let mut timer = pin!(tokio::time::sleep(limit));
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        if bell.poll_rung(cx).is_ready() || timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}

/// A thread that wakes whoever waits after some time, unless this is dropped before.
struct Bell(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    rung: bool,
    dropped: bool,
    waker: Option<Waker>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bell {
    fn ring_after(limit: Duration) -> Self {
        let bell = Self(Arc::default());
        let shared = Arc::clone(&bell.0);
        let rings = thread::Builder::new()
            .name("actors-deadline".into())
            .spawn(move || {
                let (state, changed) = &*shared;
                let waits = changed.wait_timeout_while(lock(state), limit, |state| !state.dropped);
                let (mut state, _) = waits.unwrap_or_else(PoisonError::into_inner);
                state.rung = true;
                if let Some(waker) = state.waker.take() {
                    drop(state);
                    waker.wake();
                }
            });
        if let Err(error) = rings {
            tracing::warn!(%error, "no thread for the deadline: only the runtime's timer is left");
        }
        bell
    }

    fn poll_rung(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = lock(&self.0.0);
        if state.rung {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let (state, changed) = &*self.0;
        lock(state).dropped = true;
        changed.notify_all();
    }
}
