//! What benchmarks of ours against a reference have in common: rows with a target, each number
//! measured in processes of its own, one table.
mod measure;
mod options;
mod point;
mod row;
mod table;

use options::Job;
pub(crate) use point::{each, on_worker, sum};
pub(crate) use row::{Row, Target};
use std::process::ExitCode;

/// A benchmark.
pub(crate) struct Bench {
    /// What cargo calls it.
    pub(crate) name: &'static str,
    /// What is measured, for the head of the table.
    pub(crate) subject: &'static str,
    pub(crate) rows: &'static [Row],
}

impl Bench {
    /// Does what the command line says: prints the table, or measures one point of it.
    pub(crate) fn run(&'static self) -> ExitCode {
        match Job::from_args(self.rows, std::env::args().skip(1)) {
            Ok(Job::Table(plan)) => match table::print(self.subject, &plan) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => self.fail(&error),
            },
            Ok(Job::Point { row, side, smoke }) => {
                println!("{}", row.point(side, smoke));
                ExitCode::SUCCESS
            }
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&self, error: &str) -> ExitCode {
        eprintln!("{}: {error}", self.name);
        ExitCode::FAILURE
    }
}
