//! Sealing a message that nobody waits for, or whose answer another ask waits for: small ones lie
//! in the slot itself, and their handler future in the stage's buffer when it fits.
use super::reply::Duty;
use super::slot::{
    Began, FutureBuf, Opener, Payload, Running, RunningVt, Slot, SlotVt, Stage, recreate,
};
use super::spare::{self, Room};
use super::words;
use crate::error::AskError;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

/// A message on its way, and how it is told apart.
trait Letter: Send + 'static {
    type Message: 'static;

    /// The message, and the duty to answer it. `None`: the asker has gone.
    fn open(self) -> Option<(Self::Message, Option<Duty>)>;

    /// The letter will not be opened.
    fn discard(self, error: &AskError);
}

/// Nobody waits for the answer.
struct Plain<M>(M);

impl<M: Send + 'static> Letter for Plain<M> {
    type Message = M;

    #[inline]
    fn open(self) -> Option<(M, Option<Duty>)> {
        Some((self.0, None))
    }

    fn discard(self, _error: &AskError) {}
}

/// The answer goes to an ask whose first message was another one, or was handled before.
struct Routed<M> {
    message: M,
    duty: Option<Duty>,
}

impl<M: Send + 'static> Letter for Routed<M> {
    type Message = M;

    fn open(self) -> Option<(M, Option<Duty>)> {
        if self.duty.as_ref().is_some_and(|duty| !duty.start()) {
            return None;
        }
        Some((self.message, self.duty))
    }

    fn discard(self, error: &AskError) {
        if let Some(duty) = self.duty {
            duty.fail(error.clone());
        }
    }
}

/// How messages of type `M` are opened that [`seal`] seals.
pub(super) struct Opened<M>(&'static SlotVt, PhantomData<fn(M) -> M>);

impl<M> Clone for Opened<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Opened<M> {}

/// Messages are opened with the closure, which is only there for its type, see [`recreate`]. `LOCAL` says
/// that its future need not be `Send`, so that only a task bound to a thread may open them.
///
/// # Safety
/// `F` is `Send`, or `LOCAL`.
pub(super) const unsafe fn opened<O, M, F, C, const LOCAL: bool>(_handle: C) -> Opened<M>
where
    O: Opener,
    M: Send + 'static,
    F: Future,
    C: Fn(&'static mut O, M) -> F + Copy,
{
    Opened(Sealed::<O, Plain<M>, F, C>::opened::<LOCAL>(), PhantomData)
}

/// Seals a message. Who is to open it is not known here, and a call to somebody who knows would make the
/// slot elsewhere: copying at once what was just written word by word stalls the processor.
#[inline(always)]
pub(super) fn seal<M: Send + 'static>(opened: Opened<M>, message: M) -> Slot {
    Slot {
        vt: opened.0,
        payload: stow(Plain(message)),
    }
}

/// Seals a message whose reply answers `duty`.
///
/// # Safety
/// `F` is `Send`, or `LOCAL`; `F::Output` is the reply type of the duty, if there is one.
pub(super) unsafe fn seal_routed<O, M, F, C, const LOCAL: bool>(
    message: M,
    duty: Option<Duty>,
    _handle: C,
) -> Slot
where
    O: Opener,
    M: Send + 'static,
    F: Future,
    C: Fn(&'static mut O, M) -> F + Copy,
{
    Slot {
        vt: Sealed::<O, Routed<M>, F, C>::opened::<LOCAL>(),
        payload: stow(Routed { message, duty }),
    }
}

/// The message that a sealed slot holds, back again.
///
/// # Safety
/// The slot was made by [`seal`] from an `M` and not used up.
#[inline]
pub(super) unsafe fn unseal<M>(mut slot: Slot) -> M {
    // SAFETY: how a letter lies in a slot depends on its own type only (`in_slot`), and `Plain<M>`
    // is what `seal` put there.
    unsafe { take::<Plain<M>>(&raw mut slot.payload).0 }
}

/// Whether a letter of this type lies in the slot itself.
const fn in_slot<L>() -> bool {
    size_of::<L>() <= size_of::<Payload>() && align_of::<L>() <= align_of::<Payload>()
}

/// How much of a letter that does not lie in its slot is fetched before it is opened, in bytes.
const fn prefetch<L>() -> u16 {
    const MOST: u16 = 1024;
    if in_slot::<L>() {
        0
    } else if size_of::<L>() < MOST as usize {
        size_of::<L>() as u16
    } else {
        MOST
    }
}

/// Lays a letter in a slot.
#[inline(always)]
fn stow<L>(letter: L) -> Payload {
    let mut payload: Payload = [MaybeUninit::uninit(); 3];
    if const { in_slot::<L>() } {
        // SAFETY: `in_slot` says that the payload has the size and the alignment for an `L`.
        unsafe { payload.as_mut_ptr().cast::<L>().write(letter) };
    } else {
        payload[0].write(stow_elsewhere(letter).as_ptr());
    }
    payload
}

/// Apart, so that not each place that tells has the making of memory in it.
#[inline(never)]
fn stow_elsewhere<L>(letter: L) -> NonNull<()> {
    let mut at = spare::allocate::<L>();
    // SAFETY: just allocated, and nobody else has it.
    unsafe { at.as_mut() }.write(letter);
    at.cast()
}

/// # Safety
/// `payload` was written for an `L` by `stow` and not used up; this call uses it up.
#[inline]
unsafe fn take<L>(payload: *mut Payload) -> L {
    if const { in_slot::<L>() } {
        // SAFETY: `stow` wrote an `L` here, by the same condition.
        unsafe { words::read(payload.cast::<L>()) }
    } else {
        // SAFETY: `stow` wrote the address of an `L` here, by the same condition, which it allocated.
        unsafe {
            let at = NonNull::new_unchecked((*payload)[0].assume_init()).cast::<MaybeUninit<L>>();
            let letter = at.as_ref().assume_init_read();
            spare::free(at);
            letter
        }
    }
}

/// The vtable functions for a letter `L` to `O`, handled by the future `F`, which `C` makes.
struct Sealed<O, L, F, C>(PhantomData<fn(O, L, F, C)>);

impl<O, L, F, C> Sealed<O, L, F, C>
where
    O: Opener,
    L: Letter,
    F: Future,
    C: Fn(&'static mut O, L::Message) -> F + Copy,
{
    const IN_BUF: bool = FutureBuf::takes::<F>();
    const RUNNING: RunningVt = RunningVt {
        resume: Self::resume,
        abort: Self::abort,
    };
    const VT: SlotVt = Self::vt(false);
    const LOCAL: SlotVt = Self::vt(true);

    const fn vt(local: bool) -> SlotVt {
        SlotVt {
            start: Self::start,
            discard: Self::discard,
            name: std::any::type_name::<L::Message>,
            ask: false,
            prefetch: prefetch::<L>(),
            local,
        }
    }

    const fn opened<const LOCAL: bool>() -> &'static SlotVt {
        const { if LOCAL { &Self::LOCAL } else { &Self::VT } }
    }

    /// # Safety
    /// As for `take`; called by the actor's task with a stage whose opener is an `O` that nobody
    /// borrows, and where nothing runs.
    unsafe fn start(payload: *mut Payload, stage: &mut Stage, cx: &mut Context<'_>) -> Poll<Began> {
        // SAFETY: the payload is not used up (contract).
        let letter = unsafe { take::<L>(payload) };
        let Some((message, duty)) = letter.open() else {
            return Poll::Ready(Began::Withdrawn);
        };
        // SAFETY: an `O` that only the task touches, and that no running future borrows.
        // `'static` is a fiction: the task drops the future before the opener.
        let opener = unsafe { &mut *stage.opener.cast::<O>() };
        stage.routed = duty.as_ref().map(Duty::node);
        if let Some(duty) = duty {
            opener.begin(duty);
        }
        // SAFETY: `opened` or `seal_routed` got a value of `C`, which captures nothing.
        let handle = unsafe { recreate::<C>() };
        let at = if const { Self::IN_BUF } {
            // The place first, so that the future is made there.
            let at = stage.buf.room::<F>();
            // SAFETY: `room` has the size and the alignment; no running future lies in it.
            unsafe { at.write(handle(opener, message)) };
            at
        } else {
            let room = Room::<F>::new();
            // SAFETY: the room is for an `F`, and nobody else's.
            unsafe { room.at().write(handle(opener, message)) };
            room.keep().as_ptr()
        };
        stage.running = Some(Running {
            vt: &Self::RUNNING,
            at: at.cast(),
        });
        // SAFETY: the future was just written to `at` and is noted in `running`.
        unsafe { Self::resume(at.cast(), stage, cx) }.map(|()| Began::Handled)
    }

    /// # Safety
    /// Called by the actor's task with the `at` of `stage.running`.
    #[inline]
    unsafe fn resume(at: *mut (), stage: &mut Stage, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: noted in `running`, so the future is alive. Pinned: it lies in a room or in the
        // stage's buffer, and stays there until it is dropped, by `abort`.
        let future = unsafe { Pin::new_unchecked(&mut *at.cast::<F>()) };
        let Poll::Ready(reply) = future.poll(cx) else {
            return Poll::Pending;
        };
        stage.running = None;
        // SAFETY: the future is alive, and no longer noted in `running`, so it is dropped only
        // here.
        unsafe { Self::abort(at) };
        // SAFETY: the future that borrowed the opener has gone.
        let opener = unsafe { &mut *stage.opener.cast::<O>() };
        if let Some(duty) = opener.end() {
            if stage.routed.is_some_and(|node| duty.is_of(node)) {
                // SAFETY: the duty came with the letter; `seal_routed` was promised that its reply
                // has this type.
                unsafe { duty.complete(reply) };
            }
        }
        Poll::Ready(())
    }

    /// # Safety
    /// The future at `at` is alive; this call drops it.
    unsafe fn abort(at: *mut ()) {
        let future = at.cast::<F>();
        if Self::IN_BUF {
            // SAFETY: alive (contract), and written to the buffer by the same constant.
            unsafe { future.drop_in_place() };
        } else {
            // Given back also when the future's destructor panics.
            // SAFETY: the address of a future is not null, and it was kept by the same constant.
            let _room = unsafe { Room::of(NonNull::new_unchecked(future)) };
            // SAFETY: alive (contract).
            unsafe { future.drop_in_place() };
        }
    }

    /// # Safety
    /// As for `take`.
    unsafe fn discard(payload: *mut Payload, error: &AskError) {
        // SAFETY: the payload is not used up (contract).
        unsafe { take::<L>(payload) }.discard(error);
    }
}
