//! A connection: one stream, read into an actor's mailbox and written from its links.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::alarm::{alarm, poll_until};
use crate::codec::Inbound;
use crate::encode::WriteBuffer;
use crate::error::{NetError, Waited};
use crate::limits::Limits;
use crate::link::{Outbound, panic_text};
use crate::stream::Stream;
use actors_core::{Actor, Addr, Error, Handler, Message, TellError};
use bytes::Buf;
use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::time::Instant;
use tokio_util::codec::Decoder;
use tokio_util::io::poll_read_buf;

/// A frame that the peer has sent, as a message to the connection's actor.
///
/// ```
/// use actors_core::{Actor, Context, Handler};
/// use actors_net::{Frame, Link};
///
/// #[derive(Actor)]
/// struct Echo { link: Link<String> }
///
/// impl Handler<Frame<String>> for Echo {
///     async fn handle(&mut self, Frame(line): Frame<String>, ctx: &mut Context<Self>) {
///         if self.link.send(line).await.is_err() {
///             ctx.stop();
///         }
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frame<T>(pub T);

impl<T: Send + 'static> Message for Frame<T> {
    type Reply = ();
}

/// Runs a connection from its first byte to its last, for an actor that ends with it.
///
/// Dropped, it cuts the connection off.
pub(crate) async fn serve<A, D, T>(
    stream: Box<dyn Stream>,
    inbound: Inbound<D>,
    outbound: &Outbound<T>,
    actor: &Addr<A>,
    limits: &Limits,
) where
    A: Actor + Handler<Frame<D::Item>>,
    D: Decoder,
    D::Item: Send + 'static,
    D::Error: Into<Error>,
{
    let cut_off = CutOff { outbound, actor };
    let wire = Wire::new(stream, limits, true);
    let ended = async { drop(actor.stopped().await) };
    let end = wire.run(inbound, outbound, actor, ended).await;
    let error = end.error.or_else(|| outbound.error().cloned());
    match &error {
        Some(error) => actor.stop_with(error.clone()),
        None => actor.stop(),
    }
    // No more frames, and the reason is there before somebody sees the end.
    outbound.end(error);
    std::mem::forget(cut_off);
}

/// Runs one of several connections for an actor, until it ends, the links are closed, or `ended`.
pub(crate) async fn visit<A, D, T>(
    stream: Box<dyn Stream>,
    inbound: Inbound<D>,
    outbound: &Outbound<T>,
    actor: &Addr<A>,
    limits: &Limits,
    ended: impl Future<Output = ()>,
) -> End
where
    A: Actor + Handler<Frame<D::Item>>,
    D: Decoder,
    D::Item: Send + 'static,
    D::Error: Into<Error>,
{
    let wire = Wire::new(stream, limits, false);
    wire.run(inbound, outbound, actor, ended).await
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) error: Option<NetError>,
    /// Whether this side has said all that it wanted to.
    pub(crate) by_us: bool,
}

/// Ends what belongs to a connection that was dropped.
struct CutOff<'a, A, T> {
    outbound: &'a Outbound<T>,
    actor: &'a Addr<A>,
}

impl<A, T> Drop for CutOff<'_, A, T> {
    fn drop(&mut self) {
        self.actor.stop_with(NetError::CutOff);
        self.outbound.end(Some(NetError::CutOff));
    }
}

/// Why nothing more is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// The peer has no more to say.
    All,
    /// The actor takes no more.
    Unwanted,
}

/// What became of what was to be written.
enum Written {
    All,
    Broken(NetError),
    /// There is nobody to read it any more.
    Stopped,
}

/// A stream, and since when it waits for what.
pub(crate) struct Wire<'a> {
    /// Locked for one look at a time, by two halves of one task: never waited for.
    stream: Mutex<Box<dyn Stream>>,
    limits: &'a Limits,
    /// Whether the actor ends with this connection.
    owns_actor: bool,
    opened: Instant,
    /// Whether a whole frame has come.
    has_frame: AtomicBool,
    /// When a frame came last or something was written, in nanoseconds since it was opened.
    active: AtomicU64,
    /// Since when the peer takes nothing; 0: it does.
    blocked: AtomicU64,
}

impl<'a> Wire<'a> {
    fn new(stream: Box<dyn Stream>, limits: &'a Limits, owns_actor: bool) -> Self {
        Self {
            stream: Mutex::new(stream),
            limits,
            owns_actor,
            opened: Instant::now(),
            has_frame: AtomicBool::new(false),
            active: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
        }
    }

    fn stream(&self) -> MutexGuard<'_, Box<dyn Stream>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the actor that no more comes, if that is its end.
    fn no_more<A>(&self, actor: &Addr<A>, error: Option<&NetError>) {
        match error {
            _ if !self.owns_actor => {}
            Some(error) => actor.stop_with(error.clone()),
            None => actor.stop(),
        }
    }

    /// Reads and writes until both are over.
    async fn run<A, D, T>(
        &self,
        mut inbound: Inbound<D>,
        outbound: &Outbound<T>,
        actor: &Addr<A>,
        ended: impl Future<Output = ()>,
    ) -> End
    where
        A: Actor + Handler<Frame<D::Item>>,
        D: Decoder,
        D::Item: Send + 'static,
        D::Error: Into<Error>,
    {
        let mut fault = None;
        let mut eof = false;
        let written = {
            let mut read = pin!(self.read(&mut inbound, actor));
            let mut write = pin!(self.write(outbound, actor));
            let mut ended = pin!(ended);
            let mut alarm = pin!(alarm());
            let mut reading = true;
            let mut living = true;
            poll_fn(|cx| {
                loop {
                    if reading {
                        let read = catch_unwind(AssertUnwindSafe(|| read.as_mut().poll(cx)));
                        let read = read.unwrap_or_else(|payload| {
                            Poll::Ready(Err(NetError::CodecPanicked(panic_text(&*payload))))
                        });
                        if let Poll::Ready(end) = read {
                            reading = false;
                            eof = matches!(end, Ok(Read::All));
                            let unwanted = matches!(end, Ok(Read::Unwanted));
                            fault = fault.take().or(end.err());
                            self.no_more(actor, fault.as_ref());
                            if !self.owns_actor && !unwanted {
                                return Poll::Ready(Written::Stopped);
                            }
                        }
                    }
                    if living && ended.as_mut().poll(cx).is_ready() {
                        living = false;
                        reading = false;
                        outbound.close();
                    }
                    if let Poll::Ready(end) = write.as_mut().poll(cx) {
                        return Poll::Ready(match end {
                            Ok(()) => Written::All,
                            Err(error) => Written::Broken(error),
                        });
                    }
                    let Some(next) = self.next_alarm(reading) else {
                        return Poll::Pending;
                    };
                    ready!(poll_until(alarm.as_mut(), next, cx));
                    let Some(waited) = self.timed_out(reading, actor) else {
                        continue;
                    };
                    let error = NetError::TimedOut(waited);
                    self.no_more(actor, Some(&error));
                    if waited == Waited::Write || !self.owns_actor {
                        return Poll::Ready(Written::Broken(error));
                    }
                    reading = false;
                    fault.get_or_insert(error);
                }
            })
            .await
        };
        match written {
            // What broke first is told; a broken pipe after that is no news.
            Written::Broken(error) => End {
                error: Some(fault.unwrap_or(error)),
                by_us: false,
            },
            Written::Stopped => End {
                error: fault,
                by_us: false,
            },
            Written::All => {
                // An encoder that has panicked closes its link.
                self.no_more(actor, outbound.error());
                self.part(&mut inbound, eof).await;
                End {
                    error: fault,
                    by_us: true,
                }
            }
        }
    }

    /// Reads as long as there is something to read, and somebody to take it.
    async fn read<A, D>(&self, inbound: &mut Inbound<D>, actor: &Addr<A>) -> Result<Read, NetError>
    where
        A: Actor + Handler<Frame<D::Item>>,
        D: Decoder,
        D::Item: Send + 'static,
        D::Error: Into<Error>,
    {
        let mut unhandled = 0;
        loop {
            let read = poll_fn(|cx| self.poll_read(inbound, cx)).await?;
            loop {
                let before = inbound.len();
                let frame = match read {
                    0 => inbound.last()?,
                    _ => inbound.next()?,
                };
                let Some(frame) = frame else { break };
                unhandled += before - inbound.len();
                self.has_frame.store(true, Ordering::Relaxed);
                match actor.tell(Frame(frame)) {
                    Ok(()) => {}
                    Err(TellError::Full(frame)) => {
                        if actor.send(frame).await.is_err() {
                            return Ok(Read::Unwanted);
                        }
                    }
                    // It ends by itself, and knows why.
                    Err(_) => return Ok(Read::Unwanted),
                }
                if unhandled >= self.limits.unhandled {
                    // An actor that has ended is seen at the next frame.
                    let _ = actor.caught_up().await;
                    unhandled = 0;
                }
            }
            self.is_active();
            if read == 0 {
                return Ok(Read::All);
            }
        }
    }

    fn poll_read<D>(
        &self,
        inbound: &mut Inbound<D>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, NetError>>
    where
        D: Decoder,
        D::Error: Into<Error>,
    {
        let mut stream = self.stream();
        let stream = Pin::new(&mut **stream);
        let at_once = self.limits.read_buffer.clamp(1, SCRATCH);
        let buffer = inbound.buffer();
        if !buffer.is_empty() {
            buffer.reserve(at_once);
            return poll_read_buf(stream, cx, buffer).map_err(Into::into);
        }
        // Nothing is half-read: who waits here for long holds no buffer.
        let mut scratch = [MaybeUninit::uninit(); SCRATCH];
        let (scratch, _) = scratch.split_at_mut(at_once);
        let mut read = ReadBuf::uninit(scratch);
        ready!(stream.poll_read(cx, &mut read))?;
        inbound.begin(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Writes until the links are closed and all that they sent is written.
    async fn write<A, T>(&self, outbound: &Outbound<T>, actor: &Addr<A>) -> Result<(), NetError> {
        let mut buffer = WriteBuffer::new();
        while poll_fn(|cx| outbound.poll_filled(cx)).await {
            // An actor that is at work has more to send, mostly: then that is written along.
            if actor.mailbox_len() > 0 {
                tokio::task::yield_now().await;
            }
            outbound.take(&mut buffer);
            poll_fn(|cx| self.poll_write(&mut buffer, cx)).await?;
            self.is_active();
            outbound.keep(&mut buffer);
        }
        Ok(())
    }

    /// Writes the whole buffer.
    fn poll_write(
        &self,
        buffer: &mut WriteBuffer,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), NetError>> {
        let mut stream = self.stream();
        let mut stream = Pin::new(&mut **stream);
        while !buffer.is_empty() {
            let Poll::Ready(written) = buffer.poll_write(stream.as_mut(), cx) else {
                self.is_blocked();
                return Poll::Pending;
            };
            self.blocked.store(0, Ordering::Relaxed);
            match written? {
                0 => {
                    return Poll::Ready(Err(
                        std::io::Error::from(std::io::ErrorKind::WriteZero).into()
                    ));
                }
                written => buffer.advance(written),
            }
        }
        let Poll::Ready(flushed) = stream.poll_flush(cx) else {
            self.is_blocked();
            return Poll::Pending;
        };
        self.blocked.store(0, Ordering::Relaxed);
        Poll::Ready(flushed.map_err(Into::into))
    }

    /// Says that there is no more, and waits for the peer to say so too: else the system would
    /// take back what it has not delivered yet.
    async fn part<D>(&self, inbound: &mut Inbound<D>, eof: bool)
    where
        D: Decoder,
        D::Error: Into<Error>,
    {
        let parting = async {
            poll_fn(|cx| Pin::new(&mut **self.stream()).poll_shutdown(cx)).await?;
            if eof {
                return Ok(());
            }
            loop {
                inbound.buffer().clear();
                if poll_fn(|cx| self.poll_read(inbound, cx)).await? == 0 {
                    return Ok::<_, NetError>(());
                }
            }
        };
        // A peer that is not polite, or has gone, has got all the same what it has taken.
        let _ = tokio::time::timeout(self.limits.linger, parting).await;
    }

    fn now(&self) -> u64 {
        // Never 0, which means that nothing is blocked.
        u64::try_from(self.opened.elapsed().as_nanos()).map_or(u64::MAX, |now| now.max(1))
    }

    fn is_active(&self) {
        // Where nobody asks for it, the clock is not read.
        if self.limits.idle.is_some() {
            self.active.store(self.now(), Ordering::Relaxed);
        }
    }

    fn is_blocked(&self) {
        if self.blocked.load(Ordering::Relaxed) == 0 {
            self.blocked.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Until when the peer has to do what, in nanoseconds since the connection was opened.
    fn waits(&self, reading: bool) -> [Option<(u64, Waited)>; 2] {
        let blocked = self.blocked.load(Ordering::Relaxed);
        let write = self.limits.write.filter(|_| blocked != 0);
        let write = write.map(|limit| (after(blocked, limit), Waited::Write));
        let first = (self.limits.first_frame).filter(|_| !self.has_frame.load(Ordering::Relaxed));
        let read = match first {
            Some(limit) => Some((after(0, limit), Waited::FirstFrame)),
            None => {
                let active = self.active.load(Ordering::Relaxed);
                let idle = self.limits.idle;
                idle.map(|limit| (after(active, limit), Waited::Idle))
            }
        };
        [write, read.filter(|_| reading)]
    }

    fn next_alarm(&self, reading: bool) -> Option<Instant> {
        let waits = self.waits(reading).into_iter().flatten();
        let next = waits.map(|(until, _)| until).min()?;
        self.opened.checked_add(Duration::from_nanos(next))
    }

    fn timed_out<A>(&self, reading: bool, actor: &Addr<A>) -> Option<Waited> {
        let now = self.now();
        let over = |wait: &(u64, Waited)| wait.0 <= now;
        let (_, waited) = self.waits(reading).into_iter().flatten().find(over)?;
        if waited == Waited::Idle && actor.mailbox_len() > 0 {
            // It is this side that the peer waits for.
            self.is_active();
            return None;
        }
        Some(waited)
    }
}

fn after(since: u64, limit: Duration) -> u64 {
    since.saturating_add(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
}

/// How many bytes are read at a time on the stack.
const SCRATCH: usize = 16 << 10;
