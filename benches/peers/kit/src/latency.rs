//! How long a message takes that is sent at a fixed rate.
//!
//! Each is due at a time that does not depend on how the others fare, and its latency counts from
//! then: what is sent late because of others is late.
use crate::load::{millis, run};
use crate::peer::{Behaviour, Mailbox, Peer};
use hdrhistogram::Histogram;
use std::thread;
use std::time::{Duration, Instant};

struct Recorder {
    began: Instant,
    times: Histogram<u64>,
}

enum Msg {
    /// In nanoseconds since the beginning.
    Due(u64),
    /// In thousandths.
    Quantile(u64),
    Count,
}

impl Behaviour for Recorder {
    type Msg = Msg;

    fn handle(&mut self, msg: Msg) -> u64 {
        match msg {
            Msg::Due(due) => {
                let now = self.began.elapsed().as_nanos() as u64;
                let late = now.saturating_sub(due);
                self.times.record(late).expect("it grows with them");
                0
            }
            Msg::Quantile(thousandths) => self.times.value_at_quantile(thousandths as f64 / 1e3),
            Msg::Count => self.times.len(),
        }
    }
}

/// For one second, or less where the share is below a fifth: p50, p99 and p99.9 in microseconds.
pub(crate) fn latency<P: Peer>(rate: u64, share: f64) -> Vec<f64> {
    let seconds = (5.0 * share).min(1.0);
    let count = ((rate as f64 * seconds) as u64).max(1);
    run::<P, _>(async move {
        let began = Instant::now() + Duration::from_millis(1);
        let times = Histogram::new(3).expect("three digits are in range");
        let addr = P::spawn(Recorder { began, times }, Mailbox::Unbounded).await;
        assert_eq!(P::ask(&addr, Msg::Count).await, 0);
        let (over, is_over) = tokio::sync::oneshot::channel();
        let to = addr.clone();
        // A thread of its own, which is late for nobody.
        thread::spawn(move || {
            for n in 0..count {
                let due = n * 1_000_000_000 / rate;
                let at = began + Duration::from_nanos(due);
                while Instant::now() < at {
                    thread::yield_now();
                }
                P::tell(&to, Msg::Due(due));
            }
            let _ = over.send(millis(began));
        });
        is_over.await.expect("it sends all");
        // At once, unless an ask overtakes what was told before.
        while P::ask(&addr, Msg::Count).await < count {
            assert!(!P::KEEPS_ORDER, "some are missing");
        }
        let mut values = Vec::new();
        for quantile in [500, 990, 999] {
            values.push(P::ask(&addr, Msg::Quantile(quantile)).await as f64 / 1e3);
        }
        values
    })
}
