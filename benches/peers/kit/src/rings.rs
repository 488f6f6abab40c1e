//! A message that goes round: through a hundred actors, and between two.
use crate::latch::Latch;
use crate::load::{nanos_each, run};
use crate::peer::{Behaviour, Mailbox, Peer};
use std::sync::Arc;
use std::time::Instant;

struct Node<P: Peer> {
    passed: u64,
    next: Option<P::Addr<Self>>,
    over: Arc<Latch>,
}

enum Msg<P: Peer> {
    Join(P::Addr<Node<P>>),
    Pass(u64),
    Passed,
}

impl<P: Peer> Behaviour for Node<P> {
    type Msg = Msg<P>;

    fn handle(&mut self, msg: Msg<P>) -> u64 {
        match msg {
            Msg::Join(next) => self.next = Some(next),
            Msg::Pass(0) => {
                self.passed += 1;
                self.over.count_down(0);
            }
            Msg::Pass(left) => {
                self.passed += 1;
                let next = self.next.as_ref().expect("it is in the ring");
                P::tell(next, Msg::Pass(left - 1));
            }
            Msg::Passed => {}
        }
        self.passed
    }
}

pub(crate) fn ring<P: Peer>(hops: u64, len: usize) -> f64 {
    run::<P, _>(async move {
        let (over, is_over) = Latch::new(1);
        let over = Arc::new(over);
        let mut nodes = Vec::new();
        for _ in 0..len {
            let over = Arc::clone(&over);
            let node = Node::<P> {
                passed: 0,
                next: None,
                over,
            };
            nodes.push(P::spawn(node, Mailbox::Unbounded).await);
        }
        for at in 0..len {
            let next = nodes[(at + 1) % len].clone();
            P::ask(&nodes[at], Msg::Join(next)).await;
        }
        let start = Instant::now();
        P::tell(&nodes[0], Msg::Pass(hops));
        is_over.await.expect("the last one reports");
        let each = nanos_each(start, hops);
        let mut passed = 0;
        for node in &nodes {
            passed += P::ask(node, Msg::Passed).await;
        }
        assert_eq!(passed, hops + 1);
        each
    })
}
