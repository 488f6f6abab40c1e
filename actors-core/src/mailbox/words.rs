//! Copies word by word what was mostly written just now, and word by word. A processor forwards what waits
//! to be stored to a load that asks for no more than one store has written; copying several words at once
//! waits until all of them have reached the cache (AMD, *Software Optimization Guide for the AMD Zen4
//! Microarchitecture*, "Load Store Unit"; Intel, *64 and IA-32 Architectures Optimization Reference
//! Manual*, "Store Forwarding").
use std::mem::MaybeUninit;
use std::ptr;

/// Of pointer type, because a pointer that travels as an integer loses its provenance.
type Word = MaybeUninit<*mut ()>;

/// How many words a value has; 0 where it is not made of such. (Those may be made of smaller fields, whose
/// words then wait; nothing here tells them apart.)
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

#[cfg(all(test, not(actors_loom)))]
mod tests {
    use super::{read, swap};
    use std::mem::{ManuallyDrop, MaybeUninit};

    fn moved<T>(value: T) -> T {
        let value = ManuallyDrop::new(value);
        // SAFETY: not used any more.
        unsafe { read(&raw const *value) }
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Padded {
        long: u64,
        short: u8,
    }

    #[derive(Debug, PartialEq)]
    #[repr(align(32))]
    struct Wide(u64);

    #[test]
    fn values_of_all_kinds_are_moved_out() {
        let padded = Padded { long: 7, short: 3 };
        assert_eq!(moved(padded), padded);
        assert_eq!(moved([padded; 2]), [padded; 2]);
        assert_eq!(moved((1_u32, 2_u32, 3_u64)), (1, 2, 3));
        assert_eq!(moved([1_u8; 5]), [1; 5]);
        assert_eq!(moved(Wide(9)), Wide(9));
        assert_eq!(moved([0_u64; 0]), [0; 0]);
        assert_eq!(moved("text"), "text");
        assert_eq!(moved(vec![1, 2]), [1, 2]);
        assert_eq!(moved(Some(Box::new(4))), Some(Box::new(4)));
        let half: (MaybeUninit<u64>, u64) = (MaybeUninit::uninit(), 5);
        assert_eq!(moved(half).1, 5);
    }

    #[test]
    fn values_with_destructors_are_exchanged() {
        let (mut a, mut b) = (vec![Box::new(1)], Vec::new());
        swap(&mut a, &mut b);
        assert_eq!((a.len(), *b[0]), (0, 1));
    }
}
