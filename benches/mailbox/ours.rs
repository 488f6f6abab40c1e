//! Our side: actors as a user writes them.
use crate::side::{LIMIT, Mortal, Ring, Side};
use actors_core::{Actor, Addr, SpawnOptions, handlers};
use tokio::sync::oneshot;

/// The default mailbox, which holds 1,024 messages.
pub(crate) struct Bounded;

/// The same, whose handlers of asks may run on the asker's thread.
pub(crate) struct Inline;

/// The same, and each asker gives up after [`LIMIT`](crate::side::LIMIT).
pub(crate) struct Limited;

/// A mailbox without a bound.
pub(crate) struct Unbounded;

#[derive(Actor, Default)]
pub(crate) struct Adder {
    total: u64,
}

#[handlers]
impl Adder {
    async fn add(&mut self, n: u64) -> u64 {
        self.total += n;
        self.total
    }

    #[inline_ask]
    async fn add_inline(&mut self, n: u64) -> u64 {
        self.total += n;
        self.total
    }
}

impl Side for Bounded {
    type Addr = Addr<Adder>;

    fn spawn() -> Self::Addr {
        Adder::default().spawn()
    }

    async fn ask(addr: &Self::Addr, n: u64) -> u64 {
        addr.ask(Add { n }).await.expect("it runs")
    }

    async fn tell(addr: &Self::Addr, n: u64) {
        addr.send(Add { n }).await.expect("it runs");
    }
}

impl Side for Inline {
    type Addr = Addr<Adder>;

    fn spawn() -> Self::Addr {
        Bounded::spawn()
    }

    async fn ask(addr: &Self::Addr, n: u64) -> u64 {
        addr.ask(AddInline { n }).await.expect("it runs")
    }

    async fn tell(addr: &Self::Addr, n: u64) {
        Bounded::tell(addr, n).await;
    }
}

impl Side for Limited {
    type Addr = Addr<Adder>;

    fn spawn() -> Self::Addr {
        Bounded::spawn()
    }

    async fn ask(addr: &Self::Addr, n: u64) -> u64 {
        addr.ask(Add { n }).timeout(LIMIT).await.expect("it runs")
    }

    async fn tell(addr: &Self::Addr, n: u64) {
        Bounded::tell(addr, n).await;
    }
}

impl Side for Unbounded {
    type Addr = Addr<Adder>;

    fn spawn() -> Self::Addr {
        let options = SpawnOptions::new().unbounded();
        options.spawn(Adder::default()).expect("a runtime")
    }

    async fn ask(addr: &Self::Addr, n: u64) -> u64 {
        addr.ask(Add { n }).await.expect("it runs")
    }

    async fn tell(addr: &Self::Addr, n: u64) {
        addr.tell(Add { n }).expect("it runs");
    }
}

impl Mortal for Bounded {
    async fn live_once(n: u64) -> u64 {
        let addr = Self::spawn();
        let total = Self::ask(&addr, n).await;
        addr.stop();
        addr.stopped().await;
        total
    }
}

/// An actor in a ring.
#[derive(Actor, Default)]
pub(crate) struct Node {
    passed: u64,
    next: Option<Addr<Self>>,
    over: Option<oneshot::Sender<()>>,
}

#[handlers]
impl Node {
    async fn pass(&mut self, left: u64) {
        self.passed += 1;
        if left > 0 {
            let next = self.next.as_ref().expect("it is in the ring");
            next.tell(Pass { left: left - 1 }).expect("it runs");
        } else if let Some(over) = self.over.take() {
            over.send(()).expect("somebody waits for the end");
        }
    }

    async fn passed(&mut self) -> u64 {
        self.passed
    }

    async fn join(&mut self, next: Addr<Self>) {
        self.next = Some(next);
    }
}

impl Ring for Unbounded {
    type Addr = Addr<Node>;

    async fn ring(len: usize, over: oneshot::Sender<()>) -> Vec<Self::Addr> {
        let mut over = Some(over);
        let node = |_| {
            let over = over.take();
            let node = Node {
                over,
                ..Node::default()
            };
            SpawnOptions::new()
                .unbounded()
                .spawn(node)
                .expect("a runtime")
        };
        let nodes: Vec<_> = (0..len).map(node).collect();
        for (at, node) in nodes.iter().enumerate() {
            let next = nodes[(at + 1) % len].clone();
            node.ask(Join { next }).await.expect("it runs");
        }
        nodes
    }

    fn pass(addr: &Self::Addr, left: u64) {
        addr.tell(Pass { left }).expect("it runs");
    }

    async fn passed(addr: &Self::Addr) -> u64 {
        addr.ask(Passed).await.expect("it runs")
    }
}
