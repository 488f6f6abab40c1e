//! Bounded by default: how many messages a mailbox holds, and what happens to the next one.
use crate::kit::{
    Gate, Note, Rng, Run, Token, Tokens, Worker, alone, held, hold, next_event, once, run, soon,
    stop, with,
};
use actors_core::{
    Addr, AskError, Capacity, Context, DeadLetterReason, Event, Events, Handler, LocalActor,
    Message, Overflow, SendError, SpawnError, SpawnOptions, TellError, events,
};
use std::pin::pin;
use tokio::task::{JoinSet, yield_now};

/// A message with a token, to be recognized by.
struct Parcel(Token);

impl Message for Parcel {
    type Reply = ();
}

impl Handler<Parcel> for Worker {
    async fn handle(&mut self, msg: Parcel, _: &mut Context<Self>) {
        self.log.add(u32::try_from(msg.0.number()).unwrap());
    }
}

/// How many messages are accepted until the mailbox is full.
fn fill(worker: &Addr<Worker>) -> u32 {
    for n in 0.. {
        match worker.tell(Note(n)) {
            Ok(()) => {}
            Err(TellError::Full(msg)) => {
                assert_eq!(msg, Note(n), "the message comes back");
                return n;
            }
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("a mailbox without end")
}

#[actors_core::test(start_paused = true)]
async fn it_holds_1024_messages_unless_told_otherwise() {
    let (worker, log) = Worker::logged();
    assert_eq!(worker.mailbox_capacity(), Capacity::Bounded(1024));
    let gate = held(&worker).await;
    assert_eq!(fill(&worker), 1024);
    gate.open();
    stop(&worker).await;
    assert!(log.all().into_iter().eq(0..1024));
}

#[actors_core::test(start_paused = true)]
async fn it_holds_as_many_as_it_was_told() {
    for capacity in [1, 2, 3, 7, 64, 5_000] {
        let options = SpawnOptions::new().capacity(capacity);
        let (worker, log) = Worker::logged_with(options);
        assert_eq!(worker.mailbox_capacity(), Capacity::Bounded(capacity));
        // Again and again: all room comes back.
        for _ in 0..3 {
            let gate = held(&worker).await;
            assert_eq!(fill(&worker) as usize, capacity);
            assert_eq!(
                worker.mailbox_len(),
                capacity + 1,
                "with the one being handled"
            );
            gate.open();
            soon(worker.ask(run(async {}))).await.unwrap();
        }
        stop(&worker).await;
        assert_eq!(log.len(), 3 * capacity);
    }
}

#[actors_core::test(start_paused = true)]
async fn without_bounds_it_takes_all() {
    let (worker, log) = Worker::logged_with(SpawnOptions::new().unbounded());
    assert_eq!(worker.mailbox_capacity(), Capacity::Unbounded);
    let gate = held(&worker).await;
    for n in 0..20_000 {
        worker.tell(Note(n)).unwrap();
    }
    gate.open();
    stop(&worker).await;
    assert!(log.all().into_iter().eq(0..20_000));
}

#[actors_core::test(start_paused = true)]
async fn a_capacity_of_zero_is_refused() {
    struct Local;
    impl LocalActor for Local {}
    let none = || SpawnOptions::new().capacity(0);
    let errors = [
        none().spawn(Worker::default()).map(drop).unwrap_err(),
        none().start(Worker::default()).await.map(drop).unwrap_err(),
        none().spawn_local(Local).map(drop).unwrap_err(),
        none().spawn_local_thread(|| Local).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, SpawnError::ZeroCapacity), "{error}");
    }
    let child = with(move |ctx| {
        Box::pin(async move { ctx.spawn_with(SpawnOptions::new().capacity(0), Worker::default()) })
    });
    let (worker, _) = Worker::logged();
    let error = soon(worker.ask(child)).await.unwrap().unwrap_err();
    assert!(matches!(error, SpawnError::ZeroCapacity), "{error}");
    stop(&worker).await;
}

#[actors_core::test(start_paused = true)]
async fn what_is_refused_for_want_of_room_comes_back() {
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(1));
    let gate = held(&worker).await;
    let tokens = Tokens::default();
    worker.tell(Note(100)).unwrap();
    let recipient = worker.recipient();
    for n in 0..4 {
        let error = match n {
            0 => worker.tell(Parcel(tokens.token())).unwrap_err(),
            1 => worker
                .try_ask(Parcel(tokens.token()))
                .map(drop)
                .unwrap_err(),
            2 => recipient.tell(Parcel(tokens.token())).unwrap_err(),
            _ => recipient
                .try_ask(Parcel(tokens.token()))
                .map(drop)
                .unwrap_err(),
        };
        assert!(error.is_full());
        let parcel = error.into_message();
        assert_eq!(parcel.0.number(), n);
        assert_eq!(tokens.left(), 1);
    }
    assert_eq!(tokens.drops(), [1; 4]);
    gate.open();
    stop(&worker).await;
    assert_eq!(log.all(), [100]);
}

/// The reasons for which messages to this actor went to dead letters, `n` of them.
async fn dead_letters(
    events: &mut Events,
    worker: &Addr<Worker>,
    n: usize,
) -> Vec<(&'static str, DeadLetterReason)> {
    let mut letters = Vec::new();
    while letters.len() < n {
        let letter = next_event(events, |event| match event {
            Event::DeadLetter(letter) if letter.target.id() == worker.id() => Some(letter),
            _ => None,
        });
        let letter = letter.await;
        letters.push((letter.message, letter.reason));
    }
    letters
}

#[actors_core::test]
async fn when_full_the_oldest_makes_room() {
    let _alone = alone().await;
    let mut events = events();
    let options = SpawnOptions::new()
        .capacity(3)
        .overflow(Overflow::DropOldest);
    let (worker, log) = Worker::logged_with(options);
    let tokens = Tokens::default();
    let gate = held(&worker).await;
    for n in 0..10 {
        worker.tell(Parcel(tokens.token())).unwrap();
        assert!(tokens.left() <= 3, "at {n} the oldest is still there");
    }
    for (message, reason) in dead_letters(&mut events, &worker, 7).await {
        assert_eq!(message, std::any::type_name::<Parcel>());
        assert!(matches!(reason, DeadLetterReason::Overflow), "{reason}");
    }
    gate.open();
    stop(&worker).await;
    assert_eq!(log.all(), [7, 8, 9]);
    assert_eq!(worker.mailbox_stats().dead_letters, 7);
    assert_eq!(tokens.drops(), [1; 10]);
}

#[actors_core::test]
async fn when_full_the_newest_is_dropped() {
    let _alone = alone().await;
    let mut events = events();
    let options = SpawnOptions::new()
        .capacity(3)
        .overflow(Overflow::DropNewest);
    let (worker, log) = Worker::logged_with(options);
    let tokens = Tokens::default();
    let gate = held(&worker).await;
    for _ in 0..10 {
        worker.tell(Parcel(tokens.token())).unwrap();
    }
    assert_eq!(tokens.left(), 3);
    for (message, reason) in dead_letters(&mut events, &worker, 7).await {
        assert_eq!(message, std::any::type_name::<Parcel>());
        assert!(matches!(reason, DeadLetterReason::Overflow), "{reason}");
    }
    gate.open();
    stop(&worker).await;
    assert_eq!(log.all(), [0, 1, 2]);
    assert_eq!(worker.mailbox_stats().dead_letters, 7);
    assert_eq!(tokens.drops(), [1; 10]);
}

#[actors_core::test(start_paused = true)]
async fn the_oldest_can_be_dropped_while_the_actor_works() {
    // What the actor has taken out of its mailbox would be out of reach.
    let options = SpawnOptions::new()
        .capacity(3)
        .overflow(Overflow::DropOldest);
    let (worker, log) = Worker::logged_with(options);
    let gate = Gate::new();
    worker.tell(hold(&gate)).unwrap();
    worker.tell(Note(0)).unwrap();
    worker.tell(Note(1)).unwrap();
    soon(gate.entered()).await;
    for n in 2..6 {
        worker.tell(Note(n)).unwrap();
    }
    gate.open();
    stop(&worker).await;
    assert_eq!(log.all(), [3, 4, 5]);
}

#[actors_core::test(start_paused = true)]
async fn whatever_the_policy_send_and_ask_wait_for_room() {
    for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
        let options = SpawnOptions::new().capacity(2).overflow(overflow);
        let (worker, log) = Worker::logged_with(options);
        let gate = held(&worker).await;
        worker.tell(Note(0)).unwrap();
        worker.tell(Note(1)).unwrap();
        let mut send = pin!(worker.send(Note(2)));
        let mut ask = pin!(worker.ask(Note(3)));
        assert!(once(&mut send).await.is_pending());
        assert!(once(&mut ask).await.is_pending());
        gate.open();
        soon(async {
            let (sent, asked) = tokio::join!(send, ask);
            sent.unwrap();
            assert_eq!(asked.unwrap(), 3);
        })
        .await;
        stop(&worker).await;
        // One task polls both, in any order.
        let mut log = log.all();
        log[2..].sort_unstable();
        assert_eq!(log, [0, 1, 2, 3], "{overflow:?}");
    }
}

#[actors_core::test(start_paused = true)]
async fn who_waits_for_room_is_woken_in_turn() {
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(2));
    let gate = held(&worker).await;
    assert_eq!(fill(&worker), 2);
    let mut waiting = JoinSet::new();
    for n in 10..30 {
        let worker = worker.clone();
        waiting.spawn(async move {
            if n % 2 == 0 {
                worker.send(Note(n)).await.unwrap();
            } else {
                assert_eq!(worker.ask(Note(n)).await.unwrap(), n);
            }
        });
        yield_now().await;
    }
    gate.open();
    while let Some(waited) = soon(waiting.join_next()).await {
        waited.unwrap();
    }
    stop(&worker).await;
    assert!(
        log.all().into_iter().eq([0, 1].into_iter().chain(10..30)),
        "{:?}",
        log.all()
    );
}

#[actors_core::test(start_paused = true)]
async fn who_came_late_does_not_overtake_who_waits_for_room() {
    // As soon as there is room, it belongs to who waits; not to a `tell` that comes by.
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(1));
    let gates = [held(&worker).await, Gate::new()];
    worker.tell(hold(&gates[1])).unwrap();
    let mut send = pin!(worker.send(Note(1)));
    assert!(once(&mut send).await.is_pending());
    gates[0].open();
    soon(gates[1].entered()).await;
    assert!(worker.tell(Note(2)).unwrap_err().is_full());
    soon(send).await.unwrap();
    gates[1].open();
    stop(&worker).await;
    assert_eq!(log.all(), [1]);
}

#[actors_core::test(start_paused = true)]
async fn who_gives_up_waiting_for_room_takes_none() {
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(2));
    let tokens = Tokens::default();
    let gate = held(&worker).await;
    assert_eq!(fill(&worker), 2);
    // One that waits, and one that was woken but has not looked.
    let before = {
        let mut send = Box::pin(worker.send(Parcel(tokens.token())));
        let mut ask = Box::pin(worker.ask(Parcel(tokens.token())));
        assert!(once(&mut send).await.is_pending());
        assert!(once(&mut ask).await.is_pending());
        (send, ask)
    };
    let mut woken_send = Box::pin(worker.send(Parcel(tokens.token())));
    let mut woken_ask = Box::pin(worker.ask(Parcel(tokens.token())));
    assert!(once(&mut woken_send).await.is_pending());
    assert!(once(&mut woken_ask).await.is_pending());
    drop(before);
    gate.open();
    while log.len() < 2 {
        yield_now().await;
    }
    assert!(
        worker.tell(Note(9)).unwrap_err().is_full(),
        "the room was given to who waited"
    );
    drop((woken_send, woken_ask));
    assert_eq!(tokens.drops(), [1; 4]);
    let gate = held(&worker).await;
    assert_eq!(fill(&worker), 2, "the room has come back");
    gate.open();
    stop(&worker).await;
    assert_eq!(log.all(), [0, 1, 0, 1]);
}

#[actors_core::test(start_paused = true)]
async fn who_waits_for_room_learns_that_the_actor_stops() {
    for end in [Addr::stop, Addr::stop_now, Addr::kill] {
        let (worker, _) = Worker::logged_with(SpawnOptions::new().capacity(1));
        let tokens = Tokens::default();
        let gate = held(&worker).await;
        assert_eq!(fill(&worker), 1);
        let mut send = pin!(worker.send(Parcel(tokens.token())));
        assert!(once(&mut send).await.is_pending());
        end(&worker);
        match soon(send).await {
            Err(SendError::Closed(parcel)) => assert_eq!(parcel.0.number(), 0),
            other => panic!("{other:?}"),
        }
        gate.open();
        soon(worker.stopped()).await;
        assert_eq!(tokens.drops(), [1]);
    }
}

#[actors_core::test(start_paused = true)]
async fn all_room_comes_back_after_anything() {
    let mut rng = Rng::seeded();
    for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
        for capacity in 1..5 {
            let options = SpawnOptions::new().capacity(capacity).overflow(overflow);
            let (worker, _) = Worker::logged_with(options);
            for _ in 0..300 {
                anything(&worker, &mut rng).await;
            }
            soon(worker.ask(run(async {}))).await.unwrap();
            // The actor sleeps, so all that was in the mailbox has left it.
            while worker.mailbox_len() > 0 {
                yield_now().await;
            }
            let gate = held(&worker).await;
            let mut replies = Vec::new();
            while let Ok(reply) = worker.ask(Note(0)).post() {
                replies.push(reply);
                if replies.len() > capacity {
                    break;
                }
            }
            let waiting = replies.iter().filter(|reply| !reply.is_ready());
            assert_eq!(waiting.count(), capacity, "{overflow:?}");
            gate.open();
            stop(&worker).await;
        }
    }
}

/// One thing that can be done to a mailbox.
async fn anything(worker: &Addr<Worker>, rng: &mut Rng) {
    let slow = || -> Run<()> { run(yield_now()) };
    match rng.below(9) {
        0 => drop(worker.tell(Note(0))),
        1 => drop(worker.tell(slow())),
        2 => drop(worker.ask(slow()).post()),
        3 => {
            if let Ok(reply) = worker.ask(Note(0)).post() {
                reply.detach();
            }
        }
        4 => drop(once(&mut pin!(worker.send(Note(0)))).await),
        5 => drop(once(&mut worker.ask(slow())).await),
        6 => {
            let notifies = with(|ctx| {
                Box::pin(async move {
                    for n in 0..3 {
                        ctx.notify(Note(n)).unwrap();
                    }
                })
            });
            drop(worker.tell(notifies));
        }
        7 => {
            let asked = soon(worker.ask(Note(1))).await;
            // It may have made room for a newer one.
            assert!(matches!(asked, Ok(1) | Err(AskError::Full)), "{asked:?}");
        }
        _ => yield_now().await,
    }
}
