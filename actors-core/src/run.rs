//! One actor's life, from `started` to `stopped`.
use crate::aborts::abort;
use crate::actor::{Actor, LocalActor};
use crate::addr::ended_kept;
use crate::cell::{ActorState, Cell, Child, Context, Live};
use crate::census;
use crate::error::{AskError, Error, NoReplyReason, StopReason};
use crate::event::{self, DeadLetterReason, Event};
use crate::id::ActorId;
use crate::mailbox::{AnyTx, End, Hook, Keep, Rx, Seal, Threads};
use crate::panics::Panic;
use crate::scope::Scope;
use crate::witness;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::oneshot;

/// The hooks of an actor, as messages to it: so they run, suspend, panic and are killed as any
/// handler. `None` for an actor that says it has none.
pub(crate) struct Hooks<A> {
    started: Option<Seal<Live<A>, Starting, ()>>,
    stopped: Option<Seal<Live<A>, Stopping, ()>>,
}

/// What an actor is seen to handle while its hooks run.
struct Starting;
struct Stopping;

impl<A: Actor> Hooks<A> {
    const STARTED: Seal<Live<A>, Starting, ()> =
        Seal::new(|live: &'static mut Live<A>, _: Starting| async move {
            if let Err(error) = live.actor.started(&mut live.ctx).await {
                live.ctx.fail(error);
            }
        });
    const STOPPED: Seal<Live<A>, Stopping, ()> =
        Seal::new(|live: &'static mut Live<A>, _: Stopping| async move {
            let reason = live.ctx.reason().cloned().unwrap_or(StopReason::Normal);
            live.actor.stopped(&mut live.ctx, &reason).await;
        });
    pub(crate) const OF_ACTOR: Self = match A::HAS_HOOKS {
        true => Self::new(Self::STARTED, Self::STOPPED),
        false => Self::NONE,
    };
}

impl<A: LocalActor> Hooks<A> {
    const LOCAL_STARTED: Seal<Live<A>, Starting, ()> =
        Seal::local(|live: &'static mut Live<A>, _: Starting| async move {
            if let Err(error) = live.actor.started(&mut live.ctx).await {
                live.ctx.fail(error);
            }
        });
    const LOCAL_STOPPED: Seal<Live<A>, Stopping, ()> =
        Seal::local(|live: &'static mut Live<A>, _: Stopping| async move {
            let reason = live.ctx.reason().cloned().unwrap_or(StopReason::Normal);
            live.actor.stopped(&mut live.ctx, &reason).await;
        });
    pub(crate) const OF_LOCAL_ACTOR: Self = match A::HAS_HOOKS {
        true => Self::new(Self::LOCAL_STARTED, Self::LOCAL_STOPPED),
        false => Self::NONE,
    };
}

impl<A> Hooks<A> {
    const NONE: Self = Self {
        started: None,
        stopped: None,
    };

    const fn new(
        started: Seal<Live<A>, Starting, ()>,
        stopped: Seal<Live<A>, Stopping, ()>,
    ) -> Self {
        Self {
            started: Some(started),
            stopped: Some(stopped),
        }
    }
}

impl<A: 'static> Hooks<A> {
    pub(crate) fn started(&self) -> Option<Hook<Live<A>>> {
        self.started.map(|started| started.hook(Starting))
    }

    pub(crate) fn stopped(&self) -> Option<Hook<Live<A>>> {
        self.stopped.map(|stopped| stopped.hook(Stopping))
    }
}

/// All that an actor needs to live but its state.
pub(crate) struct Shell<A: 'static> {
    pub(crate) rx: Rx<Live<A>, Cell>,
    /// For its context.
    pub(crate) stash_limit: u32,
    pub(crate) parent: Option<AnyTx<Cell>>,
    /// Told when `started` has returned, where somebody waits for that.
    pub(crate) up: Option<oneshot::Sender<()>>,
}

impl<A: 'static> Shell<A> {
    /// With its state, it lives.
    #[inline]
    pub(crate) fn live(self, actor: A) -> Life<A> {
        let ctx = Context::new(self.rx.weak(), self.stash_limit);
        let mut life = self.still();
        life.live = Some(Live { actor, ctx });
        life
    }

    /// It waits for its state.
    #[inline]
    pub(crate) fn still(self) -> Life<A> {
        let mut life = Life {
            rx: self.rx,
            live: None,
            parent: self.parent,
            rare: None,
        };
        if self.up.is_some() {
            life.rare().up = self.up;
        }
        life
    }

    /// It ends without having had a state.
    pub(crate) fn end(self, reason: StopReason) {
        let mut life = self.still();
        life.end_for(reason);
    }
}

/// What there is of an actor while it lives. Whatever ends it, dropping this settles all: mail
/// goes to dead letters, asks end, the state is dropped, whoever waits is told.
pub(crate) struct Life<A: 'static> {
    pub(crate) rx: Rx<Live<A>, Cell>,
    pub(crate) live: Option<Live<A>>,
    parent: Option<AnyTx<Cell>>,
    rare: Option<Box<Rare>>,
}

/// What few lives have.
#[derive(Default)]
struct Rare {
    up: Option<oneshot::Sender<()>>,
    /// Why it ends, where it says so that stands above the life: else its context knows.
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
        // Nothing but the life is held over an await: what is, takes memory of each actor.
        let Some((rx, live)) = life.parts() else {
            return;
        };
        let begun = match hooks.started() {
            Some(hook) => rx.perform::<P>(live, hook).await,
            None => rx.perform_nothing(),
        };
        let is_up = life.note(begun, own_reason_of);
        if is_up {
            let up = life.rare.take().and_then(|rare| rare.up);
            announce(life.rx.keep().beside(), up);
            if let Some((rx, live)) = life.parts() {
                // Should it end without a word, it was killed: with its runtime.
                live.ctx.take_reason();
                let drained = rx.drain::<P>(live).await;
                life.note(drained, reason_of);
            }
            let cell = life.rx.keep().beside();
            cell.scope_if_any(Scope::abort_streams);
        }
        life.rx.keep().beside().set_state(ActorState::Stopping);
        life.rx.keep().queue().close_by_task();
        if life.rx.keep().beside().has_scope() {
            stop_children(life.rx.keep()).await;
        }
        if is_up && !life.rx.keep().queue().is_killed() {
            if let Some((rx, live)) = life.parts() {
                let is_well = live.ctx.reason().is_none_or(StopReason::is_normal);
                if let Some(hook) = hooks.stopped() {
                    let finished = rx.perform::<P>(live, hook).await;
                    if is_well {
                        life.note(finished, reason_of);
                    }
                }
            }
            // Those that the hook has spawned.
            if life.rx.keep().beside().has_scope() {
                stop_children(life.rx.keep()).await;
            }
        }
    }
}

/// What works, and what it works on.
type Parts<'a, A> = (&'a mut Rx<Live<A>, Cell>, &'a mut Live<A>);

impl<A: 'static> Life<A> {
    /// It ends for this reason, whatever its context says.
    pub(crate) fn end_for(&mut self, reason: StopReason) {
        self.rare().reason = Some(reason);
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn parts(&mut self) -> Option<Parts<'_, A>> {
        self.live.as_mut().map(|live| (&mut self.rx, live))
    }

    /// Notes how a part of the life went, as `reason` sees it. True: well.
    #[inline]
    fn note(&mut self, end: End, reason: fn(End, &mut Context<A>) -> StopReason) -> bool {
        let Some(live) = &mut self.live else {
            return false;
        };
        // What `reason` would find, too.
        if matches!(end, End::Drained | End::StopNow) && live.ctx.note_plain_end() {
            return true;
        }
        Self::note_reason(live, end, reason)
    }

    fn note_reason(
        live: &mut Live<A>,
        end: End,
        reason: fn(End, &mut Context<A>) -> StopReason,
    ) -> bool {
        let reason = reason(end, &mut live.ctx);
        let is_well = reason.is_normal();
        live.ctx.set_reason(reason);
        is_well
    }
}

/// `started` has returned.
pub(crate) fn announce(cell: &Cell, up: Option<oneshot::Sender<()>>) {
    cell.up();
    event::emit(|| Event::Started {
        actor: cell.actor_name(),
        incarnation: cell.incarnation(),
    });
    if let Some(up) = up {
        // Nobody waits any more, which is no error.
        let _ = up.send(());
    }
}

/// Why a part of the life ended; what others said counts where the actor itself has no reason to fail.
pub(crate) fn reason_of<A>(end: End, ctx: &mut Context<A>) -> StopReason {
    let told = match end {
        End::Drained | End::StopNow => told(ctx.cell()),
        End::Killed | End::Panicked(_) => None,
    };
    match (own_reason_of(end, ctx), told) {
        (StopReason::Normal, Some(error)) => StopReason::failed(error),
        (reason, _) => reason,
    }
}

/// The same by what the actor itself has done. For `started`: who is told to stop meanwhile has not
/// failed to start, and handles first what it has accepted.
pub(crate) fn own_reason_of<A>(end: End, ctx: &mut Context<A>) -> StopReason {
    match end {
        End::Killed => StopReason::Killed,
        End::Panicked(panic) => StopReason::Panicked(panic),
        End::Drained | End::StopNow => ctx.take_reason().unwrap_or(StopReason::Normal),
    }
}

/// What others said that the actor fails with.
fn told(cell: &Cell) -> Option<Error> {
    cell.scope_if_any(|scope| scope.failure.take()).flatten()
}

/// Stops the children, the last one first, each within its limit, or else this one; then it is
/// killed. A kill of the parent kills those that are left.
pub(crate) async fn stop_children(parent: &Keep<Cell>) {
    let together = |scope: &mut Scope<_>| scope.together.filter(|_| scope.has_children());
    if let Some(limit) = parent.beside().scope_if_any(together).flatten() {
        Box::pin(stop_children_together(parent, limit)).await;
    }
    let last = || {
        parent
            .beside()
            .scope_if_any(|scope| scope.last_child().cloned())
            .flatten()
    };
    while let Some(child) = last() {
        // Boxed: else each actor would have room for this in it all its life.
        let limit = child.stop_limit.unwrap_or(parent.beside().stop_limit());
        let limit = Duration::from_millis(limit.into());
        Box::pin(stop_child(parent, &child.keep, limit)).await;
    }
}

/// Stops all children at the same time, and kills those that are left when the limit is over.
async fn stop_children_together(parent: &Keep<Cell>, limit: Duration) {
    let children = |scope: &mut Scope<Child>| {
        let children = scope.children();
        children.map(|child| child.keep.clone()).collect::<Vec<_>>()
    };
    let children = parent.beside().scope_if_any(children).unwrap_or_default();
    for child in &children {
        child.queue().close();
    }
    let all_ended = || async {
        for child in &children {
            ended_kept(child.clone()).await;
        }
    };
    let in_time = {
        let mut ended = pin!(tokio::time::timeout(limit, all_ended()));
        poll_fn(|cx| {
            if parent.queue().is_killed() {
                return Poll::Ready(false);
            }
            ended.as_mut().poll(cx).map(|ended| ended.is_ok())
        })
        .await
    };
    if !in_time {
        for child in &children {
            kill_below(parent, child);
        }
        let _ = tokio::time::timeout(AFTER_KILL, all_ended()).await;
    }
    parent.beside().scope_if_any(|scope| {
        for child in &children {
            scope.remove_child(child.beside().id);
        }
    });
}

/// Kills a child: because its parent was killed, and then for the same reason, or because it has
/// not ended in time.
fn kill_below(parent: &Keep<Cell>, child: &Keep<Cell>) {
    match parent.queue().is_killed() && !parent.beside().is_aborted() {
        true => child.queue().kill(),
        false => abort(child),
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
        kill_below(parent, child);
        // One that never awaits cannot be killed, and must not hold up its parent.
        let _ = tokio::time::timeout(AFTER_KILL, ended_kept(child.clone())).await;
    }
    parent
        .beside()
        .scope_if_any(|scope| scope.remove_child(child.beside().id));
}

/// How long a parent waits for a child that it has killed.
pub(crate) const AFTER_KILL: Duration = Duration::from_millis(100);

impl<A: 'static> Drop for Life<A> {
    fn drop(&mut self) {
        // The box stays: who waits for the start is told when all is settled.
        let told = self.rare.as_mut().and_then(|rare| rare.reason.take());
        let own = |live: &Live<A>| live.ctx.reason().cloned();
        let mut reason = told
            .or_else(|| self.live.as_ref().and_then(own))
            .unwrap_or(StopReason::Killed);
        self.rx.keep().beside().set_state(ActorState::Stopping);
        // Asks first, then the state: its destructor may take its time.
        self.rx.finish(
            || lost(&reason),
            |cell, message| report(cell, message, &reason),
        );
        if let Some(live) = &mut self.live {
            for sealed in live.ctx.take_stashed() {
                self.rx.discard(sealed, &lost(&reason), |cell, message| {
                    report(cell, message, &reason);
                });
            }
        }
        // Where it lies: it may be long.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.live = None)) {
            if reason.is_normal() {
                reason = StopReason::Panicked(Panic::caught(&*payload));
            }
            std::mem::forget(payload);
        }
        settle(self.rx.keep(), &reason);
        if let Some(parent) = self.parent.take() {
            let id = self.rx.keep().beside().id;
            parent.beside().scope_if_any(|scope| scope.remove_child(id));
        }
    }
}

/// The error of asks that will not be handled.
fn lost(reason: &StopReason) -> AskError {
    AskError::NoReply {
        reason: NoReplyReason::Stopped(reason.clone()),
        may_have_run: false,
    }
}

/// Mail will not be handled.
fn report(cell: &Cell, message: &'static str, reason: &StopReason) {
    let reason = DeadLetterReason::Stopped(reason.clone());
    event::dead_letter(message, || cell.actor_name(), &reason);
}

/// Ends all that belongs to an actor that has ended, and tells who waits for that.
pub(crate) fn settle(keep: &Keep<Cell>, reason: &StopReason) {
    let cell = keep.beside();
    cell.scope_if_any(|scope| {
        scope.abort_tasks();
        for child in scope.children().rev() {
            kill_below(keep, &child.keep);
        }
    });
    for (other, key) in keep.queue().watched() {
        forget_watch(other, key);
    }
    census::take_out(cell.id);
    let undo = cell.scope_if_any(|scope| scope.take_all_undo());
    undo.into_iter().flatten().for_each(|undo| undo());
    log_failure(cell, reason);
    cell.end(reason);
    tell_stopped(cell, reason);
}

/// Takes back what was noted with a watched actor.
pub(crate) fn forget_watch(other: u64, key: u64) {
    if let Some(other) = ActorId::from_number(other).and_then(census::find) {
        other.beside().forget(key);
    }
}

pub(crate) fn log_failure(cell: &Cell, reason: &StopReason) {
    match reason {
        StopReason::Panicked(panic) => {
            witness::panicked(|| cell.actor_name(), panic);
            let backtrace = panic.backtrace().map(tracing::field::display);
            tracing::error!(actor = %cell.actor_name(), text = %panic, backtrace, "panicked");
        }
        StopReason::Failed(error) => {
            tracing::error!(actor = %cell.actor_name(), %error, "failed");
        }
        StopReason::Normal | StopReason::Killed => {}
    }
}

pub(crate) fn tell_stopped(cell: &Cell, reason: &StopReason) {
    event::emit(|| Event::Stopped {
        actor: cell.actor_name(),
        incarnation: cell.incarnation(),
        reason: reason.clone(),
    });
}
