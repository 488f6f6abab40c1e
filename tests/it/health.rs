//! How a tree fares, and what a restart leaves as it was: names, memberships, subscriptions.
use crate::kit::{Note, Worker, held, run, soon, with};
use actors_core::{
    Addr, Backoff, ChildOptions, Group, Health, Intensity, Registry, Slow, SpawnOptions,
    StopReason, Supervisor, SupervisorOptions, Topic,
};
use serde_json::Value;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);

fn app() -> Supervisor {
    let backoff = Backoff::new(WAIT, WAIT).without_jitter();
    let options = SupervisorOptions::new().backoff(backoff);
    options.start("app").expect("there is a runtime")
}

async fn panics(worker: &Addr<Worker>) {
    let ended = soon(worker.ask(run::<()>(async { panic!("as told") }))).await;
    ended.expect_err("it panics");
}

#[actors_core::test(start_paused = true)]
async fn what_is_being_restarted_is_named() {
    let app = app();
    assert!(app.health().is_healthy());
    let db = app.child("db", Worker::default);
    let backoff = Backoff::new(2 * WAIT, 2 * WAIT).without_jitter();
    let below = app.subtree_with("below", SupervisorOptions::new().backoff(backoff));
    let cache = below.child("cache", Worker::default);
    let other = below.child("other", Worker::default);
    // What starts for the first time is nothing wrong.
    assert!(app.health().is_healthy());
    soon(app.ready()).await.expect("it starts");
    assert_eq!(app.health().to_string(), "healthy");

    panics(&db).await;
    soon(app.ready()).await.expect("it goes on");
    let health = app.health();
    assert!(health.is_up() && !health.is_healthy());
    let expected = format!("degraded: db{} is being restarted", db.id());
    assert_eq!(health.to_string(), expected);
    assert!(below.health().is_healthy(), "it is not below that");
    panics(&cache).await;
    panics(&other).await;
    soon(app.ready()).await.expect("it goes on");
    let Health::Degraded { restarting, .. } = app.health() else {
        panic!("{}", app.health());
    };
    let names: Vec<&str> = restarting.iter().map(|actor| actor.name()).collect();
    assert_eq!(names, ["db", "cache", "other"]);
    let (db_id, cache_id, other_id) = (db.id(), cache.id(), other.id());
    let expected =
        format!("degraded: db{db_id}, cache{cache_id} and other{other_id} are being restarted");
    assert_eq!(app.health().to_string(), expected);

    soon(db.ask(Note(1))).await.expect("it is up again");
    let expected = format!("degraded: cache{cache_id} and other{other_id} are being restarted");
    assert_eq!(app.health().to_string(), expected);
    soon(cache.ask(Note(1))).await.expect("it is up again");
    soon(other.ask(Note(1))).await.expect("it is up again");
    assert!(app.health().is_healthy());
    soon(app.shutdown(WAIT)).await;
    assert!(matches!(app.health(), Health::Stopped));
}

#[actors_core::test]
async fn stopping_and_failing_are_told_apart() {
    let app = app();
    let db = app.child("db", Worker::default);
    soon(app.ready()).await.expect("it starts");
    let gate = held(&db).await;
    app.stop();
    assert!(matches!(app.health(), Health::Stopping));
    assert!(!app.health().is_up());
    gate.open();
    soon(app.stopped()).await;
    assert_eq!(app.health().to_string(), "stopped");

    let options = SupervisorOptions::new().intensity(Intensity::new(0, WAIT));
    let app = options.start("app").expect("there is a runtime");
    let db = app.child("db", Worker::default);
    panics(&db).await;
    soon(app.stopped()).await;
    let Health::Failed(StopReason::Failed(_)) = app.health() else {
        panic!("{}", app.health());
    };
    let expected = format!(
        "failed: it failed: db{} was restarted too often; at last it panicked: as told",
        db.id()
    );
    assert_eq!(app.health().to_string(), expected);
    assert!(!app.health().is_up() && app.tree().nodes().is_empty());
    app.kill();
}

#[actors_core::test(start_paused = true)]
async fn the_tree_shows_restarts() {
    let app = app();
    let below = app.subtree("below");
    let db = below.child("db", Worker::default);
    let gone = app.child("unborn", || Err::<Worker, _>("as told"));
    soon(app.ready()).await.expect_err("it does not start");
    soon(gone.stopped()).await;
    assert!(app.tree().nodes().is_empty());
    assert!(!db.is_alive());

    let app = self::app();
    let below = app.subtree_with("below", SupervisorOptions::new().backoff(Backoff::NONE));
    let db = below.child("db", Worker::default);
    soon(app.ready()).await.expect("it starts");
    panics(&db).await;
    soon(db.ask(Note(1))).await.expect("it is up again");
    tokio::time::advance(Duration::from_secs(90)).await;
    panics(&db).await;
    soon(db.ask(Note(1))).await.expect("it is up again");
    tokio::time::advance(Duration::from_secs(5)).await;
    let tree = app.tree();
    let value = serde_json::to_value(&tree).expect("it serializes");
    let field = |field: &str| -> Vec<Value> {
        let nodes = value.as_array().expect("a list").iter();
        nodes.map(|node| node[field].clone()).collect()
    };
    assert_eq!(field("name"), ["app", "below", "db"]);
    assert_eq!(field("depth"), [0, 1, 2]);
    assert_eq!(field("restarts"), [0, 0, 2]);
    assert_eq!(field("uptime"), [95.0, 95.0, 5.0]);
    let supervisor = "actors_core::supervise::Supervisor";
    assert_eq!(field("type"), [supervisor, supervisor, "it::kit::Worker"]);
    let printed = tree.to_string();
    let last = printed.lines().last().expect("there are lines");
    assert!(last.ends_with("2 restarts  up 5.0s"), "{printed}");
    soon(app.shutdown(WAIT)).await;
}

#[actors_core::test(start_paused = true)]
async fn a_restart_keeps_names_memberships_and_subscriptions() {
    let app = app();
    let names = Registry::new();
    let spawn = SpawnOptions::new().registered_in(&names, "db");
    let db = app.child_with("child", ChildOptions::new().spawn(spawn), Worker::default);
    soon(app.ready()).await.expect("it starts");
    names.register("primary", &db).expect("the name is free");
    let group = Group::<Note>::round_robin();
    assert!(group.join(db.recipient()));
    let topic = Topic::<Note>::new();
    let subscription = topic.subscribe(db.recipient(), Slow::Drop);
    for n in 0..3 {
        panics(&db).await;
        // Also while it waits for its back-off: mail that is sent to it waits.
        assert_eq!(names.lookup("db"), Some(db.clone()), "restart {n}");
        assert_eq!(names.lookup("primary"), Some(db.clone()));
        let taken = SpawnOptions::new().registered_in(&names, "db");
        taken.spawn(Worker::default()).expect_err("it is taken");
        assert_eq!(topic.publish(&Note(n)).delivered, 1);
        assert_eq!(soon(group.ask(Note(n))).await.expect("it is up again"), n);
        let found = soon(names.wait_for::<Worker>("db")).await;
        assert_eq!(found, db);
    }
    let seen = with(|ctx| {
        let me = ctx.addr();
        Box::pin(async move { me.mailbox_stats() })
    });
    let stats = soon(db.ask(seen)).await.expect("it lives");
    assert_eq!((stats.failed, stats.dead_letters), (3, 0));
    assert!(subscription.is_active());
    soon(app.shutdown(WAIT)).await;
    assert!(names.names().is_empty() && group.is_empty() && topic.is_empty());
}
