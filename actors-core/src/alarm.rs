//! `Alarm`: wakes an ask when its deadline comes, which mostly it does not, since the answer comes first.
//!
//! A timer of tokio would be set and unset with each ask; and where it is the next one of all, setting it
//! wakes the thread that waits for timers, by a system call. Here the alarms of a thread share one: it is set for
//! the earliest, and stays so where that ask is answered, until it rings and looks which is the next. So it is set
//! once in as long as the shortest limit is.
//!
//! Wakers are the code of others, which may set and drop alarms: none is woken, cloned or dropped in a lock.
use crate::blocking;
use crate::mailbox::Lock;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Wake, Waker};
use tokio::runtime::{self, Handle};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// So many [`Alarms`] there are for each runtime at most. Threads share them evenly.
const SHARES: usize = 8;
/// So many are woken at a time, while others may set theirs.
const BATCH: usize = 32;

/// Wakes who has set it when its time comes, unless it is dropped before.
pub(crate) struct Alarm {
    among: Arc<Alarms>,
    key: Key,
}

/// When it rings, and what tells it from others of that time.
type Key = (Instant, u64);

/// The alarms that some threads of a runtime have set, and the timer of them all, which wakes this.
struct Alarms {
    of: Of,
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
    alarms: BTreeMap<Key, Waker>,
    next: u64,
    /// What the timer is set for, or is about to be.
    rings_at: Option<Instant>,
    /// Nobody rings any more: others take the place of these.
    is_over: bool,
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
    /// For this time, by the timers of [`timers`](blocking::timers). `None`: there are none.
    ///
    /// # Panics
    ///
    /// In a runtime that was built without timers, or that has ended, as everything does that waits for a time
    /// there.
    pub(crate) fn set(at: Instant, waker: &Waker) -> Option<Self> {
        let runtime = blocking::timers()?;
        let mut waker = waker.clone();
        let mut among = Alarms::here(&runtime);
        loop {
            match among.insert(at, waker) {
                Ok((key, is_first)) => {
                    let alarm = Self { among, key };
                    if is_first {
                        alarm.among.ring();
                    }
                    return Some(alarm);
                }
                Err(back) => waker = back,
            }
            among = among.successor(&runtime);
        }
    }

    /// Whether it will ring at this time, and wakes this waker then. False: it has rung, or nobody rings it.
    pub(crate) fn is_set_for(&self, at: Instant, waker: &Waker) -> bool {
        let mut new = None;
        loop {
            let mut queue = self.among.queue.lock();
            let Some(old) = queue.alarms.get_mut(&self.key) else {
                return false;
            };
            if old.will_wake(waker) {
                break;
            }
            if let Some(new) = &mut new {
                // The old one is dropped last.
                mem::swap(old, new);
                break;
            }
            drop(queue);
            new = Some(waker.clone());
        }
        self.key.0 == at
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let waker = self.among.queue.lock().alarms.remove(&self.key);
        drop(waker);
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
    fn successor(&self, runtime: &Handle) -> Arc<Self> {
        Self::find(runtime, self.of.1, |found| !ptr::eq(found, self))
    }

    fn find(runtime: &Handle, share: usize, will_do: impl Fn(&Self) -> bool) -> Arc<Self> {
        let new = Arc::new(Self::new(runtime, share));
        let found = match ALARMS.entry(new.of) {
            Entry::Occupied(found) if will_do(found.get()) => Arc::clone(found.get()),
            entry => Arc::clone(&entry.insert(new)),
        };
        // What lay there is dropped where nothing is borrowed.
        let last = LAST.try_with(|last| last.replace(Some(Arc::clone(&found))));
        drop(last);
        found
    }

    fn new(runtime: &Handle, share: usize) -> Self {
        let _entered = runtime.enter();
        Self {
            of: (runtime.id(), share),
            queue: Lock::new(Queue::default()),
            asked: AtomicUsize::new(0),
            timer: Lock::new(Some(Box::pin(sleep_until(Instant::now())))),
        }
    }

    /// And whether the timer is to be set for this one, by ringing.
    ///
    /// # Errors
    ///
    /// They are over: the waker.
    fn insert(&self, at: Instant, waker: Waker) -> Result<(Key, bool), Waker> {
        let mut queue = self.queue.lock();
        if queue.is_over {
            return Err(waker);
        }
        let key = (at, queue.next);
        queue.next += 1;
        queue.alarms.insert(key, waker);
        let is_first = queue.rings_at.is_none_or(|rings_at| at < rings_at);
        if is_first {
            queue.rings_at = Some(at);
        }
        Ok((key, is_first))
    }

    /// Wakes those whose time has come, and sets the timer for the next. One thread at a time does it, and does it
    /// again for who asks meanwhile, also for the timer.
    fn ring(self: &Arc<Self>) {
        // `AcqRel`: who does it sees what was done by all that have asked.
        if self.asked.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        // Where tokio or a waker panics, they are over.
        let panics = Ends(self);
        let mut doing = 1;
        while doing > 0 {
            while !self.wake_and_set() {}
            doing = self.asked.fetch_sub(doing, Ordering::AcqRel) - doing;
        }
        mem::forget(panics);
    }

    /// False: more have to be woken.
    fn wake_and_set(self: &Arc<Self>) -> bool {
        let now = Instant::now();
        let mut come = Vec::new();
        let mut queue = self.queue.lock();
        while let Some(first) = queue.alarms.first_entry() {
            if first.key().0 > now || come.len() == BATCH {
                break;
            }
            come.push(first.remove());
        }
        let next = queue.alarms.first_key_value().map(|(key, _)| key.0);
        queue.rings_at = next;
        queue.is_over |= next.is_none();
        drop(queue);
        come.into_iter().for_each(Waker::wake);
        match next {
            Some(next) if next <= now => false,
            Some(next) => self.set(next),
            None => {
                self.end();
                true
            }
        }
    }

    /// False: it has rung already.
    fn set(self: &Arc<Self>, next: Instant) -> bool {
        let mut timer = self.timer.lock();
        let Some(sleep) = &mut *timer else {
            return true;
        };
        if sleep.deadline() != next || sleep.is_elapsed() {
            sleep.as_mut().reset(next);
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
        if next > Instant::now() {
            // A timer that rings before its time tells that its runtime ends.
            self.end();
            return true;
        }
        false
    }

    /// Nobody rings any more: who has set one looks again.
    fn end(&self) {
        let mut queue = self.queue.lock();
        queue.is_over = true;
        let left = mem::take(&mut queue.alarms);
        drop(queue);
        let timer = self.timer.lock().take();
        drop(timer);
        ALARMS.remove_if(&self.of, |_, found| ptr::eq(&**found, self));
        left.into_values().for_each(Waker::wake);
    }
}

/// The timer has rung.
impl Wake for Alarms {
    fn wake(self: Arc<Self>) {
        self.ring();
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

    fn paused() -> Runtime {
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true);
        builder.build().expect("a runtime")
    }

    /// Waits for a time by an alarm, as an ask does.
    async fn rung(at: Instant) {
        let mut alarm: Option<Alarm> = None;
        poll_fn(|cx| {
            if alarm
                .as_ref()
                .is_some_and(|alarm| alarm.is_set_for(at, cx.waker()))
            {
                return Poll::Pending;
            }
            if at <= Instant::now() {
                return Poll::Ready(());
            }
            alarm = Alarm::set(at, cx.waker());
            assert!(alarm.is_some());
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
            for _ in 0..if cfg!(miri) { 100 } else { 10_000 } {
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
            // The ringer waits for the hour now.
            for millis in [30_u64, 20, 10] {
                rung(start + Duration::from_millis(millis) + start.elapsed()).await;
            }
            assert_eq!(start.elapsed(), Duration::from_millis(60));
            late.await.expect("no panic");
            assert_eq!(start.elapsed(), HOUR);
        });
    }

    #[test]
    fn those_given_up_ring_for_nobody_and_leave_nothing() {
        paused().block_on(async {
            let woken = Arc::new(Count::default());
            let start = Instant::now();
            for _ in 0..1000 {
                let alarm = Alarm::set(start + HOUR, &Arc::clone(&woken).into());
                drop(alarm);
            }
            let of = |alarms: &Alarms| alarms.of.0 == Handle::current().id();
            let kept = || ALARMS.iter().filter(|alarms| of(alarms)).count();
            assert_eq!(kept(), 1);
            sleep_until(start + HOUR).await;
            assert_eq!(kept(), 0);
            assert_eq!(woken.0.load(Ordering::Relaxed), 0);
            // There are others when one is needed.
            rung(Instant::now() + HOUR).await;
            assert_eq!(kept(), 0);
        });
    }

    #[test]
    fn who_waits_in_a_runtime_that_ends_is_woken() {
        let woken = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&woken));
        let runtime = paused();
        let at = Instant::now() + HOUR;
        let set = || {
            let _entered = runtime.enter();
            Alarm::set(at, &waker).expect("it has timers")
        };
        let alarms = [set(), set()];
        assert!(alarms.iter().all(|alarm| alarm.is_set_for(at, &waker)));
        drop(runtime);
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert!(alarms.iter().all(|alarm| !alarm.is_set_for(at, &waker)));
        // Others ring instead.
        let alarm = Alarm::set(at, &waker).expect("those apart");
        assert!(alarm.is_set_for(at, &waker));
    }

    #[test]
    fn a_runtime_without_timers_is_told_of_each_time() {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let _entered = runtime.enter();
        let at = Instant::now() + HOUR;
        for _ in 0..2 {
            let set = catch_unwind(AssertUnwindSafe(|| Alarm::set(at, Waker::noop())));
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
        let at = Instant::now() + HOUR;
        let set = |waker: &Waker| Alarm::set(at, waker).expect("it has timers");
        let holds = || Waker::from(Arc::new(Holds(set(Waker::noop()))));
        // By the alarm, by a waker in its place, and by the end of the runtime.
        let by_alarm = set(&holds());
        drop(by_alarm);
        let replaced = set(&holds());
        assert!(replaced.is_set_for(at, &holds()));
        drop(_entered);
        drop(runtime);
        assert!(!replaced.is_set_for(at, Waker::noop()));
    }
}
