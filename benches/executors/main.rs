//! What a job costs: our pools against those of CPython, as ratios.
//!
//! `cargo bench --bench executors -- [OPTIONS]` prints one table. The options:
//!
//! - `--reps N` measurements of each number, 7 unless told otherwise
//! - `--row NAME` this row only; may be given several times
//! - `--python PROGRAM` what runs `executors.py`, `python3.11` unless told otherwise
//! - `--smoke` one short measurement, to see that everything works; the numbers mean nothing
//!
//! Each measurement is a process of its own; ours and the peers' take turns. Each checks its result.
mod measure;
mod ours;
mod rows;

use measure::Plan;
use std::process::ExitCode;

fn main() -> ExitCode {
    actors_net::init(); // the workers are this program started again
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let done = match args.next().as_deref() {
        Some("--point") => point(args.next().as_deref(), args.next().is_some()),
        first => {
            let first = first.map(str::to_owned);
            Plan::from_args(first.into_iter().chain(args)).and_then(|plan| plan.print())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("executors: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One measurement of ours, for the process that prints the table.
fn point(row: Option<&str>, smoke: bool) -> Result<(), String> {
    let row = rows::named(row.unwrap_or_default())?;
    println!("{}", (row.ours)(row.count(smoke)));
    Ok(())
}
