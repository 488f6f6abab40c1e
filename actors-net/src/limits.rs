//! `Limits`: what strangers may take.
use std::time::Duration;

/// What a peer may take of memory, of connections and of time. Plain data, with defaults that are
/// safe towards strangers.
///
/// # Memory
///
/// A connection holds at most
///
/// ```text
/// largest_frame + 2 * read_buffer        what was read and is no frame yet
/// + unhandled + largest_frame            frames that wait for the actor, as long as they were on the wire
/// + 2 * (write_buffer + F)               what waits to be written, and what is being written
/// + 4 KiB                                the actor, its task, what the system's allocator adds
/// ```
///
/// where F is the largest frame that this program sends. A connection that is idle holds the last
/// line only. A listener holds that times `connections`; TLS adds about 40 KiB for each. What a codec
/// makes of the bytes of a frame may take more than the bytes did.
///
/// A growing buffer takes up to twice the room that is in use, for the time of its growth.
#[derive(Clone, Debug)]
pub struct Limits {
    pub(crate) connections: usize,
    pub(crate) per_peer: usize,
    pub(crate) handshake: Duration,
    pub(crate) first_frame: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) write: Option<Duration>,
    pub(crate) linger: Duration,
    pub(crate) drain: Duration,
    pub(crate) largest_frame: usize,
    pub(crate) mailbox: usize,
    pub(crate) unhandled: usize,
    pub(crate) read_buffer: usize,
    pub(crate) write_buffer: usize,
}

impl Limits {
    /// The defaults, which each method names.
    pub const fn new() -> Self {
        Self {
            connections: 1024,
            per_peer: 256,
            handshake: Duration::from_secs(5),
            first_frame: Some(Duration::from_secs(10)),
            idle: Some(Duration::from_secs(120)),
            write: Some(Duration::from_secs(30)),
            linger: Duration::from_secs(1),
            drain: Duration::from_secs(10),
            largest_frame: 64 << 10,
            mailbox: 256,
            unhandled: 256 << 10,
            read_buffer: 16 << 10,
            write_buffer: 64 << 10,
        }
    }

    /// How many connections a listener has at a time; who comes then is closed at once, before
    /// anything is read or encrypted. 1,024.
    #[must_use]
    pub const fn connections(mut self, count: usize) -> Self {
        self.connections = count;
        self
    }

    /// How many of them one peer has: an IPv4 address, or an IPv6 network of 64 bits. Others are
    /// not counted. 256.
    #[must_use]
    pub const fn connections_per_peer(mut self, count: usize) -> Self {
        self.per_peer = count;
        self
    }

    /// How long the handshake of TLS may take. 5 s.
    #[must_use]
    pub const fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.handshake = limit;
        self
    }

    /// How long the first whole frame may take. 10 s; `None`: for ever.
    #[must_use]
    pub const fn first_frame_timeout(mut self, limit: Option<Duration>) -> Self {
        self.first_frame = limit;
        self
    }

    /// How long the connection may be idle: no whole frame came, none waits or is being handled,
    /// and nothing could be written. 120 s; `None`: for ever.
    #[must_use]
    pub const fn idle_timeout(mut self, limit: Option<Duration>) -> Self {
        self.idle = limit;
        self
    }

    /// How long the peer may take none of the bytes that wait to be written. 30 s; `None`: for
    /// ever.
    #[must_use]
    pub const fn write_timeout(mut self, limit: Option<Duration>) -> Self {
        self.write = limit;
        self
    }

    /// How long a connection that this side has closed waits for the other side to do the same, so
    /// that nothing that was sent is lost. 1 s.
    #[must_use]
    pub const fn linger(mut self, limit: Duration) -> Self {
        self.linger = limit;
        self
    }

    /// How long connections may take to finish when their listener stops; then they are cut off.
    /// 10 s.
    #[must_use]
    pub const fn drain_timeout(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// The largest frame that a peer may send, in bytes on the wire, with all that belongs to it.
    /// 64 KiB.
    #[must_use]
    pub const fn largest_frame(mut self, bytes: usize) -> Self {
        self.largest_frame = bytes;
        self
    }

    /// How many frames may wait for the actor. Nothing is read while it is so many. 256.
    #[must_use]
    pub const fn mailbox(mut self, frames: usize) -> Self {
        self.mailbox = frames;
        self
    }

    /// How many bytes of frames may wait for the actor. Once it was so many, nothing is read before
    /// the actor has handled all of them. 256 KiB.
    #[must_use]
    pub const fn unhandled(mut self, bytes: usize) -> Self {
        self.unhandled = bytes;
        self
    }

    /// How many bytes are read at a time. 16 KiB.
    #[must_use]
    pub const fn read_buffer(mut self, bytes: usize) -> Self {
        self.read_buffer = bytes;
        self
    }

    /// How many bytes may wait to be written before sending waits. 64 KiB.
    #[must_use]
    pub const fn write_buffer(mut self, bytes: usize) -> Self {
        self.write_buffer = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
