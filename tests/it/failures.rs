//! P10: a panic or a failure ends one actor's life only, and each who must know learns it once.
use crate::gate::Gate;
use crate::kit::{Worker, run};
use actors_core::{
    Actor, Addr, AskError, Context, Error, Event, Events, Message, NoReplyReason, SpawnError,
    SpawnOptions, StopReason, Stopped, actors, events, handlers, lookup,
};
use std::fmt;
use std::panic::panic_any;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{self, Wake, Waker};
use tokio::task::yield_now;

const BANG: &str = "bang";

/// Panics when it is dropped, with a text that was formatted.
#[derive(Message)]
#[reply(u32)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(format!("{BANG} in drop"));
    }
}

/// Where the victim panics.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Nowhere,
    Started,
    Stopped,
    State,
}

struct Victim {
    at: At,
    /// How often its hook `stopped` has run.
    stops: Arc<AtomicU32>,
    _state: Option<Bomb>,
}

impl Victim {
    fn new(at: At) -> Self {
        Self {
            at,
            stops: Arc::default(),
            _state: (at == At::State).then(|| Bomb),
        }
    }
}

impl Actor for Victim {
    async fn started(&mut self, _ctx: &mut Context<Self>) -> Result<(), Error> {
        assert!(self.at != At::Started, "{BANG} in started");
        Ok(())
    }

    async fn stopped(&mut self, _ctx: &mut Context<Self>, _reason: &StopReason) {
        self.stops.fetch_add(1, Ordering::Relaxed);
        assert!(self.at != At::Stopped, "{BANG} in stopped");
    }
}

/// What a panic carries.
enum Payload {
    Static,
    Text,
    Number,
}

#[handlers]
impl Victim {
    fn answer(&mut self) -> u32 {
        42
    }

    async fn hold(&mut self, gate: Gate) {
        gate.pass().await;
    }

    async fn panic_with(&mut self, payload: Payload, after: Option<Gate>) -> u32 {
        if let Some(gate) = after {
            gate.pass().await;
        }
        match payload {
            Payload::Static => panic_any(BANG),
            Payload::Text => panic!("{BANG} {}", 7),
            Payload::Number => panic_any(7_u32),
        }
    }

    #[on]
    fn take_bomb(&mut self, msg: Bomb) -> u32 {
        drop(msg);
        1
    }

    /// Keeps the bomb where it is dropped with the handler.
    async fn hold_bomb(&mut self, bomb: Bomb, gate: Gate) {
        let _bomb = bomb;
        gate.pass().await;
    }

    async fn reply_bomb(&mut self, gate: Gate) -> Bomb {
        gate.pass().await;
        Bomb
    }

    async fn fail_twice(&mut self, ctx: &mut Context<Self>) -> u32 {
        ctx.fail(Trouble("first"));
        ctx.fail(Trouble("second"));
        42
    }

    async fn fail_and_panic(&mut self, ctx: &mut Context<Self>) -> u32 {
        ctx.fail(Trouble("first"));
        panic_any(BANG);
    }
}

#[derive(Debug)]
struct Trouble(&'static str);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Trouble {}

#[derive(Actor, Default)]
struct Watcher {
    seen: Vec<Stopped>,
}

#[handlers]
impl Watcher {
    fn watch(&mut self, other: Addr<Victim>, ctx: &mut Context<Self>) {
        ctx.watch(&other);
    }

    #[on]
    fn notice(&mut self, msg: Stopped) {
        self.seen.push(msg);
    }

    fn seen(&mut self) -> Vec<Stopped> {
        self.seen.clone()
    }
}

/// A victim, and all who are to learn of its end.
struct Scene {
    victim: Addr<Victim>,
    stops: Arc<AtomicU32>,
    watchers: [Addr<Watcher>; 2],
    events: Events,
    bystander: Addr<Victim>,
}

/// The text of a panic, or what else there is to say.
fn text(reason: &StopReason) -> String {
    match reason {
        StopReason::Panicked(text) => text.to_string(),
        other => other.to_string(),
    }
}

impl Scene {
    async fn new(name: &'static str, at: At) -> Self {
        let events = events();
        let state = Victim::new(at);
        let stops = Arc::clone(&state.stops);
        let spawned = SpawnOptions::new().registered(name).spawn(state);
        let victim = spawned.expect("the name is free");
        let watchers = [Watcher::default().spawn(), Watcher::default().spawn()];
        for watcher in &watchers {
            watcher.watch(victim.clone()).await.expect("it watches");
        }
        Self {
            victim,
            stops,
            watchers,
            events,
            bystander: Victim::new(At::Nowhere).spawn(),
        }
    }

    /// Checks that everybody learns the end of the victim once, and nobody else is hurt.
    async fn ends(mut self, expected: &str) {
        let reason = self.victim.stopped().await;
        assert_eq!(text(&reason), expected);
        assert_eq!(text(&self.victim.stopped().await), expected, "told again");
        let name = self.victim.name().to_owned();
        assert_eq!(lookup::<Victim>(&name), None);
        let again = SpawnOptions::new()
            .registered(name)
            .spawn(Victim::new(At::Nowhere));
        again.expect("the name is free again").stop();

        assert_eq!(self.bystander.answer().await.expect("others live"), 42);
        for watcher in &self.watchers {
            let seen = watcher.seen().await.expect("its watcher lives");
            assert_eq!(seen.len(), 1, "{seen:?}");
            assert_eq!(seen[0].actor.id(), self.victim.id());
            assert_eq!(text(&seen[0].reason), expected);
        }
        let (mut told, mut missed) = (Vec::new(), false);
        while let Some(event) = self.events.try_recv() {
            match event {
                Event::Stopped { actor, reason, .. } if actor.id() == self.victim.id() => {
                    told.push(text(&reason));
                }
                Event::Missed(_) => missed = true,
                _ => {}
            }
        }
        // Other tests may have been too fast for this subscriber.
        assert!(told == [expected] || missed && told.is_empty(), "{told:?}");
        assert_eq!(self.victim.mailbox_len(), 0);
        assert!(matches!(self.victim.answer().await, Err(AskError::Closed)));
    }
}

/// Checks that the ask ended with its actor.
fn no_reply<R>(result: Result<R, AskError>, expected: &str, ran: bool) {
    match result {
        Err(AskError::NoReply {
            reason: NoReplyReason::Stopped(reason),
            may_have_run,
            ..
        }) => assert_eq!((text(&reason).as_str(), may_have_run), (expected, ran)),
        Err(error) => panic!("ended by another error: {error:?}"),
        Ok(_) => panic!("there was a reply"),
    }
}

#[actors_core::test]
async fn handler_panics_before_its_first_await() {
    let scene = Scene::new("failures-handler", At::Nowhere).await;
    let payload = Payload::Static;
    let running = scene
        .victim
        .panic_with(payload, None)
        .post()
        .expect("it is taken");
    let queued = scene.victim.answer().post().expect("it is taken");
    no_reply(running.await, BANG, true);
    no_reply(queued.await, BANG, false);
    scene.ends(BANG).await;
}

#[actors_core::test]
async fn handler_panics_after_an_await() {
    let scene = Scene::new("failures-await", At::Nowhere).await;
    let gate = Gate::default();
    let running = scene.victim.panic_with(Payload::Text, Some(gate.clone()));
    let running = running.post().expect("it is taken");
    gate.reached().await;
    let queued = scene.victim.answer().post().expect("it is taken");
    gate.open();
    no_reply(running.await, "bang 7", true);
    no_reply(queued.await, "bang 7", false);
    let stops = Arc::clone(&scene.stops);
    scene.ends("bang 7").await;
    assert_eq!(
        stops.load(Ordering::Relaxed),
        1,
        "its hook runs all the same"
    );
}

#[actors_core::test]
async fn panic_without_a_text_is_told_too() {
    let scene = Scene::new("failures-number", At::Nowhere).await;
    let expected = "a panic whose payload is not text";
    no_reply(
        scene.victim.panic_with(Payload::Number, None).await,
        expected,
        true,
    );
    scene.ends(expected).await;
}

#[actors_core::test]
async fn told_message_that_panics_is_told_of() {
    let scene = Scene::new("failures-tell", At::Nowhere).await;
    let (payload, after) = (Payload::Static, None);
    let told = scene.victim.tell(PanicWith { payload, after });
    told.expect("there is room");
    scene.ends(BANG).await;
}

/// Notes, when it wakes, whether an actor of this name is left.
struct LooksFor {
    name: &'static str,
    left: Mutex<Option<bool>>,
}

impl Wake for LooksFor {
    fn wake(self: Arc<Self>) {
        let left = actors().iter().any(|actor| actor.name == self.name);
        *self.left.lock().expect("not poisoned") = Some(left);
    }
}

#[actors_core::test]
async fn start_that_fails_is_told_when_nothing_is_left() {
    let looks = Arc::new(LooksFor {
        name: "failures-start-told",
        left: Mutex::new(None),
    });
    let options = SpawnOptions::new().name(looks.name);
    let mut start = pin!(options.start(Victim::new(At::Started)));
    let waker = Waker::from(Arc::clone(&looks));
    let polled = start.as_mut().poll(&mut task::Context::from_waker(&waker));
    assert!(polled.is_pending());
    let left = || *looks.left.lock().expect("not poisoned");
    while left().is_none() {
        yield_now().await;
    }
    assert_eq!(left(), Some(false));
    assert!(matches!(start.await, Err(SpawnError::StartFailed(_))));
}

#[actors_core::test]
async fn started_panics() {
    let scene = Scene::new("failures-started", At::Started).await;
    // It was accepted or not, depending on how far the start is.
    let asked = scene.victim.answer().await;
    assert!(!asked.expect_err("it never ran").may_have_run());
    let stops = Arc::clone(&scene.stops);
    scene.ends("bang in started").await;
    assert_eq!(stops.load(Ordering::Relaxed), 0, "it was never up");
    let started = SpawnOptions::new().start(Victim::new(At::Started)).await;
    match started {
        Err(SpawnError::StartFailed(reason)) => assert_eq!(text(&reason), "bang in started"),
        other => panic!("{other:?}"),
    }
}

#[actors_core::test]
async fn stopped_panics() {
    let scene = Scene::new("failures-stopped", At::Stopped).await;
    let answered = scene.victim.answer().post().expect("it is taken");
    scene.victim.stop();
    assert_eq!(answered.await.expect("accepted before the stop"), 42);
    scene.ends("bang in stopped").await;
}

#[actors_core::test]
async fn first_of_two_panics_counts() {
    let scene = Scene::new("failures-two", At::Stopped).await;
    no_reply(
        scene.victim.panic_with(Payload::Static, None).await,
        BANG,
        true,
    );
    scene.ends(BANG).await;
    let scene = Scene::new("failures-two", At::State).await;
    no_reply(
        scene.victim.panic_with(Payload::Static, None).await,
        BANG,
        true,
    );
    scene.ends(BANG).await;
}

#[actors_core::test]
async fn drop_of_the_state_panics() {
    let scene = Scene::new("failures-state", At::State).await;
    assert_eq!(scene.victim.answer().await.expect("it lives"), 42);
    scene.victim.stop();
    scene.ends("bang in drop").await;
    let scene = Scene::new("failures-state", At::State).await;
    scene.victim.kill();
    scene.ends("was killed").await;
}

#[actors_core::test]
async fn drop_of_a_running_message_panics() {
    let scene = Scene::new("failures-message", At::Nowhere).await;
    no_reply(scene.victim.ask(Bomb).await, "bang in drop", true);
    scene.ends("bang in drop").await;
    // At the handler's end, after what it did.
    let scene = Scene::new("failures-message", At::Nowhere).await;
    let gate = Gate::default();
    let held = scene.victim.hold_bomb(Bomb, gate.clone()).post();
    let held = held.expect("it is taken");
    gate.reached().await;
    gate.open();
    no_reply(held.await, "bang in drop", true);
    scene.ends("bang in drop").await;
}

#[actors_core::test]
async fn drop_of_a_handler_that_is_killed_panics() {
    let scene = Scene::new("failures-killed", At::Nowhere).await;
    let gate = Gate::default();
    let held = scene.victim.hold_bomb(Bomb, gate.clone()).post();
    let held = held.expect("it is taken");
    gate.reached().await;
    let queued = scene.victim.answer().post().expect("it is taken");
    scene.victim.kill();
    no_reply(held.await, "was killed", true);
    no_reply(queued.await, "was killed", false);
    scene.ends("was killed").await;
}

#[actors_core::test]
async fn drop_of_queued_messages_panics() {
    let scene = Scene::new("failures-queued", At::Nowhere).await;
    let gate = Gate::default();
    let held = scene.victim.hold(gate.clone()).post().expect("it is taken");
    gate.reached().await;
    let before = scene.victim.ask(Bomb).post().expect("it is taken");
    scene.victim.tell(Bomb).expect("there is room");
    let after = scene.victim.answer().post().expect("it is taken");
    scene.victim.kill();
    no_reply(held.await, "was killed", true);
    no_reply(before.await, "was killed", false);
    no_reply(after.await, "was killed", false);
    scene.ends("was killed").await;
}

#[actors_core::test]
async fn drop_of_a_withdrawn_message_panics() {
    let scene = Scene::new("failures-withdrawn", At::Nowhere).await;
    let gate = Gate::default();
    let held = scene.victim.hold(gate.clone()).post().expect("it is taken");
    gate.reached().await;
    let mut bomb = scene.victim.ask(Bomb).post().expect("it is taken");
    let after = scene.victim.answer().post().expect("it is taken");
    assert!(bomb.cancel(), "it waits");
    let cancelled = bomb.try_take().expect("it is over");
    assert!(matches!(
        cancelled,
        Err(AskError::Cancelled {
            may_have_run: false,
            ..
        })
    ));
    gate.open();
    held.await.expect("it was let go");
    no_reply(after.await, "bang in drop", false);
    scene.ends("bang in drop").await;
}

#[actors_core::test]
async fn drop_of_a_reply_that_nobody_waits_for_panics() {
    let scene = Scene::new("failures-reply", At::Nowhere).await;
    let gate = Gate::default();
    let asked = scene.victim.reply_bomb(gate.clone()).post();
    let asked = asked.expect("it is taken");
    gate.reached().await;
    let queued = scene.victim.answer().post().expect("it is taken");
    drop(asked);
    gate.open();
    no_reply(queued.await, "bang in drop", false);
    scene.ends("bang in drop").await;
    // The same for one that was told.
    let scene = Scene::new("failures-reply", At::Nowhere).await;
    let told = scene.victim.tell(ReplyBomb { gate: gate.clone() });
    told.expect("there is room");
    gate.reached().await;
    gate.open();
    scene.ends("bang in drop").await;
}

#[actors_core::test]
async fn fail_gives_the_reply_and_ends_with_the_first_error() {
    let scene = Scene::new("failures-fail", At::Nowhere).await;
    let running = scene.victim.fail_twice().post().expect("it is taken");
    let queued = scene.victim.answer().post().expect("it is taken");
    assert_eq!(running.await.expect("the reply is given"), 42);
    let error = queued.await.expect_err("it stopped before");
    assert!(!error.may_have_run());
    let source = std::error::Error::source(&error).expect("the failure is its source");
    assert_eq!(
        source.downcast_ref::<Trouble>().expect("as it was").0,
        "first"
    );
    match scene.victim.stopped().await {
        StopReason::Failed(error) => {
            assert_eq!(
                error.downcast_ref::<Trouble>().expect("as it was").0,
                "first"
            );
        }
        other => panic!("{other:?}"),
    }
    let stops = Arc::clone(&scene.stops);
    scene.ends("failed: first").await;
    assert_eq!(stops.load(Ordering::Relaxed), 1);
}

#[actors_core::test]
async fn panic_counts_more_than_a_failure_before_it() {
    let scene = Scene::new("failures-both", At::Nowhere).await;
    no_reply(scene.victim.fail_and_panic().await, BANG, true);
    scene.ends(BANG).await;
}

/// No test by itself: what the next one starts in a process of its own.
#[actors_core::test]
async fn panic_while_panicking() {
    if std::env::var_os("ACTORS_PANIC_TWICE").is_none() {
        return;
    }
    struct Bang;
    impl Drop for Bang {
        fn drop(&mut self) {
            panic!("bang in drop");
        }
    }
    let (worker, _) = Worker::logged();
    let handler = run(async {
        let _bang = Bang;
        panic!("bang in the handler");
    });
    let _: Result<(), _> = worker.ask(handler).await;
    println!("it goes on");
}

/// What no library can prevent: it ends the process.
#[cfg(unix)]
#[test]
fn panic_while_panicking_ends_the_process() {
    use std::os::unix::process::ExitStatusExt;
    let mut process = std::process::Command::new(std::env::current_exe().expect("this runs"));
    process.args(["--exact", "failures::panic_while_panicking", "--nocapture"]);
    process.env("ACTORS_PANIC_TWICE", "1");
    let output = process.output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.signal().is_some(),
        "{}: {told}",
        output.status
    );
    assert!(!told.contains("it goes on"), "{told}");
}
