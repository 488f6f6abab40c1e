//! `Addr` and `WeakAddr`: the handles that other tasks hold.
use crate::cell::{self, ActorState, Cell, Live, Renewed};
use crate::error::{Error, StopReason};
use crate::id::ActorId;
use crate::mailbox::{Keep, MailboxStats, Queue, Tx, WeakTx};
use crate::policy::Capacity;
use crate::scope::Scope;
use std::fmt;
use std::future::poll_fn;
use std::hash::{Hash, Hasher};
use std::mem;

/// The address of an actor.
///
/// Copying it is one atomic increment, and all copies are equal. As long as there is one, the actor
/// lives, unless it ends by itself or is told to; when the last one is dropped it handles the mail
/// that waits and stops, once its timers, streams and children are done too.
///
/// An address never reaches another actor than the one it was made for, whatever the names.
///
/// ```
/// use actors_core::{Actor, handlers};
///
/// #[derive(Actor, Default)]
/// struct Counter { n: i64 }
///
/// #[handlers]
/// impl Counter {
///     fn inc(&mut self, by: i64) -> i64 { self.n += by; self.n }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let counter = Counter::default().spawn();
/// assert_eq!(counter.ask(Inc { by: 2 }).await?, 2);
/// counter.stop();
/// assert!(counter.stopped().await.is_normal());
/// assert!(counter.tell(Inc { by: 1 }).is_err());
/// # Ok(())
/// # }
/// ```
pub struct Addr<A> {
    pub(crate) tx: Tx<Live<A>, Cell>,
}

impl<A> Addr<A> {
    fn cell(&self) -> &Cell {
        self.tx.beside()
    }

    /// The actor's id.
    pub fn id(&self) -> ActorId {
        self.cell().id
    }

    /// The actor's name: the one it was given, or its type's.
    pub fn name(&self) -> &str {
        self.cell().name()
    }

    /// Tells the actor to stop: it accepts nothing more from now on, handles what it has accepted,
    /// and ends. Comes through however full the mailbox is. May be called again.
    ///
    /// A supervised child that is [`Permanent`](crate::Restart::Permanent) does not end for good: as
    /// by [`stop_now`](Self::stop_now) it ends after the message that it is handling, and its
    /// supervisor makes it anew. The mail waits for that. While it is being made anew there is
    /// nothing to end. [`Supervisor::stop_child`](crate::Supervisor::stop_child) ends it for good.
    pub fn stop(&self) {
        cell::stop(self.cell(), self.tx.queue());
    }

    /// Tells the actor to stop, as [`stop`](Self::stop), and why: it ends with
    /// [`StopReason::Failed`] and this error, after it has handled what it has accepted. For
    /// whoever works for an actor and cannot go on, such as the task that reads its socket. An
    /// error of its own counts more, and so does the first one said here.
    ///
    /// To a supervised child this is a failure: unless it is
    /// [`Temporary`](crate::Restart::Temporary), it ends after the message that it is handling, and
    /// is made anew with the mail that waits.
    ///
    /// ```
    /// use actors_core::{Actor, StopReason};
    ///
    /// #[derive(Actor)]
    /// struct Session;
    ///
    /// # #[actors_core::main]
    /// # async fn main() {
    /// let session = Session.spawn();
    /// session.stop_with("the line went dead");
    /// assert!(matches!(session.stopped().await, StopReason::Failed(_)));
    /// # }
    /// ```
    pub fn stop_with(&self, error: impl Into<Error>) {
        let mut error = Some(error.into());
        let first = |scope: &mut Scope<_>| {
            if scope.failure.is_none() {
                scope.failure = error.take();
            }
        };
        self.cell().with_scope(first);
        match self.cell().renewed() {
            Renewed::Always | Renewed::AfterFailure => self.tx.queue().leave(),
            Renewed::Never => self.tx.queue().close(),
        }
    }

    /// Tells the actor to stop after the message that it is handling. The rest of its mail goes to
    /// dead letters; asks among it fail with `NoReply`. A supervised child that is `Permanent` is
    /// made anew, and keeps its mail.
    pub fn stop_now(&self) {
        match self.cell().renewed() {
            Renewed::Always => self.tx.queue().leave(),
            Renewed::Never | Renewed::AfterFailure => self.tx.queue().stop_now(),
        }
    }

    /// Ends the actor: the running handler is dropped at its next await, the mail goes to dead
    /// letters, its children are killed, and the `stopped` hook does not run (its state is dropped
    /// as always). A handler that never awaits cannot be interrupted; it ends the actor when it
    /// returns.
    ///
    /// To a supervised child this is a failure: unless it is
    /// [`Temporary`](crate::Restart::Temporary), it is made anew, and keeps the mail that waits.
    pub fn kill(&self) {
        kill(self.cell(), self.tx.queue());
    }

    /// Waits until the actor has ended, with its state dropped, and tells why. At once if it has.
    /// A restart is not the end: of a supervised child, this is when it ends for good.
    ///
    /// Holds the address, so it does not itself let the actor stop for want of addresses. Dropping
    /// the future leaves nothing behind. Awaited by the actor itself it never is ready, which is not
    /// found out as a circle of asks is.
    pub async fn stopped(&self) -> StopReason {
        ended(self.cell()).await.observed()
    }

    /// Whether the actor accepts messages. A `false` is final, a `true` may be outdated.
    pub fn is_alive(&self) -> bool {
        !self.tx.queue().is_closed() && self.cell().state() != ActorState::Stopped
    }

    /// How many messages wait or are being handled. Outdated as soon as it is there: an ask's reply
    /// also comes a moment before its message counts as handled.
    pub fn mailbox_len(&self) -> usize {
        usize::try_from(self.tx.queue().stats().waiting).unwrap_or(usize::MAX)
    }

    /// How many messages the mailbox holds.
    pub fn mailbox_capacity(&self) -> Capacity {
        self.tx.queue().capacity()
    }

    /// What became of the messages sent to the actor so far.
    pub fn mailbox_stats(&self) -> MailboxStats {
        self.tx.queue().stats()
    }

    /// A handle that does not keep the actor alive.
    pub fn downgrade(&self) -> WeakAddr<A> {
        WeakAddr {
            tx: WeakTx::of(&self.tx),
        }
    }
}

impl<A> Clone for Addr<A> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            tx: self.tx.clone(),
        }
    }
}

impl<A> PartialEq for Addr<A> {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl<A> Eq for Addr<A> {}

impl<A> Hash for Addr<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl<A> fmt::Debug for Addr<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Addr({})", self.cell().actor_name())
    }
}

/// A handle to an actor that does not keep it alive.
pub struct WeakAddr<A> {
    tx: WeakTx<Live<A>, Cell>,
}

impl<A> WeakAddr<A> {
    /// The address, as long as the actor accepts messages.
    pub fn upgrade(&self) -> Option<Addr<A>> {
        if self.tx.keep().queue().is_closed() {
            return None;
        }
        Some(Addr { tx: self.tx.tx() })
    }

    /// The actor's id.
    pub fn id(&self) -> ActorId {
        self.tx.keep().beside().id
    }
}

impl<A> Clone for WeakAddr<A> {
    fn clone(&self) -> Self {
        Self {
            tx: self.tx.clone(),
        }
    }
}

impl<A> fmt::Debug for WeakAddr<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WeakAddr({})", self.tx.keep().beside().actor_name())
    }
}

/// What kills an actor for good ends only the incarnation of one that is to be made anew.
pub(crate) fn kill(cell: &Cell, queue: &Queue) {
    match cell.renewed() {
        Renewed::Never => queue.kill(),
        Renewed::AfterFailure | Renewed::Always => queue.break_off(),
    }
}

/// Waits until the actor of this cell has ended.
pub(crate) async fn ended(cell: &Cell) -> StopReason {
    /// Forgets the waiting when it is given up.
    struct Waiting<'a>(&'a Cell, u64);
    impl Drop for Waiting<'_> {
        fn drop(&mut self) {
            self.0.forget(self.1);
        }
    }
    let waiting = Waiting(cell, cell::watch_key());
    let reason = poll_fn(|cx| waiting.0.poll_ended(waiting.1, cx.waker())).await;
    // It was forgotten with the others.
    mem::forget(waiting);
    reason
}

/// The same for somebody who has no address.
pub(crate) async fn ended_kept(keep: Keep<Cell>) -> StopReason {
    ended(keep.beside()).await
}
