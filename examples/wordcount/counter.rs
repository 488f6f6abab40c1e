//! The actor that counts the words of one shard.
use super::tally::{Counted, Tally};
use actors_core::{Actor, handlers};

#[derive(Debug, Default, Actor)]
pub(crate) struct Counter {
    tally: Tally,
}

/// What a counter has counted.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) words: u64,
    pub(crate) distinct: usize,
    pub(crate) top: Vec<Counted>,
}

#[handlers]
impl Counter {
    #[on]
    pub(crate) fn add(&mut self, tally: Tally) {
        self.tally.merge(&tally);
    }

    pub(crate) fn summarize(&mut self, top: usize) -> Summary {
        Summary {
            words: self.tally.total(),
            distinct: self.tally.distinct(),
            top: self.tally.top(top),
        }
    }
}
