//! A supervised child: one task and one mailbox that run incarnations of an actor, each with a state
//! of its own, one after the other.
use super::factory::Factory;
use super::node::{Node, Said};
use super::plan::{How, Id};
use crate::actor::Actor;
use crate::addr::Addr;
use crate::cell::{ActorState, Cell, Context, Live, Renewed};
use crate::error::{StartTimedOut, StopReason};
use crate::mailbox::{AnyThread, AnyTx, Keep};
use crate::panics::Panic;
use crate::run::{
    AFTER_KILL, Hooks, Life, announce, forget_watch, log_failure, own_reason_of, reason_of,
    stop_children, tell_stopped,
};
use crate::scope::Scope;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::oneshot;

/// The supervisor's word that an incarnation is to begin. Dropped, the child ends.
pub(super) type Word = oneshot::Receiver<()>;

/// All of a supervised child but its state and what makes that.
pub(super) struct Supervised<A: 'static> {
    /// Dropped first: so the supervisor is told when nothing is left.
    pub(super) life: Life<A>,
    pub(super) report: Report,
    /// As long as it is supervised, it has something to do.
    pub(super) _alive: AnyTx<Cell>,
    /// How long the factory and `started` may take.
    pub(super) start_limit: Option<Duration>,
    pub(super) stash_limit: u32,
    /// In nanoseconds, 0 for none.
    pub(super) idle_limit: u64,
}

impl<A: 'static> Supervised<A> {
    /// Notes why it ends for good, for when it is dropped.
    fn ends(&mut self, reason: StopReason) {
        self.life.end_for(reason);
    }
}

/// Tells the supervisor how the child fares; at last, when dropped, that it has ended for good.
pub(super) struct Report {
    pub(super) supervisor: Addr<Node>,
    pub(super) child: Keep<Cell>,
    /// Told when the child is up for the first time.
    pub(super) up: Option<oneshot::Sender<()>>,
}

impl Report {
    fn id(&self) -> Id {
        self.child.beside().id.get()
    }

    /// A supervisor that is stopping does not want to know.
    fn tell(&self, said: Said) {
        let _ = self.supervisor.tell(said);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let reason = self.child.beside().stop_reason();
        let reason = reason.unwrap_or(StopReason::Killed);
        reason.set_observed();
        self.tell(Said::Gone(self.id(), reason));
    }
}

pub(super) fn how(reason: &StopReason) -> How {
    match reason.is_normal() {
        true => How::Normal,
        false => How::Failed,
    }
}

/// Runs incarnations until the child ends for good.
#[allow(
    clippy::manual_async_fn,
    reason = "the future of an `async fn` would hold its parameters twice"
)]
pub(super) fn live_on<A: Actor, Form: 'static>(
    mut child: Supervised<A>,
    mut factory: impl Factory<A, Form>,
    mut word: Word,
) -> impl Future<Output = ()> + Send {
    async move {
        let mut last = None;
        while let Begun::Yes = told_to_begin(&mut child, &mut word).await {
            let reason = incarnation(&mut child, &mut factory).await;
            let cell_is_final = {
                let keep = child.life.rx.keep();
                keep.queue().is_closed() || keep.beside().renewed() == Renewed::Never
            };
            if cell_is_final {
                child.ends(reason);
                return;
            }
            let reason = Box::pin(tear_down(&mut child, reason)).await;
            let (next, is_next) = oneshot::channel();
            word = is_next;
            let id = child.report.id();
            reason.set_observed();
            child.report.tell(Said::Ended(id, reason.clone(), next));
            last = Some(reason);
        }
        let queue = child.life.rx.keep().queue();
        child.ends(match last {
            _ if queue.is_killed() => StopReason::Killed,
            // What it did last says more than that it was not started again.
            Some(reason) => reason,
            None => StopReason::Normal,
        });
    }
}

enum Begun {
    Yes,
    No,
}

/// Waits for the supervisor's word, or for the end.
async fn told_to_begin<A: 'static>(child: &mut Supervised<A>, word: &mut Word) -> Begun {
    let rx = &mut child.life.rx;
    poll_fn(|cx| {
        if rx.poll_closed(cx).is_ready() {
            return Poll::Ready(Begun::No);
        }
        Pin::new(&mut *word).poll(cx).map(|word| match word {
            Ok(()) => Begun::Yes,
            Err(_) => Begun::No,
        })
    })
    .await
}

/// Makes the state and lives with it, until it has handled its last message.
///
/// What it does but for handling mail is boxed while it does it: so a child that has nothing to do
/// is small.
async fn incarnation<A: Actor, Form: 'static>(
    child: &mut Supervised<A>,
    factory: &mut impl Factory<A, Form>,
) -> StopReason {
    let hooks = &Hooks::<A>::OF_ACTOR;
    let keep = child.life.rx.keep().clone();
    keep.beside().set_state(ActorState::Starting);
    let limit = child.start_limit;
    let begun = Box::pin(within(limit, begin(child, factory, hooks))).await;
    let started = matches!(begun, Ok(Ok(())));
    let mut reason = match begun {
        Ok(Ok(())) => StopReason::Normal,
        Ok(Err(reason)) => reason,
        Err(timed_out) => StopReason::failed(timed_out.into()),
    };
    let id = child.report.id();
    let Life { rx, live, .. } = &mut child.life;
    if let (true, Some(live)) = (started, live.as_mut()) {
        announce(keep.beside(), child.report.up.take());
        let _ = child.report.supervisor.tell(Said::Up(id));
        let drained = rx.drain::<AnyThread>(live).await;
        reason = reason_of(drained, &mut live.ctx);
    }
    Box::pin(finish(child, started, reason)).await
}

/// Ends what the incarnation has begun, runs its `stopped` if it had started, and gives the reason,
/// which may be a failure of that.
async fn finish<A: Actor>(
    child: &mut Supervised<A>,
    started: bool,
    mut reason: StopReason,
) -> StopReason {
    let Life { rx, live, .. } = &mut child.life;
    let keep = rx.keep().clone();
    keep.beside().scope_if_any(Scope::abort_streams);
    keep.beside().set_state(ActorState::Stopping);
    if keep.beside().renewed() == Renewed::Never {
        keep.queue().close();
    }
    stop_children(&keep).await;
    if let (true, Some(live), false) = (started, live.as_mut(), keep.queue().is_killed()) {
        live.ctx.set_reason(reason.clone());
        if let Some(hook) = Hooks::<A>::OF_ACTOR.stopped() {
            let finished = rx.perform::<AnyThread>(live, hook).await;
            if reason.is_normal() {
                reason = reason_of(finished, &mut live.ctx);
            }
        }
        // Those that the hook has spawned.
        stop_children(&keep).await;
    }
    reason
}

/// Makes the state and runs its `started`.
async fn begin<A: Actor, Form: 'static>(
    child: &mut Supervised<A>,
    factory: &mut impl Factory<A, Form>,
    hooks: &'static Hooks<A>,
) -> Result<(), StopReason> {
    let stash_limit = child.stash_limit;
    let Life { rx, live, .. } = &mut child.life;
    let actor = {
        let mut make = pin!(factory.make());
        poll_fn(|cx| {
            if rx.poll_interrupted(cx).is_ready() {
                return Poll::Ready(Err(match rx.keep().queue().is_killed() {
                    true => StopReason::Killed,
                    false => StopReason::Normal,
                }));
            }
            match catch_unwind(AssertUnwindSafe(|| make.as_mut().poll(cx))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(made)) => Poll::Ready(made.map_err(StopReason::failed)),
                Err(payload) => Poll::Ready(Err(StopReason::Panicked(Panic::caught(&*payload)))),
            }
        })
        .await?
    };
    let ctx = Context::new(rx.weak(), stash_limit);
    let live = live.insert(Live { actor, ctx });
    let begun = match hooks.started() {
        Some(hook) => rx.perform::<AnyThread>(live, hook).await,
        None => rx.perform_nothing(),
    };
    match own_reason_of(begun, &mut live.ctx) {
        StopReason::Normal => Ok(()),
        reason => Err(reason),
    }
}

async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = T>,
) -> Result<T, StartTimedOut> {
    match limit {
        None => Ok(work.await),
        Some(limit) => tokio::time::timeout(limit, work)
            .await
            .map_err(|_| StartTimedOut { limit }),
    }
}

/// Ends all that belongs to the incarnation, and nothing else: the state, tasks, children, watches.
/// Mail that it has put aside goes back to the mailbox.
async fn tear_down<A: 'static>(child: &mut Supervised<A>, mut reason: StopReason) -> StopReason {
    let Life { rx, live, .. } = &mut child.life;
    let keep = rx.keep().clone();
    let (cell, queue) = (keep.beside(), keep.queue());
    if let Some(Live { actor, mut ctx }) = live.take() {
        rx.put_back(ctx.take_stashed());
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(actor))) {
            if reason.is_normal() {
                reason = StopReason::Panicked(Panic::caught(&*payload));
            }
            std::mem::forget(payload);
        }
    }
    let tasks = cell.scope_if_any(|scope| {
        for child in scope.children() {
            child.keep.queue().kill();
        }
        scope.abort_tasks()
    });
    let ended = async {
        for task in tasks.unwrap_or_default() {
            // It may have panicked, which was told.
            let _ = task.await;
        }
    };
    // One that blocks its thread must not hold up the restart.
    let _ = tokio::time::timeout(AFTER_KILL, ended).await;
    for (other, _) in queue.watched() {
        if let Some(key) = queue.unwatch(other) {
            forget_watch(other, key);
        }
    }
    queue.set_idle_limit(child.idle_limit);
    log_failure(cell, &reason);
    cell.end_incarnation(&reason);
    tell_stopped(cell, &reason);
    cell.count_incarnation();
    cell.set_state(ActorState::Restarting);
    reason
}
