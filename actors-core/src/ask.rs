//! The verbs on `Addr`: ask, tell, send, and their blocking forms.
//!
//! All of them go through a port: the mailbox, and how a message is sealed for it. An address makes
//! one from the actor's type, a `Recipient` carries one along.
use crate::actor::Message;
use crate::addr::Addr;
use crate::blocking;
use crate::call::{self, Ask, Reply, Watch, overflow, try_post};
use crate::cell::{Cell, Live};
use crate::error::{AskError, SendError, TellError};
use crate::event::{self, DeadLetterReason};
use crate::mailbox::{Port, Refused, Seal};
use crate::message::MessageFor;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How a message of type `M` gets into a mailbox.
pub(crate) type PortFor<'a, M> = Port<'a, M, <M as Message>::Reply, Cell>;

/// Wants only to be reached.
struct CatchUp;

impl<A: 'static> Addr<A> {
    /// Asks: a future of the reply. See [`Ask`].
    #[inline]
    pub fn ask<M, On>(&self, msg: M) -> Ask<'_, M::Reply>
    where
        M: MessageFor<A, On>,
    {
        Ask::new(self.port::<M, On>().call(msg))
    }

    /// Posts an ask now, without waiting for room, and gives the future object; or the message
    /// back.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn try_ask<M, On>(&self, msg: M) -> Result<Reply<M::Reply>, TellError<M>>
    where
        M: MessageFor<A, On>,
    {
        try_ask(self.port::<M, On>(), msg)
    }

    /// Sends without waiting for anything: fire and forget.
    ///
    /// # Errors
    ///
    /// `Full` when there is no room (unless the mailbox's [`Overflow`](crate::Overflow) policy
    /// says otherwise), `Closed` when the actor has stopped or is stopping. Both give the message
    /// back.
    #[inline]
    pub fn tell<M, On>(&self, msg: M) -> Result<(), TellError<M>>
    where
        M: MessageFor<A, On>,
    {
        tell(self.port::<M, On>(), msg)
    }

    /// Sends once there is room in the mailbox. Dropped before it is ready, it has sent nothing.
    ///
    /// # Errors
    ///
    /// `Closed` when the actor has stopped or is stopping; `Deadlock`, inside of a handler, when
    /// waiting would close a circle of actors that wait for each other. Both give the message back.
    pub fn send<M, On>(&self, msg: M) -> Sending<'_, M>
    where
        M: MessageFor<A, On>,
    {
        send(self.port::<M, On>(), msg)
    }

    /// Asks from code that is not asynchronous, and waits on this thread.
    ///
    /// # Errors
    ///
    /// As awaiting [`ask`](Self::ask); `WouldBlock` inside of an asynchronous task.
    pub fn blocking_ask<M, On>(&self, msg: M) -> Result<M::Reply, AskError>
    where
        M: MessageFor<A, On>,
    {
        self.ask(msg).wait()
    }

    /// Sends from code that is not asynchronous, and waits for room on this thread.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `WouldBlock` inside of an asynchronous task.
    pub fn blocking_send<M, On>(&self, msg: M) -> Result<(), SendError<M>>
    where
        M: MessageFor<A, On>,
    {
        blocking_send(self.port::<M, On>(), msg)
    }

    /// Waits until the actor has handled all that it accepted before: an ask of a message that
    /// every actor handles, in the line of the others. What comes after it is not waited for.
    ///
    /// It takes room in the mailbox and is counted as any message is, and ends with the same errors
    /// as awaiting an [`ask`](Self::ask): also where the actor panics before. Dropped, it is
    /// withdrawn, and what came before is handled all the same. What the actor was told and is in its stash, or what it
    /// answers later, may still be to do.
    ///
    /// ```
    /// # use actors_core::{Actor, handlers};
    /// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// # #[derive(Actor, Default)]
    /// # struct Meter { sum: Arc<AtomicU64> }
    /// # #[handlers]
    /// # impl Meter { fn add(&mut self, by: u64) { self.sum.fetch_add(by, Ordering::Relaxed); } }
    /// # #[actors_core::main]
    /// # async fn main() -> Result<(), actors_core::Error> {
    /// # let sum = Arc::new(AtomicU64::new(0));
    /// # let meter = Meter { sum: sum.clone() }.spawn();
    /// for by in 1..=100 {
    ///     meter.tell(Add { by })?;
    /// }
    /// meter.caught_up().await?;
    /// assert_eq!(sum.load(Ordering::Relaxed), 5050);
    /// # Ok(())
    /// # }
    /// ```
    pub fn caught_up(&self) -> Ask<'_, ()> {
        let seal = Seal::new(|_: &'static mut Live<A>, CatchUp| ready(()));
        Ask::new(seal.port(&self.tx).call(CatchUp))
    }

    #[inline]
    pub(crate) fn port<M, On>(&self) -> PortFor<'_, M>
    where
        M: MessageFor<A, On>,
    {
        M::seal().port(&self.tx)
    }
}

pub(crate) fn try_ask<M: Message>(
    port: PortFor<'_, M>,
    msg: M,
) -> Result<Reply<M::Reply>, TellError<M>> {
    try_ask_within(port, msg, None)
}

/// The same, with a timeout.
pub(crate) fn try_ask_within<M: Message>(
    port: PortFor<'_, M>,
    msg: M,
    timeout: Option<Duration>,
) -> Result<Reply<M::Reply>, TellError<M>> {
    try_post(port.call(msg), timeout).map_err(|(refused, call)| {
        let msg = call::message(call);
        match refused {
            Refused::Full => TellError::Full(msg),
            Refused::Closed => TellError::Closed(msg),
        }
    })
}

#[inline]
pub(crate) fn tell<M: Message>(port: PortFor<'_, M>, msg: M) -> Result<(), TellError<M>> {
    let tx = port.tx();
    match port.tell(msg) {
        Ok(None) => Ok(()),
        Ok(Some(displaced)) => {
            overflow(tx.beside(), displaced);
            Ok(())
        }
        Err((Refused::Full, msg)) => Err(TellError::Full(msg)),
        Err((Refused::Closed, msg)) => Err(TellError::Closed(msg)),
    }
}

pub(crate) fn send<M: Message>(port: PortFor<'_, M>, msg: M) -> Sending<'_, M> {
    Sending {
        port,
        msg: Some(msg),
        line: None,
    }
}

/// A message that is being sent, once there is room: see [`Addr::send`].
///
/// A type with a name, and not an `async` function, which would know the actor's type as well: a
/// missing handler would be reported once for the call and again for the future.
#[must_use = "nothing is sent until it is awaited"]
pub struct Sending<'a, M: Message> {
    port: PortFor<'a, M>,
    /// Until it is sent.
    msg: Option<M>,
    /// The mailbox is full: waits for room.
    line: Option<(Room<'a>, Watch)>,
}

type Room<'a> = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send + 'a>>;

const SENT: &str = "a message was polled after it was sent";

// The message is moved out, never pinned.
impl<M: Message> Unpin for Sending<'_, M> {}

impl<M: Message> Future for Sending<'_, M> {
    type Output = Result<(), SendError<M>>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.line.is_none() {
            let msg = self.msg.take().expect(SENT);
            match self.port.tell_if_room(msg) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err((refused, msg)) => self.line_up(refused, msg)?,
            }
        }
        self.poll_in_line(cx)
    }
}

impl<M: Message> Sending<'_, M> {
    #[cold]
    fn line_up(&mut self, refused: Refused, msg: M) -> Result<(), SendError<M>> {
        if matches!(refused, Refused::Closed) {
            return Err(SendError::Closed(msg));
        }
        let queue = self.port.tx().queue();
        let mut watch = Watch::of(queue.actor());
        let place = queue.line_up();
        if let Err(path) = watch.wait_for_room(&place) {
            return Err(SendError::Deadlock(msg, path));
        }
        self.msg = Some(msg);
        self.line = Some((Box::pin(queue.room(place)), watch));
        Ok(())
    }

    #[cold]
    fn poll_in_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<M>>> {
        let (room, _) = self.line.as_mut().expect("it stands in line");
        let Poll::Ready(room) = room.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        self.line = None;
        let msg = self.msg.take().expect(SENT);
        Poll::Ready(match room {
            Ok(()) => self.port.tell_in_room(msg).map_err(SendError::Closed),
            Err(_) => Err(SendError::Closed(msg)),
        })
    }
}

impl<M: Message> fmt::Debug for Sending<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("message", &std::any::type_name::<M>())
            .finish_non_exhaustive()
    }
}

pub(crate) fn blocking_send<M: Message>(port: PortFor<'_, M>, msg: M) -> Result<(), SendError<M>> {
    if !blocking::may_block() {
        return Err(SendError::WouldBlock(msg));
    }
    blocking::block_on_until(send(port, msg), || None)
}

/// Sends whether there is room or not; to dead letters if the actor has stopped.
pub(crate) fn tell_late<M: Message>(port: PortFor<'_, M>, msg: M) {
    let cell = port.tx().beside();
    if port.tell_own(msg).is_err() {
        let message = std::any::type_name::<M>();
        event::dead_letter(message, || cell.actor_name(), &DeadLetterReason::Closed);
    }
}

/// Posts an ask whether there is room or not. `None`: the actor has stopped or is stopping.
pub(crate) fn post_own<M: Message>(port: PortFor<'_, M>, msg: M) -> Option<Reply<M::Reply>> {
    let id = port.tx().queue().actor();
    let pending = port.call(msg).post_own().ok()?;
    Some(Reply::posted(pending, id))
}
