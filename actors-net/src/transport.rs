//! `Acceptor`: where connections come from; and sockets that listen.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::address::NetAddr;
use crate::error::NetError;
use crate::stream::{Stream, prepare};
use async_trait::async_trait;
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Where a listener's connections come from: a socket, or a simulated network.
#[async_trait]
pub trait Acceptor: Send + 'static {
    /// Waits for the next connection. Dropped before it is ready, no connection is lost.
    ///
    /// # Errors
    ///
    /// What the system says. The listener goes on, after a pause.
    async fn accept(&mut self) -> io::Result<Box<dyn Stream>>;

    /// Where it listens.
    fn local_addr(&self) -> NetAddr;
}

/// How a connection is made: to an address, or in a simulated network.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Connects.
    ///
    /// # Errors
    ///
    /// What the system says.
    async fn connect(&self) -> io::Result<Box<dyn Stream>>;

    /// Where to.
    fn peer_addr(&self) -> NetAddr;
}

/// `host:port`, or `unix:path`. Names are looked up each time.
#[derive(Debug)]
pub(crate) struct Remote(pub(crate) String);

#[async_trait]
impl Connector for Remote {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        if let Some(_path) = self.0.strip_prefix(UNIX) {
            #[cfg(unix)]
            return Ok(Box::new(tokio::net::UnixStream::connect(_path).await?));
            #[cfg(not(unix))]
            return Err(io::ErrorKind::Unsupported.into());
        }
        let stream = tokio::net::TcpStream::connect(&self.0).await?;
        prepare(&stream)?;
        Ok(Box::new(stream))
    }

    fn peer_addr(&self) -> NetAddr {
        NetAddr::Other(self.0.as_str().into())
    }
}

impl fmt::Debug for dyn Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({})", self.peer_addr())
    }
}

impl fmt::Debug for dyn Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acceptor({})", self.local_addr())
    }
}

/// How many connections the system keeps that were not accepted yet.
const BACKLOG: i32 = 1024;

/// The prefix of the address of a Unix socket.
const UNIX: &str = "unix:";

/// A socket that listens, and is not known to a runtime yet.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener, unix::Path),
}

impl Bound {
    /// Listens at `host:port` or at `unix:path`.
    pub(crate) fn new(address: &str) -> Result<Self, NetError> {
        if let Some(path) = address.strip_prefix(UNIX) {
            #[cfg(unix)]
            return Ok(unix::bind(path)?);
            #[cfg(not(unix))]
            return Err(NetError::Address(path.into()));
        }
        let unknown = |_| NetError::Address(address.into());
        let mut error = NetError::Address(address.into());
        for candidate in address.to_socket_addrs().map_err(unknown)? {
            match tcp(candidate) {
                Ok(listener) => return Ok(Self::Tcp(listener)),
                Err(refused) => error = refused.into(),
            }
        }
        Err(error)
    }

    pub(crate) fn local_addr(&self) -> io::Result<NetAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Into::into),
            #[cfg(unix)]
            Self::Unix(_, path) => Ok(NetAddr::Unix(Some(path.0.clone()))),
        }
    }

    /// Makes it known to the current runtime.
    pub(crate) fn into_acceptor(self) -> io::Result<Box<dyn Acceptor>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(tokio::net::TcpListener::from_std(listener)?),
            #[cfg(unix)]
            Self::Unix(listener, path) => Box::new(unix::Accepting {
                listener: tokio::net::UnixListener::from_std(listener)?,
                path,
            }),
        })
    }
}

fn tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `[::]` is for everybody. Where the system cannot do that, for IPv6.
        let _ = socket.set_only_v6(false);
    }
    // Elsewhere than on Unix it would let others take the port over.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[async_trait]
impl Acceptor for tokio::net::TcpListener {
    async fn accept(&mut self) -> io::Result<Box<dyn Stream>> {
        let (stream, _) = Self::accept(self).await?;
        // Who has gone again already is noticed when it is read.
        let _ = prepare(&stream);
        Ok(Box::new(stream))
    }

    fn local_addr(&self) -> NetAddr {
        Self::local_addr(self).map_or_else(|_| NetAddr::Other("unknown".into()), Into::into)
    }
}

#[cfg(unix)]
mod unix {
    //! Unix sockets leave a file behind, which is to go with them.
    use super::{Acceptor, Bound};
    use crate::address::NetAddr;
    use crate::stream::Stream;
    use async_trait::async_trait;
    use std::io;
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;

    /// The file of a socket, removed when this is dropped.
    #[derive(Debug)]
    pub(crate) struct Path(pub(crate) PathBuf);

    impl Drop for Path {
        fn drop(&mut self) {
            // Somebody else may have done it.
            let _ = std::fs::remove_file(&self.0);
        }
    }

    pub(super) fn bind(path: &str) -> io::Result<Bound> {
        let path = PathBuf::from(path);
        let listener = match UnixListener::bind(&path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(&path) => {
                std::fs::remove_file(&path)?;
                UnixListener::bind(&path)
            }
            bound => bound,
        }?;
        listener.set_nonblocking(true)?;
        Ok(Bound::Unix(listener, Path(path)))
    }

    /// Whether the file is a socket at which nobody listens.
    fn is_left_over(path: &PathBuf) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
            && UnixStream::connect(path)
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    pub(super) struct Accepting {
        pub(super) listener: tokio::net::UnixListener,
        pub(super) path: Path,
    }

    #[async_trait]
    impl Acceptor for Accepting {
        async fn accept(&mut self) -> io::Result<Box<dyn Stream>> {
            let (stream, _) = self.listener.accept().await?;
            Ok(Box::new(stream))
        }

        fn local_addr(&self) -> NetAddr {
            NetAddr::Unix(Some(self.path.0.clone()))
        }
    }
}
