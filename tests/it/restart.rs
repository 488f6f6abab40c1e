//! P11, P14, P15: what a restart keeps, and what ends with the incarnation.
use crate::kit::{Gate, Log, Note, Token, Tokens, Worker, alone, next_event, run, soon, with};
use actors_core::{
    Actor, ActorState, Addr, AskError, Backoff, ChildOptions, Context, Error, Event, Handler,
    Intensity, Message, NoReplyReason, Restart, SpawnError, SpawnOptions, StartTimedOut,
    StopReason, Stopped, Supervisor, SupervisorOptions, TellError, actors, events, handlers,
    lookup,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// Restarts after a second, as often as it takes.
fn patient() -> Supervisor {
    let options = SupervisorOptions::new()
        .backoff(Backoff::new(SECOND, SECOND).without_jitter())
        .intensity(Intensity::UNLIMITED);
    options.start("app").expect("there is a runtime")
}

/// A worker that is made anew with the same log.
fn worker(app: &Supervisor) -> (Addr<Worker>, Log) {
    worker_with(app, ChildOptions::new())
}

fn worker_with(app: &Supervisor, options: ChildOptions) -> (Addr<Worker>, Log) {
    let log = Log::default();
    let of_all = log.clone();
    let make = move || Worker {
        log: of_all.clone(),
    };
    (app.child_with("worker", options, make), log)
}

fn transient() -> ChildOptions {
    ChildOptions::new().restart(Restart::Transient)
}

/// A message that panics.
fn boom() -> crate::kit::Run<()> {
    run(async { panic!("boom") })
}

fn state(app: &Supervisor) -> ActorState {
    app.children()[0].state
}

/// Until nobody has anything to do, without time passing.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[actors_core::test(start_paused = true)]
async fn only_the_running_message_is_lost() {
    let app = patient();
    let (worker, log) = worker(&app);
    worker.tell(Note(1)).unwrap();
    let lost = worker.ask(boom()).post().unwrap();
    worker.tell(Note(2)).unwrap();
    let waits = worker.ask(Note(3)).post().unwrap();
    let error = soon(lost).await.unwrap_err();
    assert!(error.may_have_run());
    let AskError::NoReply { reason, .. } = error else {
        panic!("{error}");
    };
    let NoReplyReason::Stopped(StopReason::Panicked(text)) = reason else {
        panic!("{reason}");
    };
    assert_eq!(&*text, "boom");
    // What comes while it is being restarted waits too.
    settle().await;
    assert_eq!(state(&app), ActorState::Restarting);
    assert!(worker.is_alive());
    worker.tell(Note(4)).unwrap();
    let later = worker.ask(Note(5)).post().unwrap();
    assert!(!waits.is_ready() && !later.is_ready());
    assert_eq!(soon(waits).await.unwrap(), 3);
    assert_eq!(soon(later).await.unwrap(), 5);
    assert_eq!(log.all(), [1, 2, 3, 4, 5]);
    app.shutdown(SECOND).await;
    let stats = worker.mailbox_stats();
    assert_eq!((stats.accepted, stats.handled, stats.failed), (6, 5, 1));
}

#[actors_core::test(start_paused = true)]
async fn mailbox_is_bounded_while_it_is_restarting() {
    let app = patient();
    let options = ChildOptions::new().spawn(SpawnOptions::new().capacity(2));
    let (worker, log) = worker_with(&app, options);
    soon(worker.ask(boom())).await.unwrap_err();
    worker.tell(Note(1)).unwrap();
    worker.tell(Note(2)).unwrap();
    assert!(matches!(worker.tell(Note(3)), Err(TellError::Full(_))));
    // Who waits for room gets it from the next incarnation.
    soon(worker.send(Note(4))).await.unwrap();
    assert_eq!(soon(worker.ask(Note(5))).await.unwrap(), 5);
    assert_eq!(log.all(), [1, 2, 4, 5]);
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn ask_that_gives_up_meanwhile_is_withdrawn() {
    let app = patient();
    let (worker, log) = worker(&app);
    soon(worker.ask(boom())).await.unwrap_err();
    let late = worker.ask(Note(1)).timeout(Duration::from_millis(500));
    let error = soon(late).await.unwrap_err();
    assert!(matches!(
        error,
        AskError::TimedOut {
            may_have_run: false,
            ..
        }
    ));
    soon(worker.ask(Note(2))).await.unwrap();
    assert_eq!(log.all(), [2]);
    app.shutdown(SECOND).await;
}

/// Puts every message aside until it is told to go on.
struct Aside {
    log: Log,
    open: bool,
}

impl Actor for Aside {}

#[handlers]
impl Aside {
    #[on]
    async fn note(&mut self, msg: Note, ctx: &mut Context<Self>) -> u32 {
        if !self.open {
            match ctx.stash(msg) {
                Ok(later) => return later.await,
                Err(_) => panic!("there is room"),
            }
        }
        self.log.add(msg.0);
        msg.0
    }

    fn opens(&mut self, ctx: &mut Context<Self>) {
        self.open = true;
        ctx.unstash_all();
    }

    fn puts_back_and_breaks(&mut self, ctx: &mut Context<Self>) {
        ctx.unstash_all();
        panic!("with messages on their way back");
    }

    fn fails(&mut self, ctx: &mut Context<Self>) {
        ctx.fail("it fails");
    }
}

#[actors_core::test(start_paused = true)]
async fn what_was_put_aside_is_mail_again_in_its_order() {
    for breaks in [false, true] {
        let app = patient();
        let log = Log::default();
        let of_all = log.clone();
        let aside = app.child("aside", move || Aside {
            log: of_all.clone(),
            open: false,
        });
        let first = aside.ask(Note(1)).post().unwrap();
        let second = aside.ask(Note(2)).post().unwrap();
        aside.tell(Note(3)).unwrap();
        if breaks {
            soon(aside.puts_back_and_breaks()).await.unwrap_err();
        } else {
            soon(aside.fails()).await.unwrap();
        }
        // The next incarnation puts them aside again, and this one behind them.
        aside.tell(Note(4)).unwrap();
        soon(aside.opens()).await.unwrap();
        assert_eq!(soon(first).await.unwrap(), 1);
        assert_eq!(soon(second).await.unwrap(), 2);
        settle().await;
        assert_eq!(log.all(), [1, 2, 3, 4]);
        app.shutdown(SECOND).await;
        let stats = aside.mailbox_stats();
        let left = stats.handled + stats.failed;
        assert_eq!(
            (stats.accepted, left, stats.waiting),
            (6, 6, 0),
            "{stats:?}"
        );
    }
}

/// Ticks, and notes with which incarnation.
struct Ticker {
    number: u32,
    ticks: Log,
    items: Log,
    _made: Token,
}

struct Tick(u32);

struct Item(u32);

impl Message for Tick {
    type Reply = ();
}

impl Message for Item {
    type Reply = ();
}

impl Actor for Ticker {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        let number = self.number;
        ctx.notify_every(Duration::from_millis(100), move || Tick(number));
        ctx.notify_after(Duration::from_secs(3600), Tick(u32::MAX));
        ctx.pipe(sleep(Duration::from_secs(1800)), |()| Tick(u32::MAX));
        let stream = futures_util::stream::unfold(number, |number| async move {
            sleep(Duration::from_millis(100)).await;
            Some((number, number))
        });
        ctx.attach(Box::pin(stream), Item);
        Ok(())
    }
}

impl Handler<Tick> for Ticker {
    async fn handle(&mut self, Tick(number): Tick, _: &mut Context<Self>) {
        assert_eq!(number, self.number, "a tick of another incarnation");
        self.ticks.add(number);
    }
}

impl Handler<Item> for Ticker {
    async fn handle(&mut self, Item(number): Item, _: &mut Context<Self>) {
        self.items.add(number);
    }
}

#[handlers]
impl Ticker {
    fn breaks(&mut self) {
        panic!("it breaks");
    }

    /// Stays here while ticks come in.
    async fn stays(&mut self) {
        sleep(SECOND).await;
        panic!("at last");
    }
}

#[actors_core::test(start_paused = true)]
async fn timers_and_streams_die_with_the_incarnation() {
    let app = patient();
    let (ticks, items) = (Log::default(), Log::default());
    let tokens = Tokens::default();
    let (of_all, items_of_all, all) = (ticks.clone(), items.clone(), tokens.clone());
    let ticker = app.child("ticker", move || {
        let made = all.token();
        Ticker {
            number: made.number() as u32,
            ticks: of_all.clone(),
            items: items_of_all.clone(),
            _made: made,
        }
    });
    soon(app.ready()).await.unwrap();
    for incarnation in 0..6 {
        sleep(Duration::from_millis(1050)).await;
        // None of those before it ticks along.
        assert_eq!(ticks.all(), [incarnation; 10]);
        assert_eq!(items.all(), [incarnation; 10]);
        let stays = incarnation % 2 == 1;
        if stays {
            // With a tick and items in the mailbox.
            soon(ticker.stays()).await.unwrap_err();
        } else {
            soon(ticker.breaks()).await.unwrap_err();
        }
        assert_eq!(tokens.left(), 0, "the state is dropped before the back-off");
        ticks.clear();
        items.clear();
        sleep(Duration::from_millis(1010)).await;
        assert_eq!(app.children()[0].state, ActorState::Running);
        // Items that were accepted are mail, and kept as such; ticks are not.
        let kept = if stays { 10 } else { 0 };
        assert_eq!((ticks.len(), items.len()), (0, kept));
        items.clear();
    }
    app.shutdown(SECOND).await;
}

/// Watches others, and starts children, in each incarnation.
struct Owner {
    watches: Addr<Worker>,
    told: Log,
    children: Arc<Mutex<Vec<Addr<Worker>>>>,
}

impl Actor for Owner {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        let child = ctx.spawn(Worker::default());
        self.children.lock().unwrap().push(child);
        Ok(())
    }
}

impl Handler<Stopped> for Owner {
    async fn handle(&mut self, notice: Stopped, _: &mut Context<Self>) {
        self.told.add(notice.incarnation);
    }
}

#[handlers]
impl Owner {
    fn watches(&mut self, ctx: &mut Context<Self>) {
        ctx.watch(&self.watches);
    }

    fn owner_breaks(&mut self) {
        panic!("it breaks");
    }

    fn deferred(&mut self) {}
}

#[actors_core::test(start_paused = true)]
async fn watches_and_children_die_with_the_incarnation() {
    let app = patient();
    let (watched, told) = (Worker::default().spawn(), Log::default());
    let children = Arc::new(Mutex::new(Vec::new()));
    let (log, other, list) = (told.clone(), watched.clone(), children.clone());
    let owner = app.child("owner", move || Owner {
        watches: other.clone(),
        told: log.clone(),
        children: list.clone(),
    });
    soon(owner.watches()).await.unwrap();
    soon(owner.owner_breaks()).await.unwrap_err();
    let first = children.lock().unwrap()[0].clone();
    soon(first.stopped()).await;
    soon(owner.deferred()).await.unwrap();
    assert_eq!(children.lock().unwrap().len(), 2);
    // The first incarnation watched, and this one does not.
    watched.stop();
    soon(watched.stopped()).await;
    settle().await;
    assert_eq!(told.len(), 0);
    soon(owner.watches()).await.unwrap();
    settle().await;
    assert_eq!(told.all(), [0], "the dead answer at once");
    app.shutdown(SECOND).await;
}

/// Notes the notices of what it watches.
struct Watcher {
    told: Arc<Mutex<Vec<Stopped>>>,
}

impl Actor for Watcher {}

impl Handler<Stopped> for Watcher {
    async fn handle(&mut self, notice: Stopped, _: &mut Context<Self>) {
        self.told.lock().unwrap().push(notice);
    }
}

#[handlers]
impl Watcher {
    fn look(&mut self, at: Addr<Worker>, ctx: &mut Context<Self>) {
        ctx.watch(&at);
    }
}

#[actors_core::test(start_paused = true)]
async fn each_incarnation_that_is_watched_gives_one_notice() {
    let app = patient();
    let (worker, _) = worker_with(&app, transient());
    let told = Arc::new(Mutex::new(Vec::new()));
    let watcher = Watcher { told: told.clone() }.spawn();
    let notices = || {
        let notices = std::mem::take(&mut *told.lock().unwrap());
        let brief = |notice: Stopped| (notice.incarnation, notice.reason.to_string());
        notices.into_iter().map(brief).collect::<Vec<_>>()
    };
    soon(watcher.look(worker.clone())).await.unwrap();
    soon(worker.ask(boom())).await.unwrap_err();
    settle().await;
    assert_eq!(notices(), [(0, "panicked: boom".to_owned())]);
    // The next one is not watched.
    sleep(2 * SECOND).await;
    soon(worker.ask(boom())).await.unwrap_err();
    settle().await;
    assert_eq!(notices(), []);
    // Watched while it is being restarted: that is the one to come.
    soon(watcher.look(worker.clone())).await.unwrap();
    let mut stopped = Box::pin(worker.stopped());
    sleep(2 * SECOND).await;
    assert_eq!(notices(), []);
    worker.kill();
    settle().await;
    assert_eq!(notices(), [(2, "was killed".to_owned())]);
    assert!(crate::kit::once(&mut stopped).await.is_pending());
    // The end for good, while it is being restarted.
    soon(watcher.look(worker.clone())).await.unwrap();
    worker.stop();
    assert!(matches!(soon(stopped).await, StopReason::Killed));
    settle().await;
    assert_eq!(notices(), [(3, "was killed".to_owned())]);
    soon(watcher.look(worker.clone())).await.unwrap();
    settle().await;
    assert_eq!(notices().len(), 1, "the dead answer at once");
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn signals_come_through_while_it_is_restarting() {
    // To stop a transient child is final.
    let app = patient();
    let (worker, _) = worker_with(&app, transient());
    soon(worker.ask(boom())).await.unwrap_err();
    let waits = worker.ask(Note(1)).post().unwrap();
    settle().await;
    worker.stop();
    let began = tokio::time::Instant::now();
    assert!(matches!(
        soon(worker.stopped()).await,
        StopReason::Panicked(_)
    ));
    assert_eq!(began, tokio::time::Instant::now(), "at once");
    let error = soon(waits).await.unwrap_err();
    assert!(!error.may_have_run(), "{error}");
    settle().await;
    assert_eq!(app.child_count(), 0);

    // The supervisor's word, too.
    let (worker, _) = worker_with(&app, ChildOptions::new());
    soon(worker.ask(boom())).await.unwrap_err();
    settle().await;
    assert!(soon(app.stop_child(worker.id())).await);
    assert_eq!(began, tokio::time::Instant::now(), "at once");

    // And the end of the supervisor.
    let (worker, _) = worker_with(&app, ChildOptions::new());
    soon(worker.ask(boom())).await.unwrap_err();
    settle().await;
    soon(app.shutdown(SECOND)).await;
    assert!(!soon(worker.stopped()).await.is_normal());
    assert_eq!(began, tokio::time::Instant::now(), "at once");
}

#[actors_core::test(start_paused = true)]
async fn kill_comes_through_while_it_starts() {
    let app = patient();
    let gate = Gate::new();
    let tries = Arc::new(AtomicU32::new(0));
    let (passes, count) = (gate.clone(), tries.clone());
    let options = ChildOptions::new().retry_first_start();
    // In the factory, and then in `started`.
    let child = app.child_with("child", options, move || {
        let n = count.fetch_add(1, Ordering::SeqCst);
        let gate = passes.clone();
        async move {
            if n == 0 {
                gate.pass().await;
            }
            Held { gate }
        }
    });
    soon(gate.entered()).await;
    child.kill();
    soon(gate.entered()).await;
    assert_eq!(tries.load(Ordering::SeqCst), 2);
    child.kill();
    soon(gate.entered()).await;
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    let report = soon(app.shutdown(SECOND)).await;
    assert_eq!(
        report.aborted.len(),
        2,
        "it was held in `started`: {report:?}"
    );
    assert!(matches!(soon(child.stopped()).await, StopReason::Killed));
}

/// Waits at the gate in its `started`.
struct Held {
    gate: Gate,
}

impl Actor for Held {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), Error> {
        self.gate.pass().await;
        Ok(())
    }
}

#[actors_core::test(start_paused = true)]
async fn start_that_never_returns_has_a_deadline() {
    let app = patient();
    let gate = Gate::new();
    let passes = gate.clone();
    let options = ChildOptions::new().start_timeout(5 * SECOND);
    let make = move || Held {
        gate: passes.clone(),
    };
    let began = tokio::time::Instant::now();
    let started = soon(app.start_child_with("held", options.clone(), make)).await;
    let Err(SpawnError::StartFailed(StopReason::Failed(error))) = started else {
        panic!("it starts");
    };
    let timed_out = error.downcast_ref::<StartTimedOut>().unwrap();
    assert_eq!(timed_out.limit, 5 * SECOND);
    assert!(began.elapsed() < 6 * SECOND);
    // So has a factory.
    let make = || async {
        std::future::pending::<()>().await;
        Worker::default()
    };
    let started = soon(app.start_child_with("never", options, make)).await;
    assert!(matches!(started, Err(SpawnError::StartFailed(_))));
    assert_eq!(app.child_count(), 0);
    app.shutdown(SECOND).await;
}

/// Panics where it is told to, once.
struct Fragile {
    at: &'static str,
    armed: Arc<AtomicU32>,
}

impl Fragile {
    fn break_at(&self, place: &str) {
        if self.at == place && self.armed.swap(0, Ordering::SeqCst) == 1 {
            panic!("in {place}");
        }
    }
}

impl Actor for Fragile {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), Error> {
        self.break_at("started");
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        self.break_at("stopped");
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.break_at("drop");
    }
}

#[handlers]
impl Fragile {
    fn ping(&mut self) {
        self.break_at("handler");
    }

    fn ends(&mut self, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

/// In each place, the supervisor learns of it exactly once, and the child comes back.
#[actors_core::test(start_paused = true)]
async fn panics_anywhere_are_failures_of_the_child_alone() {
    let _alone = alone().await;
    for at in ["factory", "started", "handler", "stopped", "drop"] {
        let mut events = events();
        let app = patient();
        let (other, _) = worker(&app);
        let armed = Arc::new(AtomicU32::new(0));
        let arm = armed.clone();
        let child = app.child("child", move || {
            if at == "factory" && arm.swap(0, Ordering::SeqCst) == 1 {
                panic!("in factory");
            }
            Fragile {
                at,
                armed: arm.clone(),
            }
        });
        soon(app.ready()).await.unwrap();
        armed.store(1, Ordering::SeqCst);
        let _ = soon(child.ping()).await;
        if at != "handler" {
            // Ends it normally; it is permanent.
            soon(child.ends()).await.unwrap();
        }
        soon(child.ping()).await.unwrap();
        assert_eq!(armed.load(Ordering::SeqCst), 0, "{at}");
        assert_eq!(soon(other.ask(Note(1))).await.unwrap(), 1);
        let mut failures = 0;
        while let Some(event) = events.try_recv() {
            if let Event::Stopped {
                actor,
                reason: StopReason::Panicked(text),
                ..
            } = event
            {
                // Other tests' events come by, too.
                assert_ne!(actor.id(), other.id());
                if actor.id() == child.id() {
                    assert_eq!(*text, *format!("in {at}"));
                    failures += 1;
                }
            }
        }
        assert_eq!(failures, 1, "in {at}");
        let report = soon(app.shutdown(SECOND)).await;
        assert!(report.is_clean(), "{report:?}");
    }
}

#[actors_core::test(start_paused = true)]
async fn names_are_kept_over_restarts_and_free_at_the_end() {
    let app = patient();
    let options = || ChildOptions::new().spawn(SpawnOptions::new().registered("restart::unique"));
    let (first, _) = worker_with(&app, options());
    soon(app.ready()).await.unwrap();
    assert_eq!(lookup::<Worker>("restart::unique"), Some(first.clone()));
    // Taken: the second has ended, and says why.
    let (second, _) = worker_with(&app, options());
    let StopReason::Failed(error) = soon(second.stopped()).await else {
        panic!("it lives");
    };
    let taken = error.downcast_ref::<SpawnError>().unwrap();
    assert!(matches!(taken, SpawnError::NameTaken(_)));
    let started = app.start_child_with("second", options(), Worker::default);
    assert!(matches!(soon(started).await, Err(SpawnError::NameTaken(_))));
    assert_eq!(app.child_count(), 1);
    // While it is being restarted, the name is still its own.
    soon(first.ask(boom())).await.unwrap_err();
    settle().await;
    assert_eq!(lookup::<Worker>("restart::unique"), Some(first.clone()));
    assert!(soon(app.stop_child(first.id())).await);
    assert_eq!(lookup::<Worker>("restart::unique"), None);
    let (third, _) = worker_with(&app, options());
    soon(app.ready()).await.unwrap();
    assert_eq!(lookup::<Worker>("restart::unique"), Some(third));
    assert!(first.tell(Note(1)).is_err(), "not another one of that name");
    app.shutdown(SECOND).await;
    assert_eq!(lookup::<Worker>("restart::unique"), None);
}

#[actors_core::test(start_paused = true)]
async fn what_cannot_be_spawned_has_ended() {
    let app = patient();
    let options = ChildOptions::new().spawn(SpawnOptions::new().capacity(0));
    let (worker, _) = worker_with(&app, options);
    let StopReason::Failed(error) = soon(worker.stopped()).await else {
        panic!("it lives");
    };
    let refused = error.downcast_ref::<SpawnError>().unwrap();
    assert!(matches!(refused, SpawnError::ZeroCapacity));
    app.shutdown(SECOND).await;
    // Below what has ended, nothing starts.
    let (late, log) = worker_with(&app, ChildOptions::new());
    soon(late.stopped()).await;
    assert!(
        soon(app.start_child("late", Worker::default))
            .await
            .is_err()
    );
    let below = app.subtree("late");
    soon(below.stopped()).await;
    assert!(soon(below.ready()).await.is_err());
    assert_eq!(log.len(), 0);
}

#[test]
fn outside_of_a_runtime_there_is_an_error() {
    let started = SupervisorOptions::new().start("app");
    assert!(matches!(started, Err(SpawnError::NoRuntime)));
}

#[actors_core::test]
async fn children_can_be_added_from_any_thread() {
    let app = Supervisor::new("app");
    let of_thread = app.clone();
    let added = std::thread::spawn(move || worker(&of_thread).0);
    let worker = added.join().unwrap();
    assert_eq!(soon(worker.ask(Note(1))).await.unwrap(), 1);
    soon(app.shutdown(SECOND)).await;
}

#[actors_core::test(start_paused = true)]
async fn idle_child_ends_for_good() {
    let app = patient();
    let options = ChildOptions::new().spawn(SpawnOptions::new().idle_timeout(SECOND));
    let (worker, _) = worker_with(&app, options);
    soon(worker.ask(with(|ctx| {
        Box::pin(async move { ctx.set_idle_timeout(None) })
    })))
    .await
    .unwrap();
    sleep(10 * SECOND).await;
    assert!(worker.is_alive());
    // What the incarnation has set ends with it.
    soon(worker.ask(boom())).await.unwrap_err();
    let began = tokio::time::Instant::now();
    assert!(soon(worker.stopped()).await.is_normal());
    assert_eq!(began.elapsed().as_secs(), 2);
    settle().await;
    assert_eq!(app.child_count(), 0);
    app.shutdown(SECOND).await;
}

/// Nobody has an address, but the supervisor: it lives. Nobody has a supervisor, but it has
/// children: it lives, too.
#[actors_core::test(start_paused = true)]
async fn supervised_actors_live_without_addresses() {
    let app = patient();
    let (worker, log) = worker(&app);
    drop(worker);
    sleep(SECOND).await;
    let worker = app.find::<Worker>("worker").expect("it lives");
    let id = app.id();
    drop(app);
    sleep(SECOND).await;
    soon(worker.ask(Note(1))).await.unwrap();
    assert_eq!(log.all(), [1]);
    let lives = || actors().iter().any(|actor| actor.id == id);
    assert!(lives());
    // With its last child, it ends.
    let weak = worker.downgrade();
    drop(worker);
    soon(async {
        weak.upgrade()
            .expect("it lives")
            .ask(with(|ctx| {
                Box::pin(async move { ctx.set_idle_timeout(Some(SECOND)) })
            }))
            .await
    })
    .await
    .unwrap();
    sleep(2 * SECOND).await;
    settle().await;
    assert!(!lives());
}

#[actors_core::test(start_paused = true)]
async fn next_incarnation_is_seen_in_events() {
    let _alone = alone().await;
    let mut events = events();
    let app = patient();
    let (worker, _) = worker(&app);
    soon(worker.ask(boom())).await.unwrap_err();
    soon(worker.ask(Note(1))).await.unwrap();
    let id = worker.id();
    let (incarnation, after) = next_event(&mut events, |event| match event {
        Event::Restarting {
            actor,
            incarnation,
            after,
            ..
        } if actor.id() == id => Some((incarnation, after)),
        _ => None,
    })
    .await;
    assert_eq!((incarnation, after), (1, SECOND));
    let incarnation = next_event(&mut events, |event| match event {
        Event::Started {
            actor, incarnation, ..
        } if actor.id() == id => Some(incarnation),
        _ => None,
    })
    .await;
    assert_eq!(incarnation, 1);
    assert_eq!(app.children()[0].incarnation, 1);
    app.shutdown(SECOND).await;
}
