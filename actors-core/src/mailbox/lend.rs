//! `Lend`: how an idle actor's drain is lent to a thread that asks it something, which handles its
//! message with it, in place of the actor's task.
//!
//! Who may touch what: the drain belongs to whoever has the turn, which `owner` tells. The task has
//! it, until it goes to sleep and lays the drain down (`LAID`). From there the task takes it up again
//! when it is polled or dropped, or an asker takes it (`LENT`) and lays it down again when it has
//! handled its message. `Lent::drain` is written by the task while it has the turn, and read by who
//! has taken it. Nobody works with the drain twice at a time, so all that is said elsewhere of "the task" holds for
//! whoever has the turn; the next one sees what the one before has done.
//!
//! A task that is polled or woken while the drain is lent is woken again when it comes back.
//!
//! Only threads in the actor's own runtime borrow, as what the handler spawns and the timers it makes
//! belong there. A task that is dropped while its drain is lent waits for the borrower, on another
//! thread; so handlers must not block, as ever. The borrower's own thread cannot wait for itself: a
//! handler that ends its own runtime from inside ends the process.
use super::once::OnceBox;
use super::planted::{planted, unless};
use super::slot::Slot;
use super::sync::UnsafeCell;
use super::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use crate::guest::{Guest, thread_mark};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::runtime;
use tokio::task;
use tracing::Level;
use tracing::level_filters::LevelFilter;

/// The task has the turn.
const TASK: u8 = 0;
/// Nobody has: the task sleeps.
const LAID: u8 = 1;
/// An asker has.
const LENT: u8 = 2;
/// The same, and the task was polled meanwhile.
const CALLED: u8 = 3;

/// `Release`: who takes the drain sees what it is, and all that was done with it before.
#[inline(always)]
fn lay_down() -> Ordering {
    unless("relaxed_lend", Ordering::Release)
}

/// Whose turn it is to poll a drain.
pub(super) struct Lend {
    owner: AtomicU8,
    /// Somebody has wanted to borrow.
    wanted: AtomicBool,
    /// Made by the task when it first lays the drain down.
    lent: OnceBox<Lent>,
}

/// What is known of a drain that was laid down.
struct Lent {
    drain: UnsafeCell<Laid>,
    /// The thread that has borrowed it; 0 for none.
    borrower: AtomicUsize,
    /// Messages that were handled so. Written by whoever has the turn.
    direct: AtomicU64,
}

// SAFETY: `drain` is written and read by whoever has the turn, which `owner` hands over; the drain
// that it leads to may be used by any thread (contract of `lay_down`).
unsafe impl Sync for Lent {}
// SAFETY: as above.
unsafe impl Send for Lent {}

/// A drain whose type is forgotten.
#[derive(Clone, Copy)]
struct Laid {
    drain: *mut (),
    /// Handles a message. Safe to call for who has the turn, with a slot of its own that was not used
    /// up; it is, unless refused.
    run: RunFn,
    home: Home,
}

pub(super) type RunFn = unsafe fn(*mut (), *mut Slot, &mut Context<'_>) -> Ran;

/// What became of a message. (The slot stays where it lies: to copy one that was just written, word by
/// word, stalls the processor.)
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    Refused,
    Handled,
    /// And now the task has something to do.
    HandledForTask,
}

/// The runtime that a task runs on, if there is one.
pub(super) type Home = Option<runtime::Id>;

impl Lend {
    pub(super) fn new() -> Self {
        Self {
            owner: AtomicU8::new(TASK),
            wanted: AtomicBool::new(false),
            lent: OnceBox::new(),
        }
    }

    /// The count of messages that were handled without having been mail, where that was possible.
    pub(super) fn direct(&self) -> Option<&AtomicU64> {
        self.lent.get().map(|lent| &lent.direct)
    }

    // --- the task

    /// Whether somebody would borrow the drain.
    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// The task goes to sleep, and what it polls may be lent.
    ///
    /// # Safety
    /// Called by the task, which has the turn. The drain may be polled by any thread, and stays
    /// where it is until [`take_back`](Self::take_back).
    pub(super) unsafe fn lay_down(&self, drain: *mut (), run: RunFn) {
        let home = home();
        let laid = Laid { drain, run, home };
        let lent = self.lent.get_or_make(|| Lent {
            drain: UnsafeCell::new(laid),
            borrower: AtomicUsize::new(0),
            direct: AtomicU64::new(0),
        });
        // SAFETY: the task has the turn (contract).
        lent.drain.with_mut(|place| unsafe { *place = laid });
        self.owner.store(LAID, lay_down());
    }

    /// The task is polled: whether it has the turn. If not, it will be woken again.
    #[inline]
    pub(super) fn take_up(&self) -> bool {
        // `Relaxed` will do: only the task itself ends and begins its own turn.
        self.owner.load(Ordering::Relaxed) == TASK || self.take_up_laid()
    }

    #[cold]
    fn take_up_laid(&self) -> bool {
        loop {
            // `Acquire` pairs with the laying down of whoever had it.
            let laid =
                self.owner
                    .compare_exchange(LAID, TASK, Ordering::Acquire, Ordering::Relaxed);
            match laid {
                Ok(_) => return true,
                Err(LENT) => {
                    let called = self.owner.compare_exchange(
                        LENT,
                        CALLED,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                    if called.is_ok() {
                        return false;
                    }
                }
                Err(CALLED) => return false,
                Err(_) => return true,
            }
        }
    }

    /// The drain is about to be dropped: waits until nobody has borrowed it.
    pub(super) fn take_back(&self) {
        let mut look = 0;
        while !self.take_up() {
            // `Relaxed`: where it is this thread, it finds what it has written itself.
            let lent = self.lent.get();
            let borrower = lent.map(|lent| lent.borrower.load(Ordering::Relaxed));
            // (Models run all their threads on one.)
            if borrower == Some(thread_mark()) && !cfg!(actors_loom) {
                eprintln!("an actor's handler that ran inline has ended its own runtime");
                std::process::abort();
            }
            super::lock::pause(look);
            look += 1;
        }
    }

    // --- askers

    /// Whether the task sleeps and lends.
    #[cfg(test)]
    pub(super) fn is_laid(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == LAID
    }

    /// From its next sleep on, the task lays the drain down.
    pub(super) fn want(&self) {
        if !self.is_wanted() {
            self.wanted.store(true, Ordering::Relaxed);
        }
    }

    /// Handles a message on this thread, if the task sleeps and has laid the drain down, and this is
    /// a good place to. `is_idle` says whether there is nothing that comes first; that is asked in
    /// turn. False: it was not handled, and is as it was.
    ///
    /// # Safety
    /// The slot is the caller's and was not used up. After `true` it is.
    #[inline]
    pub(super) unsafe fn borrow(
        &self,
        waker: &Waker,
        slot: *mut Slot,
        is_idle: impl FnOnce() -> bool,
    ) -> bool {
        if self.owner.load(Ordering::Relaxed) != LAID {
            self.want();
            return false;
        }
        let Some(_guest) = Guest::enter() else {
            return false;
        };
        // Else it would keep the asker's task going for too long; and who is in a span wants to see
        // the message in it.
        if !task::coop::has_budget_remaining() || LevelFilter::current() >= Level::DEBUG {
            return false;
        }
        // `Acquire` pairs with the laying down.
        let taken = self
            .owner
            .compare_exchange(LAID, LENT, Ordering::Acquire, Ordering::Relaxed);
        if taken.is_err() {
            return false;
        }
        let mut back = Back {
            lend: self,
            waker,
            wakes: false,
        };
        let Some(lent) = self.lent.get() else {
            return false;
        };
        // SAFETY: the turn was taken just now.
        let laid = lent.drain.with(|laid| unsafe { *laid });
        if laid.home != home() || !is_idle() {
            return false;
        }
        lent.borrower.store(thread_mark(), Ordering::Relaxed);
        let mut cx = Context::from_waker(waker);
        // What is done for the asker counts as what its task does.
        let _: Poll<()> = pin!(task::coop::consume_budget()).poll(&mut cx);
        // Should it panic, the task looks what is left.
        back.wakes = true;
        // SAFETY: this thread has the turn; of the slot by the contract.
        let ran = unsafe { (laid.run)(laid.drain, slot, &mut cx) };
        lent.borrower.store(0, Ordering::Relaxed);
        back.wakes = ran == Ran::HandledForTask;
        ran != Ran::Refused
    }
}

/// Lays the drain down again, also when what was run panics.
struct Back<'a> {
    lend: &'a Lend,
    waker: &'a Waker,
    /// The task has something to do.
    wakes: bool,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        let called = self.lend.owner.swap(LAID, lay_down()) == CALLED;
        if called && !planted("lost_call") || self.wakes {
            self.waker.wake_by_ref();
        }
    }
}

/// The runtime that this thread is in.
pub(super) fn home() -> Home {
    // Not kept anywhere: a task can enter another runtime, and leave it again.
    let here = runtime::Handle::try_current();
    here.ok().map(|here| here.id())
}
