//! `Turn`: what one actor is doing now, and for whom it waits; and which actor this thread runs.
//!
//! Ownership: `CURRENT` holds a pointer only while [`scope`] runs, which borrows what it points at
//! for that long. So whoever reads it inside of [`current`] reads a live `Turn`, on the thread that
//! runs the scope.
use super::slot::SlotVt;
use super::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use super::sync::{Mutex, lock};
use std::cell::Cell;
use std::ptr;
use std::sync::OnceLock;
use std::time::Instant;

#[cfg(not(actors_loom))]
thread_local! {
    static CURRENT: Cell<*const Turn> = const { Cell::new(ptr::null()) };
}

// Loom's threads share one of the system's.
#[cfg(actors_loom)]
loom::thread_local! {
    static CURRENT: Cell<*const Turn> = Cell::new(ptr::null());
}

/// What one actor is doing now.
pub(crate) struct Turn {
    actor: u64,
    waits: Waits,
    /// When the asker of the current message gives up; see [`Deadline`].
    deadline: AtomicU64,
    /// The kind of the current message; null between messages.
    message: AtomicPtr<SlotVt>,
    /// When the current message was begun, in [`nanos`]; 0 where nobody measures.
    since: AtomicU64,
}

/// For which other actors a handler waits. Each wait has a key that its actor gives only once.
///
/// One wait almost always lies in the first two fields; where a handler waits for several actors
/// at once, the others lie in `also`. Only the actor's own thread notes waits, anybody may strike
/// them out, anybody may read.
struct Waits {
    /// The last key that was given.
    keys: AtomicU64,
    /// The key of the first wait; 0 for none. Written after `target`.
    key: AtomicU64,
    target: AtomicU64,
    also: Mutex<Vec<(u64, u64)>>,
    /// The length of `also`, so that one who follows the chain need not lock it.
    also_len: AtomicUsize,
}

impl Turn {
    pub(crate) fn new(actor: u64) -> Self {
        Self {
            actor,
            waits: Waits {
                keys: AtomicU64::new(0),
                key: AtomicU64::new(0),
                target: AtomicU64::new(0),
                also: Mutex::new(Vec::new()),
                also_len: AtomicUsize::new(0),
            },
            deadline: AtomicU64::new(0),
            message: AtomicPtr::new(ptr::null_mut()),
            since: AtomicU64::new(0),
        }
    }

    /// The number of the actor.
    pub(crate) fn actor(&self) -> u64 {
        self.actor
    }

    /// A key for a wait. Only the actor's own code asks for one.
    pub(crate) fn new_key(&self) -> u64 {
        let key = self.waits.keys.load(Ordering::Relaxed) + 1;
        self.waits.keys.store(key, Ordering::Relaxed);
        key
    }

    /// Notes that the actor's handler waits for `target`. Only its own code calls this.
    ///
    /// Of two actors that note each other at the same time at least one sees the other's note when
    /// it follows the chain afterwards: the notes, and the loads by which it is followed, are
    /// `SeqCst`, so they have one order.
    pub(crate) fn wait_for(&self, key: u64, target: u64) {
        let waits = &self.waits;
        if waits.key.load(Ordering::Acquire) == 0 {
            // `Release`: who reads this target does not read the key before it any more.
            waits.target.store(target, Ordering::Release);
            waits.key.store(key, Ordering::SeqCst);
        } else {
            let mut also = lock(&waits.also);
            also.push((key, target));
            waits.also_len.store(also.len(), Ordering::SeqCst);
        }
    }

    /// Strikes a wait out.
    pub(crate) fn waited_for(&self, key: u64) {
        let waits = &self.waits;
        // `Release`: who sees the note gone sees what the handler did while it waited.
        let first = waits
            .key
            .compare_exchange(key, 0, Ordering::Release, Ordering::Relaxed);
        if first.is_err() && waits.also_len.load(Ordering::Relaxed) != 0 {
            let mut also = lock(&waits.also);
            also.retain(|(noted, _)| *noted != key);
            waits.also_len.store(also.len(), Ordering::SeqCst);
        }
    }

    /// Whether this wait is noted.
    pub(crate) fn is_waiting(&self, key: u64) -> bool {
        let waits = &self.waits;
        waits.key.load(Ordering::SeqCst) == key
            || waits.also_len.load(Ordering::SeqCst) != 0
                && lock(&waits.also).iter().any(|(noted, _)| *noted == key)
    }

    /// Calls `f` with the key and the target of each wait.
    pub(crate) fn waits(&self, mut f: impl FnMut(u64, u64)) {
        let waits = &self.waits;
        let key = waits.key.load(Ordering::SeqCst);
        if key != 0 {
            // `Acquire` pairs with the note: a target of a later wait shows in the key then.
            let target = waits.target.load(Ordering::Acquire);
            if waits.key.load(Ordering::SeqCst) == key {
                f(key, target);
            }
        }
        if waits.also_len.load(Ordering::SeqCst) != 0 {
            for &(key, target) in lock(&waits.also).iter() {
                f(key, target);
            }
        }
    }

    /// No handler runs any more, so none waits.
    #[inline]
    fn end_waits(&self) {
        let waits = &self.waits;
        if waits.key.load(Ordering::Relaxed) != 0 {
            waits.key.store(0, Ordering::Release);
        }
        if waits.also_len.load(Ordering::Relaxed) != 0 {
            lock(&waits.also).clear();
            waits.also_len.store(0, Ordering::Release);
        }
    }

    /// When the asker of the current message gives up.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline(self.deadline.load(Ordering::Relaxed))
    }

    pub(crate) fn set_deadline(&self, deadline: Deadline) {
        self.deadline.store(deadline.0, Ordering::Relaxed);
    }

    /// Notes which kind of message is being handled. Only the actor's task calls this.
    #[inline]
    pub(super) fn begin(&self, kind: &'static SlotVt, since: u64) {
        self.message
            .store(ptr::from_ref(kind).cast_mut(), Ordering::Relaxed);
        if since != 0 {
            self.since.store(since, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn end(&self) {
        self.end_waits();
        self.message.store(ptr::null_mut(), Ordering::Relaxed);
        if self.since.load(Ordering::Relaxed) != 0 {
            self.since.store(0, Ordering::Relaxed);
        }
        // Also where the handler has given its duty away.
        if self.deadline.load(Ordering::Relaxed) != 0 {
            self.deadline.store(0, Ordering::Relaxed);
        }
    }

    /// The type name of the message being handled, and since when, where that is measured.
    pub(crate) fn message(&self) -> Option<(&'static str, Option<Instant>)> {
        let kind = self.message.load(Ordering::Relaxed);
        // SAFETY: only `begin` stores a pointer here that is not null, and it comes from a
        // `&'static`.
        let kind = unsafe { kind.as_ref() }?;
        let since = self.since.load(Ordering::Relaxed);
        Some(((kind.name)(), (since != 0).then(|| instant(since))))
    }
}

/// Runs `f` as the actor of `turn`.
pub(crate) fn scope<R>(turn: &Turn, f: impl FnOnce() -> R) -> R {
    let _restore = Restore(CURRENT.with(|current| current.replace(turn)));
    f()
}

/// Runs `f` as code that belongs to no actor.
pub(crate) fn outside<R>(f: impl FnOnce() -> R) -> R {
    let _restore = Restore(CURRENT.with(|current| current.replace(ptr::null())));
    f()
}

/// Puts the pointer back also when the scope unwinds.
struct Restore(*const Turn);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(self.0));
    }
}

/// Calls `f` with the turn of the actor that this thread runs, if it runs one.
#[inline]
pub(crate) fn current<R>(f: impl FnOnce(Option<&Turn>) -> R) -> R {
    let turn = CURRENT.with(Cell::get);
    // SAFETY: not null only while `scope` runs on this thread, further up the stack, and `scope`
    // borrows the turn until it has put the pointer back.
    f(unsafe { turn.as_ref() })
}

/// The number of the actor that this thread runs; 0 for none.
#[inline]
pub(crate) fn current_actor() -> u64 {
    current(|turn| turn.map_or(0, Turn::actor))
}

/// A point in time in one word: nanoseconds since the process first asked, and 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deadline(u64);

impl Deadline {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn at(time: tokio::time::Instant) -> Self {
        Self(nanos(time.into_std()))
    }

    pub(crate) fn time(self) -> Option<tokio::time::Instant> {
        (self.0 != 0).then(|| tokio::time::Instant::from_std(instant(self.0)))
    }

    /// The earlier of the two.
    pub(crate) fn min(self, other: Self) -> Self {
        match (self.0, other.0) {
            (0, _) => other,
            (_, 0) => self,
            (a, b) => Self(a.min(b)),
        }
    }

    pub(crate) fn is_some(self) -> bool {
        self.0 != 0
    }
}

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    // An hour back, so that a time shortly before the first call still has a number.
    *EPOCH.get_or_init(|| {
        let now = Instant::now();
        now.checked_sub(std::time::Duration::from_secs(3600))
            .unwrap_or(now)
    })
}

/// The number of a time: never 0.
pub(crate) fn nanos(time: Instant) -> u64 {
    let since = time.saturating_duration_since(epoch()).as_nanos();
    u64::try_from(since).unwrap_or(u64::MAX).max(1)
}

fn instant(nanos: u64) -> Instant {
    epoch() + std::time::Duration::from_nanos(nanos)
}
