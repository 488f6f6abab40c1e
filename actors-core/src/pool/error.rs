//! What becomes of a job that has no result, and why one is not taken.
use crate::error::{AskError, NoReplyReason, StopReason};
use crate::panics::Panic;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;

/// Why a job has no result.
///
/// [`may_have_run`](Self::may_have_run) tells whether the job may have had an effect; where it says
/// no, submitting it again is safe.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum JobError {
    /// Not accepted: the pool was shut down.
    Closed,
    /// The one who waited for it cancelled it, or the pool's shutdown did.
    #[non_exhaustive]
    Cancelled {
        /// Whether it had started.
        may_have_run: bool,
    },
    /// Its timeout has passed.
    #[non_exhaustive]
    TimedOut {
        /// Whether it had started.
        may_have_run: bool,
    },
    /// It panicked; the panic's text, and more. Its worker goes on.
    Panicked(Panic),
    /// The process in which it ran has died. The worker is replaced, and no other job is lost.
    WorkerDied(WorkerDied),
    /// It did not get to a worker, or its result did not get back; the cause says why.
    #[non_exhaustive]
    Failed {
        /// What went wrong.
        cause: Arc<dyn StdError + Send + Sync + 'static>,
        /// Whether it had started.
        may_have_run: bool,
    },
    /// A blocking call from inside an asynchronous task, where it would stall the runtime. Use the
    /// `async` form there, or call from `tokio::task::spawn_blocking` or a plain thread.
    WouldBlock,
}

impl JobError {
    /// The job was not run, or its result is lost, for another reason than the ones of a pool.
    pub fn failed(
        cause: impl Into<Box<dyn StdError + Send + Sync + 'static>>,
        may_have_run: bool,
    ) -> Self {
        Self::Failed {
            cause: Arc::from(cause.into()),
            may_have_run,
        }
    }

    /// The job was cancelled.
    pub fn cancelled(may_have_run: bool) -> Self {
        Self::Cancelled { may_have_run }
    }

    /// The job's timeout has passed.
    pub fn timed_out(may_have_run: bool) -> Self {
        Self::TimedOut { may_have_run }
    }

    /// Whether the job may have had an effect. False: it was not run and never will be.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Closed | Self::WouldBlock => false,
            Self::Panicked(_) | Self::WorkerDied(_) => true,
            Self::Cancelled { may_have_run }
            | Self::TimedOut { may_have_run }
            | Self::Failed { may_have_run, .. } => *may_have_run,
        }
    }
}

impl From<AskError> for JobError {
    /// For what a [`Reply`](crate::Reply) finds by itself, and for pools that are built of actors.
    fn from(error: AskError) -> Self {
        match error {
            AskError::Closed => Self::Closed,
            AskError::WouldBlock => Self::WouldBlock,
            AskError::Cancelled { may_have_run } => Self::Cancelled { may_have_run },
            AskError::TimedOut { may_have_run } => Self::TimedOut { may_have_run },
            AskError::NoReply {
                reason: NoReplyReason::Stopped(StopReason::Panicked(panic)),
                ..
            } => Self::Panicked(panic),
            other => {
                let may_have_run = other.may_have_run();
                Self::failed(other, may_have_run)
            }
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ran = |may_have_run: &bool| match may_have_run {
            true => "while the job ran",
            false => "before the job ran",
        };
        match self {
            Self::Closed => f.write_str("the pool was shut down and did not accept the job"),
            Self::Cancelled { may_have_run } => write!(f, "cancelled {}", ran(may_have_run)),
            Self::TimedOut { may_have_run } => write!(f, "timed out {}", ran(may_have_run)),
            Self::Panicked(panic) => write!(f, "the job panicked: {panic}"),
            Self::WorkerDied(_) => f.write_str("the job's worker process died"),
            Self::Failed { .. } => f.write_str("the job has no result"),
            Self::WouldBlock => AskError::WouldBlock.fmt(f),
        }
    }
}

impl StdError for JobError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::WorkerDied(died) => Some(died),
            Self::Failed { cause, .. } => Some(&**cause),
            _ => None,
        }
    }
}

/// How a worker process died.
#[derive(Clone, Debug)]
pub struct WorkerDied {
    status: Option<ExitStatus>,
    stderr: Arc<str>,
}

impl WorkerDied {
    /// With its exit status, if that is known, and the end of what it wrote to its standard error,
    /// jobs before this one included.
    pub fn new(status: Option<ExitStatus>, stderr: impl Into<Arc<str>>) -> Self {
        Self {
            status,
            stderr: stderr.into(),
        }
    }

    /// The signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        #[cfg(unix)]
        return std::os::unix::process::ExitStatusExt::signal(self.status.as_ref()?);
        #[cfg(not(unix))]
        None
    }

    /// The code with which it exited by itself.
    pub fn code(&self) -> Option<i32> {
        self.status?.code()
    }

    /// The end of what it wrote to its standard error.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }
}

impl fmt::Display for WorkerDied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.signal(), self.code()) {
            (Some(signal), _) => write!(f, "killed by signal {signal}")?,
            (None, Some(code)) => write!(f, "exited with code {code}")?,
            (None, None) => f.write_str("its channel was closed")?,
        }
        match self.stderr.trim().lines().next_back() {
            Some(line) => write!(f, ", saying: {line}"),
            None => Ok(()),
        }
    }
}

impl StdError for WorkerDied {}

/// Why a job was not taken; holds the job.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitError<J> {
    /// There is no room in line. Only where the job was submitted without waiting for room.
    Full(J),
    /// The pool was shut down.
    Closed(J),
}

impl<J> SubmitError<J> {
    /// The job that was refused.
    pub fn into_job(self) -> J {
        match self {
            Self::Full(job) | Self::Closed(job) => job,
        }
    }

    /// Whether there was no room, so that trying again later may help.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl<J> fmt::Display for SubmitError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the pool has no room for another job",
            Self::Closed(_) => "the pool was shut down and did not accept the job",
        })
    }
}

impl<J> fmt::Debug for SubmitError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Full(_) => "Full",
            Self::Closed(_) => "Closed",
        };
        write!(f, "{name}({})", std::any::type_name::<J>())
    }
}

impl<J> StdError for SubmitError<J> {}

/// Why a pool was not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum PoolError {
    /// A pool without workers could never run a job.
    NoWorkers,
    /// A line without room could never take a job.
    ZeroCapacity,
    /// The operating system refused a thread.
    Thread(io::Error),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoWorkers => "a pool without workers could never run a job: give it at least 1",
            Self::ZeroCapacity => {
                "a pool with room for no job could never take one: give it at least 1"
            }
            Self::Thread(_) => "a thread for the pool could not be started",
        })
    }
}

impl StdError for PoolError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            Self::NoWorkers | Self::ZeroCapacity => None,
        }
    }
}
