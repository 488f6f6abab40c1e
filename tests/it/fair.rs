//! P9: a flooded actor does not keep the timers of its thread waiting.
use actors_core::{Actor, SpawnOptions, handlers};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(1);
const MAX_SLIP: Duration = Duration::from_millis(5);

#[derive(Actor, Default)]
struct Flooded {
    handled: u64,
}

#[handlers]
impl Flooded {
    fn count(&mut self, n: u64) {
        self.handled += n;
    }

    fn spin(&mut self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            std::hint::spin_loop();
        }
        self.handled += 1;
    }

    fn handled(&mut self) -> u64 {
        self.handled
    }
}

/// How long this thread has run: what the system gives to others in between does not count.
fn ran() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("it does not run backwards")
}

/// Ticks until `done`, and gives how often and by how much a tick came late at most, in time that
/// the thread has run: it does nothing else than to handle the flood.
async fn tick_until(mut done: impl FnMut() -> bool) -> (u32, Duration) {
    let (mut ticks, mut max) = (0, Duration::ZERO);
    while !done() {
        let (began, had_run) = (Instant::now(), ran());
        tokio::time::sleep(PERIOD).await;
        let late = began.elapsed().min(ran() - had_run).saturating_sub(PERIOD);
        max = max.max(late);
        ticks += 1;
    }
    (ticks, max)
}

#[actors_core::test(flavor = "current_thread")]
async fn two_million_messages_let_timers_through() {
    const MESSAGES: u64 = 2_000_000;
    let flooded = SpawnOptions::new()
        .unbounded()
        .spawn(Flooded::default())
        .expect("it spawns");
    for _ in 0..MESSAGES {
        flooded.tell(Count { n: 1 }).expect("it is unbounded");
    }
    assert_eq!(flooded.mailbox_len() as u64, MESSAGES);
    let (ticks, slip) = tick_until(|| flooded.mailbox_len() == 0).await;
    println!("{ticks} ticks, the latest {slip:?} late");
    assert!(slip <= MAX_SLIP, "a tick came {slip:?} late");
    // Else the flood was over before a timer had to get through it.
    assert!(ticks >= 10, "{ticks} ticks");
    assert_eq!(flooded.handled().await.expect("it lives"), MESSAGES);
}

#[actors_core::test(flavor = "current_thread")]
async fn slow_handlers_let_timers_through() {
    const MESSAGES: u64 = 400;
    let flooded = Flooded::default().spawn();
    for n in 0..MESSAGES {
        let time = Duration::from_micros(500 + n * 7 % 500);
        flooded.tell(Spin { time }).expect("there is room");
    }
    let (ticks, slip) = tick_until(|| flooded.mailbox_len() == 0).await;
    println!("{ticks} ticks, the latest {slip:?} late");
    assert!(slip <= MAX_SLIP, "a tick came {slip:?} late");
    assert!(ticks >= 10, "{ticks} ticks");
    assert_eq!(flooded.handled().await.expect("it lives"), MESSAGES);
}
