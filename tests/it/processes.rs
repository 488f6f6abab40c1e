//! Pools of processes: what a worker does to itself costs the job that it ran, and nothing else.
use crate::kit::{self, Folder, Rng};
use actors_core::{
    JobError, JobOptions, Pool, Reply, Shutdown, SubmitError, ThreadPool, WorkerDied,
};
use actors_net::{ProcessPool, ProcessPoolError, ProcessPoolOptions, StartError, Task, task};
use futures_util::StreamExt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// What the test harness runs in a worker.
#[test]
fn worker() {
    actors_net::init();
}

fn options() -> ProcessPoolOptions {
    actors_net::init();
    ProcessPool::options().args(["--exact", "processes::worker", "--nocapture", "-q"])
}

pub(crate) fn pool(workers: usize) -> ProcessPool {
    let pool = options().workers(workers).build();
    pool.expect("the pool can be started")
}

#[task]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[task]
fn pid() -> u32 {
    std::process::id()
}

#[task]
fn end(how: String) -> u32 {
    match &*how {
        "panic" => panic!("no luck with {}", 3),
        "exit" => std::process::exit(0),
        "abort" => std::process::abort(),
        // The first one only takes away what catches it.
        "segv" => loop {
            let me = rustix::process::getpid();
            kill_process(me, Signal::SEGV).expect("it can be sent");
        },
        "kill" => {
            let me = rustix::process::getpid();
            kill_process(me, Signal::KILL).expect("it can be sent");
            unreachable!()
        }
        "last words" => {
            eprintln!("alas");
            std::process::exit(7)
        }
        "cycles" => loop {
            std::hint::spin_loop();
        },
        other => panic!("there is no such end: {other}"),
    }
}

/// Writes into the pipe when it begins, then never returns.
#[task]
fn hang(pipe: String) {
    fs::write(pipe, std::process::id().to_string()).expect("the test reads it");
    loop {
        std::thread::park();
    }
}

/// Waits until the pipe is written.
#[task]
fn wait(pipe: String) -> String {
    fs::read_to_string(pipe).expect("the test writes it")
}

#[task]
fn text(n: u32) -> String {
    "x".repeat(n as usize)
}

#[task]
fn length(text: String) -> usize {
    text.len()
}

#[task]
fn loud() -> usize {
    println!("garbage \u{0} on the standard output");
    std::io::stdout().flush().expect("it can be written");
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .expect("it is empty")
}

/// A value that is read as something else than it was written.
struct Odd;
impl serde::Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("odd")
    }
}
impl<'de> serde::Deserialize<'de> for Odd {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("too odd"))
    }
}

/// A value that cannot be written.
#[derive(serde::Deserialize)]
struct Mute;
impl serde::Serialize for Mute {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("says nothing"))
    }
}

#[task]
fn odd_result() -> Odd {
    Odd
}

#[task]
fn odd_argument(_odd: Odd) -> u32 {
    unreachable!("it cannot be read")
}

#[task]
fn mute_result() -> Mute {
    Mute
}

#[task]
fn mute_argument(_mute: Mute) -> u32 {
    unreachable!("it cannot be written")
}

/// Notes that it runs, in the order of writing; then takes a little while, or none.
#[task]
pub(crate) fn note(file: String, n: u32, spin: u32) -> u32 {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(file);
    let file = file.as_mut().expect("it can be opened");
    file.write_all(&n.to_le_bytes()).expect("it can be written");
    for _ in 0..spin {
        std::hint::spin_loop();
    }
    n
}

pub(crate) fn notes(file: &str) -> Vec<u32> {
    let bytes = fs::read(file).unwrap_or_default();
    let numbers = bytes.chunks_exact(4);
    numbers
        .map(|n| u32::from_le_bytes(n.try_into().expect("four")))
        .collect()
}

fn died<R: std::fmt::Debug>(result: Result<R, JobError>) -> WorkerDied {
    match result.expect_err("its worker dies") {
        JobError::WorkerDied(died) => died,
        error => panic!("{error:?}"),
    }
}

fn cause(error: &JobError) -> String {
    error.source().expect("there is a cause").to_string()
}

#[actors_core::test]
async fn a_job_runs_in_another_process() {
    let pool = pool(1);
    let reply = pool.submit(add::job(1, 2)).await.expect("it is open");
    assert_eq!(reply.await.expect("it ran"), 3);
    let other = pool.submit(pid::job()).await.expect("it is open").await;
    let other = other.expect("it ran");
    assert_ne!(other, std::process::id());
    assert_eq!(pool.worker_ids(), [other]);
    pool.shutdown(Shutdown::Finish).await;
    assert!(pool.worker_ids().is_empty());
    assert_eq!(pool.stats().done, 2);
}

#[test]
fn the_same_job_runs_on_threads_and_on_processes() {
    fn both(pool: &impl Pool<add>) -> Vec<u32> {
        let sums = pool.blocking_map((0..100).map(|n| (n, n)).map(add::from));
        sums.map(|sum| sum.expect("it ran")).collect()
    }
    let threads = ThreadPool::new(2).expect("threads can be started");
    assert_eq!(both(&threads), both(&pool(2)));
}

#[test]
fn an_end_of_any_kind_costs_one_job() {
    let pool = pool(1);
    let panicked = pool.apply(end::job("panic".to_owned()));
    assert!(matches!(panicked, Err(JobError::Panicked(text)) if &*text == "no luck with 3"));
    for (how, signal, code) in [
        ("exit", None, Some(0)),
        ("abort", Some(6), None),
        ("segv", Some(11), None),
        ("kill", Some(9), None),
        ("last words", None, Some(7)),
    ] {
        let (before, ends, after) = (
            pool.try_submit(add::job(1, 1)).expect("there is room"),
            pool.try_submit(end::job(how.to_owned()))
                .expect("there is room"),
            pool.try_submit(add::job(2, 2)).expect("there is room"),
        );
        assert_eq!(before.wait().expect("it ran before"), 2);
        let died = died(ends.wait());
        assert_eq!((died.signal(), died.code()), (signal, code), "{how}");
        if how == "last words" {
            assert!(died.stderr().ends_with("alas\n"), "{}", died.stderr());
        }
        assert_eq!(after.wait().expect("another worker ran it"), 4);
    }
    let stats = pool.stats();
    assert_eq!((stats.done, stats.failed, stats.replaced), (10, 6, 5));
}

#[test]
fn a_worker_that_dies_idle_costs_none() {
    let pool = pool(1);
    let id = pool.apply(pid::job()).expect("it ran");
    let process = watched(id);
    kill(id);
    gone(&process, Duration::from_secs(60));
    // It may be written to before its end is seen; then the job goes to the next one.
    let next = loop {
        match pool.apply(pid::job()) {
            Ok(next) => break next,
            Err(error) => assert!(matches!(error, JobError::WorkerDied(_)), "{error:?}"),
        }
    };
    assert_ne!(id, next);
}

#[test]
fn jobs_that_may_be_run_again_are() {
    let folder = Folder::new();
    let pool = pool(1);
    let file = folder.at("notes");
    #[task]
    fn third_time(file: String) -> usize {
        note(file.clone(), 1, 0);
        let times = notes(&file).len();
        if times < 3 {
            std::process::abort();
        }
        times
    }
    let retried = JobOptions::new().retries(2);
    let times = pool.apply_with(third_time::job(file.clone()), retried);
    assert_eq!(times.expect("the third time it succeeds"), 3);
    fs::remove_file(&file).expect("it was written");
    let retried = JobOptions::new().retries(1);
    died(pool.apply_with(third_time::job(file.clone()), retried));
    assert_eq!(notes(&file).len(), 2);
}

#[actors_core::test]
async fn a_job_that_is_cancelled_before_it_starts_never_runs() {
    let (folder, pool) = (Folder::new(), pool(1));
    let (pipe, file) = (folder.pipe("pipe"), folder.at("notes"));
    let waits = pool.try_submit(wait::job(pipe.clone())).expect("room");
    let mut cancelled = pool
        .try_submit(note::job(file.clone(), 1, 0))
        .expect("room");
    drop(
        pool.try_submit(note::job(file.clone(), 2, 0))
            .expect("room"),
    );
    assert!(cancelled.cancel(), "it was withdrawn");
    fs::write(&pipe, "go").expect("the worker reads it");
    assert_eq!(waits.await.expect("it ran"), "go");
    pool.shutdown(Shutdown::Finish).await;
    assert!(notes(&file).is_empty());
    assert_eq!(pool.stats().cancelled, 2);
}

#[actors_core::test]
async fn short_jobs_are_not_sent_ahead_to_one_that_runs_a_long_one() {
    let pool = pool(2);
    let folder = Folder::new();
    let pipe = folder.pipe("pipe");
    // Until all that they have run was short.
    for n in 0..200 {
        let sum = pool.submit(add::job(n, 1)).await.expect("it is open");
        assert_eq!(sum.await.expect("it ran"), n + 1);
    }
    let long = pool.submit(wait::job(pipe.clone())).await;
    let long = long.expect("it is open");
    let mut short = Vec::new();
    for n in 0..200 {
        short.push(pool.submit(add::job(n, 1)).await.expect("it is open"));
    }
    for (n, sum) in (0..).zip(short) {
        assert_eq!(kit::soon(sum).await.expect("it ran"), n + 1);
    }
    fs::write(pipe, "go on").expect("it is read");
    assert_eq!(long.await.expect("it ran"), "go on");
}

#[actors_core::test]
async fn a_job_that_is_cancelled_while_it_runs_is_killed() {
    let (folder, pool) = (Folder::new(), pool(1));
    let pipe = folder.pipe("pipe");
    let mut hangs = pool.try_submit(hang::job(pipe.clone())).expect("room");
    let behind = pool.try_submit(add::job(1, 1)).expect("room");
    let id = fs::read_to_string(&pipe).expect("it begins");
    let process = watched(id.parse().expect("a number"));
    assert!(!hangs.cancel(), "it runs");
    assert!(hangs.await.expect_err("it was cancelled").may_have_run());
    assert_eq!(behind.await.expect("another worker ran it"), 2);
    gone(&process, Duration::from_secs(60));
}

#[actors_core::test]
async fn a_job_that_takes_too_long_is_killed() {
    let (folder, pool) = (Folder::new(), pool(1));
    let pipe = folder.pipe("pipe");
    pool.submit(add::job(1, 1))
        .await
        .expect("open")
        .await
        .expect("it is up");
    let limit = JobOptions::new().timeout(Duration::from_millis(300));
    let hangs = pool.try_submit_with(hang::job(pipe.clone()), limit);
    let hangs = hangs.expect("there is room");
    let id = fs::read_to_string(&pipe).expect("it begins");
    let process = watched(id.parse().expect("a number"));
    // Nobody waits for the reply, and it ends all the same.
    gone(&process, Duration::from_secs(60));
    let behind = pool.submit(add::job(1, 1)).await.expect("open");
    assert_eq!(behind.await.expect("another worker ran it"), 2);
    let error = hangs.await.expect_err("it was too slow");
    assert!(matches!(error, JobError::TimedOut { may_have_run, .. } if may_have_run));
}

#[test]
fn what_a_killed_job_has_started_dies_too() {
    #[task]
    fn start_another(pipe: String) {
        let mut shell = Command::new("sh");
        let shell = shell
            .arg("-c")
            .arg(format!("echo $$ > {pipe}; exec sleep 1000"));
        shell.status().expect("there is a shell");
    }
    let (folder, pool) = (Folder::new(), pool(1));
    let pipe = folder.pipe("pipe");
    let mut reply = pool
        .try_submit(start_another::job(pipe.clone()))
        .expect("room");
    let id = fs::read_to_string(&pipe).expect("it begins");
    let process = watched(id.trim().parse().expect("a number"));
    reply.cancel();
    gone(&process, Duration::from_secs(60));
}

#[test]
fn standard_streams_are_not_the_channel() {
    let pool = pool(1);
    assert_eq!(pool.apply(loud::job()).expect("it ran"), 0);
    assert_eq!(pool.apply(add::job(1, 1)).expect("it ran"), 2);
}

#[test]
fn sixty_four_mebibytes_come_and_go() {
    let pool = pool(1);
    let size = 64 << 20;
    let result = pool.apply(text::job(size)).expect("it ran");
    assert!(result.len() == size as usize && result.bytes().all(|byte| byte == b'x'));
    let text = "x".repeat(size as usize);
    assert_eq!(
        pool.apply(length::job(text)).expect("it ran"),
        size as usize
    );
}

#[test]
fn what_is_too_long_is_refused() {
    let pool = options().workers(1).frame_limit(1_000).build();
    let pool = pool.expect("the pool can be started");
    let error = pool
        .apply(length::job("x".repeat(2_000)))
        .expect_err("too long");
    assert!(cause(&error).contains("limit is 1000") && !error.may_have_run());
    let error = pool.apply(text::job(2_000)).expect_err("too long");
    assert!(cause(&error).contains("limit is 1000") && error.may_have_run());
    assert_eq!(pool.apply(add::job(1, 1)).expect("it ran"), 2);
}

#[test]
fn what_cannot_be_written_or_read_fails_its_job() {
    let pool = pool(1);
    for (error, text, may_have_run) in [
        (
            pool.apply(odd_result::job()).err(),
            "could not be read",
            true,
        ),
        (
            pool.apply(odd_argument::job(Odd)).err(),
            "could not be read",
            false,
        ),
        (
            pool.apply(mute_result::job()).err(),
            "could not be written",
            true,
        ),
        (
            pool.apply(mute_argument::job(Mute)).err(),
            "could not be written",
            false,
        ),
    ] {
        let error = error.expect("it fails");
        assert!(cause(&error).contains(text), "{error:?}");
        assert_eq!(error.may_have_run(), may_have_run, "{error:?}");
    }
    assert_eq!(pool.apply(add::job(1, 1)).expect("it ran"), 2);
    assert_eq!(pool.stats().replaced, 0);
}

#[actors_core::test]
async fn maps_in_order_in_chunks_and_as_they_come() {
    let pool = pool(2);
    let calls = || (0..1_000).map(|n| add::job(n, n));
    let sums = |results: Vec<Result<u32, JobError>>| {
        let sums = results.into_iter().map(|sum| sum.expect("it ran"));
        sums.collect::<Vec<_>>()
    };
    let expected: Vec<u32> = (0..1_000).map(|n| 2 * n).collect();
    assert_eq!(sums(pool.map(calls()).collect().await), expected);
    let chunked = pool.map(calls()).chunk_size(37);
    assert_eq!(sums(chunked.collect().await), expected);
    let mut unordered = sums(pool.map_unordered(calls()).chunk_size(3).collect().await);
    unordered.sort_unstable();
    assert_eq!(unordered, expected);
    // A panic fails its own job, also in a chunk.
    let calls = ["panic", "panic"].map(|how| end::job(how.to_owned()));
    let results: Vec<_> = pool.map(calls).chunk_size(2).collect().await;
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Err(JobError::Panicked(_))))
    );
}

#[actors_core::test]
async fn a_full_line_gives_the_job_back() {
    let folder = Folder::new();
    let pipe = folder.pipe("pipe");
    let pool = options().workers(1).capacity(1).build();
    let pool = pool.expect("the pool can be started");
    let hangs = pool.submit(hang::job(pipe.clone())).await.expect("open");
    fs::read_to_string(&pipe).expect("it begins");
    let waits = pool.try_submit(add::job(1, 1)).expect("there is room");
    let refused = pool.try_submit(add::job(2, 3)).expect_err("there is none");
    assert!(refused.is_full());
    assert_eq!(refused.into_job().args(), &(2, 3));
    let mut submit = Box::pin(pool.submit(add::job(2, 3)));
    assert!(kit::once(&mut submit).await.is_pending());
    drop(hangs);
    assert_eq!(submit.await.expect("open").await.expect("it ran"), 5);
    assert_eq!(waits.await.expect("it ran"), 2);
}

#[actors_core::test]
async fn shutdown_finishes_or_cancels_or_kills() {
    let folder = Folder::new();
    for how in [Shutdown::Finish, Shutdown::CancelPending, Shutdown::Kill] {
        let pool = pool(1);
        let (begun, go) = (
            folder.pipe(&format!("{how:?}")),
            folder.pipe(&format!("{how:?} go")),
        );
        #[task]
        fn tell_and_wait(begun: String, go: String) -> String {
            fs::write(begun, "").expect("the test reads it");
            fs::read_to_string(go).expect("the test writes it")
        }
        let job = tell_and_wait::job(begun.clone(), go.clone());
        let runs = pool.try_submit(job).expect("there is room");
        let waits = pool.try_submit(add::job(1, 1)).expect("there is room");
        fs::read_to_string(&begun).expect("it begins");
        let mut shutdown = Box::pin(pool.shutdown(how));
        let pending = kit::once(&mut shutdown).await.is_pending();
        let refused = pool.try_submit(add::job(1, 1));
        assert!(matches!(refused, Err(SubmitError::Closed(_))));
        if how == Shutdown::Kill {
            // The worker may be gone before this thread looks again.
            assert!(pending || pool.worker_ids().is_empty());
        } else {
            assert!(pending, "{how:?}");
            fs::write(&go, "go").expect("the worker reads it");
        }
        if pending {
            shutdown.await;
        }
        assert_eq!(runs.await.is_ok(), how != Shutdown::Kill, "{how:?}");
        assert_eq!(waits.await.is_ok(), how == Shutdown::Finish, "{how:?}");
        assert!(pool.worker_ids().is_empty());
    }
}

/// Also while the worker is about to wait: one job may go to its line and the next to itself.
#[actors_core::test]
async fn jobs_of_one_thread_begin_in_their_order() {
    static BEGUN: AtomicU32 = AtomicU32::new(0);
    #[task]
    fn begun() -> u32 {
        BEGUN.fetch_add(1, Ordering::Relaxed)
    }
    let pool = pool(1);
    for pair in 0..20_000 {
        let submit = || pool.try_submit(begun::job()).expect("there is room");
        let (first, second) = (submit(), submit());
        let both = (first.await.expect("it ran"), second.await.expect("it ran"));
        assert_eq!(both, (2 * pair, 2 * pair + 1));
    }
}

#[test]
fn the_last_copy_dropped_lets_the_accepted_jobs_run() {
    let pool = pool(1);
    let reply = pool.clone().try_submit(pid::job()).expect("there is room");
    drop(pool);
    let id = reply.wait().expect("it ran");
    // It may have gone already.
    if let Ok(process) = pidfd_open(process(id), PidfdFlags::empty()) {
        gone(&process, Duration::from_secs(60));
    }
}

#[test]
fn workers_are_prepared_and_replaced() {
    static READY: AtomicU32 = AtomicU32::new(0);
    #[task]
    fn prepare(n: u32) {
        READY.fetch_add(n, Ordering::Relaxed);
    }
    #[task]
    fn prepared() -> (u32, u32) {
        (READY.load(Ordering::Relaxed), std::process::id())
    }
    let pool = options().workers(1).initializer(&prepare::job(5));
    let pool = pool
        .max_tasks_per_worker(3)
        .build()
        .expect("it can be started");
    let results = pool.blocking_map((0..9).map(|_| prepared::job()));
    let results: Vec<_> = results.map(|result| result.expect("it ran")).collect();
    assert!(results.iter().all(|(ready, _)| *ready == 5), "{results:?}");
    for three in results.chunks(3) {
        assert!(
            three.iter().all(|result| result == &three[0]),
            "{results:?}"
        );
    }
    assert!(results[2] != results[3] && results[5] != results[6]);
}

#[test]
fn workers_keep_to_their_limits() {
    let pool = options()
        .workers(1)
        .memory_limit(1 << 30)
        .cpu_limit(1)
        .build();
    let pool = pool.expect("the pool can be started");
    let died_of_memory = died(pool.apply(text::job(2 << 30)));
    assert_eq!(died_of_memory.signal(), Some(6));
    assert!(
        died_of_memory.stderr().contains("memory allocation"),
        "{died_of_memory}"
    );
    let died_of_cycles = died(pool.apply(end::job("cycles".to_owned())));
    assert!(
        matches!(died_of_cycles.signal(), Some(9 | 24)),
        "{died_of_cycles}"
    );
    assert_eq!(pool.apply(add::job(1, 1)).expect("it ran"), 2);
}

fn start_error(pool: &ProcessPool) -> String {
    let error = pool.apply(add::job(1, 1)).expect_err("there is no worker");
    assert!(!error.may_have_run());
    let cause = error.source().expect("there is a cause");
    assert!(cause.downcast_ref::<StartError>().is_some(), "{error:?}");
    cause.to_string()
}

#[test]
fn workers_that_do_not_start_are_told_of() {
    let build = |options: ProcessPoolOptions| options.workers(1).build().expect("it is built");
    let none = build(options().program("/no/such/program"));
    assert!(start_error(&none).contains("could not be run"));
    // One that ends, and one that does not: both do not call `init`.
    let ends = build(ProcessPool::options().program("true"));
    assert!(start_error(&ends).contains("actors_net::init()"));
    let patience = Duration::from_millis(50);
    let sleeps = ProcessPool::options().program("sleep").args(["1000"]);
    let sleeps = build(sleeps.start_timeout(patience));
    assert!(start_error(&sleeps).contains("actors_net::init()"));
    let panics = build(options().initializer(&end::job("panic".to_owned())));
    assert!(start_error(&panics).contains("no luck with 3"));
    // It is tried again, and again.
    assert!(start_error(&panics).contains("no luck with 3"));
    panics.blocking_shutdown(Shutdown::Finish).expect("no task");
}

#[test]
fn pools_that_could_do_nothing_are_refused() {
    let none = options().workers(0).build();
    assert!(matches!(none, Err(ProcessPoolError::NoWorkers)));
    let none = options().capacity(0).build();
    assert!(matches!(none, Err(ProcessPoolError::ZeroCapacity)));
    let none = options().initializer(&mute_argument::job(Mute)).build();
    assert!(matches!(none, Err(ProcessPoolError::Initializer(_))));
}

#[test]
fn two_tasks_of_one_name_are_told_apart_or_refused() {
    fn first() -> impl Task<Output = u32> {
        #[task(name = "twin")]
        fn twin() -> u32 {
            1
        }
        twin::job()
    }
    fn second() -> impl Task<Output = u32> {
        #[task(name = "twin")]
        fn twin() -> u32 {
            2
        }
        twin::job()
    }
    let pool = pool(1);
    for error in [pool.apply(first()).err(), pool.apply(second()).err()] {
        let error = error.expect("nobody knows which");
        assert!(cause(&error).contains("two tasks named `twin`"));
    }
}

// --- what has to be looked at from outside

fn process(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("small")).expect("not zero")
}

pub(crate) fn kill(id: u32) {
    // It may have ended by itself.
    let _ = kill_process(process(id), Signal::KILL);
}

/// Something to wait for the end of a process with.
fn watched(id: u32) -> OwnedFd {
    pidfd_open(process(id), PidfdFlags::empty()).expect("it runs")
}

/// Waits until the process has ended.
fn gone(process: &OwnedFd, within: Duration) {
    let limit = Timespec {
        tv_sec: within.as_secs().try_into().expect("not so long"),
        tv_nsec: i64::from(within.subsec_nanos()),
    };
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    let ended = poll(&mut fds, Some(&limit)).expect("it can be watched");
    assert_eq!(ended, 1, "the process lives still after {within:?}");
}

/// Set in the processes that the tests below start.
const ROLE: &str = "ACTORS_TEST_ROLE";

/// This test in a process of its own.
fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("it has a path"));
    command
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, "1");
    command
}

#[test]
fn workers_die_with_a_killed_parent() {
    if is_alone() {
        let pool = pool(2);
        let pipes = std::env::var("PIPES").expect("the test sets it");
        let hangs: Vec<_> = pipes
            .split(' ')
            .map(|pipe| {
                pool.try_submit(hang::job(pipe.to_owned()))
                    .expect("there is room")
            })
            .collect();
        hangs.into_iter().for_each(|reply| drop(reply.wait()));
        return;
    }
    let folder = Folder::new();
    let pipes = [folder.pipe("one"), folder.pipe("two")];
    let mut parent = again("processes::workers_die_with_a_killed_parent");
    let parent = parent
        .env("PIPES", pipes.join(" "))
        .stdout(Stdio::null())
        .spawn();
    let mut parent = parent.expect("it can be started");
    let workers = pipes.each_ref().map(|pipe| {
        let id = fs::read_to_string(pipe).expect("the job begins");
        watched(id.parse().expect("a number"))
    });
    parent.kill().expect("it runs");
    for worker in &workers {
        gone(worker, Duration::from_secs(1));
    }
    parent.wait().expect("it was killed");
}

#[test]
fn a_program_that_forgets_init_starts_nothing() {
    if is_alone() {
        let error = ProcessPool::new(2).expect_err("`init` was not called");
        println!("refused: {error}");
        return;
    }
    let mut program = again("processes::a_program_that_forgets_init_starts_nothing");
    let output = program.output().expect("it can be started");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.contains("refused: ") && output.contains("actors_net::init()"),
        "{output}"
    );
}

/// Whether this process was started for one test.
pub(crate) fn is_alone() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Runs a test in a process of its own, where nothing else opens files and starts processes.
pub(crate) fn run_alone(test: &str) {
    let alone = again(test).stdout(Stdio::piped()).spawn();
    let mut alone = alone.expect("it can be started");
    let output = alone.stdout.take().expect("it is piped");
    for line in BufReader::new(output).lines() {
        println!("{}", line.expect("it is text"));
    }
    assert!(alone.wait().expect("it runs").success());
}

/// How many kills the test below does.
const KILLS: usize = 1_000;

#[test]
fn workers_killed_a_thousand_times_lose_no_job() {
    if is_alone() {
        kill_a_thousand_times();
    } else {
        run_alone("processes::workers_killed_a_thousand_times_lose_no_job");
    }
}

fn kill_a_thousand_times() {
    let mut random = Rng::seeded();
    let folder = Folder::new();
    let file = folder.at("notes");
    drop(pool(1).apply(add::job(1, 1)));
    let pool = options().workers(2).capacity(64).build();
    let pool = pool.expect("the pool can be started");
    pool.apply(add::job(1, 1)).expect("it is up");
    let open_before = open_files();
    let killed = Arc::new(AtomicUsize::new(0));
    let results = Arc::new(Mutex::new(HashMap::new()));
    let (done, is_done) = mpsc::sync_channel(1);
    // Jobs, as long as there are kills.
    let submitter = std::thread::spawn({
        let (pool, killed, file) = (pool.clone(), Arc::clone(&killed), file.clone());
        let results = Arc::clone(&results);
        move || {
            let mut submitted = 0;
            while killed.load(Ordering::Relaxed) < KILLS {
                let n = submitted;
                let spin = if n % 7 == 0 { 20_000 } else { 0 };
                let job = note::job(file.clone(), n, spin);
                let reply = loop {
                    match pool.try_submit(job_again(&job)) {
                        Ok(reply) => break reply,
                        Err(refused) => assert!(refused.is_full()),
                    }
                    std::thread::yield_now();
                };
                let (results, done) = (Arc::clone(&results), done.clone());
                reply.on_ready(move |result| {
                    results.lock().expect("nobody panics").insert(n, result);
                    let _ = done.try_send(());
                });
                submitted += 1;
            }
            submitted
        }
    });
    while killed.load(Ordering::Relaxed) < KILLS {
        is_done.recv().expect("jobs go on");
        let workers = pool.worker_ids();
        if workers.is_empty() {
            continue;
        }
        let at = random.below(workers.len() as u64);
        let id = workers[usize::try_from(at).expect("small")];
        // It may have been replaced meanwhile.
        let Ok(process) = pidfd_open(process(id), PidfdFlags::empty()) else {
            continue;
        };
        kill(id);
        gone(&process, Duration::from_secs(60));
        killed.fetch_add(1, Ordering::Relaxed);
    }
    let submitted = submitter.join().expect("it does not panic");
    pool.blocking_shutdown(Shutdown::Finish).expect("no task");
    let results = results.lock().expect("nobody panics");
    assert_eq!(results.len(), submitted as usize, "each job ends");
    let mut runs: HashMap<u32, usize> = HashMap::new();
    for n in notes(&file) {
        *runs.entry(n).or_default() += 1;
    }
    let mut lost = 0;
    for (n, result) in results.iter() {
        let runs = runs.get(n).copied().unwrap_or(0);
        match result {
            Ok(result) => assert_eq!((result, runs), (n, 1), "it ran once"),
            Err(JobError::WorkerDied(died)) => {
                assert_eq!(died.signal(), Some(9));
                assert!(runs <= 1, "job {n} ran {runs} times");
                lost += 1;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(lost <= KILLS, "a kill costs one job at most");
    println!("{submitted} jobs, {KILLS} kills, {lost} jobs died with their worker");
    assert!(zombies().is_empty(), "{:?}", zombies());
    // The shutdown has closed what the two workers had open.
    assert!(
        open_files() <= open_before,
        "{} > {open_before}",
        open_files()
    );
}

fn job_again(job: &note) -> note {
    note::from(job.args().clone())
}

pub(crate) fn open_files() -> usize {
    let open = fs::read_dir("/proc/self/fd").expect("there is /proc");
    open.count()
}

/// The processes that this one has not waited for, or that still run.
pub(crate) fn zombies() -> Vec<String> {
    let me = std::process::id().to_string();
    let processes = fs::read_dir("/proc").expect("there is /proc");
    let stats =
        processes.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let children = stats.filter(|stat| {
        let behind_the_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        behind_the_name.split(' ').nth(1) == Some(&me)
    });
    children.collect()
}

/// Replies of both pools are of one type.
#[test]
fn replies_of_both_pools_combine() {
    let threads = ThreadPool::new(1).expect("threads can be started");
    let replies: [Reply<u32, JobError>; 2] = [
        threads.try_submit(add::job(1, 1)).expect("there is room"),
        pool(1).try_submit(add::job(2, 2)).expect("there is room"),
    ];
    let sums = replies.map(|reply| reply.wait().expect("it ran"));
    assert_eq!(sums, [2, 4]);
}
