//! Choices that users make about an actor: plain data, no behaviour.

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
