//! The actor that a supervisor is: hears of its children, asks the plan what to do, and does it.
use super::child::how;
use super::plan::{Action, Fault, Id, Input, Plan, Spec};
use super::{Shared, SupervisorOptions};
use crate::aborts::abort;
use crate::actor::{Actor, Handler, Message};
use crate::addr::Addr;
use crate::cell::{ActorState, Cell, Context, Renewed};
use crate::context::Deferred;
use crate::error::{ActorName, Escalation, EscalationFault, StopReason};
use crate::event::{self, Event};
use crate::mailbox::Keep;
use crate::policy::Backoff;
use crate::run::{AFTER_KILL, tell_stopped};
use crate::timer::Timer;
use backon::{BackoffBuilder, ExponentialBuilder};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a supervisor's actor knows.
pub(crate) struct Node {
    plan: Plan,
    backoff: Backoff,
    began: Instant,
    children: HashMap<Id, Known>,
    shared: Arc<Shared>,
    /// It was started before, by the supervisor above.
    restarted: bool,
    /// Who waits until all children were started.
    ready: Vec<Deferred<()>>,
    /// How often the supervisor above wants to know that.
    tell_settled: u32,
    round: Alarm,
    /// Who fails it upwards, and why, where that is no child any more.
    blamed: Option<(ActorName, StopReason)>,
}

/// What is known of a child.
struct Known {
    keep: Keep<Cell>,
    kind: Kind,
    alarm: Alarm,
    /// Why its last incarnation ended.
    reason: StopReason,
    /// Who waits until it is up again, or has gone.
    renewed: Vec<Deferred<bool>>,
    /// Who waits until it has gone.
    gone: Vec<Deferred<bool>>,
}

pub(super) enum Kind {
    Actor {
        /// To be used when its next incarnation is to begin.
        word: Option<oneshot::Sender<()>>,
        stop_limit: Duration,
    },
    /// Each of its children has a limit of its own.
    Subtree(Addr<Node>, Arc<Shared>),
}

/// A timer that is at work, and the number that tells its tick from those of the ones before.
#[derive(Default)]
struct Alarm {
    timer: Option<Timer>,
    number: u64,
}

impl Alarm {
    fn cancel(&mut self) {
        self.number += 1;
        if let Some(timer) = self.timer.take() {
            timer.cancel();
        }
    }

    fn set(&mut self, ctx: &Context<Node>, after: Duration, say: impl FnOnce(u64) -> Said) {
        self.cancel();
        self.timer = Some(ctx.notify_after(after, say(self.number)));
    }
}

/// What is said to a supervisor's actor.
pub(super) enum Said {
    Add {
        id: Id,
        keep: Keep<Cell>,
        spec: Spec,
        kind: Kind,
    },
    Up(Id),
    /// An incarnation has ended; the sender is the word for the next.
    Ended(Id, StopReason, oneshot::Sender<()>),
    Gone(Id, StopReason),
    /// A subtree stands still.
    StandsStill(Id, StopReason),
    Busy(Id),
    Settled(Id),
    /// By the supervisor above: start all, let all leave, say when all were started.
    Start,
    Leave,
    TellSettled,
    /// Timers. The number tells whether it is still wanted.
    BackedOff(Id, u64),
    RoundBackedOff(u64),
    Overdue(Id, u64),
    Stuck(Id, u64),
}

impl Message for Said {
    type Reply = ();
}

/// Asks to stop a child for good. False: it does not end, or is none.
pub(super) struct StopChild(pub(super) Id);

/// Asks to make a child anew. False: it has ended for good, or is none.
pub(super) struct RenewChild(pub(super) Id);

/// Asks when all children that were added before have been started.
pub(super) struct Ready;

impl Message for StopChild {
    type Reply = bool;
}

impl Message for RenewChild {
    type Reply = bool;
}

impl Message for Ready {
    type Reply = ();
}

impl Actor for Node {}

impl Handler<Said> for Node {
    async fn handle(&mut self, said: Said, ctx: &mut Context<Self>) {
        let input = match said {
            Said::Add {
                id,
                keep,
                spec,
                kind,
            } => {
                self.add(id, keep, kind);
                Input::Add(id, spec)
            }
            Said::Up(id) => {
                self.is_up(id);
                Input::Up(id)
            }
            Said::Ended(id, reason, next) => {
                let Some(known) = self.children.get_mut(&id) else {
                    return;
                };
                if let Kind::Actor { word, .. } = &mut known.kind {
                    *word = Some(next);
                }
                self.has_ended(id, reason)
            }
            Said::StandsStill(id, reason) => self.has_ended(id, reason),
            Said::Gone(id, reason) => {
                let Some(known) = self.children.get_mut(&id) else {
                    return;
                };
                let how = how(&reason);
                known.reason = reason;
                Input::Gone(id, how)
            }
            Said::Busy(id) => {
                if let Some(Known {
                    kind: Kind::Subtree(node, shared),
                    ..
                }) = self.children.get(&id)
                {
                    // Whoever adds a child from now on says so again.
                    *shared.is_said_busy() = false;
                    if node.tell(Said::TellSettled).is_err() {
                        return;
                    }
                }
                Input::Busy(id)
            }
            Said::Settled(id) => Input::Settled(id),
            Said::Start => {
                self.begin_again(ctx);
                Input::Start
            }
            Said::Leave => Input::Leave,
            Said::TellSettled => {
                self.tell_settled += 1;
                return self.tell_if_settled(ctx);
            }
            Said::BackedOff(id, number) => match self.children.get(&id) {
                Some(known) if known.alarm.number == number => Input::Elapsed(id),
                _ => return,
            },
            Said::RoundBackedOff(number) if number == self.round.number => Input::RoundElapsed,
            Said::RoundBackedOff(_) => return,
            Said::Overdue(id, number) => return self.is_overdue(id, number, ctx),
            Said::Stuck(id, number) => match self.children.get(&id) {
                Some(known) if known.alarm.number == number => Input::Stuck(id),
                _ => return,
            },
        };
        self.take(input, ctx);
    }
}

impl Handler<StopChild> for Node {
    async fn handle(&mut self, StopChild(id): StopChild, ctx: &mut Context<Self>) -> bool {
        if !self.children.contains_key(&id) {
            return false;
        }
        self.take(Input::Stop(id), ctx);
        let Some(known) = self.children.get_mut(&id) else {
            return true;
        };
        ctx.defer(|reply| known.gone.push(reply)).await
    }
}

impl Handler<RenewChild> for Node {
    async fn handle(&mut self, RenewChild(id): RenewChild, ctx: &mut Context<Self>) -> bool {
        match self.children.get(&id) {
            None => return false,
            Some(known) => {
                let is_temporary = known.keep.beside().renewed() == Renewed::Never;
                if is_temporary && matches!(known.kind, Kind::Actor { .. }) {
                    return false;
                }
            }
        }
        self.take(Input::Renew(id), ctx);
        let Some(known) = self.children.get_mut(&id) else {
            return false;
        };
        ctx.defer(|reply| known.renewed.push(reply)).await
    }
}

impl Handler<Ready> for Node {
    async fn handle(&mut self, _: Ready, ctx: &mut Context<Self>) {
        if self.plan.is_settled() {
            return;
        }
        ctx.defer(|reply| self.ready.push(reply)).await
    }
}

impl Node {
    pub(super) fn new(options: &SupervisorOptions, shared: Arc<Shared>) -> Self {
        let nested = shared.above.is_some();
        Self {
            plan: Plan::new(options.strategy, options.intensity, nested),
            backoff: options.backoff,
            began: Instant::now(),
            children: HashMap::new(),
            shared,
            restarted: false,
            ready: Vec::new(),
            tell_settled: 0,
            round: Alarm::default(),
            blamed: None,
        }
    }

    fn add(&mut self, id: Id, keep: Keep<Cell>, kind: Kind) {
        let known = Known {
            keep,
            kind,
            alarm: Alarm::default(),
            reason: StopReason::Normal,
            renewed: Vec::new(),
            gone: Vec::new(),
        };
        self.children.insert(id, known);
    }

    fn is_up(&mut self, id: Id) {
        if let Some(known) = self.children.get_mut(&id) {
            for reply in known.renewed.drain(..) {
                reply.answer(true);
            }
        }
    }

    fn has_ended(&mut self, id: Id, reason: StopReason) -> Input {
        let how = how(&reason);
        if let Some(known) = self.children.get_mut(&id) {
            // It did as it was told.
            known.alarm.cancel();
            known.reason = reason;
        }
        Input::Ended(id, how)
    }

    /// The supervisor above starts this one.
    fn begin_again(&mut self, ctx: &Context<Self>) {
        let cell = ctx.cell();
        if self.restarted {
            cell.up();
            event::emit(|| Event::Started {
                actor: cell.actor_name(),
                incarnation: cell.incarnation(),
            });
        }
        self.restarted = true;
    }

    /// Asks the plan, and does what it says.
    fn take(&mut self, input: Input, ctx: &mut Context<Self>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for action in self.plan.take(input, self.began.elapsed()) {
                self.act(action, &mut inputs, ctx);
            }
        }
        self.tell_if_settled(ctx);
    }

    fn act(&mut self, action: Action, inputs: &mut VecDeque<Input>, ctx: &mut Context<Self>) {
        match action {
            Action::Start(id) => self.start(id),
            Action::Leave(id) => self.leave(id, ctx),
            Action::Close(id) => self.close(id, ctx),
            Action::BackOff(id, failures) => {
                let after = self.announce_restart(id, failures);
                let Some(known) = self.children.get_mut(&id) else {
                    return;
                };
                if after.is_zero() {
                    inputs.push_back(Input::Elapsed(id));
                } else {
                    let say = |number| Said::BackedOff(id, number);
                    known.alarm.set(ctx, after, say);
                }
            }
            Action::BackOffRound(id, failures) => {
                let after = self.announce_restart(id, failures);
                if after.is_zero() {
                    inputs.push_back(Input::RoundElapsed);
                } else {
                    self.round.set(ctx, after, Said::RoundBackedOff);
                }
            }
            Action::CancelBackOff(id) => {
                if let Some(known) = self.children.get_mut(&id) {
                    known.alarm.cancel();
                }
            }
            Action::CancelRound => self.round.cancel(),
            Action::Forget(id) => self.forget(id),
            Action::Blame(id) => self.blamed = self.how_ended(id),
            Action::Fail(id, fault) => {
                if let Some(error) = self.escalation(id, fault) {
                    self.fail(error, ctx);
                }
            }
            Action::Finish => ctx.queue().close(),
            Action::ReportUp => self.tell_above(Said::Up(ctx.id().get())),
            Action::ReportEnded(fault) => {
                let fault = fault.and_then(|(id, fault)| self.escalation(id, fault));
                self.report_ended(fault, ctx);
            }
        }
    }

    fn fail(&self, error: Escalation, ctx: &mut Context<Self>) {
        let supervisor = ctx.cell().actor_name();
        let Escalation { child, reason, .. } = error.clone();
        tracing::error!(%supervisor, %error, "gives up");
        event::emit(|| match self.shared.is_root {
            true => Event::GaveUp {
                supervisor,
                child,
                reason,
            },
            false => Event::Escalated {
                supervisor,
                child,
                reason,
            },
        });
        // Not `Context::fail`: what waits in this mailbox is nobody's mail, and no dead letter.
        if ctx.reason().is_none() {
            ctx.set_reason(StopReason::failed(error.into()));
        }
        ctx.queue().close();
    }

    fn start(&mut self, id: Id) {
        let Some(known) = self.children.get_mut(&id) else {
            return;
        };
        match &mut known.kind {
            Kind::Actor { word, .. } => {
                // Before the word: what is signalled from now on is for the new incarnation.
                known.keep.queue().renew();
                if let Some(word) = word.take() {
                    // One that has ended says so by itself.
                    let _ = word.send(());
                }
            }
            Kind::Subtree(node, _) => {
                let _ = node.tell(Said::Start);
            }
        }
    }

    /// Tells a child to end this incarnation, and takes care that it does.
    fn leave(&mut self, id: Id, ctx: &Context<Self>) {
        let Some(known) = self.children.get_mut(&id) else {
            return;
        };
        match &known.kind {
            Kind::Actor { stop_limit, .. } => {
                known.keep.queue().leave();
                let say = |number| Said::Overdue(id, number);
                known.alarm.set(ctx, *stop_limit, say);
            }
            Kind::Subtree(node, _) => {
                let _ = node.tell(Said::Leave);
            }
        }
    }

    /// The same for good.
    fn close(&mut self, id: Id, ctx: &Context<Self>) {
        let Some(known) = self.children.get_mut(&id) else {
            return;
        };
        known.keep.queue().close();
        if let Kind::Actor { stop_limit, .. } = &known.kind {
            let say = |number| Said::Overdue(id, number);
            known.alarm.set(ctx, *stop_limit, say);
        }
    }

    /// A child did not end in time.
    fn is_overdue(&mut self, id: Id, number: u64, ctx: &Context<Self>) {
        let Some(known) = self.children.get_mut(&id) else {
            return;
        };
        if known.alarm.number != number {
            return;
        }
        let actor = known.keep.beside().actor_name();
        tracing::warn!(%actor, "killed: it did not stop in time");
        let queue = known.keep.queue();
        if queue.is_closed() {
            abort(&known.keep);
        } else {
            queue.break_off();
        }
        // One that never awaits cannot be killed, and must not hold up the others.
        let say = |number| Said::Stuck(id, number);
        known.alarm.set(ctx, AFTER_KILL, say);
    }

    /// Says that a child will be restarted; gives the back-off.
    fn announce_restart(&self, id: Id, failures: u32) -> Duration {
        let after = delay(&self.backoff, failures);
        if let Some(known) = self.children.get(&id) {
            let cell = known.keep.beside();
            let actor = cell.actor_name();
            tracing::warn!(%actor, ?after, failures, "restarting");
            event::emit(|| Event::Restarting {
                actor,
                incarnation: cell.incarnation(),
                after,
                reason: known.reason.clone(),
            });
        }
        after
    }

    fn forget(&mut self, id: Id) {
        let Some(mut known) = self.children.remove(&id) else {
            return;
        };
        known.alarm.cancel();
        let cell = known.keep.beside();
        self.shared.forget(cell);
        let has_ended = cell.stop_reason().is_some();
        for reply in known.gone.drain(..) {
            reply.answer(has_ended);
        }
        for reply in known.renewed.drain(..) {
            reply.answer(false);
        }
    }

    /// The name of a child, and why it ended last.
    fn how_ended(&self, id: Id) -> Option<(ActorName, StopReason)> {
        let known = self.children.get(&id)?;
        Some((known.keep.beside().actor_name(), known.reason.clone()))
    }

    /// Of a child that is known here, or was the last one to be blamed.
    fn escalation(&mut self, id: Id, fault: Fault) -> Option<Escalation> {
        let (child, reason) = self.how_ended(id).or_else(|| self.blamed.take())?;
        Some(Escalation {
            child,
            reason,
            fault: match fault {
                Fault::FirstStart => EscalationFault::FirstStart,
                Fault::TooOften => EscalationFault::TooManyRestarts,
                Fault::Significant => EscalationFault::Significant,
            },
        })
    }

    /// All children stand still: an incarnation of this subtree has ended.
    fn report_ended(&self, fault: Option<Escalation>, ctx: &Context<Self>) {
        let cell = ctx.cell();
        let reason = match fault {
            Some(error) => {
                let supervisor = cell.actor_name();
                tracing::error!(%supervisor, %error, "fails upwards");
                event::emit(|| Event::Escalated {
                    supervisor,
                    child: error.child.clone(),
                    reason: error.reason.clone(),
                });
                StopReason::failed(error.into())
            }
            None => StopReason::Normal,
        };
        tell_stopped(cell, &reason);
        cell.count_incarnation();
        cell.set_state(ActorState::Restarting);
        self.tell_above(Said::StandsStill(ctx.id().get(), reason));
    }

    fn tell_if_settled(&mut self, ctx: &Context<Self>) {
        if !self.plan.is_settled() {
            return;
        }
        for reply in self.ready.drain(..) {
            reply.answer(());
        }
        for _ in 0..std::mem::take(&mut self.tell_settled) {
            self.tell_above(Said::Settled(ctx.id().get()));
        }
    }

    fn tell_above(&self, said: Said) {
        if let Some(above) = &self.shared.above {
            // One that is stopping does not want to know.
            let _ = above.node.tell(said);
        }
    }
}

/// How long to wait after so many failures in a row.
fn delay(backoff: &Backoff, failures: u32) -> Duration {
    if backoff.max().is_zero() {
        return Duration::ZERO;
    }
    // Beyond the 64th, twice as long has long been the maximum.
    let nth = failures.clamp(1, 64) as usize - 1;
    let delays = ExponentialBuilder::new()
        .with_min_delay(backoff.first())
        .with_max_delay(backoff.max())
        .without_max_times();
    let delay = delays.build().nth(nth).unwrap_or(backoff.max());
    let delay = delay.min(backoff.max());
    match backoff.has_jitter() {
        true => delay.mul_f64(fastrand::f64()),
        false => delay,
    }
}
