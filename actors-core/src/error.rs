//! What goes wrong, one type per verb, and how an actor ends.
use crate::id::ActorId;
use crate::panics::Panic;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Any error: what `started` returns, what `ctx.fail` takes, what `main` may return.
pub type Error = Box<dyn StdError + Send + Sync + 'static>;

/// Why an actor ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StopReason {
    /// It was stopped, stopped itself, or nobody held an address of it and it had nothing left to
    /// do.
    Normal,
    /// It gave up: by `ctx.fail(error)`, or `started` returned an error.
    Failed(Arc<dyn StdError + Send + Sync + 'static>),
    /// A handler or a hook panicked; the panic's text, and more.
    Panicked(Panic),
    /// It was killed, or the runtime that it ran on was shut down.
    Killed,
}

impl StopReason {
    /// Whether the actor ended as it was asked to.
    pub fn is_normal(&self) -> bool {
        matches!(self, Self::Normal)
    }

    pub(crate) fn failed(error: Error) -> Self {
        Self::Failed(Arc::from(error))
    }

    /// Somebody is told of it.
    pub(crate) fn set_observed(&self) {
        if let Self::Panicked(panic) = self {
            panic.set_observed();
        }
    }

    /// For somebody who is told of it.
    pub(crate) fn observed(self) -> Self {
        self.set_observed();
        self
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("stopped"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(panic) => write!(f, "panicked: {panic}"),
            Self::Killed => f.write_str("was killed"),
        }
    }
}

/// An actor as it is named in errors and events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ActorName {
    id: ActorId,
    name: Cow<'static, str>,
}

impl ActorName {
    pub(crate) fn new(id: ActorId, name: Cow<'static, str>) -> Self {
        Self { id, name }
    }

    /// Its id.
    pub fn id(&self) -> ActorId {
        self.id
    }

    /// Its name: the one it was given, or its type's.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ActorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.id)
    }
}

/// A circle of actors that wait for each other: the first waits for the second, and so on; the
/// last waits for the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlockPath(Arc<[ActorName]>);

impl DeadlockPath {
    pub(crate) fn new(path: Vec<ActorName>) -> Self {
        Self(path.into())
    }

    /// The actors of the circle, each once, the one whose call was refused first.
    pub fn actors(&self) -> &[ActorName] {
        &self.0
    }
}

impl fmt::Display for DeadlockPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for actor in self.0.iter() {
            write!(f, "{actor} -> ")?;
        }
        match self.0.first() {
            Some(first) => write!(f, "{first}"),
            None => Ok(()),
        }
    }
}

/// Why an accepted ask has no reply.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NoReplyReason {
    /// The actor ended before it replied.
    Stopped(StopReason),
    /// The handler took the reply away to answer later, and what it took was dropped unanswered.
    ReplyDropped,
}

impl fmt::Display for NoReplyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(reason) => write!(f, "the actor {reason}"),
            Self::ReplyDropped => f.write_str("the reply was dropped unanswered"),
        }
    }
}

/// Why an ask ended without a reply.
///
/// [`may_have_run`](Self::may_have_run) tells whether the message may have had an effect; where it
/// says no, asking again is safe.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AskError {
    /// Not accepted: the actor has stopped or is stopping.
    Closed,
    /// Not accepted: the mailbox is full. Only where the ask was posted without waiting for room,
    /// or made room for a newer message under [`Overflow::DropOldest`](crate::Overflow).
    Full,
    /// The asker cancelled.
    #[non_exhaustive]
    Cancelled {
        /// Whether the handler had started.
        may_have_run: bool,
    },
    /// Accepted, but there will be no reply.
    #[non_exhaustive]
    NoReply {
        /// Why there is none.
        reason: NoReplyReason,
        /// Whether the handler had started.
        may_have_run: bool,
    },
    /// The timeout, or the deadline inherited from the message being handled, has passed.
    #[non_exhaustive]
    TimedOut {
        /// Whether the handler had started.
        may_have_run: bool,
    },
    /// Waiting would close a circle of actors that wait for each other.
    #[non_exhaustive]
    Deadlock {
        /// The circle.
        path: DeadlockPath,
        /// Whether the handler had started: only where the ask was posted first and waited for
        /// later.
        may_have_run: bool,
    },
    /// A blocking call from inside an asynchronous task, where it would stall the runtime. Use the
    /// `async` form there, or call from `tokio::task::spawn_blocking` or a plain thread.
    ///
    /// A task that is `tokio::task::unconstrained` is not told from a plain thread, and blocks.
    WouldBlock,
}

impl AskError {
    /// Somebody is told of it.
    pub(crate) fn set_observed(&self) {
        if let Self::NoReply {
            reason: NoReplyReason::Stopped(reason),
            ..
        } = self
        {
            reason.set_observed();
        }
    }

    /// Whether the message may have had an effect. False: it was not handled and never will be.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Closed | Self::Full | Self::WouldBlock => false,
            Self::Cancelled { may_have_run }
            | Self::Deadlock { may_have_run, .. }
            | Self::NoReply { may_have_run, .. }
            | Self::TimedOut { may_have_run } => *may_have_run,
        }
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the actor has stopped and did not accept the message"),
            Self::Full => f.write_str("the mailbox is full"),
            Self::Cancelled {
                may_have_run: false,
            } => f.write_str("cancelled before the message was handled"),
            Self::Cancelled { may_have_run: true } => {
                f.write_str("cancelled while the message was being handled")
            }
            Self::NoReply { reason, .. } => write!(f, "no reply: {reason}"),
            Self::TimedOut {
                may_have_run: false,
            } => f.write_str("timed out before the message was handled"),
            Self::TimedOut { may_have_run: true } => {
                f.write_str("timed out while the message was being handled")
            }
            Self::Deadlock { path, .. } => write!(f, "waiting would never end: {path}"),
            Self::WouldBlock => f.write_str(
                "a blocking call inside an asynchronous task; use the async form, or call it from \
                 `spawn_blocking` or a thread of its own",
            ),
        }
    }
}

impl StdError for AskError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NoReply {
                reason: NoReplyReason::Stopped(StopReason::Failed(error)),
                ..
            } => Some(&**error),
            _ => None,
        }
    }
}

/// Why a `tell` was refused; holds the message.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TellError<M> {
    /// The mailbox is full.
    Full(M),
    /// The actor has stopped or is stopping.
    Closed(M),
}

impl<M> TellError<M> {
    /// The message that was refused.
    pub fn into_message(self) -> M {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }

    /// Whether the mailbox was full, so that trying again later may help.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl<M> fmt::Display for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the mailbox is full",
            Self::Closed(_) => "the actor has stopped and did not accept the message",
        })
    }
}

impl<M> fmt::Debug for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Full(_) => "Full",
            Self::Closed(_) => "Closed",
        };
        write!(f, "{name}({})", std::any::type_name::<M>())
    }
}

impl<M> StdError for TellError<M> {}

/// Why a `send` was refused; holds the message.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError<M> {
    /// The actor has stopped or is stopping.
    Closed(M),
    /// Waiting for room would close a circle of actors that wait for each other.
    Deadlock(M, DeadlockPath),
    /// A blocking call from inside an asynchronous task, where it would stall the runtime.
    WouldBlock(M),
}

impl<M> SendError<M> {
    /// The message that was refused.
    pub fn into_message(self) -> M {
        match self {
            Self::Closed(message) | Self::Deadlock(message, _) | Self::WouldBlock(message) => {
                message
            }
        }
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => AskError::Closed.fmt(f),
            Self::Deadlock(_, path) => write!(f, "waiting would never end: {path}"),
            Self::WouldBlock(_) => AskError::WouldBlock.fmt(f),
        }
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = std::any::type_name::<M>();
        match self {
            Self::Closed(_) => write!(f, "Closed({message})"),
            Self::Deadlock(_, path) => write!(f, "Deadlock({message}, {path})"),
            Self::WouldBlock(_) => write!(f, "WouldBlock({message})"),
        }
    }
}

impl<M> StdError for SendError<M> {}

/// Why a message was not put aside: the stash is full, or the message came without a mailbox turn
/// to take it from. Holds the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StashFull<M>(pub(crate) M);

impl<M> StashFull<M> {
    /// The message that was not put aside.
    pub fn into_message(self) -> M {
        self.0
    }
}

impl<M> fmt::Display for StashFull<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stash is full")
    }
}

impl<M> fmt::Debug for StashFull<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StashFull({})", std::any::type_name::<M>())
    }
}

impl<M> StdError for StashFull<M> {}

/// Why an actor was not spawned.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpawnError {
    /// There is no tokio runtime here.
    NoRuntime,
    /// A mailbox of capacity zero could never take a message.
    ZeroCapacity,
    /// Another live actor is registered under this name.
    NameTaken(Cow<'static, str>),
    /// `started` returned an error or panicked.
    StartFailed(StopReason),
    /// The supervisor that was to start it has ended or is about to; its
    /// [`stopped`](crate::Supervisor::stopped) tells why.
    SupervisorEnded,
    /// The operating system refused a thread.
    Thread(std::io::Error),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRuntime => f.write_str(
                "there is no tokio runtime here: spawn from inside `#[actors_core::main]` or \
                 `Runtime::block_on`, or enter a runtime first with `Handle::enter`",
            ),
            Self::ZeroCapacity => f.write_str(
                "a mailbox of capacity zero could never take a message: give it at least 1, or \
                 choose `unbounded()`",
            ),
            Self::NameTaken(name) => {
                write!(f, "a live actor is registered under the name `{name}`")
            }
            Self::StartFailed(reason) => write!(f, "the actor did not start: it {reason}"),
            Self::SupervisorEnded => {
                f.write_str("the actor did not start: its supervisor has ended or is about to")
            }
            Self::Thread(_) => f.write_str("the thread for the actor could not be started"),
        }
    }
}

impl StdError for SpawnError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            Self::StartFailed(StopReason::Failed(error)) => Some(&**error),
            _ => None,
        }
    }
}

/// A supervised child did not start: its factory and its `started` took longer than its
/// [`start_timeout`](crate::ChildOptions::start_timeout).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartTimedOut {
    /// The timeout.
    pub limit: Duration,
}

impl fmt::Display for StartTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it did not start within {:?}", self.limit)
    }
}

impl StdError for StartTimedOut {}

/// Why a supervisor failed: the error in its [`StopReason::Failed`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Escalation {
    /// The child because of which it failed.
    pub child: ActorName,
    /// Why that ended last.
    pub reason: StopReason,
    /// What was wrong with that.
    pub fault: EscalationFault,
}

/// Why a supervisor does not restart a child, and fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EscalationFault {
    /// The child has not been up yet: its first start failed.
    FirstStart,
    /// There were more restarts than the [`Intensity`](crate::Intensity) allows.
    TooManyRestarts,
    /// The child is significant and is not restarted; or it is a supervisor that failed because of
    /// such a child.
    Significant,
}

impl fmt::Display for Escalation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { child, reason, .. } = self;
        match self.fault {
            EscalationFault::FirstStart => write!(f, "{child} did not start: it {reason}"),
            EscalationFault::TooManyRestarts => {
                write!(f, "{child} was restarted too often; at last it {reason}")
            }
            EscalationFault::Significant => {
                write!(f, "{child}, which does not come back, {reason}")
            }
        }
    }
}

impl StdError for Escalation {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.reason {
            StopReason::Failed(error) => Some(&**error),
            _ => None,
        }
    }
}

/// Why an actor was not given a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// A live actor has this name.
    NameTaken(Cow<'static, str>),
    /// The actor has stopped or is stopping.
    Closed,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken(name) => {
                write!(f, "a live actor is registered under the name `{name}`")
            }
            Self::Closed => f.write_str("the actor has stopped, and cannot have a name"),
        }
    }
}

impl StdError for RegisterError {}
