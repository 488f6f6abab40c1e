//! Control first: what steers an actor does not wait behind its mail, nor fail for lack of room.
use crate::kit::{
    Gate, Log, Note, STOPPED, Tokens, With, Worker, alone, held, hold, run, soon, stop, with,
};
use actors_core::{Actor, Addr, Context, Error, SpawnOptions, StopReason, handlers};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const MANY: u32 = 100_000;

/// With so many messages behind the one that holds it, and counting what it handles.
async fn flooded() -> (Addr<Worker>, Log, Gate) {
    let (worker, log) = Worker::logged_with(SpawnOptions::new().unbounded());
    let gate = held(&worker).await;
    for n in 0..MANY {
        worker.tell(Note(n)).unwrap();
    }
    (worker, log, gate)
}

#[actors_core::test]
async fn a_stop_is_accepted_and_the_mail_before_it_handled() {
    let (worker, log, gate) = flooded().await;
    worker.stop();
    assert!(!worker.is_alive());
    assert!(
        worker.tell(Note(0)).is_err(),
        "nothing is accepted any more"
    );
    gate.open();
    let reason = soon(worker.stopped()).await;
    assert!(reason.is_normal(), "{reason}");
    assert!(log.all().into_iter().eq(0..MANY));
}

#[actors_core::test]
async fn to_stop_now_no_more_messages_run() {
    let _alone = alone().await;
    let (worker, log, gate) = flooded().await;
    worker.stop_now();
    gate.open();
    let reason = soon(worker.stopped()).await;
    assert!(reason.is_normal(), "{reason}");
    assert_eq!(log.len(), 0);
    let stats = worker.mailbox_stats();
    assert_eq!((stats.handled, stats.dead_letters), (1, MANY.into()));
}

#[actors_core::test]
async fn to_be_killed_no_more_messages_run_and_the_handler_is_dropped() {
    let _alone = alone().await;
    let (worker, log) = Worker::logged_with(SpawnOptions::new().unbounded());
    let tokens = Tokens::default();
    let gate = Gate::new();
    let (token, gate2) = (tokens.token(), gate.clone());
    let holding = run(async move {
        let _dropped_with_the_handler = token;
        gate2.pass().await;
    });
    worker.tell(holding).unwrap();
    soon(gate.entered()).await;
    for n in 0..MANY {
        worker.tell(Note(n)).unwrap();
    }
    worker.kill();
    // The gate stays closed.
    let reason = soon(worker.stopped()).await;
    assert!(matches!(reason, StopReason::Killed), "{reason}");
    assert_eq!(log.len(), 0);
    assert_eq!(tokens.drops(), [1]);
    let stats = worker.mailbox_stats();
    assert_eq!(
        (stats.handled, stats.failed, stats.dead_letters),
        (0, 1, MANY.into())
    );
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_that_works_at_most_one_more_message_runs() {
    let _alone = alone().await;
    for end in [Addr::kill, Addr::stop_now] {
        for _ in 0..20 {
            let (worker, _) = Worker::logged_with(SpawnOptions::new().unbounded());
            let begun = Arc::new(AtomicU32::new(0));
            for _ in 0..20_000 {
                let begun = Arc::clone(&begun);
                // Never awaits, so it cannot be interrupted.
                let step = run(async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                });
                worker.tell(step).unwrap();
            }
            while begun.load(Ordering::SeqCst) == 0 {
                std::hint::spin_loop();
            }
            end(&worker);
            let so_far = begun.load(Ordering::SeqCst);
            soon(worker.stopped()).await;
            let more = begun.load(Ordering::SeqCst) - so_far;
            assert!(more <= 1, "{more} more have run");
        }
    }
}

#[actors_core::test(start_paused = true)]
async fn a_full_mailbox_stands_in_nobodys_way() {
    type End = (fn(&Addr<Worker>), u32);
    let ends: [End; 3] = [(Addr::stop, 2), (Addr::stop_now, 0), (Addr::kill, 0)];
    for (end, handled) in ends {
        let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(2));
        let gate = held(&worker).await;
        worker.tell(Note(0)).unwrap();
        worker.tell(Note(1)).unwrap();
        assert!(worker.tell(Note(2)).unwrap_err().is_full());
        end(&worker);
        gate.open();
        soon(worker.stopped()).await;
        assert!(log.all().into_iter().eq(0..handled));
    }
}

#[actors_core::test(start_paused = true)]
async fn the_stronger_word_counts() {
    let (worker, log) = Worker::logged();
    let gate = held(&worker).await;
    worker.tell(Note(0)).unwrap();
    worker.stop();
    worker.stop();
    worker.stop_now();
    gate.open();
    assert!(soon(worker.stopped()).await.is_normal());
    assert_eq!(log.len(), 0);

    let (worker, log) = Worker::logged();
    let _gate = held(&worker).await;
    worker.tell(Note(0)).unwrap();
    worker.stop();
    worker.kill();
    worker.stop();
    let reason = soon(worker.stopped()).await;
    assert!(matches!(reason, StopReason::Killed), "{reason}");
    assert_eq!(log.len(), 0);
    worker.kill();
    worker.stop();
    assert!(matches!(soon(worker.stopped()).await, StopReason::Killed));
}

#[actors_core::test(start_paused = true)]
async fn from_within_a_handler() {
    type Says = fn(&mut Context<Worker>);
    let says: [(Says, &str, usize); 4] = [
        (|ctx| ctx.stop(), "stopped", 2),
        (|ctx| ctx.stop_now(), "stopped", 0),
        (|ctx| ctx.fail("enough"), "failed: enough", 0),
        (|ctx| ctx.addr().kill(), "was killed", 0),
    ];
    for (says, reason, handled) in says {
        let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(3));
        worker
            .tell(with(move |ctx| Box::pin(async move { says(ctx) })))
            .unwrap();
        worker.tell(Note(0)).unwrap();
        worker.tell(Note(1)).unwrap();
        assert_eq!(soon(worker.stopped()).await.to_string(), reason);
        assert_eq!(log.len(), handled);
    }
}

#[actors_core::test(start_paused = true)]
async fn before_the_actor_has_started() {
    // `started` waits at a gate that stays closed.
    struct Starting(Gate);
    impl Actor for Starting {
        async fn started(&mut self, _: &mut Context<Self>) -> Result<(), Error> {
            self.0.pass().await;
            Ok(())
        }
    }
    let gate = Gate::new();
    let starting = Starting(gate.clone()).spawn();
    soon(gate.entered()).await;
    starting.kill();
    assert!(matches!(soon(starting.stopped()).await, StopReason::Killed));
    let starting = Starting(gate.clone()).spawn();
    starting.stop();
    soon(gate.entered()).await;
    gate.open();
    assert!(soon(starting.stopped()).await.is_normal());
}

fn watching<A: 'static>(other: &Addr<A>) -> With<()> {
    let other = other.clone();
    with(move |ctx| Box::pin(async move { ctx.watch(&other) }))
}

#[actors_core::test]
async fn a_notice_overtakes_the_mail() {
    let (watcher, log) = Worker::logged_with(SpawnOptions::new().unbounded());
    let (watched, _) = Worker::logged();
    soon(watcher.ask(watching(&watched))).await.unwrap();
    let gate = held(&watcher).await;
    for n in 0..MANY {
        watcher.tell(Note(n)).unwrap();
    }
    stop(&watched).await;
    gate.open();
    stop(&watcher).await;
    let log = log.all();
    let at = log.iter().position(|n| *n == STOPPED);
    assert!(at.is_some_and(|at| at <= 1), "{at:?}");
    assert_eq!(log.len() as u32, MANY + 1);
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_overtakes_the_mail_of_one_that_works() {
    let (watcher, log) = Worker::logged_with(SpawnOptions::new().unbounded());
    let (watched, _) = Worker::logged();
    soon(watcher.ask(watching(&watched))).await.unwrap();
    for n in 0..MANY {
        watcher.tell(Note(n)).unwrap();
    }
    while log.len() == 0 {
        std::hint::spin_loop();
    }
    // Whoever waits for the end is told after the actor that watched before.
    stop(&watched).await;
    let so_far = log.len();
    stop(&watcher).await;
    let log = log.all();
    let at = log.iter().position(|n| *n == STOPPED);
    assert!(
        at.is_some_and(|at| at <= so_far + 1),
        "{at:?} after {so_far}"
    );
}

#[actors_core::test(start_paused = true)]
async fn a_notice_needs_no_room() {
    let (watcher, log) = Worker::logged_with(SpawnOptions::new().capacity(1));
    let others: Vec<_> = (0..5).map(|_| Worker::logged().0).collect();
    for other in &others {
        soon(watcher.ask(watching(other))).await.unwrap();
    }
    let gate = held(&watcher).await;
    watcher.tell(Note(0)).unwrap();
    for other in &others {
        stop(other).await;
    }
    gate.open();
    stop(&watcher).await;
    assert_eq!(log.all(), [STOPPED, STOPPED, STOPPED, STOPPED, STOPPED, 0]);
}

#[actors_core::test(start_paused = true)]
async fn messages_to_oneself_need_no_room() {
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(1));
    let gate = Gate::new();
    let gate2 = gate.clone();
    let notifies = with(move |ctx| {
        Box::pin(async move {
            for n in 1..=10 {
                ctx.notify(Note(n)).unwrap();
            }
            gate2.pass().await;
            for n in 11..=20 {
                ctx.notify(Note(n)).unwrap();
            }
        })
    });
    worker.tell(notifies).unwrap();
    soon(gate.entered()).await;
    assert_eq!(worker.mailbox_len(), 11);
    // They count, so that there is no room for others meanwhile.
    assert!(worker.tell(Note(100)).unwrap_err().is_full());
    gate.open();
    soon(worker.send(Note(21))).await.unwrap();
    stop(&worker).await;
    assert!(log.all().into_iter().eq(1..=21), "{:?}", log.all());
}

#[actors_core::test(start_paused = true)]
async fn messages_to_oneself_take_nobodys_room() {
    // More than fit have been handled, and the mailbox holds as many as before.
    let (worker, _) = Worker::logged_with(SpawnOptions::new().capacity(2));
    for _ in 0..10 {
        let notifies = with(move |ctx| {
            Box::pin(async move {
                for n in 0..5 {
                    ctx.notify(Note(n)).unwrap();
                }
            })
        });
        soon(worker.ask(notifies)).await.unwrap();
        soon(worker.ask(run(async {}))).await.unwrap();
    }
    let gate = held(&worker).await;
    let accepted = (0..10).filter(|n| worker.tell(Note(*n)).is_ok());
    assert_eq!(accepted.count(), 2);
    gate.open();
    stop(&worker).await;
}

#[actors_core::test(start_paused = true)]
async fn a_message_to_oneself_is_refused_only_when_stopping() {
    let (worker, log) = Worker::logged();
    let stops = with(|ctx| {
        Box::pin(async move {
            ctx.notify(Note(1)).unwrap();
            ctx.stop();
            ctx.notify(Note(2)).unwrap_err().into_message()
        })
    });
    assert_eq!(soon(worker.ask(stops)).await.unwrap(), Note(2));
    soon(worker.stopped()).await;
    assert_eq!(log.all(), [1]);
}

#[actors_core::test(start_paused = true)]
async fn timers_need_no_room() {
    let second = Duration::from_secs(1);
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(1));
    let sets = with(move |ctx| {
        Box::pin(async move {
            ctx.notify_after(second, Note(1));
            ctx.notify_after(2 * second, Note(2));
            let mut ticks = 100;
            ctx.notify_every(5 * second / 2, move || {
                ticks += 1;
                Note(ticks)
            })
        })
    });
    let every = soon(worker.ask(sets)).await.unwrap();
    let gate = held(&worker).await;
    worker.tell(Note(0)).unwrap();
    tokio::time::sleep(3 * second).await;
    assert!(worker.tell(Note(3)).unwrap_err().is_full());
    assert_eq!(
        worker.mailbox_len(),
        5,
        "the timers' messages wait in there"
    );
    gate.open();
    soon(worker.ask(run(async {}))).await.unwrap();
    every.cancel();
    stop(&worker).await;
    assert_eq!(log.all(), [0, 1, 2, 101]);
}

#[actors_core::test(start_paused = true)]
async fn results_of_futures_need_no_room() {
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(1));
    let (gate, full) = (Gate::new(), Gate::new());
    let (gate2, full2) = (gate.clone(), full.clone());
    let pipes = with(move |ctx| {
        Box::pin(async move {
            full2.pass().await;
            for n in 1..4 {
                ctx.pipe(async move { n }, Note);
            }
            gate2.pass().await;
        })
    });
    worker.tell(pipes).unwrap();
    soon(full.entered()).await;
    worker.tell(Note(0)).unwrap();
    full.open();
    soon(gate.entered()).await;
    let (other, _) = Worker::logged();
    let reply = other.ask(Note(4)).post().unwrap();
    reply.pipe_to(&worker, |result| Note(result.unwrap()));
    while worker.mailbox_len() < 6 {
        tokio::task::yield_now().await;
    }
    gate.open();
    stop(&worker).await;
    let mut log = log.all();
    log.sort_unstable();
    assert_eq!(log, [0, 1, 2, 3, 4]);
    stop(&other).await;
}

#[actors_core::test(start_paused = true)]
async fn a_child_is_stopped_whatever_waits_in_its_mailbox() {
    #[derive(Actor)]
    struct Parent(Option<Addr<Worker>>, Log);
    #[handlers]
    impl Parent {
        fn begin(&mut self, ctx: &mut Context<Self>) -> Addr<Worker> {
            let child = Worker {
                log: self.1.clone(),
            };
            let child = ctx
                .spawn_with(SpawnOptions::new().capacity(1), child)
                .unwrap();
            self.0.insert(child).clone()
        }
    }
    let log = Log::default();
    let parent = Parent(None, log.clone()).spawn();
    let child = soon(parent.begin()).await.unwrap();
    let gate = Gate::new();
    child.tell(hold(&gate)).unwrap();
    soon(gate.entered()).await;
    child.tell(Note(1)).unwrap();
    parent.stop();
    while child.is_alive() {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert!(soon(parent.stopped()).await.is_normal());
    assert!(soon(child.stopped()).await.is_normal());
    assert_eq!(log.all(), [1]);
}

#[actors_core::test]
async fn to_stop_with_an_error_the_mail_is_handled_and_the_first_error_counts() {
    let _alone = alone().await;
    let (worker, log, gate) = flooded().await;
    worker.stop_with("the first");
    worker.stop_with("the second");
    assert!(!worker.is_alive());
    gate.open();
    let reason = soon(worker.stopped()).await;
    assert!(
        matches!(&reason, StopReason::Failed(error) if error.to_string() == "the first"),
        "{reason}"
    );
    assert!(log.all().into_iter().eq(0..MANY));
}

/// Says when its `started` runs, and waits there.
struct Slow {
    gate: Gate,
    log: Log,
}

impl Actor for Slow {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), Error> {
        self.gate.pass().await;
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        self.log.add(STOPPED);
    }
}

#[handlers]
impl Slow {
    fn write(&mut self, n: u32) {
        self.log.add(n);
    }
}

/// Who is told to stop while it starts has not failed to start.
#[actors_core::test]
async fn to_stop_with_an_error_before_it_has_started_loses_no_mail() {
    let _alone = alone().await;
    let (gate, log) = (Gate::new(), Log::default());
    let slow = Slow {
        gate: gate.clone(),
        log: log.clone(),
    }
    .spawn();
    slow.tell(Write { n: 1 }).unwrap();
    soon(gate.entered()).await;
    slow.stop_with("the line went dead");
    gate.open();
    let reason = soon(slow.stopped()).await;
    assert!(
        matches!(&reason, StopReason::Failed(error) if error.to_string() == "the line went dead"),
        "{reason}"
    );
    assert_eq!(log.all(), [1, STOPPED]);
}
