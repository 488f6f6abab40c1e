//! Publish and subscribe.
use super::client::{Client, Reply};
use super::servers::Server;

/// Says the same to both servers, and gives what each replies.
fn say(clients: &mut [Client; 2], command: &str) -> Reply {
    let [ours, theirs] = clients.each_mut().map(|client| client.ask(command));
    assert_eq!(ours, theirs, "{command}");
    ours
}

fn heard(clients: &mut [Client; 2]) -> Reply {
    let [ours, theirs] = clients.each_mut().map(Client::read);
    assert_eq!(ours, theirs);
    ours
}

fn subscribe_and_publish(protocol: &str) {
    let Some(servers) = Server::both(&[]) else {
        return;
    };
    let [mut listener, mut other, mut publisher] =
        [(); 3].map(|()| servers.each_ref().map(Server::client));
    for clients in [&mut listener, &mut other] {
        for client in clients.iter_mut() {
            client.ask(&format!("HELLO {protocol}"));
        }
    }
    say(&mut listener, "UNSUBSCRIBE");
    say(&mut listener, "UNSUBSCRIBE never-was");
    say(&mut listener, "SUBSCRIBE news");
    // Two channels at once: a reply each.
    say(&mut listener, "SUBSCRIBE sports news");
    heard(&mut listener);
    say(&mut other, "SUBSCRIBE news");
    let to = say(&mut publisher, "PUBLISH news hello");
    assert_eq!(to.integer(), Some(2));
    heard(&mut listener);
    heard(&mut other);
    say(&mut publisher, "PUBLISH sports goal");
    heard(&mut listener);
    say(&mut publisher, "PUBLISH weather rain");
    // What a subscriber may do depends on its protocol.
    for command in [
        "PING",
        "PING hello",
        "GET a",
        "SET a 1",
        "NOSUCH",
        "PUBLISH",
        "SUBSCRIBE",
    ] {
        say(&mut listener, command);
    }
    say(&mut listener, "UNSUBSCRIBE news");
    say(&mut publisher, "PUBLISH news more");
    heard(&mut other);
    say(&mut publisher, "PUBLISH sports more");
    heard(&mut listener);
    say(&mut listener, "UNSUBSCRIBE");
    say(&mut listener, "GET a");
    // In order, however many.
    let burst: Vec<Vec<Vec<u8>>> = (0..1_000)
        .map(|n| {
            vec![
                b"PUBLISH".into(),
                b"news".into(),
                n.to_string().into_bytes(),
            ]
        })
        .collect();
    for client in &mut publisher {
        client.pipeline(&burst);
    }
    for _ in 0..1_000 {
        heard(&mut other);
    }
    // Who has gone is not counted.
    for client in other {
        client.finish();
    }
    for client in &mut publisher {
        while client.ask("PUBLISH news last").integer() != Some(0) {}
    }
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn what_is_published_arrives_as_from_redis() {
    subscribe_and_publish("2");
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn what_is_published_arrives_as_from_redis_by_resp3() {
    subscribe_and_publish("3");
}

/// Whoever hears of a change finds it made, in whichever shard it was.
#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn what_comes_before_a_publication_has_happened() {
    let server = Server::ours(&["--shards", "4", "--threads", "2"]);
    let [mut listener, mut reader, mut writer] = [(); 3].map(|()| server.client());
    listener.ask("SUBSCRIBE changes");
    for n in 0..200 {
        let key = format!("key:{n}").into_bytes();
        let commands: [Vec<Vec<u8>>; 3] = [
            vec![b"SET".into(), b"other".into(), b"x".into()],
            vec![b"SET".into(), key.clone(), b"made".into()],
            vec![b"PUBLISH".into(), b"changes".into(), key],
        ];
        writer.pipeline(&commands);
        listener.read();
        let found = reader.ask(&format!("GET key:{n}"));
        assert_eq!(found, Reply::Bulk(b'$', Some(b"made".into())));
    }
}

/// One that does not read loses its connection, and nobody waits for it.
#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn a_subscriber_that_does_not_read_is_let_go() {
    let server = Server::ours(&[]);
    let [mut slow, mut publisher] = [(); 2].map(|()| server.client());
    slow.ask("SUBSCRIBE flood");
    let payload = vec![b'x'; 64 << 10];
    let publication = vec![b"PUBLISH".into(), b"flood".into(), payload];
    let mut published = 0;
    while publisher.pipeline(std::slice::from_ref(&publication))[0].integer() != Some(0) {
        published += 1;
        assert!(published < 100_000, "it never ends");
    }
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut slow.0, &mut read).expect("an end in time");
    assert!(!read.is_empty());
}
