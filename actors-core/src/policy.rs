//! Choices that users make about an actor: plain data, no behaviour.
use std::time::Duration;

/// How many messages a mailbox holds.
///
/// What counts is mail that waits; the message being handled has left the mailbox. Room is given
/// back in batches, so a sender may see a mailbox as full for as long as the actor works through
/// the batch that it took out, at most until its handler next awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// At most this many messages. Must not be zero.
    Bounded(usize),
    /// As many as memory holds. A stalled actor then grows without limit.
    Unbounded,
}

impl Capacity {
    /// What a mailbox holds unless told otherwise.
    pub const DEFAULT: Self = Self::Bounded(1024);
}

impl Default for Capacity {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What happens to a `tell` or a posted ask that finds the mailbox full.
///
/// `send` and an awaited `ask` wait for room instead, whatever the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The message goes back to its sender with the error `Full`.
    #[default]
    Reject,
    /// The oldest message that waits goes to dead letters and makes room.
    DropOldest,
    /// The new message goes to dead letters, and `tell` reports success. A posted ask is refused
    /// with `Full`, since its sender is there to learn of it.
    DropNewest,
}

/// When a supervised child is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Whenever it ends, unless its supervisor has stopped it, or it ends by its own
    /// [idle timeout](crate::SpawnOptions::idle_timeout).
    ///
    /// So [`Addr::stop`](crate::Addr::stop) does not end it for good: it ends after the message
    /// that it is handling, and its successor handles the mail that waits.
    #[default]
    Permanent,
    /// When it failed, panicked or was killed; not when it stopped.
    Transient,
    /// Never.
    Temporary,
}

/// Which children are started again when one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// That one.
    #[default]
    OneForOne,
    /// All of them: the others are stopped first, the last one first.
    OneForAll,
    /// That one and those that were added after it.
    RestForOne,
}

/// How many restarts a supervisor makes within a period before it fails itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    restarts: u32,
    period: Duration,
}

impl Intensity {
    /// Five restarts within ten seconds.
    pub const DEFAULT: Self = Self::new(5, Duration::from_secs(10));

    /// However many restarts there are, the supervisor does not fail.
    pub const UNLIMITED: Self = Self::new(u32::MAX, Duration::ZERO);

    /// At most so many restarts, of all its children together, within any period of this length. A
    /// failure more than that is the supervisor's own. Zero restarts: every failure is.
    pub const fn new(restarts: u32, period: Duration) -> Self {
        Self { restarts, period }
    }

    /// How many restarts.
    pub const fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Within how long. A child that was up for longer than this begins with the shortest back-off
    /// again.
    pub const fn period(&self) -> Duration {
        self.period
    }
}

impl Default for Intensity {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How long a failed child waits before it is started again: twice as long each time, up to a
/// maximum, and of that a random part (full jitter), so that children that failed together do not
/// come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    jitter: bool,
}

impl Backoff {
    /// From 100 ms to 30 s.
    pub const DEFAULT: Self = Self::new(Duration::from_millis(100), Duration::from_secs(30));

    /// Restarts at once. Only the [`Intensity`] then keeps a child that always fails from running
    /// hot.
    pub const NONE: Self = Self::new(Duration::ZERO, Duration::ZERO);

    /// From `first`, doubled with each failure, to `max`.
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            jitter: true,
        }
    }

    /// Waits for all of the time, and not for a random part of it.
    pub const fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    /// The wait before the first restart, without jitter.
    pub const fn first(&self) -> Duration {
        self.first
    }

    /// The longest wait.
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// Whether a random part of the time is waited for.
    pub const fn has_jitter(&self) -> bool {
        self.jitter
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::DEFAULT
    }
}
