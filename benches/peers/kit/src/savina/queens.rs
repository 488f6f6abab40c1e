//! N-queens: all placements of 12, by 20 workers that give work back until 4 queens are placed.
use crate::latch::Latch;
use crate::load::{millis, run};
use crate::peer::{Behaviour, Mailbox, Peer};
use std::sync::Arc;
use std::time::Instant;

const SIZE: u8 = 12;
const SOLUTIONS: u64 = 14_200;
const WORKERS: usize = 20;
const THRESHOLD: usize = 4;

struct Master<P: Peer> {
    workers: Vec<P::Addr<Worker<P>>>,
    next: usize,
    /// How many pieces of work have come, how many are done, and how many these gave back. A piece may be done
    /// before the one that gave it is, and where messages overtake each other before others of that one come.
    known: u64,
    done: u64,
    given: u64,
    solutions: u64,
    over: Arc<Latch>,
}

enum Manage<P: Peer> {
    Begin(Vec<P::Addr<Worker<P>>>),
    Work(Vec<u8>),
    Done { solutions: u64, gave: u64 },
}

impl<P: Peer> Behaviour for Master<P> {
    type Msg = Manage<P>;

    fn handle(&mut self, msg: Manage<P>) -> u64 {
        match msg {
            Manage::Begin(workers) => {
                self.workers = workers;
                self.known = 1;
                P::tell(&self.workers[0], Place(Vec::new()));
            }
            Manage::Work(queens) => {
                self.known += 1;
                P::tell(&self.workers[self.next], Place(queens));
                self.next = (self.next + 1) % self.workers.len();
            }
            Manage::Done { solutions, gave } => {
                self.solutions += solutions;
                self.done += 1;
                self.given += gave;
                if self.done == self.known && self.given + 1 == self.known {
                    self.over.count_down(self.solutions);
                }
            }
        }
        self.solutions
    }
}

struct Worker<P: Peer> {
    master: P::Addr<Master<P>>,
}

/// The columns of the queens so far.
struct Place(Vec<u8>);

impl<P: Peer> Behaviour for Worker<P> {
    type Msg = Place;

    fn handle(&mut self, Place(mut queens): Place) -> u64 {
        let (mut solutions, mut gave) = (0, 0);
        if queens.len() >= THRESHOLD {
            solutions = place(&mut queens);
        } else {
            for column in (0..SIZE).filter(|column| is_safe(&queens, *column)) {
                let more = queens.iter().copied().chain([column]).collect();
                P::tell(&self.master, Manage::Work(more));
                gave += 1;
            }
        }
        P::tell(&self.master, Manage::Done { solutions, gave });
        solutions
    }
}

fn place(queens: &mut Vec<u8>) -> u64 {
    if queens.len() == usize::from(SIZE) {
        return 1;
    }
    let mut solutions = 0;
    for column in 0..SIZE {
        if is_safe(queens, column) {
            queens.push(column);
            solutions += place(queens);
            queens.pop();
        }
    }
    solutions
}

fn is_safe(queens: &[u8], column: u8) -> bool {
    let mut rows_up = 0;
    queens.iter().rev().all(|queen| {
        rows_up += 1;
        queen.abs_diff(column) != 0 && queen.abs_diff(column) != rows_up
    })
}

pub(super) fn queens<P: Peer>() -> f64 {
    run::<P, _>(async move {
        let (over, is_over) = Latch::new(1);
        let master = Master::<P> {
            workers: Vec::new(),
            next: 0,
            known: 0,
            done: 0,
            given: 0,
            solutions: 0,
            over: Arc::new(over),
        };
        let master = P::spawn(master, Mailbox::Unbounded).await;
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            let master = master.clone();
            workers.push(P::spawn(Worker::<P> { master }, Mailbox::Unbounded).await);
        }
        let start = Instant::now();
        P::tell(&master, Manage::Begin(workers));
        assert_eq!(is_over.await, Ok(SOLUTIONS));
        millis(start)
    })
}
