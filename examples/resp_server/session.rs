//! The actor of one client.
use crate::codec::{Batch, Words, integer};
use crate::command::{self, Place, Spec, Verb};
use crate::execute::len;
use crate::outlet::{Over, hand_over};
use crate::plan::{Errand, Plan};
use crate::pubsub::{Publication, Publish, Subscribe, Unsubscribe};
use crate::resp::{NOT_AN_INTEGER, Protocol, Refusal, Writer};
use crate::server::{Seat, Server};
use crate::shard::DATABASES;
use actors_core::{Actor, Context, Handler, Subscription};
use actors_net::{Frame, Link};
use bytes::{Bytes, BytesMut};
use hashbrown::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Takes one client's commands, has them carried out, and answers in their order.
pub(crate) struct Session {
    pub(crate) server: Arc<Server>,
    pub(crate) link: Link<BytesMut>,
    pub(crate) seat: Seat,
    pub(crate) name: Bytes,
    pub(crate) database: usize,
    pub(crate) subscriptions: HashMap<Bytes, Subscription<Publication>>,
    pub(crate) out: Writer,
    plan: Plan,
}

impl Actor for Session {}

impl Session {
    pub(crate) fn new(server: Arc<Server>, link: Link<BytesMut>) -> Self {
        tracing::debug!(peer = %link.peer_addr(), "connected");
        Self {
            seat: Seat::take(Arc::clone(&server)),
            link,
            name: Bytes::new(),
            database: 0,
            subscriptions: HashMap::new(),
            out: Writer::new(Protocol::Resp2),
            plan: Plan::new(server.shards.len()),
            server,
        }
    }

    async fn serve(&mut self, batch: &Arc<Batch>, ctx: &Context<Self>) -> Result<(), Over> {
        let commands = &self.server.counts.commands;
        commands.fetch_add(batch.len() as u64, Ordering::Relaxed);
        for number in 0..batch.len() {
            let words = batch.command(number);
            match self.look_up(words) {
                Ok(spec) if spec.place() != Place::Session => {
                    self.plan.add(number, spec, words, &self.server);
                }
                Ok(spec) => {
                    // What comes before has happened, for everybody.
                    self.carry_out(batch).await?;
                    // Boxed: else each batch would have room for it.
                    let executed = Box::pin(self.execute(spec, words, ctx));
                    if let Err(refusal) = executed.await? {
                        self.out.refusal(&refusal);
                    }
                }
                Err(refusal) => {
                    self.carry_out(batch).await?;
                    self.out.refusal(&refusal);
                }
            }
        }
        self.carry_out(batch).await?;
        if let Some(fault) = batch.fault() {
            let text = [b"ERR Protocol error: ", fault].concat();
            self.out.refusal(&text.into());
            return Err(Over::Finished);
        }
        Ok(())
    }

    /// Finds out what a command is, and whether it may be carried out now.
    fn look_up(&self, words: Words<'_>) -> Result<&'static Spec, Refusal> {
        let spec = command::find(words.word(0)).ok_or_else(|| command::unknown(words))?;
        spec.check(words)?;
        let allowed = matches!(
            spec.verb,
            Verb::Subscribe | Verb::Unsubscribe | Verb::Ping | Verb::Quit
        );
        if self.is_listening() && !allowed {
            let text = format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / \
                 RESET are allowed in this context",
                spec.name
            );
            return Err(text.into());
        }
        Ok(spec)
    }

    /// Whether replies could be taken for what is published.
    fn is_listening(&self) -> bool {
        self.out.protocol == Protocol::Resp2 && !self.subscriptions.is_empty()
    }

    /// Has the planned commands carried out by the shards.
    async fn carry_out(&mut self, batch: &Arc<Batch>) -> Result<(), Over> {
        let errand = Errand {
            batch,
            database: self.database,
            server: &self.server,
            out: &mut self.out,
            link: &self.link,
        };
        self.plan.carry_out(errand).await
    }

    /// Carries out a command that concerns no key.
    async fn execute(
        &mut self,
        spec: &Spec,
        words: Words<'_>,
        ctx: &Context<Self>,
    ) -> Result<Result<(), Refusal>, Over> {
        match spec.verb {
            Verb::Ping if self.is_listening() => {
                self.out.array(2);
                self.out.bulk(b"pong");
                self.out.bulk(words.word(1));
            }
            Verb::Ping if words.len() == 1 => self.out.simple("PONG"),
            Verb::Ping | Verb::Echo => self.out.bulk(words.word(1)),
            Verb::Select => return Ok(self.select(words.word(1))),
            Verb::Publish => {
                let [channel, payload] = [1, 2].map(|at| Bytes::copy_from_slice(words.word(at)));
                let publication = Publication { channel, payload };
                let to = self.server.channels.ask(Publish(publication)).await?;
                self.out.integer(len(to));
            }
            Verb::Subscribe => {
                for channel in words.from(1) {
                    self.subscribe(channel, ctx).await?;
                }
            }
            Verb::Unsubscribe => self.unsubscribe(words, ctx).await?,
            Verb::Quit => {
                self.out.ok();
                return Err(Over::Finished);
            }
            Verb::Hello => return Ok(self.hello(words)),
            Verb::Client => return Ok(self.client(words)),
            Verb::Command => return Ok(self.command(words)),
            Verb::Config => return Ok(self.config(words)),
            Verb::Info => self.info(words).await?,
            _ => return Ok(Err(Refusal::new("ERR not a command of a client"))),
        }
        Ok(Ok(()))
    }

    fn select(&mut self, database: &[u8]) -> Result<(), Refusal> {
        let number = integer(database).filter(|number| i32::try_from(*number).is_ok());
        let database = usize::try_from(number.ok_or(NOT_AN_INTEGER)?).ok();
        let database = database.filter(|database| *database < DATABASES);
        self.database = database.ok_or(Refusal::new("ERR DB index is out of range"))?;
        self.out.ok();
        Ok(())
    }

    async fn subscribe(&mut self, channel: &[u8], ctx: &Context<Self>) -> Result<(), Over> {
        let channel = Bytes::copy_from_slice(channel);
        if !self.subscriptions.contains_key(&channel) {
            let subscribe = Subscribe {
                channel: channel.clone(),
                client: ctx.addr().recipient(),
            };
            let subscription = self.server.channels.ask(subscribe).await?;
            self.subscriptions.insert(channel.clone(), subscription);
        }
        self.tell_subscribed("subscribe", Some(&channel));
        Ok(())
    }

    /// Ends the subscriptions of these channels, or all if there is none.
    async fn unsubscribe(&mut self, words: Words<'_>, ctx: &Context<Self>) -> Result<(), Over> {
        let channels: Vec<_> = match words.len() {
            1 => self.subscriptions.keys().cloned().collect(),
            _ => words.from(1).map(Bytes::copy_from_slice).collect(),
        };
        if channels.is_empty() {
            self.tell_subscribed("unsubscribe", None);
        }
        for channel in channels {
            if self.subscriptions.remove(&channel).is_some() {
                let unsubscribe = Unsubscribe {
                    channel: channel.clone(),
                    client: ctx.id(),
                };
                self.server.channels.ask(unsubscribe).await?;
            }
            self.tell_subscribed("unsubscribe", Some(&channel));
        }
        Ok(())
    }

    fn tell_subscribed(&mut self, what: &str, channel: Option<&[u8]>) {
        self.out.push(3);
        self.out.bulk(what.as_bytes());
        self.out.bulk_or_null(channel);
        self.out.integer(len(self.subscriptions.len()));
    }

    /// Hands over what is written, and ends what is over.
    async fn finish(&mut self, done: Result<(), Over>) {
        let flushed = match done {
            Err(Over::Gone) => done,
            done => hand_over(&self.link, &mut self.out, 1).await.and(done),
        };
        match flushed {
            Ok(()) => {}
            // The end of the connection ends this actor.
            Err(Over::Finished | Over::Gone) => self.link.close(),
            Err(Over::Failed(error)) => {
                let error = actors_core::Error::from(error);
                tracing::error!(peer = %self.link.peer_addr(), %error, "closed: not answered");
                self.link.close();
            }
        }
    }
}

impl Handler<Frame<Batch>> for Session {
    async fn handle(&mut self, Frame(batch): Frame<Batch>, ctx: &mut Context<Self>) {
        let done = self.serve(&Arc::new(batch), ctx).await;
        self.finish(done).await;
    }
}

impl Handler<Publication> for Session {
    async fn handle(&mut self, publication: Publication, _: &mut Context<Self>) {
        let Publication { channel, payload } = publication;
        // None: unsubscribed while this was on its way.
        let Some(subscription) = self.subscriptions.get(&channel) else {
            return;
        };
        let too_slow = !subscription.is_active();
        self.out.push(3);
        self.out.bulk(b"message");
        self.out.bulk(&channel);
        self.out.bulk(&payload);
        if too_slow {
            tracing::warn!(peer = %self.link.peer_addr(), "closed: too slow for what is published");
        }
        let done = if too_slow {
            Err(Over::Finished)
        } else {
            Ok(())
        };
        self.finish(done).await;
    }
}
