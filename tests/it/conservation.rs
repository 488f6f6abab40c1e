//! What is accepted is handled, or waits, or goes to dead letters; what is not comes back.
use crate::kit::{
    Gate, Note, Rng, Token, Tokens, Worker, alone, held, next_event, once, run, soon, stop, with,
};
use actors_core::{
    Actor, Addr, AskError, Context, DeadLetter, DeadLetterReason, Event, Events, Handler,
    MailboxStats, Message, Overflow, Reply, SendError, SpawnOptions, StopReason, events,
};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use tokio::task::{JoinSet, yield_now};

/// Counts what it begins and what it ends.
#[derive(Actor, Clone, Default)]
struct Tally {
    begun: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
}

/// Has a token, and is handled with so many pauses.
struct Job(Token, u64);

impl Message for Job {
    type Reply = Token;
}

impl Handler<Job> for Tally {
    async fn handle(&mut self, Job(token, pauses): Job, _: &mut Context<Self>) -> Token {
        self.begun.fetch_add(1, Ordering::SeqCst);
        for _ in 0..pauses {
            yield_now().await;
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        token
    }
}

impl Tally {
    fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }
}

fn add_up(stats: &MailboxStats) -> u64 {
    stats.handled + stats.failed + stats.withdrawn + stats.dead_letters + stats.waiting
}

fn some_options(rng: &mut Rng) -> SpawnOptions {
    let options = SpawnOptions::new().overflow(match rng.below(3) {
        0 => Overflow::Reject,
        1 => Overflow::DropOldest,
        _ => Overflow::DropNewest,
    });
    match rng.below(4) {
        0 => options.unbounded(),
        1 => options,
        _ => options.capacity(usize::try_from(1 + rng.below(6)).unwrap()),
    }
}

/// Sends at random, and gives up at random; how many messages were accepted, at least and at most.
async fn send_at_random(
    addr: &Addr<Tally>,
    tokens: &Tokens,
    rng: &mut Rng,
    steps: u64,
) -> (u64, u64) {
    let (mut accepted, mut perhaps) = (0, 0);
    let mut replies: Vec<Reply<Token>> = Vec::new();
    for _ in 0..steps {
        let job = Job(tokens.token(), rng.below(3));
        match rng.below(10) {
            0 | 1 => accepted += u64::from(addr.tell(job).is_ok()),
            2 | 3 => match addr.ask(job).post() {
                Ok(reply) => {
                    accepted += 1;
                    replies.push(reply);
                }
                Err(error) => assert!(!error.may_have_run()),
            },
            4 => match addr.try_ask(job) {
                Ok(reply) => {
                    accepted += 1;
                    replies.push(reply);
                }
                Err(error) => drop(error.into_message()),
            },
            // Polled once, then dropped.
            5 => {
                let sent = once(&mut pin!(addr.send(job))).await;
                accepted += u64::from(matches!(sent, Poll::Ready(Ok(()))));
            }
            // Whether it got as far as into the mailbox is not known.
            6 => {
                let polled = once(&mut addr.ask(job)).await;
                perhaps += u64::from(polled.is_pending());
            }
            7 => {
                if !replies.is_empty() {
                    let at = rng.below(replies.len() as u64);
                    let mut reply = replies.swap_remove(usize::try_from(at).unwrap());
                    match rng.below(3) {
                        0 => drop(reply),
                        1 => reply.detach(),
                        _ => drop(reply.cancel()),
                    }
                }
            }
            8 => {
                if let Some(Ok(token)) = replies.pop().and_then(|mut reply| reply.try_take()) {
                    drop(token);
                }
            }
            _ => yield_now().await,
        }
    }
    (accepted, accepted + perhaps)
}

#[actors_core::test]
async fn the_counters_add_up_after_anything() {
    let _alone = alone().await;
    let mut rng = Rng::seeded();
    for round in 0..300 {
        let mut events = events();
        let tokens = Tokens::default();
        let tally = Tally::default();
        let addr = some_options(&mut rng).spawn(tally.clone()).unwrap();
        let steps = rng.below(150);
        let (least, most) = send_at_random(&addr, &tokens, &mut rng, steps).await;
        let stats = addr.mailbox_stats();
        assert_eq!(add_up(&stats), stats.accepted, "{stats:?}");
        assert_eq!(stats.handled, tally.ended());
        assert!(addr.mailbox_len() as u64 == stats.waiting);
        match round % 4 {
            0 => addr.stop_now(),
            1 => addr.kill(),
            _ => addr.stop(),
        }
        soon(addr.stopped()).await;
        let stats = addr.mailbox_stats();
        assert_eq!(stats.waiting, 0, "{stats:?}");
        assert_eq!(add_up(&stats), stats.accepted, "{stats:?}");
        assert!(
            (least..=most).contains(&stats.accepted),
            "{stats:?}, not {least} to {most}"
        );
        assert_eq!(stats.handled, tally.ended(), "{stats:?}");
        assert_eq!(stats.failed, tally.begun() - tally.ended(), "{stats:?}");
        assert_eq!(
            letters_until_end(&mut events, &addr).await.len() as u64,
            stats.dead_letters
        );
        assert!(
            tokens.drops().iter().all(|drops| *drops == 1),
            "{:?}",
            tokens.drops()
        );
    }
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_counters_add_up_under_many_senders() {
    let _alone = alone().await;
    let mut rng = Rng::seeded();
    for round in 0..40 {
        let tokens = Tokens::default();
        let tally = Tally::default();
        let addr = some_options(&mut rng).spawn(tally.clone()).unwrap();
        let mut senders = JoinSet::new();
        for _ in 0..6 {
            let (addr, tokens) = (addr.clone(), tokens.clone());
            let mut rng = Rng::from(rng.below(u64::MAX));
            senders.spawn(async move { send_at_random(&addr, &tokens, &mut rng, 200).await });
        }
        let end = |addr: &Addr<Tally>| match round % 3 {
            0 => addr.stop_now(),
            1 => addr.kill(),
            _ => addr.stop(),
        };
        if round % 2 == 0 {
            // In the middle.
            yield_now().await;
            end(&addr);
        }
        let (mut least, mut most) = (0, 0);
        while let Some(sender) = soon(senders.join_next()).await {
            let (its_least, its_most) = sender.unwrap();
            least += its_least;
            most += its_most;
        }
        end(&addr);
        soon(addr.stopped()).await;
        let stats = addr.mailbox_stats();
        assert_eq!(stats.waiting, 0, "{stats:?}");
        assert_eq!(add_up(&stats), stats.accepted, "{stats:?}");
        assert!(
            (least..=most).contains(&stats.accepted),
            "{stats:?}, not {least} to {most}"
        );
        assert_eq!(stats.handled, tally.ended(), "{stats:?}");
        assert_eq!(stats.failed, tally.begun() - tally.ended(), "{stats:?}");
        assert!(
            tokens.drops().iter().all(|drops| *drops == 1),
            "{:?}",
            tokens.drops()
        );
    }
}

#[actors_core::test(start_paused = true)]
async fn the_counters_say_what_became_of_each() {
    let tokens = Tokens::default();
    let tally = Tally::default();
    let addr = SpawnOptions::new()
        .capacity(4)
        .spawn(tally.clone())
        .unwrap();
    for _ in 0..3 {
        soon(addr.ask(Job(tokens.token(), 0))).await.unwrap();
    }
    let waits = addr.ask(Job(tokens.token(), u64::MAX)).post().unwrap();
    while tally.begun() < 4 {
        yield_now().await;
    }
    let given_up = addr.ask(Job(tokens.token(), 0)).post().unwrap();
    for _ in 0..3 {
        addr.tell(Job(tokens.token(), 0)).unwrap();
    }
    assert!(addr.tell(Job(tokens.token(), 0)).is_err());
    drop(given_up);
    let stats = addr.mailbox_stats();
    assert_eq!((stats.accepted, stats.handled, stats.waiting), (8, 3, 5));
    assert_eq!(addr.mailbox_len(), 5);
    addr.kill();
    assert!(soon(waits).await.is_err());
    soon(addr.stopped()).await;
    let stats = addr.mailbox_stats();
    assert_eq!((stats.accepted, stats.handled, stats.failed), (8, 3, 1));
    assert_eq!(
        (stats.withdrawn + stats.dead_letters, stats.waiting),
        (4, 0)
    );
    assert!(stats.dead_letters >= 3, "{stats:?}");
    assert_eq!(tokens.drops(), [1; 9]);
}

#[actors_core::test(start_paused = true)]
async fn what_waits_is_dropped_with_the_runtime() {
    let tokens = Tokens::default();
    let tally = Tally::default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let addr = {
        let _inside = runtime.enter();
        SpawnOptions::new().spawn(tally.clone()).unwrap()
    };
    addr.tell(Job(tokens.token(), u64::MAX)).unwrap();
    let asked = addr.ask(Job(tokens.token(), 0)).post().unwrap();
    for _ in 0..10 {
        addr.tell(Job(tokens.token(), 0)).unwrap();
    }
    while tally.begun() == 0 {
        std::thread::yield_now();
    }
    tokio::task::spawn_blocking(move || drop(runtime))
        .await
        .unwrap();
    assert!(soon(asked).await.is_err());
    assert!(matches!(soon(addr.stopped()).await, StopReason::Killed));
    assert_eq!(tokens.drops(), [1; 12]);
    let stats = addr.mailbox_stats();
    assert_eq!(
        (stats.failed, stats.dead_letters, stats.waiting),
        (1, 11, 0)
    );
}

/// A message for the worker that has a token.
struct Parcel(Token);

impl Message for Parcel {
    type Reply = ();
}

impl Handler<Parcel> for Worker {
    async fn handle(&mut self, _: Parcel, _: &mut Context<Self>) {}
}

#[actors_core::test(start_paused = true)]
async fn what_is_not_accepted_comes_back() {
    let tokens = Tokens::default();
    let (worker, _) = Worker::logged();
    stop(&worker).await;
    let recipient = worker.recipient();
    let parcel = || Parcel(tokens.token());
    let back = [
        worker.tell(parcel()).unwrap_err().into_message(),
        worker.try_ask(parcel()).unwrap_err().into_message(),
        worker.send(parcel()).await.unwrap_err().into_message(),
        recipient.tell(parcel()).unwrap_err().into_message(),
        recipient.try_ask(parcel()).unwrap_err().into_message(),
        recipient.send(parcel()).await.unwrap_err().into_message(),
    ];
    assert_eq!(tokens.drops(), [0; 6]);
    for (number, parcel) in back.into_iter().enumerate() {
        assert_eq!(parcel.0.number(), number);
    }
    assert_eq!(tokens.drops(), [1; 6]);
    assert_eq!(worker.mailbox_stats().accepted, 0);
}

#[actors_core::test]
async fn what_may_not_block_comes_back() {
    let tokens = Tokens::default();
    let (worker, _) = Worker::logged();
    match worker.blocking_send(Parcel(tokens.token())) {
        Err(SendError::WouldBlock(parcel)) => assert_eq!(parcel.0.number(), 0),
        other => panic!("{other:?}"),
    }
    assert_eq!(tokens.drops(), [1]);
    stop(&worker).await;
}

/// The dead letters of an actor.
async fn letters_until_end<A>(events: &mut Events, addr: &Addr<A>) -> Vec<DeadLetter> {
    let mut letters = Vec::new();
    next_event(events, |event| match event {
        Event::DeadLetter(letter) if letter.target.id() == addr.id() => {
            letters.push(letter);
            None
        }
        Event::Stopped { actor, .. } if actor.id() == addr.id() => Some(()),
        _ => None,
    })
    .await;
    letters
}

#[actors_core::test]
async fn dead_letters_say_what_to_whom_and_why() {
    type End = fn(&Addr<Worker>, &Gate);
    let ends: [(End, &str); 4] = [
        (|worker, _| worker.stop_now(), "the actor stopped"),
        (|worker, _| worker.kill(), "the actor was killed"),
        (|_, gate| gate.open(), "the actor panicked: over"),
        (|_, gate| gate.open(), "the actor failed: over"),
    ];
    let _alone = alone().await;
    for (number, (end, why)) in ends.into_iter().enumerate() {
        let mut events = events();
        let (worker, _) = Worker::logged_with(SpawnOptions::new().name("addressee"));
        let gate = Gate::new();
        let gate2 = gate.clone();
        let last = with(move |ctx| {
            Box::pin(async move {
                gate2.pass().await;
                match number {
                    2 => panic!("over"),
                    3 => ctx.fail("over"),
                    _ => {}
                }
            })
        });
        worker.tell(last).unwrap();
        soon(gate.entered()).await;
        let tokens = Tokens::default();
        worker.tell(Parcel(tokens.token())).unwrap();
        let asked = worker.ask(Note(1)).post().unwrap();
        end(&worker, &gate);
        gate.open();
        let letters = letters_until_end(&mut events, &worker).await;
        let messages = letters.iter().map(|letter| letter.message);
        assert!(messages.eq([
            std::any::type_name::<Parcel>(),
            std::any::type_name::<Note>()
        ]));
        for letter in letters {
            assert_eq!(
                (letter.target.id(), letter.target.name()),
                (worker.id(), "addressee")
            );
            assert_eq!(letter.reason.to_string(), why);
            assert!(matches!(letter.reason, DeadLetterReason::Stopped(_)));
        }
        assert_eq!(tokens.drops(), [1]);
        assert!(matches!(soon(asked).await, Err(AskError::NoReply { .. })));
    }
}

#[actors_core::test]
async fn what_comes_too_late_and_has_nobody_to_go_back_to_is_a_dead_letter() {
    let _alone = alone().await;
    let mut events = events();
    let ((worker, _), (gone, log)) = (Worker::logged(), Worker::logged());
    let gate = held(&worker).await;
    let reply = worker.ask(Note(1)).post().unwrap();
    reply.pipe_to(&gone, |result| Note(result.unwrap()));
    stop(&gone).await;
    gate.open();
    let forwards = {
        let gone = gone.clone();
        with(move |ctx| Box::pin(async move { ctx.forward(&gone, Note(2)).await }))
    };
    worker.tell(forwards).unwrap();
    for _ in 0..2 {
        let letter = next_event(&mut events, |event| match event {
            Event::DeadLetter(letter) if letter.target.id() == gone.id() => Some(letter),
            _ => None,
        });
        let letter = letter.await;
        assert_eq!(letter.message, std::any::type_name::<Note>());
        assert!(
            matches!(letter.reason, DeadLetterReason::Closed),
            "{}",
            letter.reason
        );
    }
    stop(&worker).await;
    assert_eq!(log.len(), 0);
}

#[actors_core::test]
async fn what_the_asker_has_given_up_is_no_dead_letter() {
    let _alone = alone().await;
    let mut events = events();
    let (worker, _) = Worker::logged();
    let gate = held(&worker).await;
    drop(worker.ask(Note(1)).post().unwrap());
    worker.tell(run(async {})).unwrap();
    gate.open();
    stop(&worker).await;
    assert!(letters_until_end(&mut events, &worker).await.is_empty());
    let stats = worker.mailbox_stats();
    assert_eq!(
        (stats.handled, stats.withdrawn, stats.dead_letters),
        (2, 1, 0)
    );
}
