//! Actors in one process: mailboxes, ask and tell, typed errors, promises that are tested.
//!
//! The modules in reading order; each uses only those above it.

// Ground: knows nothing of actors.
mod id;
mod error;
mod policy;
mod event;
mod blocking;
mod mailbox;
mod scope;
// The contract.
mod cell;
mod addr;
mod actor;
// The way of a message.
mod message;
mod call;
mod ask;
mod recipient;
// What a handler can do.
mod context;
mod timer;
mod stream;
mod watch;
// The life of an actor.
mod registry;
mod sight;
mod run;
mod spawn;
mod runtime;

pub use actor::{Actor, Handler, LocalActor, LocalHandler, Message};
pub use actors_derive::{Actor, LocalActor, Message, handlers, main, test};
pub use addr::{Addr, WeakAddr};
pub use ask::Sending;
pub use call::{Ask, Reply};
pub use cell::{ActorState, Context};
pub use context::{Cancellation, Deferred};
pub use error::{
    ActorName, AskError, DeadlockPath, Error, NoReplyReason, SendError, SpawnError, StashFull,
    StopReason, TellError,
};
pub use event::{DeadLetter, DeadLetterReason, Event, Events};
pub use id::ActorId;
pub use mailbox::{AnyThread, MailboxStats, OneThread};
pub use message::MessageFor;
pub use policy::{Capacity, Overflow};
pub use recipient::Recipient;
pub use registry::lookup;
pub use sight::{ActorInfo, Timings, actor_count, actors, events};
pub use spawn::SpawnOptions;
pub use stream::Attached;
pub use timer::Timer;
pub use watch::Stopped;

/// For the code that the macros write.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "test-kit")]
    pub use crate::runtime::block_on_paused;
    pub use crate::runtime::{Flavor, block_on};
}
