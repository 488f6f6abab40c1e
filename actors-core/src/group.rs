//! Several actors behind one address: routing and broadcast.
use crate::actor::Message;
use crate::ask;
use crate::call::{Ask, Reply, Routed};
use crate::error::{AskError, SendError, TellError};
use crate::id::ActorId;
use crate::recipient::Recipient;
use crate::roster::Roster;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// One address for several actors that handle `M`: each message goes to one of them, or to all.
///
/// | made by | a message goes to | when that one is full |
/// |---|---|---|
/// | [`round_robin`](Self::round_robin) | the next in turn | the one after it |
/// | [`least_loaded`](Self::least_loaded) | the one with the least mail | any other |
/// | [`by_key`](Self::by_key) | the one that the message's key belongs to | waits, or `Full` |
///
/// Members join and leave at any time, and one that ends leaves by itself before its end is told.
/// A member that its supervisor restarts stays. Being a member counts as an address: it keeps the
/// actor alive until it leaves, ends, or the group is dropped. Cloning a group gives another handle
/// of it.
///
/// ```
/// use actors_core::{Actor, Group, handlers};
///
/// #[derive(Actor)]
/// struct Shard { number: u32 }
///
/// #[handlers]
/// impl Shard {
///     fn find(&mut self, user: String) -> (u32, String) { (self.number, user) }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let shards = Group::by_key(|find: &Find| find.user.clone());
/// for number in 0..4 {
///     shards.join(Shard { number }.spawn().recipient());
/// }
/// let find = || Find { user: "ada".into() };
/// let (first, _) = shards.ask(find()).await?;
/// assert_eq!(shards.ask(find()).await?.0, first); // the same key, the same actor
/// # Ok(())
/// # }
/// ```
pub struct Group<M: Message> {
    parts: Arc<Parts<M>>,
}

struct Parts<M: Message> {
    route: Route<M>,
    roster: Arc<Roster<Recipient<M>>>,
    /// Whose turn it is.
    turn: AtomicUsize,
}

enum Route<M> {
    RoundRobin,
    LeastLoaded,
    /// Gives the hash of a message's key.
    ByKey(Box<dyn Fn(&M) -> u64 + Send + Sync>),
}

/// What became of a message that was sent to all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broadcast {
    /// How many members have accepted it.
    pub accepted: usize,
    /// How many have refused it: their mailbox was full, or they were stopping.
    pub refused: usize,
}

impl<M: Message> Group<M> {
    /// Each message goes to the next member in turn; one that is full is passed over.
    pub fn round_robin() -> Self {
        Self::new(Route::RoundRobin)
    }

    /// Each message goes to the member that has the fewest messages waiting or being handled. Looks
    /// at all members for each message.
    pub fn least_loaded() -> Self {
        Self::new(Route::LeastLoaded)
    }

    /// Messages of equal keys go to the same member, for as long as it is one. When a member joins
    /// or leaves, only the keys that are its own change their place (rendezvous hashing). Looks at
    /// all members for each message.
    pub fn by_key<K: Hash>(key: impl Fn(&M) -> K + Send + Sync + 'static) -> Self {
        Self::new(Route::ByKey(Box::new(move |msg| {
            let mut hasher = DefaultHasher::new();
            key(msg).hash(&mut hasher);
            hasher.finish()
        })))
    }

    fn new(route: Route<M>) -> Self {
        Self {
            parts: Arc::new(Parts {
                route,
                roster: Roster::new(),
                turn: AtomicUsize::new(0),
            }),
        }
    }

    /// Makes the actor a member; one that is a member already stays the one it is. Whether it is a
    /// member now: not when it accepts no more messages.
    pub fn join(&self, member: Recipient<M>) -> bool {
        if self.parts.roster.members().of(member.id()).is_some() {
            return member.is_alive();
        }
        self.parts.roster.join(&member.keep(), member)
    }

    /// Ends a membership; mail that the member has accepted is its own. False: it was no member.
    pub fn leave(&self, member: ActorId) -> bool {
        self.parts.roster.leave(member)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.parts.roster.members().len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members at this moment.
    pub fn members(&self) -> Vec<Recipient<M>> {
        self.parts.roster.all().to_vec()
    }

    /// Asks one member. When all that it may go to are full, awaiting it waits for room at the one
    /// whose turn it is. A message whose member stops before it has accepted it goes to another.
    ///
    /// Ends with `Closed` when there is no member.
    pub fn ask(&self, msg: M) -> Ask<'static, M::Reply> {
        Ask::routed(ToMember {
            parts: Arc::clone(&self.parts),
            msg,
        })
    }

    /// Posts an ask to one member now, without waiting for room; or gives the message back.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn try_ask(&self, msg: M) -> Result<Reply<M::Reply>, TellError<M>> {
        self.parts.try_ask(msg, None)
    }

    /// Tells one member.
    ///
    /// # Errors
    ///
    /// `Full` when all that the message may go to are full, `Closed` when there is no member. Both
    /// give the message back.
    pub fn tell(&self, msg: M) -> Result<(), TellError<M>> {
        self.parts.route(msg, Recipient::tell)
    }

    /// Sends to one member, once there is room. Dropped before it is ready, it has sent nothing.
    ///
    /// # Errors
    ///
    /// `Closed` when there is no member; `Deadlock` as for [`Addr::send`](crate::Addr::send). Both
    /// give the message back.
    pub async fn send(&self, mut msg: M) -> Result<(), SendError<M>> {
        loop {
            let Some(to) = self.parts.pick(&msg) else {
                return Err(SendError::Closed(msg));
            };
            match to.send(msg).await {
                Err(SendError::Closed(back)) => msg = back,
                done => return done,
            }
        }
    }

    /// Tells all members; waits for none of them.
    pub fn broadcast(&self, msg: &M) -> Broadcast
    where
        M: Clone,
    {
        let mut sent = Broadcast::default();
        for member in self.parts.roster.all().iter() {
            match member.tell(msg.clone()) {
                Ok(()) => sent.accepted += 1,
                Err(_) => sent.refused += 1,
            }
        }
        sent
    }

    /// Posts an ask to all members, without waiting for room: a reply, or the reason why there is
    /// none, for each.
    pub fn ask_all(&self, msg: &M) -> Vec<Result<Reply<M::Reply>, AskError>>
    where
        M: Clone,
    {
        let all = self.parts.roster.all();
        let asked = all.iter().map(|member| member.ask(msg.clone()).post());
        asked.collect()
    }
}

impl<M: Message> Parts<M> {
    /// For one message.
    fn candidates(&self, msg: &M) -> Candidates<'_, M> {
        let key = match &self.route {
            Route::ByKey(key) => Some(key(msg)),
            Route::RoundRobin | Route::LeastLoaded => None,
        };
        Candidates {
            route: &self.route,
            key,
            turn: self.turn.fetch_add(1, Ordering::Relaxed),
            members: self.roster.all(),
        }
    }

    /// Gives the message to one that takes it.
    fn route<T>(
        &self,
        mut msg: M,
        mut give: impl FnMut(&Recipient<M>, M) -> Result<T, TellError<M>>,
    ) -> Result<T, TellError<M>> {
        let candidates = self.candidates(&msg);
        let mut full = false;
        for to in candidates.iter() {
            match give(to, msg) {
                Ok(done) => return Ok(done),
                Err(TellError::Full(back)) if candidates.key.is_some() => {
                    return Err(TellError::Full(back));
                }
                Err(TellError::Full(back)) => {
                    full = true;
                    msg = back;
                }
                Err(TellError::Closed(back)) => msg = back,
            }
        }
        Err(match full {
            true => TellError::Full(msg),
            false => TellError::Closed(msg),
        })
    }

    /// The one to wait for: one with room, or if all are full the first of them.
    fn pick(&self, msg: &M) -> Option<Recipient<M>> {
        let candidates = self.candidates(msg);
        if candidates.key.is_some() {
            return candidates.at(0).cloned();
        }
        let mut full = None;
        for to in candidates.iter() {
            if to.has_room() {
                return Some(to.clone());
            }
            if full.is_none() && to.is_alive() {
                full = Some(to);
            }
        }
        full.cloned()
    }

    fn try_ask(&self, msg: M, timeout: Option<Duration>) -> Result<Reply<M::Reply>, TellError<M>> {
        self.route(msg, |to, msg| ask::try_ask_within(to.port(), msg, timeout))
    }
}

/// To whom a message may go. Of the members at one moment: one that stays is found, whoever joins or leaves
/// meanwhile.
struct Candidates<'a, M: Message> {
    route: &'a Route<M>,
    key: Option<u64>,
    turn: usize,
    members: Arc<[Recipient<M>]>,
}

impl<M: Message> Candidates<'_, M> {
    /// The one to try at this attempt; `None` when all were tried.
    fn at(&self, attempt: usize) -> Option<&Recipient<M>> {
        let open = || self.members.iter().filter(|member| member.is_alive());
        if let Some(key) = self.key {
            return open().max_by_key(|member| score(key, member.id()));
        }
        let len = self.members.len();
        let in_turn = |n: usize| (n < len).then(|| &self.members[self.turn.wrapping_add(n) % len]);
        match (self.route, attempt) {
            // Of those with equally much, the one whose turn it is.
            (Route::LeastLoaded, 0) => {
                let all = (0..len).filter_map(in_turn);
                let open = all.filter(|member| member.is_alive());
                open.min_by_key(|member| member.waiting())
            }
            (Route::LeastLoaded, attempt) => in_turn(attempt - 1),
            (_, attempt) => in_turn(attempt),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Recipient<M>> {
        (0..).map_while(|attempt| self.at(attempt))
    }
}

/// How much a key belongs to an actor: the actor with the highest score has it.
fn score(key: u64, id: ActorId) -> u64 {
    mix(key ^ mix(id.get()))
}

/// Spreads a number over all bits: the last steps of splitmix64.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// An ask whose member is chosen when it is sent.
struct ToMember<M: Message> {
    parts: Arc<Parts<M>>,
    msg: M,
}

impl<M: Message> Routed<M::Reply> for ToMember<M> {
    fn post(self: Box<Self>, timeout: Option<Duration>) -> Result<Reply<M::Reply>, AskError> {
        let posted = self.parts.try_ask(self.msg, timeout);
        posted.map_err(|refused| match refused {
            TellError::Full(_) => AskError::Full,
            TellError::Closed(_) => AskError::Closed,
        })
    }

    fn ask(self: Box<Self>, timeout: Option<Duration>) -> Asking<M::Reply> {
        Box::pin(async move {
            let Self { parts, mut msg } = *self;
            let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            loop {
                let Some(to) = parts.pick(&msg) else {
                    return Err(AskError::Closed);
                };
                let mut ask = to.ask(msg);
                if let Some(deadline) = deadline {
                    ask = ask.timeout(deadline.saturating_duration_since(Instant::now()));
                }
                match poll_fn(|cx| ask.poll_or_message(cx)).await {
                    Ok(result) => return result,
                    Err(back) => msg = back,
                }
            }
        })
    }
}

type Asking<R> = Pin<Box<dyn Future<Output = Result<R, AskError>> + Send>>;

impl<M: Message> Clone for Group<M> {
    fn clone(&self) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
        }
    }
}

impl<M: Message> fmt::Debug for Group<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = match &self.parts.route {
            Route::RoundRobin => "round robin",
            Route::LeastLoaded => "least loaded",
            Route::ByKey(_) => "by key",
        };
        f.debug_struct("Group")
            .field("message", &std::any::type_name::<M>())
            .field("route", &route)
            .field("members", &self.len())
            .finish()
    }
}

#[cfg(all(test, not(actors_loom)))]
mod tests {
    use super::*;
    use crate::actor::{Actor, Handler};
    use crate::cell::Context;
    use tokio::runtime::Builder;

    struct Member;

    impl Actor for Member {}

    struct Hello;

    impl Message for Hello {
        type Reply = ();
    }

    impl Handler<Hello> for Member {
        async fn handle(&mut self, _hello: Hello, _ctx: &mut Context<Self>) {}
    }

    /// It moved to the place of one that had been tried, and was passed over.
    #[test]
    fn a_member_that_stays_is_tried_though_others_leave_meanwhile() {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let _entered = runtime.enter();
        for group in [Group::round_robin(), Group::least_loaded()] {
            let members: [_; 3] = std::array::from_fn(|_| Member.spawn().recipient());
            for stays in &members {
                members.iter().for_each(|member| {
                    group.join(member.clone());
                });
                let mut tried = Vec::new();
                for to in group.parts.candidates(&Hello).iter() {
                    tried.push(to.id());
                    if to.id() != stays.id() {
                        group.leave(to.id());
                    }
                }
                assert!(tried.contains(&stays.id()), "{tried:?}");
            }
        }
    }
}
