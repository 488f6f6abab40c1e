//! What a supervisor does next: a plain state machine that knows of no actor, clock or message. What
//! has happened goes in, what is to be done comes out.
//!
//! Children are numbers, in the order in which they were added. All that is done to several of them
//! is done one after the other: starts in that order, stops in the reverse one.
use crate::policy::{Intensity, Restart, Strategy};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub(super) type Id = u64;

/// What is known of a child from the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) restart: Restart,
    pub(super) significant: Significance,
    pub(super) first: First,
}

/// When the end of a child that does not come back is that of its supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Significance {
    Never,
    /// A subtree: when it has failed for good.
    Failed,
    Always,
}

/// What becomes of a child whose first start fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// The supervisor fails.
    Required,
    /// As for any failure, it is tried again.
    Retried,
    /// It ends, and whoever started it learns why.
    Dropped,
}

/// What has happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    Add(Id, Spec),
    /// Its `started` has returned.
    Up(Id),
    /// Its incarnation has ended, and it waits for a word.
    Ended(Id, How),
    /// It has ended for good.
    Gone(Id, How),
    /// It was told to leave, and its handler goes on all the same.
    Stuck(Id),
    /// The back-off of a child has passed.
    Elapsed(Id),
    /// The back-off of a group has passed.
    RoundElapsed,
    /// Somebody wants it to end for good.
    Stop(Id),
    /// Somebody wants it to be made anew.
    Renew(Id),
    /// A subtree has children that were not started yet.
    Busy(Id),
    /// Those that it had were started.
    Settled(Id),
    /// The supervisor above wants the children to be started.
    Start,
    /// The supervisor above wants them to leave.
    Leave,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Normal,
    Failed,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Tell it to begin an incarnation.
    Start(Id),
    /// Tell it to end this incarnation.
    Leave(Id),
    /// Tell it to end for good, whatever it does.
    Close(Id),
    /// Wait before the restart that is this child's fault; the number of failures in a row.
    BackOff(Id, u32),
    /// The same for all that stand still because of it.
    BackOffRound(Id, u32),
    /// It is not waited for any more.
    CancelBackOff(Id),
    CancelRound,
    /// It is not a child any more.
    Forget(Id),
    /// The supervisor above will be told of it, also if it is no child any more by then.
    Blame(Id),
    /// Fail, because of this child: its start failed, or there were too many restarts.
    Fail(Id, Fault),
    /// End normally, because a significant child did.
    Finish,
    /// Tell the supervisor above that all are up.
    ReportUp,
    /// Tell the supervisor above that all stand still; and because of whom, if this was a failure.
    ReportEnded(Option<(Id, Fault)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    FirstStart,
    TooOften,
    /// A significant child that is not restarted has failed.
    Significant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waits for its first start.
    Queued,
    Starting,
    Up,
    /// Told to leave; to be started again.
    Leaving,
    /// Told to leave, and does not.
    Stuck,
    /// Stands still until its group is started.
    Down,
    BackingOff,
    /// Told to end for good.
    Closing,
}

#[derive(Debug)]
struct Child {
    spec: Spec,
    phase: Phase,
    /// Has been up.
    proven: bool,
    /// Failures in a row.
    failures: u32,
    up_since: Duration,
}

/// Children that stop, wait and start together: those with this number and all after it.
#[derive(Debug)]
struct Round {
    from: Id,
    /// Whose fault it is, and how often in a row.
    fault: (Id, u32),
    step: Step,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Stopping(Then),
    BackingOff,
    Starting,
}

/// What follows when all have stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Restart,
    Report(Option<(Id, Fault)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Children are started and restarted.
    Up,
    /// All of them leave, or have left.
    Down,
    /// Failed or finished.
    Over,
}

#[derive(Debug)]
pub(super) struct Plan {
    strategy: Strategy,
    intensity: Intensity,
    /// There is a supervisor above.
    nested: bool,
    mode: Mode,
    reported_up: bool,
    children: BTreeMap<Id, Child>,
    queued: BTreeSet<Id>,
    /// Those that are starting or up.
    running: BTreeSet<Id>,
    starting: BTreeSet<Id>,
    backing_off: BTreeSet<Id>,
    /// Those that were told to leave or to end, and are waited for.
    leaving: BTreeSet<Id>,
    down: BTreeSet<Id>,
    /// The child whose first start is under way.
    first: Option<Id>,
    /// Subtrees that have children waiting for their first start, and how often that was said.
    busy: BTreeMap<Id, u32>,
    round: Option<Round>,
    /// When the restarts of the last period were.
    restarts: VecDeque<Duration>,
    actions: Vec<Action>,
}

impl Plan {
    pub(super) fn new(strategy: Strategy, intensity: Intensity, nested: bool) -> Self {
        Self {
            strategy,
            intensity,
            nested,
            mode: if nested { Mode::Down } else { Mode::Up },
            reported_up: false,
            children: BTreeMap::new(),
            queued: BTreeSet::new(),
            running: BTreeSet::new(),
            starting: BTreeSet::new(),
            backing_off: BTreeSet::new(),
            leaving: BTreeSet::new(),
            down: BTreeSet::new(),
            first: None,
            busy: BTreeMap::new(),
            round: None,
            restarts: VecDeque::new(),
            actions: Vec::new(),
        }
    }

    /// Whether all children that were added have been started once.
    pub(super) fn is_settled(&self) -> bool {
        self.mode == Mode::Up
            && self.queued.is_empty()
            && self.first.is_none()
            && self.round.is_none()
            && self.busy.is_empty()
    }

    /// Takes what has happened at the time `now`, and gives what is to be done, in this order.
    pub(super) fn take(&mut self, input: Input, now: Duration) -> Vec<Action> {
        if self.mode != Mode::Over {
            self.apply(input, now);
            self.advance();
        } else if let Input::Gone(id, _) = input {
            self.remove(id);
        }
        std::mem::take(&mut self.actions)
    }

    fn apply(&mut self, input: Input, now: Duration) {
        match input {
            Input::Add(id, spec) => self.add(id, spec),
            Input::Up(id) => self.up(id, now),
            Input::Ended(id, how) => self.ended(id, how, now),
            Input::Gone(id, how) => self.gone(id, how),
            Input::Stuck(id) => self.stuck(id),
            Input::Elapsed(id) => {
                if self.phase(id) == Some(Phase::BackingOff) {
                    self.start(id);
                }
            }
            Input::RoundElapsed => {
                if let Some(round) = &mut self.round {
                    if round.step == Step::BackingOff {
                        round.step = Step::Starting;
                    }
                }
            }
            Input::Stop(id) => self.stop(id),
            Input::Renew(id) => self.renew(id),
            Input::Busy(id) => {
                if self.children.contains_key(&id) {
                    *self.busy.entry(id).or_default() += 1;
                }
            }
            Input::Settled(id) => {
                if let Some(times) = self.busy.get_mut(&id) {
                    *times -= 1;
                    if *times == 0 {
                        self.busy.remove(&id);
                    }
                }
            }
            Input::Start => {
                if self.mode == Mode::Down && self.round.is_none() {
                    self.mode = Mode::Up;
                    self.reported_up = false;
                    self.round = Some(Round {
                        from: 0,
                        fault: (0, 0),
                        step: Step::Starting,
                    });
                }
            }
            Input::Leave => {
                if self.mode == Mode::Up {
                    self.stand_still(None);
                }
            }
        }
    }

    fn phase(&self, id: Id) -> Option<Phase> {
        self.children.get(&id).map(|child| child.phase)
    }

    /// Notes the phase, and what follows from it for the sets.
    fn set(&mut self, id: Id, phase: Phase) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        child.phase = phase;
        let sets = [
            (&mut self.queued, phase == Phase::Queued),
            (
                &mut self.running,
                matches!(phase, Phase::Starting | Phase::Up),
            ),
            (&mut self.starting, phase == Phase::Starting),
            (&mut self.backing_off, phase == Phase::BackingOff),
            (
                &mut self.leaving,
                matches!(phase, Phase::Leaving | Phase::Closing),
            ),
            (&mut self.down, phase == Phase::Down),
        ];
        for (set, is_member) in sets {
            if is_member {
                set.insert(id);
            } else {
                set.remove(&id);
            }
        }
    }

    fn remove(&mut self, id: Id) {
        // Out of all sets.
        self.set(id, Phase::Stuck);
        self.busy.remove(&id);
        if self.first == Some(id) {
            self.first = None;
        }
        if self.children.remove(&id).is_some() {
            self.actions.push(Action::Forget(id));
        }
    }

    fn add(&mut self, id: Id, spec: Spec) {
        let child = Child {
            spec,
            phase: Phase::Queued,
            proven: false,
            failures: 0,
            up_since: Duration::ZERO,
        };
        self.children.insert(id, child);
        self.queued.insert(id);
    }

    fn start(&mut self, id: Id) {
        self.set(id, Phase::Starting);
        self.actions.push(Action::Start(id));
    }

    fn close(&mut self, id: Id) {
        self.set(id, Phase::Closing);
        self.actions.push(Action::Close(id));
    }

    fn up(&mut self, id: Id, now: Duration) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        child.proven = true;
        child.up_since = now;
        if self.first == Some(id) {
            self.first = None;
        }
        if child.phase == Phase::Starting {
            self.set(id, Phase::Up);
        }
    }

    fn ended(&mut self, id: Id, how: How, now: Duration) {
        let Some(child) = self.children.get(&id) else {
            return;
        };
        match child.phase {
            // Wanted, or to be started with its group in any case.
            Phase::Leaving | Phase::Stuck => {
                if self.stands_still(id) {
                    self.set(id, Phase::Down);
                } else {
                    self.start(id);
                }
            }
            Phase::Starting | Phase::Up => self.restart(id, how, now),
            // Its mailbox is closed, so it ends by itself.
            Phase::Closing => {}
            Phase::Queued | Phase::Down | Phase::BackingOff => {}
        }
    }

    /// Whether the child belongs to those that are not to run now.
    fn stands_still(&self, id: Id) -> bool {
        let round = self.round.as_ref();
        let round = round.filter(|round| round.step != Step::Starting);
        self.mode == Mode::Down || round.is_some_and(|round| id >= round.from)
    }

    /// A child has ended that was not told to.
    fn restart(&mut self, id: Id, how: How, now: Duration) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        if !child.proven && how == How::Failed {
            match child.spec.first {
                First::Required => return self.fail(id, Fault::FirstStart),
                First::Dropped => return self.close(id),
                First::Retried => {}
            }
        }
        if how == How::Normal && child.spec.restart != Restart::Permanent {
            return self.close(id);
        }
        let was_up = child.phase == Phase::Up;
        if was_up && now.saturating_sub(child.up_since) > self.intensity.period() {
            child.failures = 0;
        }
        child.failures = child.failures.saturating_add(1);
        let failures = child.failures;
        if self.stands_still(id) {
            // It is about to be stopped anyhow.
            return self.set(id, Phase::Down);
        }
        if !self.may_restart(now) {
            return self.fail(id, Fault::TooOften);
        }
        let mut from = match self.strategy {
            Strategy::OneForOne => {
                self.set(id, Phase::BackingOff);
                self.actions.push(Action::BackOff(id, failures));
                return;
            }
            Strategy::OneForAll => 0,
            Strategy::RestForOne => id,
        };
        self.set(id, Phase::Down);
        if self.first == Some(id) {
            self.first = None;
        }
        if let Some(round) = &self.round {
            // Those of a round that runs which are not up again must not be left behind.
            let left = self.down.range(round.from..).next().copied();
            from = from.min(left.unwrap_or(from));
            if round.step == Step::BackingOff {
                self.actions.push(Action::CancelRound);
            }
        }
        self.round = Some(Round {
            from,
            fault: (id, failures),
            step: Step::Stopping(Then::Restart),
        });
    }

    /// Whether one more restart is within the limit; notes it.
    fn may_restart(&mut self, now: Duration) -> bool {
        if self.intensity.restarts() == u32::MAX {
            return true;
        }
        let period = self.intensity.period();
        while self
            .restarts
            .front()
            .is_some_and(|at| now.saturating_sub(*at) > period)
        {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= self.intensity.restarts() as usize {
            return false;
        }
        self.restarts.push_back(now);
        true
    }

    /// The supervisor itself fails because of this child.
    fn fail(&mut self, id: Id, fault: Fault) {
        // Without a significant child, to begin again is of no use.
        if self.nested && fault != Fault::Significant {
            self.set(id, Phase::Down);
            self.actions.push(Action::Blame(id));
            self.stand_still(Some((id, fault)));
        } else {
            self.mode = Mode::Over;
            self.actions.push(Action::Fail(id, fault));
        }
    }

    /// All children leave; then the supervisor above is told.
    fn stand_still(&mut self, fault: Option<(Id, Fault)>) {
        self.mode = Mode::Down;
        for id in std::mem::take(&mut self.backing_off) {
            self.actions.push(Action::CancelBackOff(id));
            self.set(id, Phase::Down);
        }
        let step = self.round.as_ref().map(|round| &round.step);
        if step == Some(&Step::BackingOff) {
            self.actions.push(Action::CancelRound);
        }
        // A first start that is broken off comes again with the others.
        self.first = None;
        self.restarts.clear();
        for child in self.children.values_mut() {
            child.failures = 0;
        }
        self.round = Some(Round {
            from: 0,
            fault: (0, 0),
            step: Step::Stopping(Then::Report(fault)),
        });
    }

    fn gone(&mut self, id: Id, how: How) {
        let Some(child) = self.children.get(&id) else {
            return;
        };
        let spec = child.spec;
        let wanted = matches!(child.phase, Phase::Closing);
        let first = !child.proven && how == How::Failed;
        if child.phase == Phase::BackingOff {
            self.actions.push(Action::CancelBackOff(id));
        }
        if !wanted && first && spec.first == First::Required && spec.restart != Restart::Temporary {
            self.fail(id, Fault::FirstStart);
        } else if !wanted {
            match (spec.significant, how) {
                (Significance::Always, How::Normal) => {
                    self.mode = Mode::Over;
                    self.actions.push(Action::Finish);
                }
                (Significance::Always | Significance::Failed, How::Failed) => {
                    self.fail(id, Fault::Significant);
                }
                (Significance::Never, _) | (Significance::Failed, How::Normal) => {}
            }
        }
        self.remove(id);
    }

    fn stuck(&mut self, id: Id) {
        match self.phase(id) {
            Some(Phase::Leaving) => self.set(id, Phase::Stuck),
            Some(Phase::Closing) => self.remove(id),
            _ => {}
        }
    }

    fn stop(&mut self, id: Id) {
        match self.phase(id) {
            None | Some(Phase::Closing) => {}
            Some(Phase::BackingOff) => {
                self.actions.push(Action::CancelBackOff(id));
                self.close(id);
            }
            Some(_) => self.close(id),
        }
    }

    fn renew(&mut self, id: Id) {
        match self.phase(id) {
            Some(Phase::Up | Phase::Starting) => {
                self.set(id, Phase::Leaving);
                self.actions.push(Action::Leave(id));
            }
            Some(Phase::BackingOff) => {
                self.actions.push(Action::CancelBackOff(id));
                self.start(id);
            }
            _ => {}
        }
    }

    /// Does what can be done now.
    fn advance(&mut self) {
        if self.mode == Mode::Over {
            return;
        }
        while self.step_round() {}
        if self.mode != Mode::Up || self.round.is_some() {
            return;
        }
        if self.first.is_none() {
            if let Some(&id) = self.queued.first() {
                let waits_for = self.busy.first_key_value();
                if waits_for.is_none_or(|(&busy, _)| busy >= id) {
                    self.first = Some(id);
                    self.start(id);
                }
            }
        }
        if self.nested && !self.reported_up && self.is_settled() {
            self.reported_up = true;
            self.actions.push(Action::ReportUp);
        }
    }

    /// Takes the round one step further, if it can go on.
    fn step_round(&mut self) -> bool {
        let Some(round) = &mut self.round else {
            return false;
        };
        let from = round.from;
        match round.step {
            Step::Stopping(then) => {
                if self.leaving.range(from..).next().is_some() {
                    return false;
                }
                if let Some(&last) = self.running.range(from..).next_back() {
                    self.tell_to_leave(last);
                    return false;
                }
                match then {
                    Then::Restart => {
                        round.step = Step::BackingOff;
                        let (id, failures) = round.fault;
                        self.actions.push(Action::BackOffRound(id, failures));
                    }
                    Then::Report(fault) => {
                        self.round = None;
                        self.actions.push(Action::ReportEnded(fault));
                    }
                }
                false
            }
            Step::BackingOff => false,
            Step::Starting => {
                // One that has failed meanwhile is waited for, too: the order of starts holds.
                let unfinished = [&self.starting, &self.backing_off];
                if unfinished
                    .iter()
                    .any(|set| set.range(from..).next().is_some())
                {
                    return false;
                }
                match self.down.range(from..).next() {
                    Some(&id) => self.start(id),
                    None => self.round = None,
                }
                true
            }
        }
    }

    /// One that stops with its group: those that are never restarted end.
    fn tell_to_leave(&mut self, id: Id) {
        let restart = self.children.get(&id).map(|child| child.spec.restart);
        if restart == Some(Restart::Temporary) {
            self.close(id);
        } else {
            self.set(id, Phase::Leaving);
            self.actions.push(Action::Leave(id));
        }
    }
}
