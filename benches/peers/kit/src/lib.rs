//! What is measured, written once: behaviours that know no framework, and workloads over them.
//!
//! A framework is a [`Peer`]: a small crate that wraps any [`Behaviour`] into an actor of its own kind
//! as its documentation shows, and calls [`main`].
mod args;
mod peer;
mod rows;
mod latch;
mod load;
mod asks;
mod tells;
mod growth;
mod lives;
mod rings;
mod latency;
mod savina;

pub use args::{Setup, main, program, run_tokio, setup};
pub use latch::Latch;
pub use lives::resident_bytes;
pub use load::{millis, nanos_each, sum};
pub use peer::{Behaviour, CAPACITY, LIMIT, Mailbox, Peer};
pub use rows::{GROWTH, ROWS, Row};
