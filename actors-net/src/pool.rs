//! `ProcessPool`: core's `Pool` over worker processes.
mod pace;
mod order;
mod options;
mod flights;
mod desk;
mod crew;

use crate::task::Task;
use actors_core::__private::{Counts, Line, Refused};
use actors_core::{
    ChunkReply, JobError, JobOptions, Pool, PoolStats, Reply, Shutdown, SubmitError,
};
use desk::Desks;
use order::{Draft, Order};
use pace::Paces;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

pub use options::{ProcessPoolError, ProcessPoolOptions};

/// A pool whose workers are processes: for work that may crash, leak or hang, and for work that has
/// to be killed when nobody waits for it any more.
///
/// Jobs are calls of functions marked [`#[task]`](macro@crate::task). The workers are this same program,
/// started again; so `main` has to call [`init`](crate::init) first.
///
/// A worker that dies fails the job that it ran, with [`JobError::WorkerDied`], and no other: it is
/// replaced, and the jobs that were to follow are run by others. No job is run twice, unless it says
/// that it [may be](JobOptions::retries). Workers end with this process, however it ends.
///
/// A job that is cancelled or times out while it runs is killed with its worker, and with all that
/// it has started. Where calls of a task have been short so far, up to seven of those that wait are
/// sent ahead to a worker that is busy with one. They count as running. When they are cancelled, when
/// their time is over, and when the one before them takes longer than some milliseconds, they are taken
/// back: what a worker has not begun by then, it does not run.
///
/// A worker's standard output is this process's; its standard input is empty.
///
/// Copies share the workers. Needs no runtime. When the last copy is dropped, what was accepted is
/// still run, and then the workers end; nothing waits for that. [`shutdown`](Self::shutdown) does.
///
/// ```
/// use actors_net::{JobError, Pool, ProcessPool, task};
///
/// #[task]
/// fn divide(a: i32, b: i32) -> i32 {
///     a / b
/// }
///
/// #[task]
/// fn crash() {
///     std::process::abort()
/// }
///
/// fn main() -> Result<(), actors_net::Error> {
///     actors_net::init();
///     let pool = ProcessPool::new(1)?;
///     assert_eq!(pool.apply(divide::job(6, 3))?, 2);
///     assert!(matches!(pool.apply(divide::job(1, 0)), Err(JobError::Panicked(_))));
///     assert!(matches!(pool.apply(crash::job()), Err(JobError::WorkerDied(_))));
///     assert_eq!(pool.apply(divide::job(9, 3))?, 3); // and the pool lives
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct ProcessPool {
    handle: Arc<Handle>,
}

/// The copies of a pool; the last one closes it.
struct Handle(Arc<Shared>);

/// What the handles and the crew have in common.
struct Shared {
    line: Line<Order>,
    /// Where workers wait that find nothing in line.
    desks: Desks,
    paces: Paces,
    counts: Counts,
    /// How many workers have not ended for good.
    alive: watch::Sender<usize>,
    /// How many jobs may be put back in line by the workers that have them.
    ahead: AtomicUsize,
    /// Told when a worker has none of them any more.
    settled: Notify,
    /// How it is shut down; `Finish` before.
    ending: watch::Sender<Shutdown>,
    /// The processes, by worker.
    processes: Mutex<Vec<Option<u32>>>,
    options: ProcessPoolOptions,
    workers: usize,
}

impl ProcessPool {
    /// A pool of this many processes, with the default options.
    ///
    /// # Errors
    ///
    /// As [`ProcessPoolOptions::build`].
    pub fn new(workers: usize) -> Result<Self, ProcessPoolError> {
        Self::options().workers(workers).build()
    }

    /// The defaults: as many workers as there are cores, room for 1,024 jobs, frames of at most
    /// 1 GiB, no limits.
    pub fn options() -> ProcessPoolOptions {
        ProcessPoolOptions::new()
    }

    fn start(options: ProcessPoolOptions, workers: usize) -> Result<Self, ProcessPoolError> {
        let shared = Arc::new(Shared {
            line: Line::new(options.capacity),
            desks: Desks::new(workers),
            paces: Paces::default(),
            counts: Counts::new(workers),
            alive: watch::Sender::new(workers),
            ahead: AtomicUsize::new(0),
            settled: Notify::new(),
            ending: watch::Sender::new(Shutdown::Finish),
            processes: Mutex::new(vec![None; workers]),
            options,
            workers,
        });
        crew::start(&shared).map_err(ProcessPoolError::Thread)?;
        Ok(Self {
            handle: Arc::new(Handle(shared)),
        })
    }

    fn shared(&self) -> &Shared {
        &self.handle.0
    }

    /// What it does and has done.
    pub fn stats(&self) -> PoolStats {
        let shared = self.shared();
        shared.counts.stats(shared.line.len())
    }

    /// The ids of the worker processes that are up.
    pub fn worker_ids(&self) -> Vec<u32> {
        self.shared()
            .processes()
            .iter()
            .copied()
            .flatten()
            .collect()
    }

    /// Accepts nothing more, does with the jobs as told, and waits until the processes have ended.
    /// May be called again, to be stricter.
    ///
    /// Dropping the future changes nothing about the shutdown.
    pub async fn shutdown(&self, how: Shutdown) {
        let shared = self.shared();
        shared.line.close();
        // Before what waits is cancelled: else a worker could put something back unseen.
        shared
            .ending
            .send_modify(|ending| *ending = how.max(*ending));
        if how != Shutdown::Finish {
            shared.cancel_waiting();
        }
        let mut alive = shared.alive.subscribe();
        // The sender lives in what this pool shares.
        let _ = alive.wait_for(|alive| *alive == 0).await;
    }

    /// As [`shutdown`](Self::shutdown), waiting on this thread.
    ///
    /// # Errors
    ///
    /// `WouldBlock` inside of a task; nothing was shut down then.
    pub fn blocking_shutdown(&self, how: Shutdown) -> Result<(), JobError> {
        actors_core::__private::block_on_this_thread(self.shutdown(how)).ok_or(JobError::WouldBlock)
    }
}

impl Shared {
    fn processes(&self) -> std::sync::MutexGuard<'_, Vec<Option<u32>>> {
        // Nothing under this lock is left half-done by a panic.
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn try_submit<J>(
        &self,
        draft: Draft,
        job: J,
        make: impl FnOnce(Draft, &J, u32) -> Order,
    ) -> Result<(), Refused<J>> {
        let limit = self.options.frame_limit;
        if !self.gives(&draft) {
            return self.line.try_push(job, |job| make(draft, &job, limit));
        }
        match self.give(make(draft, &job, limit)) {
            Ok(()) => Ok(()),
            Err(order) => self.line.try_push(job, |_| order),
        }
    }

    async fn submit<J>(
        &self,
        draft: Draft,
        job: J,
        make: impl FnOnce(Draft, &J, u32) -> Order,
    ) -> Result<(), Refused<J>> {
        let limit = self.options.frame_limit;
        if !self.gives(&draft) {
            let pushed = self.line.push(job, |job| make(draft, &job, limit));
            return pushed.await;
        }
        match self.give(make(draft, &job, limit)) {
            Ok(()) => Ok(()),
            Err(order) => self.line.push(job, |_| order).await,
        }
    }

    /// Whether a job may be given to a worker at once: nobody waits before it, and the worker need
    /// not be woken to watch the clock.
    fn gives(&self, draft: &Draft) -> bool {
        !draft.has_deadline()
            && self.desks.may_be_free()
            && self.line.is_empty()
            && !self.line.is_closed()
    }

    fn give(&self, order: Order) -> Result<(), Order> {
        self.desks
            .give(order, |worker| self.counts.began(worker, Duration::ZERO))
    }

    /// Whether there are no jobs in line, and never will be.
    fn is_over(&self) -> bool {
        // In this order: who puts some back says so afterwards.
        self.ahead.load(Ordering::Relaxed) == 0 && self.line.is_over()
    }

    /// Waits, where the line is over, until it is for good, or not any more.
    async fn settled(&self) {
        loop {
            let mut settled = pin!(self.settled.notified());
            settled.as_mut().enable();
            if self.is_over() || !self.line.is_over() {
                return;
            }
            settled.await;
        }
    }

    fn is_killed(&self) -> bool {
        *self.ending.borrow() == Shutdown::Kill
    }

    fn cancel_waiting(&self) {
        for order in self.line.drain() {
            self.counts.cancelled();
            order.refuse(JobError::cancelled);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.line.close();
    }
}

impl fmt::Debug for ProcessPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPool")
            .field("workers", &self.shared().workers)
            .field("queued", &self.shared().line.len())
            .finish_non_exhaustive()
    }
}

impl<J: Task> Pool<J> for ProcessPool {
    fn workers(&self) -> usize {
        self.shared().workers
    }

    fn try_submit_with(
        &self,
        job: J,
        options: JobOptions,
    ) -> Result<Reply<J::Output, JobError>, SubmitError<J>> {
        let (draft, reply) = order::draft::<J::Output>(&options);
        let pushed = self.shared().try_submit(draft, job, Draft::job);
        pushed.map(|()| reply).map_err(refused)
    }

    async fn submit_with(
        &self,
        job: J,
        options: JobOptions,
    ) -> Result<Reply<J::Output, JobError>, SubmitError<J>> {
        let (draft, reply) = order::draft::<J::Output>(&options);
        let pushed = self.shared().submit(draft, job, Draft::job);
        pushed.await.map(|()| reply).map_err(refused)
    }

    fn try_submit_chunk(
        &self,
        jobs: Vec<J>,
        options: JobOptions,
    ) -> Result<ChunkReply<J>, SubmitError<Vec<J>>> {
        let (draft, reply) = order::chunk_draft::<J>(&options);
        let make = |draft: Draft, jobs: &Vec<J>, limit| draft.chunk(jobs, limit);
        let pushed = self.shared().try_submit(draft, jobs, make);
        pushed.map(|()| reply).map_err(refused)
    }

    async fn submit_chunk(
        &self,
        jobs: Vec<J>,
        options: JobOptions,
    ) -> Result<ChunkReply<J>, SubmitError<Vec<J>>> {
        let (draft, reply) = order::chunk_draft::<J>(&options);
        let make = |draft: Draft, jobs: &Vec<J>, limit| draft.chunk(jobs, limit);
        let pushed = self.shared().submit(draft, jobs, make);
        pushed.await.map(|()| reply).map_err(refused)
    }
}

fn refused<J>(refused: Refused<J>) -> SubmitError<J> {
    match refused {
        Refused::Full(job) => SubmitError::Full(job),
        Refused::Closed(job) => SubmitError::Closed(job),
    }
}
