//! Every ask ends: with a reply, or with one error that says whether the message may have run.
use crate::kit::{Gate, Note, Worker, alone, held, hold, once, run, soon, stop, with};
use actors_core::{
    Actor, Addr, AskError, Context, Deferred, NoReplyReason, Overflow, Reply, SendError,
    SpawnOptions, StopReason, handlers,
};
use std::error::Error;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::{JoinSet, yield_now};

/// What an ask came to, for comparing: the reply's number, or the error in words.
fn said(result: Result<u32, AskError>) -> String {
    match result {
        Ok(n) => n.to_string(),
        Err(error) => format!("{error}; may have run: {}", error.may_have_run()),
    }
}

fn waits_for(gate: &Gate) -> impl Future<Output = u32> + Send + 'static {
    let gate = gate.clone();
    async move {
        gate.pass().await;
        7
    }
}

#[actors_core::test(start_paused = true)]
async fn closed() {
    let (worker, log) = Worker::logged();
    stop(&worker).await;
    for result in [
        soon(worker.ask(Note(1))).await,
        soon(worker.ask(Note(1)).timeout(Duration::from_secs(1))).await,
        worker.ask(Note(1)).post().map(|_| 0),
        soon(worker.recipient().ask(Note(1))).await,
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, AskError::Closed), "{error}");
        assert!(!error.may_have_run());
    }
    assert_eq!(log.len(), 0);
}

#[actors_core::test(start_paused = true)]
async fn closed_while_it_waits_for_room() {
    for end in [Addr::stop, Addr::stop_now, Addr::kill] {
        let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(1));
        let gate = held(&worker).await;
        worker.tell(Note(0)).unwrap();
        let mut ask = pin!(worker.ask(Note(1)));
        assert!(once(&mut ask).await.is_pending());
        end(&worker);
        // Before the handler that runs has ended.
        let error = soon(ask).await.unwrap_err();
        assert!(matches!(error, AskError::Closed), "{error}");
        gate.open();
        soon(worker.stopped()).await;
        assert!(!log.all().contains(&1));
    }
}

#[actors_core::test(start_paused = true)]
async fn full() {
    for overflow in [Overflow::Reject, Overflow::DropNewest] {
        let options = SpawnOptions::new().capacity(1).overflow(overflow);
        let (worker, log) = Worker::logged_with(options);
        let gate = held(&worker).await;
        let first = worker.ask(Note(0)).post().unwrap();
        let error = worker.ask(Note(1)).post().unwrap_err();
        assert!(matches!(error, AskError::Full), "{error}");
        assert!(!error.may_have_run());
        gate.open();
        assert_eq!(soon(first).await.unwrap(), 0);
        stop(&worker).await;
        assert_eq!(log.all(), [0]);
    }
}

#[actors_core::test(start_paused = true)]
async fn full_for_what_made_room_for_a_newer_message() {
    let options = SpawnOptions::new()
        .capacity(1)
        .overflow(Overflow::DropOldest);
    let (worker, log) = Worker::logged_with(options);
    let gate = held(&worker).await;
    let first = worker.ask(Note(0)).post().unwrap();
    let second = worker.ask(Note(1)).post().unwrap();
    // At once, and not when the actor gets to it.
    let error = soon(first).await.unwrap_err();
    assert!(matches!(error, AskError::Full), "{error}");
    gate.open();
    assert_eq!(soon(second).await.unwrap(), 1);
    stop(&worker).await;
    assert_eq!(log.all(), [1]);
}

#[actors_core::test(start_paused = true)]
async fn cancelled() {
    let (worker, log) = Worker::logged();
    let gate = Gate::new();
    let mut running = worker.ask(run(waits_for(&gate))).post().unwrap();
    soon(gate.entered()).await;
    let mut waiting = worker.ask(Note(1)).post().unwrap();
    assert!(waiting.cancel(), "it will never be handled");
    assert!(!running.cancel(), "it is being handled");
    assert!(waiting.is_ready() && running.is_ready());
    assert_eq!(
        said(soon(waiting).await),
        "cancelled before the message was handled; may have run: false"
    );
    assert_eq!(
        said(soon(running).await),
        "cancelled while the message was being handled; may have run: true"
    );
    gate.open();
    stop(&worker).await;
    assert_eq!(log.len(), 0);
}

#[actors_core::test(start_paused = true)]
async fn timed_out() {
    let limit = Duration::from_secs(1);
    let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(1));
    let gate = Gate::new();
    let (running, waiting, without_room) = soon(async {
        tokio::join!(
            worker.ask(run(waits_for(&gate))).timeout(limit),
            async {
                gate.entered().await;
                worker.ask(Note(1)).timeout(limit).await
            },
            async {
                while worker.mailbox_len() < 2 {
                    yield_now().await;
                }
                worker.ask(Note(2)).timeout(limit).await
            }
        )
    })
    .await;
    assert!(
        matches!(
            running,
            Err(AskError::TimedOut {
                may_have_run: true,
                ..
            })
        ),
        "{running:?}"
    );
    for result in [waiting, without_room] {
        assert!(
            matches!(
                result,
                Err(AskError::TimedOut {
                    may_have_run: false,
                    ..
                })
            ),
            "{result:?}"
        );
    }
    gate.open();
    stop(&worker).await;
    assert_eq!(log.len(), 0);
}

#[actors_core::test(start_paused = true)]
async fn timed_out_after_it_was_posted() {
    let limit = Duration::from_secs(1);
    let (worker, log) = Worker::logged();
    let gate = held(&worker).await;
    let at_once = worker.ask(Note(1)).timeout(limit).post().unwrap();
    let later = worker.ask(Note(2)).post().unwrap().timeout(limit);
    let before = tokio::time::Instant::now();
    for reply in [at_once, later] {
        let error = soon(reply).await.unwrap_err();
        assert!(
            matches!(
                error,
                AskError::TimedOut {
                    may_have_run: false,
                    ..
                }
            ),
            "{error}"
        );
    }
    assert!(before.elapsed() >= limit && before.elapsed() < 2 * limit);
    gate.open();
    stop(&worker).await;
    assert_eq!(log.len(), 0);
}

#[actors_core::test(start_paused = true)]
async fn a_reply_that_is_there_does_not_time_out() {
    let limit = Duration::from_secs(1);
    let (worker, _) = Worker::logged();
    let reply = worker.ask(Note(3)).timeout(limit).post().unwrap();
    while !reply.is_ready() {
        yield_now().await;
    }
    tokio::time::advance(2 * limit).await;
    assert_eq!(soon(reply).await.unwrap(), 3);
    stop(&worker).await;
}

#[actors_core::test(start_paused = true)]
async fn no_reply_from_one_that_panics() {
    let (worker, _) = Worker::logged();
    let gate = Gate::new();
    let gate2 = gate.clone();
    let panics = run::<u32>(async move {
        gate2.pass().await;
        panic!("out of {}", "cheese")
    });
    let running = worker.ask(panics).post().unwrap();
    soon(gate.entered()).await;
    let waiting = worker.ask(Note(1)).post().unwrap();
    gate.open();
    assert_eq!(
        said(soon(running).await),
        "no reply: the actor panicked: out of cheese; may have run: true"
    );
    assert_eq!(
        said(soon(waiting).await),
        "no reply: the actor panicked: out of cheese; may have run: false"
    );
    soon(worker.stopped()).await;
}

#[actors_core::test(start_paused = true)]
async fn no_reply_from_one_that_panics_before_its_first_await() {
    let (worker, _) = Worker::logged();
    let asked = worker.ask(run::<u32>(async { panic!("at once") }));
    assert_eq!(
        said(soon(asked).await),
        "no reply: the actor panicked: at once; may have run: true"
    );
    soon(worker.stopped()).await;
}

#[actors_core::test(start_paused = true)]
async fn no_reply_from_one_that_fails() {
    let (worker, _) = Worker::logged();
    let fails = with(|ctx| {
        Box::pin(async move {
            ctx.fail(std::io::Error::other("no disk"));
            9
        })
    });
    let failing = worker.ask(fails).post().unwrap();
    let waiting = worker.ask(Note(1)).post().unwrap();
    assert_eq!(soon(failing).await.unwrap(), 9, "its own reply is given");
    let error = soon(waiting).await.unwrap_err();
    assert!(
        matches!(
            &error,
            AskError::NoReply {
                reason: NoReplyReason::Stopped(StopReason::Failed(_)),
                may_have_run: false,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.to_string(), "no reply: the actor failed: no disk");
    assert_eq!(error.source().unwrap().to_string(), "no disk");
    soon(worker.stopped()).await;
}

#[actors_core::test(start_paused = true)]
async fn no_reply_when_what_was_deferred_is_dropped() {
    let (worker, _) = Worker::logged();
    let drops =
        with(|ctx| Box::pin(async move { ctx.defer(|reply: Deferred<u32>| drop(reply)).await }));
    assert_eq!(
        said(soon(worker.ask(drops)).await),
        "no reply: the reply was dropped unanswered; may have run: true"
    );
    assert_eq!(
        soon(worker.ask(Note(1))).await.unwrap(),
        1,
        "the actor goes on"
    );
    stop(&worker).await;
}

#[actors_core::test(start_paused = true)]
async fn a_deferred_reply_outlives_the_actor() {
    let (worker, _) = Worker::logged();
    let kept = Arc::new(Mutex::new(None));
    let kept2 = Arc::clone(&kept);
    let defers = with(move |ctx| {
        Box::pin(async move {
            ctx.defer(|reply| *kept2.lock().unwrap() = Some(reply))
                .await
        })
    });
    let mut reply = worker.ask(defers).post().unwrap();
    stop(&worker).await;
    assert!(once(&mut reply).await.is_pending());
    let deferred: Deferred<u32> = kept.lock().unwrap().take().unwrap();
    deferred.answer(5);
    assert_eq!(soon(reply).await.unwrap(), 5);
}

#[actors_core::test(start_paused = true)]
async fn no_reply_to_what_was_forwarded_to_one_that_has_stopped() {
    let (worker, _) = Worker::logged();
    let (gone, log) = Worker::logged();
    stop(&gone).await;
    let forwards = with(move |ctx| Box::pin(async move { ctx.forward(&gone, Note(1)).await }));
    let error = soon(worker.ask(forwards)).await.unwrap_err();
    assert!(
        matches!(
            error,
            AskError::NoReply {
                reason: NoReplyReason::Stopped(StopReason::Normal),
                ..
            }
        ),
        "{error}"
    );
    assert!(error.may_have_run(), "the handler that forwarded it has");
    stop(&worker).await;
    assert_eq!(log.len(), 0);
}

#[actors_core::test(start_paused = true)]
async fn no_reply_when_the_one_it_was_forwarded_to_ends() {
    let (worker, _) = Worker::logged();
    let (other, _) = Worker::logged();
    let gate = held(&other).await;
    let other2 = other.clone();
    let forwards = with(move |ctx| Box::pin(async move { ctx.forward(&other2, Note(1)).await }));
    let mut reply = worker.ask(forwards).post().unwrap();
    while other.mailbox_len() < 2 {
        yield_now().await;
    }
    stop(&worker).await;
    assert!(
        once(&mut reply).await.is_pending(),
        "the other one is to answer"
    );
    other.kill();
    let error = soon(reply).await.unwrap_err();
    assert!(
        matches!(
            error,
            AskError::NoReply {
                reason: NoReplyReason::Stopped(StopReason::Killed),
                ..
            }
        ),
        "{error}"
    );
    drop(gate);
    soon(other.stopped()).await;
}

#[actors_core::test(start_paused = true)]
async fn caught_up_once_all_that_came_before_is_handled() {
    let (worker, log) = Worker::logged();
    let gate = held(&worker).await;
    worker.tell(Note(1)).unwrap();
    let mut caught_up = worker.caught_up().post().unwrap();
    let after = Gate::new();
    worker.tell(hold(&after)).unwrap();
    assert!(once(&mut caught_up).await.is_pending());
    gate.open();
    soon(caught_up).await.unwrap();
    assert_eq!(log.all(), [1]);
    soon(after.entered()).await;
    // Who ends before it has caught up says so.
    let behind = worker.caught_up().post().unwrap();
    worker.kill();
    let error = soon(behind).await.unwrap_err();
    assert!(matches!(error, AskError::NoReply { .. }), "{error}");
    soon(worker.stopped()).await;
    let error = soon(worker.caught_up()).await.unwrap_err();
    assert!(matches!(error, AskError::Closed), "{error}");
}

#[actors_core::test]
async fn blocking_in_a_task() {
    let (worker, log) = Worker::logged();
    let error = worker.blocking_ask(Note(1)).unwrap_err();
    assert!(matches!(error, AskError::WouldBlock), "{error}");
    assert!(!error.may_have_run());
    let error = worker.ask(Note(2)).wait().unwrap_err();
    assert!(matches!(error, AskError::WouldBlock), "{error}");
    match worker.blocking_send(Note(3)) {
        Err(SendError::WouldBlock(msg)) => assert_eq!(msg, Note(3)),
        other => panic!("{other:?}"),
    }
    let mut posted = worker.ask(Note(4)).post().unwrap();
    let result = posted.wait_timeout(Duration::from_secs(1)).unwrap();
    assert!(matches!(result, Err(AskError::WouldBlock)), "{result:?}");
    assert_eq!(soon(posted).await.unwrap(), 4, "it is left as it was");
    let posted = worker.ask(Note(5)).post().unwrap();
    let error = posted.wait().unwrap_err();
    assert!(matches!(error, AskError::WouldBlock), "{error}");
    stop(&worker).await;
    assert_eq!(log.all(), [4], "the others were not sent, or withdrawn");
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_where_one_may() {
    let (worker, log) = Worker::logged();
    let worker2 = worker.clone();
    let blocking = tokio::task::spawn_blocking(move || {
        worker2.blocking_send(Note(1)).unwrap();
        worker2.blocking_ask(Note(2)).unwrap()
    });
    assert_eq!(soon(blocking).await.unwrap(), 2);
    let worker2 = worker.clone();
    let thread = std::thread::spawn(move || worker2.ask(Note(3)).post().unwrap().wait());
    let joined = tokio::task::spawn_blocking(move || thread.join().unwrap());
    assert_eq!(soon(joined).await.unwrap().unwrap(), 3);
    stop(&worker).await;
    assert_eq!(log.all(), [1, 2, 3]);
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_blocks_keeps_the_time_where_nobody_runs_the_timers() {
    let (worker, _log) = Worker::logged();
    let gate = held(&worker).await;
    let worker2 = worker.clone();
    let thread = std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let idle = builder.enable_time().build().unwrap();
        let _entered = idle.enter();
        let limit = Duration::from_millis(5);
        let in_time = worker2.ask(Note(1)).timeout(limit).wait();
        let posted = worker2.ask(Note(2)).timeout(limit).post().unwrap();
        [in_time, posted.wait()]
    });
    let joined = tokio::task::spawn_blocking(move || thread.join().unwrap());
    for result in soon(joined).await.unwrap() {
        let error = result.unwrap_err();
        assert!(
            matches!(
                error,
                AskError::TimedOut {
                    may_have_run: false,
                    ..
                }
            ),
            "{error}"
        );
    }
    gate.open();
    stop(&worker).await;
}

/// Where an ask is when its actor ends.
#[derive(Clone, Copy, Debug)]
enum State {
    Queued,
    Running,
    Replied,
}

/// How it ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Kill,
    Panic,
    Fail,
    Stop,
    StopNow,
    LastAddress,
    Runtime,
}

const STATES: [State; 3] = [State::Queued, State::Running, State::Replied];
const ENDS: [End; 6] = [
    End::Kill,
    End::Panic,
    End::Fail,
    End::Stop,
    End::StopNow,
    End::LastAddress,
];

/// What the ask comes to.
fn outcome(state: State, end: End) -> &'static str {
    match (state, end) {
        (State::Replied, _) => "7",
        (_, End::Stop | End::LastAddress) => "7",
        (State::Running, End::StopNow | End::Fail) => "7",
        (State::Running, End::Kill | End::Runtime) => {
            "no reply: the actor was killed; may have run: true"
        }
        (State::Queued, End::Kill | End::Runtime) => {
            "no reply: the actor was killed; may have run: false"
        }
        (State::Running, End::Panic) => "no reply: the actor panicked: over; may have run: true",
        (State::Queued, End::Panic) => "no reply: the actor panicked: over; may have run: false",
        (State::Queued, End::Fail) => "no reply: the actor failed: over; may have run: false",
        (State::Queued, End::StopNow) => "no reply: the actor stopped; may have run: false",
    }
}

/// An ask in this state, and the gate at which the actor is held, if it is. What is handled when
/// the gate opens ends the actor, if that is how it ends.
async fn asked(worker: &Addr<Worker>, state: State, end: End) -> (Reply<u32>, Gate) {
    let gate = Gate::new();
    let gate2 = gate.clone();
    let handled = || {
        with(move |ctx| {
            Box::pin(async move {
                gate2.pass().await;
                match end {
                    End::Panic => panic!("over"),
                    End::Fail => ctx.fail("over"),
                    _ => {}
                }
                7
            })
        })
    };
    let reply = match state {
        State::Running => worker.ask(handled()).post().unwrap(),
        State::Queued => {
            worker.tell(handled()).unwrap();
            worker.ask(Note(7)).post().unwrap()
        }
        State::Replied => {
            let reply = worker.ask(Note(7)).post().unwrap();
            while !reply.is_ready() {
                yield_now().await;
            }
            worker.tell(handled()).unwrap();
            reply
        }
    };
    soon(gate.entered()).await;
    (reply, gate)
}

fn ends(worker: Addr<Worker>, gate: &Gate, end: End) {
    match end {
        End::Kill => worker.kill(),
        End::Stop => worker.stop(),
        End::StopNow => worker.stop_now(),
        End::Panic | End::Fail | End::LastAddress | End::Runtime => {}
    }
    drop(worker);
    if !matches!(end, End::Kill | End::Runtime) {
        gate.open();
    }
}

#[actors_core::test(start_paused = true, allow_panics = true)]
async fn every_ask_ends_however_its_actor_does() {
    for state in STATES {
        for end in ENDS {
            let (worker, _) = Worker::logged();
            let (reply, gate) = asked(&worker, state, end).await;
            ends(worker, &gate, end);
            assert_eq!(
                said(soon(reply).await),
                outcome(state, end),
                "{state:?}, {end:?}"
            );
        }
    }
}

#[test]
fn every_ask_ends_when_its_runtime_does() {
    for threads in [0, 2] {
        for state in STATES {
            let mut builder = match threads {
                0 => tokio::runtime::Builder::new_current_thread(),
                _ => tokio::runtime::Builder::new_multi_thread(),
            };
            let runtime = builder.enable_all().build().unwrap();
            let (mut reply, gate, worker) = runtime.block_on(async {
                let (worker, _) = Worker::logged();
                let (reply, gate) = asked(&worker, state, End::Runtime).await;
                (reply, gate, worker)
            });
            drop(runtime);
            let result = reply.wait_timeout(Duration::from_secs(60));
            let result = result.unwrap_or_else(|| panic!("{state:?} hangs"));
            assert_eq!(said(result), outcome(state, End::Runtime), "{state:?}");
            let error = worker.blocking_ask(Note(1)).unwrap_err();
            assert!(matches!(error, AskError::Closed), "{error}");
            gate.open();
        }
    }
}

#[test]
fn an_ask_that_waits_for_room_ends_when_the_runtime_does() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let (worker, gate) = runtime.block_on(async {
        let (worker, _) = Worker::logged_with(SpawnOptions::new().capacity(1));
        let gate = held(&worker).await;
        // On another thread it may yet have to give the room of the first one back.
        worker.send(Note(0)).await.unwrap();
        (worker, gate)
    });
    let (told, is_told) = std::sync::mpsc::channel();
    let asker = std::thread::spawn(move || {
        let waits = worker.ask(Note(1)).wait();
        told.send(waits).unwrap();
    });
    drop(runtime);
    let result = is_told
        .recv_timeout(Duration::from_secs(60))
        .expect("this hangs");
    assert!(matches!(result, Err(AskError::Closed)), "{result:?}");
    asker.join().unwrap();
    drop(gate);
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_ask_ends_in_the_middle_of_anything() {
    let _alone = alone().await;
    for round in 0..200 {
        let (worker, log) = Worker::logged_with(SpawnOptions::new().capacity(8));
        let mut askers = JoinSet::new();
        for n in 0..32 {
            let (worker, log) = (worker.clone(), log.clone());
            askers.spawn(async move {
                let result = match n % 3 {
                    0 => worker.ask(Note(n)).await,
                    1 => {
                        let slow = run(async move {
                            log.add(n);
                            yield_now().await;
                            n
                        });
                        worker.ask(slow).await
                    }
                    _ => match worker.ask(Note(n)).post() {
                        Ok(reply) => reply.await,
                        Err(error) => Err(error),
                    },
                };
                (n, result)
            });
        }
        yield_now().await;
        match round % 4 {
            0 => worker.kill(),
            1 => worker.stop(),
            2 => worker.stop_now(),
            _ => drop(worker.send(run(async { panic!("in the middle") })).await),
        }
        let mut did_not_run = Vec::new();
        while let Some(asked) = soon(askers.join_next()).await {
            match asked.unwrap() {
                (_, Ok(_)) => {}
                (n, Err(AskError::Closed | AskError::Full)) => did_not_run.push(n),
                (n, Err(error @ AskError::NoReply { .. })) => {
                    if !error.may_have_run() {
                        did_not_run.push(n);
                    }
                }
                (_, Err(error)) => panic!("{error}"),
            }
        }
        soon(worker.stopped()).await;
        let ran = log.all();
        assert!(
            did_not_run.iter().all(|n| !ran.contains(n)),
            "{did_not_run:?}, {ran:?}"
        );
    }
}

#[actors_core::test(start_paused = true)]
async fn a_reply_that_is_kept_in_the_state_ends_with_the_actor() {
    #[derive(Actor, Default)]
    struct Keeps(Vec<Deferred<u32>>);
    #[handlers]
    impl Keeps {
        async fn keep(&mut self, ctx: &mut Context<Self>) -> u32 {
            ctx.defer(|reply| self.0.push(reply)).await
        }
        fn fall(&mut self) {
            panic!("over, with {} to answer", self.0.len())
        }
    }
    type Ends = fn(&Addr<Keeps>);
    let ends: [Ends; 4] = [Addr::kill, Addr::stop, Addr::stop_now, |keeps| {
        keeps.tell(Fall).unwrap()
    }];
    for end in ends {
        let keeps = Keeps::default().spawn();
        let mut reply = keeps.keep().post().unwrap();
        while keeps.mailbox_stats().handled == 0 {
            yield_now().await;
        }
        assert!(once(&mut reply).await.is_pending());
        end(&keeps);
        assert_eq!(
            said(soon(reply).await),
            "no reply: the reply was dropped unanswered; may have run: true",
        );
        soon(keeps.stopped()).await;
    }
}

#[test]
fn timed_out_where_there_is_no_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let worker = runtime.block_on(async { Worker::logged().0 });
    let gate = Gate::new();
    let limit = Duration::from_millis(5);
    // On this thread, which does not wait, and knows no runtime.
    let reply = worker.ask(run(waits_for(&gate))).timeout(limit).post();
    let (told, hears) = std::sync::mpsc::channel();
    reply
        .unwrap()
        .on_ready(move |result| told.send(result).unwrap());
    let result = hears.recv_timeout(Duration::from_secs(600)).unwrap();
    assert!(
        matches!(result, Err(AskError::TimedOut { .. })),
        "{result:?}"
    );
    gate.open();
}
