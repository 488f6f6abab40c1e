//! Actors in one process: mailboxes, ask and tell, typed errors, promises that are tested.
//!
//! An [`Actor`](trait@Actor) is a value that owns its state and handles one [`Message`](trait@Message)
//! at a time. Others know it by its [`Addr`], which asks, tells and sends.
//!
//! ```
//! use actors_core::{Actor, handlers};
//!
//! #[derive(Actor, Default)]
//! struct Counter {
//!     n: i64,
//! }
//!
//! #[handlers] // every method becomes a message and its handler
//! impl Counter {
//!     /// Adds `by` and returns the new value.
//!     async fn inc(&mut self, by: i64) -> i64 {
//!         self.n += by;
//!         self.n
//!     }
//! }
//!
//! #[actors_core::main] // tokio's work-stealing runtime
//! async fn main() -> Result<(), actors_core::Error> {
//!     let counter = Counter::default().spawn();
//!     assert_eq!(counter.ask(Inc { by: 42 }).await?, 42); // a future of the reply
//!     assert_eq!(counter.inc(1).await?, 43); // the same, as a typed method
//!     counter.tell(Inc { by: 1 })?; // never waits
//!     counter.send(Inc { by: 1 }).await?; // waits for room in the mailbox
//!     let reply = counter.inc(1).post()?; // posted now, looked at later
//!     assert_eq!(reply.await?, 46);
//!     Ok(())
//! }
//! ```
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | writing an actor | [`Actor`](trait@Actor) and its hooks, [`Handler`], [`#[handlers]`](macro@handlers), [`#[derive(Message)]`](macro@Message) |
//! | starting one, and where it runs | [`SpawnOptions`]: on any thread, on this one ([`LocalActor`](trait@LocalActor)), on a thread of its own |
//! | talking to one | [`Addr`], [`WeakAddr`], and [`Recipient`] for an actor known by one message only |
//! | the reply | [`Ask`] before it is posted, [`Reply`] after: a future object |
//! | what a handler can do | [`Context`]: timers, streams, deferred replies, a stash, children, watches |
//! | what goes wrong | [`TellError`], [`SendError`], [`AskError`], [`SpawnError`], [`StopReason`] |
//! | full mailboxes | [`Capacity`], [`Overflow`], [`MailboxStats`] |
//! | what goes on in the process | [`actors()`], [`tree()`], [`events()`] |
//! | several actors behind one address | [`Group`], [`WorkerPool`] for one job at a time each, and [`Topic`] for publish and subscribe |
//! | names | [`lookup`], [`wait_for`], [`names()`], and a [`Registry`] of one's own |
//! | work that blocks or takes its time | [`Pool`], [`ThreadPool`] |
//! | mocks | the trait that [`#[handlers]`](macro@handlers) makes, and [`Ask::ready`] |
//!
//! # What holds
//!
//! - Two handlers of one actor never overlap, and what one sender gets accepted is handled in that
//!   order.
//! - What is not accepted comes back in the error. What is accepted is handled, withdrawn by its
//!   asker, or told as a [`DeadLetter`]; the [counters](MailboxStats) add up.
//! - Every ask ends, with the reply or one [`AskError`] that tells whether the message
//!   [may have run](AskError::may_have_run). Circles of actors that wait for each other end at once.
//! - Dropping a future of this crate loses no message and keeps no room; what differs says so.
//! - A panic ends the actor in which it happens, and nothing else.
//! - A mailbox holds 1,024 messages unless told otherwise. Stopping, killing and notices do not wait
//!   behind them.
//!
//! The repository's `GUARANTEES.md` has all of it, with the tests that hold it.
//!
//! # Features
//!
//! - `serde`: [`Tree`] can be serialized.
//! - `test-kit`: for tests only. Paused time, tests that fail when an actor panics and nobody
//!   notices, or when actors are left over, both by [`test`](macro@test), and probes:
//!   [`test_kit`](https://docs.rs/actors-core/latest/actors_core/test_kit).
//! - `tower`: `tower_service::Service` for [`Addr`], [`Recipient`], [`Group`] and
//!   [`WorkerPool`], a message each.
//!
//! # For readers of the source
//!
//! The modules are listed in reading order; each uses only those above it. `ARCHITECTURE.md` beside
//! the manifest is the map.

// Ground: knows nothing of actors.
mod id;
mod panics;
mod error;
mod witness;
mod policy;
mod event;
mod guest;
mod blocking;
mod promise;
mod mailbox;
mod scope;
// The contract.
mod cell;
mod census;
mod circle;
mod addr;
mod actor;
// The way of a message.
mod message;
mod alarm;
mod call;
mod ask;
mod recipient;
// What a handler can do.
mod context;
mod task;
mod timer;
mod stream;
mod watch;
// The life of an actor.
mod registry;
mod sight;
mod aborts;
mod run;
mod spawn;
mod supervise;
mod runtime;
// A service.
mod roster;
mod group;
mod topic;
mod tree;
mod workers;
#[cfg(feature = "tower")]
mod tower;
mod pool;
mod health;
mod signals;
mod service;
#[cfg(feature = "test-kit")]
pub mod test_kit;
#[cfg(all(test, not(actors_loom)))]
mod memory;

pub use actor::{Actor, Handler, LocalActor, LocalHandler, Message};
pub use actors_derive::{Actor, LocalActor, Message, handlers, main, test};
pub use addr::{Addr, WeakAddr};
pub use ask::Sending;
pub use call::{Ask, Reply};
pub use cell::{ActorState, Context};
pub use context::{Cancellation, Deferred};
pub use error::{
    ActorName, AskError, DeadlockPath, Error, Escalation, EscalationFault, NoReplyReason,
    RegisterError, SendError, SpawnError, StartTimedOut, StashFull, StopReason, TellError,
};
pub use event::{DeadLetter, DeadLetterReason, Event, Events};
pub use group::{Broadcast, Group};
pub use health::Health;
pub use id::ActorId;
pub use mailbox::{AnyThread, MailboxStats, OneThread};
pub use message::MessageFor;
pub use panics::{Panic, capture_backtraces};
pub use policy::{Backoff, Capacity, Intensity, Overflow, Restart, Strategy};
pub use pool::{
    BlockingMap, ChunkReply, CurrentJob, Job, JobError, JobOptions, Latency, Map, Pool, PoolError,
    PoolStats, Shutdown, SubmitError, ThreadPool, ThreadPoolOptions, WorkerDied,
};
pub use promise::Promise;
pub use recipient::Recipient;
pub use registry::{NamedActor, Registry, lookup, names, wait_for};
pub use service::ServiceError;
pub use sight::{ActorInfo, Timings, actor_count, actors, events, vacant_tasks};
pub use spawn::SpawnOptions;
pub use stream::Attached;
pub use supervise::{
    Aborted, ChildOptions, Factory, ShutdownReport, Supervisor, SupervisorOptions,
};
pub use timer::Timer;
pub use topic::{Published, Slow, Subscription, Topic};
pub use tree::{Tree, TreeNode, tree};
pub use watch::Stopped;
pub use workers::{PoolOptions, WorkerPool};

/// The map of this crate. Here so that its links are checked.
#[cfg(doc)]
#[doc = include_str!("../ARCHITECTURE.md")]
pub(crate) mod architecture {}

/// For the code that the macros write, and for `actors-net`.
#[doc(hidden)]
pub mod __private {
    pub use crate::blocking::{block_on_this_thread, look, timers_apart};
    pub use crate::pool::{Counts, Line, Outcome, Refused, Waiting};
    pub use crate::runtime::{Flavor, Launch};
}
