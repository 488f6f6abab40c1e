//! Frames become bytes: any encoder, into a buffer that takes large payloads as they are.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::prefixed::LengthPrefixed;
use actors_core::Error;
use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use tokio_util::codec::Encoder;

/// Smaller payloads are copied: that takes less time than to hand them over apart.
const LEAST: usize = 8 << 10;

/// How many parts are handed to the system at a time.
const SLICES: usize = 64;

/// What writes the frames of a [`Link`](crate::Link): any [`Encoder`] of `tokio_util`, or a codec
/// that implements this instead, so that its payloads need not be copied.
///
/// ```
/// use actors_net::{Error, FrameEncoder, WriteBuffer};
/// use bytes::{BufMut, Bytes};
///
/// /// A byte for the kind, two for the length, and the payload.
/// struct Tagged;
///
/// impl FrameEncoder<(u8, Bytes)> for Tagged {
///     fn encode(&mut self, frame: (u8, Bytes), to: &mut WriteBuffer) -> Result<(), Error> {
///         let (kind, payload) = frame;
///         let length = u16::try_from(payload.len())?;
///         to.bytes().put_u8(kind);
///         to.bytes().put_u16(length);
///         to.share(payload);
///         Ok(())
///     }
/// }
///
/// let mut buffer = WriteBuffer::new();
/// Tagged.encode((7, Bytes::from("hello")), &mut buffer)?;
/// assert_eq!(buffer.len(), 8);
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not encode frames of type `{T}`",
    label = "no `Encoder<{T}>`, and no `FrameEncoder<{T}>`",
    note = "the type of the frames that are sent is that of the `Link`"
)]
pub trait FrameEncoder<T> {
    /// Appends a frame. What it has appended when it fails or panics is taken out again.
    ///
    /// # Errors
    ///
    /// Why the frame cannot be written.
    fn encode(&mut self, frame: T, to: &mut WriteBuffer) -> Result<(), Error>;
}

impl<T, E> FrameEncoder<T> for E
where
    E: Encoder<T>,
    E::Error: Into<Error>,
{
    fn encode(&mut self, frame: T, to: &mut WriteBuffer) -> Result<(), Error> {
        Encoder::encode(self, frame, to.bytes()).map_err(Into::into)
    }
}

impl FrameEncoder<Bytes> for LengthPrefixed {
    fn encode(&mut self, frame: Bytes, to: &mut WriteBuffer) -> Result<(), Error> {
        to.bytes().extend_from_slice(&self.header(frame.len())?);
        to.share(frame);
        Ok(())
    }
}

/// What waits to be written to a connection: bytes that were appended, and payloads in between that
/// are shared with whoever else has them.
#[derive(Debug, Default)]
pub struct WriteBuffer {
    /// What comes before the last bytes.
    parts: VecDeque<Bytes>,
    /// How many bytes that is.
    before: usize,
    last: BytesMut,
}

/// How far a buffer was filled.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    parts: usize,
    before: usize,
    last: usize,
}

impl WriteBuffer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where bytes are appended; how many lie there already says nothing, and they are to be left
    /// alone.
    pub fn bytes(&mut self) -> &mut BytesMut {
        &mut self.last
    }

    /// Appends a payload: one of at least 8 KiB as it is, without a copy, a smaller one by copying it.
    pub fn share(&mut self, payload: Bytes) {
        if payload.len() < LEAST {
            self.last.extend_from_slice(&payload);
            return;
        }
        if !self.last.is_empty() {
            let last = self.last.split().freeze();
            self.append(last);
        }
        self.append(payload);
    }

    fn append(&mut self, part: Bytes) {
        self.before += part.len();
        self.parts.push_back(part);
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.before + self.last.len()
    }

    /// Whether none do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much room it has for bytes.
    pub(crate) fn room(&self) -> usize {
        self.last.capacity()
    }

    /// Writes some of it. It is there still: see [`advance`](Buf::advance).
    pub(crate) fn poll_write<S: AsyncWrite + ?Sized>(
        &self,
        stream: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.parts.is_empty() || !stream.is_write_vectored() {
            return stream.poll_write(cx, self.chunk());
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = self.chunks_vectored(&mut slices);
        stream.poll_write_vectored(cx, slices.get(..filled).unwrap_or_default())
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            parts: self.parts.len(),
            before: self.before,
            last: self.last.len(),
        }
    }

    /// Takes out all that was appended since.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.before = mark.before;
        if self.parts.len() == mark.parts {
            return self.last.truncate(mark.last);
        }
        // What were the last bytes begins the first part that is new.
        let last = self.parts.get(mark.parts).cloned();
        self.parts.truncate(mark.parts);
        self.last.clear();
        if let Some(mut last) = last.filter(|_| mark.last > 0) {
            last.truncate(mark.last);
            self.append(last);
        }
    }
}

/// What is written is taken from its beginning.
impl Buf for WriteBuffer {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(&*self.last, |part| part)
    }

    fn chunks_vectored<'a>(&'a self, to: &mut [IoSlice<'a>]) -> usize {
        let parts = self.parts.iter().map(|part| &**part);
        let last = (!self.last.is_empty()).then_some(&*self.last);
        let mut filled = 0;
        for (place, part) in to.iter_mut().zip(parts.chain(last)) {
            *place = IoSlice::new(part);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(part) = self.parts.front_mut() {
            if count < part.len() {
                self.before -= count;
                return part.advance(count);
            }
            count -= part.len();
            self.before -= part.len();
            self.parts.pop_front();
        }
        match count == self.last.len() {
            // All of its room is free again.
            true => self.last.clear(),
            false => self.last.advance(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of these lengths, one after the other, each of its own byte.
    fn filled(lengths: &[usize]) -> (WriteBuffer, Vec<u8>) {
        let mut codec = LengthPrefixed::new(1 << 20);
        let (mut buffer, mut expected) = (WriteBuffer::new(), Vec::new());
        for (byte, &length) in (0..).zip(lengths) {
            let frame = Bytes::from(vec![byte; length]);
            let header = codec.header(length).expect("it is short");
            expected.extend([&header[..], &frame[..]].concat());
            FrameEncoder::encode(&mut codec, frame, &mut buffer).expect("it is short");
            assert_eq!(buffer.len(), expected.len());
        }
        (buffer, expected)
    }

    #[test]
    fn large_payloads_are_shared_and_small_ones_copied() {
        let (small, large) = (Bytes::from(vec![1; LEAST - 1]), Bytes::from(vec![2; LEAST]));
        let mut buffer = WriteBuffer::new();
        buffer.share(small.clone());
        buffer.share(large.clone());
        assert!(small.is_unique() && !large.is_unique());
        buffer.advance(LEAST - 1);
        assert_eq!(buffer.chunk().as_ptr(), large.as_ptr());
        buffer.advance(LEAST);
        assert!(large.is_unique() && buffer.is_empty());
    }

    #[test]
    fn bytes_come_out_in_the_order_of_their_coming_whatever_is_taken_at_a_time() {
        let lengths = [3, 0, LEAST, 7, LEAST + 1, 2 * LEAST, 1];
        for step in [1, 5, LEAST - 1, LEAST, 10_000, usize::MAX] {
            let (mut buffer, expected) = filled(&lengths);
            let mut came: Vec<u8> = Vec::new();
            while !buffer.is_empty() {
                let mut slices = [IoSlice::new(&[]); 3];
                let count = buffer.chunks_vectored(&mut slices);
                assert!(count > 0 && slices[0][..] == *buffer.chunk());
                let bytes = slices[..count].iter().flat_map(|part| part.iter());
                let before = came.len();
                came.extend(bytes.take(step));
                let taken = came.len() - before;
                buffer.advance(taken);
                assert_eq!(came.len() + buffer.len(), expected.len());
            }
            assert!(came == expected, "taken {step} at a time");
        }
    }

    #[test]
    fn what_came_since_is_taken_out_again() {
        for before in [&[][..], &[5], &[LEAST], &[LEAST, 5], &[5, LEAST, 5]] {
            for since in [&[5][..], &[LEAST], &[LEAST, 5], &[5, LEAST, LEAST]] {
                let (mut buffer, expected) = filled(before);
                let mark = buffer.mark();
                for &length in since {
                    buffer.bytes().extend_from_slice(b"head");
                    buffer.share(Bytes::from(vec![0; length]));
                }
                buffer.back_to(mark);
                buffer.bytes().extend_from_slice(b"next");
                let all = buffer.copy_to_bytes(buffer.len());
                assert!(all == [&expected[..], b"next"].concat(), "{before:?}");
            }
        }
    }

    #[test]
    fn a_frame_that_is_too_long_leaves_nothing() {
        let mut buffer = WriteBuffer::new();
        let frame = Bytes::from(vec![0; 11]);
        let error = FrameEncoder::encode(&mut LengthPrefixed::new(10), frame, &mut buffer);
        assert_eq!(
            error.expect_err("too long").to_string(),
            "a frame of 11 bytes, of which 10 are allowed"
        );
        assert!(buffer.is_empty());
    }
}
