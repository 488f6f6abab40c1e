//! `Tally`: how often each word was seen. Readers fill small ones and send them as messages; each
//! counter keeps a large one.
use actors_core::Message;
use hashbrown::hash_table::{Entry, HashTable};
use std::cmp::Ordering;

/// Words and their counts. The words lie one behind the other in one buffer, so a tally is two
/// allocations, however many words it holds.
#[derive(Debug, Default, Message)]
pub(crate) struct Tally {
    entries: HashTable<Seen>,
    text: Vec<u8>,
}

#[derive(Debug)]
struct Seen {
    /// Kept, so that no word is hashed twice on its way.
    hash: u64,
    start: usize,
    len: usize,
    count: u64,
}

impl Seen {
    fn word<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.start..self.start + self.len]
    }
}

/// A word and its count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) count: u64,
    pub(crate) word: Vec<u8>,
}

impl Tally {
    /// Counts a word. The same word has to come with the same hash each time.
    pub(crate) fn add(&mut self, hash: u64, word: &[u8], count: u64) {
        let text = &self.text;
        let is_it = |seen: &Seen| seen.hash == hash && seen.word(text) == word;
        match self.entries.entry(hash, is_it, |seen| seen.hash) {
            Entry::Occupied(mut seen) => seen.get_mut().count += count,
            Entry::Vacant(place) => {
                place.insert(Seen {
                    hash,
                    start: text.len(),
                    len: word.len(),
                    count,
                });
                self.text.extend_from_slice(word);
            }
        }
    }

    /// Adds what another one has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for seen in &other.entries {
            self.add(seen.hash, seen.word(&other.text), seen.count);
        }
    }

    /// How many different words there are.
    pub(crate) fn distinct(&self) -> usize {
        self.entries.len()
    }

    /// How many words were counted.
    pub(crate) fn total(&self) -> u64 {
        self.entries.iter().map(|seen| seen.count).sum()
    }

    /// The `n` most frequent words, in no order.
    pub(crate) fn top(&self, n: usize) -> Vec<Counted> {
        let mut seen: Vec<&Seen> = self.entries.iter().collect();
        if n < seen.len() {
            seen.select_nth_unstable_by(n, |a, b| {
                by_count((a.count, a.word(&self.text)), (b.count, b.word(&self.text)))
            });
            seen.truncate(n);
        }
        let counted = seen.into_iter().map(|seen| Counted {
            count: seen.count,
            word: seen.word(&self.text).to_vec(),
        });
        counted.collect()
    }
}

/// The `n` most frequent of several tops, in order.
pub(crate) fn top_of_all(tops: impl IntoIterator<Item = Vec<Counted>>, n: usize) -> Vec<Counted> {
    let mut all: Vec<Counted> = tops.into_iter().flatten().collect();
    all.sort_unstable_by(|a, b| by_count((a.count, &a.word), (b.count, &b.word)));
    all.truncate(n);
    all
}

/// The most frequent first; among equals, by their bytes.
fn by_count(a: (u64, &[u8]), b: (u64, &[u8])) -> Ordering {
    b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1))
}
