//! The memory of asks, mailboxes, first messages, large ones and their futures, and of what few actors need, that
//! is over, which threads keep for the next ones.
//!
//! They are many and live shortly: without the allocator, an ask takes a tenth fewer instructions,
//! and who sends large messages from one thread to another does not meet its lock. A thread has two
//! magazines of each size, and takes from one or puts into one, whichever thread has made it. Where
//! both are full or empty it exchanges one at the depot, which all share: so what goes from thread to
//! thread goes back in numbers. What the depot has beyond some, and nobody has taken for a while, it gives back.
//! This is after J. Bonwick and J. Adams, "Magazines and Vmem", USENIX 2001.
use super::surplus::Surplus;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What is kept has one of these sizes, in bytes.
const SIZES: [usize; 11] = [
    32, 64, 128, 192, OF_MAILBOX, 320, 512, 1_024, 2_048, 4_096, 8_192,
];
/// A mailbox is to take no more: there may be a million.
const OF_MAILBOX: usize = 232;
/// What allocators give anyway.
const ALIGN: usize = 16;
/// So many bytes are in a magazine that is full.
const MAGAZINE: usize = 16 << 10;
/// So many full magazines of each size stay at the depot once they are there: half a megabyte.
const STAY: usize = if cfg!(miri) { 4 } else { 32 };
/// So many are there at most, 4 MiB for messages that wait behind each other, and so many empty ones.
const MOST: usize = 8 * STAY;
/// Who looks for uses of freed memory is to see that it is freed.
/// (But then Miri is to look at what is kept, too.)
pub(crate) const KEEPS: bool =
    cfg!(not(any(miri, actors_loom, fuzzing))) || cfg!(all(miri, actors_spare));

thread_local! {
    static SPARE: Spare = const { Spare::new(&ALL) };
}

static ALL: Depot = Depot::new();

/// Memory for a `T`.
#[inline]
pub(super) fn allocate<T>() -> NonNull<MaybeUninit<T>> {
    let Some(class) = (const { class_of::<T>() }) else {
        return NonNull::from(Box::leak(Box::new_uninit()));
    };
    let spare = SPARE.try_with(|spare| spare.allocate(class));
    // At its end a thread keeps nothing.
    spare.unwrap_or_else(|_| new(class)).cast()
}

/// Gives it back.
///
/// # Safety
/// `at` comes from [`allocate`] of the same type, and is used up here.
#[inline]
pub(super) unsafe fn free<T>(at: NonNull<MaybeUninit<T>>) {
    let Some(class) = (const { class_of::<T>() }) else {
        // SAFETY: `allocate` made a box of it, by the same condition.
        drop(unsafe { Box::from_raw(at.as_ptr()) });
        return;
    };
    let at = at.cast();
    // SAFETY: `allocate` made it of this class, by the same condition.
    let kept = SPARE.try_with(|spare| unsafe { spare.free(at, class) });
    if kept.is_err() {
        // SAFETY: the same, and nobody has taken it.
        unsafe { give_back(at, class) };
    }
}

/// Memory that came from [`allocate`], and is given back when this is dropped.
pub(super) struct Room<T>(NonNull<MaybeUninit<T>>);

impl<T> Room<T> {
    #[inline]
    pub(super) fn new() -> Self {
        Self(allocate())
    }

    /// That of a `T` that was made in a room, and is to be dropped there before this is.
    ///
    /// # Safety
    /// `at` comes from [`keep`](Self::keep), and is used up by this.
    #[inline]
    pub(super) unsafe fn of(at: NonNull<T>) -> Self {
        Self(at.cast())
    }

    pub(super) fn at(&self) -> *mut T {
        self.0.as_ptr().cast()
    }

    /// It is not given back.
    #[inline]
    pub(super) fn keep(self) -> NonNull<T> {
        ManuallyDrop::new(self).0.cast()
    }
}

impl<T> Drop for Room<T> {
    fn drop(&mut self) {
        // SAFETY: from `allocate`, and this is the only owner.
        unsafe { free(self.0) };
    }
}

/// Which of the sizes a `T` gets. `None`: it is a box of its own.
const fn class_of<T>() -> Option<usize> {
    let mut class = 0;
    while KEEPS && class < SIZES.len() && size_of::<T>() > 0 && align_of::<T>() <= ALIGN {
        if size_of::<T>() <= SIZES[class] {
            return Some(class);
        }
        class += 1;
    }
    None
}

/// Magazines that no thread has, by their size.
struct Depot([Mutex<Rack>; SIZES.len()]);

/// Those of one size. The empty ones come from who took a full one, and go to who brings one, so that
/// exchanging makes nothing anew.
struct Rack {
    /// Taken and brought at the back.
    full: VecDeque<Magazine>,
    empty: Vec<Magazine>,
    /// Of those at the front.
    surplus: Surplus,
}

impl Rack {
    const fn new() -> Self {
        Self {
            full: VecDeque::new(),
            empty: Vec::new(),
            surplus: Surplus::new(),
        }
    }

    fn take(&mut self) -> Option<Magazine> {
        let taken = self.full.pop_back();
        self.surplus.taken(self.full.len());
        taken
    }

    /// One that is not needed, if there is one. One each time, so that nobody waits long for the allocator.
    fn give_up(&mut self, now: impl FnOnce() -> Instant) -> Option<Magazine> {
        if self.full.len() <= STAY {
            return None;
        }
        self.surplus.give_up(self.full.len(), now())?;
        self.full.pop_front()
    }
}

impl Depot {
    const fn new() -> Self {
        Self([const { Mutex::new(Rack::new()) }; SIZES.len()])
    }

    fn of(&self, class: usize) -> MutexGuard<'_, Rack> {
        // Nothing under this lock is left half-done by a panic.
        self.0[class].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges an empty one for a full one, if there is one.
    fn fill(&self, class: usize, empty: &Magazine) {
        let mut rack = self.of(class);
        let Some(given) = rack.take() else { return };
        given.swap(empty);
        if given.has_room() && rack.empty.len() < most(class) {
            rack.empty.push(given);
        }
    }

    /// Exchanges a full one for an empty one, if there is place for it; and gives back one that nobody needs:
    /// not where one is taken, which may be the first of many.
    fn take(&self, class: usize, full: &Magazine) {
        let mut rack = self.of(class);
        let unneeded = rack.give_up(Instant::now);
        if rack.full.len() < most(class) {
            let given = rack.empty.pop().unwrap_or_else(Magazine::new);
            given.swap(full);
            rack.full.push_back(given);
        }
        // The allocator has locks of its own.
        drop(rack);
        if let Some(unneeded) = unneeded {
            unneeded.empty(class);
        }
    }
}

/// Mailboxes that lie behind each other, as they do in new memory, are quicker to go through than what was
/// left by many.
const fn most(class: usize) -> usize {
    if SIZES[class] == OF_MAILBOX {
        STAY
    } else {
        MOST
    }
}

/// What a thread keeps.
struct Spare {
    magazines: [Magazines; SIZES.len()],
    depot: &'static Depot,
}

/// Two of each size: one that was just filled or emptied need not be exchanged at once.
struct Magazines {
    loaded: Magazine,
    /// Full or empty.
    other: Magazine,
}

impl Spare {
    const fn new(depot: &'static Depot) -> Self {
        let magazines = [const {
            Magazines {
                loaded: Magazine::new(),
                other: Magazine::new(),
            }
        }; SIZES.len()];
        Self { magazines, depot }
    }

    #[inline]
    fn allocate(&self, class: usize) -> NonNull<u8> {
        match self.magazines[class].loaded.take() {
            Some(at) => at,
            None => self.take_another(class),
        }
    }

    /// # Safety
    /// `at` is of this class, comes from [`allocate`](Self::allocate) or [`new`], and is used up here.
    #[inline]
    unsafe fn free(&self, at: NonNull<u8>, class: usize) {
        if !self.magazines[class].loaded.put(at) {
            self.make_room(class);
            self.magazines[class].loaded.put(at);
        }
    }

    /// Memory, where the loaded magazine is empty.
    #[cold]
    fn take_another(&self, class: usize) -> NonNull<u8> {
        let Magazines { loaded, other } = &self.magazines[class];
        loaded.swap(other);
        if loaded.len() == 0 {
            self.depot.fill(class, loaded);
        }
        loaded.take().unwrap_or_else(|| new(class))
    }

    /// Makes room, where the loaded magazine has none.
    #[cold]
    fn make_room(&self, class: usize) {
        let Magazines { loaded, other } = &self.magazines[class];
        loaded.swap(other);
        if loaded.len() > 0 {
            self.depot.take(class, loaded);
            // Where there are enough, they are nobody's any more.
            loaded.empty(class);
        }
        if !loaded.has_room() {
            loaded.make(class);
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        for (class, Magazines { loaded, other }) in self.magazines.iter().enumerate() {
            loaded.empty(class);
            other.empty(class);
        }
    }
}

/// Memory of one size. Its addresses lie apart from it: what was freed long ago is in no cache.
struct Magazine(UnsafeCell<Vec<NonNull<u8>>>);

// SAFETY: what is in it belongs to it alone, and to no thread.
unsafe impl Send for Magazine {}

impl Magazine {
    const fn new() -> Self {
        Self(UnsafeCell::new(Vec::new()))
    }

    /// Works with what is in it.
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut Vec<NonNull<u8>>) -> R) -> R {
        // SAFETY: `Magazine` is not `Sync`, and what is called here does not come back here: neither
        // allocates nor frees, so that no allocator runs.
        f(unsafe { &mut *self.0.get() })
    }

    fn swap(&self, other: &Self) {
        self.with(|items| other.with(|others| mem::swap(items, others)));
    }

    fn has_room(&self) -> bool {
        self.with(|items| items.len() < items.capacity())
    }

    fn len(&self) -> usize {
        self.with(|items| items.len())
    }

    #[inline]
    fn take(&self) -> Option<NonNull<u8>> {
        self.with(Vec::pop)
    }

    /// Puts something in, unless it is full.
    #[inline]
    fn put(&self, at: NonNull<u8>) -> bool {
        self.with(|items| {
            let has_room = items.len() < items.capacity();
            if has_room {
                items.push(at);
            }
            has_room
        })
    }

    /// Makes room, where there is none, for as many as a full one has of this class.
    fn make(&self, class: usize) {
        let made = Self(UnsafeCell::new(Vec::with_capacity(MAGAZINE / SIZES[class])));
        self.swap(&made);
    }

    /// Gives back what is in it, which is of this class.
    fn empty(&self, class: usize) {
        while let Some(at) = self.take() {
            // SAFETY: of this class, and just taken out.
            unsafe { give_back(at, class) };
        }
    }
}

const fn layout(class: usize) -> Layout {
    match Layout::from_size_align(SIZES[class], ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("it is not that long"),
    }
}

#[cold]
fn new(class: usize) -> NonNull<u8> {
    let layout = layout(class);
    // SAFETY: of more than no bytes.
    let at = unsafe { alloc(layout) };
    NonNull::new(at).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
/// `at` comes from [`new`] with this class, and is used up here.
#[cold]
unsafe fn give_back(at: NonNull<u8>, class: usize) {
    // SAFETY: by the contract.
    unsafe { dealloc(at.as_ptr(), layout(class)) };
}

#[cfg(all(test, not(actors_loom)))]
mod tests {
    use super::super::allocations;
    use super::super::surplus::WINDOW;
    use super::*;

    #[test]
    fn spare_is_what_was_freed_last() {
        static OWN: Depot = Depot::new();
        let spare = Spare::new(&OWN);
        for (class, size) in SIZES.into_iter().enumerate() {
            let (first, second) = (spare.allocate(class), spare.allocate(class));
            assert_ne!(first, second);
            // SAFETY: made above of this class.
            unsafe {
                first.write_bytes(1, size);
                second.write_bytes(2, size);
                spare.free(first, class);
                spare.free(second, class);
            }
            assert_eq!(spare.allocate(class), second);
            assert_eq!(spare.allocate(class), first);
            let third = spare.allocate(class);
            assert!(third != first && third != second);
            for at in [first, second, third] {
                // SAFETY: as above.
                unsafe { spare.free(at, class) };
            }
        }
    }

    #[test]
    fn spare_goes_back_to_the_thread_that_sends() {
        static OWN: Depot = Depot::new();
        let class = SIZES.len() - 1;
        let (sends, takes) = (Spare::new(&OWN), Spare::new(&OWN));
        let full = MAGAZINE / SIZES[class];
        let mut sent = Vec::with_capacity(full);
        let mut round = || {
            sent.extend((0..full).map(|_| sends.allocate(class)));
            for at in sent.drain(..) {
                // SAFETY: made of this class.
                unsafe { takes.free(at, class) };
            }
        };
        // Until who takes keeps as much as it may, and as many magazines are about as are needed.
        (0..16).for_each(|_| round());
        let before = allocations();
        (0..100).for_each(|_| round());
        assert_eq!(
            allocations(),
            before,
            "neither memory nor magazines are made"
        );
        empty(&OWN, class);
    }

    fn empty(depot: &Depot, class: usize) {
        for full in depot.of(class).full.drain(..) {
            full.empty(class);
        }
    }

    #[test]
    fn spare_has_an_end() {
        static OWN: Depot = Depot::new();
        let of_mailbox = SIZES.iter().position(|size| *size == OF_MAILBOX);
        let of_mailbox = of_mailbox.expect("it is one of them");
        for (class, most) in [(SIZES.len() - 1, MOST), (of_mailbox, STAY)] {
            let spare = Spare::new(&OWN);
            // However slow this is, nothing is given back meanwhile.
            OWN.of(class).surplus.stop();
            let full = MAGAZINE / SIZES[class];
            let all: Vec<_> = (0..(most + 4) * full)
                .map(|_| spare.allocate(class))
                .collect();
            for at in all {
                // SAFETY: made above of this class.
                unsafe { spare.free(at, class) };
            }
            assert_eq!(OWN.of(class).full.len(), most);
            let Magazines { loaded, other } = &spare.magazines[class];
            assert_eq!([loaded, other].map(Magazine::len), [full, full]);
            empty(&OWN, class);
        }
    }

    /// Takes so many, and brings them back; each may have something given up. How many are left?
    fn burst(rack: &mut Rack, needed: usize, now: impl Fn() -> Instant) -> usize {
        let taken: Vec<_> = (0..needed).map_while(|_| rack.take()).collect();
        for magazine in taken {
            rack.give_up(&now);
            rack.full.push_back(magazine);
        }
        rack.full.len()
    }

    #[test]
    #[cfg_attr(miri, ignore = "it only counts, and takes minutes")]
    fn spare_that_nobody_needs_is_given_back() {
        let begin = Instant::now();
        for needed in [1, STAY / 2, STAY + 1, MOST - 1, MOST] {
            let mut rack = Rack::new();
            rack.full.extend((0..MOST).map(|_| Magazine::new()));
            // Four of them in a window, in the first of which all may have been brought just now.
            let mut left = |round: u32| burst(&mut rack, needed, || begin + WINDOW / 4 * round);
            assert!((0..4).all(|round| left(round) == MOST), "{needed} needed");
            let after = (4..4 * MOST as u32).map(left).last();
            // One more than stays: it is looked for before the last one is brought.
            assert_eq!(after, Some(needed.max(STAY + 1)), "{needed} needed");
        }
    }

    /// As long as all are needed, none is given back, however long it takes until they are needed again.
    #[test]
    #[cfg_attr(miri, ignore = "it only counts, and takes minutes")]
    fn spare_that_is_needed_now_and_then_stays() {
        let begin = Instant::now();
        let mut rack = Rack::new();
        rack.full.extend((0..MOST).map(|_| Magazine::new()));
        for round in 0..100 {
            let left = burst(&mut rack, MOST, || begin + WINDOW * 3 * round);
            assert_eq!(left, MOST, "round {round}");
        }
    }

    #[test]
    fn spare_goes_from_thread_to_thread() {
        // The address as a number of its own type would not go to another thread.
        struct Moved(NonNull<u8>);
        // SAFETY: nobody else has it.
        unsafe impl Send for Moved {}
        static OWN: Depot = Depot::new();
        let moved = Moved(Spare::new(&OWN).allocate(0));
        let other = std::thread::spawn(move || {
            let Moved(at) = { moved };
            let spare = Spare::new(&OWN);
            // SAFETY: made of this class.
            unsafe { spare.free(at, 0) };
            assert_eq!(spare.allocate(0), at);
            // SAFETY: the same.
            unsafe { spare.free(at, 0) };
        });
        other.join().expect("it is as told");
    }

    #[test]
    fn spare_is_not_what_is_large_or_aligned() {
        #[repr(align(32))]
        struct Aligned(#[allow(dead_code, reason = "only there for its size")] u8);
        assert_eq!(class_of::<[u8; 8_193]>(), None);
        assert_eq!(class_of::<Aligned>(), None);
        assert_eq!(class_of::<()>(), None);
        for (bytes, class) in [
            (class_of::<[u64; 4]>(), 0),
            (class_of::<[u64; 8]>(), 1),
            (class_of::<[u64; 9]>(), 2),
            (class_of::<[u64; 33]>(), 5),
            (class_of::<[u64; 46]>(), 6),
            (class_of::<[u8; 2_048]>(), 8),
            (class_of::<[u8; 2_049]>(), 9),
            (class_of::<[u8; 8_192]>(), 10),
        ] {
            assert_eq!(bytes, KEEPS.then_some(class));
        }
        let at = allocate::<Aligned>();
        assert_eq!(at.addr().get() % 32, 0);
        // SAFETY: allocated for this type.
        unsafe { free(at) };
    }
}
