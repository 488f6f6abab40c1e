//! Bounded buffer: 40 producers and 40 consumers around an actor that holds at most 50 items.
use crate::latch::Latch;
use crate::load::{millis, run, sum};
use crate::peer::{Behaviour, Mailbox, Peer};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

const PRODUCERS: usize = 40;
const CONSUMERS: usize = 40;
const SIZE: usize = 50;
/// How many rounds of arithmetic an item costs on each side.
const COST: u64 = 25;

struct Manager<P: Peer> {
    producers: Vec<P::Addr<Producer<P>>>,
    consumers: Vec<P::Addr<Consumer<P>>>,
    items: VecDeque<u64>,
    /// Producers that wait for room, and consumers that wait for items.
    held: VecDeque<usize>,
    free: VecDeque<usize>,
    /// Producers that are to produce have a place each.
    producing: usize,
}

enum Manage<P: Peer> {
    Begin(Vec<P::Addr<Producer<P>>>, Vec<P::Addr<Consumer<P>>>),
    Item { from: usize, item: u64 },
    Free(usize),
    NoMore,
}

impl<P: Peer> Manager<P> {
    fn match_up(&mut self) {
        while !self.items.is_empty() && !self.free.is_empty() {
            let item = self.items.pop_front().expect("there is one");
            let consumer = self.free.pop_front().expect("there is one");
            P::tell(&self.consumers[consumer], Consume(item));
        }
        while self.items.len() + self.producing < SIZE {
            let Some(producer) = self.held.pop_front() else {
                return;
            };
            self.producing += 1;
            P::tell(&self.producers[producer], Produce::Next);
        }
    }
}

impl<P: Peer> Behaviour for Manager<P> {
    type Msg = Manage<P>;

    fn handle(&mut self, msg: Manage<P>) -> u64 {
        match msg {
            Manage::Begin(producers, consumers) => {
                self.held = (0..producers.len()).collect();
                self.free = (0..consumers.len()).collect();
                self.producers = producers;
                self.consumers = consumers;
            }
            Manage::Item { from, item } => {
                self.producing -= 1;
                self.items.push_back(item);
                self.held.push_back(from);
            }
            Manage::Free(consumer) => self.free.push_back(consumer),
            Manage::NoMore => self.producing -= 1,
        }
        self.match_up();
        0
    }
}

struct Producer<P: Peer> {
    number: usize,
    manager: P::Addr<Manager<P>>,
    made: u64,
    items: u64,
}

enum Produce {
    Next,
}

impl<P: Peer> Behaviour for Producer<P> {
    type Msg = Produce;

    fn handle(&mut self, Produce::Next: Produce) -> u64 {
        if self.made == self.items {
            P::tell(&self.manager, Manage::NoMore);
            return self.made;
        }
        work(self.made);
        let item = Manage::Item {
            from: self.number,
            item: self.made,
        };
        self.made += 1;
        P::tell(&self.manager, item);
        self.made
    }
}

struct Consumer<P: Peer> {
    number: usize,
    manager: P::Addr<Manager<P>>,
    over: Arc<Latch>,
}

struct Consume(u64);

impl<P: Peer> Behaviour for Consumer<P> {
    type Msg = Consume;

    fn handle(&mut self, Consume(item): Consume) -> u64 {
        work(item);
        self.over.count_down(item);
        P::tell(&self.manager, Manage::Free(self.number));
        item
    }
}

fn work(seed: u64) {
    let sum = (0..COST).fold(seed as f64, |sum, n| {
        let square = (sum + n as f64).abs() + 0.01;
        sum + square.ln()
    });
    std::hint::black_box(sum);
}

pub(super) fn buffer<P: Peer>(items: u64) -> f64 {
    run::<P, _>(async move {
        let (over, is_over) = Latch::new(items * PRODUCERS as u64);
        let over = Arc::new(over);
        let manager = Manager::<P> {
            producers: Vec::new(),
            consumers: Vec::new(),
            items: VecDeque::new(),
            held: VecDeque::new(),
            free: VecDeque::new(),
            producing: 0,
        };
        let manager = P::spawn(manager, Mailbox::Unbounded).await;
        let (mut producers, mut consumers) = (Vec::new(), Vec::new());
        for number in 0..PRODUCERS {
            let producer = Producer::<P> {
                number,
                manager: manager.clone(),
                made: 0,
                items,
            };
            producers.push(P::spawn(producer, Mailbox::Unbounded).await);
        }
        for number in 0..CONSUMERS {
            let consumer = Consumer::<P> {
                number,
                manager: manager.clone(),
                over: Arc::clone(&over),
            };
            consumers.push(P::spawn(consumer, Mailbox::Unbounded).await);
        }
        let start = Instant::now();
        P::tell(&manager, Manage::Begin(producers, consumers));
        assert_eq!(is_over.await, Ok(PRODUCERS as u64 * sum(items)));
        millis(start)
    })
}
