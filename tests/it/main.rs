//! The promises of the crate, a module for each, held through its public API.
#![allow(
    unreachable_pub,
    reason = "what the macros write beside a private actor is private too"
)]

mod addresses;
mod asks;
mod beside;
mod cancel;
mod cancel_safe;
mod conservation;
mod context;
mod control;
mod deadlock;
mod failures;
mod fair;
mod gate;
mod guarantees;
mod kit;
mod layers;
mod macros;
mod mailbox;
mod order;
mod orphans;
mod sight;
mod timers;
mod wordcount;
