//! Who gets in by TLS and who does not, for both roles; and new certificates without a restart.
use crate::kit::{Peer, Server, serve, soon};
use crate::papers::{Authority, Paper};
use crate::places::Kind;
use actors_core::{Actor, Context, Error, Handler};
use actors_net::{
    Client, ClientTls, Dial, Frame, Limits, Link, LinkEvent, NetAddr, NetError, ServerTls,
};
use rcgen::SanType;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{self, RootCertStore};
use tokio_util::codec::LinesCodec;

fn server_tls(paper: &Paper) -> ServerTls {
    ServerTls::from_pem_files(&paper.certificate, &paper.key).unwrap()
}

fn start(tls: ServerTls) -> (Server, String) {
    let (binding, _) = Kind::Tcp.bind();
    let NetAddr::Ip(address) = binding.address().clone() else {
        panic!("it is of TCP")
    };
    let limits = Limits::new().handshake_timeout(Duration::from_secs(60));
    let server = serve(binding.tls(tls), limits);
    (server, format!("localhost:{}", address.port()))
}

fn client(address: &str, tls: ClientTls) -> Client<String, String> {
    let dial = Dial::new(address).tls(tls).keep_while_down();
    Client::new(dial, LinesCodec::new)
}

/// Tells a secret as soon as it is connected, and the test when it is not.
struct Teller {
    dial: Option<Dial>,
    link: Option<Link<String>>,
    down: mpsc::UnboundedSender<NetError>,
}

impl Actor for Teller {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        self.link = self
            .dial
            .take()
            .map(|dial| dial.attach(ctx, LinesCodec::new));
        Ok(())
    }
}

impl Handler<Frame<String>> for Teller {
    async fn handle(&mut self, Frame(line): Frame<String>, _: &mut Context<Self>) {
        panic!("there is an answer: {line}");
    }
}

impl Handler<LinkEvent> for Teller {
    async fn handle(&mut self, event: LinkEvent, ctx: &mut Context<Self>) {
        match (event, &self.link) {
            (LinkEvent::Up { .. }, Some(link)) => {
                let _ = link.send("secret".into()).await;
            }
            (LinkEvent::Down { error, .. }, _) => {
                let _ = self.down.send(error.expect("nobody closes without a word"));
                ctx.stop();
            }
            _ => {}
        }
    }
}

/// How a connection fails, by which a secret would be told.
async fn refused(address: &str, tls: ClientTls) -> NetError {
    let (down, mut told) = mpsc::unbounded_channel();
    let teller = Teller {
        dial: Some(Dial::new(address).tls(tls)),
        link: None,
        down,
    };
    let teller = teller.spawn();
    let error = soon(told.recv()).await.expect("it is told");
    teller.kill();
    error
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_know_who_the_other_is() {
    let ca = Authority::new();
    let tls = server_tls(&ca.sign("localhost"))
        .clients_signed_by(ca.certificate())
        .unwrap()
        .allow(["alice", "spiffe://example/bob"]);
    let (server, address) = start(tls);
    for (name, uri) in [
        ("alice", "spiffe://example/alice"),
        ("robert", "spiffe://example/bob"),
    ] {
        let paper = ca.sign_with(name, |params| {
            let uri = uri.try_into().unwrap();
            params.subject_alt_names.push(SanType::URI(uri));
        });
        let trust = ClientTls::trusting(ca.certificate()).unwrap();
        let client = client(
            &address,
            trust.identity(paper.certificate, paper.key).unwrap(),
        );
        assert_eq!(soon(client.ask("hello".into())).await.unwrap(), "hello");
        let (link, _) = server.opened().await;
        let identity = link.peer_identity().expect("it has shown one");
        assert_eq!(identity.names, [name, uri]);
        let long = "x".repeat(50_000);
        assert_eq!(soon(client.ask(long.clone())).await.unwrap(), long);
    }
    server.listener.kill();
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_lets_nobody_else_in() {
    let ca = Authority::new();
    let other = Authority::new();
    let tls = server_tls(&ca.sign("localhost"))
        .clients_signed_by(ca.certificate())
        .unwrap()
        .allow(["alice"]);
    let (server, address) = start(tls);
    let trust = || ClientTls::trusting(ca.certificate()).unwrap();
    let show = |paper: Paper| trust().identity(paper.certificate, paper.key).unwrap();
    let expired = ca.sign_expired("alice");
    let strangers = [
        ("no certificate", trust()),
        ("of another authority", show(other.sign("alice"))),
        ("expired", show(expired)),
        ("not listed", show(ca.sign("mallory"))),
    ];
    for (who, tls) in strangers {
        let error = refused(&address, tls).await;
        println!("{who}: {error:?}");
    }
    // In the clear.
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(b"hello\nhello\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    assert!(!answer.windows(5).any(|bytes| bytes == b"hello"));
    // TLS 1.2, with a good certificate.
    let alice = ca.sign("alice");
    let error = old_client(&ca, &alice, &address).await;
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    // Of all of them, exactly this one has an actor.
    let client = client(&address, show(alice));
    assert_eq!(soon(client.ask("hello".into())).await.unwrap(), "hello");
    let (link, _) = server.opened().await;
    assert_eq!(link.peer_identity().unwrap().names, ["alice"]);
    assert!(server.is_quiet().await, "somebody else was let in");
    server.listener.kill();
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_speak_a_protocol_that_both_name() {
    let ca = Authority::new();
    let (server, address) = start(server_tls(&ca.sign("localhost")).protocols(["app/3", "app/2"]));
    let trust = || ClientTls::trusting(ca.certificate()).unwrap();
    for (ours, agreed) in [
        (vec!["app/2"], "app/2"),
        (vec!["app/1", "app/2", "app/3"], "app/3"),
    ] {
        let client = client(&address, trust().protocols(ours));
        assert_eq!(soon(client.ask("hello".into())).await.unwrap(), "hello");
        let (link, _) = server.opened().await;
        assert_eq!(link.protocol().as_deref(), Some(agreed));
    }
    // Other ones, and none.
    let error = refused(&address, trust().protocols(["else/1"])).await;
    assert!(matches!(error, NetError::NoProtocol), "{error:?}");
    let error = refused(&address, trust()).await;
    println!("named none: {error:?}");
    assert!(server.is_quiet().await, "somebody else was let in");
    server.listener.kill();
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_names_no_protocol_is_none_for_a_client_that_does() {
    let ca = Authority::new();
    let (server, address) = start(server_tls(&ca.sign("localhost")));
    let tls = ClientTls::trusting(ca.certificate()).unwrap();
    let error = refused(&address, tls.protocols(["app/1"])).await;
    assert!(matches!(error, NetError::NoProtocol), "{error:?}");
    // Reloaded, it asks for the same.
    let tls = ClientTls::trusting(ca.certificate()).unwrap();
    let tls = tls.protocols(["app/1"]);
    tls.reload().unwrap();
    let error = refused(&address, tls).await;
    assert!(matches!(error, NetError::NoProtocol), "{error:?}");
    server.listener.kill();
}

/// Tries TLS 1.2.
async fn old_client(ca: &Authority, paper: &Paper, address: &str) -> std::io::Error {
    let mut roots = RootCertStore::empty();
    let own = CertificateDer::from_pem_file(ca.certificate()).unwrap();
    roots.add(own).unwrap();
    let chain = vec![CertificateDer::from_pem_file(&paper.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&paper.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    soon(connector.connect(name, stream)).await.unwrap_err()
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_tells_its_secrets_to_nobody_else() {
    let ca = Authority::new();
    let other = Authority::new();
    let impostors = [
        ("of another authority", other.sign("localhost")),
        ("of another name", ca.sign("example.org")),
        ("expired", ca.sign_expired("localhost")),
    ];
    for (who, paper) in impostors {
        let (server, address) = start(server_tls(&paper));
        let error = refused(&address, ClientTls::trusting(ca.certificate()).unwrap()).await;
        println!("{who}: {error:?}");
        assert!(matches!(error, NetError::Tls(_)), "{who}: {error:?}");
        assert!(server.is_quiet().await, "{who} was told something");
        server.listener.kill();
    }
    // One who does not encrypt, and one who does as it was done in 2008.
    for old in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let paper = ca.sign("localhost");
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            if old {
                let error = old_server(&paper, stream).await;
                assert!(
                    error.to_string().contains("SupportedVersions")
                        || error.to_string().contains("ProtocolVersion")
                        || error.to_string().contains("incompatible"),
                    "{error}"
                );
                return Vec::new();
            }
            stream.write_all(b"welcome\n").await.unwrap();
            let mut heard = Vec::new();
            let _ = stream.read_to_end(&mut heard).await;
            heard
        });
        let error = refused(&address, ClientTls::trusting(ca.certificate()).unwrap()).await;
        println!("old: {old}: {error:?}");
        let heard = soon(heard).await.unwrap();
        assert!(
            !heard.windows(6).any(|bytes| bytes == b"secret"),
            "it was told"
        );
    }
}

/// Knows TLS 1.2 and no other.
async fn old_server(paper: &Paper, stream: TcpStream) -> std::io::Error {
    let chain = vec![CertificateDer::from_pem_file(&paper.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&paper.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    match soon(acceptor.accept(stream)).await {
        Ok(_) => panic!("TLS 1.2 was spoken"),
        Err(error) => error,
    }
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_certificates_are_taken_without_a_restart() {
    let ca = Authority::new();
    let paper = ca.sign("localhost");
    let tls = server_tls(&paper);
    let (server, address) = start(tls.clone());
    let trust = || ClientTls::trusting(ca.certificate()).unwrap();
    let before = client(&address, trust());
    assert_eq!(soon(before.ask("1".into())).await.unwrap(), "1");
    // The same files, of another authority.
    let other = Authority::new();
    let new = other.sign("localhost");
    std::fs::copy(&new.certificate, &paper.certificate).unwrap();
    assert!(
        matches!(tls.reload(), Err(NetError::Tls(_))),
        "the key is not its"
    );
    let again = client(&address, trust());
    assert_eq!(
        soon(again.ask("2".into())).await.unwrap(),
        "2",
        "all goes on as it was"
    );
    std::fs::copy(&new.key, &paper.key).unwrap();
    tls.reload().unwrap();
    refused(&address, trust()).await;
    let after = client(&address, ClientTls::trusting(other.certificate()).unwrap());
    assert_eq!(soon(after.ask("3".into())).await.unwrap(), "3");
    assert_eq!(
        soon(before.ask("4".into())).await.unwrap(),
        "4",
        "it was there before"
    );
    server.listener.kill();
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let ca = Authority::new();
    let paper = ca.sign("localhost");
    let error = |certificate: &PathBuf, key: &PathBuf| {
        let error = ServerTls::from_pem_files(certificate, key).unwrap_err();
        std::error::Error::source(&error)
            .expect("it has a cause")
            .to_string()
    };
    let missing = ca.path("missing.pem");
    assert!(error(&missing, &paper.key).contains("missing.pem"));
    assert!(error(&paper.certificate, &paper.certificate).contains("localhost.certificate.pem"));
    // What a key file holds is in no error.
    let key = std::fs::read_to_string(&paper.key).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let text = format!(
        "{:?}",
        ServerTls::from_pem_files(&paper.key, &paper.key).unwrap_err()
    );
    assert!(
        text.contains("localhost.key.pem") && !text.contains(secret),
        "{text}"
    );
    let text = format!("{:?}", server_tls(&paper));
    assert!(!text.contains(secret), "{text}");
}

#[actors_core::test(start_paused = true)]
async fn who_does_not_do_the_handshake_is_left() {
    let ca = Authority::new();
    let (binding, place) = Kind::Memory.bind();
    let limits = Limits::new().handshake_timeout(Duration::from_secs(3));
    let server = serve(binding.tls(server_tls(&ca.sign("localhost"))), limits);
    let began = tokio::time::Instant::now();
    let mut peer = Peer::at(&place).await;
    assert_eq!(peer.rest().await.unwrap(), "");
    assert_eq!(began.elapsed().as_secs(), 3);
    server.listener.kill();
}
