//! Tests of what messages cost in memory.
use crate::actor::{Actor, Handler, Message};
use crate::addr::Addr;
use crate::cell::Context;
use crate::mailbox::{AnyThread, KEEPS_SPARE, SMALL, allocations};
use crate::run::{Hooks, Life, run};
use tokio::runtime::Builder;

#[derive(Default)]
struct Adder {
    total: u64,
}

impl Actor for Adder {}

/// As large as fits into a slot.
struct Add([u64; 3]);

impl Message for Add {
    type Reply = u64;
}

impl Handler<Add> for Adder {
    async fn handle(&mut self, add: Add, _ctx: &mut Context<Self>) -> u64 {
        self.total += add.0[0];
        self.total
    }
}

/// How many allocations and frees each of 100 repetitions makes, on one thread, warmed up.
#[allow(clippy::needless_pass_by_value, reason = "its callers read better")]
fn counts(work: impl AsyncFn(&Addr<Adder>)) -> (u64, u64) {
    const TIMES: u64 = if cfg!(miri) { 10 } else { 100 };
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let addr = Adder::default().spawn();
        for _ in 0..TIMES {
            work(&addr).await;
        }
        let before = allocations();
        for _ in 0..TIMES {
            work(&addr).await;
        }
        let after = allocations();
        let each = |after: u64, before: u64| {
            assert_eq!((after - before) % TIMES, 0, "{before} to {after}");
            (after - before) / TIMES
        };
        (each(after.0, before.0), each(after.1, before.1))
    })
}

/// What an ask or a large tell takes of the allocator, and gives back: its memory is that of one
/// before, unless it is Miri that looks for uses of freed memory.
const ASK: (u64, u64) = if KEEPS_SPARE { (0, 0) } else { (1, 1) };

#[test]
fn an_ask_takes_the_memory_of_one_before() {
    let asked = counts(async |addr| {
        addr.ask(Add([1; 3])).await.expect("it runs");
    });
    assert_eq!(asked, ASK);
}

#[test]
fn asks_that_are_given_up_are_freed() {
    let withdrawn = counts(async |addr| {
        drop(addr.ask(Add([1; 3])).post().expect("there is room"));
        tokio::task::yield_now().await;
    });
    assert_eq!(withdrawn, ASK);
    let detached = counts(async |addr| {
        let reply = addr.ask(Add([1; 3])).post().expect("there is room");
        reply.detach();
        tokio::task::yield_now().await;
    });
    assert_eq!(detached, ASK);
}

/// Larger than a slot.
struct Load([u64; 100]);

impl Message for Load {
    type Reply = ();
}

impl Handler<Load> for Adder {
    async fn handle(&mut self, load: Load, _ctx: &mut Context<Self>) {
        self.total += load.0[99];
    }
}

#[test]
fn a_large_tell_takes_the_memory_of_one_before() {
    let told = counts(async |addr| {
        addr.tell(Load([1; 100])).expect("there is room");
        tokio::task::yield_now().await;
    });
    assert_eq!(told, ASK);
}

#[test]
fn a_small_tell_does_not_allocate() {
    let told = counts(async |addr| {
        addr.tell(Add([1; 3])).expect("there is room");
        tokio::task::yield_now().await;
    });
    assert_eq!(told, (0, 0));
}

/// Else its task would take 128 bytes more.
#[cfg(target_pointer_width = "64")]
#[test]
fn an_actor_of_six_words_lives_in_a_small_task() {
    struct SixWords(#[allow(dead_code, reason = "only there for its size")] [usize; 6]);
    impl Actor for SixWords {}
    fn size<A: 'static, F>(_run: fn(Life<A>, &'static Hooks<A>) -> F) -> usize {
        size_of::<F>()
    }
    let size = size(run::<SixWords, AnyThread>);
    assert!(size <= SMALL * size_of::<usize>(), "{size} bytes");
}
