//! `Remote`: the actor that stands for one in another process.
use crate::child::{self, Life, Program, Rest, StartError};
use crate::host::{Carries, ProcessActor};
use crate::wire::{self, Setup};
use crate::worker;
use actors_core::{
    Actor, Addr, Context, Deferred, Error, Handler, Message, NoReplyReason, StopReason, WorkerDied,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::future::pending;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

/// How many messages are on the other side at a time.
const WINDOW: usize = 1_024;
/// How often a write that waits for the process looks whether the actor is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Starts an actor in a process of its own, with the default options; see [`Remote`] for others.
///
/// # Panics
///
/// Outside of a tokio runtime.
#[track_caller]
pub fn spawn_process<A: ProcessActor>(init: &A::Init) -> Addr<Remote<A>> {
    Remote::new(init).spawn()
}

/// Stands for an actor in another process: it has that actor's messages, and its end.
///
/// An ordinary actor: it can be spawned with options, supervised, watched. Its `started` starts the
/// process. When the process dies it fails with [`RemoteError::Died`]; when the actor there fails or
/// panics, so does it; asks that were not answered end with `NoReply` and that reason then.
///
/// What one sender sends is handled there in that order. A message that has gone over is not
/// withdrawn when its asker gives up, and its handler is not told.
pub struct Remote<A> {
    program: Option<PathBuf>,
    args: Vec<OsString>,
    start_patience: Duration,
    stop_patience: Duration,
    setup: Setup,
    fault: Option<String>,
    running: Option<Running>,
    unanswered: Unanswered,
    actor: PhantomData<fn() -> A>,
}

struct Running {
    /// To what writes them.
    frames: mpsc::Sender<Vec<u8>>,
    next: u64,
    asked: Asked,
    /// Room on the other side.
    window: Arc<Semaphore>,
}

/// Who waits for an answer, by number.
type Unanswered = HashMap<u64, Answer>;
type Asked = Arc<Mutex<Unanswered>>;

/// Reads the reply and gives it, or the reason why there is none.
type Answer = Box<dyn FnOnce(Result<&[u8], NoReplyReason>) + Send>;

fn lock(asked: &Asked) -> MutexGuard<'_, Unanswered> {
    // Nothing under this lock is left half-done by a panic.
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why an actor in another process has ended, or has not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum RemoteError {
    /// Its process did not start.
    Start(StartError),
    /// What it is made from could not be written; the text says why.
    Init(String),
    /// `main` has not called [`init`](crate::init), so this program started again would not host it.
    NotInitialized,
    /// Its process died.
    Died(WorkerDied),
    /// It panicked; the panic's text.
    Panicked(String),
    /// It failed; its error's text.
    Failed(String),
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(_) => f.write_str("the process of the actor did not start"),
            Self::Init(text) => write!(f, "what the actor is made from cannot be written: {text}"),
            Self::NotInitialized => f.write_str(
                "the process of the actor would be this program started again: call \
                 `actors_net::init()` first in `main`",
            ),
            Self::Died(_) => f.write_str("the process of the actor died"),
            Self::Panicked(text) => write!(f, "panicked in its process: {text}"),
            Self::Failed(text) => write!(f, "failed in its process: {text}"),
        }
    }
}

impl std::error::Error for RemoteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(error) => Some(error),
            Self::Died(died) => Some(died),
            _ => None,
        }
    }
}

/// From the actor to itself: the other one has ended.
struct Ended(Result<(), RemoteError>);

impl Message for Ended {
    type Reply = ();
}

impl<A: ProcessActor> Remote<A> {
    /// An actor that is to be made from this, in a process of its own.
    pub fn new(init: &A::Init) -> Self {
        let name = type_name::<A>();
        let (init, fault) = match wire::encode(init) {
            Ok(init) => (init, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Self {
            program: None,
            args: Vec::new(),
            start_patience: Duration::from_secs(10),
            stop_patience: Duration::from_secs(3),
            setup: Setup {
                limit: 1 << 30,
                name: name.to_owned(),
                actor: Some((name.to_owned(), init)),
                ..Setup::default()
            },
            fault,
            running: None,
            unanswered: HashMap::new(),
            actor: PhantomData,
        }
    }

    /// Arguments for the program, which is this one: see
    /// [`ProcessPoolOptions::args`](crate::ProcessPoolOptions::args).
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Another program than this one; it has to have the same actor.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
        self
    }

    /// How long the process may take until it is ready: 10 s unless told otherwise.
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.start_patience = limit;
        self
    }

    /// How long the actor there may take to stop: 3 s unless told otherwise. Then its process is
    /// killed.
    pub fn stop_timeout(mut self, limit: Duration) -> Self {
        self.stop_patience = limit;
        self
    }

    /// How much memory (address space, in bytes) the process may have. If it needs more, it aborts.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.setup.memory = Some(bytes);
        self
    }

    /// How long a message or a reply may be, in bytes: 1 GiB unless told otherwise. One that is longer
    /// is not sent, and its ask ends with `NoReply`.
    pub fn frame_limit(mut self, bytes: u32) -> Self {
        self.setup.limit = bytes;
        self
    }

    /// How many seconds of processor time the process may use; then it is killed.
    pub fn cpu_limit(mut self, seconds: u64) -> Self {
        self.setup.cpu = Some(seconds);
        self
    }

    fn program_to_run(&self) -> Result<Program, RemoteError> {
        let path = match &self.program {
            Some(path) => path.clone(),
            None if !worker::is_initialized() => return Err(RemoteError::NotInitialized),
            None => std::env::current_exe().map_err(|source| {
                let path = PathBuf::new();
                RemoteError::Start(StartError::Program { path, source })
            })?,
        };
        Ok(Program {
            path,
            args: self.args.clone(),
            env: Vec::new(),
            patience: self.start_patience,
        })
    }
}

impl<A: ProcessActor> Actor for Remote<A> {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        if let Some(fault) = self.fault.take() {
            return Err(RemoteError::Init(fault).into());
        }
        let program = self.program_to_run()?;
        let life = Life::start(&program, &self.setup, pending()).await;
        let (reader, writer, rest) = life.map_err(RemoteError::Start)?.into_parts();
        let asked = Asked::default();
        let window = Arc::new(Semaphore::new(WINDOW));
        let (frames, to_write) = mpsc::channel(64);
        let (answers, room) = (Arc::clone(&asked), Arc::clone(&window));
        ctx.pipe(tend(reader, writer, rest, to_write, answers, room), Ended);
        self.running = Some(Running {
            frames,
            next: 0,
            asked,
            window,
        });
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, reason: &StopReason) {
        if let Some(running) = self.running.take() {
            let stop = wire::bytes(wire::STOP, &[]);
            let ends = async {
                if running.frames.send(stop).await.is_ok() {
                    // Until what reads and writes has come to its end.
                    running.frames.closed().await;
                }
            };
            let _ = timeout(self.stop_patience, ends).await;
            self.unanswered = running.unanswered();
        }
        for (_, answer) in self.unanswered.drain() {
            answer(Err(NoReplyReason::Stopped(reason.clone())));
        }
    }
}

impl<A, M> Handler<M> for Remote<A>
where
    A: Carries<M>,
    M: Message<Reply: Serialize + DeserializeOwned> + Serialize + DeserializeOwned,
{
    async fn handle(&mut self, msg: M, ctx: &mut Context<Self>) -> M::Reply {
        let patience = self.stop_patience;
        let Some((running, frame)) = self.prepare(&msg) else {
            return ctx.defer(drop).await;
        };
        let Some(place) = running.place(ctx, patience).await else {
            self.running = None;
            return ctx.defer(drop).await;
        };
        let asked = Arc::clone(&running.asked);
        let id = running.next;
        ctx.defer(move |reply: Deferred<M::Reply>| {
            let answer =
                move |payload: Result<&[u8], NoReplyReason>| match payload.map(wire::decode) {
                    Ok(Ok(value)) => reply.answer(value),
                    Ok(Err(error)) => tracing::warn!(%error, "a reply could not be read"),
                    Err(reason) => reply.fail(reason),
                };
            lock(&asked).insert(id, Box::new(answer));
            place.send(frame);
        })
        .await
    }
}

impl<A: ProcessActor> Remote<A> {
    /// The frame of a message, and where it goes.
    fn prepare<M: Serialize>(&mut self, msg: &M) -> Option<(&mut Running, Vec<u8>)> {
        let running = self.running.as_mut()?;
        running.next += 1;
        let name = type_name::<M>();
        match wire::message(running.next, name, msg) {
            Ok(frame) if frame.len() - wire::LENGTH <= self.setup.limit as usize => {
                Some((running, frame))
            }
            Ok(_) => {
                tracing::warn!(message = name, "a message is longer than the limit");
                None
            }
            Err(error) => {
                tracing::warn!(message = name, %error, "a message could not be written");
                None
            }
        }
    }
}

impl Running {
    fn unanswered(&self) -> Unanswered {
        std::mem::take(&mut *lock(&self.asked))
    }

    /// Waits until the other side takes another message. `None`: it has ended, or takes none
    /// although the actor is to stop.
    async fn place<A: 'static>(
        &self,
        ctx: &Context<A>,
        patience: Duration,
    ) -> Option<mpsc::OwnedPermit<Vec<u8>>> {
        let mut place = pin!(async {
            let room = self.window.acquire().await.ok()?;
            room.forget();
            self.frames.clone().reserve_owned().await.ok()
        });
        let mut stopping = None;
        loop {
            if let Ok(place) = timeout(LOOK, &mut place).await {
                return place;
            }
            if !ctx.addr().is_alive() {
                let since = *stopping.get_or_insert_with(Instant::now);
                if since.elapsed() >= patience {
                    return None;
                }
            }
        }
    }
}

impl<A: ProcessActor> Handler<Ended> for Remote<A> {
    async fn handle(&mut self, Ended(how): Ended, ctx: &mut Context<Self>) {
        if let Some(running) = self.running.take() {
            // They are told once the reason is there.
            self.unanswered = running.unanswered();
        }
        match how {
            Ok(()) => ctx.stop_now(),
            Err(error) => ctx.fail(error),
        }
    }
}

impl<A: ProcessActor> fmt::Debug for Remote<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("actor", &self.setup.name)
            .finish_non_exhaustive()
    }
}

/// Sends the messages and gives the answers, until the other side has ended; says how.
async fn tend(
    reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    mut writer: OwnedWriteHalf,
    rest: Rest,
    mut frames: mpsc::Receiver<Vec<u8>>,
    asked: Asked,
    window: Arc<Semaphore>,
) -> Result<(), RemoteError> {
    let writes = async {
        while let Some(first) = frames.recv().await {
            let mut together = first;
            // Those that wait already go along.
            while let Ok(next) = frames.try_recv() {
                together.extend_from_slice(&next);
            }
            if writer.write_all(&together).await.is_err() {
                break;
            }
        }
        // What reads sees how it has ended.
        pending::<()>().await;
    };
    let end = tokio::select! {
        end = read(reader, &asked, &window) => end,
        () = writes => None,
    };
    window.close();
    let died = rest.died().await;
    match end {
        Some(end) => end,
        None => Err(RemoteError::Died(died)),
    }
}

/// Gives the answers as they come; at the end what the actor said about its own, if it did.
async fn read(
    mut reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    asked: &Asked,
    window: &Semaphore,
) -> Option<Result<(), RemoteError>> {
    loop {
        let frame = child::next(&mut reader).await?;
        let (&kind, payload) = frame.split_first()?;
        let text = || String::from_utf8_lossy(payload).into_owned();
        match kind {
            wire::END => return Some(Ok(())),
            wire::PANICKED => return Some(Err(RemoteError::Panicked(text()))),
            wire::REFUSED => return Some(Err(RemoteError::Failed(text()))),
            _ => {}
        }
        let (id, payload) = wire::read_number(payload).ok()?;
        let answer = lock(asked).remove(&id);
        window.add_permits(1);
        match answer {
            Some(answer) if kind == wire::DONE => answer(Ok(payload)),
            // Dropped, it tells its asker that there is no reply.
            unanswered => {
                let why = wire::decode::<String>(payload).unwrap_or_default();
                tracing::warn!(why, "there is no reply from the process of an actor");
                drop(unanswered);
            }
        }
    }
}
