//! Fork-join create: 40,000 actors are started, each handles one message and ends.
use crate::latch::Latch;
use crate::load::{millis, run, sum};
use crate::peer::{Behaviour, Mailbox, Peer};
use std::sync::Arc;
use std::time::Instant;

struct Once {
    over: Arc<Latch>,
    has_ended: bool,
}

impl Behaviour for Once {
    type Msg = u64;

    const ENDS: bool = true;

    fn handle(&mut self, n: u64) -> u64 {
        // The suite's work for each.
        let angle = 37.2_f64;
        std::hint::black_box(angle.sin() * angle.sin());
        self.has_ended = true;
        self.over.count_down(n);
        n
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }
}

pub(super) fn fork_join<P: Peer>(count: u64) -> f64 {
    run::<P, _>(async move {
        let (over, is_over) = Latch::new(count);
        let over = Arc::new(over);
        let start = Instant::now();
        for n in 0..count {
            let once = Once {
                over: Arc::clone(&over),
                has_ended: false,
            };
            let addr = P::spawn(once, Mailbox::Unbounded).await;
            P::tell(&addr, n);
        }
        assert_eq!(is_over.await, Ok(sum(count)));
        millis(start)
    })
}
