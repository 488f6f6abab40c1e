//! `Lock`: a mutex for sections of a few instructions, whose release is a plain store.
//!
//! Who may touch what: the value belongs to whoever changed `held` from false to true, until it
//! stores false again.
//!
//! A mutex that puts waiters to sleep has to learn at each release whether there are some, which
//! takes an atomic exchange: half of what a lock costs that nobody contends for, several times with
//! each message. Here who waits looks by itself: it spins for as long as some sections take, then
//! lets others run, since the holder may have lost its processor, and at last sleeps for a moment,
//! since the holder may have less priority.
use super::planted::unless;
use super::sync::UnsafeCell;
use super::sync::atomic::{AtomicBool, Ordering};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// What the folder locks with. Loom's own while the models run, which has fewer orders to try; the lock
/// here has a model of its own.
#[cfg(actors_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(actors_loom))]
pub(crate) use {Held as MutexGuard, Lock as Mutex};

/// Locks. A panic while locked leaves nothing half-done, since no user code runs under our locks.
#[inline(always)]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    #[cfg(not(actors_loom))]
    {
        mutex.lock()
    }
    #[cfg(actors_loom)]
    {
        mutex.lock().unwrap()
    }
}

/// A mutex. Not fair, and not poisoned by a panic.
pub(crate) struct Lock<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: gives one thread at a time access to the value, as if it had been sent there.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Releases the lock when dropped.
pub(crate) struct Held<'a, T> {
    lock: &'a Lock<T>,
    /// Stays on its thread, as the guards of other mutexes do.
    _not_send: PhantomData<*const ()>,
}

// SAFETY: a shared `Held` gives shared access to the value.
unsafe impl<T: Sync> Sync for Held<'_, T> {}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            held: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    #[inline(always)]
    pub(crate) fn lock(&self) -> Held<'_, T> {
        if !self.try_take() {
            self.wait();
        }
        Held {
            lock: self,
            _not_send: PhantomData,
        }
    }

    #[inline(always)]
    fn try_take(&self) -> bool {
        // `Acquire` pairs with the release: what was done in the lock before is seen.
        self.held
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    fn wait(&self) {
        for look in 0.. {
            pause(look);
            // First by a load, which leaves the line to the holder.
            if !self.held.load(Ordering::Relaxed) && self.try_take() {
                return;
            }
        }
    }
}

/// Waits before a look, each time for longer.
///
/// Many times as long as a section takes, from the first: two threads that took turns at each
/// section would wait for the line to come over each time.
#[cfg(not(actors_loom))]
pub(super) fn pause(look: u32) {
    const FIRST: u32 = 32;
    const SPINS: u32 = 5;
    const YIELDS: u32 = 100;
    if look < SPINS {
        for _ in 0..FIRST << look {
            std::hint::spin_loop();
        }
    } else if look < SPINS + YIELDS {
        std::thread::yield_now();
    } else {
        std::thread::sleep(std::time::Duration::from_micros(50));
    }
}

#[cfg(actors_loom)]
pub(super) fn pause(_look: u32) {
    loom::thread::yield_now();
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: this thread has changed `held` to true and not stored false yet.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `self` is borrowed mutably.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for Held<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // Who takes the lock next sees what was done in it.
        let release = unless("relaxed_lock", Ordering::Release);
        self.lock.held.store(false, release);
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(actors_loom)))]
mod tests {
    use super::Lock;
    use std::thread;

    /// One at a time, and each sees what the one before has done.
    #[test]
    fn counts_of_several_threads_add_up() {
        const TIMES: u64 = if cfg!(miri) { 50 } else { 100_000 };
        let counts = Lock::new((0_u64, Vec::new()));
        thread::scope(|scope| {
            for thread in 0..4 {
                let counts = &counts;
                scope.spawn(move || {
                    for n in 0..TIMES {
                        let mut counts = counts.lock();
                        counts.0 += 1;
                        if n == 0 {
                            counts.1.push(thread);
                        }
                    }
                });
            }
        });
        let mut counts = counts.lock();
        counts.1.sort_unstable();
        assert_eq!((counts.0, &*counts.1), (4 * TIMES, &[0, 1, 2, 3][..]));
    }

    #[test]
    fn a_panic_releases_it() {
        let lock = Lock::new(1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut held = lock.lock();
            *held = 2;
            std::panic::resume_unwind(Box::new("while it is held"));
        }));
        assert!(panicked.is_err());
        assert_eq!(*lock.lock(), 2);
    }
}
