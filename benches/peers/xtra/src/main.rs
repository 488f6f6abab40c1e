//! xtra: an actor with a handler for one message type.
use peers_kit::{Behaviour, CAPACITY, Mailbox, Peer};
use std::future::Future;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context as Poller, Poll, Waker};
use xtra::{Actor, Address, Context, Handler};

struct Xtra;

struct Host<B>(B);

impl<B: Behaviour> Actor for Host<B> {
    type Stop = ();

    async fn stopped(self) {}
}

struct Msg<B: Behaviour>(B::Msg);

impl<B: Behaviour> Handler<Msg<B>> for Host<B> {
    type Return = u64;

    async fn handle(&mut self, Msg(msg): Msg<B>, ctx: &mut Context<Self>) -> u64 {
        let reply = self.0.handle(msg);
        if B::ENDS && self.0.has_ended() {
            ctx.stop_self();
        }
        reply
    }
}

impl Peer for Xtra {
    type Addr<B: Behaviour> = Address<Host<B>>;

    // Its queue is a heap by priority.
    const KEEPS_ORDER: bool = false;

    async fn spawn<B: Behaviour>(behaviour: B, mailbox: Mailbox) -> Address<Host<B>> {
        match mailbox {
            Mailbox::Bounded => {
                xtra::spawn_tokio(Host(behaviour), xtra::Mailbox::bounded(CAPACITY))
            }
            Mailbox::Unbounded => Self::spawn_now(behaviour),
        }
    }

    fn spawn_now<B: Behaviour>(behaviour: B) -> Address<Host<B>> {
        xtra::spawn_tokio(Host(behaviour), xtra::Mailbox::unbounded())
    }

    async fn ask<B: Behaviour>(addr: &Address<Host<B>>, msg: B::Msg) -> u64 {
        addr.send(Msg(msg)).await.expect("it runs")
    }

    async fn send<B: Behaviour>(addr: &Address<Host<B>>, msg: B::Msg) {
        drop(addr.send(Msg(msg)).detach().await.expect("it runs"));
    }

    fn tell<B: Behaviour>(addr: &Address<Host<B>>, msg: B::Msg) {
        // Ready at once where the mailbox is not bounded.
        let sent = pin!(addr.send(Msg(msg)).detach());
        match sent.poll(&mut Poller::from_waker(Waker::noop())) {
            Poll::Ready(sent) => drop(sent.expect("it runs")),
            Poll::Pending => panic!("the mailbox is bounded"),
        }
    }

    async fn stop<B: Behaviour>(addr: Address<Host<B>>) {
        // It ends when nobody knows it any more.
        let ended = addr.join();
        drop(addr);
        ended.await;
    }
}

fn main() -> ExitCode {
    peers_kit::main::<Xtra>()
}
