//! How long a cache line takes from one core to another. It is likely that this changes for minutes on a
//! shared machine, and with it what passes many messages from thread to thread.
use crate::results::median;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

const PARTS: usize = 20;
const ROUNDS: u64 = 5_000;

/// One way, in nanoseconds: the median of some parts, of two threads that answer each other.
pub(crate) fn core_to_core() -> Option<f64> {
    let word = AtomicU64::new(0);
    let last = PARTS as u64 * ROUNDS;
    let wait_for = |value| {
        while word.load(Ordering::Acquire) != value {
            spin_loop();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..last {
                wait_for(2 * round + 1);
                word.store(2 * round + 2, Ordering::Release);
            }
        });
        let mut round = 0;
        let mut part = || {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                word.store(2 * round + 1, Ordering::Release);
                wait_for(2 * round + 2);
                round += 1;
            }
            start.elapsed().as_nanos() as f64 / (2 * ROUNDS) as f64
        };
        // (All of them, since the other thread waits for all.)
        median((0..PARTS).map(|_| part()).collect())
    })
}
