//! Pools of threads: each job runs once or not at all, and its reply says which.
use crate::kit::{self, Worker, run};
use actors_core::{
    AskError, CurrentJob, JobError, JobOptions, Pool, PoolError, Promise, Reply, Shutdown,
    SubmitError, ThreadPool,
};
use futures_util::StreamExt;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// A pool of so many threads, all of which are held up by jobs until the gate is dropped.
fn held(pool: &ThreadPool) -> (mpsc::Sender<()>, Vec<Reply<(), JobError>>) {
    let (gate, waits) = mpsc::channel::<()>();
    let waits = Arc::new(Mutex::new(waits));
    let (begun, has_begun) = mpsc::channel();
    let workers = pool.stats().workers;
    let replies = (0..workers).map(|_| {
        let (waits, begun) = (Arc::clone(&waits), begun.clone());
        let job = move || {
            begun.send(()).expect("the test waits for it");
            let _ = waits.lock().expect("nobody panics").recv();
        };
        pool.try_submit(job).expect("there is room")
    });
    let replies = replies.collect();
    for _ in 0..workers {
        has_begun.recv().expect("each begins");
    }
    (gate, replies)
}

fn one() -> ThreadPool {
    ThreadPool::new(1).expect("threads can be started")
}

#[actors_core::test]
async fn a_job_has_a_reply() {
    let pool = one();
    let mut reply = pool.submit(|| 6 * 7).await.expect("the pool is open");
    assert_eq!((&mut reply).await.expect("it ran"), 42);
    assert!(reply.is_ready());
    assert!(reply.try_take().is_none(), "it was taken");
}

#[test]
fn without_a_runtime() {
    let pool = one();
    assert_eq!(pool.apply(|| 6 * 7).expect("it ran"), 42);
    let mut reply = pool.try_submit(|| 1).expect("there is room");
    let waited = reply.wait_timeout(Duration::from_secs(60));
    assert_eq!(waited.expect("in time").expect("it ran"), 1);
}

#[actors_core::test]
async fn blocking_calls_inside_of_a_task_say_so() {
    let pool = one();
    assert!(matches!(pool.apply(|| 1), Err(JobError::WouldBlock)));
    let mut results = pool.blocking_map([|| 1, || 2]);
    assert!(matches!(results.next(), Some(Err(JobError::WouldBlock))));
    assert!(results.next().is_none());
    let shut_down = pool.blocking_shutdown(Shutdown::Finish);
    assert!(matches!(shut_down, Err(JobError::WouldBlock)));
    assert_eq!(pool.stats().done, 0);
}

#[actors_core::test]
async fn jobs_begin_in_the_order_in_which_they_came() {
    let pool = one();
    let (gate, _) = held(&pool);
    let log = kit::Log::default();
    let replies: Vec<_> = (0..100)
        .map(|n| {
            let log = log.clone();
            pool.try_submit(move || log.add(n)).expect("there is room")
        })
        .collect();
    drop(gate);
    for reply in replies {
        reply.await.expect("it ran");
    }
    assert_eq!(log.all(), (0..100).collect::<Vec<_>>());
}

#[actors_core::test]
async fn a_panic_fails_its_job_and_the_thread_goes_on() {
    let pool = one();
    let name = || thread::current().id();
    let before = pool.submit(name).await.expect("open").await.expect("ran");
    let failed = pool.submit(|| -> u32 { panic!("no luck with {}", 3) });
    let error = failed.await.expect("open").await.expect_err("it panicked");
    assert!(matches!(&error, JobError::Panicked(text) if &**text == "no luck with 3"));
    assert!(error.may_have_run());
    let after = pool.submit(name).await.expect("open").await.expect("ran");
    assert_eq!(before, after);
    let stats = pool.stats();
    assert_eq!((stats.done, stats.failed), (2, 1));
}

struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("while dropped");
        }
    }
}

#[actors_core::test]
async fn destructors_that_panic_end_nothing_else() {
    let pool = one();
    let bomb = Bomb;
    let used = pool.submit(move || drop(bomb)).await.expect("open");
    assert!(matches!(used.await, Err(JobError::Panicked(_))));
    let (gate, _held) = held(&pool);
    // A result that nobody wants.
    pool.submit(|| Bomb).await.expect("open").detach();
    // A job that is never run.
    let bomb = Bomb;
    drop(pool.submit(move || std::mem::forget(bomb)).await);
    drop(gate);
    assert_eq!(
        pool.submit(|| 1).await.expect("open").await.expect("ran"),
        1
    );
    pool.shutdown(Shutdown::Finish).await;
}

#[actors_core::test]
async fn a_full_line_gives_the_job_back() {
    let pool = ThreadPool::options().threads(1).capacity(2).build();
    let pool = pool.expect("threads can be started");
    let (gate, _held) = held(&pool);
    let waiting = [
        pool.try_submit(|| 1).expect("there is room"),
        pool.try_submit(|| 2).expect("there is room"),
    ];
    let refused = pool.try_submit(|| 3).expect_err("there is none");
    assert!(refused.is_full());
    assert_eq!((refused.into_job())(), 3);
    // Waits for room, and is not run when it gives up.
    let ran = Arc::new(AtomicUsize::new(0));
    let count = |ran: &Arc<AtomicUsize>| {
        let ran = Arc::clone(ran);
        move || ran.fetch_add(1, Ordering::SeqCst)
    };
    let mut given_up = Box::pin(pool.submit(count(&ran)));
    assert!(kit::once(&mut given_up).await.is_pending());
    let mut stays = Box::pin(pool.submit(count(&ran)));
    assert!(kit::once(&mut stays).await.is_pending());
    drop(given_up);
    drop(gate);
    assert_eq!(stays.await.expect("open").await.expect("it ran"), 0);
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    for (reply, n) in waiting.into_iter().zip(1..) {
        assert_eq!(reply.await.expect("it ran"), n);
    }
}

#[actors_core::test]
async fn a_job_that_is_cancelled_before_it_starts_never_runs() {
    let pool = one();
    let (gate, _held) = held(&pool);
    let mut cancelled = pool.try_submit(|| panic!("must not run")).expect("room");
    assert!(cancelled.cancel(), "it was withdrawn");
    let result: Result<(), _> = cancelled.await;
    let error = result.expect_err("it was cancelled");
    assert!(matches!(error, JobError::Cancelled { may_have_run, .. } if !may_have_run));
    drop(pool.try_submit(|| -> () { panic!("must not run") }));
    drop(gate);
    pool.shutdown(Shutdown::Finish).await;
    let stats = pool.stats();
    assert_eq!((stats.done, stats.failed, stats.cancelled), (1, 0, 2));
}

#[actors_core::test]
async fn a_job_that_runs_is_told_that_it_is_cancelled() {
    let pool = one();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let job = move || {
        let me = CurrentJob::get().expect("this is a job");
        assert!(!me.is_cancelled());
        begun.send(me.worker().to_owned()).expect("the test waits");
        while !me.is_cancelled() {
            thread::yield_now();
        }
    };
    let mut reply = pool.submit(job).await.expect("open");
    assert_eq!(has_begun.await.expect("it begins"), "pool-0");
    assert!(!reply.cancel(), "it runs");
    let error = reply.await.expect_err("it was cancelled");
    assert!(matches!(error, JobError::Cancelled { may_have_run, .. } if may_have_run));
    // The thread is free again.
    pool.submit(|| ())
        .await
        .expect("open")
        .await
        .expect("it ran");
    assert!(CurrentJob::get().is_none());
}

#[actors_core::test]
async fn what_is_detached_runs() {
    let pool = one();
    let (gate, _held) = held(&pool);
    let (done, is_done) = mpsc::channel();
    let job = move || {
        assert!(!CurrentJob::get().expect("this is a job").is_cancelled());
        done.send(()).expect("the test waits");
    };
    pool.submit(job).await.expect("open").detach();
    drop(gate);
    is_done.recv().expect("it runs");
}

#[actors_core::test]
async fn a_timeout_ends_the_reply_and_tells_the_job() {
    let pool = one();
    let limit = JobOptions::new().timeout(Duration::from_millis(20));
    let job = || {
        let me = CurrentJob::get().expect("this is a job");
        assert!(me.deadline().is_some());
        while !me.is_cancelled() {
            thread::yield_now();
        }
    };
    let runs = pool.submit_with(job, limit).await.expect("open");
    let waits = pool.submit_with(|| (), limit).await.expect("open");
    let error = runs.await.expect_err("it is too slow");
    assert!(matches!(error, JobError::TimedOut { .. }), "{error}");
    // Whether it came to run depends on the clock; it ends in any case.
    let _ = waits.await;
    let (gate, _held) = held(&pool);
    let late = pool.submit_with(|| (), limit).await.expect("open");
    let error = late.await.expect_err("the thread is held up");
    assert!(matches!(error, JobError::TimedOut { may_have_run, .. } if !may_have_run));
    drop(gate);
}

#[actors_core::test]
async fn a_timeout_that_nobody_waits_for_is_seen_before_the_job_runs() {
    let pool = one();
    let (gate, _held) = held(&pool);
    let limit = JobOptions::new().timeout(Duration::ZERO);
    let job = || -> () { panic!("must not run") };
    let late = pool.submit_with(job, limit).await.expect("open");
    drop(gate);
    pool.submit(|| ())
        .await
        .expect("open")
        .await
        .expect("it ran");
    assert!(late.is_ready());
    let error = late.await.expect_err("it is too late");
    assert!(matches!(error, JobError::TimedOut { may_have_run, .. } if !may_have_run));
}

#[test]
fn a_timeout_without_a_runtime() {
    let pool = one();
    let (gate, _held) = held(&pool);
    let limit = JobOptions::new().timeout(Duration::from_millis(5));
    let error = pool
        .apply_with(|| (), limit)
        .expect_err("the thread is held up");
    assert!(matches!(error, JobError::TimedOut { .. }));
    let mut results = pool
        .map([|| ()])
        .timeout(Duration::from_millis(5))
        .blocking();
    assert!(matches!(
        results.next(),
        Some(Err(JobError::TimedOut { .. }))
    ));
    drop(gate);
}

#[actors_core::test]
async fn a_deadline_is_inherited_from_the_handler() {
    let (worker, _) = Worker::logged();
    let pool = one();
    let ask = worker.ask(run(async move {
        let job = || CurrentJob::get().expect("this is a job").deadline();
        pool.submit(job).await.expect("open").await.expect("it ran")
    }));
    let deadline = ask.timeout(Duration::from_secs(3_600)).await;
    assert!(deadline.expect("in time").is_some());
}

#[actors_core::test]
async fn shutdown_finishes_what_was_accepted() {
    let pool = ThreadPool::new(2).expect("threads can be started");
    let (gate, held) = held(&pool);
    let waits = pool.try_submit(|| 1).expect("there is room");
    let mut shutdown = Box::pin(pool.shutdown(Shutdown::Finish));
    assert!(kit::once(&mut shutdown).await.is_pending());
    let refused = pool.try_submit(|| 2).expect_err("it was shut down");
    assert!(matches!(refused, SubmitError::Closed(_)));
    assert!(pool.submit(|| 2).await.is_err());
    let mut results = pool.map([|| 1, || 2]);
    assert!(matches!(results.next().await, Some(Err(JobError::Closed))));
    assert!(results.next().await.is_none());
    drop(gate);
    shutdown.await;
    assert_eq!(waits.await.expect("it ran"), 1);
    for reply in held {
        reply.await.expect("it ran");
    }
}

#[actors_core::test]
async fn shutdown_cancels_what_waits() {
    let pool = one();
    let (gate, held) = held(&pool);
    let waits = pool.try_submit(|| -> () { panic!("must not run") });
    let mut shutdown = Box::pin(pool.shutdown(Shutdown::CancelPending));
    assert!(kit::once(&mut shutdown).await.is_pending());
    let error = waits.expect("there was room").await.expect_err("cancelled");
    assert!(matches!(error, JobError::Cancelled { may_have_run, .. } if !may_have_run));
    drop(gate);
    shutdown.await;
    for reply in held {
        reply.await.expect("it ran");
    }
}

#[actors_core::test]
async fn shutdown_does_not_wait_for_what_is_killed() {
    let pool = one();
    let (begun, has_begun) = mpsc::channel();
    let (told, was_told) = mpsc::channel();
    let job = move || {
        let me = CurrentJob::get().expect("this is a job");
        begun.send(()).expect("the test waits");
        while !me.is_cancelled() {
            thread::yield_now();
        }
        told.send(()).expect("the test waits");
    };
    let runs = pool.try_submit(job).expect("there is room");
    let waits = pool.try_submit(|| ()).expect("there is room");
    has_begun.recv().expect("it begins");
    pool.shutdown(Shutdown::Kill).await;
    let error = runs.await.expect_err("cancelled");
    assert!(matches!(error, JobError::Cancelled { may_have_run, .. } if may_have_run));
    let error = waits.await.expect_err("cancelled");
    assert!(matches!(error, JobError::Cancelled { may_have_run, .. } if !may_have_run));
    was_told.recv().expect("the job sees it");
}

#[test]
fn who_waits_for_room_learns_of_the_shutdown() {
    let pool = ThreadPool::options().threads(1).capacity(1).build();
    let pool = pool.expect("threads can be started");
    let (gate, _held) = held(&pool);
    let _waits = pool.try_submit(|| ()).expect("there is room");
    let mut submit = Box::pin(pool.submit(|| ()));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(submit.as_mut().poll(&mut cx).is_pending());
    pool.blocking_shutdown(Shutdown::Kill).expect("no task");
    let std::task::Poll::Ready(Err(refused)) = submit.as_mut().poll(&mut cx) else {
        panic!("it is refused");
    };
    assert!(!refused.is_full());
    drop(gate);
}

#[test]
fn the_last_copy_dropped_lets_the_accepted_jobs_run() {
    let pool = one();
    let (gate, _held) = held(&pool);
    let reply = pool.clone().try_submit(|| 1).expect("there is room");
    drop(pool);
    assert!(!reply.is_ready());
    drop(gate);
    assert_eq!(reply.wait().expect("it ran"), 1);
}

#[actors_core::test]
async fn a_map_keeps_the_order_and_its_window() {
    let pool = ThreadPool::new(2).expect("threads can be started");
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let jobs = (0_usize..).map(move |n| {
        counted.fetch_add(1, Ordering::SeqCst);
        move || n
    });
    let mut results = pool.map(jobs).window(3).chunk_size(2);
    for n in 0..1_000 {
        assert_eq!(results.next().await.expect("no end").expect("ran"), n);
        let ahead = asked.load(Ordering::SeqCst) - n;
        assert!(ahead <= 3 * 2 + 2, "{ahead} jobs were asked for ahead");
    }
}

#[actors_core::test]
async fn a_map_through_a_narrow_line_waits_for_room() {
    let pool = ThreadPool::options().threads(2).capacity(1).build();
    let pool = pool.expect("threads can be started");
    let results = pool.map((0..500).map(|n| move || n)).window(8);
    let results: Vec<_> = results.map(|n| n.expect("it ran")).collect().await;
    assert_eq!(results, (0..500).collect::<Vec<_>>());
}

#[actors_core::test]
async fn an_unordered_map_gives_what_is_there() {
    let pool = ThreadPool::new(2).expect("threads can be started");
    let (gate, waits) = mpsc::channel::<()>();
    let mut waits = Some(waits);
    let jobs = (0..100).map(|n| {
        let waits = (n == 0).then(|| waits.take().expect("once"));
        move || {
            waits.map(|waits| waits.recv());
            n
        }
    });
    let jobs: Vec<_> = jobs.collect();
    let mut results = pool.map_unordered(jobs);
    let mut seen = HashSet::new();
    for _ in 1..100 {
        seen.insert(results.next().await.expect("no end").expect("it ran"));
    }
    assert!(!seen.contains(&0), "it is held up");
    drop(gate);
    assert_eq!(results.next().await.expect("one more").expect("it ran"), 0);
    assert!(results.next().await.is_none());
}

#[test]
fn the_blocking_twins_give_the_same() {
    let pool = ThreadPool::new(2).expect("threads can be started");
    let jobs = || (0..1_000).map(|n| move || n);
    let ordered = pool.blocking_map(jobs()).map(|n| n.expect("it ran"));
    assert!(ordered.eq(0..1_000));
    let chunked = pool.map(jobs()).chunk_size(64).blocking();
    assert!(chunked.map(|n| n.expect("it ran")).eq(0..1_000));
    let unordered = pool.blocking_map_unordered(jobs());
    let seen: HashSet<_> = unordered.map(|n| n.expect("it ran")).collect();
    assert_eq!(seen.len(), 1_000);
}

#[actors_core::test]
async fn a_panic_in_a_chunk_fails_its_own_job_only() {
    let pool = one();
    let jobs = (0..10).map(|n| move || if n == 3 { panic!("three") } else { n });
    let results: Vec<_> = pool.map(jobs).chunk_size(5).collect().await;
    assert_eq!(results.len(), 10);
    for (n, result) in (0..).zip(results) {
        match result {
            Ok(result) => assert_eq!(result, n),
            Err(error) => assert!(matches!(error, JobError::Panicked(_)) && n == 3),
        }
    }
}

#[actors_core::test]
async fn a_map_that_is_dropped_cancels_what_it_has_submitted() {
    let pool = one();
    let (gate, _held) = held(&pool);
    let mut results = pool.map((0..10).map(|_| || -> () { panic!("must not run") }));
    assert!(kit::once(&mut results.next()).await.is_pending());
    drop(results);
    drop(gate);
    pool.shutdown(Shutdown::Finish).await;
    assert_eq!(pool.stats().failed, 0);
}

#[test]
fn workers_have_names_and_are_prepared() {
    thread_local!(static READY: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
    let pool = ThreadPool::options().threads(2).name("digest");
    let pool = pool.initializer(|| READY.set(READY.get() + 1)).build();
    let pool = pool.expect("threads can be started");
    let jobs = (0..50).map(|_| || (READY.get(), thread::current().name().map(str::to_owned)));
    for result in pool.blocking_map(jobs) {
        let (ready, name) = result.expect("it ran");
        assert_eq!(ready, 1);
        let name = name.expect("it has one");
        assert!(["digest-0", "digest-1"].contains(&&*name), "{name}");
    }
}

#[test]
fn an_initializer_that_panics_is_tried_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let pool = ThreadPool::options().threads(1).initializer(move || {
        assert!(counted.fetch_add(1, Ordering::SeqCst) > 0, "not yet");
    });
    let pool = pool.build().expect("threads can be started");
    let error = pool.apply(|| 1).expect_err("the worker is not ready");
    assert!(!error.may_have_run());
    let cause = std::error::Error::source(&error).expect("there is one");
    assert!(cause.to_string().contains("not yet"), "{cause}");
    assert_eq!(pool.apply(|| 1).expect("now it is"), 1);
    assert_eq!(pool.apply(|| 2).expect("and stays so"), 2);
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

#[test]
fn workers_are_replaced_when_they_have_run_enough() {
    let pool = ThreadPool::options().threads(1).max_tasks_per_worker(10);
    let pool = pool.build().expect("threads can be started");
    let jobs = (0..100).map(|_| || thread::current().id());
    let threads: Vec<_> = pool.blocking_map(jobs).map(|id| id.expect("ran")).collect();
    for ten in threads.chunks(10) {
        assert!(ten.iter().all(|id| *id == ten[0]));
    }
    assert_eq!(threads.iter().collect::<HashSet<_>>().len(), 10);
    pool.blocking_shutdown(Shutdown::Finish).expect("no task");
    assert_eq!(pool.stats().replaced, 10);
}

#[actors_core::test]
async fn the_counts_add_up() {
    let pool = ThreadPool::options().threads(2).capacity(4_000).build();
    let pool = pool.expect("threads can be started");
    let (gate, _held) = held(&pool);
    assert_eq!(pool.stats().running, 2);
    for n in 0..3_000 {
        let mut reply = pool.try_submit(move || assert!(n % 3 != 1)).expect("room");
        match n % 3 {
            0 | 1 => reply.detach(),
            _ => assert!(reply.cancel()),
        }
    }
    assert_eq!(pool.stats().queued, 3_000);
    drop(gate);
    pool.shutdown(Shutdown::Finish).await;
    let stats = pool.stats();
    assert_eq!((stats.queued, stats.running), (0, 0));
    assert_eq!(
        (stats.done, stats.failed, stats.cancelled),
        (1_002, 1_000, 1_000)
    );
    assert!(stats.ran.max >= stats.ran.p99 && stats.ran.p99 >= stats.ran.p50);
    assert!(stats.waited.max > Duration::ZERO);
}

#[test]
fn the_latencies_are_those_of_the_jobs() {
    fn pass(time: Duration) {
        let began = std::time::Instant::now();
        while began.elapsed() < time {
            std::thread::yield_now();
        }
    }
    let pool = one();
    let (gate, _held) = held(&pool);
    let reply = pool.try_submit(|| pass(Duration::from_millis(3)));
    let reply = reply.expect("there is room");
    pass(Duration::from_millis(2));
    drop(gate);
    reply.wait().expect("it runs");
    pool.blocking_shutdown(Shutdown::Finish).expect("no task");
    let stats = pool.stats();
    assert!(stats.waited.max >= Duration::from_millis(2), "{stats:?}");
    assert!(stats.ran.max >= Duration::from_millis(3), "{stats:?}");
    // The one that held the pool, and this one.
    assert!(stats.ran.p50 >= Duration::from_millis(2), "{stats:?}");
}

#[test]
fn pools_that_could_do_nothing_are_refused() {
    assert!(matches!(ThreadPool::new(0), Err(PoolError::NoWorkers)));
    let none = ThreadPool::options().capacity(0).build();
    assert!(matches!(none, Err(PoolError::ZeroCapacity)));
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_submit_and_cancel_and_nothing_is_lost() {
    let pool = ThreadPool::options().threads(2).capacity(16).build();
    let pool = pool.expect("threads can be started");
    let ran = Arc::new(AtomicUsize::new(0));
    let tasks = (0..8).map(|task| {
        let (pool, ran) = (pool.clone(), Arc::clone(&ran));
        tokio::spawn(async move {
            let (mut done, mut cancelled) = (0_usize, 0_usize);
            for n in 0..500 {
                let ran = Arc::clone(&ran);
                let job = move || ran.fetch_add(1, Ordering::SeqCst);
                let mut reply = pool.submit(job).await.expect("open");
                if (n + task) % 3 == 0 {
                    cancelled += usize::from(reply.cancel());
                } else {
                    reply.await.expect("it ran");
                    done += 1;
                }
            }
            (done, cancelled)
        })
    });
    let mut never_ran = 0;
    for task in tasks.collect::<Vec<_>>() {
        never_ran += task.await.expect("no panic").1;
    }
    pool.shutdown(Shutdown::Finish).await;
    assert_eq!(ran.load(Ordering::SeqCst), 4_000 - never_ran);
    let stats = pool.stats();
    assert_eq!(stats.done + stats.cancelled, 4_000);
}

#[actors_core::test]
async fn a_promise_is_kept_or_its_reply_ends() {
    let (promise, reply) = Reply::<u32>::promised();
    promise.answer(Ok(1));
    assert_eq!(reply.await.expect("answered"), 1);

    let (promise, reply) = Reply::<u32>::promised();
    let waits = tokio::spawn(reply);
    tokio::task::yield_now().await;
    drop(promise);
    let error = waits.await.expect("no panic").expect_err("it was dropped");
    assert!(matches!(error, AskError::NoReply { .. }) && !error.may_have_run());

    let (promise, mut reply) = Reply::<u32>::promised();
    assert!(promise.start());
    assert!(!reply.cancel());
    assert!(promise.is_cancelled());
    promise.cancelled().await;
    promise.answer(Ok(1));
    assert!(reply.await.expect_err("cancelled").may_have_run());

    let (promise, reply): (Promise<u32, JobError>, _) = Reply::promised();
    drop(reply);
    assert!(!promise.start());

    let (worker, log) = Worker::logged();
    let (promise, reply) = Reply::<u32>::promised();
    reply.pipe_to(&worker, |n| kit::Note(n.expect("answered")));
    promise.answer(Ok(7));
    worker.stop();
    worker.stopped().await;
    assert_eq!(log.all(), [7]);
}

#[actors_core::test]
async fn a_job_that_begins_after_the_kill_does_not_run() {
    let (gate, waits) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let waits = Mutex::new(waits);
    let options = ThreadPool::options().threads(1);
    let pool = options.initializer(move || {
        begun.send(()).expect("the test waits for it");
        let _ = waits.lock().expect("nobody panics").recv();
    });
    let pool = pool.build().expect("threads can be started");
    let runs = Arc::new(AtomicUsize::new(0));
    let ran = Arc::clone(&runs);
    let reply = pool.submit(move || ran.fetch_add(1, Ordering::Relaxed));
    let reply = reply.await.expect("it is open");
    // The worker has taken the job, and does not run it yet.
    has_begun.recv().expect("it begins");
    pool.shutdown(Shutdown::Kill).await;
    drop(gate);
    let error = reply.await.expect_err("it was killed");
    assert!(matches!(error, JobError::Cancelled { .. }), "{error}");
    pool.shutdown(Shutdown::Finish).await;
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}
