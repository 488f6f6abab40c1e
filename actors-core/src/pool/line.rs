//! The line in which jobs wait for a worker: bounded, first come first served, for workers that are
//! threads and for workers that are tasks.
use crate::blocking;
use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, Semaphore};

/// How many places are taken from the room at once, where there are so many.
const BULK: u32 = 16;

/// A bounded line.
///
/// It has two parts with a lock each, so that those who put jobs in and those who take them out are
/// seldom in each other's way: `front` holds the older jobs and is what workers take from; where it
/// is empty, they take over all of the back at once. Who needs both locks takes that of `front`
/// first.
pub struct Line<T> {
    front: Apart<Mutex<VecDeque<Waiting<T>>>>,
    back: Apart<Mutex<Back<T>>>,
    /// How many jobs the front has. Written under its lock, and raised only under that of the back,
    /// too: whoever holds the one of the back may read more than there are, but never less.
    in_front: AtomicUsize,
    /// Whether the back has jobs, for who looks and holds no lock. Written under the lock of the
    /// back. A hint: who sees it looks again.
    in_back: AtomicBool,
    room: Semaphore,
    /// For workers that are threads.
    filled: Condvar,
    /// For workers that are tasks.
    filled_later: Notify,
}

struct Back<T> {
    waiting: VecDeque<Waiting<T>>,
    closed: bool,
    /// Jobs that were let in and are being made.
    arriving: usize,
    /// Places that were taken from the room and are not used.
    spare: u32,
    /// Tasks that wait for room. While there are any, no places are taken to spare.
    wanting: usize,
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

/// What different threads write and is not to lie in one cache line, nor in two that are fetched
/// together.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

fn lock<T>(mutex: &Apart<Mutex<T>>) -> MutexGuard<'_, T> {
    // Nothing under these locks is left half-done by a panic.
    mutex.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            front: Apart(Mutex::new(VecDeque::new())),
            back: Apart(Mutex::new(Back {
                waiting: VecDeque::new(),
                closed: false,
                arriving: 0,
                spare: 0,
                wanting: 0,
                idle: 0,
                woken: 0,
                looking: false,
                tasks: 0,
            })),
            in_front: AtomicUsize::new(0),
            in_back: AtomicBool::new(false),
            room: Semaphore::new(capacity.min(Semaphore::MAX_PERMITS)),
            filled: Condvar::new(),
            filled_later: Notify::new(),
        }
    }

    /// Puts a job in line if there is room. `make` makes it of what it is made from.
    pub fn try_push<J>(&self, from: J, make: impl FnOnce(J) -> T) -> Result<(), Refused<J>> {
        let mut back = lock(&self.back);
        if back.closed {
            return Err(Refused::Closed(from));
        }
        if !self.enter(&mut back) {
            return Err(Refused::Full(from));
        }
        self.arrive(back, from, make);
        Ok(())
    }

    /// As [`try_push`](Self::try_push), where `make` may be called under the lock: it is short, and
    /// none of the user's code.
    pub fn try_push_short<J>(&self, from: J, make: impl FnOnce(J) -> T) -> Result<(), Refused<J>> {
        let since = Instant::now();
        let mut back = lock(&self.back);
        if back.closed {
            return Err(Refused::Closed(from));
        }
        if !self.enter(&mut back) {
            return Err(Refused::Full(from));
        }
        let job = make(from);
        self.append(back, job, since);
        Ok(())
    }

    /// Waits for room and puts a job in line.
    pub async fn push<J>(&self, from: J, make: impl FnOnce(J) -> T) -> Result<(), Refused<J>> {
        let (from, make, wanting) = match self.try_push_or_want(from, make) {
            ControlFlow::Break(pushed) => return pushed,
            ControlFlow::Continue(wanting) => wanting,
        };
        match self.room.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) => return Err(Refused::Closed(from)),
        }
        drop(wanting);
        let back = lock(&self.back);
        if back.closed {
            return Err(Refused::Closed(from));
        }
        self.arrive(back, from, make);
        Ok(())
    }

    #[expect(
        clippy::type_complexity,
        reason = "all that came in, and what is to be dropped later"
    )]
    fn try_push_or_want<J, M: FnOnce(J) -> T>(
        &self,
        from: J,
        make: M,
    ) -> ControlFlow<Result<(), Refused<J>>, (J, M, Wanting<'_, T>)> {
        let mut back = lock(&self.back);
        if back.closed {
            return ControlFlow::Break(Err(Refused::Closed(from)));
        }
        if self.enter(&mut back) {
            self.arrive(back, from, make);
            return ControlFlow::Break(Ok(()));
        }
        back.wanting += 1;
        ControlFlow::Continue((from, make, Wanting(self)))
    }

    /// Takes a place, if there is one.
    fn enter(&self, back: &mut Back<T>) -> bool {
        if let Some(left) = back.spare.checked_sub(1) {
            back.spare = left;
            return true;
        }
        if back.wanting == 0 {
            if let Ok(places) = self.room.try_acquire_many(BULK) {
                places.forget();
                back.spare = BULK - 1;
                return true;
            }
        }
        self.room.try_acquire().map(|place| place.forget()).is_ok()
    }

    /// Makes a job that has a place and puts it in line.
    fn arrive<J>(&self, mut back: MutexGuard<'_, Back<T>>, from: J, make: impl FnOnce(J) -> T) {
        back.arriving += 1;
        drop(back);
        let mut arrival = Arrival {
            line: self,
            job: None,
        };
        // Not under the lock, since this may be the user's code.
        arrival.job = Some(make(from));
    }

    /// Puts a job in line, and sees that somebody comes for it.
    fn append(&self, mut back: MutexGuard<'_, Back<T>>, job: T, since: Instant) {
        back.waiting.push_back(Waiting {
            job,
            since,
            counted: true,
        });
        self.in_back.store(true, Ordering::Relaxed);
        // Those that come anyway.
        let coming = back.woken + usize::from(back.looking);
        let wakes = back.idle > back.woken && self.count(&back) > coming;
        if wakes {
            back.woken += 1;
        }
        let later = back.tasks > 0;
        let closed = back.closed;
        drop(back);
        if closed {
            // It was let in before; those that slept on until it came are to end after it.
            self.filled.notify_all();
        } else if wakes {
            self.filled.notify_one();
        }
        if later {
            self.filled_later.notify_one();
        }
    }

    /// Puts jobs back at the head of the line, whether there is room or not, also when it is closed.
    pub fn put_back(&self, jobs: impl DoubleEndedIterator<Item = T>) {
        let mut front = lock(&self.front);
        let back = lock(&self.back);
        for job in jobs.rev() {
            front.push_front(Waiting {
                job,
                since: Instant::now(),
                counted: false,
            });
        }
        self.in_front.store(front.len(), Ordering::Relaxed);
        drop(back);
        drop(front);
        self.filled.notify_all();
        self.filled_later.notify_waiters();
        self.filled_later.notify_one();
    }

    /// The next job, if one waits.
    pub fn try_pop(&self) -> Option<Waiting<T>> {
        let mut front = lock(&self.front);
        if front.is_empty() {
            let mut back = lock(&self.back);
            mem::swap(&mut *front, &mut back.waiting);
            self.in_front.store(front.len(), Ordering::Relaxed);
            self.in_back.store(false, Ordering::Relaxed);
        }
        let job = front.pop_front()?;
        self.in_front.store(front.len(), Ordering::Relaxed);
        drop(front);
        self.left(&job);
        Some(job)
    }

    fn left(&self, job: &Waiting<T>) {
        if job.counted {
            self.room.add_permits(1);
        }
    }

    /// How many wait; more than that where some are being taken.
    fn count(&self, back: &Back<T>) -> usize {
        self.in_front.load(Ordering::Relaxed) + back.waiting.len()
    }

    fn over(&self, back: &Back<T>) -> bool {
        back.closed && back.arriving == 0 && self.count(back) == 0
    }

    /// Waits for the next job on this thread. `None`: the line is closed and empty.
    ///
    /// A thread that has just done a job looks for the next one for a short while before it sleeps.
    pub fn wait(&self, mut looks: bool) -> Option<Waiting<T>> {
        loop {
            if let Some(job) = self.try_pop() {
                return Some(job);
            }
            let mut back = lock(&self.back);
            if self.count(&back) > 0 {
                continue;
            }
            if self.over(&back) {
                return None;
            }
            if mem::take(&mut looks) && !back.looking {
                back.looking = true;
                drop(back);
                blocking::look(|| {
                    self.in_back.load(Ordering::Relaxed)
                        || self.in_front.load(Ordering::Relaxed) > 0
                });
                // A job that came before this was left to this thread, which looks before it sleeps.
                lock(&self.back).looking = false;
                continue;
            }
            back.idle += 1;
            back = self
                .filled
                .wait(back)
                .unwrap_or_else(PoisonError::into_inner);
            back.idle -= 1;
            // Where it came by itself, one more is woken than need be.
            back.woken = back.woken.saturating_sub(1);
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
        loop {
            if let Some(job) = self.try_pop() {
                if !self.is_empty() {
                    // Notices are not counted; pass it on.
                    self.filled_later.notify_one();
                }
                return ControlFlow::Break(Some(job));
            }
            let mut back = lock(&self.back);
            if self.count(&back) > 0 {
                continue;
            }
            if self.over(&back) {
                drop(back);
                self.filled_later.notify_waiters();
                return ControlFlow::Break(None);
            }
            back.tasks += 1;
            return ControlFlow::Continue(Waits(self));
        }
    }

    /// Takes nothing more. What waits stays.
    pub fn close(&self) {
        lock(&self.back).closed = true;
        self.room.close();
        self.filled.notify_all();
        self.filled_later.notify_waiters();
    }

    /// Whether it takes nothing more.
    pub fn is_closed(&self) -> bool {
        lock(&self.back).closed
    }

    /// Whether it is closed, and nothing will come out of it any more.
    pub fn is_over(&self) -> bool {
        self.over(&lock(&self.back))
    }

    /// Takes out all that waits.
    pub fn drain(&self) -> Vec<T> {
        let mut front = lock(&self.front);
        let mut back = lock(&self.back);
        let all = front.drain(..).chain(back.waiting.drain(..));
        let all: Vec<_> = all.collect();
        self.in_front.store(0, Ordering::Relaxed);
        self.in_back.store(false, Ordering::Relaxed);
        drop(back);
        drop(front);
        all.into_iter()
            .map(|waiting| {
                self.left(&waiting);
                waiting.job
            })
            .collect()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.count(&lock(&self.back))
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Counts a task that waits for room.
struct Wanting<'a, T>(&'a Line<T>);

impl<T> Drop for Wanting<'_, T> {
    fn drop(&mut self) {
        lock(&self.0.back).wanting -= 1;
    }
}

/// Counts a task that waits.
struct Waits<'a, T>(&'a Line<T>);

impl<T> Drop for Waits<'_, T> {
    fn drop(&mut self) {
        lock(&self.0.back).tasks -= 1;
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
        let mut back = lock(&line.back);
        back.arriving -= 1;
        if let Some(job) = self.job.take() {
            return line.append(back, job, Instant::now());
        }
        let over = line.over(&back);
        drop(back);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    #[test]
    fn the_bound_is_exact_and_the_order_kept() {
        const STEPS: usize = if cfg!(miri) { 3 } else { 100 };
        for capacity in (1..=40).step_by(if cfg!(miri) { 13 } else { 1 }) {
            let line = Line::new(capacity);
            let (mut put, mut taken) = (0, 0);
            for step in 0..STEPS {
                while line.try_push(put, |n| n).is_ok() {
                    put += 1;
                }
                assert_eq!(put - taken, capacity, "at step {step}");
                assert_eq!(line.len(), capacity);
                for _ in 0..=step % capacity {
                    assert_eq!(line.try_pop().expect("it is full").job, taken);
                    taken += 1;
                }
            }
        }
    }

    #[test]
    fn what_is_put_back_comes_first() {
        let line = Line::new(8);
        for n in 0..4 {
            line.try_push_short(n, |n| n).expect("there is room");
        }
        assert_eq!(line.try_pop().expect("it waits").job, 0);
        line.put_back([10, 11].into_iter());
        line.close();
        assert!(!line.is_over());
        let all: Vec<_> = std::iter::from_fn(|| line.wait(true))
            .map(|waiting| waiting.job)
            .collect();
        assert_eq!(all, [10, 11, 1, 2, 3]);
        assert!(line.is_over());
    }

    /// Those that put in and take out at the same time find each job once, in the order of who put it
    /// in; and at the end nobody sleeps on.
    #[test]
    fn nothing_is_lost_and_nobody_sleeps_on() {
        const EACH: usize = if cfg!(miri) { 20 } else { 2_000 };
        for workers in 1..=3 {
            let line = Line::new(20);
            let begin = Barrier::new(workers + 2);
            let taken: Vec<Vec<(usize, usize)>> = thread::scope(|scope| {
                let takers: Vec<_> = (0..workers)
                    .map(|_| {
                        scope.spawn(|| {
                            begin.wait();
                            let taken = std::iter::from_fn(|| line.wait(true));
                            taken.map(|waiting| waiting.job).collect()
                        })
                    })
                    .collect();
                let putters: Vec<_> = (0..2)
                    .map(|who| {
                        let (line, begin) = (&line, &begin);
                        scope.spawn(move || {
                            begin.wait();
                            for n in 0..EACH {
                                let pushed = line.push((who, n), |job| job);
                                let pushed = crate::blocking::block_on_this_thread(pushed);
                                assert!(matches!(pushed, Some(Ok(()))));
                            }
                        })
                    })
                    .collect();
                for putter in putters {
                    putter.join().expect("it is not refused");
                }
                line.close();
                let takers = takers.into_iter();
                takers.map(|taker| taker.join().expect("it ends")).collect()
            });
            for who in 0..2 {
                let of = |taken: &Vec<(usize, usize)>| {
                    let of = taken.iter().filter(|job| job.0 == who);
                    of.map(|job| job.1).collect::<Vec<_>>()
                };
                let mut all: Vec<usize> = Vec::new();
                for taken in &taken {
                    let of = of(taken);
                    assert!(of.is_sorted(), "out of order");
                    all.extend(of);
                }
                all.sort_unstable();
                assert_eq!(all, (0..EACH).collect::<Vec<_>>());
            }
        }
    }
}
