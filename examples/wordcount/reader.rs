//! The actor that reads files, cuts them into words, and sends these to the counters.
use super::console::{Console, Fault, Progress};
use super::pieces::{Chunk, Piece, Pieces};
use super::tally::Tally;
use super::walk::NextPieces;
use super::words::Words;
use actors_core::{Actor, Addr, AskError, Context, Error, Recipient, handlers};
use futures_util::stream;
use hashbrown::DefaultHashBuilder;
use std::hash::BuildHasher;

/// How many bytes are read at a time. To work through them takes about a millisecond; then other
/// actors have their turn.
const CHUNK: usize = 256 * 1024;

/// How many different words are sent to a counter at a time.
const WORDS: usize = 4096;

/// Knows its counters, and where work comes from, only by the messages they take: so anything can
/// stand in their place.
pub(crate) struct Reader {
    work: Recipient<NextPieces>,
    counters: Vec<Recipient<Tally>>,
    console: Addr<Console>,
    /// The same for all readers, so that a word goes to the same counter from each.
    hasher: DefaultHashBuilder,
    words: Words,
    /// What goes to each counter next.
    tallies: Vec<Tally>,
}

impl Reader {
    pub(crate) fn new(
        work: Recipient<NextPieces>,
        counters: Vec<Recipient<Tally>>,
        console: Addr<Console>,
        hasher: DefaultHashBuilder,
    ) -> Self {
        Self {
            work,
            tallies: counters.iter().map(|_| Tally::default()).collect(),
            counters,
            console,
            hasher,
            words: Words::default(),
        }
    }
}

impl Actor for Reader {
    /// Asks for work for as long as there is some. Each answer arrives as a message; while the
    /// mailbox is full nothing is asked for.
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        let work = stream::unfold(self.work.clone(), |work| async {
            let pieces = work.ask(NextPieces).await.transpose()?;
            Some((pieces, work))
        });
        ctx.attach_then(work, |pieces| Count { pieces }, Finish);
        Ok(())
    }
}

#[handlers]
impl Reader {
    pub(crate) async fn count(
        &mut self,
        pieces: Result<Vec<Piece>, AskError>,
        ctx: &mut Context<Self>,
    ) {
        let done = match pieces {
            Ok(pieces) => self.read(Pieces::new(pieces)).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = done {
            ctx.fail(error);
        }
    }

    /// All was read: what is left goes to the counters.
    pub(crate) async fn finish(&mut self, ctx: &mut Context<Self>) {
        match self.flush(1).await {
            Ok(()) => ctx.stop(),
            Err(error) => ctx.fail(error),
        }
    }

    #[skip]
    async fn read(&mut self, mut pieces: Pieces) -> Result<(), Error> {
        let mut chunk = Chunk::new(CHUNK);
        loop {
            // Files have no other way to be read without blocking a thread. This one is of those
            // that tokio keeps for that.
            (pieces, chunk) = tokio::task::spawn_blocking(move || {
                pieces.fill(&mut chunk);
                (pieces, chunk)
            })
            .await?;
            if chunk.text().is_empty() {
                return Ok(());
            }
            self.split(&chunk);
            for text in chunk.faults.drain(..) {
                self.console.send(Fault { text }).await?;
            }
            let progress = Progress {
                files: chunk.files,
                bytes: chunk.bytes,
                too_long: self.words.take_too_long(),
            };
            self.console.send(progress).await?;
            self.flush(WORDS).await?;
        }
    }

    #[skip]
    fn split(&mut self, chunk: &Chunk) {
        let shards = self.tallies.len() as u64;
        self.words.feed(chunk.text(), |word| {
            let hash = self.hasher.hash_one(word);
            // By bits that the table does not look at.
            let shard = (((hash >> 16) & 0xFFFF_FFFF) * shards) >> 32;
            self.tallies[shard as usize].add(hash, word, 1);
        });
    }

    /// Sends the tallies with at least so many words. Waits while a counter's mailbox is full: then
    /// this actor reads no more, its own mailbox fills, and nobody asks for more work.
    #[skip]
    async fn flush(&mut self, at_least: usize) -> Result<(), Error> {
        for (tally, counter) in self.tallies.iter_mut().zip(&self.counters) {
            if tally.distinct() >= at_least {
                counter.send(std::mem::take(tally)).await?;
            }
        }
        Ok(())
    }
}
