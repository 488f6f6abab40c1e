//! `Watch`: what goes on while an ask waits.
use crate::alarm::{Alarm, NotSet};
use crate::cell::Cell;
use crate::circle;
use crate::error::{AskError, DeadlockPath};
use crate::mailbox::{
    Abandoned, Call, Deadline, InLine, Limit, Pending, Posted, Turn, Wait, Waits, current,
};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Writes on a message who asks and until when, and notes that an actor that asks waits for the answer.
///
/// # Errors
///
/// `TimedOut` when the deadline that the asker has itself has passed, `Deadlock` with the circle that the wait
/// would close; then nothing is noted.
pub(super) fn address_and_wait<R>(
    call: &mut Call<'_, R, Cell>,
    me: Option<&Turn>,
    limit: Limit,
) -> Result<Deadline, AskError> {
    let deadline = deadline(me, limit)?;
    let Some(me) = me else {
        call.draft().address(None, 0, deadline);
        return Ok(deadline);
    };
    let other = call.tx().queue().turn();
    let waits = me.waits();
    let wait = Wait {
        key: waits.new_key(),
        target: other.actor(),
        ticket: 0,
    };
    let asker = Some(Arc::clone(waits));
    call.draft().address(asker, wait.key, deadline);
    waits.note(wait);
    // Mostly the other waits for nobody, and there is nothing to follow.
    if wait.target == me.actor() || other.waits_if_any().is_some_and(|all| !all.is_empty()) {
        if let Some(path) = circle::find(me.actor(), wait.target) {
            waits.strike_out(wait.key);
            return Err(deadlock(path));
        }
    }
    Ok(deadline)
}

/// Until when an ask is to be answered: what the asker has itself, or sooner.
fn deadline(me: Option<&Turn>, limit: Limit) -> Result<Deadline, AskError> {
    let inherited = me.map_or(Deadline::NONE, Turn::deadline);
    if limit == Limit::default() && !inherited.is_some() {
        return Ok(Deadline::NONE);
    }
    let now = Deadline::now();
    if inherited.is_some() && inherited <= now {
        return Err(AskError::TimedOut {
            may_have_run: false,
        });
    }
    Ok(now.after(limit).sooner(inherited))
}

pub(super) fn deadlock(path: DeadlockPath) -> AskError {
    AskError::Deadlock {
        path,
        may_have_run: false,
    }
}

/// The timer of an ask.
#[derive(Default)]
pub(super) struct Timer {
    deadline: Deadline,
    alarm: Option<Alarm>,
}

impl Timer {
    pub(super) fn new(deadline: Deadline) -> Self {
        let alarm = None;
        Self { deadline, alarm }
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Ready when the deadline has passed.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Looked at each time: who polls may wait for it by other means.
        if self.deadline.has_come() {
            return Poll::Ready(());
        }
        let alarm = self.alarm.as_ref();
        if alarm.is_some_and(|alarm| alarm.is_set_for(self.deadline, cx.waker())) {
            return Poll::Pending;
        }
        self.start(cx)
    }

    /// The same for a deadline that has just been set.
    #[inline]
    pub(super) fn start(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.deadline.is_some() {
            return Poll::Pending;
        }
        match Alarm::set(self.deadline, cx.waker()) {
            Ok(alarm) => {
                self.alarm = Some(alarm);
                Poll::Pending
            }
            Err(NotSet::HasCome) => Poll::Ready(()),
            Err(NotSet::NoTimers) => Poll::Pending,
        }
    }
}

/// What goes on while an ask waits: its timer, and the note that an actor waits for another.
#[derive(Default)]
pub(crate) struct Watch {
    target: u64,
    /// The waits of the actor that asks, if it is one, and its key for this one.
    waits: Option<Arc<Waits>>,
    key: u64,
    pub(super) timer: Timer,
}

impl Watch {
    /// For a wait for the actor with this number.
    pub(crate) fn of(target: u64) -> Self {
        let mut watch = Self::default();
        current(|me| watch.begin(target, me));
        watch
    }

    /// For a new wait, until then.
    pub(super) fn until(deadline: Deadline) -> Self {
        let mut watch = Self::default();
        watch.timer.deadline = deadline;
        watch
    }

    /// For an ask that was sent, and what is noted of it, if something is.
    pub(super) fn of_sent<R>(sent: &Posted<'_, R, Cell>, deadline: Deadline) -> Self {
        let mut watch = Self::until(deadline);
        watch.target = sent.tx().queue().actor();
        if let Some((waits, key)) = sent.asker() {
            watch.waits = Some(Arc::clone(waits));
            watch.key = key;
        }
        watch
    }

    /// For a reply that nobody in a handler waits for.
    pub(super) fn of_outside(target: u64) -> Self {
        let mut watch = Self::default();
        watch.target = target;
        watch
    }

    /// Settles who asks whom until when, and writes it on the message.
    ///
    /// # Errors
    ///
    /// `TimedOut` when the deadline that the asker has itself has passed.
    pub(super) fn address<R>(
        &mut self,
        call: &mut Call<'_, R, Cell>,
        limit: Limit,
    ) -> Result<(), AskError> {
        current(|me| {
            self.timer.deadline = self.timer.deadline.sooner(deadline(me, limit)?);
            self.begin(call.tx().queue().actor(), me);
            Ok(())
        })?;
        self.write_on(call);
        Ok(())
    }

    /// The same, also when that has passed. Sets a deadline that may have passed.
    pub(super) fn address_late<R>(
        &mut self,
        call: &mut Call<'_, R, Cell>,
        limit: Option<Duration>,
    ) {
        current(|me| {
            self.begin(call.tx().queue().actor(), me);
            self.timer.deadline = me.map_or(Deadline::NONE, Turn::deadline);
        });
        self.give_up_after(limit);
        self.write_on(call);
    }

    /// Settles who asks whom.
    fn begin(&mut self, target: u64, me: Option<&Turn>) {
        self.target = target;
        if let Some(me) = me {
            self.ask_as(me);
        }
    }

    fn ask_as(&mut self, me: &Turn) {
        let waits = me.waits();
        self.key = waits.new_key();
        self.waits = Some(Arc::clone(waits));
    }

    /// Sets the deadline, unless an earlier one is set.
    pub(super) fn give_up_after(&mut self, limit: Option<Duration>) {
        if let Some(limit) = limit {
            let end = Deadline::now().after(Limit::of(limit));
            self.timer.deadline = self.timer.deadline.sooner(end);
        }
    }

    fn write_on<R>(&self, call: &mut Call<'_, R, Cell>) {
        let (asker, deadline) = (self.waits.clone(), self.timer.deadline);
        if asker.is_some() || deadline.is_some() {
            call.draft().address(asker, self.key, deadline);
        }
    }

    /// Notes, inside of a handler, that its actor waits for the target to answer.
    ///
    /// # Errors
    ///
    /// The circle that this closes, if it does; then nothing is noted.
    #[inline]
    pub(crate) fn wait(&mut self) -> Result<(), DeadlockPath> {
        current(|me| me.map_or(Ok(()), |me| self.wait_as(me, 0)))
    }

    /// The same for room in the target's mailbox, at this place in the line.
    pub(crate) fn wait_for_room(&mut self, place: &InLine<'_>) -> Result<(), DeadlockPath> {
        current(|me| me.map_or(Ok(()), |me| self.wait_as(me, place.ticket())))
    }

    fn wait_as(&mut self, me: &Turn, ticket: u64) -> Result<(), DeadlockPath> {
        if self
            .waits
            .as_ref()
            .is_none_or(|waits| waits.actor() != me.actor())
        {
            // Carried here from elsewhere.
            self.over();
            self.ask_as(me);
        }
        let waits = me.waits();
        let target = waits.answers(self.key, self.target);
        let wait = Wait {
            key: self.key,
            target: self.target,
            ticket,
        };
        if waits.is_noted(self.key) {
            // Noted before, and looked at then; or what it waits for is another thing now.
            if waits.all().contains(&Wait { target, ..wait }) {
                return Ok(());
            }
            waits.strike_out(self.key);
        }
        waits.note(wait);
        match circle::find(me.actor(), target) {
            None => Ok(()),
            Some(path) => {
                self.over();
                Err(path)
            }
        }
    }

    /// The wait has ended.
    #[inline]
    pub(super) fn over(&mut self) {
        if let Some(waits) = self.waits.take() {
            waits.strike_out(self.key);
        }
    }
}

impl Drop for Watch {
    #[inline]
    fn drop(&mut self) {
        self.over();
    }
}

/// What has become of an ask that has waited long enough.
#[cold]
pub(super) fn given_up<R>(pending: Pending<R>) -> Result<R, AskError> {
    match pending.abandon() {
        Abandoned::Done(result) => result,
        Abandoned::Withdrawn => Err(AskError::TimedOut {
            may_have_run: false,
        }),
        Abandoned::Running => Err(AskError::TimedOut { may_have_run: true }),
    }
}
