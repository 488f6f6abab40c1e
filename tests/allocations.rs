//! How much memory messages and actors take: counted by the allocator, thread by thread, so that
//! tests do not see each other's.
#![allow(
    unsafe_code,
    reason = "an allocator that counts is an `unsafe impl` around the system's"
)]

use actors_core::{
    Actor, Addr, AskError, ChildOptions, Context, Message, Overflow, Restart, SpawnError,
    SpawnOptions, Supervisor, actors, handlers, vacant_tasks,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;
use tokio::sync::Mutex;

struct Counting;

thread_local! {
    /// How often this thread has asked for memory.
    static ASKED: Cell<u64> = const { Cell::new(0) };
    /// The bytes that it got, less those it gave back.
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

fn count(asked: u64, bytes: i64) {
    ASKED.with(|n| n.set(n.get() + asked));
    BYTES.with(|n| n.set(n.get() + bytes));
}

fn size(layout: Layout) -> i64 {
    i64::try_from(layout.size()).expect("no layout is larger than half of the memory")
}

// SAFETY: hands everything on to the system's allocator. The counters are plain thread-locals
// without a destructor, so that counting asks for no memory and may happen at any time.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, size(layout));
        // SAFETY: by the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(0, -size(layout));
        // SAFETY: by the caller's contract.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let new = i64::try_from(new_size).expect("as for a layout");
        count(1, new - size(layout));
        // SAFETY: by the caller's contract.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tests take turns: memory that is kept goes from thread to thread, and would be counted where it
/// comes to rest.
static TURN: Mutex<()> = Mutex::const_new(());

fn asked() -> u64 {
    ASKED.with(Cell::get)
}

fn bytes() -> i64 {
    BYTES.with(Cell::get)
}

/// Fewer where everything is slow.
const fn scaled(n: usize) -> usize {
    if cfg!(debug_assertions) { n / 10 } else { n }
}

#[derive(Actor, Default)]
struct Sum {
    sum: u64,
}

/// As large as what lies in the mailbox itself.
#[derive(Message)]
struct Small([u64; 3]);

/// Takes memory of its own, which is kept for the next one.
#[derive(Message)]
struct Large([u64; 100]);

/// So large that its handler's future is kept with the largest.
#[derive(Message)]
struct Larger([u64; 512]);

/// So large that it is not.
#[derive(Message)]
struct Huge([u64; 1_100]);

#[handlers]
impl Sum {
    #[on]
    fn small(&mut self, msg: Small) {
        self.sum += msg.0[2];
    }

    #[on]
    fn large(&mut self, msg: Large) {
        self.sum += msg.0[99];
    }

    #[on]
    fn larger(&mut self, msg: Larger) {
        self.sum += msg.0[511];
    }

    #[on]
    fn huge(&mut self, msg: Huge) {
        self.sum += msg.0[299];
    }

    fn add(&mut self, n: u64) -> u64 {
        self.sum += n;
        self.sum
    }

    fn tick_hourly(&mut self, ctx: &mut Context<Self>) {
        ctx.notify_every(Duration::from_secs(3600), || Add { n: 1 });
        ctx.notify_after(Duration::from_secs(3600), Add { n: 1 });
    }
}

async fn handled(sum: &Addr<Sum>) {
    while sum.mailbox_len() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Tells in a hundred batches, and gives how often memory was asked for once all had warmed up.
async fn tell_all<M>(sum: &Addr<Sum>, batch: u64, message: impl Fn() -> M) -> u64
where
    M: actors_core::MessageFor<Sum, actors_core::AnyThread>,
{
    let mut before = 0;
    for turn in 0..110 {
        if turn == 10 {
            before = asked();
        }
        for _ in 0..batch {
            sum.tell(message()).expect("there is room");
        }
        handled(sum).await;
    }
    asked() - before
}

#[actors_core::test(flavor = "current_thread")]
async fn tell_allocates_nothing() {
    let _turn = TURN.lock().await;
    for options in [SpawnOptions::new(), SpawnOptions::new().unbounded()] {
        let sum = options.spawn(Sum::default()).expect("it starts");
        assert_eq!(tell_all(&sum, 50, || Small([1; 3])).await, 0);
        assert_eq!(tell_all(&sum, 50, || Add { n: 1 }).await, 0);
        assert_eq!(tell_all(&sum, 50, || Large([1; 100])).await, 0);
        assert_eq!(tell_all(&sum, 50, || Larger([1; 512])).await, 0);
        // The counter counts: what is larger than 8 KiB is boxed.
        assert!(tell_all(&sum, 50, || Huge([1; 1_100])).await >= 5_000);
        // An actor that sleeps gives back the room of a longer queue: that is asked for again, in
        // steps that double, once for each burst and not for each message.
        let bursts = tell_all(&sum, 1_000, || Small([1; 3])).await;
        assert!(bursts <= 100 * 20, "{bursts} for 100 bursts of 1,000");
    }
}

/// Nor does one that takes the place of the oldest, of few that wait; of many, a chunk for each 1,024 goes and comes.
#[actors_core::test(flavor = "current_thread")]
async fn tell_that_displaces_allocates_nothing() {
    let _turn = TURN.lock().await;
    for (capacity, most) in [(1, 0), (8, 0), (500, 0), (1_000, 100)] {
        let options = SpawnOptions::new().capacity(capacity);
        let sum = options.overflow(Overflow::DropOldest).spawn(Sum::default());
        let sum = sum.expect("it starts");
        let tell = |count: u64| {
            for _ in 0..count {
                sum.tell(Small([1; 3]))
                    .expect("it takes the oldest one's place");
            }
        };
        tell(5_000);
        let before = asked();
        tell(20_000);
        let often = asked() - before;
        assert!(often <= most, "{often} times with room for {capacity}");
    }
}

#[actors_core::test(flavor = "current_thread")]
async fn ask_allocates_once_at_most() {
    let _turn = TURN.lock().await;
    const ASKS: u64 = 10_000;
    for options in [SpawnOptions::new(), SpawnOptions::new().unbounded()] {
        let sum = options.spawn(Sum::default()).expect("it starts");
        for n in 0..1000 {
            sum.add(n).await.expect("it lives");
        }
        let before = asked();
        for n in 0..ASKS {
            sum.add(n).await.expect("it lives");
        }
        assert_eq!(asked() - before, 0, "each takes the memory of the last one");
    }
    let sum = SpawnOptions::new().unbounded().spawn(Sum::default());
    let sum = sum.expect("it starts");
    // Of more than all threads together keep.
    const AT_ONCE: u64 = 100_000;
    for _ in 0..3 {
        let bytes_before = bytes();
        let mut replies = Vec::with_capacity(AT_ONCE as usize);
        let asked_before = asked();
        replies.extend((0..AT_ONCE).map(|n| sum.add(n).post().expect("there is room")));
        // Those of the mailbox grow by doubling, up to some length.
        let often = asked() - asked_before;
        let range = AT_ONCE / 2..AT_ONCE + AT_ONCE / 500;
        assert!(range.contains(&often), "{often} times");
        for reply in replies {
            reply.await.expect("it lives");
        }
        // What is kept has an end: 4 MiB, and an eighth more for their addresses.
        let kept = bytes() - bytes_before;
        assert!(kept <= 9 << 19, "{kept} bytes");
    }
}

#[actors_core::test(flavor = "current_thread")]
async fn idle_actor_takes_little_memory() {
    let _turn = TURN.lock().await;
    const LIMIT: usize = 900;
    let actors = scaled(1_000_000);
    let before = bytes();
    let addrs: Vec<_> = (0..actors).map(|_| Sum::default().spawn()).collect();
    let each = |bytes: i64| usize::try_from(bytes).expect("it grew") / actors;
    // All have come to their first wait when this one, the last of the runtime's queue, has.
    SpawnOptions::new()
        .start(Sum::default())
        .await
        .expect("it starts");
    let idle = each(bytes() - before);
    for addr in &addrs {
        addr.add(1).await.expect("it lives");
    }
    let asked = each(bytes() - before);
    println!("{actors} actors: {idle} bytes each when idle, {asked} after an ask");
    assert!(idle <= LIMIT, "{idle} bytes");
    assert!(asked <= LIMIT, "{asked} bytes");
    let last = addrs.last().expect("there are some").clone();
    drop(addrs);
    last.stop();
    last.stopped().await;
}

#[actors_core::test(flavor = "current_thread")]
async fn asks_that_are_answered_leave_nothing() {
    let _turn = TURN.lock().await;
    let asks = scaled(1_000_000);
    let sum = SpawnOptions::new()
        .spawn(Sum::default())
        .expect("it starts");
    let mut before = 0;
    for n in 0..asks as u64 / 2 {
        if n == 100 {
            before = bytes();
        }
        sum.add(n).await.expect("it lives");
        let reply = sum.add(n).post().expect("there is room");
        reply.await.expect("it lives");
    }
    let left = bytes() - before;
    println!("{asks} asks answered: {left} bytes are left");
    assert!(left.abs() < 4096, "{left} bytes");
}

#[actors_core::test(start_paused = true)]
async fn asks_that_time_out_leave_nothing() {
    let _turn = TURN.lock().await;
    let asks = scaled(1_000_000);
    let limit = Duration::from_millis(1);
    let mut before = 0;
    let slow = SpawnOptions::new().spawn(Slow).expect("it starts");
    for n in 0..asks {
        if n == 100 {
            before = bytes();
        }
        let timed_out = slow.sleep().timeout(limit).await;
        assert!(
            matches!(timed_out, Err(AskError::TimedOut { .. })),
            "{timed_out:?}"
        );
    }
    slow.awake().await.expect("it lives");
    let left = bytes() - before;
    println!("{asks} asks timed out: {left} bytes are left");
    assert!(left.abs() < 4096, "{left} bytes");
}

/// Sleeps until its asker has given up.
#[derive(Actor)]
struct Slow;

#[handlers]
impl Slow {
    async fn sleep(&mut self, ctx: &mut Context<Self>) {
        ctx.cancelled().await;
    }

    fn awake(&mut self) {}
}

#[actors_core::test(flavor = "current_thread")]
async fn asks_that_are_dropped_half_way_leave_nothing() {
    let _turn = TURN.lock().await;
    let asks = scaled(1_000_000);
    let sum = SpawnOptions::new()
        .spawn(Sum::default())
        .expect("it starts");
    let mut before = 0;
    let mut withdrawn = 0;
    for turn in 0..asks / 100 {
        if turn == 10 {
            before = bytes();
        }
        let posted: Vec<_> = (0..100).map(|n| sum.add(n).post()).collect();
        for (n, reply) in posted.into_iter().enumerate() {
            let reply = reply.expect("there is room");
            if n % 2 == 0 {
                drop(reply);
                withdrawn += 1;
            } else {
                reply.detach();
            }
        }
        handled(&sum).await;
    }
    let left = bytes() - before;
    println!("{asks} asks dropped half-way: {left} bytes are left");
    assert_eq!(sum.mailbox_stats().withdrawn, withdrawn);
    assert!(left.abs() < 4096, "{left} bytes");
}

#[actors_core::test(start_paused = true)]
async fn actors_with_timers_leave_nothing() {
    let _turn = TURN.lock().await;
    let actors_and_timers = scaled(100_000);
    let runtime = tokio::runtime::Handle::current().metrics();
    let tasks = || runtime.num_alive_tasks() - vacant_tasks();
    let before = tasks();
    let mine = || {
        let all = actors().into_iter();
        all.filter(|actor| actor.name == "with timers").count()
    };
    let mut left = Vec::new();
    for _ in 0..4 {
        let addrs: Vec<_> = (0..actors_and_timers / 4)
            .map(|_| {
                let options = SpawnOptions::new().name("with timers");
                options.spawn(Sum::default()).expect("it starts")
            })
            .collect();
        for addr in &addrs {
            addr.tick_hourly().await.expect("it lives");
        }
        assert_eq!(mine(), addrs.len());
        assert_eq!(tasks(), before + 3 * addrs.len());
        for addr in &addrs {
            addr.stop();
        }
        for addr in &addrs {
            addr.stopped().await;
        }
        assert_eq!(mine(), 0);
        drop(addrs);
        // Tasks that were told to end do so when the runtime gets to them.
        while tasks() > before {
            tokio::task::yield_now().await;
        }
        left.push(bytes());
    }
    println!("{actors_and_timers} actors with timers: {left:?} bytes after each quarter");
    // Tables keep the size that they once had, so the first quarter does not count.
    let grown = left[3] - left[0];
    assert!(
        grown.unsigned_abs() < actors_and_timers as u64,
        "{grown} bytes"
    );
}

/// Each has got an id, between those of actors that live.
#[actors_core::test(flavor = "current_thread")]
async fn refused_spawns_leave_nothing() {
    let _turn = TURN.lock().await;
    let spawns = scaled(10_000);
    let named = || SpawnOptions::new().registered("the only one");
    let holder = named().spawn(Sum::default()).expect("the name is free");
    let refused = async || {
        for _ in 0..spawns {
            let refused = named().spawn(Sum::default());
            assert!(matches!(refused, Err(SpawnError::NameTaken(_))));
            let other = Sum::default().spawn();
            other.stop();
            other.stopped().await;
        }
    };
    refused().await;
    let before = bytes();
    refused().await;
    let left = bytes() - before;
    println!("{spawns} refused spawns: {left} bytes are left");
    assert!(left.abs() < 4096, "{left} bytes");
    holder.stop();
    holder.stopped().await;
}

/// Children that are added, do a little, and end for good, as many as a service sees in a while.
#[actors_core::test(flavor = "current_thread")]
async fn short_lived_children_leave_nothing() {
    let _turn = TURN.lock().await;
    let lives = scaled(100_000);
    let app = Supervisor::new("app");
    let options = ChildOptions::new().restart(Restart::Transient);
    let mut left = Vec::new();
    for quarter in 0..4 {
        for n in 0..lives / 4 {
            let name = format!("child-{quarter}-{n}");
            let child = app.child_with(name, options.clone(), Sum::default);
            child.tick_hourly().await.expect("it lives");
            child.stop();
            child.stopped().await;
        }
        // The supervisor hears of the last ends when its turn comes.
        while app.child_count() > 0 {
            tokio::task::yield_now().await;
        }
        left.push(bytes());
    }
    println!("{lives} short lives: {left:?} bytes after each quarter");
    let grown = left[3] - left[0];
    assert!(grown.unsigned_abs() < lives as u64, "{grown} bytes");
    app.shutdown(Duration::from_secs(60)).await;
}
