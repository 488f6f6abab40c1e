//! What the workloads share: the actor that adds, the warm-up, and how time is taken.
use crate::args::setup;
use crate::peer::{Behaviour, Mailbox, Peer};
use std::future::Future;
use std::time::Instant;

/// Runs the measuring task on threads that have been at work for a while.
pub(crate) fn run<P: Peer, F>(work: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    P::run(async move {
        warm_up::<P>().await;
        work.await
    })
}

/// As many tasks as there are workers ask an actor each. Linux treats threads otherwise that have just
/// begun: in the first 35 ms of a runtime, a wake-up of one bare tokio task by another took 70 ns, and
/// then 40; and they may share a core for a while though another one has nothing to do.
async fn warm_up<P: Peer>() {
    let start = Instant::now();
    let mut addrs = Vec::new();
    for _ in 0..setup().workers {
        addrs.push(P::spawn(Adder::<1>::default(), Mailbox::Unbounded).await);
    }
    all::<P, _>(addrs.into_iter().map(|addr| async move {
        while start.elapsed() < setup().warm_up {
            P::ask(&addr, add(0)).await;
        }
        P::stop(addr).await;
    }))
    .await;
}

/// Adds up the first number of each message, which has `N` of them.
#[derive(Default)]
pub(crate) struct Adder<const N: usize> {
    total: u64,
}

impl<const N: usize> Behaviour for Adder<N> {
    type Msg = [u64; N];

    fn handle(&mut self, msg: [u64; N]) -> u64 {
        self.total += msg[0];
        self.total
    }
}

/// A message that adds `n`.
pub(crate) fn add<const N: usize>(n: u64) -> [u64; N] {
    [n; N]
}

/// Runs so many tasks beside each other and waits for all.
pub(crate) async fn all<P: Peer, F>(tasks: impl Iterator<Item = F>)
where
    F: Future<Output = ()> + Send + 'static,
{
    // They begin at once: a task may run before anybody waits for it.
    let tasks: Vec<_> = tasks.map(P::task).collect();
    for task in tasks {
        task.await;
    }
}

/// Asks until the total is this: once, unless an ask overtakes what was told before.
pub(crate) async fn until<P: Peer, const N: usize>(addr: &P::Addr<Adder<N>>, total: u64) {
    loop {
        let now = P::ask(addr, add(0)).await;
        assert!(now <= total, "more was handled than was sent");
        if now == total {
            return;
        }
        assert!(!P::KEEPS_ORDER, "it has only come to {now} of {total}");
    }
}

/// For each of so many.
pub fn nanos_each(since: Instant, count: u64) -> f64 {
    since.elapsed().as_nanos() as f64 / count as f64
}

/// Since then.
pub fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// 0 + 1 + … up to below `count`.
pub fn sum(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}
