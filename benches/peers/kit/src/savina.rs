//! Of the Savina suite (Imam and Sarkar, 2014), with the suite's own parameters; each checks its
//! result. The times are of the work, without what is set up before it.
mod buffer;
mod counting;
mod dictionary;
mod fork_join;
mod philosophers;
mod queens;
mod quicksort;
mod sieve;

use crate::peer::Peer;

/// Which.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    Counting,
    ForkJoin,
    Buffer,
    Dictionary,
    Philosophers,
    Sieve,
    Quicksort,
    Queens,
}

/// Milliseconds. `None`: this peer cannot do it. What has no count
/// that could be smaller is done whole, whatever the share.
pub(crate) fn point<P: Peer>(load: Load, share: f64) -> Option<f64> {
    let part = |count: u64| ((count as f64 * share) as u64).max(10);
    let value = match load {
        Load::Counting => counting::counting::<P>(part(1_000_000)),
        Load::ForkJoin => fork_join::fork_join::<P>(part(40_000)),
        Load::Buffer => buffer::buffer::<P>(part(1_000)),
        Load::Dictionary => dictionary::dictionary::<P>(part(10_000)),
        Load::Philosophers => philosophers::philosophers::<P>(part(10_000)),
        Load::Sieve | Load::Quicksort if !P::SPAWNS_NOW => return None,
        // A number that overtakes a smaller one would pass for a prime.
        Load::Sieve if !P::KEEPS_ORDER => return None,
        Load::Sieve => sieve::sieve::<P>(),
        Load::Quicksort => quicksort::quicksort::<P>(),
        Load::Queens => queens::queens::<P>(),
    };
    Some(value)
}

/// Numbers that look random and are the same for all, so that all do the same work.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}
