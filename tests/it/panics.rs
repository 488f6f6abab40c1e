//! What is known of a panic: its text always, its backtrace where that is asked for.
use actors_core::{
    Actor, Event, JobError, Panic, Pool, StopReason, ThreadPool, capture_backtraces, events,
    handlers,
};
use std::env;
use std::process::Command;

#[derive(Actor)]
struct Fragile;

#[inline(never)]
fn culprit() {
    panic!("as told");
}

#[handlers]
impl Fragile {
    fn poke(&self) {
        culprit();
    }
}

/// Names the function that panicked.
fn is_traced(panic: &Panic) -> bool {
    panic
        .backtrace()
        .is_some_and(|trace| trace.to_string().contains("culprit"))
}

/// Whether all that tells of panics has a backtrace, or none of it has.
async fn traced() -> bool {
    let mut events = events();
    let fragile = Fragile.spawn();
    let error = fragile.poke().await.unwrap_err();
    assert!(error.to_string().contains("as told"), "{error}");
    let StopReason::Panicked(panic) = fragile.stopped().await else {
        panic!("it has panicked");
    };
    assert_eq!(panic.text(), "as told");
    assert_eq!(format!("{panic} {panic:?}"), "as told \"as told\"");
    let is = is_traced(&panic);
    let told = loop {
        match events.recv().await {
            Event::Stopped { actor, reason, .. } if actor.id() == fragile.id() => break reason,
            _ => {}
        }
    };
    assert!(matches!(told, StopReason::Panicked(panic) if is_traced(&panic) == is));
    let pool = ThreadPool::new(1).unwrap();
    let job = pool.submit(culprit).await.unwrap().await;
    assert!(matches!(job, Err(JobError::Panicked(panic)) if is_traced(&panic) == is));
    is
}

/// Runs as a process of its own, for its environment and its panic hook.
#[actors_core::test]
#[ignore = "run by the tests below"]
async fn in_a_process_of_its_own() {
    let is_wanted = env::var("RUST_LIB_BACKTRACE").is_ok_and(|wanted| wanted == "1");
    assert!(!traced().await, "nobody has asked for it");
    capture_backtraces();
    capture_backtraces();
    assert_eq!(traced().await, is_wanted);
}

fn in_a_process(wanted: &str) {
    let status = Command::new(env::current_exe().expect("this runs"))
        .args(["--exact", "panics::in_a_process_of_its_own", "--ignored"])
        .env("RUST_LIB_BACKTRACE", wanted)
        .output()
        .expect("it can be started again");
    let told = String::from_utf8_lossy(&status.stdout);
    assert!(status.status.success(), "{told}");
    assert!(told.contains("1 passed"), "{told}");
}

#[test]
fn backtraces_are_captured_where_that_is_asked_for() {
    in_a_process("1");
}

#[test]
fn there_are_none_where_the_environment_wants_none() {
    in_a_process("0");
}
