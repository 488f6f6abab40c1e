//! `Process`: the actor that owns one subprocess.
mod lines;
mod exit;
mod output;

use actors_core::{Actor, Context, Error, Handler, Message, Recipient, StopReason};
use bytes::Bytes;
use exit::Exit;
use lines::Lines;
use output::Reader;
use rustix::process::Signal;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::codec::Decoder;

pub use exit::ProcessExit;
pub use output::Output;

/// How often a write that waits for the process looks whether the actor is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// An actor that owns one subprocess.
///
/// The process is started by the actor's `started`, so an actor that is restarted starts it anew. It
/// is the first of a group of its own, and all of that group ends with the actor.
///
/// | the process | the actor |
/// |---|---|
/// | writes lines or frames | each is sent to whom [`stdout_lines`](Self::stdout_lines), [`stdout_frames`](Self::stdout_frames) or their twins for `stderr` name; while the mailbox there is full, the pipe is not read |
/// | reads its input | [`Write`] writes to it, [`CloseInput`] ends it; while the process does not read, the actor's mailbox fills |
/// | exits with 0, or an [accepted code](Self::accept) | stops, once all output was sent, with [`StopReason::Normal`] |
/// | exits otherwise | fails with a [`ProcessExit`] |
/// | cannot be started | fails with a [`ProcessError::Start`] |
/// | gets SIGTERM, and SIGKILL [a while later](Self::stop_timeout) | is stopped |
/// | gets SIGKILL | is killed, or panics |
///
/// Without addresses the actor goes on until the process has ended. A process cannot be kept from
/// outliving a parent that is killed by SIGKILL; one that reads its input sees its end then.
///
/// ```
/// use actors_core::{Actor, handlers};
/// use actors_net::{CloseInput, Output, Process, Write};
///
/// #[derive(Actor, Default)]
/// struct Sorted(Vec<String>);
///
/// #[handlers]
/// impl Sorted {
///     fn got(&mut self, line: Output<String>) {
///         if let Output::Item(line) = line {
///             self.0.push(line);
///         }
///     }
///     fn lines(&mut self) -> Vec<String> {
///         self.0.clone()
///     }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let sorted = Sorted::default().spawn();
/// let sort = Process::new("sort")
///     .input()
///     .stdout_lines(sorted.recipient(), |line| Got { line })
///     .spawn();
/// sort.send(Write::from("b\na\n")).await?;
/// sort.send(CloseInput).await?;
/// assert!(sort.stopped().await.is_normal());
/// assert_eq!(sorted.lines().await?, ["a", "b"]);
/// # Ok(())
/// # }
/// ```
pub struct Process {
    command: Command,
    input: bool,
    stdout: Option<Reader>,
    stderr: Option<Reader>,
    accepted: Vec<i32>,
    patience: Duration,
    running: Option<Running>,
}

/// A process that was started.
struct Running {
    exit: Exit,
    /// `None`: it was closed, or never asked for.
    stdin: Option<ChildStdin>,
    /// How many of its outputs have not ended.
    outputs: usize,
    /// Closed when all of them were read to their end.
    all_read: mpsc::Receiver<Infallible>,
    exited: bool,
}

/// Writes to the process's standard input. The reply comes when the process, or the pipe to it, has
/// taken all of it.
#[derive(Clone, Debug)]
pub struct Write(pub Bytes);

impl Message for Write {
    type Reply = Result<(), ProcessError>;
}

impl<T: Into<Bytes>> From<T> for Write {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

/// Ends the process's standard input, behind what was written before.
#[derive(Clone, Copy, Debug)]
pub struct CloseInput;

impl Message for CloseInput {
    type Reply = ();
}

/// Asks for the process's id; `None` when it has ended.
#[derive(Clone, Copy, Debug)]
pub struct ProcessId;

impl Message for ProcessId {
    type Reply = Option<u32>;
}

/// What went wrong with a process.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProcessError {
    /// It could not be started.
    #[non_exhaustive]
    Start {
        /// What was to be run.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// Its input was closed, or never opened by [`Process::input`].
    InputClosed,
    /// It has ended, or has closed its input itself.
    Gone,
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { program, .. } => write!(f, "`{program}` could not be started"),
            Self::InputClosed => f.write_str("the input of the process is closed"),
            Self::Gone => f.write_str("the process does not read its input any more"),
        }
    }
}

impl std::error::Error for ProcessError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start { source, .. } => Some(source),
            Self::InputClosed | Self::Gone => None,
        }
    }
}

/// From the actor to itself: the process has ended.
struct Exited;
/// From the actor to itself: one of its outputs has ended.
struct Drained;
/// From the actor to itself: what holds the outputs open is not worth waiting for.
struct GiveUpOutputs;

impl Message for Exited {
    type Reply = ();
}
impl Message for Drained {
    type Reply = ();
}
impl Message for GiveUpOutputs {
    type Reply = ();
}

impl Process {
    /// A program, found as the shell finds it. It has no input and no arguments, and its output is
    /// that of this process, unless told otherwise.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            command: Command::new(program),
            input: false,
            stdout: None,
            stderr: None,
            accepted: vec![0],
            patience: Duration::from_secs(3),
            running: None,
        }
    }

    /// An argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Arguments.
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.command.args(args);
        self
    }

    /// A variable of its environment, which it inherits otherwise.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// It inherits no environment.
    pub fn env_clear(mut self) -> Self {
        self.command.env_clear();
        self
    }

    /// Where it runs.
    pub fn current_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Its input is what [`Write`] brings.
    pub fn input(mut self) -> Self {
        self.input = true;
        self
    }

    /// Another code than 0 with which it may exit, as `grep` does with 1.
    pub fn accept(mut self, code: i32) -> Self {
        self.accepted.push(code);
        self
    }

    /// How long it may take to end after SIGTERM, when the actor is stopped; then its group is
    /// killed. 3 s unless told otherwise.
    pub fn stop_timeout(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// Sends the lines of its standard output, as the message that `f` makes of each, and of the
    /// end. Lines are cut at 64 KiB, and what is no UTF-8 in them is replaced.
    pub fn stdout_lines<M: Message>(
        self,
        to: Recipient<M>,
        f: impl FnMut(Output<String>) -> M + Send + Sync + 'static,
    ) -> Self {
        self.stdout_frames(Lines::default(), to, f)
    }

    /// As [`stdout_lines`](Self::stdout_lines), for any kind of frames.
    pub fn stdout_frames<D, M>(
        mut self,
        decoder: D,
        to: Recipient<M>,
        f: impl FnMut(Output<D::Item>) -> M + Send + Sync + 'static,
    ) -> Self
    where
        D: Decoder + Send + Sync + 'static,
        D::Item: Send,
        D::Error: Into<Error> + Send,
        M: Message,
    {
        self.stdout = Some(Reader::new(decoder, to, f));
        self
    }

    /// As [`stdout_lines`](Self::stdout_lines), for its standard error.
    pub fn stderr_lines<M: Message>(
        self,
        to: Recipient<M>,
        f: impl FnMut(Output<String>) -> M + Send + Sync + 'static,
    ) -> Self {
        self.stderr_frames(Lines::default(), to, f)
    }

    /// As [`stdout_frames`](Self::stdout_frames), for its standard error.
    pub fn stderr_frames<D, M>(
        mut self,
        decoder: D,
        to: Recipient<M>,
        f: impl FnMut(Output<D::Item>) -> M + Send + Sync + 'static,
    ) -> Self
    where
        D: Decoder + Send + Sync + 'static,
        D::Item: Send,
        D::Error: Into<Error> + Send,
        M: Message,
    {
        self.stderr = Some(Reader::new(decoder, to, f));
        self
    }

    /// What is done once the process and its outputs have ended.
    fn finish_if_over(&mut self, ctx: &mut Context<Self>) {
        let Some(running) = &self.running else { return };
        if !running.exited || running.outputs > 0 {
            return;
        }
        match running.exit.status() {
            Some(exit)
                if exit
                    .code()
                    .is_some_and(|code| self.accepted.contains(&code)) =>
            {
                ctx.stop();
            }
            Some(exit) => ctx.fail(exit),
            None => ctx.fail(ProcessError::Gone),
        }
    }
}

impl Actor for Process {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        let piped = |piped| {
            if piped {
                Stdio::piped()
            } else {
                Stdio::inherit()
            }
        };
        self.command
            .stdin(if self.input {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(piped(self.stdout.is_some()))
            .stderr(piped(self.stderr.is_some()))
            .process_group(0)
            .kill_on_drop(true);
        let mut child = self.command.spawn().map_err(|source| {
            let program = self.command.as_std().get_program();
            ProcessError::Start {
                program: program.to_string_lossy().into_owned(),
                source,
            }
        })?;
        let stdin = child.stdin.take();
        let mut outputs = 0;
        let (reads, all_read) = mpsc::channel(1);
        if let (Some(reader), Some(stdout)) = (self.stdout.take(), child.stdout.take()) {
            outputs += 1;
            ctx.pipe(reader.read(stdout, reads.clone()), |()| Drained);
        }
        if let (Some(reader), Some(stderr)) = (self.stderr.take(), child.stderr.take()) {
            outputs += 1;
            ctx.pipe(reader.read(stderr, reads.clone()), |()| Drained);
        }
        let exit = Exit::of(child);
        ctx.pipe(exit.wait(), |_| Exited);
        self.running = Some(Running {
            exit,
            stdin,
            outputs,
            all_read,
            exited: false,
        });
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        drop(running.stdin.take());
        if running.exit.status().is_none() {
            running.exit.signal(Signal::TERM);
            let _ = timeout(self.patience, running.exit.wait()).await;
            running.exit.signal(Signal::KILL);
            running.exit.wait().await;
        }
        running.exit.clear();
        // Its last words.
        let _ = timeout(self.patience, running.all_read.recv()).await;
    }
}

impl Handler<Write> for Process {
    async fn handle(&mut self, msg: Write, ctx: &mut Context<Self>) -> Result<(), ProcessError> {
        let Some(running) = &mut self.running else {
            return Err(ProcessError::Gone);
        };
        let Some(stdin) = &mut running.stdin else {
            return Err(ProcessError::InputClosed);
        };
        let mut left = &msg.0[..];
        let result = loop {
            if left.is_empty() {
                break Ok(());
            }
            tokio::select! {
                wrote = stdin.write(left) => match wrote {
                    Ok(wrote @ 1..) => left = left.get(wrote..).unwrap_or_default(),
                    Ok(0) | Err(_) => break Err(ProcessError::Gone),
                },
                _ = running.exit.wait() => break Err(ProcessError::Gone),
                // A process that does not read must not keep its actor from stopping.
                () = sleep(LOOK) => if !ctx.addr().is_alive() {
                    break Err(ProcessError::InputClosed);
                },
            }
        };
        if result.is_err() {
            running.stdin = None;
        }
        result
    }
}

impl Handler<CloseInput> for Process {
    async fn handle(&mut self, _: CloseInput, _: &mut Context<Self>) {
        if let Some(running) = &mut self.running {
            running.stdin = None;
        }
    }
}

impl Handler<ProcessId> for Process {
    async fn handle(&mut self, _: ProcessId, _: &mut Context<Self>) -> Option<u32> {
        self.running.as_ref()?.exit.id()
    }
}

impl Handler<Exited> for Process {
    async fn handle(&mut self, _: Exited, ctx: &mut Context<Self>) {
        if let Some(running) = &mut self.running {
            running.exited = true;
            // What it has started might hold its outputs open for ever.
            running.exit.clear();
            if running.outputs > 0 {
                ctx.notify_after(self.patience, GiveUpOutputs);
            }
        }
        self.finish_if_over(ctx);
    }
}

impl Handler<Drained> for Process {
    async fn handle(&mut self, _: Drained, ctx: &mut Context<Self>) {
        if let Some(running) = &mut self.running {
            running.outputs -= 1;
        }
        self.finish_if_over(ctx);
    }
}

impl Handler<GiveUpOutputs> for Process {
    async fn handle(&mut self, _: GiveUpOutputs, ctx: &mut Context<Self>) {
        if let Some(running) = &mut self.running {
            running.outputs = 0;
        }
        self.finish_if_over(ctx);
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("command", self.command.as_std())
            .finish_non_exhaustive()
    }
}
