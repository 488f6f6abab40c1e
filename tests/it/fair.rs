//! P9: a flooded actor does not keep the timers of its thread waiting, nor does who floods it keep it
//! from the other threads.
use actors_core::{Actor, Addr, SpawnOptions, handlers};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(1);
const MAX_SLIP: Duration = Duration::from_millis(5);

/// How long the actor has worked, as it counts itself.
///
/// A gap between two messages counts up to a limit: what is longer the system gave to others, which
/// no framework can prevent.
#[derive(Clone, Default)]
struct Worked(Arc<AtomicU64>);

impl Worked {
    fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn add(&self, gap: Duration) {
        self.0.fetch_add(gap.as_nanos() as u64, Ordering::Relaxed);
    }
}

#[derive(Actor)]
struct Flooded {
    worked: Worked,
    last: Instant,
    handled: u64,
}

#[handlers]
impl Flooded {
    /// Is busy for this long.
    fn spin(&mut self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            std::hint::spin_loop();
        }
        let longest = 2 * time + Duration::from_micros(50);
        self.worked.add(self.last.elapsed().min(longest));
        self.last = Instant::now();
        self.handled += 1;
    }

    fn handled(&mut self) -> u64 {
        self.handled
    }
}

/// Floods an actor with such messages, and gives how often a timer ticked meanwhile and by how much
/// a tick came late at most, in time that the actor has worked.
async fn flood(messages: u64, time: impl Fn(u64) -> Duration) -> (u32, Duration) {
    let worked = Worked::default();
    let flooded = Flooded {
        worked: worked.clone(),
        last: Instant::now(),
        handled: 0,
    };
    let flooded = SpawnOptions::new()
        .unbounded()
        .spawn(flooded)
        .expect("it spawns");
    for n in 0..messages {
        flooded
            .tell(Spin { time: time(n) })
            .expect("it is unbounded");
    }
    assert_eq!(flooded.mailbox_len() as u64, messages);
    let (mut ticks, mut max) = (0, Duration::ZERO);
    while flooded.mailbox_len() > 0 {
        let (began, had_worked) = (Instant::now(), worked.get());
        tokio::time::sleep(PERIOD).await;
        let late = began
            .elapsed()
            .min(worked.get() - had_worked)
            .saturating_sub(PERIOD);
        max = max.max(late);
        ticks += 1;
    }
    assert_eq!(flooded.handled().await.expect("it lives"), messages);
    println!("{ticks} ticks, the latest {max:?} late");
    (ticks, max)
}

#[actors_core::test(flavor = "current_thread")]
async fn two_million_messages_let_timers_through() {
    let (ticks, slip) = flood(2_000_000, |_| Duration::ZERO).await;
    assert!(slip <= MAX_SLIP, "a tick came {slip:?} late");
    // Else the flood was over before a timer had to get through it.
    assert!(ticks >= 10, "{ticks} ticks");
}

#[actors_core::test(flavor = "current_thread")]
async fn slow_handlers_let_timers_through() {
    let (ticks, slip) = flood(400, |n| Duration::from_micros(500 + n * 7 % 500)).await;
    assert!(slip <= MAX_SLIP, "a tick came {slip:?} late");
    assert!(ticks >= 10, "{ticks} ticks");
}

/// So many may wait until others are let have it.
const FEW: u64 = 1_024;

#[derive(Actor)]
struct Counts {
    handled: u64,
    /// Learns of each.
    seen: mpsc::Sender<u64>,
}

#[handlers]
impl Counts {
    fn count(&mut self) -> u64 {
        self.handled += 1;
        self.seen.send(self.handled).expect("the sender looks");
        self.handled
    }
}

/// One that has handled a message, mostly on this thread, and then mostly sleeps.
async fn asleep() -> (Addr<Counts>, mpsc::Receiver<u64>) {
    let (seen, sees) = mpsc::channel();
    let options = SpawnOptions::new().unbounded();
    let counts = options
        .spawn(Counts { handled: 0, seen })
        .expect("it spawns");
    assert_eq!(counts.count().await.expect("it lives"), 1);
    (counts, sees)
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_never_pauses_leaves_its_receiver_to_other_threads() {
    const FLOOD: u64 = 20_000;
    let floods = tokio::spawn(async {
        let (counts, sees) = asleep().await;
        for _ in 0..FLOOD {
            counts.tell(Count).expect("it is unbounded");
        }
        // This thread is not given back until then.
        let in_time = Duration::from_secs(60);
        let others_run = (0..=FLOOD - FEW).all(|n| sees.recv_timeout(in_time) == Ok(n + 1));
        assert!(others_run, "nobody else has handled it");
        assert_eq!(counts.count().await.expect("it lives"), FLOOD + 2);
    });
    floods.await.expect("it ends");
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_that_never_pause_leave_their_receiver_to_other_threads() {
    const FLOOD: u64 = 40_000;
    /// What another one sends.
    const OTHERS: u64 = 2_000;
    let floods = tokio::spawn(async {
        let (counts, sees) = asleep().await;
        // Mostly this wakes it. The messages pile up by one who cannot give it away.
        counts.tell(Count).expect("it is unbounded");
        let other = counts.clone();
        let others = std::thread::spawn(move || {
            for _ in 0..OTHERS {
                other.tell(Count).expect("it is unbounded");
            }
        });
        others.join().expect("it sends");
        for _ in 0..FLOOD {
            counts.tell(Count).expect("it is unbounded");
        }
        let all = FLOOD + OTHERS + 2;
        let in_time = Duration::from_secs(60);
        let others_run = (0..all - 2 * FEW).all(|n| sees.recv_timeout(in_time) == Ok(n + 1));
        assert!(others_run, "nobody else has handled it");
        assert_eq!(counts.count().await.expect("it lives"), all + 1);
    });
    floods.await.expect("it ends");
}
