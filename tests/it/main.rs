//! The promises of the crate, a module for each, held through its public API.
#![allow(
    unreachable_pub,
    reason = "what the macros write beside a private actor is private too"
)]

mod addresses;
mod ahead;
mod asks;
mod beside;
mod cancel;
mod cancel_safe;
mod conservation;
mod context;
mod control;
mod deadlock;
mod examples;
mod failures;
mod fair;
mod gate;
mod groups;
mod guarantees;
mod health;
mod http_service;
mod inline;
mod kit;
mod layers;
mod macros;
mod mailbox;
mod model;
mod order;
mod orphans;
mod panics;
mod pools;
mod processes;
mod registry;
mod remote;
mod resp;
mod restart;
mod service;
mod shutdown;
mod sight;
mod sockets;
mod subprocess;
mod supervise;
mod test_kit;
mod timers;
mod topics;
mod tower;
mod tree;
mod wordcount;
mod workers;
