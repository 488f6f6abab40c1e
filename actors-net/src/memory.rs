//! Streams in memory, for tests and for two parts of one program.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::address::NetAddr;
use crate::stream::Stream;
use crate::transport::{Acceptor, Connector};
use async_trait::async_trait;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

/// One end of a pair of streams in memory.
///
/// ```
/// use actors_net::memory_pair;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let (mut one, mut other) = memory_pair(64);
/// one.write_all(b"hello").await?;
/// drop(one);
/// let mut text = String::new();
/// other.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MemoryStream {
    io: DuplexStream,
    local: NetAddr,
    peer: NetAddr,
}

/// Two streams, each of which reads what the other one writes. So many bytes may be on their way
/// before writing waits.
pub fn memory_pair(buffer: usize) -> (MemoryStream, MemoryStream) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = |end| NetAddr::Other(format!("memory:{number}{end}").into());
    let (one, other) = tokio::io::duplex(buffer);
    let stream = |io, local, peer| MemoryStream {
        io,
        local: name(local),
        peer: name(peer),
    };
    (stream(one, "a", "b"), stream(other, "b", "a"))
}

impl Stream for MemoryStream {
    fn peer_addr(&self) -> NetAddr {
        self.peer.clone()
    }

    fn local_addr(&self) -> NetAddr {
        self.local.clone()
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Listens in memory, for [`Listener::on`](crate::Listener::on).
#[derive(Debug)]
pub struct MemoryListener {
    incoming: mpsc::Receiver<MemoryStream>,
    name: NetAddr,
}

/// Connects to a [`MemoryListener`].
#[derive(Clone, Debug)]
pub struct MemoryDoor {
    incoming: mpsc::Sender<MemoryStream>,
    buffer: usize,
}

/// A place to listen at, in memory, and how to connect to it. So many bytes may be on their way in
/// each direction before writing waits.
pub fn memory_listener(buffer: usize) -> (MemoryListener, MemoryDoor) {
    let (tx, rx) = mpsc::channel(16);
    let name: Arc<str> = "memory".into();
    let listener = MemoryListener {
        incoming: rx,
        name: NetAddr::Other(name),
    };
    let door = MemoryDoor {
        incoming: tx,
        buffer,
    };
    (listener, door)
}

impl MemoryDoor {
    /// A connection.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused`: nobody listens any more.
    pub async fn connect(&self) -> io::Result<MemoryStream> {
        let (here, there) = memory_pair(self.buffer);
        let sent = self.incoming.send(there).await;
        sent.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(here)
    }
}

#[async_trait]
impl Acceptor for MemoryListener {
    async fn accept(&mut self) -> io::Result<Box<dyn Stream>> {
        match self.incoming.recv().await {
            Some(stream) => Ok(Box::new(stream)),
            // Nobody can connect any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> NetAddr {
        self.name.clone()
    }
}

#[async_trait]
impl Connector for MemoryDoor {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(Self::connect(self).await?))
    }

    fn peer_addr(&self) -> NetAddr {
        NetAddr::Other("memory".into())
    }
}
