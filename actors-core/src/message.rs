//! How a message is sealed for an actor that handles it: here its type is forgotten.
use crate::actor::{Handler, LocalHandler, Message};
use crate::cell::Live;
use crate::mailbox::{AnyThread, OneThread, Seal};

/// A message that the actor `A` handles.
///
/// Holds for every `M` with `A: Handler<M>` (then `On` is `AnyThread`) or `A: LocalHandler<M>`
/// (then it is `OneThread`), and for nothing else.
#[diagnostic::on_unimplemented(
    message = "the actor `{A}` does not handle `{Self}`",
    label = "`{A}` has no handler for this message",
    note = "write `impl Handler<{Self}> for {A}` (`LocalHandler` for a local actor), or add a method \
            for it to the `#[handlers]` block"
)]
pub trait MessageFor<A, On>: Message + Sized {
    #[doc(hidden)]
    fn seal() -> Seal<Live<A>, Self, Self::Reply>;
}

#[diagnostic::do_not_recommend]
impl<A: Handler<M>, M: Message> MessageFor<A, AnyThread> for M {
    #[inline]
    fn seal() -> Seal<Live<A>, Self, Self::Reply> {
        Seal::new(|live: &'static mut Live<A>, message: M| {
            live.actor.handle(message, &mut live.ctx)
        })
        .inline(A::INLINE_ASK)
    }
}

#[diagnostic::do_not_recommend]
impl<A: LocalHandler<M>, M: Message> MessageFor<A, OneThread> for M {
    #[inline]
    fn seal() -> Seal<Live<A>, Self, Self::Reply> {
        Seal::local(|live: &'static mut Live<A>, message: M| {
            live.actor.handle(message, &mut live.ctx)
        })
    }
}
