//! `Slot`: one message as it waits, its type forgotten; and `Stage`, where it is handled.
//!
//! Who may touch what: a slot's payload belongs to whoever holds the slot, and exactly one of
//! `start` and `discard` uses it up. What a `Stage` points at belongs to the task that polls the
//! `Drain` around it.
use super::fetch::fetch;
use super::reply::{Duty, Head};
use crate::error::AskError;
use std::alloc::Layout;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::task::{Context, Poll};
use tracing::Span;

/// A small message, or a pointer to what holds the message.
///
/// Words of pointer type, because a pointer that travels as an integer loses its provenance.
pub(super) type Payload = [MaybeUninit<*mut ()>; 3];

/// One message that waits for the opener it was sealed for.
///
/// Has no `Drop`: whoever holds it must start or discard it.
pub(super) struct Slot {
    pub(super) vt: &'static SlotVt,
    pub(super) payload: Payload,
}

// SAFETY: a slot holds a message and perhaps a reply cell. Its makers, `tell::seal`, `tell::seal_routed`,
// `node::Draft::split` and `Slot::of_unit` (which has no contents), require or have required both to be
// `Send`; and the future is made later, where the table says it may be.
unsafe impl Send for Slot {}
// SAFETY: a shared slot tells its kind and nothing of its message.
unsafe impl Sync for Slot {}

/// What can be done with a slot whose type is forgotten. `start` and `discard` use the payload up,
/// also when they panic.
pub(crate) struct SlotVt {
    /// Makes the handler future, notes it in `Stage::running` and polls it. Nothing is noted after
    /// `Ready`.
    pub(super) start: StartFn,
    /// Drops the message; an ask fails with the error.
    pub(super) discard: unsafe fn(*mut Payload, &AskError),
    /// The message's type.
    pub(crate) name: fn() -> &'static str,
    /// Somebody waits for the answer.
    pub(super) ask: bool,
    /// So many bytes of it, where the payload points, are to be fetched before it is started.
    pub(super) prefetch: u16,
    /// The handler future may be one that must not leave its thread.
    pub(super) local: bool,
}

type StartFn = unsafe fn(*mut Payload, &mut Stage, &mut Context<'_>) -> Poll<Began>;
type ResumeFn = unsafe fn(*mut (), &mut Stage, &mut Context<'_>) -> Poll<()>;

/// What `start` did with a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Began {
    Handled,
    /// The asker had gone: not handled.
    Withdrawn,
}

impl Slot {
    /// A message without contents.
    pub(super) fn of_unit(vt: &'static SlotVt) -> Self {
        Self {
            vt,
            payload: [MaybeUninit::uninit(); 3],
        }
    }

    #[inline]
    pub(super) fn wants_prefetch(&self) -> bool {
        self.vt.prefetch > 0
    }

    /// Has a large message fetched while others are handled: where it has waited behind many, it lies
    /// in no cache any more.
    pub(super) fn prefetch(&self) {
        if self.wants_prefetch() {
            // SAFETY: it is for slots whose message lies elsewhere: `tell::stow` has written
            // that address here.
            let message = unsafe { self.payload[0].assume_init() };
            fetch(message.cast(), self.vt.prefetch.into());
        }
    }

    /// Drops the message; an ask fails with the error.
    pub(super) fn discard(mut self, error: &AskError) {
        // SAFETY: whoever starts a slot does not use it any more, by value or by pointer; so the
        // payload of one that is here was not used up.
        unsafe { (self.vt.discard)(&raw mut self.payload, error) };
    }
}

/// A message that is sealed for the opener `O`.
pub struct Sealed<O> {
    pub(super) slot: Slot,
    _opener: PhantomData<fn(O)>,
}

impl<O> Sealed<O> {
    pub(super) fn new(slot: Slot) -> Self {
        Self {
            slot,
            _opener: PhantomData,
        }
    }
}

impl<O> std::fmt::Debug for Sealed<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({})", (self.slot.vt.name)())
    }
}

/// A handler future that was started and is neither finished nor dropped.
#[derive(Clone, Copy)]
pub(super) struct Running {
    pub(super) vt: &'static RunningVt,
    pub(super) at: *mut (),
}

/// What can be done with a running future whose type is forgotten.
pub(super) struct RunningVt {
    /// Polls the future. Empties `Stage::running` before it drops the finished future, so that a
    /// panic in a destructor cannot lead to a second drop.
    pub(super) resume: ResumeFn,
    /// Drops the future.
    pub(super) abort: unsafe fn(*mut ()),
}

/// Where a message is handled: the opener, room for one handler future, and which one runs.
///
/// A pointer to the opener, because a suspended handler future holds `&mut` to it: a fresh `&mut`,
/// or one to a struct around it, would end its right to use what it holds. The same goes for a
/// future in the buffer, which owns its memory by a pointer.
pub(super) struct Stage {
    pub(super) opener: *mut (),
    pub(super) buf: FutureBuf,
    pub(super) running: Option<Running>,
    /// The node that the message answers whose future lies in the buffer.
    pub(super) routed: Option<NonNull<Head>>,
}

/// Room for the handler future of one tell. Made when the first one needs it, and made larger when
/// a larger one comes.
pub(super) struct FutureBuf {
    at: NonNull<u8>,
    /// In bytes; 0 where there is none yet.
    size: usize,
}

impl FutureBuf {
    pub(super) const ALIGN: usize = 16;
    /// A larger future gets memory of its own each time, which is given back with it.
    pub(super) const MAX: usize = 1024;

    pub(super) const fn new() -> Self {
        /// As aligned as the buffer: a future without a size needs no more room than there is at first.
        #[repr(align(16))]
        struct Aligned;
        const { assert!(align_of::<Aligned>() == Self::ALIGN) };
        Self {
            at: NonNull::<Aligned>::dangling().cast(),
            size: 0,
        }
    }

    /// Whether a future of this type may lie here.
    pub(super) const fn takes<F>() -> bool {
        size_of::<F>() <= Self::MAX && align_of::<F>() <= Self::ALIGN
    }

    /// Room for a future of a type that it takes. No future may lie in it.
    #[inline]
    pub(super) fn room<F>(&mut self) -> *mut F {
        debug_assert!(Self::takes::<F>());
        if self.size < size_of::<F>() {
            self.grow(size_of::<F>());
        }
        self.at.as_ptr().cast()
    }

    #[cold]
    fn grow(&mut self, size: usize) {
        *self = Self::new();
        let layout = Self::layout(size.next_multiple_of(Self::ALIGN));
        // SAFETY: the size is not zero, as it is larger than one before.
        let at = unsafe { std::alloc::alloc(layout) };
        let Some(at) = NonNull::new(at) else {
            std::alloc::handle_alloc_error(layout)
        };
        self.at = at;
        self.size = layout.size();
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, Self::ALIGN).expect("at most `MAX`")
    }
}

impl Drop for FutureBuf {
    fn drop(&mut self) {
        if self.size > 0 {
            // SAFETY: allocated by `grow`, with this layout.
            unsafe { std::alloc::dealloc(self.at.as_ptr(), Self::layout(self.size)) };
        }
    }
}

/// Who opens slots: keeps the duty to answer while the handler of an ask runs.
pub trait Opener: 'static {
    /// An ask is about to be handled.
    fn begin(&mut self, duty: Duty);
    /// It was handled, and the handler's future has gone: what is left of the duty. `None` when the
    /// handler has taken it away.
    fn end(&mut self) -> Option<Duty>;
    /// The mail that was put aside and is to come back, oldest first.
    fn unstash(&mut self) -> VecDeque<Sealed<Self>>
    where
        Self: Sized;
    /// The span in which a message of this type is handled. For an ask, `sender` is its parent;
    /// for others it comes before.
    fn span(&self, message: &'static str, is_ask: bool, sender: Option<Span>) -> Span;
}

/// Makes a value of the closure type `C` out of nothing.
///
/// The future that a handler returns has a type without a name, so nothing can be declared with it
/// directly. Whoever seals a message therefore passes a closure `|opener, message| …`: in a generic
/// function the types of the closure and of the future it returns are ordinary parameters. The
/// functions in the vtables are generic over both, but get no closure value. They need none: a
/// closure that captures nothing has no contents.
///
/// # Safety
/// A value of `C` existed, so that the type is inhabited.
#[inline(always)]
pub(super) unsafe fn recreate<C: Copy>() -> C {
    const { assert!(size_of::<C>() == 0, "the closure must not capture anything") };
    // SAFETY: reads zero bytes from an aligned pointer (checked above); a value of the type exists
    // by the contract.
    unsafe { NonNull::<C>::dangling().read() }
}
