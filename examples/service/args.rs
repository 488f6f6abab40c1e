//! The command line.
use clap::Parser;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// A shop: an HTTP service that stays up whatever fails.
#[derive(Parser)]
#[command(name = "service", version)]
pub(crate) struct Args {
    /// Where to listen; port 0 for any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// What is sold
    #[arg(
        long,
        value_name = "ITEM,...",
        value_delimiter = ',',
        default_value = "coffee,tea,sugar"
    )]
    pub(crate) items: Vec<String>,

    /// How many pieces of each item there are
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) stock: u64,

    /// How many actors keep the items
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) shelves: u8,

    /// How many orders are worked on at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) clerks: u8,

    /// How often the bank panics, of all payments: from 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.05)]
    pub(crate) flakiness: f64,

    /// How many milliseconds the bank takes for a payment
    #[arg(long, value_name = "MS", default_value = "1", value_parser = millis)]
    pub(crate) latency: Duration,

    /// How many milliseconds a request may take
    #[arg(long, value_name = "MS", default_value = "1000", value_parser = millis)]
    pub(crate) patience: Duration,

    /// How many milliseconds there are to stop in
    #[arg(long, value_name = "MS", default_value = "10000", value_parser = millis)]
    pub(crate) deadline: Duration,

    /// Kill some actor each so many milliseconds
    #[arg(long, value_name = "MS", value_parser = millis)]
    pub(crate) kill_every: Option<Duration>,

    /// For all that is random [default: another one each time]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Write the accepted orders into this file at the end, one a line, as JSON
    #[arg(long, value_name = "PATH")]
    pub(crate) orders: Option<PathBuf>,

    /// What is logged: off, error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log: LevelFilter,
}

fn millis(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}
