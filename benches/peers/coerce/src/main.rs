//! coerce: an actor with a handler for one message type, in one actor system.
use coerce::actor::context::ActorContext;
use coerce::actor::message::{Handler, Message};
use coerce::actor::system::ActorSystem;
use coerce::actor::{Actor, IntoActor, LocalActorRef};
use peers_kit::{Behaviour, Mailbox, Peer};
use std::process::ExitCode;
use std::sync::OnceLock;

struct Coerce;

struct Host<B>(B);

impl<B: Behaviour> Actor for Host<B> {}

struct Msg<B: Behaviour>(B::Msg);

impl<B: Behaviour> Message for Msg<B> {
    type Result = u64;
}

#[async_trait::async_trait]
impl<B: Behaviour> Handler<Msg<B>> for Host<B> {
    async fn handle(&mut self, Msg(msg): Msg<B>, ctx: &mut ActorContext) -> u64 {
        let reply = self.0.handle(msg);
        if B::ENDS && self.0.has_ended() {
            ctx.stop(None);
        }
        reply
    }
}

static SYSTEM: OnceLock<ActorSystem> = OnceLock::new();

impl Peer for Coerce {
    type Addr<B: Behaviour> = LocalActorRef<Host<B>>;

    const BOUNDED: bool = false;
    // To start one is asynchronous.
    const SPAWNS_NOW: bool = false;

    async fn spawn<B: Behaviour>(behaviour: B, _: Mailbox) -> LocalActorRef<Host<B>> {
        let system = SYSTEM.get_or_init(ActorSystem::new);
        let actor = Host(behaviour).into_actor(None::<String>, system).await;
        actor.expect("it starts")
    }

    fn spawn_now<B: Behaviour>(_: B) -> LocalActorRef<Host<B>> {
        unreachable!("`SPAWNS_NOW` says so")
    }

    async fn ask<B: Behaviour>(addr: &LocalActorRef<Host<B>>, msg: B::Msg) -> u64 {
        addr.send(Msg(msg)).await.expect("it runs")
    }

    async fn send<B: Behaviour>(addr: &LocalActorRef<Host<B>>, msg: B::Msg) {
        Self::tell(addr, msg);
    }

    fn tell<B: Behaviour>(addr: &LocalActorRef<Host<B>>, msg: B::Msg) {
        addr.notify(Msg(msg)).expect("it runs");
    }

    async fn stop<B: Behaviour>(addr: LocalActorRef<Host<B>>) {
        addr.stop().await.expect("it ends");
    }
}

fn main() -> ExitCode {
    peers_kit::main::<Coerce>()
}
