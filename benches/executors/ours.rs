//! Our side: each function does so many jobs and returns what its row shows.
use actors_core::ThreadPool;
use actors_net::{JobError, Pool, ProcessPool, ProcessPoolOptions, Reply, Shutdown, task};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// Both sides have as many workers, whatever the machine has.
const WORKERS: usize = 2;
const CHUNK: usize = 1_000;
const MIB: usize = 1 << 20;
/// How many steps a job for the processor has: some milliseconds.
const STEPS: u64 = 4_000_000;

#[task]
fn add_one(n: u64) -> u64 {
    n + 1
}

#[task]
fn echo_text(text: String) -> String {
    text
}

#[task]
fn echo_bytes(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[task]
fn spin(seed: u64) -> u64 {
    (0..STEPS).fold(seed, |n, step| {
        std::hint::black_box(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step))
    })
}

pub(crate) fn thread_trip(count: u64) -> f64 {
    let pool = ThreadPool::new(WORKERS).expect("threads");
    pool.apply(|| ()).expect("it runs");
    let began = Instant::now();
    for n in 0..count {
        let reply = pool.try_submit(move || n + 1).expect("there is room");
        assert_eq!(reply.wait().expect("it runs"), n + 1);
    }
    micros(began) / count as f64
}

pub(crate) fn thread_many(count: u64) -> f64 {
    let room = usize::try_from(count).expect("it fits");
    let pool = ThreadPool::options().threads(WORKERS).capacity(room);
    let pool = pool.build().expect("threads");
    pool.apply(|| ()).expect("it runs");
    many(count, |n| {
        pool.try_submit(move || n + 1).expect("there is room")
    })
}

/// Submits so many at once, and waits for all.
fn many(count: u64, submit: impl Fn(u64) -> Reply<u64, JobError>) -> f64 {
    let began = Instant::now();
    let replies: Vec<_> = (0..count).map(submit).collect();
    let results = replies
        .into_iter()
        .map(|reply| reply.wait().expect("it runs"));
    let total: u64 = results.sum();
    let took = micros(began) / 1e3;
    assert_eq!(total, (1..=count).sum());
    took
}

pub(crate) fn process_trip(count: u64) -> f64 {
    let pool = processes();
    let began = Instant::now();
    for n in 0..count {
        assert_eq!(pool.apply(add_one::job(n)).expect("it runs"), n + 1);
    }
    let took = micros(began) / count as f64;
    end(&pool);
    took
}

pub(crate) fn process_many(count: u64) -> f64 {
    let room = usize::try_from(count).expect("it fits");
    let pool = up(ProcessPool::options().capacity(room));
    let took = many(count, |n| {
        pool.try_submit(add_one::job(n)).expect("there is room")
    });
    end(&pool);
    took
}

pub(crate) fn process_map(count: u64) -> f64 {
    let pool = processes();
    let began = Instant::now();
    let results = pool.map((0..count).map(add_one::job)).chunk_size(CHUNK);
    let total: u64 = results.blocking().map(|n| n.expect("it runs")).sum();
    let took = micros(began) / 1e3;
    assert_eq!(total, (1..=count).sum());
    end(&pool);
    took
}

pub(crate) fn text(count: u64) -> f64 {
    let text = "x".repeat(MIB);
    echo(count, |pool| {
        let back = pool.apply(echo_text::job(text.clone()));
        back.expect("it runs").len()
    })
}

pub(crate) fn bytes(count: u64) -> f64 {
    let bytes = vec![b'x'; MIB];
    echo(count, |pool| {
        let back = pool.apply(echo_bytes::job(bytes.clone()));
        back.expect("it runs").len()
    })
}

fn echo(count: u64, one: impl Fn(&ProcessPool) -> usize) -> f64 {
    let pool = processes();
    let began = Instant::now();
    for _ in 0..count {
        assert_eq!(one(&pool), MIB);
    }
    let took = micros(began) / count as f64;
    end(&pool);
    took
}

pub(crate) fn start(count: u64) -> f64 {
    let mut took = Duration::ZERO;
    for n in 0..count {
        let began = Instant::now();
        let pool = ProcessPool::new(WORKERS).expect("a pool");
        assert_eq!(pool.apply(add_one::job(n)).expect("it runs"), n + 1);
        took += began.elapsed();
        end(&pool);
    }
    took.as_secs_f64() * 1e3 / count as f64
}

/// Kills the only worker, and gives jobs until there is a result again.
pub(crate) fn recovery(count: u64) -> f64 {
    let pool = ProcessPool::new(1).expect("a pool");
    assert_eq!(pool.apply(add_one::job(0)).expect("it runs"), 1);
    let mut took = Duration::ZERO;
    for n in 0..count {
        let id = pool.worker_ids()[0];
        let id = Pid::from_raw(i32::try_from(id).expect("a process id")).expect("a process id");
        let began = Instant::now();
        kill_process(id, Signal::KILL).expect("it is there");
        loop {
            match pool.apply(add_one::job(n)) {
                Ok(result) => break assert_eq!(result, n + 1),
                Err(JobError::WorkerDied(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        took += began.elapsed();
    }
    end(&pool);
    took.as_secs_f64() * 1e3 / count as f64
}

pub(crate) fn cpu_threads(count: u64) -> f64 {
    let pool = ThreadPool::new(WORKERS).expect("threads");
    share(&pool, count)
}

pub(crate) fn cpu_processes(count: u64) -> f64 {
    let pool = processes();
    let share = share(&pool, count);
    end(&pool);
    share
}

/// The time of one thread over the time of the pool and its workers. Slices of both take turns,
/// since a processor is not as fast in one second as in the next.
fn share(pool: &impl Pool<spin>, count: u64) -> f64 {
    const SLICE: u64 = 50;
    let (mut alone, mut together, mut done) = (0.0, 0.0, 0);
    while done < count {
        let jobs = || (done..count.min(done + SLICE)).map(spin::job);
        let began = Instant::now();
        let expected = jobs().map(actors_core::Job::run).fold(0, u64::wrapping_add);
        alone += micros(began);
        let began = Instant::now();
        let results = pool.blocking_map_unordered(jobs());
        let sum = results
            .map(|n| n.expect("it runs"))
            .fold(0, u64::wrapping_add);
        together += micros(began);
        assert_eq!(sum, expected);
        done += SLICE;
    }
    alone / together / WORKERS as f64
}

/// A pool whose workers are up.
fn processes() -> ProcessPool {
    up(ProcessPool::options())
}

fn up(options: ProcessPoolOptions) -> ProcessPool {
    let pool = options.workers(WORKERS).build().expect("a pool");
    let jobs = (0..100).map(add_one::job);
    assert_eq!(pool.blocking_map(jobs).filter(Result::is_ok).count(), 100);
    pool
}

fn end(pool: &ProcessPool) {
    pool.blocking_shutdown(Shutdown::Finish)
        .expect("a plain thread");
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}
