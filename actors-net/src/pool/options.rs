//! How a `ProcessPool` is made.
use super::ProcessPool;
use crate::child::Program;
use crate::task::Task;
use crate::wire::{self, Setup};
use crate::worker;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// How a [`ProcessPool`] is made.
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a pool is built with them"]
pub struct ProcessPoolOptions {
    workers: Option<usize>,
    program: Option<PathBuf>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    patience: Duration,
    setup: Setup,
    fault: Option<String>,
    pub(super) name: String,
    pub(super) capacity: usize,
    pub(super) frame_limit: u32,
    pub(super) max_tasks: Option<u64>,
}

impl ProcessPoolOptions {
    pub(super) fn new() -> Self {
        Self {
            workers: None,
            program: None,
            args: Vec::new(),
            env: Vec::new(),
            patience: Duration::from_secs(10),
            setup: Setup::default(),
            fault: None,
            name: "pool".to_owned(),
            capacity: 1_024,
            frame_limit: 1 << 30,
            max_tasks: None,
        }
    }

    /// How many processes. Zero is refused when the pool is built.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How many jobs may wait, not counting those that are taken back from a worker. Zero is refused when the pool is built.
    pub fn capacity(mut self, jobs: usize) -> Self {
        self.capacity = jobs;
        self
    }

    /// What the pool is called in logs.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Another program for the workers than this one. It has to call [`init`](crate::init) first
    /// in its `main`, and to have the same tasks under the same names.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
        self
    }

    /// Arguments for the workers' program.
    ///
    /// In a test, `main` belongs to the test harness, which cannot be told to call
    /// [`init`](crate::init). So let it run only one test, which does:
    ///
    /// ```text
    /// #[test]
    /// fn worker() {
    ///     actors_net::init();
    /// }
    /// ```
    ///
    /// ```
    /// use actors_net::ProcessPool;
    ///
    /// # fn main() {
    /// actors_net::init();
    /// let options = ProcessPool::options().args(["--exact", "tests::worker", "--nocapture"]);
    /// # let _ = options;
    /// # }
    /// ```
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// A variable of the workers' environment, which they inherit otherwise.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// How long a worker may take until it is ready: 10 s unless told otherwise. Then it is killed,
    /// and the jobs that wait fail with [`StartError::NotReady`](crate::StartError), unless another
    /// worker is there.
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// A worker is replaced by a new one when it has run so many jobs.
    pub fn max_tasks_per_worker(mut self, jobs: u64) -> Self {
        self.max_tasks = Some(jobs.max(1));
        self
    }

    /// Each worker runs this before its first job. Where it panics, the worker does not start.
    pub fn initializer<T: Task>(mut self, call: &T) -> Self {
        match wire::encode(call.args()) {
            Ok(args) => self.setup.initializer = Some((T::NAME.to_owned(), args)),
            Err(error) => self.fault = Some(error.to_string()),
        }
        self
    }

    /// How much memory (address space, in bytes) each worker may have. One that needs more aborts.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.setup.memory = Some(bytes);
        self
    }

    /// How many seconds of processor time each worker may use in its life; then it is killed.
    pub fn cpu_limit(mut self, seconds: u64) -> Self {
        self.setup.cpu = Some(seconds);
        self
    }

    /// How many bytes the arguments or the result of one job or chunk may take. Those that take
    /// more fail.
    pub fn frame_limit(mut self, bytes: u32) -> Self {
        self.frame_limit = bytes;
        self
    }

    /// Starts the pool. Its processes come up beside; a job that cannot get one fails with
    /// [`StartError`](crate::StartError) as its cause.
    ///
    /// # Errors
    ///
    /// `NoWorkers`, `ZeroCapacity`, `NotInitialized`, `Program`, `Initializer`, `Thread`.
    pub fn build(mut self) -> Result<ProcessPool, ProcessPoolError> {
        let cores = || thread::available_parallelism().map_or(1, |cores| cores.get());
        let workers = self.workers.unwrap_or_else(cores);
        if workers == 0 {
            return Err(ProcessPoolError::NoWorkers);
        }
        if self.capacity == 0 {
            return Err(ProcessPoolError::ZeroCapacity);
        }
        if let Some(fault) = self.fault.take() {
            return Err(ProcessPoolError::Initializer(fault));
        }
        if self.program.is_none() {
            if !worker::is_initialized() {
                return Err(ProcessPoolError::NotInitialized);
            }
            let own = std::env::current_exe().map_err(ProcessPoolError::Program)?;
            self.program = Some(own);
        }
        ProcessPool::start(self, workers)
    }

    pub(super) fn program_of_workers(&self) -> Program {
        Program {
            path: self.program.clone().unwrap_or_default(),
            args: self.args.clone(),
            env: self.env.clone(),
            patience: self.patience,
        }
    }

    pub(super) fn setup_of(&self, worker: usize) -> Setup {
        Setup {
            limit: self.frame_limit,
            name: format!("{}-{worker}", self.name),
            ..self.setup.clone()
        }
    }
}

/// Why a pool of processes was not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProcessPoolError {
    /// A pool without workers could never run a job.
    NoWorkers,
    /// A line without room could never take a job.
    ZeroCapacity,
    /// `main` has not called [`init`](crate::init), so this program started again would not be a
    /// worker.
    NotInitialized,
    /// The path of this program is not known.
    Program(io::Error),
    /// The arguments of the initializer cannot be written; the text says why.
    Initializer(String),
    /// The operating system refused a thread.
    Thread(io::Error),
}

impl fmt::Display for ProcessPoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorkers => {
                f.write_str("a pool without workers could never run a job: give it at least 1")
            }
            Self::ZeroCapacity => {
                f.write_str("a pool with room for no job could never take one: give it at least 1")
            }
            Self::NotInitialized => f.write_str(
                "the workers are this program started again: call `actors_net::init()` first in \
                 `main`, or give the path of another program",
            ),
            Self::Program(_) => f.write_str("the path of this program is not known"),
            Self::Initializer(text) => {
                write!(
                    f,
                    "the arguments of the initializer cannot be written: {text}"
                )
            }
            Self::Thread(_) => f.write_str("a thread for the pool could not be started"),
        }
    }
}

impl std::error::Error for ProcessPoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Program(error) | Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}
