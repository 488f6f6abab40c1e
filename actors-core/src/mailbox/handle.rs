//! The two ends of a mailbox: `Tx`, of which an actor's addresses are made, and `Rx`, which its
//! task has. They share one block of memory.
//!
//! # References
//!
//! `Queue::addrs` counts the `Tx`. `Block::refs` counts who keeps the memory: each `Keep`, and one
//! for all `Tx` together, held by whoever takes `addrs` from 0 to 1 until whoever takes it from 1
//! to 0 gives it up. So copying a `Tx` counts once, and an actor whose last `Tx` is dropped can
//! still make new ones, from the `Keep` of its `Rx`.
use super::mail::Chunk;
use super::node::{self, Draft};
use super::planted::planted;
use super::queue::{Extra, Queue, Refill, Refused};
use super::reply::{Pending, TypedDuty};
use super::slot::{Opener, Sealed, Slot};
use super::spare::Room;
use super::sync::atomic::{AtomicUsize, Ordering};
use super::tell;
use super::waits::Waits;
use crate::error::AskError;
use crate::policy::{Capacity, Overflow};
use std::iter;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What both ends share: the queue, and what the user of the mailbox keeps beside it.
#[repr(C)]
struct Block<X> {
    queue: Queue,
    beside: X,
    refs: AtomicUsize,
}

/// Keeps the memory of a mailbox, and neither the actor alive nor its type known.
pub(crate) struct Keep<X>(NonNull<Block<X>>);

// SAFETY: gives shared access to the block from any thread, and the last one drops it.
unsafe impl<X: Send + Sync> Send for Keep<X> {}
// SAFETY: as above.
unsafe impl<X: Send + Sync> Sync for Keep<X> {}

/// Counts as an address, and does not know the actor's type.
pub(crate) struct AnyTx<X>(NonNull<Block<X>>);

// SAFETY: as for `Keep`.
unsafe impl<X: Send + Sync> Send for AnyTx<X> {}
// SAFETY: as for `Keep`.
unsafe impl<X: Send + Sync> Sync for AnyTx<X> {}

/// The sending end: counts as an address. `O` is who opens what is sent.
pub(crate) struct Tx<O, X> {
    any: AnyTx<X>,
    _opener: PhantomData<fn(O)>,
}

/// The receiving end.
pub(crate) struct Rx<O, X> {
    pub(super) keep: Keep<X>,
    /// What was taken out of the queue and is not handled.
    pub(super) batch: Chunk,
    /// The number of the message behind the batch.
    pub(super) taken: u64,
    /// What few actors need.
    pub(super) extra: Option<Box<Extra>>,
    _opener: PhantomData<fn(O)>,
}

/// A message that had to make room for another one.
pub(crate) struct Displaced(Slot);

impl Displaced {
    /// The message's type.
    pub(crate) fn name(&self) -> &'static str {
        (self.0.vt.name)()
    }

    /// Drops the message; an ask fails with the error.
    pub(crate) fn discard(self, error: &AskError) {
        ignore_panic(|| self.0.discard(error));
    }
}

/// Whether a handler's future may move between threads: which tasks may open a sealed message.
pub(crate) trait Threads {
    /// The future is bound to the thread that made it.
    const LOCAL: bool;
}

/// A new mailbox for the actor with this number.
#[inline]
pub(crate) fn mailbox<O, X>(
    actor: u64,
    capacity: Capacity,
    overflow: Overflow,
    beside: X,
) -> (Tx<O, X>, Rx<O, X>) {
    let room = Room::<Block<X>>::new();
    // Field by field, which makes each where it will lie.
    // SAFETY: the room is for it, and nobody else's.
    unsafe {
        let at: *mut Block<X> = room.at();
        (&raw mut (*at).queue).write(Queue::new(actor, capacity, overflow));
        (&raw mut (*at).beside).write(beside);
        // One for all addresses, one for the task.
        (&raw mut (*at).refs).write(AtomicUsize::new(2));
        // No field is left out.
        let Block {
            queue: _,
            beside: _,
            refs: _,
        } = &*at;
    }
    let block = room.keep();
    let tx = Tx {
        any: AnyTx(block),
        _opener: PhantomData,
    };
    let rx = Rx {
        keep: Keep(block),
        batch: Chunk::default(),
        taken: 0,
        extra: None,
        _opener: PhantomData,
    };
    (tx, rx)
}

/// More references than this are a leak in a loop; the count must not wrap around.
const MAX_REFS: usize = isize::MAX as usize;

fn add_ref(counter: &AtomicUsize) -> usize {
    // `Relaxed`: whoever copies a reference has one, so nothing can be freed meanwhile.
    let before = counter.fetch_add(1, Ordering::Relaxed);
    if before > MAX_REFS {
        std::process::abort();
    }
    before
}

impl<X> Keep<X> {
    /// How many bytes one allocates.
    #[cfg(test)]
    pub(crate) const BLOCK: usize = size_of::<Block<X>>();

    #[inline]
    fn block(&self) -> &Block<X> {
        // SAFETY: a `Keep` counts in `refs`, so the block is there.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn queue(&self) -> &Queue {
        &self.block().queue
    }

    #[inline]
    pub(crate) fn beside(&self) -> &X {
        &self.block().beside
    }

    /// A new address.
    pub(crate) fn tx(&self) -> AnyTx<X> {
        if add_ref(&self.queue().addrs) == 0 {
            add_ref(&self.block().refs);
        }
        AnyTx(self.0)
    }
}

impl<X> Clone for Keep<X> {
    fn clone(&self) -> Self {
        add_ref(&self.block().refs);
        Self(self.0)
    }
}

impl<X> Drop for Keep<X> {
    fn drop(&mut self) {
        // `Release`, and `Acquire` by the last: whatever was done with the block happens before it
        // is freed. By a load: ThreadSanitizer knows nothing of fences.
        if self.block().refs.fetch_sub(1, Ordering::Release) == 1 {
            self.block().refs.load(Ordering::Acquire);
            // SAFETY: the last reference; `mailbox` has kept the block's room.
            unsafe {
                let _room = Room::of(self.0);
                self.0.drop_in_place();
            }
        }
    }
}

impl<X> AnyTx<X> {
    #[inline]
    fn block(&self) -> &Block<X> {
        // SAFETY: as long as there is a `Tx`, `refs` counts one for all of them.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn queue(&self) -> &Queue {
        &self.block().queue
    }

    #[inline]
    pub(crate) fn beside(&self) -> &X {
        &self.block().beside
    }

    pub(crate) fn keep(&self) -> Keep<X> {
        add_ref(&self.block().refs);
        Keep(self.0)
    }
}

impl<X> Clone for AnyTx<X> {
    #[inline]
    fn clone(&self) -> Self {
        add_ref(&self.queue().addrs);
        Self(self.0)
    }
}

impl<X> Drop for AnyTx<X> {
    #[inline]
    fn drop(&mut self) {
        // `Release`: what this address sent is found by the task when it finds no address.
        // `Acquire`: the last one may free the block.
        if self.queue().addrs.fetch_sub(1, Ordering::AcqRel) == 1 {
            if !self.queue().is_over() {
                self.queue().unreachable();
            }
            drop(Keep(self.0));
        }
    }
}

impl<O, X> Clone for Tx<O, X> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            any: self.any.clone(),
            _opener: PhantomData,
        }
    }
}

impl<O, X> Tx<O, X> {
    /// The same end without its type.
    #[inline]
    pub(crate) fn any(&self) -> &AnyTx<X> {
        &self.any
    }

    #[inline]
    pub(crate) fn queue(&self) -> &Queue {
        self.any.queue()
    }

    #[inline]
    pub(crate) fn beside(&self) -> &X {
        self.any.beside()
    }

    /// Delivers a notice about the actor `from`, before mail that others sent. Dropped if closed,
    /// or if it came from a watch, known by its key, that has ended.
    pub(crate) fn notice(&self, from: u64, key: Option<u64>, sealed: Sealed<O>) {
        if let Err(slot) = self.queue().notice(from, key, sealed.slot) {
            slot.discard(&AskError::Closed);
        }
    }

    /// Accepts a message for which room was taken. False: closed, and the message was dropped; an
    /// ask that waits for its answer fails with the error.
    pub(crate) fn push_sealed_in_room(&self, sealed: Sealed<O>, if_closed: &AskError) -> bool {
        match self.queue().push(sealed.slot) {
            Ok(()) => true,
            Err(slot) => {
                slot.discard(if_closed);
                false
            }
        }
    }
}

/// A way to seal messages of type `M` for `O`: plain functions, and a table of such, so that one who
/// knows the message but not the actor can carry it along.
pub struct Seal<O, M, R> {
    /// How those are opened that nobody waits for.
    tell: tell::Opened<M>,
    ask: fn(M) -> Draft<R>,
    routed: fn(M, Option<TypedDuty<R>>) -> Slot,
    /// Handlers of asks may run on the asker's thread.
    inline: bool,
    _opener: PhantomData<fn(O)>,
}

impl<O, M, R> Clone for Seal<O, M, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O, M, R> Copy for Seal<O, M, R> {}

impl<O, M, R> std::fmt::Debug for Seal<O, M, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seal({})", std::any::type_name::<M>())
    }
}

impl<O: Opener, M: Send + 'static, R: Send + 'static> Seal<O, M, R> {
    /// How messages are sealed that the closure handles. Its value is not used, see
    /// [`recreate`](super::slot::recreate).
    pub(crate) const fn new<F, C>(handle: C) -> Self
    where
        F: Future<Output = R> + Send,
        C: Fn(&'static mut O, M) -> F + Copy,
    {
        Self {
            // SAFETY: `F` is `Send`.
            tell: unsafe { tell::opened::<O, M, F, C, false>(handle) },
            ask: sealers::ask::<O, M, R, F, C, false>,
            routed: sealers::routed::<O, M, R, F, C, false>,
            inline: false,
            _opener: PhantomData,
        }
    }

    /// The same for a closure whose future is bound to one thread.
    pub(crate) const fn local<F, C>(handle: C) -> Self
    where
        F: Future<Output = R>,
        C: Fn(&'static mut O, M) -> F + Copy,
    {
        Self {
            // SAFETY: marked as local.
            tell: unsafe { tell::opened::<O, M, F, C, true>(handle) },
            ask: sealers::ask::<O, M, R, F, C, true>,
            routed: sealers::routed::<O, M, R, F, C, true>,
            inline: false,
            _opener: PhantomData,
        }
    }

    /// Handlers of asks may run on the asker's thread, or not.
    #[inline]
    pub(crate) const fn inline(self, inline: bool) -> Self {
        Self { inline, ..self }
    }

    /// A message that nobody waits for.
    #[inline]
    pub(crate) fn seal(self, message: M) -> Sealed<O> {
        Sealed::new(tell::seal(self.tell, message))
    }

    /// A message whose reply answers the duty, where there is one.
    pub(crate) fn seal_routed(self, message: M, duty: Option<TypedDuty<R>>) -> Sealed<O> {
        Sealed::new((self.routed)(message, duty))
    }

    /// This way of sealing, bound to the mailbox that it is for.
    #[inline]
    pub(crate) fn port<X>(self, tx: &Tx<O, X>) -> Port<'_, M, R, X> {
        Port {
            tx: tx.any(),
            tell: self.tell,
            ask: self.ask,
            inline: self.inline,
        }
    }

    /// The same, to be kept: counts as an address.
    pub(crate) fn owned_port<X>(self, tx: &Tx<O, X>) -> OwnedPort<M, R, X> {
        OwnedPort {
            tx: tx.any().clone(),
            tell: self.tell,
            ask: self.ask,
            inline: self.inline,
        }
    }
}

/// The functions in a [`Seal`]. What they have in common: a value of `C` was passed to
/// `Seal::new` or `Seal::local`, and without `LOCAL` its future is `Send`, as `Seal::new` requires.
mod sealers {
    use super::{Draft, Opener, Slot, TypedDuty, node, tell as letters};

    pub(super) fn ask<O, M, R, F, C, const LOCAL: bool>(message: M) -> Draft<R>
    where
        O: Opener,
        M: Send + 'static,
        R: Send + 'static,
        F: Future<Output = R>,
        C: Fn(&'static mut O, M) -> F + Copy,
    {
        // SAFETY: see the module.
        unsafe { node::draft::<O, M, R, F, C, LOCAL>(message, super::super::slot::recreate::<C>()) }
    }

    pub(super) fn routed<O, M, R, F, C, const LOCAL: bool>(
        message: M,
        duty: Option<TypedDuty<R>>,
    ) -> Slot
    where
        O: Opener,
        M: Send + 'static,
        R: Send + 'static,
        F: Future<Output = R>,
        C: Fn(&'static mut O, M) -> F + Copy,
    {
        let duty = duty.map(TypedDuty::into_duty);
        // SAFETY: see the module; the duty's reply type is `R`, as it was a `TypedDuty<R>`.
        unsafe {
            letters::seal_routed::<O, M, F, C, LOCAL>(
                message,
                duty,
                super::super::slot::recreate::<C>(),
            )
        }
    }
}

/// A mailbox that takes messages of type `M`, its opener's type forgotten. What is sealed with the fields
/// is for that opener, as [`Seal::port`] sees to.
pub(crate) struct Port<'a, M, R, X> {
    tx: &'a AnyTx<X>,
    tell: tell::Opened<M>,
    ask: fn(M) -> Draft<R>,
    inline: bool,
}

impl<'a, M: Send + 'static, R: Send + 'static, X> Port<'a, M, R, X> {
    #[inline]
    pub(crate) fn tx(&self) -> &'a AnyTx<X> {
        self.tx
    }

    #[inline(always)]
    fn seal(&self, message: M) -> Slot {
        tell::seal(self.tell, message)
    }

    /// Accepts the message without waiting, as the overflow policy says. `Ok(Some)`: that one had
    /// to go for it.
    #[inline]
    pub(crate) fn tell(self, message: M) -> Result<Option<Displaced>, (Refused, M)> {
        match self.tx.queue().offer(self.seal(message)) {
            Ok(displaced) => Ok(displaced.map(Displaced)),
            // SAFETY: the slot was made by `seal` from an `M`, and came back as it was.
            Err((refused, slot)) => Err((refused, unsafe { tell::unseal(slot) })),
        }
    }

    /// Accepts the message if there is room.
    #[inline]
    pub(crate) fn tell_if_room(&self, message: M) -> Result<(), (Refused, M)> {
        match self.tx.queue().try_push(self.seal(message)) {
            Ok(()) => Ok(()),
            // SAFETY: as in `tell`.
            Err((refused, slot)) => Err((refused, unsafe { tell::unseal(slot) })),
        }
    }

    /// Accepts the message, for which room was taken.
    pub(crate) fn tell_in_room(&self, message: M) -> Result<(), M> {
        self.tx
            .queue()
            .push(self.seal(message))
            // SAFETY: as in `tell`.
            .map_err(|slot| unsafe { tell::unseal(slot) })
    }

    /// Accepts the message whether there is room or not.
    pub(crate) fn tell_own(self, message: M) -> Result<(), M> {
        self.tx
            .queue()
            .push_own(self.seal(message))
            // SAFETY: as in `tell`.
            .map_err(|slot| unsafe { tell::unseal(slot) })
    }

    /// An ask, not posted yet.
    #[inline]
    pub(crate) fn call(self, message: M) -> Call<'a, R, X> {
        let mut draft = (self.ask)(message);
        if self.inline {
            draft.set_inline();
        }
        Call::new(self.tx, draft)
    }
}

/// A [`Port`] that counts as an address.
pub(crate) struct OwnedPort<M, R, X> {
    tx: AnyTx<X>,
    tell: tell::Opened<M>,
    ask: fn(M) -> Draft<R>,
    inline: bool,
}

impl<M, R, X> OwnedPort<M, R, X> {
    pub(crate) fn any(&self) -> &AnyTx<X> {
        &self.tx
    }

    #[inline]
    pub(crate) fn port(&self) -> Port<'_, M, R, X> {
        Port {
            tx: &self.tx,
            tell: self.tell,
            ask: self.ask,
            inline: self.inline,
        }
    }
}

impl<M, R, X> Clone for OwnedPort<M, R, X> {
    fn clone(&self) -> Self {
        Self {
            tx: self.tx.clone(),
            tell: self.tell,
            ask: self.ask,
            inline: self.inline,
        }
    }
}

/// An ask that was not posted yet, and the mailbox that it is for, which is noted in its node: one word.
pub(crate) struct Call<'a, R, X> {
    draft: Draft<R>,
    _tx: PhantomData<&'a AnyTx<X>>,
}

impl<'a, R, X> Call<'a, R, X> {
    #[inline]
    fn new(tx: &'a AnyTx<X>, mut draft: Draft<R>) -> Self {
        draft.set_mailbox(ptr::from_ref(tx).cast());
        Self {
            draft,
            _tx: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn tx(&self) -> &'a AnyTx<X> {
        // SAFETY: `new` has noted a `&'a AnyTx<X>`, which nobody does again.
        unsafe { &*self.draft.mailbox().cast() }
    }

    #[inline]
    pub(crate) fn draft(&mut self) -> &mut Draft<R> {
        &mut self.draft
    }

    /// Posts the ask, for which room was taken. Given back if closed.
    #[inline]
    pub(crate) fn post(self) -> Result<Pending<R>, Self> {
        let posted = self.hand(|queue, slot| queue.push(slot).map_err(|slot| ((), slot)));
        posted
            .map(|(pending, ())| pending)
            .map_err(|((), call)| call)
    }

    /// Posts the ask if there is room.
    #[inline]
    pub(crate) fn try_post(self) -> Result<Posted<'a, R, X>, (Refused, Self)> {
        let posted = self.hand(Queue::try_push);
        posted.map(|(pending, ())| Posted {
            pending,
            _tx: PhantomData,
        })
    }

    /// Has the ask handled on this thread, if the actor is idle and lends its drain; else it is given
    /// back.
    #[inline]
    pub(crate) fn try_run(self) -> Result<Posted<'a, R, X>, Self> {
        let tx = self.tx();
        let (mut slot, pending) = self.draft.split();
        // SAFETY: used up here, or joined below.
        if unsafe { tx.queue().try_run(&raw mut slot) } {
            return Ok(Posted {
                pending,
                _tx: PhantomData,
            });
        }
        // SAFETY: the two halves of one draft, as they were.
        let draft = unsafe { Draft::join(slot, pending) };
        Err(Self {
            draft,
            _tx: PhantomData,
        })
    }

    /// Posts the ask whether there is room or not. Given back if closed.
    pub(crate) fn post_own(self) -> Result<Pending<R>, Self> {
        let posted = self.hand(|queue, slot| queue.push_own(slot).map_err(|slot| ((), slot)));
        posted
            .map(|(pending, ())| pending)
            .map_err(|((), call)| call)
    }

    /// Posts the ask without waiting, as the overflow policy says.
    pub(crate) fn offer(self) -> Result<(Pending<R>, Option<Displaced>), (Refused, Self)> {
        let offered = self.hand(Queue::offer_ask);
        offered.map(|(pending, displaced)| (pending, displaced.map(Displaced)))
    }

    /// Hands the ask to the mailbox, by a function that gives back the slot that it does not take.
    #[inline(always)]
    fn hand<T, E>(
        self,
        give: impl FnOnce(&Queue, Slot) -> Result<T, (E, Slot)>,
    ) -> Result<(Pending<R>, T), (E, Self)> {
        let tx = self.tx();
        let (slot, pending) = self.draft.split();
        match give(tx.queue(), slot) {
            Ok(given) => Ok((pending, given)),
            Err((error, slot)) => {
                // SAFETY: the two halves of one draft, as they were.
                let draft = unsafe { Draft::join(slot, pending) };
                let _tx = PhantomData;
                Err((error, Self { draft, _tx }))
            }
        }
    }

    /// Stores the waker of whoever waits.
    #[inline]
    pub(crate) fn set_waker(&mut self, waker: &Waker) {
        self.draft().set_waker(waker);
    }

    /// The message back; `None` if it is not an `M`.
    pub(crate) fn into_message<M: 'static>(self) -> Option<M> {
        self.draft.into_message()
    }
}

/// A posted ask, and the mailbox that it went to.
pub(crate) struct Posted<'a, R, X> {
    pending: Pending<R>,
    _tx: PhantomData<&'a AnyTx<X>>,
}

impl<'a, R, X> Posted<'a, R, X> {
    pub(crate) fn tx(&self) -> &'a AnyTx<X> {
        // SAFETY: made from a `Call` only, which has noted a `&'a AnyTx<X>`.
        unsafe { &*self.pending.mailbox().cast() }
    }

    /// As [`Pending::asker`].
    pub(crate) fn asker(&self) -> Option<(&Arc<Waits>, u64)> {
        self.pending.asker()
    }

    #[inline]
    pub(crate) fn pending(&mut self) -> &mut Pending<R> {
        &mut self.pending
    }

    #[inline]
    pub(crate) fn into_pending(self) -> Pending<R> {
        self.pending
    }
}

impl<O, X> Rx<O, X> {
    pub(crate) fn keep(&self) -> &Keep<X> {
        &self.keep
    }

    /// From now on the actor's code runs in this span.
    pub(crate) fn set_span(&mut self, span: tracing::Span) {
        self.extra.get_or_insert_default().life = Some(span);
    }

    /// Something that new addresses can be made from.
    pub(crate) fn weak(&self) -> WeakTx<O, X> {
        WeakTx {
            keep: self.keep.clone(),
            _opener: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn refill(&mut self) -> Refill {
        self.keep
            .queue()
            .refill(&mut self.batch, &mut self.taken, &mut self.extra)
    }

    /// Stores the waker of the task that polls this end.
    #[inline]
    pub(super) fn store_waker(&mut self, cx: &Context<'_>) {
        // SAFETY: there is one receiving end, and it is borrowed mutably: whoever polls it is the task.
        unsafe { self.keep.queue().set_waker(cx.waker()) };
    }

    /// Between two drains: ready when the next one would end at once. To be polled by the task of
    /// the drains.
    pub(crate) fn poll_interrupted(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.store_waker(cx);
        match self.keep.queue().is_interrupted() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// The same, when the next drain would be the last.
    pub(crate) fn poll_closed(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.store_waker(cx);
        match self.keep.queue().is_closed() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Puts messages that were put aside elsewhere before all mail that waits.
    pub(crate) fn put_back(&mut self, aside: impl DoubleEndedIterator<Item = Sealed<O>>) {
        for sealed in aside.rev() {
            let extra = self.extra.get_or_insert_default();
            extra.front.push_front(sealed.slot);
            // For the next drain to look there.
            self.keep.queue().unstash();
        }
    }

    /// Closes the mailbox for good and discards what waits in it; asks fail with the error.
    /// `report` is called with the type of each message that was not handled.
    pub(crate) fn finish(
        &mut self,
        error: impl FnOnce() -> AskError,
        report: impl FnMut(&X, &'static str),
    ) {
        if let Some((mail, notices)) = self.keep.queue().close_and_take() {
            self.discard_all(mail, notices, &error(), report);
        } else if !self.batch.is_empty() || self.extra.is_some() {
            self.discard_all(iter::empty(), Vec::new(), &error(), report);
        }
    }

    #[cold]
    fn discard_all(
        &mut self,
        mail: impl Iterator<Item = Slot>,
        notices: Vec<Slot>,
        error: &AskError,
        mut report: impl FnMut(&X, &'static str),
    ) {
        let front = self
            .extra
            .take()
            .map(|extra| extra.front)
            .unwrap_or_default();
        let batch = std::mem::take(&mut self.batch);
        for slot in front.into_iter().chain(batch.into_slots()).chain(mail) {
            self.keep.queue().count_dead();
            ignore_panic(|| report(self.keep.beside(), (slot.vt.name)()));
            if !planted("leak_at_end") {
                ignore_panic(|| slot.discard(error));
            }
        }
        for slot in notices {
            ignore_panic(|| slot.discard(error));
        }
    }

    /// The same for messages that were put aside elsewhere.
    pub(crate) fn discard(
        &self,
        sealed: Sealed<O>,
        error: &AskError,
        report: impl FnOnce(&X, &'static str),
    ) {
        self.keep.queue().count_dead();
        ignore_panic(|| report(self.keep.beside(), (sealed.slot.vt.name)()));
        ignore_panic(|| sealed.slot.discard(error));
    }
}

impl<O, X> Drop for Rx<O, X> {
    fn drop(&mut self) {
        if !self.keep.queue().is_over() || self.extra.is_some() {
            self.finish(|| AskError::Closed, |_, _| ());
        }
    }
}

/// A destructor of the user that panics must not keep the others from running: asks would wait for
/// ever.
pub(crate) fn ignore_panic(f: impl FnOnce()) {
    if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)) {
        // Its destructor might panic too.
        std::mem::forget(payload);
    }
}

/// New addresses can be made from it; counts as none.
pub(crate) struct WeakTx<O, X> {
    keep: Keep<X>,
    _opener: PhantomData<fn(O)>,
}

impl<O, X> WeakTx<O, X> {
    pub(crate) fn of(tx: &Tx<O, X>) -> Self {
        Self {
            keep: tx.any.keep(),
            _opener: PhantomData,
        }
    }

    pub(crate) fn keep(&self) -> &Keep<X> {
        &self.keep
    }

    pub(crate) fn tx(&self) -> Tx<O, X> {
        Tx {
            any: self.keep.tx(),
            _opener: PhantomData,
        }
    }
}

impl<O, X> Clone for WeakTx<O, X> {
    fn clone(&self) -> Self {
        Self {
            keep: self.keep.clone(),
            _opener: PhantomData,
        }
    }
}
