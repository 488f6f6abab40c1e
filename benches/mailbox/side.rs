//! What both sides can do, so that each row is written once.
use std::future::Future;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long an asker waits where there is a limit: longer than any.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// One way to have actors that add up the 8-byte numbers they are sent.
pub(crate) trait Side: 'static {
    type Addr: Clone + Send + Sync + 'static;

    /// Starts an actor with a total of 0.
    fn spawn() -> Self::Addr;

    /// Adds `n` and returns the new total.
    fn ask(addr: &Self::Addr, n: u64) -> impl Future<Output = u64> + Send;

    /// Adds `n`. Waits for room where the mailbox is bounded.
    fn tell(addr: &Self::Addr, n: u64) -> impl Future<Output = ()> + Send;
}

/// A side whose actors are told to stop.
pub(crate) trait Mortal: Side {
    /// Starts an actor, asks it to add `n`, stops it, and waits until it has ended.
    fn live_once(n: u64) -> impl Future<Output = u64> + Send;
}

/// A side whose actors stand in a ring.
pub(crate) trait Ring: 'static {
    type Addr: Clone + Send + Sync + 'static;

    /// Starts actors that pass a number on, each to the next and the last to the first, one less
    /// each time. The first does not pass on 0 but reports it.
    fn ring(len: usize, over: oneshot::Sender<()>) -> impl Future<Output = Vec<Self::Addr>> + Send;

    /// Gives an actor a number to pass on.
    fn pass(addr: &Self::Addr, left: u64);

    /// How many numbers an actor was given.
    fn passed(addr: &Self::Addr) -> impl Future<Output = u64> + Send;
}
