//! Kills actors at random, to see that the shop stays open.
use actors_core::{Actor, AskError, Context, Error, Message, Recipient, handlers};
use fastrand::Rng;
use std::time::Duration;

/// Is answered by an actor that is up.
#[derive(Message)]
pub(crate) struct Ping;

pub(crate) struct Monkey {
    pub(crate) victims: Vec<Recipient<Ping>>,
    pub(crate) every: Duration,
    pub(crate) rng: Rng,
}

impl Actor for Monkey {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        ctx.notify_every(self.every, || Strike);
        Ok(())
    }
}

#[handlers]
impl Monkey {
    /// Kills one and waits until it is back, so that none is down because of the monkey when that
    /// has stopped.
    async fn strike(&mut self) {
        let Some(victim) = self.rng.choice(&self.victims) else {
            return;
        };
        tracing::info!(victim = victim.name(), "killed by the monkey");
        victim.kill();
        // What was in its hands is lost: the ping may be, and says so.
        while let Err(AskError::NoReply { .. }) = victim.ask(Ping).await {}
    }
}
