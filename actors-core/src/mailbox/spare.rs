//! The memory of asks that are over, which each thread keeps for its next ones.
//!
//! Asks are many and live shortly: without the allocator, one takes a tenth fewer instructions. What
//! is kept lies on shelves by its size and belongs to this thread alone, whichever thread has made
//! it.
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Sizes are multiples of so many bytes, and at most [`SHELVES`] times as many.
const STEP: usize = 64;
const SHELVES: usize = 4;
/// What allocators give anyway.
const ALIGN: usize = 16;
/// So many bytes lie on a shelf at most.
const ROOM: usize = 128 << 10;
/// Who looks for uses of freed memory is to see that it is freed.
const KEEPS: bool = cfg!(not(any(miri, actors_loom)));

thread_local! {
    static SPARE: Spare = const { Spare([const { Shelf::new() }; SHELVES]) };
}

/// Memory for a `T`.
#[inline]
pub(super) fn allocate<T>() -> NonNull<MaybeUninit<T>> {
    let Some(size) = (const { size_for::<T>() }) else {
        return NonNull::from(Box::leak(Box::new_uninit()));
    };
    let spare = SPARE.try_with(|spare| spare.allocate(size));
    // At its end a thread keeps nothing.
    spare.unwrap_or_else(|_| new(size)).cast()
}

/// Gives it back.
///
/// # Safety
/// `at` comes from [`allocate`] of the same type, and is used up here.
#[inline]
pub(super) unsafe fn free<T>(at: NonNull<MaybeUninit<T>>) {
    let Some(size) = (const { size_for::<T>() }) else {
        // SAFETY: `allocate` made a box of it, by the same condition.
        drop(unsafe { Box::from_raw(at.as_ptr()) });
        return;
    };
    let at = at.cast();
    // SAFETY: `allocate` made so many bytes of it, by the same condition.
    let kept = SPARE.try_with(|spare| unsafe { spare.free(at, size) });
    if kept.is_err() {
        // SAFETY: the same, and nobody has taken it.
        unsafe { give_back(at, size) };
    }
}

/// How many bytes a `T` gets. `None`: it is a box of its own.
const fn size_for<T>() -> Option<usize> {
    let size = size_of::<T>().next_multiple_of(STEP);
    if KEEPS && size > 0 && size <= STEP * SHELVES && align_of::<T>() <= ALIGN {
        Some(size)
    } else {
        None
    }
}

/// What a thread keeps: the shelf `n` has what is `n + 1` steps long.
struct Spare([Shelf; SHELVES]);

impl Spare {
    #[inline]
    fn allocate(&self, size: usize) -> NonNull<u8> {
        self.0[size / STEP - 1].take().unwrap_or_else(|| new(size))
    }

    /// # Safety
    /// `at` is of this size, comes from [`allocate`](Self::allocate) or [`new`], and is used up here.
    #[inline]
    unsafe fn free(&self, at: NonNull<u8>, size: usize) {
        let shelf = &self.0[size / STEP - 1];
        if shelf.len.get() < ROOM / size {
            // SAFETY: by the contract; a step is longer than a pointer, and so aligned.
            unsafe { shelf.put(at) };
        } else {
            // SAFETY: by the contract.
            unsafe { give_back(at, size) };
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        for (n, shelf) in self.0.iter().enumerate() {
            while let Some(at) = shelf.take() {
                // SAFETY: what lies on this shelf is so long, and was just taken from it.
                unsafe { give_back(at, (n + 1) * STEP) };
            }
        }
    }
}

/// Memory of one size, which points at each other.
struct Shelf {
    top: Cell<Option<NonNull<Below>>>,
    len: Cell<usize>,
}

type Below = Option<NonNull<u8>>;

impl Shelf {
    const fn new() -> Self {
        Self {
            top: Cell::new(None),
            len: Cell::new(0),
        }
    }

    #[inline]
    fn take(&self) -> Option<NonNull<u8>> {
        let top = self.top.get()?;
        // SAFETY: `put` wrote it there, and it has lain here since.
        let below = unsafe { top.read() };
        self.top.set(below.map(NonNull::cast));
        self.len.set(self.len.get() - 1);
        Some(top.cast())
    }

    /// # Safety
    /// `at` has room for a pointer and is aligned for one; it belongs to the shelf from now on.
    #[inline]
    unsafe fn put(&self, at: NonNull<u8>) {
        let top = at.cast::<Below>();
        // SAFETY: by the contract.
        unsafe { top.write(self.top.get().map(NonNull::cast)) };
        self.top.set(Some(top));
        self.len.set(self.len.get() + 1);
    }
}

const fn layout(size: usize) -> Layout {
    match Layout::from_size_align(size, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("it is a few steps long"),
    }
}

#[cold]
fn new(size: usize) -> NonNull<u8> {
    let layout = layout(size);
    // SAFETY: at least a step long.
    let at = unsafe { alloc(layout) };
    NonNull::new(at).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
/// `at` comes from [`new`] with this size, and is used up here.
#[cold]
unsafe fn give_back(at: NonNull<u8>, size: usize) {
    // SAFETY: by the contract.
    unsafe { dealloc(at.as_ptr(), layout(size)) };
}

#[cfg(all(test, not(actors_loom)))]
mod tests {
    use super::*;

    fn empty() -> Spare {
        Spare([const { Shelf::new() }; SHELVES])
    }

    #[test]
    fn spare_is_what_was_freed_last() {
        let spare = empty();
        for size in (1..=SHELVES).map(|n| n * STEP) {
            let (first, second) = (spare.allocate(size), spare.allocate(size));
            assert_ne!(first, second);
            // SAFETY: made above with this size.
            unsafe {
                first.write_bytes(1, size);
                second.write_bytes(2, size);
                spare.free(first, size);
                spare.free(second, size);
            }
            assert_eq!(spare.allocate(size), second);
            assert_eq!(spare.allocate(size), first);
            let third = spare.allocate(size);
            assert!(third != first && third != second);
            for at in [first, second, third] {
                // SAFETY: as above.
                unsafe { spare.free(at, size) };
            }
        }
    }

    #[test]
    fn spare_has_an_end() {
        let spare = empty();
        let size = SHELVES * STEP;
        let room = ROOM / size;
        let all: Vec<_> = (0..room + 10).map(|_| spare.allocate(size)).collect();
        for at in all {
            // SAFETY: made above with this size.
            unsafe { spare.free(at, size) };
        }
        assert_eq!(spare.0[SHELVES - 1].len.get(), room);
    }

    #[test]
    fn spare_goes_from_thread_to_thread() {
        // The address as a number of its own type would not go to another thread.
        struct Moved(NonNull<u8>);
        // SAFETY: nobody else has it.
        unsafe impl Send for Moved {}
        let moved = Moved(empty().allocate(STEP));
        let other = std::thread::spawn(move || {
            let Moved(at) = { moved };
            let spare = empty();
            // SAFETY: made with this size.
            unsafe { spare.free(at, STEP) };
            assert_eq!(spare.allocate(STEP), at);
            // SAFETY: the same.
            unsafe { spare.free(at, STEP) };
        });
        other.join().expect("it is as told");
    }

    #[test]
    fn spare_is_not_what_is_large_or_aligned() {
        #[repr(align(32))]
        struct Aligned(#[allow(dead_code, reason = "only there for its size")] u8);
        assert_eq!(size_for::<[u8; STEP * SHELVES + 1]>(), None);
        assert_eq!(size_for::<Aligned>(), None);
        assert_eq!(size_for::<()>(), None);
        let kept = size_for::<[u64; 9]>();
        assert_eq!(kept, KEEPS.then_some(2 * STEP));
        let at = allocate::<Aligned>();
        assert_eq!(at.addr().get() % 32, 0);
        // SAFETY: allocated for this type.
        unsafe { free(at) };
    }
}
