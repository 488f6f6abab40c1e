//! The synchronisation types of this folder: std's, or loom's while the models run.
#[cfg(not(actors_loom))]
pub(crate) use std::sync::{OnceLock, atomic};

#[cfg(actors_loom)]
pub(crate) use loom::sync::atomic;

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

/// Set once, read often. Loom has none, so its models use a lock.
#[cfg(actors_loom)]
pub(crate) struct OnceLock<T>(loom::sync::Mutex<Option<Box<T>>>);

#[cfg(actors_loom)]
impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Mutex::new(None))
    }

    pub(crate) fn get(&self) -> Option<&T> {
        let value: Option<*const T> = self.0.lock().unwrap().as_deref().map(std::ptr::from_ref);
        // SAFETY: the box is set once, and neither moved nor dropped before `self`.
        value.map(|value| unsafe { &*value })
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let mut at = self.0.lock().unwrap();
        if at.is_some() {
            return Err(value);
        }
        *at = Some(Box::new(value));
        Ok(())
    }
}
