//! What a pool has done so far: counters, and how long jobs waited and ran.
use hdrhistogram::Histogram;
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
    /// How long jobs waited before they ran.
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
pub struct Counts(Mutex<Sums>);

#[derive(Debug)]
struct Sums {
    running: usize,
    done: u64,
    failed: u64,
    cancelled: u64,
    replaced: u64,
    /// In nanoseconds.
    waited: Histogram<u64>,
    ran: Histogram<u64>,
}

impl Counts {
    /// All zero.
    pub fn new() -> Self {
        // Grows by itself with the longest time: some tens of KiB for what is usual.
        let histogram = || Histogram::new(3).expect("three digits are in range");
        Self(Mutex::new(Sums {
            running: 0,
            done: 0,
            failed: 0,
            cancelled: 0,
            replaced: 0,
            waited: histogram(),
            ran: histogram(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Sums> {
        // Nothing under this lock is left half-done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job that has waited so long begins.
    pub fn began(&self, waited: Duration) {
        let mut sums = self.lock();
        sums.running += 1;
        record(&mut sums.waited, waited);
    }

    /// A job that was begun has ended.
    pub fn ended(&self, outcome: Outcome, ran: Duration) {
        let mut sums = self.lock();
        sums.running -= 1;
        record(&mut sums.ran, ran);
        match outcome {
            Outcome::Done => sums.done += 1,
            Outcome::Failed => sums.failed += 1,
        }
    }

    /// A job that was begun is to be begun again.
    pub fn took_back(&self) {
        self.lock().running -= 1;
    }

    /// A job never ran.
    pub fn cancelled(&self) {
        self.lock().cancelled += 1;
    }

    /// A worker was replaced.
    pub fn replaced(&self) {
        self.lock().replaced += 1;
    }

    /// All of it, with what the pool knows.
    pub fn stats(&self, workers: usize, queued: usize) -> PoolStats {
        let sums = self.lock();
        PoolStats {
            workers,
            queued,
            running: sums.running,
            done: sums.done,
            failed: sums.failed,
            cancelled: sums.cancelled,
            replaced: sums.replaced,
            waited: latency(&sums.waited),
            ran: latency(&sums.ran),
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self::new()
    }
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
