//! `Queue`: what senders and the actor's task share. A short lock around the mail that waits and
//! the room there is, and signals that overtake mail.
//!
//! # Waking
//!
//! The task, in the lock, sets `idle` when it finds nothing to do, and also when it takes the one
//! message there is: it will have nothing to do after that. It goes to sleep if `idle` is still
//! set then. The one push that finds `idle` clears it, in the lock, and wakes the task. A signal
//! clears it too and wakes the task always, as a suspended handler may have to end. The task stores
//! its waker before it first takes the lock; so whoever takes the lock before that finds no waker,
//! and what it did is found by the task. Where messages pile up behind the one that woke, one push
//! more lets other threads have the task ([`make_stealable`]).
//!
//! An actor that has slept for long lies in no cache. So an ask has its mailbox and its task fetched at once, and
//! not line by line as they are needed. Not a tell: many may follow, before any of their tasks runs. (So may
//! asks that are posted and awaited later, which are taken for others.)
//!
//! # Room
//!
//! Room is counted in the lock; what the task has handled since it last held the lock is added when
//! somebody finds no room. Those who wait for it stand in a line and sleep at a semaphore: it
//! has a permit for each of them that was granted room, and for nobody else.
use super::fetch::fetch;
use super::lend::Lend;
use super::lock::{Mutex, MutexGuard, lock};
use super::mail::{Chunk, Mail};
use super::planted::planted;
use super::slot::Slot;
use super::sync::OnceWaker;
use super::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use super::turn::{self, Turn};
use crate::error::AskError;
use crate::policy::{Capacity, Overflow};
use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::mem;
use std::ptr;
use std::sync::Arc;
use std::task::Waker;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tracing::Span;

/// The running handler is to be dropped and the actor to end.
pub(super) const KILL: u32 = 1;
/// The actor is to end after the running handler, and leave the rest of its mail.
pub(super) const STOP_NOW: u32 = 1 << 1;
/// There are notices that overtake mail.
pub(super) const NOTICE: u32 = 1 << 2;
/// The running handler has given its duty away and is to be dropped.
pub(super) const HAND_OVER: u32 = 1 << 3;

/// The message being handled was put aside, and comes back.
pub(super) const STASHED: u32 = 1 << 4;
/// Mail that was put aside is to come back.
pub(super) const UNSTASH: u32 = 1 << 5;

/// This drain is to end after the running handler, and leave the rest of the mail to the next one.
pub(super) const LEAVE: u32 = 1 << 6;

/// So many bytes of a task an actor with a short state takes: what an ask has fetched of one that sleeps.
const TASK: usize = 384;

/// What no mailbox ever holds.
const MAX_ROOM: usize = usize::MAX >> 3;
/// A task that goes to sleep keeps room for so many messages; more only while it is used.
const KEEP: usize = 64;

/// What the addresses of an actor and its task share.
///
/// In the order of who needs it: senders, few, the task. What either writes or reads with each message
/// must not cost the other a cache line that it needs.
#[repr(C)]
pub(crate) struct Queue {
    inbox: Mutex<Inbox>,
    /// The task has nothing to do but what it does now. Written in the lock.
    idle: AtomicBool,
    /// The task has taken what there was for the last time. Written by the task alone.
    is_over: AtomicBool,
    /// Some actor was watched. Written in the lock.
    has_watched: AtomicBool,
    overflow: Overflow,
    /// `usize::MAX` for an unbounded mailbox.
    capacity: usize,
    waker: OnceWaker,
    /// How many addresses there are.
    pub(super) addrs: AtomicUsize,
    pub(super) lend: Lend,
    turn: Turn,
    /// How many messages were handled. Written by the task alone.
    handled: AtomicU64,
    control: AtomicU32,
    /// How many messages have left the mailbox one by one, to be handled; wraps around. Written by
    /// the task alone, with each message: who finds no room in the lock looks here.
    departed: AtomicU32,
}

struct Inbox {
    mail: Mail,
    /// How many messages have left `mail` so far.
    taken: u64,
    /// The longest batch since the task last looked for memory to give back.
    peak: u16,
    /// How much of [`Queue::departed`] is counted in `room`.
    credited: u32,
    /// For how many more messages there is room; less than none where some were accepted all the
    /// same. What waits for room to be granted is counted in `side`.
    room: isize,
    closed: bool,
    /// What few mailboxes need.
    side: Option<Box<Side>>,
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
    /// To how many of the line room was granted.
    granted: usize,
    /// Where they sleep; made when somebody first does.
    grants: Option<Arc<Semaphore>>,
    /// How many messages were accepted without having been in `mail`: displaced at once, or notices
    /// that were put aside like mail.
    unnumbered: u64,
    /// How many had to go for others.
    displaced: u64,
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
    /// How a drain has ended while it was lent.
    pub(super) ended: Option<super::drain::End>,
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
    grants: Arc<Semaphore>,
    ticket: u64,
    /// Has got the room that it was granted.
    served: bool,
}

impl InLine<'_> {
    pub(crate) fn ticket(&self) -> u64 {
        self.ticket
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let mut inbox = lock(&self.queue.inbox);
        if let Some(side) = &mut inbox.side {
            side.line.retain(|waits| *waits != self.ticket);
            side.granted -= usize::from(self.served);
        }
        self.queue.serve_line(inbox);
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
    /// Several messages, or one that others may wait behind.
    Mail,
    /// One, whose room was given back.
    One,
    /// The same, and the task may sleep after it if [`Queue::is_idle`] still holds.
    Last,
    /// Nothing: the task may sleep.
    Idle,
    /// There are notices.
    Notices,
    /// Nothing, and nothing more will come.
    Closed,
}

impl Queue {
    #[inline]
    pub(super) fn new(actor: u64, capacity: Capacity, overflow: Overflow) -> Self {
        let capacity = match capacity {
            Capacity::Bounded(n) => n.min(MAX_ROOM),
            Capacity::Unbounded => usize::MAX,
        };
        Self {
            inbox: Mutex::new(Inbox {
                mail: Mail::default(),
                taken: 0,
                peak: 0,
                credited: 0,
                room: signed(capacity.min(MAX_ROOM)),
                closed: false,
                side: None,
            }),
            idle: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            has_watched: AtomicBool::new(false),
            overflow,
            capacity,
            waker: OnceWaker::new(),
            addrs: AtomicUsize::new(1),
            lend: Lend::new(),
            turn: Turn::new(actor),
            handled: AtomicU64::new(0),
            control: AtomicU32::new(0),
            departed: AtomicU32::new(0),
        }
    }

    /// The number of the actor.
    #[inline]
    pub(crate) fn actor(&self) -> u64 {
        self.turn.actor()
    }

    pub(crate) fn turn(&self) -> &Turn {
        &self.turn
    }

    pub(crate) fn capacity(&self) -> Capacity {
        match self.capacity {
            usize::MAX => Capacity::Unbounded,
            n => Capacity::Bounded(n),
        }
    }

    // --- senders

    /// Takes room for one message, if there is some.
    pub(crate) fn try_room(&self) -> Result<(), Refused> {
        self.try_room_in(&mut lock(&self.inbox))
    }

    #[inline]
    fn try_room_in(&self, inbox: &mut Inbox) -> Result<(), Refused> {
        if inbox.closed {
            return Err(Refused::Closed);
        }
        if inbox.room <= 0 {
            self.credit(inbox);
        }
        // Who came before comes first.
        if inbox.room <= 0 || inbox.somebody_waits() {
            return Err(Refused::Full);
        }
        inbox.room -= 1;
        Ok(())
    }

    /// Counts the room of messages that have departed.
    #[inline]
    fn credit(&self, inbox: &mut Inbox) {
        // `Relaxed`: it is a number, and nothing is read by it.
        let departed = self.departed.load(Ordering::Relaxed);
        inbox.room += signed(departed.wrapping_sub(inbox.credited) as usize);
        inbox.credited = departed;
    }

    /// Takes a place in the line of those who wait for room.
    pub(crate) fn line_up(&self) -> InLine<'_> {
        let mut inbox = lock(&self.inbox);
        let closed = inbox.closed;
        let side = inbox.side();
        let grants = side
            .grants
            .get_or_insert_with(|| Arc::new(Semaphore::new(0)));
        let grants = Arc::clone(grants);
        if closed {
            grants.close();
        }
        side.last_ticket += 1;
        let ticket = side.last_ticket;
        side.line.push_back(ticket);
        // Room may have come since it was looked for.
        self.serve_line(inbox);
        InLine {
            queue: self,
            grants,
            ticket,
            served: false,
        }
    }

    /// Waits for room for one message. Dropped before it is ready, it has taken none.
    pub(crate) async fn room(&self, mut place: InLine<'_>) -> Result<(), Refused> {
        let permit = place.grants.acquire().await;
        permit.map_err(|_| Refused::Closed)?.forget();
        place.served = true;
        Ok(())
    }

    /// Grants the room there is to those who wait for it, and takes back what was granted to those
    /// who have left.
    fn serve_line<'a>(&'a self, mut inbox: MutexGuard<'a, Inbox>) {
        let grants = inbox.side.as_ref().and_then(|side| side.grants.clone());
        let (Some(grants), false) = (grants, inbox.closed) else {
            return;
        };
        self.credit(&mut inbox);
        loop {
            let room = usize::try_from(inbox.room).unwrap_or(0);
            let side = inbox.side();
            let surplus = side.granted.saturating_sub(side.line.len());
            // Those that are on their way to the semaphore are taken back by who brings them.
            let back = grants.forget_permits(surplus);
            side.granted -= back;
            let waiting = side.line.len().saturating_sub(side.granted);
            let more = waiting.min(room + back);
            side.granted += more;
            inbox.room += signed(back) - signed(more);
            if more == 0 {
                return;
            }
            drop(inbox);
            // Without the lock, since it wakes.
            grants.add_permits(more);
            inbox = lock(&self.inbox);
        }
    }

    /// Whether the mailbox has room for the one with this ticket, or will have it by itself: mail
    /// that is waiting takes room, the message being handled does not, and who came before comes
    /// first.
    pub(crate) fn has_room_for(&self, ticket: u64) -> bool {
        if self.capacity == usize::MAX {
            return true;
        }
        let mut inbox = lock(&self.inbox);
        let departed = self.departed.load(Ordering::Relaxed);
        let uncredited = signed(departed.wrapping_sub(inbox.credited) as usize);
        let room = inbox.room + uncredited;
        let side = inbox.side();
        let place = side.line.iter().position(|waits| *waits == ticket);
        // Who has left the line has got room.
        place.is_none_or(|before| room + signed(side.granted) > signed(before))
    }

    /// Gives back room that was taken and not used.
    pub(crate) fn give_back(&self) {
        let mut inbox = lock(&self.inbox);
        inbox.room += 1;
        if inbox.somebody_lines_up() {
            self.serve_line(inbox);
        }
    }

    /// Accepts a message for which room was taken, unless closed.
    #[inline(always)]
    pub(super) fn push(&self, slot: Slot) -> Result<(), Slot> {
        let granted = |_: &mut Inbox| Ok(());
        self.push_where(granted, slot).map_err(|(_, slot)| slot)
    }

    /// Accepts a message if there is room.
    #[inline(always)]
    pub(super) fn try_push(&self, slot: Slot) -> Result<(), (Refused, Slot)> {
        self.push_where(|inbox| self.try_room_in(inbox), slot)
    }

    /// Accepts a message and has it handled on this thread, if the task sleeps and lends its drain.
    /// False: it was not, and is as it was.
    ///
    /// # Safety
    /// The slot is the caller's and was not used up. After `true` it is.
    #[inline]
    pub(super) unsafe fn try_run(&self, slot: *mut Slot) -> bool {
        // SAFETY: by the contract.
        let run = |waker: &Waker| unsafe { self.lend.borrow(waker, slot, || self.is_at_rest()) };
        self.waker.with(run).unwrap_or(false)
    }

    /// Accepts a message whether there is room or not, unless closed. Takes room all the same.
    pub(super) fn push_own(&self, slot: Slot) -> Result<(), Slot> {
        let own = |inbox: &mut Inbox| {
            inbox.room -= 1;
            Ok(())
        };
        self.push_where(own, slot).map_err(|(_, slot)| slot)
    }

    /// Always inlined, so that the slot is made where it waits: one that is made elsewhere, word by
    /// word, and copied at once, stalls the processor.
    #[inline(always)]
    fn push_where(
        &self,
        room: impl FnOnce(&mut Inbox) -> Result<(), Refused>,
        slot: Slot,
    ) -> Result<(), (Refused, Slot)> {
        let is_ask = slot.vt.ask;
        let span = sender_span();
        let (was_idle, piles_up) = {
            let mut inbox = lock(&self.inbox);
            if inbox.closed {
                return Err((Refused::Closed, slot));
            }
            if let Err(refused) = room(&mut inbox) {
                return Err((refused, slot));
            }
            let piles_up = inbox.mail.push_back(slot);
            if inbox.watches_others() || span.is_some() {
                inbox.note_sender(span);
            }
            (self.end_idle(), piles_up)
        };
        match was_idle {
            true if is_ask => self.wake_for_ask(),
            true => self.wake(),
            false => {}
        }
        if piles_up {
            make_stealable();
        }
        Ok(())
    }

    /// Called in the lock: whether the task has to be woken.
    #[inline]
    fn end_idle(&self) -> bool {
        let was_idle = self.idle.load(Ordering::Relaxed);
        if was_idle {
            // `Release`: the task that finds this looks into the inbox, and locks it for that.
            self.idle.store(false, Ordering::Release);
        }
        was_idle
    }

    /// Accepts a message without waiting, as the overflow policy says. `Ok(Some)`: this one had to
    /// go for it.
    #[inline(always)]
    pub(super) fn offer(&self, slot: Slot) -> Result<Option<Slot>, (Refused, Slot)> {
        match self.try_push(slot) {
            Ok(()) => Ok(None),
            Err((Refused::Full, slot)) if self.overflow != Overflow::Reject => self.displace(slot),
            Err(refused) => Err(refused),
        }
    }

    /// The same for an ask, whose sender is there to learn that it was refused.
    pub(super) fn offer_ask(&self, slot: Slot) -> Result<Option<Slot>, (Refused, Slot)> {
        match self.try_push(slot) {
            Ok(()) => Ok(None),
            Err((Refused::Full, slot)) if self.overflow == Overflow::DropOldest => {
                self.displace(slot)
            }
            Err(refused) => Err(refused),
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
                inbox.side().unnumbered += 1;
                slot
            }
        };
        inbox.side().displaced += 1;
        drop(inbox);
        Ok(Some(displaced))
    }

    /// Delivers a notice about `from`, before mail that others sent. With the key of a watch only
    /// as long as that lasts.
    pub(super) fn notice(&self, from: u64, key: Option<u64>, slot: Slot) -> Result<(), Slot> {
        {
            let mut inbox = lock(&self.inbox);
            let watched = inbox.side().watched.get(&from).map(|watched| watched.key);
            if inbox.closed || key.is_some_and(|key| watched != Some(key)) {
                return Err(slot);
            }
            inbox.side().notices.push_back(Notice { from, slot });
            self.end_idle();
            self.control.fetch_or(NOTICE, Ordering::Release);
        }
        self.wake();
        Ok(())
    }

    /// From now on notes what `other` sends, so that the notice of its end comes after it. False:
    /// that was so before. `key` is kept for [`unwatch`](Self::unwatch).
    pub(crate) fn watch(&self, other: u64, key: u64) -> bool {
        let mut inbox = lock(&self.inbox);
        self.has_watched.store(true, Ordering::Relaxed);
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
        // `Relaxed`: it is the actor's own code that watches.
        if !self.has_watched.load(Ordering::Relaxed) {
            return Vec::new();
        }
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

    fn signal(&self, control: u32) {
        let grants = {
            let mut inbox = lock(&self.inbox);
            self.end_idle();
            if control != 0 {
                self.control.fetch_or(control, Ordering::Release);
            }
            inbox.close()
        };
        send_away(grants);
        self.wake();
    }

    /// Takes no more mail, as the task itself finds.
    pub(crate) fn close_by_task(&self) {
        let grants = lock(&self.inbox).close();
        send_away(grants);
    }

    /// Ends the drain after the running handler. Mail is accepted on, for the next drain.
    pub(crate) fn leave(&self) {
        self.interrupt(LEAVE);
    }

    /// Ends the drain; the running handler is dropped at its next await. Mail is accepted on, for
    /// the next drain.
    pub(crate) fn break_off(&self) {
        self.interrupt(KILL);
    }

    fn interrupt(&self, control: u32) {
        {
            let _inbox = lock(&self.inbox);
            self.end_idle();
            self.control.fetch_or(control, Ordering::Release);
        }
        self.wake();
    }

    /// Forgets what ended the last drain, unless that is final. Not while a drain is alive.
    pub(crate) fn renew(&self) {
        let inbox = lock(&self.inbox);
        if !inbox.closed {
            self.control.fetch_and(NOTICE | UNSTASH, Ordering::Relaxed);
        }
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
        let was_idle = {
            let _inbox = lock(&self.inbox);
            self.end_idle()
        };
        if was_idle {
            self.wake();
        }
    }

    /// Wakes the task, as after a change of the idle limit.
    pub(crate) fn wake(&self) {
        self.waker.with(Waker::wake_by_ref);
    }

    /// The same for an ask. Its sender waits, so the task mostly runs next.
    #[inline]
    fn wake_for_ask(&self) {
        self.waker.with(|waker| {
            fetch(waker.data().cast(), TASK);
            fetch(ptr::from_ref(self).cast(), size_of::<Self>());
            waker.wake_by_ref();
        });
    }

    /// Whether the actor was killed.
    pub(crate) fn is_killed(&self) -> bool {
        self.control() & KILL != 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.inbox).closed
    }

    pub(crate) fn set_idle_limit(&self, nanos: u64) {
        if nanos != 0 || self.idle_limit() != 0 {
            self.turn.rare().idle_limit.store(nanos, Ordering::Relaxed);
        }
    }

    // --- the task

    pub(super) fn idle_limit(&self) -> u64 {
        let rare = self.turn.rare_if_any();
        rare.map_or(0, |rare| rare.idle_limit.load(Ordering::Relaxed))
    }

    /// Stores the task's waker, at its first poll.
    ///
    /// # Safety
    /// Called by the task.
    #[inline]
    pub(super) unsafe fn set_waker(&self, waker: &Waker) {
        if !self.waker.is_set() {
            // SAFETY: there is one task (contract).
            unsafe { self.set_first_waker(waker) };
        }
    }

    /// # Safety
    /// Called by the task.
    #[cold]
    unsafe fn set_first_waker(&self, waker: &Waker) {
        // SAFETY: nobody but the task sets it (contract).
        unsafe { self.waker.set(waker) };
        drop(lock(&self.inbox));
    }

    /// Whether a drain would end before its first message.
    pub(super) fn is_interrupted(&self) -> bool {
        self.control() & (KILL | STOP_NOW | LEAVE) != 0 || self.is_closed()
    }

    #[inline]
    pub(super) fn control(&self) -> u32 {
        self.control.load(Ordering::Acquire)
    }

    pub(super) fn handed_over(&self) {
        self.control
            .fetch_and(!(HAND_OVER | STASHED), Ordering::Relaxed);
    }

    pub(super) fn unstashed(&self) {
        self.control.fetch_and(!UNSTASH, Ordering::Relaxed);
    }

    /// A message has left the mailbox, to be handled.
    #[inline(always)]
    pub(super) fn depart(&self) {
        let departed = self.departed.load(Ordering::Relaxed);
        self.departed
            .store(departed.wrapping_add(1), Ordering::Relaxed);
    }

    /// Puts waiting mail into the empty batch, or says that there is none. Gives room back.
    #[inline(always)]
    pub(super) fn refill(
        &self,
        batch: &mut Chunk,
        taken: &mut u64,
        extra: &mut Option<Box<Extra>>,
    ) -> Refill {
        let mut inbox = lock(&self.inbox);
        self.credit(&mut inbox);
        if inbox.side.is_some() {
            inbox = self.attend_side(inbox, extra);
            if inbox.has_notices() && inbox.mail.is_empty() {
                return Refill::Notices;
            }
        }
        if inbox.mail.is_empty() {
            // `Acquire` pairs with the last address's `Release`: what it sent before is seen.
            if inbox.closed || self.addrs.load(Ordering::Acquire) == 0 {
                inbox.closed = true;
                return Refill::Closed;
            }
            if planted("lost_wake") {
                // Looks, and only then goes to sleep.
                drop(inbox);
                inbox = lock(&self.inbox);
            }
            self.idle.store(true, Ordering::Relaxed);
            let peak = mem::take(&mut inbox.peak);
            if inbox.mail.newest.capacity() > KEEP || batch.capacity() > KEEP {
                Inbox::shrink(inbox, batch, peak);
            }
            return Refill::Idle;
        }
        if self.overflow == Overflow::DropOldest {
            // One at a time, so that the oldest message that waits can be displaced.
            if let Some(oldest) = inbox.mail.pop_front() {
                batch.put(oldest);
            }
        } else {
            inbox.mail.take(batch);
        }
        let len = batch.len();
        inbox.taken += len as u64;
        inbox.peak = inbox.peak.max(u16::try_from(len).unwrap_or(u16::MAX));
        *taken = inbox.taken;
        if len > 1 {
            return Refill::Mail;
        }
        // Nothing of the batch will wait any more.
        inbox.room += 1;
        if inbox.can_sleep(batch) && self.addrs.load(Ordering::Acquire) != 0 {
            self.idle.store(true, Ordering::Relaxed);
            return Refill::Last;
        }
        if inbox.somebody_lines_up() {
            self.serve_line(inbox);
        }
        Refill::One
    }

    #[cold]
    fn attend_side<'a>(
        &'a self,
        mut inbox: MutexGuard<'a, Inbox>,
        extra: &mut Option<Box<Extra>>,
    ) -> MutexGuard<'a, Inbox> {
        let side = inbox.side();
        if !side.spans.is_empty() {
            extra.get_or_insert_default().spans.append(&mut side.spans);
        }
        if side.line.is_empty() {
            return inbox;
        }
        self.serve_line(inbox);
        lock(&self.inbox)
    }

    /// Whether nothing has come since the task became idle.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        // `Relaxed` will do for a "yes": who clears it later wakes the task. After a "no" the task
        // locks the inbox.
        self.idle.load(Ordering::Relaxed)
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
        inbox.closed |= self.is_idle();
        inbox.closed
    }

    /// Gives back the room of messages that have left the mailbox. Where the task goes on at once,
    /// those who wait for room are not woken for a few places each time.
    #[inline]
    pub(super) fn give_room(&self, goes_on: bool) {
        if self.capacity == usize::MAX {
            return;
        }
        let mut inbox = lock(&self.inbox);
        self.credit(&mut inbox);
        let much = inbox.room >= signed(self.capacity / 2);
        if inbox.somebody_lines_up() && (much || !goes_on) {
            self.serve_line(inbox);
        }
    }

    /// Closes for good and takes what is left: mail, and notices. `None`: nothing.
    pub(super) fn close_and_take(&self) -> Option<(impl Iterator<Item = Slot> + use<>, Vec<Slot>)> {
        let (mail, notices) = {
            let mut inbox = lock(&self.inbox);
            let grants = inbox.close();
            self.is_over.store(true, Ordering::Relaxed);
            if inbox.mail.is_empty() && !inbox.has_notices() {
                drop(inbox);
                send_away(grants);
                return None;
            }
            let mail = mem::take(&mut inbox.mail);
            inbox.taken += mail.len() as u64;
            // `watched` stays: whoever ends the actor still has to take the watches back.
            let notices = inbox.side.as_mut().map(|side| mem::take(&mut side.notices));
            drop(inbox);
            send_away(grants);
            (mail, notices.unwrap_or_default())
        };
        Some((
            mail.into_slots(),
            notices.into_iter().map(|notice| notice.slot).collect(),
        ))
    }

    /// Whether the task has taken what there was for the last time.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(super) fn count_handled(&self) {
        add_one(&self.handled);
    }

    /// Whether whoever has the turn has nothing to do: there is no mail, nothing of it is to come back,
    /// and nothing was told. Nor does it stop by itself, which counts from the task's last poll.
    pub(super) fn is_at_rest(&self) -> bool {
        self.is_idle() && self.control() == 0 && self.idle_limit() == 0
    }

    /// Whether somebody waits for room, or was granted some and has not come for it.
    pub(super) fn is_awaited(&self) -> bool {
        lock(&self.inbox).somebody_lines_up()
    }

    /// A message is handled at once.
    pub(super) fn count_direct(&self) {
        if let Some(direct) = self.lend.direct() {
            add_one(direct);
        }
    }

    /// A message was counted that was put aside.
    pub(super) fn uncount_handled(&self) {
        let handled = &self.handled;
        handled.store(handled.load(Ordering::Relaxed) - 1, Ordering::Release);
    }

    /// From now on a notice counts as mail.
    pub(super) fn count_notice(&self) {
        lock(&self.inbox).side().unnumbered += 1;
    }

    pub(super) fn count_failed(&self) {
        add_one(&self.turn.rare().failed);
    }

    pub(super) fn count_withdrawn(&self) {
        add_one(&self.turn.rare().withdrawn);
    }

    pub(super) fn count_dead(&self) {
        add_one(&self.turn.rare().dead);
    }

    // --- sight

    /// How many messages were handled, whatever became of them: changes with each message.
    pub(crate) fn begun(&self) -> u64 {
        let handled = self.handled.load(Ordering::Relaxed);
        let rare = self.turn.rare_if_any().map(|rare| {
            rare.failed.load(Ordering::Relaxed) + rare.withdrawn.load(Ordering::Relaxed)
        });
        handled + rare.unwrap_or(0)
    }

    /// How many messages wait or are being handled, and what became of the others.
    pub(crate) fn stats(&self) -> MailboxStats {
        // What has left is read first, so that it is never more than what was accepted.
        let mut stats = MailboxStats {
            handled: self.handled.load(Ordering::Acquire),
            ..MailboxStats::default()
        };
        if let Some(rare) = self.turn.rare_if_any() {
            stats.failed = rare.failed.load(Ordering::Acquire);
            stats.withdrawn = rare.withdrawn.load(Ordering::Acquire);
            stats.dead_letters = rare.dead.load(Ordering::Acquire);
        }
        let inbox = lock(&self.inbox);
        stats.accepted = inbox.taken + inbox.mail.len() as u64;
        let direct = self.lend.direct();
        stats.accepted += direct.map_or(0, |direct| direct.load(Ordering::Relaxed));
        if let Some(side) = &inbox.side {
            stats.accepted += side.unnumbered;
            stats.dead_letters += side.displaced;
        }
        drop(inbox);
        let left = stats.handled + stats.failed + stats.withdrawn + stats.dead_letters;
        stats.waiting = stats.accepted.saturating_sub(left);
        stats
    }
}

/// No mailbox holds more than [`MAX_ROOM`].
#[inline]
fn signed(room: usize) -> isize {
    isize::try_from(room).unwrap_or(isize::MAX)
}

/// Counters have one writer, so they need no read-modify-write. `Release`: whoever reads the count
/// finds the message among the accepted.
#[inline]
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Release);
}

/// Lets other threads take the task that this one has woken, where tokio would have it polled next on
/// this one.
///
/// Most versions of tokio let no other thread take it from there (the "LIFO slot"). So while a task
/// sends and sends without a pause, its receiver is not polled, even if all other threads have nothing
/// to do. What is spawned after it gets that place, and it goes to the queue that they steal from.
///
/// Where several send, it may be another one that has woken it. So this is done again and again, until
/// the receiver takes something.
#[cold]
fn make_stealable() {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    if runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
        drop(runtime.spawn(async {}));
    }
}

/// There will be no more room for those who wait for it. Without the lock, since it wakes them.
fn send_away(grants: Option<Arc<Semaphore>>) {
    if let Some(grants) = grants {
        grants.close();
    }
}

impl Inbox {
    /// Takes no more mail. Gives where those sleep who wait for room, to be sent away.
    #[inline]
    fn close(&mut self) -> Option<Arc<Semaphore>> {
        self.closed = true;
        self.side.as_ref().and_then(|side| side.grants.clone())
    }

    fn side(&mut self) -> &mut Side {
        self.side.get_or_insert_default()
    }

    /// Gives back the memory of long buffers that are empty and were not used lately.
    #[cold]
    fn shrink(mut inbox: MutexGuard<'_, Self>, batch: &mut Chunk, peak: u16) {
        let peak = usize::from(peak);
        let newest = mem::take(&mut inbox.mail.newest);
        inbox.mail.newest = newest.shrunk(peak);
        drop(inbox);
        *batch = mem::take(batch).shrunk(peak);
    }

    /// Whether the task may sleep after this batch, as far as is known now.
    #[inline]
    fn can_sleep(&self, batch: &Chunk) -> bool {
        // Long buffers are to be given back first.
        let small = self.mail.newest.capacity() <= KEEP && batch.capacity() <= KEEP;
        let quiet = !self.somebody_lines_up() && !self.has_notices();
        small && self.mail.is_empty() && !self.closed && quiet
    }

    #[inline]
    fn watches_others(&self) -> bool {
        self.side
            .as_ref()
            .is_some_and(|side| !side.watched.is_empty())
    }

    /// Somebody is in the line to whom no room was granted.
    #[inline]
    fn somebody_waits(&self) -> bool {
        self.side
            .as_ref()
            .is_some_and(|side| side.granted < side.line.len())
    }

    #[inline]
    fn somebody_lines_up(&self) -> bool {
        self.side.as_ref().is_some_and(|side| !side.line.is_empty())
    }

    #[inline]
    fn has_notices(&self) -> bool {
        self.side
            .as_ref()
            .is_some_and(|side| !side.notices.is_empty())
    }

    /// Notes who sent the message that was just pushed.
    #[cold]
    fn note_sender(&mut self, span: Option<Span>) {
        let behind = self.taken + self.mail.len() as u64;
        let side = self.side();
        if let Some(span) = span {
            side.spans.push_back((behind - 1, span));
        }
        if let Some(watched) = side.watched.get_mut(&turn::current_actor()) {
            watched.behind = behind;
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
