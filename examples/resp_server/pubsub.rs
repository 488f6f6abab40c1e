//! The actor that has the channels: a topic for each.
use actors_core::{
    Actor, ActorId, Context, Handler, Message, Recipient, Slow, Subscription, Topic,
};
use bytes::Bytes;
use hashbrown::HashMap;

/// Something that was published.
#[derive(Clone, Message)]
pub(crate) struct Publication {
    pub(crate) channel: Bytes,
    pub(crate) payload: Bytes,
}

/// Subscribes a client to a channel. Who is too slow for it loses its subscription.
#[derive(Message)]
#[reply(Subscription<Publication>)]
pub(crate) struct Subscribe {
    pub(crate) channel: Bytes,
    pub(crate) client: Recipient<Publication>,
}

/// Ends a subscription.
#[derive(Message)]
pub(crate) struct Unsubscribe {
    pub(crate) channel: Bytes,
    pub(crate) client: ActorId,
}

/// Publishes; answers to how many.
#[derive(Message)]
#[reply(usize)]
pub(crate) struct Publish(pub(crate) Publication);

/// The channels that somebody is subscribed to.
#[derive(Actor, Default)]
pub(crate) struct Channels {
    topics: HashMap<Bytes, Topic<Publication>>,
    /// How many topics there may be before those are looked for that nobody needs any more.
    crowded: usize,
}

impl Handler<Subscribe> for Channels {
    async fn handle(&mut self, msg: Subscribe, _: &mut Context<Self>) -> Subscription<Publication> {
        // Clients that have gone do not say so.
        if self.topics.len() >= self.crowded {
            self.topics.retain(|_, topic| !topic.is_empty());
            self.crowded = 2 * self.topics.len() + 64;
        }
        let topic = self.topics.entry(msg.channel).or_default();
        topic.subscribe(msg.client, Slow::Drop)
    }
}

impl Handler<Unsubscribe> for Channels {
    async fn handle(&mut self, msg: Unsubscribe, _: &mut Context<Self>) {
        let Some(topic) = self.topics.get(&msg.channel) else {
            return;
        };
        topic.unsubscribe(msg.client);
        if topic.is_empty() {
            self.topics.remove(&msg.channel);
        }
    }
}

impl Handler<Publish> for Channels {
    async fn handle(&mut self, Publish(publication): Publish, _: &mut Context<Self>) -> usize {
        let topic = self.topics.get(&publication.channel);
        topic.map_or(0, |topic| topic.publish(&publication).delivered)
    }
}
