//! `Surplus`: how much of a store nobody has needed for a while.
use std::time::{Duration, Instant};

/// What nobody has taken for so long is not needed.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// Counts from below what was not taken, of a store from which the latest is taken first.
pub(super) struct Surplus {
    /// So many at the bottom nobody has needed since the window began.
    resting: usize,
    /// So many at the bottom nobody has needed in the window before.
    unneeded: usize,
    window_ends: Option<Instant>,
}

impl Surplus {
    pub(super) const fn new() -> Self {
        Self {
            resting: 0,
            unneeded: 0,
            window_ends: None,
        }
    }

    /// Something was taken, and so many are left.
    #[inline]
    pub(super) fn taken(&mut self, left: usize) {
        self.resting = self.resting.min(left);
        self.unneeded = self.unneeded.min(left);
    }

    /// Which one of so many is not needed, counted from the bottom, and is to go then. All below it are not
    /// needed either.
    pub(super) fn give_up(&mut self, len: usize, now: Instant) -> Option<usize> {
        if self.window_ends.is_none_or(|ends| now >= ends) {
            self.unneeded = self.resting;
            self.resting = len;
            self.window_ends = Some(now + WINDOW);
        }
        self.unneeded = self.unneeded.checked_sub(1)?;
        self.resting = self.resting.saturating_sub(1);
        Some(self.unneeded)
    }

    /// No window ends any more.
    #[cfg(all(test, not(actors_loom)))]
    pub(super) fn stop(&mut self) {
        self.window_ends = Some(Instant::now() + 3_600 * WINDOW);
    }
}
