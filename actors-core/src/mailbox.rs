//! The queue between senders and one actor: mail and signals, bounded or not; and the loop that
//! works through it.
//!
//! Knows nothing of actors. A message is sealed for an *opener* `O`, which is what a handler
//! borrows while it runs, together with a closure that handles it; from then on its type is
//! forgotten. `Tx` and `Rx` are the two ends; `Rx::drain` is the loop.
//!
//! This folder is the one place of the crate where unsafe code may live. Each file opens with who
//! may touch what, and when. What holds it all together:
//!
//! - A slot is sealed for one opener type and posted only to a mailbox of that opener: `Tx<O, _>`
//!   takes only `Sealed<O>`, and what forgets `O` (`Port`, `Call`) carries the mailbox along.
//! - The task that polls a `Drain` is the only one to touch its opener, and it does so only while
//!   no handler's future is alive, since that future borrows the opener.
//! - A handler's future is dropped before the opener it borrows, and at the place where it lies.
#![allow(
    unsafe_code,
    reason = "the queue, the ask node and the loop around them; see above"
)]

mod sync;
mod planted;
mod lock;
mod surplus;
mod spare;
mod kept;
mod once;
mod waits;
mod turn;
mod clock;
mod words;
mod fetch;
mod slot;
mod mail;
mod reply;
mod node;
mod tell;
mod lend;
mod queue;
mod handle;
mod drain;
mod runner;
#[cfg(all(test, actors_loom))]
mod loom;
#[cfg(all(test, not(actors_loom)))]
mod counting;
#[cfg(all(test, not(actors_loom)))]
mod tests;

#[cfg(all(test, not(actors_loom)))]
pub(crate) use counting::allocations;
pub use drain::{AnyThread, OneThread};
pub(crate) use drain::{End, Hook, WATCHERS};
pub(crate) use handle::Seal;
pub(crate) use handle::{
    AnyTx, Call, Displaced, Keep, OwnedPort, Port, Posted, Rx, Threads, Tx, WeakTx, ignore_panic,
    mailbox,
};
pub(crate) use kept::Kept;
pub(crate) use lock::Lock;
pub(crate) use once::OnceBox;
pub use queue::MailboxStats;
pub(crate) use queue::{InLine, Queue, Refused};
pub(crate) use reply::Duty;
pub(crate) use reply::{Abandoned, Pending, TypedDuty};
#[cfg(test)]
pub(crate) use runner::SMALL;
pub(crate) use runner::{spawn, vacant_tasks};
pub(crate) use slot::{Opener, Sealed};
#[cfg(all(test, not(actors_loom)))]
pub(crate) use spare::KEEPS as KEEPS_SPARE;
pub(crate) use turn::{Deadline, Limit, Turn, current, current_actor, instant, nanos, outside};
pub(crate) use waits::{Wait, Waits};
