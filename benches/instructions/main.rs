//! How many instructions a message takes: exact, so that a busy machine can tell when it gets more.
//!
//! `cargo bench --bench instructions` counts them with valgrind, for us and for a hand-written tokio
//! task, and fails where our share of the other's is more than 3 % above what `shares.txt` says.
//! The share, and not the number, since both grow and shrink with the compiler and with tokio. The
//! options:
//!
//! - `--write` writes `shares.txt` anew, after a change that is worth its price or made things better
//!
//! Everything runs on one thread. Each count is that of a long run less that of a short one, so that
//! the process's own start is not in it.
#[path = "../mailbox/ours.rs"]
mod ours;
#[path = "../mailbox/reference.rs"]
mod reference;
#[path = "../mailbox/side.rs"]
#[allow(dead_code, reason = "only some of it is counted here")]
mod side;

use side::{Mortal, Side};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use tokio::runtime::Builder;

/// By how much a share may grow.
const SLACK: f64 = 1.03;
const SHORT: u64 = 1_000;
const LONG: u64 = 5_000;

/// What is counted: its name, and how each side does it so many times.
struct Row {
    name: &'static str,
    ours: fn(u64),
    reference: fn(u64),
}

static ROWS: &[Row] = &[
    Row {
        name: "ask",
        ours: ask::<ours::Bounded>,
        reference: ask::<reference::Bounded>,
    },
    Row {
        name: "ask-limited",
        ours: ask::<ours::Limited>,
        reference: ask::<reference::Limited>,
    },
    Row {
        name: "tell",
        ours: tell::<ours::Unbounded>,
        reference: tell::<reference::Unbounded>,
    },
    Row {
        name: "tell-bounded",
        ours: tell::<ours::Bounded>,
        reference: tell::<reference::Bounded>,
    },
    Row {
        name: "live-once",
        ours: live_once::<ours::Bounded>,
        reference: live_once::<reference::Bounded>,
    },
];

fn ask<S: Side>(count: u64) {
    on_one_thread(async move {
        let addr = S::spawn();
        for n in 0..count {
            S::ask(&addr, n).await;
        }
    });
}

/// In bursts that are handled in one go, before a slice of time is over, which would count too.
fn tell<S: Side>(count: u64) {
    const BURST: u64 = 50;
    on_one_thread(async move {
        let addr = S::spawn();
        for _ in 0..count / BURST {
            for n in 0..BURST {
                S::tell(&addr, n).await;
            }
            tokio::task::yield_now().await;
        }
        S::ask(&addr, 0).await;
    });
}

fn live_once<S: Mortal>(count: u64) {
    on_one_thread(async move {
        for n in 0..count {
            S::live_once(n).await;
        }
    });
}

/// As a task, so that to wake the one that measures costs what it costs elsewhere.
fn on_one_thread(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let ended = runtime.block_on(async { tokio::spawn(work).await });
    ended.expect("it ends well");
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["--run", row, side, count] => run(row, side, count),
        ["--bench"] | [] => table(false),
        ["--write"] | ["--write", "--bench"] => table(true),
        other => Err(format!("unknown options {other:?}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does a row's work, for the process that counts.
fn run(row: &str, side: &str, count: &str) -> Result<(), String> {
    let found = ROWS.iter().find(|found| found.name == row);
    let row = found.ok_or_else(|| format!("no row is called {row}"))?;
    let count = count.parse().map_err(|_| format!("not a count: {count}"))?;
    match side {
        "ours" => (row.ours)(count),
        "reference" => (row.reference)(count),
        _ => return Err(format!("there is ours and reference, but no {side}")),
    }
    Ok(())
}

/// Counts, prints, and compares with what was written.
fn table(write: bool) -> Result<(), String> {
    let before = if write { String::new() } else { read()? };
    let mut shares = String::new();
    let mut worse = Vec::new();
    println!(
        "{:<13} {:>10} {:>10} {:>6} {:>6}",
        "row", "ours", "reference", "share", "was"
    );
    for Row { name, .. } in ROWS {
        let (ours, reference) = (each(name, "ours")?, each(name, "reference")?);
        let share = ours / reference;
        let was = if write {
            share
        } else {
            written(&before, name)?
        };
        println!("{name:<13} {ours:>10.1} {reference:>10.1} {share:>6.3} {was:>6.3}");
        let _ = writeln!(shares, "{name} {share:.3}");
        if share > was * SLACK {
            worse.push(*name);
        }
    }
    if write {
        std::fs::write(file(), shares).map_err(|error| error.to_string())?;
    }
    match worse.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "more instructions than before: {}",
            worse.join(", ")
        )),
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/shares.txt")
}

fn read() -> Result<String, String> {
    std::fs::read_to_string(file()).map_err(|error| format!("shares.txt: {error}"))
}

fn written(shares: &str, name: &str) -> Result<f64, String> {
    let line = shares
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let share = line.and_then(|share| share.trim().parse().ok());
    share.ok_or_else(|| format!("shares.txt has no {name}; `--write` makes it anew"))
}

/// Instructions of one operation.
fn each(row: &str, side: &str) -> Result<f64, String> {
    let (short, long) = (count(row, side, SHORT)?, count(row, side, LONG)?);
    Ok((long - short) / (LONG - SHORT) as f64)
}

/// Instructions of a process that does so many.
fn count(row: &str, side: &str, times: u64) -> Result<f64, String> {
    let exe = std::env::current_exe().map_err(|error| format!("no path to myself: {error}"))?;
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(exe)
        .args(["--run", row, side, &times.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let refs = text
        .lines()
        .find_map(|line| line.split_once("I   refs:").or(line.split_once("I refs:")));
    let number = refs.map(|(_, number)| number.trim().replace(',', ""));
    match number.and_then(|number| number.parse().ok()) {
        Some(number) if output.status.success() => Ok(number),
        _ => Err(format!("{row} of {side}: {}\n{text}", output.status)),
    }
}
