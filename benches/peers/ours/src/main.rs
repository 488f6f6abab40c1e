//! Ours: an actor with a handler for one message type.
use actors_core::{Actor, Addr, Context, Handler, Message, SpawnOptions};
use peers_kit::{Behaviour, Mailbox, Peer};
use std::process::ExitCode;

struct Ours;

struct Host<B>(B);

impl<B: Behaviour> Actor for Host<B> {}

struct Msg<B: Behaviour>(B::Msg);

impl<B: Behaviour> Message for Msg<B> {
    type Reply = u64;
}

impl<B: Behaviour> Handler<Msg<B>> for Host<B> {
    async fn handle(&mut self, Msg(msg): Msg<B>, ctx: &mut Context<Self>) -> u64 {
        let reply = self.0.handle(msg);
        if B::ENDS && self.0.has_ended() {
            ctx.stop();
        }
        reply
    }
}

impl Peer for Ours {
    type Addr<B: Behaviour> = Addr<Host<B>>;

    async fn spawn<B: Behaviour>(behaviour: B, mailbox: Mailbox) -> Addr<Host<B>> {
        match mailbox {
            // The default holds as many as it is to.
            Mailbox::Bounded => Host(behaviour).spawn(),
            Mailbox::Unbounded => Self::spawn_now(behaviour),
        }
    }

    fn spawn_now<B: Behaviour>(behaviour: B) -> Addr<Host<B>> {
        let options = SpawnOptions::new().unbounded();
        options.spawn(Host(behaviour)).expect("a runtime")
    }

    async fn ask<B: Behaviour>(addr: &Addr<Host<B>>, msg: B::Msg) -> u64 {
        addr.ask(Msg(msg)).await.expect("it runs")
    }

    async fn send<B: Behaviour>(addr: &Addr<Host<B>>, msg: B::Msg) {
        addr.send(Msg(msg)).await.expect("it runs");
    }

    fn tell<B: Behaviour>(addr: &Addr<Host<B>>, msg: B::Msg) {
        addr.tell(Msg(msg)).expect("it runs");
    }

    async fn stop<B: Behaviour>(addr: Addr<Host<B>>) {
        addr.stop();
        addr.stopped().await;
    }
}

fn main() -> ExitCode {
    peers_kit::main::<Ours>()
}
