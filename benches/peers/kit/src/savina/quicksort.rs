//! Quicksort: a million numbers; each actor splits its part among two others, down to 2,048.
use super::Random;
use crate::load::{millis, run};
use crate::peer::{Behaviour, Mailbox, Peer};
use std::time::Instant;
use tokio::sync::{Mutex, oneshot};

const NUMBERS: usize = 1_000_000;
const THRESHOLD: usize = 2_048;
const SEED: u64 = 1_024;

/// Who gets the result.
enum Parent<P: Peer> {
    Actor(P::Addr<Sorter<P>>, Side),
    Workload(Mutex<Option<oneshot::Sender<Vec<u64>>>>),
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

struct Sorter<P: Peer> {
    parent: Parent<P>,
    left: Option<Vec<u64>>,
    equal: Vec<u64>,
    right: Option<Vec<u64>>,
    has_ended: bool,
}

enum Sort<P: Peer> {
    Numbers {
        numbers: Vec<u64>,
        myself: P::Addr<Sorter<P>>,
    },
    Sorted(Side, Vec<u64>),
}

impl<P: Peer> Sorter<P> {
    fn new(parent: Parent<P>) -> Self {
        Self {
            parent,
            left: None,
            equal: Vec::new(),
            right: None,
            has_ended: false,
        }
    }

    fn split(&mut self, mut numbers: Vec<u64>, myself: P::Addr<Self>) {
        if numbers.len() < THRESHOLD {
            numbers.sort_unstable();
            return self.finish(numbers);
        }
        let pivot = numbers[numbers.len() / 2];
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for n in numbers {
            match n.cmp(&pivot) {
                std::cmp::Ordering::Less => left.push(n),
                std::cmp::Ordering::Equal => self.equal.push(n),
                std::cmp::Ordering::Greater => right.push(n),
            }
        }
        for (side, numbers) in [(Side::Left, left), (Side::Right, right)] {
            let child = Self::new(Parent::Actor(myself.clone(), side));
            let child = P::spawn_now(child);
            let myself = child.clone();
            P::tell(&child, Sort::Numbers { numbers, myself });
        }
    }

    fn finish(&mut self, sorted: Vec<u64>) {
        self.has_ended = true;
        match &mut self.parent {
            Parent::Actor(parent, side) => P::tell(parent, Sort::Sorted(*side, sorted)),
            Parent::Workload(over) => {
                let over = over.get_mut().take().expect("it ends once");
                over.send(sorted).expect("the workload waits");
            }
        }
    }
}

impl<P: Peer> Behaviour for Sorter<P> {
    type Msg = Sort<P>;

    const ENDS: bool = true;

    fn handle(&mut self, msg: Sort<P>) -> u64 {
        match msg {
            Sort::Numbers { numbers, myself } => self.split(numbers, myself),
            Sort::Sorted(Side::Left, sorted) => self.left = Some(sorted),
            Sort::Sorted(Side::Right, sorted) => self.right = Some(sorted),
        }
        if self.left.is_some() && self.right.is_some() {
            let (left, right) = (self.left.take(), self.right.take());
            let mut sorted = left.expect("it is there");
            sorted.append(&mut self.equal);
            sorted.extend(right.expect("it is there"));
            self.finish(sorted);
        }
        0
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }
}

pub(super) fn quicksort<P: Peer>() -> f64 {
    run::<P, _>(async move {
        let mut random = Random::new(SEED);
        let numbers: Vec<u64> = (0..NUMBERS).map(|_| random.next()).collect();
        let mut expected = numbers.clone();
        expected.sort_unstable();
        let (over, is_over) = oneshot::channel();
        let parent = Parent::Workload(Mutex::new(Some(over)));
        let first = P::spawn(Sorter::<P>::new(parent), Mailbox::Unbounded).await;
        let myself = first.clone();
        let start = Instant::now();
        P::tell(&first, Sort::Numbers { numbers, myself });
        let sorted = is_over.await.expect("the first one reports");
        let took = millis(start);
        assert!(sorted == expected);
        took
    })
}
