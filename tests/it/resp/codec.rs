//! The codec by itself: whatever comes in whatever pieces, it gives the same commands.
#[allow(dead_code, reason = "the example's own")]
#[path = "../../../examples/resp_server/codec.rs"]
mod resp;

use super::client::encode;
use crate::kit::Rng;
use bytes::BytesMut;
use resp::{Batch, Codec, integer};
use tokio_util::codec::Decoder;

type Commands = Vec<Vec<Vec<u8>>>;

fn commands(batch: &Batch) -> Commands {
    let commands = (0..batch.len()).map(|number| batch.command(number));
    commands
        .map(|words| words.from(0).map(<[u8]>::to_vec).collect())
        .collect()
}

/// All commands of some bytes that come in pieces of at most so many, and what was wrong in the end.
fn decoded(bytes: &[u8], mut piece: impl FnMut() -> usize) -> (Commands, Option<Vec<u8>>) {
    let mut codec = Codec::new(1 << 20);
    let mut buffer = BytesMut::new();
    let (mut found, mut fault) = (Commands::new(), None);
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(piece().clamp(1, rest.len()));
        rest = left;
        buffer.extend_from_slice(piece);
        while let Some(batch) = codec.decode(&mut buffer).expect("it never fails") {
            found.extend(commands(&batch));
            fault = fault.or(batch.fault().map(<[u8]>::to_vec));
        }
    }
    let last = codec.decode_eof(&mut buffer).expect("it never fails");
    assert!(last.is_none() && buffer.is_empty());
    (found, fault)
}

#[test]
fn commands_are_the_same_in_whatever_pieces_they_come() {
    let mut rng = Rng::seeded();
    for _ in 0..if cfg!(miri) { 3 } else { 300 } {
        let mut bytes = Vec::new();
        let mut expected = Commands::new();
        for _ in 0..rng.below(40) {
            let count = 1 + rng.below(5);
            let command: Vec<Vec<u8>> = (0..count)
                .map(|_| {
                    let len = match rng.below(10) {
                        0 => rng.below(40_000),
                        _ => rng.below(12),
                    };
                    (0..len).map(|_| rng.below(256) as u8).collect()
                })
                .collect();
            match rng.below(4) {
                0 => {
                    bytes.extend(b"  inline \"quo\\x41ted\" 'one'\r\n\r\n*0\r\n");
                    expected.push(
                        [&b"inline"[..], b"quoAted", b"one"]
                            .map(<[u8]>::to_vec)
                            .into(),
                    );
                }
                _ => {
                    bytes.extend(encode(&command));
                    expected.push(command);
                }
            }
        }
        let most = [1, 7, 100, 16 << 10][rng.below(4) as usize];
        let (found, fault) = decoded(&bytes, || 1 + rng.below(most) as usize);
        assert!(found == expected, "in pieces of up to {most}");
        assert_eq!(fault, None);
    }
}

#[test]
fn garbage_is_refused_and_never_panics() {
    let mut rng = Rng::seeded();
    let pieces: [&[u8]; 12] = [
        b"*", b"$", b"1", b"3", b"\r\n", b"\r", b"\n", b"-", b"\"", b"\\x4", b"'", b"PING",
    ];
    for _ in 0..if cfg!(miri) { 10 } else { 20_000 } {
        let count = rng.below(40);
        let bytes = (0..count).flat_map(|_| pieces[rng.below(12) as usize].to_vec());
        let bytes: Vec<u8> = bytes.collect();
        let whole = decoded(&bytes, || usize::MAX);
        let in_pieces = decoded(&bytes, || 1);
        assert_eq!(whole, in_pieces, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_length_makes_no_room() {
    for header in ["*2147483647\r\n$1048576\r\n", "*1\r\n$1048576\r\n"] {
        let mut codec = Codec::new(1 << 20);
        let mut buffer = BytesMut::from(header);
        assert!(codec.decode(&mut buffer).expect("it never fails").is_none());
        assert!(buffer.capacity() < 1024, "{}", buffer.capacity());
    }
    // What is larger is refused before it comes.
    let (found, fault) = decoded(b"*1\r\n$1048577\r\n", || 100);
    assert!(found.is_empty());
    assert_eq!(fault.as_deref(), Some(&b"invalid bulk length"[..]));
}

#[test]
fn integers_are_those_of_redis() {
    for (text, number) in [
        ("0", Some(0)),
        ("-1", Some(-1)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        ("18446744073709551616", None),
        ("-0", None),
        ("+1", None),
        ("01", None),
        ("", None),
        ("-", None),
        ("1 ", None),
        ("1x", None),
    ] {
        assert_eq!(integer(text.as_bytes()), number, "{text}");
    }
}
