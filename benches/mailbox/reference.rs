//! The reference: a tokio task that owns the state and the receiving end of a channel, with a
//! `oneshot` for the reply, as the tokio tutorial shows it.
use crate::side::{LIMIT, Mortal, Ring, Side};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// A channel for as many messages as our default mailbox.
pub(crate) struct Bounded;

/// The same, and each asker gives up after [`LIMIT`](crate::side::LIMIT).
pub(crate) struct Limited;

/// A channel without a bound.
pub(crate) struct Unbounded;

const CAPACITY: usize = 1024;

pub(crate) enum Msg {
    Tell(u64),
    Ask { n: u64, reply: oneshot::Sender<u64> },
}

#[derive(Default)]
struct Adder {
    total: u64,
}

impl Adder {
    fn handle(&mut self, msg: Msg) {
        match msg {
            Msg::Tell(n) => self.total += n,
            Msg::Ask { n, reply } => {
                self.total += n;
                // The asker may have gone.
                let _ = reply.send(self.total);
            }
        }
    }
}

impl Bounded {
    fn start() -> (mpsc::Sender<Msg>, JoinHandle<()>) {
        let (tx, mut rx) = mpsc::channel(CAPACITY);
        let task = tokio::spawn(async move {
            let mut adder = Adder::default();
            while let Some(msg) = rx.recv().await {
                adder.handle(msg);
            }
        });
        (tx, task)
    }
}

impl Side for Bounded {
    type Addr = mpsc::Sender<Msg>;

    fn spawn() -> Self::Addr {
        Self::start().0
    }

    async fn ask(addr: &Self::Addr, n: u64) -> u64 {
        let (reply, answer) = oneshot::channel();
        let sent = addr.send(Msg::Ask { n, reply }).await;
        sent.expect("it runs");
        answer.await.expect("it answers")
    }

    async fn tell(addr: &Self::Addr, n: u64) {
        addr.send(Msg::Tell(n)).await.expect("it runs");
    }
}

impl Side for Limited {
    type Addr = mpsc::Sender<Msg>;

    fn spawn() -> Self::Addr {
        Bounded::spawn()
    }

    async fn ask(addr: &Self::Addr, n: u64) -> u64 {
        let answered = tokio::time::timeout(LIMIT, Bounded::ask(addr, n)).await;
        answered.expect("it answers in time")
    }

    async fn tell(addr: &Self::Addr, n: u64) {
        Bounded::tell(addr, n).await;
    }
}

impl Mortal for Bounded {
    async fn live_once(n: u64) -> u64 {
        let (addr, task) = Self::start();
        let total = Self::ask(&addr, n).await;
        drop(addr);
        task.await.expect("it ends");
        total
    }
}

impl Side for Unbounded {
    type Addr = mpsc::UnboundedSender<Msg>;

    fn spawn() -> Self::Addr {
        let (tx, mut rx) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut adder = Adder::default();
            while let Some(msg) = rx.recv().await {
                adder.handle(msg);
            }
        });
        tx
    }

    async fn ask(addr: &Self::Addr, n: u64) -> u64 {
        let (reply, answer) = oneshot::channel();
        addr.send(Msg::Ask { n, reply }).expect("it runs");
        answer.await.expect("it answers")
    }

    async fn tell(addr: &Self::Addr, n: u64) {
        addr.send(Msg::Tell(n)).expect("it runs");
    }
}

pub(crate) enum NodeMsg {
    Pass(u64),
    Passed(oneshot::Sender<u64>),
}

struct Node {
    passed: u64,
    next: mpsc::UnboundedSender<NodeMsg>,
    over: Option<oneshot::Sender<()>>,
}

impl Node {
    fn handle(&mut self, msg: NodeMsg) {
        match msg {
            NodeMsg::Pass(left) => {
                self.passed += 1;
                if left > 0 {
                    self.next.send(NodeMsg::Pass(left - 1)).expect("it runs");
                } else if let Some(over) = self.over.take() {
                    over.send(()).expect("somebody waits for the end");
                }
            }
            NodeMsg::Passed(reply) => {
                let _ = reply.send(self.passed);
            }
        }
    }
}

impl Ring for Unbounded {
    type Addr = mpsc::UnboundedSender<NodeMsg>;

    async fn ring(len: usize, over: oneshot::Sender<()>) -> Vec<Self::Addr> {
        let mut over = Some(over);
        let (txs, rxs): (Vec<_>, Vec<_>) = (0..len).map(|_| mpsc::unbounded_channel()).unzip();
        for (at, mut rx) in rxs.into_iter().enumerate() {
            let mut node = Node {
                passed: 0,
                next: txs[(at + 1) % len].clone(),
                over: over.take(),
            };
            tokio::spawn(async move {
                while let Some(msg) = rx.recv().await {
                    node.handle(msg);
                }
            });
        }
        txs
    }

    fn pass(addr: &Self::Addr, left: u64) {
        addr.send(NodeMsg::Pass(left)).expect("it runs");
    }

    async fn passed(addr: &Self::Addr) -> u64 {
        let (reply, answer) = oneshot::channel();
        addr.send(NodeMsg::Passed(reply)).expect("it runs");
        answer.await.expect("it answers")
    }
}
