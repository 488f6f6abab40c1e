//! Actors that handlers wake, and that are polled by a relay in place of their own tasks: everything
//! holds that holds otherwise. In a program of its own, as relays are used here wherever that is possible.
use actors_core::{
    Actor, Addr, AskError, Context, NoReplyReason, SpawnOptions, StopReason, handlers,
};
use std::sync::mpsc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task;

fn runtime() -> Runtime {
    actors_core::__private::relay_always();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap()
}

#[derive(Actor, Default)]
struct Node {
    next: Option<Addr<Self>>,
    passed: u64,
    /// How many of them in a task of another.
    elsewhere: u64,
    own: Option<task::Id>,
}

#[handlers]
impl Node {
    fn join(&mut self, next: Addr<Self>) {
        self.next = Some(next);
        // It was asked by one that is no actor: this is its own task.
        self.own = task::try_id();
    }

    /// Round and round, as often as that.
    fn pass(&mut self, left: u64, over: Option<oneshot::Sender<()>>) {
        self.passed += 1;
        if task::try_id() != self.own {
            self.elsewhere += 1;
        }
        match (left, &self.next, over) {
            (0, _, Some(over)) => drop(over.send(())),
            (0, ..) | (_, None, _) => {}
            (left, Some(next), over) => next
                .tell(Pass {
                    left: left - 1,
                    over,
                })
                .unwrap(),
        }
    }

    fn counts(&self) -> (u64, u64) {
        (self.passed, self.elsewhere)
    }

    /// Blocks the thread until the next one has done the same, and so on.
    fn block(&mut self, deep: u32, done: mpsc::Sender<()>) {
        if let (true, Some(next)) = (deep > 0, &self.next) {
            let (next_done, is_done) = mpsc::channel();
            let deep = deep - 1;
            next.tell(Block {
                deep,
                done: next_done,
            })
            .unwrap();
            task::block_in_place(|| is_done.recv().unwrap());
        }
        done.send(()).unwrap();
    }

    /// Begins [`block`](Self::block) from within a handler, after some steps.
    fn block_after(&mut self, steps: u32, deep: u32, done: mpsc::Sender<()>) {
        let next = self.next.as_ref().unwrap();
        match steps {
            0 => next.tell(Block { deep, done }).unwrap(),
            _ => next
                .tell(BlockAfter {
                    steps: steps - 1,
                    deep,
                    done,
                })
                .unwrap(),
        }
    }

    /// Asks the next one, and that one the next, and so on.
    async fn depth(&self, left: u32) -> Result<u32, AskError> {
        match (&self.next, left) {
            (Some(next), 1..) => Ok(Box::pin(next.ask(Depth { left: left - 1 })).await?? + 1),
            _ => Ok(0),
        }
    }

    fn panic_at(&mut self, left: u32) {
        assert!(left > 0, "as told");
        let next = self.next.as_ref().unwrap();
        next.tell(PanicAt { left: left - 1 }).unwrap();
    }

    fn stop_self(&mut self, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

async fn ring(len: usize) -> Vec<Addr<Node>> {
    let spawn = || SpawnOptions::new().unbounded().spawn(Node::default());
    let nodes: Vec<_> = (0..len).map(|_| spawn().unwrap()).collect();
    for at in 0..len {
        let next = nodes[(at + 1) % len].clone();
        nodes[at].ask(Join { next }).await.unwrap();
    }
    nodes
}

async fn round(nodes: &[Addr<Node>], hops: u64) {
    let (over, is_over) = oneshot::channel();
    let over = Some(over);
    nodes[0].tell(Pass { left: hops, over }).unwrap();
    is_over.await.unwrap();
}

#[test]
fn they_run_one_after_the_other_and_each_message_counts_once() {
    runtime().block_on(async {
        let nodes = ring(10).await;
        round(&nodes, 9_999).await;
        let (mut passed, mut elsewhere) = (0, 0);
        for node in &nodes {
            let counts = node.ask(Counts).await.unwrap();
            passed += counts.0;
            elsewhere += counts.1;
            let stats = node.mailbox_stats();
            assert_eq!(stats.accepted, stats.handled + stats.waiting);
        }
        assert_eq!(passed, 10_000);
        assert!(elsewhere > 0, "all of it was in their own tasks");
    });
}

/// A thread that is blocked runs no others: someone else must.
#[test]
fn who_blocks_does_not_hold_up_those_it_has_told() {
    let runtime = runtime();
    let nodes = runtime.block_on(ring(7));
    for deep in 0..6 {
        for steps in 0..50 {
            runtime.block_on(round(&nodes, 100));
            let (done, is_done) = mpsc::channel();
            nodes[0].tell(BlockAfter { steps, deep, done }).unwrap();
            is_done.recv().unwrap();
        }
    }
}

#[test]
fn asks_among_them_are_answered() {
    runtime().block_on(async {
        let nodes = ring(60).await;
        for _ in 0..50 {
            round(&nodes, 500).await;
            assert_eq!(nodes[0].ask(Depth { left: 50 }).await.unwrap().unwrap(), 50);
        }
    });
}

#[test]
fn a_panic_ends_one_life() {
    runtime().block_on(async {
        let nodes = ring(5).await;
        round(&nodes, 1_000).await;
        nodes[0].tell(PanicAt { left: 13 }).unwrap();
        let reason = nodes[3].stopped().await;
        assert!(matches!(reason, StopReason::Panicked(_)), "{reason:?}");
        let counts = nodes[3].ask(Counts).await;
        assert!(matches!(
            counts,
            Err(AskError::Closed | AskError::NoReply { .. })
        ));
        for at in [0, 1, 2, 4] {
            nodes[at].ask(Counts).await.unwrap();
        }
    });
}

/// One is killed or stops while a message goes round: what was accepted is handled or counted.
#[test]
fn signals_reach_those_that_are_next() {
    runtime().block_on(async {
        for turn in 0..50 {
            let nodes = ring(4).await;
            round(&nodes, 100).await;
            // Goes on until there is none to tell.
            nodes[0]
                .tell(Pass {
                    left: u64::MAX,
                    over: None,
                })
                .unwrap();
            match turn % 2 {
                0 => nodes[2].kill(),
                _ => nodes[2].tell(StopSelf).unwrap(),
            }
            nodes[2].stopped().await;
            // The message is lost with it, or fails the one who has it and finds it gone.
            for at in [1, 0, 3] {
                match nodes[at].ask(Counts).await {
                    Ok(_) => {}
                    Err(AskError::Closed | AskError::NoReply { .. }) => {
                        let reason = nodes[at].stopped().await;
                        assert!(matches!(reason, StopReason::Panicked(_)), "{reason:?}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            let stats = nodes[2].mailbox_stats();
            assert_eq!(stats.waiting, 0, "{stats:?}");
        }
    });
}

/// A runtime that ends takes its relays with it, whatever they are at.
#[test]
fn they_end_with_their_runtime() {
    let other = runtime();
    for turn in 0..100 {
        let runtime = runtime();
        let nodes = runtime.block_on(ring(10));
        runtime.block_on(round(&nodes, 50 + turn));
        nodes[0]
            .tell(Pass {
                left: u64::MAX,
                over: None,
            })
            .unwrap();
        let asks: Vec<_> = nodes.iter().map(|node| node.ask(Counts).post()).collect();
        match turn % 2 {
            0 => drop(runtime),
            _ => runtime.shutdown_timeout(Duration::from_secs(100)),
        }
        other.block_on(async {
            for node in &nodes {
                node.stopped().await;
            }
            for ask in asks.into_iter().flatten() {
                match ask.await {
                    Ok(_)
                    | Err(AskError::NoReply {
                        reason: NoReplyReason::Stopped(_),
                        ..
                    }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
}

/// What one has told one comes in its order, though two threads poll them.
#[test]
fn the_order_of_each_sender_is_kept() {
    #[derive(Actor)]
    struct Hub {
        last: Vec<u64>,
        open: usize,
        over: Option<oneshot::Sender<()>>,
    }

    #[handlers]
    impl Hub {
        fn number(&mut self, spoke: usize, n: u64, back: Addr<Spoke>) {
            assert_eq!(self.last[spoke] + 1, n);
            self.last[spoke] = n;
            if n % 3 == 0 {
                back.tell(More).unwrap();
            }
            if n == 300 {
                self.open -= 1;
                if self.open == 0 {
                    self.over.take().unwrap().send(()).unwrap();
                }
            }
        }
    }

    #[derive(Actor)]
    struct Spoke {
        hub: Addr<Hub>,
        me: usize,
        n: u64,
    }

    #[handlers]
    impl Spoke {
        fn more(&mut self, ctx: &mut Context<Self>) {
            for _ in 0..3 {
                if self.n < 300 {
                    self.n += 1;
                    let (spoke, n, back) = (self.me, self.n, ctx.addr());
                    self.hub.tell(Number { spoke, n, back }).unwrap();
                }
            }
        }
    }

    runtime().block_on(async {
        for _ in 0..10 {
            let (over, is_over) = oneshot::channel();
            let hub = Hub {
                last: vec![0; 40],
                open: 40,
                over: Some(over),
            };
            let hub = hub.spawn();
            let spoke = |me| {
                Spoke {
                    hub: hub.clone(),
                    me,
                    n: 0,
                }
                .spawn()
            };
            let spokes: Vec<_> = (0..40).map(spoke).collect();
            for spoke in &spokes {
                spoke.tell(More).unwrap();
            }
            is_over.await.unwrap();
        }
    });
}
