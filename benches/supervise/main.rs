//! What supervision costs: supervised children against plain actors, as ratios.
//!
//! `cargo bench --bench supervise -- [OPTIONS]` prints one table for both conditions: all cores
//! free, and everything on one core. The options, and how it is measured, are those of the bench
//! `mailbox`.
#[path = "../kit/mod.rs"]
mod kit;
mod rows;

use kit::Bench;
use std::process::ExitCode;

static BENCH: Bench = Bench {
    name: "supervise",
    subject: "Ours against what the row's title says",
    rows: rows::ROWS,
};

fn main() -> ExitCode {
    BENCH.run()
}
