//! Copies word by word what was mostly written just now, and word by word. A processor forwards what waits
//! to be stored to a load that asks for no more than one store has written; copying several words at once
//! waits until all of them have reached the cache (AMD, *Software Optimization Guide for the AMD Zen4
//! Microarchitecture*, "Load Store Unit"; Intel, *64 and IA-32 Architectures Optimization Reference
//! Manual*, "Store Forwarding").
use std::mem::MaybeUninit;
use std::ptr;

/// Of pointer type, because a pointer that travels as an integer loses its provenance.
type Word = MaybeUninit<*mut ()>;

/// How many words a value has; 0 where it is not made of such.
const fn words<T>() -> usize {
    let (size, word) = (size_of::<T>(), size_of::<Word>());
    if size % word == 0 && align_of::<T>() == align_of::<Word>() {
        size / word
    } else {
        0
    }
}

/// Moves a value out.
///
/// # Safety
/// As for [`ptr::read`].
#[inline(always)]
pub(super) unsafe fn read<T>(from: *const T) -> T {
    if const { words::<T>() == 0 } {
        // SAFETY: by the contract.
        return unsafe { from.read() };
    }
    let mut value = MaybeUninit::<T>::uninit();
    let (from, to) = (from.cast::<Word>(), value.as_mut_ptr().cast::<Word>());
    for n in 0..words::<T>() {
        // SAFETY: the value may be read (contract), and consists of so many words. Volatile, so that they
        // are not read at once.
        unsafe { to.add(n).write(from.add(n).read_volatile()) };
    }
    // SAFETY: all words of a value.
    unsafe { value.assume_init() }
}

/// Exchanges two values.
#[inline(always)]
pub(super) fn swap<T>(a: &mut T, b: &mut T) {
    // SAFETY: each is moved out and has the other written to its place.
    unsafe {
        let was = read(a);
        ptr::write(a, read(b));
        ptr::write(b, was);
    }
}
