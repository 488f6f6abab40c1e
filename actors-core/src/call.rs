//! `Ask` and `Reply`: an ask before and after it is posted.
mod watch;
mod special;

use crate::blocking;
use crate::cell::Cell;
use crate::error::AskError;
use crate::event::{self, DeadLetterReason};
use crate::mailbox::{
    Abandoned, Call, Deadline, Displaced, Kept, Limit, Pending, Posted, Refused, current, outside,
};
use crate::panics::Panic;
use crate::promise::{GivenUp, Promise, Promised, promise};
pub(crate) use special::Routed;
use special::Special;
use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use watch::Timer;
pub(crate) use watch::Watch;

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
pub struct Ask<'a, R>(Stage<'a, R>);

/// Two words, so that it is passed about in registers: copying a longer one that was just written
/// stalls the processor, once for each ask.
enum Stage<'a, R> {
    Draft(Call<'a, R, Cell>),
    Sent(Posted<'a, R, Cell>),
    Timed(Kept<Timed<'a, R>>),
    Special(Kept<Special<'a, R>>),
    Over,
}

const _: () = assert!(size_of::<Ask<'_, [u64; 9]>>() == 2 * size_of::<usize>());

/// A posted ask that has a deadline.
struct Timed<'a, R> {
    /// Until its result was taken.
    sent: Option<Posted<'a, R, Cell>>,
    timer: Timer,
}

const OVER: &str = "an ask was polled after it was ready";

/// What to look at after an ask was sent.
enum Sent {
    /// Nothing: its waker will be called.
    Waits,
    /// What became of the ask: it may be answered or late, or waits for room.
    Stage,
}

/// Why an ask was not sent.
enum Unsent<'a, R> {
    /// The actor stops, and here it is.
    Closed(Call<'a, R, Cell>),
    Failed(AskError),
}

// The parts are moved about freely; the futures among them are boxed.
impl<R> Unpin for Ask<'_, R> {}

impl<'a, R: Send + 'static> Ask<'a, R> {
    #[inline]
    pub(crate) fn new(call: Call<'a, R, Cell>) -> Self {
        Self(Stage::Draft(call))
    }

    /// An ask that is answered already.
    pub fn ready(result: Result<R, AskError>) -> Self {
        Self::at(special::Stage::Value(result))
    }

    /// An ask that the future answers. It runs when the ask is polled, and is dropped with it.
    pub fn from_future(future: impl Future<Output = Result<R, AskError>> + Send + 'static) -> Self {
        Self::at(special::Stage::Future(Box::pin(future)))
    }

    pub(crate) fn routed(routed: impl Routed<R> + 'static) -> Self {
        Self::at(special::Stage::Routed(Box::new(routed)))
    }

    fn at(stage: special::Stage<'a, R>) -> Self {
        Self(Stage::Special(Kept::new(Special::at(stage))))
    }

    /// Gives up when there is no reply within `limit` of the first poll or of posting, whichever
    /// comes first: the message is withdrawn or its handler told, and the ask ends with
    /// [`AskError::TimedOut`].
    ///
    /// Sets the deadline that the handler sees by [`Context::deadline`](crate::Context::deadline),
    /// and that the asks made by the handler inherit. The time is tokio's, so a test that has
    /// paused it drives it.
    pub fn timeout(mut self, limit: Duration) -> Self {
        match &mut self.0 {
            Stage::Draft(call) => call.draft().set_limit(Limit::of(limit)),
            Stage::Special(special) => special.set_timeout(limit),
            Stage::Sent(_) | Stage::Timed(_) | Stage::Over => {}
        }
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
        match mem::replace(&mut self.0, Stage::Over) {
            Stage::Draft(mut call) => {
                let limit = call.draft().limit();
                post(call, Watch::default(), limit)
            }
            Stage::Sent(sent) => {
                let watch = Watch::of_sent(&sent, Deadline::NONE);
                Ok(reply(sent.into_pending(), watch))
            }
            Stage::Timed(mut timed) => {
                let sent = timed.sent.take().ok_or(AskError::Closed)?;
                let watch = Watch::of_sent(&sent, timed.timer.deadline());
                Ok(reply(sent.into_pending(), watch))
            }
            Stage::Special(mut special) => special.post(),
            Stage::Over => Err(AskError::Closed),
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
            deadline.set(match &self.0 {
                Stage::Timed(timed) => timed.timer.deadline(),
                Stage::Special(special) => special.deadline(),
                Stage::Draft(_) | Stage::Sent(_) | Stage::Over => Deadline::NONE,
            });
            polled
        });
        blocking::block_on_until(ask, || deadline.get().time())
    }

    /// As polling one that goes to an actor; but one that was not accepted, since the actor has
    /// stopped, gives its message back.
    pub(crate) fn poll_or_message<M: 'static>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Result<R, AskError>, M>> {
        if let Stage::Draft(_) = &self.0 {
            match self.send(cx) {
                Ok(Sent::Waits) => return Poll::Pending,
                Ok(Sent::Stage) => {}
                Err(Unsent::Closed(call)) => return Poll::Ready(Err(message(call))),
                Err(Unsent::Failed(error)) => return Poll::Ready(Ok(Err(error))),
            }
        }
        match &mut self.0 {
            Stage::Special(special) => special.poll_or_message(cx),
            _ => self.poll_sent(cx).map(Ok),
        }
    }

    /// Sends a draft.
    #[inline]
    fn send(&mut self, cx: &mut Context<'_>) -> Result<Sent, Unsent<'a, R>> {
        let Stage::Draft(mut call) = mem::replace(&mut self.0, Stage::Over) else {
            unreachable!("called with a draft");
        };
        let limit = call.draft().limit();
        let deadline = current(|me| match me {
            None if limit == Limit::default() => Ok(Deadline::NONE),
            _ => watch::address_and_wait(&mut call, me, limit).map_err(Unsent::Failed),
        })?;
        if call.draft().is_inline() {
            call = match call.try_run() {
                Ok(sent) => {
                    // It is answered by now, or to look at it leaves the waker there.
                    self.0 = Stage::sent(sent, deadline);
                    return Ok(Sent::Stage);
                }
                Err(call) => call,
            };
        }
        call.set_waker(cx.waker());
        match call.try_post() {
            Ok(sent) => {
                self.0 = Stage::sent(sent, deadline);
                // Not looked at whether it is answered: who looks at once finds that at most where another
                // thread took the actor away from this one, which costs more than being woken.
                let is_late = match &mut self.0 {
                    Stage::Timed(timed) => timed.timer.start(cx).is_ready(),
                    _ => false,
                };
                Ok(if is_late { Sent::Stage } else { Sent::Waits })
            }
            Err((refused, mut call)) => {
                call.draft().end_wait();
                match refused {
                    Refused::Closed => Err(Unsent::Closed(call)),
                    Refused::Full => {
                        let special = Special::in_line(call, deadline).map_err(Unsent::Failed)?;
                        self.0 = Stage::Special(Kept::new(special));
                        Ok(Sent::Stage)
                    }
                }
            }
        }
    }

    #[inline]
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        match &mut self.0 {
            Stage::Sent(sent) => {
                if !sent.pending().poll(cx.waker()) {
                    return Poll::Pending;
                }
                let Stage::Sent(sent) = mem::replace(&mut self.0, Stage::Over) else {
                    unreachable!("looked at above");
                };
                Poll::Ready(sent.into_pending().take())
            }
            Stage::Timed(timed) => timed.poll(cx),
            Stage::Special(special) => special.poll(cx),
            Stage::Draft(_) | Stage::Over => panic!("{OVER}"),
        }
    }
}

impl<'a, R> Stage<'a, R> {
    #[inline]
    fn sent(sent: Posted<'a, R, Cell>, deadline: Deadline) -> Self {
        if deadline.is_some() {
            Self::Timed(Kept::new(Timed {
                sent: Some(sent),
                timer: Timer::new(deadline),
            }))
        } else {
            Self::Sent(sent)
        }
    }
}

impl<R> Timed<'_, R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        let pending = self.sent.as_mut().expect(OVER).pending();
        let is_ready = pending.poll(cx.waker());
        if !is_ready && self.timer.poll(cx).is_pending() {
            return Poll::Pending;
        }
        let pending = self.sent.take().expect("looked at above").into_pending();
        Poll::Ready(if is_ready {
            pending.take()
        } else {
            watch::given_up(pending)
        })
    }
}

/// Posts an ask without waiting, as the overflow policy says.
fn post<'a, R: Send + 'static>(
    mut call: Call<'a, R, Cell>,
    mut watch: Watch,
    limit: Limit,
) -> Result<Reply<R>, AskError> {
    watch.address(&mut call, limit)?;
    offer(call, watch).map_err(|(refused, _)| match refused {
        Refused::Full => AskError::Full,
        Refused::Closed => AskError::Closed,
    })
}

/// The same, also when the asker's own deadline has passed; or gives the ask back.
pub(crate) fn try_post<'a, R: Send + 'static>(
    mut call: Call<'a, R, Cell>,
    limit: Option<Duration>,
) -> Result<Reply<R>, (Refused, Call<'a, R, Cell>)> {
    let mut watch = Watch::default();
    watch.address_late(&mut call, limit);
    offer(call, watch)
}

fn offer<'a, R: Send + 'static>(
    call: Call<'a, R, Cell>,
    watch: Watch,
) -> Result<Reply<R>, (Refused, Call<'a, R, Cell>)> {
    let tx = call.tx();
    let (pending, displaced) = call.offer()?;
    if let Some(displaced) = displaced {
        overflow(tx.beside(), displaced);
    }
    Ok(reply(pending, watch))
}

fn reply<R>(pending: Pending<R>, watch: Watch) -> Reply<R> {
    let stage = ReplyStage::Pending(pending);
    Reply { stage, watch }
}

/// The message of an ask that was not accepted.
pub(crate) fn message<R, M: 'static>(call: Call<'_, R, Cell>) -> M {
    let message = call.into_message();
    message.expect("the ask was made from an `M`")
}

impl<R: Send + 'static> Future for Ask<'_, R> {
    type Output = Result<R, AskError>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Draft(_) = &self.0 {
            match self.send(cx) {
                Ok(Sent::Waits) => return Poll::Pending,
                Ok(Sent::Stage) => {}
                Err(Unsent::Closed(_)) => return Poll::Ready(Err(AskError::Closed)),
                Err(Unsent::Failed(error)) => return Poll::Ready(Err(error)),
            }
        }
        self.poll_sent(cx)
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
    stage: ReplyStage<R, E>,
    watch: Watch,
}

enum ReplyStage<R, E> {
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
            stage: ReplyStage::Pending(pending),
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
            stage: ReplyStage::Promised(promised),
            watch: Watch::default(),
        }
    }

    /// Whether there is a result: the reply or an error. Also true once it was taken.
    pub fn is_ready(&self) -> bool {
        match &self.stage {
            ReplyStage::Pending(pending) => pending.is_ready(),
            ReplyStage::Promised(promised) => promised.is_ready(),
            ReplyStage::Future(_) => false,
            ReplyStage::Done(_) | ReplyStage::Taken => true,
        }
    }

    /// Takes the result, if there is one. `None` also when it was taken before.
    pub fn try_take(&mut self) -> Option<Result<R, E>> {
        match mem::replace(&mut self.stage, ReplyStage::Taken) {
            ReplyStage::Pending(pending) if !pending.is_ready() => {
                self.stage = ReplyStage::Pending(pending);
                None
            }
            ReplyStage::Pending(pending) => Some(pending.take().map_err(E::from)),
            ReplyStage::Promised(promised) => {
                let result = promised.try_take();
                if result.is_none() {
                    self.stage = ReplyStage::Promised(promised);
                }
                result
            }
            ReplyStage::Done(result) => Some(result),
            ReplyStage::Future(future) => {
                self.stage = ReplyStage::Future(future);
                None
            }
            ReplyStage::Taken => None,
        }
    }

    /// Gives up: a message that waits is withdrawn, a handler that runs is told. Returns whether
    /// the message will never have been handled. The result is `Cancelled` from now on, unless
    /// there was one already.
    pub fn cancel(&mut self) -> bool {
        let given_up = match mem::replace(&mut self.stage, ReplyStage::Taken) {
            ReplyStage::Pending(pending) => given_up(pending.abandon()),
            ReplyStage::Promised(promised) => promised.abandon(),
            ReplyStage::Future(_) => GivenUp::Running,
            other => {
                self.stage = other;
                return false;
            }
        };
        let withdrawn = matches!(given_up, GivenUp::Withdrawn);
        let may_have_run = !withdrawn;
        self.stage = ReplyStage::Done(match given_up {
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
        if let ReplyStage::Promised(promised) = &self.stage {
            if let Some(result) = promised.try_take() {
                self.stage = ReplyStage::Taken;
                return result;
            }
        }
        let deadline = self.watch.timer.deadline();
        blocking::block_on_until(self, || deadline.time())
    }

    /// Waits for the result on this thread for at most `limit`. `None`: there is none yet, and the
    /// reply can be asked again.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait); but `WouldBlock` leaves the reply as it is.
    pub fn wait_timeout(&mut self, limit: Duration) -> Option<Result<R, E>> {
        if matches!(self.stage, ReplyStage::Taken) {
            return None;
        }
        if !blocking::may_block() {
            return Some(Err(AskError::WouldBlock.into()));
        }
        let deadline = self.watch.timer.deadline();
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
        match mem::replace(&mut self.stage, ReplyStage::Taken) {
            ReplyStage::Pending(pending) => pending.detach(),
            ReplyStage::Promised(promised) => promised.detach(),
            ReplyStage::Future(_) | ReplyStage::Done(_) | ReplyStage::Taken => {}
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
        match mem::replace(&mut this.stage, ReplyStage::Taken) {
            ReplyStage::Done(result) => Poll::Ready(result),
            ReplyStage::Future(mut future) => {
                if let Poll::Ready(result) = future.as_mut().poll(cx) {
                    return Poll::Ready(result.map_err(E::from));
                }
                if this.watch.timer.poll(cx).is_ready() {
                    let timed_out = AskError::TimedOut { may_have_run: true };
                    return Poll::Ready(Err(timed_out.into()));
                }
                this.stage = ReplyStage::Future(future);
                Poll::Pending
            }
            ReplyStage::Pending(mut pending) => {
                if !pending.is_ready() {
                    if let Err(path) = this.watch.wait() {
                        let may_have_run = !matches!(pending.abandon(), Abandoned::Withdrawn);
                        let deadlock = AskError::Deadlock { path, may_have_run };
                        return Poll::Ready(Err(deadlock.into()));
                    }
                }
                let is_ready = pending.poll(cx.waker());
                if is_ready || this.watch.timer.poll(cx).is_ready() {
                    this.watch.over();
                    let result = if is_ready {
                        pending.take()
                    } else {
                        watch::given_up(pending)
                    };
                    return Poll::Ready(result.map_err(E::from));
                }
                this.stage = ReplyStage::Pending(pending);
                Poll::Pending
            }
            ReplyStage::Promised(promised) => {
                if let Some(result) = promised.poll(cx.waker()) {
                    return Poll::Ready(result);
                }
                if this.watch.timer.poll(cx).is_pending() {
                    this.stage = ReplyStage::Promised(promised);
                    return Poll::Pending;
                }
                let may_have_run = match promised.abandon() {
                    GivenUp::Done(result) => return Poll::Ready(result),
                    GivenUp::Running => true,
                    GivenUp::Withdrawn => false,
                };
                Poll::Ready(Err(AskError::TimedOut { may_have_run }.into()))
            }
            ReplyStage::Taken => panic!("a reply was polled after its result was taken"),
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
            ReplyStage::Pending(pending) if pending.is_ready() => "ready",
            ReplyStage::Pending(pending) if pending.has_started() => "running",
            ReplyStage::Promised(promised) if promised.is_ready() => "ready",
            ReplyStage::Promised(promised) if promised.has_started() => "running",
            ReplyStage::Pending(_) | ReplyStage::Promised(_) | ReplyStage::Future(_) => "waiting",
            ReplyStage::Done(_) => "ready",
            ReplyStage::Taken => "taken",
        };
        f.debug_struct("Reply")
            .field("state", &state)
            .finish_non_exhaustive()
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
