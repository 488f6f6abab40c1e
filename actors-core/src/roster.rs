//! Who takes part in something, for as long as they live: the members of a group, the subscribers
//! of a topic.
use crate::cell::{self, Cell};
use crate::id::ActorId;
use crate::mailbox::Keep;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A list of actors, each with a `T`; who ends is taken off it before anybody learns of the end.
pub(crate) struct Roster<T> {
    members: Mutex<Members<T>>,
}

/// The list, locked: nobody's code may run meanwhile.
pub(crate) struct Members<T> {
    list: Vec<Member<T>>,
    places: HashMap<ActorId, usize>,
    /// The same list to go through without the lock; made when it is needed.
    all: Option<Arc<[T]>>,
}

struct Member<T> {
    what: T,
    keep: Keep<Cell>,
    /// Of what undoes the membership at the actor's end.
    key: u64,
}

impl<T: Clone + Send + Sync + 'static> Roster<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            members: Mutex::new(Members {
                list: Vec::new(),
                places: HashMap::new(),
                all: None,
            }),
        })
    }

    pub(crate) fn members(&self) -> MutexGuard<'_, Members<T>> {
        // Nothing under this lock is left half-done by a panic.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the actor with its `T`, in the place of the one that it had. False: it ends.
    pub(crate) fn join(self: &Arc<Self>, keep: &Keep<Cell>, what: T) -> bool {
        let id = keep.beside().id;
        let key = cell::watch_key();
        let member = Member {
            what,
            keep: keep.clone(),
            key,
        };
        let before = self.members().insert(id, member);
        if let Some(before) = before {
            before.dismiss();
        }
        let roster = Arc::downgrade(self);
        let undo = move || {
            if let Some(roster) = roster.upgrade() {
                roster.remove(id, |member| member.key == key);
            }
        };
        let stays = cell::undo_at_end(keep, key, undo);
        if !stays {
            self.remove(id, |member| member.key == key);
        }
        stays
    }

    /// Takes the actor off the list. False: it was not on it.
    pub(crate) fn leave(&self, id: ActorId) -> bool {
        self.remove(id, |_| true)
    }

    /// The same, if it takes part with this `T`.
    pub(crate) fn leave_with(&self, id: ActorId, is_it: impl FnOnce(&T) -> bool) -> bool {
        self.remove(id, |member| is_it(&member.what))
    }

    fn remove(&self, id: ActorId, is_it: impl FnOnce(&Member<T>) -> bool) -> bool {
        let removed = self.members().remove(id, is_it);
        // Without the lock: it may be the last address of its actor.
        removed.is_some_and(|member| {
            member.dismiss();
            true
        })
    }

    /// All at this moment.
    pub(crate) fn all(&self) -> Arc<[T]> {
        let mut members = self.members();
        let Members { list, all, .. } = &mut *members;
        let all =
            all.get_or_insert_with(|| list.iter().map(|member| member.what.clone()).collect());
        Arc::clone(all)
    }
}

impl<T> Members<T> {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The one that this actor is.
    pub(crate) fn of(&self, id: ActorId) -> Option<&T> {
        let place = *self.places.get(&id)?;
        Some(&self.list[place].what)
    }

    /// Gives the member back that the actor was before.
    fn insert(&mut self, id: ActorId, member: Member<T>) -> Option<Member<T>> {
        self.all = None;
        if let Some(&place) = self.places.get(&id) {
            return Some(std::mem::replace(&mut self.list[place], member));
        }
        self.places.insert(id, self.list.len());
        self.list.push(member);
        None
    }

    fn remove(&mut self, id: ActorId, is_it: impl FnOnce(&Member<T>) -> bool) -> Option<Member<T>> {
        let place = *self.places.get(&id)?;
        if !is_it(&self.list[place]) {
            return None;
        }
        self.places.remove(&id);
        self.all = None;
        let removed = self.list.swap_remove(place);
        if let Some(moved) = self.list.get(place) {
            self.places.insert(moved.keep.beside().id, place);
        }
        Some(removed)
    }
}

impl<T> Member<T> {
    /// It is no member any more, and nothing is to be undone at its end.
    fn dismiss(self) {
        drop(cell::take_undo(self.keep.beside(), self.key));
    }
}

impl<T> Drop for Roster<T> {
    fn drop(&mut self) {
        let members = self.members.get_mut();
        let members = members.unwrap_or_else(PoisonError::into_inner);
        for member in members.list.drain(..) {
            member.dismiss();
        }
    }
}
