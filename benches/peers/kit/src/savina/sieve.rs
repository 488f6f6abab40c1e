//! Sieve: the primes below 100,000, by a chain of actors that each hold 1,000 of them.
use crate::latch::Latch;
use crate::load::{millis, run};
use crate::peer::{Behaviour, Mailbox, Peer};
use std::sync::Arc;
use std::time::Instant;

const BELOW: u64 = 100_000;
const PRIMES: u64 = 9_592;
const HELD: usize = 1_000;

struct Filter<P: Peer> {
    primes: Vec<u64>,
    next: Option<P::Addr<Self>>,
    over: Arc<Latch>,
}

enum Sift {
    Number(u64),
    /// How many primes there were before.
    End(u64),
}

impl<P: Peer> Behaviour for Filter<P> {
    type Msg = Sift;

    fn handle(&mut self, msg: Sift) -> u64 {
        match msg {
            Sift::Number(n) => {
                if self.primes.iter().any(|prime| n % prime == 0) {
                    return 0;
                }
                if self.primes.len() < HELD {
                    self.primes.push(n);
                    return 1;
                }
                let next = self.next.get_or_insert_with(|| {
                    P::spawn_now(Self {
                        primes: Vec::new(),
                        next: None,
                        over: Arc::clone(&self.over),
                    })
                });
                P::tell(next, msg);
                0
            }
            Sift::End(before) => {
                let primes = before + self.primes.len() as u64;
                match &self.next {
                    Some(next) => P::tell(next, Sift::End(primes)),
                    None => self.over.count_down(primes),
                }
                primes
            }
        }
    }
}

struct Producer<P: Peer> {
    first: P::Addr<Filter<P>>,
}

impl<P: Peer> Behaviour for Producer<P> {
    type Msg = u64;

    fn handle(&mut self, below: u64) -> u64 {
        for n in (3..below).step_by(2) {
            P::tell(&self.first, Sift::Number(n));
        }
        P::tell(&self.first, Sift::End(0));
        below
    }
}

pub(super) fn sieve<P: Peer>() -> f64 {
    run::<P, _>(async move {
        let (over, is_over) = Latch::new(1);
        let first = Filter::<P> {
            primes: vec![2],
            next: None,
            over: Arc::new(over),
        };
        let first = P::spawn(first, Mailbox::Unbounded).await;
        let producer = P::spawn(Producer::<P> { first }, Mailbox::Unbounded).await;
        let start = Instant::now();
        P::tell(&producer, BELOW);
        assert_eq!(is_over.await, Ok(PRIMES));
        millis(start)
    })
}
