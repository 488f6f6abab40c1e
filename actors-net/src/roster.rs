//! `Roster`: how many are connected, in total and of each peer.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What a listener has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStats {
    /// How many connections there are.
    pub open: usize,
    /// How many there were, with those.
    pub accepted: u64,
    /// How many were refused, since there were too many.
    pub refused: u64,
}

pub(crate) struct Roster {
    total: usize,
    per_peer: usize,
    seats: Mutex<Seats>,
    /// When nobody was let in any more.
    closed: OnceLock<Instant>,
}

#[derive(Default)]
struct Seats {
    stats: ListenerStats,
    peers: HashMap<IpAddr, usize>,
}

/// One connection's place; free again when dropped.
pub(crate) struct Seat {
    roster: Arc<Roster>,
    origin: Option<IpAddr>,
}

impl Roster {
    pub(crate) fn new(total: usize, per_peer: usize) -> Arc<Self> {
        Arc::new(Self {
            total,
            per_peer,
            seats: Mutex::default(),
            closed: OnceLock::new(),
        })
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat for somebody who comes from there, if there is one.
    pub(crate) fn seat(self: &Arc<Self>, origin: Option<IpAddr>) -> Option<Seat> {
        let mut seats = self.seats();
        let of_peer = origin.and_then(|origin| seats.peers.get(&origin));
        let of_peer = of_peer.copied().unwrap_or_default();
        if seats.stats.open >= self.total || (origin.is_some() && of_peer >= self.per_peer) {
            seats.stats.refused += 1;
            return None;
        }
        seats.stats.open += 1;
        seats.stats.accepted += 1;
        if let Some(origin) = origin {
            seats.peers.insert(origin, of_peer + 1);
        }
        drop(seats);
        Some(Seat {
            roster: Arc::clone(self),
            origin,
        })
    }

    pub(crate) fn stats(&self) -> ListenerStats {
        self.seats().stats
    }

    /// Nobody is let in from now on.
    pub(crate) fn close(&self) {
        let _ = self.closed.set(Instant::now());
    }

    /// For how long nobody was let in.
    pub(crate) fn closed_for(&self) -> Duration {
        self.closed.get().map_or(Duration::ZERO, Instant::elapsed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.roster.seats();
        seats.stats.open -= 1;
        let Some(Entry::Occupied(mut peer)) = self.origin.map(|origin| seats.peers.entry(origin))
        else {
            return;
        };
        *peer.get_mut() -= 1;
        if *peer.get() == 0 {
            peer.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_by_peer_and_in_total() {
        let roster = Roster::new(3, 2);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = roster.seat(Some(one)).unwrap();
        let _second = roster.seat(Some(one)).unwrap();
        assert!(roster.seat(Some(one)).is_none(), "two of one peer");
        let _third = roster.seat(Some(other)).unwrap();
        assert!(roster.seat(None).is_none(), "three in total");
        drop(first);
        let _again = roster.seat(Some(one)).unwrap();
        let stats = roster.stats();
        assert_eq!((stats.open, stats.accepted, stats.refused), (3, 4, 2));
        drop((_second, _again));
        assert_eq!(
            roster.seats().peers.len(),
            1,
            "peers that left are forgotten"
        );
    }
}
