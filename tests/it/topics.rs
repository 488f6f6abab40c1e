//! Topics: what is published goes to all subscribers, and waits for none.
use crate::kit::{Gate, Log, Note, Rng, Worker, held, run, soon, stop};
use actors_core::{Addr, Overflow, Published, Slow, SpawnOptions, Subscription, Topic};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn counts(published: Published) -> (usize, usize, usize) {
    (published.delivered, published.skipped, published.dropped)
}

fn subscriber(capacity: usize) -> (Addr<Worker>, Log) {
    Worker::logged_with(SpawnOptions::new().capacity(capacity))
}

async fn settled(worker: &Addr<Worker>) {
    soon(worker.ask(run(async {}))).await.expect("it lives");
}

#[actors_core::test]
async fn all_subscribers_get_it_in_order() {
    let topic = Topic::new();
    assert_eq!(counts(topic.publish(&Note(0))), (0, 0, 0));
    let workers = [subscriber(8), subscriber(8)];
    for (worker, _) in &workers {
        let subscription = topic.subscribe(worker.recipient(), Slow::Skip);
        assert!(subscription.is_active());
    }
    assert_eq!((topic.len(), topic.is_empty()), (2, false));
    for n in 1..=3 {
        assert_eq!(counts(topic.clone().publish(&Note(n))), (2, 0, 0));
    }
    for (worker, log) in &workers {
        settled(worker).await;
        assert_eq!(log.all(), [1, 2, 3]);
    }
    assert!(topic.unsubscribe(workers[0].0.id()));
    assert!(!topic.unsubscribe(workers[0].0.id()));
    assert_eq!(counts(topic.publish(&Note(4))), (1, 0, 0));
}

#[actors_core::test]
async fn a_slow_one_is_skipped_by_choice() {
    let topic = Topic::new();
    let (slow, slow_log) = subscriber(2);
    let (quick, quick_log) = subscriber(64);
    let of_slow = topic.subscribe(slow.recipient(), Slow::Skip);
    let of_quick = topic.subscribe(quick.recipient(), Slow::Skip);
    let gate = held(&slow).await;
    for n in 0..10 {
        let published = counts(topic.publish(&Note(n)));
        let (delivered, skipped) = if n < 2 { (2, 0) } else { (1, 1) };
        assert_eq!(published, (delivered, skipped, 0), "note {n}");
    }
    assert_eq!((of_slow.missed(), of_quick.missed()), (8, 0));
    assert!(of_slow.is_active());
    gate.open();
    settled(&slow).await;
    assert_eq!(slow_log.all(), [0, 1]);
    assert_eq!(counts(topic.publish(&Note(10))), (2, 0, 0));
    settled(&slow).await;
    settled(&quick).await;
    assert_eq!(slow_log.all(), [0, 1, 10]);
    assert_eq!(quick_log.all(), (0..=10).collect::<Vec<_>>());
}

#[actors_core::test]
async fn a_slow_one_is_dropped_by_choice() {
    let topic = Topic::new();
    let (slow, log) = subscriber(1);
    let subscription = topic.subscribe(slow.recipient(), Slow::Drop);
    let gate = held(&slow).await;
    assert_eq!(counts(topic.publish(&Note(0))), (1, 0, 0));
    assert_eq!(counts(topic.publish(&Note(1))), (0, 0, 1));
    assert_eq!(counts(topic.publish(&Note(2))), (0, 0, 0));
    assert!(!subscription.is_active());
    assert_eq!((subscription.missed(), topic.len()), (1, 0));
    gate.open();
    settled(&slow).await;
    assert_eq!(log.all(), [0], "what it had accepted it handles");
    // It may come again; the old handle has no power over the new subscription.
    let again = topic.subscribe(slow.recipient(), Slow::Drop);
    subscription.cancel();
    assert!(again.is_active() && !subscription.is_active());
    assert_eq!(counts(topic.publish(&Note(3))), (1, 0, 0));
    again.cancel();
    assert!(!again.is_active() && topic.is_empty());
}

#[actors_core::test]
async fn an_overflow_policy_of_the_mailbox_comes_first() {
    let topic = Topic::new();
    let options = SpawnOptions::new()
        .capacity(2)
        .overflow(Overflow::DropOldest);
    let (latest, log) = Worker::logged_with(options);
    let subscription = topic.subscribe(latest.recipient(), Slow::Drop);
    let gate = held(&latest).await;
    for n in 0..6 {
        assert_eq!(counts(topic.publish(&Note(n))), (1, 0, 0));
    }
    gate.open();
    settled(&latest).await;
    assert_eq!(log.all(), [4, 5]);
    assert_eq!(subscription.missed(), 0);
}

#[actors_core::test]
async fn subscribing_anew_takes_the_new_choice() {
    let topic = Topic::new();
    let (worker, _) = subscriber(1);
    let first = topic.subscribe(worker.recipient(), Slow::Drop);
    let second = topic.subscribe(worker.recipient(), Slow::Skip);
    assert!(!first.is_active() && second.is_active());
    assert_eq!(topic.len(), 1);
    let gate = held(&worker).await;
    assert_eq!(
        counts(topic.publish(&Note(0))),
        (1, 0, 0),
        "once, not twice"
    );
    assert_eq!(counts(topic.publish(&Note(1))), (0, 1, 0));
    assert_eq!((first.missed(), second.missed()), (0, 1));
    gate.open();
}

#[actors_core::test]
async fn subscribers_leave_with_their_life() {
    let topic = Topic::new();
    let (stopped, _) = subscriber(4);
    stop(&stopped).await;
    let refused = topic.subscribe(stopped.recipient(), Slow::Skip);
    assert!(!refused.is_active() && topic.is_empty());
    let (worker, _) = subscriber(4);
    let subscription = topic.subscribe(worker.recipient(), Slow::Skip);
    let gate: Gate = held(&worker).await;
    worker.stop();
    // It is stopping: nothing goes to it any more, and it is not called slow.
    assert_eq!(counts(topic.publish(&Note(0))), (0, 0, 0));
    gate.open();
    soon(worker.stopped()).await;
    assert!(!subscription.is_active() && topic.is_empty());
    let (worker, _) = subscriber(4);
    let subscription = topic.subscribe(worker.recipient(), Slow::Skip);
    worker.kill();
    soon(worker.stopped()).await;
    assert!(!subscription.is_active() && topic.is_empty());
    let (worker, _) = subscriber(4);
    let subscription: Subscription<Note> = topic.subscribe(worker.recipient(), Slow::Skip);
    drop(topic);
    assert!(!subscription.is_active());
    subscription.cancel();
}

#[actors_core::test]
async fn a_subscription_keeps_its_actor() {
    let topic = Topic::new();
    let (worker, log) = subscriber(4);
    let weak = worker.downgrade();
    let subscription = topic.subscribe(worker.recipient(), Slow::Skip);
    drop(worker);
    for n in 0..3 {
        assert_eq!(counts(topic.publish(&Note(n))), (1, 0, 0));
        tokio::task::yield_now().await;
    }
    subscription.cancel();
    while weak.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.all(), [0, 1, 2], "what was published is handled first");
}

/// Publishing goes on at its pace while some subscribers stand still, come and go. Each one that
/// works gets what was published while it was subscribed, in order and without gaps but those it
/// is told of.
#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_wait_for_nobody() {
    const NOTES: u32 = 5_000;
    let mut rng = Rng::seeded();
    let topic = Topic::new();
    let (still, _) = subscriber(1);
    let gate = held(&still).await;
    let of_still = topic.subscribe(still.recipient(), Slow::Skip);
    let (reads, log) = Worker::logged_with(SpawnOptions::new().unbounded());
    topic.subscribe(reads.recipient(), Slow::Drop);
    let (small, small_log) = subscriber(3);
    let of_small = topic.subscribe(small.recipient(), Slow::Skip);
    let over = Arc::new(AtomicBool::new(false));
    let come_and_go = tokio::spawn({
        let (topic, over) = (topic.clone(), Arc::clone(&over));
        async move {
            while !over.load(Ordering::Relaxed) {
                let (guest, _) = subscriber(2);
                let subscription = topic.subscribe(guest.recipient(), Slow::Drop);
                for _ in 0..rng.below(4) {
                    tokio::task::yield_now().await;
                }
                match rng.below(3) {
                    0 => subscription.cancel(),
                    1 => guest.kill(),
                    _ => guest.stop(),
                }
            }
        }
    });
    for n in 0..NOTES {
        topic.publish(&Note(n));
        if n % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::Relaxed);
    soon(come_and_go).await.expect("no panic");
    settled(&reads).await;
    settled(&small).await;
    assert_eq!(log.all(), (0..NOTES).collect::<Vec<_>>());
    assert_eq!(of_still.missed(), u64::from(NOTES) - 1);
    let small_log = small_log.all();
    assert!(small_log.is_sorted());
    assert_eq!(small_log.len() as u64 + of_small.missed(), u64::from(NOTES));
    gate.open();
}
