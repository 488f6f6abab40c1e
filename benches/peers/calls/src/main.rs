//! No framework, but the work alone: all actors on one thread, which calls their handlers one after the other.
//! No task, no waking, no synchronization that anybody contends for. It shows how much of a row there is to
//! win.
use peers_kit::{Behaviour, Mailbox, Peer};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// The rows that are about work.
const ROWS: &[&str] = &["buffer", "dictionary", "sieve", "quicksort", "queens"];

struct Calls;

thread_local! {
    /// The actors that have mail.
    static READY: RefCell<VecDeque<Arc<dyn Handles>>> = const { RefCell::new(VecDeque::new()) };
}

trait Handles {
    /// Handles all mail.
    fn handle_all(&self);
}

struct Actor<B: Behaviour> {
    behaviour: Mutex<B>,
    mail: Mutex<VecDeque<B::Msg>>,
}

struct Addr<B: Behaviour>(Arc<Actor<B>>);

impl<B: Behaviour> Clone for Addr<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Behaviour> Handles for Actor<B> {
    fn handle_all(&self) {
        let mut behaviour = self.behaviour.lock().expect("nothing panics");
        loop {
            let next = self.mail.lock().expect("nothing panics").pop_front();
            let Some(msg) = next else { return };
            behaviour.handle(msg);
        }
    }
}

/// Runs until no actor has mail.
fn run() {
    while let Some(actor) = READY.with_borrow_mut(VecDeque::pop_front) {
        actor.handle_all();
    }
}

impl Peer for Calls {
    type Addr<B: Behaviour> = Addr<B>;

    async fn spawn<B: Behaviour>(behaviour: B, _mailbox: Mailbox) -> Addr<B> {
        Self::spawn_now(behaviour)
    }

    fn spawn_now<B: Behaviour>(behaviour: B) -> Addr<B> {
        Addr(Arc::new(Actor {
            behaviour: Mutex::new(behaviour),
            mail: Mutex::new(VecDeque::new()),
        }))
    }

    async fn ask<B: Behaviour>(addr: &Addr<B>, msg: B::Msg) -> u64 {
        // In order: first what was told.
        run();
        let reply = addr.0.behaviour.lock().expect("nothing panics").handle(msg);
        run();
        reply
    }

    async fn send<B: Behaviour>(addr: &Addr<B>, msg: B::Msg) {
        Self::tell(addr, msg);
    }

    fn tell<B: Behaviour>(addr: &Addr<B>, msg: B::Msg) {
        let mut mail = addr.0.mail.lock().expect("nothing panics");
        if mail.is_empty() {
            READY.with_borrow_mut(|ready| ready.push_back(Arc::clone(&addr.0) as _));
        }
        mail.push_back(msg);
    }

    async fn stop<B: Behaviour>(_addr: Addr<B>) {}

    /// Begins when it is awaited.
    async fn task<F>(work: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        work.await
    }

    fn run<F>(work: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let mut work = pin!(work);
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(value) = work.as_mut().poll(&mut cx) {
                return value;
            }
            let has_mail = READY.with_borrow(|ready| !ready.is_empty());
            assert!(has_mail, "nobody will wake it");
            run();
        }
    }
}

fn main() -> ExitCode {
    let row = std::env::args().nth(1).unwrap_or_default();
    if ROWS.contains(&&*row) {
        return peers_kit::main::<Calls>();
    }
    println!();
    ExitCode::SUCCESS
}
