//! What a connection costs: our servers and clients against hand-written tokio, as ratios.
//!
//! `cargo bench --bench net -- [OPTIONS]` prints a table. The options:
//!
//! - `--reps N` pairs of measurements for each number, 7 unless told otherwise
//! - `--row NAME` this row only; may be given several times
//! - `--smoke` one short pair, to see that everything works; the numbers mean nothing
//!
//! Each measurement has a server and a load generator that are processes of their own, fresh each
//! time, ours and the reference in turn. The load generator is the same for both.
mod clients;
mod load;
mod measure;
mod ours;
#[path = "../kit/process.rs"]
mod process;
mod reference;
mod rows;

use rows::{ROWS, Row, Who};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("net: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), String> {
    let mut rows: Vec<&'static Row> = Vec::new();
    let mut reps = 7;
    let mut smoke = false;
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--reps" => reps = value()?.parse().map_err(|_| "not a number")?,
            "--row" => rows.push(Row::named(&value()?)?),
            "--smoke" => (smoke, reps) = (true, 1),
            "--serve" => return rows::serve(Who::named(&value()?)?),
            "--point" => {
                let (row, who) = (Row::named(&value()?)?, Who::named(&value()?)?);
                let smoke = args.any(|arg| arg == "--smoke");
                println!("{}", row.point(who, smoke)?);
                return Ok(());
            }
            // Cargo says so to every benchmark.
            "--bench" => {}
            _ => return Err(format!("unknown option {arg}")),
        }
    }
    if rows.is_empty() {
        rows = ROWS.iter().collect();
    }
    measure::table(&rows, reps.max(1), smoke)
}
