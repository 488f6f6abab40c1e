//! Publish and subscribe: what is published goes to all who have subscribed, and waits for nobody.
use crate::actor::Message;
use crate::error::TellError;
use crate::id::ActorId;
use crate::recipient::Recipient;
use crate::roster::Roster;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// A topic: whatever is published to it is told to all its subscribers.
///
/// A subscriber is bounded by its own mailbox. Publishing never waits for one: what happens to one
/// that is full is chosen when it subscribes, see [`Slow`]. An [`Overflow`](crate::Overflow) policy
/// of the subscriber's mailbox comes first: a mailbox that makes room by itself is never full.
///
/// A subscriber that ends is taken off before its end is told; one that its supervisor restarts
/// stays. Subscribing counts as an address: it keeps the actor alive until it is cancelled, the
/// actor ends, or the topic is dropped. Cloning a topic gives another handle of it.
///
/// Each subscriber gets what one publisher publishes in its order.
///
/// ```
/// use actors_core::{Actor, Slow, Topic, handlers};
///
/// #[derive(Clone, actors_core::Message)]
/// struct Price(u64);
///
/// #[derive(Actor, Default)]
/// struct Screen { shown: Vec<u64> }
///
/// #[handlers]
/// impl Screen {
///     #[on]
///     fn price(&mut self, price: Price) { self.shown.push(price.0); }
///     fn shown(&mut self) -> Vec<u64> { self.shown.clone() }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let prices = Topic::new();
/// let screen = Screen::default().spawn();
/// let subscription = prices.subscribe(screen.recipient(), Slow::Skip);
/// assert_eq!(prices.publish(&Price(7)).delivered, 1);
/// assert_eq!(screen.shown().await?, [7]);
/// assert_eq!(subscription.missed(), 0);
/// # Ok(())
/// # }
/// ```
pub struct Topic<M: Message> {
    roster: Arc<Roster<Subscriber<M>>>,
}

/// What happens to a subscriber whose mailbox is full when something is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slow {
    /// It misses what is published, is counted as [skipped](Published::skipped), and stays: for
    /// news of which only the latest counts.
    Skip,
    /// It is subscribed no more: for those who must not miss anything, and start anew if they do.
    Drop,
}

/// To whom something that was published went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// How many subscribers have accepted it.
    pub delivered: usize,
    /// How many were full and have missed it.
    pub skipped: usize,
    /// How many were full and are subscribed no more.
    pub dropped: usize,
}

struct Subscriber<M: Message> {
    to: Recipient<M>,
    slow: Slow,
    missed: Arc<AtomicU64>,
}

impl<M: Message> Topic<M> {
    /// A topic without subscribers.
    pub fn new() -> Self {
        Self {
            roster: Roster::new(),
        }
    }

    /// Subscribes an actor. One that is subscribed already is subscribed anew, with what is chosen
    /// now; one that accepts no more messages is not subscribed, which
    /// [`Subscription::is_active`] tells.
    pub fn subscribe(&self, to: Recipient<M>, slow: Slow) -> Subscription<M> {
        let missed = Arc::new(AtomicU64::new(0));
        let (id, keep) = (to.id(), to.keep());
        let subscriber = Subscriber {
            to,
            slow,
            missed: Arc::clone(&missed),
        };
        self.roster.join(&keep, subscriber);
        Subscription {
            roster: Arc::downgrade(&self.roster),
            id,
            missed,
        }
    }

    /// Tells all subscribers; waits for none of them.
    pub fn publish(&self, msg: &M) -> Published
    where
        M: Clone,
    {
        let mut published = Published::default();
        for subscriber in self.roster.all().iter() {
            match (subscriber.to.tell(msg.clone()), subscriber.slow) {
                (Ok(()), _) => published.delivered += 1,
                (Err(TellError::Full(_)), Slow::Skip) => {
                    subscriber.missed.fetch_add(1, Ordering::Relaxed);
                    published.skipped += 1;
                }
                (Err(TellError::Full(_)), Slow::Drop) => {
                    subscriber.missed.fetch_add(1, Ordering::Relaxed);
                    let id = subscriber.to.id();
                    if self
                        .roster
                        .leave_with(id, |other| other.is(&subscriber.missed))
                    {
                        tracing::warn!(
                            actor = subscriber.to.name(),
                            %id,
                            message_type = std::any::type_name::<M>(),
                            "a slow subscriber was dropped"
                        );
                        published.dropped += 1;
                    }
                }
                // It ends, and is taken off the list by that.
                (Err(TellError::Closed(_)), _) => {}
            }
        }
        published
    }

    /// Ends an actor's subscription. False: it had none.
    pub fn unsubscribe(&self, subscriber: ActorId) -> bool {
        self.roster.leave(subscriber)
    }

    /// How many subscribers there are.
    pub fn len(&self) -> usize {
        self.roster.members().len()
    }

    /// Whether there is no subscriber.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<M: Message> Default for Topic<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Message> Clone for Topic<M> {
    fn clone(&self) -> Self {
        Self {
            roster: Arc::clone(&self.roster),
        }
    }
}

impl<M: Message> fmt::Debug for Topic<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("message", &std::any::type_name::<M>())
            .field("subscribers", &self.len())
            .finish()
    }
}

impl<M: Message> Subscriber<M> {
    /// Whether it is the subscription that counts here.
    fn is(&self, missed: &Arc<AtomicU64>) -> bool {
        Arc::ptr_eq(&self.missed, missed)
    }
}

impl<M: Message> Clone for Subscriber<M> {
    fn clone(&self) -> Self {
        Self {
            to: self.to.clone(),
            slow: self.slow,
            missed: Arc::clone(&self.missed),
        }
    }
}

/// An actor's subscription to a [`Topic`]. Dropping it changes nothing: the actor stays subscribed.
pub struct Subscription<M: Message> {
    roster: Weak<Roster<Subscriber<M>>>,
    id: ActorId,
    missed: Arc<AtomicU64>,
}

impl<M: Message> Subscription<M> {
    /// Ends it; what was delivered before is still handled.
    pub fn cancel(&self) {
        if let Some(roster) = self.roster.upgrade() {
            roster.leave_with(self.id, |subscriber| subscriber.is(&self.missed));
        }
    }

    /// Whether what is published now would go to the actor. Not after it was cancelled, replaced,
    /// or dropped for being slow, nor when the actor has ended or the topic is gone.
    pub fn is_active(&self) -> bool {
        self.roster.upgrade().is_some_and(|roster| {
            let members = roster.members();
            members
                .of(self.id)
                .is_some_and(|subscriber| subscriber.is(&self.missed))
        })
    }

    /// How many messages the actor has missed because its mailbox was full.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl<M: Message> fmt::Debug for Subscription<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("active", &self.is_active())
            .field("missed", &self.missed())
            .finish()
    }
}
