//! Concurrent dictionary: 20 actors read and write one that holds half a million entries; a tenth of
//! the requests are writes.
use super::Random;
use crate::latch::Latch;
use crate::load::{millis, run};
use crate::peer::{Behaviour, Mailbox, Peer};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

const WORKERS: u64 = 20;
const ENTRIES: u64 = 524_287;
const WRITES: u64 = 10;

struct Dictionary<P: Peer> {
    entries: HashMap<u64, u64>,
    /// The answers go to addresses of this kind.
    _peer: std::marker::PhantomData<fn() -> P>,
}

enum Request<P: Peer> {
    Read {
        key: u64,
        from: P::Addr<Worker<P>>,
    },
    Write {
        key: u64,
        value: u64,
        from: P::Addr<Worker<P>>,
    },
}

impl<P: Peer> Behaviour for Dictionary<P> {
    type Msg = Request<P>;

    fn handle(&mut self, msg: Request<P>) -> u64 {
        match msg {
            Request::Read { key, from } => {
                let value = self.entries.get(&key).copied().unwrap_or_default();
                P::tell(&from, Work::Answer { key, value });
                value
            }
            Request::Write { key, value, from } => {
                self.entries.insert(key, value);
                P::tell(&from, Work::Answer { key, value });
                value
            }
        }
    }
}

struct Worker<P: Peer> {
    myself: Option<P::Addr<Self>>,
    dictionary: P::Addr<Dictionary<P>>,
    random: Random,
    left: u64,
    answers: u64,
    over: Arc<Latch>,
}

enum Work<P: Peer> {
    Begin { myself: P::Addr<Worker<P>> },
    Answer { key: u64, value: u64 },
}

impl<P: Peer> Worker<P> {
    fn request(&mut self) {
        if self.left == 0 {
            self.myself = None;
            return self.over.count_down(self.answers);
        }
        self.left -= 1;
        let from = self.myself.clone().expect("it has begun");
        let key = self.random.next() % ENTRIES;
        let request = match self.random.next() % 100 < WRITES {
            // What is written can be told from the key.
            true => Request::Write {
                key,
                value: key + 1,
                from,
            },
            false => Request::Read { key, from },
        };
        P::tell(&self.dictionary, request);
    }
}

impl<P: Peer> Behaviour for Worker<P> {
    type Msg = Work<P>;

    fn handle(&mut self, msg: Work<P>) -> u64 {
        match msg {
            Work::Begin { myself } => self.myself = Some(myself),
            Work::Answer { key, value } => {
                assert!(value == key || value == key + 1);
                self.answers += 1;
            }
        }
        self.request();
        self.answers
    }
}

pub(super) fn dictionary<P: Peer>(requests: u64) -> f64 {
    run::<P, _>(async move {
        let (over, is_over) = Latch::new(WORKERS);
        let over = Arc::new(over);
        let dictionary = Dictionary::<P> {
            entries: (0..ENTRIES).map(|key| (key, key)).collect(),
            _peer: std::marker::PhantomData,
        };
        let dictionary = P::spawn(dictionary, Mailbox::Unbounded).await;
        let mut workers = Vec::new();
        for number in 0..WORKERS {
            let worker = Worker::<P> {
                myself: None,
                dictionary: dictionary.clone(),
                random: Random::new(number),
                left: requests,
                answers: 0,
                over: Arc::clone(&over),
            };
            workers.push(P::spawn(worker, Mailbox::Unbounded).await);
        }
        let start = Instant::now();
        for worker in &workers {
            let myself = worker.clone();
            P::tell(worker, Work::Begin { myself });
        }
        assert_eq!(is_over.await, Ok(WORKERS * requests));
        millis(start)
    })
}
