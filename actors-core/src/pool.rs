//! `Pool`: workers for plain functions, behind one interface; and the one whose workers are threads.
mod error;
mod job;
mod line;
mod stats;
mod map;
mod threads;

use crate::blocking;
use crate::call::Reply;
use std::future::Future;

pub use error::{JobError, PoolError, SubmitError, WorkerDied};
pub use job::{CurrentJob, Job, JobOptions, Shutdown};
pub use line::{Line, Refused, Waiting};
pub use map::{BlockingMap, Map};
pub use stats::{Counts, Latency, Outcome, PoolStats};
pub use threads::{ThreadPool, ThreadPoolOptions};

/// Workers that run jobs: what pools of threads and pools of processes have in common.
///
/// | | from async code | from a plain thread |
/// |---|---|---|
/// | one job, its reply later | [`submit`](Self::submit), [`try_submit`](Self::try_submit) | [`try_submit`](Self::try_submit) and [`Reply::wait`] |
/// | one job, and wait for it | `submit(job).await?.await` | [`apply`](Self::apply) |
/// | many, in order | [`map`](Self::map) | [`blocking_map`](Self::blocking_map) |
/// | many, as they come | [`map_unordered`](Self::map_unordered) | [`blocking_map_unordered`](Self::blocking_map_unordered) |
///
/// The reply of a job is a [`Reply`], as that of a message to an actor: it can be looked at, waited
/// for, cancelled, given a timeout, or left to itself. Dropping it cancels the job.
///
/// A job that is cancelled before it has started never runs. One that runs is told so on threads
/// ([`CurrentJob::is_cancelled`]), and its worker is killed and replaced on processes.
///
/// ```
/// use actors_core::{Pool, ThreadPool};
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let pool = ThreadPool::new(2)?;
/// let reply = pool.submit(|| 6 * 7).await?;
/// assert_eq!(reply.await?, 42);
/// # Ok(())
/// # }
/// ```
pub trait Pool<J: Job>: Sync {
    /// How many workers there are.
    fn workers(&self) -> usize;

    /// Puts a job in line if there is room.
    ///
    /// # Errors
    ///
    /// `Full` when there is none, `Closed` after a shutdown; both give the job back.
    fn try_submit_with(
        &self,
        job: J,
        options: JobOptions,
    ) -> Result<Reply<J::Output, JobError>, SubmitError<J>>;

    /// Waits for room and puts a job in line. Dropped before it is ready, it has submitted nothing.
    ///
    /// # Errors
    ///
    /// `Closed` after a shutdown; the job comes back.
    fn submit_with(
        &self,
        job: J,
        options: JobOptions,
    ) -> impl Future<Output = Result<Reply<J::Output, JobError>, SubmitError<J>>> + Send;

    /// As [`try_submit_with`](Self::try_submit_with), for several jobs that one worker runs one
    /// after the other. They take one place in line, and are cancelled together.
    ///
    /// # Errors
    ///
    /// As there.
    fn try_submit_chunk(
        &self,
        jobs: Vec<J>,
        options: JobOptions,
    ) -> Result<ChunkReply<J>, SubmitError<Vec<J>>>;

    /// As [`submit_with`](Self::submit_with), for several jobs that one worker runs one after the
    /// other.
    ///
    /// # Errors
    ///
    /// As there.
    fn submit_chunk(
        &self,
        jobs: Vec<J>,
        options: JobOptions,
    ) -> impl Future<Output = Result<ChunkReply<J>, SubmitError<Vec<J>>>> + Send;

    /// Waits for room, puts a job in line, and gives its reply: a future object. Dropped before it
    /// is ready, it has submitted nothing.
    ///
    /// # Errors
    ///
    /// `Closed` after a shutdown; the job comes back.
    fn submit(
        &self,
        job: J,
    ) -> impl Future<Output = Result<Reply<J::Output, JobError>, SubmitError<J>>> + Send {
        self.submit_with(job, JobOptions::new())
    }

    /// Puts a job in line if there is room. Never waits.
    ///
    /// # Errors
    ///
    /// `Full` when there is none, `Closed` after a shutdown; both give the job back.
    fn try_submit(&self, job: J) -> Result<Reply<J::Output, JobError>, SubmitError<J>> {
        self.try_submit_with(job, JobOptions::new())
    }

    /// Runs a job and waits for its result on this thread, which must not run an asynchronous task.
    ///
    /// A job must not wait like this for a job of its own pool: when all workers do, none is left.
    ///
    /// # Errors
    ///
    /// What became of the job; `WouldBlock` inside of a task, where nothing was submitted.
    fn apply(&self, job: J) -> Result<J::Output, JobError> {
        self.apply_with(job, JobOptions::new())
    }

    /// As [`apply`](Self::apply), with options.
    ///
    /// # Errors
    ///
    /// As there.
    fn apply_with(&self, job: J, options: JobOptions) -> Result<J::Output, JobError> {
        if !blocking::may_block() {
            return Err(JobError::WouldBlock);
        }
        let submitted = match self.try_submit_with(job, options) {
            Err(SubmitError::Full(job)) => {
                blocking::block_on_until(self.submit_with(job, options), || None)
            }
            submitted => submitted,
        };
        submitted.map_err(|_| JobError::Closed)?.wait()
    }

    /// Runs many jobs; their results come as a stream, in the order of the jobs.
    ///
    /// The iterator is asked for a job when there is room for one in the [window](Map::window), so
    /// it may be without end. Tiny jobs travel in [chunks](Map::chunk_size). Dropping the stream
    /// cancels what it has submitted.
    ///
    /// ```
    /// use actors_core::{Pool, ThreadPool};
    /// use futures_util::StreamExt;
    ///
    /// # #[actors_core::main]
    /// # async fn main() -> Result<(), actors_core::Error> {
    /// let pool = ThreadPool::new(2)?;
    /// let squares = pool.map((0..).map(|n| move || n * n)).take(4);
    /// let squares: Vec<u32> = squares.map(|n| n.expect("none panics")).collect().await;
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    fn map<I>(&self, jobs: I) -> Map<'_, Self, J, I::IntoIter>
    where
        I: IntoIterator<Item = J>,
        Self: Sized,
    {
        Map::new(self, jobs.into_iter(), true)
    }

    /// As [`map`](Self::map), but the results come as the jobs end.
    fn map_unordered<I>(&self, jobs: I) -> Map<'_, Self, J, I::IntoIter>
    where
        I: IntoIterator<Item = J>,
        Self: Sized,
    {
        Map::new(self, jobs.into_iter(), false)
    }

    /// As [`map`](Self::map), as an iterator that waits on this thread. Inside of a task it gives
    /// [`JobError::WouldBlock`] once and ends.
    ///
    /// ```
    /// use actors_core::{Pool, ThreadPool};
    ///
    /// # fn main() -> Result<(), actors_core::Error> {
    /// let pool = ThreadPool::new(2)?;
    /// let lens = pool.blocking_map(["a", "bc"].map(|text| move || text.len()));
    /// assert_eq!(lens.collect::<Result<Vec<_>, _>>()?, [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    fn blocking_map<I>(&self, jobs: I) -> BlockingMap<'_, Self, J, I::IntoIter>
    where
        I: IntoIterator<Item = J>,
        Self: Sized,
    {
        self.map(jobs).blocking()
    }

    /// As [`map_unordered`](Self::map_unordered), as an iterator that waits on this thread.
    fn blocking_map_unordered<I>(&self, jobs: I) -> BlockingMap<'_, Self, J, I::IntoIter>
    where
        I: IntoIterator<Item = J>,
        Self: Sized,
    {
        self.map_unordered(jobs).blocking()
    }
}

/// The reply of a chunk: a result for each of its jobs.
pub type ChunkReply<J> = Reply<Vec<Result<<J as Job>::Output, JobError>>, JobError>;
