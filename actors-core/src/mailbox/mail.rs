//! `Mail`: messages in their order, in chunks; what waits in a queue, and the batch that was taken
//! out of it.
//!
//! Who may touch what: slots belong to whoever has the chunk. One that was taken out in place, by
//! [`Chunk::next`], still lies in the chunk's memory, and is used up there before the chunk is
//! pushed to or exchanged.
use super::slot::Slot;
use super::spare;
use super::words;
use std::collections::VecDeque;
use std::iter;
use std::mem::{self, MaybeUninit};
use std::ptr::{self, NonNull};
use std::slice;

/// Mail lies in chunks of at most so many messages: no push copies more than that when it makes
/// room, and no more memory is given back at a time, however long the queue is.
const CHUNK: usize = if cfg!(miri) { 32 } else { 1024 };
/// Room for so many messages is made for the first one: mostly it is handled before the next one comes.
const FIRST: usize = 1;
type First = [Slot; FIRST];

/// Messages in their order.
#[derive(Default)]
pub(super) struct Mail {
    pub(super) newest: Chunk,
    /// Full chunks, if there are that many messages.
    older: Option<Box<Older>>,
}

#[derive(Default)]
struct Older {
    chunks: VecDeque<Chunk>,
    /// How many messages lie in them.
    len: usize,
    /// Some were taken since the last chunk became full.
    moves: bool,
}

impl Mail {
    pub(super) fn len(&self) -> usize {
        self.newest.len() + self.older.as_ref().map_or(0, |older| older.len)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_empty() && self.older.is_none()
    }

    /// True: as many as a chunk takes have piled up before it, and none of those before these was taken
    /// meanwhile.
    #[inline(always)]
    pub(super) fn push_back(&mut self, slot: Slot) -> bool {
        let piles_up = self.newest.is_full() && self.make_room();
        self.newest.push_back(slot);
        piles_up
    }

    /// True: a chunk has become full, and none was taken since the one before.
    #[cold]
    fn make_room(&mut self) -> bool {
        // Where more than half of it waits, there would soon be none again.
        if self.newest.len() <= CHUNK / 2 {
            self.newest.make_room();
            return false;
        }
        let newest = Chunk::with_room(CHUNK);
        let chunk = mem::replace(&mut self.newest, newest);
        let older = self.older.get_or_insert_default();
        older.len += chunk.len();
        older.chunks.push_back(chunk);
        !mem::take(&mut older.moves)
    }

    pub(super) fn pop_front(&mut self) -> Option<Slot> {
        let Some(older) = &mut self.older else {
            return self.newest.pop_front();
        };
        let slot = older.chunks.front_mut().and_then(Chunk::pop_front);
        older.len -= usize::from(slot.is_some());
        older.moves = true;
        if older.chunks.front().is_some_and(Chunk::is_empty) {
            older.chunks.pop_front();
        }
        if older.chunks.is_empty() {
            self.older = None;
        }
        slot
    }

    /// Exchanges the empty batch for the oldest chunk.
    #[inline]
    pub(super) fn take(&mut self, batch: &mut Chunk) {
        match &mut self.older {
            None => words::swap(&mut self.newest, batch),
            Some(older) => {
                older.moves = true;
                if let Some(chunk) = older.chunks.pop_front() {
                    older.len -= chunk.len();
                    *batch = chunk;
                }
                if older.chunks.is_empty() {
                    self.older = None;
                }
            }
        }
    }

    /// All messages, oldest first.
    pub(super) fn into_slots(self) -> impl Iterator<Item = Slot> {
        let older = self.older.map(|older| older.chunks).unwrap_or_default();
        older
            .into_iter()
            .chain([self.newest])
            .flat_map(Chunk::into_slots)
    }
}

/// Messages in their order, in one piece of memory.
///
/// A `Vec` of slots that takes less, as each actor has two of these. The memory belongs to this, and in it lie
/// the slots from `next` to `len`.
pub(super) struct Chunk {
    at: NonNull<Slot>,
    /// Those before have been written.
    len: u16,
    /// Those before have gone.
    next: u16,
    capacity: u16,
}

// SAFETY: the memory and the slots in it are this one's alone, and slots may move between threads.
unsafe impl Send for Chunk {}

impl Default for Chunk {
    #[inline]
    fn default() -> Self {
        Self {
            at: NonNull::dangling(),
            len: 0,
            next: 0,
            capacity: 0,
        }
    }
}

impl Chunk {
    /// Without messages, with room for so many.
    fn with_room(capacity: usize) -> Self {
        let at = match capacity {
            FIRST => spare::allocate::<First>().cast(),
            _ => NonNull::from(Box::leak(Box::<[Slot]>::new_uninit_slice(capacity))).cast(),
        };
        let mut chunk = Self::default();
        (chunk.at, chunk.capacity) = (at, Self::number(capacity));
        chunk
    }

    /// As many as a chunk has at most.
    fn number(of: usize) -> u16 {
        const { assert!(CHUNK < 1 << 16) };
        debug_assert!(of <= CHUNK);
        of as u16
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.len - self.next)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == self.next
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        usize::from(self.capacity)
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.len == self.capacity
    }

    /// The oldest message, or where the next one will be.
    #[inline(always)]
    fn waiting(&self) -> NonNull<Slot> {
        // SAFETY: within the memory.
        unsafe { self.at.add(self.next.into()) }
    }

    /// Only while it is not full.
    #[inline(always)]
    fn push_back(&mut self, slot: Slot) {
        debug_assert!(!self.is_full());
        // SAFETY: not full, by the one who calls this.
        unsafe { self.at.add(self.len.into()).write(slot) };
        self.len += 1;
    }

    fn make_room(&mut self) {
        if self.capacity() == 0 {
            *self = Self::with_room(FIRST);
            return;
        }
        let len = self.len();
        // Never more than a chunk: who has more than half of one does not ask for room.
        let capacity = len + len.max(FIRST);
        let waiting = self.waiting().as_ptr();
        if capacity <= self.capacity() {
            // SAFETY: they lie there, and before them is what has gone.
            unsafe { ptr::copy(waiting, self.at.as_ptr(), len) };
            (self.len, self.next) = (Self::number(len), 0);
            return;
        }
        let mut larger = Self::with_room(capacity);
        // SAFETY: they lie there, and the other memory is long enough.
        unsafe { ptr::copy_nonoverlapping(waiting, larger.at.as_ptr(), len) };
        larger.len = Self::number(len);
        *self = larger;
    }

    /// Takes the oldest message out in place. The pointer is good until the chunk is next pushed
    /// to or exchanged.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<*mut Slot> {
        if self.is_empty() {
            return None;
        }
        let slot = self.waiting().as_ptr();
        self.next += 1;
        if self.is_empty() {
            (self.len, self.next) = (0, 0);
        }
        Some(slot)
    }

    fn pop_front(&mut self) -> Option<Slot> {
        // SAFETY: just taken out, and moved out here once.
        self.next().map(|slot| unsafe { slot.read() })
    }

    /// Has the next `some` messages fetched from memory, if the first is one for which that pays.
    #[inline]
    pub(super) fn prefetch(&self, some: usize) {
        // SAFETY: those lie there.
        let waiting = unsafe { slice::from_raw_parts(self.waiting().as_ptr(), self.len()) };
        if waiting.first().is_some_and(Slot::wants_prefetch) {
            waiting.iter().take(some).for_each(Slot::prefetch);
        }
    }

    /// One message, into an empty chunk.
    pub(super) fn put(&mut self, slot: Slot) {
        if self.is_full() {
            self.make_room();
        }
        self.push_back(slot);
    }

    /// All messages, oldest first.
    pub(super) fn into_slots(mut self) -> impl Iterator<Item = Slot> {
        iter::from_fn(move || self.pop_front())
    }

    /// The same without messages, or one without memory if most of it is not used any more: not
    /// for `peak` messages.
    pub(super) fn shrunk(self, peak: usize) -> Self {
        if self.capacity() <= 8 * peak {
            return self;
        }
        Self::default()
    }
}

impl Drop for Chunk {
    /// Slots have no destructor: those that are left are forgotten.
    #[inline]
    fn drop(&mut self) {
        match self.capacity() {
            0 => {}
            // SAFETY: `with_room` has made it so, and it is not used any more.
            FIRST => unsafe { spare::free::<First>(self.at.cast()) },
            capacity => {
                let room = self.at.cast::<MaybeUninit<Slot>>().as_ptr();
                // SAFETY: the same, and of so many.
                drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(room, capacity)) });
            }
        }
    }
}

#[cfg(all(test, not(actors_loom)))]
mod tests {
    use super::super::slot::SlotVt;
    use super::*;

    static NUMBERED: SlotVt = SlotVt {
        start: |_, _, _| unreachable!("nothing runs it"),
        discard: |_, _| unreachable!("it has no destructor"),
        name: || "a number",
        ask: false,
        prefetch: 64,
        local: false,
    };

    fn slot(number: usize) -> Slot {
        let mut slot = Slot::of_unit(&NUMBERED);
        slot.payload[0].write(ptr::without_provenance_mut(number));
        slot
    }

    fn number(slot: &Slot) -> usize {
        // SAFETY: written by `slot`.
        unsafe { slot.payload[0].assume_init() }.addr()
    }

    /// The next one of a sequence that looks random: G. Marsaglia, "Xorshift RNGs", 2003.
    fn next(random: &mut u64) -> usize {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        *random as usize
    }

    /// What is pushed comes out once and in its order, however it is taken.
    #[test]
    fn mail_keeps_its_order() {
        let (seeds, steps, most) = if cfg!(miri) {
            (1..=3, 40, 24)
        } else {
            (1..=50, 400, 300)
        };
        for seed in seeds {
            let mut random: u64 = seed;
            let (mut mail, mut batch) = (Mail::default(), Chunk::default());
            let (mut pushed, mut taken) = (0, 0);
            let mut take = |slot: &Slot| {
                assert_eq!(number(slot), taken, "seed {seed}");
                taken += 1;
            };
            for _ in 0..steps {
                let some = next(&mut random) % most;
                match next(&mut random) % 5 {
                    0 | 1 => {
                        for _ in 0..some {
                            mail.push_back(slot(pushed));
                            pushed += 1;
                        }
                    }
                    2 => {
                        for _ in 0..some.min(mail.len()) {
                            take(&mail.pop_front().expect("it has so many"));
                        }
                    }
                    3 => {
                        mail.take(&mut batch);
                        batch.prefetch(some);
                        while let Some(slot) = batch.next() {
                            // SAFETY: taken out just now.
                            take(unsafe { &*slot });
                        }
                    }
                    _ => {
                        let room = batch.capacity();
                        batch = batch.shrunk(some);
                        assert!(batch.is_empty() && batch.capacity() <= room, "seed {seed}");
                        if let Some(slot) = mail.pop_front() {
                            batch.put(slot);
                            take(&batch.pop_front().expect("it was put there"));
                        }
                    }
                }
                let left = mail.len();
                assert_eq!(mail.is_empty(), left == 0, "seed {seed}");
            }
            mail.into_slots().for_each(|slot| take(&slot));
            assert_eq!(taken, pushed, "seed {seed}");
        }
    }

    #[test]
    fn mail_that_is_left_is_forgotten() {
        let mut mail = Mail::default();
        for number in 0..5 {
            mail.push_back(slot(number));
        }
        assert_eq!(mail.pop_front().as_ref().map(number), Some(0));
        let mut slots = mail.into_slots();
        assert_eq!(slots.next().as_ref().map(number), Some(1));
    }
}
