//! `Alarm`: wakes an ask when its deadline comes, which mostly it does not, since the answer comes first.
//!
//! A timer of tokio for each would be set and unset with each, in a lock that all threads share. Here the alarms
//! of a thread share one timer, and most are neither put in a line nor taken out of it: one that is given up
//! leaves its place, which is looked at when it would have rung; the next one, which mostly is for a later
//! time, takes over that place, and is looked at too early once.
//!
//! Wakers are the code of others, which may set and drop alarms: none is woken, cloned or dropped in a lock.
use crate::blocking;
use crate::mailbox::{Deadline, Lock, ignore_panic};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::mem;
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Wake, Waker};
use std::time;
use tokio::runtime::{self, Handle};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// So many [`Alarms`] there are for each runtime at most. Threads choose one in turn.
const SHARES: usize = 8;
/// So many places are looked at in one go, before others may set their alarms.
const BATCH: usize = 64;

/// Wakes who has set it when its time comes, unless it is dropped before.
pub(crate) struct Alarm {
    among: Arc<Alarms>,
    place: usize,
}

/// Why an alarm was not set.
pub(crate) enum NotSet {
    HasCome,
    /// There are no timers for who would wait; see [`blocking::timers`].
    NoTimers,
}

/// The alarms that some threads of a runtime have set, and the timer of them all, which wakes this.
struct Alarms {
    of: Of,
    /// A clock that is paused goes on to where a timer is set, so none may be left there.
    is_clock_real: bool,
    queue: Lock<Queue>,
    /// How often it was asked to [ring](Self::ring), and has not yet.
    asked: AtomicUsize,
    /// Touched by who rings. It goes with the last alarm.
    timer: Lock<Option<Pin<Box<Sleep>>>>,
}

/// A runtime, and which threads.
type Of = (runtime::Id, usize);

#[derive(Default)]
struct Queue {
    places: Vec<Place>,
    /// Those that are no alarm's, of which the last was given back last.
    spare: Vec<usize>,
    /// When to look at which place; one time for each at most.
    looks: BinaryHeap<Reverse<(Deadline, usize)>>,
    /// How many wakers lie in the places.
    wakers: usize,
    /// How many places were looked at since they were last [tidied](Self::tidy).
    looked: usize,
    /// What the timer is set for, or is about to be.
    rings_at: Deadline,
    /// Nobody rings any more: others take the place of these.
    is_over: bool,
}

#[derive(Default)]
struct Place {
    is_spare: bool,
    /// When its alarm rings.
    at: Deadline,
    /// Taken out when it rings, or is given up.
    waker: Option<Waker>,
    /// When it is looked at, which may be before it is to ring.
    looked_at: Deadline,
}

/// Those that have a timer.
static ALARMS: LazyLock<DashMap<Of, Arc<Alarms>>> = LazyLock::new(DashMap::new);

thread_local! {
    static SHARE: Cell<usize> = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARES)
    };
    /// What this thread has used last.
    static LAST: RefCell<Option<Arc<Alarms>>> = const { RefCell::new(None) };
}

impl Alarm {
    /// For this time, by the timers of [`blocking::timers`].
    ///
    /// # Panics
    ///
    /// In a runtime that was built without timers, as everything does that waits for a time there.
    pub(crate) fn set(at: Deadline, waker: &Waker) -> Result<Self, NotSet> {
        let not_set = || match at.has_come() {
            true => NotSet::HasCome,
            false => NotSet::NoTimers,
        };
        let runtime = blocking::timers().ok_or_else(not_set)?;
        if let Some(alarm) = Self::set_on(&runtime, at, waker) {
            return Ok(alarm);
        }
        if at.has_come() {
            return Err(NotSet::HasCome);
        }
        // The runtime ends, and others have to do.
        let apart = blocking::timers_apart().ok_or_else(not_set)?;
        let _entered = apart.enter();
        Self::set_on(&apart, at, waker).ok_or_else(not_set)
    }

    /// `None`: it has rung, or nobody will ring it.
    #[inline]
    fn set_on(runtime: &Handle, at: Deadline, waker: &Waker) -> Option<Self> {
        let mut waker = waker.clone();
        let mut among = Alarms::here(runtime);
        loop {
            match among.insert(at, waker) {
                Ok((place, is_first)) => {
                    let alarm = Self { among, place };
                    let is_set = !is_first || alarm.among.ring_and_look(place);
                    return is_set.then_some(alarm);
                }
                Err(back) => waker = back,
            }
            among = among.successor(runtime);
        }
    }

    /// Whether it will ring at this time, and wakes this waker then. False: it has rung, or nobody rings it.
    pub(crate) fn is_set_for(&self, at: Deadline, waker: &Waker) -> bool {
        let mut new = None;
        loop {
            let mut queue = self.among.queue.lock();
            let Some(place) = queue.places.get_mut(self.place) else {
                return false;
            };
            let Some(old) = &mut place.waker else {
                return false;
            };
            if old.will_wake(waker) {
                return place.at == at;
            }
            if let Some(new) = &mut new {
                // The old one is dropped last.
                mem::swap(old, new);
                return place.at == at;
            }
            drop(queue);
            new = Some(waker.clone());
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut queue = self.among.queue.lock();
        let waker = queue.give_back(self.place);
        let is_last = queue.wakers == 0;
        drop(queue);
        drop(waker);
        if is_last && !self.among.is_clock_real {
            self.among.end();
        }
    }
}

impl Queue {
    /// And whether it is the earliest: the timer is to be set for it.
    #[inline]
    fn insert(&mut self, at: Deadline, waker: Waker) -> (usize, bool) {
        self.wakers += 1;
        let index = self.take_place(at);
        let place = &mut self.places[index];
        place.at = at;
        place.waker = Some(waker);
        place.is_spare = false;
        if place.looked_at.is_some() {
            return (index, false);
        }
        place.looked_at = at;
        self.looks.push(Reverse((at, index)));
        let is_first = !self.rings_at.is_some() || at < self.rings_at;
        if is_first {
            self.rings_at = at;
        }
        (index, is_first)
    }

    /// One that is looked at before then, or never.
    #[inline]
    fn take_place(&mut self, at: Deadline) -> usize {
        if let Some(last) = self.spare.last() {
            if self.places[*last].looked_at <= at {
                return self.spare.pop().expect("looked at above");
            }
        }
        self.places.push(Place::default());
        self.places.len() - 1
    }

    #[inline]
    fn give_back(&mut self, index: usize) -> Option<Waker> {
        // Not there where they are over.
        let place = self.places.get_mut(index)?;
        place.is_spare = true;
        self.spare.push(index);
        let waker = place.waker.take();
        self.wakers -= usize::from(waker.is_some());
        waker
    }

    /// Takes out those whose time has come, a few at a time. Whether that was all, and when to look again.
    fn take_due(&mut self, now: Deadline, due: &mut Vec<Waker>) -> (bool, Deadline) {
        // Looking at one in so many pays for going through all of them.
        if self.places.len() > BATCH.max(2 * self.wakers)
            && self.looked >= self.places.len() / BATCH
        {
            self.tidy();
        }
        for _ in 0..BATCH {
            let Some(&Reverse((look, index))) = self.looks.peek() else {
                break;
            };
            if look > now {
                break;
            }
            self.looks.pop();
            self.looked += 1;
            let place = &mut self.places[index];
            place.looked_at = Deadline::NONE;
            if place.waker.is_some() && place.at > now {
                place.looked_at = place.at;
                self.looks.push(Reverse((place.at, index)));
            } else if let Some(waker) = place.waker.take() {
                self.wakers -= 1;
                due.push(waker);
            }
        }
        let next = self.looks.peek().map_or(Deadline::NONE, |next| next.0.0);
        self.rings_at = next;
        (!next.is_some() || next > now, next)
    }

    /// Forgets the places that were left by more alarms than there are now.
    fn tidy(&mut self) {
        while self.places.last().is_some_and(|place| place.is_spare) {
            self.places.pop();
        }
        let (mut looks, mut spare) = (Vec::new(), Vec::new());
        for (index, place) in self.places.iter_mut().enumerate().rev() {
            place.looked_at = Deadline::NONE;
            if place.waker.is_some() {
                place.looked_at = place.at;
                looks.push(Reverse((place.at, index)));
            } else if place.is_spare {
                spare.push(index);
            }
        }
        self.looked = 0;
        self.looks = looks.into();
        self.spare = spare;
        self.places.shrink_to_fit();
    }
}

impl Alarms {
    /// Those of this thread.
    fn here(runtime: &Handle) -> Arc<Self> {
        let last = LAST.try_with(|last| last.borrow().clone());
        last.ok()
            .flatten()
            .filter(|last| last.of.0 == runtime.id())
            .unwrap_or_else(|| {
                let share = SHARE.try_with(Cell::get).unwrap_or_default();
                Self::find(runtime, share, |_| true)
            })
    }

    /// Those that take the place of these, which are over.
    #[cold]
    fn successor(&self, runtime: &Handle) -> Arc<Self> {
        Self::find(runtime, self.of.1, |found| !ptr::eq(found, self))
    }

    #[cold]
    fn find(runtime: &Handle, share: usize, will_do: impl Fn(&Self) -> bool) -> Arc<Self> {
        let of = (runtime.id(), share);
        let there = ALARMS.get(&of).map(|there| Arc::clone(&there));
        let found = there.filter(|there| will_do(there)).unwrap_or_else(|| {
            let new = Arc::new(Self::new(runtime, of));
            match ALARMS.entry(of) {
                Entry::Occupied(found) if will_do(found.get()) => Arc::clone(found.get()),
                entry => Arc::clone(&entry.insert(new)),
            }
        });
        // What lay there is dropped where nothing is borrowed.
        let last = LAST.try_with(|last| last.replace(Some(Arc::clone(&found))));
        drop(last);
        found
    }

    fn new(runtime: &Handle, of: Of) -> Self {
        let _entered = runtime.enter();
        let real = time::Instant::now();
        let here = Instant::now().into_std();
        Self {
            of,
            is_clock_real: real <= here && here <= time::Instant::now(),
            queue: Lock::new(Queue::default()),
            asked: AtomicUsize::new(0),
            timer: Lock::new(Some(Box::pin(sleep_until(Instant::now())))),
        }
    }

    /// # Errors
    ///
    /// They are over: the waker.
    #[inline]
    fn insert(&self, at: Deadline, waker: Waker) -> Result<(usize, bool), Waker> {
        let mut queue = self.queue.lock();
        if queue.is_over {
            return Err(waker);
        }
        Ok(queue.insert(at, waker))
    }

    /// Rings. Whether this one is to ring later.
    #[cold]
    fn ring_and_look(self: &Arc<Self>, place: usize) -> bool {
        self.ring();
        let queue = self.queue.lock();
        let place = queue.places.get(place);
        place.is_some_and(|place| place.waker.is_some())
    }

    /// Wakes those whose time has come, and sets the timer for the next. One thread at a time does it, and does it
    /// again for who asks meanwhile, also for the timer.
    fn ring(self: &Arc<Self>) {
        // `AcqRel`: who does it sees what was done by all that have asked.
        if self.asked.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        // Where tokio panics, since its runtime ends, they are over.
        let panics = Ends(self);
        let mut doing = 1;
        while doing > 0 {
            while !self.wake_and_arm() {}
            doing = self.asked.fetch_sub(doing, Ordering::AcqRel) - doing;
        }
        mem::forget(panics);
    }

    /// False: there are more to look at.
    fn wake_and_arm(self: &Arc<Self>) -> bool {
        let mut due = Vec::new();
        let mut queue = self.queue.lock();
        let (is_all, next) = queue.take_due(Deadline::now(), &mut due);
        queue.is_over |= !next.is_some();
        drop(queue);
        wake_all(due);
        match next.time() {
            _ if !is_all => false,
            Some(next) => self.arm(next),
            None => {
                self.end();
                true
            }
        }
    }

    /// False: it has rung already.
    fn arm(self: &Arc<Self>, next: Instant) -> bool {
        let mut timer = self.timer.lock();
        let Some(sleep) = &mut *timer else {
            return true;
        };
        // A timer that rings before its time tells that its runtime ends.
        let mut ends = sleep.is_elapsed() && sleep.deadline() > Instant::now();
        if !ends && (sleep.deadline() != next || sleep.is_elapsed()) {
            sleep.as_mut().reset(next);
            ends = sleep.is_elapsed() && next > Instant::now();
        }
        if !sleep.is_elapsed() {
            // In a task, but not at its expense.
            let waker = Waker::from(Arc::clone(self));
            let mut sleep = pin!(unconstrained(sleep));
            let has_rung = sleep
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready();
            return !has_rung;
        }
        drop(timer);
        if ends {
            self.end();
        }
        ends
    }

    /// Nobody rings any more: who has set one looks again.
    fn end(&self) {
        let mut queue = self.queue.lock();
        queue.is_over = true;
        let left = mem::take(&mut queue.places);
        queue.looks = BinaryHeap::new();
        queue.spare = Vec::new();
        drop(queue);
        let timer = self.timer.lock().take();
        drop(timer);
        ALARMS.remove_if(&self.of, |_, found| ptr::eq(&**found, self));
        let wakers = left.into_iter().filter_map(|place| place.waker);
        wake_all(wakers);
    }
}

/// The timer has rung.
impl Wake for Alarms {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// A waker that panics keeps no other from being woken.
fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        ignore_panic(|| waker.wake());
    }
}

/// Ends them when dropped.
struct Ends<'a>(&'a Alarms);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(all(test, not(actors_loom)))]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::task::Poll;
    use std::time::Duration;
    use tokio::runtime::{Builder, Runtime};
    use tokio::task;

    const HOUR: Duration = Duration::from_secs(3600);

    fn in_an_hour() -> Deadline {
        Deadline::at(Instant::now() + HOUR)
    }

    fn set(at: Deadline, waker: &Waker) -> Alarm {
        Alarm::set(at, waker).unwrap_or_else(|_| panic!("it has timers, and has not come"))
    }

    fn paused() -> Runtime {
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true);
        builder.build().expect("a runtime")
    }

    /// Waits for a time by an alarm, as an ask does.
    async fn rung(at: Instant) {
        let at = Deadline::at(at);
        let mut alarm: Option<Alarm> = None;
        poll_fn(|cx| {
            let set = alarm.as_ref();
            if set.is_some_and(|alarm| alarm.is_set_for(at, cx.waker())) {
                return Poll::Pending;
            }
            if at.has_come() {
                return Poll::Ready(());
            }
            match Alarm::set(at, cx.waker()) {
                Ok(set) => alarm = Some(set),
                Err(NotSet::HasCome) => return Poll::Ready(()),
                Err(NotSet::NoTimers) => panic!("it has timers"),
            }
            Poll::Pending
        })
        .await;
    }

    /// How often it was woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_rings_when_its_time_comes() {
        paused().block_on(async {
            let start = Instant::now();
            let seed = fastrand::u64(..);
            println!("seed {seed}");
            let mut random = fastrand::Rng::with_seed(seed);
            let mut waits = task::JoinSet::new();
            for _ in 0..if cfg!(miri) { 20 } else { 10_000 } {
                let after = Duration::from_millis(random.u64(1..500));
                waits.spawn(async move {
                    rung(start + after).await;
                    (after, start.elapsed())
                });
            }
            while let Some(ended) = waits.join_next().await {
                let (after, elapsed) = ended.expect("no panic");
                assert_eq!(elapsed, after);
            }
        });
    }

    #[test]
    fn an_earlier_one_rings_before_those_that_were_set() {
        paused().block_on(async {
            let start = Instant::now();
            let late = tokio::spawn(rung(start + HOUR));
            task::yield_now().await;
            // The timer is set for the hour now.
            for millis in [30_u64, 20, 10] {
                rung(start + Duration::from_millis(millis) + start.elapsed()).await;
            }
            assert_eq!(start.elapsed(), Duration::from_millis(60));
            late.await.expect("no panic");
            assert_eq!(start.elapsed(), HOUR);
        });
    }

    /// How many timers this runtime has.
    fn timers() -> usize {
        let here = Handle::current().id();
        ALARMS.iter().filter(|alarms| alarms.of.0 == here).count()
    }

    #[test]
    fn those_given_up_ring_for_nobody_and_leave_nothing() {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let woken = Arc::new(Count::default());
            for _ in 0..if cfg!(miri) { 10 } else { 1000 } {
                drop(set(in_an_hour(), &Arc::clone(&woken).into()));
            }
            assert_eq!(timers(), 1);
            // The clock was real when the timer was made.
            tokio::time::pause();
            tokio::time::sleep(2 * HOUR).await;
            assert_eq!(timers(), 0);
            assert_eq!(woken.0.load(Ordering::Relaxed), 0);
            // There are others when one is needed.
            rung(Instant::now() + HOUR).await;
        });
    }

    #[test]
    fn those_given_up_do_not_move_a_paused_clock() {
        paused().block_on(async {
            drop(set(in_an_hour(), Waker::noop()));
            assert_eq!(timers(), 0);
            let left = [
                set(in_an_hour(), Waker::noop()),
                set(in_an_hour(), Waker::noop()),
            ];
            assert_eq!(timers(), 1);
            drop(left);
            assert_eq!(timers(), 0);
        });
    }

    #[test]
    fn who_waits_in_a_runtime_that_ends_is_woken() {
        let woken = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&woken));
        let runtime = paused();
        let at = in_an_hour();
        let alarms = [(); 2].map(|()| {
            let _entered = runtime.enter();
            set(at, &waker)
        });
        assert!(alarms.iter().all(|alarm| alarm.is_set_for(at, &waker)));
        let ended = runtime.handle().clone();
        drop(runtime);
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert!(alarms.iter().all(|alarm| !alarm.is_set_for(at, &waker)));
        // Other timers ring instead, also for who does not know. Their thread never ends, which is a leak to Miri.
        if cfg!(miri) {
            return;
        }
        let _entered = ended.enter();
        assert!(set(at, &waker).is_set_for(at, &waker));
    }

    #[test]
    fn a_time_that_has_come_is_told_at_once() {
        let runtime = paused();
        let _entered = runtime.enter();
        let set = Alarm::set(Deadline::now(), Waker::noop());
        assert!(matches!(set, Err(NotSet::HasCome)));
    }

    #[test]
    fn places_of_a_crowd_are_given_up() {
        paused().block_on(async {
            let start = Instant::now();
            let crowd = if cfg!(miri) { 150 } else { 10_000 };
            let mut crowd: Vec<_> = (0..crowd)
                .map(|_| set(in_an_hour(), Waker::noop()))
                .collect();
            let some = Arc::clone(&crowd[0].among);
            let kept = || {
                let queue = some.queue.lock();
                (queue.places.len(), queue.looks.len(), queue.spare.len())
            };
            let all = crowd.len();
            assert_eq!(kept(), (all, all, 0));
            sleep_until(start + HOUR / 2).await;
            crowd.truncate(10);
            assert_eq!(kept(), (all, all, all - 10));
            // Half an hour is left of the places, and then they are looked at.
            let late = [(); 20].map(|()| set(in_an_hour(), Waker::noop()));
            assert_eq!(kept(), (all, all, all - 30));
            sleep_until(start + HOUR).await;
            assert!(
                crowd
                    .iter()
                    .all(|alarm| !alarm.is_set_for(in_an_hour(), Waker::noop()))
            );
            assert_eq!(kept().1, late.len());
            drop(crowd);
            drop(late);
            sleep_until(start + 2 * HOUR).await;
            assert_eq!(kept(), (0, 0, 0));
        });
    }

    #[test]
    fn a_runtime_without_timers_is_told_of_each_time() {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let _entered = runtime.enter();
        for _ in 0..2 {
            let set = catch_unwind(AssertUnwindSafe(|| set(in_an_hour(), Waker::noop())));
            assert!(set.is_err());
        }
    }

    /// Has an alarm of its own, which goes with it.
    struct Holds(#[expect(dead_code, reason = "it is dropped")] Alarm);

    impl Wake for Holds {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn wakers_may_set_and_drop_alarms_where_they_are_dropped() {
        let runtime = paused();
        let _entered = runtime.enter();
        let at = in_an_hour();
        let holds = || Waker::from(Arc::new(Holds(set(at, Waker::noop()))));
        // By the alarm, by a waker in its place, and by the end of the runtime.
        let by_alarm = set(at, &holds());
        drop(by_alarm);
        let replaced = set(at, &holds());
        assert!(replaced.is_set_for(at, &holds()));
        drop(_entered);
        drop(runtime);
        assert!(!replaced.is_set_for(at, Waker::noop()));
    }

    /// Of many threads and several runtimes, one of which ends meanwhile.
    #[test]
    fn none_is_lost_among_many_threads() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let runtimes = [(); 2].map(|()| {
            let mut builder = Builder::new_multi_thread();
            let built = builder.worker_threads(SHARES + 1).enable_time().build();
            built.expect("a runtime")
        });
        let rounds = if cfg!(miri) { 3 } else { 300 };
        let work = |seed| async move {
            let mut random = fastrand::Rng::with_seed(seed);
            for _ in 0..rounds {
                let at = Instant::now() + Duration::from_micros(random.u64(0..2_000));
                let mut rings = Box::pin(rung(at));
                match random.u8(0..4) {
                    0 => rings.await,
                    1 => task::yield_now().await,
                    2 => {
                        // Set here, and given up or awaited elsewhere.
                        let polled = poll_fn(|cx| Poll::Ready(rings.as_mut().poll(cx))).await;
                        let elsewhere = task::spawn(async move {
                            if polled.is_pending() {
                                rings.await;
                            }
                        });
                        elsewhere.await.expect("no panic");
                    }
                    _ => {
                        let _ = poll_fn(|cx| Poll::Ready(rings.as_mut().poll(cx))).await;
                    }
                }
            }
        };
        let mut random = fastrand::Rng::with_seed(seed);
        let tasks = 2 * SHARES;
        let mut spawn = |runtime: &Runtime| -> Vec<_> {
            (0..tasks)
                .map(|_| runtime.spawn(work(random.u64(..))))
                .collect()
        };
        let [lasts, ends] = runtimes;
        let (those, _) = (spawn(&lasts), spawn(&ends));
        let half = those.len() / 2;
        lasts.block_on(async move {
            let mut those = those.into_iter();
            for ended in those.by_ref().take(half) {
                ended.await.expect("no panic");
            }
            ends.shutdown_background();
            for ended in those {
                ended.await.expect("no panic");
            }
        });
    }
}
