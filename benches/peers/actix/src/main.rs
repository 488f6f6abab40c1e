//! actix: an actor with a handler for one message type. The variant `one arbiter` has all actors and
//! tasks on one thread; `one per core` has an arbiter for each worker and deals them out in turn.
use actix::dev::SendError;
use actix::{Actor, ActorContext, Addr, Arbiter, ArbiterHandle, Context, Handler, Message, System};
use peers_kit::{Behaviour, CAPACITY, LIMIT, Mailbox, Peer, setup};
use std::future::Future;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;

struct Actix;

struct Host<B>(B);

impl<B: Behaviour> Actor for Host<B> {
    type Context = Context<Self>;
}

struct Msg<B: Behaviour>(B::Msg);

impl<B: Behaviour> Message for Msg<B> {
    type Result = u64;
}

impl<B: Behaviour> Handler<Msg<B>> for Host<B> {
    type Result = u64;

    fn handle(&mut self, Msg(msg): Msg<B>, ctx: &mut Context<Self>) -> u64 {
        let reply = self.0.handle(msg);
        if B::ENDS && self.0.has_ended() {
            ctx.stop();
        }
        reply
    }
}

struct Stop;

impl Message for Stop {
    type Result = ();
}

impl<B: Behaviour> Handler<Stop> for Host<B> {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

/// All arbiters but with the variant that has one.
static ARBITERS: OnceLock<Vec<ArbiterHandle>> = OnceLock::new();
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Whose turn it is. `None`: there is one only, and this runs on it.
fn arbiter() -> Option<&'static ArbiterHandle> {
    let arbiters = ARBITERS.get()?;
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    Some(&arbiters[next % arbiters.len()])
}

fn start<B: Behaviour>(behaviour: B, capacity: usize) -> Addr<Host<B>> {
    let make = move |ctx: &mut Context<Host<B>>| {
        ctx.set_mailbox_capacity(capacity);
        Host(behaviour)
    };
    match arbiter() {
        Some(arbiter) => Host::start_in_arbiter(arbiter, make),
        None => Host::create(make),
    }
}

/// As good as unbounded: as much as there can be.
const UNBOUNDED: usize = 1 << 30;

impl Peer for Actix {
    type Addr<B: Behaviour> = Addr<Host<B>>;

    async fn spawn<B: Behaviour>(behaviour: B, mailbox: Mailbox) -> Addr<Host<B>> {
        match mailbox {
            Mailbox::Bounded => start(behaviour, CAPACITY),
            Mailbox::Unbounded => start(behaviour, UNBOUNDED),
        }
    }

    fn spawn_now<B: Behaviour>(behaviour: B) -> Addr<Host<B>> {
        start(behaviour, UNBOUNDED)
    }

    async fn ask<B: Behaviour>(addr: &Addr<Host<B>>, msg: B::Msg) -> u64 {
        addr.send(Msg(msg)).await.expect("it runs")
    }

    async fn ask_within_limit<B: Behaviour>(addr: &Addr<Host<B>>, msg: B::Msg) -> u64 {
        let asked = addr.send(Msg(msg)).timeout(LIMIT);
        asked.await.expect("it answers in time")
    }

    async fn send<B: Behaviour>(addr: &Addr<Host<B>>, msg: B::Msg) {
        let mut msg = Msg::<B>(msg);
        // There is no way to wait for room alone.
        while let Err(refused) = addr.try_send(msg) {
            let SendError::Full(again) = refused else {
                panic!("it runs");
            };
            msg = again;
            tokio::task::yield_now().await;
        }
    }

    fn tell<B: Behaviour>(addr: &Addr<Host<B>>, msg: B::Msg) {
        addr.do_send(Msg(msg));
    }

    async fn stop<B: Behaviour>(addr: Addr<Host<B>>) {
        addr.send(Stop).await.expect("it runs");
    }

    fn task<F>(work: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (over, is_over) = oneshot::channel();
        let work = async move {
            // Somebody waits.
            let _ = over.send(work.await);
        };
        match arbiter() {
            Some(arbiter) => drop(arbiter.spawn(work)),
            None => drop(Arbiter::current().spawn(work)),
        }
        async move { is_over.await.expect("it ends well") }
    }

    fn run<F>(work: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let system = System::new();
        system.block_on(async move {
            if setup().variant == "one per core" {
                let arbiters = (1..setup().workers).map(|_| Arbiter::new().handle());
                let arbiters = std::iter::once(Arbiter::current()).chain(arbiters);
                ARBITERS.set(arbiters.collect()).expect("once");
            }
            work.await
        })
    }
}

fn main() -> ExitCode {
    peers_kit::main::<Actix>()
}
