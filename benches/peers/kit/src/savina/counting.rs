//! Counting: one actor sends another a million increments, and asks for the count.
use crate::latch::Latch;
use crate::load::{millis, run};
use crate::peer::{Behaviour, Mailbox, Peer};
use std::sync::Arc;
use std::time::Instant;

struct Counter {
    count: u64,
    /// How many there will be, once it was asked.
    whole: Option<u64>,
    over: Arc<Latch>,
}

enum Count {
    Increment,
    Retrieve { whole: u64 },
}

impl Behaviour for Counter {
    type Msg = Count;

    fn handle(&mut self, msg: Count) -> u64 {
        match msg {
            Count::Increment => self.count += 1,
            Count::Retrieve { whole } => self.whole = Some(whole),
        }
        // At once when it is asked, unless that overtakes what came before.
        if self.whole == Some(self.count) {
            self.over.count_down(self.count);
        }
        self.count
    }
}

struct Producer<P: Peer> {
    counter: P::Addr<Counter>,
}

impl<P: Peer> Behaviour for Producer<P> {
    /// How many increments.
    type Msg = u64;

    fn handle(&mut self, count: u64) -> u64 {
        for _ in 0..count {
            P::tell(&self.counter, Count::Increment);
        }
        P::tell(&self.counter, Count::Retrieve { whole: count });
        count
    }
}

pub(super) fn counting<P: Peer>(count: u64) -> f64 {
    run::<P, _>(async move {
        let (over, is_over) = Latch::new(1);
        let over = Arc::new(over);
        let counter = Counter {
            count: 0,
            whole: None,
            over,
        };
        let counter = P::spawn(counter, Mailbox::Unbounded).await;
        let producer = P::spawn(Producer::<P> { counter }, Mailbox::Unbounded).await;
        let start = Instant::now();
        P::tell(&producer, count);
        assert_eq!(is_over.await, Ok(count));
        millis(start)
    })
}
