//! `Actor`, `Message`, `Handler`: what a user writes.
use crate::addr::Addr;
use crate::cell::Context;
use crate::error::{Error, StopReason};
use std::future::Future;

/// A value that owns its state and handles one message at a time.
///
/// `#[derive(Actor)]` writes an `impl` without hooks; write it by hand to fill in the hooks. An actor that
/// is not `Send` is a [`LocalActor`].
///
/// ```
/// use actors_core::{Actor, Context, Error};
///
/// struct Greeter { greeting: String }
///
/// impl Actor for Greeter {
///     async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
///         println!("{} is up", ctx.name());
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an actor",
    label = "not an actor",
    note = "add `#[derive(Actor)]` to `{Self}`, or write `impl Actor for {Self} {{}}` to fill in \
            the hooks",
    note = "a `LocalActor` goes with `spawn_local`, `spawn_local_thread` and `#[handlers(local)]`"
)]
pub trait Actor: Sized + Send + 'static {
    /// Whether [`started`](Self::started) or [`stopped`](Self::stopped) do anything; where they do
    /// not, they need not be called, which makes a short life cheaper. `#[derive(Actor)]` says
    /// `false`. Where it is `false` the hooks do not run.
    const HAS_HOOKS: bool = true;

    /// Runs before the first message. With an error, or a panic, the actor ends without having
    /// handled any, and its `stopped` does not run.
    fn started(
        &mut self,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// Runs after the last message, once the actor's children have ended: also after a handler
    /// has panicked, when the state may be half-changed. Not when the actor is killed; cleaning up
    /// that must always happen belongs into `Drop`.
    fn stopped(
        &mut self,
        ctx: &mut Context<Self>,
        reason: &StopReason,
    ) -> impl Future<Output = ()> + Send {
        let _ = (ctx, reason);
        async {}
    }

    /// Starts the actor on the current tokio runtime, with the default
    /// [`SpawnOptions`](crate::SpawnOptions).
    ///
    /// # Panics
    ///
    /// Outside of a runtime. `SpawnOptions::spawn` returns an error instead.
    #[track_caller]
    fn spawn(self) -> Addr<Self> {
        Addr::spawn(self)
    }
}

/// An [`Actor`] that need not be `Send`: it stays on one thread.
///
/// Its messages and replies are `Send` all the same, and its address is used like any other.
/// `#[derive(LocalActor)]` writes an `impl` without hooks.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a local actor",
    label = "not a local actor",
    note = "add `#[derive(LocalActor)]` to `{Self}`, or write `impl LocalActor for {Self} {{}}`",
    note = "an `Actor` goes with `spawn` and with `#[handlers]` without `local`"
)]
pub trait LocalActor: Sized + 'static {
    /// As [`Actor::HAS_HOOKS`].
    const HAS_HOOKS: bool = true;

    /// As [`Actor::started`].
    fn started(&mut self, ctx: &mut Context<Self>) -> impl Future<Output = Result<(), Error>> {
        let _ = ctx;
        async { Ok(()) }
    }

    /// As [`Actor::stopped`].
    fn stopped(
        &mut self,
        ctx: &mut Context<Self>,
        reason: &StopReason,
    ) -> impl Future<Output = ()> {
        let _ = (ctx, reason);
        async {}
    }

    /// Starts the actor on this thread, with the default [`SpawnOptions`](crate::SpawnOptions).
    ///
    /// # Panics
    ///
    /// Outside of a tokio `LocalSet`. `#[actors_core::main(flavor = "current_thread")]` and
    /// `#[actors_core::test]` run in one.
    #[track_caller]
    fn spawn_local(self) -> Addr<Self> {
        Addr::spawn_local(self)
    }
}

/// What is sent to an actor, and what comes back.
///
/// Usually written by `#[derive(Message)]`, with `#[reply(T)]`, or by `#[handlers]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "add `#[derive(Message)]` to `{Self}` and, if it has an answer, `#[reply(Type)]`",
    note = "where it is generic, its parameters have to be `Send + 'static`"
)]
pub trait Message: Send + 'static {
    /// The answer. `()` for messages that are only told.
    type Reply: Send + 'static;
}

/// How an actor handles messages of type `M`.
///
/// Handlers of one actor never overlap: a handler may hold `&mut self` across an await, and until
/// it returns the actor handles nothing else. What it returns is the answer; an actor that cannot
/// go on says so by [`Context::fail`], or panics.
///
/// ```
/// use actors_core::{Actor, Context, Handler, Message};
///
/// #[derive(Actor, Default)]
/// struct Counter { n: i64 }
///
/// #[derive(Message)]
/// #[reply(i64)]
/// struct Inc { by: i64 }
///
/// impl Handler<Inc> for Counter {
///     async fn handle(&mut self, msg: Inc, _ctx: &mut Context<Self>) -> i64 {
///         self.n += msg.by;
///         self.n
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the actor `{Self}` does not handle `{M}`",
    label = "`{Self}` has no handler for this message",
    note = "write `impl Handler<{M}> for {Self}`, or add a method for it to the `#[handlers]` block"
)]
pub trait Handler<M: Message>: Actor {
    /// Whether an ask may have this handler run on the asker's own thread, inside of the asker's
    /// task, when the actor is idle: then nobody has to be woken, which is most of what an ask costs.
    /// `#[inline_ask]` on a method of a [`#[handlers]`](macro@crate::handlers) block says `true`.
    ///
    /// For handlers that are short and do not block: as long as one runs, its asker does nothing
    /// else. All promises hold as ever: messages are handled one at a time and in their order, a panic
    /// is the actor's, and a handler that waits for something goes on in the actor's own task. It
    /// happens only for asks that are awaited by a task, in the actor's own runtime, and not for
    /// actors with a thread of their own or an idle timeout.
    ///
    /// What differs: the handler sees the task-locals and the budget of the asker's task. An asker
    /// that is polled while it holds a lock that the handler takes locks itself out. A runtime that is
    /// shut down waits for a handler that runs so. One that drops its own runtime, which tokio refuses
    /// elsewhere, ends the process.
    const INLINE_ASK: bool = false;

    /// Handles one message.
    fn handle(&mut self, msg: M, ctx: &mut Context<Self>) -> impl Future<Output = M::Reply> + Send;
}

/// As [`Handler`], for actors that stay on one thread: the future need not be `Send`.
#[diagnostic::on_unimplemented(
    message = "the local actor `{Self}` does not handle `{M}`",
    label = "`{Self}` has no handler for this message",
    note = "write `impl LocalHandler<{M}> for {Self}`, or add a method for it to the \
            `#[handlers(local)]` block"
)]
pub trait LocalHandler<M: Message>: LocalActor {
    /// Handles one message.
    fn handle(&mut self, msg: M, ctx: &mut Context<Self>) -> impl Future<Output = M::Reply>;
}
