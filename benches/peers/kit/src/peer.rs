//! What a framework has to do.
use crate::args::run_tokio;
use std::future::Future;
use std::time::Duration;

/// How many messages a bounded mailbox holds.
pub const CAPACITY: usize = 1024;

/// How long an asker waits where there is a limit: longer than any.
pub const LIMIT: Duration = Duration::from_secs(5);

/// What an actor does with its messages. All replies are numbers, so that a reply costs the same
/// everywhere.
pub trait Behaviour: Send + Sync + Unpin + Sized + 'static {
    type Msg: Send + Sync + 'static;

    /// Whether its actors end by themselves.
    const ENDS: bool = false;

    /// Handles a message. The reply of one that was told is dropped.
    fn handle(&mut self, msg: Self::Msg) -> u64;

    /// Whether the actor is to stop after this message. Asked only if it [`ENDS`](Self::ENDS).
    fn has_ended(&self) -> bool {
        false
    }
}

/// How much a mailbox holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailbox {
    /// [`CAPACITY`] messages.
    Bounded,
    Unbounded,
}

/// A framework.
pub trait Peer: Sized + 'static {
    type Addr<B: Behaviour>: Clone + Send + Sync + Unpin + 'static;

    /// Whether mailboxes can be bounded.
    const BOUNDED: bool = true;
    /// Whether [`spawn_now`](Self::spawn_now) works.
    const SPAWNS_NOW: bool = true;

    /// Whether what one sender sends comes in that order.
    const KEEPS_ORDER: bool = true;

    /// Starts an actor.
    fn spawn<B: Behaviour>(
        behaviour: B,
        mailbox: Mailbox,
    ) -> impl Future<Output = Self::Addr<B>> + Send;

    /// Starts an actor with an unbounded mailbox from inside of a handler.
    fn spawn_now<B: Behaviour>(behaviour: B) -> Self::Addr<B>;

    /// Asks, and waits for the reply.
    fn ask<B: Behaviour>(addr: &Self::Addr<B>, msg: B::Msg) -> impl Future<Output = u64> + Send;

    /// Asks, and waits for the reply for [`LIMIT`] at most. tokio keeps the time, where the framework has no
    /// way of its own.
    fn ask_within_limit<B: Behaviour>(
        addr: &Self::Addr<B>,
        msg: B::Msg,
    ) -> impl Future<Output = u64> + Send {
        let answered = tokio::time::timeout(LIMIT, Self::ask(addr, msg));
        async move { answered.await.expect("it answers in time") }
    }

    /// Tells, and waits for room.
    fn send<B: Behaviour>(addr: &Self::Addr<B>, msg: B::Msg) -> impl Future<Output = ()> + Send;

    /// Tells an actor whose mailbox is unbounded.
    fn tell<B: Behaviour>(addr: &Self::Addr<B>, msg: B::Msg);

    /// Stops an actor, and waits until it has ended.
    fn stop<B: Behaviour>(addr: Self::Addr<B>) -> impl Future<Output = ()> + Send;

    /// Begins a task beside others, where the framework runs its own; waiting for it is another
    /// thing.
    fn task<F>(work: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let task = tokio::spawn(work);
        async move { task.await.expect("it ends well") }
    }

    /// Runs the measuring task.
    fn run<F>(work: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        run_tokio(work)
    }
}
