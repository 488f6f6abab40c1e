//! How the server lives: keys that end, `INFO`, its own end.
use super::client::{Reply, encode};
use super::servers::Server;
use std::io::Read;
use std::process::{Command, Stdio};

fn bulk(text: &str) -> Reply {
    Reply::Bulk(b'$', Some(text.into()))
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn keys_end_in_time_whether_somebody_asks_for_them_or_not() {
    let server = Server::ours(&[]);
    let mut client = server.client();
    client.ask("SET asked 1 PX 50");
    assert_eq!(
        client.ask("SET stays 1 EX 10000"),
        Reply::Line(b'+', b"OK".into())
    );
    while client.ask("GET asked") != Reply::Bulk(b'$', None) {}
    assert_eq!(client.ask("TTL asked").integer(), Some(-2));
    for n in 0..1_000 {
        client.ask(&format!("SET key:{n} 1 PX {}", 1 + n % 50));
    }
    client.ask("SELECT 5");
    client.ask("SET there 1 PX 10");
    // A timer removes them: nobody looks at a key here.
    while client.ask("DBSIZE").integer() != Some(0) {}
    client.ask("SELECT 0");
    while client.ask("DBSIZE").integer() != Some(1) {}
    assert_eq!(client.ask("GET stays"), bulk("1"));
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn info_counts_clients_and_keys() {
    let server = Server::ours(&["--shards", "3"]);
    let mut client = server.client();
    client.ask("MSET a 1 b 2 c 3");
    client.ask("EXPIRE a 1000");
    let Reply::Bulk(_, Some(info)) = client.ask("INFO keyspace") else {
        panic!("no text");
    };
    let info = String::from_utf8(info).expect("UTF-8");
    assert_eq!(info, "# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=0\r\n");
    let mut other = server.client();
    other.ask("PING");
    let clients = |client: &mut super::client::Client| match client.ask("INFO clients") {
        Reply::Bulk(_, Some(info)) => String::from_utf8(info).expect("UTF-8"),
        other => panic!("no text: {other:?}"),
    };
    assert_eq!(clients(&mut client), "# Clients\r\nconnected_clients:2\r\n");
    other.finish();
    while clients(&mut client) != "# Clients\r\nconnected_clients:1\r\n" {}
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn a_signal_ends_it_once_what_was_asked_is_answered() {
    let mut server = Server::ours(&[]);
    let mut idle = server.client();
    idle.ask("PING");
    let mut busy = server.client();
    busy.ask("SET a 1");
    busy.write(&encode(&["GET", "a"]));
    assert_eq!(busy.read(), bulk("1"));
    server.terminate();
    let mut rest = Vec::new();
    idle.0.read_to_end(&mut rest).expect("an end in time");
    assert!(rest.is_empty());
    let status = server.end();
    assert!(status.success(), "{status}");
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn the_command_line_is_checked() {
    let server = Server::ours(&[]);
    let port = server.address.port().to_string();
    for args in [
        &["--port", &*port][..],
        &["--shards", "0"],
        &["--bind", "no such host"],
    ] {
        let mut command = Command::new(crate::kit::example("resp_server"));
        command.args(args).stdin(Stdio::null());
        let output = command.output().expect("it runs");
        assert!(!output.status.success(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}
