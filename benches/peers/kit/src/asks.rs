//! Asks: in sequence, many in flight, and across many actors.
use crate::load::{Adder, add, all, nanos_each, run, sum};
use crate::peer::{Mailbox, Peer};
use std::time::Instant;

pub(crate) fn in_sequence<P: Peer, const N: usize>(count: u64, mailbox: Mailbox) -> f64 {
    run::<P, _>(async move {
        let addr = P::spawn(Adder::<N>::default(), mailbox).await;
        let start = Instant::now();
        let mut total = 0;
        for n in 0..count {
            total = P::ask(&addr, add(n)).await;
        }
        let each = nanos_each(start, count);
        assert_eq!(total, sum(count));
        each
    })
}

pub(crate) fn within_limit<P: Peer>(count: u64) -> f64 {
    run::<P, _>(async move {
        let addr = P::spawn(Adder::<1>::default(), Mailbox::Unbounded).await;
        let start = Instant::now();
        let mut total = 0;
        for n in 0..count {
            total = P::ask_within_limit(&addr, add(n)).await;
        }
        let each = nanos_each(start, count);
        assert_eq!(total, sum(count));
        each
    })
}

pub(crate) fn at_once<P: Peer>(count: u64, askers: u64) -> f64 {
    let laps = count / askers;
    run::<P, _>(async move {
        let addr = P::spawn(Adder::<1>::default(), Mailbox::Unbounded).await;
        let start = Instant::now();
        all::<P, _>((0..askers).map(|_| {
            let addr = addr.clone();
            async move {
                for n in 0..laps {
                    P::ask(&addr, add(n)).await;
                }
            }
        }))
        .await;
        let each = nanos_each(start, laps * askers);
        assert_eq!(P::ask(&addr, add(0)).await, askers * sum(laps));
        each
    })
}

pub(crate) fn across<P: Peer>(count: u64) -> f64 {
    const CALLERS: u64 = 64;
    const ACTORS: usize = 64;
    let asks = count / CALLERS;
    run::<P, _>(async move {
        let mut addrs = Vec::new();
        for _ in 0..ACTORS {
            addrs.push(P::spawn(Adder::<1>::default(), Mailbox::Unbounded).await);
        }
        let start = Instant::now();
        all::<P, _>((0..CALLERS).map(|caller| {
            let addrs = addrs.clone();
            async move {
                for n in 0..asks {
                    let at = (caller + n) as usize % ACTORS;
                    P::ask(&addrs[at], add(n)).await;
                }
            }
        }))
        .await;
        let each = nanos_each(start, asks * CALLERS);
        let mut total = 0;
        for addr in &addrs {
            total += P::ask(addr, add(0)).await;
        }
        assert_eq!(total, CALLERS * sum(asks));
        each
    })
}
