//! The other side: a worker process as its parent sees it, from start to end.
use crate::permits::Permits;
use crate::wire::{self, Setup};
use crate::worker;
use actors_core::WorkerDied;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

/// How much of a worker's standard error is kept.
const TAIL: usize = 4 << 10;
/// How long what a dead process has left behind may take to come.
const REST: Duration = Duration::from_secs(1);

/// What is started, and how.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    /// How long a worker may take to be ready.
    pub(crate) patience: Duration,
}

/// Why a worker process was not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The program could not be run.
    Program {
        /// What could not be run.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ran, and did not say that it is ready in time: its `main` does not call
    /// [`init`](crate::init) first.
    NotReady {
        /// What was run.
        path: PathBuf,
        /// How long it was waited for.
        after: Duration,
    },
    /// It ended before it was ready.
    Ended {
        /// What was run.
        path: PathBuf,
        /// How it ended.
        source: WorkerDied,
    },
    /// It could not be set up: its initializer panicked, or a limit could not be set. The text says
    /// which.
    Setup(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { path, .. } => {
                write!(
                    f,
                    "the worker program `{}` could not be run",
                    path.display()
                )
            }
            Self::NotReady { path, after } => write!(
                f,
                "the worker program `{}` was not ready within {after:?}: its `main` has to call \
                 `actors_net::init()` first",
                path.display()
            ),
            Self::Ended { path, .. } => write!(
                f,
                "the worker program `{}` ended before it was ready: its `main` has to call \
                 `actors_net::init()` first",
                path.display()
            ),
            Self::Setup(text) => write!(f, "the worker could not be set up: {text}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Program { source, .. } => Some(source),
            Self::Ended { source, .. } => Some(source),
            Self::NotReady { .. } | Self::Setup(_) => None,
        }
    }
}

/// A worker process that is ready. Dropped, it is killed, with all that it has started.
pub(crate) struct Life {
    reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    writer: OwnedWriteHalf,
    permits: Permits,
    rest: Rest,
}

/// What of it is worked with at the same time.
pub(crate) struct Parts<'a> {
    pub(crate) reader: &'a mut FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    pub(crate) writer: &'a mut OwnedWriteHalf,
    pub(crate) permits: &'a Permits,
    pub(crate) process: &'a mut Child,
}

/// What is left of it without the channel.
pub(crate) struct Rest {
    process: Process,
    stderr: Stderr,
}

/// The process itself, which leads a group.
struct Process {
    child: Child,
    group: Option<Pid>,
}

/// What copies the standard error of a worker to that of this process.
struct Stderr {
    task: JoinHandle<()>,
    tail: Arc<Mutex<VecDeque<u8>>>,
}

impl Life {
    /// Starts a worker and waits until it is ready, unless `stop` comes first. Where this fails,
    /// nothing is left behind.
    pub(crate) async fn start(
        program: &Program,
        setup: &Setup,
        stop: impl Future<Output = ()>,
    ) -> Result<Self, StartError> {
        let unrun = |source| StartError::Program {
            path: program.path.clone(),
            source,
        };
        let (ours, theirs) = StdUnixStream::pair().map_err(unrun)?;
        let permits = Permits::new().map_err(unrun)?;
        permits.share(&ours).map_err(unrun)?;
        ours.set_nonblocking(true).map_err(unrun)?;
        let (reader, writer) = UnixStream::from_std(ours).map_err(unrun)?.into_split();
        let mut child = Command::new(&program.path)
            .args(&program.args)
            .env(worker::VARIABLE, "1")
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(unrun)?;
        let group = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let stderr = Stderr::follow(child.stderr.take());
        let reader = LengthDelimitedCodec::builder()
            .little_endian()
            .length_field_length(wire::LENGTH)
            .max_frame_length(setup.limit as usize)
            .new_read(reader);
        let mut life = Self {
            reader,
            writer,
            permits,
            rest: Rest {
                process: Process { child, group },
                stderr,
            },
        };
        let ready = tokio::select! {
            ready = timeout(program.patience, life.handshake(setup)) => ready.map_err(|_| {
                StartError::NotReady {
                    path: program.path.clone(),
                    after: program.patience,
                }
            }),
            () = stop => Err(StartError::Setup("it was stopped while it started".to_owned())),
        };
        let failed = match ready {
            Ok(Some(Ok(()))) => return Ok(life),
            Ok(Some(Err(text))) => StartError::Setup(text),
            Ok(None) => {
                return Err(StartError::Ended {
                    path: program.path.clone(),
                    source: life.died().await,
                });
            }
            Err(failed) => failed,
        };
        life.kill();
        drop(life.died().await);
        Err(failed)
    }

    /// `None`: the channel was closed.
    async fn handshake(&mut self, setup: &Setup) -> Option<Result<(), String>> {
        self.writer.write_all(&setup.frame()).await.ok()?;
        let frame = self.next().await?;
        let (&kind, payload) = frame.split_first()?;
        if kind != wire::READY {
            return None;
        }
        wire::decode(payload).ok()
    }

    /// The next frame; `None` when the channel was closed, or what came is no frame. Dropped, it
    /// has lost nothing.
    pub(crate) async fn next(&mut self) -> Option<BytesMut> {
        next(&mut self.reader).await
    }

    pub(crate) fn permits(&self) -> &Permits {
        &self.permits
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.rest.process.child.id()
    }

    /// The writing end once more, for other threads; it never waits.
    pub(crate) fn channel(&self) -> io::Result<StdUnixStream> {
        let channel = self.writer.as_ref().as_fd().try_clone_to_owned()?;
        Ok(StdUnixStream::from(channel))
    }

    pub(crate) fn parts(&mut self) -> Parts<'_> {
        Parts {
            reader: &mut self.reader,
            writer: &mut self.writer,
            permits: &self.permits,
            process: &mut self.rest.process.child,
        }
    }

    /// Kills the process and all that it has started.
    pub(crate) fn kill(&mut self) {
        self.rest.process.kill();
    }

    /// See [`Rest::died`].
    pub(crate) async fn died(self) -> WorkerDied {
        self.rest.died().await
    }

    pub(crate) fn into_parts(
        self,
    ) -> (
        FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
        OwnedWriteHalf,
        Rest,
    ) {
        (self.reader, self.writer, self.rest)
    }

    /// Lets the process end by itself, and kills it if it does not.
    pub(crate) async fn retire(self) {
        let (reader, writer, rest) = self.into_parts();
        let Rest {
            mut process,
            mut stderr,
        } = rest;
        drop(writer);
        let _ = timeout(REST, process.child.wait()).await;
        process.kill();
        process.wait().await;
        drop(reader);
        let _ = timeout(REST, &mut stderr.task).await;
    }
}

impl Rest {
    /// For a process whose channel was closed, or that was killed: waits until it has ended, and
    /// tells how. What it has started is killed.
    pub(crate) async fn died(mut self) -> WorkerDied {
        if timeout(REST, self.process.child.wait()).await.is_err() {
            self.process.kill();
        }
        let status = self.process.wait().await;
        // The pipe ends with the process, unless something that it has started holds it.
        let _ = timeout(REST, &mut self.stderr.task).await;
        WorkerDied::new(status, self.stderr.tail())
    }
}

/// The next frame, as [`Life::next`].
pub(crate) async fn next(
    reader: &mut FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
) -> Option<BytesMut> {
    use futures_core::Stream;
    let next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *reader).poll_next(cx));
    next.await?.ok()
}

impl Process {
    fn kill(&mut self) {
        if let Some(group) = self.group {
            // The group is there as long as its leader was not waited for; `ESRCH` is fine.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    async fn wait(&mut self) -> Option<ExitStatus> {
        let status = self.child.wait().await.ok();
        // What it has started goes with it; nobody else can have the group's number while they live.
        self.kill();
        self.group = None;
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The child is reaped by tokio, as soon as it has ended.
        self.kill();
    }
}

impl Stderr {
    fn follow(stderr: Option<ChildStderr>) -> Self {
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let keep = Arc::clone(&tail);
        let task = tokio::spawn(async move {
            let Some(mut stderr) = stderr else { return };
            let mut out = tokio::io::stderr();
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
                let Some(bytes) = buffer.get(..read) else {
                    return;
                };
                remember(&keep, bytes);
                // Nobody may be there to read it.
                let _ = out.write_all(bytes).await;
                let _ = out.flush().await;
            }
        });
        Self { task, tail }
    }

    fn tail(&self) -> String {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(tail.make_contiguous()).into_owned()
    }
}

fn remember(tail: &Mutex<VecDeque<u8>>, bytes: &[u8]) {
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    tail.extend(bytes);
    let over = tail.len().saturating_sub(TAIL);
    tail.drain(..over);
}

impl Drop for Stderr {
    fn drop(&mut self) {
        self.task.abort();
    }
}
