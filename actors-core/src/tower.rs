//! Addresses as `tower` services, one message each: so timeouts, limits and retries of tower work.
use crate::actor::{Handler, Message};
use crate::addr::Addr;
use crate::call::Ask;
use crate::error::AskError;
use crate::group::Group;
use crate::recipient::Recipient;
use crate::workers::WorkerPool;
use std::task::{Context, Poll};
use tower_service::Service;

/// An address is a service of each message that its actor handles.
///
/// It is ready as long as the actor accepts messages. The future of a call waits for room in the
/// mailbox, then for the reply, as awaiting [`Addr::ask`] does; dropping it withdraws the message.
/// So a layer that limits what is under way bounds who waits, and one that gives up after a time
/// sets no deadline that the handler would see: `ask(m).timeout(d)` does.
///
/// ```
/// use actors_core::{Actor, handlers};
/// use tower_service::Service;
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
/// let mut counter = Counter::default().spawn();
/// std::future::poll_fn(|cx| Service::<Inc>::poll_ready(&mut counter, cx)).await?;
/// assert_eq!(counter.call(Inc { by: 2 }).await?, 2);
/// # Ok(())
/// # }
/// ```
impl<A, M> Service<M> for Addr<A>
where
    A: Handler<M>,
    M: Message,
{
    type Response = M::Reply;
    type Error = AskError;
    type Future = Ask<'static, M::Reply>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AskError>> {
        ready(self.is_alive())
    }

    fn call(&mut self, msg: M) -> Self::Future {
        let to = self.clone();
        Ask::from_future(async move { to.ask(msg).await })
    }
}

/// As for [`Addr`]; also for local actors.
impl<M: Message> Service<M> for Recipient<M> {
    type Response = M::Reply;
    type Error = AskError;
    type Future = Ask<'static, M::Reply>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AskError>> {
        ready(self.is_alive())
    }

    fn call(&mut self, msg: M) -> Self::Future {
        let to = self.clone();
        Ask::from_future(async move { to.ask(msg).await })
    }
}

/// As for [`Addr`]; it is ready as long as it has a member.
impl<M: Message> Service<M> for Group<M> {
    type Response = M::Reply;
    type Error = AskError;
    type Future = Ask<'static, M::Reply>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AskError>> {
        ready(!self.is_empty())
    }

    fn call(&mut self, msg: M) -> Self::Future {
        self.ask(msg)
    }
}

/// As for [`Addr`]; the future waits for a worker that is free. It is ready as long as there is one
/// at all.
impl<A, M> Service<M> for WorkerPool<A>
where
    A: Handler<M>,
    M: Message,
{
    type Response = M::Reply;
    type Error = AskError;
    type Future = Ask<'static, M::Reply>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AskError>> {
        ready(self.workers() > 0)
    }

    fn call(&mut self, msg: M) -> Self::Future {
        self.ask(msg)
    }
}

fn ready(accepts: bool) -> Poll<Result<(), AskError>> {
    Poll::Ready(match accepts {
        true => Ok(()),
        false => Err(AskError::Closed),
    })
}
