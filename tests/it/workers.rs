//! A pool of supervised workers: one job at a time each, and who asks waits for one that is free.
use crate::kit::{Gate, Log, Note, Rng, Run, Worker, hold, once, run, soon, with};
use actors_core::{
    AskError, Backoff, ChildOptions, NoReplyReason, PoolOptions, Restart, SendError, StopReason,
    Supervisor, SupervisorOptions, TellError, WorkerPool,
};
use futures_util::future::{join, join_all};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(5);

fn app() -> Supervisor {
    Supervisor::new("app")
}

/// A pool of workers that share a log and are made anew at once.
fn pool(app: &Supervisor, workers: usize) -> (WorkerPool<Worker>, Log) {
    pool_with(app, workers, Backoff::NONE)
}

fn pool_with(app: &Supervisor, workers: usize, backoff: Backoff) -> (WorkerPool<Worker>, Log) {
    let log = Log::default();
    let supervisor = SupervisorOptions::new()
        .intensity(actors_core::Intensity::UNLIMITED)
        .backoff(backoff);
    let options = PoolOptions::new().supervisor(supervisor);
    let pool = WorkerPool::with_options(app, "pool", workers, options, {
        let log = log.clone();
        move || Worker { log: log.clone() }
    });
    (pool, log)
}

async fn end(app: &Supervisor) {
    let report = soon(app.shutdown(LIMIT)).await;
    assert!(report.is_clean(), "{report:?}");
}

/// Waits until so many workers are free.
async fn until_free(pool: &WorkerPool<Worker>, workers: usize) {
    soon(async {
        while pool.free() < workers {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(pool.free(), workers);
}

#[actors_core::test]
async fn each_worker_has_one_job_at_a_time() {
    let app = app();
    let (pool, _) = pool(&app, 3);
    assert_eq!((pool.workers(), pool.free()), (3, 3));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let jobs = (0..60).map(|n| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        pool.ask(run(async move {
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            for _ in 0..n % 5 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::Relaxed);
            n
        }))
    });
    let done: Result<Vec<u32>, AskError> = soon(join_all(jobs)).await.into_iter().collect();
    assert_eq!(done.expect("all are done"), (0..60).collect::<Vec<_>>());
    assert_eq!(most.load(Ordering::Relaxed), 3);
    assert_eq!(pool.free(), 3);
    end(&app).await;
}

#[actors_core::test]
async fn who_waits_is_served_in_turn() {
    let app = app();
    let (pool, log) = pool(&app, 1);
    let gate = Gate::new();
    pool.tell(hold(&gate)).expect("it is free");
    soon(gate.entered()).await;
    assert_eq!(pool.free(), 0);
    let mut asks: Vec<_> = (0..4).map(|n| pool.ask(Note(n))).collect();
    for ask in &mut asks {
        assert!(once(ask).await.is_pending());
    }
    let mut send = Box::pin(pool.send(Note(4)));
    assert!(once(&mut send).await.is_pending());
    // One that gives up leaves its place to the others.
    drop(asks.remove(2));
    gate.open();
    let (answers, sent) = soon(join(join_all(asks), send)).await;
    let answers: Result<Vec<u32>, AskError> = answers.into_iter().collect();
    assert_eq!(answers.expect("it lives"), [0, 1, 3]);
    sent.expect("it lives");
    until_free(&pool, 1).await;
    assert_eq!(log.all(), [0, 1, 3, 4]);
    end(&app).await;
}

#[actors_core::test]
async fn when_none_is_free_the_message_comes_back() {
    let app = app();
    let (pool, _) = pool(&app, 1);
    let gate = Gate::new();
    let running = pool.try_ask(hold(&gate)).expect("it is free");
    soon(gate.entered()).await;
    assert_eq!(pool.tell(Note(1)), Err(TellError::Full(Note(1))));
    let refused = pool.try_ask(Note(2)).expect_err("none is free");
    assert_eq!(refused, TellError::Full(Note(2)));
    let refused = pool.ask(Note(3)).post();
    assert!(matches!(refused, Err(AskError::Full)));
    gate.open();
    soon(running).await.expect("it lives");
    until_free(&pool, 1).await;
    let posted = pool.ask(Note(4)).post().expect("it is free");
    assert_eq!(soon(posted).await.expect("it lives"), 4);
    end(&app).await;
}

#[actors_core::test]
async fn a_worker_is_free_when_its_job_has_ended_and_not_before() {
    let app = app();
    let (pool, log) = pool(&app, 1);
    let gate = Gate::new();
    // The handler does not listen to its asker's giving up.
    let mut ask = pool.ask(hold(&gate));
    assert!(once(&mut ask).await.is_pending());
    soon(gate.entered()).await;
    drop(ask);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(pool.free(), 0);
    let mut next = pool.ask(Note(1));
    assert!(once(&mut next).await.is_pending());
    gate.open();
    assert_eq!(soon(next).await.expect("it lives"), 1);
    assert_eq!(log.all(), [1]);
    until_free(&pool, 1).await;

    // One that is withdrawn before it began.
    let mut ask = pool.ask(Note(2));
    assert!(once(&mut ask).await.is_pending());
    drop(ask);
    until_free(&pool, 1).await;
    assert_eq!(log.all(), [1]);
    // One that gave its reply away frees its worker, which goes on.
    let (give, given) = tokio::sync::oneshot::channel();
    let defers =
        with(|ctx| Box::pin(async move { ctx.defer(|reply| drop(give.send(reply))).await }));
    let deferred = pool.ask(defers).post().expect("it is free");
    let reply: actors_core::Deferred<u32> = soon(given).await.expect("it is deferred");
    assert_eq!(soon(pool.ask(Note(3))).await.expect("it is free"), 3);
    reply.answer(7);
    assert_eq!(soon(deferred).await.expect("it is answered"), 7);
    until_free(&pool, 1).await;
    end(&app).await;
}

#[actors_core::test(start_paused = true)]
async fn a_worker_that_fails_is_free_when_it_was_made_anew() {
    let app = app();
    let wait = Duration::from_secs(10);
    let (pool, log) = pool_with(&app, 2, Backoff::new(wait, wait).without_jitter());
    soon(app.ready()).await.expect("it starts");
    let began = Instant::now();
    let panics: Run<()> = run(async { panic!("as told") });
    let ended = soon(pool.ask(panics)).await.expect_err("it panics");
    let AskError::NoReply {
        reason: NoReplyReason::Stopped(StopReason::Panicked(text)),
        may_have_run: true,
        ..
    } = ended
    else {
        panic!("{ended:?}");
    };
    assert_eq!(&*text, "as told");
    // The other does the work meanwhile.
    for n in 0..5 {
        assert_eq!(soon(pool.ask(Note(n))).await.expect("one is up"), n);
    }
    assert_eq!(pool.free(), 1);
    assert!(began.elapsed() < wait);
    tokio::time::sleep(wait * 2).await;
    assert_eq!(pool.free(), 2);
    let fails = with(|ctx| {
        Box::pin(async move {
            ctx.fail("as told");
            8
        })
    });
    let began = Instant::now();
    assert_eq!(soon(pool.ask(fails)).await.expect("it replies"), 8);
    for n in 5..10 {
        assert_eq!(soon(pool.ask(Note(n))).await.expect("one is up"), n);
    }
    assert!(began.elapsed() < wait, "nobody waited for the failed one");
    assert_eq!(log.all(), (0..5).chain(5..10).collect::<Vec<_>>());
    tokio::time::sleep(wait * 2).await;
    assert_eq!((pool.free(), pool.workers()), (2, 2));
    end(&app).await;
}

#[actors_core::test(start_paused = true)]
async fn a_timeout_counts_for_the_waiting_too() {
    let app = app();
    let (pool, log) = pool(&app, 1);
    let gate = Gate::new();
    pool.tell(hold(&gate)).expect("it is free");
    soon(gate.entered()).await;
    let limit = Duration::from_secs(3);
    let began = Instant::now();
    let ended = soon(pool.ask(Note(1)).timeout(limit)).await;
    assert!(
        matches!(
            ended,
            Err(AskError::TimedOut {
                may_have_run: false,
                ..
            })
        ),
        "{ended:?}"
    );
    assert_eq!(began.elapsed(), limit);

    // The deadline of the message that is being handled is inherited.
    let asker = Worker::logged().0;
    let inner = pool.clone();
    let began = Instant::now();
    let (answered, gives_up) = tokio::sync::oneshot::channel();
    let inner = asker.ask(run(async move {
        let ended = inner.ask(Note(2)).await;
        let _ = answered.send(ended);
    }));
    let outer = soon(inner.timeout(limit)).await;
    assert!(matches!(outer, Err(AskError::TimedOut { .. })), "{outer:?}");
    let inner = soon(gives_up).await.expect("it ends");
    assert!(
        matches!(
            inner,
            Err(AskError::TimedOut {
                may_have_run: false,
                ..
            })
        ),
        "{inner:?}"
    );
    assert_eq!(began.elapsed(), limit);
    gate.open();
    until_free(&pool, 1).await;
    assert_eq!(log.len(), 0);
    // What runs and takes too long.
    let hangs = run(std::future::pending::<()>());
    let ended = soon(pool.ask(hangs).timeout(limit)).await;
    assert!(matches!(
        ended,
        Err(AskError::TimedOut {
            may_have_run: true,
            ..
        })
    ));
    app.kill();
    soon(app.stopped()).await;
}

#[actors_core::test]
async fn when_all_have_ended_asks_end() {
    let app = app();
    let (pool, _) = pool(&app, 2);
    let gates = [Gate::new(), Gate::new()];
    for gate in &gates {
        pool.tell(hold(gate)).expect("one is free");
        soon(gate.entered()).await;
    }
    let mut ask = pool.ask(Note(1));
    assert!(once(&mut ask).await.is_pending());
    let mut send = Box::pin(pool.send(Note(2)));
    assert!(once(&mut send).await.is_pending());
    pool.supervisor().kill();
    let ended = soon(ask).await;
    assert!(matches!(ended, Err(AskError::Closed)), "{ended:?}");
    assert_eq!(soon(send).await, Err(SendError::Closed(Note(2))));
    assert_eq!((pool.workers(), pool.free()), (0, 0));
    let ended = soon(pool.ask(Note(3))).await;
    assert!(matches!(ended, Err(AskError::Closed)), "{ended:?}");
    assert_eq!(pool.tell(Note(4)), Err(TellError::Closed(Note(4))));
    let refused = pool.try_ask(Note(5)).expect_err("none is left");
    assert_eq!(refused, TellError::Closed(Note(5)));
    soon(app.shutdown(LIMIT)).await;

    // A pool of idle workers, and one that was never started.
    let gone = app.clone();
    for pool in [self::pool(&gone, 1).0, {
        let app = self::app();
        let (pool, _) = self::pool(&app, 2);
        soon(app.ready()).await.expect("it starts");
        end(&app).await;
        pool
    }] {
        let ended = soon(pool.ask(Note(6))).await;
        assert!(matches!(ended, Err(AskError::Closed)), "{ended:?}");
        assert_eq!(pool.workers(), 0);
    }
}

#[actors_core::test]
async fn one_that_ends_for_good_leaves_the_pool() {
    let app = app();
    let options = ChildOptions::new().restart(Restart::Transient);
    let options = PoolOptions::new().worker(options);
    let pool = WorkerPool::with_options(&app, "pool", 3, options, Worker::default);
    soon(app.ready()).await.expect("it starts");
    // One that was idle.
    let idle = pool.supervisor().children()[0].id;
    assert!(soon(pool.supervisor().stop_child(idle)).await);
    // One that stops itself after its job.
    let stops = with(|ctx| {
        ctx.stop();
        Box::pin(async { 5 })
    });
    assert_eq!(soon(pool.ask(stops)).await.expect("it replies"), 5);
    for n in 0..10 {
        assert_eq!(soon(pool.ask(Note(n))).await.expect("one is left"), n);
    }
    soon(async {
        while pool.supervisor().child_count() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for n in 0..10 {
        assert_eq!(soon(pool.ask(Note(n))).await.expect("one is left"), n);
    }
    assert_eq!((pool.workers(), pool.free()), (1, 1));
    end(&app).await;
}

#[actors_core::test]
async fn a_pool_whose_workers_all_wait_for_it_is_a_circle() {
    let app = app();
    let (one, _) = pool(&app, 1);
    let inner = one.clone();
    let asked = soon(one.ask(run(async move { inner.ask(Note(1)).await }))).await;
    let asked = asked.expect("it replies");
    let Err(AskError::Deadlock {
        path,
        may_have_run: false,
        ..
    }) = &asked
    else {
        panic!("{asked:?}");
    };
    assert_eq!(path.actors().len(), 1);
    assert_eq!(path.actors()[0].name(), "pool-1");
    let inner = one.clone();
    let sent = soon(one.ask(run(async move { inner.send(Note(2)).await }))).await;
    let sent = sent.expect("it replies");
    assert!(
        matches!(sent, Err(SendError::Deadlock(Note(2), _))),
        "{sent:?}"
    );

    // Of two that wait for each other one is told, and the other is served then.
    let (two, log) = pool(&app, 2);
    let gates = [Gate::new(), Gate::new()];
    let jobs = gates.clone().map(|gate| {
        let inner = two.clone();
        let job = two.ask(run(async move {
            gate.pass().await;
            inner.ask(Note(3)).await
        }));
        job.post().expect("one is free")
    });
    for gate in &gates {
        soon(gate.entered()).await;
    }
    gates.iter().for_each(Gate::open);
    let results = soon(join_all(jobs)).await;
    let results = results
        .into_iter()
        .map(|result| result.expect("it replies"));
    let (served, refused): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
    assert_eq!((served.len(), refused.len()), (1, 1));
    assert!(
        matches!(refused[0], Err(AskError::Deadlock { .. })),
        "{refused:?}"
    );
    assert_eq!(log.all(), [3]);

    // It is none where another one is free, or busy for somebody else.
    until_free(&two, 2).await;
    let inner = two.clone();
    let asked = soon(two.ask(run(async move { inner.ask(Note(4)).await }))).await;
    assert_eq!(asked.expect("it replies").expect("one is free"), 4);
    until_free(&two, 2).await;
    let gate = Gate::new();
    two.tell(hold(&gate)).expect("one is free");
    soon(gate.entered()).await;
    let inner = two.clone();
    let mut asked = two.ask(run(async move { inner.ask(Note(5)).await }));
    assert!(once(&mut asked).await.is_pending());
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(once(&mut asked).await.is_pending());
    gate.open();
    assert_eq!(
        soon(asked)
            .await
            .expect("it replies")
            .expect("it is free now"),
        5
    );
    end(&app).await;
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_may_wait_for_a_worker() {
    let app = app();
    let (pool, _) = pool(&app, 1);
    let gate = Gate::new();
    pool.tell(hold(&gate)).expect("it is free");
    soon(gate.entered()).await;
    let late = pool.clone();
    let thread = std::thread::spawn(move || {
        let timed_out = late.ask(Note(1)).timeout(Duration::from_millis(5)).wait();
        (timed_out, late)
    });
    let joined = tokio::task::spawn_blocking(|| thread.join());
    let (timed_out, pool) = soon(joined).await.expect("no panic").expect("no panic");
    assert!(
        matches!(timed_out, Err(AskError::TimedOut { .. })),
        "{timed_out:?}"
    );
    let waits = pool.clone();
    let thread = std::thread::spawn(move || waits.ask(Note(2)).wait());
    gate.open();
    let joined = tokio::task::spawn_blocking(|| thread.join());
    let answer = soon(joined).await.expect("no panic").expect("no panic");
    assert_eq!(answer.expect("it lives"), 2);
    end(&app).await;
}

/// Jobs that succeed, panic, fail, and whose askers give up, while workers are killed and
/// restarted: each ask ends, and then all workers are free.
#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_worker_is_lost_whatever_happens() {
    const WORKERS: usize = 4;
    let mut rng = Rng::seeded();
    let app = app();
    let (pool, log) = pool(&app, WORKERS);
    soon(app.ready()).await.expect("it starts");
    let askers: Vec<_> = (0..8)
        .map(|_| {
            let (pool, mut rng) = (pool.clone(), Rng::from(rng.below(u64::MAX)));
            tokio::spawn(async move {
                let mut done = 0;
                for n in 0..300 {
                    match rng.below(6) {
                        0 => {
                            let ended = soon(pool.ask(run::<()>(async { panic!("at random") })));
                            ended.await.expect_err("it panics");
                        }
                        1 => {
                            let fails = with(|ctx| {
                                ctx.fail("at random");
                                Box::pin(async {})
                            });
                            // It may be killed before.
                            let _ = soon(pool.ask(fails)).await;
                        }
                        2 => {
                            let mut ask = pool.ask(run(async {
                                tokio::task::yield_now().await;
                            }));
                            if once(&mut ask).await.is_pending() && rng.below(2) == 0 {
                                tokio::task::yield_now().await;
                            }
                        }
                        3 => {
                            let _ = pool.try_ask(Note(n)).map(|reply| reply.detach());
                        }
                        _ => match soon(pool.ask(Note(n))).await {
                            Ok(answer) => {
                                assert_eq!(answer, n);
                                done += 1;
                            }
                            Err(AskError::NoReply { .. }) => {}
                            Err(error) => panic!("{error:?}"),
                        },
                    }
                }
                done
            })
        })
        .collect();
    let kills = tokio::spawn({
        let pool = pool.clone();
        async move {
            for _ in 0..100 {
                let name = format!("pool-{}", rng.below(WORKERS as u64) + 1);
                if let Some(worker) = pool.supervisor().find::<Worker>(&name) {
                    match rng.below(2) {
                        0 => worker.kill(),
                        _ => worker.stop(),
                    }
                }
                for _ in 0..rng.below(50) {
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    let mut done = 0;
    for asker in askers {
        done += soon(asker).await.expect("each ask has ended as it should");
    }
    soon(kills).await.expect("no panic");
    assert!(log.len() >= done, "{} logged, {done} answered", log.len());
    until_free(&pool, WORKERS).await;
    assert_eq!(pool.workers(), WORKERS);
    let all = (0..20).map(|n| pool.ask(Note(n)));
    let answers: Result<Vec<u32>, AskError> = soon(join_all(all)).await.into_iter().collect();
    assert_eq!(answers.expect("all are up"), (0..20).collect::<Vec<_>>());
    end(&app).await;
}

#[actors_core::test]
async fn there_is_at_least_one_worker() {
    let app = app();
    let pool = WorkerPool::new(&app, "pool", 0, Worker::default);
    assert_eq!(pool.workers(), 1);
    assert_eq!(soon(pool.ask(Note(1))).await.expect("it lives"), 1);
    let printed = format!("{pool:?}");
    assert_eq!(
        printed,
        r#"WorkerPool { name: "pool", workers: 1, free: 1 }"#
    );
    end(&app).await;
}
