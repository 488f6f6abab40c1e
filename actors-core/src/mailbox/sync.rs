//! The synchronisation types of this folder: std's, or loom's while the models run.
#[cfg(not(actors_loom))]
pub(crate) use std::sync::atomic;

#[cfg(actors_loom)]
pub(crate) use loom::sync::atomic;

use atomic::{AtomicPtr, Ordering};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

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

/// What few need: made when somebody first needs it, and there from then on. One word until then.
///
/// Ownership: the pointer is null, or that of a box that belongs to this and is only shared.
pub(crate) struct OnceBox<T> {
    made: AtomicPtr<T>,
    _owns: PhantomData<T>,
}

impl<T: Send + Sync> OnceBox<T> {
    pub(crate) fn new() -> Self {
        Self {
            made: AtomicPtr::new(ptr::null_mut()),
            _owns: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // `Acquire` pairs with the making.
        // SAFETY: null, or a box that is dropped with this.
        unsafe { self.made.load(Ordering::Acquire).as_ref() }
    }

    /// Of several who make it at the same time one is the first, and the others get what it made.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        self.get().unwrap_or_else(|| self.make(make()))
    }

    #[cold]
    fn make(&self, value: T) -> &T {
        let made = Box::into_raw(Box::new(value));
        let first =
            self.made
                .compare_exchange(ptr::null_mut(), made, Ordering::Release, Ordering::Acquire);
        let there = match first {
            Ok(_) => made,
            Err(there) => {
                // SAFETY: made above, and nobody has seen it.
                drop(unsafe { Box::from_raw(made) });
                there
            }
        };
        // SAFETY: a box that is dropped with this.
        unsafe { &*there }
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        let made = self.made.load(Ordering::Relaxed);
        if !made.is_null() {
            // SAFETY: made as a box, and nobody has a reference to it any more.
            drop(unsafe { Box::from_raw(made) });
        }
    }
}
