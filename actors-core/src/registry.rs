//! Names to addresses.
use crate::addr::Addr;
use crate::cell::{self, Cell, Live};
use crate::error::RegisterError;
use crate::id::ActorId;
use crate::mailbox::{Tx, WeakTx};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, LazyLock};
use std::task::{Poll, Waker};

/// The names of this process.
static PROCESS: LazyLock<Registry> = LazyLock::new(Registry::new);

/// Names of actors, each of which belongs to one live actor at a time.
///
/// The process has one of its own: [`SpawnOptions::registered`](crate::SpawnOptions::registered)
/// claims names in it, and [`lookup`], [`wait_for`] and [`names`] ask it. A registry that one makes
/// is for names that must not meet those of others: two services in one process, tests that run
/// side by side. Cloning gives another handle of the same registry.
///
/// A name does not keep its actor alive. It is free again when
/// [`Addr::stopped`](crate::Addr::stopped) returns, and stays with an actor that its supervisor
/// restarts.
///
/// ```
/// use actors_core::{Actor, Registry, SpawnOptions};
///
/// #[derive(Actor)]
/// struct Db;
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let names = Registry::new();
/// let db = SpawnOptions::new().registered_in(&names, "db").spawn(Db)?;
/// names.register("primary", &db)?; // an actor may have several
/// assert_eq!(names.lookup::<Db>("primary"), Some(db.clone()));
/// assert_eq!(names.wait_for::<Db>("db").await, db);
/// assert!(names.register("db", &Db.spawn()).is_err()); // taken
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    places: Arc<DashMap<Cow<'static, str>, Place>>,
}

/// One name: who has it, and who waits for somebody to have it.
#[derive(Default)]
struct Place {
    actor: Option<Holder>,
    waiting: Vec<(u64, Waker)>,
}

struct Holder {
    id: ActorId,
    type_name: &'static str,
    /// A `WeakTx` of the actor's type.
    tx: Box<dyn Any + Send + Sync>,
}

impl Holder {
    /// The address, if the actor is of this type and accepts messages.
    fn addr<A: 'static>(&self) -> Option<Addr<A>> {
        let tx = self.tx.downcast_ref::<WeakTx<Live<A>, Cell>>()?;
        (!tx.keep().queue().is_closed()).then(|| Addr { tx: tx.tx() })
    }
}

/// A name that is taken, and the actor that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedActor {
    /// The name.
    pub name: String,
    /// The actor's id.
    pub id: ActorId,
    /// The type of its state.
    pub type_name: &'static str,
}

impl Registry {
    /// A registry without names.
    pub fn new() -> Self {
        Self::default()
    }

    /// The registry of the process.
    pub fn process() -> Self {
        PROCESS.clone()
    }

    /// Gives the actor this name, beside those it has.
    ///
    /// # Errors
    ///
    /// `NameTaken` when a live actor has the name, this one included; `Closed` when the actor
    /// accepts no more messages.
    pub fn register<A: 'static>(
        &self,
        name: impl Into<Cow<'static, str>>,
        addr: &Addr<A>,
    ) -> Result<(), RegisterError> {
        self.claim(name.into(), &addr.tx)
    }

    /// Finds the live actor that has this name. `None` when there is none, when it is of another
    /// type, or when it accepts no more messages.
    pub fn lookup<A: 'static>(&self, name: &str) -> Option<Addr<A>> {
        self.places.get(name)?.actor.as_ref()?.addr()
    }

    /// Waits until [`lookup`](Self::lookup) finds an actor: at once if it does. Waits for ever for
    /// a name that nobody takes; dropping the future leaves nothing behind.
    ///
    /// The actor may still be in its `started`; mail that is sent to it waits.
    pub async fn wait_for<A: 'static>(&self, name: &str) -> Addr<A> {
        if let Some(addr) = self.lookup(name) {
            return addr;
        }
        let waiting = Waiting {
            registry: self,
            name,
            key: cell::watch_key(),
        };
        poll_fn(|cx| waiting.poll(cx.waker())).await
    }

    /// The names that are taken, in their order, also those of actors that are stopping.
    pub fn names(&self) -> Vec<NamedActor> {
        let mut names: Vec<_> = self
            .places
            .iter()
            .filter_map(|place| {
                let actor = place.actor.as_ref()?;
                Some(NamedActor {
                    name: place.key().clone().into_owned(),
                    id: actor.id,
                    type_name: actor.type_name,
                })
            })
            .collect();
        names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        names
    }

    /// Takes the name for the actor until it ends.
    pub(crate) fn claim<A: 'static>(
        &self,
        name: Cow<'static, str>,
        tx: &Tx<Live<A>, Cell>,
    ) -> Result<(), RegisterError> {
        let cell = tx.beside();
        let mut place = self.places.entry(name.clone()).or_default();
        if place.actor.is_some() {
            return Err(RegisterError::NameTaken(name));
        }
        place.actor = Some(Holder {
            id: cell.id,
            type_name: (cell.type_name)(),
            tx: Box::new(WeakTx::of(tx)),
        });
        drop(place);
        let (registry, id, freed) = (self.clone(), cell.id, name.clone());
        let undo = move || registry.free(&freed, id);
        if !cell::undo_at_end(&tx.any().keep(), cell::watch_key(), undo) {
            self.free(&name, cell.id);
            return Err(RegisterError::Closed);
        }
        // Only those that are let in: who waits for one that was refused goes on waiting.
        let place = self.places.get_mut(&name);
        let waiting = place.map(|mut place| mem::take(&mut place.waiting));
        for (_, waker) in waiting.unwrap_or_default() {
            waker.wake();
        }
        Ok(())
    }

    /// Frees the name, if this actor has it.
    fn free(&self, name: &str, id: ActorId) {
        let Entry::Occupied(mut place) = self.places.entry(Cow::Owned(name.to_owned())) else {
            return;
        };
        if place
            .get()
            .actor
            .as_ref()
            .is_none_or(|actor| actor.id != id)
        {
            return;
        }
        if place.get().waiting.is_empty() {
            place.remove();
        } else {
            place.get_mut().actor = None;
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("names", &self.names())
            .finish()
    }
}

/// Somebody who waits for a name; forgotten when dropped.
struct Waiting<'a> {
    registry: &'a Registry,
    name: &'a str,
    key: u64,
}

impl Waiting<'_> {
    fn poll<A: 'static>(&self, waker: &Waker) -> Poll<Addr<A>> {
        let name = Cow::Owned(self.name.to_owned());
        let mut place = self.registry.places.entry(name).or_default();
        if let Some(addr) = place.actor.as_ref().and_then(Holder::addr) {
            return Poll::Ready(addr);
        }
        match place.waiting.iter_mut().find(|(key, _)| *key == self.key) {
            Some((_, known)) => known.clone_from(waker),
            None => place.waiting.push((self.key, waker.clone())),
        }
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let name = Cow::Owned(self.name.to_owned());
        let Entry::Occupied(mut place) = self.registry.places.entry(name) else {
            return;
        };
        let waiting = &mut place.get_mut().waiting;
        let at = waiting.iter().position(|(key, _)| *key == self.key);
        let forgotten = at.map(|at| waiting.swap_remove(at));
        if waiting.is_empty() && place.get().actor.is_none() {
            place.remove();
        } else {
            drop(place);
        }
        // Without the lock: a waker's destructor is somebody's code.
        drop(forgotten);
    }
}

/// Finds the live actor that was spawned under a name, with
/// [`SpawnOptions::registered`](crate::SpawnOptions::registered).
///
/// `None` when there is none, when it is of another type, or when it accepts no more messages.
///
/// ```
/// use actors_core::{Actor, SpawnOptions, lookup};
///
/// #[derive(Actor)]
/// struct Db;
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let db = SpawnOptions::new().registered("db").spawn(Db)?;
/// assert_eq!(lookup::<Db>("db"), Some(db.clone()));
/// db.stop();
/// db.stopped().await;
/// assert_eq!(lookup::<Db>("db"), None);
/// # Ok(())
/// # }
/// ```
pub fn lookup<A: 'static>(name: &str) -> Option<Addr<A>> {
    PROCESS.lookup(name)
}

/// Waits until [`lookup`] finds an actor of this type under this name: at once if it does.
///
/// Waits for ever for a name that nobody takes, so mostly within a timeout. Dropping the future
/// leaves nothing behind.
///
/// ```
/// use actors_core::{Actor, SpawnOptions, wait_for};
///
/// #[derive(Actor)]
/// struct Db;
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let early = tokio::spawn(async { wait_for::<Db>("late-db").await });
/// let db = SpawnOptions::new().registered("late-db").spawn(Db)?;
/// assert_eq!(early.await?, db);
/// # Ok(())
/// # }
/// ```
pub async fn wait_for<A: 'static>(name: &str) -> Addr<A> {
    PROCESS.wait_for(name).await
}

/// The names that live actors of this process have claimed, in their order.
///
/// ```
/// use actors_core::{Actor, SpawnOptions, names};
///
/// #[derive(Actor)]
/// struct Db;
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let db = SpawnOptions::new().registered("db-of-names").spawn(Db)?;
/// assert!(names().iter().any(|name| name.name == "db-of-names" && name.id == db.id()));
/// # Ok(())
/// # }
/// ```
pub fn names() -> Vec<NamedActor> {
    PROCESS.names()
}
