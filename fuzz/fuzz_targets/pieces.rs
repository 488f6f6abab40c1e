//! Bytes that come in pieces, as from a socket.
use bytes::BytesMut;
use tokio_util::codec::Decoder;

/// All that the decoder makes of these bytes, up to its first error, and whether there was one.
/// `size` tells how long the next piece is.
pub(crate) fn decode<D: Decoder>(
    mut decoder: D,
    mut bytes: &[u8],
    mut size: impl FnMut() -> usize,
) -> (Vec<D::Item>, bool) {
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    loop {
        match decoder.decode(&mut buffer) {
            Ok(Some(frame)) => {
                frames.push(frame);
                continue;
            }
            Ok(None) => {}
            Err(_) => return (frames, true),
        }
        if bytes.is_empty() {
            return (frames, false);
        }
        let (piece, rest) = bytes.split_at(size().clamp(1, bytes.len()));
        buffer.extend_from_slice(piece);
        bytes = rest;
        // A decoder that makes room before the bytes are there is a way to take memory.
        assert!(
            buffer.capacity() <= 1 << 20,
            "{} bytes of room",
            buffer.capacity()
        );
    }
}

/// Sizes of pieces, from a number: small and large ones in turn.
pub(crate) fn sizes(seed: u8) -> impl FnMut() -> usize {
    let mut state = u32::from(seed);
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let most = if seed % 2 == 0 { 4 } else { 64 };
        1 + (state >> 16) as usize % most
    }
}
