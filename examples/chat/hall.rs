//! The hall: who is here, by which name, and in which room.
use crate::command::is_name;
use crate::session::Session;
use actors_core::{
    Actor, ActorId, Addr, Context, Message, Slow, Stopped, Subscription, Topic, handlers,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A line for all in a room.
#[derive(Clone, Message)]
pub(crate) struct Line(pub(crate) Arc<str>);

impl Line {
    pub(crate) fn new(text: String) -> Self {
        Self(text.into())
    }
}

/// A room is a topic. It is gone when nobody is in it any more.
type Room = Topic<Line>;

/// A place in a room.
pub(crate) struct Place {
    pub(crate) topic: Room,
    pub(crate) subscription: Subscription<Line>,
}

struct Person {
    name: String,
    room: Option<String>,
    session: Addr<Session>,
}

#[derive(Actor, Default)]
pub(crate) struct Hall {
    guests: u64,
    people: HashMap<ActorId, Person>,
    rooms: BTreeMap<String, Room>,
}

/// Why somebody does not get what he wants, in words for him.
pub(crate) type Refusal = &'static str;

const STRANGER: Refusal = "you are not here";
const NO_NAME: Refusal = "a name has up to 20 letters, digits, hyphens and underscores";

#[handlers]
impl Hall {
    /// Lets somebody in, and gives him a name.
    pub(crate) fn arrive(&mut self, session: Addr<Session>, ctx: &mut Context<Self>) -> String {
        ctx.watch(&session);
        let name = loop {
            self.guests += 1;
            let name = format!("guest-{}", self.guests);
            if self.is_free(&name) {
                break name;
            }
        };
        let person = Person {
            name: name.clone(),
            room: None,
            session,
        };
        self.people.insert(person.session.id(), person);
        name
    }

    pub(crate) fn rename(&mut self, who: ActorId, name: String) -> Result<(), Refusal> {
        if !is_name(&name) {
            return Err(NO_NAME);
        }
        if !self.is_free(&name) {
            return Err("somebody else has that name");
        }
        let person = self.people.get_mut(&who).ok_or(STRANGER)?;
        let before = std::mem::replace(&mut person.name, name);
        let news = format!("* {before} is now {}", person.name);
        let room = person.room.as_deref();
        publish(room.and_then(|room| self.rooms.get(room)), news);
        Ok(())
    }

    /// Takes somebody into a room, out of the one that he is in. What is said there he gets until his
    /// subscription ends, which it does when his mailbox is full.
    pub(crate) fn join(&mut self, who: ActorId, room: String) -> Result<Place, Refusal> {
        if !is_name(&room) {
            return Err(NO_NAME);
        }
        self.depart(who);
        let person = self.people.get_mut(&who).ok_or(STRANGER)?;
        let topic = self.rooms.entry(room.clone()).or_default();
        let subscription = topic.subscribe(person.session.recipient(), Slow::Drop);
        publish(Some(topic), format!("* {} has joined {room}", person.name));
        person.room = Some(room);
        let topic = topic.clone();
        Ok(Place {
            topic,
            subscription,
        })
    }

    pub(crate) fn leave(&mut self, who: ActorId) {
        self.depart(who);
    }

    /// The names of all in the same room.
    pub(crate) fn who(&mut self, who: ActorId) -> Vec<String> {
        let room = self.people.get(&who).and_then(|me| me.room.as_ref());
        let there = self.people.values();
        let there = there.filter(|other| room.is_some() && other.room.as_ref() == room);
        let mut names: Vec<_> = there.map(|other| other.name.clone()).collect();
        names.sort();
        names
    }

    /// The rooms, and how many are in each.
    pub(crate) fn rooms(&mut self) -> Vec<(String, usize)> {
        let rooms = self.rooms.iter();
        rooms
            .map(|(name, room)| (name.clone(), room.len()))
            .collect()
    }

    #[on]
    fn gone(&mut self, msg: Stopped) {
        self.depart(msg.actor.id());
        self.people.remove(&msg.actor.id());
    }
}

impl Hall {
    fn is_free(&self, name: &str) -> bool {
        self.people.values().all(|person| person.name != name)
    }

    /// Takes somebody out of his room, if he is in one.
    fn depart(&mut self, who: ActorId) {
        let Some(person) = self.people.get_mut(&who) else {
            return;
        };
        let Some(name) = person.room.take() else {
            return;
        };
        let Some(room) = self.rooms.get(&name) else {
            return;
        };
        room.unsubscribe(who);
        publish(Some(room), format!("* {} has left {name}", person.name));
        if !self
            .people
            .values()
            .any(|other| other.room.as_ref() == Some(&name))
        {
            self.rooms.remove(&name);
        }
    }
}

fn publish(room: Option<&Room>, text: String) {
    if let Some(room) = room {
        room.publish(&Line::new(text));
    }
}
