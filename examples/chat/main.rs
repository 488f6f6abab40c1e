//! A chat in lines: rooms, names, and nobody waits for who reads slowly.
//!
//! `cargo run --release --example chat`, and in other terminals `nc 127.0.0.1 7001`. Who is connected
//! is an actor, and so is the hall, which knows all names and rooms; what is said in a room goes
//! through its topic and not through the hall. The hall and the listener are children of a
//! supervisor: without a hall, nobody is connected.
mod command;
mod hall;
mod session;

use actors_core::{Error, Strategy, SupervisorOptions};
use actors_net::{Limits, Listener, NetError};
use clap::Parser;
use hall::Hall;
use session::Session;
use std::time::Duration;
use tokio_util::codec::LinesCodec;

/// A chat in lines.
#[derive(Parser)]
struct Options {
    /// Where to listen: `host:port`, or `unix:path`.
    #[arg(default_value = "127.0.0.1:7001")]
    address: String,
    /// How many may be connected at a time.
    #[arg(long, default_value_t = 1024)]
    connections: usize,
    /// How many bytes of what is said may wait for one who does not read before he is sent away.
    #[arg(long, default_value_t = 64 << 10)]
    patience: usize,
}

/// How long a line may be, in bytes.
const LONGEST_LINE: usize = 1024;

#[actors_core::main]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    let limits = Limits::new()
        .connections(options.connections)
        // Who listens and says nothing is welcome.
        .first_frame_timeout(None)
        .idle_timeout(None)
        .largest_frame(LONGEST_LINE + 2)
        .write_buffer(options.patience)
        .drain_timeout(Duration::from_secs(2));
    // When the hall is made anew, so is the listener: nobody stays whom the hall does not know.
    let app = SupervisorOptions::new()
        .strategy(Strategy::RestForOne)
        .start("chat")?;
    let ended = app.run_until_signal(Duration::from_secs(5));
    let hall = app.child("hall", Hall::default);
    app.child("listener", move || {
        let hall = hall.clone();
        let codec = || LinesCodec::new_with_max_length(LONGEST_LINE);
        let listener = Listener::bind(&options.address)?
            .limits(limits.clone())
            .serve(codec, move |link| Session::new(link, hall.clone()));
        println!("listening at {}", listener.address());
        Ok::<_, NetError>(listener)
    });
    ended.await
}
