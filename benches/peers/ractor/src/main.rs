//! ractor: an actor with one message enum; an ask carries the port for its reply.
use peers_kit::{Behaviour, LIMIT, Mailbox, Peer};
use ractor::{Actor, ActorProcessingErr, ActorRef, ActorRuntime, RpcReplyPort};
use std::marker::PhantomData;
use std::process::ExitCode;

struct Ractor;

/// Has no state of its own; that is kept beside it.
struct Host<B>(PhantomData<fn() -> B>);

enum Msg<B: Behaviour> {
    Tell(B::Msg),
    Ask(B::Msg, RpcReplyPort<u64>),
}

impl<B: Behaviour> Actor for Host<B> {
    type Msg = Msg<B>;
    type State = B;
    type Arguments = B;

    async fn pre_start(&self, _: ActorRef<Msg<B>>, behaviour: B) -> Result<B, ActorProcessingErr> {
        Ok(behaviour)
    }

    async fn handle(
        &self,
        myself: ActorRef<Msg<B>>,
        msg: Msg<B>,
        behaviour: &mut B,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            Msg::Tell(msg) => {
                behaviour.handle(msg);
            }
            Msg::Ask(msg, reply) => reply.send(behaviour.handle(msg))?,
        }
        if B::ENDS && behaviour.has_ended() {
            myself.stop(None);
        }
        Ok(())
    }
}

impl Peer for Ractor {
    type Addr<B: Behaviour> = ActorRef<Msg<B>>;

    const BOUNDED: bool = false;

    async fn spawn<B: Behaviour>(behaviour: B, _: Mailbox) -> ActorRef<Msg<B>> {
        let spawned = Actor::spawn(None, Host(PhantomData), behaviour).await;
        spawned.expect("it starts").0
    }

    fn spawn_now<B: Behaviour>(behaviour: B) -> ActorRef<Msg<B>> {
        let spawned = ActorRuntime::spawn_instant(None, Host(PhantomData), behaviour);
        spawned.expect("it starts").0
    }

    async fn ask<B: Behaviour>(addr: &ActorRef<Msg<B>>, msg: B::Msg) -> u64 {
        let called = addr.call(|reply| Msg::Ask(msg, reply), None).await;
        called.expect("it runs").expect("it answers")
    }

    async fn ask_within_limit<B: Behaviour>(addr: &ActorRef<Msg<B>>, msg: B::Msg) -> u64 {
        let called = addr.call(|reply| Msg::Ask(msg, reply), Some(LIMIT)).await;
        called.expect("it runs").expect("it answers in time")
    }

    async fn send<B: Behaviour>(addr: &ActorRef<Msg<B>>, msg: B::Msg) {
        Self::tell(addr, msg);
    }

    fn tell<B: Behaviour>(addr: &ActorRef<Msg<B>>, msg: B::Msg) {
        let sent = addr.send_message(Msg::Tell(msg));
        sent.expect("it runs");
    }

    async fn stop<B: Behaviour>(addr: ActorRef<Msg<B>>) {
        addr.stop_and_wait(None, None).await.expect("it ends");
    }
}

fn main() -> ExitCode {
    peers_kit::main::<Ractor>()
}
