//! What peers may take, and what becomes of those that want more.
use crate::kit::{Peer, serve, soon};
use crate::places::Kind;
use actors_net::{Limits, NetError, Waited};
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Why a connection ended whose peer said this and no more, and after how many seconds.
async fn outcome(limits: Limits, said: &str) -> (NetError, u64) {
    let (binding, place) = Kind::Memory.bind();
    let server = serve(binding, limits);
    let began = Instant::now();
    let mut peer = Peer::at(&place).await;
    peer.say(said).await;
    let error = server.error().await;
    let after = began.elapsed().as_secs();
    drop(peer);
    let (link, _) = server.opened().await;
    let link = soon(link.closed()).await.unwrap_err();
    assert_eq!(format!("{link:?}"), format!("{error:?}"));
    server.listener.kill();
    (error, after)
}

#[actors_core::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_left() {
    let limits = Limits::new().first_frame_timeout(Some(3 * SECOND));
    let (error, after) = outcome(limits, "").await;
    assert!(matches!(error, NetError::TimedOut(Waited::FirstFrame)));
    assert_eq!(after, 3);
}

#[actors_core::test(start_paused = true)]
async fn a_peer_that_begins_to_say_something_is_left_too() {
    let limits = Limits::new().first_frame_timeout(Some(3 * SECOND));
    let (error, after) = outcome(limits, "no end of line").await;
    assert!(matches!(error, NetError::TimedOut(Waited::FirstFrame)));
    assert_eq!(after, 3);
}

#[actors_core::test(start_paused = true)]
async fn a_peer_that_says_nothing_more_is_left() {
    let limits = Limits::new().idle_timeout(Some(7 * SECOND));
    let (error, after) = outcome(limits, "hello\nhalf a l").await;
    assert!(matches!(error, NetError::TimedOut(Waited::Idle)));
    assert_eq!(after, 7);
}

#[actors_core::test(start_paused = true)]
async fn a_peer_that_waits_for_its_answer_is_not_idle() {
    let (binding, place) = Kind::Memory.bind();
    let server = serve(binding, Limits::new().idle_timeout(Some(SECOND)));
    let mut peer = Peer::at(&place).await;
    peer.say("wait\nhello\n").await;
    tokio::time::sleep(60 * SECOND).await;
    server.gate.open();
    assert_eq!(peer.line().await, "hello");
    server.listener.kill();
}

#[actors_core::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_left() {
    let (binding, place) = Kind::Memory.bind();
    let limits = Limits::new()
        .write_timeout(Some(5 * SECOND))
        .write_buffer(1024)
        .idle_timeout(None);
    let server = serve(binding, limits);
    let mut peer = Peer::at(&place).await;
    let (link, actor) = server.opened().await;
    let talk = async {
        // More than the stream and the buffers take.
        while peer.write(&[b'x'; 1000]).await.is_ok() && peer.write(b"\n").await.is_ok() {}
    };
    let (_, error) = tokio::join!(soon(talk), soon(link.closed()));
    assert!(
        matches!(error, Err(NetError::TimedOut(Waited::Write))),
        "{error:?}"
    );
    soon(actor.stopped()).await;
    server.listener.kill();
}

#[actors_core::test(start_paused = true)]
async fn frames_that_are_too_large_are_refused_before_they_are_there() {
    let limits = Limits::new().largest_frame(1000);
    let long = "x".repeat(1500);
    let (error, after) = outcome(limits, &long).await;
    assert!(matches!(error, NetError::FrameTooLarge { limit: 1000 }));
    assert_eq!(after, 0);
}

#[actors_core::test(start_paused = true)]
async fn without_a_buffer_frames_are_written_one_by_one() {
    let (binding, place) = Kind::Memory.bind();
    let server = serve(binding, Limits::new().write_buffer(0).read_buffer(0));
    let mut peer = Peer::at(&place).await;
    peer.say("one\ntwo\nthree\n").await;
    for line in ["one", "two", "three"] {
        assert_eq!(peer.line().await, line);
    }
    server.listener.kill();
}

#[actors_core::test(start_paused = true)]
async fn no_more_bytes_wait_for_the_actor_than_may() {
    let (binding, place) = Kind::Memory.bind();
    let server = serve(binding, Limits::new().unhandled(50));
    let mut peer = Peer::at(&place).await;
    let notes = "note\n".repeat(1000);
    peer.say(&format!("wait\n{notes}hello\n")).await;
    let (_, actor) = server.opened().await;
    // Until nothing goes on.
    tokio::time::sleep(SECOND).await;
    let waiting = actor.mailbox_len();
    assert_eq!(waiting, 50 / 5 + 1, "ten lines, and who waits for them");
    let began = Instant::now();
    server.gate.open();
    assert_eq!(peer.line().await, "hello");
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody waited for a clock");
    server.listener.kill();
}

#[actors_core::test(start_paused = true)]
async fn garbage_is_told_of() {
    let (binding, place) = Kind::Memory.bind();
    let server = serve(binding, Limits::new());
    let mut peer = Peer::at(&place).await;
    // Not UTF-8. What came before is answered.
    peer.write(b"hello\n\xff\xfe\n").await.unwrap();
    assert_eq!(peer.line().await, "hello");
    let error = server.error().await;
    assert!(matches!(error, NetError::Decode(_)), "{error:?}");
    assert_eq!(peer.rest().await.unwrap(), "bye\n");
    server.listener.kill();
}

#[actors_core::test(start_paused = true)]
async fn what_is_left_at_the_deadline_is_cut_off() {
    let (binding, place) = Kind::Memory.bind();
    let server = serve(binding, Limits::new().drain_timeout(4 * SECOND));
    let mut peer = Peer::at(&place).await;
    peer.say("hello\nwait\n").await;
    assert_eq!(peer.line().await, "hello");
    let began = Instant::now();
    server.listener.stop();
    assert!(soon(server.listener.stopped()).await.is_normal());
    assert_eq!(began.elapsed().as_secs(), 4);
    assert_eq!(peer.rest().await.unwrap(), "");
}
