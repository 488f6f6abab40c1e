//! Tells: from one task and from several, where the mailbox is bounded and where it is not.
use crate::load::{Adder, add, all, nanos_each, run, sum, until};
use crate::peer::{Mailbox, Peer};
use std::time::Instant;

/// In how many laps the rows tell.
pub(crate) const LAPS: u64 = 4;

/// So many tells, in laps that each wait until all was handled.
pub(crate) fn tell<P: Peer, const N: usize>(
    count: u64,
    laps: u64,
    producers: u64,
    mailbox: Mailbox,
) -> f64 {
    let tells = count / laps / producers;
    run::<P, _>(async move {
        let addr = P::spawn(Adder::<N>::default(), mailbox).await;
        let start = Instant::now();
        for lap in 1..=laps {
            all::<P, _>((0..producers).map(|_| {
                let addr = addr.clone();
                async move {
                    for n in 0..tells {
                        match mailbox {
                            Mailbox::Bounded => P::send(&addr, add(n)).await,
                            Mailbox::Unbounded => P::tell(&addr, add(n)),
                        }
                    }
                }
            }))
            .await;
            until::<P, N>(&addr, lap * producers * sum(tells)).await;
        }
        nanos_each(start, laps * producers * tells)
    })
}
