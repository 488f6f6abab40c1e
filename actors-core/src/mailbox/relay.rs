//! `Relay`: tasks that poll the actors which handlers wake, one right after the other, in place of
//! their own tasks. So a message that goes from actor to actor passes through none of the runtime's queues,
//! nor does it wake another thread after each few steps.
//!
//! It is for small steps that follow one another: a wake-up that costs more than what it is for. Where
//! steps are not tiny, they might as well run at the same time, and [their tasks are woken](Relay::pays).
//!
//! # Nobody is left behind
//!
//! Those in `next` have nobody else who wakes them. So while there are some, a runner has been called
//! that is not in a handler: this might block its thread, by `block_in_place`. There are two runners for
//! that: while one of them works and others are next, the other one is called. The runtime polls it when the
//! first is done, or blocked, or before that if another thread has nothing to do. Where both are in handlers,
//! the tasks of those that are next are woken.
//!
//! A runner that is `busy` may be in a handler. It says so, and that it is not `called` any more, before it looks into
//! `next`; who has put something there asks both afterwards. The lock of `next` puts these in order:
//! either the runner finds it, or who has put it there learns. `closed` is alike.
//!
//! # Who may touch what
//!
//! Those in `next` are counted references. Whoever takes one out takes the turn of the drain, or wakes the task.
//! `RUNNING` holds a pointer only while that runner is polled on this thread.
use super::clock::{SLICE, ticks};
use super::lend::{Home, Kept, Lend, home};
use super::lock::{Mutex, lock};
use super::sync::SetOnce;
use super::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use super::turn;
use Ordering::Relaxed;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::runtime::Handle;
use tokio::task::coop;

/// So many may be next.
const AT_MOST: usize = 32;
/// How long a runner goes on, in ticks of the clock: well below a tenth of a millisecond on most machines. The
/// runtime looks at timers and sockets after some 60 polls.
const STINT: u32 = SLICE / 16;
/// Who takes longer than this holds up the others: some 4 to 20 microseconds.
const QUICK: u32 = SLICE / 300;
/// A message that takes longer than this, with all that belongs to it, costs more than a wake-up saves:
/// some 200 to 800 nanoseconds.
const TINY: u32 = SLICE / 4000;
/// Two that are woken within this time are near: some 1 to 6 microseconds.
const NEAR: u32 = SLICE / 500;
/// So many are woken as usual, one near the other, before a relay is used.
const WARM_UP: u8 = 3;
/// What one that is not tiny counts, when each that is counts -1; and when they are too many.
const NOT_TINY: u32 = 8;
const TOO_MANY: u32 = 64;
/// When they were, so many are woken as usual before the next try.
const RESTS: u32 = 1024;

/// Relays are used wherever that is possible.
static ALWAYS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// From now on relays are used wherever that is possible, and not only where it pays. For tests.
pub fn always() {
    ALWAYS.store(true, std::sync::atomic::Ordering::Relaxed);
}

#[inline]
fn is_always() -> bool {
    cfg!(actors_loom) || ALWAYS.load(std::sync::atomic::Ordering::Relaxed)
}

/// See the head of the file.
pub(super) struct Relay {
    next: Mutex<VecDeque<Kept>>,
    runners: [Calls; 2],
    closed: AtomicBool,
    home: Home,
    /// Goes up with those that are not tiny.
    score: AtomicU32,
    /// For how many more it is not begun.
    rests: AtomicU32,
}

/// How a runner is called.
struct Calls {
    /// Set at its first poll, for which nobody has to call it.
    waker: SetOnce<Waker>,
    /// It will be polled.
    called: AtomicBool,
    /// It is being polled.
    busy: AtomicBool,
}

/// What a task of a relay does.
pub(super) struct Runner {
    relay: Arc<Relay>,
    me: usize,
}

#[cfg(not(actors_loom))]
thread_local! {
    /// The runner that this thread polls.
    static RUNNING: Cell<*const Runner> = const { Cell::new(ptr::null()) };
    static HERE: RefCell<Here> = const { RefCell::new(Here::NEW) };
}

// Loom's threads share one of the system's.
#[cfg(actors_loom)]
loom::thread_local! {
    static RUNNING: Cell<*const Runner> = Cell::new(ptr::null());
    static HERE: RefCell<Here> = RefCell::new(Here::NEW);
}

/// What a thread knows of handlers that wake actors, where no runner runs them.
struct Here {
    relay: Option<Arc<Relay>>,
    /// When the last one was woken.
    last: u32,
    /// How many were woken near each other.
    near: u8,
}

/// Has an actor polled after the handler that this thread runs. False: its task is to be woken.
#[inline]
pub(super) fn pass(lend: &Lend) -> bool {
    if turn::current_actor() == 0 {
        return false;
    }
    let running = RUNNING.with(Cell::get);
    // SAFETY: not null only while that runner is polled on this thread, further up the stack.
    match unsafe { running.as_ref() } {
        Some(runner) => runner.pass(lend),
        None => {
            // At the thread's end it may be gone.
            let passed =
                HERE.try_with(|here| here.try_borrow_mut().map(|mut here| here.pass(lend)));
            matches!(passed, Ok(Ok(true)))
        }
    }
}

impl Here {
    const NEW: Self = Self {
        relay: None,
        last: 0,
        near: 0,
    };

    fn pass(&mut self, lend: &Lend) -> bool {
        let rests = |relay: &Arc<Relay>| relay.rests();
        if !is_always() && (!self.is_warm() || self.relay.as_ref().is_some_and(rests)) {
            return false;
        }
        let (Some(lent), Some(relay)) = (lend.to_relay(), self.relay()) else {
            return false;
        };
        lent.home() == relay.home && relay.pass(lent.keep())
    }

    /// Whether one follows the other so quickly that a relay may pay.
    fn is_warm(&mut self) -> bool {
        let now = ticks();
        let is_near = now.wrapping_sub(self.last) < NEAR;
        self.last = now;
        self.near = if is_near {
            self.near.saturating_add(1)
        } else {
            0
        };
        self.near > WARM_UP
    }

    /// The relay of this thread in the runtime that it is in.
    fn relay(&mut self) -> Option<&Relay> {
        let home = home()?;
        let known = self.relay.as_ref();
        if known.is_none_or(|relay| relay.home != Some(home) || relay.is_closed()) {
            let handle = Handle::try_current().ok()?;
            let relay = Relay::new(Some(home));
            for runner in Relay::runners(&relay) {
                handle.spawn(runner);
            }
            self.leave();
            self.relay = Some(relay);
        }
        self.relay.as_deref()
    }

    fn leave(&mut self) {
        if let Some(relay) = self.relay.take() {
            relay.close();
        }
    }
}

impl Drop for Here {
    /// The thread ends, and the runtime may live on.
    fn drop(&mut self) {
        self.leave();
    }
}

impl Relay {
    pub(super) fn new(home: Home) -> Arc<Self> {
        let calls = || Calls {
            waker: SetOnce::new(),
            called: AtomicBool::new(true),
            busy: AtomicBool::new(false),
        };
        Arc::new(Self {
            next: Mutex::new(VecDeque::with_capacity(AT_MOST)),
            runners: [calls(), calls()],
            closed: AtomicBool::new(false),
            home,
            score: AtomicU32::new(0),
            rests: AtomicU32::new(0),
        })
    }

    /// Both are to be polled, as tasks of their own.
    pub(super) fn runners(relay: &Arc<Self>) -> [Runner; 2] {
        [0, 1].map(|me| Runner {
            relay: Arc::clone(relay),
            me,
        })
    }

    /// Has an actor polled by a runner. False: there are too many. Not called by a runner.
    pub(super) fn pass(&self, kept: Kept) -> bool {
        let [first, second] = &self.runners;
        self.put(kept, || first.call() || second.call())
    }

    /// `call` calls a runner, if there is one that is not busy.
    #[inline]
    fn put(&self, kept: Kept, call: impl FnOnce() -> bool) -> bool {
        {
            let mut next = lock(&self.next);
            if next.len() == AT_MOST {
                return false;
            }
            next.push_back(kept);
        }
        if !call() || self.is_closed() {
            self.wake_all();
        }
        true
    }

    /// Who is next, and whether others are.
    #[inline]
    fn take(&self) -> Option<(Kept, bool)> {
        let mut next = lock(&self.next);
        let kept = next.pop_front()?;
        Some((kept, !next.is_empty()))
    }

    /// Wakes the tasks of those that are next.
    #[cold]
    fn wake_all(&self) {
        while let Some((kept, _)) = self.take() {
            kept.wake();
        }
    }

    /// Notes whether one was tiny. False: so many are not that a relay does not pay.
    ///
    /// The numbers are guesses at times, and only how fast it is depends on them: so several threads
    /// may overwrite each other's.
    #[inline]
    fn pays(&self, is_tiny: bool) -> bool {
        let score = self.score.load(Relaxed);
        if is_tiny {
            if score > 0 {
                self.score.store(score - 1, Relaxed);
            }
            return true;
        }
        let pays = score < TOO_MANY;
        let score = if pays { score + NOT_TINY } else { 0 };
        self.score.store(score, Relaxed);
        if !pays {
            self.rests.store(RESTS, Relaxed);
        }
        pays
    }

    /// Whether it is not to be begun: it did not pay lately, or it is at work.
    fn rests(&self) -> bool {
        let rests = self.rests.load(Relaxed);
        if rests > 0 {
            self.rests.store(rests - 1, Relaxed);
            return true;
        }
        let is_busy = |calls: &Calls| calls.busy.load(Relaxed);
        self.runners.iter().any(is_busy)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Its runners end, and wake who is next.
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // Before it calls them: the lock makes it known to who looks into `next` after this.
        self.wake_all();
        for calls in &self.runners {
            calls.call();
        }
    }
}

impl Calls {
    /// Has the runner polled. False: it is busy, and may be for long.
    #[inline]
    fn call(&self) -> bool {
        if !self.called.load(Ordering::Acquire) && !self.called.swap(true, Ordering::AcqRel) {
            // It was polled before, so its waker is there.
            if let Some(waker) = self.waker.get() {
                waker.wake_by_ref();
            }
        }
        !self.busy.load(Ordering::Acquire)
    }
}

impl Runner {
    /// Has an actor polled after the handler that runs in this one.
    #[inline]
    fn pass(&self, lend: &Lend) -> bool {
        let Some(lent) = lend.to_relay() else {
            return false;
        };
        self.relay.put(lent.keep(), || self.other().call())
    }

    /// Runs `f` as a handler that this runner is in.
    #[cfg(all(test, actors_loom))]
    pub(super) fn in_handler(&self, f: impl FnOnce()) {
        let _polled = Polled::begin(self, self.me());
        turn::scope(&turn::Turn::new(u64::MAX), f);
    }

    fn me(&self) -> &Calls {
        &self.relay.runners[self.me]
    }

    fn other(&self) -> &Calls {
        &self.relay.runners[1 - self.me]
    }

    /// Polls those that are next, and who is put there meanwhile, as long as that pays.
    fn run(&self) {
        let begun = ticks();
        let mut before = begun;
        // Handlers use up what the runtime grants to a task in one poll.
        while before.wrapping_sub(begun) < STINT && coop::has_budget_remaining() {
            let Some((kept, are_others)) = self.relay.take() else {
                return;
            };
            if are_others && !self.other().call() {
                self.relay.wake_all();
            }
            let handled = kept.poll_here(self.relay.home);
            let now = ticks();
            let took = now.wrapping_sub(before);
            let is_tiny = u64::from(took) <= handled * u64::from(TINY);
            if !is_always() && (!self.relay.pays(is_tiny) || took > QUICK) {
                return self.relay.wake_all();
            }
            before = now;
        }
        // Others first. It is polled again.
        self.me().call();
    }
}

impl Future for Runner {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let calls = self.me();
        // SAFETY: called by the runner's task alone.
        unsafe { calls.waker.set(|| cx.waker().clone()) };
        let _polled = Polled::begin(&self, calls);
        self.run();
        match self.relay.is_closed() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Runner {
    /// One that has ended, as with its runtime, cannot be called.
    fn drop(&mut self) {
        self.relay.close();
    }
}

/// A runner is being polled on this thread, until this is dropped.
struct Polled<'a> {
    calls: &'a Calls,
    before: *const Runner,
}

impl<'a> Polled<'a> {
    fn begin(runner: &Runner, calls: &'a Calls) -> Self {
        // Before it looks into `next`, whose lock makes this known.
        calls.busy.store(true, Ordering::Release);
        calls.called.store(false, Ordering::Release);
        let before = RUNNING.with(|running| running.replace(runner));
        Self { calls, before }
    }
}

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        RUNNING.with(|running| running.set(self.before));
        self.calls.busy.store(false, Ordering::Release);
    }
}
