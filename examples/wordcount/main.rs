//! Counts words in files and directories: `cargo run --release --example wordcount -- PATH...`
//!
//! ```text
//!   Walk  <- ask -  Reader  - send ->  Counter      (one Walk, several of the others)
//!                     \- send ->  Console
//! ```
//!
//! `Walk` lists directories, on a thread of its own. Each `Reader` asks it for files, reads them,
//! cuts them into words, and sends these to the `Counter`s; which one gets a word follows from the
//! word. All mailboxes are small, and whoever finds one full waits: a slow counter slows the
//! readers, and a slow reader asks for no more files. So memory grows with the number of different
//! words and with nothing else, however much is read.
//!
//! A word is what `LC_ALL=C tr -cs 'A-Za-z0-9_' '\n'` makes a line of: as many ASCII letters,
//! digits and underscores as follow each other, upper and lower case apart.
mod words;
mod tally;
mod pieces;
mod console;
mod walk;
mod counter;
mod reader;

use crate::console::{Console, ConsoleApi, Totals, complain};
use crate::counter::{Counter, CounterApi};
use crate::reader::Reader;
use crate::tally::{Counted, top_of_all};
use crate::walk::Walk;
use crate::words::LONGEST;
use actors_core::{Actor, Addr, Error, SpawnOptions};
use clap::Parser;
use futures_util::future::{join_all, try_join_all};
use hashbrown::DefaultHashBuilder;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::process;
use std::thread::available_parallelism;

/// Counts words in files and directories.
///
/// A word is a run of ASCII letters, digits and underscores. Links inside of directories are not
/// followed. What cannot be read is named on standard error; the rest is counted all the same, and
/// the exit status is 1.
#[derive(Parser)]
#[command(name = "wordcount", version)]
struct Args {
    /// Files, directories, or anything else that can be read
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// How many of the most frequent words to print
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,

    /// How many actors count [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    shards: Option<usize>,

    /// How many actors read [default: two for each processor]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    readers: Option<usize>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one is needed".into()),
        Ok(n) => Ok(n),
        Err(_) => Err("not a number".into()),
    }
}

/// How many messages wait for a reader, and for a counter.
const READER_CAPACITY: usize = 2;
const COUNTER_CAPACITY: usize = 8;

/// Files above this size are read by several readers at once, in parts of this size.
const PART: u64 = 4 * 1024 * 1024;

struct Report {
    totals: Totals,
    words: u64,
    distinct: usize,
    top: Vec<Counted>,
}

#[actors_core::main]
async fn main() {
    let args = Args::parse();
    let console = Console::new().spawn();
    let counted = tokio::select! {
        // In this order, so that the signal is listened to before anything is read.
        biased;
        _ = tokio::signal::ctrl_c() => None,
        counted = count(args, &console) => Some(counted),
    };
    console.stop();
    console.stopped().await;
    let status = match counted {
        None => {
            complain("interrupted");
            130
        }
        Some(Err(error)) => {
            complain(error);
            1
        }
        Some(Ok(report)) => tell(&report),
    };
    // Not by returning, which would wait for a read that may never end, such as that of a pipe.
    process::exit(status);
}

/// Starts the actors, waits until the readers are done, and asks the counters for what they have.
async fn count(args: Args, console: &Addr<Console>) -> Result<Report, Error> {
    let processors = available_parallelism()?.get();
    let counters = (0..args.shards.unwrap_or(processors))
        .map(|_| {
            let options = SpawnOptions::new().capacity(COUNTER_CAPACITY);
            options.spawn(Counter::default())
        })
        .collect::<Result<Vec<_>, _>>()?;
    let walk = SpawnOptions::new().spawn_local_thread({
        let (paths, console) = (args.paths, console.clone());
        move || Walk::new(paths, PART, console)
    })?;
    let hasher = DefaultHashBuilder::default();
    let readers = (0..args.readers.unwrap_or(2 * processors))
        .map(|_| {
            let options = SpawnOptions::new().capacity(READER_CAPACITY);
            let counters = counters.iter().map(Addr::recipient).collect();
            let console = console.clone();
            options.spawn(Reader::new(
                walk.recipient(),
                counters,
                console,
                hasher.clone(),
            ))
        })
        .collect::<Result<Vec<_>, _>>()?;

    for reason in join_all(readers.iter().map(Addr::stopped)).await {
        if !reason.is_normal() {
            return Err(format!("a reader {reason}").into());
        }
    }
    let totals = console.total().await?;
    let summaries =
        try_join_all(counters.iter().map(|counter| counter.summarize(args.top))).await?;
    Ok(Report {
        totals,
        words: summaries.iter().map(|it| it.words).sum::<u64>() + totals.too_long,
        distinct: summaries.iter().map(|it| it.distinct).sum(),
        top: top_of_all(summaries.into_iter().map(|it| it.top), args.top),
    })
}

/// Prints the report and gives the exit status.
fn tell(report: &Report) -> i32 {
    match print(report) {
        // Whoever reads the output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => {
            complain(format_args!("standard output: {error}"));
            return 1;
        }
        Ok(()) => {}
    }
    let Totals {
        faults, too_long, ..
    } = report.totals;
    if too_long != 0 {
        complain(format_args!(
            "{too_long} words are longer than {LONGEST} bytes and only in the sum"
        ));
    }
    i32::from(faults + too_long != 0)
}

/// The words as `uniq -c` prints them, then the totals.
fn print(report: &Report) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for Counted { count, word } in &report.top {
        write!(out, "{count:>7} ")?;
        out.write_all(word)?;
        writeln!(out)?;
    }
    if !report.top.is_empty() {
        writeln!(out)?;
    }
    let Totals { files, bytes, .. } = report.totals;
    writeln!(out, "files    {files:>15}")?;
    writeln!(out, "bytes    {bytes:>15}")?;
    writeln!(out, "words    {:>15}", report.words)?;
    writeln!(out, "distinct {:>15}", report.distinct)?;
    out.flush()
}
