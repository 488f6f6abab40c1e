//! What a pool runs, and what a job can learn about itself while it runs.
use crate::mailbox::current;
use crate::promise::Token;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a pool runs: a closure, or a call of a function marked `#[task]`.
///
/// ```
/// use actors_core::{Job, Pool, ThreadPool};
///
/// struct Double(u32);
///
/// impl Job for Double {
///     type Output = u32;
///     fn run(self) -> u32 { self.0 * 2 }
/// }
///
/// # fn main() -> Result<(), actors_core::Error> {
/// let pool = ThreadPool::new(1)?;
/// assert_eq!(pool.apply(Double(4))?, 8);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job for a pool",
    label = "not a job",
    note = "pass a closure without parameters that is `Send` and borrows nothing (`move || ...`), \
            or `name::job(..)` of a function marked `#[task]`"
)]
pub trait Job: Send + 'static {
    /// The result.
    type Output: Send + 'static;

    /// Does the work. May block.
    fn run(self) -> Self::Output;
}

#[diagnostic::do_not_recommend]
impl<F, R> Job for F
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    type Output = R;

    fn run(self) -> R {
        self()
    }
}

/// How one job is to be run.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "options do nothing until a job is submitted with them"]
pub struct JobOptions {
    timeout: Option<Duration>,
    retries: u32,
}

impl JobOptions {
    /// The defaults: no timeout, no retries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The job ends with `TimedOut` when it has no result within `limit` of being submitted, the
    /// time that it waits for room included. If it has not started it never will; if it runs, it is
    /// told on threads, and its worker is killed and replaced on processes.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// A job whose worker process dies is run again, at most this often. Only for jobs that may
    /// run twice.
    pub fn retries(mut self, times: u32) -> Self {
        self.retries = times;
        self
    }

    /// How often it may be run again.
    pub fn max_retries(&self) -> u32 {
        self.retries
    }

    /// When a job that is submitted now has to have its result: what the timeout says, or earlier,
    /// inside of a handler whose asker has set a deadline.
    pub fn deadline(&self) -> Option<Instant> {
        let own = self
            .timeout
            .and_then(|limit| Instant::now().checked_add(limit));
        let inherited = current(|turn| turn.and_then(|turn| turn.deadline().time()));
        own.into_iter().chain(inherited).min()
    }
}

/// How a pool is shut down. It accepts nothing more, whichever it is. The stricter, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// All that was accepted is run.
    Finish,
    /// What runs goes on; what waits ends with `Cancelled`.
    CancelPending,
    /// What runs ends with `Cancelled`, too: processes are killed. Threads cannot be; they are told,
    /// and not waited for.
    Kill,
}

thread_local! {
    static CURRENT: RefCell<Option<CurrentJob>> = const { RefCell::new(None) };
}

/// The job that runs on this thread of a [`ThreadPool`](crate::ThreadPool).
///
/// ```
/// use actors_core::{CurrentJob, Pool, ThreadPool};
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let pool = ThreadPool::new(1)?;
/// let mut reply = pool.submit(|| {
///     let me = CurrentJob::get().expect("this is a job");
///     while !me.is_cancelled() {
///         std::thread::yield_now();
///     }
/// }).await?;
/// reply.cancel();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CurrentJob {
    pub(super) token: Arc<dyn Token>,
    pub(super) deadline: Option<Instant>,
    pub(super) worker: Arc<str>,
}

impl CurrentJob {
    /// The job that this thread runs; `None` where it runs none.
    pub fn get() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Whether nobody waits for the result any more: cancelled, timed out, dropped, or the pool was
    /// shut down with [`Shutdown::Kill`].
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled() || self.deadline.is_some_and(|time| time <= Instant::now())
    }

    /// When the result is due, if a timeout was set or inherited.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The name of the worker: the thread's.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// Makes this the job of this thread until what is returned is dropped.
    pub(super) fn enter(self) -> impl Drop {
        struct Leave(Option<CurrentJob>);
        impl Drop for Leave {
            fn drop(&mut self) {
                let before = self.0.take();
                drop(CURRENT.replace(before));
            }
        }
        Leave(CURRENT.replace(Some(self)))
    }
}

impl fmt::Debug for CurrentJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentJob")
            .field("worker", &self.worker)
            .field("cancelled", &self.is_cancelled())
            .field("deadline", &self.deadline)
            .finish()
    }
}
