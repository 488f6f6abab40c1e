//! What is told to whoever subscribes: the ends of actors, dead letters, stuck handlers.
use crate::error::{ActorName, StopReason};
use crate::panics::Panic;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Something that happened to an actor of this process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// `started` has returned; the actor handles mail.
    #[non_exhaustive]
    Started {
        /// The actor.
        actor: ActorName,
        /// How often its supervisor has started it before.
        incarnation: u32,
    },
    /// The actor, or one incarnation of it, ended: its state was dropped. Told once for each
    /// incarnation that a [`Started`](Self::Started) or [`Restarting`](Self::Restarting) was told of.
    #[non_exhaustive]
    Stopped {
        /// The actor.
        actor: ActorName,
        /// How often its supervisor had started it before.
        incarnation: u32,
        /// Why it ended, with the text and the backtrace of a panic.
        reason: StopReason,
    },
    /// A supervised actor will be started again. Mail waits meanwhile.
    #[non_exhaustive]
    Restarting {
        /// The actor.
        actor: ActorName,
        /// How often it will have been started before.
        incarnation: u32,
        /// The back-off.
        after: Duration,
        /// Why its last incarnation ended.
        reason: StopReason,
    },
    /// A supervisor fails upwards because of a child: it was restarted too often, or its first
    /// start failed. What is above restarts, or fails in its turn.
    #[non_exhaustive]
    Escalated {
        /// The supervisor.
        supervisor: ActorName,
        /// The child.
        child: ActorName,
        /// Why it ended last.
        reason: StopReason,
    },
    /// The same for a supervisor that has nobody above: the tree ends.
    #[non_exhaustive]
    GaveUp {
        /// The supervisor.
        supervisor: ActorName,
        /// The child.
        child: ActorName,
        /// Why it ended last.
        reason: StopReason,
    },
    /// A handler runs for longer than the actor's `stuck_after`. Told once for each message.
    #[non_exhaustive]
    Stuck {
        /// The actor.
        actor: ActorName,
        /// The type of the message.
        message: &'static str,
        /// For how long it has been seen running.
        running: Duration,
    },
    /// A message that was accepted will not be handled.
    DeadLetter(DeadLetter),
    /// Work that an actor started beside its handlers, by `pipe` or `attach`, has panicked.
    #[non_exhaustive]
    TaskPanicked {
        /// The actor.
        actor: ActorName,
        /// What is known of the panic.
        panic: Panic,
    },
    /// This subscriber was too slow and has missed so many events.
    Missed(u64),
}

impl Event {
    /// Somebody gets it.
    fn observed(self) -> Self {
        match &self {
            Self::Stopped { reason, .. } => reason.set_observed(),
            Self::TaskPanicked { panic, .. } => panic.set_observed(),
            _ => {}
        }
        self
    }
}

/// A message that was accepted and will not be handled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The message's type.
    pub message: &'static str,
    /// The actor that it was sent to.
    pub target: ActorName,
    /// Why it is not handled.
    pub reason: DeadLetterReason,
}

/// Why an accepted message was not handled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// The actor ended.
    Stopped(StopReason),
    /// The mailbox was full, and its overflow policy gave this one up.
    Overflow,
    /// The actor had stopped before a message that must not wait, such as the result of `pipe_to`,
    /// came in.
    Closed,
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(reason) => write!(f, "the actor {reason}"),
            Self::Overflow => f.write_str("the mailbox was full"),
            Self::Closed => f.write_str("the actor had stopped"),
        }
    }
}

/// How many events wait for a slow subscriber before it misses some.
const BACKLOG: usize = 1024;

static SENDER: OnceLock<broadcast::Sender<Event>> = OnceLock::new();

/// How many [`Events`] there are.
pub(crate) static SUBSCRIBERS: AtomicUsize = AtomicUsize::new(0);

/// A subscription to what happens to the actors of this process.
///
/// A subscriber that falls behind by more than 1,024 events is told how many it
/// [missed](Event::Missed). Dropping it ends the subscription.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
}

impl Events {
    /// Begins with what happens from now on.
    pub(crate) fn subscribe() -> Self {
        let receiver = SENDER
            .get_or_init(|| broadcast::Sender::new(BACKLOG))
            .subscribe();
        SUBSCRIBERS.fetch_add(1, Ordering::Relaxed);
        Self { receiver }
    }

    /// Waits for the next event. Dropped before it is ready, it has taken none.
    pub async fn recv(&mut self) -> Event {
        match self.receiver.recv().await {
            Ok(event) => event.observed(),
            Err(RecvError::Lagged(missed)) => Event::Missed(missed),
            // The sender lives as long as the process.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<Event> {
        match self.receiver.try_recv() {
            Ok(event) => Some(event.observed()),
            Err(TryRecvError::Lagged(missed)) => Some(Event::Missed(missed)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        SUBSCRIBERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the subscribers, if there are any.
pub(crate) fn emit(event: impl FnOnce() -> Event) {
    if SUBSCRIBERS.load(Ordering::Relaxed) == 0 {
        return;
    }
    if let Some(sender) = SENDER.get() {
        // Without a receiver nobody is told, which is no error.
        let _ = sender.send(event());
    }
}

/// Tells of a message that will not be handled.
pub(crate) fn dead_letter(
    message: &'static str,
    target: impl FnOnce() -> ActorName,
    reason: &DeadLetterReason,
) {
    let subscribed = SUBSCRIBERS.load(Ordering::Relaxed) != 0;
    if !subscribed && !tracing::enabled!(tracing::Level::WARN) {
        return;
    }
    let target = target();
    tracing::warn!(message_type = message, actor = %target, reason = %reason, "dead letter");
    emit(|| {
        Event::DeadLetter(DeadLetter {
            message,
            target,
            reason: reason.clone(),
        })
    });
}
