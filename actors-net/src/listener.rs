//! `Listener`: the actor that accepts connections, and has an actor for each.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::accept::{Accepting, Incoming};
use crate::address::NetAddr;
use crate::codec::Inbound;
use crate::connection::{self, Frame};
use crate::encode::FrameEncoder;
use crate::error::{NetError, Waited};
use crate::limits::Limits;
use crate::link::{Ends, Link, Outbound, panic_text};
use crate::roster::{ListenerStats, Roster};
use crate::tls::ServerTls;
use crate::transport::{Acceptor, Bound};
use actors_core::{Actor, Context, Error, Handler, Message, SpawnError, SpawnOptions, StopReason};
use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use tokio_util::codec::Decoder;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// An actor that accepts connections. Each gets an actor of its own, a child of the listener.
///
/// ```
/// use actors_core::{Actor, Context, Handler};
/// use actors_net::{Frame, Link, Listener};
/// use tokio_util::codec::LinesCodec;
///
/// #[derive(Actor)]
/// struct Echo { link: Link<String> }
///
/// impl Handler<Frame<String>> for Echo {
///     async fn handle(&mut self, Frame(line): Frame<String>, _: &mut Context<Self>) {
///         // Refused once the connection has ended, as this actor will.
///         let _ = self.link.send(line).await;
///     }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let listener = Listener::bind("127.0.0.1:0")?.serve(LinesCodec::new, |link| Echo { link });
/// let address = listener.address().clone();
/// let listener = listener.spawn();
/// // Whoever connects to `address` is answered.
/// # assert!(address.ip().is_some());
/// listener.stop(); // takes no more connections, and lets those that are there finish
/// assert!(listener.stopped().await.is_normal());
/// # Ok(())
/// # }
/// ```
///
/// # Ends
///
/// - The peer's end stops the connection's actor: by [`Addr::stop`](actors_core::Addr::stop) once
///   all frames are in its mailbox, so that it answers what the peer had asked before it closed its
///   half. What broke the connection is the error of its
///   [`StopReason::Failed`](actors_core::StopReason), a [`NetError`].
/// - The actor's end, whatever it is, closes the connection; what its links had sent is written
///   first.
/// - A listener that is stopped closes its socket, stops its connections' actors all at once, and
///   waits until what they sent is written, for [`Limits::drain_timeout`] at most. One that is
///   killed or fails cuts them off.
pub struct Listener {
    source: Option<Source>,
    address: NetAddr,
    limits: Arc<Limits>,
    tls: Option<ServerTls>,
    serve: Box<dyn Serve>,
    roster: Arc<Roster>,
    /// The tasks of connections.
    tasks: TaskTracker,
    /// Cuts all of them off.
    cut_off: CancellationToken,
    _cut_off_at_the_end: DropGuard,
}

enum Source {
    Bound(Bound),
    Acceptor(Box<dyn Acceptor>),
}

impl Listener {
    /// Listens at `host:port`, or at `unix:path`. Port 0 is one that is free; `[::]` is every address,
    /// of IPv4 too. Connections wait until the listener is spawned.
    ///
    /// A name of a host is looked up on this thread, which may take its time. The file of a Unix
    /// socket that nobody listens at any more is replaced.
    ///
    /// # Errors
    ///
    /// `Address`, and `Io` with what the system says.
    pub fn bind(address: &str) -> Result<Binding, NetError> {
        let bound = Bound::new(address)?;
        let address = bound.local_addr()?;
        Ok(Binding::new(Source::Bound(bound), address))
    }

    /// Accepts connections from somewhere else than a socket of the system.
    pub fn on(acceptor: impl Acceptor) -> Binding {
        let address = acceptor.local_addr();
        Binding::new(Source::Acceptor(Box::new(acceptor)), address)
    }

    /// Where it listens; with the port that it was given.
    pub fn address(&self) -> &NetAddr {
        &self.address
    }
}

/// A listener that was not told yet what to do with its connections.
#[must_use = "nothing is accepted before it is told whom to serve, and spawned"]
pub struct Binding {
    source: Source,
    address: NetAddr,
    limits: Limits,
    tls: Option<ServerTls>,
}

impl Binding {
    fn new(source: Source, address: NetAddr) -> Self {
        Self {
            source,
            address,
            limits: Limits::new(),
            tls: None,
        }
    }

    /// What peers may take.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets nobody in without TLS. Who comes is counted before the handshake, which runs beside the
    /// listener; there is no actor before it is done.
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Where it listens; with the port that it was given.
    pub fn address(&self) -> &NetAddr {
        &self.address
    }

    /// Serves each connection by the actor that `actor` makes of its link.
    ///
    /// `codec` makes two codecs for each connection: one reads, one writes. Frames of the peer reach
    /// the actor as [`Frame`] messages, in their order. It is not read while the actor's mailbox is
    /// full. A panic in `actor` or `codec` ends that connection only.
    pub fn serve<C, T, A>(
        self,
        codec: impl FnMut() -> C + Send + 'static,
        actor: impl FnMut(Link<T>) -> A + Send + 'static,
    ) -> Listener
    where
        C: Decoder + FrameEncoder<T> + Send + 'static,
        C::Item: Send + 'static,
        C::Error: Into<Error>,
        T: Send + 'static,
        A: Actor + Handler<Frame<C::Item>>,
    {
        let Self {
            source,
            address,
            limits,
            tls,
        } = self;
        let cut_off = CancellationToken::new();
        Listener {
            source: Some(source),
            address,
            roster: Roster::new(limits.connections, limits.per_peer),
            limits: Arc::new(limits),
            tls,
            serve: Box::new(Served {
                codec,
                actor,
                _types: PhantomData,
            }),
            tasks: TaskTracker::new(),
            _cut_off_at_the_end: cut_off.clone().drop_guard(),
            cut_off,
        }
    }
}

impl Actor for Listener {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        ctx.stop_children_together(self.limits.drain);
        let acceptor = match self.source.take() {
            Some(Source::Bound(bound)) => bound.into_acceptor()?,
            Some(Source::Acceptor(acceptor)) => acceptor,
            None => return Err("a listener is started once".into()),
        };
        let roster = Arc::clone(&self.roster);
        ctx.attach(Accepting::new(acceptor, roster), |incoming| incoming);
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        self.tasks.close();
        let left = self.limits.drain.saturating_sub(self.roster.closed_for());
        if tokio::time::timeout(left, self.tasks.wait()).await.is_err() {
            let open = self.tasks.len();
            tracing::warn!(address = %self.address, open, "connections are cut off");
        }
    }
}

/// Asks a [`Listener`] what it has done so far.
#[derive(Clone, Copy, Debug, Message)]
#[reply(ListenerStats)]
pub struct CountConnections;

impl Handler<CountConnections> for Listener {
    async fn handle(&mut self, _: CountConnections, _: &mut Context<Self>) -> ListenerStats {
        self.roster.stats()
    }
}

impl Handler<Incoming> for Listener {
    async fn handle(&mut self, incoming: Incoming, ctx: &mut Context<Self>) {
        let Some(tls) = self.tls.clone() else {
            return self.open(incoming, ctx);
        };
        let limit = self.limits.handshake;
        let listener = ctx.addr();
        self.work(async move {
            let Incoming { stream, seat } = incoming;
            let peer = stream.peer_addr();
            let handshake = tokio::time::timeout(limit, tls.accept(stream));
            let late = |_| Err(NetError::TimedOut(Waited::Handshake));
            match handshake.await.unwrap_or_else(late) {
                // Refused where the listener is stopping: nothing was read yet.
                Ok(stream) => drop(listener.send(Secured(Incoming { stream, seat })).await),
                Err(error) => {
                    let cause = error.source().map(ToString::to_string);
                    tracing::debug!(%peer, %error, cause, "not let in");
                }
            }
        });
    }
}

/// A connection whose handshake is done.
#[derive(Message)]
struct Secured(Incoming);

impl Handler<Secured> for Listener {
    async fn handle(&mut self, Secured(incoming): Secured, ctx: &mut Context<Self>) {
        self.open(incoming, ctx);
    }
}

impl Listener {
    /// Makes an actor for a connection, and lets it begin.
    fn open(&mut self, incoming: Incoming, ctx: &Context<Self>) {
        let peer = incoming.stream.peer_addr();
        // The closures that make actors and codecs are the user's, and one connection's matter.
        let open = AssertUnwindSafe(|| self.serve.open(incoming, &self.limits, ctx));
        match catch_unwind(open) {
            Ok(Ok(connection)) => self.work(connection),
            Ok(Err(error)) => tracing::error!(%peer, %error, "no actor for a connection"),
            Err(payload) => {
                let text = panic_text(&*payload);
                tracing::error!(%peer, %text, "no actor for a connection: its making panicked");
            }
        }
    }

    /// Works for a connection until it is done, or cut off.
    fn work(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let cut_off = self.cut_off.clone();
        self.tasks.spawn(async move {
            cut_off.run_until_cancelled(connection).await;
        });
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("address", &self.address)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("address", &self.address)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes an actor for a connection, and the task that works for it.
trait Serve: Send {
    fn open(
        &mut self,
        incoming: Incoming,
        limits: &Arc<Limits>,
        ctx: &Context<Listener>,
    ) -> Result<Task, SpawnError>;
}

/// Forgets the types of codec, frames and actor.
struct Served<C, F, T, A> {
    codec: C,
    actor: F,
    _types: PhantomData<fn(T) -> A>,
}

impl<C, M, F, T, A> Serve for Served<M, F, T, A>
where
    M: FnMut() -> C + Send,
    F: FnMut(Link<T>) -> A + Send,
    C: Decoder + FrameEncoder<T> + Send + 'static,
    C::Item: Send + 'static,
    C::Error: Into<Error>,
    T: Send + 'static,
    A: Actor + Handler<Frame<C::Item>>,
{
    fn open(
        &mut self,
        incoming: Incoming,
        limits: &Arc<Limits>,
        ctx: &Context<Listener>,
    ) -> Result<Task, SpawnError> {
        let Incoming { stream, seat } = incoming;
        let limits = Arc::clone(limits);
        let inbound = Inbound::new((self.codec)(), limits.largest_frame, limits.read_buffer);
        let ends = Ends::of(&*stream);
        let outbound = Arc::new(Outbound::new((self.codec)(), limits.write_buffer, ends));
        let actor = (self.actor)(Link(Arc::clone(&outbound)));
        let options = SpawnOptions::new().capacity(limits.mailbox);
        let actor = ctx.spawn_with(options, actor)?;
        Ok(Box::pin(async move {
            connection::serve(stream, inbound, &outbound, &actor, &limits).await;
            drop(seat);
        }))
    }
}
