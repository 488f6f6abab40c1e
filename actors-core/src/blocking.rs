//! Waiting for a future from code that is not asynchronous.
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// More than any task may do before tokio wants it to pause (its budget is 128).
const MORE_THAN_A_BUDGET: usize = 256;

/// Whether this thread may wait: it runs no asynchronous task.
///
/// A thread that knows a runtime need not run a task of it: `spawn_blocking`, `block_in_place`
/// and `Handle::enter` leave blocking allowed. Tokio does not say which is the case, but gives a
/// budget only to what runs as a task: where steps without end are granted, nothing does.
pub(crate) fn may_block() -> bool {
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

/// Waits for the future on this thread. It is polled again when the time that `until` tells comes.
pub(crate) fn block_on_until<F: Future>(
    future: F,
    until: impl Fn() -> Option<tokio::time::Instant>,
) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        match until() {
            None => thread::park(),
            Some(time) => thread::park_timeout(time.duration_since(tokio::time::Instant::now())),
        }
    }
}

/// Waits for the future on this thread, for at most this long.
pub(crate) fn block_on_timeout<F: Future>(future: F, limit: Duration) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let until = Instant::now().checked_add(limit);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        match until.map(|until| until.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => thread::park_timeout(left),
        }
    }
}
