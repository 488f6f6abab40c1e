//! Loom models of the production mailbox: every order in which its threads can meet.
//!
//! Run with `--cfg actors_loom`. A lost wake-up shows as a deadlock, a data race as an access to a
//! cell while another one lasts, a leak or a double drop as a wrong count of [`Token`]s.
use super::*;
use crate::error::AskError;
use crate::policy::{Capacity, Overflow};
use ::loom::future::block_on;
use ::loom::sync::Arc;
use ::loom::sync::atomic::{AtomicUsize, Ordering};
use ::loom::thread;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Counts how many of its tokens there are.
#[derive(Clone)]
struct Tokens(Arc<AtomicUsize>);

struct Token(Arc<AtomicUsize>);

impl Tokens {
    fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(0)))
    }

    fn token(&self) -> Token {
        self.0.fetch_add(1, Ordering::SeqCst);
        Token(self.0.clone())
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

/// An opener that adds up what it is told.
#[derive(Default)]
struct Sum {
    total: usize,
    duty: Option<Duty>,
    me: Option<WeakTx<Self, ()>>,
}

impl Opener for Sum {
    fn begin(&mut self, duty: Duty) {
        self.duty = Some(duty);
    }

    fn end(&mut self) -> Option<Duty> {
        self.duty.take()
    }

    fn unstash(&mut self) -> VecDeque<Sealed<Self>> {
        VecDeque::new()
    }

    fn span(&self, _: &'static str, _: bool, _: Option<tracing::Span>) -> tracing::Span {
        tracing::Span::none()
    }
}

type Ends = (Tx<Sum, ()>, Rx<Sum, ()>);

fn ends() -> Ends {
    mailbox(1, Capacity::Unbounded, Overflow::Reject, ())
}

/// Adds one, and holds a token.
struct Add(#[allow(dead_code, reason = "it counts")] Token);

fn add() -> Seal<Sum, Add, Token> {
    Seal::new(|sum: &'static mut Sum, add: Add| async move {
        sum.total += 1;
        add.0
    })
}

/// Drains to the end, and gives the sum.
fn drain(mut rx: Rx<Sum, ()>) -> (usize, End) {
    let mut sum = Sum::default();
    let end = block_on(rx.drain::<AnyThread>(&mut sum));
    (sum.total, end)
}

/// Waits for the reply.
fn wait<R>(mut pending: Pending<R>) -> Result<R, AskError> {
    block_on(poll_fn(|cx| match pending.poll(cx.waker()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    }));
    pending.take()
}

#[test]
fn loom_two_senders() {
    ::loom::model(|| {
        let (tx, rx) = ends();
        let tokens = Tokens::new();
        let senders = [(); 2].map(|()| {
            let (tx, tokens) = (tx.clone(), tokens.clone());
            thread::spawn(move || assert!(add().port(&tx).tell(Add(tokens.token())).is_ok()))
        });
        // The last address ends the drain: its going must wake too.
        drop(tx);
        let (total, end) = drain(rx);
        assert_eq!(total, 2);
        assert!(matches!(end, End::Drained));
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(tokens.left(), 0);
    });
}

#[test]
fn loom_one_sender_two_messages() {
    ::loom::model(|| {
        let (tx, rx) = ends();
        let tokens = Tokens::new();
        let sender = {
            let tokens = tokens.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    assert!(add().port(&tx).tell(Add(tokens.token())).is_ok());
                }
            })
        };
        assert_eq!(drain(rx).0, 2);
        sender.join().unwrap();
        assert_eq!(tokens.left(), 0);
    });
}

#[test]
fn loom_close_meets_send() {
    ::loom::model(|| {
        let (tx, rx) = ends();
        let tokens = Tokens::new();
        let sender = {
            let (tx, tokens) = (tx.clone(), tokens.clone());
            thread::spawn(move || usize::from(add().port(&tx).tell(Add(tokens.token())).is_ok()))
        };
        tx.queue().close();
        let (total, _) = drain(rx);
        let accepted = sender.join().unwrap();
        assert_eq!(
            accepted, total,
            "what was accepted before the close is handled"
        );
        assert_eq!(tx.queue().stats().waiting, 0);
        drop(tx);
        assert_eq!(tokens.left(), 0);
    });
}

#[test]
fn loom_kill_meets_ask() {
    ::loom::model(|| {
        let (tx, rx) = ends();
        let tokens = Tokens::new();
        let asker = {
            let (tx, tokens) = (tx.clone(), tokens.clone());
            thread::spawn(
                move || match add().port(&tx).call(Add(tokens.token())).post() {
                    Ok(pending) => wait(pending).is_ok(),
                    Err(refused) => {
                        assert!(refused.into_message::<Add>().is_some());
                        false
                    }
                },
            )
        };
        tx.queue().kill();
        let (total, end) = drain(rx);
        assert!(matches!(end, End::Killed));
        // Whatever happened, the ask has ended, and with a reply only if it was handled.
        assert_eq!(asker.join().unwrap(), total == 1);
        drop(tx);
        assert_eq!(tokens.left(), 0);
    });
}

#[test]
fn loom_leave_meets_send() {
    ::loom::model(|| {
        let (tx, mut rx) = ends();
        let tokens = Tokens::new();
        let sender = {
            let (tx, tokens) = (tx.clone(), tokens.clone());
            thread::spawn(move || {
                assert!(add().port(&tx).tell(Add(tokens.token())).is_ok());
                tx.queue().close();
            })
        };
        let breaker = thread::spawn(move || tx.queue().leave());
        let mut sum = Sum::default();
        let first = block_on(rx.drain::<AnyThread>(&mut sum));
        assert!(matches!(first, End::StopNow | End::Drained));
        breaker.join().unwrap();
        sender.join().unwrap();
        // What it has left goes with the mailbox.
        drop(rx);
        assert_eq!(tokens.left(), 0);
    });
}

/// What ends a drain is forgotten before the next one; what comes after that is not.
#[test]
fn loom_leave_and_renew() {
    ::loom::model(|| {
        let (tx, mut rx) = ends();
        let tokens = Tokens::new();
        let mut sum = Sum::default();
        // All drains in one task, whose waker the mailbox knows.
        block_on(async {
            tx.queue().leave();
            let first = rx.drain::<AnyThread>(&mut sum).await;
            assert!(matches!(first, End::StopNow));
            tx.queue().renew();
            let sender = {
                let (tx, tokens) = (tx.clone(), tokens.clone());
                thread::spawn(move || assert!(add().port(&tx).tell(Add(tokens.token())).is_ok()))
            };
            let breaker = {
                let tx = tx.clone();
                thread::spawn(move || tx.queue().break_off())
            };
            let second = rx.drain::<AnyThread>(&mut sum).await;
            assert!(matches!(second, End::Killed));
            sender.join().unwrap();
            breaker.join().unwrap();
            tx.queue().renew();
            drop(tx);
            // Nobody has an address any more: what waits is handled first.
            let third = rx.drain::<AnyThread>(&mut sum).await;
            assert!(matches!(third, End::Drained));
        });
        assert_eq!(sum.total, 1);
        drop(rx);
        assert_eq!(tokens.left(), 0);
    });
}

#[test]
fn loom_ask_answered() {
    ::loom::model(|| {
        let (tx, rx) = ends();
        let tokens = Tokens::new();
        let asker = {
            let tokens = tokens.clone();
            thread::spawn(move || {
                let call = add().port(&tx).call(Add(tokens.token()));
                assert!(wait(call.post().ok().unwrap()).is_ok());
            })
        };
        assert_eq!(drain(rx).0, 1);
        asker.join().unwrap();
        assert_eq!(tokens.left(), 0);
    });
}

#[test]
fn loom_ask_abandoned() {
    ::loom::model(|| {
        let (tx, rx) = ends();
        let tokens = Tokens::new();
        let asker = {
            let tokens = tokens.clone();
            thread::spawn(move || {
                let call = add().port(&tx).call(Add(tokens.token()));
                let pending = call.post().ok().unwrap();
                match pending.abandon() {
                    Abandoned::Withdrawn => false,
                    Abandoned::Running => true,
                    Abandoned::Done(result) => result.is_ok(),
                }
            })
        };
        let (total, _) = drain(rx);
        let may_have_run = asker.join().unwrap();
        assert_eq!(may_have_run, total == 1, "withdrawn means: never handled");
        assert_eq!(tokens.left(), 0);
    });
}

/// The asker looks with a second waker, then gives up or goes on waiting.
#[test]
fn loom_waker_replaced() {
    for give_up in [false, true] {
        ::loom::model(move || {
            let (tx, rx) = ends();
            let tokens = Tokens::new();
            let asker = {
                let tokens = tokens.clone();
                thread::spawn(move || {
                    let call = add().port(&tx).call(Add(tokens.token()));
                    let mut pending = call.post().ok().unwrap();
                    if pending.poll(Waker::noop()) {
                        return;
                    }
                    if give_up {
                        drop(pending);
                    } else {
                        assert!(wait(pending).is_ok());
                    }
                })
            };
            drain(rx);
            asker.join().unwrap();
            assert_eq!(tokens.left(), 0);
        });
    }
}

/// The handler gives its duty away to another thread, which answers while the handler's future is
/// dropped and the asker waits or gives up.
#[test]
fn loom_duty_taken_away() {
    for give_up in [false, true] {
        ::loom::model(move || {
            let (tx, mut rx) = ends();
            let tokens = Tokens::new();
            let seal: Seal<Sum, Add, Token> =
                Seal::new(|sum: &'static mut Sum, add: Add| async move {
                    let duty = sum.duty.take();
                    let duty = duty.and_then(|duty| duty.typed::<Token>().ok());
                    thread::spawn(move || {
                        if let Some(duty) = duty {
                            duty.complete(add.0);
                        }
                    });
                    // The future is dropped here, while the other thread answers.
                    if let Some(me) = &sum.me {
                        me.keep().queue().hand_over();
                    }
                    std::future::pending::<Token>().await
                });
            let asker = {
                let call = seal.port(&tx).call(Add(tokens.token()));
                let pending = call.post().ok().unwrap();
                thread::spawn(move || {
                    if give_up {
                        drop(pending);
                    } else {
                        assert!(wait(pending).is_ok());
                    }
                })
            };
            let mut sum = Sum {
                me: Some(WeakTx::of(&tx)),
                ..Sum::default()
            };
            drop(tx);
            block_on(rx.drain::<AnyThread>(&mut sum));
            asker.join().unwrap();
        });
    }
}

/// The asker gives up while the handler asks to be told of that.
#[test]
fn loom_token_meets_abandon() {
    ::loom::model(|| {
        let (tx, mut rx) = ends();
        let tokens = Tokens::new();
        let seal: Seal<Sum, Add, ()> = Seal::new(|sum: &'static mut Sum, add: Add| async move {
            let token = sum.duty.as_ref().map(Duty::token);
            sum.total += 1;
            drop(add);
            if let (Some(token), Some(duty)) = (token, &sum.duty) {
                if duty.is_cancelled() {
                    assert!(duty.token().initialized());
                }
                drop(token);
            }
        });
        let pending = seal
            .port(&tx)
            .call(Add(tokens.token()))
            .post()
            .ok()
            .unwrap();
        let asker = thread::spawn(move || drop(pending));
        drop(tx);
        let mut sum = Sum::default();
        block_on(rx.drain::<AnyThread>(&mut sum));
        asker.join().unwrap();
        assert_eq!(tokens.left(), 0);
    });
}

/// Asks inline: here, if the drain is lent, or else by the task.
fn ask_inline(tx: &Tx<Sum, ()>, add_to: Add) -> Result<Token, AskError> {
    match add().inline(true).port(tx).call(add_to).try_run() {
        Ok(posted) => wait(posted.into_pending()),
        Err(call) => wait(call.post().map_err(|_| AskError::Closed)?),
    }
}

/// A thread that asks inline once.
fn inline_asker(tx: &Tx<Sum, ()>, tokens: &Tokens) -> thread::JoinHandle<Result<Token, AskError>> {
    let (tx, token) = (tx.clone(), tokens.token());
    thread::spawn(move || ask_inline(&tx, Add(token)))
}

#[test]
fn loom_lent_meets_tell() {
    ::loom::model(|| {
        let (tx, rx) = ends();
        let tokens = Tokens::new();
        tx.queue().lend.want();
        let asker = inline_asker(&tx, &tokens);
        let teller = {
            let tokens = tokens.clone();
            thread::spawn(move || assert!(add().port(&tx).tell(Add(tokens.token())).is_ok()))
        };
        let (total, end) = drain(rx);
        assert_eq!(total, 2);
        assert!(matches!(end, End::Drained));
        assert!(asker.join().unwrap().is_ok());
        teller.join().unwrap();
        assert_eq!(tokens.left(), 0);
    });
}

#[test]
#[ignore = "takes some minutes"]
fn loom_lent_to_two() {
    ::loom::model(|| {
        let (tx, rx) = ends();
        let tokens = Tokens::new();
        tx.queue().lend.want();
        let askers = [(); 2].map(|()| inline_asker(&tx, &tokens));
        drop(tx);
        assert_eq!(drain(rx).0, 2);
        for asker in askers {
            assert!(asker.join().unwrap().is_ok());
        }
        assert_eq!(tokens.left(), 0);
    });
}

/// The drain is dropped, or ends, while it is lent.
#[test]
fn loom_lent_meets_kill() {
    ::loom::model(|| {
        let (tx, mut rx) = ends();
        let tokens = Tokens::new();
        tx.queue().lend.want();
        let asker = inline_asker(&tx, &tokens);
        let killer = thread::spawn(move || tx.queue().kill());
        let mut sum = Sum::default();
        let end = block_on(rx.drain::<AnyThread>(&mut sum));
        // It was closed, too, and may have come upon that first.
        assert!(matches!(end, End::Killed | End::Drained));
        rx.finish(|| AskError::Closed, |(), _| ());
        // Handled, or not: it has ended.
        drop(asker.join().unwrap());
        killer.join().unwrap();
        drop(rx);
        assert_eq!(tokens.left(), 0);
    });
}

/// The task is dropped where it sleeps, as when its runtime is shut down.
#[test]
fn loom_lent_meets_drop() {
    ::loom::model(|| {
        let (tx, mut rx) = ends();
        let tokens = Tokens::new();
        tx.queue().lend.want();
        let asker = inline_asker(&tx, &tokens);
        let mut sum = Sum::default();
        {
            let mut drain = std::pin::pin!(rx.drain::<AnyThread>(&mut sum));
            let polled = block_on(poll_fn(|cx| Poll::Ready(drain.as_mut().poll(cx))));
            assert!(polled.is_pending());
        }
        assert!(sum.total <= 1);
        rx.finish(|| AskError::Closed, |(), _| ());
        drop(asker.join().unwrap());
        drop(rx);
        assert_eq!(tokens.left(), 0);
    });
}

/// A life that ends at once, and holds a token.
fn short_life(tokens: &Tokens, lived: &Arc<AtomicUsize>) -> impl Future<Output = ()> + use<> {
    let (token, lived) = (tokens.token(), Arc::clone(lived));
    async move {
        let _token = token;
        lived.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts how often it wakes.
struct Wakes(AtomicUsize);

impl std::task::Wake for Wakes {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task with such a life, and what lives are about.
struct Scene<F> {
    task: std::pin::Pin<Box<F>>,
    wakes: std::sync::Arc<Wakes>,
    tokens: Tokens,
    lived: Arc<AtomicUsize>,
}

fn scene() -> Scene<impl Future<Output = ()>> {
    let (tokens, lived) = (Tokens::new(), Arc::new(AtomicUsize::new(0)));
    Scene {
        task: Box::pin(runner::of(short_life(&tokens, &lived))),
        wakes: std::sync::Arc::new(Wakes(AtomicUsize::new(0))),
        tokens,
        lived,
    }
}

impl<F: Future<Output = ()>> Scene<F> {
    /// Polls the task, which never ends.
    fn poll(&mut self) {
        let waker = Waker::from(self.wakes.clone());
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(self.task.as_mut().poll(&mut cx).is_pending());
    }

    /// Moves a life into the task, on another thread, if it is vacant.
    fn moves(&self) -> thread::JoinHandle<bool> {
        let life = short_life(&self.tokens, &self.lived);
        thread::spawn(move || runner::move_in_small(|| life))
    }

    /// As many as moved in have woken it, and live now that it is polled.
    fn ends(mut self, moved: usize) {
        assert_eq!(self.wakes.0.load(Ordering::SeqCst), moved);
        self.poll();
        assert_eq!(self.lived.load(Ordering::SeqCst), 1 + moved);
        assert_eq!(self.tokens.left(), 0);
    }
}

/// Somebody moves into a task while it offers itself and is woken for nothing; or does not find it.
#[test]
fn loom_runner_is_taken() {
    ::loom::model(|| {
        let mut scene = scene();
        let moves = scene.moves();
        scene.poll();
        scene.poll();
        scene.ends(usize::from(moves.join().unwrap()));
    });
}

/// Two move in, and the task offers itself again and again.
#[test]
fn loom_runner_is_taken_by_two() {
    ::loom::model(|| {
        let mut scene = scene();
        scene.poll();
        let moves = [(); 2].map(|()| scene.moves());
        scene.poll();
        let moved = moves.map(|moves| usize::from(moves.join().unwrap()));
        scene.ends(moved.iter().sum());
    });
}

/// A task is dropped, with its runtime, while somebody moves in.
#[test]
fn loom_runner_is_dropped() {
    ::loom::model(|| {
        let mut scene = scene();
        let moves = scene.moves();
        scene.poll();
        let Scene {
            task,
            tokens,
            lived,
            ..
        } = scene;
        drop(task);
        moves.join().unwrap();
        assert_eq!(lived.load(Ordering::SeqCst), 1);
        assert_eq!(tokens.left(), 0);
    });
}

/// A vacant task is dismissed while it is woken for nothing; or before it is vacant, which changes nothing.
#[test]
fn loom_runner_is_dismissed() {
    ::loom::model(|| {
        let Scene {
            mut task,
            wakes,
            tokens,
            ..
        } = scene();
        let waker = Waker::from(wakes.clone());
        let mut cx = std::task::Context::from_waker(&waker);
        let dismisses = thread::spawn(runner::dismiss_small);
        let mut has_ended = (0..2).any(|_| task.as_mut().poll(&mut cx).is_ready());
        let is_dismissed = dismisses.join().unwrap();
        assert_eq!(wakes.0.load(Ordering::SeqCst), usize::from(is_dismissed));
        if is_dismissed && !has_ended {
            has_ended = task.as_mut().poll(&mut cx).is_ready();
        }
        assert_eq!(has_ended, is_dismissed);
        assert_eq!(tokens.left(), 0);
    });
}

/// The same while it is dropped.
#[test]
fn loom_runner_is_dropped_and_dismissed() {
    ::loom::model(|| {
        let mut scene = scene();
        scene.poll();
        let dismisses = thread::spawn(runner::dismiss_small);
        let Scene { task, tokens, .. } = scene;
        drop(task);
        dismisses.join().unwrap();
        assert_eq!(tokens.left(), 0);
    });
}

/// Addresses come and go in two threads, also from nothing; the memory goes once, with the last.
#[test]
fn loom_references() {
    ::loom::model(|| {
        let tokens = Tokens::new();
        let (tx, rx) =
            mailbox::<Sum, Token>(1, Capacity::Unbounded, Overflow::Reject, tokens.token());
        let weak = WeakTx::of(&tx);
        let other = {
            let tx = tx.clone();
            thread::spawn(move || drop(tx))
        };
        drop(tx);
        let again = weak.tx();
        drop(weak);
        drop(again.clone());
        drop(rx);
        drop(again);
        other.join().unwrap();
        assert_eq!(tokens.left(), 0);
    });
}

/// What is locked is touched by one thread at a time, and each sees what the one before has done.
#[test]
fn loom_lock() {
    ::loom::model(|| {
        let counter = Arc::new(lock::Lock::new(0));
        let other = {
            let counter = Arc::clone(&counter);
            thread::spawn(move || *counter.lock() += 1)
        };
        *counter.lock() += 1;
        other.join().unwrap();
        assert_eq!(*counter.lock(), 2);
    });
}
