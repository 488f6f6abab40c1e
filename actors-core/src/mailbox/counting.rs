//! An allocator for tests that counts, for each thread by itself.
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// How often this thread has allocated, and how often it has freed.
pub(crate) fn allocations() -> (u64, u64) {
    COUNTS.get()
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// How often this thread has allocated, and how often it has freed.
    static COUNTS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNTS.try_with(|counts| counts.set((counts.get().0 + 1, counts.get().1)));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let _ = COUNTS.try_with(|counts| counts.set((counts.get().0, counts.get().1 + 1)));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) };
    }
}
