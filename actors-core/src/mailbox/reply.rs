//! The reply cell: one word of state says who of asker and actor still holds the node around it,
//! and one compare-exchange completes an ask.
//!
//! # Who may touch what
//!
//! A node has two owners, the asker ([`Pending`]) and the actor ([`Duty`]), and a third while the
//! handler's future lies in it (`HELD`), since the duty may be taken away from the handler.
//!
//! | part | who | in which state |
//! |---|---|---|
//! | `out` | actor | without `DONE` |
//! | `out` | asker | with `DONE`, unless `GONE` was set first |
//! | waker words | asker | with `UPDATING`, set in a state without `DONE` |
//! | waker words | actor | reads them any time before `DONE`; uses them up if it set `DONE` without `UPDATING`, or if `GONE` was set without `DONE` |
//! | the node's memory | freed by the asker | `DONE` was set before `GONE`, and `HELD` is not set |
//! | the node's memory | freed by the actor | `GONE` was set before `DONE`, and `HELD` is not set |
//! | the node's memory | freed with the body | `HELD` is taken away after both `DONE` and `GONE` |
//!
//! That a handler ends with the duty of its own node in its opener is nothing to build on: what
//! keeps it there is ordinary data, which safe code can exchange. So whoever completes in the name
//! of a node compares ([`Duty::is_of`]).
use super::once::OnceBox;
use super::planted::{planted, unless};
use super::sync::UnsafeCell;
use super::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use super::turn::{Deadline, Limit};
use super::waits::Waits;
use crate::error::{AskError, NoReplyReason};
use std::any::TypeId;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{RawWakerVTable, Waker};
use tokio::sync::SetOnce;

/// The actor has given up its ownership, and `out` is written.
const DONE: usize = 1;
/// The asker has given up its ownership.
const GONE: usize = 1 << 1;
/// The asker is replacing its waker: the two waker words belong to it.
const UPDATING: usize = 1 << 2;
/// The handler was started.
const STARTED: usize = 1 << 3;
/// Set with `GONE`: the asker wants the message handled all the same.
const DETACHED: usize = 1 << 4;
/// `token` is written.
const WATCHED: usize = 1 << 5;
/// The handler's future lies in the node.
const HELD: usize = 1 << 6;
/// `asker`, `key` and `deadline` say who asks until when. Set before the node is shared.
const ADDRESSED: usize = 1 << 7;
/// The handler may run on the asker's thread. Set before the node is shared.
const INLINE: usize = 1 << 8;
/// Version of the waker, in the remaining bits: one step per replacement.
const VERSION: usize = 1 << 9;

/// The part of a node that knows no types.
///
/// In this order, so that what each ask needs lies together, and next to the result: asker and actor
/// mostly run on two cores, and each line that both touch has to travel.
#[repr(C)]
pub(super) struct Head {
    token: OnceBox<Arc<SetOnce<()>>>,
    /// The asker's way to the mailbox. Written before the node is shared, and read by the asker only.
    mailbox: *const (),
    /// The actor that asks, if it is one, by its waits, and its key for this one; and until when, or
    /// for how long while nobody said who asks. Written before the node is shared.
    asker: Option<Arc<Waits>>,
    key: u64,
    deadline: Deadline,
    pub(super) vt: &'static NodeVt,
    waker_data: AtomicPtr<()>,
    waker_vtable: AtomicPtr<RawWakerVTable>,
    state: AtomicUsize,
}

/// What can be done with a node whose types are forgotten.
pub(super) struct NodeVt {
    /// Releases the memory. Drops the head and nothing else.
    pub(super) free: unsafe fn(NonNull<Head>),
    /// Completes the ask with an error; uses up the actor's ownership.
    pub(super) fail: unsafe fn(NonNull<Head>, AskError),
    /// Moves the message out to the address given, or drops it there when that is null.
    pub(super) take_message: unsafe fn(NonNull<Head>, *mut ()),
    pub(super) message_type: fn() -> TypeId,
    pub(super) reply_type: fn() -> TypeId,
    pub(super) slot: &'static super::slot::SlotVt,
}

/// The part of a node that the asker knows. `head` comes first (`repr(C)`), so a pointer to it is a
/// pointer to the cell too.
#[repr(C)]
pub(super) struct ReplyCell<R> {
    pub(super) head: Head,
    out: UnsafeCell<MaybeUninit<Result<R, AskError>>>,
}

impl<R> ReplyCell<R> {
    pub(super) fn new(vt: &'static NodeVt) -> Self {
        let (data, vtable) = raw_parts(Waker::noop());
        Self {
            head: Head {
                token: OnceBox::new(),
                mailbox: ptr::null(),
                asker: None,
                key: 0,
                deadline: Deadline::NONE,
                vt,
                waker_data: AtomicPtr::new(data),
                waker_vtable: AtomicPtr::new(vtable),
                state: AtomicUsize::new(0),
            },
            out: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

type RawParts = (*mut (), *mut RawWakerVTable);

fn raw_parts(waker: &Waker) -> RawParts {
    (
        waker.data().cast_mut(),
        ptr::from_ref(waker.vtable()).cast_mut(),
    )
}

/// # Safety
/// `parts` come from [`raw_parts`] of a waker that was forgotten (or of one that holds nothing),
/// and the caller is the only one to use them up.
unsafe fn waker_from((data, vtable): RawParts) -> Waker {
    // SAFETY: the parts of one forgotten waker (contract); a waker's vtable is `&'static`.
    unsafe { Waker::new(data, &*vtable) }
}

impl Head {
    fn waker_words(&self) -> RawParts {
        (
            self.waker_data.load(Ordering::Relaxed),
            self.waker_vtable.load(Ordering::Relaxed),
        )
    }

    fn store_waker(&self, waker: Waker) {
        let (data, vtable) = raw_parts(&waker);
        mem::forget(waker);
        self.waker_data.store(data, Ordering::Relaxed);
        self.waker_vtable.store(vtable, Ordering::Relaxed);
    }

    /// The handler may run on the asker's thread.
    #[inline]
    pub(super) fn set_inline(&mut self) {
        self.add_mark(INLINE);
    }

    #[inline]
    pub(super) fn is_inline(&self) -> bool {
        self.state.load(Ordering::Relaxed) & INLINE != 0
    }

    /// Marks a node that is not shared yet.
    #[inline]
    fn add_mark(&mut self, mark: usize) {
        // `Relaxed`: the node is shared by a lock later.
        let state = self.state.load(Ordering::Relaxed);
        self.state.store(state | mark, Ordering::Relaxed);
    }

    /// Says who asks and until when, while the node is not shared.
    pub(super) fn address(&mut self, asker: Option<Arc<Waits>>, key: u64, deadline: Deadline) {
        self.asker = asker;
        self.key = key;
        self.deadline = deadline;
        self.add_mark(ADDRESSED);
    }

    /// Whether somebody said who asks, or until when.
    #[inline]
    fn is_addressed(&self) -> bool {
        self.state.load(Ordering::Relaxed) & ADDRESSED != 0
    }

    /// Says for how long, while nobody said who asks.
    pub(super) fn set_limit(&mut self, limit: Limit) {
        debug_assert!(!self.is_addressed(), "it has a deadline already");
        self.deadline = Deadline::in_place_of(limit);
    }

    /// What was said so.
    #[inline]
    pub(super) fn limit(&self) -> Limit {
        debug_assert!(!self.is_addressed(), "it has a deadline already");
        self.deadline.limit()
    }

    #[inline]
    pub(super) fn set_mailbox(&mut self, mailbox: *const ()) {
        self.mailbox = mailbox;
    }

    #[inline]
    pub(super) fn mailbox(&self) -> *const () {
        self.mailbox
    }

    /// The actor that asks, if one does, waits no more.
    #[inline]
    pub(super) fn end_wait(&self) {
        if self.is_addressed() {
            if let Some(waits) = &self.asker {
                waits.strike_out(self.key);
            }
        }
    }

    /// Stores a waker while the node is not shared.
    pub(super) fn set_waker(&mut self, waker: &Waker) {
        let old = self.waker_words();
        self.store_waker(waker.clone());
        // SAFETY: the node is not shared, so nobody else uses the stored waker up.
        drop(unsafe { waker_from(old) });
    }

    /// Drops the stored waker without waking it.
    ///
    /// # Safety
    /// The stored waker was not used up, and nobody else touches the waker words any more.
    pub(super) unsafe fn drop_waker(&self) {
        // SAFETY: the words hold the parts of a waker that nobody else uses up (contract).
        drop(unsafe { waker_from(self.waker_words()) });
    }

    /// Whether the asker has gone and does not want the message handled.
    fn is_cancelled(&self) -> bool {
        // `Acquire`: a "yes" may be followed by freeing the node, so all that the asker did with it
        // has to happen before.
        self.state.load(Ordering::Acquire) & (GONE | DETACHED) == GONE
    }

    /// # Safety
    /// Called by the asker, which owns its part of the node. Gives the state at the end.
    #[cold]
    unsafe fn replace_waker(&self, waker: Waker) -> usize {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state & DONE != 0 {
                return state;
            }
            let updating = self.state.compare_exchange(
                state,
                state | UPDATING,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match updating {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        let old = self.waker_words();
        self.store_waker(waker);
        // SAFETY: `UPDATING` was set in a state without `DONE`: the actor does not use the waker
        // words while it is set, and any pair that it read before is refused by its
        // compare-exchange. So the old waker is used up only here.
        drop(unsafe { waker_from(old) });
        // Wraps around within the version's bits; the lower bits see `UPDATING` taken away.
        let state = self.state.fetch_add(VERSION - UPDATING, Ordering::AcqRel);
        if state & DONE != 0 {
            // SAFETY: the actor set `DONE` while `UPDATING` was set, so it left the new waker to
            // the asker.
            unsafe { self.drop_waker() };
        }
        state
    }
}

/// The asker's ownership of a posted ask. Dropping it withdraws the message, or tells the running
/// handler.
pub(crate) struct Pending<R>(NonNull<ReplyCell<R>>);

// SAFETY: the node holds a reply of type `R`, a message that is `Send`, and a waker. The cell
// orders all accesses of asker and actor; the asker may be on any thread.
unsafe impl<R: Send> Send for Pending<R> {}
// SAFETY: through a shared `Pending` only the state can be read.
unsafe impl<R: Send> Sync for Pending<R> {}

/// What giving up an ask found.
pub(crate) enum Abandoned<R> {
    /// The handler had not started and never will.
    Withdrawn,
    /// The handler had started; it was told.
    Running,
    /// There was a reply or an error: here it is.
    Done(Result<R, AskError>),
}

impl<R> Pending<R> {
    /// # Safety
    /// The asker's ownership of a posted node; used up here.
    pub(super) unsafe fn new(cell: NonNull<ReplyCell<R>>) -> Self {
        Self(cell)
    }

    fn head(&self) -> &Head {
        // SAFETY: the asker's ownership keeps the node alive, and no `&mut` to the head is made
        // once the node is shared.
        unsafe { &(*self.0.as_ptr()).head }
    }

    /// What [`Head::set_mailbox`] was told.
    pub(super) fn mailbox(&self) -> *const () {
        self.head().mailbox()
    }

    /// The waits of the actor that asks, and its key for this one, if it is one.
    pub(crate) fn asker(&self) -> Option<(&Arc<Waits>, u64)> {
        let head = self.head();
        head.asker.as_ref().map(|waits| (waits, head.key))
    }

    /// Whether there is a reply or an error.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.head().state.load(Ordering::Acquire) & DONE != 0
    }

    /// Whether the handler was started.
    pub(crate) fn has_started(&self) -> bool {
        self.head().state.load(Ordering::Acquire) & STARTED != 0
    }

    /// Whether there is a result; else remembers `waker`.
    #[inline]
    pub(crate) fn poll(&mut self, waker: &Waker) -> bool {
        let head = self.head();
        if head.state.load(Ordering::Acquire) & DONE != 0 {
            return true;
        }
        if head.waker_words() == raw_parts(waker) {
            return false;
        }
        // SAFETY: the asker is here, with its ownership.
        unsafe { head.replace_waker(waker.clone()) & DONE != 0 }
    }

    /// The result; only after [`poll`](Self::poll) or [`is_ready`](Self::is_ready) has said that it
    /// is there.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[inline(always)]
    pub(crate) fn take(self) -> Result<R, AskError> {
        assert!(self.is_ready(), "taken before it was there");
        self.head().end_wait();
        // SAFETY: `DONE` was read with `Acquire`: the actor has written `out` and does not touch it
        // any more; the asker's ownership keeps the node alive.
        let reply = unsafe {
            (*self.0.as_ptr()).out.with(|out| {
                (*out)
                    .assume_init_ref()
                    .as_ref()
                    .ok()
                    .map(|reply| ptr::read(reply))
            })
        };
        match reply {
            Some(reply) => {
                // SAFETY: the asker's ownership is used up here, after `DONE`; `out` was moved out, and
                // an `Ok` has nothing else to drop.
                unsafe { release_asker(ManuallyDrop::new(self).0.cast()) };
                Ok(reply)
            }
            None => Err(self.take_error()),
        }
    }

    /// The error that is there. Apart, so that a reply is moved as such: a result that was written part
    /// by part and is read as a whole stalls the processor.
    #[cold]
    #[inline(never)]
    fn take_error(self) -> AskError {
        let cell = ManuallyDrop::new(self).0;
        // SAFETY: as in `take`; moving out happens once.
        let out = unsafe { (*cell.as_ptr()).out.with(|out| (*out).assume_init_read()) };
        // SAFETY: as in `take`.
        unsafe { release_asker(cell.cast()) };
        out.err().expect("`take` has found it")
    }

    /// Gives up the ask.
    #[inline]
    pub(crate) fn abandon(self) -> Abandoned<R> {
        // SAFETY: uses up the asker's ownership.
        unsafe { abandon(ManuallyDrop::new(self).0, GONE) }
    }

    /// Gives up the reply, but not the message.
    pub(crate) fn detach(self) {
        // SAFETY: uses up the asker's ownership.
        drop(unsafe { abandon(ManuallyDrop::new(self).0, GONE | DETACHED) });
    }
}

impl<R> Drop for Pending<R> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: uses up the asker's ownership; whoever used it up before has forgotten `self`.
        drop(unsafe { abandon(self.0, GONE) });
    }
}

/// # Safety
/// The asker's ownership is there and used up here, after `DONE` was read with `Acquire`; `out` was
/// moved out.
unsafe fn release_asker(head: NonNull<Head>) {
    // SAFETY: the asker's ownership keeps the node alive.
    let state = unsafe { &(*head.as_ptr()).state };
    // Mostly the hold has gone by now, and it never comes back, so a look is enough.
    // `Acquire` for the freeing: all that happened in the node's body happens before.
    let held = !planted("early_free")
        && state.load(Ordering::Acquire) & HELD != 0
        && state.fetch_or(GONE, Ordering::AcqRel) & HELD != 0;
    if !held {
        // SAFETY: `DONE` is set and nobody holds the body: the asker's ownership is the last.
        unsafe { ((*head.as_ptr()).vt.free)(head) };
    }
}

/// # Safety
/// The asker's ownership is there and used up here.
unsafe fn abandon<R>(cell: NonNull<ReplyCell<R>>, how: usize) -> Abandoned<R> {
    let node = cell.as_ptr();
    // SAFETY: the asker's ownership keeps the node alive until a compare-exchange below succeeds.
    let mut state = unsafe { (*node).head.state.load(Ordering::Acquire) };
    // SAFETY: as for the load; the reference is not used any more when one succeeds.
    unsafe { (*node).head.end_wait() };
    loop {
        if state & DONE != 0 {
            // SAFETY: as in `Pending::take`.
            let out = unsafe { (*node).out.with(|out| (*out).assume_init_read()) };
            // SAFETY: `DONE` was read with `Acquire`, `out` was moved out.
            unsafe { release_asker(cell.cast()) };
            return Abandoned::Done(out);
        }
        let token = if state & WATCHED != 0 && how & DETACHED == 0 {
            // Cloned before the exchange, because after it the actor may free the node.
            // SAFETY: as for the first load.
            unsafe { (*node).head.token.get().cloned() }
        } else {
            None
        };
        // SAFETY: as for the first load.
        let swapped = unsafe {
            (*node).head.state.compare_exchange(
                state,
                state | how,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
        };
        match swapped {
            Ok(_) => {
                if let Some(token) = token {
                    // Nobody else sets it.
                    let _ = token.set(());
                }
                return if state & STARTED == 0 {
                    Abandoned::Withdrawn
                } else {
                    Abandoned::Running
                };
            }
            Err(now) => state = now,
        }
    }
}

/// The actor's ownership of a posted ask: the duty to answer it. Dropping it answers that the reply
/// was dropped.
pub struct Duty {
    head: NonNull<Head>,
}

// SAFETY: the reply and what is left of the message are `Send` (see `node::draft`), and the cell
// orders all accesses.
unsafe impl Send for Duty {}
// SAFETY: through a shared `Duty` only the state and what is written before the node is shared can
// be read.
unsafe impl Sync for Duty {}

impl Duty {
    /// # Safety
    /// The actor's ownership of a posted node; used up here.
    pub(super) unsafe fn new(head: NonNull<Head>) -> Self {
        Self { head }
    }

    fn head(&self) -> &Head {
        // SAFETY: the actor's ownership keeps the node alive, and no `&mut` to the head is made
        // once the node is shared.
        unsafe { self.head.as_ref() }
    }

    /// Notes that the handler starts. False: the asker has gone, and it must not.
    #[inline]
    pub(super) fn start(&self) -> bool {
        self.start_with(STARTED)
    }

    /// The same for a handler whose future will lie in the node: whatever this returns,
    /// [`release_body`] or [`complete_in_body`](Self::complete_in_body) has to follow.
    #[inline]
    pub(super) fn start_in_body(&self) -> bool {
        self.start_with(STARTED | HELD)
    }

    #[inline]
    fn start_with(&self, bits: usize) -> bool {
        // One order with the asker's exchange: either it finds `STARTED`, or this finds `GONE`.
        let state = self.head().state.fetch_or(bits, Ordering::AcqRel);
        state & (GONE | DETACHED) != GONE || planted("not_withdrawn")
    }

    /// Whether the asker has gone and does not want the message handled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.head().is_cancelled()
    }

    /// The waits of the actor that asks, and its key for this one. `None` if it is no actor.
    pub(crate) fn asker(&self) -> Option<(&Waits, u64)> {
        let head = self.head();
        head.asker.as_deref().map(|waits| (waits, head.key))
    }

    /// When the asker gives up.
    #[inline]
    pub(crate) fn deadline(&self) -> Deadline {
        match self.head().is_addressed() {
            true => self.head().deadline,
            false => Deadline::NONE,
        }
    }

    /// A token that is set when the asker gives up.
    pub(crate) fn token(&self) -> Arc<SetOnce<()>> {
        let head = self.head();
        let token = Arc::clone(head.token.get_or_make(Arc::default));
        if head.state.load(Ordering::Acquire) & WATCHED == 0 {
            // `Release`: the asker that finds `WATCHED` finds the token.
            let state = head.state.fetch_or(WATCHED, Ordering::AcqRel);
            if state & (GONE | DETACHED) == GONE {
                let _ = token.set(());
            }
        }
        token
    }

    /// The node that is to be answered.
    pub(super) fn node(&self) -> NonNull<Head> {
        self.head
    }

    /// Whether this is the duty to answer that node.
    pub(super) fn is_of(&self, head: NonNull<Head>) -> bool {
        self.head == head
    }

    /// Whether the asker waits for an `R`.
    pub(crate) fn answers_with<R: 'static>(&self) -> bool {
        (self.head().vt.reply_type)() == TypeId::of::<R>()
    }

    /// The duty to answer with an `R`, if the asker waits for one.
    pub(crate) fn typed<R: 'static>(self) -> Result<TypedDuty<R>, Self> {
        if self.answers_with::<R>() {
            Ok(TypedDuty {
                duty: self,
                _reply: PhantomData,
            })
        } else {
            Err(self)
        }
    }

    /// Answers with the reply.
    ///
    /// # Safety
    /// The node's reply type is `R`.
    #[inline]
    pub(super) unsafe fn complete<R>(self, reply: R) {
        let head = ManuallyDrop::new(self).head;
        // SAFETY: the actor's ownership is used up here; the type is right by the contract.
        unsafe { complete::<R, false>(head.cast(), Ok(reply)) };
    }

    /// The same by the handler whose future lay in the node and has gone from there.
    ///
    /// # Safety
    /// The node's reply type is `R`, [`start_in_body`](Self::start_in_body) was called, and what
    /// has to follow it has not.
    #[inline]
    pub(super) unsafe fn complete_in_body<R>(self, reply: R) {
        let head = ManuallyDrop::new(self).head;
        // SAFETY: as above; the body's hold is used up with it.
        unsafe { complete::<R, true>(head.cast(), Ok(reply)) };
    }

    /// Answers with an error.
    pub(crate) fn fail(self, error: AskError) {
        error.set_observed();
        let head = ManuallyDrop::new(self).head;
        // SAFETY: the actor's ownership is used up here.
        unsafe { (head.as_ref().vt.fail)(head, error) };
    }
}

impl std::fmt::Debug for Duty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Duty")
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        let may_have_run = self.head().state.load(Ordering::Relaxed) & STARTED != 0;
        let error = AskError::NoReply {
            reason: NoReplyReason::ReplyDropped,
            may_have_run,
        };
        // SAFETY: the actor's ownership is used up here; whoever used it up before has forgotten
        // `self`.
        unsafe { (self.head().vt.fail)(self.head, error) };
    }
}

/// The duty to answer with an `R`.
pub(crate) struct TypedDuty<R> {
    duty: Duty,
    _reply: PhantomData<fn(R)>,
}

impl<R> TypedDuty<R> {
    pub(crate) fn complete(self, reply: R) {
        // SAFETY: `Duty::typed` has checked the type.
        unsafe { self.duty.complete(reply) };
    }

    pub(crate) fn into_duty(self) -> Duty {
        self.duty
    }

    pub(crate) fn duty(&self) -> &Duty {
        &self.duty
    }
}

/// Gives up the actor's ownership, with a result for the asker.
///
/// Always inlined, so that the result is made where it is to lie: copying one that was made on the
/// stack stalls the processor.
///
/// # Safety
/// The actor's ownership is there and used up here. With `IN_BODY` the hold of the body too, whose
/// future has gone; else `HELD` is set if the handler's future lies in the node.
#[inline(always)]
pub(super) unsafe fn complete<R, const IN_BODY: bool>(
    cell: NonNull<ReplyCell<R>>,
    result: Result<R, AskError>,
) {
    // SAFETY: without `DONE` only the actor touches `out`, and its ownership keeps the node alive.
    unsafe { (*cell.as_ptr()).out.with_mut(|out| (*out).write(result)) };
    // SAFETY: `out` is written; the rest by the contract.
    unsafe { finish::<R, IN_BODY>(cell) };
}

/// Takes a pointer and not a reference, because the asker may free the node before this returns.
///
/// # Safety
/// As for [`complete`], and `out` is written.
unsafe fn finish<R, const IN_BODY: bool>(cell: NonNull<ReplyCell<R>>) {
    let node = cell.as_ptr();
    // SAFETY: the actor's ownership keeps the node alive until an exchange below sets `DONE`.
    let mut state = unsafe { (*node).head.state.load(Ordering::Acquire) };
    // Copied before the exchange, because after it the asker may free the node.
    let asker = if state & ADDRESSED == 0 {
        None
    } else {
        // SAFETY: as for the state.
        let head = unsafe { &(*node).head };
        head.asker.clone().map(|waits| (waits, head.key))
    };
    loop {
        if state & GONE != 0 {
            // Also what was noted of it since it has gone.
            if let Some((waits, key)) = &asker {
                waits.strike_out(*key);
            }
            // SAFETY: `GONE` without `DONE`: uses up the actor's ownership.
            unsafe { complete_for_nobody::<R, IN_BODY>(cell, state) };
            return;
        }
        // Read before the exchange, because after it the asker may free the node. A replacement
        // that runs meanwhile changes the state (`UPDATING`, then the version), so a stale or torn
        // pair never gets past the exchange.
        // SAFETY: as for the first load.
        let parts = unsafe { (*node).head.waker_words() };
        // The body's hold goes with the same step.
        let done = if IN_BODY { state & !HELD } else { state } | DONE;
        // The asker that sees `DONE` sees `out` (`Release`), and this reads its last waker (`Acquire`).
        let both = unless("relaxed_reply", Ordering::AcqRel);
        // SAFETY: as for the first load.
        let swapped = unsafe {
            (*node)
                .head
                .state
                .compare_exchange(state, done, both, Ordering::Acquire)
        };
        match swapped {
            Ok(_) => {
                // The asker waits no more, even if it does not run soon.
                if let Some((waits, key)) = asker {
                    waits.strike_out(key);
                }
                // With `UPDATING` the asker is awake in `replace_waker`, will see `DONE` and drops
                // the waker itself.
                if state & UPDATING == 0 || planted("stale_waker") {
                    // SAFETY: `DONE` was set in a state without `UPDATING`: the asker does not
                    // touch the waker words after `DONE`, so the stored waker is used up only here.
                    unsafe { waker_from(parts) }.wake();
                }
                return;
            }
            Err(now) => state = now,
        }
    }
}

/// # Safety
/// `GONE` was read with `Acquire`, `DONE` is not set, `out` is written; uses up the actor's
/// ownership.
#[cold]
unsafe fn complete_for_nobody<R, const IN_BODY: bool>(
    cell: NonNull<ReplyCell<R>>,
    mut state: usize,
) {
    let node = cell.as_ptr();
    // SAFETY: the asker has gone without `DONE`, so `out` and the waker are the actor's alone.
    let (out, waker) = unsafe {
        (
            (*node).out.with(|out| (*out).assume_init_read()),
            waker_from((*node).head.waker_words()),
        )
    };
    loop {
        if IN_BODY || state & HELD == 0 {
            // SAFETY: the asker has gone and nobody else holds the body: this is the last ownership.
            unsafe { ((*node).head.vt.free)(cell.cast()) };
            break;
        }
        // SAFETY: whoever holds the body does not free it before `DONE` is set, here.
        let swapped = unsafe {
            (*node).head.state.compare_exchange(
                state,
                state | DONE,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
        };
        match swapped {
            Ok(_) => break,
            Err(now) => state = now,
        }
    }
    // Last, since user code in destructors may panic.
    drop(waker);
    drop(out);
}

/// The handler's future has left the node without an answer.
///
/// # Safety
/// Called once after [`Duty::start_in_body`], whose hold keeps the node there.
pub(super) unsafe fn release_body(head: NonNull<Head>) {
    // SAFETY: the node is there (contract).
    let state = unsafe { &(*head.as_ptr()).state };
    let before = state.fetch_and(!HELD, Ordering::AcqRel);
    if before & (DONE | GONE) == DONE | GONE {
        // SAFETY: asker and actor have both gone: the hold was the last ownership.
        unsafe { ((*head.as_ptr()).vt.free)(head) };
    }
}
