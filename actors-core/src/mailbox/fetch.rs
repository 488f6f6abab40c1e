//! Has memory fetched into the cache that is needed soon, so that its lines come at the same time and not one
//! after the other.

/// At a hint's price: it is no access, and does nothing where nobody knows how to ask for it.
#[inline(always)]
#[cfg_attr(
    not(all(target_arch = "x86_64", not(miri))),
    allow(unused_variables, reason = "there is no stable way")
)]
pub(super) fn fetch(at: *const u8, bytes: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for line in (0..bytes).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: all processors of this kind can; and it is no access, wherever that is.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(line).cast()) };
    }
}
