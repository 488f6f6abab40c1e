//! `Dial`: connecting, and connecting again, for an actor.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::codec::Inbound;
use crate::connection::{self, End, Frame};
use crate::encode::FrameEncoder;
use crate::error::{NetError, Waited};
use crate::limits::Limits;
use crate::link::{Ends, Link, Outbound};
use crate::stream::Stream;
use crate::tls::ClientTls;
use crate::transport::{Connector, Remote};
use actors_core::{Actor, Addr, Context, Error, Handler, Message};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::codec::Decoder;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a dialling actor is told of its connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LinkEvent {
    /// Connected. Frames that come after this are of this connection.
    #[non_exhaustive]
    Up {
        /// Which connection it is; the first one is 1.
        connection: u64,
    },
    /// Not connected, or not any more. Told once, however often dialling fails until it is up again.
    /// What was written to a connection that broke may have arrived or not.
    #[non_exhaustive]
    Down {
        /// Which connection it was; 0: there was none yet.
        connection: u64,
        /// Why; `None`: the other end has closed it.
        error: Option<NetError>,
    },
    /// The link was closed, and nothing comes after this. All that was sent is written, unless
    /// [`Link::closed`] says otherwise: what was kept for a connection that did not come is not.
    Closed,
}

impl Message for LinkEvent {
    type Reply = ();
}

/// How to connect, and to connect again whenever the connection is lost.
///
/// ```
/// use actors_core::{Actor, Context, Error, Handler};
/// use actors_net::{Dial, Frame, Link, LinkEvent};
/// use tokio_util::codec::LinesCodec;
///
/// struct Feed { link: Option<Link<String>> }
///
/// impl Actor for Feed {
///     async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
///         self.link = Some(Dial::new("feed.example:7000").attach(ctx, LinesCodec::new));
///         Ok(())
///     }
/// }
///
/// impl Handler<Frame<String>> for Feed {
///     async fn handle(&mut self, Frame(line): Frame<String>, _: &mut Context<Self>) {
///         println!("{line}");
///     }
/// }
///
/// impl Handler<LinkEvent> for Feed {
///     async fn handle(&mut self, event: LinkEvent, _: &mut Context<Self>) {
///         if let LinkEvent::Up { .. } = event {
///             let link = self.link.as_ref().expect("set before the first message");
///             let _ = link.send("subscribe".into()).await;
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is connected before it is attached to an actor"]
pub struct Dial {
    connector: Arc<dyn Connector>,
    limits: Limits,
    tls: Option<ClientTls>,
    keep: bool,
    first_pause: Duration,
    longest_pause: Duration,
}

impl Dial {
    /// Connects to `host:port`, or to `unix:path`. A host's name is looked up each time.
    ///
    /// The defaults: the limits of [`Limits::new`] without time limits for silence, since that
    /// is not for the one who asks to hold against the other; what is sent while it is down is
    /// refused; pauses of up to 100 ms at first and 30 s at last.
    pub fn new(address: impl Into<String>) -> Self {
        Self::via(Remote(address.into()))
    }

    /// Connects by other means.
    pub fn via(connector: impl Connector) -> Self {
        Self {
            connector: Arc::new(connector),
            limits: Limits::new().first_frame_timeout(None).idle_timeout(None),
            tls: None,
            keep: false,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(30),
        }
    }

    /// What the other end may take. What is about listeners does not matter here; the handshake's
    /// time is that of connecting, too.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Encrypts, and checks who the server is.
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// What is sent while it is down waits for the next connection, as much as the write buffer
    /// holds; then sending waits. Otherwise it is refused.
    ///
    /// Also what was sent and not yet taken to be written when a connection broke.
    pub fn keep_while_down(mut self) -> Self {
        self.keep = true;
        self
    }

    pub(crate) fn keeps(&self) -> bool {
        self.keep
    }

    pub(crate) fn reject_while_down(mut self) -> Self {
        self.keep = false;
        self
    }

    /// How long to wait before dialling again: a random time that is at most `first`, the next time
    /// at most twice as much, and so on up to `longest`. Random, so that many who lost the same
    /// server do not come back at the same time.
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.first_pause = first;
        self.longest_pause = longest;
        self
    }

    /// Connects for this actor, from now on until it ends or the link is closed. Frames reach it as
    /// [`Frame`] messages, and what becomes of the connection as [`LinkEvent`]s, in the order in
    /// which things happened.
    ///
    /// Meant for an actor's `started`: a supervised one dials anew when it is restarted. Once the
    /// actor has ended, what it had sent is written, and the connection closed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn attach<A, C, T>(
        self,
        ctx: &Context<A>,
        mut codec: impl FnMut() -> C + Send + 'static,
    ) -> Link<T>
    where
        A: Actor + Handler<Frame<C::Item>> + Handler<LinkEvent>,
        C: Decoder + FrameEncoder<T> + Send + 'static,
        C::Item: Send + 'static,
        C::Error: Into<Error>,
        T: Send + 'static,
    {
        let ends = Ends::unknown(self.connector.peer_addr());
        let outbound = Arc::new(Outbound::new(codec(), self.limits.write_buffer, ends));
        outbound.down(self.keep);
        let ended = CancellationToken::new();
        let line = Line {
            dial: self,
            outbound: Arc::clone(&outbound),
            actor: ctx.addr(),
            ended: ended.clone(),
        };
        let running = tokio::spawn(line.run(codec));
        let guard = ended.drop_guard();
        // Goes with the actor, while the line writes what is left.
        ctx.pipe(over(guard, running), |()| LinkEvent::Closed);
        Link(outbound)
    }
}

async fn over(guard: DropGuard, running: tokio::task::JoinHandle<()>) {
    let _guard = guard;
    let _ = running.await;
}

/// One actor's connections, one after the other.
struct Line<A, T> {
    dial: Dial,
    outbound: Arc<Outbound<T>>,
    actor: Addr<A>,
    ended: CancellationToken,
}

impl<A, T> Line<A, T> {
    async fn run<C>(self, mut codec: impl FnMut() -> C + Send + 'static)
    where
        A: Actor + Handler<Frame<C::Item>> + Handler<LinkEvent>,
        C: Decoder + Send + 'static,
        C::Item: Send + 'static,
        C::Error: Into<Error>,
        T: Send + 'static,
    {
        let limits = &self.dial.limits;
        let mut pauses = self.pauses();
        let mut connection = 0;
        let mut told = false;
        let error = loop {
            let error = match self.connect().await {
                None => break None,
                Some(Err(error)) => Some(error),
                Some(Ok(stream)) => {
                    connection = self.outbound.up(Ends::of(&*stream));
                    if !self.tell(LinkEvent::Up { connection }).await {
                        break None;
                    }
                    told = false;
                    let up = Instant::now();
                    let inbound = Inbound::new(codec(), limits.largest_frame, limits.read_buffer);
                    let ended = self.ended.cancelled();
                    let End { error, by_us } = connection::visit(
                        stream,
                        inbound,
                        &self.outbound,
                        &self.actor,
                        limits,
                        ended,
                    )
                    .await;
                    if by_us || self.ended.is_cancelled() {
                        break error.or_else(|| self.outbound.error().cloned());
                    }
                    if up.elapsed() >= self.dial.longest_pause.min(LASTING) {
                        pauses = self.pauses();
                    }
                    error
                }
            };
            self.outbound.down(self.dial.keep);
            if !std::mem::replace(&mut told, true) {
                tracing::info!(peer = %self.dial.connector.peer_addr(), ?error, "down");
                if !self.tell(LinkEvent::Down { connection, error }).await {
                    break None;
                }
            }
            let longest = pauses.next().unwrap_or(self.dial.longest_pause);
            let pause = tokio::time::sleep(longest.mul_f64(fastrand::f64()));
            if self.unless_over(pause).await.is_none() {
                break None;
            }
        };
        self.outbound.end(error);
    }

    fn pauses(&self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(self.dial.first_pause)
            .with_max_delay(self.dial.longest_pause)
            .without_max_times()
            .build()
    }

    /// `None`: the actor has ended, or the link was closed.
    async fn connect(&self) -> Option<Result<Box<dyn Stream>, NetError>> {
        let limit = self.dial.limits.handshake;
        let connecting = timeout(limit, self.dial.connector.connect());
        let stream = match self.unless_over(connecting).await? {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Some(Err(error.into())),
            Err(_) => return Some(Err(NetError::TimedOut(Waited::Connect))),
        };
        let Some(tls) = &self.dial.tls else {
            return Some(Ok(stream));
        };
        let address = self.dial.connector.peer_addr();
        let handshake = timeout(limit, tls.connect(stream, &address));
        let late = |_| Err(NetError::TimedOut(Waited::Handshake));
        Some(self.unless_over(handshake).await?.unwrap_or_else(late))
    }

    /// `false`: the actor has ended.
    async fn tell(&self, event: LinkEvent) -> bool
    where
        A: Handler<LinkEvent>,
    {
        let sent = self.ended.run_until_cancelled(self.actor.send(event)).await;
        sent.is_some_and(|sent| sent.is_ok())
    }

    /// Waits for this, unless nobody wants it any more.
    async fn unless_over<F: Future>(&self, wanted: F) -> Option<F::Output> {
        let closed = poll_fn(|cx| self.outbound.poll_closed(cx));
        tokio::select! {
            biased;
            () = self.ended.cancelled() => None,
            () = closed => None,
            output = wanted => Some(output),
        }
    }
}

/// A connection that has lasted so long was a good one.
const LASTING: Duration = Duration::from_secs(10);
