//! Whether this thread handles messages of actors for those who ask them inline, one inside the other.
//! Such code is a guest of the asker's task: it must not block the thread, wherever that is.
use std::cell::Cell;

/// So many actors may be asked inline, one inside the other, on one thread's stack.
const DEPTH: u8 = 8;

thread_local! {
    static DEEP: Cell<u8> = const { Cell::new(0) };
    static CLOSED: Cell<bool> = const { Cell::new(false) };
}

/// A message is handled for its asker, until this is dropped.
pub(crate) struct Guest(());

impl Guest {
    /// None, where there is no place for it.
    #[inline]
    pub(crate) fn enter() -> Option<Self> {
        // By `with`: `LocalKey::set` is not inlined.
        DEEP.with(|deep| {
            let now = deep.get();
            (now < DEPTH && !CLOSED.get()).then(|| {
                deep.set(now + 1);
                Self(())
            })
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        DEEP.with(|deep| deep.set(deep.get() - 1));
    }
}

/// Whether the code that runs is one.
pub(crate) fn is_guest() -> bool {
    DEEP.get() > 0
}

/// A thread that waits for a future: while it polls, there is no place for guests.
pub(crate) struct NoGuests(bool);

impl NoGuests {
    pub(crate) fn enter() -> Self {
        Self(CLOSED.replace(true))
    }
}

impl Drop for NoGuests {
    fn drop(&mut self) {
        CLOSED.set(self.0);
    }
}

/// What tells this thread from others that run now.
pub(crate) fn thread_mark() -> usize {
    DEEP.with(|deep| std::ptr::from_ref(deep).addr())
}
