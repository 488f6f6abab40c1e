//! Tests of the mailbox by itself, on both kinds of runtime; small under Miri, where they matter
//! most: aliasing, pinning, and what panics leave behind.
use super::*;
use crate::error::{AskError, NoReplyReason, StopReason};
use crate::policy::{Capacity, Overflow};
use std::collections::VecDeque;
use std::marker::PhantomPinned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

const MANY: usize = if cfg!(miri) { 8 } else { 5_000 };

/// Counts how many of its tokens there are.
#[derive(Clone, Default)]
struct Tokens(Arc<AtomicUsize>);

struct Token(Arc<AtomicUsize>);

impl Tokens {
    fn token(&self) -> Token {
        self.0.fetch_add(1, Ordering::SeqCst);
        Token(Arc::clone(&self.0))
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An opener that adds up.
struct Sum {
    total: usize,
    busy: bool,
    duty: Option<Duty>,
    stash: VecDeque<Sealed<Self>>,
    _token: Token,
}

impl Opener for Sum {
    fn begin(&mut self, duty: Duty) {
        self.duty = Some(duty);
    }

    fn end(&mut self) -> Option<Duty> {
        self.duty.take()
    }

    fn unstash(&mut self) -> VecDeque<Sealed<Self>> {
        std::mem::take(&mut self.stash)
    }

    fn span(&self, _: &'static str, _: bool, _: Option<tracing::Span>) -> tracing::Span {
        tracing::Span::none()
    }
}

type SumTx = Tx<Sum, ()>;

/// Adds `.0`, after `.1` pauses.
struct Add(usize, usize);

fn add() -> Seal<Sum, Add, usize> {
    Seal::new(|sum: &'static mut Sum, add: Add| async move {
        assert!(!sum.busy, "two handlers at once");
        sum.busy = true;
        for _ in 0..add.1 {
            yield_now().await;
        }
        sum.busy = false;
        sum.total += add.0;
        sum.total
    })
}

/// Too large for the slot and for the buffer of futures.
struct Big([u8; 200], #[allow(dead_code, reason = "it counts")] Token);

fn big() -> Seal<Sum, Big, Vec<u8>> {
    Seal::new(|sum: &'static mut Sum, big: Big| async move {
        yield_now().await;
        sum.total += 1;
        big.0.to_vec()
    })
}

#[derive(Clone, Copy, Debug)]
enum At {
    Call,
    FirstPoll,
    LaterPoll,
    Drop,
}

struct Panic(At, #[allow(dead_code, reason = "it counts")] Token);

/// Panics where it is told to.
struct Panicking(At, usize, #[allow(dead_code, reason = "it counts")] Token);

impl Future for Panicking {
    type Output = Box<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Box<usize>> {
        self.1 += 1;
        match (self.0, self.1) {
            (At::FirstPoll, _) | (At::LaterPoll, 2) => panic!("in the future"),
            (At::LaterPoll, _) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(Box::new(self.1)),
        }
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        assert!(
            !matches!(self.0, At::Drop),
            "in the destructor of the future"
        );
    }
}

fn panicking() -> Seal<Sum, Panic, Box<usize>> {
    Seal::new(|_: &'static mut Sum, panic: Panic| {
        assert!(!matches!(panic.0, At::Call), "before there is a future");
        Panicking(panic.0, 0, panic.1)
    })
}

/// A future that notes its own address outside, and strikes it out in its destructor: the memory
/// may not be used otherwise before that has run.
struct Linked(List, usize, PhantomPinned);

type List = Arc<Mutex<Vec<usize>>>;

struct Link(List);

impl Future for Linked {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let at = std::ptr::from_ref(&self.1).addr();
        self.0.lock().unwrap().push(at);
        Poll::Pending
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        let at = std::ptr::from_ref(&self.1).addr();
        self.0.lock().unwrap().retain(|noted| *noted != at);
    }
}

fn link() -> Seal<Sum, Link, ()> {
    Seal::new(|_: &'static mut Sum, link: Link| Linked(link.0, 0, PhantomPinned))
}

/// A future without a size.
#[repr(align(16))]
struct Nothing;

impl Future for Nothing {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let at = std::ptr::from_ref(&*self).addr();
        assert_eq!(std::hint::black_box(at) % 16, 0, "not aligned");
        Poll::Ready(())
    }
}

struct Ignored;

fn ignored() -> Seal<Sum, Ignored, ()> {
    Seal::new(|_: &'static mut Sum, _: Ignored| Nothing)
}

fn runtimes() -> [Runtime; 2] {
    if cfg!(miri) {
        // Miri takes minutes to print where a panic came from.
        std::panic::set_hook(Box::new(|_| ()));
    }
    [
        Builder::new_current_thread().build().unwrap(),
        Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap(),
    ]
}

/// A mailbox whose mail is drained by a task; the task gives the end and the sum.
fn spawn(capacity: Capacity, tokens: &Tokens) -> (SumTx, tokio::task::JoinHandle<(End, usize)>) {
    let (tx, mut rx) = mailbox::<Sum, ()>(1, capacity, Overflow::Reject, ());
    let token = tokens.token();
    let task = tokio::spawn(async move {
        let mut sum = Sum {
            total: 0,
            busy: false,
            duty: None,
            stash: VecDeque::new(),
            _token: token,
        };
        let end = rx.drain::<AnyThread>(&mut sum).await;
        let reason = match &end {
            End::Panicked(text) => StopReason::Panicked(text.clone()),
            _ => StopReason::Killed,
        };
        let reason = NoReplyReason::Stopped(reason);
        rx.finish(
            || AskError::NoReply {
                reason,
                may_have_run: false,
            },
            |(), _| (),
        );
        (end, sum.total)
    });
    (tx, task)
}

async fn ask<M: Send + 'static, R: Send + 'static>(
    tx: &SumTx,
    seal: Seal<Sum, M, R>,
    message: M,
) -> Result<R, AskError> {
    let call = seal.port(tx).call(message);
    if tx.queue().room(tx.queue().line_up()).await.is_err() {
        return Err(AskError::Closed);
    }
    match call.post() {
        Ok(pending) => reply_of(pending).await,
        Err(_) => Err(AskError::Closed),
    }
}

async fn reply_of<R>(mut pending: Pending<R>) -> Result<R, AskError> {
    std::future::poll_fn(|cx| match pending.poll(cx.waker()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
    pending.take()
}

#[test]
fn tells_and_asks_of_all_sizes() {
    for runtime in runtimes() {
        for capacity in [Capacity::Unbounded, Capacity::Bounded(3)] {
            runtime.block_on(async {
                let tokens = Tokens::default();
                let (tx, task) = spawn(capacity, &tokens);
                for i in 0..MANY {
                    tx.queue().room(tx.queue().line_up()).await.unwrap();
                    assert!(add().port(&tx).tell_in_room(Add(1, i % 3)).is_ok());
                    if i % 5 == 0 {
                        let bytes = ask(&tx, big(), Big([7; 200], tokens.token())).await;
                        assert_eq!(bytes.unwrap().len(), 200);
                    }
                }
                let total = ask(&tx, add(), Add(0, 0)).await.unwrap();
                assert_eq!(total, MANY + MANY.div_ceil(5));
                drop(tx);
                assert!(matches!(task.await.unwrap(), (End::Drained, sum) if sum == total));
                assert_eq!(tokens.left(), 0);
            });
        }
    }
}

#[test]
fn many_askers() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let tokens = Tokens::default();
            let (tx, task) = spawn(Capacity::Bounded(4), &tokens);
            let askers: Vec<_> = (0..8)
                .map(|i| {
                    let tx = tx.clone();
                    tokio::spawn(async move {
                        for _ in 0..MANY / 8 {
                            ask(&tx, add(), Add(1, i % 2)).await.unwrap();
                        }
                    })
                })
                .collect();
            for asker in askers {
                asker.await.unwrap();
            }
            drop(tx);
            assert_eq!(task.await.unwrap().1, MANY / 8 * 8);
            assert_eq!(tokens.left(), 0);
        });
    }
}

/// As a caller's poll does: here if that goes, or else by the task.
fn ask_inline<M: Send + 'static, R: Send + 'static>(
    tx: &SumTx,
    seal: Seal<Sum, M, R>,
    message: M,
) -> Pending<R> {
    match seal.inline(true).port(tx).call(message).try_run() {
        Ok(posted) => posted.into_pending(),
        Err(call) => match call.try_post() {
            Ok(posted) => posted.into_pending(),
            Err((refused, _)) => panic!("{refused:?}"),
        },
    }
}

/// Waits until the task has laid its drain down; then what is asked inline runs here.
async fn laid_down(tx: &SumTx) {
    tx.queue().lend.want();
    while !tx.queue().lend.is_laid() {
        // It lays it down when it goes to sleep again.
        tx.queue().wake();
        yield_now().await;
    }
}

/// How many were handled, once all are counted: a moment after the last reply.
async fn all_counted(tx: &SumTx) -> u64 {
    loop {
        let stats = tx.queue().stats();
        assert!(stats.handled <= stats.accepted, "{stats:?}");
        if stats.handled == stats.accepted {
            return stats.handled;
        }
        yield_now().await;
    }
}

#[test]
fn inline_asks_run_on_the_spot() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let tokens = Tokens::default();
            let (tx, task) = spawn(Capacity::Bounded(1), &tokens);
            let asks = tx.clone();
            // As a task of the same runtime, which the thread of `block_on` need not be.
            let asker = tokio::spawn(async move {
                laid_down(&asks).await;
                for i in 1..=MANY {
                    let pending = ask_inline(&asks, add(), Add(1, 0));
                    assert_eq!(reply_of(pending).await.unwrap(), i);
                }
                // One that waits goes on in the task; one of another size, too.
                let pending = ask_inline(&asks, add(), Add(1, 3));
                assert_eq!(reply_of(pending).await.unwrap(), MANY + 1);
                let bytes = ask_inline(&asks, big(), Big([7; 200], Tokens::default().token()));
                assert_eq!(reply_of(bytes).await.unwrap().len(), 200);
            });
            asker.await.unwrap();
            assert_eq!(all_counted(&tx).await, MANY as u64 + 2);
            drop(tx);
            assert!(matches!(task.await.unwrap().0, End::Drained));
            assert_eq!(tokens.left(), 0);
        });
    }
}

#[test]
fn inline_asks_among_tells_and_others() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let tokens = Tokens::default();
            let (tx, task) = spawn(Capacity::Unbounded, &tokens);
            laid_down(&tx).await;
            let askers: Vec<_> = (0..4)
                .map(|i| {
                    let tx = tx.clone();
                    tokio::spawn(async move {
                        for n in 0..MANY / 4 {
                            assert!(add().port(&tx).tell(Add(1, 0)).is_ok());
                            // What was told before is handled before.
                            let at_least = reply_of(ask_inline(&tx, add(), Add(1, n % (i + 1))));
                            assert!(at_least.await.unwrap() >= 2 * (n + 1));
                            if n % 3 == 0 {
                                yield_now().await;
                            }
                        }
                    })
                })
                .collect();
            for asker in askers {
                asker.await.unwrap();
            }
            assert_eq!(all_counted(&tx).await, MANY as u64 / 4 * 4 * 2);
            drop(tx);
            assert_eq!(task.await.unwrap().1, MANY / 4 * 4 * 2);
            assert_eq!(tokens.left(), 0);
        });
    }
}

#[test]
fn panics_of_inline_asks_end_the_drain() {
    for runtime in runtimes() {
        for at in [At::Call, At::FirstPoll, At::LaterPoll, At::Drop] {
            runtime.block_on(async {
                let tokens = Tokens::default();
                let (tx, task) = spawn(Capacity::Unbounded, &tokens);
                let asks = tx.clone();
                let panic = Panic(at, tokens.token());
                let asker = tokio::spawn(async move {
                    laid_down(&asks).await;
                    let result = reply_of(ask_inline(&asks, panicking(), panic)).await;
                    assert!(matches!(result, Err(AskError::NoReply { .. })), "{at:?}");
                });
                asker.await.unwrap();
                assert!(matches!(task.await.unwrap().0, End::Panicked(_)), "{at:?}");
                drop(tx);
                assert_eq!(tokens.left(), 0);
            });
        }
    }
}

/// The task is dropped by another thread while its drain is lent: that waits for the borrower.
#[test]
fn task_dropped_while_its_drain_is_lent() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let tokens = Tokens::default();
    let (tx, task, asker, runs, goes_on) = runtime.block_on(async {
        let (tx, task) = spawn(Capacity::Unbounded, &tokens);
        laid_down(&tx).await;
        let (run, runs) = std::sync::mpsc::channel();
        let (go_on, goes_on) = std::sync::mpsc::channel();
        let asks = tx.clone();
        let asker = tokio::spawn(async move {
            let hold = Hold(run, goes_on);
            reply_of(ask_inline(&asks, holding(), hold)).await
        });
        (tx, task, asker, runs, go_on)
    });
    runs.recv().unwrap();
    task.abort();
    goes_on.send(()).unwrap();
    runtime.block_on(async {
        // It had answered before the task was dropped, or was dropped with it where it did not run
        // here.
        let _ = asker.await.unwrap();
        assert!(task.await.unwrap_err().is_cancelled());
    });
    drop(tx);
    assert_eq!(tokens.left(), 0);
}

/// Says that it runs, and blocks its thread until it may go on.
struct Hold(std::sync::mpsc::Sender<()>, std::sync::mpsc::Receiver<()>);

fn holding() -> Seal<Sum, Hold, usize> {
    Seal::new(|sum: &'static mut Sum, hold: Hold| async move {
        hold.0.send(()).unwrap();
        hold.1.recv().unwrap();
        sum.total += 1;
        sum.total
    })
}

#[test]
fn asks_given_up_at_every_point() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let tokens = Tokens::default();
            let (tx, task) = spawn(Capacity::Unbounded, &tokens);
            for i in 0..MANY {
                let call = big().port(&tx).call(Big([0; 200], tokens.token()));
                if i % 4 == 0 {
                    continue;
                }
                let mut pending = call.post().ok().unwrap();
                for _ in 0..i % 3 {
                    yield_now().await;
                }
                match i % 5 {
                    0 => pending.detach(),
                    1 => drop(pending.poll(Waker::noop()).then(|| pending.take())),
                    _ => drop(pending.abandon()),
                }
            }
            drop(tx);
            task.await.unwrap();
            assert_eq!(tokens.left(), 0);
        });
    }
}

#[test]
fn panics_end_the_drain_and_answer() {
    for runtime in runtimes() {
        for at in [At::Call, At::FirstPoll, At::LaterPoll, At::Drop] {
            for told in [false, true] {
                runtime.block_on(async {
                    let tokens = Tokens::default();
                    let (tx, task) = spawn(Capacity::Unbounded, &tokens);
                    if told {
                        let panic = Panic(at, tokens.token());
                        assert!(panicking().port(&tx).tell(panic).is_ok());
                    } else {
                        let result = ask(&tx, panicking(), Panic(at, tokens.token())).await;
                        let Err(AskError::NoReply {
                            may_have_run: true, ..
                        }) = result
                        else {
                            panic!("{at:?}: {result:?}");
                        };
                    }
                    assert!(matches!(task.await.unwrap().0, End::Panicked(_)), "{at:?}");
                    drop(tx);
                    assert_eq!(tokens.left(), 0, "{at:?}");
                });
            }
        }
    }
}

#[test]
fn suspended_handlers_are_dropped_in_place() {
    for runtime in runtimes() {
        for told in [false, true] {
            let (list, tokens) = (List::default(), Tokens::default());
            let (tx, late) = runtime.block_on(async {
                let (tx, _task) = spawn(Capacity::Unbounded, &tokens);
                if told {
                    assert!(link().port(&tx).tell(Link(Arc::clone(&list))).is_ok());
                } else {
                    let pending = link().port(&tx).call(Link(Arc::clone(&list))).post();
                    pending.ok().unwrap().detach();
                }
                while list.lock().unwrap().is_empty() {
                    yield_now().await;
                }
                let late = big()
                    .port(&tx)
                    .call(Big([0; 200], tokens.token()))
                    .post()
                    .ok()
                    .unwrap();
                (tx, late)
            });
            // The runtime goes while the handler waits and an ask is queued.
            runtime.block_on(async {
                tx.queue().kill();
                while !late.is_ready() {
                    yield_now().await;
                }
            });
            assert!(matches!(
                late.abandon(),
                Abandoned::Done(Err(AskError::NoReply { .. }))
            ));
            drop(tx);
            assert!(list.lock().unwrap().is_empty());
        }
    }
}

#[test]
fn the_runtime_goes_while_a_handler_waits() {
    for runtime in runtimes() {
        let (list, tokens) = (List::default(), Tokens::default());
        let (tx, late) = runtime.block_on(async {
            let (tx, _task) = spawn(Capacity::Bounded(8), &tokens);
            assert!(link().port(&tx).tell(Link(Arc::clone(&list))).is_ok());
            while list.lock().unwrap().is_empty() {
                yield_now().await;
            }
            let late = big()
                .port(&tx)
                .call(Big([0; 200], tokens.token()))
                .post()
                .ok()
                .unwrap();
            (tx, late)
        });
        drop(runtime);
        assert!(late.is_ready(), "an ask that nobody will handle has ended");
        drop(late);
        assert!(matches!(
            add().port(&tx).tell(Add(1, 0)),
            Err((Refused::Closed, _))
        ));
        drop(tx);
        assert!(list.lock().unwrap().is_empty());
        assert_eq!(tokens.left(), 0);
    }
}

#[test]
fn duties_taken_away_outlive_their_handler() {
    struct Later(
        tokio::sync::oneshot::Sender<TypedDuty<Vec<u8>>>,
        WeakTx<Sum, ()>,
        Token,
    );
    fn later() -> Seal<Sum, Later, Vec<u8>> {
        Seal::new(|sum: &'static mut Sum, later: Later| async move {
            let Later(to, me, token) = later;
            let duty = sum.duty.take().unwrap().typed().ok().unwrap();
            assert!(to.send(duty).is_ok());
            // The asker has its reply and goes, while this still lies in what was its node.
            for _ in 0..3 {
                yield_now().await;
            }
            me.keep().queue().hand_over();
            std::future::pending::<()>().await;
            drop(token);
            Vec::new()
        })
    }
    for runtime in runtimes() {
        runtime.block_on(async {
            let tokens = Tokens::default();
            let (tx, task) = spawn(Capacity::Unbounded, &tokens);
            for answered in [true, false] {
                let (to, duty) = tokio::sync::oneshot::channel();
                let message = Later(to, WeakTx::of(&tx), tokens.token());
                let answer = async {
                    let duty: TypedDuty<Vec<u8>> = duty.await.unwrap();
                    if answered {
                        duty.complete(vec![1; 100]);
                    }
                };
                let (result, ()) = tokio::join!(ask(&tx, later(), message), answer);
                assert_eq!(result.is_ok(), answered);
                // The actor went on meanwhile.
                assert!(ask(&tx, add(), Add(1, 0)).await.is_ok());
            }
            drop(tx);
            task.await.unwrap();
            assert_eq!(tokens.left(), 0);
        });
    }
}

#[test]
fn a_future_without_a_size_is_aligned() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let tokens = Tokens::default();
            let (tx, task) = spawn(Capacity::Unbounded, &tokens);
            assert!(ignored().port(&tx).tell(Ignored).is_ok());
            assert_eq!(ask(&tx, add(), Add(1, 0)).await.ok(), Some(1));
            drop(tx);
            task.await.unwrap();
        });
    }
}

#[test]
fn a_drain_leaves_the_rest_to_the_next() {
    for runtime in runtimes() {
        let tokens = Tokens::default();
        let bounded = Capacity::Bounded(4);
        let (tx, mut rx) = mailbox::<Sum, ()>(1, bounded, Overflow::Reject, ());
        let sum = |token| Sum {
            total: 0,
            busy: false,
            duty: None,
            stash: VecDeque::new(),
            _token: token,
        };
        runtime.block_on(async {
            let mut first = sum(tokens.token());
            for n in 1..=4 {
                assert!(add().port(&tx).tell(Add(n, usize::from(n == 2))).is_ok());
            }
            tx.queue().leave();
            let end = rx.drain::<AnyThread>(&mut first).await;
            assert!(matches!(end, End::StopNow) && first.total == 0);
            assert!(!tx.queue().is_closed());

            tx.queue().renew();
            let breaks = async {
                yield_now().await;
                tx.queue().break_off();
            };
            // The second message suspends, and is broken off.
            let drain = rx.drain::<AnyThread>(&mut first);
            let (end, ()) = tokio::join!(drain, breaks);
            assert!(matches!(end, End::Killed) && first.total == 1, "{end:?}");
            drop(first);

            tx.queue().renew();
            let mut second = sum(tokens.token());
            rx.put_back([add().seal(Add(10, 0)), add().seal(Add(20, 0))].into_iter());
            let (pending, displaced) = match add().port(&tx).call(Add(100, 0)).offer() {
                Ok(posted) => posted,
                Err((refused, _)) => panic!("{refused:?}"),
            };
            assert!(displaced.is_none());
            tx.queue().close();
            let end = rx.drain::<AnyThread>(&mut second).await;
            assert!(matches!(end, End::Drained));
            // Those that were put back came first, then the two that were left, then the ask.
            assert_eq!(second.total, 10 + 20 + 3 + 4 + 100);
            assert_eq!(reply_of(pending).await.expect("it was handled"), 137);
            // Closed for good: that is not forgotten.
            tx.queue().renew();
            assert!(add().port(&tx).tell(Add(1, 0)).is_err());
        });
        drop(rx);
        assert_eq!(tokens.left(), 0);
    }
}

#[test]
fn an_unposted_ask_gives_its_message_back() {
    let tokens = Tokens::default();
    let (tx, rx) = mailbox::<Sum, ()>(1, Capacity::Unbounded, Overflow::Reject, ());
    let mut call = big().port(&tx).call(Big([9; 200], tokens.token()));
    call.set_waker(Waker::noop());
    drop(rx);
    let Err(call) = call.post() else {
        panic!("posted to a mailbox that is closed")
    };
    assert_eq!(call.into_message::<Big>().map(|big| big.0), Some([9; 200]));
    assert!(
        big()
            .port(&tx)
            .call(Big([0; 200], tokens.token()))
            .into_message::<Add>()
            .is_none()
    );
    assert_eq!(tokens.left(), 0);
}

#[test]
fn an_ask_knows_its_mailbox_and_lets_its_waker_go() {
    struct Nobody;
    impl std::task::Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let (tokens, nobody) = (Tokens::default(), Arc::new(Nobody));
    let (tx, rx) = mailbox::<Sum, ()>(7, Capacity::Unbounded, Overflow::Reject, ());
    let new = || big().port(&tx).call(Big([9; 200], tokens.token()));
    let mut call = new();
    call.set_waker(&Waker::from(Arc::clone(&nobody)));
    assert_eq!(Arc::strong_count(&nobody), 2);
    assert_eq!(call.tx().queue().actor(), 7);
    assert_eq!(call.draft().limit(), Limit::default());
    call.draft().set_limit(Limit::of(Duration::MAX));
    let longest = Duration::from_nanos(u64::MAX - 1);
    assert_eq!(call.draft().limit().time(), Some(longest));
    drop(new());
    assert_eq!(tokens.left(), 1);
    let posted = call.try_post().ok().unwrap();
    assert_eq!(posted.tx().queue().actor(), 7);
    drop(rx);
    assert_eq!(Arc::strong_count(&nobody), 1);
    assert!(matches!(
        posted.into_pending().take(),
        Err(AskError::Closed)
    ));
    assert_eq!(tokens.left(), 0);
}

#[test]
fn kept_memory_survives_a_destructor_that_panics() {
    struct Panics(#[allow(dead_code, reason = "fills the memory")] [u64; 5]);
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    for _ in 0..3 {
        let kept = Kept::new(Panics([1; 5]));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(kept))).is_err());
        let once = OnceBox::new();
        once.get_or_make(|| Panics([2; 5]));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(once))).is_err());
    }
    // The next to have that memory finds it in order.
    let mut next: Vec<_> = (0..8).map(|n| Kept::new([n; 5])).collect();
    next[3][0] = 9;
    assert_eq!(next.iter().map(|kept| kept[0]).sum::<u64>(), 34);
}

#[test]
fn a_drain_dropped_half_way_answers() {
    let runtime = &runtimes()[0];
    runtime.block_on(async {
        let (list, tokens) = (List::default(), Tokens::default());
        let (tx, mut rx) = mailbox::<Sum, ()>(1, Capacity::Unbounded, Overflow::Reject, ());
        let mut sum = Sum {
            total: 0,
            busy: false,
            duty: None,
            stash: VecDeque::new(),
            _token: tokens.token(),
        };
        let pending = link()
            .port(&tx)
            .call(Link(Arc::clone(&list)))
            .post()
            .ok()
            .unwrap();
        {
            let mut drain = pin!(rx.drain::<AnyThread>(&mut sum));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(drain.as_mut().poll(&mut cx).is_pending());
            assert!(!pending.is_ready());
        }
        assert!(matches!(
            pending.abandon(),
            Abandoned::Done(Err(AskError::NoReply { .. }))
        ));
        assert!(list.lock().unwrap().is_empty());
        sum.total += 1;
    });
}
