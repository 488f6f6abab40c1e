//! A server that speaks Redis' protocol, made of actors: `cargo run --release --example resp_server`,
//! and in another terminal `redis-cli`.
//!
//! ```text
//!   Listener -- makes --> Session        one for each client
//!                           |   \- ask ->  Channels     publish and subscribe: a topic each
//!                           \- ask ->  Shard ...        the keys, by their hash
//! ```
//!
//! What a client sends in one go is one batch: one message to its `Session`, one message to each
//! `Shard` that has keys of it, one write of all the answers. Shards work side by side, each in the
//! order in which it is asked; a client's answers come in the order of its commands.
//!
//! Every command is atomic where it has its keys in one shard. `MSET`, `DEL` and `FLUSHALL` on keys of
//! several shards are so in each of them; with `--shards 1` there is one.
mod codec;
mod resp;
mod command;
mod values;
mod keyspace;
mod execute;
mod shard;
mod pubsub;
mod server;
mod outlet;
mod plan;
mod session;
mod about;

use crate::codec::Codec;
use crate::pubsub::Channels;
use crate::server::{Counts, Server};
use crate::session::Session;
use crate::shard::{DATABASES, Shard, Sharding};
use actors_core::{ChildOptions, Error, SpawnOptions, Supervisor};
use actors_net::{Limits, Listener, NetError};
use clap::Parser;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tracing::level_filters::LevelFilter;

/// Serves Redis clients from memory.
#[derive(Parser)]
#[command(name = "resp_server", version)]
struct Options {
    /// The address to listen at
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    bind: String,

    /// The port to listen at; 0: one that is free
    #[arg(long, default_value_t = 6379)]
    port: u16,

    /// How many actors share the keys
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one)]
    shards: usize,

    /// How many threads run the actors
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    threads: usize,

    /// How many clients may be connected at a time
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one)]
    clients: usize,

    /// The longest key or value, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 512 << 20, value_parser = at_least_one)]
    largest: usize,

    /// After how many seconds without a command a client is let go; 0: never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    timeout: u64,

    /// What is logged, on standard error. From `info` on, each turn of an actor takes note of where
    /// it is, which costs
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log: LevelFilter,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one is needed".into()),
        Ok(n) => Ok(n),
        Err(_) => Err("not a number".into()),
    }
}

/// How long what is under way may take once the server is told to stop.
const STOP: Duration = Duration::from_secs(10);
/// How many frames and publications may wait for a client's actor.
const MAILBOX: usize = 4096;

fn main() -> Result<(), Error> {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_max_level(options.log)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    runtime(options.threads)?.block_on(serve(options))
}

/// With one thread there is nobody to share work with, so none of the cost of sharing it.
fn runtime(threads: usize) -> io::Result<Runtime> {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads).enable_all().build()
}

async fn serve(options: Options) -> Result<(), Error> {
    let app = Supervisor::new("resp_server");
    let ended = app.run_until_signal(STOP);
    let sharding = Sharding::new(options.shards);
    let keyspace = app.subtree("keyspace");
    let shards = (0..options.shards)
        .map(|number| {
            let sharding = sharding.clone();
            keyspace.child(format!("shard-{number}"), move || {
                Shard::new(number, sharding.clone())
            })
        })
        .collect();
    let server = Arc::new(Server {
        shards,
        sharding,
        channels: app.child("channels", Channels::default),
        settings: settings(&options),
        port: options.port,
        began: Instant::now(),
        counts: Counts::default(),
    });
    // Last: it is the first to stop, and clients get their answers before all else ends.
    let listen = ChildOptions::new().spawn(SpawnOptions::new());
    app.child_with("listener", listen.stop_timeout(STOP), move || {
        listen_for(&options, &server)
    });
    ended.await
}

fn listen_for(options: &Options, server: &Arc<Server>) -> Result<Listener, NetError> {
    let idle = Some(options.timeout).filter(|seconds| *seconds > 0);
    let limits = Limits::new()
        .connections(options.clients)
        .connections_per_peer(options.clients)
        .first_frame_timeout(idle.map(Duration::from_secs))
        .idle_timeout(idle.map(Duration::from_secs))
        // A command may have some words besides its largest.
        .largest_frame(options.largest.saturating_add(16 << 20))
        .mailbox(MAILBOX);
    let host = match &options.bind {
        host if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
        host => host.clone(),
    };
    let (largest, server) = (options.largest, Arc::clone(server));
    let binding = Listener::bind(&format!("{host}:{}", options.port))?;
    println!("listening at {}", binding.address());
    Ok(binding.limits(limits).serve(
        move || Codec::new(largest),
        move |link| Session::new(Arc::clone(&server), link),
    ))
}

fn settings(options: &Options) -> Vec<(&'static str, String)> {
    vec![
        ("appendonly", "no".into()),
        ("bind", options.bind.clone()),
        ("databases", DATABASES.to_string()),
        ("maxclients", options.clients.to_string()),
        ("maxmemory", "0".into()),
        ("maxmemory-policy", "noeviction".into()),
        ("port", options.port.to_string()),
        ("proto-max-bulk-len", options.largest.to_string()),
        ("save", String::new()),
        ("timeout", options.timeout.to_string()),
    ]
}
