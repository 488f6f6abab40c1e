//! What the feature `test-kit` finds: panics that nobody learns of, actors that are left over.
use crate::kit::{Worker, run, soon};
use actors_core::test_kit::Probe;
use actors_core::{
    Actor, Addr, Context, Event, Handler, Message, SpawnOptions, StopReason, Stopped, Supervisor,
    actors, events,
};
use std::sync::{LazyLock, Mutex};
use tokio::task::yield_now;

/// Panics in its handler.
#[derive(Message)]
struct Poke;

#[derive(Actor)]
struct Fragile;

impl Handler<Poke> for Fragile {
    async fn handle(&mut self, _: Poke, _: &mut Context<Self>) {
        panic!("as told");
    }
}

/// Waits for the end, without learning of the reason.
async fn over<A>(addr: &Addr<A>) {
    let is_there = || actors().iter().any(|actor| actor.id == addr.id());
    soon(async {
        while is_there() {
            yield_now().await;
        }
    })
    .await;
}

async fn panic_unseen() {
    let fragile = Fragile.spawn();
    fragile.tell(Poke).unwrap();
    over(&fragile).await;
}

#[actors_core::test]
#[should_panic(expected = "nobody has learned of it:\n  Fragile#")]
async fn a_panic_that_nobody_learns_of_fails_the_test() {
    panic_unseen().await;
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "as told")]
async fn also_on_the_threads_of_the_runtime() {
    panic_unseen().await;
}

#[actors_core::test]
#[should_panic(expected = "as told")]
async fn also_on_a_thread_of_its_own() {
    let fragile = SpawnOptions::new().spawn_thread(Fragile).unwrap();
    fragile.tell(Poke).unwrap();
    over(&fragile).await;
}

#[actors_core::test]
#[should_panic(expected = "Worker#")]
async fn also_of_a_task_of_an_actor() {
    let (worker, _) = Worker::logged();
    let piped = crate::kit::with(|ctx| {
        Box::pin(async move {
            ctx.pipe(async { panic!("beside") }, |n: u32| crate::kit::Note(n));
        })
    });
    worker.ask(piped).await.unwrap();
    for _ in 0..100 {
        yield_now().await;
    }
}

#[actors_core::test]
#[should_panic(expected = "the test's own")]
async fn a_failure_of_the_test_itself_comes_first() {
    panic_unseen().await;
    panic!("the test's own");
}

#[actors_core::test(allow_panics = true)]
async fn unless_it_is_allowed() {
    panic_unseen().await;
}

#[actors_core::test]
async fn an_asker_learns_of_it() {
    let fragile = Fragile.spawn();
    assert!(soon(fragile.ask(Poke)).await.is_err());
}

#[actors_core::test]
async fn one_that_waits_behind_learns_of_it() {
    let (worker, _) = Worker::logged();
    worker.tell(run(async { panic!("as told") })).unwrap();
    assert!(soon(worker.ask(run(async {}))).await.is_err());
}

#[actors_core::test]
async fn who_waits_for_the_end_learns_of_it() {
    let fragile = Fragile.spawn();
    fragile.tell(Poke).unwrap();
    assert!(!soon(fragile.stopped()).await.is_normal());
}

#[actors_core::test]
async fn who_comes_later_learns_of_it() {
    let fragile = Fragile.spawn();
    fragile.tell(Poke).unwrap();
    over(&fragile).await;
    assert!(
        !soon(fragile.recipient::<Poke, _>().stopped())
            .await
            .is_normal()
    );
}

#[actors_core::test]
async fn a_watcher_learns_of_it() {
    let (worker, log) = Worker::logged();
    let fragile = Fragile.spawn();
    let watched = fragile.clone();
    let watch = crate::kit::with(move |ctx| Box::pin(async move { ctx.watch(&watched) }));
    worker.ask(watch).await.unwrap();
    fragile.tell(Poke).unwrap();
    over(&fragile).await;
    soon(async {
        while log.len() == 0 {
            yield_now().await;
        }
    })
    .await;
}

#[actors_core::test]
async fn a_subscriber_learns_of_it() {
    let mut events = events();
    let fragile = Fragile.spawn();
    fragile.tell(Poke).unwrap();
    soon(async {
        loop {
            match events.recv().await {
                Event::Stopped { actor, reason, .. } if actor.id() == fragile.id() => {
                    break assert!(matches!(reason, StopReason::Panicked(_)));
                }
                _ => {}
            }
        }
    })
    .await;
}

#[actors_core::test]
async fn a_supervisor_learns_of_it() {
    let app = Supervisor::new("app");
    let fragile = app.child("fragile", || Fragile);
    app.ready().await.unwrap();
    fragile.tell(Poke).unwrap();
    soon(async {
        while app.children().iter().all(|child| child.incarnation == 0) {
            yield_now().await;
        }
    })
    .await;
    soon(app.shutdown(std::time::Duration::from_secs(1))).await;
}

static KEPT: LazyLock<Mutex<Option<Addr<Worker>>>> = LazyLock::new(Mutex::default);

#[actors_core::test(start_paused = true, no_actor_left = true)]
#[should_panic(expected = "actors are left over when the test ends: Worker#")]
async fn an_actor_that_is_left_over_fails_the_test() {
    let (worker, _) = Worker::logged();
    *KEPT.lock().unwrap() = Some(worker);
}

#[actors_core::test(no_actor_left = true)]
async fn actors_that_end_with_the_test_are_none() {
    let app = Supervisor::new("app");
    let child = app.child("child", Worker::default);
    let (worker, _) = Worker::logged();
    worker.ask(run(async {})).await.unwrap();
    soon(app.shutdown(std::time::Duration::from_secs(1))).await;
    assert!(!child.is_alive());
}

#[derive(Message, Debug, PartialEq)]
#[reply(usize)]
struct Say(&'static str);

#[actors_core::test(no_actor_left = true)]
async fn a_probe_hands_over_what_it_was_told() {
    let mut probe = Probe::answering(|Say(text)| text.len());
    let recipient = probe.recipient();
    assert_eq!(probe.try_recv(), None);
    assert_eq!(recipient.ask(Say("one")).await.unwrap(), 3);
    recipient.tell(Say("three")).unwrap();
    assert_eq!(soon(probe.recv()).await, Say("one"));
    assert_eq!(soon(probe.recv()).await, Say("three"));
    probe.stop();
    soon(recipient.stopped()).await;
    assert!(recipient.tell(Say("four")).is_err());
}

#[actors_core::test(start_paused = true)]
#[should_panic(expected = "Stopped` came within 5s (tests/it/test_kit.rs:")]
async fn a_probe_does_not_wait_for_ever() {
    Probe::<Stopped>::new().recv().await;
}
