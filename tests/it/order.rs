//! One at a time, and in order.
use crate::kit::{Gate, Log, Note, Rng, STOPPED, Worker, alone, held, hold, run, soon, stop, with};
use actors_core::{Actor, Addr, Context, Handler, Message, SpawnOptions, StopReason, TellError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::{JoinSet, yield_now};

/// Tells, and waits for room where there is none.
async fn push(to: &Addr<Worker>, n: u32) {
    match to.tell(Note(n)) {
        Ok(()) => {}
        Err(TellError::Full(msg)) => to.send(msg).await.unwrap(),
        Err(error) => panic!("{error}"),
    }
}

/// Sends the numbers by all verbs, one after the other.
async fn push_all(to: &Addr<Worker>, numbers: impl Iterator<Item = u32>, rng: &mut Rng) {
    let recipient = to.recipient();
    let mut replies = Vec::new();
    for n in numbers {
        match rng.below(7) {
            0 => push(to, n).await,
            1 => to.send(Note(n)).await.unwrap(),
            2 => assert_eq!(to.ask(Note(n)).await.unwrap(), n),
            3 => match to.try_ask(Note(n)) {
                Ok(reply) => replies.push((n, reply)),
                Err(error) => to.send(error.into_message()).await.unwrap(),
            },
            4 => match to.ask(Note(n)).post() {
                Ok(reply) => replies.push((n, reply)),
                Err(_) => push(to, n).await,
            },
            5 => recipient.send(Note(n)).await.unwrap(),
            _ => assert_eq!(recipient.ask(Note(n)).await.unwrap(), n),
        }
        if rng.below(10) == 0 {
            yield_now().await;
        }
    }
    for (n, reply) in replies {
        assert_eq!(reply.await.unwrap(), n);
    }
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_never_overlap_even_across_awaits() {
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(32));
    let busy = Arc::new(AtomicBool::new(false));
    let mut senders = JoinSet::new();
    for sender in 0..8_u32 {
        let (worker, log, busy) = (worker.clone(), log.clone(), Arc::clone(&busy));
        senders.spawn(async move {
            for i in 0..300_u32 {
                let (log, busy) = (log.clone(), Arc::clone(&busy));
                let step = run(async move {
                    assert!(!busy.swap(true, Ordering::SeqCst), "two handlers at once");
                    for _ in 0..i % 4 {
                        yield_now().await;
                    }
                    assert!(busy.swap(false, Ordering::SeqCst), "two handlers at once");
                    log.add(sender);
                });
                if i % 3 == 0 {
                    worker.ask(step).await.unwrap();
                } else {
                    worker.send(step).await.unwrap();
                }
            }
        });
    }
    while let Some(sender) = soon(senders.join_next()).await {
        sender.unwrap();
    }
    stop(&worker).await;
    assert_eq!(log.len(), 8 * 300);
}

#[actors_core::test]
async fn one_sender_is_handled_in_its_order_whatever_the_verb() {
    let mut rng = Rng::seeded();
    for options in [
        SpawnOptions::new().capacity(3),
        SpawnOptions::new(),
        SpawnOptions::new().unbounded(),
    ] {
        let (worker, log) = Worker::logged_with(options);
        soon(push_all(&worker, 0..2_000, &mut rng)).await;
        stop(&worker).await;
        assert!(log.all().into_iter().eq(0..2_000), "{:?}", log.all());
    }
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_senders_each_is_handled_in_its_order() {
    let mut rng = Rng::seeded();
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(16));
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let worker = worker.clone();
        let mut rng = Rng::from(rng.below(u64::MAX));
        senders.spawn(async move {
            let numbers = (0..1_000).map(|n| sender * 1_000 + n);
            push_all(&worker, numbers, &mut rng).await;
        });
    }
    while let Some(sender) = soon(senders.join_next()).await {
        sender.unwrap();
    }
    stop(&worker).await;
    let log = log.all();
    for sender in 0..8 {
        let its = log.iter().filter(|n| **n / 1_000 == sender).copied();
        assert!(
            its.eq(sender * 1_000..(sender + 1) * 1_000),
            "sender {sender}"
        );
    }
    assert_eq!(log.len(), 8_000);
}

#[actors_core::test]
async fn what_waits_for_room_does_not_overtake_what_waited_before() {
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(1));
    let gate = held(&worker).await;
    worker.tell(Note(0)).unwrap();
    let mut waiting = JoinSet::new();
    for n in 1..20 {
        let worker = worker.clone();
        waiting.spawn(async move {
            if n % 2 == 0 {
                worker.send(Note(n)).await.unwrap();
            } else {
                worker.ask(Note(n)).await.unwrap();
            }
        });
        // One thread: now it waits.
        yield_now().await;
    }
    gate.open();
    while let Some(waited) = soon(waiting.join_next()).await {
        waited.unwrap();
    }
    stop(&worker).await;
    assert!(log.all().into_iter().eq(0..20), "{:?}", log.all());
}

/// Sends to another before it ends, and while it does.
struct Parting {
    to: Addr<Worker>,
    last: u32,
}

impl Actor for Parting {
    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        push(&self.to, self.last).await;
    }
}

#[derive(Clone, Copy, Debug)]
enum How {
    Stop,
    Fail,
    Panic,
    Kill,
}

/// Sends this many messages, then ends.
#[derive(Message)]
struct Part(u32, How);

impl Handler<Part> for Parting {
    async fn handle(&mut self, Part(n, how): Part, ctx: &mut Context<Self>) {
        for i in 0..n {
            push(&self.to, i).await;
        }
        match how {
            How::Stop => ctx.stop(),
            How::Fail => ctx.fail("enough"),
            How::Panic => panic!("parting"),
            How::Kill => ctx.addr().kill(),
        }
    }
}

async fn watch(watcher: &Addr<Worker>, watched: &Addr<Parting>) {
    let watched = watched.clone();
    let watching = with(move |ctx| Box::pin(async move { ctx.watch(&watched) }));
    soon(watcher.ask(watching)).await.unwrap();
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_notice_of_an_end_comes_after_what_the_actor_sent() {
    let _alone = alone().await;
    let mut rng = Rng::seeded();
    for round in 0..400 {
        let how = [How::Stop, How::Fail, How::Panic, How::Kill][round % 4];
        let capacity = 1 + usize::try_from(rng.below(8)).unwrap();
        let (watcher, log) = Worker::logged_with(SpawnOptions::new().capacity(capacity));
        let n = u32::try_from(rng.below(20)).unwrap();
        let parting = Parting {
            to: watcher.clone(),
            last: n,
        }
        .spawn();
        watch(&watcher, &parting).await;
        parting.tell(Part(n, how)).unwrap();
        soon(parting.stopped()).await;
        soon(async {
            // The notice is on its way, if not there.
            while log.all().last() != Some(&STOPPED) {
                watcher.ask(run(yield_now())).await.unwrap();
            }
        })
        .await;
        stop(&watcher).await;
        // A killed actor's `stopped` does not run.
        let sent = if matches!(how, How::Kill) { n } else { n + 1 };
        assert!(
            log.all().into_iter().eq((0..sent).chain([STOPPED])),
            "{how:?} {:?}",
            log.all()
        );
    }
}

#[actors_core::test]
async fn the_notice_of_an_end_overtakes_the_mail_of_others() {
    let (watcher, log) = Worker::logged();
    let parting = Parting {
        to: watcher.clone(),
        last: 100,
    }
    .spawn();
    watch(&watcher, &parting).await;
    let gate = held(&watcher).await;
    for n in 0..10 {
        watcher.tell(Note(n)).unwrap();
    }
    stop(&parting).await;
    for n in 10..20 {
        watcher.tell(Note(n)).unwrap();
    }
    gate.open();
    stop(&watcher).await;
    // What it sent came behind the first ten, so its notice does too; but before the others.
    let expected = (0..10).chain([100, STOPPED]).chain(10..20);
    assert!(log.all().into_iter().eq(expected), "{:?}", log.all());
}

#[actors_core::test]
async fn the_notice_of_an_end_overtakes_all_mail_when_the_actor_sent_nothing() {
    let (watcher, log) = Worker::logged_with(SpawnOptions::new().capacity(20));
    let (watched, _) = Worker::logged();
    let gate = Gate::new();
    let other = watched.clone();
    let watching = with(move |ctx| Box::pin(async move { ctx.watch(&other) }));
    watcher.ask(watching).await.unwrap();
    // Both the mail that was taken out together with the first one and what came later.
    watcher.tell(hold(&gate)).unwrap();
    watcher.tell(Note(0)).unwrap();
    watcher.tell(Note(1)).unwrap();
    soon(gate.entered()).await;
    for n in 2..20 {
        watcher.tell(Note(n)).unwrap();
    }
    stop(&watched).await;
    gate.open();
    stop(&watcher).await;
    assert_eq!(log.all()[0], STOPPED, "{:?}", log.all());
    assert!(log.all()[1..].iter().copied().eq(0..20), "{:?}", log.all());
}

#[actors_core::test]
async fn messages_to_oneself_keep_their_order_among_the_others() {
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(64));
    let mixed = with(|ctx| {
        Box::pin(async move {
            for n in 0..30 {
                match n % 3 {
                    0 => ctx.notify(Note(n)).unwrap(),
                    1 => ctx.addr().tell(Note(n)).unwrap(),
                    _ => ctx.addr().ask(Note(n)).post().unwrap().detach(),
                }
            }
        })
    });
    soon(worker.ask(mixed)).await.unwrap();
    stop(&worker).await;
    assert!(log.all().into_iter().eq(0..30), "{:?}", log.all());
}

/// The log is shared, so that it can be read when the actor has gone.
#[actors_core::test]
async fn an_actor_begins_with_what_came_before_it_ran() {
    let log = Log::default();
    let worker = Worker { log: log.clone() }.spawn();
    for n in 0..5 {
        worker.tell(Note(n)).unwrap();
    }
    assert_eq!(log.len(), 0, "on one thread it has not run yet");
    stop(&worker).await;
    assert_eq!(log.all(), [0, 1, 2, 3, 4]);
}
