//! `Promise`: the answering end of a reply that no actor owes.
use crate::error::{AskError, NoReplyReason};
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The duty to answer a [`Reply`](crate::Reply) that was not made by asking an actor: what a pool
/// holds for a job, and what code that is no actor can hold for whatever it does.
///
/// Made by [`Reply::promised`](crate::Reply::promised). Dropped unanswered, it ends the reply with
/// [`AskError::NoReply`] at once.
///
/// ```
/// use actors_core::{AskError, Reply};
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let (promise, reply) = Reply::<u32>::promised();
/// std::thread::spawn(move || {
///     if promise.start() {
///         promise.answer(Ok(6 * 7));
///     }
/// });
/// assert_eq!(reply.await?, 42);
/// # Ok(())
/// # }
/// ```
#[must_use = "dropped unanswered, the reply ends with an error"]
pub struct Promise<R, E = AskError> {
    shared: Arc<Shared<R, E>>,
    answered: bool,
}

/// The asker's end.
pub(crate) struct Promised<R, E> {
    shared: Arc<Shared<R, E, dyn Send + Sync>>,
}

/// What giving up found.
pub(crate) enum GivenUp<R, E> {
    /// The work had not started and never will.
    Withdrawn,
    /// It had started; it was told.
    Running,
    /// There was a result: here it is.
    Done(Result<R, E>),
}

/// What a job can be asked and told whose types are forgotten.
pub(crate) trait Token: Send + Sync {
    /// Whether nobody waits for the result any more.
    fn is_cancelled(&self) -> bool;
    /// Ends the reply as cancelled, whoever waits for it.
    fn revoke(&self);
}

/// What both ends have in common, and, in the same allocation, what else the answerer needs.
pub(crate) struct Shared<R, E, W: ?Sized = ()> {
    state: Mutex<State<R, E>>,
    error: fn(AskError) -> E,
    pub(crate) work: W,
}

struct State<R, E> {
    stage: Stage<R, E>,
    started: bool,
    /// Of whoever waits for the result.
    asker: Option<Waker>,
    /// Of whoever waits for the asker to give up.
    answerer: Option<Waker>,
}

enum Stage<R, E> {
    Open,
    /// The asker wants the work done, but not its result.
    Detached,
    /// The asker has given up, or the work was revoked and the result taken.
    Gone,
    /// The result was given.
    Done(Result<R, E>),
    /// The work was taken away from its worker, which has not noticed yet; this is the result.
    Revoked(Result<R, E>),
}

impl<R, E, W: ?Sized> Shared<R, E, W> {
    fn lock(&self) -> MutexGuard<'_, State<R, E>> {
        // Nothing under this lock is left half-done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Promise::start`].
    pub(crate) fn start(&self) -> bool {
        let mut state = self.lock();
        state.started = true;
        matches!(state.stage, Stage::Open | Stage::Detached)
    }

    /// See [`Promise::answer`].
    pub(crate) fn answer(&self, result: Result<R, E>) {
        self.settle(|_| Stage::Done(result));
    }

    /// Ends the reply, whose answerer is gone without having answered.
    pub(crate) fn abandon(&self) {
        self.settle(|started| {
            Stage::Done(Err((self.error)(AskError::NoReply {
                reason: NoReplyReason::ReplyDropped,
                may_have_run: started,
            })))
        });
    }

    /// Gives the result, unless there is one or nobody wants it; then it is dropped here.
    fn settle(&self, result: impl FnOnce(bool) -> Stage<R, E>) {
        let mut state = self.lock();
        if !matches!(state.stage, Stage::Open) {
            if matches!(state.stage, Stage::Detached) {
                state.stage = Stage::Gone;
            }
            return;
        }
        let started = state.started;
        state.stage = result(started);
        let wakers = (state.asker.take(), state.answerer.take());
        drop(state);
        if let Some(waker) = wakers.0 {
            waker.wake();
        }
        if let Some(waker) = wakers.1 {
            waker.wake();
        }
    }
}

impl<R: Send, E: Send, W: Send + Sync> Token for Shared<R, E, W> {
    fn is_cancelled(&self) -> bool {
        matches!(self.lock().stage, Stage::Gone | Stage::Revoked(_))
    }

    fn revoke(&self) {
        self.settle(|started| {
            Stage::Revoked(Err((self.error)(AskError::Cancelled {
                may_have_run: started,
            })))
        });
    }
}

pub(crate) fn promise<R, E: From<AskError>>() -> (Promise<R, E>, Promised<R, E>) {
    let (shared, promised) = promise_of(());
    let promise = Promise {
        shared,
        answered: false,
    };
    (promise, promised)
}

/// A promise with what else its holder needs, who has to see to it himself that it is answered.
pub(crate) type Owed<R, E, W> = Arc<Shared<R, E, W>>;

/// Makes one.
pub(crate) fn promise_of<R, E, W>(work: W) -> (Owed<R, E, W>, Promised<R, E>)
where
    E: From<AskError>,
    W: Send + Sync + 'static,
{
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            stage: Stage::Open,
            started: false,
            asker: None,
            answerer: None,
        }),
        error: E::from,
        work,
    });
    let promised = Promised {
        shared: Arc::clone(&shared) as _,
    };
    (shared, promised)
}

impl<R, E> Promise<R, E> {
    /// Notes that the work begins: from now on the errors of the reply say that it
    /// [may have run](AskError::may_have_run). False: the asker has given up, and it must not begin.
    pub fn start(&self) -> bool {
        self.shared.start()
    }

    /// Takes that back, for work that was given to somebody who has not begun with it.
    pub fn unstart(&self) {
        self.shared.lock().started = false;
    }

    /// Whether nobody waits for the answer: the asker has cancelled, timed out, or dropped the
    /// reply.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.shared.lock().stage, Stage::Gone | Stage::Revoked(_))
    }

    /// Waits until nobody waits for the answer. For one task at a time.
    pub async fn cancelled(&self) {
        poll_fn(|cx| self.poll_cancelled(cx)).await;
    }

    /// Ready when nobody waits for the answer; else wakes the task then, if it was the last to poll.
    pub fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        if matches!(state.stage, Stage::Gone | Stage::Revoked(_)) {
            return Poll::Ready(());
        }
        match &mut state.answerer {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Answers. Where nobody waits, the result is dropped here.
    pub fn answer(mut self, result: Result<R, E>) {
        self.answered = true;
        self.shared.answer(result);
    }
}

impl<R, E> Drop for Promise<R, E> {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.abandon();
        }
    }
}

impl<R, E> fmt::Debug for Promise<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

impl<R, E> Promised<R, E> {
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.shared.lock().stage, Stage::Done(_) | Stage::Revoked(_))
    }

    pub(crate) fn has_started(&self) -> bool {
        self.shared.lock().started
    }

    /// The result, if it is there; else remembers the waker.
    pub(crate) fn poll(&self, waker: &Waker) -> Option<Result<R, E>> {
        let mut state = self.shared.lock();
        let taken = state.take();
        if taken.is_none() {
            match &mut state.asker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        taken
    }

    /// The result, if it is there.
    pub(crate) fn try_take(&self) -> Option<Result<R, E>> {
        self.shared.lock().take()
    }

    pub(crate) fn abandon(&self) -> GivenUp<R, E> {
        self.leave(Stage::Gone)
    }

    pub(crate) fn detach(self) {
        self.leave(Stage::Detached);
    }

    fn leave(&self, how: Stage<R, E>) -> GivenUp<R, E> {
        let mut state = self.shared.lock();
        if let Some(result) = state.take() {
            return GivenUp::Done(result);
        }
        if !matches!(state.stage, Stage::Open) {
            return GivenUp::Running;
        }
        state.stage = how;
        let found = match state.started {
            true => GivenUp::Running,
            false => GivenUp::Withdrawn,
        };
        let wakers = (state.asker.take(), state.answerer.take());
        drop(state);
        if let Some(waker) = wakers.1 {
            waker.wake();
        }
        found
    }
}

impl<R, E> Drop for Promised<R, E> {
    fn drop(&mut self) {
        // The result, if there is one, is dropped outside of the lock.
        drop(self.abandon());
    }
}

impl<R, E> State<R, E> {
    fn take(&mut self) -> Option<Result<R, E>> {
        if !matches!(self.stage, Stage::Done(_) | Stage::Revoked(_)) {
            return None;
        }
        match mem::replace(&mut self.stage, Stage::Gone) {
            Stage::Done(result) | Stage::Revoked(result) => Some(result),
            Stage::Open | Stage::Detached | Stage::Gone => None,
        }
    }
}
