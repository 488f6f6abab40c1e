//! Where a worker that has nothing to do is handed a job by the thread that submits it, which writes
//! it to the process itself: the pool's own thread need not be woken for it.
use super::order::Order;
use std::io::{self, Write};
use std::mem;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use tokio::time::Instant;

/// The desks of a pool. Whoever needs the lock of a desk and that of the list takes the desk's first.
pub(super) struct Desks {
    desks: Box<[Mutex<Desk>]>,
    /// Those that may be free, the last one to become so last: its process is the one that is awake.
    free: Mutex<Vec<usize>>,
}

struct Desk {
    state: State,
    /// Whether it is in the list of those that may be free.
    listed: bool,
}

enum State {
    /// The worker is busy, or has no process.
    Away,
    /// It waits, and is woken so where it has to see to something.
    Free(Arc<UnixStream>, Waker),
    /// It was given a job, and need not know until that is answered or not wanted any more.
    Given(Given),
}

/// A job that was handed over.
pub(super) struct Given {
    pub(super) order: Order,
    /// When.
    pub(super) began: Instant,
    /// How much of its frame is written.
    pub(super) written: usize,
}

impl Desks {
    pub(super) fn new(workers: usize) -> Self {
        let away = || Desk {
            state: State::Away,
            listed: false,
        };
        Self {
            desks: (0..workers).map(|_| Mutex::new(away())).collect(),
            free: Mutex::new(Vec::new()),
        }
    }

    fn desk(&self, number: usize) -> Option<MutexGuard<'_, Desk>> {
        self.desks.get(number).map(lock)
    }

    /// Whether a worker may be free.
    pub(super) fn may_be_free(&self) -> bool {
        !lock(&self.free).is_empty()
    }

    /// Hands a job to a worker that is free; its number is told to `began`. The job comes back where
    /// there is none.
    ///
    /// All of it is done under the desk's lock, so the worker sees either nothing of it or all.
    pub(super) fn give(&self, order: Order, began: impl FnOnce(usize)) -> Result<(), Order> {
        loop {
            let Some(number) = lock(&self.free).pop() else {
                return Err(order);
            };
            let Some(mut desk) = self.desk(number) else {
                continue;
            };
            desk.listed = false;
            let State::Free(channel, waker) = &desk.state else {
                continue;
            };
            let Ok(frame) = &order.frame else {
                return Err(order);
            };
            let written = match (&**channel).write(frame) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => {
                    // The process has died, as the worker is about to learn.
                    desk.state = State::Away;
                    continue;
                }
            };
            order.start();
            began(number);
            let cancelled = order.poll_cancelled(&mut Context::from_waker(waker));
            if written < frame.len() || cancelled.is_ready() {
                waker.wake_by_ref();
            }
            desk.state = State::Given(Given {
                order,
                began: Instant::now(),
                written,
            });
            return Ok(());
        }
    }

    /// Makes a worker free that was given nothing, until it [is away](Self::is_away) or
    /// [leaves](Self::leave).
    pub(super) fn wait(&self, number: usize, channel: &Arc<UnixStream>, waker: &Waker) {
        let Some(mut desk) = self.desk(number) else {
            return;
        };
        desk.state = State::Free(Arc::clone(channel), waker.clone());
        if !mem::replace(&mut desk.listed, true) {
            lock(&self.free).push(number);
        }
    }

    /// From now on the worker is given nothing. False: it was given something.
    pub(super) fn is_away(&self, number: usize) -> bool {
        let Some(mut desk) = self.desk(number) else {
            return true;
        };
        if matches!(desk.state, State::Given(_)) {
            return false;
        }
        desk.state = State::Away;
        true
    }

    /// From now on the worker is given nothing. What it was given.
    pub(super) fn leave(&self, number: usize) -> Option<Given> {
        let mut desk = self.desk(number)?;
        match mem::replace(&mut desk.state, State::Away) {
            State::Given(given) => Some(given),
            State::Away | State::Free(..) => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks is left half-done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
