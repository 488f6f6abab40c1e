//! The line in which jobs wait for a worker: bounded, first come first served, for workers that are
//! threads and for workers that are tasks.
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, Semaphore, TryAcquireError};

/// A bounded line.
pub struct Line<T> {
    state: Mutex<State<T>>,
    room: Semaphore,
    /// For workers that are threads.
    filled: Condvar,
    /// For workers that are tasks.
    filled_later: Notify,
}

struct State<T> {
    waiting: VecDeque<Waiting<T>>,
    closed: bool,
    /// Jobs that were let in and are being made.
    arriving: usize,
    /// Threads that wait.
    idle: usize,
    /// How many of them were woken and have not come yet: to wake them again would be in vain, and is
    /// dear.
    woken: usize,
}

impl<T> State<T> {
    fn is_over(&self) -> bool {
        self.closed && self.waiting.is_empty() && self.arriving == 0
    }
}

/// What waits in a line.
#[derive(Debug)]
pub struct Waiting<T> {
    /// The job.
    pub job: T,
    /// Since when.
    pub since: Instant,
    /// Whether it takes a place.
    counted: bool,
}

/// Why something was not put in line; holds it.
#[derive(Debug)]
pub enum Refused<T> {
    /// There is no room.
    Full(T),
    /// The line is closed.
    Closed(T),
}

impl<T> Line<T> {
    /// A line with room for so many.
    pub fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
                arriving: 0,
                idle: 0,
                woken: 0,
            }),
            room: Semaphore::new(capacity.min(Semaphore::MAX_PERMITS)),
            filled: Condvar::new(),
            filled_later: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing under this lock is left half-done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job in line if there is room. `make` makes it of what it is made from.
    pub fn try_push<J>(&self, from: J, make: impl FnOnce(J) -> T) -> Result<(), Refused<J>> {
        match self.room.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(TryAcquireError::NoPermits) => return Err(Refused::Full(from)),
            Err(TryAcquireError::Closed) => return Err(Refused::Closed(from)),
        }
        self.push_in_room(from, make)
    }

    /// Waits for room and puts a job in line.
    pub async fn push<J>(&self, from: J, make: impl FnOnce(J) -> T) -> Result<(), Refused<J>> {
        match self.room.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) => return Err(Refused::Closed(from)),
        }
        self.push_in_room(from, make)
    }

    fn push_in_room<J>(&self, from: J, make: impl FnOnce(J) -> T) -> Result<(), Refused<J>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed(from));
        }
        state.arriving += 1;
        drop(state);
        let mut arrival = Arrival {
            line: self,
            job: None,
        };
        // Not under the lock, since this may be the user's code.
        arrival.job = Some(make(from));
        drop(arrival);
        Ok(())
    }

    /// Puts jobs back at the head of the line, whether there is room or not, also when it is closed.
    pub fn put_back(&self, jobs: impl DoubleEndedIterator<Item = T>) {
        let mut state = self.lock();
        for job in jobs.rev() {
            state.waiting.push_front(Waiting {
                job,
                since: Instant::now(),
                counted: false,
            });
        }
        drop(state);
        self.filled.notify_all();
        self.filled_later.notify_waiters();
        self.filled_later.notify_one();
    }

    /// The next job, if one waits.
    pub fn try_pop(&self) -> Option<Waiting<T>> {
        let job = self.lock().waiting.pop_front()?;
        self.left(&job);
        Some(job)
    }

    fn left(&self, job: &Waiting<T>) {
        if job.counted {
            self.room.add_permits(1);
        }
    }

    /// Waits for the next job on this thread. `None`: the line is closed and empty.
    pub fn wait(&self) -> Option<Waiting<T>> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                drop(state);
                self.left(&job);
                return Some(job);
            }
            if state.is_over() {
                return None;
            }
            state.idle += 1;
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            // Where it came by itself, one more is woken than need be.
            state.woken = state.woken.saturating_sub(1);
        }
    }

    /// Waits for the next job. `None`: the line is closed and empty. Dropped, it has taken nothing.
    pub async fn pop(&self) -> Option<Waiting<T>> {
        loop {
            let filled = self.filled_later.notified();
            if let Some(job) = self.try_pop() {
                if !self.lock().waiting.is_empty() {
                    // Notices are not counted; pass it on.
                    self.filled_later.notify_one();
                }
                return Some(job);
            }
            if self.lock().is_over() {
                self.filled_later.notify_waiters();
                return None;
            }
            filled.await;
        }
    }

    /// Takes nothing more. What waits stays.
    pub fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.filled.notify_all();
        self.filled_later.notify_waiters();
    }

    /// Whether it takes nothing more.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether it is closed, and nothing will come out of it any more.
    pub fn is_over(&self) -> bool {
        self.lock().is_over()
    }

    /// Takes out all that waits.
    pub fn drain(&self) -> Vec<T> {
        let all = std::mem::take(&mut self.lock().waiting);
        all.into_iter()
            .map(|waiting| {
                self.left(&waiting);
                waiting.job
            })
            .collect()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A job that was let in; put in line when it was made, and if it never is, its place is given back.
struct Arrival<'a, T> {
    line: &'a Line<T>,
    job: Option<T>,
}

impl<T> Drop for Arrival<'_, T> {
    fn drop(&mut self) {
        let line = self.line;
        let mut state = line.lock();
        state.arriving -= 1;
        let came = self.job.take().map(|job| {
            state.waiting.push_back(Waiting {
                job,
                since: Instant::now(),
                counted: true,
            });
        });
        let over = state.is_over();
        let wakes = state.idle > state.woken;
        if wakes {
            state.woken += 1;
        }
        drop(state);
        if came.is_none() {
            line.room.add_permits(1);
        }
        if over {
            line.filled.notify_all();
            line.filled_later.notify_waiters();
        } else if wakes {
            line.filled.notify_one();
        }
        line.filled_later.notify_one();
    }
}

impl<T> fmt::Debug for Line<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("waiting", &self.len())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
