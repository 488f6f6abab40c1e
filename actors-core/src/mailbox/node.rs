//! The node of an ask: one allocation holds the reply cell and first the message, then the handler
//! future.
//!
//! `body` belongs to the actor's ownership alone: it holds the message until the handler starts,
//! the future while `Stage::running` points at it, and nothing afterwards.
use super::reply::{self, Duty, Head, NodeVt, Pending, ReplyCell};
use super::slot::{Began, Opener, Payload, Running, RunningVt, Slot, SlotVt, Stage, recreate};
use super::spare;
use super::sync::UnsafeCell;
use super::turn::{Deadline, Limit};
use super::waits::Waits;
use crate::error::AskError;
use std::any::TypeId;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The message until the handler starts, from then on the handler future.
union Body<M, F> {
    message: ManuallyDrop<M>,
    future: ManuallyDrop<F>,
}

/// One ask. `cell` comes first (`repr(C)`), so a pointer to the node is also one to its cell and to
/// its head.
#[repr(C)]
struct Node<O, M, R, F, C> {
    cell: ReplyCell<R>,
    body: UnsafeCell<Body<M, F>>,
    _types: PhantomData<fn(O, C)>,
}

/// An ask that was not posted yet: both ownerships of its node.
pub(crate) struct Draft<R>(NonNull<ReplyCell<R>>);

// SAFETY: `draft` requires the message and the reply to be `Send`.
unsafe impl<R: Send> Send for Draft<R> {}
// SAFETY: nothing can be done with a shared `Draft`.
unsafe impl<R: Send> Sync for Draft<R> {}

/// Makes the node of an ask. The closure is only there for its type, see [`recreate`]. `local` says
/// that its future need not be `Send`, so that only a task bound to a thread may open it.
///
/// # Safety
/// `F` is `Send`, or `LOCAL`.
#[inline]
pub(super) unsafe fn draft<O, M, R, F, C, const LOCAL: bool>(message: M, _handle: C) -> Draft<R>
where
    O: Opener,
    M: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R>,
    C: Fn(&'static mut O, M) -> F + Copy,
{
    // Made where it is to lie: copying one that was made on the stack stalls the processor.
    let mut at = spare::allocate();
    // SAFETY: just allocated, and nobody else's yet.
    unsafe { at.as_mut() }.write(Node::<O, M, R, F, C> {
        cell: ReplyCell::new(
            const {
                if LOCAL {
                    &Node::<O, M, R, F, C>::LOCAL
                } else {
                    &Node::<O, M, R, F, C>::VT
                }
            },
        ),
        body: UnsafeCell::new(Body {
            message: ManuallyDrop::new(message),
        }),
        _types: PhantomData,
    });
    // Not by way of a reference to the node, which is for a part of the memory only.
    Draft(at.cast())
}

impl<R> Draft<R> {
    fn head_mut(&mut self) -> &mut Head {
        // SAFETY: a draft is the only owner of its node.
        unsafe { &mut (*self.0.as_ptr()).head }
    }

    /// Says who asks and until when.
    pub(crate) fn address(&mut self, asker: Option<Arc<Waits>>, key: u64, deadline: Deadline) {
        self.head_mut().address(asker, key, deadline);
    }

    /// Says for how long, while nobody said who asks.
    pub(crate) fn set_limit(&mut self, limit: Limit) {
        self.head_mut().set_limit(limit);
    }

    /// What was said so.
    #[inline]
    pub(crate) fn limit(&mut self) -> Limit {
        self.head_mut().limit()
    }

    /// Who asks does not wait for it, or not yet.
    pub(crate) fn end_wait(&mut self) {
        self.head_mut().end_wait();
    }

    /// The handler may run on the asker's thread.
    #[inline]
    pub(crate) fn set_inline(&mut self) {
        self.head_mut().set_inline();
    }

    #[inline]
    pub(crate) fn is_inline(&mut self) -> bool {
        self.head_mut().is_inline()
    }

    #[inline]
    pub(super) fn set_mailbox(&mut self, mailbox: *const ()) {
        self.head_mut().set_mailbox(mailbox);
    }

    #[inline]
    pub(super) fn mailbox(&self) -> *const () {
        // SAFETY: a draft is the only owner of its node.
        unsafe { (*self.0.as_ptr()).head.mailbox() }
    }

    /// Stores the waker of whoever waits for the reply.
    pub(crate) fn set_waker(&mut self, waker: &Waker) {
        self.head_mut().set_waker(waker);
    }

    /// Splits the draft into what is posted and what waits.
    pub(super) fn split(self) -> (Slot, Pending<R>) {
        let cell = ManuallyDrop::new(self).0;
        let head = cell.cast::<Head>();
        let mut payload: Payload = [MaybeUninit::uninit(); 3];
        payload[0].write(head.as_ptr().cast());
        // SAFETY: the draft's two ownerships become the slot's and the asker's.
        unsafe {
            (
                Slot {
                    vt: (*head.as_ptr()).vt.slot,
                    payload,
                },
                Pending::new(cell),
            )
        }
    }

    /// The reverse of [`split`](Self::split), for a slot that was refused.
    ///
    /// # Safety
    /// Both come from one `split`, and the slot was not used up.
    #[allow(clippy::needless_pass_by_value, reason = "both are used up")]
    pub(super) unsafe fn join(slot: Slot, pending: Pending<R>) -> Self {
        let _ = ManuallyDrop::new(pending);
        // SAFETY: `split` wrote the node's address here; both ownerships are here again.
        Self(unsafe { node_of(&slot.payload) }.cast())
    }

    /// The message back; `None` (and the message dropped) if it is not an `M`.
    pub(crate) fn into_message<M: 'static>(self) -> Option<M> {
        let mut draft = ManuallyDrop::new(self);
        draft.end_wait();
        let head = draft.0.cast::<Head>();
        // SAFETY: the draft's ownerships are used up here, once: the message is moved out (to a
        // place of its own type, which is checked) or dropped, then head and memory are freed.
        unsafe {
            let vt = draft.head_mut().vt;
            if (vt.message_type)() != TypeId::of::<M>() {
                drop(ManuallyDrop::into_inner(draft));
                return None;
            }
            let mut message = MaybeUninit::<M>::uninit();
            (vt.take_message)(head, message.as_mut_ptr().cast());
            head.as_ref().drop_waker();
            (vt.free)(head);
            Some(message.assume_init())
        }
    }
}

impl<R> Drop for Draft<R> {
    fn drop(&mut self) {
        self.end_wait();
        let head = self.0.cast::<Head>();
        // Frees the node even if the message's destructor panics.
        struct Free(NonNull<Head>);
        impl Drop for Free {
            fn drop(&mut self) {
                // SAFETY: both ownerships are the draft's, and the message has gone.
                unsafe { (self.0.as_ref().vt.free)(self.0) };
            }
        }
        let _free = Free(head);
        // SAFETY: as above; the node is dropped once, and its waker was not used up.
        unsafe {
            head.as_ref().drop_waker();
            (head.as_ref().vt.take_message)(head, ptr::null_mut());
        }
    }
}

impl<O, M, R, F, C> Node<O, M, R, F, C>
where
    O: Opener,
    M: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R>,
    C: Fn(&'static mut O, M) -> F + Copy,
{
    const VT: NodeVt = Self::vt(&const { Self::slot_vt(false) });
    const LOCAL: NodeVt = Self::vt(&const { Self::slot_vt(true) });
    const RUNNING: RunningVt = RunningVt {
        resume: Self::resume,
        abort: Self::abort,
    };

    const fn slot_vt(local: bool) -> SlotVt {
        SlotVt {
            start: Self::start,
            discard: Self::discard,
            name: std::any::type_name::<M>,
            ask: true,
            // Measured: it does not pay.
            prefetch: 0,
            local,
        }
    }

    const fn vt(slot: &'static SlotVt) -> NodeVt {
        NodeVt {
            free: Self::free,
            fail: Self::fail,
            take_message: Self::take_message,
            message_type: TypeId::of::<M>,
            reply_type: TypeId::of::<R>,
            slot,
        }
    }

    /// # Safety
    /// Called once, with the last ownership of a node whose contents were dropped or moved out.
    unsafe fn free(head: NonNull<Head>) {
        let node = head.cast::<Self>();
        // SAFETY: every node is allocated by `draft` as this type; nobody else owns it (contract).
        // Neither message, future nor reply has drop glue in there.
        unsafe {
            node.drop_in_place();
            spare::free(node.cast::<MaybeUninit<Self>>());
        }
    }

    /// # Safety
    /// The actor's ownership is there and used up here.
    unsafe fn fail(head: NonNull<Head>, error: AskError) {
        // SAFETY: by the contract.
        unsafe { reply::complete::<R, false>(head.cast(), Err(error)) };
    }

    /// # Safety
    /// The body holds the message, and is empty from here on. `to` is null or has room for it.
    unsafe fn take_message(head: NonNull<Head>, to: *mut ()) {
        let node = head.cast::<Self>().as_ptr();
        // SAFETY: the body holds the message (contract) and belongs to the caller.
        let message = unsafe {
            (*node)
                .body
                .with(|body| ManuallyDrop::into_inner(ptr::read(&raw const (*body).message)))
        };
        if to.is_null() {
            drop(message);
        } else {
            // SAFETY: room for an `M` (contract).
            unsafe { to.cast::<M>().write(message) };
        }
    }

    /// # Safety
    /// The payload holds a node that was not started. Called by the actor's task with a stage whose
    /// opener is an `O` that nobody borrows, and where nothing runs.
    unsafe fn start(payload: *mut Payload, stage: &mut Stage, cx: &mut Context<'_>) -> Poll<Began> {
        // SAFETY: `split` wrote the node's address here.
        let head = unsafe { node_of(&*payload) };
        let node = head.cast::<Self>().as_ptr();
        // SAFETY: the slot's ownership becomes the duty's.
        let duty = unsafe { Duty::new(head) };
        let withdrawn = !duty.start_in_body();
        // Until the future is there and is noted.
        let release = Release(head);
        if withdrawn {
            // The asker has gone, so the answer only frees the node: also when the message's
            // destructor panics.
            let _answer = Answer(
                Some(duty),
                &AskError::Cancelled {
                    may_have_run: false,
                },
            );
            // SAFETY: not started, so the body holds the message.
            unsafe { Self::take_message(head, ptr::null_mut()) };
            return Poll::Ready(Began::Withdrawn);
        }
        // SAFETY: not started, so the body holds the message. It is moved out; the body is empty.
        let message = unsafe {
            (*node)
                .body
                .with(|body| ManuallyDrop::into_inner(ptr::read(&raw const (*body).message)))
        };
        // SAFETY: an `O` that only the task touches, and that no running future borrows.
        // `'static` is a fiction: the task drops the future before the opener.
        let opener = unsafe { &mut *stage.opener.cast::<O>() };
        opener.begin(duty);
        // SAFETY: `draft` got a value of `C`, which captures nothing.
        let handle = unsafe { recreate::<C>() };
        // If this panics the duty lies in the opener, and the loop answers.
        let future = handle(opener, message);
        // SAFETY: the body is empty and the actor's.
        unsafe {
            (*node).body.with_mut(|body| {
                (&raw mut (*body).future).write(ManuallyDrop::new(future));
            });
        }
        mem::forget(release);
        stage.running = Some(Running {
            vt: &Self::RUNNING,
            at: node.cast(),
        });
        // SAFETY: the future was just written and is noted in `running`.
        unsafe { Self::resume(node.cast(), stage, cx) }.map(|()| Began::Handled)
    }

    /// # Safety
    /// Called by the actor's task with the `at` of `stage.running`.
    #[inline]
    unsafe fn resume(at: *mut (), stage: &mut Stage, cx: &mut Context<'_>) -> Poll<()> {
        let node = at.cast::<Self>();
        // SAFETY: noted in `running`, so the node is there and its body holds the future. Pinned: a
        // node never moves, and is freed only after the future was dropped, by `abort`.
        let polled = unsafe {
            (*node).body.with_mut(|body| {
                Pin::new_unchecked(&mut *(&raw mut (*body).future).cast::<F>()).poll(cx)
            })
        };
        let Poll::Ready(reply) = polled else {
            return Poll::Pending;
        };
        stage.running = None;
        // SAFETY: the address of a node is not null.
        let head = unsafe { NonNull::new_unchecked(at.cast::<Head>()) };
        let release = Release(head);
        // SAFETY: the future is alive, and no longer noted in `running`, so it is dropped only
        // here. The hold of the body keeps the node.
        unsafe { Self::drop_future(node) };
        // SAFETY: the future that borrowed the opener has gone.
        let opener = unsafe { &mut *stage.opener.cast::<O>() };
        match opener.end() {
            Some(duty) if duty.is_of(head) => {
                mem::forget(release);
                // SAFETY: the duty of this node, whose reply is an `R`; the hold is used up.
                unsafe { duty.complete_in_body(reply) };
            }
            // The handler has taken it away.
            _ => drop(release),
        }
        Poll::Ready(())
    }

    /// # Safety
    /// The body of the node at `at` holds the future, and the body's hold is there: this call drops
    /// the one and gives up the other.
    unsafe fn abort(at: *mut ()) {
        // Also when the future's destructor panics.
        // SAFETY: the address of a node is not null.
        let _release = Release(unsafe { NonNull::new_unchecked(at.cast()) });
        // SAFETY: by the contract.
        unsafe { Self::drop_future(at.cast()) };
    }

    /// # Safety
    /// The body holds the future; this call drops it.
    unsafe fn drop_future(node: *mut Self) {
        // SAFETY: by the contract.
        unsafe {
            (*node)
                .body
                .with_mut(|body| ptr::drop_in_place((&raw mut (*body).future).cast::<F>()));
        }
    }

    /// # Safety
    /// The payload holds a node that was not started; this call drops the message and answers.
    unsafe fn discard(payload: *mut Payload, error: &AskError) {
        // SAFETY: `split` wrote the node's address here.
        let head = unsafe { node_of(&*payload) };
        // SAFETY: the slot's ownership becomes the duty's.
        let duty = unsafe { Duty::new(head) };
        // Answers even if the message's destructor panics.
        let _answer = Answer(Some(duty), error);
        // SAFETY: not started, so the body holds the message.
        unsafe { Self::take_message(head, ptr::null_mut()) };
    }
}

/// The node whose address lies in the payload.
///
/// # Safety
/// `Draft::split` wrote the payload.
unsafe fn node_of(payload: &Payload) -> NonNull<Head> {
    // SAFETY: `split` wrote the address of a node here, which is not null.
    unsafe { NonNull::new_unchecked(payload[0].assume_init().cast()) }
}

/// Gives up the hold of a node's body when dropped.
struct Release(NonNull<Head>);

impl Drop for Release {
    fn drop(&mut self) {
        // SAFETY: made once after `Duty::start_in_body`, and forgotten where the hold is used up
        // otherwise.
        unsafe { reply::release_body(self.0) };
    }
}

/// Answers an ask with an error when dropped.
struct Answer<'a>(Option<Duty>, &'a AskError);

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if let Some(duty) = mem::take(&mut self.0) {
            duty.fail(self.1.clone());
        }
    }
}
