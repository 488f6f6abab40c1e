//! A server that gives each line back: an actor for each connection, limits for strangers.
//!
//! `cargo run --release --example tcp_echo`, and in another terminal `nc 127.0.0.1 7000`. Stop it by
//! ctrl-c: connections that are there finish first.
use actors_core::{Actor, Context, Error, Handler};
use actors_net::{Frame, Limits, Link, Listener};
use clap::Parser;
use tokio_util::codec::LinesCodec;

/// Gives each line back.
#[derive(Parser)]
struct Options {
    /// Where to listen: `host:port`, or `unix:path`.
    #[arg(default_value = "127.0.0.1:7000")]
    address: String,
    /// How many may be connected at a time.
    #[arg(long, default_value_t = 1024)]
    connections: usize,
}

#[derive(Actor)]
struct Echo {
    link: Link<String>,
}

impl Handler<Frame<String>> for Echo {
    async fn handle(&mut self, Frame(line): Frame<String>, _: &mut Context<Self>) {
        // Refused only once the connection has ended, and then this actor ends too.
        let _ = self.link.send(line).await;
    }
}

#[actors_core::main]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt().init();
    let options = Options::parse();
    let limits = Limits::new().connections(options.connections);
    let listener = Listener::bind(&options.address)?
        .limits(limits)
        .serve(LinesCodec::new, |link| Echo { link });
    let address = listener.address().clone();
    let listener = listener.spawn();
    let served = async {
        println!("listening at {address}");
        listener.stopped().await
    };
    tokio::select! {
        // In this order, so that ctrl-c is waited for before anybody knows of the server.
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        reason = served => return Err(format!("the listener {reason}").into()),
    }
    listener.stop();
    println!("the listener {}", listener.stopped().await);
    Ok(())
}
