//! Giving up an ask withdraws what waits and tells what runs; deadlines go along.
use crate::kit::{
    Gate, Log, Note, Run, Tokens, With, Worker, held, hold, once, run, soon, stop, with,
};
use actors_core::{
    Actor, Addr, AskError, Cancellation, Context, Deferred, Reply, SpawnOptions, handlers,
};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// The ways to give up.
#[derive(Clone, Copy, Debug)]
enum GiveUp {
    Drop,
    Cancel,
    TimeOut,
}

const WAYS: [GiveUp; 3] = [GiveUp::Drop, GiveUp::Cancel, GiveUp::TimeOut];

async fn give_up<R: Send + std::fmt::Debug + 'static>(mut reply: Reply<R>, how: GiveUp) {
    match how {
        GiveUp::Drop => drop(reply),
        GiveUp::Cancel => {
            reply.cancel();
            let error = soon(reply).await.unwrap_err();
            assert!(matches!(error, AskError::Cancelled { .. }), "{error}");
        }
        GiveUp::TimeOut => {
            let error = soon(reply.timeout(SECOND)).await.unwrap_err();
            assert!(matches!(error, AskError::TimedOut { .. }), "{error}");
        }
    }
}

/// A message that logs when it is handled, and holds a token.
fn tracked(log: &Log, tokens: &Tokens) -> Run<u32> {
    let (log, token) = (log.clone(), tokens.token());
    run(async move {
        log.add(1);
        drop(token);
        1
    })
}

#[actors_core::test(start_paused = true)]
async fn what_waits_is_withdrawn() {
    for how in WAYS {
        let (worker, log) = Worker::logged();
        let tokens = Tokens::default();
        let gate = held(&worker).await;
        let reply = worker.ask(tracked(&log, &tokens)).post().unwrap();
        give_up(reply, how).await;
        gate.open();
        // Behind it: the actor has come by.
        assert_eq!(soon(worker.ask(Note(2))).await.unwrap(), 2);
        assert_eq!(log.all(), [2], "{how:?}: it was handled");
        assert_eq!(tokens.drops(), [1], "{how:?}");
        assert_eq!(worker.mailbox_stats().withdrawn, 1);
        stop(&worker).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn an_ask_that_is_dropped_while_it_waits_is_withdrawn() {
    let (worker, log) = Worker::logged();
    let tokens = Tokens::default();
    let gate = held(&worker).await;
    {
        let mut ask = worker.ask(tracked(&log, &tokens));
        assert!(once(&mut ask).await.is_pending());
    }
    let timed = worker.ask(tracked(&log, &tokens)).timeout(SECOND);
    assert!(matches!(soon(timed).await, Err(AskError::TimedOut { .. })));
    gate.open();
    stop(&worker).await;
    assert_eq!(log.len(), 0);
    assert_eq!(tokens.drops(), [1, 1]);
    assert_eq!(worker.mailbox_stats().withdrawn, 2);
}

#[actors_core::test(start_paused = true)]
async fn an_ask_that_was_never_polled_sends_nothing() {
    let (worker, log) = Worker::logged();
    let tokens = Tokens::default();
    drop(worker.ask(tracked(&log, &tokens)));
    assert_eq!(tokens.drops(), [1]);
    assert_eq!(worker.mailbox_stats().accepted, 0);
    stop(&worker).await;
}

#[actors_core::test(start_paused = true)]
async fn a_running_handler_is_told() {
    for how in WAYS {
        let (worker, log) = Worker::logged();
        let gate = Gate::new();
        let gate2 = gate.clone();
        let told = log.clone();
        let handler = with(move |ctx| {
            Box::pin(async move {
                assert!(!ctx.is_cancelled());
                let cancelled = ctx.cancelled();
                gate2.pass().await;
                cancelled.await;
                assert!(ctx.is_cancelled());
                // It may end in its own time.
                yield_now().await;
                told.add(1);
            })
        });
        let reply = worker.ask(handler).post().unwrap();
        soon(gate.entered()).await;
        gate.open();
        give_up(reply, how).await;
        assert_eq!(soon(worker.ask(Note(2))).await.unwrap(), 2);
        assert_eq!(log.all(), [1, 2], "{how:?}");
        assert_eq!(worker.mailbox_stats().handled, 2, "it ran to its end");
        stop(&worker).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn a_running_handler_sees_that_without_waiting_for_it() {
    let (worker, log) = Worker::logged();
    let gate = Gate::new();
    let gate2 = gate.clone();
    let seen = log.clone();
    let handler = with(move |ctx| {
        Box::pin(async move {
            seen.add(u32::from(ctx.is_cancelled()));
            gate2.pass().await;
            seen.add(u32::from(ctx.is_cancelled()));
        })
    });
    let reply = worker.ask(handler).post().unwrap();
    soon(gate.entered()).await;
    drop(reply);
    gate.open();
    stop(&worker).await;
    assert_eq!(log.all(), [0, 1]);
}

#[actors_core::test(start_paused = true)]
async fn the_next_message_is_not_taken_for_cancelled() {
    let (worker, log) = Worker::logged();
    let gate = Gate::new();
    let first = worker.ask(hold(&gate)).post().unwrap();
    soon(gate.entered()).await;
    drop(first);
    let seen = log.clone();
    let next = with(move |ctx| {
        Box::pin(async move {
            seen.add(u32::from(ctx.is_cancelled()));
            let mut cancelled = pin!(ctx.cancelled());
            seen.add(u32::from(once(&mut cancelled).await.is_ready()));
        })
    });
    let next = worker.ask(next).post().unwrap();
    gate.open();
    soon(next).await.unwrap();
    assert_eq!(log.all(), [0, 0]);
    stop(&worker).await;
}

#[actors_core::test(start_paused = true)]
async fn what_is_told_is_never_cancelled() {
    let (worker, log) = Worker::logged();
    let seen = log.clone();
    let handler = move || {
        let seen = seen.clone();
        with(move |ctx| {
            Box::pin(async move {
                seen.add(u32::from(ctx.is_cancelled()));
                let mut cancelled = pin!(ctx.cancelled());
                seen.add(u32::from(once(&mut cancelled).await.is_ready()));
            })
        })
    };
    worker.tell(handler()).unwrap();
    soon(worker.send(handler())).await.unwrap();
    stop(&worker).await;
    assert_eq!(log.all(), [0, 0, 0, 0]);
}

#[actors_core::test(start_paused = true)]
async fn what_is_detached_is_handled() {
    let (worker, log) = Worker::logged();
    let tokens = Tokens::default();
    let gate = held(&worker).await;
    worker.ask(tracked(&log, &tokens)).post().unwrap().detach();
    let seen = log.clone();
    let asked =
        with(move |ctx| Box::pin(async move { seen.add(if ctx.is_cancelled() { 9 } else { 2 }) }));
    worker.ask(asked).post().unwrap().detach();
    // Also one whose reply would have timed out.
    let timed = worker.ask(Note(3)).post().unwrap().timeout(SECOND);
    timed.detach();
    tokio::time::advance(2 * SECOND).await;
    gate.open();
    stop(&worker).await;
    assert_eq!(log.all(), [1, 2, 3]);
    assert_eq!(tokens.drops(), [1]);
}

#[actors_core::test(start_paused = true)]
async fn detaching_what_runs_does_not_cancel_it() {
    let (worker, log) = Worker::logged();
    let gate = Gate::new();
    let (gate2, seen) = (gate.clone(), log.clone());
    let handler = with(move |ctx| {
        Box::pin(async move {
            let mut cancelled = pin!(ctx.cancelled());
            gate2.pass().await;
            seen.add(u32::from(once(&mut cancelled).await.is_ready()));
        })
    });
    let reply = worker.ask(handler).post().unwrap();
    soon(gate.entered()).await;
    reply.detach();
    gate.open();
    stop(&worker).await;
    assert_eq!(log.all(), [0]);
}

#[actors_core::test(start_paused = true)]
async fn cancelling_says_whether_it_came_in_time() {
    let (worker, _) = Worker::logged();
    let gate = Gate::new();
    let mut running = worker.ask(hold(&gate)).post().unwrap();
    soon(gate.entered()).await;
    let mut waiting = worker.ask(Note(1)).post().unwrap();
    assert!(!running.cancel());
    assert!(waiting.cancel());
    assert!(!waiting.cancel(), "once");
    gate.open();
    let mut replied = worker.ask(Note(2)).post().unwrap();
    while !replied.is_ready() {
        yield_now().await;
    }
    assert!(!replied.cancel());
    assert_eq!(replied.try_take().unwrap().unwrap(), 2, "the reply stays");
    stop(&worker).await;
}

/// Has handlers that end when their askers give up.
#[derive(Actor)]
struct Aborting {
    gate: Gate,
    tokens: Tokens,
    log: Log,
}

#[handlers]
impl Aborting {
    #[abort_on_cancel]
    async fn work(&mut self, ctx: &mut Context<Self>) -> u32 {
        let _dropped_with_the_handler = self.tokens.token();
        assert!(!ctx.is_cancelled());
        self.log.add(1);
        self.gate.pass().await;
        self.log.add(2);
        3
    }

    fn begun(&mut self) -> usize {
        self.log.len()
    }
}

fn aborting() -> Aborting {
    Aborting {
        gate: Gate::new(),
        tokens: Tokens::default(),
        log: Log::default(),
    }
}

#[actors_core::test(start_paused = true)]
async fn a_handler_that_aborts_is_dropped_at_its_await() {
    for how in WAYS {
        let actor = aborting();
        let (gate, tokens, log) = (actor.gate.clone(), actor.tokens.clone(), actor.log.clone());
        let actor = actor.spawn();
        let reply = actor.work().post().unwrap();
        soon(gate.entered()).await;
        give_up(reply, how).await;
        // The gate stays closed: the actor is free because the handler is gone.
        assert_eq!(soon(actor.begun()).await.unwrap(), 1, "{how:?}");
        assert_eq!(tokens.drops(), [1], "{how:?}");
        assert_eq!(log.all(), [1]);
        let stats = actor.mailbox_stats();
        assert_eq!((stats.handled, stats.failed, stats.withdrawn), (1, 1, 0));
        stop(&actor).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn a_handler_that_could_abort_runs_to_its_end() {
    let actor = aborting();
    let gate = actor.gate.clone();
    let actor = actor.spawn();
    let asked = actor.work().post().unwrap();
    soon(gate.entered()).await;
    gate.open();
    assert_eq!(soon(asked).await.unwrap(), 3);
    // Told: nobody gives up.
    actor.tell(Work).unwrap();
    stop(&actor).await;
    assert_eq!(actor.mailbox_stats().handled, 2);
}

/// A message whose handler answers how long it has left.
fn left() -> With<Option<Duration>> {
    with(|ctx| Box::pin(async move { ctx.deadline().map(|deadline| deadline - Instant::now()) }))
}

#[actors_core::test(start_paused = true)]
async fn a_timeout_is_the_handlers_deadline() {
    let (worker, _) = Worker::logged();
    assert_eq!(soon(worker.ask(left())).await.unwrap(), None);
    let asked = worker.ask(left()).timeout(3 * SECOND);
    assert_eq!(soon(asked).await.unwrap(), Some(3 * SECOND));
    let posted = worker.ask(left()).timeout(2 * SECOND).post().unwrap();
    assert_eq!(soon(posted).await.unwrap(), Some(2 * SECOND));
    // It ends with the message.
    assert_eq!(soon(worker.ask(left())).await.unwrap(), None);
    worker.tell(left()).unwrap();
    stop(&worker).await;
}

#[actors_core::test(start_paused = true)]
async fn a_deadline_is_inherited_through_two_hops() {
    let ((a, _), (b, _), (c, _)) = (Worker::logged(), Worker::logged(), Worker::logged());
    let (b, c) = (b.clone(), c.clone());
    let through = run(async move {
        tokio::time::sleep(SECOND).await;
        let (c, inner) = (c.clone(), left());
        let through = run(async move {
            tokio::time::sleep(SECOND).await;
            c.ask(inner).await
        });
        b.ask(through).await
    });
    let left = soon(a.ask(through).timeout(10 * SECOND)).await;
    // What is left of it: two seconds have gone.
    assert_eq!(left.unwrap().unwrap().unwrap(), Some(8 * SECOND));
    stop(&a).await;
}

#[actors_core::test(start_paused = true)]
async fn whatever_the_verb_of_the_ask_it_inherits_the_deadline() {
    let ((a, _), (b, _)) = (Worker::logged(), Worker::logged());
    let b2 = b.clone();
    let through = run(async move {
        let posted = b2.ask(left()).post().unwrap();
        let tried = b2.try_ask(left()).unwrap();
        let recipient = b2.recipient();
        [
            posted.await,
            tried.await,
            recipient.ask(left()).await,
            recipient.try_ask(left()).unwrap().await,
        ]
    });
    let left = soon(a.ask(through).timeout(SECOND)).await.unwrap();
    for left in left {
        assert_eq!(left.unwrap(), Some(SECOND));
    }
    stop(&a).await;
    stop(&b).await;
}

#[actors_core::test(start_paused = true)]
async fn an_ask_that_is_tried_too_late_times_out_at_once() {
    let ((a, _), (b, log)) = (Worker::logged(), Worker::logged());
    let gate = held(&b).await;
    let b2 = b.clone();
    let through = run(async move {
        tokio::time::sleep(2 * SECOND).await;
        let began = Instant::now();
        let result = b2.try_ask(Note(1)).unwrap().await;
        assert!(
            matches!(result, Err(AskError::TimedOut { .. })),
            "{result:?}"
        );
        assert_eq!(began.elapsed(), Duration::ZERO);
    });
    let result = soon(a.ask(through).timeout(SECOND)).await;
    assert!(
        matches!(result, Err(AskError::TimedOut { .. })),
        "{result:?}"
    );
    stop(&a).await;
    gate.open();
    stop(&b).await;
    assert_eq!(a.mailbox_stats().handled, 1, "its handler has not failed");
    assert_eq!(log.len(), 0);
}

#[actors_core::test(start_paused = true)]
async fn of_two_deadlines_the_earlier_one_counts() {
    for (own, inherited, counts) in [(2, 5, 2), (5, 2, 2)] {
        let ((a, _), (b, _)) = (Worker::logged(), Worker::logged());
        let b2 = b.clone();
        let through = run(async move { b2.ask(left()).timeout(own * SECOND).await });
        let left = soon(a.ask(through).timeout(inherited * SECOND)).await;
        assert_eq!(left.unwrap().unwrap(), Some(counts * SECOND));
        stop(&a).await;
        stop(&b).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn an_inherited_deadline_ends_the_ask() {
    let ((a, log), (b, log_b)) = (Worker::logged(), Worker::logged());
    let gate = held(&b).await;
    let (b2, seen) = (b.clone(), log.clone());
    let through = run(async move {
        let result = b2.ask(Note(1)).await;
        assert!(
            matches!(
                result,
                Err(AskError::TimedOut {
                    may_have_run: false,
                    ..
                })
            ),
            "{result:?}"
        );
        // There is nothing left for another one.
        let result = b2.ask(Note(2)).post().map(drop);
        assert!(
            matches!(
                result,
                Err(AskError::TimedOut {
                    may_have_run: false,
                    ..
                })
            ),
            "{result:?}"
        );
        let result = b2.ask(Note(3)).timeout(100 * SECOND).await;
        assert!(
            matches!(
                result,
                Err(AskError::TimedOut {
                    may_have_run: false,
                    ..
                })
            ),
            "{result:?}"
        );
        seen.add(1);
    });
    let began = Instant::now();
    let result = soon(a.ask(through).timeout(SECOND)).await;
    assert!(
        matches!(
            result,
            Err(AskError::TimedOut {
                may_have_run: true,
                ..
            })
        ),
        "{result:?}"
    );
    assert!(began.elapsed() < 2 * SECOND);
    stop(&a).await;
    assert_eq!(log.all(), [1]);
    gate.open();
    stop(&b).await;
    assert_eq!(log_b.len(), 0);
}

#[actors_core::test(start_paused = true)]
async fn a_cancellation_goes_along_with_a_task() {
    for how in WAYS {
        let (worker, _) = Worker::logged();
        let (told, is_told) = oneshot::channel();
        let gate = Gate::new();
        let gate2 = gate.clone();
        let handler = with(move |ctx| {
            Box::pin(async move {
                let cancellation: Cancellation = ctx.cancellation();
                let same = cancellation.clone();
                tokio::spawn(async move {
                    cancellation.cancelled().await;
                    told.send(same.is_cancelled()).unwrap();
                });
                gate2.pass().await;
            })
        });
        let reply = worker.ask(handler).post().unwrap();
        soon(gate.entered()).await;
        give_up(reply, how).await;
        assert!(soon(is_told).await.unwrap(), "{how:?}");
        gate.open();
        stop(&worker).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn a_reply_is_no_cancellation() {
    let (worker, _) = Worker::logged();
    let kept = with(|ctx| Box::pin(async move { ctx.cancellation() }));
    let cancellation = soon(worker.ask(kept)).await.unwrap();
    assert!(!cancellation.is_cancelled());
    assert!(once(&mut pin!(cancellation.cancelled())).await.is_pending());
    stop(&worker).await;
}

#[actors_core::test(start_paused = true)]
async fn who_defers_learns_that_nobody_waits() {
    for how in WAYS {
        let (worker, _) = Worker::logged();
        let kept = Arc::new(Mutex::new(None));
        let (kept2, kept3) = (Arc::clone(&kept), Arc::clone(&kept));
        let defers = with(move |ctx| {
            Box::pin(async move {
                let cancellation = ctx.cancellation();
                let keep = |reply: Deferred<u32>| {
                    *kept2.lock().unwrap() = Some((reply, cancellation));
                };
                ctx.defer(keep).await
            })
        });
        let reply = worker.ask(defers).post().unwrap();
        soon(worker.ask(Note(1))).await.unwrap();
        let (deferred, cancellation) = kept3.lock().unwrap().take().unwrap();
        assert!(!deferred.is_cancelled());
        give_up(reply, how).await;
        assert!(deferred.is_cancelled(), "{how:?}");
        soon(cancellation.cancelled()).await;
        deferred.answer(1);
        stop(&worker).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn what_was_forwarded_is_withdrawn() {
    for how in WAYS {
        let ((worker, _), (other, log)) = (Worker::logged(), Worker::logged());
        let gate = held(&other).await;
        let other2 = other.clone();
        let forwards =
            with(move |ctx| Box::pin(async move { ctx.forward(&other2, Note(1)).await }));
        let reply = worker.ask(forwards).post().unwrap();
        while other.mailbox_len() < 2 {
            yield_now().await;
        }
        give_up(reply, how).await;
        gate.open();
        stop(&other).await;
        stop(&worker).await;
        assert_eq!(log.len(), 0, "{how:?}");
        assert_eq!(other.mailbox_stats().withdrawn, 1);
    }
}

#[actors_core::test(start_paused = true)]
async fn giving_up_the_outer_ask_does_not_withdraw_the_inner_one() {
    // The handler goes on, unless it is one that aborts, and so does what it asked for.
    let ((a, _), (b, log)) = (Worker::logged(), Worker::logged());
    let gate = held(&b).await;
    let b2 = b.clone();
    let through = run(async move { b2.ask(Note(1)).await });
    let reply = a.ask(through).post().unwrap();
    while b.mailbox_len() < 2 {
        yield_now().await;
    }
    drop(reply);
    gate.open();
    stop(&a).await;
    stop(&b).await;
    assert_eq!(log.all(), [1]);
}

#[actors_core::test(start_paused = true)]
async fn giving_up_on_one_that_aborts_withdraws_what_it_asked() {
    #[derive(Actor)]
    struct Through(Addr<Worker>);
    #[handlers]
    impl Through {
        #[abort_on_cancel]
        async fn ask_other(&mut self) -> Result<u32, AskError> {
            self.0.ask(Note(1)).await
        }
    }
    let (b, log) = Worker::logged();
    let gate = held(&b).await;
    let a = Through(b.clone()).spawn();
    let reply = a.ask_other().post().unwrap();
    while b.mailbox_len() < 2 {
        yield_now().await;
    }
    drop(reply);
    stop(&a).await;
    gate.open();
    stop(&b).await;
    assert_eq!(log.len(), 0);
    assert_eq!(b.mailbox_stats().withdrawn, 1);
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 4)]
async fn giving_up_at_any_moment_loses_nothing() {
    // Handler and asker race: either the handler never ran, or the error says that it may have.
    let (worker, log) = Worker::logged_with(SpawnOptions::new().unbounded());
    let tokens = Tokens::default();
    let mut did_not_run = Vec::new();
    for n in 0..5_000 {
        let token = tokens.token();
        let (handled, spins) = (log.clone(), n % 50);
        let message = run(async move {
            handled.add(n);
            drop(token);
        });
        let mut reply = worker.ask(message).post().unwrap();
        for _ in 0..spins * 40 {
            std::hint::spin_loop();
        }
        if reply.cancel() {
            did_not_run.push(n);
        }
    }
    stop(&worker).await;
    let ran = log.all();
    assert!(ran.iter().all(|n| did_not_run.binary_search(n).is_err()));
    assert_eq!(ran.len() + did_not_run.len(), 5_000);
    assert!(tokens.drops().iter().all(|drops| *drops == 1));
    let stats = worker.mailbox_stats();
    assert_eq!(stats.withdrawn, did_not_run.len() as u64);
    assert_eq!(stats.handled, ran.len() as u64);
}
