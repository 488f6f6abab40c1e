//! Timers: messages to oneself, later.
use crate::actor::Message;
use crate::cell::Context;
use crate::message::MessageFor;
use crate::recipient::Recipient;
use std::fmt;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// A timer of an actor. Dropping the handle leaves the timer running; it ends with its actor.
#[derive(Clone)]
pub struct Timer {
    task: AbortHandle,
}

impl Timer {
    /// Stops the timer. A tick that waits in the mailbox is withdrawn; one that is being handled
    /// is told, as by [`Context::cancelled`].
    pub fn cancel(&self) {
        self.task.abort();
    }

    /// Whether nothing more will come.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("finished", &self.is_finished())
            .finish()
    }
}

impl<A: 'static> Context<A> {
    /// Sends a message to the actor itself after `delay` of tokio's time. Never fails for lack of
    /// room. The timer counts as something to do: until it has fired, the actor does not stop for
    /// want of addresses. A delay that is too long for a clock is as good as for ever.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime. One without time enabled panics in the timer, which is told as
    /// [`Event::TaskPanicked`](crate::Event).
    pub fn notify_after<M, On>(&self, delay: Duration, msg: M) -> Timer
    where
        M: MessageFor<A, On>,
    {
        let to = self.addr().recipient::<M, On>();
        let at = after(Instant::now(), delay);
        self.timer(async move {
            sleep_until(at).await;
            tick(&to, msg).await;
        })
    }

    /// Sends what `make` makes to the actor itself, every `period` of tokio's time, the first time
    /// one period from now.
    ///
    /// At most one tick waits at a time: while the actor is busy for longer than a period, ticks
    /// are left out, and the next comes at the next multiple of the period. The timer keeps the
    /// actor from stopping for want of addresses. If `make` panics the timer ends, which is told as
    /// [`Event::TaskPanicked`](crate::Event).
    ///
    /// # Panics
    ///
    /// When the period is zero, or outside of a tokio runtime; as for
    /// [`notify_after`](Self::notify_after).
    pub fn notify_every<M, On>(
        &self,
        period: Duration,
        mut make: impl FnMut() -> M + Send + 'static,
    ) -> Timer
    where
        M: MessageFor<A, On>,
    {
        assert!(!period.is_zero(), "the period of a timer must not be zero");
        let to = self.addr().recipient::<M, On>();
        let mut at = after(Instant::now(), period);
        self.timer(async move {
            loop {
                sleep_until(at).await;
                if !tick(&to, make()).await {
                    return;
                }
                at = next_tick(at, period, Instant::now());
            }
        })
    }

    fn timer(&self, task: impl Future<Output = ()> + Send + 'static) -> Timer {
        Timer {
            task: self.task(task),
        }
    }
}

/// So much later; what is too far away for a clock is as good as never.
fn after(time: Instant, delay: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
    time.checked_add(delay).unwrap_or_else(|| time + NEVER)
}

/// When the tick after the one of `last` is due. Not a tokio interval: that makes up for the last of
/// the ticks that were missed, at once.
fn next_tick(last: Instant, period: Duration, now: Instant) -> Instant {
    let next = after(last, period);
    let late = now.saturating_duration_since(next).as_nanos() % period.as_nanos();
    match (next < now, u64::try_from(late)) {
        (true, Ok(late)) if late > 0 => now + (period - Duration::from_nanos(late)),
        (true, _) => now,
        (false, _) => next,
    }
}

/// Posts a tick and waits until it was handled: so that it is withdrawn when the timer is
/// cancelled. False: the actor has ended, or is about to.
async fn tick<M: Message>(to: &Recipient<M>, msg: M) -> bool {
    match to.post_own(msg) {
        Some(reply) => {
            let _ = reply.await;
            true
        }
        None => false,
    }
}
