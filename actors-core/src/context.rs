//! What a handler can do with its `Context`: its own mail, the reply it owes, and stopping.
use crate::addr::Addr;
use crate::call::{Reply, Watch};
use crate::cell::{self, Cell, Context, Renewed};
use crate::circle;
use crate::error::{AskError, Error, NoReplyReason, SendError, StashFull, StopReason};
use crate::event::{self, DeadLetterReason};
use crate::id::ActorId;
use crate::mailbox::{Keep, Refused, TypedDuty, current_actor};
use crate::message::MessageFor;
use std::any::type_name;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::SetOnce;
use tokio::time::Instant;

impl<A: 'static> Context<A> {
    /// The actor's address.
    pub fn addr(&self) -> Addr<A> {
        Addr { tx: self.tx.tx() }
    }

    /// The actor's id.
    pub fn id(&self) -> ActorId {
        self.cell().id
    }

    /// The actor's name.
    pub fn name(&self) -> &str {
        self.cell().name()
    }

    /// Stops the actor, as [`Addr::stop`]: what it has accepted it still handles.
    pub fn stop(&self) {
        cell::stop(self.cell(), self.queue());
    }

    /// Stops the actor after this message, as [`Addr::stop_now`].
    pub fn stop_now(&self) {
        match self.cell().renewed() {
            Renewed::Always => self.queue().leave(),
            Renewed::Never | Renewed::AfterFailure => self.queue().stop_now(),
        }
    }

    /// Gives up: the actor ends after this message with [`StopReason::Failed`]. The reply of this
    /// message is still given. The first error counts. A supervised child is made anew, unless it is
    /// [`Temporary`](crate::Restart::Temporary).
    pub fn fail(&mut self, error: impl Into<Error>) {
        if self.reason().is_none_or(StopReason::is_normal) {
            self.set_reason(StopReason::failed(error.into()));
        }
        match self.cell().renewed() {
            Renewed::Never => self.queue().stop_now(),
            Renewed::AfterFailure | Renewed::Always => self.queue().leave(),
        }
    }

    /// Sends a message to the actor itself, behind the mail that waits. Never fails for lack of
    /// room.
    ///
    /// # Errors
    ///
    /// `Closed` when the actor is stopping; the message comes back.
    pub fn notify<M, On>(&self, msg: M) -> Result<(), SendError<M>>
    where
        M: MessageFor<A, On>,
    {
        M::seal()
            .port(&self.tx.tx())
            .tell_own(msg)
            .map_err(SendError::Closed)
    }

    /// Stops the actor when it has had nothing to do for this long, a supervised child for good;
    /// `None` takes that back.
    pub fn set_idle_timeout(&self, limit: Option<Duration>) {
        let nanos = limit.map_or(0, |limit| {
            u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1)
        });
        self.queue().set_idle_limit(nanos);
    }

    // --- the message being handled

    /// Whether the asker of the message being handled has given up: cancelled, timed out, or
    /// dropped the ask. Never for messages that were told.
    pub fn is_cancelled(&self) -> bool {
        self.duty.as_ref().is_some_and(|duty| duty.is_cancelled())
    }

    /// Waits until the asker of the message being handled gives up; for ever where there is none.
    ///
    /// The future borrows nothing, so it can be awaited beside work that uses the context.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static + use<A> {
        let cancellation = self.cancellation();
        async move { cancellation.cancelled().await }
    }

    /// Something to ask, here or elsewhere, whether the asker has given up.
    pub fn cancellation(&self) -> Cancellation {
        Cancellation {
            token: self.duty.as_ref().map(|duty| duty.token()),
            keep: self.tx.keep().clone(),
        }
    }

    /// When the asker of the message being handled gives up, if it has set a timeout or inherited
    /// a deadline. Asks made by this handler inherit it.
    pub fn deadline(&self) -> Option<Instant> {
        self.queue().turn().deadline().time()
    }

    /// Takes the reply away from this handler, to be given later, from anywhere. The actor goes on
    /// with its next message.
    ///
    /// `keep` gets the [`Deferred`] reply; then the handler's future is dropped where it awaits
    /// this. So it is the last thing that a handler does, and stands for its reply:
    ///
    /// ```
    /// use actors_core::{Actor, Context, Deferred, handlers};
    ///
    /// #[derive(Actor, Default)]
    /// struct Gate { waiting: Vec<Deferred<u32>>, opened: u32 }
    ///
    /// #[handlers]
    /// impl Gate {
    ///     async fn pass(&mut self, ctx: &mut Context<Self>) -> u32 {
    ///         ctx.defer(|reply| self.waiting.push(reply)).await
    ///     }
    ///     fn open(&mut self) {
    ///         self.opened += 1;
    ///         for reply in self.waiting.drain(..) { reply.answer(self.opened); }
    ///     }
    /// }
    ///
    /// # #[actors_core::main]
    /// # async fn main() -> Result<(), actors_core::Error> {
    /// let gate = Gate::default().spawn();
    /// let first = gate.pass().post()?;
    /// gate.open().await?;
    /// assert_eq!(first.await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A deferred reply that is dropped unanswered ends the ask at once with
    /// [`AskError::NoReply`].
    ///
    /// # Panics
    ///
    /// When `R` is not the reply type of the message being handled.
    pub async fn defer<R: 'static>(&mut self, keep: impl FnOnce(Deferred<R>)) -> R {
        let duty = self.take_duty();
        answered_by(duty.as_ref(), 0);
        keep(Deferred { duty });
        self.queue().hand_over();
        pending().await
    }

    /// Lets another actor answer: the asker gets that actor's reply, and this one goes on with its
    /// next message. Waits for room in the other's mailbox.
    ///
    /// Like [`defer`](Self::defer), this is the last thing that a handler does. If the asker gives
    /// up, the forwarded message is withdrawn.
    ///
    /// # Panics
    ///
    /// When the reply type of `M` is not that of the message being handled.
    pub async fn forward<B, M, On>(&mut self, to: &Addr<B>, msg: M) -> M::Reply
    where
        B: 'static,
        M: MessageFor<B, On>,
    {
        let duty = self.take_duty::<M::Reply>();
        let room = room_in(to).await;
        let result = room.and_then(|()| send_on(to, duty.as_ref()));
        match (result, duty) {
            (Ok(()), duty) => {
                let told = duty.is_none();
                let sealed = M::seal().seal_routed(msg, duty);
                if !to.tx.push_sealed_in_room(sealed, &stopped_before(to)) && told {
                    lost::<M, B>(to);
                }
            }
            (Err(error), Some(duty)) => duty.into_duty().fail(error),
            (Err(_), None) => lost::<M, B>(to),
        }
        self.queue().hand_over();
        pending().await
    }

    /// Puts the message that is being handled aside, to be handled again after
    /// [`unstash_all`](Self::unstash_all), in the order in which it came.
    ///
    /// On success the handler awaits the result as the last thing it does; its asker goes on
    /// waiting.
    ///
    /// ```
    /// use actors_core::{Actor, Context, Error, handlers};
    ///
    /// #[derive(Actor, Default)]
    /// struct Db { connected: bool }
    ///
    /// #[handlers]
    /// impl Db {
    ///     #[on]
    ///     async fn query(&mut self, msg: Query, ctx: &mut Context<Self>) -> Result<String, Error> {
    ///         if !self.connected {
    ///             return ctx.stash(msg)?.await;
    ///         }
    ///         Ok(format!("rows of {}", msg.table))
    ///     }
    ///     fn connected(&mut self, ctx: &mut Context<Self>) {
    ///         self.connected = true;
    ///         ctx.unstash_all();
    ///     }
    /// }
    ///
    /// #[derive(actors_core::Message)]
    /// #[reply(Result<String, Error>)]
    /// struct Query { table: &'static str }
    ///
    /// # #[actors_core::main]
    /// # async fn main() -> Result<(), actors_core::Error> {
    /// let db = Db::default().spawn();
    /// let rows = db.ask(Query { table: "t" }).post()?;
    /// db.connected().await?;
    /// assert_eq!(rows.await??, "rows of t");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When as many messages as `SpawnOptions::stash_capacity` allows (1,024 unless told otherwise)
    /// are aside already; the message comes back.
    ///
    /// # Panics
    ///
    /// When `M` is not the message being handled, so that its reply type differs.
    pub fn stash<M, On>(
        &mut self,
        msg: M,
    ) -> Result<impl Future<Output = M::Reply> + Send + use<A, M, On>, StashFull<M>>
    where
        M: MessageFor<A, On>,
    {
        if self.stash_or_make().is_full() {
            return Err(StashFull(msg));
        }
        let duty = self.take_duty();
        let sealed = M::seal().seal_routed(msg, duty);
        self.stash_or_make().aside.push_back(sealed);
        self.queue().hand_over_stashed();
        Ok(pending())
    }

    /// Brings all that was put aside back, before the mail that waits.
    pub fn unstash_all(&mut self) {
        let Some(stash) = self.stash_if_any() else {
            return;
        };
        if stash.aside.is_empty() {
            return;
        }
        stash.back.append(&mut stash.aside);
        self.queue().unstash();
    }

    /// How many messages are put aside.
    pub fn stashed(&self) -> usize {
        self.stashed_len()
    }

    fn take_duty<R: 'static>(&mut self) -> Option<TypedDuty<R>> {
        let duty = self.duty.take()?;
        match duty.typed() {
            Ok(duty) => Some(duty),
            Err(duty) => {
                self.duty = Some(duty);
                panic!(
                    "the reply of the message being handled is not a `{}`; await what takes the \
                     reply away as the last thing in the handler",
                    type_name::<R>()
                );
            }
        }
    }
}

/// Waits for room in the mailbox of another actor, and takes it.
async fn room_in<B>(to: &Addr<B>) -> Result<(), AskError> {
    match to.tx.queue().try_room() {
        Ok(()) => Ok(()),
        Err(Refused::Closed) => Err(stopped_before(to)),
        Err(Refused::Full) => {
            let place = to.tx.queue().line_up();
            let mut watch = Watch::of(to.tx.queue().actor());
            watch
                .wait_for_room(&place)
                .map_err(|path| AskError::Deadlock {
                    path,
                    may_have_run: true,
                })?;
            to.tx
                .queue()
                .room(place)
                .await
                .map_err(|_| stopped_before(to))
        }
    }
}

/// Notes that the asker waits for the other actor from now on. If that closes a circle, gives the
/// room back.
fn send_on<B, R>(to: &Addr<B>, duty: Option<&TypedDuty<R>>) -> Result<(), AskError> {
    let Some((asker, _)) = duty.and_then(|duty| duty.duty().asker()) else {
        return Ok(());
    };
    let asker = asker.actor();
    let other = to.id().get();
    answered_by(duty, other);
    match circle::find(asker, other) {
        None => Ok(()),
        Some(path) => {
            to.tx.queue().give_back();
            Err(AskError::Deadlock {
                path,
                may_have_run: true,
            })
        }
    }
}

/// Notes that the asker, if it is an actor, waits for `other` now; 0 when that is not known.
fn answered_by<R>(duty: Option<&TypedDuty<R>>, other: u64) {
    let Some(duty) = duty.map(TypedDuty::duty) else {
        return;
    };
    if let Some((waits, key)) = duty.asker() {
        waits.reroute(key, other);
        // Else whoever gave up took the note back before it was there.
        if duty.is_cancelled() {
            waits.strike_out(key);
        }
    }
}

/// A message that was told and forwarded to an actor that has stopped.
fn lost<M, B>(to: &Addr<B>) {
    let target = || to.tx.beside().actor_name();
    event::dead_letter(type_name::<M>(), target, &DeadLetterReason::Closed);
}

/// The answer to a message that was forwarded to an actor which has stopped or is stopping.
fn stopped_before<B>(to: &Addr<B>) -> AskError {
    let reason = to.tx.beside().stop_reason().unwrap_or(StopReason::Normal);
    AskError::NoReply {
        reason: NoReplyReason::Stopped(reason),
        may_have_run: true,
    }
}

/// A reply that was taken away from its handler by [`Context::defer`].
///
/// Dropped unanswered, it ends the ask with [`AskError::NoReply`].
#[must_use = "dropped unanswered, the asker gets an error"]
pub struct Deferred<R> {
    /// `None`: the message was told, and nobody waits.
    duty: Option<TypedDuty<R>>,
}

impl<R> Deferred<R> {
    /// Answers.
    pub fn answer(self, reply: R) {
        if let Some(duty) = self.duty {
            duty.complete(reply);
        }
    }

    /// Ends the ask with [`AskError::NoReply`] and this reason: for an actor that stands for another
    /// one, and knows what became of that. Does nothing where the message was told, or the asker has
    /// given up.
    pub fn fail(self, reason: NoReplyReason) {
        if let Some(duty) = self.duty {
            duty.into_duty().fail(AskError::NoReply {
                reason,
                may_have_run: true,
            });
        }
    }

    /// Whether nobody waits for the answer: the asker has given up, or the message was told.
    pub fn is_cancelled(&self) -> bool {
        self.duty
            .as_ref()
            .is_none_or(|duty| duty.duty().is_cancelled())
    }
}

impl<R> fmt::Debug for Deferred<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred")
            .field("reply", &type_name::<R>())
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

/// Tells whether the asker of a message has given up. Owned, so that it can go along with the work.
#[derive(Clone)]
pub struct Cancellation {
    /// `None`: the message was told, and nobody gives up.
    token: Option<Arc<SetOnce<()>>>,
    keep: Keep<Cell>,
}

impl Cancellation {
    /// Whether the asker has given up.
    pub fn is_cancelled(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.initialized())
    }

    /// Waits until the asker gives up; for ever where there is none.
    pub async fn cancelled(&self) {
        match &self.token {
            Some(token) => *token.wait().await,
            None => pending().await,
        }
    }

    /// Does the work, unless the asker gives up: then the work is dropped at its next await and the
    /// handler ends there, without a reply. `#[abort_on_cancel]` wraps a handler in this. To be
    /// awaited by the handler of the message, and by nobody else.
    pub async fn abort<F: Future>(self, work: F) -> F::Output {
        let mut work = pin!(work);
        let mut cancelled = pin!(self.cancelled());
        let done = poll_fn(|cx| {
            if cancelled.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await;
        match done {
            Some(output) => output,
            None => {
                // Elsewhere than in the handler there is nothing to end.
                if current_actor() == self.keep.beside().id.get() {
                    self.keep.queue().hand_over();
                }
                pending().await
            }
        }
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation")
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

impl<R, E> Reply<R, E>
where
    R: Send + 'static,
    E: From<AskError> + Send + 'static,
{
    /// Sends what `f` makes of the result to an actor, as soon as it is there. Never fails for
    /// lack of room; if the actor has stopped by then, the message goes to dead letters.
    pub fn pipe_to<B, M, On>(self, to: &Addr<B>, f: impl FnOnce(Result<R, E>) -> M + Send + 'static)
    where
        B: 'static,
        M: MessageFor<B, On>,
    {
        let to = to.recipient::<M, On>();
        self.on_ready(move |result| to.tell_late(f(result)));
    }
}
