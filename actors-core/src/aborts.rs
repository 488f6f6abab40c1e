//! Who is killed because it does not end in time, for the shutdowns that are to name it.
use crate::cell::Cell;
use crate::census;
use crate::id::ActorId;
use crate::mailbox::Keep;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The shutdowns of this process that have not ended.
static WATCHES: Mutex<Vec<Arc<Watch>>> = Mutex::new(Vec::new());

struct Watch {
    root: ActorId,
    aborted: Mutex<Vec<Abort>>,
}

/// An actor that was killed, and the type of the message that it was handling.
pub(crate) struct Abort {
    pub(crate) actor: Keep<Cell>,
    pub(crate) message: Option<&'static str>,
}

/// Notes who is killed, of one actor and all below it, until this is dropped.
pub(crate) struct Aborts(Arc<Watch>);

impl Aborts {
    pub(crate) fn watch(root: &Keep<Cell>) -> Self {
        let watch = Arc::new(Watch {
            root: root.beside().id,
            aborted: Mutex::new(Vec::new()),
        });
        lock(&WATCHES).push(Arc::clone(&watch));
        Self(watch)
    }

    /// Those so far, by their ids.
    pub(crate) fn take(&self) -> Vec<Abort> {
        let mut aborted = mem::take(&mut *lock(&self.0.aborted));
        let id = |abort: &Abort| abort.actor.beside().id;
        aborted.sort_by_key(id);
        // Two may have found at the same time that it was too late for one.
        aborted.dedup_by(|one, other| id(one) == id(other));
        aborted
    }
}

impl Drop for Aborts {
    fn drop(&mut self) {
        lock(&WATCHES).retain(|watch| !Arc::ptr_eq(watch, &self.0));
    }
}

/// Kills an actor that has not ended in time.
pub(crate) fn abort(actor: &Keep<Cell>) {
    // Who was killed by somebody else is none of those.
    if !actor.queue().is_killed() {
        actor.beside().set_aborted();
        note(actor);
    }
    actor.queue().kill();
}

fn note(actor: &Keep<Cell>) {
    let watches = lock(&WATCHES).clone();
    for watch in watches {
        if is_within(actor.beside(), watch.root) {
            lock(&watch.aborted).push(Abort {
                actor: actor.clone(),
                // As long as it is handling it.
                message: actor.queue().turn().message().map(|(message, _)| message),
            });
        }
    }
}

/// Whether it is this actor, or below it. Those above an actor end after it.
fn is_within(actor: &Cell, root: ActorId) -> bool {
    let (mut id, mut above) = (actor.id, actor.parent());
    loop {
        if id == root {
            return true;
        }
        let Some(parent) = above else { return false };
        id = parent;
        above = census::find(parent).and_then(|keep| keep.beside().parent());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
