//! `Special`: an ask that needs more than the node of its message.
use super::watch::{Timer, Watch, deadlock, given_up};
use super::{BoxFuture, OVER, Reply, ReplyStage, post};
use crate::cell::Cell;
use crate::error::AskError;
use crate::mailbox::{Call, Deadline, Limit, Pending, Refused};
use std::mem;
use std::task::{Context, Poll};
use std::time::Duration;

/// An ask that waits for room, or has done so, or that does not go to one mailbox.
pub(super) struct Special<'a, R> {
    stage: Stage<'a, R>,
    timeout: Limit,
    watch: Watch,
}

pub(super) enum Stage<'a, R> {
    /// The mailbox is full, or has closed since.
    Room(Call<'a, R, Cell>, BoxFuture<'a, Result<(), Refused>>),
    Posted(Pending<R>),
    Value(Result<R, AskError>),
    Future(BoxFuture<'static, Result<R, AskError>>),
    Routed(Box<dyn Routed<R>>),
    Over,
}

/// An ask whose actor is chosen when it is sent.
pub(crate) trait Routed<R>: Send {
    /// Sends it now, as [`Ask::post`](super::Ask::post).
    fn post(self: Box<Self>, timeout: Option<Duration>) -> Result<Reply<R>, AskError>;

    /// Sends it when polled, and waits, as awaiting an [`Ask`](super::Ask).
    fn ask(self: Box<Self>, timeout: Option<Duration>) -> BoxFuture<'static, Result<R, AskError>>;
}

impl<'a, R: Send + 'static> Special<'a, R> {
    pub(super) fn at(stage: Stage<'a, R>) -> Self {
        Self {
            stage,
            timeout: Limit::default(),
            watch: Watch::default(),
        }
    }

    /// One that waits for room, until then.
    #[cold]
    pub(super) fn in_line(
        mut call: Call<'a, R, Cell>,
        deadline: Deadline,
    ) -> Result<Self, AskError> {
        let mut watch = Watch::until(deadline);
        watch.address(&mut call, Limit::default())?;
        let place = call.tx().queue().line_up();
        watch.wait_for_room(&place).map_err(deadlock)?;
        let room = Box::pin(call.tx().queue().room(place));
        Ok(Self {
            stage: Stage::Room(call, room),
            timeout: Limit::default(),
            watch,
        })
    }

    pub(super) fn set_timeout(&mut self, limit: Duration) {
        self.timeout = Limit::of(limit);
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.watch.timer.deadline()
    }

    /// As [`Ask::post`](super::Ask::post). It is over then.
    pub(super) fn post(&mut self) -> Result<Reply<R>, AskError> {
        let stage = match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Room(call, _) => {
                self.watch.over();
                return post(call, mem::take(&mut self.watch), self.timeout);
            }
            Stage::Posted(pending) => ReplyStage::Pending(pending),
            Stage::Value(result) => ReplyStage::Done(result),
            Stage::Future(future) => ReplyStage::Future(future),
            Stage::Routed(routed) => return routed.post(self.timeout.time()),
            Stage::Over => return Err(AskError::Closed),
        };
        let watch = mem::take(&mut self.watch);
        Ok(Reply { stage, watch })
    }

    /// As polling an [`Ask`](super::Ask).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        let polled = match &self.stage {
            Stage::Posted(_) => return self.poll_posted(cx),
            Stage::Room(..) => self.poll_room(cx),
            Stage::Future(_) => self.poll_future(cx),
            Stage::Routed(_) => self.poll_routed(cx),
            Stage::Value(_) | Stage::Over => self.take_value(),
        };
        if polled.is_ready() {
            self.stage = Stage::Over;
            self.watch.over();
        }
        polled
    }

    /// The same; but one that was not accepted, since the actor has stopped, gives its message back.
    pub(super) fn poll_or_message<M: 'static>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Result<R, AskError>, M>> {
        let Stage::Room(..) = &self.stage else {
            return self.poll(cx).map(Ok);
        };
        let Poll::Ready(result) = self.poll_room(cx) else {
            return Poll::Pending;
        };
        self.watch.over();
        Poll::Ready(match (result, mem::replace(&mut self.stage, Stage::Over)) {
            (Err(AskError::Closed), Stage::Room(call, _)) => Err(super::message(call)),
            (result, _) => Ok(result),
        })
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
            Poll::Pending => self.watch.timer.poll(cx).map(|()| {
                Err(AskError::TimedOut {
                    may_have_run: false,
                })
            }),
        }
    }

    /// Posts the ask, for which room was taken.
    fn post_in_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        let Stage::Room(mut call, room) = mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("called with an ask that waited for room");
        };
        call.set_waker(cx.waker());
        match call.post() {
            Ok(pending) => {
                self.stage = Stage::Posted(pending);
                // To set its timer.
                self.poll_posted(cx)
            }
            Err(call) => {
                self.stage = Stage::Room(call, room);
                Poll::Ready(Err(AskError::Closed))
            }
        }
    }

    fn poll_posted(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        let Stage::Posted(pending) = &mut self.stage else {
            unreachable!("called with an ask that was posted");
        };
        let is_ready = pending.poll(cx.waker());
        if !is_ready && self.watch.timer.poll(cx).is_pending() {
            return Poll::Pending;
        }
        let Stage::Posted(pending) = mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("looked at above");
        };
        self.watch.over();
        Poll::Ready(if is_ready {
            pending.take()
        } else {
            given_up(pending)
        })
    }

    /// Chooses the actor.
    fn poll_routed(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        let Stage::Routed(routed) = mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("called with an ask that is routed");
        };
        let timeout = self.timeout.time();
        if timeout.is_some() && tokio::runtime::Handle::try_current().is_ok() {
            // The ask at the actor keeps the time. Without a runtime it has no timer, and the
            // thread that waits looks at the clock for this one.
            self.timeout = Limit::default();
        }
        self.stage = Stage::Future(routed.ask(timeout));
        self.poll_future(cx)
    }

    fn poll_future(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        let Stage::Future(future) = &mut self.stage else {
            unreachable!("called with a future");
        };
        let limit = mem::take(&mut self.timeout);
        if limit != Limit::default() {
            self.watch.timer = Timer::new(Deadline::now().after(limit));
        }
        match future.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => {
                let timed_out = self.watch.timer.poll(cx);
                timed_out.map(|()| Err(AskError::TimedOut { may_have_run: true }))
            }
        }
    }

    fn take_value(&mut self) -> Poll<Result<R, AskError>> {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Value(result) => Poll::Ready(result),
            _ => panic!("{OVER}"),
        }
    }
}
