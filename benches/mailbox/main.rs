//! What a message costs: our mailboxes against a hand-written tokio task, as ratios.
//!
//! `cargo bench --bench mailbox -- [OPTIONS]` prints one table for both conditions: all cores free,
//! and everything on one core. The options:
//!
//! - `--reps N` pairs of measurements for each number, 7 unless told otherwise
//! - `--row NAME` this row only; may be given several times
//! - `--free`, `--pinned` this condition only
//! - `--smoke` two short pairs, to see that everything works; the numbers mean nothing
//!
//! Each measurement is a process of its own, ours and the reference in turn, so that neither finds
//! memory that the other has warmed up, and both meet the same weather.
mod measure;
mod options;
mod ours;
mod reference;
mod rows;
mod side;
mod table;

use options::Job;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Job::from_args(std::env::args().skip(1)) {
        Ok(Job::Table(plan)) => match table::print(&plan) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Ok(Job::Point { row, side, smoke }) => {
            println!("{}", row.point(side, smoke));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &str) -> ExitCode {
    eprintln!("mailbox: {error}");
    ExitCode::FAILURE
}
