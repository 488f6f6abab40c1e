//! The rows of the tables: what is measured, and how much of it.
use crate::peer::{Mailbox, Peer};
use crate::{asks, growth, latency, lives, rings, savina, tells};

/// One row, or several that are measured together.
#[derive(Debug)]
pub struct Row {
    /// What the command line calls it.
    pub name: &'static str,
    /// What the tables call it.
    pub title: &'static str,
    /// Of its values.
    pub unit: &'static str,
    /// What its values are, where there are several.
    pub parts: &'static [&'static str],
    /// What its cost grows with, if that is what it shows.
    pub against: &'static str,
    /// How much of that there is, point by point.
    pub sizes: &'static [u64],
    load: Load,
}

#[derive(Debug)]
enum Load {
    Ask(u64, Mailbox),
    AskLarge(u64, usize),
    AskWithinLimit(u64),
    AskAtOnce(u64, u64),
    AskAcross(u64),
    Tell(u64, u64, Mailbox),
    TellLarge(u64, usize),
    LiveOnce(u64),
    Idle(u64),
    Ring(u64, usize),
    Latency(u64),
    Savina(savina::Load),
    AskActors(u64),
    TellActors(u64),
    AskQueue(u64),
    TellQueue(u64),
    AskSenders(u64),
    TellSenders(u64),
    AskSize(u64),
    TellSize(u64),
}

use Load::{
    Ask, AskAcross, AskActors, AskAtOnce, AskLarge, AskQueue, AskSenders, AskSize, AskWithinLimit,
    Idle, Latency, LiveOnce, Ring, Savina, Tell, TellActors, TellLarge, TellQueue, TellSenders,
    TellSize,
};
use Mailbox::{Bounded, Unbounded};
use tells::LAPS;

/// All rows, in the tables' order.
pub static ROWS: &[Row] = &[
    row(
        "ask-unbounded",
        "ask in sequence, unbounded",
        "ns",
        Ask(200_000, Unbounded),
    ),
    row(
        "ask-bounded",
        "ask in sequence, bounded",
        "ns",
        Ask(200_000, Bounded),
    ),
    row(
        "ask-limited",
        "ask in sequence, with a timeout",
        "ns",
        AskWithinLimit(200_000),
    ),
    row(
        "ask-1000",
        "1,000 asks in flight",
        "ns",
        AskAtOnce(500_000, 1000),
    ),
    row(
        "ask-64x64",
        "64 callers x 64 actors",
        "ns",
        AskAcross(500_000),
    ),
    row(
        "tell-1",
        "tell, 1 producer, unbounded",
        "ns",
        Tell(2_000_000, 1, Unbounded),
    ),
    row(
        "tell-8",
        "tell, 8 producers, unbounded",
        "ns",
        Tell(2_000_000, 8, Unbounded),
    ),
    row(
        "tell-1-bounded",
        "tell, 1 producer, bounded",
        "ns",
        Tell(2_000_000, 1, Bounded),
    ),
    row(
        "tell-8-bounded",
        "tell, 8 producers, bounded",
        "ns",
        Tell(2_000_000, 8, Bounded),
    ),
    row("live-once", "spawn, ask, stop", "ns", LiveOnce(100_000)),
    row("ring", "thread ring of 100", "ns", Ring(1_000_000, 100)),
    row("ping-pong", "ping-pong", "ns", Ring(1_000_000, 2)),
    row(
        "idle",
        "bytes per idle actor of 1,000,000",
        "B",
        Idle(1_000_000),
    ),
    row(
        "counting",
        "Savina: counting",
        "ms",
        Savina(savina::Load::Counting),
    ),
    row(
        "fork-join",
        "Savina: fork-join create",
        "ms",
        Savina(savina::Load::ForkJoin),
    ),
    row(
        "buffer",
        "Savina: bounded buffer",
        "ms",
        Savina(savina::Load::Buffer),
    ),
    row(
        "dictionary",
        "Savina: concurrent dictionary",
        "ms",
        Savina(savina::Load::Dictionary),
    ),
    row(
        "philosophers",
        "Savina: philosophers",
        "ms",
        Savina(savina::Load::Philosophers),
    ),
    row("sieve", "Savina: sieve", "ms", Savina(savina::Load::Sieve)),
    row(
        "quicksort",
        "Savina: quicksort",
        "ms",
        Savina(savina::Load::Quicksort),
    ),
    row(
        "queens",
        "Savina: n-queens",
        "ms",
        Savina(savina::Load::Queens),
    ),
    row("tell-64B", "tell 64 bytes", "ns", TellLarge(1_000_000, 64)),
    row(
        "tell-1024B",
        "tell 1,024 bytes",
        "ns",
        TellLarge(200_000, 1024),
    ),
    row("ask-64B", "ask with 64 bytes", "ns", AskLarge(200_000, 64)),
    row(
        "ask-1024B",
        "ask with 1,024 bytes",
        "ns",
        AskLarge(200_000, 1024),
    ),
    row("latency-10k", "latency at 10,000/s", "us", Latency(10_000)).of_quantiles(),
    row(
        "latency-100k",
        "latency at 100,000/s",
        "us",
        Latency(100_000),
    )
    .of_quantiles(),
    row(
        "latency-500k",
        "latency at 500,000/s",
        "us",
        Latency(500_000),
    )
    .of_quantiles(),
];

const POWERS: &[u64] = &[1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
const SENDERS: &[u64] = &[1, 2, 4, 8, 16, 32, 64];
const SIZES: &[u64] = &[8, 64, 256, 1_024, 4_096];

/// How cost grows: rows of several points, each of another size.
pub static GROWTH: &[Row] = &[
    row(
        "ask-actors",
        "ask, by the number of actors",
        "ns",
        AskActors(500_000),
    )
    .against("actors", POWERS),
    row(
        "tell-actors",
        "tell, by the number of actors",
        "ns",
        TellActors(1_000_000),
    )
    .against("actors", POWERS),
    row(
        "ask-queue",
        "ask, by the length of the queue",
        "ns",
        AskQueue(1_000_000),
    )
    .against("asks in flight", POWERS),
    row(
        "tell-queue",
        "tell, by the length of the queue",
        "ns",
        TellQueue(4_000_000),
    )
    .against("messages that wait", POWERS),
    row(
        "ask-senders",
        "ask, by the number of senders",
        "ns",
        AskSenders(500_000),
    )
    .against("senders", SENDERS),
    row(
        "tell-senders",
        "tell, by the number of senders",
        "ns",
        TellSenders(1_000_000),
    )
    .against("senders", SENDERS),
    row(
        "ask-size",
        "ask, by the size of the message",
        "ns",
        AskSize(200_000),
    )
    .against("bytes", SIZES),
    row(
        "tell-size",
        "tell, by the size of the message",
        "ns",
        TellSize(400_000),
    )
    .against("bytes", SIZES),
];

const fn row(name: &'static str, title: &'static str, unit: &'static str, load: Load) -> Row {
    Row {
        name,
        title,
        unit,
        parts: &[""],
        against: "",
        sizes: &[],
        load,
    }
}

impl Row {
    const fn of_quantiles(mut self) -> Self {
        self.parts = &["p50", "p99", "p99.9"];
        self
    }

    const fn against(mut self, what: &'static str, sizes: &'static [u64]) -> Self {
        self.against = what;
        self.sizes = sizes;
        self
    }

    /// Whether it can be measured at this size; 0 where it has none.
    pub(crate) fn takes(&self, size: u64) -> bool {
        match self.sizes {
            [] => size == 0,
            sizes => sizes.contains(&size),
        }
    }

    /// Measures, at this size where it has several; `None`: this peer cannot do it.
    pub(crate) fn point<P: Peer>(&self, share: f64, size: u64) -> Option<Vec<f64>> {
        let part = |count: u64| ((count as f64 * share) as u64).max(1_000);
        let value = match self.load {
            Ask(_, Bounded) | Tell(_, _, Bounded) if !P::BOUNDED => return None,
            Ask(count, mailbox) => asks::in_sequence::<P, 1>(part(count), mailbox),
            AskLarge(count, 64) => asks::in_sequence::<P, 8>(part(count), Unbounded),
            AskLarge(count, _) => asks::in_sequence::<P, 128>(part(count), Unbounded),
            AskWithinLimit(count) => asks::within_limit::<P>(part(count)),
            AskAtOnce(count, askers) => asks::at_once::<P>(part(count), askers),
            AskAcross(count) => asks::across::<P>(part(count)),
            Tell(count, producers, mailbox) => {
                tells::tell::<P, 1>(part(count), LAPS, producers, mailbox)
            }
            TellLarge(count, 64) => tells::tell::<P, 8>(part(count), LAPS, 1, Unbounded),
            TellLarge(count, _) => tells::tell::<P, 128>(part(count), LAPS, 1, Unbounded),
            LiveOnce(count) => lives::live_once::<P>(part(count)),
            Idle(count) => lives::idle::<P>(part(count)),
            Ring(hops, len) => rings::ring::<P>(part(hops), len),
            Latency(rate) => return Some(latency::latency::<P>(rate, share)),
            AskActors(count) => growth::ask_actors::<P>(part(count), size),
            TellActors(count) => growth::tell_actors::<P>(part(count), size),
            AskQueue(count) => growth::ask_queue::<P>(part(count), size),
            TellQueue(count) => growth::tell_queue::<P>(part(count), size),
            AskSenders(count) => asks::at_once::<P>(part(count), size),
            TellSenders(count) => tells::tell::<P, 1>(part(count), LAPS, size, Unbounded),
            AskSize(count) => growth::ask_size::<P>(part(count), size),
            TellSize(count) => growth::tell_size::<P>(part(count), size),
            Savina(load) => return savina::point::<P>(load, share).map(|value| vec![value]),
        };
        Some(vec![value])
    }
}
