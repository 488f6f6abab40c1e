//! What peers do wrong, over all transports: it ends their own connection, with the cause, and no
//! other.
use crate::children::Program;
use crate::kit::{Peer, Server, serve, serve_by, soon};
use crate::places::{Kind, Place, on_all};
use actors_net::{
    Client, ClientError, Dial, FrameEncoder, LengthPrefixed, Limits, Link, LinkError, Listener,
    NetError, Waited, WriteBuffer,
};
use bytes::{Buf, Bytes, BytesMut};
use std::io::ErrorKind;
use std::time::Duration;
use tokio_util::codec::{Decoder, LinesCodec};

/// Texts behind their length; panics at some.
pub(crate) struct Words(LengthPrefixed);

impl Words {
    pub(crate) fn new() -> Self {
        Self(LengthPrefixed::new(60_000))
    }
}

impl Decoder for Words {
    type Item = String;
    type Error = actors_core::Error;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<String>, actors_core::Error> {
        let Some(frame) = self.0.decode(from)? else {
            return Ok(None);
        };
        assert_ne!(frame, "panic when read");
        Ok(Some(String::from_utf8(frame.into())?))
    }
}

impl FrameEncoder<String> for Words {
    fn encode(&mut self, frame: String, to: &mut WriteBuffer) -> Result<(), actors_core::Error> {
        assert_ne!(frame, "panic when written");
        self.0.encode(Bytes::from(frame), to)
    }
}

/// The text with its length.
pub(crate) fn word(text: &str) -> Vec<u8> {
    let mut buffer = WriteBuffer::new();
    Words::new()
        .encode(text.to_owned(), &mut buffer)
        .expect("it is short");
    buffer.copy_to_bytes(buffer.len()).into()
}

/// The server's link to who came next, whose actor has started.
async fn open(server: &Server) -> Link<String> {
    let (link, actor) = server.opened().await;
    actor.caught_up().await.expect("it lives");
    link
}

/// Somebody who is let in, and the server's link to him. Its actor has started, and will tell of its
/// end.
async fn enter(server: &Server, place: &Place) -> (Peer, Link<String>) {
    let peer = Peer::at(place).await;
    (peer, open(server).await)
}

/// A server with one who behaves.
async fn with_witness(kind: Kind, limits: Limits) -> (Server, Place, Peer) {
    let (binding, place) = kind.bind();
    let server = serve_by(binding, limits, Words::new);
    let (mut witness, _) = enter(&server, &place).await;
    hear(&mut witness, "hello").await;
    (server, place, witness)
}

/// Says something, and hears the same.
async fn hear(peer: &mut Peer, text: &str) {
    let word = word(text);
    peer.write(&word).await.expect("it is taken");
    assert_eq!(peer.bytes(word.len()).await, word);
}

/// Whether this is why a connection breaks that its peer has left.
fn is_loss(error: &NetError) -> bool {
    match error {
        NetError::Io(error) => matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ),
        // Of the codec, which misses the rest of its frame.
        NetError::Decode(error) => error.to_string() == "bytes remaining on stream",
        _ => false,
    }
}

on_all! {
    async fn half_a_frame_is_none(kind) {
        let (server, place, mut witness) = with_witness(kind, Limits::new()).await;
        let whole = word("never decoded");
        for length in 1..whole.len() {
            let (mut peer, _) = enter(&server, &place).await;
            peer.write(&whole[..length]).await.unwrap();
            peer.finish().await;
            let error = server.error().await;
            assert!(is_loss(&error), "{length}: {error:?}");
            // Nothing was decoded that would have been answered, and this direction is still open.
            assert_eq!(peer.rest().await.unwrap(), "\0\0\0\x03bye", "{length}");
        }
        hear(&mut witness, "still here").await;
        server.listener.kill();
    }

    async fn who_is_gone_in_the_middle_of_a_frame_breaks_the_own_connection(kind) {
        let (server, place, mut witness) = with_witness(kind, Limits::new()).await;
        for _ in 0..10 {
            let (mut peer, _) = enter(&server, &place).await;
            hear(&mut peer, "hello").await;
            peer.write(&word("never decoded")[..9]).await.unwrap();
            peer.cut();
            let error = server.error().await;
            assert!(is_loss(&error), "{error:?}");
            if kind == Kind::Tcp {
                let NetError::Io(error) = error else { panic!("{error:?}") };
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            }
        }
        hear(&mut witness, "still here").await;
        server.listener.kill();
    }

    async fn garbage_breaks_the_own_connection(kind) {
        let (server, place, mut witness) = with_witness(kind, Limits::new()).await;
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut garbage = vec![0; random.usize(1000..100_000)];
            random.fill(&mut garbage);
            let (mut peer, _) = enter(&server, &place).await;
            // Its rest may find nobody.
            let _ = peer.write(&garbage).await;
            peer.finish_if_possible().await;
            let error = server.error().await;
            assert!(matches!(error, NetError::Decode(_)), "seed {seed}: {error:?}");
        }
        hear(&mut witness, "still here").await;
        server.listener.kill();
    }

    async fn a_codec_that_panics_ends_the_own_connection(kind) {
        let (server, place, mut witness) = with_witness(kind, Limits::new()).await;
        let is_panic = |error: &NetError, of: &str| match error {
            NetError::CodecPanicked(text) => text.contains(of),
            _ => false,
        };
        let (mut peer, _) = enter(&server, &place).await;
        peer.write(&word("panic when read")).await.unwrap();
        let error = server.error().await;
        assert!(is_panic(&error, "when read"), "{error:?}");
        assert_eq!(peer.rest().await.unwrap(), "\0\0\0\x03bye");

        let (mut peer, link) = enter(&server, &place).await;
        hear(&mut peer, "hello").await;
        let refused = link.send("panic when written".into()).await;
        assert!(matches!(refused, Err(LinkError::Encode(_))), "{refused:?}");
        // What was sent before is written, and nothing after.
        let closed = link.send("too late".into()).await;
        assert!(matches!(closed, Err(LinkError::Closed(_))), "{closed:?}");
        assert_eq!(peer.rest().await.unwrap(), "");
        drop(peer);
        let error = soon(link.closed()).await.unwrap_err();
        assert!(is_panic(&error, "when written"), "{error:?}");
        let error = server.error().await;
        assert!(is_panic(&error, "when written"), "{error:?}");
        hear(&mut witness, "still here").await;
        server.listener.kill();
    }

    async fn who_never_reads_is_left(kind) {
        let limits = Limits::new()
            .write_timeout(Some(Duration::from_millis(200)))
            .write_buffer(1024);
        let (server, place, mut witness) = with_witness(kind, limits).await;
        let (mut peer, _) = enter(&server, &place).await;
        let word = word(&"x".repeat(50_000));
        // Until nobody takes it any more.
        let talk = async { while peer.write(&word).await.is_ok() {} };
        let ((), error) = tokio::join!(soon(talk), server.error());
        assert!(matches!(error, NetError::TimedOut(Waited::Write)), "{error:?}");
        hear(&mut witness, "still here").await;
        server.listener.kill();
    }
}

#[actors_core::test(start_paused = true)]
async fn a_panic_while_an_actor_or_a_codec_is_made_ends_the_own_connection() {
    let (binding, place) = Kind::Memory.bind();
    let mut made = 0;
    // Two codecs for each connection: of the second one both fail in turn.
    let server = serve_by(binding, Limits::new(), move || {
        made += 1;
        assert!(![3, 5].contains(&made), "as it was told");
        Words::new()
    });
    let mut witness = Peer::at(&place).await;
    hear(&mut witness, "hello").await;
    for _ in 0..2 {
        let mut peer = Peer::at(&place).await;
        assert_eq!(peer.rest().await.unwrap(), "");
    }
    let mut peer = Peer::at(&place).await;
    hear(&mut peer, "hello").await;
    hear(&mut witness, "still here").await;
    server.listener.kill();
}

/// Sends until the link takes no more.
async fn flood(link: &Link<String>) {
    let line = "x".repeat(10_000);
    while link.send(line.clone()).await.is_ok() {}
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_peer_is_left() {
    let short = Duration::from_millis(200);
    let cases = [
        (Limits::new().write_timeout(Some(short)), Waited::Write),
        (
            Limits::new()
                .first_frame_timeout(Some(Duration::from_secs(60)))
                .idle_timeout(Some(short)),
            Waited::Idle,
        ),
    ];
    for (limits, expected) in cases {
        let binding = Listener::bind("127.0.0.1:0").unwrap();
        let mut caller = Program::start("caller", &binding.address().to_string());
        let server = serve(binding, limits);
        let link = open(&server).await;
        caller.says("answered").await;
        caller.freeze();
        if expected == Waited::Write {
            soon(flood(&link)).await;
        }
        let error = server.error().await;
        match error {
            NetError::TimedOut(waited) => assert_eq!(waited, expected),
            error => panic!("{error:?}"),
        }
        server.listener.kill();
    }
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_holds_nobody_up_for_ever() {
    let mut server = Program::start("echo", "");
    let address = server.says("listening at ").await;
    let dial = Dial::new(&address).keep_while_down();
    let client = Client::<String, String>::new(dial, LinesCodec::new);
    assert_eq!(soon(client.ask("hello".into())).await.unwrap(), "hello");
    server.freeze();
    let hasty = client.clone().timeout(Duration::from_millis(100));
    let error = soon(hasty.ask("late".into())).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut), "{error:?}");
    server.thaw();
    // The late answer comes first, and is nobody's.
    assert_eq!(soon(client.ask("again".into())).await.unwrap(), "again");

    // Whoever expects to hear something connects anew.
    server.freeze();
    let limits = Limits::new().first_frame_timeout(Some(Duration::from_millis(100)));
    let dial = Dial::new(address).limits(limits).keep_while_down();
    let client = Client::<String, String>::new(dial, LinesCodec::new);
    let error = soon(client.ask("hello".into())).await.unwrap_err();
    match error {
        ClientError::Disconnected(Some(NetError::TimedOut(Waited::FirstFrame))) => {}
        error => panic!("{error:?}"),
    }
}
