//! Tasks that work for an actor.
use crate::cell::Context;
use crate::event::{self, Event};
use crate::panics::Panic;
use crate::witness;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use tokio::task::AbortHandle;

impl<A> Context<A> {
    /// A task that ends with the actor, and whose panics are told.
    pub(crate) fn task(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let keep = self.tx.keep().clone();
        let joined = tokio::spawn(async move {
            let mut work = pin!(work);
            let done =
                poll_fn(
                    |cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
                        Ok(Poll::Pending) => Poll::Pending,
                        Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
                        Err(payload) => Poll::Ready(Err(Panic::caught(&*payload))),
                    },
                )
                .await;
            if let Err(panic) = done {
                let actor = keep.beside().actor_name();
                witness::panicked(|| actor.clone(), &panic);
                let backtrace = panic.backtrace().map(tracing::field::display);
                tracing::error!(%actor, text = %panic, backtrace, "a task of an actor has panicked");
                event::emit(|| Event::TaskPanicked { actor, panic });
            }
        });
        let task = joined.abort_handle();
        self.cell().with_scope(|scope| scope.add_task(joined));
        task
    }
}
