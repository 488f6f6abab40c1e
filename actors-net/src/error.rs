//! What goes wrong on a connection, and why a frame was not sent.
use actors_core::Error;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Why a connection ended, or was not made.
///
/// An actor whose connection ends so has it as the error of
/// [`StopReason::Failed`](actors_core::StopReason).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NetError {
    /// The system reports an error of the socket or the pipe.
    Io(Arc<io::Error>),
    /// The address is none, or names a host that is not known.
    Address(Arc<str>),
    /// The codec cannot make frames of what the peer has sent.
    Decode(Arc<dyn StdError + Send + Sync>),
    /// The peer has begun a frame that is larger than [`Limits`](crate::Limits) allow.
    FrameTooLarge {
        /// What is allowed, in bytes.
        limit: usize,
    },
    /// The codec has panicked; the panic's text.
    CodecPanicked(Arc<str>),
    /// The handshake of TLS failed, or its certificates and keys cannot be used.
    Tls(Arc<dyn StdError + Send + Sync>),
    /// The two ends have no protocol in common, of those that
    /// [`ServerTls::protocols`](crate::ServerTls::protocols) and
    /// [`ClientTls::protocols`](crate::ClientTls::protocols) name; or the peer names none.
    NoProtocol,
    /// The peer's certificate is good, and none of its names is on the list of those allowed.
    NotAllowed,
    /// Nothing has happened for too long.
    TimedOut(Waited),
    /// It was cut off because its listener has ended, or because this program is done with it.
    CutOff,
}

/// What was waited for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waited {
    /// To be connected.
    Connect,
    /// For the handshake of TLS.
    Handshake,
    /// For the peer's first frame.
    FirstFrame,
    /// For any other frame of the peer.
    Idle,
    /// For the peer to read what was written.
    Write,
}

impl From<io::Error> for NetError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl NetError {
    pub(crate) fn tls(error: impl Into<Error>) -> Self {
        Self::Tls(Arc::from(error.into()))
    }

    pub(crate) fn decode(error: impl Into<Error>) -> Self {
        Self::Decode(Arc::from(error.into()))
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "input or output failed: {error}"),
            Self::Address(address) => write!(f, "`{address}` is not an address that is known"),
            Self::Decode(_) => f.write_str("the peer sent what is no frame"),
            Self::FrameTooLarge { limit } => {
                write!(f, "the peer sent a frame of more than {limit} bytes")
            }
            Self::CodecPanicked(text) => write!(f, "the codec panicked: {text}"),
            Self::Tls(_) => f.write_str("no encrypted connection"),
            Self::NoProtocol => f.write_str("the peer speaks none of the protocols"),
            Self::NotAllowed => f.write_str("the peer is not on the list of those allowed"),
            Self::TimedOut(waited) => write!(f, "waited too long for {waited}"),
            Self::CutOff => f.write_str("the connection was cut off"),
        }
    }
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "a connection",
            Self::Handshake => "the handshake",
            Self::FirstFrame => "the first frame",
            Self::Idle => "the next frame",
            Self::Write => "the peer to read",
        })
    }
}

impl StdError for NetError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Io(error) => Some(&**error),
            Self::Decode(error) | Self::Tls(error) => Some(&**error),
            _ => None,
        }
    }
}

/// Why [`Link::send`](crate::Link::send) did not send; a frame that was not looked at comes back.
#[non_exhaustive]
pub enum LinkError<T> {
    /// The connection has ended or is being closed; or it is down, and what is sent meanwhile is not
    /// to be kept.
    Closed(T),
    /// The codec refuses the frame.
    Encode(Error),
}

/// Why [`Link::try_send`](crate::Link::try_send) did not send.
#[non_exhaustive]
pub enum TryLinkError<T> {
    /// What waits to be written fills the buffer.
    Full(T),
    /// The connection has ended or is being closed; or it is down, and what is sent meanwhile is not
    /// to be kept.
    Closed(T),
    /// The codec refuses the frame.
    Encode(Error),
}

const CLOSED: &str = "the connection is closed";

impl<T> fmt::Display for LinkError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed(_) => CLOSED,
            Self::Encode(_) => "the frame cannot be encoded",
        })
    }
}

impl<T> fmt::Display for TryLinkError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the peer has not read what was sent before",
            Self::Closed(_) => CLOSED,
            Self::Encode(_) => "the frame cannot be encoded",
        })
    }
}

impl<T> fmt::Debug for LinkError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("Closed(..)"),
            Self::Encode(error) => write!(f, "Encode({error:?})"),
        }
    }
}

impl<T> fmt::Debug for TryLinkError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Closed(_) => f.write_str("Closed(..)"),
            Self::Encode(error) => write!(f, "Encode({error:?})"),
        }
    }
}

impl<T> StdError for LinkError<T> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Encode(error) => Some(&**error),
            Self::Closed(_) => None,
        }
    }
}

impl<T> StdError for TryLinkError<T> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Encode(error) => Some(&**error),
            Self::Full(_) | Self::Closed(_) => None,
        }
    }
}
