//! `Link`: the sending end of a connection, and what waits to be written.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::address::NetAddr;
use crate::encode::{FrameEncoder, WriteBuffer};
use crate::error::{LinkError, NetError, TryLinkError};
use crate::stream::{PeerIdentity, Stream};
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The sending end of a connection: what frames of type `T` are written with.
///
/// Cloning it is cheap, and all clones write to the same connection; frames of one sender are
/// written in the order in which it sent them. A link keeps neither the connection nor its actor
/// alive.
///
/// The link of a connection that was dialled outlives it: it writes to the next one.
///
/// Frames are encoded where they are sent, and what several senders send before the connection comes
/// to write is written at once.
pub struct Link<T>(pub(crate) Arc<Outbound<T>>);

impl<T> Link<T> {
    /// Sends a frame, once there is room for it. It is on its way when this returns, and not
    /// necessarily written: see [`close`](Self::close) and [`closed`](Self::closed).
    ///
    /// Dropped before it is ready, it has sent nothing.
    ///
    /// # Errors
    ///
    /// `Closed`, also while it waits for room, with the frame; `Encode` when the codec refuses it.
    pub async fn send(&self, frame: T) -> Result<(), LinkError<T>> {
        match self.try_send(frame) {
            Ok(()) => Ok(()),
            // Boxed: what is mostly not needed would make each handler that sends larger.
            Err(TryLinkError::Full(frame)) => Box::pin(self.send_later(frame)).await,
            Err(TryLinkError::Closed(frame)) => Err(LinkError::Closed(frame)),
            Err(TryLinkError::Encode(error)) => Err(LinkError::Encode(error)),
        }
    }

    async fn send_later(&self, mut frame: T) -> Result<(), LinkError<T>> {
        loop {
            // In line before looking: room that comes in between is not missed.
            let mut room = pin!(self.0.room.notified());
            room.as_mut().enable();
            frame = match self.try_send(frame) {
                Ok(()) => return Ok(()),
                Err(TryLinkError::Full(frame)) => frame,
                Err(TryLinkError::Closed(frame)) => return Err(LinkError::Closed(frame)),
                Err(TryLinkError::Encode(error)) => return Err(LinkError::Encode(error)),
            };
            room.await;
        }
    }

    /// Sends a frame if there is room now.
    ///
    /// # Errors
    ///
    /// `Full` and `Closed`, with the frame; `Encode` when the codec refuses it.
    pub fn try_send(&self, frame: T) -> Result<(), TryLinkError<T>> {
        self.0.push(frame, self.0.limit).map(drop)
    }

    /// Closes the connection: what was sent is written first, and nothing more can be sent. The
    /// actor stops, as by [`Addr::stop`](actors_core::Addr::stop).
    pub fn close(&self) {
        self.0.close();
    }

    /// Waits until the connection has ended, and tells why; where it is dialled again, for good.
    /// `Ok`: by this side or the other, after all that was sent had been written, as far as this
    /// side can know.
    ///
    /// # Errors
    ///
    /// What the connection ended of. `CutOff` also where something that was sent could not be
    /// written, such as what was kept while there was no connection.
    pub async fn closed(&self) -> Result<(), NetError> {
        self.0.ended.cancelled().await;
        match self.0.error.get() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Whether frames are refused, since the connection has ended or is being closed.
    pub fn is_closed(&self) -> bool {
        !matches!(self.0.lock().state, State::Open | State::Down)
    }

    /// Where the other end is.
    pub fn peer_addr(&self) -> NetAddr {
        self.0.ends().peer.clone()
    }

    /// Where this end is.
    pub fn local_addr(&self) -> NetAddr {
        self.0.ends().local.clone()
    }

    /// Who the other end has proved to be, where TLS asked it to.
    pub fn peer_identity(&self) -> Option<Arc<PeerIdentity>> {
        self.0.ends().identity.clone()
    }

    /// The protocol that both ends have agreed on, where TLS asked them to.
    pub fn protocol(&self) -> Option<Arc<str>> {
        self.0.ends().protocol.clone()
    }
}

impl<T> Clone for Link<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = self.0.ends();
        f.debug_struct("Link")
            .field("peer", &ends.peer)
            .field("local", &ends.local)
            .finish_non_exhaustive()
    }
}

/// Who stands at the two ends.
#[derive(Clone)]
pub(crate) struct Ends {
    peer: NetAddr,
    local: NetAddr,
    identity: Option<Arc<PeerIdentity>>,
    protocol: Option<Arc<str>>,
}

impl Ends {
    /// Who will stand there is not known yet.
    pub(crate) fn unknown(peer: NetAddr) -> Self {
        Self {
            peer,
            local: NetAddr::Other("not connected".into()),
            identity: None,
            protocol: None,
        }
    }

    pub(crate) fn of(stream: &dyn Stream) -> Self {
        Self {
            peer: stream.peer_addr(),
            local: stream.local_addr(),
            identity: stream.peer_identity(),
            protocol: stream.protocol(),
        }
    }
}

/// What links and their connection share.
pub(crate) struct Outbound<T> {
    queue: Mutex<Queue<T>>,
    /// Told when there is room, or never will be.
    room: Notify,
    /// How many bytes wait before senders do.
    limit: usize,
    ends: Mutex<Ends>,
    ended: CancellationToken,
    error: OnceLock<NetError>,
}

struct Queue<T> {
    state: State,
    /// How often it was connected.
    connection: u64,
    encoder: Box<dyn FrameEncoder<T> + Send>,
    /// What was encoded and not taken to be written.
    buffer: WriteBuffer,
    /// Whom to wake when there is something to write.
    writer: Option<Waker>,
    /// Whether somebody waits for room.
    crowded: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Not connected, and will be again; until then nothing is taken.
    Down,
    /// What waits is written, and nothing more taken.
    Closing,
    Closed,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A codec that panics is caught before it could leave anything half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Outbound<T> {
    pub(crate) fn new<E>(encoder: E, limit: usize, ends: Ends) -> Self
    where
        E: FrameEncoder<T> + Send + 'static,
    {
        Self {
            queue: Mutex::new(Queue {
                state: State::Open,
                connection: 0,
                encoder: Box::new(encoder),
                buffer: WriteBuffer::new(),
                writer: None,
                crowded: false,
            }),
            room: Notify::new(),
            // Else nothing could ever be sent.
            limit: limit.max(1),
            ends: Mutex::new(ends),
            ended: CancellationToken::new(),
            error: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        lock(&self.queue)
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        lock(&self.ends)
    }

    /// Encodes a frame, unless so many bytes wait already. Gives the number of the connection that
    /// it will be written to, if that one lasts.
    pub(crate) fn push(&self, frame: T, limit: usize) -> Result<u64, TryLinkError<T>> {
        let mut queue = self.lock();
        if queue.state != State::Open {
            return Err(TryLinkError::Closed(frame));
        }
        if queue.buffer.len() >= limit {
            queue.crowded = true;
            return Err(TryLinkError::Full(frame));
        }
        let Queue {
            encoder, buffer, ..
        } = &mut *queue;
        let before = buffer.mark();
        let encoded = catch_unwind(AssertUnwindSafe(|| encoder.encode(frame, buffer)));
        let result = match encoded {
            Ok(Ok(())) => Ok(queue.connection),
            Ok(Err(error)) => {
                // Not half a frame.
                buffer.back_to(before);
                Err(TryLinkError::Encode(error))
            }
            Err(payload) => {
                buffer.back_to(before);
                let error = NetError::CodecPanicked(panic_text(&*payload));
                let _ = self.error.set(error.clone());
                // The encoder's state cannot be trusted any more.
                queue.state = State::Closing;
                Err(TryLinkError::Encode(error.into()))
            }
        };
        let writer = queue.writer.take();
        drop(queue);
        if let Some(writer) = writer {
            writer.wake();
        }
        result
    }

    /// Takes no more frames; what waits is written.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        if matches!(queue.state, State::Open | State::Down) {
            queue.state = State::Closing;
        }
        let writer = queue.writer.take();
        drop(queue);
        self.room.notify_waiters();
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Connected, to this one. Gives its number.
    pub(crate) fn up(&self, ends: Ends) -> u64 {
        *self.ends() = ends;
        let mut queue = self.lock();
        if queue.state == State::Down {
            queue.state = State::Open;
        }
        queue.connection += 1;
        queue.connection
    }

    /// Not connected, but will be again. What was not taken to be written waits for that, if it is
    /// to be kept.
    pub(crate) fn down(&self, keep: bool) {
        let mut queue = self.lock();
        if keep || queue.state != State::Open {
            return;
        }
        queue.state = State::Down;
        let left = mem::take(&mut queue.buffer);
        drop(queue);
        drop(left);
        self.room.notify_waiters();
    }

    /// Ready when it is being closed.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut queue = self.lock();
        if !matches!(queue.state, State::Open | State::Down) {
            return Poll::Ready(());
        }
        match &mut queue.writer {
            Some(writer) => writer.clone_from(cx.waker()),
            writer => *writer = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// The connection has ended.
    pub(crate) fn end(&self, error: Option<NetError>) {
        let mut queue = self.lock();
        queue.state = State::Closed;
        let left = mem::take(&mut queue.buffer);
        let writer = queue.writer.take();
        drop(queue);
        // What was accepted and not written is not lost in silence.
        let cut_off = (!left.is_empty()).then_some(NetError::CutOff);
        drop((left, writer));
        if let Some(error) = error.or(cut_off) {
            let _ = self.error.set(error);
        }
        self.room.notify_waiters();
        self.ended.cancel();
    }

    /// Why the connection ends, as far as that was said.
    pub(crate) fn error(&self) -> Option<&NetError> {
        self.error.get()
    }

    /// Ready when there is something to write, with whether there is; nothing, and ready: there
    /// will be no more.
    pub(crate) fn poll_filled(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut queue = self.lock();
        if !queue.buffer.is_empty() {
            return Poll::Ready(true);
        }
        if queue.state != State::Open {
            return Poll::Ready(false);
        }
        match &mut queue.writer {
            Some(writer) => writer.clone_from(cx.waker()),
            writer => *writer = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes what waits to be written, in exchange for a buffer that is empty.
    pub(crate) fn take(&self, buffer: &mut WriteBuffer) {
        debug_assert!(buffer.is_empty(), "what is in it would be written later");
        let mut queue = self.lock();
        mem::swap(&mut queue.buffer, buffer);
        let crowded = mem::take(&mut queue.crowded);
        drop(queue);
        if crowded {
            self.room.notify_waiters();
        }
    }

    /// Keeps the buffer that was written for what is sent next, unless it is large: of the two
    /// buffers a connection that is idle keeps one.
    pub(crate) fn keep(&self, written: &mut WriteBuffer) {
        let mut queue = self.lock();
        if !queue.buffer.is_empty() {
            return;
        }
        if queue.buffer.room() < written.room() {
            mem::swap(&mut queue.buffer, written);
        }
        let large = queue.buffer.room() > KEEP;
        let large = large.then(|| mem::take(&mut queue.buffer));
        drop(queue);
        drop((large, mem::take(written)));
    }
}

/// How large a buffer a connection keeps that is idle.
pub(crate) const KEEP: usize = 4 << 10;

pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> Arc<str> {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").into()
}
