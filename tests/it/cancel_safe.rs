//! P16: a future that is dropped, at whatever stage, loses no message, takes no room, and misroutes
//! no reply.
use crate::gate::{Gate, poll_once};
use actors_core::{
    Actor, ActorState, Addr, AskError, Capacity, Context, Deferred, Event, SpawnOptions, TellError,
    actors, events, handlers,
};
use futures_core::Stream;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

const ROOM: usize = 4;

/// After this long a wait is known to be one without an end.
const HANG: Duration = Duration::from_secs(60);

#[derive(Actor, Default)]
struct Echo {
    seen: Vec<u64>,
    deferred: Vec<Deferred<u64>>,
}

#[handlers]
impl Echo {
    fn echoed(&mut self, n: u64) -> u64 {
        self.seen.push(n);
        n
    }

    async fn hold(&mut self, gate: Gate, ctx: &mut Context<Self>) -> bool {
        gate.pass().await;
        ctx.is_cancelled()
    }

    /// Tells by the gate whether its asker gave up while it ran.
    async fn until_cancelled(&mut self, started: Gate, told: Gate, ctx: &mut Context<Self>) -> u64 {
        started.pass().await;
        // The first of these is dropped half-way.
        let _ = poll_once(&mut pin!(ctx.cancelled())).await;
        ctx.cancelled().await;
        told.pass().await;
        0
    }

    async fn later(&mut self, ctx: &mut Context<Self>) -> u64 {
        ctx.defer(|reply| self.deferred.push(reply)).await
    }

    fn answer_all(&mut self, n: u64) -> Vec<bool> {
        let answered = self.deferred.drain(..).map(|reply| {
            let cancelled = reply.is_cancelled();
            reply.answer(n);
            cancelled
        });
        answered.collect()
    }

    async fn pass_on(&mut self, to: Addr<Self>, n: u64, ctx: &mut Context<Self>) -> u64 {
        ctx.forward(&to, Echoed { n }).await
    }

    fn seen(&mut self) -> Vec<u64> {
        self.seen.clone()
    }

    fn listen(&mut self, ctx: &mut Context<Self>) -> actors_core::Attached {
        ctx.attach(Silence, |n| Echoed { n })
    }
}

/// A stream that never has an item.
struct Silence;

impl Stream for Silence {
    type Item = u64;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut std::task::Context<'_>) -> Poll<Option<u64>> {
        Poll::Pending
    }
}

/// An actor with little room, and its handler stopped before a gate.
async fn held() -> (Addr<Echo>, Gate) {
    let echo = SpawnOptions::new().capacity(ROOM).spawn(Echo::default());
    let echo = echo.expect("it starts");
    let gate = Gate::default();
    echo.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    (echo, gate)
}

/// Fills the mailbox, and gives how many messages that took.
fn fill(echo: &Addr<Echo>) -> u64 {
    let mut n = 0;
    loop {
        match echo.tell(Echoed { n: 1000 + n }) {
            Ok(()) => n += 1,
            Err(TellError::Full(_)) => return n,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Checks that all the room is there, and all that was accepted came through.
async fn all_is_well(echo: &Addr<Echo>, gate: &Gate) {
    // Let go of what is held, then hold it again with an empty mailbox: now all room is free.
    gate.open();
    echo.seen().await.expect("it lives");
    echo.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    // Waits, since room is given back when the handler that holds has come to its await.
    for n in 0..ROOM as u64 {
        let send = echo.send(Echoed { n: 2000 + n });
        let sent = tokio::time::timeout(HANG, send).await;
        sent.expect("room was taken").expect("it lives");
    }
    assert_eq!(fill(echo), 0, "room was made up");
    gate.open();
    echo.seen().await.expect("it lives");
    assert_eq!(echo.echoed(7).await.expect("it lives"), 7);
    // The reply is there a little before the count.
    while echo.mailbox_len() > 0 {
        tokio::task::yield_now().await;
    }
    let stats = echo.mailbox_stats();
    assert_eq!(stats.accepted, stats.handled + stats.withdrawn);
}

#[actors_core::test]
async fn ask_dropped_unpolled_has_sent_nothing() {
    let (echo, gate) = held().await;
    let before = echo.mailbox_stats().accepted;
    drop(echo.echoed(1));
    drop(echo.echoed(1).timeout(Duration::from_secs(1)));
    assert_eq!(echo.mailbox_stats().accepted, before);
    all_is_well(&echo, &gate).await;
}

#[actors_core::test]
async fn ask_dropped_while_it_waits_in_the_mailbox_is_withdrawn() {
    let (echo, gate) = held().await;
    let mut first = echo.echoed(1);
    let mut second = echo.echoed(2);
    assert!(poll_once(&mut first).await.is_pending());
    assert!(poll_once(&mut second).await.is_pending());
    drop(first);
    gate.open();
    assert_eq!(second.await.expect("it is answered"), 2);
    assert_eq!(echo.seen().await.expect("it lives"), [2]);
    assert_eq!(echo.mailbox_stats().withdrawn, 1);
    echo.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    all_is_well(&echo, &gate).await;
}

#[actors_core::test]
async fn ask_dropped_while_it_waits_for_room_takes_none() {
    let (echo, gate) = held().await;
    let filled = fill(&echo);
    let mut ask = echo.echoed(1);
    let mut timed = echo.echoed(2).timeout(Duration::from_secs(3600));
    assert!(poll_once(&mut ask).await.is_pending());
    assert!(poll_once(&mut timed).await.is_pending());
    assert_eq!(echo.mailbox_stats().accepted, 1 + filled);
    drop((ask, timed));
    all_is_well(&echo, &gate).await;
    assert!(
        !echo
            .seen()
            .await
            .expect("it lives")
            .iter()
            .any(|n| [1, 2].contains(n))
    );
}

#[actors_core::test]
async fn ask_and_send_dropped_with_room_granted_give_it_back() {
    let (echo, gate) = held().await;
    fill(&echo);
    let mut ask = echo.echoed(1);
    let mut send = Box::pin(echo.send(Echoed { n: 2 }));
    assert!(poll_once(&mut ask).await.is_pending());
    assert!(poll_once(&mut send).await.is_pending());
    // The room of what is handled now goes to the two, who do not look at it.
    gate.open();
    while echo.mailbox_len() > 0 {
        tokio::task::yield_now().await;
    }
    drop((ask, send));
    echo.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    all_is_well(&echo, &gate).await;
    assert!(
        !echo
            .seen()
            .await
            .expect("it lives")
            .iter()
            .any(|n| [1, 2].contains(n))
    );
}

#[actors_core::test]
async fn send_dropped_has_sent_nothing() {
    let (echo, gate) = held().await;
    let accepted = 1 + fill(&echo);
    drop(echo.send(Echoed { n: 1 }));
    let mut send = Box::pin(echo.send(Echoed { n: 1 }));
    assert!(poll_once(&mut send).await.is_pending());
    drop(send);
    assert_eq!(echo.mailbox_stats().accepted, accepted);
    all_is_well(&echo, &gate).await;
    assert!(!echo.seen().await.expect("it lives").contains(&1));
}

#[actors_core::test]
async fn ask_dropped_while_its_handler_runs_tells_it() {
    let echo = Echo::default().spawn();
    let (started, told) = (Gate::default(), Gate::default());
    let mut ask = echo.until_cancelled(started.clone(), told.clone());
    assert!(poll_once(&mut ask).await.is_pending());
    started.reached().await;
    started.open();
    let next = echo.echoed(2).post().expect("there is room");
    drop(ask);
    told.reached().await;
    told.open();
    assert_eq!(next.await.expect("it gets its own reply"), 2);
}

#[actors_core::test]
async fn reply_dropped_at_each_stage_hurts_no_other() {
    let (echo, gate) = held().await;
    // Waiting.
    let mut reply = echo.echoed(1).post().expect("there is room");
    assert!(poll_once(&mut reply).await.is_pending());
    drop(reply);
    gate.open();
    // Done, and never taken.
    let mut done = echo.echoed(2).post().expect("there is room");
    assert_eq!(echo.seen().await.expect("it lives"), [2]);
    assert!(done.is_ready());
    assert!(done.try_take().is_some_and(|result| result.is_ok()));
    drop(echo.echoed(3).post().expect("there is room"));
    // Running.
    let held = echo.hold(gate.clone()).post().expect("there is room");
    gate.reached().await;
    let mut timed = held.timeout(Duration::from_secs(3600));
    assert!(poll_once(&mut timed).await.is_pending());
    drop(timed);
    assert_eq!(echo.mailbox_stats().withdrawn, 2);
    all_is_well(&echo, &gate).await;
}

#[actors_core::test]
async fn stopped_dropped_leaves_nothing_behind() {
    let echo = Echo::default().spawn();
    let mut kept = Box::pin(echo.stopped());
    assert!(poll_once(&mut kept).await.is_pending());
    for _ in 0..10_000 {
        let mut dropped = Box::pin(echo.stopped());
        assert!(poll_once(&mut dropped).await.is_pending());
    }
    drop(echo.stopped());
    echo.stop();
    assert!(kept.await.is_normal());
    assert!(echo.stopped().await.is_normal());
}

#[actors_core::test]
async fn start_dropped_stops_the_actor_and_frees_its_name() {
    const NAME: &str = "cancel-safe-start";
    let options = SpawnOptions::new().registered(NAME);
    let mut start = Box::pin(options.clone().start(Echo::default()));
    assert!(poll_once(&mut start).await.is_pending());
    let begun: Vec<_> = actors()
        .into_iter()
        .filter(|actor| actor.name == NAME)
        .collect();
    assert_eq!(begun.len(), 1);
    let address = actors_core::lookup::<Echo>(NAME)
        .expect("it was begun")
        .downgrade();
    drop(start);
    let gone = |id| !actors().iter().any(|actor| actor.id == id);
    while !gone(begun[0].id) {
        tokio::task::yield_now().await;
    }
    assert!(address.upgrade().is_none());
    // Unpolled it begins nothing, and takes no name.
    drop(options.clone().start(Echo::default()));
    let echo = options
        .start(Echo::default())
        .await
        .expect("the name is free");
    assert_eq!(echo.echoed(1).await.expect("it lives"), 1);
}

#[actors_core::test]
async fn events_recv_dropped_takes_no_event() {
    let mut events = events();
    // Events of other tests may be there; what counts is that none of ours is lost.
    loop {
        let mut recv = Box::pin(events.recv());
        if poll_once(&mut recv).await.is_pending() {
            break;
        }
    }
    let echo = Echo::default().spawn();
    echo.stop();
    echo.stopped().await;
    drop(events.recv());
    let (mut started, mut stopped, mut missed) = (0, 0, false);
    while let Some(event) = events.try_recv() {
        match event {
            Event::Started { actor, .. } if actor.id() == echo.id() => started += 1,
            Event::Stopped { actor, .. } if actor.id() == echo.id() => stopped += 1,
            Event::Missed(_) => missed = true,
            _ => {}
        }
    }
    assert!(
        missed || (started, stopped) == (1, 1),
        "{started} {stopped}"
    );
}

#[actors_core::test]
async fn deferred_reply_outlives_its_asker() {
    let echo = Echo::default().spawn();
    let mut first = echo.later();
    assert!(poll_once(&mut first).await.is_pending());
    let second = echo.later().post().expect("there is room");
    echo.seen().await.expect("both are deferred now");
    drop(first);
    assert_eq!(echo.answer_all(9).await.expect("it lives"), [true, false]);
    assert_eq!(second.await.expect("it is answered"), 9);
    assert_eq!(echo.echoed(1).await.expect("it gets its own reply"), 1);
}

#[actors_core::test]
async fn forward_that_waits_for_room_takes_none_when_it_ends() {
    let (echo, gate) = held().await;
    let accepted = 1 + fill(&echo);
    let between = Echo::default().spawn();
    let forwarded = between
        .pass_on(echo.clone(), 1)
        .post()
        .expect("there is room");
    while between.mailbox_stats().accepted == 0 || !is_handling(&between) {
        tokio::task::yield_now().await;
    }
    between.kill();
    assert!(matches!(forwarded.await, Err(AskError::NoReply { .. })));
    between.stopped().await;
    assert_eq!(echo.mailbox_stats().accepted, accepted);
    all_is_well(&echo, &gate).await;
}

#[actors_core::test]
async fn forwarded_message_is_withdrawn_with_its_ask() {
    let (echo, gate) = held().await;
    let between = Echo::default().spawn();
    let forwarded = between
        .pass_on(echo.clone(), 1)
        .post()
        .expect("there is room");
    between.seen().await.expect("it was forwarded");
    assert_eq!(echo.mailbox_len(), 2);
    drop(forwarded);
    all_is_well(&echo, &gate).await;
    assert!(!echo.seen().await.expect("it lives").contains(&1));
}

fn is_handling(echo: &Addr<Echo>) -> bool {
    let actors = actors();
    let found = actors.iter().find(|actor| actor.id == echo.id());
    found.is_some_and(|actor| actor.state == ActorState::Running && actor.message.is_some())
}

#[actors_core::test]
async fn stream_that_is_silent_takes_no_room() {
    let echo = SpawnOptions::new().capacity(1).spawn(Echo::default());
    let echo = echo.expect("it starts");
    assert_eq!(echo.mailbox_capacity(), Capacity::Bounded(1));
    let first = echo.listen().await.expect("it lives");
    let second = echo.listen().await.expect("it lives");
    // Each has looked once.
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    echo.tell(Echoed { n: 1 }).expect("its mailbox is empty");
    assert_eq!(echo.seen().await.expect("it lives"), [1]);
    first.cancel();
    second.cancel();
    while !(first.is_finished() && second.is_finished()) {
        tokio::task::yield_now().await;
    }
    echo.tell(Echoed { n: 2 }).expect("its mailbox is empty");
    assert_eq!(echo.seen().await.expect("it lives"), [1, 2]);
}

/// Xorshift, from Marsaglia's paper: enough for choosing what to drop.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_is_misrouted_whatever_is_dropped() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let echo = SpawnOptions::new().capacity(ROOM).spawn(Echo::default());
    let echo = Arc::new(echo.expect("it starts"));
    let askers: Vec<_> = (1..=4_u64)
        .map(|asker| {
            let echo = Arc::clone(&echo);
            let mut random = Random(seed + asker * 7919);
            tokio::spawn(async move {
                let mut answered = 0;
                for turn in 0..5_000 {
                    let n = asker * 1_000_000 + turn;
                    let mut ask = echo.echoed(n);
                    let mut polls = random.below(4);
                    let dropped = loop {
                        if polls == 0 {
                            break true;
                        }
                        match poll_once(&mut ask).await {
                            Poll::Ready(result) => {
                                assert_eq!(result.expect("it lives"), n);
                                break false;
                            }
                            Poll::Pending => tokio::task::yield_now().await,
                        }
                        polls -= 1;
                    };
                    if dropped && random.below(2) == 0 {
                        assert_eq!(ask.await.expect("it lives"), n);
                        answered += 1;
                    } else if !dropped {
                        answered += 1;
                    }
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for asker in askers {
        answered += asker.await.expect("no reply was another's");
    }
    assert!(answered > 0);
    while echo.mailbox_len() > 0 {
        tokio::task::yield_now().await;
    }
    let gate = Gate::default();
    echo.send(Hold { gate: gate.clone() })
        .await
        .expect("it lives");
    gate.reached().await;
    all_is_well(&echo, &gate).await;
    let stats = echo.mailbox_stats();
    assert!(stats.handled >= answered, "{stats:?}");
}

/// A future that is only ever dropped must be allowed to be dropped anywhere.
fn can_be_sent<F: Future + Send>(_: &F) {}

#[actors_core::test]
async fn futures_can_be_moved_to_other_tasks() {
    let echo = Echo::default().spawn();
    can_be_sent(&echo.echoed(1));
    can_be_sent(&echo.send(Echoed { n: 1 }));
    can_be_sent(&echo.stopped());
    can_be_sent(&echo.echoed(1).post().expect("there is room"));
    let mut events = events();
    can_be_sent(&events.recv());
    can_be_sent(&SpawnOptions::new().start(Echo::default()));
}
