//! `Waits`: for which other actors an actor's handler waits.
use super::lock::{Mutex, lock};
use super::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// For which other actors a handler waits. Each wait has a key that its actor gives only once.
///
/// One wait for a reply almost always lies in `key` and `target`; where a handler waits for several
/// at once, or for room, the others lie in `also`. Only the actor's own thread notes waits; whoever ends one
/// strikes it out: the asker, or who has answered, since the asker may not run soon.
pub(crate) struct Waits {
    actor: u64,
    /// The last key that was given.
    keys: AtomicU64,
    /// The key of the first wait; 0 for none. Written after `target`.
    key: AtomicU64,
    target: AtomicU64,
    also: Mutex<Also>,
    /// How many entries `also` has, so that one who follows the chain need not lock it.
    also_len: AtomicUsize,
}

#[derive(Default)]
struct Also {
    waits: Vec<Wait>,
    /// Messages that another actor answers than the one they were sent to: by key, who answers
    /// now. Kept apart because the handler may begin to wait later.
    routes: Vec<(u64, u64)>,
}

impl Also {
    fn len(&self) -> usize {
        self.waits.len() + self.routes.len()
    }

    fn route(&self, key: u64) -> Option<u64> {
        self.routes
            .iter()
            .find(|(of, _)| *of == key)
            .map(|(_, answers)| *answers)
    }
}

/// One wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) key: u64,
    /// Who is to answer, or to make room; 0 when that is not known.
    pub(crate) target: u64,
    /// The place in the line of those who wait for room; 0 where it is a reply that is waited for.
    pub(crate) ticket: u64,
}

impl Waits {
    pub(super) fn new(actor: u64) -> Self {
        Self {
            actor,
            keys: AtomicU64::new(0),
            key: AtomicU64::new(0),
            target: AtomicU64::new(0),
            also: Mutex::new(Also::default()),
            also_len: AtomicUsize::new(0),
        }
    }

    /// Whose they are.
    pub(crate) fn actor(&self) -> u64 {
        self.actor
    }

    /// A key for a wait. Only the actor's own code asks for one.
    pub(crate) fn new_key(&self) -> u64 {
        let key = self.keys.load(Ordering::Relaxed) + 1;
        self.keys.store(key, Ordering::Relaxed);
        key
    }

    /// Notes a wait. Only the actor's own code does.
    ///
    /// Of two actors that note each other at the same time at least one sees the other's note when
    /// it follows the chain afterwards: the notes, and the loads by which it is followed, are
    /// `SeqCst`, so they have one order.
    pub(crate) fn note(&self, wait: Wait) {
        if wait.ticket == 0 && self.key.load(Ordering::Acquire) == 0 {
            // `Release`: who reads this target does not read the key before it any more.
            self.target.store(wait.target, Ordering::Release);
            self.key.store(wait.key, Ordering::SeqCst);
        } else {
            self.with_also(|also| also.waits.push(wait));
        }
    }

    /// Whether none is noted. What was rerouted counts, too.
    ///
    /// `SeqCst`, as the notes are: what is noted between the two looks is noted after the caller's own, so
    /// that whoever notes it finds that.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.key.load(Ordering::SeqCst) == 0 && self.also_len.load(Ordering::SeqCst) == 0
    }

    /// Whether this wait is noted.
    pub(crate) fn is_noted(&self, key: u64) -> bool {
        self.key.load(Ordering::SeqCst) == key
            || self.also_len.load(Ordering::SeqCst) != 0
                && lock(&self.also).waits.iter().any(|wait| wait.key == key)
    }

    /// The wait has ended.
    pub(crate) fn strike_out(&self, key: u64) {
        // `Release`: who sees the note gone sees what was done for it.
        let _ = self
            .key
            .compare_exchange(key, 0, Ordering::Release, Ordering::Relaxed);
        if self.also_len.load(Ordering::SeqCst) != 0 {
            self.with_also(|also| {
                also.waits.retain(|wait| wait.key != key);
                also.routes.retain(|(of, _)| *of != key);
            });
        }
    }

    /// No handler runs any more, so none waits. What was posted may still be waited for later.
    #[inline]
    pub(super) fn end(&self) {
        if self.key.load(Ordering::Relaxed) != 0 {
            self.key.store(0, Ordering::Release);
        }
        if self.also_len.load(Ordering::Relaxed) != 0 {
            self.with_also(|also| also.waits.clear());
        }
    }

    /// Another actor answers this message now; 0 when that is not known.
    pub(crate) fn reroute(&self, key: u64, answers: u64) {
        self.with_also(|also| {
            also.routes.retain(|(of, _)| *of != key);
            also.routes.push((key, answers));
        });
    }

    /// Who answers a message that was sent to `target`.
    pub(crate) fn answers(&self, key: u64, target: u64) -> u64 {
        if self.also_len.load(Ordering::SeqCst) == 0 {
            return target;
        }
        lock(&self.also).route(key).unwrap_or(target)
    }

    /// All waits, as they are now.
    pub(crate) fn all(&self) -> Vec<Wait> {
        let mut all = Vec::new();
        let key = self.key.load(Ordering::SeqCst);
        if key != 0 {
            // `Acquire` pairs with the note: a target of a later wait shows in the key then.
            let target = self.target.load(Ordering::Acquire);
            if self.key.load(Ordering::SeqCst) == key {
                all.push(Wait {
                    key,
                    target,
                    ticket: 0,
                });
            }
        }
        if self.also_len.load(Ordering::SeqCst) != 0 {
            let also = lock(&self.also);
            all.extend(&also.waits);
            for wait in &mut all {
                wait.target = also.route(wait.key).unwrap_or(wait.target);
            }
        }
        all
    }

    fn with_also(&self, f: impl FnOnce(&mut Also)) {
        let mut also = lock(&self.also);
        f(&mut also);
        self.also_len.store(also.len(), Ordering::SeqCst);
    }
}
