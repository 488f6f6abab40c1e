//! What all clients of the server share.
use crate::pubsub::Channels;
use crate::shard::{Shard, Sharding};
use actors_core::Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

/// The version of Redis that this server takes after.
pub(crate) const VERSION: &str = "7.0.15";

/// Whom clients' actors ask, and what they count.
pub(crate) struct Server {
    pub(crate) shards: Vec<Addr<Shard>>,
    pub(crate) sharding: Sharding,
    pub(crate) channels: Addr<Channels>,
    /// What `CONFIG GET` tells.
    pub(crate) settings: Vec<(&'static str, String)>,
    pub(crate) port: u16,
    pub(crate) began: Instant,
    pub(crate) counts: Counts,
}

/// Counted since the start.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) clients_ever: AtomicI64,
    pub(crate) clients: AtomicI64,
    pub(crate) commands: AtomicU64,
}

/// A client's place in the counts.
pub(crate) struct Seat {
    server: Arc<Server>,
    pub(crate) id: i64,
}

impl Seat {
    pub(crate) fn take(server: Arc<Server>) -> Self {
        server.counts.clients.fetch_add(1, Ordering::Relaxed);
        let id = server.counts.clients_ever.fetch_add(1, Ordering::Relaxed) + 1;
        Self { server, id }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.server.counts.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a text is of a pattern, in whatever case: `*`, `?`, `[a-c]`, `[^a]`, `\` before what
/// means itself.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let is = |one: u8, other: u8| one.eq_ignore_ascii_case(&other);
    match (pattern, text) {
        ([], text) => text.is_empty(),
        ([b'*', rest @ ..], text) => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
        (_, []) => false,
        ([b'?', rest @ ..], [_, text @ ..]) => matches(rest, text),
        ([b'[', rest @ ..], [first, text @ ..]) => {
            let (negated, mut set) = match rest {
                [b'^', set @ ..] => (true, set),
                set => (false, set),
            };
            let mut found = false;
            loop {
                set = match set {
                    [] => return found != negated && matches(set, text),
                    [b']', rest @ ..] => return found != negated && matches(rest, text),
                    [b'\\', one, rest @ ..] => {
                        found |= is(*one, *first);
                        rest
                    }
                    [low, b'-', high, rest @ ..] => {
                        let [low, high, first] = [low, high, first].map(u8::to_ascii_lowercase);
                        found |= (low.min(high)..=low.max(high)).contains(&first);
                        rest
                    }
                    [one, rest @ ..] => {
                        found |= is(*one, *first);
                        rest
                    }
                };
            }
        }
        ([b'\\', one, rest @ ..], [first, text @ ..]) | ([one, rest @ ..], [first, text @ ..]) => {
            is(*one, *first) && matches(rest, text)
        }
    }
}
