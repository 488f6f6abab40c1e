//! `Watch`: what goes on while an ask waits.
use crate::blocking;
use crate::cell::Cell;
use crate::circle;
use crate::error::{AskError, DeadlockPath};
use crate::mailbox::{Abandoned, Call, Deadline, InLine, Pending, Turn, Wait, Waits, current};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// What goes on while an ask waits: its timer, and the note that an actor waits for another.
#[derive(Default)]
pub(crate) struct Watch {
    target: u64,
    /// The waits of the actor that asks, if it is one, and its key for this one.
    pub(super) waits: Option<Arc<Waits>>,
    key: u64,
    pub(super) deadline: Deadline,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    /// For a wait for the actor with this number.
    pub(crate) fn of(target: u64) -> Self {
        let mut watch = Self::default();
        watch.begin(target);
        watch
    }

    /// For a reply that nobody in a handler waits for.
    pub(super) fn of_outside(target: u64) -> Self {
        Self {
            target,
            waits: None,
            key: 0,
            deadline: Deadline::NONE,
            timer: None,
        }
    }

    /// Settles who asks whom. Gives the deadline that the asker has itself.
    pub(super) fn begin(&mut self, target: u64) -> Deadline {
        self.target = target;
        current(|turn| {
            let Some(turn) = turn else {
                return Deadline::NONE;
            };
            self.ask_as(turn);
            self.deadline = self.deadline.min(turn.deadline());
            turn.deadline()
        })
    }

    fn ask_as(&mut self, me: &Turn) {
        let waits = me.waits();
        self.key = waits.new_key();
        self.waits = Some(Arc::clone(waits));
    }

    /// Sets the deadline, unless an earlier one is set.
    pub(super) fn give_up_after(&mut self, limit: Option<Duration>) {
        if let Some(time) = limit.and_then(|limit| Instant::now().checked_add(limit)) {
            self.deadline = self.deadline.min(Deadline::at(time));
        }
    }

    pub(super) fn write_on<R>(&self, call: &mut Call<'_, R, Cell>) {
        call.draft()
            .address(self.waits.clone(), self.key, self.deadline);
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

    /// What has become of an ask that has a result, or that has waited long enough.
    #[cold]
    pub(super) fn result<R>(&mut self, pending: Pending<R>) -> Result<R, AskError> {
        self.over();
        if pending.is_ready() {
            return pending.take();
        }
        match pending.abandon() {
            Abandoned::Done(result) => result,
            Abandoned::Withdrawn => Err(AskError::TimedOut {
                may_have_run: false,
            }),
            Abandoned::Running => Err(AskError::TimedOut { may_have_run: true }),
        }
    }

    /// Ready when the deadline has passed.
    #[inline]
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.deadline.is_some() {
            return Poll::Pending;
        }
        let Some(time) = self.deadline.time() else {
            return Poll::Pending;
        };
        if time <= Instant::now() {
            return Poll::Ready(());
        }
        let timer = match &mut self.timer {
            Some(timer) => timer,
            timer => {
                let Some(timers) = blocking::timers() else {
                    return Poll::Pending;
                };
                let _entered = timers.enter();
                timer.insert(Box::pin(tokio::time::sleep_until(time)))
            }
        };
        if timer.deadline() != time {
            timer.as_mut().reset(time);
        }
        timer.as_mut().poll(cx)
    }
}

impl Drop for Watch {
    #[inline]
    fn drop(&mut self) {
        self.over();
    }
}
