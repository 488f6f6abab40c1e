//! Bytes as they are: inline commands, faults of the protocol, pipelines, large values, `COMMAND`.
use super::client::{Client, Reply, encode};
use super::servers::Server;
use std::collections::BTreeSet;

/// What is sent on a connection of its own, until its end.
const TALKS: &[&[u8]] = &[
    b"PING\r\n",
    b"PING\n",
    b"\r\n\r\nPING\r\n",
    b"PING\r\n\r\n*0\r\nPING\r\n",
    b"  SET   a  1  \r\nGET a\r\n",
    b"SET b \"one \\x41\\n\\t\\q two\"\r\nGET b\r\n",
    b"SET c 'it\\'s'\r\nGET c\r\n",
    b"SET d foo\"bar\"\r\nGET d\r\n",
    b"SET d \"\"\r\nSTRLEN d\r\n",
    b"PING\r\nSET \"open\r\nPING\r\n",
    b"SET 'open\r\n",
    b"SET \"a\"b c\r\n",
    b"*0\r\n*-1\r\nPING\r\n",
    b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
    b"*1\r\n$4\r\nPING\r\n*x\r\n*1\r\n$4\r\nPING\r\n",
    b"*\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*2147483648\r\n",
    b"*99999999999999999999\r\n",
    b"*1\r\n:4\r\nPING\r\n",
    b"*1\r\n\r\n\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"*2\r\n$3\r\nGET\r\n$1\r\na",
    b"*2\r\n$3\r\nGET\r\n",
    b"*2\r\n$3\r",
    b"*1",
    b"GET a",
    b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
    b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
    b"*1\r\n$0\r\n\r\n",
    b"QUIT\r\nPING\r\n",
    b"PING\r\nQUIT now\r\n",
    b"HELLO 4\r\nHELLO x\r\nHELLO 3 FOO\r\nHELLO 3 SETNAME\r\nHELLO 3 AUTH a b\r\nPING\r\n",
    b"GET\xff\xfe a\r\n",
];

fn talk(server: &Server, bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut client = server.client();
    for piece in bytes.chunks(piece) {
        // The server may have hung up before all is sent.
        let stream = client.0.get_mut();
        if std::io::Write::write_all(stream, piece).is_err() {
            break;
        }
    }
    client.finish()
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn inline_commands_and_faults_of_the_protocol_are_answered_as_by_redis() {
    let Some([ours, theirs]) = Server::both(&[]) else {
        return;
    };
    for bytes in TALKS {
        let expected = talk(&theirs, bytes, bytes.len());
        for piece in [bytes.len(), 1, 3] {
            let answered = talk(&ours, bytes, piece);
            assert_eq!(
                answered.escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "to {} in pieces of {piece}",
                bytes.escape_ascii()
            );
        }
    }
    // Lines without an end: so much, and no more, is waited for.
    for begin in ["", "*", "*1\r\n$"] {
        let mut bytes = begin.as_bytes().to_vec();
        bytes.resize(begin.len() + (64 << 10) + 1, b'1');
        let [ours, theirs] = [&ours, &theirs].map(|server| {
            let mut client = server.client();
            client.write(&bytes);
            client.read()
        });
        assert_eq!(ours, theirs);
        assert!(matches!(ours, Reply::Line(b'-', _)), "{ours:?}");
    }
}

fn replies(clients: &mut [Client; 2], commands: &[Vec<Vec<u8>>]) -> Vec<Reply> {
    let [ours, theirs] = clients.each_mut().map(|client| client.pipeline(commands));
    for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours, theirs, "command {number}");
    }
    ours
}

fn words(words: &[&[u8]]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.to_vec()).collect()
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn ten_thousand_commands_in_one_pipeline_are_answered_in_order() {
    let Some(servers) = Server::both(&[]) else {
        return;
    };
    let mut clients = servers.each_ref().map(Server::client);
    let commands: Vec<_> = (0..10_000_u32)
        .map(|n| {
            let key = format!("key:{}", n % 100).into_bytes();
            let n = n.to_string().into_bytes();
            match n.len() + key.len() * 3 + usize::from(n[0]) {
                odd if odd % 2 == 1 => words(&[b"SET", &key, &n]),
                some if some % 3 == 0 => words(&[b"MGET", &key, b"key:1", b"key:2", b"nothing"]),
                _ => words(&[b"INCR", &key]),
            }
        })
        .collect();
    replies(&mut clients, &commands);
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn large_values_and_many_words() {
    let Some(servers) = Server::both(&[]) else {
        return;
    };
    let mut clients = servers.each_ref().map(Server::client);
    let large: Vec<u8> = (0..16_u32 << 20).map(|n| (n % 251) as u8).collect();
    let commands = [
        words(&[b"SET", b"large", &large]),
        words(&[b"STRLEN", b"large"]),
        words(&[b"GET", b"large"]),
        words(&[b"APPEND", b"large", b"!"]),
        // More than a shard answers at once.
        words(&[b"MGET", b"large", b"small", b"large"]),
        words(&[b"GET", b"large"]),
        words(&[b"GET", b"small"]),
        words(&[b"GETDEL", b"large"]),
        words(&[b"GET", b"large"]),
    ];
    let answered = replies(&mut clients, &commands);
    assert_eq!(answered[2], Reply::Bulk(b'$', Some(large)));
    let items: Vec<Vec<u8>> = (0..100_000_u32).map(|n| n.to_string().into()).collect();
    let push = [words(&[b"RPUSH", b"list"]), items.clone()].concat();
    let set = [words(&[b"SADD", b"set"]), items.clone()].concat();
    let keys = [words(&[b"EXISTS", b"list"]), items].concat();
    let commands = [
        push,
        set,
        keys,
        words(&[b"LRANGE", b"list", b"0", b"-1"]),
        words(&[b"SCARD", b"set"]),
    ];
    replies(&mut clients, &commands);
}

/// What a command looks like: all that Redis tells, but for categories, hints and the like.
fn described(reply: Reply) -> (Vec<Reply>, BTreeSet<Reply>) {
    let Reply::Many(_, Some(mut parts)) = reply else {
        panic!("no command: {reply:?}");
    };
    parts.truncate(6);
    let Reply::Many(_, Some(flags)) = parts.remove(2) else {
        panic!("no flags");
    };
    (parts, flags.into_iter().collect())
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn commands_are_described_as_redis_describes_them() {
    let Some(servers) = Server::both(&[]) else {
        return;
    };
    let mut clients = servers.each_ref().map(Server::client);
    let Reply::Many(_, Some(names)) = clients[0].ask("COMMAND LIST") else {
        panic!("no list");
    };
    let count = clients[0].ask("COMMAND COUNT").integer();
    assert_eq!(count, i64::try_from(names.len()).ok());
    assert_eq!(names.len(), 51);
    for name in names {
        let Reply::Bulk(_, Some(name)) = name else {
            panic!("no name: {name:?}");
        };
        let ask = encode(&[b"COMMAND".as_slice(), b"INFO", &name]);
        let [ours, theirs] = clients.each_mut().map(|client| {
            client.write(&ask);
            match client.read() {
                Reply::Many(_, Some(commands)) => described(commands[0].clone()),
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(ours, theirs);
    }
}
