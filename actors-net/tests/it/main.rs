//! What the crate promises about connections, a module for each subject, held through its public
//! API.

mod connections;
mod dialing;
mod kit;
mod layers;
mod limits;
mod tls;
mod udp;
