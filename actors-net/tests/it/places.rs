//! Places to listen at, one for each transport; and who connects there.
use crate::kit::soon;
use crate::papers::Authority;
use actors_net::{
    Acceptor, Binding, ChildPipes, Listener, MemoryDoor, MemoryStream, NetAddr, ServerTls, Stream,
    memory_listener,
};
use async_trait::async_trait;
use socket2::SockRef;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{self, RootCertStore};

/// Runs the test for each kind of transport.
macro_rules! on_all {
    ($($(#[$meta:meta])* async fn $name:ident($kind:ident) $body:block)*) => {$(
        $(#[$meta])*
        #[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for $kind in $crate::places::Kind::ALL {
                println!("{:?}", $kind);
                $body
            }
        }
    )*};
}
pub(crate) use on_all;

/// How a listener of a test is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Unix,
    Tls,
    Pipes,
    Memory,
}

/// Where a listener of a test is.
pub(crate) enum Place {
    Net(NetAddr),
    Tls(Box<Tls>),
    Pipes(PipesDoor),
    Memory(MemoryDoor),
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Tcp, Self::Unix, Self::Tls, Self::Pipes, Self::Memory];

    pub(crate) fn bind(self) -> (Binding, Place) {
        match self {
            Self::Tcp => at("127.0.0.1:0"),
            Self::Unix => at(&format!("unix:{}", socket_path())),
            Self::Tls => {
                let (binding, place) = at("127.0.0.1:0");
                let (tls, place) = Tls::new(place);
                (binding.tls(tls), Place::Tls(Box::new(place)))
            }
            Self::Pipes => {
                let (listener, door) = pipes();
                (Listener::on(listener), Place::Pipes(door))
            }
            Self::Memory => {
                let (listener, door) = memory_listener(4096);
                (Listener::on(listener), Place::Memory(door))
            }
        }
    }
}

fn socket_path() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("actors-net-{}-{number}.sock", std::process::id());
    std::env::temp_dir().join(name).display().to_string()
}

fn at(address: &str) -> (Binding, Place) {
    let binding = Listener::bind(address).expect("the address is free");
    let place = Place::Net(binding.address().clone());
    (binding, place)
}

impl Place {
    pub(crate) async fn connect(&self) -> Box<dyn End> {
        self.try_connect().await.expect("somebody listens")
    }

    pub(crate) async fn try_connect(&self) -> io::Result<Box<dyn End>> {
        Ok(match self {
            Self::Net(NetAddr::Ip(address)) => Box::new(TcpStream::connect(address).await?),
            Self::Net(NetAddr::Unix(Some(path))) => Box::new(UnixStream::connect(path).await?),
            Self::Net(other) => panic!("nobody listens at {other}"),
            Self::Tls(tls) => Box::new(tls.connect().await?),
            Self::Pipes(door) => Box::new(door.connect().await?),
            Self::Memory(door) => Box::new(door.connect().await?),
        })
    }

    /// Whether who comes now is sent away without a word.
    pub(crate) async fn is_shut(&self) -> bool {
        match self.try_connect().await {
            Ok(mut end) => !matches!(soon(end.read(&mut [0])).await, Ok(1)),
            Err(_) => true,
        }
    }
}

/// Somebody's end of a connection.
pub(crate) trait End: Stream {
    /// Goes in the rudest way that there is.
    fn cut(self: Box<Self>);
}

impl End for TcpStream {
    fn cut(self: Box<Self>) {
        // The system sends a reset.
        let socket = SockRef::from(&*self);
        socket.set_linger(Some(Duration::ZERO)).expect("it is open");
    }
}

impl End for UnixStream {
    fn cut(self: Box<Self>) {}
}

impl End for MemoryStream {
    fn cut(self: Box<Self>) {}
}

/// An end that has a half for each direction.
pub(crate) struct Halves {
    read: Box<dyn AsyncRead + Send + Unpin>,
    /// `None`: closed.
    write: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// The socket below, if it is one.
    socket: Option<std::net::TcpStream>,
    /// Killed with this end, if there is one between.
    _child: Option<Child>,
}

impl Halves {
    pub(crate) fn new(
        read: impl AsyncRead + Send + Unpin + 'static,
        write: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self {
            read: Box::new(read),
            write: Some(Box::new(write)),
            socket: None,
            _child: None,
        }
    }
}

impl End for Halves {
    fn cut(self: Box<Self>) {
        if let Some(socket) = &self.socket {
            let socket = SockRef::from(socket);
            socket.set_linger(Some(Duration::ZERO)).expect("it is open");
        }
    }
}

impl Stream for Halves {
    fn peer_addr(&self) -> NetAddr {
        NetAddr::Other("there".into())
    }

    fn local_addr(&self) -> NetAddr {
        NetAddr::Other("here".into())
    }
}

impl AsyncRead for Halves {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for Halves {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = self.write.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        Pin::new(write).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let write = self.write.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        Pin::new(write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(write) = &mut self.write {
            ready!(Pin::new(write).poll_shutdown(cx))?;
            self.write = None;
        }
        Poll::Ready(Ok(()))
    }
}

/// Where somebody listens who encrypts.
pub(crate) struct Tls {
    place: NetAddr,
    connector: TlsConnector,
    /// Whose files may be read again.
    _authority: Authority,
}

impl Tls {
    fn new(place: Place) -> (ServerTls, Self) {
        let Place::Net(place) = place else {
            panic!("it is one of the net")
        };
        let authority = Authority::new();
        let paper = authority.sign("localhost");
        let tls = ServerTls::from_pem_files(paper.certificate, paper.key).expect("it was written");
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_file(authority.certificate()).expect("it was written");
        roots.add(own).expect("it is one");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("it is known")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls_place = Self {
            place,
            connector: TlsConnector::from(Arc::new(config)),
            _authority: authority,
        };
        (tls, tls_place)
    }

    async fn connect(&self) -> io::Result<Halves> {
        let address = self.place.ip().expect("it is one of the net");
        let stream = TcpStream::connect(address).await?.into_std()?;
        let socket = stream.try_clone()?;
        let stream = TcpStream::from_std(stream)?;
        let name = ServerName::try_from("localhost").expect("it is one");
        let stream = self.connector.connect(name, stream).await?;
        let (read, write) = tokio::io::split(stream);
        Ok(Halves {
            socket: Some(socket),
            ..Halves::new(read, write)
        })
    }
}

/// A listener whose connections are the pipes of children, and how to be at their other ends.
fn pipes() -> (PipesListener, PipesDoor) {
    let (tx, rx) = mpsc::channel(16);
    let door = PipesDoor {
        incoming: tx,
        folder: tempfile::tempdir().expect("there is room"),
    };
    (PipesListener(rx), door)
}

struct PipesListener(mpsc::Receiver<ChildPipes>);

#[async_trait]
impl Acceptor for PipesListener {
    async fn accept(&mut self) -> io::Result<Box<dyn Stream>> {
        match self.0.recv().await {
            Some(pipes) => Ok(Box::new(pipes)),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> NetAddr {
        NetAddr::Other("pipes".into())
    }
}

pub(crate) struct PipesDoor {
    incoming: mpsc::Sender<ChildPipes>,
    folder: TempDir,
}

impl PipesDoor {
    /// Starts a child that passes on what it gets, by two named pipes in each of which one
    /// direction ends by itself.
    async fn connect(&self) -> io::Result<Halves> {
        if self.incoming.is_closed() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let folder = tempfile::tempdir_in(self.folder.path())?;
        let names = ["there", "back"].map(|name| folder.path().join(name));
        let made = Command::new("mkfifo").args(&names).status().await?;
        assert!(made.success(), "mkfifo {made}");
        let mut child = Command::new("sh")
            .args(["-c", r#"cat <"$1" & exec cat >"$2""#, "sh"])
            .args(&names)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pipes = ChildPipes::take(&mut child).expect("they are piped");
        // To open one waits for the child to do the same.
        let opened = tokio::task::spawn_blocking(move || {
            let [there, back] = names;
            let there = std::fs::OpenOptions::new().write(true).open(there)?;
            let back = std::fs::File::open(back)?;
            Ok::<_, io::Error>((there, back))
        });
        let (there, back) = opened.await.expect("it does not panic")?;
        let sent = self.incoming.send(pipes).await;
        sent.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        let back = pipe::Receiver::from_file(back)?;
        let there = pipe::Sender::from_file(there)?;
        Ok(Halves {
            _child: Some(child),
            ..Halves::new(back, there)
        })
    }
}
