//! UDP: datagrams as messages, each with the address that it came from.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::error::NetError;
use actors_core::{Context, Message, MessageFor};
use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// A datagram that somebody has sent, as a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Datagram {
    /// What was sent.
    pub bytes: Bytes,
    /// Who says to have sent it. Nobody has checked that.
    pub from: SocketAddr,
}

impl Message for Datagram {
    type Reply = ();
}

/// A socket for datagrams, for an actor.
///
/// ```
/// use actors_core::{Actor, Context, Error, Handler};
/// use actors_net::{Datagram, Udp};
///
/// struct Echo { socket: Udp }
///
/// impl Actor for Echo {
///     async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
///         self.socket.attach(ctx);
///         Ok(())
///     }
/// }
///
/// impl Handler<Datagram> for Echo {
///     async fn handle(&mut self, datagram: Datagram, _: &mut Context<Self>) {
///         // Datagrams may get lost anywhere, here as well.
///         let _ = self.socket.send(&datagram.bytes, datagram.from).await;
///     }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), Error> {
/// let socket = Udp::bind("127.0.0.1:0").await?;
/// let echo = Echo { socket: socket.clone() }.spawn();
/// # let peer = Udp::bind("127.0.0.1:0").await?;
/// # peer.send(b"hello", socket.local_addr()?).await?;
/// # echo.stop();
/// # Ok(())
/// # }
/// ```
///
/// Cloning it is cheap, and all clones are one socket.
#[derive(Clone)]
pub struct Udp {
    socket: Arc<UdpSocket>,
}

/// The largest datagram that there can be.
const LARGEST: usize = 65_535;

impl Udp {
    /// Listens at `host:port`; port 0 is one that is free.
    ///
    /// # Errors
    ///
    /// `Io` with what the system says.
    pub async fn bind(address: &str) -> Result<Self, NetError> {
        let socket = Arc::new(UdpSocket::bind(address).await?);
        Ok(Self { socket })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// `Io` with what the system says.
    pub fn local_addr(&self) -> Result<SocketAddr, NetError> {
        Ok(self.socket.local_addr()?)
    }

    /// Sends a datagram, once the system has room for it. Whether it arrives nobody knows.
    ///
    /// Dropped before it is ready, it has sent nothing.
    ///
    /// # Errors
    ///
    /// `Io` with what the system says, such as that it is too large.
    pub async fn send(&self, bytes: &[u8], to: SocketAddr) -> Result<(), NetError> {
        self.socket.send_to(bytes, to).await?;
        Ok(())
    }

    /// From now on, what comes in reaches this actor as [`Datagram`] messages, until it ends. While
    /// its mailbox is full nothing is read, so that the system drops what it has no room for.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn attach<A, On>(&self, ctx: &Context<A>)
    where
        A: 'static,
        Datagram: MessageFor<A, On>,
    {
        let receiving = Receiving {
            socket: Arc::clone(&self.socket),
            buffer: vec![0; LARGEST].into(),
        };
        ctx.attach(receiving, |datagram| datagram);
    }
}

impl fmt::Debug for Udp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Udp")
            .field(&self.socket.local_addr())
            .finish()
    }
}

struct Receiving {
    socket: Arc<UdpSocket>,
    buffer: Box<[u8]>,
}

impl futures_core::Stream for Receiving {
    type Item = Datagram;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Datagram>> {
        let Self { socket, buffer } = &mut *self;
        loop {
            let mut read = ReadBuf::new(buffer);
            match ready!(socket.poll_recv_from(cx, &mut read)) {
                Ok(from) => {
                    let bytes = Bytes::copy_from_slice(read.filled());
                    return Poll::Ready(Some(Datagram { bytes, from }));
                }
                // Of something that was sent before: nobody is there. Or there is no memory now.
                Err(error) => tracing::debug!(%error, "a datagram was not received"),
            }
        }
    }
}
