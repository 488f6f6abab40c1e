//! `Ask` and `Reply`: an ask before and after it is posted.
use crate::blocking;
use crate::cell::Cell;
use crate::circle;
use crate::error::{AskError, DeadlockPath};
use crate::event::{self, DeadLetterReason};
use crate::mailbox::{
    Abandoned, Call, Deadline, Displaced, InLine, Pending, Refused, Turn, Wait, Waits, current,
    outside,
};
use crate::panics::Panic;
use crate::promise::{GivenUp, Promise, Promised, promise};
use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An ask: a future of the reply. Nothing is sent before it is polled or posted.
///
/// Awaiting it waits for room in the mailbox if there is none, then for the reply. It ends with the
/// reply or with one [`AskError`], at once when the actor goes away.
///
/// Dropping it withdraws the message: if the handler has not started it never will; if it runs it
/// is told, by [`Context::cancelled`](crate::Context::cancelled).
///
/// It knows the reply's type only, so that it can be returned by traits that are used as `dyn`, and
/// be made from a value or a future by what stands in for an actor:
///
/// ```
/// use actors_core::{Ask, AskError};
///
/// trait Prices: Send + Sync {
///     fn price(&self, item: u32) -> Ask<'_, u64>;
/// }
///
/// struct Mock;
/// impl Prices for Mock {
///     fn price(&self, item: u32) -> Ask<'_, u64> {
///         Ask::ready(Ok(u64::from(item) * 2))
///     }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), AskError> {
/// let prices: Box<dyn Prices> = Box::new(Mock);
/// assert_eq!(prices.price(4).await?, 8);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent until the ask is awaited or posted"]
pub struct Ask<'a, R> {
    stage: Stage<'a, R>,
    timeout: Limit,
    watch: Watch,
}

/// How long an ask may take, in nanoseconds and one more; 0 for any time.
///
/// One word as those beside it are: copying what is half a word long stalls the processor.
#[derive(Clone, Copy, Default)]
struct Limit(u64);

impl Limit {
    fn of(limit: Duration) -> Self {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Self(nanos.saturating_add(1))
    }

    fn is_some(self) -> bool {
        self.0 != 0
    }

    /// The limit, once.
    fn take(&mut self) -> Option<Duration> {
        let nanos = mem::take(&mut self.0).checked_sub(1)?;
        Some(Duration::from_nanos(nanos))
    }
}

enum Stage<'a, R> {
    Draft(Call<'a, R, Cell>),
    /// The mailbox is full: waits for room.
    Room(Call<'a, R, Cell>, BoxFuture<'a, Result<(), Refused>>),
    /// `None`: its result was taken.
    Posted(Option<Pending<R>>),
    Value(Result<R, AskError>),
    Future(BoxFuture<'static, Result<R, AskError>>),
    Routed(Box<dyn Routed<R>>),
    Over,
}

const OVER: &str = "an ask was polled after it was ready";

/// What to look at after an ask was sent.
enum Sent {
    /// Nothing: its waker will be called.
    Waits,
    /// The posted ask: it may be answered, or has a timer to be set.
    Posted,
    /// The room that it waits for.
    Room,
}

/// An ask whose actor is chosen when it is sent.
pub(crate) trait Routed<R>: Send {
    /// Sends it now, as [`Ask::post`].
    fn post(self: Box<Self>, timeout: Option<Duration>) -> Result<Reply<R>, AskError>;

    /// Sends it when polled, and waits, as awaiting an [`Ask`].
    fn ask(self: Box<Self>, timeout: Option<Duration>) -> BoxFuture<'static, Result<R, AskError>>;
}

// The parts are moved about freely; the futures among them are boxed.
impl<R> Unpin for Ask<'_, R> {}

impl<'a, R: Send + 'static> Ask<'a, R> {
    pub(crate) fn new(call: Call<'a, R, Cell>) -> Self {
        Self::at(Stage::Draft(call))
    }

    /// An ask that is answered already.
    pub fn ready(result: Result<R, AskError>) -> Self {
        Self::at(Stage::Value(result))
    }

    /// An ask that the future answers. It runs when the ask is polled, and is dropped with it.
    pub fn from_future(future: impl Future<Output = Result<R, AskError>> + Send + 'static) -> Self {
        Self::at(Stage::Future(Box::pin(future)))
    }

    pub(crate) fn routed(routed: impl Routed<R> + 'static) -> Self {
        Self::at(Stage::Routed(Box::new(routed)))
    }

    fn at(stage: Stage<'a, R>) -> Self {
        Self {
            stage,
            timeout: Limit::default(),
            watch: Watch::default(),
        }
    }

    /// Gives up when there is no reply within `limit` of the first poll or of posting, whichever
    /// comes first: the message is withdrawn or its handler told, and the ask ends with
    /// [`AskError::TimedOut`].
    ///
    /// Sets the deadline that the handler sees by [`Context::deadline`](crate::Context::deadline),
    /// and that the asks made by the handler inherit. The time is tokio's, so a test that has
    /// paused it drives it.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Limit::of(limit);
        self
    }

    /// Posts the message now and gives the future object, to be looked at later.
    ///
    /// # Errors
    ///
    /// `Full` when there is no room, `Closed` when the actor has stopped or is stopping,
    /// `TimedOut` when the deadline inherited from the message being handled has passed.
    ///
    /// An ask made [from a future](Self::from_future) is posted without effect: the future runs
    /// when the reply is polled.
    pub fn post(mut self) -> Result<Reply<R>, AskError> {
        if let Stage::Draft(call) | Stage::Room(call, _) = &mut self.stage {
            self.watch.over();
            address(call, &mut self.timeout, &mut self.watch)?;
        }
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Draft(call) | Stage::Room(call, _) => {
                self.stage = Stage::Draft(call);
                self.offer().map_err(|(refused, _)| match refused {
                    Refused::Full => AskError::Full,
                    Refused::Closed => AskError::Closed,
                })
            }
            Stage::Posted(Some(pending)) => Ok(self.reply(Posted::Pending(pending))),
            Stage::Value(result) => Ok(self.reply(Posted::Done(result))),
            Stage::Future(future) => Ok(self.reply(Posted::Future(future))),
            Stage::Routed(routed) => routed.post(self.timeout.take()),
            Stage::Posted(None) | Stage::Over => Err(AskError::Closed),
        }
    }

    /// Waits for the reply on this thread, which must not run an asynchronous task.
    ///
    /// # Errors
    ///
    /// As awaiting it; `WouldBlock` inside of a task, which it would stall. Nothing was sent then.
    pub fn wait(mut self) -> Result<R, AskError> {
        if !blocking::may_block() {
            return Err(AskError::WouldBlock);
        }
        let deadline = std::cell::Cell::new(Deadline::NONE);
        let ask = poll_fn(|cx| {
            let polled = Pin::new(&mut self).poll(cx);
            deadline.set(self.watch.deadline);
            polled
        });
        blocking::block_on_until(ask, || deadline.get().time())
    }

    /// Posts a new ask, or gives the call back.
    pub(crate) fn try_post(
        mut self,
        timeout: Option<Duration>,
    ) -> Result<Reply<R>, (Refused, Call<'a, R, Cell>)> {
        if let Stage::Draft(call) = &mut self.stage {
            self.watch.begin(call.tx().queue().actor());
            self.watch.give_up_after(timeout);
            self.watch.write_on(call);
        }
        self.offer()
    }

    fn offer(mut self) -> Result<Reply<R>, (Refused, Call<'a, R, Cell>)> {
        let Stage::Draft(call) = mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("only drafts are posted");
        };
        let tx = call.tx();
        let (pending, displaced) = call.offer()?;
        if let Some(displaced) = displaced {
            overflow(tx.beside(), displaced);
        }
        Ok(self.reply(Posted::Pending(pending)))
    }

    fn reply(&mut self, stage: Posted<R, AskError>) -> Reply<R> {
        Reply {
            stage,
            watch: mem::take(&mut self.watch),
        }
    }

    #[inline]
    fn poll_draft(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        match self.send(cx)? {
            Sent::Waits => Poll::Pending,
            Sent::Posted => self.poll_posted(cx),
            Sent::Room => self.poll_room(cx),
        }
    }

    /// Sends a draft, and says what to look at next. After an error that gives it back, it is a draft
    /// still.
    #[inline]
    fn send(&mut self, cx: &mut Context<'_>) -> Result<Sent, AskError> {
        let Stage::Draft(call) = &mut self.stage else {
            unreachable!("called with a draft");
        };
        address(call, &mut self.timeout, &mut self.watch)?;
        self.watch.wait().map_err(deadlock)?;
        // Something else lies there at the end, unless a waker panics: then there is nothing to poll.
        let mut call = call.take();
        if call.draft().is_inline() {
            call = match call.try_run() {
                Ok(pending) => {
                    self.stage = Stage::Posted(Some(pending));
                    // It is answered by now, or this leaves the waker there.
                    return Ok(Sent::Posted);
                }
                Err(call) => call,
            };
        }
        call.set_waker(cx.waker());
        match call.try_post() {
            Ok(pending) => Ok(self.posted(pending)),
            Err((Refused::Closed, call)) => {
                self.stage = Stage::Draft(call);
                Err(AskError::Closed)
            }
            Err((Refused::Full, call)) => self.wait_for_room(call),
        }
    }

    #[cold]
    fn wait_for_room(&mut self, call: Call<'a, R, Cell>) -> Result<Sent, AskError> {
        let place = call.tx().queue().line_up();
        self.watch.wait_for_room(&place).map_err(deadlock)?;
        let room = Box::pin(call.tx().queue().room(place));
        self.stage = Stage::Room(call, room);
        Ok(Sent::Room)
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        let Stage::Room(_, room) = &mut self.stage else {
            unreachable!("called with an ask that waits for room");
        };
        match room.as_mut().poll(cx) {
            Poll::Ready(Ok(())) => match self.watch.wait() {
                Ok(()) => self.post_in_room(cx),
                Err(path) => {
                    if let Stage::Room(call, _) = &self.stage {
                        call.tx().queue().give_back();
                    }
                    Poll::Ready(Err(deadlock(path)))
                }
            },
            Poll::Ready(Err(_)) => Poll::Ready(Err(AskError::Closed)),
            Poll::Pending => self.watch.poll_timer(cx).map(|()| {
                Err(AskError::TimedOut {
                    may_have_run: false,
                })
            }),
        }
    }

    /// Posts the ask, for which room was taken.
    fn post_in_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        let Stage::Room(mut call, _) = mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("called with an ask that waited for room");
        };
        call.set_waker(cx.waker());
        match call.post() {
            Ok(pending) => match self.posted(pending) {
                Sent::Posted => self.poll_posted(cx),
                Sent::Waits | Sent::Room => Poll::Pending,
            },
            Err(call) => {
                self.stage = Stage::Draft(call);
                Poll::Ready(Err(AskError::Closed))
            }
        }
    }

    #[inline]
    fn posted(&mut self, pending: Pending<R>) -> Sent {
        self.stage = Stage::Posted(Some(pending));
        if self.watch.deadline.is_some() {
            // To set the timer.
            return Sent::Posted;
        }
        Sent::Waits
    }

    #[inline]
    fn poll_posted(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        if self.pending().as_mut().expect(OVER).poll(cx.waker()) {
            self.watch.over();
            return Poll::Ready(self.take_pending().take());
        }
        if self.watch.poll_timer(cx).is_pending() {
            return Poll::Pending;
        }
        let pending = self.take_pending();
        Poll::Ready(self.watch.result(pending))
    }

    #[inline]
    fn pending(&mut self) -> &mut Option<Pending<R>> {
        match &mut self.stage {
            Stage::Posted(pending) => pending,
            _ => unreachable!("called with an ask that was posted"),
        }
    }

    /// The stage stays where it lies: to copy it right after it was written stalls the processor.
    #[inline]
    fn take_pending(&mut self) -> Pending<R> {
        self.pending().take().expect(OVER)
    }

    /// As polling one that goes to an actor; but one that was not accepted, since the actor has
    /// stopped, gives its message back.
    pub(crate) fn poll_or_message<M: 'static>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Result<R, AskError>, M>> {
        let polled = match &self.stage {
            Stage::Draft(_) => self.poll_draft(cx),
            Stage::Room(..) => self.poll_room(cx),
            _ => return Pin::new(self).poll(cx).map(Ok),
        };
        let Poll::Ready(result) = polled else {
            return Poll::Pending;
        };
        if matches!(result, Err(AskError::Closed)) {
            if let Stage::Draft(call) | Stage::Room(call, _) =
                mem::replace(&mut self.stage, Stage::Over)
            {
                self.watch.over();
                let message = call.into_message();
                return Poll::Ready(Err(message.expect("the ask was made from an `M`")));
            }
        }
        self.end(result).map(Ok)
    }

    /// Chooses the actor.
    #[cold]
    fn poll_routed(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        let Stage::Routed(routed) = mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("called with an ask that is routed");
        };
        let mut timeout = self.timeout;
        if tokio::runtime::Handle::try_current().is_ok() {
            // The ask at the actor keeps the time. Without a runtime it has no timer, and the
            // thread that waits looks at the clock for this one.
            self.timeout = Limit::default();
        }
        self.stage = Stage::Future(routed.ask(timeout.take()));
        self.poll_future(cx)
    }

    fn poll_future(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        let Stage::Future(future) = &mut self.stage else {
            unreachable!("called with a future");
        };
        if let Some(limit) = self.timeout.take() {
            self.watch.deadline = Instant::now()
                .checked_add(limit)
                .map_or(Deadline::NONE, Deadline::at);
        }
        match future.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => {
                let timed_out = self.watch.poll_timer(cx);
                timed_out.map(|()| Err(AskError::TimedOut { may_have_run: true }))
            }
        }
    }

    #[cold]
    fn take_value(&mut self) -> Result<R, AskError> {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Value(result) => result,
            _ => panic!("{OVER}"),
        }
    }

    /// Ends without an answer from the actor.
    #[cold]
    fn end(&mut self, result: Result<R, AskError>) -> Poll<Result<R, AskError>> {
        self.stage = Stage::Over;
        self.watch.over();
        Poll::Ready(result)
    }
}

fn deadlock(path: DeadlockPath) -> AskError {
    AskError::Deadlock {
        path,
        may_have_run: false,
    }
}

/// Settles the deadline, and writes it and the asker on the message.
#[inline]
fn address<R>(
    call: &mut Call<'_, R, Cell>,
    timeout: &mut Limit,
    watch: &mut Watch,
) -> Result<(), AskError> {
    let inherited = watch.begin(call.tx().queue().actor());
    if watch.waits.is_none() && !timeout.is_some() {
        return Ok(());
    }
    if inherited.time().is_some_and(|time| time <= Instant::now()) {
        return Err(AskError::TimedOut {
            may_have_run: false,
        });
    }
    if let Some(limit) = timeout.take() {
        watch.give_up_after(Some(limit));
    }
    watch.write_on(call);
    Ok(())
}

impl<R: Send + 'static> Future for Ask<'_, R> {
    type Output = Result<R, AskError>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Each stage is polled where it lies: moving it out and back stalls the processor, which
        // takes longer than the rest.
        let this = &mut *self;
        let polled = match &this.stage {
            Stage::Posted(_) => return this.poll_posted(cx),
            Stage::Draft(_) => match this.send(cx) {
                Ok(Sent::Waits) => return Poll::Pending,
                Ok(Sent::Posted) => return this.poll_posted(cx),
                Ok(Sent::Room) => this.poll_room(cx),
                Err(error) => Poll::Ready(Err(error)),
            },
            Stage::Room(..) => this.poll_room(cx),
            Stage::Future(_) => this.poll_future(cx),
            Stage::Routed(_) => this.poll_routed(cx),
            Stage::Value(_) | Stage::Over => return Poll::Ready(this.take_value()),
        };
        match polled {
            Poll::Ready(result) => this.end(result),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<R> fmt::Debug for Ask<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("reply", &std::any::type_name::<R>())
            .finish_non_exhaustive()
    }
}

/// A posted ask: a future object, whose state and result can be asked for, and which can be waited
/// for, cancelled, or left to itself.
///
/// A plain future too, so that whatever combines futures combines replies. Dropping it withdraws
/// the message, or tells its handler; [`detach`](Self::detach) does not.
///
/// ```
/// # use actors_core::{Actor, handlers};
/// # #[derive(Actor, Default)]
/// # struct Counter { n: i64 }
/// # #[handlers]
/// # impl Counter { fn inc(&mut self, by: i64) -> i64 { self.n += by; self.n } }
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let counter = Counter::default().spawn();
/// let mut first = counter.inc(1).post()?;
/// let second = counter.inc(2).post()?;
/// assert_eq!(second.await?, 3);
/// assert!(first.is_ready());
/// assert_eq!(first.try_take().expect("it is ready")?, 1);
/// # Ok(())
/// # }
/// ```
///
/// What is submitted to a [`Pool`](crate::Pool) has one too, with [`JobError`](crate::JobError) as
/// `E`; read "job" for "message" then. Whoever holds a [`Promise`] can answer one as well.
#[must_use = "dropping a reply withdraws its message; `detach` leaves it to itself"]
pub struct Reply<R, E = AskError> {
    stage: Posted<R, E>,
    watch: Watch,
}

enum Posted<R, E> {
    Pending(Pending<R>),
    Promised(Promised<R, E>),
    Future(BoxFuture<'static, Result<R, AskError>>),
    Done(Result<R, E>),
    Taken,
}

// The reply is moved out, never pinned.
impl<R, E> Unpin for Reply<R, E> {}

impl<R: Send + 'static> Reply<R> {
    pub(crate) fn posted(pending: Pending<R>, target: u64) -> Self {
        Self {
            stage: Posted::Pending(pending),
            watch: Watch::of_outside(target),
        }
    }
}

impl<R, E> Reply<R, E>
where
    R: Send + 'static,
    E: From<AskError> + Send + 'static,
{
    /// A reply without an actor: whoever holds the promise answers it.
    pub fn promised() -> (Promise<R, E>, Self) {
        let (promise, promised) = promise();
        (promise, Self::of(promised))
    }

    pub(crate) fn of(promised: Promised<R, E>) -> Self {
        Self {
            stage: Posted::Promised(promised),
            watch: Watch::default(),
        }
    }

    /// Whether there is a result: the reply or an error. Also true once it was taken.
    pub fn is_ready(&self) -> bool {
        match &self.stage {
            Posted::Pending(pending) => pending.is_ready(),
            Posted::Promised(promised) => promised.is_ready(),
            Posted::Future(_) => false,
            Posted::Done(_) | Posted::Taken => true,
        }
    }

    /// Takes the result, if there is one. `None` also when it was taken before.
    pub fn try_take(&mut self) -> Option<Result<R, E>> {
        match mem::replace(&mut self.stage, Posted::Taken) {
            Posted::Pending(pending) if !pending.is_ready() => {
                self.stage = Posted::Pending(pending);
                None
            }
            Posted::Pending(pending) => Some(pending.take().map_err(E::from)),
            Posted::Promised(promised) => {
                let result = promised.try_take();
                if result.is_none() {
                    self.stage = Posted::Promised(promised);
                }
                result
            }
            Posted::Done(result) => Some(result),
            Posted::Future(future) => {
                self.stage = Posted::Future(future);
                None
            }
            Posted::Taken => None,
        }
    }

    /// Gives up: a message that waits is withdrawn, a handler that runs is told. Returns whether
    /// the message will never have been handled. The result is `Cancelled` from now on, unless
    /// there was one already.
    pub fn cancel(&mut self) -> bool {
        let given_up = match mem::replace(&mut self.stage, Posted::Taken) {
            Posted::Pending(pending) => given_up(pending.abandon()),
            Posted::Promised(promised) => promised.abandon(),
            Posted::Future(_) => GivenUp::Running,
            other => {
                self.stage = other;
                return false;
            }
        };
        let withdrawn = matches!(given_up, GivenUp::Withdrawn);
        let may_have_run = !withdrawn;
        self.stage = Posted::Done(match given_up {
            GivenUp::Done(result) => result,
            _ => Err(AskError::Cancelled { may_have_run }.into()),
        });
        self.watch.over();
        withdrawn
    }

    /// Waits for the result on this thread, which must not run an asynchronous task.
    ///
    /// # Errors
    ///
    /// As awaiting it; `WouldBlock` inside of a task, which it would stall. The message is then
    /// withdrawn, since the reply is used up.
    pub fn wait(mut self) -> Result<R, E> {
        if !blocking::may_block() {
            return Err(AskError::WouldBlock.into());
        }
        if let Posted::Promised(promised) = &self.stage {
            if let Some(result) = promised.try_take() {
                self.stage = Posted::Taken;
                return result;
            }
        }
        let deadline = self.watch.deadline;
        blocking::block_on_until(self, || deadline.time())
    }

    /// Waits for the result on this thread for at most `limit`. `None`: there is none yet, and the
    /// reply can be asked again.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait); but `WouldBlock` leaves the reply as it is.
    pub fn wait_timeout(&mut self, limit: Duration) -> Option<Result<R, E>> {
        if matches!(self.stage, Posted::Taken) {
            return None;
        }
        if !blocking::may_block() {
            return Some(Err(AskError::WouldBlock.into()));
        }
        let deadline = self.watch.deadline;
        blocking::block_on_timeout(self, limit, || deadline.time())
    }

    /// Gives up when there is no result within `limit` from now, as [`Ask::timeout`]. The handler's
    /// deadline was settled when the ask was posted, and stays.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.watch.give_up_after(Some(limit));
        self
    }

    /// Calls `f` with the result, once: in this thread if it is there, else in the one that answers
    /// (mostly the actor's). Keep it short, and do not block in it: it may be the actor itself that it
    /// holds up. A panic in it is caught and reported by `tracing`.
    pub fn on_ready(self, f: impl FnOnce(Result<R, E>) + Send + 'static) {
        let task = Arc::new(OnReady(Mutex::new(State::Reply(self, f))));
        task.run();
    }

    /// Lets go of the result but not of the message, which is handled all the same.
    pub fn detach(mut self) {
        self.watch.over();
        match mem::replace(&mut self.stage, Posted::Taken) {
            Posted::Pending(pending) => pending.detach(),
            Posted::Promised(promised) => promised.detach(),
            Posted::Future(_) | Posted::Done(_) | Posted::Taken => {}
        }
    }
}

impl<R, E> Future for Reply<R, E>
where
    R: Send + 'static,
    E: From<AskError> + Send + 'static,
{
    type Output = Result<R, E>;

    /// # Panics
    ///
    /// When polled again after the result was taken.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match mem::replace(&mut this.stage, Posted::Taken) {
            Posted::Done(result) => Poll::Ready(result),
            Posted::Future(mut future) => {
                if let Poll::Ready(result) = future.as_mut().poll(cx) {
                    return Poll::Ready(result.map_err(E::from));
                }
                if this.watch.poll_timer(cx).is_ready() {
                    let timed_out = AskError::TimedOut { may_have_run: true };
                    return Poll::Ready(Err(timed_out.into()));
                }
                this.stage = Posted::Future(future);
                Poll::Pending
            }
            Posted::Pending(mut pending) => {
                if !pending.is_ready() {
                    if let Err(path) = this.watch.wait() {
                        let may_have_run = !matches!(pending.abandon(), Abandoned::Withdrawn);
                        let deadlock = AskError::Deadlock { path, may_have_run };
                        return Poll::Ready(Err(deadlock.into()));
                    }
                }
                if pending.poll(cx.waker()) || this.watch.poll_timer(cx).is_ready() {
                    return Poll::Ready(this.watch.result(pending).map_err(E::from));
                }
                this.stage = Posted::Pending(pending);
                Poll::Pending
            }
            Posted::Promised(promised) => {
                if let Some(result) = promised.poll(cx.waker()) {
                    return Poll::Ready(result);
                }
                if this.watch.poll_timer(cx).is_pending() {
                    this.stage = Posted::Promised(promised);
                    return Poll::Pending;
                }
                let may_have_run = match promised.abandon() {
                    GivenUp::Done(result) => return Poll::Ready(result),
                    GivenUp::Running => true,
                    GivenUp::Withdrawn => false,
                };
                Poll::Ready(Err(AskError::TimedOut { may_have_run }.into()))
            }
            Posted::Taken => panic!("a reply was polled after its result was taken"),
        }
    }
}

fn given_up<R, E: From<AskError>>(abandoned: Abandoned<R>) -> GivenUp<R, E> {
    match abandoned {
        Abandoned::Withdrawn => GivenUp::Withdrawn,
        Abandoned::Running => GivenUp::Running,
        Abandoned::Done(result) => GivenUp::Done(result.map_err(E::from)),
    }
}

impl<R, E> fmt::Debug for Reply<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.stage {
            Posted::Pending(pending) if pending.is_ready() => "ready",
            Posted::Pending(pending) if pending.has_started() => "running",
            Posted::Promised(promised) if promised.is_ready() => "ready",
            Posted::Promised(promised) if promised.has_started() => "running",
            Posted::Pending(_) | Posted::Promised(_) | Posted::Future(_) => "waiting",
            Posted::Done(_) => "ready",
            Posted::Taken => "taken",
        };
        f.debug_struct("Reply")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

/// What goes on while an ask waits: its timer, and the note that an actor waits for another.
#[derive(Default)]
pub(crate) struct Watch {
    target: u64,
    /// The waits of the actor that asks, if it is one, and its key for this one.
    waits: Option<Arc<Waits>>,
    key: u64,
    deadline: Deadline,
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
    fn of_outside(target: u64) -> Self {
        Self {
            target,
            waits: None,
            key: 0,
            deadline: Deadline::NONE,
            timer: None,
        }
    }

    /// Settles who asks whom. Gives the deadline that the asker has itself.
    fn begin(&mut self, target: u64) -> Deadline {
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
    fn give_up_after(&mut self, limit: Option<Duration>) {
        if let Some(time) = limit.and_then(|limit| Instant::now().checked_add(limit)) {
            self.deadline = self.deadline.min(Deadline::at(time));
        }
    }

    fn write_on<R>(&self, call: &mut Call<'_, R, Cell>) {
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
    fn over(&mut self) {
        if let Some(waits) = self.waits.take() {
            waits.strike_out(self.key);
        }
    }

    /// What has become of an ask that has a result, or that has waited long enough.
    #[cold]
    fn result<R>(&mut self, pending: Pending<R>) -> Result<R, AskError> {
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
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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

/// A reply, and what is to be called with its result: its own waker.
///
/// The lock is not held while the reply is polled, because that may wake at once, on this thread.
struct OnReady<R, E, F>(Mutex<State<R, E, F>>);

enum State<R, E, F> {
    Reply(Reply<R, E>, F),
    /// Is being polled by somebody; `true`: and was woken meanwhile.
    Polled(bool),
    Over,
}

impl<R, E, F> OnReady<R, E, F>
where
    R: Send + 'static,
    E: From<AskError> + Send + 'static,
    F: FnOnce(Result<R, E>) + Send + 'static,
{
    fn run(self: &Arc<Self>) {
        // What runs here may run in any actor's task, and is none of its doing.
        outside(|| {
            let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut waits = lock();
            let (mut reply, f) = match mem::replace(&mut *waits, State::Polled(false)) {
                State::Reply(reply, f) => (reply, f),
                State::Polled(_) => {
                    *waits = State::Polled(true);
                    return;
                }
                State::Over => {
                    *waits = State::Over;
                    return;
                }
            };
            drop(waits);
            let waker = Waker::from(Arc::clone(self));
            let result = loop {
                // Unconstrained: a task whose budget is used up would be woken for ever, here.
                let mut poll = tokio::task::unconstrained(&mut reply);
                // A mock's future may panic too, and whoever wakes it is not to blame.
                let polled = catch_unwind(AssertUnwindSafe(|| {
                    Pin::new(&mut poll).poll(&mut Context::from_waker(&waker))
                }));
                match polled {
                    Ok(Poll::Ready(result)) => break result,
                    Err(payload) => {
                        *lock() = State::Over;
                        report_panic(&*payload);
                        return;
                    }
                    Ok(Poll::Pending) => {
                        let mut waits = lock();
                        if matches!(*waits, State::Polled(true)) {
                            *waits = State::Polled(false);
                            continue;
                        }
                        *waits = State::Reply(reply, f);
                        return;
                    }
                }
            };
            *lock() = State::Over;
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| f(result))) {
                report_panic(&*payload);
            }
        });
    }
}

fn report_panic(payload: &(dyn Any + Send)) {
    let text = Panic::caught(payload);
    tracing::error!(%text, "a callback for a reply has panicked");
}

impl<R, E, F> Wake for OnReady<R, E, F>
where
    R: Send + 'static,
    E: From<AskError> + Send + 'static,
    F: FnOnce(Result<R, E>) + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        self.run();
    }
}

/// A message had to go because the mailbox was full.
#[cold]
pub(crate) fn overflow(cell: &Cell, displaced: Displaced) {
    let name = displaced.name();
    displaced.discard(&AskError::Full);
    event::dead_letter(name, || cell.actor_name(), &DeadLetterReason::Overflow);
}
