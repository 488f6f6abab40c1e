//! `ActorId`: which actor, for as long as the process runs.
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies one actor of this process; never given twice.
///
/// Ids grow in the order in which actors are spawned. An actor that its supervisor restarts keeps
/// its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(NonZeroU64);

impl ActorId {
    /// Not greater than any other.
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    /// The id as a number, for logs and metrics.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The next free id.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(next).expect("2^64 actors were spawned"))
    }

    /// The id with this number; `None` for zero, which no actor has.
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorId({})", self.0)
    }
}
