//! P10-P12, supervised: what a supervisor does when children fail, in order, under paused time.
use crate::kit::{alone, soon};
use actors_core::{
    Actor, Addr, Backoff, ChildOptions, Context, Error, Escalation, EscalationFault, Event,
    Intensity, Recipient, Restart, SpawnError, SpawnOptions, StopReason, Stopped, Strategy,
    Supervisor, SupervisorOptions, events, handlers, lookup,
};
use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// What happened, in its order.
#[derive(Clone, Default)]
struct Story(Arc<Mutex<Vec<String>>>);

impl Story {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    /// What happened since this was last asked.
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Tells when it starts and stops.
struct Teller {
    name: &'static str,
    story: Story,
    handled: u32,
}

impl Actor for Teller {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), Error> {
        self.story.add(format!("+{}", self.name));
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        self.story.add(format!("-{}", self.name));
    }
}

#[handlers]
impl Teller {
    /// How many messages this incarnation has handled.
    fn count(&mut self) -> u32 {
        self.handled += 1;
        self.handled
    }

    fn panics(&mut self) {
        panic!("{} panics", self.name);
    }

    fn fails(&mut self, ctx: &mut Context<Self>) {
        ctx.fail("it fails");
    }

    fn ends(&mut self, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

fn teller(name: &'static str, story: &Story) -> impl FnMut() -> Teller + Send + 'static + use<> {
    let story = story.clone();
    move || Teller {
        name,
        story: story.clone(),
        handled: 0,
    }
}

fn add(app: &Supervisor, name: &'static str, story: &Story) -> Addr<Teller> {
    app.child(name, teller(name, story))
}

/// Exactly 100 ms, 200 ms, 400 ms and so on.
const EVEN: Backoff =
    Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).without_jitter();

/// Timers are due to the next millisecond, and the waits are products of real numbers.
fn took(began: Instant, millis: u64) {
    let took = began.elapsed();
    let least = Duration::from_millis(millis);
    let most = Duration::from_millis(millis + 5);
    assert!((least..=most).contains(&took), "{took:?} for {millis} ms");
}

const SECOND: Duration = Duration::from_secs(1);

#[actors_core::test(start_paused = true)]
async fn children_start_in_order_and_stop_in_reverse() {
    let story = Story::default();
    let app = Supervisor::new("app");
    for name in ["a", "b", "c"] {
        add(&app, name, &story);
    }
    soon(app.ready()).await.expect("all start");
    assert_eq!(story.told(), ["+a", "+b", "+c"]);
    let report = soon(app.shutdown(SECOND)).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(story.told(), ["-c", "-b", "-a"]);
    assert!(app.stopped().await.is_normal());
}

#[actors_core::test(start_paused = true)]
async fn address_and_mail_survive_a_panic() {
    let story = Story::default();
    let app = SupervisorOptions::new().backoff(EVEN).start("app").unwrap();
    let a = add(&app, "a", &story);
    assert_eq!(a.count().await.unwrap(), 1);
    let lost = a.panics().post().unwrap();
    let waits = [a.count().post().unwrap(), a.count().post().unwrap()];
    let began = Instant::now();
    let error = soon(lost).await.unwrap_err();
    assert!(error.may_have_run());
    let text = error.to_string();
    assert!(text.contains("a panics"), "{text}");
    // Made anew: it counts from one again.
    for (n, reply) in waits.into_iter().enumerate() {
        assert_eq!(soon(reply).await.unwrap(), n as u32 + 1);
    }
    took(began, 100);
    assert_eq!(story.told(), ["+a", "-a", "+a"]);
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn recipient_ends_an_incarnation_as_an_address_does() {
    let story = Story::default();
    let app = SupervisorOptions::new().backoff(EVEN).start("app").unwrap();
    let a = add(&app, "a", &story);
    let known = a.recipient::<Count, _>();
    for end in [Recipient::kill, Recipient::stop] {
        assert_eq!(soon(known.ask(Count)).await.unwrap(), 1);
        end(&known);
        assert!(known.is_alive());
    }
    assert_eq!(soon(known.ask(Count)).await.unwrap(), 1);
    app.shutdown(SECOND).await;
}

fn started_with(strategy: Strategy) -> (Supervisor, Story, [Addr<Teller>; 3]) {
    let story = Story::default();
    let options = SupervisorOptions::new().strategy(strategy).backoff(EVEN);
    let app = options.start("app").expect("there is a runtime");
    let children = ["a", "b", "c"].map(|name| add(&app, name, &story));
    (app, story, children)
}

/// One step at a time: nothing before the back-off, all of it after.
async fn one_failure(strategy: Strategy, stops: &[&str], starts: &[&str]) {
    let (app, story, [a, b, c]) = started_with(strategy);
    soon(app.ready()).await.unwrap();
    story.told();
    for addr in [&a, &b, &c] {
        addr.count().await.unwrap();
    }
    b.tell(Panics).unwrap();
    let began = Instant::now();
    settle().await;
    assert_eq!(story.told(), stops, "{strategy:?}");
    assert_eq!(Instant::now(), began, "stopping takes no time");
    tokio::time::sleep(Duration::from_millis(99)).await;
    assert_eq!(story.told(), [] as [&str; 0], "{strategy:?}");
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(story.told(), starts, "{strategy:?}");
    // Those that were restarted have a new state, the others have not.
    for (addr, name) in [(&a, "+a"), (&b, "+b"), (&c, "+c")] {
        let was_restarted = starts.contains(&name);
        let count = addr.count().await.unwrap();
        assert_eq!(count, if was_restarted { 1 } else { 2 }, "{name}");
    }
    app.shutdown(SECOND).await;
}

/// Until nobody has anything to do, without time passing.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[actors_core::test(start_paused = true)]
async fn one_for_one_restarts_the_one() {
    one_failure(Strategy::OneForOne, &["-b"], &["+b"]).await;
}

#[actors_core::test(start_paused = true)]
async fn one_for_all_restarts_all_in_order() {
    one_failure(
        Strategy::OneForAll,
        &["-b", "-c", "-a"],
        &["+a", "+b", "+c"],
    )
    .await;
}

#[actors_core::test(start_paused = true)]
async fn rest_for_one_restarts_those_after_it() {
    one_failure(Strategy::RestForOne, &["-b", "-c"], &["+b", "+c"]).await;
}

#[actors_core::test(start_paused = true)]
async fn one_before_that_fails_meanwhile_widens_the_group() {
    let (app, story, [a, _, c]) = started_with(Strategy::RestForOne);
    soon(app.ready()).await.unwrap();
    story.told();
    c.tell(Panics).unwrap();
    settle().await;
    assert_eq!(story.told(), ["-c"]);
    // While `c` is in back-off.
    a.tell(Panics).unwrap();
    settle().await;
    assert_eq!(story.told(), ["-a", "-b"]);
    tokio::time::sleep(Duration::from_millis(101)).await;
    assert_eq!(story.told(), ["+a", "+b", "+c"]);
    app.shutdown(SECOND).await;
}

/// A child whose `started` waits until it is told to go on.
struct Slow {
    name: &'static str,
    story: Story,
    go_on: Arc<Semaphore>,
}

impl Actor for Slow {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), Error> {
        self.story.add(format!("?{}", self.name));
        self.go_on.acquire().await?.forget();
        self.story.add(format!("+{}", self.name));
        Ok(())
    }
}

fn slow(app: &Supervisor, name: &'static str, story: &Story) -> (Addr<Slow>, Arc<Semaphore>) {
    let go_on = Arc::new(Semaphore::new(0));
    let (story, waits) = (story.clone(), go_on.clone());
    let make = move || Slow {
        name,
        story: story.clone(),
        go_on: waits.clone(),
    };
    (app.child(name, make), go_on)
}

#[actors_core::test(start_paused = true)]
async fn next_sibling_starts_when_started_has_returned() {
    let story = Story::default();
    let app = Supervisor::new("app");
    let (_, go_on) = slow(&app, "a", &story);
    let below = app.subtree("below");
    let (_, b_goes_on) = slow(&below, "b", &story);
    add(&app, "c", &story);
    settle().await;
    assert_eq!(story.told(), ["?a"]);
    go_on.add_permits(1);
    settle().await;
    assert_eq!(story.told(), ["+a", "?b"]);
    // `c` waits for what was added to the subtree before it.
    b_goes_on.add_permits(1);
    soon(app.ready()).await.unwrap();
    assert_eq!(story.told(), ["+b", "+c"]);
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn order_holds_through_two_levels() {
    let story = Story::default();
    let app = Supervisor::new("app");
    let one = app.subtree("one");
    let two = one.subtree("two");
    let (_, go_on) = slow(&two, "deep", &story);
    let last = add(&app, "last", &story);
    settle().await;
    assert_eq!(story.told(), ["?deep"]);
    // Mail waits for an actor that was not started.
    let waits = last.count().post().unwrap();
    let ready = tokio::spawn(async move { app.ready().await.map(|()| app) });
    settle().await;
    assert!(!ready.is_finished());
    go_on.add_permits(1);
    let app = soon(ready).await.unwrap().expect("all start");
    assert_eq!(story.told(), ["+deep", "+last"]);
    assert_eq!(waits.await.unwrap(), 1);
    // Later, the same.
    let (_, go_on) = slow(&two, "deeper", &story);
    add(&app, "later", &story);
    settle().await;
    assert_eq!(story.told(), ["?deeper"]);
    go_on.add_permits(1);
    soon(app.ready()).await.unwrap();
    assert_eq!(story.told(), ["+deeper", "+later"]);
    let report = soon(app.shutdown(SECOND)).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(story.told(), ["-later", "-last"]);
}

#[actors_core::test(start_paused = true)]
async fn failing_start_unwinds_what_was_started() {
    let story = Story::default();
    let app = Supervisor::new("app");
    let a = add(&app, "a", &story);
    let below = app.subtree("below");
    let b = add(&below, "b", &story);
    let bad = below.child("bad", || Err::<Teller, _>("no disk"));
    let c = add(&app, "c", &story);
    let Err(SpawnError::StartFailed(StopReason::Failed(error))) = soon(app.ready()).await else {
        panic!("it starts");
    };
    // The cause is in there, level by level.
    let escalation = error.downcast_ref::<Escalation>().unwrap();
    assert_eq!(escalation.child.name(), "below");
    assert_eq!(escalation.fault, EscalationFault::FirstStart);
    let cause = escalation.source().unwrap();
    let cause = cause.downcast_ref::<Escalation>().unwrap();
    assert_eq!(cause.child.name(), "bad");
    assert_eq!(cause.source().unwrap().to_string(), "no disk");
    assert_eq!(story.told(), ["+a", "+b", "-b", "-a"]);
    for addr in [&a, &b, &bad, &c] {
        soon(addr.stopped()).await;
        assert!(addr.tell(Count).is_err());
    }
    assert!(matches!(bad.stopped().await, StopReason::Failed(_)));
}

#[actors_core::test(start_paused = true)]
async fn first_start_that_is_the_callers_business() {
    let story = Story::default();
    let app = Supervisor::new("app");
    let failed = soon(app.start_child("bad", || Err::<Teller, _>("no disk"))).await;
    let Err(SpawnError::StartFailed(reason)) = failed else {
        panic!("it starts");
    };
    assert_eq!(reason.to_string(), "failed: no disk");
    let a = soon(app.start_child("a", teller("a", &story)))
        .await
        .unwrap();
    assert_eq!(story.told(), ["+a"]);
    assert_eq!(a.count().await.unwrap(), 1);
    assert_eq!(app.child_count(), 1);
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn first_start_that_is_tried_again() {
    let story = Story::default();
    let app = SupervisorOptions::new().backoff(EVEN).start("app").unwrap();
    let mut tries = 0;
    let mut make = teller("a", &story);
    let log = story.clone();
    let factory = move || {
        tries += 1;
        log.add(format!("try {tries}"));
        if tries < 3 {
            Err("not yet")
        } else {
            Ok(make())
        }
    };
    let options = ChildOptions::new().retry_first_start();
    app.child_with("a", options, factory);
    add(&app, "b", &story);
    let began = Instant::now();
    soon(app.ready()).await.unwrap();
    took(began, 300);
    // The next one has waited for it.
    assert_eq!(story.told(), ["try 1", "try 2", "try 3", "+a", "+b"]);
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn factories_of_every_form() {
    let story = Story::default();
    let app = Supervisor::new("app");
    let make = teller("x", &story);
    let plain = app.child("plain", make);
    let mut make = teller("x", &story);
    let fallible = app.child("fallible", move || Ok::<_, std::io::Error>(make()));
    let story2 = story.clone();
    let later = app.child("later", move || {
        let mut make = teller("x", &story2);
        async move {
            tokio::time::sleep(SECOND).await;
            make()
        }
    });
    let story2 = story.clone();
    let fallible_later = app.child("fallible later", move || {
        let mut make = teller("x", &story2);
        async move {
            tokio::time::sleep(SECOND).await;
            Ok::<_, Error>(make())
        }
    });
    soon(app.ready()).await.unwrap();
    for addr in [plain, fallible, later, fallible_later] {
        assert_eq!(addr.count().await.unwrap(), 1);
    }
    app.shutdown(SECOND).await;
}

/// What becomes of a child that ends by itself, or by others.
#[actors_core::test(start_paused = true)]
async fn restart_says_who_comes_back() {
    use Restart::{Permanent, Temporary, Transient};
    type End = fn(&Addr<Teller>);
    let panic: End = |addr| addr.tell(Panics).unwrap();
    let fail: End = |addr| addr.tell(Fails).unwrap();
    let kill: End = Addr::kill;
    let end: End = |addr| addr.tell(Ends).unwrap();
    let stop: End = Addr::stop;
    let stop_now: End = Addr::stop_now;
    for (restart, end, comes_back) in [
        (Permanent, panic, true),
        (Permanent, fail, true),
        (Permanent, kill, true),
        (Permanent, end, true),
        (Permanent, stop, true),
        (Permanent, stop_now, true),
        (Transient, panic, true),
        (Transient, fail, true),
        (Transient, kill, true),
        (Transient, end, false),
        (Transient, stop, false),
        (Transient, stop_now, false),
        (Temporary, panic, false),
        (Temporary, fail, false),
        (Temporary, kill, false),
        (Temporary, end, false),
        (Temporary, stop, false),
        (Temporary, stop_now, false),
    ] {
        let story = Story::default();
        let app = SupervisorOptions::new().backoff(EVEN).start("app").unwrap();
        let options = ChildOptions::new().restart(restart);
        let a = app.child_with("a", options, teller("a", &story));
        soon(app.ready()).await.unwrap();
        story.told();
        end(&a);
        tokio::time::sleep(SECOND).await;
        assert_eq!(a.is_alive(), comes_back, "{restart:?}");
        assert_eq!(app.child_count(), usize::from(comes_back), "{restart:?}");
        assert_eq!(a.count().await.is_ok(), comes_back, "{restart:?}");
        let stops = story.told().contains(&"+a".to_owned());
        assert_eq!(stops, comes_back, "{restart:?}");
        // The supervisor's own word is final.
        assert_eq!(soon(app.stop_child(a.id())).await, comes_back);
        assert!(a.tell(Count).is_err());
        soon(a.stopped()).await;
        assert_eq!(app.child_count(), 0);
        app.shutdown(SECOND).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn mail_of_a_permanent_child_that_is_stopped_waits_for_the_next() {
    let story = Story::default();
    let app = SupervisorOptions::new().backoff(EVEN).start("app").unwrap();
    let a = add(&app, "a", &story);
    let replies: Vec<_> = (0..3).map(|_| a.count().post().unwrap()).collect();
    // Before the first message is handled.
    a.stop();
    for (n, reply) in replies.into_iter().enumerate() {
        assert_eq!(soon(reply).await.unwrap(), n as u32 + 1);
    }
    app.shutdown(SECOND).await;
    let stats = a.mailbox_stats();
    assert_eq!((stats.accepted, stats.handled), (3, 3));
}

#[actors_core::test(start_paused = true)]
async fn significant_child_ends_the_subtree() {
    let story = Story::default();
    let app = Supervisor::new("app");
    let below = app.subtree("below");
    let a = add(&below, "a", &story);
    let options = ChildOptions::new()
        .restart(Restart::Transient)
        .significant();
    let job = below.child_with("job", options, teller("job", &story));
    let other = add(&app, "other", &story);
    soon(app.ready()).await.unwrap();
    story.told();
    // A failure is none of that.
    job.panics().await.unwrap_err();
    tokio::time::sleep(SECOND).await;
    assert_eq!(story.told(), ["-job", "+job"]);
    job.ends().await.unwrap();
    assert!(soon(below.stopped()).await.is_normal());
    assert_eq!(story.told(), ["-job", "-a"]);
    assert!(!a.is_alive() && other.is_alive());
    settle().await;
    assert_eq!(app.child_count(), 1);
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn failure_of_a_significant_child_goes_on_to_the_top() {
    let story = Story::default();
    let app = Supervisor::new("app");
    let middle = app.subtree("middle");
    let below = middle.subtree("below");
    let options = ChildOptions::new()
        .restart(Restart::Temporary)
        .significant();
    let job = below.child_with("job", options, teller("job", &story));
    let other = add(&app, "other", &story);
    soon(app.ready()).await.unwrap();
    job.panics().await.unwrap_err();
    for supervisor in [&below, &middle, &app] {
        let reason = soon(supervisor.stopped()).await;
        assert!(matches!(reason, StopReason::Failed(_)), "{reason}");
    }
    assert!(!other.is_alive());
}

#[actors_core::test(start_paused = true)]
async fn nothing_is_started_by_a_supervisor_that_has_ended() {
    let story = Story::default();
    let app = Supervisor::new("app");
    app.shutdown(SECOND).await;
    let started = app.start_child("a", teller("a", &story)).await;
    assert!(
        matches!(started, Err(SpawnError::SupervisorEnded)),
        "{started:?}"
    );
    let a = app.child("a", teller("a", &story));
    assert!(soon(a.stopped()).await.is_normal());
    assert!(story.told().is_empty());
}

#[actors_core::test(start_paused = true)]
async fn to_stop_a_child_with_an_error_is_a_failure_of_it() {
    let story = Story::default();
    let app = Supervisor::new("app");
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        let options = ChildOptions::new().restart(restart);
        let a = app.child_with("a", options, teller("a", &story));
        assert_eq!(soon(a.count()).await.unwrap(), 1);
        a.stop_with("the line went dead");
        if restart == Restart::Temporary {
            let reason = soon(a.stopped()).await;
            assert!(matches!(reason, StopReason::Failed(_)), "{reason}");
        } else {
            assert_eq!(soon(a.count()).await.unwrap(), 1, "it is another one");
            assert!(soon(app.stop_child(a.id())).await);
        }
    }
    app.shutdown(SECOND).await;
}

/// Waits at a gate in its `started`, and then fails.
struct Doomed(crate::kit::Gate);

impl Actor for Doomed {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), Error> {
        self.0.pass().await;
        Err("it does not start".into())
    }
}

#[actors_core::test(start_paused = true)]
async fn cause_of_a_first_start_that_failed_is_told_though_it_was_stopped_meanwhile() {
    let app = Supervisor::new("app");
    let below = app.subtree("below");
    let gate = crate::kit::Gate::new();
    let starts = gate.clone();
    let options = ChildOptions::new().restart(Restart::Transient);
    let doomed = below.child_with("doomed", options, move || Doomed(starts.clone()));
    soon(gate.entered()).await;
    doomed.stop();
    gate.open();
    let reason = soon(app.stopped()).await;
    let StopReason::Failed(error) = &reason else {
        panic!("{reason}");
    };
    let mut causes = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    let told = causes.join("; ");
    assert!(told.contains("it does not start"), "{told}");
}

/// Waits in its handler until the supervisor below it has all that it was given.
#[derive(Actor)]
struct Owner;

#[handlers]
impl Owner {
    async fn grow(&mut self, gate: crate::kit::Gate, ctx: &mut Context<Self>) -> bool {
        let below = ctx.supervise("below");
        let starts = gate.clone();
        below.child("slow", move || Opens(starts.clone()));
        below.ready().await.is_ok()
    }

    fn lives(&mut self) {}
}

/// Waits at a gate in its `started`.
struct Opens(crate::kit::Gate);

impl Actor for Opens {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), Error> {
        self.0.pass().await;
        Ok(())
    }
}

#[actors_core::test(start_paused = true)]
async fn ready_in_a_handler_does_not_end_with_the_deadline_of_that() {
    let owner = Owner.spawn();
    let gate = crate::kit::Gate::new();
    let grows = owner.grow(gate.clone()).timeout(SECOND);
    soon(grows).await.unwrap_err();
    gate.open();
    soon(owner.lives()).await.unwrap();
}

#[actors_core::test(start_paused = true)]
async fn children_may_have_as_long_as_they_want_to_stop() {
    let story = Story::default();
    let app = Supervisor::new("app");
    let options = ChildOptions::new().stop_timeout(Duration::MAX);
    let a = app.child_with("a", options, teller("a", &story));
    soon(app.ready()).await.unwrap();
    assert!(soon(app.restart_child(a.id())).await);
    assert!(soon(app.stop_child(a.id())).await);
    soon(app.ready()).await.unwrap();
    assert!(app.shutdown(SECOND).await.is_clean());
}

#[actors_core::test(start_paused = true)]
async fn children_can_be_listed_found_and_counted() {
    let story = Story::default();
    let app = Supervisor::new("app");
    let a = add(&app, "a", &story);
    let below = app.subtree("below");
    let b = add(&below, "b", &story);
    soon(app.ready()).await.unwrap();
    let names = |app: &Supervisor| {
        let children = app.children().into_iter();
        children.map(|child| child.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&app), ["a", "below"]);
    assert_eq!(app.children()[0].parent, Some(app.id()));
    assert_eq!(app.child_count(), 2);
    assert_eq!(app.find::<Teller>("a"), Some(a.clone()));
    assert_eq!(app.find::<Teller>("b"), None);
    assert_eq!(app.find::<Slow>("a"), None, "that is another type");
    assert_eq!(app.find_subtree("below"), Some(below.clone()));
    assert_eq!(app.find_subtree("a"), None);
    // Two of a name: the first one is found, and then the other one.
    let second = add(&app, "a", &story);
    assert_eq!(app.find::<Teller>("a"), Some(a.clone()));
    assert!(soon(app.stop_child(a.id())).await);
    assert_eq!(app.find::<Teller>("a"), Some(second));
    assert!(!soon(app.stop_child(a.id())).await, "it has gone");
    assert!(!soon(app.stop_child(b.id())).await, "not a child of this");
    assert!(soon(app.stop_child(below.id())).await, "a subtree is one");
    assert!(soon(below.stopped()).await.is_normal());
    assert_eq!(names(&app), ["a"]);
    app.shutdown(SECOND).await;
    assert_eq!(app.find::<Teller>("a"), None);
}

#[actors_core::test(start_paused = true)]
async fn child_can_be_made_anew_on_request() {
    let (app, story, [a, b, _]) = started_with(Strategy::OneForAll);
    soon(app.ready()).await.unwrap();
    story.told();
    a.count().await.unwrap();
    // More often than failures may be.
    for _ in 0..20 {
        let began = Instant::now();
        assert!(soon(app.restart_child(a.id())).await);
        assert_eq!(Instant::now(), began, "there is no back-off");
        assert_eq!(story.told(), ["-a", "+a"]);
        assert_eq!(a.count().await.unwrap(), 1);
    }
    // One that is in back-off is started at once.
    b.tell(Panics).unwrap();
    settle().await;
    assert_eq!(story.told(), ["-b", "-c", "-a"]);
    app.shutdown(SECOND).await;
    assert!(!soon(app.restart_child(a.id())).await);
}

#[actors_core::test(start_paused = true)]
async fn restart_on_request_cuts_the_back_off_short() {
    let (app, story, [_, b, _]) = started_with(Strategy::OneForOne);
    soon(app.ready()).await.unwrap();
    story.told();
    b.tell(Panics).unwrap();
    settle().await;
    let began = Instant::now();
    assert!(soon(app.restart_child(b.id())).await);
    assert_eq!(Instant::now(), began);
    assert_eq!(story.told(), ["-b", "+b"]);
    // The timer of the back-off starts nothing any more.
    tokio::time::sleep(SECOND).await;
    assert_eq!(story.told(), [] as [&str; 0]);
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn back_off_doubles_up_to_its_maximum_and_begins_again() {
    let story = Story::default();
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(500));
    let options = SupervisorOptions::new()
        .backoff(backoff.without_jitter())
        .intensity(Intensity::new(100, Duration::from_secs(10)));
    let app = options.start("app").unwrap();
    let a = add(&app, "a", &story);
    a.count().await.unwrap();
    for wait in [100, 200, 400, 500, 500] {
        a.tell(Panics).unwrap();
        let began = Instant::now();
        soon(a.count()).await.unwrap();
        took(began, wait);
    }
    // Up for longer than the period: it has recovered.
    tokio::time::sleep(Duration::from_secs(11)).await;
    a.tell(Panics).unwrap();
    let began = Instant::now();
    soon(a.count()).await.unwrap();
    took(began, 100);
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn back_off_grows_while_it_does_not_start() {
    let story = Story::default();
    let options = SupervisorOptions::new()
        .backoff(EVEN)
        .intensity(Intensity::new(100, Duration::from_millis(50)));
    let app = options.start("app").unwrap();
    let mut make = teller("a", &story);
    let mut starts = 0;
    let a = app.child("a", move || {
        starts += 1;
        match starts {
            2..=4 => Err("not now"),
            _ => Ok(make()),
        }
    });
    a.count().await.unwrap();
    a.tell(Panics).unwrap();
    let began = Instant::now();
    soon(a.count()).await.unwrap();
    took(began, 100 + 200 + 400 + 800);
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn too_many_restarts_end_the_root() {
    let story = Story::default();
    let options = SupervisorOptions::new()
        .backoff(EVEN)
        .intensity(Intensity::new(3, Duration::from_secs(60)));
    let app = options.start("app").unwrap();
    let other = add(&app, "other", &story);
    let a = add(&app, "a", &story);
    soon(app.ready()).await.unwrap();
    story.told();
    for _ in 0..4 {
        soon(a.panics()).await.unwrap_err();
    }
    let StopReason::Failed(error) = soon(app.stopped()).await else {
        panic!("it goes on");
    };
    let escalation = error.downcast_ref::<Escalation>().unwrap();
    assert_eq!(escalation.fault, EscalationFault::TooManyRestarts);
    assert_eq!(escalation.child.name(), "a");
    assert!(matches!(escalation.reason, StopReason::Panicked(_)));
    let told = story.told();
    let starts = told.iter().filter(|line| *line == "+a").count();
    assert_eq!(starts, 3, "exactly as many as allowed: {told:?}");
    assert_eq!(told.last().unwrap(), "-other");
    // The child's own last reason, not the supervisor's.
    assert!(matches!(a.stopped().await, StopReason::Panicked(_)));
    assert!(other.stopped().await.is_normal());
}

#[actors_core::test(start_paused = true)]
async fn restarts_of_long_ago_do_not_count() {
    let story = Story::default();
    let options = SupervisorOptions::new()
        .backoff(Backoff::NONE)
        .intensity(Intensity::new(2, Duration::from_secs(10)));
    let app = options.start("app").unwrap();
    let a = add(&app, "a", &story);
    for _ in 0..20 {
        soon(a.panics()).await.unwrap_err();
        soon(a.count()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    assert!(a.is_alive());
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn subtree_that_fails_is_restarted_with_its_children() {
    let story = Story::default();
    let app = SupervisorOptions::new().backoff(EVEN).start("app").unwrap();
    let other = add(&app, "other", &story);
    let once = SupervisorOptions::new()
        .backoff(Backoff::NONE)
        .intensity(Intensity::new(1, Duration::from_secs(60)));
    let below = app.subtree_with("below", once);
    let a = add(&below, "a", &story);
    let b = add(&below, "b", &story);
    soon(app.ready()).await.unwrap();
    other.count().await.unwrap();
    story.told();
    a.panics().await.unwrap_err();
    settle().await;
    assert_eq!(story.told(), ["-a", "+a"]);
    a.panics().await.unwrap_err();
    // Mail waits for the subtree, too.
    let waits = [a.count().post().unwrap(), b.count().post().unwrap()];
    settle().await;
    assert_eq!(story.told().first().unwrap(), "-a");
    assert_eq!(other.count().await.unwrap(), 2, "nobody else is concerned");
    for reply in waits {
        soon(reply).await.unwrap();
    }
    tokio::time::sleep(SECOND).await;
    assert_eq!(story.told(), ["+a", "+b"]);
    // Its count begins again.
    a.panics().await.unwrap_err();
    settle().await;
    assert_eq!(story.told(), ["-a", "+a"]);
    assert_eq!(app.children()[1].incarnation, 1);
    app.shutdown(SECOND).await;
}

#[actors_core::test(start_paused = true)]
async fn failure_climbs_to_the_root() {
    let story = Story::default();
    let never = SupervisorOptions::new().intensity(Intensity::new(0, SECOND));
    let app = never.start("app").unwrap();
    let middle = app.subtree_with("middle", never);
    let low = middle.subtree_with("low", never);
    let a = add(&low, "a", &story);
    soon(app.ready()).await.unwrap();
    let _ = a.panics().await;
    let StopReason::Failed(error) = soon(app.stopped()).await else {
        panic!("it goes on");
    };
    let mut names = Vec::new();
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    while let Some(escalation) = next.and_then(|error| error.downcast_ref::<Escalation>()) {
        names.push(escalation.child.name().to_owned());
        next = escalation.source();
    }
    assert_eq!(names, ["middle", "low", "a"]);
    assert_eq!(story.told(), ["+a", "-a"]);
}

/// An actor that supervises workers of its own.
struct Foreman {
    story: Story,
    crew: Option<Supervisor>,
    worker: Option<Addr<Teller>>,
}

impl Actor for Foreman {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        let once = SupervisorOptions::new()
            .backoff(Backoff::NONE)
            .intensity(Intensity::new(1, Duration::from_secs(60)));
        let crew = ctx.supervise_with("crew", once);
        self.worker = Some(add(&crew, "worker", &self.story));
        crew.ready().await?;
        self.crew = Some(crew);
        self.story.add("+foreman");
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        self.story.add("-foreman");
    }
}

#[handlers]
impl Foreman {
    fn worker(&mut self) -> Addr<Teller> {
        self.worker.clone().expect("it was started")
    }
}

#[actors_core::test(start_paused = true)]
async fn actor_supervises_its_own_children_and_fails_with_them() {
    let story = Story::default();
    let app = SupervisorOptions::new().backoff(EVEN).start("app").unwrap();
    let log = story.clone();
    let foreman = app.child("foreman", move || Foreman {
        story: log.clone(),
        crew: None,
        worker: None,
    });
    let worker = soon(foreman.worker()).await.unwrap();
    worker.panics().await.unwrap_err();
    settle().await;
    assert_eq!(story.told(), ["+worker", "+foreman", "-worker", "+worker"]);
    // Once more is too often: the foreman fails, and is made anew with a new crew.
    let _ = worker.panics().await;
    assert!(!soon(worker.stopped()).await.is_normal());
    let next = soon(foreman.worker()).await.unwrap();
    assert_ne!(next, worker);
    assert_eq!(story.told(), ["-worker", "-foreman", "+worker", "+foreman"]);
    soon(app.shutdown(SECOND)).await;
    assert_eq!(story.told(), ["-worker", "-foreman"]);
}

#[actors_core::test(start_paused = true)]
async fn ten_thousand_failures_at_once_come_back_spread_over_the_back_off() {
    let _alone = alone().await;
    let options = SupervisorOptions::new()
        .intensity(Intensity::UNLIMITED)
        .backoff(Backoff::new(
            Duration::from_secs(10),
            Duration::from_secs(60),
        ));
    let app = options.start("app").unwrap();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let story = Story::default();
    let children: Vec<_> = (0..10_000)
        .map(|_| {
            let (starts, story) = (starts.clone(), story.clone());
            app.child("child", move || {
                starts.lock().unwrap().push(Instant::now());
                teller("child", &story)()
            })
        })
        .collect();
    soon(app.ready()).await.unwrap();
    starts.lock().unwrap().clear();
    let began = Instant::now();
    for child in &children {
        child.tell(Panics).unwrap();
    }
    for child in &children {
        soon(child.count()).await.unwrap();
    }
    let mut buckets = [0; 10];
    for at in starts.lock().unwrap().iter() {
        let after = at.duration_since(began).as_millis();
        buckets[(after / 1000).min(9) as usize] += 1;
    }
    assert_eq!(buckets.iter().sum::<i32>(), 10_000);
    // 1,000 each, with a standard deviation of 30.
    let evenly = |n: &i32| (800..1200).contains(n);
    assert!(buckets.iter().all(evenly), "{buckets:?}");
    soon(app.shutdown(SECOND)).await;
}

#[actors_core::test(start_paused = true)]
async fn events_tell_what_a_supervisor_does() {
    let _alone = alone().await;
    let story = Story::default();
    let mut events = events();
    let never = SupervisorOptions::new().intensity(Intensity::new(0, SECOND));
    let app = SupervisorOptions::new()
        .backoff(EVEN)
        .intensity(Intensity::new(1, SECOND))
        .start("app")
        .unwrap();
    let below = app.subtree_with("below", never);
    let a = add(&below, "a", &story);
    soon(app.ready()).await.unwrap();
    for _ in 0..2 {
        let _ = soon(a.panics()).await;
        tokio::time::sleep(Duration::from_millis(101)).await;
    }
    soon(app.stopped()).await;
    let ours = [app.id(), below.id(), a.id()];
    let mut told = Vec::new();
    while let Some(event) = events.try_recv() {
        let line = match event {
            Event::Started {
                actor, incarnation, ..
            } if ours.contains(&actor.id()) => {
                format!("{} {incarnation} started", actor.name())
            }
            Event::Stopped {
                actor,
                incarnation,
                reason,
                ..
            } if ours.contains(&actor.id()) => {
                let how = if reason.is_normal() {
                    "stopped"
                } else {
                    "failed"
                };
                format!("{} {incarnation} {how}", actor.name())
            }
            Event::Restarting {
                actor,
                incarnation,
                after,
                ..
            } if ours.contains(&actor.id()) => {
                format!("{} {incarnation} restarting in {after:?}", actor.name())
            }
            Event::Escalated {
                supervisor, child, ..
            } if ours.contains(&supervisor.id()) => {
                format!("{} escalated {}", supervisor.name(), child.name())
            }
            Event::GaveUp {
                supervisor, child, ..
            } if ours.contains(&supervisor.id()) => {
                format!("{} gave up {}", supervisor.name(), child.name())
            }
            _ => continue,
        };
        told.push(line);
    }
    assert_eq!(
        told,
        [
            "app 0 started",
            "below 0 started",
            "a 0 started",
            "a 0 failed",
            "below escalated a",
            "below 0 failed",
            "below 1 restarting in 100ms",
            "below 1 started",
            "a 1 started",
            "a 1 failed",
            "below escalated a",
            "below 1 failed",
            "app gave up below",
            "a 2 failed",
            "below 2 stopped",
            "app 0 failed",
        ]
    );
}

#[actors_core::test(start_paused = true)]
async fn name_is_free_after_a_failed_start() {
    let app = Supervisor::new("app");
    let story = Story::default();
    let spawn = SpawnOptions::new().registered("supervise-failed-start");
    let options = ChildOptions::new().spawn(spawn);
    for _ in 0..2 {
        let fails = || Err::<Teller, _>("no luck");
        let failed = soon(app.start_child_with("a", options.clone(), fails)).await;
        assert!(matches!(failed, Err(SpawnError::StartFailed(_))));
        let started = soon(app.start_child_with("a", options.clone(), teller("a", &story))).await;
        let a = started.expect("its name is free");
        assert_eq!(lookup("supervise-failed-start"), Some(a.clone()));
        assert!(soon(app.stop_child(a.id())).await);
    }
    app.shutdown(SECOND).await;
}

/// Gives on what it is told.
struct Watcher(tokio::sync::mpsc::UnboundedSender<Stopped>);

impl Actor for Watcher {}

#[handlers]
impl Watcher {
    fn watch(&mut self, other: Addr<Teller>, ctx: &mut Context<Self>) {
        ctx.watch(&other);
    }

    #[on]
    fn ended(&mut self, stopped: Stopped) {
        self.0.send(stopped).expect("the test listens");
    }
}

/// Of a child of another tree: while it is being made anew, and when it and its tree have gone.
#[actors_core::test(start_paused = true)]
async fn watching_the_dead_of_another_tree() {
    let story = Story::default();
    let theirs = SupervisorOptions::new().backoff(EVEN).start("theirs");
    let theirs = theirs.expect("there is a runtime");
    let other = add(&theirs, "a", &story);
    let ours = Supervisor::new("ours");
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let watcher = ours.child("watcher", move || Watcher(tell.clone()));
    watcher.watch(other.clone()).await.expect("it lives");
    soon(other.panics()).await.expect_err("it panics");
    let first = soon(told.recv()).await.expect("a notice");
    assert_eq!((first.actor.id(), first.incarnation), (other.id(), 0));
    assert!(matches!(first.reason, StopReason::Panicked(_)));
    assert_eq!(soon(other.count()).await.expect("it is back"), 1);
    soon(theirs.shutdown(SECOND)).await;
    for _ in 0..2 {
        watcher.watch(other.clone()).await.expect("it lives");
        let notice = soon(told.recv()).await.expect("a notice, at once");
        assert_eq!((notice.actor.id(), notice.incarnation), (other.id(), 1));
        assert!(notice.reason.is_normal(), "{}", notice.reason);
    }
    soon(ours.shutdown(SECOND)).await;
    assert!(told.try_recv().is_err());
}
