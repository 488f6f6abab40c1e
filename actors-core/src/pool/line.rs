//! The line in which jobs wait for a worker: bounded, first come first served, for workers that are
//! threads and for workers that are tasks.
use crate::blocking;
use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, Semaphore, TryAcquireError};

/// A bounded line.
pub struct Line<T> {
    state: Mutex<State<T>>,
    /// Whether jobs wait, for who looks and does not hold the lock. Written under the lock. A hint:
    /// who sees it looks again under the lock.
    some: AtomicBool,
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
    /// Whether a thread looks whether a job comes, for a short while before it waits. It need not be
    /// woken. One at a time: two would only keep a core from those that work.
    looking: bool,
    /// Tasks that wait.
    tasks: usize,
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
                looking: false,
                tasks: 0,
            }),
            some: AtomicBool::new(false),
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

    /// As [`try_push`](Self::try_push), where `make` may be called under the lock: it is short, and
    /// none of the user's code.
    pub fn try_push_short<J>(&self, from: J, make: impl FnOnce(J) -> T) -> Result<(), Refused<J>> {
        match self.room.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(TryAcquireError::NoPermits) => return Err(Refused::Full(from)),
            Err(TryAcquireError::Closed) => return Err(Refused::Closed(from)),
        }
        let since = Instant::now();
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed(from));
        }
        let job = make(from);
        self.append(state, job, since);
        Ok(())
    }

    /// Puts a job in line, and sees that somebody comes for it.
    fn append(&self, mut state: MutexGuard<'_, State<T>>, job: T, since: Instant) {
        state.waiting.push_back(Waiting {
            job,
            since,
            counted: true,
        });
        self.some.store(true, Ordering::Relaxed);
        // Those that come anyway.
        let coming = state.woken + usize::from(state.looking);
        let wakes = state.idle > state.woken && state.waiting.len() > coming;
        if wakes {
            state.woken += 1;
        }
        let later = state.tasks > 0;
        let closed = state.closed;
        drop(state);
        if closed {
            // It was let in before; all that slept on until it came may end after it.
            self.filled.notify_all();
        } else if wakes {
            self.filled.notify_one();
        }
        if later {
            self.filled_later.notify_one();
        }
    }

    /// Takes the first job.
    fn first(&self, state: &mut State<T>) -> Option<Waiting<T>> {
        let job = state.waiting.pop_front()?;
        if state.waiting.is_empty() {
            self.some.store(false, Ordering::Relaxed);
        }
        Some(job)
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
        self.some
            .store(!state.waiting.is_empty(), Ordering::Relaxed);
        drop(state);
        self.filled.notify_all();
        self.filled_later.notify_waiters();
        self.filled_later.notify_one();
    }

    /// The next job, if one waits.
    pub fn try_pop(&self) -> Option<Waiting<T>> {
        let job = self.first(&mut self.lock())?;
        self.left(&job);
        Some(job)
    }

    fn left(&self, job: &Waiting<T>) {
        if job.counted {
            self.room.add_permits(1);
        }
    }

    /// Waits for the next job on this thread. `None`: the line is closed and empty.
    ///
    /// A thread that has just done a job looks for the next one for a short while before it sleeps.
    pub fn wait(&self, mut looks: bool) -> Option<Waiting<T>> {
        let mut state = self.lock();
        loop {
            if let Some(job) = self.first(&mut state) {
                drop(state);
                self.left(&job);
                return Some(job);
            }
            if state.is_over() {
                return None;
            }
            if std::mem::take(&mut looks) && !state.looking {
                state.looking = true;
                drop(state);
                blocking::look(|| self.some.load(Ordering::Relaxed));
                // In the same section as the look at what waits: a job that came before was left to
                // this thread.
                state = self.lock();
                state.looking = false;
                continue;
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
            let waits = match self.pop_or_wait() {
                ControlFlow::Break(job) => return job,
                ControlFlow::Continue(waits) => waits,
            };
            filled.await;
            drop(waits);
        }
    }

    fn pop_or_wait(&self) -> ControlFlow<Option<Waiting<T>>, Waits<'_, T>> {
        let mut state = self.lock();
        if let Some(job) = self.first(&mut state) {
            let more = !state.waiting.is_empty();
            drop(state);
            self.left(&job);
            if more {
                // Notices are not counted; pass it on.
                self.filled_later.notify_one();
            }
            return ControlFlow::Break(Some(job));
        }
        if state.is_over() {
            drop(state);
            self.filled_later.notify_waiters();
            return ControlFlow::Break(None);
        }
        state.tasks += 1;
        ControlFlow::Continue(Waits(self))
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
        let mut state = self.lock();
        let all = std::mem::take(&mut state.waiting);
        self.some.store(false, Ordering::Relaxed);
        drop(state);
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

/// Counts a task that waits.
struct Waits<'a, T>(&'a Line<T>);

impl<T> Drop for Waits<'_, T> {
    fn drop(&mut self) {
        self.0.lock().tasks -= 1;
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
        if let Some(job) = self.job.take() {
            return line.append(state, job, Instant::now());
        }
        let over = state.is_over();
        drop(state);
        line.room.add_permits(1);
        if over {
            line.filled.notify_all();
            line.filled_later.notify_waiters();
        }
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
