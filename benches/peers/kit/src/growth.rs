//! How the cost of a message grows: with the number of actors, the length of the queue, and its size.
use crate::latch::Latch;
use crate::load::{Adder, add, nanos_each, run, sum};
use crate::peer::{Behaviour, Mailbox, Peer};
use crate::savina::Random;
use crate::{asks, tells};
use std::future::{Future, poll_fn};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Instant;

/// So many asks one after another, each to another actor; at least one to each.
pub(crate) fn ask_actors<P: Peer>(count: u64, actors: u64) -> f64 {
    let laps = (count / actors).max(1);
    run::<P, _>(async move {
        let addrs = shuffled::<P, _>(actors, Adder::<1>::default, add(0)).await;
        let start = Instant::now();
        for lap in 1..=laps {
            for addr in &addrs {
                assert_eq!(P::ask(addr, add(lap)).await, sum(lap + 1));
            }
        }
        nanos_each(start, laps * actors)
    })
}

/// The same with tells, until all were handled.
pub(crate) fn tell_actors<P: Peer>(count: u64, actors: u64) -> f64 {
    let laps = (count / actors).max(1);
    run::<P, _>(async move {
        let (over, is_over) = Latch::new(actors);
        let over = Arc::new(over);
        let quota = || Quota {
            left: laps,
            total: 0,
            over: Arc::clone(&over),
        };
        let addrs = shuffled::<P, _>(actors, quota, 0).await;
        let start = Instant::now();
        for lap in 1..=laps {
            for addr in &addrs {
                P::tell(addr, lap);
            }
        }
        let total = is_over.await.expect("the last one reports");
        let each = nanos_each(start, laps * actors);
        assert_eq!(total, actors * sum(laps + 1));
        each
    })
}

/// Adds up so many numbers, and reports the sum. A zero does not count.
struct Quota {
    left: u64,
    total: u64,
    over: Arc<Latch>,
}

impl Behaviour for Quota {
    type Msg = u64;

    fn handle(&mut self, msg: u64) -> u64 {
        self.total += msg;
        if msg > 0 {
            self.left -= 1;
            if self.left == 0 {
                self.over.count_down(self.total);
            }
        }
        self.total
    }
}

/// So many actors that run, since each has been asked this, in an order that is not that of their
/// creation, nor of their places in memory; the same one each time.
async fn shuffled<P: Peer, B: Behaviour>(
    actors: u64,
    make: impl Fn() -> B,
    hello: B::Msg,
) -> Vec<P::Addr<B>>
where
    B::Msg: Copy,
{
    let mut addrs = Vec::new();
    for _ in 0..actors {
        let addr = P::spawn(make(), Mailbox::Unbounded).await;
        P::ask(&addr, hello).await;
        addrs.push(addr);
    }
    let mut random = Random::new(actors);
    for at in (1..addrs.len()).rev() {
        addrs.swap(at, random.next() as usize % (at + 1));
    }
    addrs
}

/// So many asks to one actor, from a task that begins `len` of them before it waits for all of
/// these.
pub(crate) fn ask_queue<P: Peer>(count: u64, len: u64) -> f64 {
    let laps = (count / len).max(1);
    run::<P, _>(async move {
        let addr = P::spawn(Adder::<1>::default(), Mailbox::Unbounded).await;
        // Their places are used again, so that no allocation of the workload is in the number.
        let mut asks: Vec<_> = (0..len).map(|_| Box::pin(None)).collect();
        let mut greatest = 0;
        let start = Instant::now();
        for lap in 0..laps {
            for ask in &mut asks {
                ask.set(Some(P::ask(&addr, add(lap))));
                let begun = poll_fn(|cx| {
                    let ask = ask.as_mut().as_pin_mut().expect("it is there");
                    Poll::Ready(ask.poll(cx))
                });
                if let Poll::Ready(total) = begun.await {
                    greatest = total.max(greatest);
                    ask.set(None);
                }
            }
            for ask in &mut asks {
                if let Some(ask) = ask.as_mut().as_pin_mut() {
                    greatest = ask.await.max(greatest);
                }
            }
        }
        let each = nanos_each(start, laps * len);
        assert_eq!(greatest, len * sum(laps));
        each
    })
}

/// So many tells, all by an actor to itself: `len` messages wait, and for each that it handles it
/// tells the next one. No thread is woken and none waits for another, whatever the length.
pub(crate) fn tell_queue<P: Peer>(count: u64, len: u64) -> f64 {
    let laps = (count / len).max(1);
    run::<P, _>(async move {
        let (over, is_over) = Latch::new(1);
        let own = Arc::new(OnceLock::new());
        let treadmill = Treadmill::<P> {
            len,
            laps,
            handled: 0,
            total: 0,
            own: Arc::clone(&own),
            over,
        };
        let addr = P::spawn(treadmill, Mailbox::Unbounded).await;
        assert!(own.set(addr.clone()).is_ok(), "only once");
        let start = Instant::now();
        P::tell(&addr, Step::Begin);
        let total = is_over.await.expect("the last message reports");
        let each = nanos_each(start, laps * len);
        assert_eq!(total, len * sum(laps));
        each
    })
}

struct Treadmill<P: Peer> {
    len: u64,
    laps: u64,
    handled: u64,
    total: u64,
    own: Arc<OnceLock<P::Addr<Self>>>,
    over: Latch,
}

enum Step {
    Begin,
    /// To be told again so often.
    Again(u64),
}

impl<P: Peer> Behaviour for Treadmill<P> {
    type Msg = Step;

    fn handle(&mut self, step: Step) -> u64 {
        let own = self.own.get().expect("it is set before the first message");
        match step {
            Step::Begin => {
                for _ in 0..self.len {
                    P::tell(own, Step::Again(self.laps - 1));
                }
            }
            Step::Again(left) => {
                self.handled += 1;
                self.total += left;
                if left > 0 {
                    P::tell(own, Step::Again(left - 1));
                }
                if self.handled == self.len * self.laps {
                    self.over.count_down(self.total);
                }
            }
        }
        self.handled
    }
}

/// So many asks in sequence, each of so many bytes.
pub(crate) fn ask_size<P: Peer>(count: u64, bytes: u64) -> f64 {
    let ask = match bytes {
        8 => asks::in_sequence::<P, 1>,
        64 => asks::in_sequence::<P, 8>,
        256 => asks::in_sequence::<P, 32>,
        1_024 => asks::in_sequence::<P, 128>,
        4_096 => asks::in_sequence::<P, 512>,
        _ => panic!("no message has {bytes} bytes"),
    };
    ask(count, Mailbox::Unbounded)
}

/// So many tells from one task, each of so many bytes. Of the largest, 100 MB wait at most.
pub(crate) fn tell_size<P: Peer>(count: u64, bytes: u64) -> f64 {
    let tell = match bytes {
        8 => tells::tell::<P, 1>,
        64 => tells::tell::<P, 8>,
        256 => tells::tell::<P, 32>,
        1_024 => tells::tell::<P, 128>,
        4_096 => tells::tell::<P, 512>,
        _ => panic!("no message has {bytes} bytes"),
    };
    let laps = count.div_ceil(25_000);
    tell(count, laps, 1, Mailbox::Unbounded)
}
