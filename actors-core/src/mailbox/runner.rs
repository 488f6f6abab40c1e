//! `Runner`: a task of the runtime in which actors live, one after the other.
//!
//! To spawn a task takes an aligned allocation, for which threads wait for each other, an entry in a
//! list of the runtime, and half a dozen copies of what the task is to run. So the task of an actor
//! that has ended stays for a while, and an actor that is spawned moves in: its future is written to
//! where the one before it lay, and the task is woken.
//!
//! Who may touch what: the room for a life belongs to the runner's task. From the push of its
//! [`Vacancy`] to a shard it belongs to the shard; and from when the vacancy is taken out, to whoever has
//! done that, until he tells what life is there, by the store of `life`. So the task looks at that alone to
//! see whether somebody has moved in; and where it is dropped meanwhile, it takes the vacancy back, or waits
//! for the store. What a life consists of is not written in the lock, where others would wait for lines that
//! come from another core.
//!
//! No code of others runs in the lock, nor between taking out and telling. To copy, wake or drop a waker may
//! call a subscriber, where tokio is built with its tracing.
use super::lend::{Home, home};
use super::lock::{Mutex, lock, pause};
use super::planted::{planted, unless};
use super::surplus::Surplus;
use super::sync::UnsafeCell;
use super::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
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
/// So many vacant tasks of each size stay in a shard once they are there.
const STAY: usize = if cfg!(miri) { 6 } else { 64 };
/// So many more all shards of a size share, for actors that end in bursts: 3 to 4 MiB of each size.
const MORE: usize = STAY * if cfg!(miri) { 4 } else { 128 };
/// Each time that so many have come to a shard with many, it is looked whether some are not needed.
const LOOK_AFTER: u8 = if cfg!(miri) { 4 } else { 16 };
/// In so many shards that are not empty a spawn looks for one, and at so many of each: there may be many of
/// other runtimes. Where they hide one that could be used, a task is spawned.
const LOOK: usize = 4;
/// Who looks for uses of freed memory is to see that it is freed. (Miri sees what is used after
/// [`Runner::clear`].)
const REUSES: bool = !cfg!(fuzzing);

/// Spawns what `make` makes on the runtime, in a vacant task or in one of its own.
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
    let shards = SIZES.iter().flat_map(|&words| &pool(words).shards);
    shards.map(of).sum()
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
    /// A `Runner<WORDS>` that begins with it, of as many words as its pool is for.
    seat: *const Seat,
    waker: Waker,
    home: Home,
}

// SAFETY: the runner may be filled by any thread: see the head of this file.
unsafe impl Send for Vacancy {}

impl Vacancy {
    /// Tells the task that it has no place.
    fn dismiss(&self) {
        // SAFETY: taken out, and the runner is there: before it goes, it waits for this.
        unsafe { (*self.seat).tell(&GONE) };
    }
}

/// These tasks have no place, and end. All are told before any is woken: one that is dropped waits for it.
fn dismiss(gone: Vec<Vacancy>) {
    gone.iter().for_each(Vacancy::dismiss);
    gone.into_iter().for_each(|gone| gone.waker.wake());
}

/// Dismisses a task when dropped, which is told nothing else.
struct Untold<'a>(&'a Vacancy);

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        self.0.dismiss();
        self.0.waker.wake_by_ref();
    }
}

/// Vacant tasks of one size.
struct Pool {
    shards: [Shard; SHARDS],
    /// How many more than [`STAY`] shards may have.
    granted: AtomicUsize,
    /// Which shard is looked at next by who finds no place in its own.
    other: AtomicUsize,
}

/// Those of some threads.
#[repr(align(64))]
struct Shard {
    /// How many there are, for a look without the lock, in which it is written.
    len: AtomicUsize,
    vacant: Mutex<Vacant>,
}

struct Vacant {
    /// The latest one last. Each runner knows where its own is.
    list: Vec<Vacancy>,
    /// How many there may be.
    most: usize,
    /// Which one may have to go next, where there are as many.
    next: usize,
    surplus: Surplus,
    /// So many have come since it was looked whether some are not needed.
    come: u8,
}

impl Vacant {
    fn new() -> Self {
        Self {
            list: Vec::new(),
            most: STAY,
            next: 0,
            surplus: Surplus::new(),
            come: 0,
        }
    }

    /// Takes out one of this runtime.
    #[inline]
    fn take(&mut self, home: Home, granted: &AtomicUsize) -> Option<Vacancy> {
        let mut latest = self.list.iter().enumerate().rev().take(LOOK);
        let (at, _) = latest.find(|(_, vacancy)| vacancy.home == home)?;
        Some(self.remove(at, granted))
    }

    /// Where the runner with this seat is.
    fn find(&self, seat: &Seat) -> Option<usize> {
        // SAFETY: whoever works here is in the lock.
        let at = seat.at.with(|at| unsafe { *at }) as usize;
        let found = self.list.get(at)?;
        ptr::eq(found.seat, seat).then_some(at)
    }

    /// Tells a runner where its vacancy is.
    #[inline]
    fn note(&self, at: usize) {
        let seat = self.list[at].seat;
        #[allow(clippy::cast_possible_truncation, reason = "there are not that many")]
        let at = at as u32;
        // SAFETY: the runner is there: before it goes, it takes its vacancy back, in the lock, in which
        // whoever works here is.
        unsafe { (*seat).at.with_mut(|its| *its = at) };
    }

    /// Takes one out. The last one gets its place.
    #[inline]
    fn remove(&mut self, at: usize, granted: &AtomicUsize) -> Vacancy {
        let removed = self.list.swap_remove(at);
        if at < self.list.len() {
            self.note(at);
        }
        self.surplus.taken(self.list.len());
        if self.most > STAY {
            self.shrink(granted);
        }
        removed
    }

    /// Takes one in. What comes back has no place: another one, of another runtime, or itself.
    #[inline]
    fn put(&mut self, vacancy: Vacancy, granted: &AtomicUsize) -> Option<Vacancy> {
        let mut over = None;
        if self.list.len() >= self.most {
            if !self.displaces(vacancy.home) {
                return Some(vacancy);
            }
            over = Some(self.remove(self.next, granted));
        }
        self.list.push(vacancy);
        self.note(self.list.len() - 1);
        over
    }

    /// Whether there is a place for one of this runtime, maybe that of another runtime's.
    fn makes_place(&mut self, home: Home, granted: &AtomicUsize) -> bool {
        if self.list.len() < self.most || self.grow(granted) {
            return true;
        }
        self.next = (self.next + 1) % self.most;
        self.displaces(home)
    }

    /// Whether the next one that may have to go is another runtime's.
    fn displaces(&self, home: Home) -> bool {
        let next = self.list.get(self.next);
        next.is_some_and(|next| next.home != home)
    }

    /// Takes of what all shards share, if there is some.
    fn grow(&mut self, granted: &AtomicUsize) -> bool {
        let is_some = granted.load(Ordering::Relaxed) < MORE;
        if !is_some || granted.fetch_add(STAY, Ordering::Relaxed) >= MORE {
            if is_some {
                granted.fetch_sub(STAY, Ordering::Relaxed);
            }
            return false;
        }
        self.most += STAY;
        true
    }

    /// Gives back what it does not use.
    fn shrink(&mut self, granted: &AtomicUsize) {
        if self.list.len() + 2 * STAY <= self.most {
            self.most -= STAY;
            granted.fetch_sub(STAY, Ordering::Relaxed);
        }
    }

    /// Takes out some that nobody needs. To be called each time that one comes, or finds no place elsewhere.
    fn give_up(&mut self, now: impl FnOnce() -> Instant, granted: &AtomicUsize) -> Vec<Vacancy> {
        let mut gone = Vec::new();
        self.come += 1;
        if self.come < LOOK_AFTER {
            return gone;
        }
        self.come = 0;
        if self.list.len() <= STAY {
            return gone;
        }
        let now = now();
        while gone.len() < usize::from(LOOK_AFTER) && self.list.len() > STAY {
            let Some(unneeded) = self.surplus.give_up(self.list.len(), now) else {
                break;
            };
            gone.push(self.remove(unneeded, granted));
        }
        if self.list.capacity() > 4 * self.list.len() {
            self.list.shrink_to(2 * self.list.len());
        }
        gone
    }
}

impl Shard {
    fn new() -> Self {
        Self {
            len: AtomicUsize::new(0),
            vacant: Mutex::new(Vacant::new()),
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

impl Pool {
    fn new() -> Self {
        Self {
            shards: [(); SHARDS].map(|()| Shard::new()),
            granted: AtomicUsize::new(0),
            other: AtomicUsize::new(0),
        }
    }

    /// Looks whether there is a place in this shard, which has many, and whether some of those have to go.
    /// Where there is no place, others may keep what nobody there needs any more.
    #[cold]
    fn makes_place(&self, own: usize, home: Home) -> bool {
        let has_place = self.gives_up(own, |vacant| vacant.makes_place(home, &self.granted));
        if !has_place {
            let other = self.other.fetch_add(1, Ordering::Relaxed) % SHARDS;
            self.gives_up(other, |_| ());
        }
        has_place
    }

    /// Works in the lock of a shard, after what nobody needs there was taken out.
    fn gives_up<R>(&self, shard: usize, f: impl FnOnce(&mut Vacant) -> R) -> R {
        let (gone, result) = self.shards[shard].with(|vacant| {
            let gone = vacant.give_up(Instant::now, &self.granted);
            (gone, f(vacant))
        });
        dismiss(gone);
        result
    }
}

type Pools = [Pool; SIZES.len()];

fn new_pools() -> Pools {
    SIZES.map(|_| Pool::new())
}

#[cfg(not(actors_loom))]
static POOLS: std::sync::LazyLock<Pools> = std::sync::LazyLock::new(new_pools);

#[cfg(actors_loom)]
loom::lazy_static! {
    static ref POOLS: Pools = new_pools();
}

#[inline]
fn pool(words: usize) -> &'static Pool {
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
    let shards = pool.shards[own..].iter().chain(&pool.shards[..own]);
    // One that is not seen yet is there for the next spawn.
    let some = shards.filter(|shard| shard.len.load(Ordering::Relaxed) > 0);
    for shard in some.take(LOOK) {
        let Some(vacancy) = shard.with(|vacant| vacant.take(home, &pool.granted)) else {
            continue;
        };
        let untold = Untold(&vacancy);
        let life = make();
        assert!(const { fits::<F>(WORDS) }, "it does not fit");
        let runner = vacancy.seat.cast::<Runner<WORDS>>();
        // SAFETY: the runner is of this size, and there: before it goes, it waits for this. The room is empty,
        // and the life fits (checked above).
        unsafe {
            let life = (*runner).room.with_mut(|room| put(room.cast(), life));
            (*runner).seat.tell(life);
        }
        mem::forget(untold);
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

/// The life of a task that is to end.
static GONE: LifeVt = LifeVt {
    poll: |_, _| Poll::Ready(()),
    drop: |_| {},
};

/// Writes a life there, and says what it is.
///
/// # Safety
/// The room is empty, long enough and aligned.
#[inline(always)]
unsafe fn put<F: Future<Output = ()> + Send + 'static>(room: *mut F, life: F) -> &'static LifeVt {
    // SAFETY: by the contract.
    unsafe { room.write(life) };
    &LifeVt {
        // SAFETY: called with what lies there, pinned.
        poll: |at, cx| unsafe { Pin::new_unchecked(&mut *at.cast::<F>()).poll(cx) },
        // SAFETY: the same, and it is not used after that.
        drop: |at| unsafe { ptr::drop_in_place(at.cast::<F>()) },
    }
}

/// Words of pointer type, which keep the provenance of what is in them.
type Room<const WORDS: usize> = [MaybeUninit<*mut ()>; WORDS];

/// A task's future: runs one life after the other.
#[repr(C)]
struct Runner<const WORDS: usize> {
    seat: Seat,
    home: Home,
    room: UnsafeCell<Room<WORDS>>,
    /// Vacancies point at it.
    _pinned: PhantomPinned,
}

/// What a vacancy knows of a runner, whatever its size.
struct Seat {
    /// What lies in the room; null for nothing, or for what is not told yet.
    life: AtomicPtr<LifeVt>,
    /// Where in the list its vacancy is. In the lock of the shard in which it was offered.
    at: UnsafeCell<u32>,
    /// The shard in which it was offered. Somebody may have moved in meanwhile.
    offered: Cell<Option<u8>>,
}

impl Seat {
    fn new(life: &'static LifeVt) -> Self {
        Self {
            life: AtomicPtr::new(ptr::from_ref(life).cast_mut()),
            at: UnsafeCell::new(0),
            offered: Cell::new(None),
        }
    }

    fn life(&self) -> Option<&'static LifeVt> {
        // `Acquire` pairs with the store: what lies in the room is seen.
        // SAFETY: null, or what `tell` has stored.
        unsafe { self.life.load(Ordering::Acquire).as_ref() }
    }

    /// The life is there.
    #[inline]
    fn tell(&self, life: &'static LifeVt) {
        let life = ptr::from_ref(life).cast_mut();
        // Who finds a life finds what lies in the room.
        let release = unless("relaxed_life", Ordering::Release);
        self.life.store(life, release);
    }
}

// SAFETY: what lies in its room may move between threads: `put` takes nothing else.
unsafe impl<const WORDS: usize> Send for Runner<WORDS> {}

impl<const WORDS: usize> Runner<WORDS> {
    #[inline(always)]
    fn new<F: Future<Output = ()> + Send + 'static>(home: Home, life: F) -> Self {
        assert!(const { fits::<F>(WORDS) }, "it does not fit");
        let mut room: Room<WORDS> = [MaybeUninit::uninit(); WORDS];
        // SAFETY: made just now, and long enough and aligned (checked above).
        let life = unsafe { put(room.as_mut_ptr().cast(), life) };
        Self {
            seat: Seat::new(life),
            home,
            room: UnsafeCell::new(room),
            _pinned: PhantomPinned,
        }
    }

    /// Drops what lies in its room.
    fn clear(&mut self) {
        let Some(life) = self.seat.life() else {
            return;
        };
        // Before the drop, which may panic: not twice. `Relaxed`: it is the task's, until it is offered in a
        // lock.
        self.seat.life.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: it lies there, and is not used any more.
        self.room
            .with_mut(|room| unsafe { (life.drop)(room.cast()) });
        if cfg!(miri) {
            // SAFETY: the room is the task's. Who reads there what was dropped is found out.
            self.room
                .with_mut(|room| unsafe { *room = [MaybeUninit::uninit(); WORDS] });
        }
    }

    /// Offers its empty room. False: enough others are vacant.
    fn offer(&mut self, waker: &Waker) -> bool {
        let (own, pool) = (own_shard(), pool(WORDS));
        let shard = &pool.shards[own];
        let is_full = shard.len.load(Ordering::Relaxed) >= STAY;
        if is_full && !pool.makes_place(own, self.home) {
            return false;
        }
        let seat = (&raw mut *self).cast_const().cast();
        let vacancy = Vacancy {
            seat,
            waker: waker.clone(),
            home: self.home,
        };
        // Before somebody moves in.
        self.seat.offered.set(u8::try_from(own).ok());
        let over = shard.with(|vacant| vacant.put(vacancy, &pool.granted));
        let Some(over) = over else { return true };
        if ptr::eq(over.seat, seat) {
            self.seat.offered.set(None);
            return false;
        }
        dismiss(vec![over]);
        true
    }

    /// Takes its vacancy back, or waits until somebody has moved in.
    fn take_back(&self, shard: u8) {
        let pool = pool(WORDS);
        let back = pool.shards[usize::from(shard)].with(|vacant| {
            let at = vacant.find(&self.seat)?;
            Some(vacant.remove(at, &pool.granted))
        });
        if back.is_none() && !planted("not_awaited") {
            // Who has taken it out tells soon: it is about to write a life, or to dismiss a few.
            (0..)
                .take_while(|_| self.seat.life().is_none())
                .for_each(pause);
        }
        // Not in the lock.
        drop(back);
    }
}

impl<const WORDS: usize> Future for Runner<WORDS> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        let Some(life) = this.seat.life() else {
            // Who has woken it may have known an actor that lived here before. Who moves in wakes it again.
            return match this.seat.offered.get() {
                Some(_) => Poll::Pending,
                None => Poll::Ready(()),
            };
        };
        this.seat.offered.set(None);
        let at = this.room.with_mut(|room| room.cast());
        // SAFETY: it lies there, pinned as the task is, until `clear`.
        if unsafe { (life.poll)(at, cx) }.is_pending() {
            return Poll::Pending;
        }
        this.clear();
        if !ptr::eq(life, &GONE) && this.offer(cx.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl<const WORDS: usize> Drop for Runner<WORDS> {
    fn drop(&mut self) {
        // A task that is dropped takes its vacancy back, or waits.
        let offered = self.seat.offered.get();
        if let Some(shard) = offered.filter(|_| !planted("stale_vacancy")) {
            self.take_back(shard);
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

/// Takes one out and dismisses it. False: there is none.
#[cfg(all(test, actors_loom))]
pub(super) fn dismiss_small() -> bool {
    let pool = pool(SMALL);
    let gone = pool.shards[0].with(|vacant| vacant.take(None, &pool.granted));
    let is_some = gone.is_some();
    dismiss(gone.into_iter().collect());
    is_some
}

#[cfg(all(test, not(actors_loom)))]
mod tests {
    use super::super::surplus::WINDOW;
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

    /// Spawns so many at the same time that end, and waits for that.
    async fn burst(lives: usize) {
        for _ in 0..lives {
            spawn(&Handle::current(), || ready(()));
        }
        while alive() > vacant_tasks() {
            yield_now().await;
        }
    }

    #[test]
    fn runner_ends_where_enough_are_vacant() {
        let _turn = turn();
        runtime().block_on(async {
            burst(STAY + MORE + 3).await;
            // Another test may have some in the same shard.
            let vacant = vacant_tasks();
            assert!((MORE..=STAY + MORE).contains(&vacant), "{vacant}");
            for left in (0..vacant).rev() {
                spawn(&Handle::current(), pending);
                assert_eq!((vacant_tasks(), alive()), (left, vacant));
            }
            spawn(&Handle::current(), pending);
            assert_eq!((vacant_tasks(), alive()), (0, vacant + 1));
        });
        let pool = pool(SMALL);
        // Others may have left some.
        for shard in &pool.shards {
            shard.with(|vacant| assert!(vacant.most < vacant.list.len() + 2 * STAY));
        }
    }

    #[test]
    fn runner_that_is_dismissed_ends() {
        let _turn = turn();
        runtime().block_on(async {
            burst(3).await;
            let pool = pool(SMALL);
            let take =
                || pool.shards[own_shard()].with(|vacant| vacant.take(home(), &pool.granted));
            dismiss((0..2).filter_map(|_| take()).collect());
            assert_eq!((vacant_tasks(), alive()), (1, 3));
            while alive() > vacant_tasks() {
                yield_now().await;
            }
            assert_eq!((vacant_tasks(), alive()), (1, 1));
        });
    }

    /// A list of vacancies of tasks that are not there.
    struct Vacancies {
        vacant: Vacant,
        granted: AtomicUsize,
    }

    impl Vacancies {
        fn new() -> Self {
            let (vacant, granted) = (Vacant::new(), AtomicUsize::new(0));
            Self { vacant, granted }
        }

        /// One comes. What has to go for it, of others and itself?
        fn come(
            &mut self,
            seat: &Seat,
            home: Home,
            now: Instant,
        ) -> (Vec<Vacancy>, Option<Vacancy>) {
            let gone = self.vacant.give_up(|| now, &self.granted);
            let waker = Waker::noop().clone();
            let vacancy = Vacancy { seat, waker, home };
            if !self.vacant.makes_place(home, &self.granted) {
                return (gone, Some(vacancy));
            }
            let over = self.vacant.put(vacancy, &self.granted);
            self.check();
            (gone, over)
        }

        /// So many are taken, and come again. How many are left?
        fn burst(&mut self, needed: usize, now: Instant) -> usize {
            let take = |_| self.vacant.take(None, &self.granted);
            let taken: Vec<_> = (0..needed).map_while(take).collect();
            self.check();
            for Vacancy { seat, .. } in taken {
                // SAFETY: those of the test live longer.
                let (_, over) = self.come(unsafe { &*seat }, None, now);
                assert!(over.is_none());
            }
            self.vacant.list.len()
        }

        /// Each is found where it is, and no more is kept than is granted.
        fn check(&self) {
            let Vacant { list, most, .. } = &self.vacant;
            for (at, vacancy) in list.iter().enumerate().step_by(97) {
                // SAFETY: those of the test live longer.
                assert_eq!(self.vacant.find(unsafe { &*vacancy.seat }), Some(at));
            }
            assert!(list.len() <= *most && *most < list.len() + 2 * STAY);
            assert_eq!(self.granted.load(Ordering::Relaxed), most - STAY);
        }
    }

    fn seats(number: usize) -> Vec<Seat> {
        (0..number).map(|_| Seat::new(&GONE)).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "it only counts, and takes minutes")]
    fn vacancies_that_nobody_needs_are_given_up() {
        let many = STAY + 5 * usize::from(LOOK_AFTER);
        let (seats, begin) = (seats(many), Instant::now());
        for needed in [1, STAY, STAY + 7, many - 1, many] {
            let mut vacancies = Vacancies::new();
            for seat in &seats {
                assert!(vacancies.come(seat, None, begin).1.is_none());
            }
            // Four of them in a window, in the first of which all may have come just now.
            let mut left = |round: u32| vacancies.burst(needed, begin + WINDOW / 4 * round);
            assert!((0..4).all(|round| left(round) == many), "{needed} needed");
            let after = (4..400).map(left).last().expect("some rounds");
            // Some are looked at before those that are needed have all come.
            let least = needed.max(STAY);
            assert!((least..=least + 1).contains(&after), "{after} of {needed}");
        }
    }

    #[test]
    fn vacancies_of_other_runtimes_are_displaced() {
        let (one, other) = (runtime(), runtime());
        let [one, other] = [&one, &other].map(|runtime| Some(runtime.handle().id()));
        let (seats, now) = (seats(2 * (STAY + MORE)), Instant::now());
        let (first, second) = seats.split_at(STAY + MORE);
        let mut vacancies = Vacancies::new();
        for seat in first {
            assert!(vacancies.come(seat, one, now).1.is_none());
        }
        let (gone, over) = vacancies.come(&second[0], one, now);
        assert!(gone.is_empty() && over.is_some_and(|over| ptr::eq(over.seat, &second[0])));
        let mut displaced = 0;
        for seat in second {
            // Where it finds its own, it looks at the next place.
            let over = (0..first.len()).find_map(|_| {
                let (_, over) = vacancies.come(seat, other, now);
                over.filter(|over| !ptr::eq(over.seat, seat))
            });
            assert!(over.expect("there are some").home == one);
            displaced += 1;
        }
        assert_eq!(displaced, first.len());
        assert!(
            vacancies
                .vacant
                .list
                .iter()
                .all(|vacancy| vacancy.home == other)
        );
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
        assert!(
            !POOLS.iter().flat_map(|pool| &pool.shards).any(of_one),
            "it has left some"
        );
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
        let fill = |runtime: &Runtime| runtime.block_on(burst(STAY + MORE));
        fill(&one);
        let before = vacant_of(&one);
        assert!(before > MORE / 2, "{before}");
        fill(&other);
        let after = vacant_of(&one);
        // Each that ended looked at another place, which was the other runtime's once.
        assert!(after < before / 2, "{after} of {before}");
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
        one.block_on(burst(STAY + MORE));
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
        let runtime = runtime_of_two();
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

    /// Threads move lives into the tasks of a runtime that is shut down meanwhile: each life is dropped once.
    #[test]
    fn runner_whose_runtime_ends_meanwhile() {
        const ROUNDS: u32 = if cfg!(miri) { 2 } else { 100 };
        let _turn = turn();
        for round in 0..ROUNDS {
            let (drops, runtime) = (Arc::new(AtomicU32::new(0)), runtime_of_two());
            let (tell, told) = std::sync::mpsc::channel();
            let spawned: u32 = std::thread::scope(|scope| {
                let threads = [(); 2].map(|()| {
                    let (drops, tell) = (Arc::clone(&drops), tell.clone());
                    let runtime = runtime.handle().clone();
                    scope.spawn(move || {
                        // Until nobody listens any more, and a few after that.
                        let (mut spawned, mut more) = (0, 10);
                        while more > 0 {
                            let (counted, told) = (Counted(Arc::clone(&drops)), tell.clone());
                            spawn(&runtime, || async move {
                                let _counted = counted;
                                let _ = told.send(());
                            });
                            spawned += 1;
                            more -= u32::from(tell.send(()).is_err());
                        }
                        spawned
                    })
                });
                for _ in 0..=round {
                    told.recv().expect("they spawn");
                }
                drop(runtime);
                drop(told);
                threads
                    .map(|thread| thread.join().expect("it ends"))
                    .iter()
                    .sum()
            });
            assert_eq!(drops.load(Ordering::Relaxed), spawned, "round {round}");
        }
    }

    fn runtime_of_two() -> Runtime {
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(2).build().expect("a runtime")
    }
}
