//! `LengthPrefixed`: frames of any bytes, behind their length.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use bytes::{Buf, Bytes, BytesMut};
use std::error::Error;
use std::fmt;
use std::io;
use tokio_util::codec::Decoder;

/// A codec for frames of any bytes: four bytes of length, the highest first, and that many bytes.
///
/// No room is made for what was announced and has not come, whatever the length says. The bytes of a
/// frame are not copied: neither of one that was read, nor, from 8 KiB on, of one that is sent by a
/// [`Link`](crate::Link). Others can write what it reads by tokio's `LengthDelimitedCodec`.
///
/// ```
/// use actors_net::{FrameEncoder, LengthPrefixed, WriteBuffer};
/// use bytes::Bytes;
/// use tokio_util::codec::Decoder;
///
/// let mut codec = LengthPrefixed::new(1 << 20);
/// let mut buffer = WriteBuffer::new();
/// codec.encode(Bytes::from("hello"), &mut buffer).unwrap();
/// let mut bytes = buffer.bytes().clone();
/// assert_eq!(&bytes[..], b"\0\0\0\x05hello");
/// assert_eq!(codec.decode(&mut bytes).unwrap(), Some(Bytes::from("hello")));
/// assert_eq!(codec.decode(&mut bytes).unwrap(), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LengthPrefixed {
    largest: usize,
}

/// The bytes before each frame.
const HEADER: usize = 4;

impl LengthPrefixed {
    /// With frames of at most so many bytes, not counting their length.
    pub fn new(largest: usize) -> Self {
        let most = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
        Self {
            largest: largest.min(most),
        }
    }

    /// What comes before a frame of this length.
    pub(crate) fn header(self, length: usize) -> Result<[u8; HEADER], PrefixedError> {
        let header = u32::try_from(length)
            .ok()
            .filter(|_| length <= self.largest);
        header
            .map(u32::to_be_bytes)
            .ok_or_else(|| self.too_long(length))
    }

    fn too_long(self, length: usize) -> PrefixedError {
        PrefixedError::TooLong {
            length,
            largest: self.largest,
        }
    }
}

impl Decoder for LengthPrefixed {
    type Item = Bytes;
    type Error = PrefixedError;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<Bytes>, PrefixedError> {
        let Some(header) = from.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*header);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.largest {
            return Err(self.too_long(length));
        }
        if from.len() - HEADER < length {
            return Ok(None);
        }
        from.advance(HEADER);
        Ok(Some(from.split_to(length).freeze()))
    }
}

/// What is wrong with a frame.
#[derive(Debug)]
#[non_exhaustive]
pub enum PrefixedError {
    /// It is longer than it may be.
    #[non_exhaustive]
    TooLong {
        /// How long it says to be, in bytes.
        length: usize,
        /// How long it may be.
        largest: usize,
    },
    /// The last one is not whole.
    Io(io::Error),
}

impl From<io::Error> for PrefixedError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for PrefixedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length, largest } => {
                write!(
                    f,
                    "a frame of {length} bytes, of which {largest} are allowed"
                )
            }
            Self::Io(_) => f.write_str("the last frame is not whole"),
        }
    }
}

impl Error for PrefixedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::TooLong { .. } => None,
        }
    }
}
