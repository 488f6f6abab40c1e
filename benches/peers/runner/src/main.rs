//! Actor frameworks side by side: builds all, measures all in turn, and writes it down.
//!
//! `cargo run --release -- [OPTIONS]` in this folder. The options:
//!
//! - `--reps N` turns, 7 unless told otherwise
//! - `--growth` measures how cost grows instead of the rows: 3 turns, all cores free, and some of the peers
//!   unless told otherwise
//! - `--builds` builds programs of many actors instead, 3 turns, and prints what that costs
//! - `--row NAME` this row only; may be given several times
//! - `--peer NAME` this one and ours only; may be given several times
//! - `--free`, `--pinned` this condition only: all cores free, or everything on the first one
//! - `--share S` this share of the work: the counts of messages, actors and rounds; a point of `--growth`
//!   keeps its size
//! - `--workers N` so many threads run actors, as many as there are cores unless told otherwise
//! - `--lto` builds with link-time optimization, which takes long
//! - `--json FILE` where the numbers go, `results.json` unless told otherwise, or `growth.json`
//! - `--update` keeps what is there of other rows
//! - `--from-json` measures nothing, and takes the numbers from there
//! - `--write` fills the README's tables and draws the charts
//! - `--smoke` one turn of a hundredth, to see that everything works; the numbers mean nothing
//!
//! Each point is a process of its own, which checks its result.
mod builds;
mod chart;
mod curves;
mod measure;
mod options;
mod readme;
mod reasons;
mod results;
mod sides;
mod weather;

use options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let options = Options::from_args(std::env::args().skip(1))?;
    if options.builds {
        return builds::measure(&options);
    }
    let results = match options.from_json {
        true => results::Results::read(&options.json)?,
        false => measure::measure(&options)?,
    };
    if options.write && options.growth {
        curves::write(&results)?;
        readme::write_growth(&results)?;
    } else if options.write {
        chart::write(&results)?;
        readme::write(&results)?;
    }
    Ok(())
}
