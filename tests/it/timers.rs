//! P15: timers tick when they should, and end with their actor.
use crate::gate::Gate;
use actors_core::{Actor, Addr, Context, SpawnOptions, Timer, handlers};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Notes when its ticks come.
struct Clock {
    began: Instant,
    ticks: Vec<u64>,
    /// The same, for who looks after its end.
    count: Arc<AtomicU32>,
}

impl Actor for Clock {}

impl Clock {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            ticks: Vec::new(),
            count: Arc::default(),
        }
    }
}

#[handlers]
impl Clock {
    /// What the timer sends. Takes its time for it.
    async fn tick(&mut self, busy: Duration) {
        let at = self.began.elapsed().as_millis();
        self.ticks.push(u64::try_from(at).expect("a short test"));
        self.count.fetch_add(1, Ordering::Relaxed);
        sleep(busy).await;
    }

    /// A tick that lasts until its timer is cancelled.
    async fn endless_tick(&mut self, gate: Gate, ctx: &mut Context<Self>) {
        gate.pass().await;
        ctx.cancelled().await;
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn after(&mut self, delay: Duration, ctx: &mut Context<Self>) -> Timer {
        ctx.notify_after(delay, Tick { busy: ms(0) })
    }

    fn every(&mut self, period: Duration, busy: Duration, ctx: &mut Context<Self>) -> Timer {
        ctx.notify_every(period, move || Tick { busy })
    }

    fn endless(&mut self, gate: Gate, ctx: &mut Context<Self>) -> Timer {
        ctx.notify_after(ms(10), EndlessTick { gate })
    }

    async fn hold(&mut self, gate: Gate) {
        gate.pass().await;
    }

    fn ticks(&mut self) -> Vec<u64> {
        self.ticks.clone()
    }

    fn idle_limit(&mut self, limit: Option<Duration>, ctx: &mut Context<Self>) {
        ctx.set_idle_timeout(limit);
    }
}

#[actors_core::test(start_paused = true)]
async fn notify_after_ticks_once_and_in_time() {
    let clock = Clock::new().spawn();
    let timer = clock.after(ms(250)).await.expect("it lives");
    sleep(ms(249)).await;
    assert!(clock.ticks().await.expect("it lives").is_empty());
    assert!(!timer.is_finished());
    sleep(HOUR).await;
    assert_eq!(clock.ticks().await.expect("it lives"), [250]);
    assert!(timer.is_finished());
}

#[actors_core::test(start_paused = true)]
async fn notify_every_keeps_its_period() {
    let clock = Clock::new().spawn();
    // Handling takes time, and does not shift the next tick.
    clock.every(ms(100), ms(60)).await.expect("it lives");
    sleep(ms(1050)).await;
    let hundreds: Vec<u64> = (1..=10).map(|n| n * 100).collect();
    assert_eq!(clock.ticks().await.expect("it lives"), hundreds);
}

#[actors_core::test(start_paused = true)]
async fn ticks_of_a_busy_actor_are_left_out() {
    let clock = Clock::new().spawn();
    // A tick at 100 keeps it busy until 450; 200, 300 and 400 are left out.
    clock.every(ms(100), ms(350)).await.expect("it lives");
    sleep_until(Instant::now() + ms(1400)).await;
    assert_eq!(
        clock.ticks().await.expect("it lives"),
        [100, 500, 900, 1300]
    );
}

#[actors_core::test(start_paused = true)]
async fn at_most_one_tick_waits() {
    // Full, since a tick never fails for lack of room.
    let clock = SpawnOptions::new()
        .capacity(1)
        .spawn(Clock::new())
        .expect("it starts");
    clock.every(ms(100), ms(0)).await.expect("it lives");
    let gate = Gate::default();
    clock
        .tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    sleep(ms(950)).await;
    assert_eq!(
        clock.mailbox_len(),
        2,
        "the handler that runs, and one tick"
    );
    gate.open();
    sleep(ms(100)).await;
    assert_eq!(clock.ticks().await.expect("it lives"), [950, 1000]);
}

#[actors_core::test(start_paused = true)]
async fn cancel_withdraws_a_tick_that_waits() {
    let clock = Clock::new().spawn();
    let timer = clock.every(ms(100), ms(0)).await.expect("it lives");
    let gate = Gate::default();
    clock
        .tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    sleep(ms(150)).await;
    assert_eq!(clock.mailbox_len(), 2);
    timer.cancel();
    // The timer's task ends when the runtime gets to it.
    tokio::task::yield_now().await;
    assert!(timer.is_finished());
    gate.open();
    sleep(HOUR).await;
    assert!(clock.ticks().await.expect("it lives").is_empty());
    assert_eq!(clock.mailbox_stats().withdrawn, 1);
}

#[actors_core::test(start_paused = true)]
async fn cancel_tells_a_tick_that_runs() {
    let clock = Clock::new();
    let count = Arc::clone(&clock.count);
    let clock = clock.spawn();
    let gate = Gate::default();
    let timer = clock.endless(gate.clone()).await.expect("it lives");
    gate.reached().await;
    gate.open();
    timer.cancel();
    clock.ticks().await.expect("the tick has ended");
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

async fn no_tick_after(end: impl FnOnce(&Addr<Clock>)) {
    let clock = Clock::new();
    let count = Arc::clone(&clock.count);
    let clock = clock.spawn();
    let once = clock.after(ms(300)).await.expect("it lives");
    let often = clock.every(ms(100), ms(0)).await.expect("it lives");
    sleep(ms(250)).await;
    assert_eq!(count.load(Ordering::Relaxed), 2);
    end(&clock);
    clock.stopped().await;
    sleep(HOUR).await;
    assert_eq!(count.load(Ordering::Relaxed), 2);
    assert!(once.is_finished() && often.is_finished());
    assert_eq!(clock.mailbox_stats().accepted, 4, "two asks and two ticks");
}

#[actors_core::test(start_paused = true)]
async fn no_tick_comes_after_stop() {
    no_tick_after(|clock| clock.stop()).await;
}

#[actors_core::test(start_paused = true)]
async fn no_tick_comes_after_kill() {
    no_tick_after(|clock| clock.kill()).await;
}

#[actors_core::test(start_paused = true)]
async fn ticks_that_wait_are_handled_before_a_stop() {
    let clock = Clock::new();
    let count = Arc::clone(&clock.count);
    let clock = clock.spawn();
    clock.every(ms(100), ms(0)).await.expect("it lives");
    let gate = Gate::default();
    clock
        .tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    sleep(ms(150)).await;
    clock.stop();
    gate.open();
    assert!(clock.stopped().await.is_normal());
    assert_eq!(count.load(Ordering::Relaxed), 1, "it was accepted before");
}

#[actors_core::test(start_paused = true)]
async fn idle_actor_stops_in_time() {
    let began = Instant::now();
    let clock = SpawnOptions::new()
        .idle_timeout(ms(1000))
        .spawn(Clock::new());
    let clock = clock.expect("it starts");
    sleep(ms(800)).await;
    clock.ticks().await.expect("it lives");
    sleep(ms(900)).await;
    // Being busy is not being idle.
    clock.ask(Tick { busy: HOUR }).await.expect("it lives");
    let handled = began.elapsed();
    assert!(clock.stopped().await.is_normal());
    let waited = began.elapsed() - handled;
    assert!(waited >= ms(1000) && waited < ms(1005), "{waited:?}");
}

#[actors_core::test(start_paused = true)]
async fn idle_timeout_can_be_taken_back() {
    let clock = SpawnOptions::new()
        .idle_timeout(ms(1000))
        .spawn(Clock::new());
    let clock = clock.expect("it starts");
    clock.idle_limit(None).await.expect("it lives");
    timeout(HOUR, clock.stopped())
        .await
        .expect_err("it has no limit");
    clock.idle_limit(Some(ms(50))).await.expect("it lives");
    timeout(ms(55), clock.stopped())
        .await
        .expect("it has one again");
}

#[actors_core::test(start_paused = true)]
async fn a_timer_may_be_as_late_as_one_wants() {
    let clock = Clock::new().spawn();
    clock.after(Duration::MAX).await.expect("it lives");
    clock.every(Duration::MAX, ms(0)).await.expect("it lives");
    sleep(HOUR).await;
    assert!(clock.ticks().await.expect("it lives").is_empty());
    clock.kill();
}

/// Whose timer makes nothing.
#[derive(Actor)]
struct Broken;

#[handlers]
impl Broken {
    fn tick_now(&mut self) {}

    fn start(&mut self, ctx: &mut Context<Self>) {
        ctx.notify_every(ms(1), || -> TickNow { panic!("it makes none") });
    }
}

#[actors_core::test(start_paused = true)]
async fn a_panic_of_what_makes_ticks_is_told() {
    let mut heard = actors_core::events();
    let broken = Broken.spawn();
    broken.start().await.expect("it lives");
    loop {
        let event = timeout(HOUR, heard.recv()).await.expect("it is told");
        if let actors_core::Event::TaskPanicked { actor, panic, .. } = event {
            if actor.id() == broken.id() {
                assert_eq!(&*panic, "it makes none");
                break;
            }
        }
    }
    broken.tick_now().await.expect("it lives on");
}
