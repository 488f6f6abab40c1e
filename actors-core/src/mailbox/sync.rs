//! The synchronisation types of this folder, and a few made of them: std's, or loom's while the models run.
#[cfg(not(actors_loom))]
pub(crate) use std::sync::atomic;

#[cfg(actors_loom)]
pub(crate) use loom::sync::atomic;

use atomic::{AtomicPtr, Ordering};
use std::mem::ManuallyDrop;
use std::ptr;
use std::task::{RawWakerVTable, Waker};

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

/// A waker that is set once, by the one that may, and used by anybody.
///
/// Ownership: until `vtable` is not null, `data` belongs to the one that may set it; from then on both
/// are only read. They are the two parts of a waker that belongs to this.
pub(crate) struct OnceWaker {
    vtable: AtomicPtr<RawWakerVTable>,
    data: UnsafeCell<*const ()>,
}

// SAFETY: a waker may be used and dropped by any thread, and is shared once it is set.
unsafe impl Sync for OnceWaker {}
// SAFETY: as above.
unsafe impl Send for OnceWaker {}

impl OnceWaker {
    pub(crate) fn new() -> Self {
        Self {
            vtable: AtomicPtr::new(ptr::null_mut()),
            data: UnsafeCell::new(ptr::null()),
        }
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        !self.vtable.load(Ordering::Relaxed).is_null()
    }

    /// Calls `f` with the waker, if it is set.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Waker) -> R) -> Option<R> {
        // `Acquire` pairs with the store: the data is seen.
        // SAFETY: null, or what `set` has stored, which was a `&'static`.
        let vtable = unsafe { self.vtable.load(Ordering::Acquire).as_ref() }?;
        // SAFETY: set, so nobody writes it any more.
        let data = self.data.with(|data| unsafe { *data });
        // SAFETY: the parts of one waker, which was forgotten, and this one is not dropped.
        let waker = ManuallyDrop::new(unsafe { Waker::new(data, vtable) });
        Some(f(&waker))
    }

    /// Keeps a copy of the waker, unless one is set.
    ///
    /// # Safety
    /// Nobody else calls this at the same time.
    pub(crate) unsafe fn set(&self, waker: &Waker) {
        if self.is_set() {
            return;
        }
        let waker = ManuallyDrop::new(waker.clone());
        // SAFETY: not set, so nobody reads it; nobody else sets it (contract).
        self.data.with_mut(|data| unsafe { *data = waker.data() });
        let vtable = ptr::from_ref(waker.vtable()).cast_mut();
        self.vtable.store(vtable, Ordering::Release);
    }
}

impl Drop for OnceWaker {
    fn drop(&mut self) {
        // SAFETY: null, or what `set` has stored, which was a `&'static`.
        let vtable = unsafe { self.vtable.load(Ordering::Relaxed).as_ref() };
        let Some(vtable) = vtable else { return };
        // Not by `with`: so loom sees that nobody reads it any more.
        // SAFETY: not used again.
        let data = self.data.with_mut(|data| unsafe { *data });
        // SAFETY: the parts of one waker, which was forgotten.
        drop(unsafe { Waker::new(data, vtable) });
    }
}
