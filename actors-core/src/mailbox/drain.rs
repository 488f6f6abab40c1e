//! `Drain`: the heart of an actor's loop. Takes all mail at once and handles it message by message,
//! signals first, until the actor ends or there is nothing to do.
//!
//! Fair in two ways: after [`BUDGET`] messages the task goes to the end of its thread's queue; and
//! once [`SLICE`] has passed without a pause it lets the runtime look at timers and sockets too.
use super::clock::{self, SLICE};
use super::handle::{Rx, Threads, ignore_panic};
use super::queue::{HAND_OVER, KILL, NOTICE, Queue, Refill, STASHED, STOP_NOW, UNSTASH};
use super::reply::Duty;
use super::slot::{Began, FutureBuf, Opener, Running, Sealed, Slot, SlotVt, Stage};
use super::sync::UnsafeCell;
use super::turn::{self, Turn};
use crate::error::{AskError, NoReplyReason, StopReason};
use std::any::Any;
use std::marker::{PhantomData, PhantomPinned};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span};

/// Messages that one poll handles at most.
const BUDGET: usize = 128;
/// The clock is looked at after so many messages, as long as they are quick.
const CLOCK_EVERY: usize = 4;

/// Where a slice passes with so few messages, they are slow.
const SLOW: u32 = 64;

/// While this is not zero, the beginning of each message is measured.
pub(crate) static WATCHERS: AtomicUsize = AtomicUsize::new(0);

/// Why a drain came to its end.
#[derive(Debug)]
pub(crate) enum End {
    /// All mail was handled, and no more will come.
    Drained,
    /// Told to stop after the message it was handling.
    StopNow,
    /// Told to end at once.
    Killed,
    /// A handler, or a destructor of what it handled, panicked.
    Panicked(Arc<str>),
}

/// Handles mail until the actor ends. `P` says whether it may move between threads.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Drain<'a, O: Opener, X, P: Threads> {
    rx: &'a mut Rx<O, X>,
    stage: Stage,
    buf: UnsafeCell<FutureBuf>,
    /// Messages that have left the mailbox and whose room was not given back.
    left: usize,
    /// When the task last let others run, in ticks of the clock; 0 for "just now".
    slice: u64,
    /// How many messages were handled since.
    in_slice: u32,
    /// Messages take so long that the clock is looked at after each.
    slow: bool,
    /// Only this one is to be handled.
    once: Option<Once>,
    /// The running message does not count: it is a notice.
    uncounted: bool,
    /// A message was handled since the idle timer was set.
    was_busy: bool,
    span: Option<Box<Span>>,
    idle: Option<Pin<Box<Sleep>>>,
    // `stage` points at the opener, and at `buf`.
    _opener: PhantomData<&'a mut O>,
    _threads: PhantomData<P>,
    _pinned: PhantomPinned,
}

// SAFETY: the raw pointers lead to the opener, borrowed mutably, and to a handler future. That is
// `Send`: a slot whose future may not be is marked `local`, and `start` refuses it unless
// `P::LOCAL`.
unsafe impl<O: Opener + Send, X: Send + Sync> Send for Drain<'_, O, X, AnyThread> {}

/// Handlers' futures move between threads.
#[derive(Debug)]
pub enum AnyThread {}

/// Handlers' futures stay on the thread that made them.
#[derive(Debug)]
pub enum OneThread {}

impl Threads for AnyThread {
    const LOCAL: bool = false;
}

impl Threads for OneThread {
    const LOCAL: bool = true;
}

impl<O: Opener, X> Rx<O, X> {
    /// Handles mail with the opener until the actor ends.
    pub(crate) fn drain<'a, P: Threads>(&'a mut self, opener: &'a mut O) -> Drain<'a, O, X, P> {
        Drain {
            rx: self,
            stage: Stage {
                opener: ptr::from_mut(opener).cast(),
                buf: ptr::null_mut(),
                running: None,
                routed: None,
            },
            buf: UnsafeCell::new(FutureBuf::new()),
            once: None,
            left: 0,
            slice: 0,
            in_slice: 0,
            slow: false,
            uncounted: false,
            was_busy: false,
            span: None,
            idle: None,
            _opener: PhantomData,
            _threads: PhantomData,
            _pinned: PhantomPinned,
        }
    }
}

impl<O: Opener, X> Rx<O, X> {
    /// Handles this one message, which does not count; a kill ends it.
    pub(crate) fn perform<'a, P: Threads>(
        &'a mut self,
        opener: &'a mut O,
        sealed: Sealed<O>,
    ) -> Drain<'a, O, X, P> {
        let mut drain = self.drain(opener);
        drain.once = Some(Once::Next(sealed.slot));
        drain
    }
}

enum Once {
    Next(Slot),
    Begun,
}

impl<O: Opener, X, P: Threads> Future for Drain<'_, O, X, P> {
    type Output = End;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        // SAFETY: nothing is moved out of the pinned drain. A running future may lie in `buf`: it
        // is reached through the raw pointer only.
        let this = unsafe { self.get_unchecked_mut() };
        this.rx.keep.queue().set_waker(cx.waker());
        this.stage.buf = this.buf.with_mut(|buf| buf);
        // One for the whole batch; `running` says what was interrupted.
        let polled = catch_unwind(AssertUnwindSafe(|| this.run_as_actor(cx)));
        this.give_room();
        // Told apart here and not stored before: it mostly is `Pending`, which needs no copy.
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(end)) => Poll::Ready(end),
            Err(payload) => Poll::Ready(this.panicked(payload)),
        }
    }
}

impl<O: Opener, X, P: Threads> Drain<'_, O, X, P> {
    fn queue(&self) -> &Queue {
        self.rx.keep.queue()
    }

    /// Runs as the code of this actor, in the span of its life.
    fn run_as_actor(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let life = self.rx.extra.as_ref().and_then(|extra| extra.life.clone());
        let _entered = life.as_ref().map(Span::enter);
        let turn: *const Turn = self.queue().turn();
        // SAFETY: the turn lies in the block that `rx` keeps, and `rx` does not let go of it.
        turn::scope(unsafe { &*turn }, || self.run(cx))
    }

    /// A handler, or a destructor of what it handled, has panicked.
    #[cold]
    fn panicked(&mut self, payload: Box<dyn Any + Send>) -> End {
        let text = panic_text(&*payload);
        self.abandon(&StopReason::Panicked(text.clone()));
        ignore_panic(|| drop(payload));
        End::Panicked(text)
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let mut budget = BUDGET;
        loop {
            let control = self.queue().control();
            if control & KILL != 0 {
                self.abandon(&StopReason::Killed);
                return Poll::Ready(End::Killed);
            }
            if let Some(running) = self.stage.running {
                if self.resume(running, cx).is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            if control & (HAND_OVER | STASHED) != 0 {
                // From a handler that went on all the same.
                self.queue().handed_over();
                if control & STASHED != 0 {
                    self.queue().uncount_handled();
                }
            }
            if control & STOP_NOW != 0 && self.once.is_none() {
                return Poll::Ready(End::StopNow);
            }
            if self.pause(budget, cx) {
                return Poll::Pending;
            }
            let slot = match self.next(control, cx) {
                Next::Slot(slot) => slot,
                Next::LookAgain => continue,
                Next::Wait => return Poll::Pending,
                Next::End => return Poll::Ready(End::Drained),
            };
            if self.slice == 0 && budget < BUDGET {
                // Only now: most polls find one message, and need no clock for it.
                self.slice = clock::ticks();
                self.in_slice = 0;
            }
            self.in_slice += 1;
            budget -= 1;
            if self.start(slot, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Whether to let others run before the next message.
    #[inline]
    fn pause(&mut self, budget: usize, cx: &mut Context<'_>) -> bool {
        let look = (budget % CLOCK_EVERY == 0 || self.slow) && budget < BUDGET && self.slice != 0;
        if look && self.slice_is_over() {
            yield_to_runtime(cx);
            return true;
        }
        if budget == 0 {
            cx.waker().wake_by_ref();
            return true;
        }
        false
    }

    #[inline]
    fn slice_is_over(&mut self) -> bool {
        let passed = clock::ticks().wrapping_sub(self.slice);
        if passed <= SLICE {
            return false;
        }
        // Where few messages take that long, the next ones are watched one by one.
        self.slow = self.in_slice <= SLOW;
        self.slice = 0;
        true
    }

    /// What to handle next: notices, mail that was put aside, mail.
    #[inline]
    fn next(&mut self, control: usize, cx: &mut Context<'_>) -> Next {
        if let Some(once) = &mut self.once {
            self.uncounted = true;
            return match mem::replace(once, Once::Begun) {
                Once::Next(slot) => Next::Slot(slot),
                Once::Begun => Next::End,
            };
        }
        self.uncounted = false;
        if control & (NOTICE | UNSTASH) != 0 {
            if let Some(slot) = self.next_of_few(control) {
                return Next::Slot(slot);
            }
        }
        if let Some(extra) = &mut self.rx.extra {
            if let Some(slot) = extra.front.pop_front() {
                return Next::Slot(slot);
            }
        }
        if let Some(slot) = self.rx.batch.pop_front() {
            self.left += 1;
            if self.rx.batch.is_empty() {
                // Before its handler runs, as nothing of the batch waits any more.
                self.give_room();
            }
            return Next::Slot(slot);
        }
        match self.rx.refill() {
            Refill::Mail | Refill::Notices => Next::LookAgain,
            Refill::Closed => Next::End,
            Refill::Idle => self.idle(cx),
        }
    }

    #[cold]
    fn next_of_few(&mut self, control: usize) -> Option<Slot> {
        if control & UNSTASH != 0 {
            self.queue().unstashed();
            // SAFETY: nothing runs, so nobody borrows the opener.
            let unstashed = unsafe { &mut *self.stage.opener.cast::<O>() }.unstash();
            let extra = self.rx.extra.get_or_insert_default();
            for sealed in unstashed.into_iter().rev() {
                extra.front.push_front(sealed.slot);
            }
        }
        let next = self.rx.taken - self.rx.batch.len() as u64;
        let notice = self.queue().next_notice(next)?;
        self.uncounted = true;
        Some(notice)
    }

    /// Nothing to do: sleeps, or ends when the actor has been idle for as long as it may.
    fn idle(&mut self, cx: &mut Context<'_>) -> Next {
        self.slice = 0;
        let limit = self.queue().idle_limit();
        if limit == 0 {
            self.idle = None;
            return Next::Wait;
        }
        let until = Instant::now() + Duration::from_nanos(limit);
        match &mut self.idle {
            Some(idle) if self.was_busy => idle.as_mut().reset(until),
            Some(_) => {}
            idle => *idle = Some(Box::pin(tokio::time::sleep_until(until))),
        }
        self.was_busy = false;
        let elapsed = self
            .idle
            .as_mut()
            .is_some_and(|idle| idle.as_mut().poll(cx).is_ready());
        if !elapsed {
            return Next::Wait;
        }
        self.idle = None;
        if self.queue().close_if_idle() {
            Next::End
        } else {
            Next::LookAgain
        }
    }

    #[inline]
    fn start(&mut self, mut slot: Slot, cx: &mut Context<'_>) -> Poll<()> {
        let since = if WATCHERS.load(Ordering::Relaxed) == 0 {
            0
        } else {
            turn::nanos(std::time::Instant::now())
        };
        self.queue().turn().begin(slot.vt, since);
        self.was_busy = true;
        if !P::LOCAL && slot.vt.local {
            refuse_local(slot);
        }
        if LevelFilter::current() >= Level::DEBUG {
            // A subscriber that panics must not cost the message.
            ignore_panic(|| self.open_span(slot.vt));
        }
        let began = {
            let _entered = self.span.as_deref().map(Span::enter);
            // SAFETY: the slot is used up here, by the task, with its own stage: the opener is the
            // one that the mailbox's slots are sealed for, nobody borrows it as nothing runs, and
            // the handler's future may run here (checked above).
            unsafe { (slot.vt.start)(&raw mut slot.payload, &mut self.stage, cx) }
        };
        match began {
            Poll::Ready(Began::Handled) => {
                self.ended(Outcome::Handled);
                Poll::Ready(())
            }
            Poll::Ready(Began::Withdrawn) => {
                self.ended(Outcome::Withdrawn);
                Poll::Ready(())
            }
            Poll::Pending => self.suspended(),
        }
    }

    fn resume(&mut self, running: Running, cx: &mut Context<'_>) -> Poll<()> {
        let polled = {
            let _entered = self.span.as_deref().map(Span::enter);
            // SAFETY: called by the task, with what is noted in `running`.
            unsafe { (running.resume)(running.at, &mut self.stage, cx) }
        };
        if polled.is_pending() {
            return self.suspended();
        }
        self.ended(Outcome::Handled);
        Poll::Ready(())
    }

    /// The handler waits; or it has given its duty away, and is to be dropped.
    fn suspended(&mut self) -> Poll<()> {
        let control = self.queue().control();
        if control & HAND_OVER == 0 {
            self.slice = 0;
            return Poll::Pending;
        }
        self.queue().handed_over();
        self.drop_running();
        let outcome = match self.end_of_duty() {
            // The handler was one that is dropped when its asker gives up.
            Some(duty) => {
                duty.fail(AskError::Cancelled { may_have_run: true });
                Outcome::Failed
            }
            None if control & STASHED != 0 => {
                if self.uncounted {
                    self.queue().count_notice();
                }
                Outcome::Stashed
            }
            None => Outcome::Handled,
        };
        self.ended(outcome);
        Poll::Ready(())
    }

    #[inline]
    fn ended(&mut self, outcome: Outcome) {
        let queue = self.rx.keep.queue();
        queue.turn().end();
        if self.span.is_some() {
            self.span = None;
        }
        if self.uncounted {
            return;
        }
        match outcome {
            Outcome::Handled => queue.count_handled(),
            Outcome::Failed => queue.count_failed(),
            Outcome::Withdrawn => queue.count_withdrawn(),
            // It will be handled again.
            Outcome::Stashed => {}
        }
    }

    fn give_room(&mut self) {
        self.rx.keep.queue().give_room(&mut self.left);
    }

    /// Drops the running future, if there is one.
    fn drop_running(&mut self) -> bool {
        let Some(running) = self.stage.running.take() else {
            return false;
        };
        // SAFETY: it was noted in `running`, so the future is alive; it is not noted any more.
        ignore_panic(|| unsafe { (running.abort)(running.at) });
        true
    }

    fn end_of_duty(&mut self) -> Option<Duty> {
        // SAFETY: no handler's future is left, so nobody borrows the opener.
        unsafe { &mut *self.stage.opener.cast::<O>() }.end()
    }

    /// Ends the message being handled, if there is one: its asker learns why.
    fn abandon(&mut self, reason: &StopReason) {
        let was_running = self.drop_running();
        let duty = self.end_of_duty();
        if was_running || duty.is_some() || self.queue().turn().message().is_some() {
            self.ended(Outcome::Failed);
        }
        if let Some(duty) = duty {
            let reason = NoReplyReason::Stopped(reason.clone());
            ignore_panic(|| {
                duty.fail(AskError::NoReply {
                    reason,
                    may_have_run: true,
                })
            });
        }
    }

    #[cold]
    fn open_span(&mut self, kind: &'static SlotVt) {
        let number = (self.rx.taken - self.rx.batch.len() as u64).wrapping_sub(1);
        let mut sender = None;
        if let Some(extra) = &mut self.rx.extra {
            while extra.spans.front().is_some_and(|(of, _)| *of <= number) {
                let Some((of, span)) = extra.spans.pop_front() else {
                    break;
                };
                sender = (of == number).then_some(span);
            }
        }
        // SAFETY: nothing runs, so nobody borrows the opener.
        let span =
            unsafe { &mut *self.stage.opener.cast::<O>() }.span((kind.name)(), kind.ask, sender);
        self.span = Some(Box::new(span));
    }
}

impl<O: Opener, X, P: Threads> Drop for Drain<'_, O, X, P> {
    /// The runtime was shut down, or nobody waits for the drain any more.
    fn drop(&mut self) {
        self.abandon(&StopReason::Killed);
        self.give_room();
        if let Some(Once::Next(slot)) = self.once.take() {
            slot.discard(&AskError::Closed);
        }
    }
}

enum Next {
    Slot(Slot),
    LookAgain,
    Wait,
    End,
}

/// What became of one message.
#[derive(Clone, Copy)]
enum Outcome {
    Handled,
    Failed,
    Withdrawn,
    Stashed,
}

/// Goes to the end of the queue, behind the runtime's own look at timers and sockets.
fn yield_to_runtime(cx: &mut Context<'_>) {
    // Its first poll leaves the waker with the runtime, which calls it after that look.
    let _ = std::pin::pin!(tokio::task::yield_now()).poll(cx);
}

#[cold]
fn refuse_local(slot: Slot) -> ! {
    let name = (slot.vt.name)();
    slot.discard(&AskError::Closed);
    panic!(
        "the handler of `{name}` is a `LocalHandler`, whose future must stay on one thread; spawn \
         the actor with `spawn_local` or `spawn_local_thread`"
    );
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> Arc<str> {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        Arc::from(*text)
    } else if let Some(text) = payload.downcast_ref::<String>() {
        Arc::from(text.as_str())
    } else {
        Arc::from("a panic whose payload is not text")
    }
}
