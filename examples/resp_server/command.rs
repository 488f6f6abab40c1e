//! Which commands there are, what they look like, and who carries them out.
use crate::codec::Words;
use crate::resp::{Refusal, SYNTAX, Writer};

/// A command by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Append,
    Client,
    Command,
    Config,
    Dbsize,
    Decr,
    Decrby,
    Del,
    Echo,
    Exists,
    Expire,
    Flushall,
    Get,
    Getdel,
    Getset,
    Hdel,
    Hello,
    Hget,
    Hgetall,
    Hlen,
    Hset,
    Incr,
    Incrby,
    Info,
    Llen,
    Lpop,
    Lpush,
    Lrange,
    Mget,
    Mset,
    Persist,
    Pexpire,
    Ping,
    Pttl,
    Publish,
    Quit,
    Rpop,
    Rpush,
    Sadd,
    Scard,
    Select,
    Set,
    Setnx,
    Sismember,
    Smembers,
    Srem,
    Strlen,
    Subscribe,
    Ttl,
    Type,
    Unsubscribe,
}

/// What a command looks like.
pub(crate) struct Spec {
    pub(crate) verb: Verb,
    pub(crate) name: &'static str,
    /// How many words it has; negative: at least so many.
    arity: i64,
    flags: &'static [&'static str],
    /// Which words are keys: the first, the last (counted from the end if negative), and in what
    /// steps.
    keys: [i64; 3],
}

/// Who carries a command out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The client's own actor.
    Session,
    /// The shard of the first word.
    Key,
    /// The shards of all its keys, each for its own; what they answer is put together.
    Keys(Join),
    /// Every shard.
    Everywhere(Join),
}

/// How the answers of several shards become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// The sum of their numbers.
    Sum,
    /// One answer for each key, in the order of the keys.
    Each,
    /// The same as that of any.
    Any,
}

const NONE: [i64; 3] = [0, 0, 0];
const ONE: [i64; 3] = [1, 1, 1];
const ALL: [i64; 3] = [1, -1, 1];
const PAIRS: [i64; 3] = [1, -1, 2];

const ANYTIME: &[&str] = &["loading", "stale"];
const ANYTIME_FAST: &[&str] = &["loading", "stale", "fast"];
const ALWAYS: &[&str] = &[
    "noscript",
    "loading",
    "stale",
    "fast",
    "no_auth",
    "allow_busy",
];
const READ: &[&str] = &["readonly"];
const READ_FAST: &[&str] = &["readonly", "fast"];
const WRITE: &[&str] = &["write"];
const WRITE_FAST: &[&str] = &["write", "fast"];
const GROW: &[&str] = &["write", "denyoom"];
const GROW_FAST: &[&str] = &["write", "denyoom", "fast"];
const PUBSUB: &[&str] = &["pubsub", "noscript", "loading", "stale"];

const fn spec(
    verb: Verb,
    name: &'static str,
    arity: i64,
    flags: &'static [&'static str],
    keys: [i64; 3],
) -> Spec {
    Spec {
        verb,
        name,
        arity,
        flags,
        keys,
    }
}

/// In the order of [`Verb`].
pub(crate) static SPECS: [Spec; 51] = [
    spec(Verb::Append, "append", 3, GROW_FAST, ONE),
    spec(Verb::Client, "client", -2, &[], NONE),
    spec(Verb::Command, "command", -1, ANYTIME, NONE),
    spec(Verb::Config, "config", -2, &[], NONE),
    spec(Verb::Dbsize, "dbsize", 1, READ_FAST, NONE),
    spec(Verb::Decr, "decr", 2, GROW_FAST, ONE),
    spec(Verb::Decrby, "decrby", 3, GROW_FAST, ONE),
    spec(Verb::Del, "del", -2, WRITE, ALL),
    spec(Verb::Echo, "echo", 2, ANYTIME_FAST, NONE),
    spec(Verb::Exists, "exists", -2, READ_FAST, ALL),
    spec(Verb::Expire, "expire", -3, WRITE_FAST, ONE),
    spec(Verb::Flushall, "flushall", -1, WRITE, NONE),
    spec(Verb::Get, "get", 2, READ_FAST, ONE),
    spec(Verb::Getdel, "getdel", 2, WRITE_FAST, ONE),
    spec(Verb::Getset, "getset", 3, GROW_FAST, ONE),
    spec(Verb::Hdel, "hdel", -3, WRITE_FAST, ONE),
    spec(Verb::Hello, "hello", -1, ALWAYS, NONE),
    spec(Verb::Hget, "hget", 3, READ_FAST, ONE),
    spec(Verb::Hgetall, "hgetall", 2, READ, ONE),
    spec(Verb::Hlen, "hlen", 2, READ_FAST, ONE),
    spec(Verb::Hset, "hset", -4, GROW_FAST, ONE),
    spec(Verb::Incr, "incr", 2, GROW_FAST, ONE),
    spec(Verb::Incrby, "incrby", 3, GROW_FAST, ONE),
    spec(Verb::Info, "info", -1, ANYTIME, NONE),
    spec(Verb::Llen, "llen", 2, READ_FAST, ONE),
    spec(Verb::Lpop, "lpop", -2, WRITE_FAST, ONE),
    spec(Verb::Lpush, "lpush", -3, GROW_FAST, ONE),
    spec(Verb::Lrange, "lrange", 4, READ, ONE),
    spec(Verb::Mget, "mget", -2, READ_FAST, ALL),
    spec(Verb::Mset, "mset", -3, GROW, PAIRS),
    spec(Verb::Persist, "persist", 2, WRITE_FAST, ONE),
    spec(Verb::Pexpire, "pexpire", -3, WRITE_FAST, ONE),
    spec(Verb::Ping, "ping", -1, &["fast"], NONE),
    spec(Verb::Pttl, "pttl", 2, READ_FAST, ONE),
    spec(
        Verb::Publish,
        "publish",
        3,
        &["pubsub", "loading", "stale", "fast"],
        NONE,
    ),
    spec(Verb::Quit, "quit", -1, ALWAYS, NONE),
    spec(Verb::Rpop, "rpop", -2, WRITE_FAST, ONE),
    spec(Verb::Rpush, "rpush", -3, GROW_FAST, ONE),
    spec(Verb::Sadd, "sadd", -3, GROW_FAST, ONE),
    spec(Verb::Scard, "scard", 2, READ_FAST, ONE),
    spec(Verb::Select, "select", 2, ANYTIME_FAST, NONE),
    spec(Verb::Set, "set", -3, GROW, ONE),
    spec(Verb::Setnx, "setnx", 3, GROW_FAST, ONE),
    spec(Verb::Sismember, "sismember", 3, READ_FAST, ONE),
    spec(Verb::Smembers, "smembers", 2, READ, ONE),
    spec(Verb::Srem, "srem", -3, WRITE_FAST, ONE),
    spec(Verb::Strlen, "strlen", 2, READ_FAST, ONE),
    spec(Verb::Subscribe, "subscribe", -2, PUBSUB, NONE),
    spec(Verb::Ttl, "ttl", 2, READ_FAST, ONE),
    spec(Verb::Type, "type", 2, READ_FAST, ONE),
    spec(Verb::Unsubscribe, "unsubscribe", -1, PUBSUB, NONE),
];

/// Finds a command by its name, in whatever case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Spec> {
    let mut lower = [0; 12];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let verb = match &*lower {
        b"get" => Verb::Get,
        b"set" => Verb::Set,
        lower => {
            let at = SPECS.binary_search_by(|spec| spec.name.as_bytes().cmp(lower));
            return at.ok().map(|at| &SPECS[at]);
        }
    };
    Some(&SPECS[verb as usize])
}

impl Spec {
    /// Refuses a command whose words cannot be right, whatever lies under its keys.
    pub(crate) fn check(&self, words: Words<'_>) -> Result<(), Refusal> {
        let count = i64::try_from(words.len()).unwrap_or(i64::MAX);
        let fits = match self.arity {
            exactly @ 0.. => count == exactly,
            least => count >= -least,
        };
        // What comes in pairs has a word too many besides.
        let fits = fits
            && match self.verb {
                Verb::Mset => count % 2 == 1,
                Verb::Hset => count % 2 == 0,
                Verb::Ping => count <= 2,
                Verb::Lpop | Verb::Rpop => count <= 3,
                _ => true,
            };
        if !fits {
            return Err(Refusal::arity(self.name));
        }
        let how = words.word(1);
        let is = |name: &[u8]| how.eq_ignore_ascii_case(name);
        match (self.verb, count) {
            (Verb::Flushall, 2) if is(b"SYNC") || is(b"ASYNC") => Ok(()),
            (Verb::Flushall, 2..) => Err(SYNTAX),
            _ => Ok(()),
        }
    }

    pub(crate) fn place(&self) -> Place {
        match self.verb {
            Verb::Mget => Place::Keys(Join::Each),
            Verb::Mset => Place::Keys(Join::Any),
            Verb::Del | Verb::Exists => Place::Keys(Join::Sum),
            Verb::Dbsize => Place::Everywhere(Join::Sum),
            Verb::Flushall => Place::Everywhere(Join::Any),
            _ if self.keys == ONE => Place::Key,
            _ => Place::Session,
        }
    }

    /// The keys of a command that has several.
    pub(crate) fn keys<'a>(&self, words: Words<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let step = usize::try_from(self.keys[2]).unwrap_or(1);
        words.from(1).step_by(step.max(1))
    }

    /// What `COMMAND INFO` tells.
    pub(crate) fn describe(&self, out: &mut Writer) {
        out.array(10);
        out.bulk(self.name.as_bytes());
        out.integer(self.arity);
        out.set(self.flags.len());
        for flag in self.flags {
            out.simple(flag);
        }
        for key in self.keys {
            out.integer(key);
        }
        // Categories, hints, key specifications and subcommands are not told.
        out.set(0);
        out.array(0);
        out.array(0);
        out.array(0);
    }
}

/// Why a command is refused that is none.
pub(crate) fn unknown(words: Words<'_>) -> Refusal {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend(quoted(words.word(0), 128));
    text.extend_from_slice(b"', with args beginning with: ");
    let mut shown = 0;
    for word in words.from(1) {
        if shown >= 128 {
            break;
        }
        let word = quoted(word, 128 - shown);
        shown += word.len() + 3;
        text.push(b'\'');
        text.extend(word);
        text.extend_from_slice(b"' ");
    }
    text.into()
}

/// Why a subcommand is refused that is none.
pub(crate) fn unknown_subcommand(of: &str, name: &[u8]) -> Refusal {
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend(quoted(name, 128));
    text.extend(format!("'. Try {} HELP.", of.to_uppercase()).bytes());
    text.into()
}

/// So much of a word as Redis repeats in a text: up to its first zero byte.
pub(crate) fn quoted(word: &[u8], most: usize) -> &[u8] {
    let end = word.iter().position(|byte| *byte == 0);
    &word[..end.unwrap_or(word.len()).min(most)]
}
