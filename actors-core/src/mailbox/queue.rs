//! `Queue`: what senders and the actor's task share. A short lock around the mail that waits, a
//! semaphore for the room there is, and signals that overtake mail.
//!
//! # Waking
//!
//! The task, in the lock and with nothing to do, sets `idle` and goes to sleep. The one push that
//! finds `idle` clears it and wakes the task. A signal clears it too and wakes the task always, as
//! a suspended handler may have to end. The task stores its waker before it first takes the lock;
//! so whoever takes the lock before that finds no waker, and what it did is found by the task.
use super::slot::Slot;
use super::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use super::sync::{Mutex, OnceLock, lock};
use super::turn::{self, Turn};
use crate::error::AskError;
use crate::policy::{Capacity, Overflow};
use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::mem;
use std::task::Waker;
use tokio::sync::{Semaphore, TryAcquireError};
use tracing::Span;

/// The running handler is to be dropped and the actor to end.
pub(super) const KILL: usize = 1;
/// The actor is to end after the running handler, and leave the rest of its mail.
pub(super) const STOP_NOW: usize = 1 << 1;
/// There are notices that overtake mail.
pub(super) const NOTICE: usize = 1 << 2;
/// The running handler has given its duty away and is to be dropped.
pub(super) const HAND_OVER: usize = 1 << 3;

/// The message being handled was put aside, and comes back.
pub(super) const STASHED: usize = 1 << 4;
/// Mail that was put aside is to come back.
pub(super) const UNSTASH: usize = 1 << 5;

/// Mail lies in chunks of at most so many messages: no push copies more than that when it makes
/// room, and no more memory is given back at a time, however long the queue is.
const CHUNK: usize = 1024;
/// A task that goes to sleep keeps room for so many messages; more only while it is used.
const KEEP: usize = 64;

/// What the addresses of an actor and its task share.
pub(crate) struct Queue {
    inbox: Mutex<Inbox>,
    control: AtomicUsize,
    /// How many addresses there are.
    pub(super) addrs: AtomicUsize,
    waker: OnceLock<Waker>,
    /// Bounded mailboxes: one permit for each message that may still be accepted.
    room: Option<Semaphore>,
    /// Messages that were accepted without a permit, and for which none is to be given back.
    debt: AtomicUsize,
    capacity: Capacity,
    overflow: Overflow,
    /// How long the actor may be idle before it stops, in nanoseconds; 0 for ever.
    idle_limit: AtomicU64,
    counts: Counts,
    turn: Turn,
}

/// What became of accepted messages. All but `displaced` are written by the actor's task alone.
#[derive(Default)]
struct Counts {
    handled: AtomicU64,
    failed: AtomicU64,
    withdrawn: AtomicU64,
    dead: AtomicU64,
    displaced: AtomicU64,
}

struct Inbox {
    mail: Mail,
    /// How many messages have left `mail` so far.
    taken: u64,
    /// How many were accepted without having been in `mail`: displaced at once, or notices that
    /// were put aside like mail.
    unnumbered: u64,
    /// The longest batch since the task last slept.
    peak: usize,
    /// The task has nothing to do and sleeps. Whoever finds this clears it and wakes the task.
    idle: bool,
    closed: bool,
    /// What few mailboxes need.
    side: Option<Box<Side>>,
}

/// Messages in their order.
#[derive(Default)]
struct Mail {
    newest: VecDeque<Slot>,
    /// Full chunks, if the queue is that long.
    older: Option<Box<Older>>,
}

#[derive(Default)]
struct Older {
    chunks: VecDeque<VecDeque<Slot>>,
    /// How many messages lie in them.
    len: usize,
}

impl Mail {
    fn len(&self) -> usize {
        self.newest.len() + self.older.as_ref().map_or(0, |older| older.len)
    }

    fn is_empty(&self) -> bool {
        self.newest.is_empty() && self.older.is_none()
    }

    #[inline]
    fn push_back(&mut self, slot: Slot) {
        if self.newest.len() == CHUNK {
            self.close_chunk();
        }
        self.newest.push_back(slot);
    }

    #[cold]
    fn close_chunk(&mut self) {
        let chunk = mem::replace(&mut self.newest, VecDeque::with_capacity(CHUNK));
        let older = self.older.get_or_insert_default();
        older.len += chunk.len();
        older.chunks.push_back(chunk);
    }

    fn pop_front(&mut self) -> Option<Slot> {
        let Some(older) = &mut self.older else {
            return self.newest.pop_front();
        };
        let slot = older.chunks.front_mut().and_then(VecDeque::pop_front);
        older.len -= usize::from(slot.is_some());
        if older.chunks.front().is_some_and(VecDeque::is_empty) {
            older.chunks.pop_front();
        }
        if older.chunks.is_empty() {
            self.older = None;
        }
        slot
    }

    /// Exchanges the empty batch for the oldest chunk.
    #[inline]
    fn take(&mut self, batch: &mut VecDeque<Slot>) {
        match &mut self.older {
            None => mem::swap(&mut self.newest, batch),
            Some(older) => {
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
}

#[derive(Default)]
struct Side {
    /// The watched actors: the notice that one of them stopped must not overtake what it sent
    /// before.
    watched: HashMap<u64, Watched>,
    notices: VecDeque<Notice>,
    /// Who waits for room, by their tickets, in their order.
    line: VecDeque<u64>,
    last_ticket: u64,
    /// Of messages that were sent while tracing was on: their numbers, and the senders' spans.
    spans: VecDeque<(u64, Span)>,
}

struct Watched {
    /// The number of the message behind the last one that the watched actor may have sent.
    behind: u64,
    /// Under which the watcher is known there.
    key: u64,
}

/// What a receiving end needs beside its batch, if it needs it.
#[derive(Default)]
pub(super) struct Extra {
    /// Mail that was put aside and comes back before the batch.
    pub(super) front: VecDeque<Slot>,
    /// The span of the actor's life.
    pub(super) life: Option<Span>,
    /// Message numbers and their senders' spans.
    pub(super) spans: VecDeque<(u64, Span)>,
}

struct Notice {
    /// The actor that it is about.
    from: u64,
    slot: Slot,
}

/// A place in the line of those who wait for room; given up when dropped.
pub(crate) struct InLine<'a> {
    queue: &'a Queue,
    ticket: u64,
}

impl InLine<'_> {
    pub(crate) fn ticket(&self) -> u64 {
        self.ticket
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if let Some(side) = &mut lock(&self.queue.inbox).side {
            side.line.retain(|waits| *waits != self.ticket);
        }
    }
}

/// Why a slot was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

/// What a mailbox has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailboxStats {
    /// Messages that were accepted.
    pub accepted: u64,
    /// Messages whose handler ran to its end, or gave its reply away to answer later.
    pub handled: u64,
    /// Messages whose handler panicked, or was dropped because the actor was killed or (with
    /// `abort_on_cancel`) its asker gave up.
    pub failed: u64,
    /// Asks that were given up before their handler started.
    pub withdrawn: u64,
    /// Messages that went to dead letters.
    pub dead_letters: u64,
    /// Messages that wait or are being handled now: `accepted` less all of the above.
    pub waiting: u64,
}

/// What the task finds when it looks for more mail.
pub(super) enum Refill {
    Mail,
    /// Nothing: the task may sleep.
    Idle,
    /// There are notices.
    Notices,
    /// Nothing, and nothing more will come.
    Closed,
}

impl Queue {
    pub(super) fn new(actor: u64, capacity: Capacity, overflow: Overflow) -> Self {
        let room = match capacity {
            Capacity::Bounded(n) => Some(Semaphore::new(n.min(Semaphore::MAX_PERMITS))),
            Capacity::Unbounded => None,
        };
        Self {
            inbox: Mutex::new(Inbox {
                mail: Mail::default(),
                taken: 0,
                peak: 0,
                unnumbered: 0,
                idle: false,
                closed: false,
                side: None,
            }),
            control: AtomicUsize::new(0),
            addrs: AtomicUsize::new(1),
            waker: OnceLock::new(),
            room,
            debt: AtomicUsize::new(0),
            capacity,
            overflow,
            idle_limit: AtomicU64::new(0),
            counts: Counts::default(),
            turn: Turn::new(actor),
        }
    }

    pub(crate) fn turn(&self) -> &Turn {
        &self.turn
    }

    pub(crate) fn capacity(&self) -> Capacity {
        self.capacity
    }

    // --- senders

    /// Takes room for one message, if there is some.
    #[inline]
    pub(crate) fn try_room(&self) -> Result<(), Refused> {
        let Some(room) = &self.room else {
            return Ok(());
        };
        match room.try_acquire() {
            Ok(permit) => {
                permit.forget();
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(Refused::Full),
            Err(TryAcquireError::Closed) => Err(Refused::Closed),
        }
    }

    /// Takes a place in the line of those who wait for room.
    pub(crate) fn line_up(&self) -> InLine<'_> {
        let mut inbox = lock(&self.inbox);
        let side = inbox.side();
        side.last_ticket += 1;
        let ticket = side.last_ticket;
        side.line.push_back(ticket);
        InLine {
            queue: self,
            ticket,
        }
    }

    /// Waits for room for one message. Dropped before it is ready, it has taken none.
    pub(crate) async fn room(&self, _place: InLine<'_>) -> Result<(), Refused> {
        let Some(room) = &self.room else {
            return Ok(());
        };
        room.acquire().await.map_err(|_| Refused::Closed)?.forget();
        Ok(())
    }

    /// Whether the mailbox has room for the one with this ticket, or will have it by itself: mail
    /// that is waiting takes room, the message being handled does not, and who came before comes
    /// first.
    pub(crate) fn has_room_for(&self, ticket: u64) -> bool {
        let Capacity::Bounded(capacity) = self.capacity else {
            return true;
        };
        let handling = u64::from(self.turn.message().is_some());
        let free = (capacity as u64).saturating_sub(self.stats().waiting.saturating_sub(handling));
        let inbox = lock(&self.inbox);
        let line = inbox.side.as_ref().map(|side| &side.line);
        let place = line.and_then(|line| line.iter().position(|waits| *waits == ticket));
        // Who has left the line has got room.
        place.is_none_or(|before| free > before as u64)
    }

    /// Gives back room that was taken and not used.
    pub(crate) fn give_back(&self) {
        if let Some(room) = &self.room {
            room.add_permits(1);
        }
    }

    /// Accepts a message for which room was taken, unless closed.
    ///
    /// Always inlined, so that the slot is made where it waits: one that is made elsewhere, word by
    /// word, and copied at once, stalls the processor.
    #[inline(always)]
    pub(super) fn push(&self, slot: Slot) -> Result<(), Slot> {
        let span = sender_span();
        let was_idle = {
            let mut inbox = lock(&self.inbox);
            if inbox.closed {
                return Err(slot);
            }
            inbox.mail.push_back(slot);
            if inbox.side.is_some() || span.is_some() {
                inbox.note_sender(span);
            }
            mem::replace(&mut inbox.idle, false)
        };
        if was_idle {
            self.wake();
        }
        Ok(())
    }

    /// Accepts a message whether there is room or not, unless closed. Takes room if there is some.
    pub(super) fn push_own(&self, slot: Slot) -> Result<(), Slot> {
        if self.try_room() == Err(Refused::Full) {
            // Before the push, so that the task never gives back a permit for this message. Once
            // closed, nobody asks for room any more, so a debt too many does no harm.
            self.debt.fetch_add(1, Ordering::Relaxed);
        }
        self.push(slot)
    }

    /// Accepts a message without waiting, as the overflow policy says. `Ok(Some)`: this one had to
    /// go for it.
    #[inline(always)]
    pub(super) fn offer(&self, slot: Slot) -> Result<Option<Slot>, (Refused, Slot)> {
        match self.try_room() {
            Ok(()) => self
                .push(slot)
                .map(|()| None)
                .map_err(|slot| (Refused::Closed, slot)),
            Err(Refused::Full) if self.overflow != Overflow::Reject => self.displace(slot),
            Err(refused) => Err((refused, slot)),
        }
    }

    /// The same for an ask, whose sender is there to learn that it was refused.
    pub(super) fn offer_ask(&self, slot: Slot) -> Result<Option<Slot>, (Refused, Slot)> {
        match self.try_room() {
            Err(Refused::Full) if self.overflow == Overflow::DropNewest => {
                Err((Refused::Full, slot))
            }
            Err(Refused::Full) if self.overflow == Overflow::DropOldest => self.displace(slot),
            Err(refused) => Err((refused, slot)),
            Ok(()) => self
                .push(slot)
                .map(|()| None)
                .map_err(|slot| (Refused::Closed, slot)),
        }
    }

    #[cold]
    fn displace(&self, slot: Slot) -> Result<Option<Slot>, (Refused, Slot)> {
        let mut inbox = lock(&self.inbox);
        if inbox.closed {
            return Err((Refused::Closed, slot));
        }
        let displaced = match self.overflow {
            Overflow::DropOldest => {
                let Some(oldest) = inbox.mail.pop_front() else {
                    // All room belongs to the message being handled.
                    drop(inbox);
                    return self
                        .push_own(slot)
                        .map(|()| None)
                        .map_err(|s| (Refused::Closed, s));
                };
                // Its room goes to the new one.
                inbox.mail.push_back(slot);
                inbox.taken += 1;
                oldest
            }
            // Accepted, but never in the queue: it has no number.
            Overflow::DropNewest | Overflow::Reject => {
                inbox.unnumbered += 1;
                slot
            }
        };
        drop(inbox);
        self.counts.displaced.fetch_add(1, Ordering::Relaxed);
        Ok(Some(displaced))
    }

    /// Delivers a notice about `from`, before mail that others sent.
    pub(super) fn notice(&self, from: u64, slot: Slot) -> Result<(), Slot> {
        {
            let mut inbox = lock(&self.inbox);
            if inbox.closed {
                return Err(slot);
            }
            inbox.side().notices.push_back(Notice { from, slot });
            inbox.idle = false;
            self.control.fetch_or(NOTICE, Ordering::Release);
        }
        self.wake();
        Ok(())
    }

    /// From now on notes what `other` sends, so that the notice of its end comes after it. False:
    /// that was so before. `key` is kept for [`unwatch`](Self::unwatch).
    pub(crate) fn watch(&self, other: u64, key: u64) -> bool {
        let mut inbox = lock(&self.inbox);
        // Who sent what waits already is not known: all of it may come from `other`.
        let behind = inbox.taken + inbox.mail.len() as u64;
        match inbox.side().watched.entry(other) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(Watched { behind, key });
                true
            }
        }
    }

    /// Ends what [`watch`](Self::watch) began, and gives its key; what waits of notices about
    /// `other` is dropped.
    pub(crate) fn unwatch(&self, other: u64) -> Option<u64> {
        let (key, dropped) = {
            let mut inbox = lock(&self.inbox);
            let side = inbox.side.as_mut()?;
            let key = side.watched.remove(&other)?.key;
            let (dropped, kept): (VecDeque<_>, _) = mem::take(&mut side.notices)
                .into_iter()
                .partition(|n| n.from == other);
            side.notices = kept;
            if side.notices.is_empty() {
                self.control.fetch_and(!NOTICE, Ordering::Relaxed);
            }
            (key, dropped)
        };
        for notice in dropped {
            notice.slot.discard(&AskError::Closed);
        }
        Some(key)
    }

    /// The actors that are watched, with their keys.
    pub(crate) fn watched(&self) -> Vec<(u64, u64)> {
        let inbox = lock(&self.inbox);
        let watched = inbox.side.iter().flat_map(|side| &side.watched);
        watched
            .map(|(&other, watched)| (other, watched.key))
            .collect()
    }

    // --- signals

    /// Takes no more mail; the actor ends once what it has is handled.
    pub(crate) fn close(&self) {
        self.signal(0);
    }

    /// Takes no more mail; the actor ends after the running handler.
    pub(crate) fn stop_now(&self) {
        self.signal(STOP_NOW);
    }

    /// Takes no more mail; the running handler is dropped at its next await and the actor ends.
    pub(crate) fn kill(&self) {
        self.signal(KILL);
    }

    fn signal(&self, control: usize) {
        {
            let mut inbox = lock(&self.inbox);
            inbox.closed = true;
            inbox.idle = false;
            self.control.fetch_or(control, Ordering::Release);
        }
        if let Some(room) = &self.room {
            room.close();
        }
        self.wake();
    }

    /// The running handler has given its duty away and is to be dropped when it next suspends.
    /// Like the next two called by the actor's own code.
    pub(crate) fn hand_over(&self) {
        self.control.fetch_or(HAND_OVER, Ordering::Relaxed);
    }

    /// The same for a handler that has put its message aside.
    pub(crate) fn hand_over_stashed(&self) {
        self.control
            .fetch_or(HAND_OVER | STASHED, Ordering::Relaxed);
    }

    /// Mail that was put aside is to come back after the running handler.
    pub(crate) fn unstash(&self) {
        self.control.fetch_or(UNSTASH, Ordering::Relaxed);
    }

    /// The last address has gone: the task looks whether it has anything left to do.
    pub(super) fn unreachable(&self) {
        let was_idle = mem::replace(&mut lock(&self.inbox).idle, false);
        if was_idle {
            self.wake();
        }
    }

    /// Wakes the task, as after a change of the idle limit.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Whether the actor was killed.
    pub(crate) fn is_killed(&self) -> bool {
        self.control() & KILL != 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.inbox).closed
    }

    pub(crate) fn set_idle_limit(&self, nanos: u64) {
        self.idle_limit.store(nanos, Ordering::Relaxed);
    }

    // --- the task

    pub(super) fn idle_limit(&self) -> u64 {
        self.idle_limit.load(Ordering::Relaxed)
    }

    /// Stores the task's waker, at its first poll.
    #[inline]
    pub(super) fn set_waker(&self, waker: &Waker) {
        if self.waker.get().is_none() {
            let _ = self.waker.set(waker.clone());
            drop(lock(&self.inbox));
        }
    }

    #[inline]
    pub(super) fn control(&self) -> usize {
        self.control.load(Ordering::Acquire)
    }

    pub(super) fn handed_over(&self) {
        self.control
            .fetch_and(!(HAND_OVER | STASHED), Ordering::Relaxed);
    }

    pub(super) fn unstashed(&self) {
        self.control.fetch_and(!UNSTASH, Ordering::Relaxed);
    }

    /// Puts waiting mail into the empty batch, or says that there is none.
    #[inline]
    pub(super) fn refill(
        &self,
        batch: &mut VecDeque<Slot>,
        taken: &mut u64,
        extra: &mut Option<Box<Extra>>,
    ) -> Refill {
        let mut inbox = lock(&self.inbox);
        if let Some(side) = &mut inbox.side {
            if !side.spans.is_empty() {
                extra.get_or_insert_default().spans.append(&mut side.spans);
            }
            if !side.notices.is_empty() && inbox.mail.is_empty() {
                return Refill::Notices;
            }
        }
        if inbox.mail.is_empty() {
            // `Acquire` pairs with the last address's `Release`: what it sent before is seen.
            if inbox.closed || self.addrs.load(Ordering::Acquire) == 0 {
                inbox.closed = true;
                return Refill::Closed;
            }
            #[cfg(actors_mutant = "lost_wake")]
            {
                // Looks, and only then goes to sleep.
                drop(inbox);
                inbox = lock(&self.inbox);
            }
            inbox.idle = true;
            let peak = mem::take(&mut inbox.peak);
            inbox.mail.newest = shrunk(mem::take(&mut inbox.mail.newest), peak);
            drop(inbox);
            *batch = shrunk(mem::take(batch), peak);
            return Refill::Idle;
        }
        if self.overflow == Overflow::DropOldest {
            // One at a time, so that the oldest message that waits can be displaced.
            batch.extend(inbox.mail.pop_front());
            inbox.taken += 1;
        } else {
            inbox.mail.take(batch);
            inbox.taken += batch.len() as u64;
            inbox.peak = inbox.peak.max(batch.len());
        }
        *taken = inbox.taken;
        Refill::Mail
    }

    /// A notice that may be delivered when message number `next` is the next to be handled.
    pub(super) fn next_notice(&self, next: u64) -> Option<Slot> {
        let mut inbox = lock(&self.inbox);
        let side = inbox.side.as_mut()?;
        let due = side.notices.iter().position(|notice| {
            side.watched
                .get(&notice.from)
                .is_none_or(|watched| watched.behind <= next)
        })?;
        let notice = side.notices.remove(due)?;
        side.watched.remove(&notice.from);
        if side.notices.is_empty() {
            self.control.fetch_and(!NOTICE, Ordering::Relaxed);
        }
        Some(notice.slot)
    }

    /// Closes if nothing has come since the task went idle. False: something has.
    pub(super) fn close_if_idle(&self) -> bool {
        let mut inbox = lock(&self.inbox);
        inbox.closed |= inbox.idle;
        inbox.closed
    }

    /// Gives back the room of messages that have left the mailbox.
    #[inline]
    pub(super) fn give_room(&self, messages: &mut usize) {
        let n = mem::take(messages);
        let Some(room) = &self.room else { return };
        if n == 0 {
            return;
        }
        // Only the task takes debt away, so it cannot fall below what is read here.
        let owed = self.debt.load(Ordering::Relaxed).min(n);
        if owed > 0 {
            self.debt.fetch_sub(owed, Ordering::Relaxed);
        }
        if n > owed {
            room.add_permits(n - owed);
        }
    }

    /// Closes for good and takes what is left: mail, and notices.
    pub(super) fn close_and_take(&self) -> (impl Iterator<Item = Slot> + use<>, Vec<Slot>) {
        let (mail, notices) = {
            let mut inbox = lock(&self.inbox);
            inbox.closed = true;
            let mail = mem::take(&mut inbox.mail);
            inbox.taken += mail.len() as u64;
            // `watched` stays: whoever ends the actor still has to take the watches back.
            let notices = inbox.side.as_mut().map(|side| mem::take(&mut side.notices));
            (mail, notices.unwrap_or_default())
        };
        if let Some(room) = &self.room {
            room.close();
        }
        let older = mail.older.map(|older| older.chunks).unwrap_or_default();
        (
            older.into_iter().flatten().chain(mail.newest),
            notices.into_iter().map(|notice| notice.slot).collect(),
        )
    }

    pub(super) fn count_handled(&self) {
        add_one(&self.counts.handled);
    }

    /// A message was counted that was put aside.
    pub(super) fn uncount_handled(&self) {
        let handled = &self.counts.handled;
        handled.store(handled.load(Ordering::Relaxed) - 1, Ordering::Release);
    }

    /// From now on a notice counts as mail.
    pub(super) fn count_notice(&self) {
        lock(&self.inbox).unnumbered += 1;
    }

    pub(super) fn count_failed(&self) {
        add_one(&self.counts.failed);
    }

    pub(super) fn count_withdrawn(&self) {
        add_one(&self.counts.withdrawn);
    }

    pub(super) fn count_dead(&self) {
        add_one(&self.counts.dead);
    }

    // --- sight

    /// How many messages were handled, whatever became of them: changes with each message.
    pub(crate) fn begun(&self) -> u64 {
        let counts = &self.counts;
        [&counts.handled, &counts.failed, &counts.withdrawn]
            .map(|count| count.load(Ordering::Relaxed))
            .iter()
            .sum()
    }

    /// How many messages wait or are being handled, and what became of the others.
    pub(crate) fn stats(&self) -> MailboxStats {
        let counts = &self.counts;
        // What has left is read first, so that it is never more than what was accepted.
        let mut stats = MailboxStats {
            handled: counts.handled.load(Ordering::Acquire),
            failed: counts.failed.load(Ordering::Acquire),
            withdrawn: counts.withdrawn.load(Ordering::Acquire),
            dead_letters: counts.dead.load(Ordering::Acquire)
                + counts.displaced.load(Ordering::Acquire),
            ..MailboxStats::default()
        };
        let inbox = lock(&self.inbox);
        stats.accepted = inbox.taken + inbox.unnumbered + inbox.mail.len() as u64;
        drop(inbox);
        let left = stats.handled + stats.failed + stats.withdrawn + stats.dead_letters;
        stats.waiting = stats.accepted.saturating_sub(left);
        stats
    }
}

/// The same empty vector, or one without room if most of its room is not used any more.
#[inline]
fn shrunk(vector: VecDeque<Slot>, peak: usize) -> VecDeque<Slot> {
    if vector.capacity() <= KEEP || vector.capacity() <= 8 * peak {
        return vector;
    }
    VecDeque::new()
}

/// Counters have one writer, so they need no read-modify-write. `Release`: whoever reads the count
/// finds the message among the accepted.
#[inline]
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Release);
}

impl Inbox {
    fn side(&mut self) -> &mut Side {
        self.side.get_or_insert_default()
    }

    /// Notes who sent the message that was just pushed.
    #[cold]
    fn note_sender(&mut self, span: Option<Span>) {
        let behind = self.taken + self.mail.len() as u64;
        let side = self.side();
        if let Some(span) = span {
            side.spans.push_back((behind - 1, span));
        }
        if !side.watched.is_empty() {
            if let Some(watched) = side.watched.get_mut(&turn::current_actor()) {
                watched.behind = behind;
            }
        }
    }
}

/// The span that the sender is in, where message spans are wanted.
#[inline]
fn sender_span() -> Option<Span> {
    if tracing::level_filters::LevelFilter::current() < tracing::Level::DEBUG {
        return None;
    }
    let span = Span::current();
    (!span.is_none()).then_some(span)
}
