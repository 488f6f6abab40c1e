//! `Mail`: messages in their order, in chunks; what waits in a queue, and the batch that was taken
//! out of it.
//!
//! Who may touch what: slots belong to whoever has the chunk. One that was taken out in place, by
//! [`Chunk::next`], still lies in the chunk's memory, and is used up there before the chunk is
//! pushed to or exchanged.
use super::slot::Slot;
use super::words;
use std::collections::VecDeque;
use std::mem;

/// Mail lies in chunks of at most so many messages: no push copies more than that when it makes
/// room, and no more memory is given back at a time, however long the queue is.
const CHUNK: usize = 1024;
/// Room for so many messages is made for the first one: mostly it is handled before the next one comes.
const FIRST: usize = 1;

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
        if self.newest.len() < CHUNK {
            self.newest.make_room();
            return false;
        }
        let mut newest = Chunk::default();
        newest.slots.reserve_exact(CHUNK);
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
#[derive(Default)]
pub(super) struct Chunk {
    /// Those before `next` have gone.
    slots: Vec<Slot>,
    next: usize,
}

impl Chunk {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.next
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.next == self.slots.len()
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.slots.len() == self.slots.capacity()
    }

    /// Only while it is not full.
    #[inline(always)]
    fn push_back(&mut self, slot: Slot) {
        let len = self.slots.len();
        debug_assert!(len < self.slots.capacity());
        // SAFETY: not full, by the one who calls this.
        unsafe {
            self.slots.as_mut_ptr().add(len).write(slot);
            self.slots.set_len(len + 1);
        }
    }

    fn make_room(&mut self) {
        if self.next > 0 {
            // A slot has no destructor, so those that have gone are just forgotten.
            self.slots.drain(..self.next);
            self.next = 0;
        }
        let len = self.slots.len();
        // At most a chunk, whatever was taken out of it before.
        let more = len.min(CHUNK.saturating_sub(len)).max(FIRST);
        self.slots.reserve_exact(more);
    }

    /// Takes the oldest message out in place. The pointer is good until the chunk is next pushed
    /// to or exchanged.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<*mut Slot> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: within the vector, since `next` is less than its length.
        let slot = unsafe { self.slots.as_mut_ptr().add(self.next) };
        self.next += 1;
        if self.is_empty() {
            self.next = 0;
            self.slots.clear();
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
        let waiting = &self.slots[self.next..];
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
    pub(super) fn into_slots(self) -> impl Iterator<Item = Slot> {
        self.slots.into_iter().skip(self.next)
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
