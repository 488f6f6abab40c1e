//! kameo: an actor with a handler for one message type.
use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::error::Infallible;
use kameo::mailbox;
use kameo::message::{Context, Message};
use peers_kit::{Behaviour, CAPACITY, LIMIT, Mailbox, Peer};
use std::process::ExitCode;

struct Kameo;

struct Host<B>(B);

impl<B: Behaviour> Actor for Host<B> {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(host: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(host)
    }
}

struct Msg<B: Behaviour>(B::Msg);

impl<B: Behaviour> Message<Msg<B>> for Host<B> {
    type Reply = u64;

    async fn handle(&mut self, Msg(msg): Msg<B>, ctx: &mut Context<Self, u64>) -> u64 {
        let reply = self.0.handle(msg);
        if B::ENDS && self.0.has_ended() {
            ctx.stop();
        }
        reply
    }
}

impl Peer for Kameo {
    type Addr<B: Behaviour> = ActorRef<Host<B>>;

    async fn spawn<B: Behaviour>(behaviour: B, mailbox: Mailbox) -> ActorRef<Host<B>> {
        match mailbox {
            Mailbox::Bounded => {
                Host::spawn_with_mailbox(Host(behaviour), mailbox::bounded(CAPACITY))
            }
            Mailbox::Unbounded => Self::spawn_now(behaviour),
        }
    }

    fn spawn_now<B: Behaviour>(behaviour: B) -> ActorRef<Host<B>> {
        Host::spawn_with_mailbox(Host(behaviour), mailbox::unbounded())
    }

    async fn ask<B: Behaviour>(addr: &ActorRef<Host<B>>, msg: B::Msg) -> u64 {
        addr.ask(Msg(msg)).send().await.expect("it runs")
    }

    async fn ask_within_limit<B: Behaviour>(addr: &ActorRef<Host<B>>, msg: B::Msg) -> u64 {
        let asked = addr.ask(Msg(msg)).reply_timeout(LIMIT);
        asked.send().await.expect("it answers in time")
    }

    async fn send<B: Behaviour>(addr: &ActorRef<Host<B>>, msg: B::Msg) {
        addr.tell(Msg(msg)).send().await.expect("it runs");
    }

    fn tell<B: Behaviour>(addr: &ActorRef<Host<B>>, msg: B::Msg) {
        addr.tell(Msg(msg)).try_send().expect("it runs");
    }

    async fn stop<B: Behaviour>(addr: ActorRef<Host<B>>) {
        addr.stop_gracefully().await.expect("it runs");
        addr.wait_for_shutdown().await;
    }
}

fn main() -> ExitCode {
    peers_kit::main::<Kameo>()
}
