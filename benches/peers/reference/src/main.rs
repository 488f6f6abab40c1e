//! The reference: a tokio task that owns the state and the receiving end of a channel, with a
//! `oneshot` for the reply, as tokio's tutorial shows it.
use peers_kit::{Behaviour, CAPACITY, Mailbox, Peer};
use std::process::ExitCode;
use tokio::sync::{mpsc, oneshot};

struct Reference;

enum Msg<B: Behaviour> {
    Tell(B::Msg),
    Ask(B::Msg, oneshot::Sender<u64>),
    /// The task ends; who waits for that sees its end of the channel go.
    Stop(oneshot::Sender<()>),
}

enum Addr<B: Behaviour> {
    Bounded(mpsc::Sender<Msg<B>>),
    Unbounded(mpsc::UnboundedSender<Msg<B>>),
}

impl<B: Behaviour> Clone for Addr<B> {
    fn clone(&self) -> Self {
        match self {
            Self::Bounded(to) => Self::Bounded(to.clone()),
            Self::Unbounded(to) => Self::Unbounded(to.clone()),
        }
    }
}

impl<B: Behaviour> Addr<B> {
    async fn send(&self, msg: Msg<B>) {
        let sent = match self {
            Self::Bounded(to) => to.send(msg).await,
            Self::Unbounded(to) => to.send(msg),
        };
        assert!(sent.is_ok(), "it runs");
    }
}

/// Handles one message. False: it was the last one.
fn handle<B: Behaviour>(behaviour: &mut B, msg: Msg<B>) -> bool {
    match msg {
        Msg::Tell(msg) => {
            behaviour.handle(msg);
        }
        Msg::Ask(msg, reply) => {
            // The asker may have gone.
            let _ = reply.send(behaviour.handle(msg));
        }
        Msg::Stop(gone) => {
            drop(gone);
            return false;
        }
    }
    !(B::ENDS && behaviour.has_ended())
}

impl Peer for Reference {
    type Addr<B: Behaviour> = Addr<B>;

    async fn spawn<B: Behaviour>(mut behaviour: B, mailbox: Mailbox) -> Addr<B> {
        if mailbox == Mailbox::Unbounded {
            return Self::spawn_now(behaviour);
        }
        let (to, mut from) = mpsc::channel(CAPACITY);
        tokio::spawn(async move {
            while let Some(msg) = from.recv().await {
                if !handle(&mut behaviour, msg) {
                    return;
                }
            }
        });
        Addr::Bounded(to)
    }

    fn spawn_now<B: Behaviour>(mut behaviour: B) -> Addr<B> {
        let (to, mut from) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(msg) = from.recv().await {
                if !handle(&mut behaviour, msg) {
                    return;
                }
            }
        });
        Addr::Unbounded(to)
    }

    async fn ask<B: Behaviour>(addr: &Addr<B>, msg: B::Msg) -> u64 {
        let (reply, answer) = oneshot::channel();
        addr.send(Msg::Ask(msg, reply)).await;
        answer.await.expect("it answers")
    }

    async fn send<B: Behaviour>(addr: &Addr<B>, msg: B::Msg) {
        addr.send(Msg::Tell(msg)).await;
    }

    fn tell<B: Behaviour>(addr: &Addr<B>, msg: B::Msg) {
        let Addr::Unbounded(to) = addr else {
            panic!("the mailbox is bounded");
        };
        assert!(to.send(Msg::Tell(msg)).is_ok(), "it runs");
    }

    async fn stop<B: Behaviour>(addr: Addr<B>) {
        let (gone, is_gone) = oneshot::channel();
        addr.send(Msg::Stop(gone)).await;
        assert!(is_gone.await.is_err(), "it sends nothing back");
    }
}

fn main() -> ExitCode {
    peers_kit::main::<Reference>()
}
