//! The rows of the table: what is measured, with which target.
use crate::kit::{Row, Target, each, on_worker, sum};
use crate::side::{Mortal, Ring, Side};
use crate::{ours, reference};
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const BOUNDED: &str = "1,024";
const UNBOUNDED: &str = "unbounded";
const NS: &str = "ns";

pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "ask",
        title: "ask, one caller in sequence",
        mailbox: BOUNDED,
        unit: NS,
        target: Target::Ratio {
            free: 0.85,
            pinned: 0.40,
        },
        count: 300_000,
        ours: ask_in_sequence::<ours::Bounded>,
        reference: ask_in_sequence::<reference::Bounded>,
    },
    Row {
        name: "ask-1000",
        title: "1,000 asks in flight to one actor",
        mailbox: BOUNDED,
        unit: NS,
        target: Target::Ratio {
            free: 0.95,
            pinned: 0.50,
        },
        count: 1_000_000,
        ours: ask_at_once::<ours::Bounded>,
        reference: ask_at_once::<reference::Bounded>,
    },
    Row {
        name: "ask-64x64",
        title: "64 callers x 64 actors",
        mailbox: BOUNDED,
        unit: NS,
        target: Target::Ratio {
            free: 0.75,
            pinned: 0.75,
        },
        count: 1_000_000,
        ours: ask_across::<ours::Bounded>,
        reference: ask_across::<reference::Bounded>,
    },
    Row {
        name: "ask-limited",
        title: "ask with a timeout, one caller in sequence",
        mailbox: BOUNDED,
        unit: NS,
        target: Target::Ratio {
            free: 0.70,
            pinned: 0.85,
        },
        count: 300_000,
        ours: ask_in_sequence::<ours::Limited>,
        reference: ask_in_sequence::<reference::Limited>,
    },
    Row {
        name: "inline",
        title: "ask inline, one caller in sequence",
        mailbox: BOUNDED,
        unit: NS,
        target: Target::Ratio {
            free: 0.15,
            pinned: 0.15,
        },
        count: 1_000_000,
        ours: ask_in_sequence::<ours::Inline>,
        reference: ask_in_sequence::<reference::Bounded>,
    },
    Row {
        name: "inline-64x64",
        title: "inline, 64 callers x 64 actors",
        mailbox: BOUNDED,
        unit: NS,
        target: Target::Ratio {
            free: 0.75,
            pinned: 0.75,
        },
        count: 1_000_000,
        ours: ask_across::<ours::Inline>,
        reference: ask_across::<reference::Bounded>,
    },
    Row {
        name: "tell",
        title: "tell, 1 producer",
        mailbox: UNBOUNDED,
        unit: NS,
        target: Target::Ratio {
            free: 0.72,
            pinned: 0.60,
        },
        count: 4_000_000,
        ours: tell::<ours::Unbounded, 1>,
        reference: tell::<reference::Unbounded, 1>,
    },
    Row {
        name: "tell-bounded",
        title: "tell, 1 producer",
        mailbox: BOUNDED,
        unit: NS,
        target: Target::Ratio {
            free: 0.65,
            pinned: 0.40,
        },
        count: 4_000_000,
        ours: tell::<ours::Bounded, 1>,
        reference: tell::<reference::Bounded, 1>,
    },
    Row {
        name: "tell-8",
        title: "tell, 8 producers",
        mailbox: UNBOUNDED,
        unit: NS,
        target: Target::Ratio {
            free: 0.45,
            pinned: 0.10,
        },
        count: 4_000_000,
        ours: tell::<ours::Unbounded, 8>,
        reference: tell::<reference::Unbounded, 8>,
    },
    Row {
        name: "live-once",
        title: "spawn, one ask, stop",
        mailbox: BOUNDED,
        unit: NS,
        target: Target::Ratio {
            free: 0.60,
            pinned: 0.40,
        },
        count: 200_000,
        ours: live_once::<ours::Bounded>,
        reference: live_once::<reference::Bounded>,
    },
    Row {
        name: "ring",
        title: "ring of 100 actors",
        mailbox: UNBOUNDED,
        unit: NS,
        target: Target::Ratio {
            free: 0.90,
            pinned: 0.70,
        },
        count: 2_000_000,
        ours: ring::<ours::Unbounded>,
        reference: ring::<reference::Unbounded>,
    },
    Row {
        name: "idle",
        title: "bytes per idle actor at 1,000,000",
        mailbox: BOUNDED,
        unit: "B",
        target: Target::AtMost(900.0),
        count: 1_000_000,
        ours: idle::<ours::Bounded>,
        reference: idle::<reference::Bounded>,
    },
    Row {
        name: "slip",
        title: "1 ms timer next to 2,000,000 messages",
        mailbox: UNBOUNDED,
        unit: "ms",
        target: Target::AtMost(5.0),
        count: 2_000_000,
        ours: slip::<ours::Unbounded>,
        reference: slip::<reference::Unbounded>,
    },
];

fn ask_in_sequence<S: Side>(count: u64) -> f64 {
    on_worker(async move {
        let addr = S::spawn();
        let start = Instant::now();
        let mut total = 0;
        for n in 0..count {
            total = S::ask(&addr, n).await;
        }
        let each = each(start, count);
        assert_eq!(total, sum(count));
        each
    })
}

fn ask_at_once<S: Side>(count: u64) -> f64 {
    const ASKERS: u64 = 1000;
    let laps = count / ASKERS;
    on_worker(async move {
        let addr = S::spawn();
        let start = Instant::now();
        let mut askers = JoinSet::new();
        for _ in 0..ASKERS {
            let addr = addr.clone();
            askers.spawn(async move {
                for n in 0..laps {
                    S::ask(&addr, n).await;
                }
            });
        }
        askers.join_all().await;
        let each = each(start, laps * ASKERS);
        assert_eq!(S::ask(&addr, 0).await, ASKERS * sum(laps));
        each
    })
}

fn ask_across<S: Side>(count: u64) -> f64 {
    const CALLERS: usize = 64;
    const ACTORS: usize = 64;
    let asks = count / CALLERS as u64;
    on_worker(async move {
        let addrs: Vec<_> = (0..ACTORS).map(|_| S::spawn()).collect();
        let start = Instant::now();
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let addrs = addrs.clone();
            callers.spawn(async move {
                let others = addrs.iter().cycle().skip(caller);
                for (n, addr) in (0..asks).zip(others) {
                    S::ask(addr, n).await;
                }
            });
        }
        callers.join_all().await;
        let each = each(start, asks * CALLERS as u64);
        assert_eq!(total::<S>(&addrs).await, CALLERS as u64 * sum(asks));
        each
    })
}

fn tell<S: Side, const PRODUCERS: u64>(count: u64) -> f64 {
    const LAPS: u64 = 4;
    let tells = count / LAPS / PRODUCERS;
    on_worker(async move {
        let addr = S::spawn();
        let start = Instant::now();
        let mut total = 0;
        for _ in 0..LAPS {
            let mut producers = JoinSet::new();
            for _ in 0..PRODUCERS {
                let addr = addr.clone();
                producers.spawn(async move {
                    for n in 0..tells {
                        S::tell(&addr, n).await;
                    }
                });
            }
            producers.join_all().await;
            total = S::ask(&addr, 0).await;
        }
        let each = each(start, LAPS * PRODUCERS * tells);
        assert_eq!(total, LAPS * PRODUCERS * sum(tells));
        each
    })
}

fn live_once<S: Mortal>(count: u64) -> f64 {
    on_worker(async move {
        let start = Instant::now();
        let mut total = 0;
        for n in 0..count {
            total += S::live_once(n).await;
        }
        let each = each(start, count);
        assert_eq!(total, sum(count));
        each
    })
}

fn ring<S: Ring>(count: u64) -> f64 {
    const NODES: usize = 100;
    let hops = count / NODES as u64 * NODES as u64;
    on_worker(async move {
        let (over, is_over) = oneshot::channel();
        let nodes = S::ring(NODES, over).await;
        let start = Instant::now();
        S::pass(&nodes[0], hops);
        is_over.await.expect("the first actor reports");
        let each = each(start, hops);
        let mut passed = 0;
        for node in &nodes {
            passed += S::passed(node).await;
        }
        assert_eq!(passed, hops + 1);
        each
    })
}

fn idle<S: Side>(count: u64) -> f64 {
    on_worker(async move {
        // Whatever the first one needs, and does not need again.
        let first = S::spawn();
        S::ask(&first, 0).await;
        let before = resident_bytes();
        let addrs: Vec<_> = (0..count).map(|_| S::spawn()).collect();
        // They have all started when the last of the other worker's has.
        for addr in addrs.iter().rev().take(1000) {
            S::ask(addr, 0).await;
        }
        let bytes = resident_bytes().saturating_sub(before);
        assert_eq!(total::<S>(&addrs).await, 0);
        bytes as f64 / count as f64
    })
}

/// Returns by how many milliseconds a timer was late, at worst.
fn slip<S: Side>(count: u64) -> f64 {
    const DELAY: Duration = Duration::from_millis(1);
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async move {
        let addr = S::spawn();
        for n in 0..count {
            S::tell(&addr, n).await;
        }
        let asker = tokio::spawn(async move { S::ask(&addr, 0).await });
        let mut worst = Duration::ZERO;
        while !asker.is_finished() {
            let start = Instant::now();
            tokio::time::sleep(DELAY).await;
            worst = worst.max(start.elapsed().saturating_sub(DELAY));
        }
        assert_eq!(asker.await.expect("it has ended"), sum(count));
        worst.as_secs_f64() * 1e3
    })
}

async fn total<S: Side>(addrs: &[S::Addr]) -> u64 {
    let mut total = 0;
    for addr in addrs {
        total += S::ask(addr, 0).await;
    }
    total
}

/// What the process holds in memory.
fn resident_bytes() -> u64 {
    const FILE: &str = "/proc/self/status";
    let status = std::fs::read_to_string(FILE).unwrap_or_else(|error| panic!("{FILE}: {error}"));
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB"))
        .and_then(|kib| kib.trim().parse::<u64>().ok());
    kib.unwrap_or_else(|| panic!("{FILE} has no VmRSS")) * 1024
}
