//! Commands on their way to the shards, and how the answers come together.
use crate::codec::{Batch, Words, integer};
use crate::command::{Join, Place, Spec};
use crate::outlet::{FULL, Over, hand_over};
use crate::resp::Writer;
use crate::server::Server;
use crate::shard::{Answers, Pick, Work};
use actors_core::{Ask, AskError};
use actors_net::Link;
use bytes::BytesMut;
use futures_util::future::try_join_all;
use std::mem;
use std::sync::Arc;

/// Commands of one batch that follow each other and all concern keys.
///
/// Each shard gets its own in their order, and the shards work side by side.
#[derive(Default)]
pub(crate) struct Plan {
    parts: Vec<Part>,
    /// What each shard has to do.
    picks: Vec<Vec<Pick>>,
    /// Whether some of the answers have to be made of several.
    is_joined: bool,
    /// The shard that has all keys so far, if it is one.
    only: Option<usize>,
    /// Who has a part in the command at hand.
    has_part: Vec<bool>,
}

struct Part {
    number: usize,
    spec: &'static Spec,
    /// Who answers, where that is one.
    shard: usize,
}

/// What a shard has answered, and how far that was used.
#[derive(Default)]
struct Cursor {
    answers: Answers,
    begin: usize,
    next: usize,
}

impl Plan {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            picks: (0..shards).map(|_| Vec::new()).collect(),
            has_part: vec![false; shards],
            ..Self::default()
        }
    }

    /// Adds a command whose place are the shards.
    pub(crate) fn add(
        &mut self,
        number: usize,
        spec: &'static Spec,
        words: Words<'_>,
        server: &Server,
    ) {
        let pick = Pick {
            number: number.try_into().unwrap_or(u32::MAX),
            verb: spec.verb,
        };
        let shard = server.sharding.of(words.word(1));
        let is_first = self.parts.is_empty();
        self.parts.push(Part {
            number,
            spec,
            shard,
        });
        if spec.place() == Place::Key {
            self.picks[shard].push(pick);
            match self.only {
                None if is_first => self.only = Some(shard),
                Some(only) if only != shard => self.only = None,
                _ => {}
            }
            return;
        }
        self.is_joined = true;
        self.find_parts(spec, words, server);
        for (picks, has_part) in self.picks.iter_mut().zip(&self.has_part) {
            if *has_part {
                picks.push(pick);
            }
        }
    }

    /// Finds out which shards have a part in a command.
    fn find_parts(&mut self, spec: &Spec, words: Words<'_>, server: &Server) {
        if let Place::Everywhere(_) = spec.place() {
            return self.has_part.fill(true);
        }
        self.has_part.fill(false);
        for key in spec.keys(words) {
            self.has_part[server.sharding.of(key)] = true;
        }
    }

    /// Lets the shards carry out all commands, and writes the answers in the order of the commands.
    pub(crate) async fn carry_out(&mut self, errand: Errand<'_>) -> Result<(), Over> {
        match (self.only, self.is_joined) {
            (Some(shard), false) => self.carry_out_alone(shard, errand).await?,
            _ if self.parts.is_empty() => return Ok(()),
            // Boxed: it is large, and mostly not needed.
            _ => Box::pin(self.carry_out_together(errand)).await?,
        }
        self.parts.clear();
        self.is_joined = false;
        self.only = None;
        Ok(())
    }

    /// One shard has all keys: what it answers is what is to be written.
    async fn carry_out_alone(&mut self, shard: usize, errand: Errand<'_>) -> Result<(), Over> {
        let mut picks = mem::take(&mut self.picks[shard]);
        loop {
            let answers = errand.ask(shard, picks, false).await?;
            errand.out.append(answers.bytes);
            hand_over(errand.link, errand.out, FULL).await?;
            picks = answers.left;
            if picks.is_empty() {
                // Its memory is there for the next.
                self.picks[shard] = picks;
                return Ok(());
            }
        }
    }

    /// The answers of several shards, put in order, and together where they are parts of one.
    async fn carry_out_together(&mut self, errand: Errand<'_>) -> Result<(), Over> {
        let asks = self
            .picks
            .iter_mut()
            .enumerate()
            .map(async |(shard, picks)| {
                if picks.is_empty() {
                    return Ok(Cursor::default());
                }
                let answers = errand.ask(shard, mem::take(picks), true).await?;
                Ok::<_, AskError>(Cursor::from(answers))
            });
        let mut cursors = try_join_all(asks).await?;
        for part in mem::take(&mut self.parts) {
            let words = errand.batch.command(part.number);
            let join = match part.spec.place() {
                Place::Keys(join) | Place::Everywhere(join) => join,
                Place::Key | Place::Session => {
                    let answer = cursors[part.shard].next(part.shard, &errand).await?;
                    errand.out.bytes.extend_from_slice(answer);
                    hand_over(errand.link, errand.out, FULL).await?;
                    continue;
                }
            };
            if join == Join::Each {
                errand.out.array(words.len() - 1);
                for key in words.from(1) {
                    let shard = errand.server.sharding.of(key);
                    let answer = cursors[shard].next(shard, &errand).await?;
                    errand.out.bytes.extend_from_slice(answer);
                    hand_over(errand.link, errand.out, FULL).await?;
                }
                continue;
            }
            self.find_parts(part.spec, words, errand.server);
            let mut sum = 0;
            for (shard, cursor) in cursors.iter_mut().enumerate() {
                if !self.has_part[shard] {
                    continue;
                }
                let answer = cursor.next(shard, &errand).await?;
                // `:1` and a line's end, where it is a number.
                let number = answer.get(1..answer.len().saturating_sub(2));
                sum += number.and_then(integer).unwrap_or(0);
            }
            match join {
                Join::Sum => errand.out.integer(sum),
                Join::Any | Join::Each => errand.out.ok(),
            }
        }
        for (picks, cursor) in self.picks.iter_mut().zip(cursors) {
            *picks = cursor.answers.left;
        }
        Ok(())
    }
}

/// For whom a plan is carried out.
pub(crate) struct Errand<'a> {
    pub(crate) batch: &'a Arc<Batch>,
    pub(crate) database: usize,
    pub(crate) server: &'a Server,
    pub(crate) out: &'a mut Writer,
    pub(crate) link: &'a Link<BytesMut>,
}

impl Errand<'_> {
    fn ask(&self, shard: usize, picks: Vec<Pick>, cut: bool) -> Ask<'_, Answers> {
        self.server.shards[shard].ask(Work {
            batch: Arc::clone(self.batch),
            picks,
            database: self.database,
            protocol: self.out.protocol,
            cut,
        })
    }
}

impl From<Answers> for Cursor {
    fn from(answers: Answers) -> Self {
        Self {
            answers,
            begin: 0,
            next: 0,
        }
    }
}

impl Cursor {
    /// The next answer; the shard is asked again when it has paused.
    async fn next(&mut self, shard: usize, errand: &Errand<'_>) -> Result<&[u8], AskError> {
        if self.next == self.answers.ends.len() {
            let left = mem::take(&mut self.answers.left);
            *self = errand.ask(shard, left, true).await?.into();
        }
        let begin = mem::replace(&mut self.begin, self.answers.ends[self.next]);
        self.next += 1;
        Ok(&self.answers.bytes[begin..self.begin])
    }
}
