//! `Turn`: what one actor is doing now, for whom it waits, and what few others need of it; and which actor
//! this thread runs.
//!
//! Ownership: `CURRENT` holds a pointer only while [`scope`] runs, which borrows what it points at
//! for that long. So whoever reads it inside of [`current`] reads a live `Turn`, on the thread that
//! runs the scope.
use super::once::OnceBox;
use super::slot::SlotVt;
use super::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use super::waits::Waits;
use std::cell::Cell;
use std::ptr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

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
#[repr(C)]
pub(crate) struct Turn {
    actor: u64,
    rare: OnceBox<Rare>,
    /// The kind of the current message; null between messages.
    message: AtomicPtr<SlotVt>,
}

/// What few actors need: made when one first does, and one box for all of it.
#[derive(Default)]
pub(super) struct Rare {
    /// What became of messages that were not handled. Written by the actor's task alone.
    pub(super) failed: AtomicU64,
    pub(super) withdrawn: AtomicU64,
    pub(super) dead: AtomicU64,
    /// How long the actor may be idle before it stops, in nanoseconds; 0 for ever.
    pub(super) idle_limit: AtomicU64,
    /// There may be something to clear after the current message: what follows. Only the actor's task
    /// touches this.
    is_marked: AtomicBool,
    /// Made when a handler first asks.
    waits: OnceBox<Arc<Waits>>,
    /// When the asker of the current message gives up; see [`Deadline`].
    deadline: AtomicU64,
    /// When the current message was begun, in [`nanos`]; 0 where nobody measures.
    since: AtomicU64,
}

impl Turn {
    pub(crate) fn new(actor: u64) -> Self {
        Self {
            actor,
            rare: OnceBox::new(),
            message: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The number of the actor.
    #[inline]
    pub(crate) fn actor(&self) -> u64 {
        self.actor
    }

    /// For which actors its handler waits.
    pub(crate) fn waits(&self) -> &Arc<Waits> {
        let waits = &self.mark().waits;
        waits.get_or_make(|| Arc::new(Waits::new(self.actor)))
    }

    /// The same, if it has ever waited.
    pub(crate) fn waits_if_any(&self) -> Option<&Arc<Waits>> {
        self.rare.get()?.waits.get()
    }

    /// What is to be cleared after the current message.
    fn mark(&self) -> &Rare {
        let rare = self.rare();
        rare.is_marked.store(true, Ordering::Relaxed);
        rare
    }

    /// What few need of it.
    pub(super) fn rare(&self) -> &Rare {
        self.rare.get_or_make(Rare::default)
    }

    /// The same, if anything of it was ever needed.
    #[inline]
    pub(super) fn rare_if_any(&self) -> Option<&Rare> {
        self.rare.get()
    }

    /// When the asker of the current message gives up.
    pub(crate) fn deadline(&self) -> Deadline {
        let rare = self.rare.get();
        rare.map_or(Deadline::NONE, |rare| {
            Deadline(rare.deadline.load(Ordering::Relaxed))
        })
    }

    pub(crate) fn set_deadline(&self, deadline: Deadline) {
        self.mark().deadline.store(deadline.0, Ordering::Relaxed);
    }

    /// Notes which kind of message is being handled. Only the actor's task calls this.
    #[inline]
    pub(super) fn begin(&self, kind: &'static SlotVt, since: u64) {
        self.message
            .store(ptr::from_ref(kind).cast_mut(), Ordering::Relaxed);
        if since != 0 {
            self.mark().since.store(since, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn end(&self) {
        self.message.store(ptr::null_mut(), Ordering::Relaxed);
        if let Some(rare) = self.rare.get() {
            if rare.is_marked.load(Ordering::Relaxed) {
                rare.clear();
            }
        }
    }

    /// The type name of the message being handled, and since when, where that is measured.
    pub(crate) fn message(&self) -> Option<(&'static str, Option<Instant>)> {
        let kind = self.message.load(Ordering::Relaxed);
        // SAFETY: only `begin` stores a pointer here that is not null, and it comes from a
        // `&'static`.
        let kind = unsafe { kind.as_ref() }?;
        let rare = self.rare.get();
        let since = rare.map_or(0, |rare| rare.since.load(Ordering::Relaxed));
        Some(((kind.name)(), (since != 0).then(|| instant(since))))
    }
}

impl Rare {
    fn clear(&self) {
        self.is_marked.store(false, Ordering::Relaxed);
        if let Some(waits) = self.waits.get() {
            waits.end();
        }
        if self.since.load(Ordering::Relaxed) != 0 {
            self.since.store(0, Ordering::Relaxed);
        }
        // Also where the handler has given its duty away.
        if self.deadline.load(Ordering::Relaxed) != 0 {
            self.deadline.store(0, Ordering::Relaxed);
        }
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

/// A point in time in one word: nanoseconds since the process first asked, and 0 for none, which is before
/// all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(u64);

impl Deadline {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn at(time: tokio::time::Instant) -> Self {
        Self(nanos(time.into_std()))
    }

    pub(crate) fn now() -> Self {
        Self::at(tokio::time::Instant::now())
    }

    /// So long after this one, which is a time.
    #[inline]
    pub(crate) fn after(self, limit: Limit) -> Self {
        let nanos = limit.0.checked_sub(1);
        nanos.map_or(Self::NONE, |nanos| Self(self.0.saturating_add(nanos)))
    }

    /// Whether there is such a time, and it has come.
    #[inline]
    pub(crate) fn has_come(self) -> bool {
        self.is_some() && self <= Self::now()
    }

    pub(crate) fn time(self) -> Option<tokio::time::Instant> {
        (self.0 != 0).then(|| tokio::time::Instant::from_std(instant(self.0)))
    }

    /// A limit, kept where its deadline is to be.
    pub(super) fn in_place_of(limit: Limit) -> Self {
        Self(limit.0)
    }

    /// The reverse.
    #[inline]
    pub(super) fn limit(self) -> Limit {
        Limit(self.0)
    }

    /// The earlier of the two.
    pub(crate) fn sooner(self, other: Self) -> Self {
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

/// How long something may take, in nanoseconds and one more; 0 for any time.
///
/// One word as those beside it are: copying what is half a word long stalls the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limit(u64);

impl Limit {
    pub(crate) fn of(limit: Duration) -> Self {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Self(nanos.saturating_add(1))
    }

    #[inline]
    pub(crate) fn time(self) -> Option<Duration> {
        self.0.checked_sub(1).map(Duration::from_nanos)
    }
}

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    // An hour back, so that a time shortly before the first call still has a number.
    *EPOCH.get_or_init(|| {
        let now = Instant::now();
        now.checked_sub(Duration::from_secs(3600)).unwrap_or(now)
    })
}

/// The number of a time: never 0.
pub(crate) fn nanos(time: Instant) -> u64 {
    let since = time.saturating_duration_since(epoch()).as_nanos();
    u64::try_from(since).unwrap_or(u64::MAX).max(1)
}

/// The time of a number that [`nanos`] gave.
pub(crate) fn instant(nanos: u64) -> Instant {
    epoch() + Duration::from_nanos(nanos)
}
