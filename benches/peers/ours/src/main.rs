//! Ours: an actor with a handler for one message type; in one variant, asks run inline.
use actors_core::{Actor, Addr, Context, Handler, Message, SpawnOptions};
use peers_kit::{Behaviour, LIMIT, Mailbox, Peer};
use std::process::ExitCode;

struct Ours<const INLINE: bool>;

#[derive(Actor)]
struct Host<B: Behaviour, const INLINE: bool>(B);

struct Msg<B: Behaviour>(B::Msg);

impl<B: Behaviour> Message for Msg<B> {
    type Reply = u64;
}

impl<B: Behaviour, const INLINE: bool> Handler<Msg<B>> for Host<B, INLINE> {
    const INLINE_ASK: bool = INLINE;

    async fn handle(&mut self, Msg(msg): Msg<B>, ctx: &mut Context<Self>) -> u64 {
        let reply = self.0.handle(msg);
        if B::ENDS && self.0.has_ended() {
            ctx.stop();
        }
        reply
    }
}

impl<const INLINE: bool> Peer for Ours<INLINE> {
    type Addr<B: Behaviour> = Addr<Host<B, INLINE>>;

    async fn spawn<B: Behaviour>(behaviour: B, mailbox: Mailbox) -> Addr<Host<B, INLINE>> {
        match mailbox {
            // The default holds as many as it is to.
            Mailbox::Bounded => Host(behaviour).spawn(),
            Mailbox::Unbounded => Self::spawn_now(behaviour),
        }
    }

    fn spawn_now<B: Behaviour>(behaviour: B) -> Addr<Host<B, INLINE>> {
        let options = SpawnOptions::new().unbounded();
        options.spawn(Host(behaviour)).expect("a runtime")
    }

    async fn ask<B: Behaviour>(addr: &Addr<Host<B, INLINE>>, msg: B::Msg) -> u64 {
        addr.ask(Msg(msg)).await.expect("it runs")
    }

    async fn ask_within_limit<B: Behaviour>(addr: &Addr<Host<B, INLINE>>, msg: B::Msg) -> u64 {
        let asked = addr.ask(Msg(msg)).timeout(LIMIT);
        asked.await.expect("it answers in time")
    }

    async fn send<B: Behaviour>(addr: &Addr<Host<B, INLINE>>, msg: B::Msg) {
        addr.send(Msg(msg)).await.expect("it runs");
    }

    fn tell<B: Behaviour>(addr: &Addr<Host<B, INLINE>>, msg: B::Msg) {
        addr.tell(Msg(msg)).expect("it runs");
    }

    async fn stop<B: Behaviour>(addr: Addr<Host<B, INLINE>>) {
        addr.stop();
        addr.stopped().await;
    }
}

fn main() -> ExitCode {
    match std::env::args().nth(2).as_deref() {
        Some("inline asks") => peers_kit::main::<Ours<true>>(),
        _ => peers_kit::main::<Ours<false>>(),
    }
}
