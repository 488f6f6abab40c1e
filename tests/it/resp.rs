//! The example `resp_server`: it answers as Redis does, reply by reply.
#![cfg(unix)]
mod client;
mod codec;
mod compared;
mod library;
mod pubsub;
mod random;
mod served;
mod servers;
mod sessions;
