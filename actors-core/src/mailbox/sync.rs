//! The synchronisation types of this folder: std's, or loom's while the models run.
#[cfg(not(actors_loom))]
pub(crate) use std::sync::atomic;

#[cfg(actors_loom)]
pub(crate) use loom::sync::atomic;

use atomic::Ordering;
use std::mem::MaybeUninit;

/// A cell that loom checks for concurrent access; std's otherwise.
#[cfg(not(actors_loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(actors_loom))]
impl<T> UnsafeCell<T> {
    #[inline]
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

#[cfg(actors_loom)]
pub(crate) use loom::cell::UnsafeCell;

/// Is set once, by the one that may, and read by anybody.
///
/// Ownership: until `is_set` is true, `value` belongs to the one that may set it; from then on it is
/// only read.
pub(crate) struct SetOnce<T> {
    is_set: atomic::AtomicBool,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is shared once it is set, and may be dropped by another thread than it was set by.
unsafe impl<T: Send + Sync> Sync for SetOnce<T> {}

impl<T> SetOnce<T> {
    pub(crate) fn new() -> Self {
        Self {
            is_set: atomic::AtomicBool::new(false),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // `Acquire` pairs with the store: the value is seen.
        if !self.is_set.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: set, so it is there, and nobody writes it any more.
        Some(
            self.value
                .with(|value| unsafe { (*value).assume_init_ref() }),
        )
    }

    /// Sets the value, unless it is set.
    ///
    /// # Safety
    /// Nobody else calls this at the same time.
    pub(crate) unsafe fn set(&self, make: impl FnOnce() -> T) {
        if self.get().is_some() {
            return;
        }
        let made = make();
        // SAFETY: not set, so nobody reads it; nobody else sets it (contract).
        self.value.with_mut(|value| unsafe { (*value).write(made) });
        self.is_set.store(true, Ordering::Release);
    }
}

impl<T> Drop for SetOnce<T> {
    fn drop(&mut self) {
        if self.get().is_some() {
            // SAFETY: set, and not used again.
            self.value
                .with_mut(|value| unsafe { (*value).assume_init_drop() });
        }
    }
}
