//! Very many at a time: those who say nothing, those who announce more than there is room for, and
//! those who come and go.
use crate::children::{HUGE, LARGEST_FRAME, Program, READ_BUFFER, SENT};
use crate::kit::{Peer, Server, serve, soon};
use crate::papers::Authority;
use crate::places::{Kind, Place, on_all};
use actors_net::{CountConnections, Limits, ListenerStats, NetAddr};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// As many descriptors as this process may have.
fn more_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, all).expect("up to there it may");
}

/// Waits until nobody is there any more.
async fn empty(server: &Server) -> ListenerStats {
    soon(async {
        loop {
            let stats = server.listener.ask(CountConnections).await.unwrap();
            if stats.open == 0 {
                return stats;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// What 2,000 silent peers meet.
fn few() -> Limits {
    Limits::new()
        .connections(256)
        .connections_per_peer(10_000)
        .handshake_timeout(HALF_A_SECOND)
        .first_frame_timeout(Some(HALF_A_SECOND))
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_who_say_nothing_are_sent_away() {
    more_descriptors();
    for encrypted in [true, false] {
        println!("encrypted: {encrypted}");
        let (mut binding, place) = Kind::Tcp.bind();
        let address = binding.address().ip().unwrap();
        if encrypted {
            binding = binding.tls(Authority::new().sign_here("localhost"));
        }
        let server = serve(binding, few());
        let mut peers = Vec::new();
        for _ in 0..2000 {
            peers.push(TcpStream::connect(address).await.unwrap());
        }
        for peer in &mut peers {
            // The end, or a reset.
            let _ = soon(peer.read_to_end(&mut Vec::new())).await;
        }
        let stats = empty(&server).await;
        assert_eq!(stats.accepted + stats.refused, 2000);
        assert!(stats.accepted >= 256, "{stats:?}");
        if encrypted {
            assert!(server.is_quiet().await, "somebody was let in");
        } else {
            let mut peer = Peer::at(&place).await;
            peer.say("hello\n").await;
            assert_eq!(peer.line().await, "hello");
        }
        server.listener.kill();
    }
}

#[actors_core::test(start_paused = true)]
async fn who_says_nothing_is_gone_in_time() {
    for encrypted in [true, false] {
        let (mut binding, place) = Kind::Memory.bind();
        if encrypted {
            binding = binding.tls(Authority::new().sign_here("localhost"));
        }
        let server = serve(binding, few());
        let began = Instant::now();
        let mut peers = Vec::new();
        for _ in 0..300 {
            peers.push(place.connect().await);
        }
        for peer in &mut peers {
            let _ = soon(peer.read_to_end(&mut Vec::new())).await;
        }
        peers.clear();
        let stats = empty(&server).await;
        assert_eq!((stats.accepted, stats.refused), (256, 44));
        let after = began.elapsed();
        assert!(after < 2 * HALF_A_SECOND, "{after:?}");
        server.listener.kill();
    }
}

/// How much memory the process has now, and has had at most, in bytes.
#[cfg(target_os = "linux")]
fn memory(process: u32) -> (usize, usize) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next());
        1024 * kib.unwrap().parse::<usize>().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

#[cfg(target_os = "linux")]
#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_announced_takes_no_memory_before_it_comes() {
    more_descriptors();
    for codec in ["prefixed", "delimited"] {
        let mut server = Program::start("announced", codec);
        let address = server.says("listening at ").await;
        // Who has served some has all that does not grow with their number.
        for _ in 0..20 {
            let mut peer = TcpStream::connect(&address).await.unwrap();
            peer.write_all(&[0; 3]).await.unwrap();
            peer.shutdown().await.unwrap();
            let _ = soon(peer.read_to_end(&mut Vec::new())).await;
        }
        let (before, _) = memory(server.id());
        // The first codec takes what the header says as it is. The second makes room for it at once.
        let length = match codec {
            "prefixed" => u32::MAX,
            _ => 8 << 20,
        };
        let mut begun = length.to_be_bytes().to_vec();
        begun.resize(SENT, b'x');
        let mut peers = Vec::new();
        for _ in 0..HUGE {
            let mut peer = TcpStream::connect(&address).await.unwrap();
            let _ = peer.write_all(&begun).await;
            peers.push(peer);
        }
        if codec == "prefixed" {
            server.says("all are there").await;
        } else {
            for peer in &mut peers {
                let _ = soon(peer.read_to_end(&mut Vec::new())).await;
            }
        }
        let (_, most) = memory(server.id());
        let each = (most - before) / HUGE;
        println!("{codec}: {each} bytes for each connection");
        // The lines of the formula that are about what was read, and the actor; and what the growth
        // of a buffer takes.
        let formula = LARGEST_FRAME + 2 * READ_BUFFER + (4 << 10) + SENT;
        assert!(each <= formula, "{each} bytes for each of them");
    }
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_without_descriptors_goes_on_when_there_are_some() {
    let mut server = Program::start_with("echo", "", "64");
    let address = server.says("listening at ").await;
    let place = Place::Net(NetAddr::Ip(address.parse().unwrap()));
    let mut peers = Vec::new();
    for _ in 0..100 {
        let mut peer = Peer::at(&place).await;
        peer.say("hello\n").await;
        peers.push(peer);
    }
    server.says("cannot accept").await;
    // Those who are there are served.
    assert_eq!(peers[0].line().await, "hello");
    peers[0].say("again\n").await;
    assert_eq!(peers[0].line().await, "again");
    // Those who could not be accepted are once others have gone.
    let mut last = peers.pop().unwrap();
    peers.clear();
    assert_eq!(last.line().await, "hello");
}

on_all! {
    async fn a_storm_leaves_nothing_behind(kind) {
        let (binding, place) = kind.bind();
        let server = serve(binding, Limits::new().connections(8));
        let storm = (0..16).map(|task| {
            let place = &place;
            async move {
                for round in 0..20 {
                    let Ok(mut end) = place.try_connect().await else { continue };
                    // Some of them are refused, and see it here or there.
                    let _ = end.write_all(b"hello\n").await;
                    if (task + round) % 3 == 0 {
                        end.cut();
                    } else {
                        let _ = soon(end.read(&mut [0; 6])).await;
                    }
                }
            }
        });
        futures_util::future::join_all(storm).await;
        empty(&server).await;
        let mut peer = Peer::at(&place).await;
        peer.say("hello\n").await;
        assert_eq!(peer.line().await, "hello");
        server.listener.kill();
    }
}
