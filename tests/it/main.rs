//! The promises of the crate, a module for each, held through its public API.
#![allow(
    unreachable_pub,
    reason = "what the macros write beside a private actor is private too"
)]

mod addresses;
mod cancel_safe;
mod context;
mod failures;
mod fair;
mod gate;
mod layers;
mod orphans;
mod sight;
mod timers;
