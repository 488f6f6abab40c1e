//! Jobs that are sent to a worker process before it has answered the last one: they are taken back
//! when that takes long, or when nobody wants them.
use crate::kit::{self, Folder, Rng};
use crate::processes::{kill, note, notes, pool};
use actors_net::{JobError, JobOptions, Pool, ProcessPool, Reply, Shutdown, task};
use std::fs;
use std::time::Duration;

/// Waits until the pipe is written, where one is named.
#[task]
fn may_wait(pipe: String) -> String {
    match &*pipe {
        "" => pipe,
        _ => fs::read_to_string(pipe).expect("the test writes it"),
    }
}

/// Lets the pool see that calls of this task are short.
async fn warm(pool: &ProcessPool, file: &str) {
    for _ in 0..100 {
        let short = pool.try_submit(may_wait::job(String::new()));
        short.expect("there is room").await.expect("it ran");
        let short = pool.try_submit(note::job(file.to_owned(), 0, 0));
        short.expect("there is room").await.expect("it ran");
    }
    fs::remove_file(file).expect("it was written");
}

/// One that waits for its pipe, and others behind it, which were sent ahead or wait in line.
async fn crowd<R>(
    pool: &ProcessPool,
    pipe: &str,
    behind: impl Fn(u32) -> Reply<R, JobError>,
) -> (Reply<String, JobError>, Vec<Reply<R, JobError>>) {
    let job = may_wait::job(pipe.to_owned());
    let first = pool.try_submit(job).expect("there is room");
    let behind = (1..=20).map(behind).collect();
    until(|| pool.stats().running > 0).await;
    (first, behind)
}

/// Waits until something is so.
async fn until(is_so: impl Fn() -> bool) {
    let waits = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    kit::soon(waits).await;
}

#[actors_core::test]
async fn those_behind_one_that_takes_long_are_run_by_others() {
    let (folder, pool) = (Folder::new(), pool(2));
    warm(&pool, &folder.at("notes")).await;
    for round in 0..20 {
        let pipe = folder.pipe(&round.to_string());
        let (first, behind) = crowd(&pool, &pipe, |_| {
            let job = may_wait::job(String::new());
            pool.try_submit(job).expect("there is room")
        })
        .await;
        for reply in behind {
            kit::soon(reply).await.expect("it ran");
        }
        fs::write(pipe, "go").expect("the worker reads it");
        assert_eq!(first.await.expect("it ran"), "go");
    }
    assert_eq!(pool.stats().replaced, 0);
}

#[actors_core::test]
async fn those_that_are_cancelled_never_run() {
    none_runs_once(JobOptions::new(), async |behind| drop(behind)).await;
}

#[actors_core::test]
async fn those_whose_time_is_over_never_run() {
    let limit = JobOptions::new().timeout(Duration::from_millis(20));
    none_runs_once(limit, async |behind| {
        for reply in behind {
            let error = reply.await.expect_err("it waits for the first");
            assert!(matches!(error, JobError::TimedOut { .. }), "{error:?}");
        }
    })
    .await;
}

/// Of those that wait behind a long one, none runs once they were given up.
async fn none_runs_once(
    options: JobOptions,
    given_up: impl AsyncFnOnce(Vec<Reply<u32, JobError>>),
) {
    let (folder, pool) = (Folder::new(), pool(1));
    let file = folder.at("notes");
    warm(&pool, &file).await;
    let pipe = folder.pipe("pipe");
    let (first, behind) = crowd(&pool, &pipe, |n| {
        let job = note::job(file.clone(), n, 0);
        pool.try_submit_with(job, options).expect("there is room")
    })
    .await;
    given_up(behind).await;
    until(|| pool.stats().running == 1).await;
    fs::write(pipe, "go").expect("the worker reads it");
    assert_eq!(first.await.expect("it ran"), "go");
    pool.shutdown(Shutdown::Finish).await;
    assert!(notes(&file).is_empty());
    assert_eq!(pool.stats().cancelled, 20);
}

#[actors_core::test]
async fn a_shutdown_that_cancels_what_waits_cancels_them() {
    let (folder, pool) = (Folder::new(), pool(1));
    let file = folder.at("notes");
    warm(&pool, &file).await;
    let pipe = folder.pipe("pipe");
    let (first, behind) = crowd(&pool, &pipe, |n| {
        let job = note::job(file.clone(), n, 0);
        pool.try_submit(job).expect("there is room")
    })
    .await;
    let mut shutdown = Box::pin(pool.shutdown(Shutdown::CancelPending));
    assert!(kit::once(&mut shutdown).await.is_pending());
    for reply in behind {
        let error = reply.await.expect_err("it waits for the first");
        let JobError::Cancelled { may_have_run, .. } = error else {
            panic!("{error:?}");
        };
        assert!(!may_have_run);
    }
    fs::write(pipe, "go").expect("the worker reads it");
    assert_eq!(first.await.expect("it ran"), "go");
    shutdown.await;
    assert!(notes(&file).is_empty());
}

/// Others that have nothing to do wait for what may come back.
#[actors_core::test]
async fn a_shutdown_that_finishes_all_leaves_none_behind_a_long_one() {
    let folder = Folder::new();
    for round in 0..10 {
        let pool = pool(2);
        warm(&pool, &folder.at("notes")).await;
        let pipe = folder.pipe(&round.to_string());
        let (first, behind) = crowd(&pool, &pipe, |_| {
            let job = may_wait::job(String::new());
            pool.try_submit(job).expect("there is room")
        })
        .await;
        let mut shutdown = Box::pin(pool.shutdown(Shutdown::Finish));
        assert!(kit::once(&mut shutdown).await.is_pending());
        for reply in behind {
            kit::soon(reply).await.expect("it ran");
        }
        fs::write(pipe, "go").expect("the worker reads it");
        assert_eq!(first.await.expect("it ran"), "go");
        shutdown.await;
    }
}

/// Also of those whose answers were on their way.
#[actors_core::test]
async fn a_kill_says_of_none_that_ran_that_it_did_not() {
    let folder = Folder::new();
    for round in 0..40 {
        let (file, pool) = (folder.at(&round.to_string()), pool(1 + round % 2));
        warm(&pool, &file).await;
        let submit = |n| {
            let job = note::job(file.clone(), n, 0);
            (n, pool.try_submit(job).expect("there is room"))
        };
        let replies: Vec<_> = (1..=200).map(submit).collect();
        // As many as have run by then.
        let before = 200 + 4 * round as u64;
        until(|| pool.stats().done >= before).await;
        pool.shutdown(Shutdown::Kill).await;
        let noted = notes(&file);
        for (n, reply) in replies {
            let said_not_to = reply.await.is_err_and(|error| !error.may_have_run());
            assert!(!said_not_to || !noted.contains(&n), "{n}");
        }
    }
}

#[actors_core::test]
async fn one_that_is_not_run_again_is_said_to_have_run() {
    #[task]
    fn note_and_die(file: String, pipe: String) {
        note(file, 1, 0);
        may_wait(pipe);
        std::process::abort();
    }
    let (folder, pool) = (Folder::new(), pool(1));
    let (file, pipe) = (folder.at("notes"), folder.pipe("pipe"));
    let job = note_and_die::job(file.clone(), pipe.clone());
    let retried = pool.try_submit_with(job, JobOptions::new().retries(1));
    let retried = retried.expect("there is room");
    until(|| !notes(&file).is_empty()).await;
    let mut shutdown = Box::pin(pool.shutdown(Shutdown::CancelPending));
    assert!(kit::once(&mut shutdown).await.is_pending());
    fs::write(pipe, "go").expect("the worker reads it");
    shutdown.await;
    let error = retried.await.expect_err("its worker has died");
    assert!(matches!(error, JobError::Cancelled { may_have_run, .. } if may_have_run));
    assert_eq!(notes(&file).len(), 1);
}

/// Others are sent ahead while its worker dies, and cannot be written.
#[actors_core::test]
async fn one_that_dies_with_its_worker_is_not_run_again() {
    let mut rng = Rng::seeded();
    let (folder, pool) = (Folder::new(), pool(1));
    warm(&pool, &folder.at("notes")).await;
    for round in 0..100 {
        let file = folder.at(&round.to_string());
        let submit = |n, spin| {
            let job = note::job(file.clone(), n, spin);
            pool.try_submit(job).expect("there is room")
        };
        let dies = submit(0, 1_000_000_000);
        until(|| !notes(&file).is_empty()).await;
        kill(pool.worker_ids()[0]);
        // It takes a moment to die.
        for _ in 0..rng.below(100_000) {
            std::hint::spin_loop();
        }
        let others: Vec<_> = (1..8).map(|n| submit(n, 0)).collect();
        let error = dies.await.expect_err("it was killed");
        assert!(matches!(error, JobError::WorkerDied(_)), "{error:?}");
        for other in others {
            kit::soon(other).await.expect("another worker runs it");
        }
        assert!(notes(&file).into_iter().eq(0..8), "{:?}", notes(&file));
    }
}

/// So large that the channel mostly takes a part of them only.
#[actors_core::test]
async fn large_ones_can_be_taken_back() {
    #[task]
    fn may_wait_long(pipe: String, text: String) -> usize {
        may_wait(pipe);
        text.len()
    }
    let (folder, pool) = (Folder::new(), pool(1));
    let call = |pipe: &str, length: usize| {
        let job = may_wait_long::job(pipe.to_owned(), "x".repeat(length));
        pool.try_submit(job).expect("there is room")
    };
    for round in 1..=20 {
        for _ in 0..20 {
            call("", 1).await.expect("it ran");
        }
        let pipe = folder.pipe(&round.to_string());
        let first = call(&pipe, 1);
        let length = |n: usize| n * round * 5_000;
        let mut behind: Vec<_> = (1..=20).map(|n| (n, call("", length(n)))).collect();
        until(|| pool.stats().running > 0).await;
        behind.retain(|(n, _)| n % 3 != round % 3);
        fs::write(pipe, "go").expect("the worker reads it");
        assert_eq!(first.await.expect("it ran"), 1);
        for (n, reply) in behind {
            assert_eq!(kit::soon(reply).await.expect("it ran"), length(n));
        }
    }
    assert_eq!(pool.stats().replaced, 0);
}

/// Some are long, some are cancelled, some have little time: each runs once or not at all, and what
/// is said of it is true.
#[actors_core::test]
async fn whatever_becomes_of_them_each_runs_once_or_never() {
    let mut rng = Rng::seeded();
    let (folder, pool) = (Folder::new(), pool(2));
    let file = folder.at("notes");
    warm(&pool, &file).await;
    let before = pool.stats();
    let mut ran = Vec::new();
    let mut unsure = Vec::new();
    const WAVES: u32 = 60;
    const WAVE: u32 = 100;
    for wave in 0..WAVES {
        let mut replies = Vec::new();
        for n in (1..).map(|n| wave * WAVE + n).take(WAVE as usize) {
            let spin = match rng.below(40) {
                0 => 200_000,
                n => n as u32 * 10,
            };
            let options = match rng.below(20) {
                0 => JobOptions::new().timeout(Duration::from_micros(rng.below(5_000))),
                _ => JobOptions::new(),
            };
            let job = note::job(file.clone(), n, spin);
            let reply = pool.try_submit_with(job, options).expect("there is room");
            replies.push((n, reply));
            if rng.below(10) == 0 {
                let some = rng.below(replies.len() as u64) as usize;
                replies[some].1.cancel();
            }
        }
        for (n, reply) in replies {
            match reply.await {
                Ok(_) => ran.push(n),
                Err(error) if error.may_have_run() => unsure.push(n),
                Err(_) => {}
            }
        }
    }
    pool.shutdown(Shutdown::Finish).await;
    let mut noted = notes(&file);
    noted.sort_unstable();
    let all = noted.len();
    noted.dedup();
    assert_eq!(noted.len(), all, "one was run twice");
    assert!(ran.iter().all(|n| noted.binary_search(n).is_ok()));
    let told = |n: &u32| ran.binary_search(n).is_ok() || unsure.binary_search(n).is_ok();
    assert!(noted.iter().all(told), "one ran that was said not to have");
    let stats = pool.stats();
    let ended = stats.done + stats.failed + stats.cancelled;
    let ended_before = before.done + before.failed + before.cancelled;
    assert_eq!(ended - ended_before, u64::from(WAVES * WAVE));
    assert_eq!((stats.running, stats.queued), (0, 0));
}
