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
#[path = "../kit/mod.rs"]
mod kit;
mod ours;
mod reference;
mod rows;
mod side;

use kit::Bench;
use std::process::ExitCode;

static BENCH: Bench = Bench {
    name: "mailbox",
    subject: "Ours against a hand-written tokio task",
    rows: rows::ROWS,
};

fn main() -> ExitCode {
    BENCH.run()
}
