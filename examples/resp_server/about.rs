//! What the server tells of itself and of a client: `HELLO`, `CLIENT`, `COMMAND`, `CONFIG`, `INFO`.
use crate::codec::{Words, integer};
use crate::command::{self, SPECS, unknown_subcommand};
use crate::execute::len;
use crate::outlet::Over;
use crate::resp::{Protocol, Refusal, SYNTAX};
use crate::server::{VERSION, matches};
use crate::session::Session;
use crate::shard::{CountKeys, DATABASES};
use bytes::Bytes;
use futures_util::future::try_join_all;
use std::fmt::Write;
use std::process;
use std::sync::atomic::Ordering;

impl Session {
    pub(crate) fn hello(&mut self, words: Words<'_>) -> Result<(), Refusal> {
        let mut protocol = self.out.protocol;
        if words.len() > 1 {
            protocol = match integer(words.word(1)) {
                Some(2) => Protocol::Resp2,
                Some(3) => Protocol::Resp3,
                Some(_) => return Err(Refusal::new("NOPROTO unsupported protocol version")),
                None => {
                    return Err(Refusal::new(
                        "ERR Protocol version is not an integer or out of range",
                    ));
                }
            };
        }
        let mut name = None;
        let mut options = words.from(2);
        while let Some(option) = options.next() {
            if option.eq_ignore_ascii_case(b"AUTH") && options.len() >= 2 {
                // There is one user, who needs no password.
                if options.next() != Some(b"default") {
                    return Err(Refusal::new(
                        "WRONGPASS invalid username-password pair or user is disabled.",
                    ));
                }
                options.next();
            } else if option.eq_ignore_ascii_case(b"SETNAME") && options.len() >= 1 {
                name = options.next();
                check_name(name.unwrap_or_default())?;
            } else {
                let option = command::quoted(option, usize::MAX);
                let text = [b"ERR Syntax error in HELLO option '", option, b"'"];
                return Err(text.concat().into());
            }
        }
        if let Some(name) = name {
            self.name = Bytes::copy_from_slice(name);
        }
        let out = &mut self.out;
        out.protocol = protocol;
        out.map(7);
        out.bulk(b"server");
        out.bulk(b"redis");
        out.bulk(b"version");
        out.bulk(VERSION.as_bytes());
        out.bulk(b"proto");
        out.integer(protocol.number());
        out.bulk(b"id");
        out.integer(self.seat.id);
        out.bulk(b"mode");
        out.bulk(b"standalone");
        out.bulk(b"role");
        out.bulk(b"master");
        out.bulk(b"modules");
        out.array(0);
        Ok(())
    }

    pub(crate) fn client(&mut self, words: Words<'_>) -> Result<(), Refusal> {
        let subcommand = words.word(1).to_ascii_lowercase();
        let arity = |count, name| match words.len() == count {
            true => Ok(()),
            false => Err(Refusal::arity(name)),
        };
        match &*subcommand {
            b"id" => {
                arity(2, "client|id")?;
                self.out.integer(self.seat.id);
            }
            b"getname" => {
                arity(2, "client|getname")?;
                let name = Some(&self.name[..]).filter(|name| !name.is_empty());
                self.out.bulk_or_null(name);
            }
            b"setname" => {
                arity(3, "client|setname")?;
                check_name(words.word(2))?;
                self.name = Bytes::copy_from_slice(words.word(2));
                self.out.ok();
            }
            b"info" => {
                arity(2, "client|info")?;
                let line = format!(
                    "id={} addr={} laddr={} name={} db={} sub={} resp={} user=default\n",
                    self.seat.id,
                    self.link.peer_addr(),
                    self.link.local_addr(),
                    String::from_utf8_lossy(&self.name),
                    self.database,
                    self.subscriptions.len(),
                    self.out.protocol.number(),
                );
                self.out.text(&line);
            }
            _ => return Err(unknown_subcommand("client", words.word(1))),
        }
        Ok(())
    }

    pub(crate) fn command(&mut self, words: Words<'_>) -> Result<(), Refusal> {
        let out = &mut self.out;
        if words.len() == 1 {
            out.array(SPECS.len());
            SPECS.iter().for_each(|spec| spec.describe(out));
            return Ok(());
        }
        match &*words.word(1).to_ascii_lowercase() {
            b"count" if words.len() != 2 => Err(Refusal::arity("command|count")),
            b"count" => {
                out.integer(len(SPECS.len()));
                Ok(())
            }
            b"list" if words.len() != 2 => Err(SYNTAX),
            b"list" => {
                out.set(SPECS.len());
                SPECS.iter().for_each(|spec| out.bulk(spec.name.as_bytes()));
                Ok(())
            }
            b"info" if words.len() == 2 => {
                out.array(SPECS.len());
                SPECS.iter().for_each(|spec| spec.describe(out));
                Ok(())
            }
            b"info" => {
                out.array(words.len() - 2);
                for name in words.from(2) {
                    match command::find(name) {
                        Some(spec) => spec.describe(out),
                        None => out.null_array(),
                    }
                }
                Ok(())
            }
            // No texts about commands: `redis-cli` does without them.
            b"docs" => {
                out.map(0);
                Ok(())
            }
            _ => Err(unknown_subcommand("command", words.word(1))),
        }
    }

    pub(crate) fn config(&mut self, words: Words<'_>) -> Result<(), Refusal> {
        match &*words.word(1).to_ascii_lowercase() {
            b"get" if words.len() < 3 => return Err(Refusal::arity("config|get")),
            b"get" => {}
            _ => return Err(unknown_subcommand("config", words.word(1))),
        }
        let settings = self.server.settings.iter();
        let asked: Vec<_> = settings
            .filter(|(name, _)| {
                let mut patterns = words.from(2);
                patterns.any(|pattern| matches(pattern, name.as_bytes()))
            })
            .collect();
        self.out.map(asked.len());
        for (name, value) in asked {
            self.out.bulk(name.as_bytes());
            self.out.bulk(value.as_bytes());
        }
        Ok(())
    }

    pub(crate) async fn info(&mut self, words: Words<'_>) -> Result<(), Over> {
        let asks = self.server.shards.iter().map(|shard| shard.ask(CountKeys));
        let counts = try_join_all(asks).await?;
        let keys = (0..DATABASES).map(|database| {
            let counts = counts.iter().map(|counts| counts[database]);
            counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
        });
        let mut keyspace = String::new();
        for (database, (keys, ends)) in keys.enumerate().filter(|(_, (keys, _))| *keys > 0) {
            // Writing into a string does not fail.
            let _ = write!(
                keyspace,
                "db{database}:keys={keys},expires={ends},avg_ttl=0\r\n"
            );
        }
        let (counts, up) = (&self.server.counts, self.server.began.elapsed());
        let sections = [
            (
                "Server",
                format!(
                    "redis_version:{VERSION}\r\nredis_mode:standalone\r\nprocess_id:{}\r\n\
                     tcp_port:{}\r\nuptime_in_seconds:{}\r\nuptime_in_days:{}\r\n",
                    process::id(),
                    self.server.port,
                    up.as_secs(),
                    up.as_secs() / 86_400,
                ),
            ),
            (
                "Clients",
                format!(
                    "connected_clients:{}\r\n",
                    counts.clients.load(Ordering::Relaxed)
                ),
            ),
            (
                "Stats",
                format!(
                    "total_connections_received:{}\r\ntotal_commands_processed:{}\r\n",
                    counts.clients_ever.load(Ordering::Relaxed),
                    counts.commands.load(Ordering::Relaxed),
                ),
            ),
            (
                "Replication",
                "role:master\r\nconnected_slaves:0\r\n".to_owned(),
            ),
            ("Keyspace", keyspace),
        ];
        let is_asked = |section: &str| {
            let all: [&[u8]; 3] = [b"all", b"default", b"everything"];
            let is = |word: &[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
            words.len() == 1
                || words.from(1).any(|word| {
                    is(word, section.as_bytes()) || all.iter().any(|name| is(word, name))
                })
        };
        let asked = sections.iter().filter(|(name, _)| is_asked(name));
        let texts: Vec<_> = asked
            .map(|(name, text)| format!("# {name}\r\n{text}"))
            .collect();
        self.out.text(&texts.join("\r\n"));
        Ok(())
    }
}

fn check_name(name: &[u8]) -> Result<(), Refusal> {
    if name.iter().all(u8::is_ascii_graphic) {
        Ok(())
    } else {
        Err(Refusal::new(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ))
    }
}
