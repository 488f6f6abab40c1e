//! Waiting for a future from code that is not asynchronous.
use crate::guest::{NoGuests, is_guest};
use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
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
    if Handle::try_current().is_err() {
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

/// How long a thread looks for what it waits for before it sleeps.
const LOOK: Duration = Duration::from_micros(50);
/// How often it looks before it first lets others run.
const LOOKS: usize = 16;
/// How many waits in a row go without a look at most, as a power of two.
const BLIND: u32 = 8;

/// How it went with the last looks of a thread.
#[derive(Clone, Copy)]
struct Luck {
    /// How many looks in a row were in vain.
    misses: u32,
    /// How many waits go without one now.
    blind: u32,
}

const GOOD_LUCK: Luck = Luck {
    misses: 0,
    blind: 0,
};

thread_local! {
    static LUCK: Cell<Luck> = const { Cell::new(GOOD_LUCK) };
}

/// Looks for something for a short while, so that nobody need wake this thread for it: to fall asleep
/// and be woken takes longer than a short job. False: it has not come, and it is time to sleep.
///
/// This pays where what it waits for is being made in this moment, on another core or, as it yields,
/// on this one. Where it is not, or where others keep the cores busy, it only comes later for it. So
/// each look that took too long, whether in vain or not, doubles the number of waits that go without
/// one; what is lost is less than a microsecond of each wait, in the long run.
pub fn look(there: impl Fn() -> bool) -> bool {
    static PAYS: OnceLock<bool> = OnceLock::new();
    let luck = LUCK.get();
    if let Some(blind) = luck.blind.checked_sub(1) {
        LUCK.set(Luck { blind, ..luck });
        return false;
    }
    let pays = || thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    if !*PAYS.get_or_init(pays) {
        return false;
    }
    for _ in 0..LOOKS {
        if there() {
            LUCK.set(GOOD_LUCK);
            return true;
        }
        std::hint::spin_loop();
    }
    let began = std::time::Instant::now();
    loop {
        thread::yield_now();
        let there = there();
        if began.elapsed() >= LOOK {
            let misses = (luck.misses + 1).min(BLIND);
            let blind = 1 << misses;
            LUCK.set(Luck { misses, blind });
            return there;
        }
        if there {
            LUCK.set(GOOD_LUCK);
            return true;
        }
    }
}

/// Wakes a thread that waits.
struct Unpark {
    thread: Thread,
    /// For the thread to see it without having slept. The park's own token is left over then, and
    /// ends a later sleep too early, which does no harm.
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // `Release`: who sees it sees what it is woken for.
        self.woken.store(true, Ordering::Release);
        // Costs little where the thread does not sleep.
        self.thread.unpark();
    }
}

thread_local! {
    /// This thread waits for a future, and looks at the clock by itself.
    static WAITS: Cell<bool> = const { Cell::new(false) };
}

/// Whose timers a future uses that is polled here. `None`: it needs none, or the operating system
/// refuses a thread for them.
///
/// Those of the runtime, if there is one, or [those apart](timers_apart) for who is polled elsewhere.
pub(crate) fn timers() -> Option<Handle> {
    if let Ok(runtime) = Handle::try_current() {
        return Some(runtime);
    }
    if WAITS.get() {
        return None;
    }
    timers_apart()
}

/// The timers of a thread of their own, which all share. `None`: the operating system refuses it.
pub fn timers_apart() -> Option<Handle> {
    static APART: OnceLock<Option<Handle>> = OnceLock::new();
    APART.get_or_init(start_timers).clone()
}

fn start_timers() -> Option<Handle> {
    let runtime = Builder::new_current_thread().enable_time().build();
    let started = runtime.and_then(|runtime| {
        let handle = runtime.handle().clone();
        let thread = thread::Builder::new().name("actors-timers".into());
        thread.spawn(move || runtime.block_on(pending::<()>()))?;
        Ok(handle)
    });
    if let Err(error) = &started {
        tracing::error!(%error, "no thread for timers apart");
    }
    started.ok()
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
    /// Puts the flag back also when the future panics.
    struct Waits(bool);
    impl Drop for Waits {
        fn drop(&mut self) {
            WAITS.set(self.0);
        }
    }
    let _guests = NoGuests::enter();
    let _waits = Waits(WAITS.replace(true));
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        look(|| unpark.woken.load(Ordering::Relaxed));
        // The flag is set before the token, so no sleep begins between a wake-up and its notice.
        while !unpark.woken.swap(false, Ordering::Acquire) {
            match until() {
                None => thread::park(),
                Some(time) => {
                    thread::park_timeout(time.saturating_duration_since(Instant::now()));
                    break;
                }
            }
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
