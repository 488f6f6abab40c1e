//! Actors.
mod id;
mod error;
mod policy;
mod mailbox;
