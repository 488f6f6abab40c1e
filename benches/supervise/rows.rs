//! The rows of the table: what is measured, with which target.
use crate::kit::{Row, Target, each, on_worker, sum};
use actors_core::{
    Actor, Addr, Backoff, ChildOptions, Context, Handler, Intensity, Message, SpawnOptions,
    Supervisor, SupervisorOptions, handlers,
};
use std::time::{Duration, Instant};

const BOUNDED: &str = "1,024";
const NS: &str = "ns";

/// The same with all cores free and on one.
const fn at_most(ratio: f64) -> Target {
    Target::Ratio {
        free: ratio,
        pinned: ratio,
    }
}

pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "ask",
        title: "ask a child / a plain actor",
        mailbox: BOUNDED,
        unit: NS,
        target: at_most(1.05),
        count: 300_000,
        ours: |count| ask(count, Home::Supervised),
        reference: |count| ask(count, Home::Plain),
    },
    Row {
        name: "tell",
        title: "tell a child / a plain actor",
        mailbox: "unbounded",
        unit: NS,
        target: at_most(1.05),
        count: 4_000_000,
        ours: |count| tell(count, Home::Supervised),
        reference: |count| tell(count, Home::Plain),
    },
    Row {
        name: "restart",
        title: "panic to next reply / spawn and ask",
        mailbox: BOUNDED,
        unit: NS,
        target: at_most(3.0),
        count: 50_000,
        ours: |count| restart(count, || Panic),
        reference: spawn_and_ask,
    },
    // What of it is not ours: the language's unwinding, through no more than a few frames.
    Row {
        name: "panic",
        title: "a panic caught by hand / spawn and ask",
        mailbox: BOUNDED,
        unit: NS,
        target: Target::None,
        count: 50_000,
        ours: panic_by_hand,
        reference: spawn_and_ask,
    },
    Row {
        name: "restart-failed",
        title: "failure to next reply / spawn and ask",
        mailbox: BOUNDED,
        unit: NS,
        target: at_most(3.0),
        count: 50_000,
        ours: |count| restart(count, || Fail),
        reference: spawn_and_ask,
    },
    Row {
        name: "tree-10k",
        title: "start and stop 10,000 children / 1,000",
        mailbox: BOUNDED,
        unit: NS,
        target: at_most(1.3),
        count: 100_000,
        ours: |count| trees(count, 10_000),
        reference: |count| trees(count, 1_000),
    },
    Row {
        name: "tree-100k",
        title: "start and stop 100,000 children / 1,000",
        mailbox: BOUNDED,
        unit: NS,
        target: at_most(1.3),
        count: 100_000,
        ours: |count| trees(count, 100_000),
        reference: |count| trees(count, 1_000),
    },
    // The same without what the memory costs: as many actors live at a time on both sides.
    Row {
        name: "tree-of-100k",
        title: "100,000 children of one tree / of 100 trees",
        mailbox: BOUNDED,
        unit: NS,
        target: at_most(1.3),
        count: 100_000,
        ours: |count| trees_at_once(count, 100_000),
        reference: |count| trees_at_once(count, 1_000),
    },
];

#[derive(Actor, Default)]
struct Adder {
    total: u64,
}

#[handlers]
impl Adder {
    async fn add(&mut self, n: u64) -> u64 {
        self.total += n;
        self.total
    }

    async fn panic(&mut self) {
        panic!("as told");
    }

    async fn fail(&mut self, ctx: &mut Context<Self>) {
        ctx.fail("as told");
    }
}

#[derive(Clone, Copy)]
enum Home {
    Supervised,
    Plain,
}

impl Home {
    /// Starts an actor there. What is given with it keeps it alive.
    fn spawn(self, options: SpawnOptions) -> (Addr<Adder>, Option<Supervisor>) {
        match self {
            Self::Supervised => {
                let app = Supervisor::new("app");
                let options = ChildOptions::new().spawn(options);
                (app.child_with("adder", options, Adder::default), Some(app))
            }
            Self::Plain => {
                let adder = options.spawn(Adder::default()).expect("a runtime");
                (adder, None)
            }
        }
    }
}

fn ask(count: u64, home: Home) -> f64 {
    on_worker(async move {
        let (addr, _app) = home.spawn(SpawnOptions::new());
        addr.add(0).await.expect("it runs");
        let start = Instant::now();
        let mut total = 0;
        for n in 0..count {
            total = addr.ask(Add { n }).await.expect("it runs");
        }
        let each = each(start, count);
        assert_eq!(total, sum(count));
        each
    })
}

fn tell(count: u64, home: Home) -> f64 {
    const LAPS: u64 = 4;
    on_worker(async move {
        let (addr, _app) = home.spawn(SpawnOptions::new().unbounded());
        addr.add(0).await.expect("it runs");
        let start = Instant::now();
        let mut total = 0;
        for _ in 0..LAPS {
            for n in 0..count / LAPS {
                addr.tell(Add { n }).expect("it runs");
            }
            total = addr.add(0).await.expect("it runs");
        }
        let each = each(start, count);
        assert_eq!(total, LAPS * sum(count / LAPS));
        each
    })
}

/// Makes an actor fail again and again by this message, and asks it each time.
fn restart<M: Message>(count: u64, fault: fn() -> M) -> f64
where
    Adder: Handler<M>,
{
    // To write about each would be all that is measured.
    std::panic::set_hook(Box::new(|_| {}));
    on_worker(async move {
        let options = SupervisorOptions::new().backoff(Backoff::NONE);
        let options = options.intensity(Intensity::UNLIMITED);
        let app = options.start("app").expect("a runtime");
        let addr = app.child("adder", Adder::default);
        addr.add(1).await.expect("it runs");
        let start = Instant::now();
        let mut total = 0;
        for n in 0..count {
            addr.tell(fault()).expect("there is room");
            total += addr.add(n).await.expect("it is made anew");
        }
        let each = each(start, count);
        // Each began with nothing.
        assert_eq!(total, sum(count));
        each
    })
}

fn panic_by_hand(count: u64) -> f64 {
    std::panic::set_hook(Box::new(|_| {}));
    let start = Instant::now();
    let mut caught = 0;
    for n in 0..count {
        let result = std::panic::catch_unwind(|| {
            if std::hint::black_box(n) < u64::MAX {
                panic!("as told");
            }
        });
        caught += u64::from(result.is_err());
    }
    let each = each(start, count);
    assert_eq!(caught, count);
    each
}

fn spawn_and_ask(count: u64) -> f64 {
    on_worker(async move {
        let start = Instant::now();
        let mut total = 0;
        for n in 0..count {
            let addr = Adder::default().spawn();
            total += addr.add(n).await.expect("it runs");
        }
        let each = each(start, count);
        assert_eq!(total, sum(count));
        each
    })
}

/// Starts and stops trees of this size one after the other, until so many actors have lived.
fn trees(count: u64, size: u64) -> f64 {
    on_worker(async move {
        let start = Instant::now();
        let trees = (count / size).max(1);
        for _ in 0..trees {
            grow_and_fell(1, size).await;
        }
        each(start, trees * size)
    })
}

/// The same with all trees at a time.
fn trees_at_once(count: u64, size: u64) -> f64 {
    on_worker(async move {
        let start = Instant::now();
        let trees = (count / size).max(1);
        grow_and_fell(trees, size).await;
        each(start, trees * size)
    })
}

async fn grow_and_fell(trees: u64, size: u64) {
    const LONG: Duration = Duration::from_secs(600);
    let mut grown = Vec::new();
    for _ in 0..trees {
        let app = Supervisor::new("app");
        for n in 0..size {
            app.child(format!("adder-{n}"), Adder::default);
        }
        grown.push(app);
    }
    for app in &grown {
        app.ready().await.expect("all start");
    }
    for app in &grown {
        let report = app.shutdown(LONG).await;
        assert!(report.is_clean(), "{report:?}");
    }
}
