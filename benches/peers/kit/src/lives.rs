//! What an actor costs that lives once, and one that has nothing to do.
use crate::load::{Adder, add, nanos_each, run, sum};
use crate::peer::{Mailbox, Peer};
use std::time::Instant;

pub(crate) fn live_once<P: Peer>(count: u64) -> f64 {
    run::<P, _>(async move {
        let start = Instant::now();
        let mut total = 0;
        for n in 0..count {
            let addr = P::spawn(Adder::<1>::default(), Mailbox::Unbounded).await;
            total += P::ask(&addr, add(n)).await;
            P::stop(addr).await;
        }
        let each = nanos_each(start, count);
        assert_eq!(total, sum(count));
        each
    })
}

/// How many bytes of memory an actor takes that has done one ask.
pub(crate) fn idle<P: Peer>(count: u64) -> f64 {
    run::<P, _>(async move {
        // Whatever the first one needs, and does not need again.
        let first = P::spawn(Adder::<1>::default(), Mailbox::Unbounded).await;
        P::ask(&first, add(0)).await;
        let before = resident_bytes();
        let mut addrs = Vec::with_capacity(count as usize);
        for _ in 0..count {
            addrs.push(P::spawn(Adder::<1>::default(), Mailbox::Unbounded).await);
        }
        let mut total = 0;
        for (n, addr) in (0..).zip(&addrs) {
            total += P::ask(addr, add(n)).await;
        }
        let bytes = resident_bytes().saturating_sub(before);
        assert_eq!(total, sum(count));
        bytes as f64 / count as f64
    })
}

/// What the process holds in memory.
pub fn resident_bytes() -> u64 {
    const FILE: &str = "/proc/self/status";
    let status = std::fs::read_to_string(FILE).unwrap_or_else(|error| panic!("{FILE}: {error}"));
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB"))
        .and_then(|kib| kib.trim().parse::<u64>().ok());
    kib.unwrap_or_else(|| panic!("{FILE} has no VmRSS")) * 1024
}
