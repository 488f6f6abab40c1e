//! What a process and its workers say to each other, when one of them is not what it should be.
#![no_main]
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../actors-net/src/wire.rs"]
mod wire;

const LIMIT: u32 = 1 << 16;

fuzz_target!(|input: &[u8]| {
    let mut from = input;
    let mut buffer = Vec::new();
    while let Ok(Some((kind, payload))) = wire::read(&mut from, &mut buffer, LIMIT) {
        assert!(payload.len() < LIMIT as usize);
        assert_eq!(wire::bytes(kind, payload)[wire::LENGTH + 1..], *payload);
        if let Ok(setup) = wire::Setup::read(payload) {
            let frame = setup.frame();
            let again = wire::Setup::read(&frame[wire::LENGTH + 1..]).expect("it was written");
            assert_eq!(format!("{again:?}"), format!("{setup:?}"));
        }
        let _ = wire::read_job(payload);
        let _ = wire::read_message(payload);
        let _ = wire::read_number(payload);
        let _ = wire::decode::<Vec<(String, Option<Vec<u64>>)>>(payload);
        let _ = wire::decode::<Result<Vec<u8>, String>>(payload);
    }
    assert!(
        buffer.capacity() <= 2 * LIMIT as usize,
        "it has grown without bytes"
    );
});
