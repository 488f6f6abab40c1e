//! What the crate promises about connections, a module for each subject, held through its public
//! API.

mod children;
mod connections;
mod crowds;
mod dialing;
mod faults;
mod kit;
mod layers;
mod limits;
mod papers;
mod places;
mod secrets;
mod simulation;
mod tls;
mod udp;
