//! Asks that run on the asker's own thread, inside of its task, while the actor is idle: everything
//! holds that holds otherwise.
use crate::kit::{Gate, once, soon};
use actors_core::{
    Actor, Addr, AskError, Context, Deferred, NoReplyReason, SpawnOptions, StopReason, Supervisor,
    handlers,
};
use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;
use tokio::task::{self, yield_now};

#[derive(Actor, Default)]
struct Inliner {
    said: Vec<u32>,
    next: Option<Addr<Self>>,
    owed: Option<Deferred<u32>>,
    may_say: bool,
}

#[handlers]
impl Inliner {
    /// The task and the thread that run this.
    #[inline_ask]
    fn place(&self) -> (Option<task::Id>, ThreadId) {
        (task::try_id(), thread::current().id())
    }

    fn say(&mut self, n: u32) {
        self.said.push(n);
    }

    #[inline_ask]
    fn said(&self) -> Vec<u32> {
        self.said.clone()
    }

    #[inline_ask]
    async fn waits(&mut self, gate: Gate) -> Option<task::Id> {
        gate.pass().await;
        task::try_id()
    }

    #[inline_ask]
    fn panics(&self) -> u32 {
        panic!("as told")
    }

    fn join(&mut self, next: Option<Addr<Self>>) {
        self.next = next;
    }

    /// Asks the next one, and that one the next, and so on.
    #[inline_ask]
    async fn depth(&self) -> Result<u32, AskError> {
        match &self.next {
            Some(next) => Ok(Box::pin(next.depth().into_future()).await?? + 1),
            None => Ok(1),
        }
    }

    #[inline_ask]
    fn stops(&self, ctx: &mut Context<Self>) -> u32 {
        ctx.stop();
        7
    }

    #[inline_ask]
    async fn owes(&mut self, ctx: &mut Context<Self>) -> u32 {
        ctx.defer(|owed| self.owed = Some(owed)).await
    }

    #[inline_ask]
    fn pays(&mut self, n: u32) {
        self.owed.take().expect("it owes").answer(n);
    }

    /// Put aside until it may be said.
    fn say_later(&mut self, n: u32, ctx: &mut Context<Self>) {
        if self.may_say {
            self.said.push(n);
        } else if ctx.stash(SayLater { n }).is_err() {
            unreachable!("there is room");
        }
    }

    #[inline_ask]
    fn may_say(&mut self, ctx: &mut Context<Self>) {
        self.may_say = true;
        ctx.unstash_all();
    }

    #[inline_ask]
    fn say_now(&mut self, n: u32) {
        self.said.push(n);
    }

    /// Whether a wait would block the thread.
    #[inline_ask]
    fn would_block(&self, other: Addr<Self>) -> bool {
        matches!(other.place().wait(), Err(AskError::WouldBlock))
    }

    #[inline_ask]
    async fn until_cancelled(&mut self, ctx: &mut Context<Self>) -> u32 {
        ctx.cancelled().await;
        self.said.push(1);
        0
    }
}

fn here() -> (Option<task::Id>, ThreadId) {
    (task::try_id(), thread::current().id())
}

/// Asks until the actor answers on the spot.
async fn warm(addr: &Addr<Inliner>) {
    soon(async {
        while addr.place().await.unwrap() != here() {
            yield_now().await;
        }
    })
    .await;
}

/// A message counts as handled a moment after its reply is there.
async fn all_counted(addr: &Addr<Inliner>) {
    let all_handled = || {
        let stats = addr.mailbox_stats();
        assert!(stats.handled <= stats.accepted, "{stats:?}");
        stats.handled == stats.accepted
    };
    soon(async {
        while !all_handled() {
            yield_now().await;
        }
    })
    .await;
}

fn inliner() -> Addr<Inliner> {
    Inliner::default().spawn()
}

/// In a task of the runtime.
async fn in_a_task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    soon(tokio::spawn(work)).await.unwrap()
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_actors_answer_on_the_spot_and_others_in_their_turn() {
    in_a_task(async {
        let addr = inliner();
        warm(&addr).await;
        for n in 0..100 {
            addr.tell(Say { n }).unwrap();
            assert_eq!(addr.said().await.unwrap().len(), n as usize + 1);
        }
        all_counted(&addr).await;
    })
    .await;
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_waits_goes_on_in_the_actors_task() {
    in_a_task(async {
        let addr = inliner();
        warm(&addr).await;
        let gate = Gate::new();
        let posted = {
            let (addr, gate) = (addr.clone(), gate.clone());
            tokio::spawn(async move { addr.waits(gate).await.unwrap() })
        };
        gate.entered().await;
        // The next one waits behind it.
        let behind = addr.place().post().unwrap();
        assert!(!behind.is_ready());
        gate.open();
        let asker = posted.id();
        assert_ne!(posted.await.unwrap(), Some(asker));
        behind.await.unwrap();
    })
    .await;
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_the_actors_own() {
    in_a_task(async {
        let app = Supervisor::new("app");
        let addr = app.child("inliner", Inliner::default);
        warm(&addr).await;
        let error = addr.panics().await.unwrap_err();
        let AskError::NoReply { reason, .. } = error else {
            panic!("{error}")
        };
        assert!(matches!(
            reason,
            NoReplyReason::Stopped(StopReason::Panicked(panic)) if &*panic == "as told"
        ));
        // Made anew, it does the same.
        warm(&addr).await;
        addr.panics().await.unwrap_err();
        assert!(addr.said().await.unwrap().is_empty());
        app.shutdown(Duration::from_secs(5)).await;
    })
    .await;
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_ask_each_other_to_any_depth() {
    in_a_task(async {
        let addrs: Vec<_> = (0..30).map(|_| inliner()).collect();
        for addr in &addrs {
            warm(addr).await;
        }
        for pair in addrs.windows(2) {
            pair[0].join(Some(pair[1].clone())).await.unwrap();
        }
        for _ in 0..100 {
            assert_eq!(addrs[0].depth().await.unwrap().unwrap(), 30);
        }
        // In a circle, the one that would close it is refused.
        addrs[29].join(Some(addrs[0].clone())).await.unwrap();
        let mut result = addrs[0].depth().await;
        while let Ok(Err(error)) = result {
            result = Err(error);
        }
        assert!(
            matches!(result, Err(AskError::Deadlock { .. })),
            "{result:?}"
        );
        addrs[29].join(None).await.unwrap();
        assert_eq!(addrs[0].depth().await.unwrap().unwrap(), 30);
        addrs[0].join(Some(addrs[0].clone())).await.unwrap();
        let to_itself = addrs[0].depth().await.unwrap();
        assert!(matches!(to_itself, Err(AskError::Deadlock { .. })));
    })
    .await;
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn stops_answers_later_and_is_cancelled_as_ever() {
    in_a_task(async {
        let addr = inliner();
        warm(&addr).await;
        let mut owed = addr.owes();
        assert!(once(&mut owed).await.is_pending());
        addr.pays(5).await.unwrap();
        assert_eq!(owed.await.unwrap(), 5);
        warm(&addr).await;
        let mut given_up = addr.until_cancelled();
        assert!(once(&mut given_up).await.is_pending());
        drop(given_up);
        assert_eq!(addr.said().await.unwrap(), [1]);
        warm(&addr).await;
        assert_eq!(addr.stops().await.unwrap(), 7);
        assert!(addr.stopped().await.is_normal());
        assert!(matches!(addr.place().await, Err(AskError::Closed)));
    })
    .await;
}

#[actors_core::test]
async fn what_comes_back_comes_before_them() {
    in_a_task(async {
        let addr = inliner();
        for n in 0..3 {
            addr.tell(SayLater { n }).unwrap();
        }
        warm(&addr).await;
        addr.may_say().await.unwrap();
        addr.say_now(7).await.unwrap();
        assert_eq!(addr.said().await.unwrap(), [0, 1, 2, 7]);
        all_counted(&addr).await;
    })
    .await;
}

/// Wherever the asker waits, the handler is no place to wait.
#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_handlers_may_not_block() {
    let (addr, other) = (inliner(), inliner());
    let blocking = tokio::task::spawn_blocking(move || {
        for _ in 0..100 {
            assert!(addr.would_block(other.clone()).wait().unwrap());
            let handle = tokio::runtime::Handle::current();
            let other = other.clone();
            assert!(
                handle
                    .block_on(addr.would_block(other).into_future())
                    .unwrap()
            );
        }
    });
    soon(blocking).await.unwrap();
}

/// Answers are always ready; still others get their turn on the one thread there is.
#[actors_core::test]
async fn a_task_that_only_asks_lets_others_run() {
    let over = Arc::new(AtomicBool::new(false));
    let asker = {
        let over = Arc::clone(&over);
        tokio::spawn(async move {
            let addr = inliner();
            warm(&addr).await;
            let mut asked = 0;
            while !over.load(Ordering::Relaxed) {
                addr.place().await.unwrap();
                asked += 1;
            }
            asked
        })
    };
    for _ in 0..10 {
        yield_now().await;
    }
    over.store(true, Ordering::Relaxed);
    assert!(soon(asker).await.unwrap() > 0);
}

/// What a handler spawns belongs to its own runtime, and an actor with a thread of its own may block
/// it.
#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_from_another_runtime_nor_for_an_actor_with_a_thread() {
    let addr = inliner();
    let alone = SpawnOptions::new()
        .spawn_thread(Inliner::default())
        .unwrap();
    let places = tokio::task::spawn_blocking(move || {
        let other = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        // By a thread that knows the actor's runtime as its own.
        addr.place().wait().unwrap();
        other.block_on(async move {
            for _ in 0..100 {
                assert_ne!(addr.place().await.unwrap().1, here().1);
            }
        });
        let outside = alone.place().wait().unwrap();
        (outside, thread::current().id(), alone)
    });
    let (outside, blocking, alone) = soon(places).await.unwrap();
    assert_ne!(outside.1, blocking);
    in_a_task(async move {
        for _ in 0..100 {
            assert_eq!(alone.place().await.unwrap().1, outside.1);
        }
    })
    .await;
}
