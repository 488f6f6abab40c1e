//! What a pool has done so far: counters, and how long jobs waited and ran.
use super::line::Apart;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a pool does and has done. A chunk counts as one job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolStats {
    /// How many workers there are.
    pub workers: usize,
    /// Jobs that wait, also those that were cancelled and not yet come upon.
    pub queued: usize,
    /// Jobs that run.
    pub running: usize,
    /// Jobs that ended with a result.
    pub done: u64,
    /// Jobs that ended without one: they panicked, their worker died, or they timed out while they
    /// ran.
    pub failed: u64,
    /// Jobs that never ran, because they were cancelled or timed out before.
    pub cancelled: u64,
    /// Workers that were replaced: they died, were killed for a job, or had run as many jobs as
    /// they may.
    pub replaced: u64,
    /// How long jobs waited before a worker got them. One that was taken back from its worker counts
    /// each time.
    pub waited: Latency,
    /// How long jobs ran.
    pub ran: Latency,
}

/// How long something took, of all jobs so far. Quantiles are exact to three digits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Latency {
    /// The mean.
    pub mean: Duration,
    /// Half of them took at most this long.
    pub p50: Duration,
    /// 99 of 100 took at most this long.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// How a job ended that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Done,
    /// Without one.
    Failed,
}

/// Keeps the counts of a pool.
#[derive(Debug)]
pub struct Counts {
    /// Of each worker, so that they do not wait for one another.
    sums: Box<[Apart<Mutex<Sums>>]>,
    cancelled: AtomicU64,
    replaced: AtomicU64,
}

#[derive(Debug)]
struct Sums {
    running: usize,
    done: u64,
    failed: u64,
    /// In nanoseconds.
    waited: Histogram<u64>,
    ran: Histogram<u64>,
}

impl Sums {
    /// All zero.
    fn new() -> Self {
        // Grows by itself with the longest time: some tens of KiB for what is usual.
        let histogram = || Histogram::new(3).expect("three digits are in range");
        Self {
            running: 0,
            done: 0,
            failed: 0,
            waited: histogram(),
            ran: histogram(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.running += other.running;
        self.done += other.done;
        self.failed += other.failed;
        for (to, from) in [
            (&mut self.waited, &other.waited),
            (&mut self.ran, &other.ran),
        ] {
            to.add(from).expect("it grows");
        }
    }
}

impl Counts {
    /// All zero, for so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            sums: (0..workers)
                .map(|_| Apart(Mutex::new(Sums::new())))
                .collect(),
            cancelled: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
        }
    }

    fn of(&self, worker: usize) -> MutexGuard<'_, Sums> {
        lock(&self.sums[worker])
    }

    /// A job that has waited so long begins.
    pub fn began(&self, worker: usize, waited: Duration) {
        let mut sums = self.of(worker);
        sums.running += 1;
        record(&mut sums.waited, waited);
    }

    /// A job that was begun has ended.
    pub fn ended(&self, worker: usize, outcome: Outcome, ran: Duration) {
        let mut sums = self.of(worker);
        sums.running -= 1;
        record(&mut sums.ran, ran);
        match outcome {
            Outcome::Done => sums.done += 1,
            Outcome::Failed => sums.failed += 1,
        }
    }

    /// A job that was begun is to be begun again.
    pub fn took_back(&self, worker: usize) {
        self.of(worker).running -= 1;
    }

    /// A job never ran.
    pub fn cancelled(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker was replaced.
    pub fn replaced(&self) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it, with how many wait.
    pub fn stats(&self, queued: usize) -> PoolStats {
        let mut all = Sums::new();
        for sums in &self.sums {
            all.add(&lock(sums));
        }
        PoolStats {
            workers: self.sums.len(),
            queued,
            running: all.running,
            done: all.done,
            failed: all.failed,
            cancelled: self.cancelled.load(Ordering::Relaxed),
            replaced: self.replaced.load(Ordering::Relaxed),
            waited: latency(&all.waited),
            ran: latency(&all.ran),
        }
    }
}

fn lock(sums: &Apart<Mutex<Sums>>) -> MutexGuard<'_, Sums> {
    // Nothing under this lock is left half-done by a panic.
    sums.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn record(times: &mut Histogram<u64>, time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    // Not the saturating way, for which it does not grow. Some centuries are not recorded.
    let _ = times.record(nanos);
}

fn latency(times: &Histogram<u64>) -> Latency {
    Latency {
        mean: Duration::from_nanos(times.mean() as u64),
        p50: Duration::from_nanos(times.value_at_quantile(0.5)),
        p99: Duration::from_nanos(times.value_at_quantile(0.99)),
        max: Duration::from_nanos(times.max()),
    }
}
