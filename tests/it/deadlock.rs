//! No silent deadlock: a circle of actors that wait for each other ends at once, and what is no
//! circle is not taken for one.
use crate::kit::{
    Gate, Note, Run, Tokens, With, Worker, alone, held, hold, next_event, once, run, soon, stop,
    with,
};
use actors_core::{
    Actor, ActorId, Addr, AskError, Context, DeadlockPath, Deferred, Error, Event, SendError,
    SpawnOptions, events, handlers,
};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Barrier, oneshot};
use tokio::task::{JoinSet, yield_now};

fn worker(name: &'static str) -> Addr<Worker> {
    Worker::logged_with(SpawnOptions::new().name(name)).0
}

/// A message whose handler asks the actor for a number.
fn asking(other: &Addr<Worker>) -> Run<Result<u32, AskError>> {
    let other = other.clone();
    run(async move { other.ask(Note(7)).await })
}

/// A message whose handler asks the first actor to ask the second one.
fn asking_through(
    first: &Addr<Worker>,
    second: &Addr<Worker>,
) -> Run<Result<Result<u32, AskError>, AskError>> {
    let (first, second) = (first.clone(), second.clone());
    run(async move { first.ask(asking(&second)).await })
}

/// The circle is this one, and the message of the ask that closed it was not handled.
#[track_caller]
fn assert_circle<R: std::fmt::Debug>(result: Result<R, AskError>, circle: &[&Addr<Worker>]) {
    match result {
        Err(AskError::Deadlock {
            path, may_have_run, ..
        }) => {
            assert!(!may_have_run);
            assert_path(&path, circle);
        }
        other => panic!("no deadlock but {other:?}"),
    }
}

#[track_caller]
fn assert_path(path: &DeadlockPath, circle: &[&Addr<Worker>]) {
    let path = path.actors().iter().map(|actor| (actor.id(), actor.name()));
    let circle = circle.iter().map(|addr| (addr.id(), addr.name()));
    assert_eq!(path.collect::<Vec<_>>(), circle.collect::<Vec<_>>());
}

/// Nothing is left of circles: the actors ask each other as before.
async fn assert_free(actors: &[&Addr<Worker>]) {
    for asker in actors {
        for other in actors.iter().filter(|other| other.id() != asker.id()) {
            assert_eq!(soon(asker.ask(asking(other))).await.unwrap().unwrap(), 7);
        }
    }
    for actor in actors {
        stop(actor).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn an_ask_to_oneself() {
    let (a, log) = Worker::logged();
    let result = soon(a.ask(asking(&a))).await.unwrap();
    assert_circle(result, &[&a]);
    assert_eq!(log.len(), 0);
    stop(&a).await;
    assert_eq!(log.len(), 0, "the message was posted");
}

#[actors_core::test(start_paused = true)]
async fn a_circle_of_two() {
    let (a, b) = (worker("a"), worker("b"));
    let result = soon(a.ask(asking_through(&b, &a))).await.unwrap().unwrap();
    assert_circle(result, &[&b, &a]);
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn a_circle_of_three() {
    let (a, b, c) = (worker("a"), worker("b"), worker("c"));
    let (b2, to_c) = (b.clone(), asking_through(&c, &a));
    let result = soon(a.ask(run(async move { b2.ask(to_c).await }))).await;
    let result = result.unwrap().unwrap().unwrap();
    assert_circle(result, &[&c, &a, &b]);
    assert_free(&[&a, &b, &c]).await;
}

#[actors_core::test(start_paused = true)]
async fn the_error_shows_the_circle() {
    let (a, b) = (worker("alice"), worker("bob"));
    let result = soon(a.ask(asking_through(&b, &a))).await.unwrap().unwrap();
    let (a_id, b_id) = (a.id(), b.id());
    assert_eq!(
        result.unwrap_err().to_string(),
        format!("waiting would never end: bob{b_id} -> alice{a_id} -> bob{b_id}")
    );
}

#[actors_core::test(start_paused = true)]
async fn one_of_two_asks_that_are_awaited_together() {
    let (a, b, c) = (worker("a"), worker("b"), worker("c"));
    for closing_first in [true, false] {
        let (a2, b2, c2) = (a.clone(), b.clone(), c.clone());
        let both = run(async move {
            let closing = c2.ask(asking(&a2));
            let harmless = b2.ask(Note(1));
            if closing_first {
                let (closing, harmless) = tokio::join!(closing, harmless);
                (closing, harmless)
            } else {
                let (harmless, closing) = tokio::join!(harmless, closing);
                (closing, harmless)
            }
        });
        let (closing, harmless) = soon(a.ask(both)).await.unwrap();
        assert_circle(closing.unwrap(), &[&c, &a]);
        assert_eq!(harmless.unwrap(), 1);
    }
    assert_free(&[&a, &b, &c]).await;
}

#[actors_core::test(start_paused = true)]
async fn an_ask_beside_one_to_the_same_actor_that_has_ended() {
    let (a, b) = (worker("a"), worker("b"));
    let (a2, b2) = (a.clone(), b.clone());
    let both = run(async move { tokio::join!(b2.ask(Note(1)), b2.ask(asking(&a2))) });
    let (first, second) = soon(a.ask(both)).await.unwrap();
    assert_eq!(first.unwrap(), 1);
    assert_circle(second.unwrap(), &[&b, &a]);
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn an_ask_beside_one_to_the_same_actor_that_was_answered_late() {
    let (a, b) = (worker("a"), worker("b"));
    let gate = Gate::new();
    let late = deferring(&gate);
    let (answered, was_answered) = oneshot::channel();
    let (a2, b2) = (a.clone(), b.clone());
    let both = run(async move {
        let late = async {
            let result = b2.ask(late).await;
            answered.send(()).unwrap();
            result
        };
        let closing = run(async move {
            was_answered.await.unwrap();
            a2.ask(Note(7)).await
        });
        tokio::join!(late, b2.ask(closing))
    });
    let both = a.ask(both).post().unwrap();
    soon(gate.entered()).await;
    gate.open();
    let (late, closing) = soon(both).await.unwrap();
    assert_eq!(late.unwrap(), 1);
    assert_circle(closing.unwrap(), &[&b, &a]);
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn a_send_that_waits_for_room_and_closes_the_circle() {
    let a = worker("a");
    let (b, _) = Worker::logged_with(SpawnOptions::new().name("b").capacity(1));
    // `b` waits for `a`, its mailbox is full; then `a` waits for room in it.
    let gate = Gate::new();
    let (b2, gate2) = (b.clone(), gate.clone());
    let tokens = Tokens::default();
    let token = tokens.token();
    let sending = run(async move {
        gate2.pass().await;
        b2.send(run(async move { drop(token) })).await
    });
    let sending = a.ask(sending).post().unwrap();
    soon(gate.entered()).await;
    let asks = b.ask(asking(&a)).post().unwrap();
    while a.mailbox_len() < 2 {
        yield_now().await;
    }
    b.tell(Note(1)).unwrap();
    gate.open();
    match soon(sending).await.unwrap() {
        Err(SendError::Deadlock(msg, path)) => {
            assert_path(&path, &[&a, &b]);
            assert_eq!(tokens.left(), 1, "the message comes back");
            drop(msg);
        }
        other => panic!("no deadlock but {other:?}"),
    }
    assert_eq!(soon(asks).await.unwrap().unwrap(), 7);
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn an_ask_that_closes_a_circle_with_a_send_that_waits_for_room() {
    let a = worker("a");
    let (b, log) = Worker::logged_with(SpawnOptions::new().name("b").capacity(1));
    let gate = Gate::new();
    let (a2, gate2) = (a.clone(), gate.clone());
    let asks = run(async move {
        gate2.pass().await;
        a2.ask(Note(7)).await
    });
    let asks = b.ask(asks).post().unwrap();
    soon(gate.entered()).await;
    b.tell(Note(1)).unwrap();
    let b2 = b.clone();
    let mut sending = pin!(a.ask(run(async move { b2.send(Note(2)).await })));
    assert!(once(&mut sending).await.is_pending());
    while a.mailbox_len() == 0 {
        yield_now().await;
    }
    yield_now().await;
    gate.open();
    assert_circle(soon(asks).await.unwrap(), &[&b, &a]);
    soon(sending).await.unwrap().unwrap();
    assert_free(&[&a, &b]).await;
    assert!(log.all().starts_with(&[1, 2]), "{:?}", log.all());
}

#[actors_core::test(start_paused = true)]
async fn an_ask_that_closes_a_circle_with_a_send_that_is_not_the_first_to_wait_for_room() {
    // The room that the message leaves behind goes to somebody else.
    let a = worker("a");
    let (b, _) = Worker::logged_with(SpawnOptions::new().name("b").capacity(1));
    let gate = held(&b).await;
    let asks = b.ask(asking(&a)).post().unwrap();
    let mut first = pin!(b.send(Note(5)));
    assert!(once(&mut first).await.is_pending());
    let (b2, waits) = (b.clone(), Gate::new());
    let waits2 = waits.clone();
    let sends = run(async move {
        let mut send = pin!(b2.send(Note(9)));
        assert!(once(&mut send).await.is_pending(), "there is no room");
        tokio::join!(send, waits2.pass()).0
    });
    let sends = a.ask(sends).post().unwrap();
    soon(waits.entered()).await;
    waits.open();
    gate.open();
    let (first, asked, sent) = soon(async { tokio::join!(first, asks, sends) }).await;
    first.unwrap();
    let (asked, sent) = (asked.unwrap(), sent.unwrap());
    assert!(
        matches!(asked, Err(AskError::Deadlock { .. }))
            || matches!(sent, Err(SendError::Deadlock(..))),
        "{asked:?}, {sent:?}"
    );
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn an_ask_that_waits_for_room_and_closes_the_circle() {
    let a = worker("a");
    let (b, _) = Worker::logged_with(SpawnOptions::new().name("b").capacity(1));
    let gate = Gate::new();
    let (b2, gate2) = (b.clone(), gate.clone());
    let asks = run(async move {
        gate2.pass().await;
        b2.ask(Note(1)).await
    });
    let asks = a.ask(asks).post().unwrap();
    soon(gate.entered()).await;
    let other = b.ask(asking(&a)).post().unwrap();
    while a.mailbox_len() < 2 {
        yield_now().await;
    }
    b.tell(Note(2)).unwrap();
    gate.open();
    assert_circle(soon(asks).await.unwrap(), &[&a, &b]);
    assert_eq!(soon(other).await.unwrap().unwrap(), 7);
    assert_free(&[&a, &b]).await;
}

/// A message that the actor forwards to another one.
fn forwarding(to: &Addr<Worker>, msg: Run<Result<u32, AskError>>) -> With<Result<u32, AskError>> {
    let to = to.clone();
    with(move |ctx| Box::pin(async move { ctx.forward(&to, msg).await }))
}

#[actors_core::test(start_paused = true)]
async fn a_circle_through_a_forwarded_ask() {
    let (a, b, c) = (worker("a"), worker("b"), worker("c"));
    let (b2, forwarding) = (b.clone(), forwarding(&c, asking(&a)));
    let result = soon(a.ask(run(async move { b2.ask(forwarding).await }))).await;
    assert_circle(result.unwrap().unwrap(), &[&c, &a]);
    assert_free(&[&a, &b, &c]).await;
}

#[actors_core::test(start_paused = true)]
async fn a_circle_through_an_ask_that_was_posted_and_forwarded() {
    let (a, b, c) = (worker("a"), worker("b"), worker("c"));
    let gate = Gate::new();
    let (b2, gate2) = (b.clone(), gate.clone());
    let forwarding = forwarding(&c, asking(&a));
    let asks = run(async move {
        let reply = b2.ask(forwarding).post().unwrap();
        gate2.pass().await;
        reply.await
    });
    let asks = a.ask(asks).post().unwrap();
    soon(gate.entered()).await;
    // `c` waits for `a` now.
    while a.mailbox_len() < 2 {
        yield_now().await;
    }
    gate.open();
    match soon(asks).await.unwrap() {
        Err(AskError::Deadlock {
            path, may_have_run, ..
        }) => {
            assert!(may_have_run);
            assert_path(&path, &[&a, &c]);
        }
        other => panic!("no deadlock but {other:?}"),
    }
    assert_free(&[&a, &b, &c]).await;
}

#[actors_core::test(start_paused = true)]
async fn a_forward_that_closes_the_circle() {
    let (a, b, c) = (worker("a"), worker("b"), worker("c"));
    let gate = Gate::new();
    let (gate2, c2) = (gate.clone(), c.clone());
    let forwarding = with(move |ctx| {
        Box::pin(async move {
            gate2.pass().await;
            ctx.forward(&c2, Note(1)).await
        })
    });
    let b2 = b.clone();
    let asks = a.ask(run(async move { b2.ask(forwarding).await }));
    let asks = asks.post().unwrap();
    soon(gate.entered()).await;
    let waits = c.ask(asking(&a)).post().unwrap();
    while a.mailbox_len() < 2 {
        yield_now().await;
    }
    gate.open();
    match soon(asks).await.unwrap() {
        Err(AskError::Deadlock {
            path, may_have_run, ..
        }) => {
            assert!(may_have_run, "the handler of `b` has run");
            assert_path(&path, &[&a, &c]);
        }
        other => panic!("no deadlock but {other:?}"),
    }
    assert_eq!(soon(waits).await.unwrap().unwrap(), 7);
    assert_free(&[&a, &b, &c]).await;
}

#[actors_core::test(start_paused = true)]
async fn a_forward_that_waits_for_room_and_closes_the_circle() {
    let b = worker("b");
    let (c, _) = Worker::logged_with(SpawnOptions::new().name("c").capacity(1));
    let gate = Gate::new();
    let (gate2, c2) = (gate.clone(), c.clone());
    let forwarding = with(move |ctx| {
        Box::pin(async move {
            gate2.pass().await;
            ctx.forward(&c2, Note(1)).await
        })
    });
    let asks = b.ask(forwarding).post().unwrap();
    soon(gate.entered()).await;
    let waits = c.ask(asking(&b)).post().unwrap();
    while b.mailbox_len() < 2 {
        yield_now().await;
    }
    c.tell(Note(2)).unwrap();
    gate.open();
    match soon(asks).await {
        Err(AskError::Deadlock { path, .. }) => assert_path(&path, &[&b, &c]),
        other => panic!("no deadlock but {other:?}"),
    }
    assert_eq!(soon(waits).await.unwrap().unwrap(), 7);
    assert_free(&[&b, &c]).await;
}

#[actors_core::test(start_paused = true)]
async fn a_posted_ask_to_oneself_that_is_awaited() {
    let (a, log) = Worker::logged();
    let a2 = a.clone();
    let posting = run(async move {
        let reply = a2.ask(Note(1)).post().unwrap();
        reply.await
    });
    let result = soon(a.ask(posting)).await.unwrap();
    assert_circle(result, &[&a]);
    stop(&a).await;
    assert_eq!(log.len(), 0, "the message was withdrawn");
}

#[actors_core::test(start_paused = true)]
async fn a_posted_ask_in_a_circle_of_two_that_is_awaited() {
    let (a, b) = (worker("a"), worker("b"));
    let gate = Gate::new();
    let (a2, b2, gate2) = (a.clone(), b.clone(), gate.clone());
    let posting = run(async move {
        let reply = b2.ask(asking(&a2)).post().unwrap();
        gate2.pass().await;
        reply.await
    });
    let posting = a.ask(posting).post().unwrap();
    soon(gate.entered()).await;
    while a.mailbox_len() < 2 {
        yield_now().await;
    }
    gate.open();
    match soon(posting).await.unwrap() {
        Err(AskError::Deadlock {
            path, may_have_run, ..
        }) => {
            assert!(may_have_run, "its handler waits for `a`");
            assert_path(&path, &[&a, &b]);
        }
        other => panic!("no deadlock but {other:?}"),
    }
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn an_ask_that_was_polled_and_then_posted_in_a_circle_of_two() {
    for limit in [None, Some(Duration::from_secs(3_600))] {
        let (a, b) = (worker("a"), worker("b"));
        // Sent by nobody, and awaited by `a`.
        let mut ask = b.ask(asking(&a));
        if let Some(limit) = limit {
            ask = ask.timeout(limit);
        }
        assert!(once(&mut ask).await.is_pending());
        let waiting = a.ask(run(ask.post().unwrap()));
        assert_circle(soon(waiting).await.unwrap().unwrap(), &[&b, &a]);
        assert_free(&[&a, &b]).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn an_ask_that_was_polled_by_one_handler_and_is_awaited_by_the_next() {
    for limit in [None, Some(Duration::from_secs(3_600))] {
        let (a, b) = (worker("a"), worker("b"));
        let slot = Arc::new(Mutex::new(None));
        let (a2, b2, slot2) = (a.clone(), b.clone(), Arc::clone(&slot));
        let polling = run(async move {
            let mut ask = b2.ask(asking(&a2));
            if let Some(limit) = limit {
                ask = ask.timeout(limit);
            }
            assert!(once(&mut ask).await.is_pending());
            *slot2.lock().unwrap() = Some(ask.post().unwrap());
        });
        let polling = a.ask(polling).post().unwrap();
        let waiting = run(async move {
            let reply = slot.lock().unwrap().take().unwrap();
            reply.await
        });
        let waiting = a.ask(waiting).post().unwrap();
        soon(polling).await.unwrap();
        assert_circle(soon(waiting).await.unwrap().unwrap(), &[&b, &a]);
        assert_free(&[&a, &b]).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn a_circle_that_is_closed_while_an_actor_starts() {
    struct Starting(Addr<Worker>, Arc<Mutex<Option<AskError>>>);
    impl Actor for Starting {
        async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
            let me = ctx.addr();
            let back = run(async move { me.ask(Asked).await.map(u32::from) });
            *self.1.lock().unwrap() = self.0.ask(back).await.unwrap().err();
            Ok(())
        }
    }
    #[handlers]
    impl Starting {
        fn asked(&mut self) -> bool {
            self.1.lock().unwrap().is_some()
        }
    }
    let a = worker("a");
    let error = Arc::default();
    let starting = Starting(a.clone(), Arc::clone(&error)).spawn();
    assert!(soon(starting.ask(Asked)).await.unwrap());
    let error = error.lock().unwrap().take();
    assert!(
        matches!(error, Some(AskError::Deadlock { .. })),
        "{error:?}"
    );
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_actors_that_ask_each_other_at_the_same_time() {
    let _alone = alone().await;
    for _ in 0..3_000 {
        let (a, b) = (worker("a"), worker("b"));
        let both = Arc::new(Barrier::new(2));
        let each = |other: &Addr<Worker>| {
            let (other, both) = (other.clone(), Arc::clone(&both));
            run(async move {
                both.wait().await;
                other.ask(Note(7)).await
            })
        };
        let (to_b, to_a) = (each(&b), each(&a));
        let results = soon(async { tokio::join!(a.ask(to_b), b.ask(to_a)) }).await;
        let results = [results.0.unwrap(), results.1.unwrap()];
        let refused = results.iter().filter(|result| match result {
            Ok(7) => false,
            Err(AskError::Deadlock { .. }) => true,
            other => panic!("{other:?}"),
        });
        assert!(refused.count() >= 1);
        stop(&a).await;
        stop(&b).await;
    }
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_actors_that_send_to_each_other_at_the_same_time() {
    let _alone = alone().await;
    for _ in 0..1_000 {
        let (a, log_a) = Worker::logged_with(SpawnOptions::new().capacity(1));
        let (b, log_b) = Worker::logged_with(SpawnOptions::new().capacity(1));
        let both = Arc::new(Barrier::new(3));
        let each = |other: &Addr<Worker>| {
            let (other, both) = (other.clone(), Arc::clone(&both));
            run(async move {
                both.wait().await;
                other.send(Note(1)).await
            })
        };
        let to_b = a.ask(each(&b)).post().unwrap();
        let to_a = b.ask(each(&a)).post().unwrap();
        // Both handlers run now, so both mailboxes take one message.
        soon(a.send(Note(0))).await.unwrap();
        soon(b.send(Note(0))).await.unwrap();
        both.wait().await;
        let results = [soon(to_b).await.unwrap(), soon(to_a).await.unwrap()];
        let refused = results.iter().filter(|result| result.is_err());
        assert!(refused.count() >= 1);
        stop(&a).await;
        stop(&b).await;
        // What was sent by the one that was not refused has come.
        for (result, log) in results.iter().zip([log_b, log_a]) {
            match result {
                Ok(()) => assert_eq!(log.all(), [0, 1]),
                Err(SendError::Deadlock(..)) => assert_eq!(log.all(), [0]),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[actors_core::test(start_paused = true)]
async fn no_circle_where_the_actor_is_busy_for_somebody_else() {
    let (a, b) = (worker("a"), worker("b"));
    let gate = held(&b).await;
    let mut asks = pin!(a.ask(asking(&b)));
    assert!(once(&mut asks).await.is_pending());
    yield_now().await;
    gate.open();
    assert_eq!(soon(asks).await.unwrap().unwrap(), 7);
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn no_circle_in_a_chain() {
    let (a, b, c, d) = (worker("a"), worker("b"), worker("c"), worker("d"));
    let (b2, to_c) = (b.clone(), asking_through(&c, &d));
    let result = soon(a.ask(run(async move { b2.ask(to_c).await }))).await;
    assert_eq!(result.unwrap().unwrap().unwrap().unwrap(), 7);
    assert_free(&[&a, &b, &c, &d]).await;
}

#[actors_core::test(start_paused = true)]
async fn no_circle_after_the_reply() {
    // On one thread `b` answers `a` and goes on to the next message before `a` runs again.
    let (a, b) = (worker("a"), worker("b"));
    let gate = held(&b).await;
    let asks = a.ask(asking(&b)).post().unwrap();
    while b.mailbox_len() < 2 {
        yield_now().await;
    }
    let back = b.ask(asking(&a)).post().unwrap();
    gate.open();
    assert_eq!(soon(back).await.unwrap().unwrap(), 7, "`a` waits no more");
    assert_eq!(soon(asks).await.unwrap().unwrap(), 7);
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn no_circle_where_the_message_being_handled_has_left_room() {
    // `a` waits for room that the very message which asks `a` has left behind.
    let a = worker("a");
    for (capacity, stashed) in [(1, 0), (2, 0), (1, 1), (2, 3)] {
        let options = SpawnOptions::new().name("b").capacity(capacity);
        let (b, log) = Worker::logged_with(options);
        for _ in 0..stashed {
            // What is in the stash takes no room.
            let stashes = with(|ctx| Box::pin(async { ctx.stash(Note(8)).unwrap().await }));
            b.send(stashes).await.unwrap();
        }
        b.caught_up().await.unwrap();
        let gate = held(&b).await;
        for n in 1..u32::try_from(capacity).unwrap() {
            b.tell(Note(n)).unwrap();
        }
        let back = b.ask(asking(&a)).post().unwrap();
        let (b2, waits) = (b.clone(), Gate::new());
        let waits2 = waits.clone();
        let sends = run(async move {
            let mut send = pin!(b2.send(Note(9)));
            assert!(once(&mut send).await.is_pending(), "there is no room");
            tokio::join!(send, waits2.pass()).0
        });
        let sends = a.ask(sends).post().unwrap();
        soon(waits.entered()).await;
        waits.open();
        gate.open();
        assert_eq!(soon(back).await.unwrap().unwrap(), 7);
        soon(sends).await.unwrap().unwrap();
        stop(&b).await;
        assert_eq!(log.all().last(), Some(&9));
    }
    stop(&a).await;
}

/// A message whose reply is taken away, and given by a task once the gate opens.
fn deferring(gate: &Gate) -> With<u32> {
    let gate = gate.clone();
    with(move |ctx| {
        Box::pin(async move {
            let later = |reply: Deferred<u32>| {
                tokio::spawn(async move {
                    gate.pass().await;
                    reply.answer(1);
                });
            };
            ctx.defer(later).await
        })
    })
}

#[actors_core::test(start_paused = true)]
async fn no_circle_where_the_reply_was_deferred() {
    let (a, b) = (worker("a"), worker("b"));
    let gate = Gate::new();
    let (b2, deferring) = (b.clone(), deferring(&gate));
    let asks = a.ask(run(async move { b2.ask(deferring).await }));
    let asks = asks.post().unwrap();
    soon(gate.entered()).await;
    // The task answers, whatever `b` does.
    let mut back = b.ask(asking(&a)).post().unwrap();
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(once(&mut back).await.is_pending());
    gate.open();
    assert_eq!(soon(asks).await.unwrap().unwrap(), 1);
    assert_eq!(soon(back).await.unwrap().unwrap(), 7);
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn no_circle_where_the_reply_of_a_posted_ask_was_deferred() {
    let (a, b) = (worker("a"), worker("b"));
    let (gate, awaiting) = (Gate::new(), Gate::new());
    let (b2, deferring, awaiting2) = (b.clone(), deferring(&gate), awaiting.clone());
    let asks = run(async move {
        let reply = b2.ask(deferring).post().unwrap();
        awaiting2.pass().await;
        reply.await
    });
    let asks = a.ask(asks).post().unwrap();
    soon(gate.entered()).await;
    let back = b.ask(asking(&a)).post().unwrap();
    while a.mailbox_len() < 2 {
        yield_now().await;
    }
    // `b` waits for `a`, which now waits for what the task answers.
    awaiting.open();
    for _ in 0..10 {
        yield_now().await;
    }
    gate.open();
    assert_eq!(soon(asks).await.unwrap().unwrap(), 1);
    assert_eq!(soon(back).await.unwrap().unwrap(), 7);
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn no_circle_where_the_handler_has_given_up() {
    let (a, b) = (worker("a"), worker("b"));
    let gate = held(&b).await;
    let (gave_up, go_on) = (Gate::new(), b.clone());
    let gave_up2 = gave_up.clone();
    let asks = run(async move {
        assert!(once(&mut go_on.ask(Note(1))).await.is_pending());
        gave_up2.pass().await;
    });
    let asks = a.ask(asks).post().unwrap();
    soon(gave_up.entered()).await;
    // `a` is busy, but does not wait for `b` any more.
    let mut back = b.ask(asking(&a)).post().unwrap();
    gate.open();
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(once(&mut back).await.is_pending());
    gave_up.open();
    soon(asks).await.unwrap();
    assert_eq!(soon(back).await.unwrap().unwrap(), 7);
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn no_circle_where_the_handler_that_waited_has_ended() {
    #[derive(Actor)]
    struct Aborts(Addr<Worker>);
    #[handlers]
    impl Aborts {
        #[abort_on_cancel]
        async fn ask_other(&mut self) -> Result<u32, AskError> {
            self.0.ask(Note(1)).await
        }
        fn other(&mut self) -> ActorId {
            self.0.id()
        }
    }
    let b = worker("b");
    let a = Aborts(b.clone()).spawn();
    let gate = held(&b).await;
    let asks = a.ask_other().post().unwrap();
    while b.mailbox_len() < 2 {
        yield_now().await;
    }
    drop(asks);
    // The handler was dropped.
    assert_eq!(soon(a.other()).await.unwrap(), b.id());
    let (a2, gate2) = (a.clone(), Gate::new());
    let gate3 = gate2.clone();
    let back = run(async move {
        gate3.pass().await;
        a2.other().await
    });
    let back = b.ask(back).post().unwrap();
    gate.open();
    soon(gate2.entered()).await;
    gate2.open();
    assert_eq!(soon(back).await.unwrap().unwrap(), b.id());
    stop(&a).await;
    stop(&b).await;
}

#[actors_core::test(start_paused = true)]
async fn no_circle_where_an_actor_waits_outside_of_its_handlers() {
    let (a, b) = (worker("a"), worker("b"));
    let gate = held(&b).await;
    let (b2, b3) = (b.clone(), b.clone());
    let outside = with(move |ctx| {
        Box::pin(async move {
            ctx.pipe(async move { b2.ask(Note(1)).await.unwrap() }, Note);
            let mut tasks = JoinSet::new();
            tasks.spawn(async move { b3.ask(Note(2)).await });
            tasks
        })
    });
    let mut tasks = soon(a.ask(outside)).await.unwrap();
    while b.mailbox_len() < 3 {
        yield_now().await;
    }
    // Two asks by `a` wait in `b`, but `a` is free.
    let (b4, a2) = (b.clone(), a.clone());
    gate.open();
    assert_eq!(soon(b4.ask(asking(&a2))).await.unwrap().unwrap(), 7);
    assert_eq!(soon(tasks.join_next()).await.unwrap().unwrap().unwrap(), 2);
    assert_free(&[&a, &b]).await;
}

#[actors_core::test(start_paused = true)]
async fn no_circle_where_the_ask_was_carried_out_of_the_handler() {
    let (a, b) = (worker("a"), worker("b"));
    let gate = held(&b).await;
    let b2 = b.clone();
    let carrying = run(async move {
        let mut ask = Box::pin(async move { b2.ask(Note(1)).await });
        // Begun here, awaited elsewhere.
        assert!(once(&mut ask).await.is_pending());
        let mut tasks = JoinSet::new();
        tasks.spawn(ask);
        tasks
    });
    let mut tasks = soon(a.ask(carrying)).await.unwrap();
    gate.open();
    assert_eq!(soon(tasks.join_next()).await.unwrap().unwrap().unwrap(), 1);
    assert_eq!(soon(b.ask(asking(&a))).await.unwrap().unwrap(), 7);
    assert_free(&[&a, &b]).await;
}

#[actors_core::test]
async fn a_handler_that_runs_for_too_long_is_reported() {
    let _alone = alone().await;
    let mut events = events();
    let options = SpawnOptions::new()
        .name("slow")
        .stuck_after(Duration::from_millis(50));
    let (slow, _) = Worker::logged_with(options);
    let gate = Gate::new();
    slow.tell(hold(&gate)).unwrap();
    let (name, message, running) = next_event(&mut events, |event| match event {
        Event::Stuck {
            actor,
            message,
            running,
            ..
        } if actor.id() == slow.id() => Some((actor.name().to_owned(), message, running)),
        _ => None,
    })
    .await;
    assert_eq!(name, "slow");
    assert_eq!(message, std::any::type_name::<Run<()>>());
    assert!(running >= Duration::from_millis(50), "{running:?}");
    gate.open();
    stop(&slow).await;
}
