//! The actor that has a part of all keys, and the messages that carry commands to it.
use crate::codec::Batch;
use crate::command::Verb;
use crate::execute::{execute, len};
use crate::keyspace::{Clock, Keyspace};
use crate::resp::{Protocol, Writer};
use crate::values::Text;
use actors_core::{Actor, Context, Handler, Message, Timer};
use bytes::BytesMut;
use hashbrown::DefaultHashBuilder;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

/// As many databases as Redis has by default.
pub(crate) const DATABASES: usize = 16;
/// A shard pauses once its answers are so long, and goes on when it is asked to.
const LONG: usize = 256 << 10;
/// How long most answers are, at most.
const ROOM: usize = 32;
/// How many keys a shard removes at a time.
const SWEEP: usize = 256;
/// A timer that is set for later is set anew by then.
const LONGEST_TIMER: Duration = Duration::from_secs(24 * 60 * 60);

/// Which shard has which key.
#[derive(Clone, Debug)]
pub(crate) struct Sharding {
    shards: usize,
    /// Seeded at random: else strangers could choose keys that all lie in one shard.
    hash: DefaultHashBuilder,
}

impl Sharding {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            shards,
            hash: DefaultHashBuilder::default(),
        }
    }

    pub(crate) fn of(&self, key: &[u8]) -> usize {
        match self.shards {
            1 => 0,
            shards => (self.hash.hash_one(key) % shards as u64) as usize,
        }
    }
}

/// A command of a batch that a shard has to carry out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick {
    pub(crate) number: u32,
    pub(crate) verb: Verb,
}

/// Asks a shard to carry out commands, in their order. Of those that concern several shards it does
/// its own part; `MGET` has an answer for each of its keys then.
#[derive(Message)]
#[reply(Answers)]
pub(crate) struct Work {
    pub(crate) batch: Arc<Batch>,
    pub(crate) picks: Vec<Pick>,
    pub(crate) database: usize,
    pub(crate) protocol: Protocol,
    /// Whether to tell where each answer ends.
    pub(crate) cut: bool,
}

/// What a shard answers.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) bytes: BytesMut,
    pub(crate) ends: Vec<usize>,
    /// What has to be asked for again, since there would have been too much to answer.
    pub(crate) left: Vec<Pick>,
}

/// Asks a shard how many keys it has, and how many of these end some day, in each database.
#[derive(Message)]
#[reply([(usize, usize); DATABASES])]
pub(crate) struct CountKeys;

/// Removes keys whose time is over.
#[derive(Message)]
struct Sweep;

/// A part of the keys of all databases.
pub(crate) struct Shard {
    number: usize,
    sharding: Sharding,
    clock: Clock,
    spaces: [Keyspace; DATABASES],
    /// When the next sweep is, and its timer.
    sweep: Option<(i64, Timer)>,
}

impl Actor for Shard {}

impl Shard {
    pub(crate) fn new(number: usize, sharding: Sharding) -> Self {
        Self {
            number,
            sharding,
            clock: Clock::new(),
            spaces: Default::default(),
            sweep: None,
        }
    }

    /// Sees to it that keys are removed that nobody asks for any more.
    fn plan_sweep(&mut self, ctx: &Context<Self>) {
        let Some(next) = self.spaces.iter().filter_map(Keyspace::next_end).min() else {
            return;
        };
        if let Some((planned, timer)) = &self.sweep {
            // One that comes too early plans the next.
            if *planned <= next {
                return;
            }
            timer.cancel();
        }
        let within = next.saturating_add(1).saturating_sub(self.clock.now());
        let within = Duration::from_millis(within.try_into().unwrap_or(0)).min(LONGEST_TIMER);
        self.sweep = Some((next, ctx.notify_after(within, Sweep)));
    }

    /// Carries out one command, or the shard's part of one that concerns others too.
    fn execute(&mut self, pick: Pick, work: &Work, now: i64, out: &mut Out) {
        let words = work.batch.command(pick.number as usize);
        let space = &mut self.spaces[work.database];
        let own = |key: &&[u8]| self.sharding.of(key) == self.number;
        match pick.verb {
            Verb::Mget => {
                for key in words.from(1).filter(own) {
                    space.expire(key, now);
                    // A value of another kind is as good as none.
                    let text = space.get::<Text>(key).ok().flatten();
                    out.writer.bulk_or_null(text.map(|text| &text[..]));
                    out.cut();
                }
                return;
            }
            Verb::Mset => {
                let (keys, texts) = (words.from(1).step_by(2), words.from(2).step_by(2));
                for (key, text) in keys.zip(texts).filter(|(key, _)| own(key)) {
                    space.put(key, text, false);
                }
                out.writer.ok();
            }
            Verb::Del | Verb::Exists => {
                let there = words.from(1).filter(own).filter(|key| {
                    space.expire(key, now);
                    match pick.verb {
                        Verb::Del => space.remove(key),
                        _ => space.contains(key),
                    }
                });
                out.writer.integer(len(there.count()));
            }
            Verb::Dbsize => out.writer.integer(len(space.len())),
            Verb::Flushall => {
                self.spaces.iter_mut().for_each(Keyspace::clear);
                out.writer.ok();
            }
            verb => {
                let done = execute(verb, words, space, now, &mut out.writer);
                if let Err(refusal) = done {
                    out.writer.refusal(&refusal);
                }
            }
        }
        out.cut();
    }
}

/// What is answered so far.
struct Out {
    writer: Writer,
    /// Where each answer ends, if that is wanted.
    ends: Option<Vec<usize>>,
}

impl Out {
    fn cut(&mut self) {
        if let Some(ends) = &mut self.ends {
            ends.push(self.writer.bytes.len());
        }
    }
}

impl Handler<Work> for Shard {
    async fn handle(&mut self, mut work: Work, ctx: &mut Context<Self>) -> Answers {
        let now = self.clock.now();
        let mut out = Out {
            writer: Writer::with_capacity(work.protocol, ROOM * work.picks.len()),
            ends: work.cut.then(Vec::new),
        };
        let mut done = 0;
        while let Some(pick) = work.picks.get(done) {
            self.execute(*pick, &work, now, &mut out);
            done += 1;
            if out.writer.bytes.len() > LONG {
                break;
            }
        }
        self.plan_sweep(ctx);
        work.picks.drain(..done);
        Answers {
            bytes: out.writer.bytes,
            ends: out.ends.unwrap_or_default(),
            left: work.picks,
        }
    }
}

impl Handler<CountKeys> for Shard {
    async fn handle(&mut self, _: CountKeys, _: &mut Context<Self>) -> [(usize, usize); DATABASES] {
        std::array::from_fn(|database| {
            let space = &self.spaces[database];
            (space.len(), space.ending())
        })
    }
}

impl Handler<Sweep> for Shard {
    async fn handle(&mut self, _: Sweep, ctx: &mut Context<Self>) {
        self.sweep = None;
        let now = self.clock.now();
        for space in &mut self.spaces {
            if space.sweep(now, SWEEP) {
                break;
            }
        }
        // At once, but behind what waits, if there is more.
        self.plan_sweep(ctx);
    }
}
