//! Bytes become frames: any decoder, with a limit on what it may ask for. Knows no sockets.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::error::NetError;
use actors_core::Error;
use bytes::BytesMut;
use std::io;
use tokio_util::codec::Decoder;

/// How large a buffer is kept that nothing lies in.
const KEEP: usize = 4 << 10;

/// What was read and is no frame yet, and who makes frames of it.
#[derive(Debug)]
pub(crate) struct Inbound<D> {
    decoder: D,
    buffer: BytesMut,
    largest_frame: usize,
    read_buffer: usize,
    /// How many bytes the buffer has had room for, at least, since it was made.
    held: usize,
}

impl<D> Inbound<D>
where
    D: Decoder,
    D::Error: Into<Error>,
{
    pub(crate) fn new(decoder: D, largest_frame: usize, read_buffer: usize) -> Self {
        Self {
            decoder,
            buffer: BytesMut::new(),
            largest_frame,
            read_buffer,
            held: 0,
        }
    }

    /// Takes the first bytes of the peer, or those that come when all others are frames.
    pub(crate) fn begin(&mut self, bytes: &[u8]) {
        self.held = self.held.max(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    /// Where bytes of the peer belong.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// How many bytes are no frame yet.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame. `None`: it takes more bytes.
    ///
    /// # Errors
    ///
    /// The bytes are no frame, or a frame that is too large. Nothing more can be made of them.
    pub(crate) fn next(&mut self) -> Result<Option<D::Item>, NetError> {
        let before = self.buffer.len();
        let frame = self
            .decoder
            .decode(&mut self.buffer)
            .map_err(NetError::decode)?;
        let taken = before.saturating_sub(self.buffer.len());
        // A decoder may make room for the frame whose header it has seen: that is more than the
        // peer has sent, and must not be more than it may send.
        let room = 2 * (self.largest_frame + self.read_buffer);
        let is_too_large = match frame {
            Some(_) => taken > self.largest_frame,
            None => self.buffer.len() > self.largest_frame || self.buffer.capacity() > room,
        };
        if is_too_large {
            return Err(NetError::FrameTooLarge {
                limit: self.largest_frame,
            });
        }
        if frame.is_none() {
            self.held = self.held.max(self.buffer.capacity());
            if self.buffer.is_empty() && self.held > KEEP {
                // Who is idle keeps no large buffer.
                self.buffer = BytesMut::new();
                self.held = 0;
            }
        }
        Ok(frame)
    }

    /// The next frame after the peer's last byte.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next), and when the last frame is not whole.
    pub(crate) fn last(&mut self) -> Result<Option<D::Item>, NetError> {
        let frame = self.decoder.decode_eof(&mut self.buffer);
        let frame = frame.map_err(NetError::decode)?;
        if frame.is_none() && !self.buffer.is_empty() {
            return Err(NetError::from(io::Error::from(
                io::ErrorKind::UnexpectedEof,
            )));
        }
        Ok(frame)
    }
}
