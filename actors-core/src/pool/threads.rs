//! `ThreadPool`: a fixed number of threads that run jobs, first come first served.
use super::error::{JobError, PoolError, SubmitError};
use super::job::{CurrentJob, Job, JobOptions, Shutdown};
use super::line::{Apart, Line, Refused, Waiting};
use super::stats::{Counts, Outcome, PoolStats};
use super::{ChunkReply, Pool};
use crate::blocking;
use crate::call::Reply;
use crate::panics::Panic;
use crate::promise::{self, Token};
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use tokio::sync::watch;
use tokio::time::Instant;

/// A pool whose workers are threads: for work that blocks, or that takes its time.
///
/// Jobs are closures without parameters, or calls of functions marked `#[task]`. They wait in one
/// bounded line and are begun in the order in which they came. A job that panics fails with the
/// panic's text, and its thread goes on.
///
/// A worker that has just done a job looks for the next one for some tens of microseconds before it
/// sleeps, as does a thread that waits for a result: as long as that pays, and one worker at a time.
///
/// Copies share the threads. Needs no runtime. When the last copy is dropped, what was accepted is
/// still run, and then the threads end; nothing waits for that. [`shutdown`](Self::shutdown) does.
///
/// ```
/// use actors_core::{JobError, Pool, ThreadPool};
///
/// # fn main() -> Result<(), actors_core::Error> {
/// let pool = ThreadPool::options().threads(2).name("digest").build()?;
/// assert_eq!(pool.apply(|| "text".len())?, 4);
/// let failed = pool.apply(|| -> u32 { panic!("no luck") });
/// assert!(matches!(failed, Err(JobError::Panicked(text)) if &*text == "no luck"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ThreadPool {
    handle: Arc<Handle>,
}

/// The copies of a pool; the last one closes it.
struct Handle(Arc<Shared>);

/// How a [`ThreadPool`] is made.
#[must_use = "options do nothing until a pool is built with them"]
pub struct ThreadPoolOptions {
    threads: Option<usize>,
    capacity: usize,
    name: Cow<'static, str>,
    stack: Option<usize>,
    max_tasks: Option<u64>,
    initializer: Option<Initializer>,
}

type Initializer = Arc<dyn Fn() + Send + Sync>;

/// What the threads and the handles have in common.
struct Shared {
    line: Line<Ticket>,
    counts: Counts,
    /// How many threads have not ended.
    alive: watch::Sender<usize>,
    /// What each worker runs.
    running: Box<[Running]>,
    /// What a worker begins is not wanted any more.
    killed: AtomicBool,
    name: Cow<'static, str>,
    stack: Option<usize>,
    max_tasks: Option<u64>,
    initializer: Option<Initializer>,
}

type Running = Apart<Mutex<Option<Arc<dyn Token>>>>;

/// A job with its reply; its types are forgotten.
trait Work: Send + Sync {
    fn run(self: Arc<Self>, worker: &Worker, began: Instant);
    /// Why it is not to be run at all, if it is not.
    fn stale(&self, now: Instant) -> Option<JobError>;
    fn fail(&self, error: JobError);
    /// It will neither run nor fail.
    fn give_up(&self);
}

/// A job that waits for a worker. Lies with its reply, in one allocation.
struct Order<J> {
    /// Until it runs.
    job: Mutex<Option<J>>,
    deadline: Option<Instant>,
}

/// The duty to see to a job.
struct Ticket(Option<Arc<dyn Work>>);

impl Ticket {
    fn of<J: Job>(order: Ordered<J>) -> Self {
        Self(Some(order))
    }

    /// Hands the duty on.
    fn take(mut self) -> Option<Arc<dyn Work>> {
        self.0.take()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            contain(|| work.give_up());
        }
    }
}

/// One thread of the pool.
struct Worker {
    pool: Arc<Shared>,
    number: usize,
    name: Arc<str>,
}

impl ThreadPool {
    /// A pool of this many threads, with the default options.
    ///
    /// # Errors
    ///
    /// As [`ThreadPoolOptions::build`].
    pub fn new(threads: usize) -> Result<Self, PoolError> {
        Self::options().threads(threads).build()
    }

    /// The defaults: as many threads as there are cores, room for 1,024 jobs, threads named
    /// `pool-0`, `pool-1` and so on.
    pub fn options() -> ThreadPoolOptions {
        ThreadPoolOptions {
            threads: None,
            capacity: 1_024,
            name: Cow::Borrowed("pool"),
            stack: None,
            max_tasks: None,
            initializer: None,
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.0
    }

    /// What it does and has done.
    pub fn stats(&self) -> PoolStats {
        let shared = self.shared();
        shared.counts.stats(shared.line.len())
    }

    /// Accepts nothing more, does with the jobs as told, and waits until the threads have ended; but
    /// for [`Shutdown::Kill`], which waits for none. May be called again, to be stricter.
    ///
    /// Dropping the future changes nothing about the shutdown.
    pub async fn shutdown(&self, how: Shutdown) {
        self.close(how);
        if how != Shutdown::Kill {
            let mut alive = self.shared().alive.subscribe();
            // The sender lives in what this pool shares.
            let _ = alive.wait_for(|alive| *alive == 0).await;
        }
    }

    /// As [`shutdown`](Self::shutdown), waiting on this thread.
    ///
    /// # Errors
    ///
    /// `WouldBlock` inside of a task; nothing was shut down then.
    pub fn blocking_shutdown(&self, how: Shutdown) -> Result<(), JobError> {
        if !blocking::may_block() {
            return Err(JobError::WouldBlock);
        }
        blocking::block_on_until(self.shutdown(how), || None);
        Ok(())
    }

    fn close(&self, how: Shutdown) {
        let shared = self.shared();
        shared.line.close();
        if how == Shutdown::Finish {
            return;
        }
        if how == Shutdown::Kill {
            // Before those that run are looked for: who begins later looks here.
            shared.killed.store(true, Ordering::Release);
        }
        for work in shared.line.drain().into_iter().filter_map(Ticket::take) {
            shared.counts.cancelled();
            contain(|| work.fail(JobError::cancelled(false)));
        }
        if how == Shutdown::Kill {
            for running in &shared.running {
                let token = lock(&running.0).clone();
                if let Some(token) = token {
                    contain(|| token.revoke());
                }
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.line.close();
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool")
            .field("name", &self.shared().name)
            .field("workers", &self.shared().running.len())
            .field("queued", &self.shared().line.len())
            .finish()
    }
}

impl<J: Job> Pool<J> for ThreadPool {
    fn workers(&self) -> usize {
        self.shared().running.len()
    }

    fn try_submit_with(
        &self,
        job: J,
        options: JobOptions,
    ) -> Result<Reply<J::Output, JobError>, SubmitError<J>> {
        let (order, reply) = order(job, &options);
        self.shared()
            .line
            .try_push_short(order, Ticket::of)
            .map(|()| reply)
            .map_err(refused)
    }

    async fn submit_with(
        &self,
        job: J,
        options: JobOptions,
    ) -> Result<Reply<J::Output, JobError>, SubmitError<J>> {
        let (order, reply) = order(job, &options);
        let pushed = self.shared().line.push(order, Ticket::of).await;
        pushed.map(|()| reply).map_err(refused)
    }

    fn try_submit_chunk(
        &self,
        jobs: Vec<J>,
        options: JobOptions,
    ) -> Result<ChunkReply<J>, SubmitError<Vec<J>>> {
        let submitted = self.try_submit_with(Chunk(jobs), options);
        submitted.map_err(|refused| match refused {
            SubmitError::Full(chunk) => SubmitError::Full(chunk.0),
            SubmitError::Closed(chunk) => SubmitError::Closed(chunk.0),
        })
    }

    async fn submit_chunk(
        &self,
        jobs: Vec<J>,
        options: JobOptions,
    ) -> Result<ChunkReply<J>, SubmitError<Vec<J>>> {
        let submitted = self.submit_with(Chunk(jobs), options).await;
        submitted.map_err(|refused| SubmitError::Closed(refused.into_job().0))
    }
}

/// A job with its reply.
type Ordered<J> = promise::Owed<<J as Job>::Output, JobError, Order<J>>;

fn order<J: Job>(job: J, options: &JobOptions) -> (Ordered<J>, Reply<J::Output, JobError>) {
    let deadline = options.deadline();
    let job = Mutex::new(Some(job));
    let (order, promised) = promise::promise_of(Order { job, deadline });
    let mut reply = Reply::of(promised);
    if let Some(time) = deadline {
        reply = reply.timeout(time.saturating_duration_since(Instant::now()));
    }
    (order, reply)
}

fn refused<J: Job>(refused: Refused<Ordered<J>>) -> SubmitError<J> {
    let job = |order: Ordered<J>| {
        let job = lock(&order.work.job).take();
        job.expect("only a ticket takes it out")
    };
    match refused {
        Refused::Full(order) => SubmitError::Full(job(order)),
        Refused::Closed(order) => SubmitError::Closed(job(order)),
    }
}

/// Jobs that one thread runs one after the other.
struct Chunk<J>(Vec<J>);

impl<J: Job> Job for Chunk<J> {
    type Output = Vec<Result<J::Output, JobError>>;

    fn run(self) -> Self::Output {
        let me = CurrentJob::get();
        let jobs = self.0.into_iter();
        jobs.map(|job| {
            if me.as_ref().is_some_and(CurrentJob::is_cancelled) {
                return Err(JobError::cancelled(false));
            }
            run(job)
        })
        .collect()
    }
}

fn run<J: Job>(job: J) -> Result<J::Output, JobError> {
    catch_unwind(AssertUnwindSafe(|| job.run())).map_err(|payload| {
        let panic = Panic::caught(&*payload);
        // Its destructor may panic, too.
        contain(|| drop(payload));
        JobError::Panicked(panic)
    })
}

/// Runs what may end in a destructor of the user's that panics.
fn contain(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        let text = Panic::caught(&*payload);
        tracing::error!(%text, "a destructor has panicked in a pool");
        mem::forget(payload);
    }
}

impl<J: Job> Work for promise::Shared<J::Output, JobError, Order<J>> {
    fn run(self: Arc<Self>, worker: &Worker, began: Instant) {
        let Some(job) = lock(&self.work.job).take() else {
            return self.abandon();
        };
        let deadline = self.work.deadline;
        let token: Arc<dyn Token> = Arc::clone(&self) as _;
        let running = &worker.pool.running[worker.number].0;
        *lock(running) = Some(Arc::clone(&token));
        if worker.pool.killed.load(Ordering::Acquire) {
            // It was not among those that were told.
            contain(|| token.revoke());
        }
        let me = CurrentJob {
            token,
            deadline,
            worker: Arc::clone(&worker.name),
        };
        let entered = me.enter();
        let mut result = run(job);
        drop(entered);
        // A job that ends early because it is too late has no result either.
        if result.is_ok() && deadline.is_some_and(|time| time <= Instant::now()) {
            contain(|| drop(mem::replace(&mut result, Err(JobError::timed_out(true)))));
        }
        *lock(running) = None;
        let outcome = match result {
            Ok(_) => Outcome::Done,
            Err(_) => Outcome::Failed,
        };
        let counts = &worker.pool.counts;
        counts.ended(worker.number, outcome, began.elapsed());
        self.answer(result);
    }

    fn stale(&self, now: Instant) -> Option<JobError> {
        if self.work.deadline.is_some_and(|time| time <= now) {
            return Some(JobError::timed_out(false));
        }
        (!self.start()).then_some(JobError::cancelled(false))
    }

    fn fail(&self, error: JobError) {
        // Dropped only after the answer: its destructor may panic.
        let job = lock(&self.work.job).take();
        self.answer(Err(error));
        drop(job);
    }

    fn give_up(&self) {
        let job = lock(&self.work.job).take();
        self.abandon();
        drop(job);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks is left half-done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ThreadPoolOptions {
    /// How many threads. Zero is refused when the pool is built.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// How many jobs may wait. Zero is refused when the pool is built.
    pub fn capacity(mut self, jobs: usize) -> Self {
        self.capacity = jobs;
        self
    }

    /// The first part of the threads' names; the second is their number.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// How much stack each thread has, in bytes.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack = Some(bytes);
        self
    }

    /// A thread is replaced by a new one when it has run so many jobs.
    pub fn max_tasks_per_worker(mut self, jobs: u64) -> Self {
        self.max_tasks = Some(jobs.max(1));
        self
    }

    /// Runs on each thread before its first job. Where it panics, the job fails with that, and it
    /// runs again before the next one.
    pub fn initializer(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.initializer = Some(Arc::new(f));
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// `NoWorkers`, `ZeroCapacity`, `Thread`.
    pub fn build(self) -> Result<ThreadPool, PoolError> {
        let cores = || thread::available_parallelism().map_or(1, |cores| cores.get());
        let threads = self.threads.unwrap_or_else(cores);
        if threads == 0 {
            return Err(PoolError::NoWorkers);
        }
        if self.capacity == 0 {
            return Err(PoolError::ZeroCapacity);
        }
        let shared = Arc::new(Shared {
            line: Line::new(self.capacity),
            counts: Counts::new(threads),
            alive: watch::Sender::new(0),
            running: (0..threads).map(|_| Apart(Mutex::new(None))).collect(),
            killed: AtomicBool::new(false),
            name: self.name,
            stack: self.stack,
            max_tasks: self.max_tasks,
            initializer: self.initializer,
        });
        // Dropped on an error, it ends the threads that were started.
        let pool = ThreadPool {
            handle: Arc::new(Handle(Arc::clone(&shared))),
        };
        for number in 0..threads {
            let worker = Worker {
                pool: Arc::clone(&shared),
                number,
                name: format!("{}-{number}", shared.name).into(),
            };
            worker.start().map_err(PoolError::Thread)?;
        }
        Ok(pool)
    }
}

impl fmt::Debug for ThreadPoolOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolOptions")
            .field("threads", &self.threads)
            .field("capacity", &self.capacity)
            .field("name", &self.name)
            .field("max_tasks_per_worker", &self.max_tasks)
            .finish_non_exhaustive()
    }
}

impl Worker {
    fn start(self) -> io::Result<()> {
        let mut thread = thread::Builder::new().name(self.name.replace('\0', " "));
        if let Some(bytes) = self.pool.stack {
            thread = thread.stack_size(bytes);
        }
        let pool = Arc::clone(&self.pool);
        pool.alive.send_modify(|alive| *alive += 1);
        let started = thread.spawn(move || self.work());
        if started.is_err() {
            pool.alive.send_modify(|alive| *alive -= 1);
        }
        started.map(drop)
    }

    fn work(self) {
        /// Counts the thread out, whatever ends it.
        struct Ended(Arc<Shared>);
        impl Drop for Ended {
            fn drop(&mut self) {
                self.0.alive.send_modify(|alive| *alive -= 1);
            }
        }
        let ended = Ended(Arc::clone(&self.pool));
        let mut left = self.pool.max_tasks;
        let mut ready = self.pool.initializer.is_none();
        let mut worked = false;
        while let Some(waiting) = self.pool.line.wait(worked) {
            worked = true;
            contain(|| self.take(waiting, &mut ready));
            let Some(left) = &mut left else { continue };
            *left -= 1;
            if *left > 0 {
                continue;
            }
            let next = Self {
                pool: Arc::clone(&self.pool),
                number: self.number,
                name: Arc::clone(&self.name),
            };
            match next.start() {
                Ok(()) => {
                    self.pool.counts.replaced();
                    break;
                }
                // Better an old thread than none.
                Err(error) => {
                    tracing::warn!(%error, "no thread to replace one of a pool");
                    *left = 1;
                }
            }
        }
        drop(ended);
    }

    fn take(&self, waiting: Waiting<Ticket>, ready: &mut bool) {
        let began = Instant::now();
        let Some(work) = waiting.job.take() else {
            return;
        };
        let counts = &self.pool.counts;
        if let Some(error) = work.stale(began) {
            counts.cancelled();
            return work.fail(error);
        }
        let since = waiting.since;
        counts.began(
            self.number,
            began.into_std().saturating_duration_since(since),
        );
        if !*ready {
            if let Some(Err(payload)) = self
                .pool
                .initializer
                .as_deref()
                .map(|initializer| catch_unwind(AssertUnwindSafe(initializer)))
            {
                let text = Panic::caught(&*payload);
                counts.ended(self.number, Outcome::Failed, began.elapsed());
                let text = format!("the initializer of the worker panicked: {text}");
                return work.fail(JobError::failed(text, false));
            }
            *ready = true;
        }
        if self.pool.killed.load(Ordering::Acquire) {
            // It was taken out of the line before that was emptied.
            counts.ended(self.number, Outcome::Failed, began.elapsed());
            return work.fail(JobError::cancelled(false));
        }
        work.run(self, began);
    }
}
