//! What is measured.
use crate::clients::{self, Client};
use crate::load::{self, Server};
use crate::{ours, reference};
use std::fmt;
use std::future::Future;
use tokio::runtime::{Builder, Runtime};

/// Whose server or client it is.
#[derive(Clone, Copy)]
pub(crate) enum Who {
    Ours,
    Tokio,
}

impl Who {
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        match name {
            "ours" => Ok(Self::Ours),
            "tokio" => Ok(Self::Tokio),
            _ => Err(format!("nobody is called {name}")),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Tokio => "tokio",
        }
    }
}

/// What is to be reached.
pub(crate) enum Target {
    /// So much of the reference's rate.
    Rate(f64),
    /// At most so much of the reference's time.
    Time(f64),
    /// At most so much, whatever the reference has.
    Most(f64),
}

impl Target {
    pub(crate) fn reached(&self, ratio: f64, ours: f64) -> bool {
        match self {
            Self::Rate(least) => ratio >= *least,
            Self::Time(most) => ratio <= *most,
            Self::Most(most) => ours <= *most,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(least) => write!(f, ">= {least:.2}"),
            Self::Time(most) => write!(f, "<= {most:.2}"),
            Self::Most(most) => write!(f, "<= {most} each"),
        }
    }
}

/// One line of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    measure: fn(Who, bool) -> Result<f64, String>,
}

pub(crate) static ROWS: [Row; 7] = [
    Row {
        name: "echo-1",
        title: "echo, 50 connections, one line at a time",
        unit: "klines/s",
        target: Target::Rate(0.90),
        measure: |who, smoke| echo(who, 1, if smoke { 2_000 } else { 400_000 }),
    },
    Row {
        name: "echo-32",
        title: "echo, 50 connections, 32 lines at a time",
        unit: "klines/s",
        target: Target::Rate(0.90),
        measure: |who, smoke| echo(who, 32, if smoke { 32_000 } else { 6_400_000 }),
    },
    // What a busy machine blurs less.
    Row {
        name: "echo-1-cpu",
        title: "the same, for each second of the server's CPU",
        unit: "klines/s",
        target: Target::Rate(0.90),
        measure: |who, smoke| echo_cpu(who, 1, if smoke { 2_000 } else { 200_000 }),
    },
    Row {
        name: "echo-32-cpu",
        title: "the same, 32 lines at a time",
        unit: "klines/s",
        target: Target::Rate(0.90),
        measure: |who, smoke| echo_cpu(who, 32, if smoke { 320_000 } else { 3_200_000 }),
    },
    Row {
        name: "client-1000",
        title: "client, 1,000 requests in flight",
        unit: "k/s",
        target: Target::Rate(0.70),
        measure: |who, smoke| at_once(who, if smoke { 10_000 } else { 400_000 }),
    },
    Row {
        name: "client-1",
        title: "client, one request after the other, median",
        unit: "us",
        target: Target::Time(1.20),
        measure: |who, smoke| one_by_one(who, if smoke { 100 } else { 20_000 }),
    },
    Row {
        name: "idle",
        title: "10,000 idle connections, resident",
        unit: "bytes",
        target: Target::Most(12_288.0),
        measure: |who, smoke| idle(who, if smoke { 100 } else { 10_000 }),
    },
];

impl Row {
    pub(crate) fn named(name: &str) -> Result<&'static Self, String> {
        ROWS.iter().find(|row| row.name == name).ok_or_else(|| {
            let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
            format!("no row is called {name}; there are {}", names.join(", "))
        })
    }

    pub(crate) fn point(&self, who: Who, smoke: bool) -> Result<f64, String> {
        (self.measure)(who, smoke)
    }
}

/// Serves until it is killed, and prints where.
pub(crate) fn serve(who: Who) -> Result<(), String> {
    let runtime = workers()?;
    match who {
        Who::Ours => runtime.block_on(ours::echo()),
        Who::Tokio => runtime.block_on(reference::echo()),
    }
    .map_err(|error| error.to_string())
}

fn echo(who: Who, depth: usize, lines: usize) -> Result<f64, String> {
    let server = Server::start(who)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(load::echo(server.address, 50, depth, lines))
}

fn echo_cpu(who: Who, depth: usize, lines: usize) -> Result<f64, String> {
    let server = Server::start(who)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let before = server.process.cpu_seconds()?;
    runtime.block_on(load::echo(server.address, 50, depth, lines))?;
    // Warmed up by a tenth.
    let lines = (lines + lines / 10) as f64;
    Ok(lines / (server.process.cpu_seconds()? - before).max(0.01) / 1e3)
}

/// The server is the same for both clients.
fn with_client<F: Future<Output = Result<f64, String>>>(
    who: Who,
    load: impl FnOnce(Client) -> F,
) -> Result<f64, String> {
    let server = Server::start(Who::Tokio)?;
    workers()?.block_on(async {
        let client = Client::connect(who, server.address).await?;
        load(client).await
    })
}

fn at_once(who: Who, requests: usize) -> Result<f64, String> {
    with_client(who, |client| clients::at_once(client, 1000, requests))
}

fn one_by_one(who: Who, requests: usize) -> Result<f64, String> {
    with_client(who, |client| clients::one_by_one(client, requests))
}

fn idle(who: Who, connections: usize) -> Result<f64, String> {
    load::more_descriptors(connections + 100)?;
    let server = Server::start(who)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        // What there is once for all is there.
        drop(load::idle(server.address, 50).await?);
        let before = server.resident()?;
        let peers = load::idle(server.address, connections).await?;
        Ok((server.resident()? - before) / peers.len() as f64)
    })
}

fn workers() -> Result<Runtime, String> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.map_err(|error| error.to_string())
}
