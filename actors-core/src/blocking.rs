//! Waiting for a future from code that is not asynchronous.
use crate::guest::{NoGuests, is_guest};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use tokio::time::Instant;

/// More than any task may do before tokio wants it to pause (its budget is 128).
const MORE_THAN_A_BUDGET: usize = 256;

/// Whether this thread may wait: it runs no asynchronous task.
///
/// A thread that knows a runtime need not run a task of it: `spawn_blocking`, `block_in_place`
/// and `Handle::enter` leave blocking allowed. Tokio does not say which is the case, but gives a
/// budget only to what runs as a task: where steps without end are granted, nothing does.
pub(crate) fn may_block() -> bool {
    if is_guest() {
        return false;
    }
    if tokio::runtime::Handle::try_current().is_err() {
        return true;
    }
    let mut cx = Context::from_waker(Waker::noop());
    let mut steps = Vec::with_capacity(MORE_THAN_A_BUDGET);
    for _ in 0..MORE_THAN_A_BUDGET {
        match tokio::task::coop::poll_proceed(&mut cx) {
            Poll::Ready(step) => steps.push(step),
            Poll::Pending => break,
        }
    }
    let granted = steps.len();
    // Each step gives its part of the budget back when dropped; the first one gives back all.
    while steps.pop().is_some() {}
    granted == MORE_THAN_A_BUDGET
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for the future on this thread. `None`: it may not block, and nothing was done.
pub fn block_on_this_thread<F: Future>(future: F) -> Option<F::Output> {
    may_block().then(|| block_on_until(future, || None))
}

/// Waits for the future on this thread. It is polled again when the time that `until` tells comes.
pub(crate) fn block_on_until<F: Future>(
    future: F,
    until: impl Fn() -> Option<Instant>,
) -> F::Output {
    let _guests = NoGuests::enter();
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        match until() {
            None => thread::park(),
            Some(time) => thread::park_timeout(time.saturating_duration_since(Instant::now())),
        }
    }
}

/// The same, for at most this long.
pub(crate) fn block_on_timeout<F: Future>(
    future: F,
    limit: Duration,
    until: impl Fn() -> Option<Instant>,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let end = Instant::now().checked_add(limit);
    let timed = poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if end.is_some_and(|end| end <= Instant::now()) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    block_on_until(timed, || until().into_iter().chain(end).min())
}
