//! What a test is to know of its actors: who panicked, and who was spawned. Nothing is noted but
//! under `#[actors_core::test]`, with the feature `test-kit`.
use crate::error::ActorName;
use crate::id::ActorId;
use crate::panics::Panic;
#[cfg(feature = "test-kit")]
pub(crate) use noted::Witness;

#[cfg(feature = "test-kit")]
mod noted {
    use super::{ActorId, ActorName, Panic};
    use parking_lot::Mutex;
    use std::cell::RefCell;
    use std::sync::Arc;

    /// What one test's threads note.
    #[derive(Clone, Default)]
    pub(crate) struct Witness(Arc<Notes>);

    #[derive(Default)]
    struct Notes {
        panics: Mutex<Vec<(ActorName, Panic)>>,
        /// Where the test wants to know.
        spawned: Option<Mutex<Vec<ActorId>>>,
    }

    thread_local! {
        static CURRENT: RefCell<Option<Witness>> = const { RefCell::new(None) };
    }

    impl Witness {
        pub(crate) fn new(counts_actors: bool) -> Self {
            Self(Arc::new(Notes {
                panics: Mutex::default(),
                spawned: counts_actors.then(Mutex::default),
            }))
        }

        /// The one of this thread.
        pub(crate) fn current() -> Option<Self> {
            CURRENT.try_with(|current| current.borrow().clone()).ok()?
        }

        /// Makes it, or none, that of this thread, until this is called again; gives the one
        /// before.
        pub(crate) fn set_current(this: Option<Self>) -> Option<Self> {
            CURRENT.try_with(|current| current.replace(this)).ok()?
        }

        /// The panics that nobody has learned of.
        pub(crate) fn unobserved(&self) -> Vec<(ActorName, Panic)> {
            let panics = self.0.panics.lock();
            let unobserved = panics.iter().filter(|(_, panic)| !panic.is_observed());
            unobserved.cloned().collect()
        }

        /// Those that were spawned since this was asked last.
        pub(crate) fn take_spawned(&self) -> Vec<ActorId> {
            let spawned = self.0.spawned.as_ref();
            spawned
                .map(|spawned| std::mem::take(&mut *spawned.lock()))
                .unwrap_or_default()
        }

        pub(super) fn note_panic(&self, actor: ActorName, panic: Panic) {
            self.0.panics.lock().push((actor, panic));
        }

        pub(super) fn note_spawned(&self, id: ActorId) {
            if let Some(spawned) = &self.0.spawned {
                spawned.lock().push(id);
            }
        }
    }
}

/// An actor, or a task of one, has panicked.
pub(crate) fn panicked(actor: impl FnOnce() -> ActorName, panic: &Panic) {
    #[cfg(feature = "test-kit")]
    if let Some(witness) = Witness::current() {
        witness.note_panic(actor(), panic.clone());
    }
    #[cfg(not(feature = "test-kit"))]
    let _ = (actor, panic);
}

pub(crate) fn spawned(id: ActorId) {
    #[cfg(feature = "test-kit")]
    if let Some(witness) = Witness::current() {
        witness.note_spawned(id);
    }
    #[cfg(not(feature = "test-kit"))]
    let _ = id;
}

/// Has a thread that `f` runs on note with the test of the thread that calls this.
pub(crate) fn inherited<R>(f: impl FnOnce() -> R) -> impl FnOnce() -> R {
    #[cfg(feature = "test-kit")]
    let witness = Witness::current();
    move || {
        #[cfg(feature = "test-kit")]
        Witness::set_current(witness);
        f()
    }
}
