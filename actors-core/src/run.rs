//! One actor's life, from `started` to `stopped`.
use crate::actor::{Actor, LocalActor};
use crate::addr::ended_kept;
use crate::cell::{self, ActorState, Cell, Context, Live};
use crate::error::{AskError, NoReplyReason, StopReason};
use crate::event::{self, DeadLetterReason, Event};
use crate::id::ActorId;
use crate::mailbox::{AnyTx, End, Keep, Rx, Seal, Threads, panic_text};
use crate::registry;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::oneshot;

/// The hooks of an actor, as messages to it: so they run, suspend, panic and are killed as any
/// handler.
pub(crate) struct Hooks<A> {
    started: Seal<Live<A>, Begin, ()>,
    stopped: Seal<Live<A>, Finish, ()>,
}

pub(crate) struct Begin;
pub(crate) struct Finish(StopReason);

impl<A: Actor> Hooks<A> {
    pub(crate) const OF_ACTOR: Self = Self {
        started: Seal::new(|live: &'static mut Live<A>, _: Begin| async move {
            if let Err(error) = live.actor.started(&mut live.ctx).await {
                live.ctx.fail(error);
            }
        }),
        stopped: Seal::new(|live: &'static mut Live<A>, finish: Finish| async move {
            live.actor.stopped(&mut live.ctx, &finish.0).await;
        }),
    };
}

impl<A: LocalActor> Hooks<A> {
    pub(crate) const OF_LOCAL_ACTOR: Self = Self {
        started: Seal::local(|live: &'static mut Live<A>, _: Begin| async move {
            if let Err(error) = live.actor.started(&mut live.ctx).await {
                live.ctx.fail(error);
            }
        }),
        stopped: Seal::local(|live: &'static mut Live<A>, finish: Finish| async move {
            live.actor.stopped(&mut live.ctx, &finish.0).await;
        }),
    };
}

/// All that an actor needs to live but its state.
pub(crate) struct Shell<A: 'static> {
    pub(crate) rx: Rx<Live<A>, Cell>,
    pub(crate) ctx: Context<A>,
    pub(crate) parent: Option<AnyTx<Cell>>,
    /// Told when `started` has returned, where somebody waits for that.
    pub(crate) up: Option<oneshot::Sender<()>>,
    /// How long each child may take to stop, in milliseconds.
    pub(crate) stop_limit: u32,
}

impl<A: 'static> Shell<A> {
    /// With its state, it lives.
    pub(crate) fn live(self, actor: A) -> Life<A> {
        let Self {
            rx,
            ctx,
            parent,
            up,
            stop_limit,
        } = self;
        Life {
            rx,
            live: Some(Live { actor, ctx }),
            parent,
            up,
            stop_limit,
            reason: None,
        }
    }

    /// It ends without having had a state.
    pub(crate) fn end(self, reason: StopReason) {
        let Self {
            rx,
            ctx: _,
            parent,
            up,
            stop_limit,
        } = self;
        drop(Life {
            rx,
            live: None,
            parent,
            up,
            stop_limit,
            reason: Some(reason),
        });
    }
}

/// What there is of an actor while it lives. Whatever ends it, dropping this settles all: mail
/// goes to dead letters, asks end, the state is dropped, whoever waits is told.
pub(crate) struct Life<A: 'static> {
    rx: Rx<Live<A>, Cell>,
    live: Option<Live<A>>,
    parent: Option<AnyTx<Cell>>,
    up: Option<oneshot::Sender<()>>,
    stop_limit: u32,
    /// Why it ends; not known when the runtime is shut down.
    reason: Option<StopReason>,
}

/// Runs an actor from `started` to `stopped`.
///
/// Not an `async fn`, which would store its argument twice.
#[allow(clippy::manual_async_fn, reason = "see above")]
pub(crate) fn run<A: 'static, P: Threads>(
    mut life: Life<A>,
    hooks: &'static Hooks<A>,
) -> impl Future<Output = ()> + use<A, P> {
    async move {
        let Life {
            rx,
            live: Some(live),
            up,
            stop_limit,
            ..
        } = &mut life
        else {
            return;
        };
        let stop_limit = Duration::from_millis((*stop_limit).into());
        let begun = rx.perform::<P>(live, hooks.started.seal(Begin)).await;
        let mut reason = reason_of(begun, &mut live.ctx);
        let started = reason.is_normal();
        if started {
            announce(rx.keep().beside(), up.take());
            let drained = rx.drain::<P>(live).await;
            reason = reason_of(drained, &mut live.ctx);
        }

        rx.keep().beside().set_state(ActorState::Stopping);
        rx.keep().queue().close();
        stop_children(rx.keep(), stop_limit).await;
        if started && !rx.keep().queue().is_killed() {
            let finish = hooks.stopped.seal(Finish(reason.clone()));
            let finished = rx.perform::<P>(live, finish).await;
            if reason.is_normal() {
                reason = reason_of(finished, &mut live.ctx);
            }
            // Those that the hook has spawned.
            stop_children(rx.keep(), stop_limit).await;
        }
        life.reason = Some(reason);
        drop(life);
    }
}

/// `started` has returned.
fn announce(cell: &Cell, up: Option<oneshot::Sender<()>>) {
    cell.set_state(ActorState::Running);
    event::emit(|| Event::Started {
        actor: cell.actor_name(),
        incarnation: incarnation(cell),
    });
    if let Some(up) = up {
        // Nobody waits any more, which is no error.
        let _ = up.send(());
    }
}

fn reason_of<A>(end: End, ctx: &mut Context<A>) -> StopReason {
    match end {
        End::Killed => StopReason::Killed,
        End::Panicked(text) => StopReason::Panicked(text),
        End::Drained | End::StopNow => match ctx.failure.take() {
            Some(error) => StopReason::failed(error),
            None => StopReason::Normal,
        },
    }
}

fn incarnation(cell: &Cell) -> u32 {
    cell.incarnation.load(Ordering::Relaxed)
}

/// Stops the children, the last one first, each within the limit; then it is killed. A kill of the
/// parent kills those that are left.
async fn stop_children(parent: &Keep<Cell>, limit: Duration) {
    let last = || {
        parent
            .beside()
            .scope_if_any(|scope| scope.last_child().cloned())
            .flatten()
    };
    while let Some(child) = last() {
        // Boxed: else each actor would have room for this in it all its life.
        Box::pin(stop_child(parent, &child, limit)).await;
    }
}

async fn stop_child(parent: &Keep<Cell>, child: &Keep<Cell>, limit: Duration) {
    child.queue().close();
    let in_time = {
        let mut ended = pin!(tokio::time::timeout(limit, ended_kept(child.clone())));
        poll_fn(|cx| {
            if parent.queue().is_killed() {
                return Poll::Ready(false);
            }
            ended.as_mut().poll(cx).map(|ended| ended.is_ok())
        })
        .await
    };
    if !in_time {
        let actor = child.beside().actor_name();
        if !parent.queue().is_killed() {
            tracing::warn!(%actor, ?limit, "killed: it did not stop in time");
        }
        child.queue().kill();
        // One that never awaits cannot be killed, and must not hold up its parent.
        let _ = tokio::time::timeout(AFTER_KILL, ended_kept(child.clone())).await;
    }
    parent
        .beside()
        .scope_if_any(|scope| scope.remove_child(child.beside().id));
}

/// How long a parent waits for a child that it has killed.
const AFTER_KILL: Duration = Duration::from_millis(100);

impl<A: 'static> Drop for Life<A> {
    fn drop(&mut self) {
        let keep = self.rx.keep().clone();
        let cell = keep.beside();
        let mut reason = self.reason.take().unwrap_or(StopReason::Killed);
        cell.set_state(ActorState::Stopping);
        // Asks first, then the state: its destructor may take its time.
        let letters = Letters {
            cell,
            reason: &reason,
        };
        self.rx
            .finish(&letters.error(), |message| letters.report(message));
        let live = self.live.take();
        if let Some(Live { actor, mut ctx }) = live {
            let stash = *ctx.stash.take().unwrap_or_default();
            for sealed in stash.back.into_iter().chain(stash.aside) {
                self.rx
                    .discard(sealed, &letters.error(), |message| letters.report(message));
            }
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(actor))) {
                if reason.is_normal() {
                    reason = StopReason::Panicked(panic_text(&*payload));
                }
                std::mem::forget(payload);
            }
        }
        settle(&keep, &reason);
        if let Some(parent) = self.parent.take() {
            parent
                .beside()
                .scope_if_any(|scope| scope.remove_child(cell.id));
        }
    }
}

/// Ends all that belongs to an actor that has ended, and tells who waits for that.
pub(crate) fn settle(keep: &Keep<Cell>, reason: &StopReason) {
    let cell = keep.beside();
    cell.scope_if_any(|scope| {
        scope.abort_tasks();
        for child in scope.children().rev() {
            child.queue().kill();
        }
    });
    for (other, key) in keep.queue().watched() {
        let _ = ActorId::from_number(other)
            .and_then(|other| cell::find(other, |other| other.beside().forget(key)));
    }
    cell::forget(cell.id);
    if cell.registered {
        registry::unregister(cell);
    }
    match reason {
        StopReason::Panicked(text) => {
            tracing::error!(actor = %cell.actor_name(), %text, "panicked");
        }
        StopReason::Failed(error) => {
            tracing::error!(actor = %cell.actor_name(), %error, "failed");
        }
        StopReason::Normal | StopReason::Killed => {}
    }
    cell.end(reason);
    event::emit(|| Event::Stopped {
        actor: cell.actor_name(),
        incarnation: incarnation(cell),
        reason: reason.clone(),
    });
}

/// What becomes of mail that will not be handled.
struct Letters<'a> {
    cell: &'a Cell,
    reason: &'a StopReason,
}

impl Letters<'_> {
    fn error(&self) -> AskError {
        AskError::NoReply {
            reason: NoReplyReason::Stopped(self.reason.clone()),
            may_have_run: false,
        }
    }

    fn report(&self, message: &'static str) {
        let reason = DeadLetterReason::Stopped(self.reason.clone());
        event::dead_letter(message, || self.cell.actor_name(), &reason);
    }
}
