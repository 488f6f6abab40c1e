//! The feature `tower`: addresses are services, and the layers of tower do their work on them.
use crate::kit::{Note, Run, Worker, held, run, soon, stop};
use actors_core::{AskError, Group, Recipient, SpawnOptions};
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tower::retry::Policy;
use tower::timeout::error::Elapsed;
use tower::{Service, ServiceBuilder, ServiceExt};

#[actors_core::test]
async fn an_address_is_a_service_of_each_of_its_messages() {
    let (worker, log) = Worker::logged();
    let mut service = worker.clone();
    let ready = ServiceExt::<Note>::ready(&mut service)
        .await
        .expect("it lives");
    assert_eq!(soon(ready.call(Note(1))).await.expect("it lives"), 1);
    let answer = soon(worker.clone().oneshot(run(async { "two" }))).await;
    assert_eq!(answer.expect("it lives"), "two");
    let recipient: Recipient<Note> = worker.recipient();
    assert_eq!(soon(recipient.oneshot(Note(3))).await.expect("it lives"), 3);
    let group = Group::round_robin();
    assert!(group.join(worker.recipient()));
    assert_eq!(soon(group.oneshot(Note(4))).await.expect("it lives"), 4);
    assert_eq!(log.all(), [1, 3, 4]);
}

#[actors_core::test]
async fn the_service_of_one_that_has_stopped_is_not_ready() {
    let (worker, _) = Worker::logged();
    let recipient: Recipient<Note> = worker.recipient();
    let group = Group::<Note>::round_robin();
    let refused = soon(group.clone().oneshot(Note(1))).await;
    assert!(matches!(refused, Err(AskError::Closed)), "{refused:?}");
    assert!(group.join(worker.recipient()));
    stop(&worker).await;
    let refused = soon(worker.oneshot(Note(1))).await;
    assert!(matches!(refused, Err(AskError::Closed)), "{refused:?}");
    let refused = soon(recipient.oneshot(Note(1))).await;
    assert!(matches!(refused, Err(AskError::Closed)), "{refused:?}");
    let refused = soon(group.oneshot(Note(1))).await;
    assert!(matches!(refused, Err(AskError::Closed)), "{refused:?}");
}

#[actors_core::test(start_paused = true)]
async fn a_call_that_times_out_is_withdrawn() {
    let (worker, log) = Worker::logged();
    let gate = held(&worker).await;
    let service = ServiceBuilder::new().timeout(Duration::from_secs(1));
    let service = service.service(worker.clone());
    let error = soon(service.oneshot(Note(1)))
        .await
        .expect_err("it is held");
    assert!(error.is::<Elapsed>(), "{error}");
    gate.open();
    soon(worker.ask(Note(2))).await.expect("it lives");
    assert_eq!(log.all(), [2]);
    assert_eq!(worker.mailbox_stats().withdrawn, 1);
}

#[actors_core::test]
async fn a_full_mailbox_makes_calls_wait_and_a_limit_sheds_them() {
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(1));
    let gate = held(&worker).await;
    let mut service = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(3)
        .service(worker.clone());
    let mut calls = Vec::new();
    for n in 0..5 {
        let ready = ServiceExt::<Note>::ready(&mut service).await;
        calls.push(tokio::spawn(ready.expect("it lives").call(Note(n))));
        tokio::task::yield_now().await;
    }
    assert_eq!(
        worker.mailbox_len(),
        2,
        "the running one, and one that waits"
    );
    gate.open();
    let mut results = Vec::new();
    for call in calls {
        results.push(soon(call).await.expect("no panic").ok());
    }
    assert_eq!(results, [Some(0), Some(1), Some(2), None, None]);
    assert_eq!(log.all(), [0, 1, 2]);
}

/// Tries again what did not run, for the sake of the same answer.
#[derive(Clone)]
struct Again {
    left: u32,
    tries: Arc<AtomicU32>,
}

impl Policy<Note, u32, AskError> for Again {
    type Future = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn retry(&mut self, _: &mut Note, result: &mut Result<u32, AskError>) -> Option<Self::Future> {
        self.tries.fetch_add(1, Ordering::Relaxed);
        let again = result.as_ref().is_err_and(|error| !error.may_have_run());
        (again && self.left > 0).then(|| {
            self.left -= 1;
            Box::pin(std::future::ready(())) as Self::Future
        })
    }

    fn clone_request(&mut self, note: &Note) -> Option<Note> {
        Some(*note)
    }
}

#[actors_core::test]
async fn a_call_that_did_not_run_is_tried_again() {
    // The mail of the first member goes with it; the second answers.
    let group = Group::<Note>::round_robin();
    let workers = [Worker::logged(), Worker::logged()];
    for (worker, _) in &workers {
        assert!(group.join(worker.recipient()));
    }
    let tries = Arc::new(AtomicU32::new(0));
    let policy = Again {
        left: 3,
        tries: Arc::clone(&tries),
    };
    let hangs: Run<()> = run(pending());
    workers[0].0.tell(hangs).expect("there is room");
    let service = ServiceBuilder::new().retry(policy).service(group);
    let call = tokio::spawn(service.oneshot(Note(7)));
    while workers[0].0.mailbox_len() < 2 {
        tokio::task::yield_now().await;
    }
    workers[0].0.kill();
    let answer = soon(call).await.expect("no panic");
    assert_eq!(answer.expect("the second lives"), 7);
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    assert_eq!(workers[1].1.all(), [7]);
}
