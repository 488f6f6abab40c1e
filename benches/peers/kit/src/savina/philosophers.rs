//! Philosophers: 20 of them ask an arbitrator for their forks, again and again, 10,000 times each.
use crate::latch::Latch;
use crate::load::{millis, run};
use crate::peer::{Behaviour, Mailbox, Peer};
use std::sync::Arc;
use std::time::Instant;

const PHILOSOPHERS: usize = 20;

struct Arbitrator<P: Peer> {
    philosophers: Vec<P::Addr<Philosopher<P>>>,
    taken: [bool; PHILOSOPHERS],
}

enum Arbitrate<P: Peer> {
    Begin(Vec<P::Addr<Philosopher<P>>>),
    Hungry(usize),
    Done(usize),
}

impl<P: Peer> Behaviour for Arbitrator<P> {
    type Msg = Arbitrate<P>;

    fn handle(&mut self, msg: Arbitrate<P>) -> u64 {
        match msg {
            Arbitrate::Begin(philosophers) => {
                self.philosophers = philosophers;
                for philosopher in &self.philosophers {
                    P::tell(philosopher, Think::Denied);
                }
            }
            Arbitrate::Hungry(at) => {
                let other = (at + 1) % PHILOSOPHERS;
                let answer = match self.taken[at] || self.taken[other] {
                    true => Think::Denied,
                    false => {
                        (self.taken[at], self.taken[other]) = (true, true);
                        Think::Eat
                    }
                };
                P::tell(&self.philosophers[at], answer);
            }
            Arbitrate::Done(at) => {
                let other = (at + 1) % PHILOSOPHERS;
                assert!(self.taken[at] && self.taken[other]);
                (self.taken[at], self.taken[other]) = (false, false);
            }
        }
        0
    }
}

struct Philosopher<P: Peer> {
    number: usize,
    arbitrator: P::Addr<Arbitrator<P>>,
    eaten: u64,
    rounds: u64,
    over: Arc<Latch>,
}

enum Think {
    Denied,
    Eat,
}

impl<P: Peer> Behaviour for Philosopher<P> {
    type Msg = Think;

    fn handle(&mut self, msg: Think) -> u64 {
        if let Think::Eat = msg {
            self.eaten += 1;
            P::tell(&self.arbitrator, Arbitrate::Done(self.number));
            if self.eaten == self.rounds {
                self.over.count_down(self.eaten);
                return self.eaten;
            }
        }
        P::tell(&self.arbitrator, Arbitrate::Hungry(self.number));
        self.eaten
    }
}

pub(super) fn philosophers<P: Peer>(rounds: u64) -> f64 {
    run::<P, _>(async move {
        let (over, is_over) = Latch::new(PHILOSOPHERS as u64);
        let over = Arc::new(over);
        let arbitrator = Arbitrator::<P> {
            philosophers: Vec::new(),
            taken: [false; PHILOSOPHERS],
        };
        let arbitrator = P::spawn(arbitrator, Mailbox::Unbounded).await;
        let mut all = Vec::new();
        for number in 0..PHILOSOPHERS {
            let philosopher = Philosopher::<P> {
                number,
                arbitrator: arbitrator.clone(),
                eaten: 0,
                rounds,
                over: Arc::clone(&over),
            };
            all.push(P::spawn(philosopher, Mailbox::Unbounded).await);
        }
        let start = Instant::now();
        P::tell(&arbitrator, Arbitrate::Begin(all));
        assert_eq!(is_over.await, Ok(PHILOSOPHERS as u64 * rounds));
        millis(start)
    })
}
