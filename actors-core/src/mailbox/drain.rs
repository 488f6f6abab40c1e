//! `Drain`: the heart of an actor's loop. Takes all mail at once and handles it message by message,
//! signals first, until the actor ends or there is nothing to do.
//!
//! Fair in two ways: after [`BUDGET`] messages the task goes to the end of its thread's queue; and
//! once [`SLICE`] has passed without a pause it lets the runtime look at timers and sockets too.
use super::clock::{self, SLICE};
use super::handle::{Rx, Seal, Threads, ignore_panic};
use super::lend::Ran;
use super::queue::{HAND_OVER, KILL, LEAVE, NOTICE, Queue, Refill, STASHED, STOP_NOW, UNSTASH};
use super::reply::Duty;
use super::slot::{Began, FutureBuf, Opener, Running, Slot, SlotVt, Stage};
use super::turn::{self, Turn};
use crate::error::{AskError, NoReplyReason, StopReason};
use crate::panics::Panic;
use std::any::Any;
use std::marker::{PhantomData, PhantomPinned};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tracing::level_filters::LevelFilter;
use tracing::span::Entered;
use tracing::{Level, Span};

/// Messages that one poll handles at most.
const BUDGET: u16 = 128;
/// The clock is looked at after so many messages, as long as they are quick.
const CLOCK_EVERY: u16 = 4;

/// Where a slice passes with so few messages, they are slow.
const SLOW: u16 = 64;

/// While this is not zero, the beginning of each message is measured.
pub(crate) static WATCHERS: AtomicUsize = AtomicUsize::new(0);

/// Why a drain came to its end.
#[derive(Debug)]
pub(crate) enum End {
    /// All mail was handled, and no more will come.
    Drained,
    /// Told to stop, or to leave the rest to the next drain, after the message it was handling.
    StopNow,
    /// Told to end at once.
    Killed,
    /// A handler, or a destructor of what it handled, panicked.
    Panicked(Panic),
}

/// Handles mail until the actor ends. `P` says whether it may move between threads.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Drain<'a, O: Opener, X, P: Threads> {
    rx: &'a mut Rx<O, X>,
    /// That of `rx`. By a pointer, for the task to look at while the drain is lent.
    queue: *const Queue,
    stage: Stage,
    /// Messages have left the mailbox since those who wait for room were last looked after.
    left: bool,
    /// When the task last let others run, in ticks of the clock; 0 for "just now".
    slice: u32,
    /// How many messages were handled since then in polls before, and the budget of this poll when
    /// it was noted.
    in_slice: u16,
    budget_then: u16,
    /// Messages take so long that the clock is looked at after each.
    slow: bool,
    /// Only a hook is to be run: this one, if it has not begun.
    is_hook: bool,
    hook: Option<&'static SlotVt>,
    /// The mailbox was empty behind the message that was taken last: nothing is to be looked for
    /// unless something has come.
    was_last: bool,
    /// The budget of the poll was used up, and the next poll follows at once.
    goes_on: bool,
    /// The running message does not count: it is a notice.
    uncounted: bool,
    /// A message was handled since the idle timer was set.
    was_busy: bool,
    few: Option<Box<Few>>,
    // `stage` points at the opener.
    _opener: PhantomData<&'a mut O>,
    _threads: PhantomData<P>,
    _pinned: PhantomPinned,
}

/// What few drains need.
#[derive(Default)]
struct Few {
    /// That of the message being handled.
    span: Option<Span>,
    /// Until the actor has been idle for as long as it may.
    idle: Option<Pin<Box<Sleep>>>,
}

// SAFETY: the raw pointers lead to the queue, which any thread may use, to the opener, borrowed
// mutably, and to a handler future. That is
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
            queue: self.keep.queue(),
            rx: self,
            stage: Stage {
                opener: ptr::from_mut(opener).cast(),
                buf: FutureBuf::new(),
                running: None,
                routed: None,
            },
            is_hook: false,
            hook: None,
            was_last: false,
            goes_on: false,
            left: false,
            slice: 0,
            in_slice: 0,
            budget_then: BUDGET,
            slow: false,
            uncounted: false,
            was_busy: false,
            few: None,
            _opener: PhantomData,
            _threads: PhantomData,
            _pinned: PhantomPinned,
        }
    }
}

impl<O: Opener, X> Rx<O, X> {
    /// How a hook ends that is not there.
    pub(crate) fn perform_nothing(&self) -> End {
        match self.keep.queue().is_killed() {
            true => End::Killed,
            false => End::Drained,
        }
    }

    /// Runs this hook, as a message that does not count; a kill ends it.
    pub(crate) fn perform<'a, P: Threads>(
        &'a mut self,
        opener: &'a mut O,
        Hook { vt, .. }: Hook<O>,
    ) -> Drain<'a, O, X, P> {
        let mut drain = self.drain(opener);
        drain.is_hook = true;
        drain.hook = Some(vt);
        drain
    }
}

impl<O: Opener, X, P: Threads> Future for Drain<'_, O, X, P> {
    type Output = End;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        // SAFETY: nothing is moved out of the pinned drain.
        let this: *mut Self = unsafe { self.get_unchecked_mut() };
        // SAFETY: the queue is kept by `rx`; nobody writes this field after the drain was made.
        if !unsafe { &*(*this).queue }.lend.take_up() {
            return Poll::Pending;
        }
        // SAFETY: the task has the turn, so nobody else uses the drain.
        let this = unsafe { &mut *this };
        this.rx.store_waker(cx);
        if let Some(end) = this.rx.extra.as_mut().and_then(|extra| extra.ended.take()) {
            return Poll::Ready(end);
        }
        // One for the whole batch; `running` says what was interrupted.
        let polled = catch_unwind(AssertUnwindSafe(|| this.run_as_actor(cx)));
        if this.left {
            this.give_room();
        }
        // Told apart here and not stored before: it mostly is `Pending`, which needs no copy.
        match polled {
            Ok(Poll::Pending) => {
                if this.queue().lend.is_wanted() {
                    this.lay_down();
                }
                Poll::Pending
            }
            Ok(Poll::Ready(end)) => Poll::Ready(end),
            Err(payload) => Poll::Ready(this.panicked(payload)),
        }
    }
}

impl<O: Opener, X, P: Threads> Drain<'_, O, X, P> {
    /// The task goes to sleep: until it wakes, who asks may poll.
    #[cold]
    fn lay_down(&mut self) {
        let at_rest = self.stage.running.is_none() && self.queue().is_at_rest();
        // Hooks are the task's, and so is what may not leave its thread; and who waits for room comes
        // first.
        if P::LOCAL || self.is_hook || !at_rest || self.queue().is_awaited() {
            return;
        }
        let drain = ptr::from_mut(self).cast();
        // SAFETY: the task has the turn, as it has just polled. The drain is pinned, and takes itself
        // back when it is dropped. It is one that moves between threads: `AnyThread` is for tasks that
        // are `Send`, and so for openers that are.
        unsafe { self.queue().lend.lay_down(drain, Self::run_lent) };
    }

    /// Handles a message for its asker.
    ///
    /// # Safety
    /// Called by whoever has the turn, with a drain of this type. The slot is the caller's and was not
    /// used up; it is used up here, unless it is refused.
    unsafe fn run_lent(drain: *mut (), slot: *mut Slot, cx: &mut Context<'_>) -> Ran {
        // SAFETY: this type, and nobody else uses it (contract).
        let this = unsafe { &mut *drain.cast::<Self>() };
        // An asker before has left something for the task.
        if this.stage.running.is_some() || this.has_ended() {
            return Ran::Refused;
        }
        this.queue().count_direct();
        let turn: *const Turn = this.queue().turn();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: as in `run_as_actor`.
            turn::scope(unsafe { &*turn }, || {
                let life = this.rx.extra.as_ref().and_then(|extra| extra.life.clone());
                let _entered = enter(life.as_ref());
                // SAFETY: the slot is used up here (contract).
                unsafe { this.start(slot, cx) }
            })
        }));
        if let Err(payload) = polled {
            // What is dropped there is the actor's, and not part of who asks.
            let end = turn::outside(|| this.panicked(payload));
            this.rx.extra.get_or_insert_default().ended = Some(end);
        }
        if this.has_ended() || !this.queue().is_at_rest() {
            return Ran::HandledForTask;
        }
        Ran::Handled
    }

    /// It has ended while it was lent, which the task is to learn.
    fn has_ended(&self) -> bool {
        let extra = self.rx.extra.as_ref();
        extra.is_some_and(|extra| extra.ended.is_some())
    }

    fn queue(&self) -> &Queue {
        // SAFETY: `rx` keeps it.
        unsafe { &*self.queue }
    }

    /// Runs as the code of this actor, in the span of its life.
    #[inline]
    fn run_as_actor(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let turn: *const Turn = self.queue().turn();
        // SAFETY: the turn lies in the block that `rx` keeps, and `rx` does not let go of it.
        turn::scope(unsafe { &*turn }, || {
            if self.rx.extra.is_some() || self.is_hook {
                return self.run_specially(cx);
            }
            self.run(cx)
        })
    }

    #[cold]
    fn run_specially(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let life = self.rx.extra.as_ref().and_then(|extra| extra.life.clone());
        let _entered = enter(life.as_ref());
        if !self.is_hook {
            return self.run_apart(cx);
        }
        if self.queue().control() & KILL != 0 {
            self.abandon(&StopReason::Killed);
            return Poll::Ready(End::Killed);
        }
        let polled = match (self.hook.take(), self.stage.running) {
            (Some(vt), _) => self.begin_hook(vt, cx),
            (None, Some(running)) => self.resume(running, cx),
            (None, None) => Poll::Ready(()),
        };
        polled.map(|()| End::Drained)
    }

    /// The same as `run`, which is inlined where it matters.
    fn run_apart(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.run(cx)
    }

    fn begin_hook(&mut self, vt: &'static SlotVt, cx: &mut Context<'_>) -> Poll<()> {
        self.uncounted = true;
        let mut slot = Slot::of_unit(vt);
        // SAFETY: made just now.
        unsafe { self.start(&raw mut slot, cx) }
    }

    /// A handler, or a destructor of what it handled, has panicked.
    #[cold]
    fn panicked(&mut self, payload: Box<dyn Any + Send>) -> End {
        let panic = Panic::caught(&*payload);
        self.abandon(&StopReason::Panicked(panic.clone()));
        ignore_panic(|| drop(payload));
        End::Panicked(panic)
    }

    #[inline(always)]
    fn run(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.goes_on = false;
        if let Some(running) = self.stage.running {
            if self.queue().control() & KILL == 0 && self.resume(running, cx).is_pending() {
                return Poll::Pending;
            }
        }
        // So many messages may be handled in this poll, and so many before the next look around.
        let mut budget = BUDGET;
        let mut unwatched = 1;
        loop {
            let control = self.queue().control();
            if control & !(NOTICE | UNSTASH) != 0 {
                if let Some(end) = self.obey(control) {
                    return Poll::Ready(end);
                }
            }
            if self.was_last {
                self.was_last = false;
                // Mail may have been put aside, and be wanted back.
                if control == 0 && self.queue().is_idle() {
                    match self.idle(cx) {
                        Next::End => return Poll::Ready(End::Drained),
                        Next::Wait => return Poll::Pending,
                        _ => {}
                    }
                }
            }
            if unwatched == 0 {
                unwatched = self.look_around(budget);
                if unwatched == 0 {
                    self.pause(budget, cx);
                    return Poll::Pending;
                }
            }
            // A message that does not come from the batch.
            let mut single;
            let slot = match self.next(control, cx) {
                Next::InBatch(slot) => slot,
                Next::Single(slot) => {
                    single = slot;
                    &raw mut single
                }
                Next::LookAgain => continue,
                Next::Wait => return Poll::Pending,
                Next::End => return Poll::Ready(End::Drained),
            };
            unwatched -= 1;
            budget -= 1;
            // SAFETY: the slot was taken out just now, of the batch or of wherever `single` was.
            if unsafe { self.start(slot, cx) }.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Follows signals.
    #[cold]
    fn obey(&mut self, control: u32) -> Option<End> {
        if control & KILL != 0 {
            self.abandon(&StopReason::Killed);
            return Some(End::Killed);
        }
        if control & (HAND_OVER | STASHED) != 0 {
            // From a handler that went on all the same.
            self.queue().handed_over();
            if control & STASHED != 0 {
                self.queue().uncount_handled();
            }
        }
        (control & (STOP_NOW | LEAVE) != 0).then_some(End::StopNow)
    }

    /// How many messages may be handled before the next look; 0 to let others run first.
    fn look_around(&mut self, budget: u16) -> u16 {
        if self.slice == 0 {
            // Only now: most polls find one message, and need no clock for it.
            self.slice = clock::ticks();
            self.in_slice = 0;
            self.budget_then = budget;
        } else if clock::ticks().wrapping_sub(self.slice) > SLICE {
            // Where few messages take that long, the next ones are watched one by one.
            self.slow = self.in_slice.saturating_add(self.budget_then - budget) <= SLOW;
            self.slice = 0;
            return 0;
        }
        let some = if self.slow { 1 } else { CLOCK_EVERY };
        self.rx.batch.prefetch(some.into());
        some.min(budget)
    }

    /// Lets others run: after a slice the runtime itself, too.
    fn pause(&mut self, budget: u16, cx: &mut Context<'_>) {
        if self.slice == 0 {
            yield_to_runtime(cx);
        } else {
            self.in_slice = self.in_slice.saturating_add(self.budget_then - budget);
            self.budget_then = BUDGET;
            self.goes_on = true;
            cx.waker().wake_by_ref();
        }
    }

    /// What to handle next: notices, mail that was put aside, mail.
    #[inline(always)]
    fn next(&mut self, control: u32, cx: &mut Context<'_>) -> Next {
        if control & (NOTICE | UNSTASH) != 0 {
            if let Some(slot) = self.next_of_few(control) {
                return Next::Single(slot);
            }
        }
        if let Some(slot) = self.rx.batch.next() {
            self.left = true;
            self.queue().depart();
            if self.rx.batch.is_empty() {
                // Before its handler runs, as nothing of the batch waits any more.
                self.give_room();
            }
            return Next::InBatch(slot);
        }
        self.left = false;
        match self.rx.refill() {
            refill @ (Refill::Last | Refill::One) => {
                self.was_last = matches!(refill, Refill::Last);
                self.rx.batch.next().map_or(Next::LookAgain, Next::InBatch)
            }
            Refill::Mail | Refill::Notices => Next::LookAgain,
            Refill::Closed => Next::End,
            Refill::Idle => self.idle(cx),
        }
    }

    /// What comes before the batch: notices, and mail that was put aside.
    #[cold]
    fn next_of_few(&mut self, control: u32) -> Option<Slot> {
        if control & NOTICE != 0 {
            let next = self.rx.taken - self.rx.batch.len() as u64;
            if let Some(notice) = self.queue().next_notice(next) {
                self.uncounted = true;
                return Some(notice);
            }
        }
        if control & UNSTASH == 0 {
            return None;
        }
        // SAFETY: nothing runs, so nobody borrows the opener.
        let unstashed = unsafe { &mut *self.stage.opener.cast::<O>() }.unstash();
        let extra = self.rx.extra.get_or_insert_default();
        for sealed in unstashed.into_iter().rev() {
            extra.front.push_front(sealed.slot);
        }
        let slot = extra.front.pop_front();
        if extra.front.is_empty() {
            // Else the signal stays, and leads here again.
            self.queue().unstashed();
        }
        slot
    }

    /// Nothing to do: sleeps, or ends when the actor has been idle for as long as it may.
    #[inline(always)]
    fn idle(&mut self, cx: &mut Context<'_>) -> Next {
        self.slice = 0;
        let limit = self.queue().idle_limit();
        if limit == 0 && self.few.as_ref().is_none_or(|few| few.idle.is_none()) {
            return Next::Wait;
        }
        self.idle_for(limit, cx)
    }

    #[cold]
    fn idle_for(&mut self, limit: u64, cx: &mut Context<'_>) -> Next {
        let few = self.few.get_or_insert_default();
        if limit == 0 {
            few.idle = None;
            return Next::Wait;
        }
        let until = Instant::now() + Duration::from_nanos(limit);
        match &mut few.idle {
            Some(idle) if self.was_busy => idle.as_mut().reset(until),
            Some(_) => {}
            idle => *idle = Some(Box::pin(tokio::time::sleep_until(until))),
        }
        self.was_busy = false;
        let elapsed = few
            .idle
            .as_mut()
            .is_some_and(|idle| idle.as_mut().poll(cx).is_ready());
        if !elapsed {
            return Next::Wait;
        }
        few.idle = None;
        if self.queue().close_if_idle() {
            Next::End
        } else {
            Next::LookAgain
        }
    }

    /// # Safety
    /// The slot was taken out of where it was, and is used up here.
    #[inline(always)]
    unsafe fn start(&mut self, slot: *mut Slot, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: a slot that was taken out is nobody else's.
        let vt = unsafe { (*slot).vt };
        let since = if WATCHERS.load(Ordering::Relaxed) == 0 {
            0
        } else {
            turn::nanos(std::time::Instant::now())
        };
        self.queue().turn().begin(vt, since);
        self.was_busy = true;
        if !P::LOCAL && vt.local {
            // SAFETY: as above, and it is not used any more.
            refuse_local(unsafe { slot.read() });
        }
        if LevelFilter::current() >= Level::DEBUG {
            // A subscriber that panics must not cost the message.
            ignore_panic(|| self.open_span(vt));
        }
        let began = {
            let _entered = enter(span_of(self.few.as_deref()));
            // SAFETY: the slot is used up here, by the task, with its own stage: the opener is the
            // one that the mailbox's slots are sealed for, nobody borrows it as nothing runs, and
            // the handler's future may run here (checked above).
            unsafe { (vt.start)(&raw mut (*slot).payload, &mut self.stage, cx) }
        };
        match began {
            Poll::Ready(Began::Handled) => {
                if span_of(self.few.as_deref()).is_some() || self.uncounted {
                    self.ended(Outcome::Handled);
                } else {
                    let queue = self.queue();
                    queue.turn().end();
                    queue.count_handled();
                }
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
            let _entered = enter(span_of(self.few.as_deref()));
            // SAFETY: called by the task, with what is noted in `running`.
            unsafe { (running.vt.resume)(running.at, &mut self.stage, cx) }
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

    fn ended(&mut self, outcome: Outcome) {
        let queue = self.rx.keep.queue();
        queue.turn().end();
        if let Some(span) = self.few.as_mut().and_then(|few| few.span.take()) {
            // A subscriber that panics must not end what is half done here.
            ignore_panic(|| drop(span));
        }
        if mem::take(&mut self.uncounted) {
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
        self.left = false;
        self.queue().give_room(self.goes_on);
    }

    /// Drops the running future, if there is one.
    fn drop_running(&mut self) -> bool {
        let Some(running) = self.stage.running.take() else {
            return false;
        };
        // SAFETY: it was noted in `running`, so the future is alive; it is not noted any more.
        ignore_panic(|| unsafe { (running.vt.abort)(running.at) });
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
        self.few.get_or_insert_default().span = Some(span);
    }
}

impl<O: Opener, X, P: Threads> Drop for Drain<'_, O, X, P> {
    /// The runtime was shut down, or nobody waits for the drain any more.
    fn drop(&mut self) {
        // Not by `self.queue()`: that borrows all of the drain, which may be lent.
        // SAFETY: `rx` keeps the queue.
        unsafe { &*self.queue }.lend.take_back();
        self.abandon(&StopReason::Killed);
        if self.left {
            self.give_room();
        }
    }
}

/// A hook of an actor, as a message without contents.
pub(crate) struct Hook<O> {
    vt: &'static SlotVt,
    _opener: PhantomData<fn(O)>,
}

impl<O: Opener, M: Send + 'static, R: Send + 'static> Seal<O, M, R> {
    /// The messages that this seals, which must have no contents, as a hook.
    pub(crate) fn hook(self, message: M) -> Hook<O> {
        const {
            assert!(
                size_of::<M>() == 0 && !mem::needs_drop::<M>(),
                "a hook has no contents"
            )
        };
        Hook {
            vt: self.seal(message).slot.vt,
            _opener: PhantomData,
        }
    }
}

enum Next {
    /// A message that lies in the batch, taken out.
    InBatch(*mut Slot),
    Single(Slot),
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

/// The span of the message being handled.
#[inline]
fn span_of(few: Option<&Few>) -> Option<&Span> {
    few?.span.as_ref()
}

/// Enters a span. A subscriber that panics must not cost the message.
#[inline]
fn enter(span: Option<&Span>) -> Option<Entered<'_>> {
    let mut entered = None;
    if let Some(span) = span {
        ignore_panic(|| entered = Some(span.enter()));
    }
    entered
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
