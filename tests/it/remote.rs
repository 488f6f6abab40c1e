//! Actors in processes of their own: the same messages, and a crash is a failure of the actor.
use crate::kit;
use actors_core::{
    Actor, Addr, AskError, Context, Error, NoReplyReason, SpawnError, SpawnOptions, StopReason,
    handlers,
};
use actors_net::{ProcessActor, Remote, RemoteError, process_actor};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Actor)]
struct Counter {
    n: i64,
}

#[handlers]
impl Counter {
    #[message(derive(Serialize, Deserialize))]
    fn inc(&mut self, by: i64) -> i64 {
        self.n += by;
        self.n
    }

    #[message(derive(Serialize, Deserialize))]
    fn pid(&mut self) -> u32 {
        std::process::id()
    }

    #[message(derive(Serialize, Deserialize))]
    fn echo(&mut self, text: String) -> String {
        text
    }

    #[message(derive(Serialize, Deserialize))]
    fn repeat(&mut self, times: usize) -> String {
        "x".repeat(times)
    }

    #[message(derive(Serialize, Deserialize))]
    fn end(&mut self, how: String, ctx: &mut Context<Self>) {
        match &*how {
            "abort" => std::process::abort(),
            "exit" => std::process::exit(4),
            "fail" => ctx.fail("had enough"),
            "stop" => ctx.stop(),
            how => panic!("{how}"),
        }
    }

    /// Never answers.
    #[message(derive(Serialize, Deserialize))]
    async fn brood(&mut self) {
        std::future::pending().await
    }
}

impl ProcessActor for Counter {
    type Init = i64;

    fn make(n: i64) -> Result<Self, Error> {
        match n {
            -1 => Err("it cannot be less than zero".into()),
            -2 => panic!("far too little"),
            n => Ok(Self { n }),
        }
    }
}

process_actor!(Counter: Inc, Pid, Echo, Repeat, End, Brood);

fn remote(n: i64) -> Remote<Counter> {
    actors_net::init();
    Remote::new(&n).args(["--exact", "processes::worker", "--nocapture", "-q"])
}

async fn counter() -> Addr<Remote<Counter>> {
    let started = SpawnOptions::new().start(remote(40)).await;
    started.expect("it starts")
}

fn remote_error(reason: &StopReason) -> &RemoteError {
    match reason {
        StopReason::Failed(error) => error.downcast_ref().expect("it is one of ours"),
        reason => panic!("{reason:?}"),
    }
}

#[actors_core::test]
async fn an_ask_is_answered_in_another_process() {
    let counter = counter().await;
    assert_eq!(counter.ask(Inc { by: 2 }).await.expect("it runs"), 42);
    assert_ne!(
        counter.ask(Pid {}).await.expect("it runs"),
        std::process::id()
    );
    counter.stop();
    assert!(counter.stopped().await.is_normal());
}

#[actors_core::test]
async fn order_is_kept_and_all_is_answered() {
    let counter = counter().await;
    let mut replies = Vec::new();
    for n in 0..5_000 {
        match n % 3 {
            0 => counter.send(Inc { by: 1 }).await.expect("it runs"),
            1 => {
                let ask = counter.ask(Inc { by: 1 });
                replies.push((n, kit::soon(async { ask.await.expect("it runs") }).await));
            }
            _ => {
                counter.send(Inc { by: 0 }).await.expect("it runs");
                counter.send(Inc { by: 1 }).await.expect("it runs");
            }
        }
    }
    for (n, reply) in replies {
        assert_eq!(reply, 40 + n + 1);
    }
    // What was accepted before a stop is handled.
    let last = counter.ask(Inc { by: 0 }).post().expect("it runs");
    counter.stop();
    assert_eq!(last.await.expect("it was accepted"), 5_040);
    assert!(counter.stopped().await.is_normal());
}

#[actors_core::test]
async fn more_than_the_window_may_be_asked_at_once() {
    let counter = SpawnOptions::new().unbounded().start(remote(0)).await;
    let counter = counter.expect("it starts");
    let asks = (0..4_000).map(|_| counter.ask(Inc { by: 1 }).post().expect("there is room"));
    let asks: Vec<_> = asks.collect();
    for (reply, n) in asks.into_iter().zip(1..) {
        assert_eq!(reply.await.expect("it runs"), n);
    }
}

#[actors_core::test]
async fn a_crash_of_the_process_is_a_failure_of_the_actor() {
    for (how, signal, code) in [("abort", Some(6), None), ("exit", None, Some(4))] {
        let counter = counter().await;
        let end = counter
            .ask(End {
                how: how.to_owned(),
            })
            .post()
            .expect("it runs");
        let behind = counter.ask(Inc { by: 1 }).post().expect("it runs");
        for ask in [end.await.map(|()| 0), behind.await] {
            let error = ask.expect_err("it crashed");
            assert!(error.may_have_run());
            let AskError::NoReply { reason, .. } = error else {
                panic!("{error:?}");
            };
            let NoReplyReason::Stopped(reason) = reason else {
                panic!("{reason:?}");
            };
            assert!(matches!(remote_error(&reason), RemoteError::Died(_)));
        }
        let reason = counter.stopped().await;
        let RemoteError::Died(died) = remote_error(&reason) else {
            panic!("{reason:?}");
        };
        assert_eq!((died.signal(), died.code()), (signal, code));
    }
}

#[actors_core::test]
async fn how_the_actor_ends_there_it_ends_here() {
    let counter = counter;
    let end = async |how: &str| {
        let counter = counter().await;
        counter
            .tell(End {
                how: how.to_owned(),
            })
            .expect("there is room");
        counter.stopped().await
    };
    assert!(end("stop").await.is_normal());
    let reason = end("fail").await;
    assert!(matches!(remote_error(&reason), RemoteError::Failed(text) if text == "had enough"));
    let reason = end("no luck").await;
    assert!(matches!(remote_error(&reason), RemoteError::Panicked(text) if text == "no luck"));
}

#[actors_core::test]
async fn what_cannot_be_made_does_not_start() {
    for (n, text) in [(-1, "it cannot be less than zero"), (-2, "far too little")] {
        let error = SpawnOptions::new()
            .start(remote(n))
            .await
            .expect_err("it cannot");
        let SpawnError::StartFailed(reason) = error else {
            panic!("{error:?}");
        };
        let RemoteError::Start(error) = remote_error(&reason) else {
            panic!("{reason:?}");
        };
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[actors_core::test]
async fn a_process_that_hangs_is_killed_in_time() {
    let hangs = remote(0).stop_timeout(Duration::from_millis(50));
    let hangs = SpawnOptions::new().start(hangs).await.expect("it starts");
    let brood = hangs.ask(Brood {}).post().expect("it runs");
    hangs.stop();
    assert!(hangs.stopped().await.is_normal());
    let error = brood.await.expect_err("it was killed");
    let AskError::NoReply { reason, .. } = error else {
        panic!("{error:?}");
    };
    assert!(matches!(reason, NoReplyReason::Stopped(reason) if reason.is_normal()));
}

#[actors_core::test]
async fn a_megabyte_goes_and_comes() {
    let counter = counter().await;
    let text = "x".repeat(1 << 20);
    let echo = counter.ask(Echo { text: text.clone() }).await;
    assert!(echo.expect("it runs") == text);
}

#[actors_core::test]
async fn what_is_too_long_costs_its_ask_and_no_other() {
    let counter = remote(0).frame_limit(1_000);
    let counter = SpawnOptions::new().start(counter).await.expect("it starts");
    let long = counter.ask(Echo {
        text: "x".repeat(2_000),
    });
    assert!(matches!(long.await, Err(AskError::NoReply { .. })));
    let long = counter.ask(Repeat { times: 2_000 });
    assert!(matches!(long.await, Err(AskError::NoReply { .. })));
    assert_eq!(counter.ask(Inc { by: 2 }).await.expect("it runs"), 2);
}

#[actors_core::test]
async fn a_restart_is_a_new_process() {
    // As a supervisor does it: by a factory.
    let first = counter().await;
    let before = first.ask(Pid {}).await.expect("it runs");
    first
        .tell(End {
            how: "abort".to_owned(),
        })
        .expect("there is room");
    assert!(!first.stopped().await.is_normal());
    let second = counter().await;
    assert_ne!(second.ask(Pid {}).await.expect("it runs"), before);
}
