//! No framework either, but tokio's part alone: tasks that do nothing but wake each other, or are spawned and
//! end. A number goes along in an atomic; there is no queue, no allocation for a message, and no state. It
//! shows how much of a row that is about messages there is to win without leaving tokio's tasks.
use peers_kit::{Latch, millis, nanos_each, resident_bytes, sum};
use std::future::{pending, poll_fn};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::task::yield_now;

/// One number for one task, which is woken for each that is put here and differs from the last.
#[derive(Default)]
#[repr(align(128))]
struct Place {
    number: AtomicU64,
    waker: OnceLock<Waker>,
}

impl Place {
    fn put(&self, number: u64) {
        self.number.store(number, Ordering::Release);
        self.waker.get().expect("it has begun").wake_by_ref();
    }

    /// What is there, if it is not this.
    fn poll_other(&self, than: u64, cx: &Context<'_>) -> Poll<u64> {
        // A task's waker stays the same.
        self.waker.get_or_init(|| cx.waker().clone());
        match self.number.load(Ordering::Acquire) {
            number if number == than => Poll::Pending,
            number => Poll::Ready(number),
        }
    }

    async fn other(&self, than: u64) -> u64 {
        poll_fn(|cx| self.poll_other(than, cx)).await
    }

    /// Until its task waits for numbers.
    async fn has_begun(&self) {
        while self.waker.get().is_none() {
            yield_now().await;
        }
    }
}

/// Ends a task that waits for a number.
const END: u64 = u64::MAX;

/// A task that answers numbers, as an actor answers asks.
#[derive(Default)]
struct Answers {
    asked: Place,
    answered: Place,
}

impl Answers {
    async fn spawn() -> Arc<Self> {
        let answers = Arc::new(Self::default());
        let of_task = Arc::clone(&answers);
        tokio::spawn(async move {
            let mut last = 0;
            loop {
                last = of_task.asked.other(last).await;
                if last == END {
                    return;
                }
                of_task.answered.put(last);
            }
        });
        answers.asked.has_begun().await;
        answers
    }

    /// Asks with all numbers up to this one, one after the other.
    async fn ask_all(&self, count: u64) {
        // Only now is there somebody to be woken.
        poll_fn(|cx| {
            assert!(self.answered.poll_other(0, cx).is_pending());
            Poll::Ready(())
        })
        .await;
        for number in 1..=count {
            self.asked.put(number);
            let answer = self.answered.other(number - 1).await;
            assert_eq!(answer, number);
        }
        self.asked.put(END);
    }
}

async fn in_sequence(count: u64) -> f64 {
    let answers = Answers::spawn().await;
    let start = Instant::now();
    answers.ask_all(count).await;
    nanos_each(start, count)
}

/// Each caller has its own task to ask: as many wake-ups as with 64 actors for all of them.
async fn across(count: u64) -> f64 {
    const CALLERS: u64 = 64;
    let mut all = Vec::new();
    for _ in 0..CALLERS {
        all.push(Answers::spawn().await);
    }
    let start = Instant::now();
    let callers = all.into_iter().map(|answers| async move {
        answers.ask_all(count / CALLERS).await;
    });
    let callers: Vec<_> = callers.map(tokio::spawn).collect();
    for caller in callers {
        caller.await.expect("it ends well");
    }
    nanos_each(start, count / CALLERS * CALLERS)
}

/// Hands a number round, one less each time, until it is 0.
async fn ring(hops: u64, len: usize) -> f64 {
    let places: Arc<[Place]> = (0..len).map(|_| Place::default()).collect();
    let (over, is_over) = Latch::new(1);
    let over = Arc::new(over);
    let mut tasks = Vec::new();
    for at in 0..len {
        let (places, over) = (Arc::clone(&places), Arc::clone(&over));
        tasks.push(tokio::spawn(async move {
            let mut last = 0;
            let mut passed = 0_u64;
            loop {
                last = places[at].other(last).await;
                if last == END {
                    return passed;
                }
                passed += 1;
                match last - 1 {
                    0 => over.count_down(0),
                    left => places[(at + 1) % len].put(left),
                }
            }
        }));
    }
    for place in &*places {
        place.has_begun().await;
    }
    let start = Instant::now();
    places[0].put(hops);
    is_over.await.expect("the last one tells");
    let each = nanos_each(start, hops);
    places.iter().for_each(|place| place.put(END));
    let mut passed = 0;
    for task in tasks {
        passed += task.await.expect("it ends well");
    }
    assert_eq!(passed, hops);
    each
}

/// A task that is spawned, gives a number, and ends, and is waited for.
async fn live_once(count: u64) -> f64 {
    let start = Instant::now();
    let mut total = 0;
    for number in 0..count {
        total += tokio::spawn(async move { number }).await.expect("it ends");
    }
    let each = nanos_each(start, count);
    assert_eq!(total, sum(count));
    each
}

/// As many tasks as there are actors in it, which do its work and end.
async fn fork_join(count: u64) -> f64 {
    let (over, is_over) = Latch::new(count);
    let over = Arc::new(over);
    let start = Instant::now();
    for number in 0..count {
        let over = Arc::clone(&over);
        tokio::spawn(async move {
            let angle = 37.2_f64;
            black_box(angle.sin() * angle.sin());
            over.count_down(number);
        });
    }
    assert_eq!(is_over.await, Ok(sum(count)));
    millis(start)
}

/// How many bytes of memory a task takes that waits for ever.
async fn idle(count: u64) -> f64 {
    static WAIT: AtomicU64 = AtomicU64::new(0);
    let before = resident_bytes();
    for _ in 0..count {
        drop(tokio::spawn(async {
            WAIT.fetch_add(1, Ordering::Relaxed);
            pending::<()>().await;
        }));
    }
    while WAIT.load(Ordering::Relaxed) < count {
        yield_now().await;
    }
    resident_bytes().saturating_sub(before) as f64 / count as f64
}

/// On threads that have been at work for a while, as for all sides.
async fn point(row: &'static str, share: f64) -> Option<Vec<f64>> {
    let part = |count: u64| ((count as f64 * share) as u64).max(1_000);
    let value = match row {
        "ask-unbounded" | "ask-bounded" => in_sequence(part(200_000)).await,
        "ask-64x64" => across(part(500_000)).await,
        "live-once" => live_once(part(100_000)).await,
        "ring" => ring(part(1_000_000), 100).await,
        "ping-pong" => ring(part(1_000_000), 2).await,
        "idle" => idle(part(1_000_000)).await,
        "fork-join" => fork_join(part(40_000)).await,
        _ => return None,
    };
    Some(vec![value])
}

async fn warm_up() {
    let start = Instant::now();
    let setup = peers_kit::setup();
    let tasks = (0..setup.workers).map(|_| async move {
        while start.elapsed() < setup.warm_up {
            in_sequence(100).await;
        }
    });
    let tasks: Vec<_> = tasks.map(tokio::spawn).collect();
    for task in tasks {
        task.await.expect("it ends well");
    }
}

fn main() -> ExitCode {
    peers_kit::program(|row, share, _size| {
        peers_kit::run_tokio(async move {
            warm_up().await;
            point(row.name, share).await
        })
    })
}
