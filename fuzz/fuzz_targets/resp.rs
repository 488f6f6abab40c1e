//! Commands of Redis' clients: the same in pieces as at once.
#![no_main]
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../examples/resp_server/codec.rs"]
mod codec;
mod pieces;

type Command = Vec<Vec<u8>>;

/// The commands of all batches, and what is wrong with what follows them.
fn read(bytes: &[u8], size: impl FnMut() -> usize) -> (Vec<Command>, Option<Vec<u8>>) {
    let (batches, is_broken) = pieces::decode(codec::Codec::new(1 << 16), bytes, size);
    assert!(!is_broken, "what cannot be read is told in a batch");
    let mut commands = Vec::new();
    for batch in &batches {
        for number in 0..batch.len() {
            let words = batch.command(number);
            commands.push(words.from(0).map(<[u8]>::to_vec).collect());
        }
    }
    let fault = batches.last().and_then(|batch| batch.fault());
    (commands, fault.map(<[u8]>::to_vec))
}

fuzz_target!(|input: (u8, &[u8])| {
    let (seed, bytes) = input;
    let at_once = read(bytes, || usize::MAX);
    assert_eq!(read(bytes, pieces::sizes(seed)), at_once);
});
