//! `OnceBox`: what few need, in memory that threads keep.
use super::kept::Kept;
use super::sync::atomic::{AtomicPtr, Ordering};
use std::marker::PhantomData;
use std::ptr;

/// What is made when somebody first needs it, and there from then on. One word until then.
///
/// Ownership: the pointer is null, or that of memory that belongs to this and is only shared.
///
/// `SeqCst` throughout: of two who each make one, or store something else so, and then look for what the
/// other makes, one finds it.
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
        // SAFETY: null, or what is dropped with this.
        unsafe { self.made.load(Ordering::SeqCst).as_ref() }
    }

    /// Of several who make it at the same time one is the first, and the others get what it made.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        self.get().unwrap_or_else(|| self.make(make()))
    }

    #[cold]
    fn make(&self, value: T) -> &T {
        let made = Kept::new(value).into_raw();
        let first =
            self.made
                .compare_exchange(ptr::null_mut(), made, Ordering::SeqCst, Ordering::SeqCst);
        let there = match first {
            Ok(_) => made,
            Err(there) => {
                // SAFETY: made above, and nobody has seen it.
                drop(unsafe { Kept::from_raw(made) });
                there
            }
        };
        // SAFETY: it is dropped with this.
        unsafe { &*there }
    }
}

impl<T: Send + Sync> Default for OnceBox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        let made = self.made.load(Ordering::Relaxed);
        if !made.is_null() {
            // SAFETY: made by `make`, and nobody has a reference to it any more.
            drop(unsafe { Kept::from_raw(made) });
        }
    }
}
