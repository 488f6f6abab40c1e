//! Actors at the edge of a process: connections, listeners, subprocesses, pools of processes.
//!
//! The modules are listed in reading order; each uses only those above it.
#![forbid(unsafe_code)]

// Ground: knows nothing of actors.
mod error;
mod alarm;
mod address;
mod limits;
mod codec;
mod prefixed;
mod encode;
mod stream;
mod pipes;
mod tls;
// A connection.
mod link;
mod connection;
// Those who come.
mod transport;
mod memory;
mod roster;
mod accept;
mod listener;
// Those whom we call.
mod dial;
mod client;
// Datagrams.
mod udp;
// Worker processes.
mod wire;
mod permits;
mod task;
mod host;
mod worker;
mod child;
mod pool;
// A subprocess.
mod process;
// An actor in a worker process.
mod remote;

#[doc(no_inline)]
pub use actors_core::{Error, Job, JobError, JobOptions, Pool, Reply, Shutdown, WorkerDied};
pub use actors_derive::task;
pub use address::NetAddr;
pub use child::StartError;
pub use client::{Client, ClientError};
pub use connection::Frame;
pub use dial::{Dial, LinkEvent};
pub use encode::{FrameEncoder, WriteBuffer};
pub use error::{LinkError, NetError, TryLinkError, Waited};
pub use host::ProcessActor;
pub use limits::Limits;
pub use link::Link;
pub use listener::{Binding, CountConnections, Listener};
pub use memory::{MemoryDoor, MemoryListener, MemoryStream, memory_listener, memory_pair};
pub use pipes::ChildPipes;
pub use pool::{ProcessPool, ProcessPoolError, ProcessPoolOptions};
pub use prefixed::{LengthPrefixed, PrefixedError};
pub use process::{CloseInput, Output, Process, ProcessError, ProcessExit, ProcessId, Write};
pub use remote::{Remote, RemoteError, spawn_process};
pub use roster::ListenerStats;
pub use stream::{PeerIdentity, Stream};
pub use task::Task;
pub use tls::{ClientTls, ServerTls};
pub use transport::{Acceptor, Connector};
pub use udp::{Datagram, Udp};
pub use worker::init;

/// For those who know Python's executors and asyncio; its programs run as tests.
#[cfg(any(doc, doctest))]
#[doc = include_str!("../guide.md")]
pub mod guide {}

/// The map of this crate. Here so that its links are checked.
#[cfg(doc)]
#[doc = include_str!("../ARCHITECTURE.md")]
pub(crate) mod architecture {}

/// Runs the programs of the README, which use this crate and the one below.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub(crate) mod readme {}

/// For the code that the macros write.
#[doc(hidden)]
pub mod __private {
    pub use crate::host::{ActorEntry, Carries, MessageEntry};
    pub use crate::task::Entry;
    pub use actors_core::Job;
    pub use inventory::submit;
}
