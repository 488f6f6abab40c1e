//! Frames behind their length: the same in pieces as at once, and the same bytes when written again.
#![no_main]
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../actors-net/src/prefixed.rs"]
mod codec;
mod pieces;

fuzz_target!(|input: (u16, u8, &[u8])| {
    let (largest, seed, bytes) = input;
    let codec = || codec::LengthPrefixed::new(largest.into());
    let (frames, is_broken) = pieces::decode(codec(), bytes, || usize::MAX);
    let in_pieces = pieces::decode(codec(), bytes, pieces::sizes(seed));
    assert_eq!(in_pieces, (frames.clone(), is_broken));
    let mut written = BytesMut::new();
    for frame in frames {
        assert!(frame.len() <= largest.into());
        let header = codec().header(frame.len());
        written.extend(header.expect("it is as short as when it was read"));
        written.extend(frame);
    }
    assert!(bytes.starts_with(&written));
});
