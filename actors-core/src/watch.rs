//! Being told when another actor stops.
use crate::actor::Message;
use crate::addr::Addr;
use crate::cell::{self, Context};
use crate::error::{ActorName, StopReason};
use crate::message::MessageFor;

/// The notice that a watched actor has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stopped {
    /// The actor.
    pub actor: ActorName,
    /// How often its supervisor had started it before.
    pub incarnation: u32,
    /// Why it ended.
    pub reason: StopReason,
}

#[diagnostic::do_not_recommend]
impl Message for Stopped {
    type Reply = ();
}

impl<A: 'static> Context<A> {
    /// Watches another actor: when it ends, this one gets one [`Stopped`] message; at once if it
    /// has ended already. Of a supervised actor, that is the end of the incarnation that is there
    /// now, or that its supervisor is about to start.
    ///
    /// The notice does not wait behind mail, with one exception: it comes after all that the
    /// watched actor's handlers and hooks sent to this one before (and after mail that waited when
    /// it was first watched, since nobody knows who sent that). Watching an actor that is watched
    /// already changes nothing. Does not keep either actor alive.
    pub fn watch<B, On>(&self, other: &Addr<B>)
    where
        Stopped: MessageFor<A, On>,
    {
        let watched = other.id();
        let key = cell::watch_key();
        if !self.queue().watch(watched.get(), key) {
            return;
        }
        let me = self.tx.clone();
        let other_cell = other.tx.any().keep();
        other.tx.beside().on_end(key, move |reason| {
            reason.set_observed();
            let other = other_cell.beside();
            let notice = Stopped {
                actor: other.actor_name(),
                incarnation: other.incarnation(),
                reason: reason.clone(),
            };
            me.tx()
                .notice(watched.get(), Some(key), Stopped::seal().seal(notice));
        });
    }

    /// Stops watching. A notice that waits already is dropped.
    pub fn unwatch<B>(&self, other: &Addr<B>) {
        if let Some(key) = self.queue().unwatch(other.id().get()) {
            other.tx.beside().forget(key);
        }
    }
}
