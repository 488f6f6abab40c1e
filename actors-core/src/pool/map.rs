//! Many jobs: their results as a stream, or as an iterator that waits.
use super::error::{JobError, SubmitError};
use super::job::{Job, JobOptions};
use super::{ChunkReply, Pool};
use crate::blocking;
use futures_core::Stream;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// The results of many jobs, as a stream: see [`Pool::map`].
#[must_use = "nothing is submitted until the stream is polled"]
pub struct Map<'a, P, J: Job, I> {
    pool: &'a P,
    /// `None`: the iterator has ended.
    jobs: Option<I>,
    ordered: bool,
    chunk: usize,
    window: usize,
    options: JobOptions,
    /// A chunk that waits for room, and how many jobs it has.
    waiting: Option<(Submitting<'a, J>, usize)>,
    submitted: VecDeque<Submitted<J>>,
    ready: std::vec::IntoIter<Result<J::Output, JobError>>,
}

type Submitting<'a, J> =
    Pin<Box<dyn Future<Output = Result<ChunkReply<J>, SubmitError<Vec<J>>>> + Send + 'a>>;

struct Submitted<J: Job> {
    /// `None`: the pool is closed.
    reply: Option<ChunkReply<J>>,
    jobs: usize,
    deadline: Option<Instant>,
}

// The iterator and the replies are never pinned.
impl<P, J: Job, I> Unpin for Map<'_, P, J, I> {}

impl<'a, P, J, I> Map<'a, P, J, I>
where
    P: Pool<J>,
    J: Job,
    I: Iterator<Item = J>,
{
    pub(super) fn new(pool: &'a P, jobs: I, ordered: bool) -> Self {
        Self {
            pool,
            jobs: Some(jobs),
            ordered,
            chunk: 1,
            window: (2 * pool.workers()).max(1),
            options: JobOptions::new(),
            waiting: None,
            submitted: VecDeque::new(),
            ready: Vec::new().into_iter(),
        }
    }

    /// How many jobs travel together, which pays for tiny ones: one by one unless told otherwise.
    /// A chunk is run by one worker, job after job, and shares its fate where that dies.
    pub fn chunk_size(mut self, jobs: usize) -> Self {
        self.chunk = jobs.max(1);
        self
    }

    /// How many chunks are submitted ahead of what was taken out: twice as many as there are
    /// workers unless told otherwise.
    pub fn window(mut self, chunks: usize) -> Self {
        self.window = chunks.max(1);
        self
    }

    /// How each chunk is run.
    pub fn options(mut self, options: JobOptions) -> Self {
        self.options = options;
        self
    }

    /// Gives each chunk this long, from when it is submitted.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options = self.options.timeout(limit);
        self
    }

    /// The same as an iterator that waits on this thread.
    pub fn blocking(self) -> BlockingMap<'a, P, J, I> {
        BlockingMap { map: Some(self) }
    }

    /// Submits as much as the window lets.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while self.submitted.len() < self.window {
            let (result, jobs) = match self.waiting.take() {
                Some((mut waiting, jobs)) => match waiting.as_mut().poll(cx) {
                    Poll::Ready(result) => (result, jobs),
                    Poll::Pending => {
                        self.waiting = Some((waiting, jobs));
                        return;
                    }
                },
                None => {
                    let Some(jobs) = &mut self.jobs else { return };
                    let chunk: Vec<J> = jobs.take(self.chunk).collect();
                    let jobs = chunk.len();
                    if jobs < self.chunk {
                        self.jobs = None;
                    }
                    if jobs == 0 {
                        return;
                    }
                    (self.pool.try_submit_chunk(chunk, self.options), jobs)
                }
            };
            let reply = match result {
                Ok(reply) => Some(reply),
                Err(SubmitError::Full(chunk)) => {
                    let waiting = Box::pin(self.pool.submit_chunk(chunk, self.options));
                    self.waiting = Some((waiting, jobs));
                    continue;
                }
                Err(SubmitError::Closed(_)) => {
                    self.jobs = None;
                    None
                }
            };
            self.submitted.push_back(Submitted {
                reply,
                jobs,
                deadline: self.options.deadline(),
            });
        }
    }

    /// The results of the next chunk that has any.
    fn poll_submitted(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Result<J::Output, JobError>>> {
        let looked_at = match self.ordered {
            true => 1,
            false => self.submitted.len(),
        };
        for at in 0..looked_at.min(self.submitted.len()) {
            let submitted = &mut self.submitted[at];
            let result = match &mut submitted.reply {
                None => Err(JobError::Closed),
                Some(reply) => match Pin::new(reply).poll(cx) {
                    Poll::Ready(result) => result,
                    Poll::Pending => continue,
                },
            };
            let jobs = submitted.jobs;
            self.submitted.remove(at);
            return Poll::Ready(
                result.unwrap_or_else(|error| (0..jobs).map(|_| Err(error.clone())).collect()),
            );
        }
        Poll::Pending
    }

    fn deadline(&self) -> Option<Instant> {
        let deadlines = self.submitted.iter().filter_map(|chunk| chunk.deadline);
        deadlines.min()
    }
}

impl<P, J, I> Stream for Map<'_, P, J, I>
where
    P: Pool<J>,
    J: Job,
    I: Iterator<Item = J>,
{
    type Item = Result<J::Output, JobError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(result) = this.ready.next() {
                return Poll::Ready(Some(result));
            }
            this.fill(cx);
            match this.poll_submitted(cx) {
                Poll::Ready(results) => this.ready = results.into_iter(),
                Poll::Pending if this.submitted.is_empty() && this.waiting.is_none() => {
                    return Poll::Ready(None);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<P, J: Job, I> fmt::Debug for Map<'_, P, J, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("submitted", &self.submitted.len())
            .field("window", &self.window)
            .field("chunk", &self.chunk)
            .finish_non_exhaustive()
    }
}

/// The results of many jobs, as an iterator that waits for them: see [`Pool::blocking_map`].
#[must_use = "nothing is submitted until the iterator is asked"]
pub struct BlockingMap<'a, P, J: Job, I> {
    /// `None`: it has ended, since it was asked inside of a task.
    map: Option<Map<'a, P, J, I>>,
}

impl<P, J, I> Iterator for BlockingMap<'_, P, J, I>
where
    P: Pool<J>,
    J: Job,
    I: Iterator<Item = J>,
{
    type Item = Result<J::Output, JobError>;

    fn next(&mut self) -> Option<Self::Item> {
        let map = self.map.as_mut()?;
        if let Some(result) = map.ready.next() {
            return Some(result);
        }
        if !blocking::may_block() {
            self.map = None;
            return Some(Err(JobError::WouldBlock));
        }
        let deadline = std::cell::Cell::new(None);
        let next = poll_fn(|cx| {
            let polled = Pin::new(&mut *map).poll_next(cx);
            deadline.set(map.deadline());
            polled
        });
        blocking::block_on_until(next, || deadline.get())
    }
}

impl<P, J: Job, I> fmt::Debug for BlockingMap<'_, P, J, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingMap")
            .field("map", &self.map)
            .finish()
    }
}
