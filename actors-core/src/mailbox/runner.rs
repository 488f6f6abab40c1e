//! `Runner`: a task of the runtime in which actors live, one after the other.
//!
//! To spawn a task takes an aligned allocation, for which threads wait for each other, an entry in a
//! list of the runtime, and half a dozen copies of what the task is to run. So the task of an actor
//! that has ended stays for a while, and an actor that is spawned moves in: its future is written to
//! where the one before it lay, and the task is woken.
//!
//! Who may touch what: a `Place` belongs to the runner's task. From the push of its [`Vacancy`] to
//! the pool until it is taken out it belongs to the pool, and is touched in the lock of that
//! shard alone: by who moves in, by the task that was woken, to see whether somebody has, and by the
//! task that is dropped, which takes the vacancy back.
//!
//! No code of others runs in the lock, and nothing that panics: who moves in is made there, which only
//! moves its parts. To copy or drop a waker may call a subscriber, where tokio is
//! built with its tracing.
use super::lend::{Home, home};
use super::lock::{Mutex, lock};
use super::sync::UnsafeCell;
use super::sync::atomic::{AtomicUsize, Ordering};
use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, Waker};
use tokio::runtime::Handle;

/// Words of a place for the life of an actor whose state is no longer than six, and of one for longer
/// lives. tokio's tasks are aligned to 128 bytes: with these they take 384 and 512.
pub(crate) const SMALL: usize = 32;
const LARGE: usize = 48;
const SIZES: [usize; 2] = [SMALL, LARGE];
/// Threads that spawn and end actors do so in different shards, mostly.
const SHARDS: usize = match (cfg!(actors_loom), cfg!(miri)) {
    (true, _) => 1,
    // Miri is slow.
    (_, true) => 2,
    _ => 16,
};
/// So many vacant tasks of each size are in a shard at most.
const KEEP: usize = if cfg!(miri) { 6 } else { 64 };
/// In so many shards that are not empty a spawn looks for one, and at so many of each: there may be many of
/// other runtimes. Where they hide one that could be used, a task is spawned.
const LOOK: usize = 4;
/// Who looks for uses of freed memory is to see that it is freed. (Miri sees what is used after
/// [`Runner::clear`].)
const REUSES: bool = !cfg!(fuzzing);

/// A task that is dropped takes its vacancy back.
const TAKES_BACK: bool = !cfg!(actors_mutant = "stale_vacancy");

/// Spawns what `make` makes on the runtime, in a vacant task or in one of its own. `make` is called in a
/// lock: it must only put parts together.
#[inline(always)]
pub(crate) fn spawn<F>(runtime: &Handle, make: impl FnOnce() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    if const { REUSES && fits::<F>(SMALL) } {
        spawn_in::<SMALL, F>(runtime, make);
    } else if const { REUSES && fits::<F>(LARGE) } {
        spawn_in::<LARGE, F>(runtime, make);
    } else {
        runtime.spawn(make());
    }
}

/// How many tasks of this runtime are vacant.
pub(crate) fn vacant_tasks() -> usize {
    let home = home();
    let is_home = |vacancy: &&Vacancy| vacancy.home == home;
    let of = |shard: &Shard| shard.with(|vacant| vacant.list.iter().filter(is_home).count());
    SIZES.iter().flat_map(|&words| pool(words)).map(of).sum()
}

#[inline(always)]
fn spawn_in<const WORDS: usize, F>(runtime: &Handle, make: impl FnOnce() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let home = Some(runtime.id());
    if let Err(make) = move_in::<WORDS, F, _>(home, make) {
        runtime.spawn(Runner::<WORDS>::new(home, make()));
    }
}

const fn fits<F>(words: usize) -> bool {
    size_of::<F>() <= words * size_of::<*mut ()>() && align_of::<F>() <= align_of::<*mut ()>()
}

/// A task that waits for a life.
struct Vacancy {
    /// An `UnsafeCell<Place<WORDS>>`, of as many words as its pool is for.
    place: *const (),
    waker: Waker,
    home: Home,
}

// SAFETY: the place is touched in the lock alone, and what lies there may move between threads.
unsafe impl Send for Vacancy {}

/// Vacant tasks of one size.
#[repr(align(64))]
struct Shard {
    /// How many there are, for a look without the lock, in which it is written.
    len: AtomicUsize,
    vacant: Mutex<Vacant>,
}

#[derive(Default)]
struct Vacant {
    /// The latest one last.
    list: Vec<Vacancy>,
    /// Which one may have to go next, where all places are taken.
    next: usize,
}

impl Vacant {
    /// The vacancy of the runner whose place this is.
    fn position(&self, place: *const ()) -> Option<usize> {
        self.list.iter().position(|vacancy| vacancy.place == place)
    }

    /// Whether there is a place for one of this runtime, maybe that of another runtime's.
    fn has_place(&mut self, home: Home) -> bool {
        if self.list.len() < KEEP {
            return true;
        }
        self.next = (self.next + 1) % KEEP;
        self.list[self.next].home != home
    }

    /// Takes one in. What comes back has no place: another one's, of another runtime, or itself.
    fn put(&mut self, vacancy: Vacancy) -> Option<Vacancy> {
        if self.list.len() < KEEP {
            self.list.push(vacancy);
            return None;
        }
        if self.list[self.next].home == vacancy.home {
            return Some(vacancy);
        }
        let other = self.list.swap_remove(self.next);
        self.list.push(vacancy);
        Some(other)
    }
}

impl Shard {
    fn new() -> Self {
        Self {
            len: AtomicUsize::new(0),
            vacant: Mutex::new(Vacant::default()),
        }
    }

    /// Works in the lock.
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut Vacant) -> R) -> R {
        let mut vacant = lock(&self.vacant);
        let result = f(&mut vacant);
        self.len.store(vacant.list.len(), Ordering::Relaxed);
        result
    }
}

type Pools = [[Shard; SHARDS]; SIZES.len()];

fn new_pools() -> Pools {
    [(); SIZES.len()].map(|()| [(); SHARDS].map(|()| Shard::new()))
}

#[cfg(not(actors_loom))]
static POOLS: std::sync::LazyLock<Pools> = std::sync::LazyLock::new(new_pools);

#[cfg(actors_loom)]
loom::lazy_static! {
    static ref POOLS: Pools = new_pools();
}

#[inline]
fn pool(words: usize) -> &'static [Shard; SHARDS] {
    &POOLS[usize::from(words == LARGE)]
}

/// The shard of this thread.
#[inline]
fn own_shard() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    // By `with`: `LocalKey::get` is not inlined.
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        own.get()
    })
}

/// A future that is moved into a vacant task of its runtime. `Err`: there is none.
#[inline(always)]
fn move_in<const WORDS: usize, F, M>(home: Home, make: M) -> Result<(), M>
where
    F: Future<Output = ()> + Send + 'static,
    M: FnOnce() -> F,
{
    let (pool, own) = (pool(WORDS), own_shard());
    let shards = pool[own..].iter().chain(&pool[..own]);
    // One that is not seen yet is there for the next spawn.
    let some = shards.filter(|shard| shard.len.load(Ordering::Relaxed) > 0);
    for shard in some.take(LOOK) {
        let mut vacant = lock(&shard.vacant);
        let list = &mut vacant.list;
        let latest = list.iter().enumerate().rev().take(LOOK);
        let Some((at, _)) = { latest }.find(|(_, vacancy)| vacancy.home == home) else {
            continue;
        };
        let vacancy = list.swap_remove(at);
        shard.len.store(list.len(), Ordering::Relaxed);
        let place = vacancy.place.cast::<UnsafeCell<Place<WORDS>>>();
        // SAFETY: in the lock in which the vacancy was found, which is of this size. The runner is
        // there: before it goes, it takes its vacancy back, in the lock.
        unsafe { (*place).with_mut(|place| Place::put(place, make())) };
        drop(vacant);
        vacancy.waker.wake();
        return Ok(());
    }
    Err(make)
}

/// What can be done with a future whose type is forgotten.
struct LifeVt {
    poll: unsafe fn(*mut (), &mut Context<'_>) -> Poll<()>,
    drop: unsafe fn(*mut ()),
}

/// Where a future lies, and what it is.
#[repr(C)]
struct Place<const WORDS: usize> {
    life: Option<&'static LifeVt>,
    /// Words of pointer type, which keep the provenance of what is in them.
    room: [MaybeUninit<*mut ()>; WORDS],
}

impl<const WORDS: usize> Place<WORDS> {
    /// # Safety
    /// The place is the caller's, and empty.
    #[inline(always)]
    unsafe fn put<F: Future<Output = ()> + Send + 'static>(place: *mut Self, life: F) {
        assert!(const { fits::<F>(WORDS) }, "it does not fit");
        // SAFETY: the caller's (contract), and long enough and aligned (checked above).
        unsafe {
            (&raw mut (*place).room).cast::<F>().write(life);
            (*place).life = Some(&LifeVt {
                poll: |at, cx| Pin::new_unchecked(&mut *at.cast::<F>()).poll(cx),
                drop: |at| ptr::drop_in_place(at.cast::<F>()),
            });
        }
    }
}

/// A task's future: runs one life after the other.
struct Runner<const WORDS: usize> {
    home: Home,
    place: UnsafeCell<Place<WORDS>>,
    /// The shard in which it was offered. Somebody may have moved in meanwhile.
    offered: Option<u8>,
    /// Vacancies point at it.
    _pinned: PhantomPinned,
}

// SAFETY: what lies in its place may move between threads: `put` takes nothing else.
unsafe impl<const WORDS: usize> Send for Runner<WORDS> {}

impl<const WORDS: usize> Runner<WORDS> {
    #[inline(always)]
    fn new<F: Future<Output = ()> + Send + 'static>(home: Home, life: F) -> Self {
        let mut place = Place {
            life: None,
            room: [MaybeUninit::uninit(); WORDS],
        };
        // SAFETY: made just now.
        unsafe { Place::put(&raw mut place, life) };
        Self {
            home,
            place: UnsafeCell::new(place),
            offered: None,
            _pinned: PhantomPinned,
        }
    }

    /// What lies in its place. To be called when the place is the task's.
    #[inline]
    fn life(&self) -> Option<(&'static LifeVt, *mut ())> {
        self.place.with_mut(|place| {
            // SAFETY: it is the task's, which is the caller.
            let (life, at) = unsafe { ((*place).life, &raw mut (*place).room) };
            Some((life?, at.cast()))
        })
    }

    /// Drops what lies in its place. To be called when the place is the task's.
    fn clear(&mut self) {
        let Some((life, at)) = self.life() else {
            return;
        };
        // Before the drop, which may panic: not twice.
        // SAFETY: the place is the task's.
        self.place.with_mut(|place| unsafe { (*place).life = None });
        // SAFETY: it lies there, and is not used any more.
        unsafe { (life.drop)(at) };
        if cfg!(miri) {
            let nothing = [MaybeUninit::uninit(); WORDS];
            // SAFETY: as above. Who reads there what was dropped is found out.
            self.place
                .with_mut(|place| unsafe { (*place).room = nothing });
        }
    }

    /// Offers its empty place. False: enough others are vacant.
    fn offer(&mut self, waker: &Waker) -> bool {
        let own = own_shard();
        let (place, home) = (self.address(), self.home);
        if !pool(WORDS)[own].with(|vacant| vacant.has_place(home)) {
            return false;
        }
        let waker = waker.clone();
        let vacancy = Vacancy { place, waker, home };
        // Before somebody moves in.
        self.offered = u8::try_from(own).ok();
        let over = pool(WORDS)[own].with(|vacant| vacant.put(vacancy));
        let Some(over) = over else { return true };
        if over.place == place {
            self.offered = None;
            return false;
        }
        // The other one's task finds that it has no place, and ends.
        over.waker.wake();
        true
    }

    /// What a vacancy of it knows.
    fn address(&self) -> *const () {
        (&raw const self.place).cast()
    }

    /// What has become of its offer in this shard.
    fn look(&mut self, shard: u8) -> Offer {
        pool(WORDS)[usize::from(shard)].with(|vacant| match self.life() {
            Some(_) => Offer::Taken,
            None if vacant.position(self.address()).is_some() => Offer::Stands,
            None => Offer::Displaced,
        })
    }
}

enum Offer {
    Stands,
    /// Somebody has moved in.
    Taken,
    /// Another vacancy has its place.
    Displaced,
}

impl<const WORDS: usize> Future for Runner<WORDS> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        if let Some(shard) = this.offered {
            match this.look(shard) {
                Offer::Taken => this.offered = None,
                Offer::Displaced => return Poll::Ready(()),
                // Who has woken it may have known an actor that lived here before.
                Offer::Stands => return Poll::Pending,
            }
        }
        let Some((life, at)) = this.life() else {
            return Poll::Ready(());
        };
        // SAFETY: it lies there, pinned as the task is, until `clear`.
        if unsafe { (life.poll)(at, cx) }.is_pending() {
            return Poll::Pending;
        }
        this.clear();
        if this.offer(cx.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl<const WORDS: usize> Drop for Runner<WORDS> {
    fn drop(&mut self) {
        if let Some(shard) = self.offered.filter(|_| TAKES_BACK) {
            let back = pool(WORDS)[usize::from(shard)].with(|vacant| {
                let at = vacant.position(self.address())?;
                Some(vacant.list.swap_remove(at))
            });
            // Not in the lock.
            drop(back);
        }
        self.clear();
    }
}

/// For the models, which have no runtime.
#[cfg(all(test, actors_loom))]
pub(super) fn of(life: impl Future<Output = ()> + Send + 'static) -> impl Future<Output = ()> {
    Runner::<SMALL>::new(None, life)
}

/// The same. False: there is no vacant task.
#[cfg(all(test, actors_loom))]
pub(super) fn move_in_small<F>(make: impl FnOnce() -> F) -> bool
where
    F: Future<Output = ()> + Send + 'static,
{
    move_in::<SMALL, F, _>(None, make).is_ok()
}

#[cfg(all(test, not(actors_loom)))]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn, ready};
    use std::sync::atomic::AtomicU32;
    use std::sync::{Arc, PoisonError};
    use std::time::Duration;
    use tokio::runtime::{Builder, Runtime};
    use tokio::task::{self, yield_now};

    /// They share the shards: also with the tests of other modules, which must not leave more than one or
    /// two vacant tasks at a time.
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

    fn turn() -> std::sync::MutexGuard<'static, ()> {
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().expect("a runtime")
    }

    /// Spawns it on the current runtime, and waits until all that is ready has run.
    async fn run<F: Future<Output = ()> + Send + 'static>(life: F) {
        spawn(&Handle::current(), || life);
        for _ in 0..3 {
            yield_now().await;
        }
    }

    fn alive() -> usize {
        Handle::current().metrics().num_alive_tasks()
    }

    /// What is vacant, in all pools, of this runtime.
    fn vacant_of(runtime: &Runtime) -> usize {
        let _entered = runtime.enter();
        vacant_tasks()
    }

    /// The id of the task that a life of so many words ran in.
    async fn home_of_words<const WORDS: usize>() -> task::Id {
        let (tell, told) = std::sync::mpsc::channel();
        let words = [1_usize; WORDS];
        run(async move {
            yield_now().await;
            assert_eq!(words.iter().sum::<usize>(), WORDS);
            tell.send(task::id()).expect("it is awaited");
        })
        .await;
        told.recv().expect("it has run")
    }

    #[test]
    fn runner_takes_the_next_one_in() {
        let _turn = turn();
        runtime().block_on(async {
            let small = home_of_words::<1>().await;
            assert_eq!((vacant_tasks(), alive()), (1, 1));
            assert_eq!(home_of_words::<8>().await, small);
            let large = home_of_words::<{ SMALL + 1 }>().await;
            assert_ne!(large, small);
            assert_eq!((vacant_tasks(), alive()), (2, 2));
            assert_eq!(home_of_words::<{ SMALL + 1 }>().await, large);
            assert_eq!(home_of_words::<2>().await, small);
            // Too large for all of them.
            home_of_words::<{ LARGE + 1 }>().await;
            assert_eq!((vacant_tasks(), alive()), (2, 2));
        });
    }

    #[test]
    fn runner_is_woken_for_nothing() {
        let _turn = turn();
        runtime().block_on(async {
            let waker = Arc::new(std::sync::Mutex::new(None));
            let keeps = Arc::clone(&waker);
            run(poll_fn(move |cx| {
                *keeps.lock().expect("not poisoned") = Some(cx.waker().clone());
                Poll::Ready(())
            }))
            .await;
            let waker = waker.lock().expect("not poisoned").take().expect("it ran");
            waker.wake_by_ref();
            yield_now().await;
            assert_eq!((vacant_tasks(), alive()), (1, 1));
            // Now it wakes somebody else.
            let polls = Arc::new(AtomicU32::new(0));
            let counts = Arc::clone(&polls);
            run(poll_fn(move |_| {
                counts.fetch_add(1, Ordering::Relaxed);
                Poll::Pending
            }))
            .await;
            waker.wake();
            yield_now().await;
            assert_eq!(polls.load(Ordering::Relaxed), 2);
            assert_eq!((vacant_tasks(), alive()), (0, 1));
        });
    }

    #[test]
    fn runner_ends_where_enough_are_vacant() {
        let _turn = turn();
        runtime().block_on(async {
            for _ in 0..KEEP + 3 {
                spawn(&Handle::current(), || ready(()));
            }
            assert_eq!((vacant_tasks(), alive()), (0, KEEP + 3));
            while alive() > vacant_tasks() {
                yield_now().await;
            }
            // Another test may have some in the same shard.
            let vacant = vacant_tasks();
            assert!((1..=KEEP).contains(&vacant), "{vacant}");
            for left in (0..vacant).rev() {
                spawn(&Handle::current(), pending);
                assert_eq!((vacant_tasks(), alive()), (left, vacant));
            }
            spawn(&Handle::current(), pending);
            assert_eq!((vacant_tasks(), alive()), (0, vacant + 1));
        });
    }

    #[test]
    fn runner_stays_in_its_runtime() {
        let _turn = turn();
        let (one, other) = (runtime(), runtime());
        one.block_on(home_of_words::<1>());
        assert_eq!((vacant_of(&one), vacant_of(&other)), (1, 0));
        other.block_on(home_of_words::<1>());
        assert_eq!((vacant_of(&one), vacant_of(&other)), (1, 1));
        let id = one.handle().id();
        drop(one);
        assert_eq!(vacant_of(&other), 1);
        let of_one = |shard: &Shard| {
            shard.with(|vacant| vacant.list.iter().any(|vacancy| vacancy.home == Some(id)))
        };
        assert!(!POOLS.iter().flatten().any(of_one), "it has left some");
        other.block_on(home_of_words::<1>());
    }

    /// Counts how often it is dropped.
    struct Counted(Arc<AtomicU32>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn runner_drops_each_life_once() {
        let _turn = turn();
        let drops = Arc::new(AtomicU32::new(0));
        let runtime = runtime();
        runtime.block_on(async {
            for round in 1..=3 {
                let counted = Counted(Arc::clone(&drops));
                run(async move { drop(counted) }).await;
                assert_eq!(drops.load(Ordering::Relaxed), round);
            }
            let counted = Counted(Arc::clone(&drops));
            run(async move {
                let _counted = counted;
                pending().await
            })
            .await;
            assert_eq!(vacant_tasks(), 0);
        });
        assert_eq!(drops.load(Ordering::Relaxed), 3);
        drop(runtime);
        assert_eq!(drops.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn runner_that_panics_ends() {
        let _turn = turn();
        let drops = Arc::new(AtomicU32::new(0));
        runtime().block_on(async {
            let counted = Counted(Arc::clone(&drops));
            run(async move {
                let _counted = counted;
                // Without the hook, which takes its time under Miri.
                std::panic::resume_unwind(Box::new("as told"));
            })
            .await;
            assert_eq!((vacant_tasks(), alive()), (0, 0));
        });
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn runner_displaces_those_of_other_runtimes() {
        let _turn = turn();
        let (one, other) = (runtime(), runtime());
        let fill = |runtime: &Runtime| {
            runtime.block_on(async {
                for _ in 0..KEEP {
                    spawn(&Handle::current(), || ready(()));
                }
                while alive() > vacant_tasks() {
                    yield_now().await;
                }
            });
        };
        fill(&one);
        let before = vacant_of(&one);
        assert!(before > KEEP / 2, "{before}");
        fill(&other);
        let after = vacant_of(&one);
        // Each that ended looked at another place.
        assert!(after < before, "{after} of {before}");
        assert!(vacant_of(&other) >= before - after);
        // Those that had to go have ended.
        one.block_on(async {
            while alive() > vacant_tasks() {
                yield_now().await;
            }
            assert_eq!(alive(), after);
        });
    }

    #[test]
    fn runner_that_displaced_another_one_is_found() {
        let _turn = turn();
        let (one, other) = (runtime(), runtime());
        one.block_on(async {
            for _ in 0..KEEP {
                spawn(&Handle::current(), || ready(()));
            }
            while alive() > vacant_tasks() {
                yield_now().await;
            }
        });
        other.block_on(async {
            let home = home_of_words::<1>().await;
            for _ in 0..10 {
                assert_eq!(home_of_words::<1>().await, home);
            }
            assert_eq!((vacant_tasks(), alive()), (1, 1));
        });
    }

    /// Lives on threads that take their tasks from each other.
    #[test]
    fn runners_of_several_threads() {
        const LIVES: u32 = if cfg!(miri) { 4 } else { 10_000 };
        let _turn = turn();
        let drops = Arc::new(AtomicU32::new(0));
        let (tell, told) = std::sync::mpsc::channel();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .expect("a runtime");
        for _ in 0..3 {
            let (drops, tell) = (Arc::clone(&drops), tell.clone());
            runtime.spawn(async move {
                for _ in 0..LIVES {
                    let (counted, tell) = (Counted(Arc::clone(&drops)), tell.clone());
                    run(async move {
                        yield_now().await;
                        drop(counted);
                        tell.send(()).expect("it is awaited");
                    })
                    .await;
                }
            });
        }
        for lived in 0..3 * LIVES {
            let next = told.recv_timeout(Duration::from_secs(60));
            assert!(next.is_ok(), "only {lived} have lived");
        }
        drop(runtime);
        assert_eq!(drops.load(Ordering::Relaxed), 3 * LIVES);
    }
}
