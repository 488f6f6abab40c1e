//! Streams and futures that work for an actor: their items and results arrive as messages.
use crate::cell::{self, Cell, Context};
use crate::mailbox::Keep;
use crate::message::MessageFor;
use futures_core::Stream;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use tokio::task::AbortHandle;

/// A stream that an actor listens to. Dropping the handle changes nothing: the stream goes on until
/// its end, or the actor's.
pub struct Attached {
    task: AbortHandle,
    end: Arc<Mutex<AtEnd>>,
    keep: Keep<Cell>,
}

/// What happens when the stream ends.
enum AtEnd {
    /// It has not, and this is to happen.
    Do(Box<dyn FnOnce() + Send>),
    Nothing,
    Ended,
}

impl Attached {
    /// Takes no more items. What is to happen at the stream's end does not.
    pub fn cancel(&self) {
        self.task.abort();
    }

    /// Whether the stream has ended or was cancelled.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// When the stream ends, the actor stops, as by [`Addr::stop`](crate::Addr::stop): after it has
    /// handled the items.
    pub fn then_stop(self) -> Self {
        let keep = self.keep.clone();
        self.at_end(Box::new(move || cell::stop(keep.beside(), keep.queue())))
    }

    /// When the stream ends, this is called, behind the last item. See
    /// [`Context::attach_then`] for a message.
    fn at_end(self, act: Box<dyn FnOnce() + Send>) -> Self {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*end, AtEnd::Ended) {
            drop(end);
            act();
        } else {
            *end = AtEnd::Do(act);
            drop(end);
        }
        self
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached")
            .field("finished", &self.is_finished())
            .finish()
    }
}

impl<A: 'static> Context<A> {
    /// Listens to a stream: each item arrives as the message that `f` makes of it. At the stream's
    /// end nothing happens, unless told by [`Attached::then_stop`] or
    /// [`attach_then`](Self::attach_then).
    ///
    /// The stream is not polled while the mailbox is full. It runs as a task of its own, which ends
    /// with the actor, and keeps the actor from stopping for want of addresses until it has ended.
    /// A panic in the stream or in `f` ends it there, and is told as
    /// [`Event::TaskPanicked`](crate::Event).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn attach<S, M, On>(
        &self,
        stream: S,
        f: impl FnMut(S::Item) -> M + Send + 'static,
    ) -> Attached
    where
        S: Stream + Send + 'static,
        S::Item: Send,
        M: MessageFor<A, On>,
    {
        self.attach_with(stream, f, AtEnd::Nothing)
    }

    /// The same, and sends `last` behind the last item.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn attach_then<S, M, On, L, LastOn>(
        &self,
        stream: S,
        f: impl FnMut(S::Item) -> M + Send + 'static,
        last: L,
    ) -> Attached
    where
        S: Stream + Send + 'static,
        S::Item: Send,
        M: MessageFor<A, On>,
        L: MessageFor<A, LastOn>,
    {
        let to = self.addr().recipient::<L, LastOn>();
        self.attach_with(stream, f, AtEnd::Do(Box::new(move || to.tell_late(last))))
    }

    fn attach_with<S, M, On>(
        &self,
        stream: S,
        mut f: impl FnMut(S::Item) -> M + Send + 'static,
        at_end: AtEnd,
    ) -> Attached
    where
        S: Stream + Send + 'static,
        S::Item: Send,
        M: MessageFor<A, On>,
    {
        let to = self.addr().recipient::<M, On>();
        let end = Arc::new(Mutex::new(at_end));
        let ended = Arc::clone(&end);
        let task = self.task(async move {
            let mut stream = pin!(stream);
            // The room is kept for one look at a time: a stream that has nothing must not keep
            // others out.
            while let Some(room) = to.room().await {
                match poll_fn(|cx| Poll::Ready(stream.as_mut().poll_next(cx))).await {
                    Poll::Ready(Some(item)) => room.tell(f(item)),
                    Poll::Ready(None) => break,
                    Poll::Pending => {
                        drop(room);
                        woken().await;
                    }
                }
            }
            let mut end = ended.lock().unwrap_or_else(PoisonError::into_inner);
            let act = std::mem::replace(&mut *end, AtEnd::Ended);
            drop(end);
            if let AtEnd::Do(act) = act {
                act();
            }
        });
        self.cell()
            .with_scope(|scope| scope.add_stream(task.clone()));
        Attached {
            task,
            end,
            keep: self.tx.keep().clone(),
        }
    }

    /// Runs a future beside the handlers; its result arrives as the message that `f` makes of it.
    /// Never fails for lack of room.
    ///
    /// It runs as a task of its own, which ends with the actor, and keeps the actor from stopping
    /// for want of addresses until it has ended. A panic is told as
    /// [`Event::TaskPanicked`](crate::Event).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn pipe<F, M, On>(&self, future: F, f: impl FnOnce(F::Output) -> M + Send + 'static)
    where
        F: Future + Send + 'static,
        M: MessageFor<A, On>,
    {
        let to = self.addr().recipient::<M, On>();
        self.task(async move {
            let output = future.await;
            to.tell_late(f(output));
        });
    }
}

/// Waits until the task is woken, by whatever it polled before.
async fn woken() {
    let mut is_woken = false;
    poll_fn(|_| {
        if is_woken {
            return Poll::Ready(());
        }
        is_woken = true;
        Poll::Pending
    })
    .await;
}
