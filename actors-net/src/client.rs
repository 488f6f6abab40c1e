//! `Client`: requests and their answers, for protocols that answer in order.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::connection::Frame;
use crate::dial::{Dial, LinkEvent};
use crate::encode::FrameEncoder;
use crate::error::{NetError, TryLinkError};
use crate::link::Link;
use actors_core::{
    Actor, Addr, AskError, Context, Deferred, Error, Handler, Message, SpawnOptions, StopReason,
};
use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::codec::Decoder;

/// Asks a server that answers each request by one frame, in the order of the requests, as Redis and
/// many line protocols do. An actor with a dialled connection.
///
/// Cloning it is cheap. Requests are pipelined: they do not wait for the answers of those before. The
/// connection closes when the last clone is gone.
///
/// ```no_run
/// use actors_net::{Client, Dial};
/// use tokio_util::codec::LinesCodec;
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let client = Client::<String, String>::new(Dial::new("time.example:7000"), LinesCodec::new);
/// let answer = client.ask("what is the time?".into()).await?;
/// println!("{answer}");
/// # Ok(())
/// # }
/// ```
pub struct Client<Q: 'static, R: 'static> {
    line: Addr<Asking<Q, R>>,
    /// Room for requests without an answer.
    room: Arc<Semaphore>,
    patience: Option<Duration>,
    _last: Arc<Last<Q, R>>,
}

/// Ends the client's actor with the last clone: its connection keeps its address.
struct Last<Q: 'static, R: 'static>(Addr<Asking<Q, R>>);

impl<Q, R> Drop for Last<Q, R> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Why a request has no answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// Not sent: there is no connection, and there was none within the client's patience. Asking
    /// again is safe.
    NotConnected,
    /// The connection broke before the answer came; `None`: the server has closed it. The request
    /// may have been served.
    Disconnected(Option<NetError>),
    /// No answer came in time. The request may have been served; its answer will be thrown away.
    TimedOut,
    /// The codec refuses the request. It was not sent.
    Encode(Arc<dyn StdError + Send + Sync>),
    /// The client has ended.
    Stopped(AskError),
}

impl ClientError {
    /// Whether the request may have had an effect. False: it was not sent.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::NotConnected | Self::Encode(_) => false,
            Self::Disconnected(_) | Self::TimedOut => true,
            Self::Stopped(error) => error.may_have_run(),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "there is no connection",
            Self::Disconnected(_) => "the connection broke before the answer came",
            Self::TimedOut => "no answer came in time",
            Self::Encode(_) => "the request cannot be encoded",
            Self::Stopped(_) => "the client has ended",
        })
    }
}

impl StdError for ClientError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Disconnected(Some(error)) => Some(error),
            Self::Encode(error) => Some(&**error),
            Self::Stopped(error) => Some(error),
            _ => None,
        }
    }
}

/// How many requests may wait for their answers.
const IN_FLIGHT: usize = 1024;

impl<Q: Send + 'static, R: Send + 'static> Client<Q, R> {
    /// Connects as `dial` says. At most 1,024 requests are without an answer at a time; asking waits
    /// then. While there is no connection, requests fail with `NotConnected`; with
    /// [`Dial::keep_while_down`] they wait for one.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new<C>(dial: Dial, codec: impl FnMut() -> C + Send + 'static) -> Self
    where
        C: Decoder<Item = R> + FrameEncoder<Q> + Send + 'static,
        C::Error: Into<Error>,
    {
        let asking = Asking {
            waits_for_connection: dial.keeps(),
            // What waits is kept here, where it is known who asked for it.
            attach: Some(Box::new(move |ctx| {
                dial.reject_while_down().attach(ctx, codec)
            })),
            link: None,
            connection: 0,
            is_up: false,
            unanswered: VecDeque::new(),
        };
        let options = SpawnOptions::new()
            .name("Client")
            .capacity(2 * IN_FLIGHT)
            .stash_capacity(IN_FLIGHT as u32);
        let line = match options.spawn(asking) {
            Ok(line) => line,
            Err(error) => panic!("{error}"),
        };
        Self {
            _last: Arc::new(Last(line.clone())),
            line,
            room: Arc::new(Semaphore::new(IN_FLIGHT)),
            patience: None,
        }
    }

    /// Requests of this clone give up after so long.
    #[must_use]
    pub fn timeout(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Sends a request and waits for its answer.
    ///
    /// Dropped, it gives up: what was not sent is not, and an answer that comes later is thrown away
    /// and never taken for that of another request.
    ///
    /// # Errors
    ///
    /// Those of [`ClientError`].
    pub async fn ask(&self, request: Q) -> Result<R, ClientError> {
        let asking = async {
            let room = Arc::clone(&self.room).acquire_owned().await;
            let room = room.map_err(|_| ClientError::NotConnected)?;
            let asked = self
                .line
                .ask(Request {
                    request,
                    room,
                    _answer: PhantomData,
                })
                .await;
            asked.unwrap_or_else(|error| match error {
                // The deadline of the handler that asks, which is before the client's patience ends.
                AskError::TimedOut { .. } => Err(ClientError::TimedOut),
                error => Err(ClientError::Stopped(error)),
            })
        };
        match self.patience {
            None => asking.await,
            Some(patience) => tokio::time::timeout(patience, asking)
                .await
                .unwrap_or(Err(ClientError::TimedOut)),
        }
    }

    /// Closes the connection and ends the client; requests without an answer fail.
    pub fn stop(&self) {
        self.line.stop();
    }

    /// Waits until the client has ended.
    pub async fn stopped(&self) -> StopReason {
        self.line.stopped().await
    }
}

impl<Q, R> Clone for Client<Q, R> {
    fn clone(&self) -> Self {
        Self {
            line: self.line.clone(),
            room: Arc::clone(&self.room),
            patience: self.patience,
            _last: Arc::clone(&self._last),
        }
    }
}

impl<Q, R> fmt::Debug for Client<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("actor", &self.line)
            .finish_non_exhaustive()
    }
}

type Attach<Q, R> = Box<dyn FnOnce(&Context<Asking<Q, R>>) -> Link<Q> + Send>;

/// The client's actor.
struct Asking<Q: 'static, R: 'static> {
    attach: Option<Attach<Q, R>>,
    link: Option<Link<Q>>,
    /// Requests wait for a connection.
    waits_for_connection: bool,
    /// The connection whose frames come now.
    connection: u64,
    is_up: bool,
    /// Who waits for the next answers, in their order.
    unanswered: VecDeque<Unanswered<R>>,
}

struct Unanswered<R> {
    reply: Deferred<Result<R, ClientError>>,
    /// The connection that it was sent to.
    connection: u64,
    _room: OwnedSemaphorePermit,
}

struct Request<Q, R> {
    request: Q,
    room: OwnedSemaphorePermit,
    _answer: PhantomData<fn() -> R>,
}

impl<Q: Send + 'static, R: Send + 'static> Message for Request<Q, R> {
    type Reply = Result<R, ClientError>;
}

impl<Q: Send + 'static, R: Send + 'static> Actor for Asking<Q, R> {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        let attach = self.attach.take().ok_or("a client is started once")?;
        self.link = Some(attach(ctx));
        Ok(())
    }
}

impl<Q: Send + 'static, R: Send + 'static> Handler<Request<Q, R>> for Asking<Q, R> {
    async fn handle(
        &mut self,
        msg: Request<Q, R>,
        ctx: &mut Context<Self>,
    ) -> Result<R, ClientError> {
        if self.waits_for_connection && !self.is_up {
            return later(msg, ctx).await;
        }
        let Some(link) = &self.link else {
            return Err(ClientError::NotConnected);
        };
        // What is under way is bounded by its number. To wait for room here would keep the answers
        // from being taken, and the server from reading.
        match link.0.push(msg.request, usize::MAX) {
            Ok(connection) => {
                let room = msg.room;
                ctx.defer(|reply| {
                    self.unanswered.push_back(Unanswered {
                        reply,
                        connection,
                        _room: room,
                    });
                })
                .await
            }
            Err(TryLinkError::Encode(error)) => Err(ClientError::Encode(Arc::from(error))),
            Err(TryLinkError::Closed(request) | TryLinkError::Full(request)) => {
                if !self.waits_for_connection {
                    return Err(ClientError::NotConnected);
                }
                // The event that tells of it waits behind this request.
                later(Request { request, ..msg }, ctx).await
            }
        }
    }
}

/// Puts a request aside until there is a connection.
async fn later<Q, R>(
    request: Request<Q, R>,
    ctx: &mut Context<Asking<Q, R>>,
) -> Result<R, ClientError>
where
    Q: Send + 'static,
    R: Send + 'static,
{
    match ctx.stash(request) {
        Ok(later) => later.await,
        Err(_) => Err(ClientError::NotConnected),
    }
}

impl<Q: Send + 'static, R: Send + 'static> Handler<Frame<R>> for Asking<Q, R> {
    async fn handle(&mut self, Frame(answer): Frame<R>, _: &mut Context<Self>) {
        match pop_if(&mut self.unanswered, self.connection..=self.connection) {
            // Whoever has given up meanwhile is not there to hear it.
            Some(first) => first.reply.answer(Ok(answer)),
            None => tracing::warn!("the server answers what nobody has asked"),
        }
    }
}

impl<Q: Send + 'static, R: Send + 'static> Handler<LinkEvent> for Asking<Q, R> {
    async fn handle(&mut self, event: LinkEvent, ctx: &mut Context<Self>) {
        match event {
            LinkEvent::Up { connection } => {
                self.connection = connection;
                self.is_up = true;
                ctx.unstash_all();
            }
            LinkEvent::Down { connection, error } => {
                self.is_up = false;
                while let Some(first) = pop_if(&mut self.unanswered, 0..=connection) {
                    let error = ClientError::Disconnected(error.clone());
                    first.reply.answer(Err(error));
                }
            }
            LinkEvent::Closed => ctx.stop(),
        }
    }
}

/// The first one, if it was sent to one of these connections.
fn pop_if<R>(
    unanswered: &mut VecDeque<Unanswered<R>>,
    connections: RangeInclusive<u64>,
) -> Option<Unanswered<R>> {
    let first = unanswered.front()?;
    if !connections.contains(&first.connection) {
        return None;
    }
    unanswered.pop_front()
}
