//! Random commands over all types, and what is wrong with them.
use super::client::{Client, Reply};
use super::servers::Server;
use crate::kit::Rng;

const COMMANDS: usize = 20_000;

type Command = Vec<Vec<u8>>;

/// Makes commands, so that many of them meet the same keys and values of all kinds.
struct Maker {
    rng: Rng,
    made: u64,
}

/// `k`: a key, `v`: a value, `f`: a field or member, `i`: an integer, `t`: a time to live, `n`: one
/// that is over or none, `p`: where in a list, `s`: an option of `SET`, `e`: one of `EXPIRE`, `d`: a
/// number of a database; `*` behind one: once or several times. All else is meant so.
const SHAPES: &[&str] = &[
    "GET k",
    "GET k",
    "SET k v",
    "SET k v",
    "SET k v s",
    "SET k v s*",
    "SET k i",
    "SETNX k v",
    "GETSET k v",
    "GETDEL k",
    "DEL k*",
    "EXISTS k*",
    "TYPE k",
    "INCR k",
    "DECR k",
    "INCRBY k i",
    "DECRBY k i",
    "APPEND k v",
    "STRLEN k",
    "MGET k*",
    "MSET k v k v",
    "MSET k v k v k v",
    "EXPIRE k t",
    "EXPIRE k t e",
    "EXPIRE k t e*",
    "PEXPIRE k t",
    "PEXPIRE k t e",
    "EXPIRE k n",
    "PEXPIRE k n",
    "TTL k",
    "PTTL k",
    "PERSIST k",
    "DBSIZE",
    "LPUSH k v*",
    "RPUSH k v*",
    "LPOP k",
    "RPOP k",
    "LPOP k i",
    "RPOP k p",
    "LLEN k",
    "LRANGE k p p",
    "LRANGE k p p",
    "HSET k f v",
    "HSET k f v f v",
    "HGET k f",
    "HDEL k f*",
    "HGETALL k",
    "HLEN k",
    "SADD k f*",
    "SREM k f*",
    "SMEMBERS k",
    "SISMEMBER k f",
    "SCARD k",
    "PUBLISH f v",
    "PING",
    "PING v",
    "ECHO v",
    "SELECT d",
    "FLUSHALL",
    "FLUSHALL ASYNC",
    "FLUSHALL f",
    "CLIENT GETNAME",
    "CLIENT SETNAME f",
    "CLIENT SETNAME v",
    "CLIENT f",
    "CLIENT",
    "CONFIG GET databases",
    "CONFIG GET",
    "CONFIG f k",
    "HELLO i",
    "v k",
    "f k* v*",
];

impl Maker {
    fn one_of<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.rng.below(from.len() as u64) as usize]
    }

    fn command(&mut self) -> Command {
        self.made += 1;
        let shape = self.one_of(SHAPES);
        // Everything but a few keys would be gone all the time.
        if shape.starts_with("FLUSHALL") && self.rng.below(20) > 0 {
            return self.command();
        }
        let mut command: Command = Vec::new();
        for word in shape.split(' ') {
            let times = match word.strip_suffix('*') {
                Some(_) => 1 + self.rng.below(4),
                None => 1,
            };
            for _ in 0..times {
                command.push(self.word(word.trim_end_matches('*')));
            }
        }
        match self.rng.below(40) {
            0 => drop(command.pop()),
            // No number: behind `PX` that would be a time that is over in the middle of the test.
            1 => command.push(self.word("f")),
            2 => command[0].make_ascii_lowercase(),
            _ => {}
        }
        if command.is_empty() {
            return self.command();
        }
        command
    }

    fn word(&mut self, what: &str) -> Vec<u8> {
        match what {
            "k" => format!("key:{}", self.rng.below(24)).into_bytes(),
            "f" => self
                .one_of(&["one", "two", "three", "four", "", "f\r\ng", "ONE"])
                .into(),
            "v" => match self.rng.below(8) {
                0 => self.word("i"),
                1 => vec![b'x'; self.rng.below(3000) as usize],
                2 => {
                    let len = self.rng.below(20);
                    (0..len).map(|_| self.rng.below(256) as u8).collect()
                }
                _ => self.word("f"),
            },
            "weird" => {
                let numbers = [
                    "0",
                    "-1",
                    "9223372036854775807",
                    "-9223372036854775808",
                    "9223372036854775808",
                    "+1",
                    "01",
                    " 1",
                    "-0",
                    "1.5",
                    "",
                    "abc",
                    "9223372036854775",
                ];
                self.one_of(&numbers).into()
            }
            "i" => match self.rng.below(3) {
                0 => self.word("weird"),
                _ => (self.rng.below(200) as i64 - 100).to_string().into_bytes(),
            },
            // In seconds or milliseconds: so far apart that it does not matter how long the test
            // takes, and never the same.
            "t" => (1_000_000 * (1 + self.made * 7919 % 1_000_003))
                .to_string()
                .into_bytes(),
            // No time that is over while the test runs.
            "n" => match self.rng.below(2) {
                0 => self.word("weird"),
                _ => (-(self.rng.below(100) as i64)).to_string().into_bytes(),
            },
            "p" => (self.rng.below(14) as i64 - 7).to_string().into_bytes(),
            "s" => match self.rng.below(3) {
                0 => {
                    let option = self.one_of(&["EX", "px", "EX", "NX", "KEEPTTL"]);
                    option.into()
                }
                1 => self.word("t"),
                _ => self
                    .one_of(&["NX", "XX", "GET", "KEEPTTL", "nx", "get", "foo"])
                    .into(),
            },
            "e" => self.one_of(&["NX", "XX", "GT", "LT", "gt", "foo"]).into(),
            "d" => self.one_of(&["0", "0", "1", "15", "16", "-1", "x"]).into(),
            literal => literal.into(),
        }
    }
}

/// What may be compared of a reply.
fn comparable(command: &Command, reply: Reply) -> Reply {
    match &*command[0].to_ascii_uppercase() {
        b"HGETALL" => reply.sorted(true),
        b"SMEMBERS" => reply.sorted(false),
        // What is left differs by the time between the two.
        b"TTL" => match reply.integer() {
            Some(left @ 1..) => Reply::Line(b':', ((left + 500) / 1_000).to_string().into_bytes()),
            _ => reply,
        },
        b"PTTL" => match reply.integer() {
            Some(left @ 1..) => Reply::Line(
                b':',
                ((left + 500_000) / 1_000_000).to_string().into_bytes(),
            ),
            _ => reply,
        },
        // Which client it is differs.
        b"HELLO" => match reply {
            Reply::Many(kind, Some(mut items)) => {
                items.remove(7);
                Reply::Many(kind, Some(items))
            }
            other => other,
        },
        _ => reply,
    }
}

fn compare(args: &[&str]) {
    let mut maker = Maker {
        rng: Rng::seeded(),
        made: 0,
    };
    let Some(servers) = Server::both(args) else {
        return;
    };
    let mut clients: [Client; 2] = servers.each_ref().map(Server::client);
    let mut done = 0;
    while done < COMMANDS {
        if done % 1_000 < 32 {
            let hello = format!("HELLO {}", 2 + maker.rng.below(2));
            clients
                .iter_mut()
                .for_each(|client| drop(client.ask(&hello)));
        }
        let count = 1 + maker.rng.below(64) as usize;
        let commands: Vec<_> = (0..count).map(|_| maker.command()).collect();
        let [ours, theirs] = clients.each_mut().map(|client| client.pipeline(&commands));
        for ((command, ours), theirs) in commands.iter().zip(ours).zip(theirs) {
            let words: Vec<_> = command
                .iter()
                .map(|word| word.escape_ascii().to_string())
                .collect();
            assert_eq!(
                comparable(command, ours),
                comparable(command, theirs),
                "ours, and that of Redis, to {words:?}, one of those behind {done}"
            );
        }
        done += count;
    }
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn random_commands_are_answered_as_by_redis() {
    compare(&["--shards", "3"]);
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn random_commands_are_answered_as_by_redis_on_one_shard_and_two_threads() {
    compare(&["--shards", "1", "--threads", "2"]);
}
