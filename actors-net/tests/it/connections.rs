//! One suite over all transports: frames, their order, and how the ends of a connection follow each
//! other.
use crate::faults::{Words, word};
use crate::kit::{Peer, Say, serve, serve_by, soon};
use crate::places::on_all;
use actors_core::StopReason;
use actors_net::{CountConnections, Limits, LinkError, NetError, TryLinkError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

on_all! {
    async fn what_an_actor_said_last_arrives_though_its_peer_goes_on(kind) {
        let (binding, place) = kind.bind();
        let limits = Limits::new().linger(Duration::from_secs(600));
        let server = serve(binding, limits);
        let mut peer = Peer::at(&place).await;
        // More than all buffers on the way take.
        let rest = "note\n".repeat(1 << 18);
        peer.say(&format!("hello\nstop\n{rest}")).await;
        peer.finish().await;
        assert_eq!(peer.rest().await.unwrap(), "hello\nbye\n");
        server.listener.kill();
    }

    async fn lines_are_answered_in_order(kind) {
        let (binding, place) = kind.bind();
        let server = serve(binding, Limits::new());
        let mut peer = Peer::at(&place).await;
        for round in 0..10 {
            let lines: Vec<String> = (0..100).map(|n| format!("{round}.{n}")).collect();
            peer.say(&format!("{}\n", lines.join("\n"))).await;
            for line in &lines {
                assert_eq!(&peer.line().await, line);
            }
        }
        server.listener.kill();
    }

    async fn payloads_of_any_size_come_back_whole_and_in_order(kind) {
        let (binding, place) = kind.bind();
        let server = serve_by(binding, Limits::new(), Words::new);
        // Large ones are written apart from what is before and after them.
        let lengths = [3, 8_192, 60_000, 1, 8_191, 9_000, 9_000, 2];
        let letters = ('a'..='z').cycle().zip(lengths.iter().cycle()).take(60);
        let words = letters.map(|(letter, &length)| word(&letter.to_string().repeat(length)));
        let sent: Vec<u8> = words.flatten().collect();
        let (mut from, mut to) = tokio::io::split(place.connect().await);
        let mut came = vec![0; sent.len()];
        let (wrote, read) = tokio::join!(to.write_all(&sent), from.read_exact(&mut came));
        wrote.and(read).expect("it listens");
        assert!(came == sent);
        server.listener.kill();
    }

    async fn a_frame_may_come_a_byte_at_a_time(kind) {
        let (binding, place) = kind.bind();
        let server = serve(binding, Limits::new());
        let mut peer = Peer::at(&place).await;
        for byte in "slowly\nand\n".split_inclusive(|_| true) {
            peer.say(byte).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(peer.line().await, "slowly");
        assert_eq!(peer.line().await, "and");
        server.listener.kill();
    }

    async fn what_was_asked_before_the_peers_end_is_answered(kind) {
        let (binding, place) = kind.bind();
        let server = serve(binding, Limits::new());
        let mut peer = Peer::at(&place).await;
        peer.say("one\ntwo\nthree").await;
        peer.finish().await;
        // The last line has no end, which that codec takes for one.
        assert_eq!(peer.rest().await.unwrap(), "one\ntwo\nthree\nbye\n");
        assert!(server.end().await.is_normal());
        server.listener.kill();
    }

    async fn the_actors_end_closes_the_connection(kind) {
        for word in ["stop", "fail", "panic"] {
            let (binding, place) = kind.bind();
            let server = serve(binding, Limits::new());
            let mut peer = Peer::at(&place).await;
            peer.say(&format!("hello\n{word}\n")).await;
            assert_eq!(peer.rest().await.unwrap(), "hello\nbye\n", "{word}");
            let end = server.end().await;
            match word {
                "stop" => assert!(end.is_normal(), "{end}"),
                "fail" => assert!(matches!(end, StopReason::Failed(_)), "{end}"),
                _ => assert!(matches!(end, StopReason::Panicked(_)), "{end}"),
            }
            server.listener.kill();
        }
    }

    async fn a_kill_of_the_actor_closes_the_connection(kind) {
        let (binding, place) = kind.bind();
        let server = serve(binding, Limits::new());
        let mut peer = Peer::at(&place).await;
        peer.say("hello\n").await;
        assert_eq!(peer.line().await, "hello");
        let (link, actor) = server.opened().await;
        actor.kill();
        assert_eq!(peer.rest().await.unwrap(), "");
        drop(peer);
        soon(link.closed()).await.expect("it was this side");
        server.listener.kill();
    }

    async fn closing_a_link_writes_what_was_sent(kind) {
        let (binding, place) = kind.bind();
        let server = serve(binding, Limits::new());
        let mut peer = Peer::at(&place).await;
        let (link, actor) = server.opened().await;
        let lines: Vec<String> = (0..1000).map(|n| format!("line {n}")).collect();
        let sender = async {
            for line in &lines {
                link.send(line.clone()).await.unwrap();
            }
            link.close();
            assert!(link.is_closed());
            let late = link.send("late".into()).await;
            assert!(matches!(late, Err(LinkError::Closed(line)) if line == "late"));
        };
        let (_, text) = tokio::join!(sender, peer.rest());
        assert_eq!(text.unwrap(), format!("{}\n", lines.join("\n")));
        drop(peer);
        soon(link.closed()).await.expect("it was this side");
        assert!(soon(actor.stopped()).await.is_normal());
        server.listener.kill();
    }

    async fn anybody_may_send_by_a_link(kind) {
        let (binding, place) = kind.bind();
        let server = serve(binding, Limits::new());
        let mut peer = Peer::at(&place).await;
        let (link, actor) = server.opened().await;
        let mut tasks = tokio::task::JoinSet::new();
        for sender in 0..8 {
            let link = link.clone();
            tasks.spawn(async move {
                for n in 0..200 {
                    link.send(format!("{sender} {n}")).await.unwrap();
                }
            });
        }
        let mut next = [0; 8];
        for _ in 0..8 * 200 {
            let line = peer.line().await;
            let (sender, n) = line.split_once(' ').unwrap();
            let next = &mut next[sender.parse::<usize>().unwrap()];
            assert_eq!(n.parse::<u32>().unwrap(), *next, "of sender {sender}");
            *next += 1;
        }
        actor.send(Say("from the actor".into())).await.unwrap();
        assert_eq!(peer.line().await, "from the actor");
        server.listener.kill();
    }

    async fn a_peer_that_does_not_read_holds_the_actor_up_and_then_the_peer(kind) {
        let (binding, place) = kind.bind();
        let limits = Limits::new().write_buffer(1024).mailbox(4);
        let server = serve(binding, limits);
        let stream = place.connect().await;
        let (link, actor) = server.opened().await;
        let line = format!("{}\n", "x".repeat(999));
        // Until the stream takes no more, since the actor does not.
        let (written, mut reader, mut writer) = {
            let (reader, mut writer) = tokio::io::split(stream);
            let mut written = 0;
            let mut blocked = 0;
            let mut write = Box::pin(writer.write_all(line.as_bytes()));
            while blocked < 3 {
                match tokio::time::timeout(Duration::from_millis(100), &mut write).await {
                    Ok(done) => {
                        done.unwrap();
                        written += 1;
                        assert!(written < 100_000, "nothing holds it up");
                        drop(write);
                        write = Box::pin(writer.write_all(line.as_bytes()));
                        blocked = 0;
                    }
                    // Fewer than four, where they are many bytes.
                    Err(_) if actor.mailbox_len() > 0 => blocked += 1,
                    Err(_) => {}
                }
            }
            drop(write);
            (written, reader, writer)
        };
        assert!(actor.mailbox_len() <= 5, "{}", actor.mailbox_len());
        assert!(matches!(link.try_send("full".into()), Err(TryLinkError::Full(_))));
        // Once the peer reads, all of it comes back. What TLS has taken it may not have written.
        let mut bytes = vec![0; 1000 * written];
        let (read, flushed) = tokio::join!(soon(reader.read_exact(&mut bytes)), writer.flush());
        read.unwrap();
        flushed.unwrap();
        assert!(bytes.chunks(1000).all(|chunk| chunk == line.as_bytes()));
        server.listener.kill();
    }

    async fn a_stopped_listener_lets_its_connections_finish(kind) {
        let (binding, place) = kind.bind();
        let server = serve(binding, Limits::new());
        let mut peers = Vec::new();
        for n in 0..10 {
            let mut peer = Peer::at(&place).await;
            peer.say(&format!("hello\nwait\nafter {n}\n")).await;
            assert_eq!(peer.line().await, "hello");
            peers.push(peer);
        }
        // The lines behind are in the mailboxes once they were read: ask for it.
        for _ in 0..10 {
            let (_, actor) = server.opened().await;
            while actor.mailbox_len() < 2 {
                tokio::task::yield_now().await;
            }
        }
        server.listener.stop();
        let stopped = tokio::spawn({
            let listener = server.listener.clone();
            async move { listener.stopped().await }
        });
        // Nobody is let in any more, and those that are there are served.
        while place.try_connect().await.is_ok() {
            tokio::task::yield_now().await;
        }
        server.gate.open();
        for (n, peer) in peers.iter_mut().enumerate() {
            assert_eq!(peer.rest().await.unwrap(), format!("after {n}\nbye\n"));
        }
        drop(peers);
        assert!(soon(stopped).await.unwrap().is_normal());
    }

    async fn a_killed_listener_cuts_its_connections_off(kind) {
        let (binding, place) = kind.bind();
        let server = serve(binding, Limits::new());
        let mut peer = Peer::at(&place).await;
        peer.say("hello\n").await;
        assert_eq!(peer.line().await, "hello");
        let (link, _actor) = server.opened().await;
        server.listener.kill();
        assert!(matches!(soon(link.closed()).await, Err(NetError::CutOff)));
        // An end, or a reset, where there was something unread.
        let _ = peer.rest().await;
    }

    async fn connections_are_counted(kind) {
        let (binding, place) = kind.bind();
        let server = serve(binding, Limits::new().connections(2));
        let mut peers = vec![Peer::at(&place).await, Peer::at(&place).await];
        for peer in &mut peers {
            peer.say("hello\n").await;
            assert_eq!(peer.line().await, "hello");
        }
        assert!(place.is_shut().await, "the third is closed at once");
        let stats = server.listener.ask(CountConnections).await.unwrap();
        assert_eq!((stats.open, stats.accepted, stats.refused), (2, 2, 1));
        for peer in &mut peers {
            // By TLS, who leaves without a word breaks the connection.
            peer.finish().await;
        }
        peers.clear();
        assert!(server.end().await.is_normal());
        assert!(server.end().await.is_normal());
        while server.listener.ask(CountConnections).await.unwrap().open > 0 {
            tokio::task::yield_now().await;
        }
        let mut peer = Peer::at(&place).await;
        peer.say("again\n").await;
        assert_eq!(peer.line().await, "again");
        server.listener.kill();
    }
}
