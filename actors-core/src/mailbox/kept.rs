//! `Kept`: a box in memory that threads keep.
use super::spare::Room;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A value in memory that threads keep, of which it is the owner, as a `Box` is.
pub(crate) struct Kept<T>(NonNull<T>);

// SAFETY: the only owner of a `T`.
unsafe impl<T: Send> Send for Kept<T> {}
// SAFETY: a shared one leads to a shared `T`, and to nothing else.
unsafe impl<T: Sync> Sync for Kept<T> {}

impl<T> Kept<T> {
    #[inline]
    pub(crate) fn new(value: T) -> Self {
        let room = Room::<T>::new();
        // SAFETY: the room is for it.
        unsafe { room.at().write(value) };
        Self(room.keep())
    }

    /// Its address, which owns it from here on.
    pub(super) fn into_raw(self) -> *mut T {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// The reverse.
    ///
    /// # Safety
    /// `at` comes from [`into_raw`](Self::into_raw), and is used up by this.
    pub(super) unsafe fn from_raw(at: *mut T) -> Self {
        // SAFETY: the address of a value is not null.
        Self(unsafe { NonNull::new_unchecked(at) })
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it lies there as long as this does.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for Kept<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: it lies there as long as this does, which is borrowed mutably.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        // SAFETY: made in a room that was kept, and dropped once; then the room is given back, also
        // when its destructor panics.
        unsafe {
            let _room = Room::of(self.0);
            self.0.drop_in_place();
        }
    }
}
