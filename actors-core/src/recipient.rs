//! `Recipient`: an address known only by the message it takes.
use crate::actor::Message;
use crate::addr::{self, Addr};
use crate::ask::{self, PortFor, Sending};
use crate::call::{Ask, Reply};
use crate::cell::{self, Cell};
use crate::error::{AskError, SendError, StopReason, TellError};
use crate::event::{self, DeadLetterReason};
use crate::id::ActorId;
use crate::mailbox::{Keep, OwnedPort};
use crate::message::MessageFor;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::ManuallyDrop;

/// The address of some actor that handles `M`.
///
/// Made from an [`Addr`] by [`Addr::recipient`]; counts as an address, and has the same verbs.
///
/// ```
/// use actors_core::{Actor, Recipient, handlers};
/// # #[derive(Actor, Default)]
/// # struct Counter { n: i64 }
/// # #[handlers]
/// # impl Counter { fn inc(&mut self, by: i64) -> i64 { self.n += by; self.n } }
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let anybody: Recipient<Inc> = Counter::default().spawn().recipient();
/// assert_eq!(anybody.ask(Inc { by: 3 }).await?, 3);
/// # Ok(())
/// # }
/// ```
pub struct Recipient<M: Message> {
    port: OwnedPort<M, M::Reply, Cell>,
}

impl<A: 'static> Addr<A> {
    /// The same actor, known only by one of the messages it handles.
    pub fn recipient<M, On>(&self) -> Recipient<M>
    where
        M: MessageFor<A, On>,
    {
        Recipient {
            port: M::seal().owned_port(&self.tx),
        }
    }
}

impl<M: Message> Recipient<M> {
    fn cell(&self) -> &Cell {
        self.port.any().beside()
    }

    /// As [`Addr::ask`].
    pub fn ask(&self, msg: M) -> Ask<'_, M::Reply> {
        Ask::new(self.port.port().call(msg))
    }

    /// As [`Addr::try_ask`].
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn try_ask(&self, msg: M) -> Result<Reply<M::Reply>, TellError<M>> {
        ask::try_ask(self.port.port(), msg)
    }

    /// As [`Addr::tell`].
    ///
    /// # Errors
    ///
    /// `Full`, `Closed`; both give the message back.
    pub fn tell(&self, msg: M) -> Result<(), TellError<M>> {
        ask::tell(self.port.port(), msg)
    }

    /// As [`Addr::send`].
    ///
    /// # Errors
    ///
    /// `Closed`, `Deadlock`; both give the message back.
    pub fn send(&self, msg: M) -> Sending<'_, M> {
        ask::send(self.port.port(), msg)
    }

    /// As [`Addr::blocking_ask`].
    ///
    /// # Errors
    ///
    /// As awaiting [`ask`](Self::ask); `WouldBlock` inside of an asynchronous task.
    pub fn blocking_ask(&self, msg: M) -> Result<M::Reply, AskError> {
        self.ask(msg).wait()
    }

    /// As [`Addr::blocking_send`].
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `WouldBlock` inside of an asynchronous task.
    pub fn blocking_send(&self, msg: M) -> Result<(), SendError<M>> {
        ask::blocking_send(self.port.port(), msg)
    }

    /// The actor's id.
    pub fn id(&self) -> ActorId {
        self.cell().id
    }

    /// The actor's name.
    pub fn name(&self) -> &str {
        self.cell().name()
    }

    /// As [`Addr::stop`].
    pub fn stop(&self) {
        cell::stop(self.cell(), self.port.any().queue());
    }

    /// As [`Addr::kill`].
    pub fn kill(&self) {
        addr::kill(self.cell(), self.port.any().queue());
    }

    /// As [`Addr::is_alive`].
    pub fn is_alive(&self) -> bool {
        !self.port.any().queue().is_closed()
    }

    /// As [`Addr::stopped`].
    pub async fn stopped(&self) -> StopReason {
        addr::ended(self.cell()).await.observed()
    }
}

impl<M: Message> Recipient<M> {
    pub(crate) fn port(&self) -> PortFor<'_, M> {
        self.port.port()
    }

    pub(crate) fn keep(&self) -> Keep<Cell> {
        self.port.any().keep()
    }

    /// How many messages wait or are being handled.
    pub(crate) fn waiting(&self) -> u64 {
        self.port.any().queue().stats().waiting
    }

    /// Whether one message more would find room now.
    pub(crate) fn has_room(&self) -> bool {
        let queue = self.port.any().queue();
        !queue.is_closed() && queue.try_room().map(|()| queue.give_back()).is_ok()
    }

    /// Sends whether there is room or not; to dead letters if the actor has stopped.
    pub(crate) fn tell_late(&self, msg: M) {
        ask::tell_late(self.port.port(), msg);
    }

    /// Posts whether there is room or not. `None`: the actor has stopped or is stopping.
    pub(crate) fn post_own(&self, msg: M) -> Option<Reply<M::Reply>> {
        ask::post_own(self.port.port(), msg)
    }

    /// Waits for room for one message. `None`: the actor has stopped or is stopping.
    pub(crate) async fn room(&self) -> Option<Room<'_, M>> {
        let queue = self.port.any().queue();
        if queue.try_room().is_err() {
            queue.room(queue.line_up()).await.ok()?;
        }
        Some(Room(self))
    }
}

/// Room for one message; given back when dropped.
pub(crate) struct Room<'a, M: Message>(&'a Recipient<M>);

impl<M: Message> Room<'_, M> {
    /// Sends. The actor may have stopped meanwhile; then the message goes to dead letters.
    pub(crate) fn tell(self, msg: M) {
        let to = ManuallyDrop::new(self).0;
        if to.port.port().tell_in_room(msg).is_err() {
            let message = std::any::type_name::<M>();
            event::dead_letter(
                message,
                || to.cell().actor_name(),
                &DeadLetterReason::Closed,
            );
        }
    }
}

impl<M: Message> Drop for Room<'_, M> {
    fn drop(&mut self) {
        self.0.port.any().queue().give_back();
    }
}

impl<M: Message> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Self {
            port: self.port.clone(),
        }
    }
}

impl<M: Message> PartialEq for Recipient<M> {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl<M: Message> Eq for Recipient<M> {}

impl<M: Message> Hash for Recipient<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl<M: Message> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.cell().actor_name())
    }
}
