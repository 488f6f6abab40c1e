//! `Stream`: what a connection runs on.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::address::NetAddr;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// What a connection runs on: bytes in and out, in order, without loss; and who is there.
///
/// Used as `dyn`. Implemented for TCP, Unix sockets, TLS, the pipes of a child process and memory;
/// and by whoever has another one, such as a simulated network.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Where the other end is.
    fn peer_addr(&self) -> NetAddr;

    /// Where this end is.
    fn local_addr(&self) -> NetAddr;

    /// Who the other end has proved to be.
    fn peer_identity(&self) -> Option<Arc<PeerIdentity>> {
        None
    }

    /// The protocol that both ends have agreed on, where they were asked to.
    fn protocol(&self) -> Option<Arc<str>> {
        None
    }
}

/// Who the other end has proved to be, by a certificate that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerIdentity {
    /// The names of its certificate: DNS names, and URIs such as SPIFFE's.
    pub names: Vec<String>,
    /// The certificate, DER-encoded.
    pub certificate: Vec<u8>,
}

fn unknown() -> NetAddr {
    NetAddr::Other("unknown".into())
}

impl Stream for TcpStream {
    fn peer_addr(&self) -> NetAddr {
        Self::peer_addr(self).map_or_else(|_| unknown(), Into::into)
    }

    fn local_addr(&self) -> NetAddr {
        Self::local_addr(self).map_or_else(|_| unknown(), Into::into)
    }
}

#[cfg(unix)]
impl Stream for UnixStream {
    fn peer_addr(&self) -> NetAddr {
        Self::peer_addr(self).map_or_else(|_| unknown(), Into::into)
    }

    fn local_addr(&self) -> NetAddr {
        Self::local_addr(self).map_or_else(|_| unknown(), Into::into)
    }
}

/// What every TCP connection of ours is: without delay, and looked after when it is silent.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15));
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
