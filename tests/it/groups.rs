//! Groups: one address for several actors, who join and leave with their life.
use crate::kit::{Log, Note, Rng, Run, Worker, held, once, run, soon, stop, with};
use actors_core::{
    Addr, AskError, Group, NoReplyReason, Recipient, SendError, SpawnOptions, TellError,
};
use futures_util::future::{join, join_all};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Workers that hold one message each, the first `held` of them in a handler.
fn workers(n: usize, capacity: usize) -> Vec<(Addr<Worker>, Log)> {
    let options = SpawnOptions::new().capacity(capacity);
    (0..n)
        .map(|_| Worker::logged_with(options.clone()))
        .collect()
}

fn joined(group: Group<Note>, workers: &[(Addr<Worker>, Log)]) -> Group<Note> {
    for (worker, _) in workers {
        assert!(group.join(worker.recipient()));
    }
    group
}

fn logs(workers: &[(Addr<Worker>, Log)]) -> Vec<Vec<u32>> {
    workers.iter().map(|(_, log)| log.all()).collect()
}

fn ids(group: &Group<Note>) -> BTreeSet<u64> {
    let members = group.members();
    members.iter().map(|member| member.id().get()).collect()
}

/// Waits until all that was sent before is handled.
async fn settle(workers: &[(Addr<Worker>, Log)]) {
    for (worker, _) in workers {
        soon(worker.ask(run(async {}))).await.expect("it lives");
    }
}

#[actors_core::test]
async fn messages_go_round() {
    let workers = workers(3, 8);
    let group = joined(Group::round_robin(), &workers);
    assert_eq!((group.len(), group.is_empty()), (3, false));
    group.tell(Note(0)).expect("there is room");
    assert_eq!(soon(group.ask(Note(1))).await.expect("it lives"), 1);
    soon(group.send(Note(2))).await.expect("there is room");
    let posted = group.ask(Note(3)).post().expect("there is room");
    assert_eq!(soon(posted).await.expect("it lives"), 3);
    let tried = group.try_ask(Note(4)).expect("there is room");
    assert_eq!(soon(tried).await.expect("it lives"), 4);
    settle(&workers).await;
    assert_eq!(logs(&workers), [vec![0, 3], vec![1, 4], vec![2]]);
}

#[actors_core::test]
async fn one_that_is_full_is_passed_over() {
    let workers = workers(3, 1);
    let group = joined(Group::round_robin(), &workers);
    let gate = held(&workers[1].0).await;
    workers[1].0.tell(Note(100)).expect("there is room");
    for n in 0..8 {
        let asked = soon(group.ask(Note(n))).await.expect("one has room");
        assert_eq!(asked, n);
    }
    gate.open();
    settle(&workers).await;
    let logs = logs(&workers);
    assert_eq!(logs[1], [100], "it was full");
    assert_eq!(logs[0].len() + logs[2].len(), 8);
    assert!(logs[0].len() >= 3 && logs[2].len() >= 3, "{logs:?}");
}

#[actors_core::test]
async fn when_all_are_full_the_message_comes_back_or_waits() {
    let workers = workers(2, 1);
    let group = joined(Group::round_robin(), &workers);
    let gates = [held(&workers[0].0).await, held(&workers[1].0).await];
    group.tell(Note(1)).expect("there is room");
    group.tell(Note(2)).expect("there is room");
    assert_eq!(group.tell(Note(3)), Err(TellError::Full(Note(3))));
    let refused = group.try_ask(Note(4)).expect_err("all are full");
    assert_eq!(refused, TellError::Full(Note(4)));
    let refused = group.ask(Note(5)).post().expect_err("all are full");
    assert!(matches!(refused, AskError::Full));

    let mut ask = group.ask(Note(6));
    assert!(once(&mut ask).await.is_pending());
    let mut send = Box::pin(group.send(Note(7)));
    assert!(once(&mut send).await.is_pending());
    let mut dropped = group.ask(Note(8));
    assert!(once(&mut dropped).await.is_pending());
    drop(dropped);
    gates.iter().for_each(crate::kit::Gate::open);
    assert_eq!(soon(ask).await.expect("it lives"), 6);
    soon(send).await.expect("it lives");
    settle(&workers).await;
    let all: BTreeSet<u32> = logs(&workers).concat().into_iter().collect();
    assert_eq!(all, BTreeSet::from([1, 2, 6, 7]));
}

#[actors_core::test]
async fn who_waits_for_room_at_one_that_stops_goes_to_another() {
    let workers = workers(2, 1);
    let group = joined(Group::round_robin(), &workers);
    let mut gates = Vec::new();
    for (worker, _) in &workers {
        gates.push(held(worker).await);
        worker.tell(Note(0)).expect("there is room");
    }
    // One waits for each.
    let mut asks = [group.ask(Note(1)), group.ask(Note(2))];
    for ask in &mut asks {
        assert!(once(ask).await.is_pending());
    }
    let mut sends = [Box::pin(group.send(Note(3))), Box::pin(group.send(Note(4)))];
    for send in &mut sends {
        assert!(once(send).await.is_pending());
    }
    workers[0].0.stop();
    gates[0].open();
    soon(workers[0].0.stopped()).await;
    gates[1].open();
    // Together: room is granted in turn, also to one that does not look at it.
    let (asked, sent) = soon(join(join_all(asks), join_all(sends))).await;
    let asked: Result<Vec<u32>, AskError> = asked.into_iter().collect();
    assert_eq!(asked.expect("one lives"), [1, 2]);
    assert!(sent.into_iter().all(|sent| sent.is_ok()));
    settle(&workers[1..]).await;
    let mut log = workers[1].1.all();
    log.sort_unstable();
    assert_eq!(log, [0, 1, 2, 3, 4]);
}

#[actors_core::test]
async fn nobody_is_there() {
    let group = Group::<Note>::round_robin();
    assert!(group.is_empty());
    assert_eq!(group.tell(Note(1)), Err(TellError::Closed(Note(1))));
    let refused = group.try_ask(Note(2)).expect_err("nobody is there");
    assert_eq!(refused, TellError::Closed(Note(2)));
    let refused = soon(group.ask(Note(3))).await;
    assert!(matches!(refused, Err(AskError::Closed)), "{refused:?}");
    let refused = group.ask(Note(3)).post();
    assert!(matches!(refused, Err(AskError::Closed)));
    let refused = soon(group.send(Note(4))).await;
    assert_eq!(refused, Err(SendError::Closed(Note(4))));
    let sent = group.broadcast(&Note(5));
    assert_eq!((sent.accepted, sent.refused), (0, 0));
    assert!(group.ask_all(&Note(6)).is_empty());
    let stopped = Worker::logged().0;
    stop(&stopped).await;
    assert!(!group.join(stopped.recipient()));
    assert!(group.is_empty());
    assert!(!group.leave(stopped.id()));
}

#[actors_core::test]
async fn the_one_with_the_least_mail_is_chosen() {
    let workers = workers(3, 16);
    let group = joined(Group::least_loaded(), &workers);
    let mut gates = Vec::new();
    for (worker, _) in &workers {
        gates.push(held(worker).await);
    }
    for (n, (worker, _)) in [5_u32, 2, 3].into_iter().zip(&workers) {
        (0..n).for_each(|_| worker.tell(Note(0)).expect("there is room"));
    }
    group.tell(Note(1)).expect("there is room");
    // Now the second and the third have three each; then one of them has four.
    group.tell(Note(2)).expect("there is room");
    group.tell(Note(3)).expect("there is room");
    gates.iter().for_each(crate::kit::Gate::open);
    settle(&workers).await;
    let logs = logs(&workers);
    assert_eq!(logs[0], [0; 5]);
    assert!(logs[1].contains(&1), "{logs:?}");
    assert_eq!((logs[1].len(), logs[2].len()), (4, 4), "{logs:?}");
}

#[actors_core::test]
async fn of_the_least_loaded_a_full_one_is_passed_over() {
    let (small, small_log) = Worker::logged_with(SpawnOptions::new().capacity(1));
    let (large, large_log) = Worker::logged_with(SpawnOptions::new().capacity(8));
    let group = joined(
        Group::least_loaded(),
        &[
            (small.clone(), small_log.clone()),
            (large.clone(), large_log.clone()),
        ],
    );
    let gates = [held(&small).await, held(&large).await];
    small.tell(Note(0)).expect("there is room");
    (0..4).for_each(|_| large.tell(Note(0)).expect("there is room"));
    group.tell(Note(1)).expect("the large one has room");
    gates.iter().for_each(crate::kit::Gate::open);
    settle(&[(small, small_log.clone()), (large, large_log.clone())]).await;
    assert_eq!((small_log.len(), large_log.len()), (1, 5));
}

/// Which worker each of the keys goes to.
async fn places(group: &Group<Note>, keys: u32) -> BTreeMap<u32, u64> {
    let mut places = BTreeMap::new();
    for key in 0..keys {
        let before: BTreeMap<u64, u64> = handled(group);
        soon(group.ask(Note(key))).await.expect("it lives");
        let after = handled(group);
        let grown = after.iter().filter(|(id, n)| before.get(id) != Some(n));
        let grown: Vec<u64> = grown.map(|(id, _)| *id).collect();
        assert_eq!(grown.len(), 1, "one member handles it");
        places.insert(key, grown[0]);
    }
    places
}

fn handled(group: &Group<Note>) -> BTreeMap<u64, u64> {
    let infos = actors_core::actors();
    let members = ids(group);
    let infos = infos.into_iter();
    infos
        .filter(|info| members.contains(&info.id.get()))
        .map(|info| (info.id.get(), info.mailbox.accepted))
        .collect()
}

#[actors_core::test]
async fn keys_stay_with_their_member() {
    const KEYS: u32 = 120;
    let workers = workers(4, 64);
    let group = joined(Group::by_key(|note: &Note| note.0), &workers);
    let before = places(&group, KEYS).await;
    assert_eq!(places(&group, KEYS).await, before, "the same again");
    let used: BTreeSet<u64> = before.values().copied().collect();
    assert_eq!(used.len(), 4, "all have keys");
    for id in &used {
        let share = before.values().filter(|place| *place == id).count();
        assert!((8..=60).contains(&share), "{share} of {KEYS} keys at {id}");
    }

    let (new, _) = Worker::logged();
    assert!(group.join(new.recipient()));
    let joined = places(&group, KEYS).await;
    let moved: Vec<u32> = (0..KEYS).filter(|key| joined[key] != before[key]).collect();
    assert!(moved.iter().all(|key| joined[key] == new.id().get()));
    assert!(
        (4..=60).contains(&moved.len()),
        "{} keys moved",
        moved.len()
    );

    stop(&new).await;
    assert_eq!(places(&group, KEYS).await, before, "as it was without it");
    assert!(group.leave(workers[0].0.id()));
    let left = places(&group, KEYS).await;
    for key in 0..KEYS {
        let was_there = before[&key] == workers[0].0.id().get();
        assert_eq!(left[&key] != before[&key], was_there, "key {key}");
    }
}

#[actors_core::test]
async fn a_key_waits_for_its_own_member() {
    let workers = workers(2, 1);
    let group = joined(Group::by_key(|_: &Note| "one key"), &workers);
    soon(group.ask(Note(0))).await.expect("it lives");
    let owner = usize::from(workers[1].1.len() == 1);
    let gate = held(&workers[owner].0).await;
    group.tell(Note(1)).expect("there is room");
    assert_eq!(group.tell(Note(2)), Err(TellError::Full(Note(2))));
    let mut ask = group.ask(Note(3));
    assert!(once(&mut ask).await.is_pending(), "the other has room");
    gate.open();
    assert_eq!(soon(ask).await.expect("it lives"), 3);
    assert_eq!(workers[owner].1.all(), [0, 1, 3]);
    assert_eq!(workers[1 - owner].1.len(), 0);
    // Its key goes to the other while it stops, not only once it has.
    let gate = held(&workers[owner].0).await;
    workers[owner].0.stop();
    assert_eq!(soon(group.ask(Note(4))).await.expect("one lives"), 4);
    assert_eq!(workers[1 - owner].1.all(), [4]);
    gate.open();
}

#[actors_core::test]
async fn all_are_told_and_asked() {
    let workers = workers(3, 2);
    let group = joined(Group::round_robin(), &workers);
    let gate = held(&workers[0].0).await;
    workers[0].0.tell(Note(0)).expect("there is room");
    workers[0].0.tell(Note(0)).expect("there is room");
    let sent = group.broadcast(&Note(1));
    assert_eq!((sent.accepted, sent.refused), (2, 1));
    let mut asked = group.ask_all(&Note(2));
    assert!(matches!(asked.remove(0), Err(AskError::Full)));
    for reply in asked {
        let reply = reply.expect("there is room");
        assert_eq!(soon(reply).await.expect("it lives"), 2);
    }
    gate.open();
    settle(&workers).await;
    assert_eq!(logs(&workers), [vec![0, 0], vec![1, 2], vec![1, 2]]);
}

#[actors_core::test]
async fn members_leave_with_their_life() {
    let group = Group::<Note>::round_robin();
    let ends: [fn(&Addr<Worker>); 5] = [
        |worker| worker.stop(),
        |worker| worker.stop_now(),
        |worker| worker.kill(),
        |worker| {
            let told = worker.tell(run::<()>(async { panic!("as told") }));
            assert!(told.is_ok());
        },
        |worker| {
            let told = worker.tell(with(|ctx| Box::pin(async move { ctx.fail("as told") })));
            assert!(told.is_ok());
        },
    ];
    let (stays, _) = Worker::logged();
    assert!(group.join(stays.recipient()));
    for (n, end) in ends.into_iter().enumerate() {
        let (worker, _) = Worker::logged();
        assert!(group.join(worker.recipient()));
        assert!(group.join(worker.recipient()), "again changes nothing");
        assert_eq!(group.len(), 2);
        end(&worker);
        soon(worker.stopped()).await;
        assert_eq!(ids(&group), BTreeSet::from([stays.id().get()]), "case {n}");
    }
    // One that left before its end can be a member again, once.
    let (worker, log) = Worker::logged();
    for _ in 0..3 {
        assert!(group.join(worker.recipient()));
        assert!(group.leave(worker.id()));
        assert!(!group.leave(worker.id()));
    }
    assert!(group.join(worker.recipient()));
    assert_eq!(group.broadcast(&Note(7)).accepted, 2);
    stop(&worker).await;
    assert_eq!((group.len(), log.all()), (1, vec![7]));
}

#[actors_core::test]
async fn a_membership_keeps_its_actor() {
    let group = Group::<Note>::round_robin();
    let other_handle = group.clone();
    let (worker, log) = Worker::logged();
    let weak = worker.downgrade();
    let ends = |recipient: Recipient<Run<()>>| async move { soon(recipient.stopped()).await };
    assert!(group.join(worker.recipient()));
    drop(worker);
    for n in 0..3 {
        soon(group.ask(Note(n))).await.expect("the group keeps it");
    }
    let again = weak.upgrade().expect("it lives");
    // To wait for its end without an address of it is what `events` are for; here a task holds the
    // last one, and lets go of it once the group has.
    let id = again.id();
    drop(again);
    drop(group);
    soon(other_handle.ask(Note(3)))
        .await
        .expect("a handle is left");
    assert!(other_handle.leave(id));
    while weak.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.len(), 4);

    let (worker, _) = Worker::logged();
    let weak = worker.downgrade();
    assert!(other_handle.join(worker.recipient()));
    drop(worker);
    tokio::task::yield_now().await;
    assert!(weak.upgrade().is_some());
    drop(other_handle);
    while weak.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
    let (worker, _) = Worker::logged();
    let end = tokio::spawn(ends(worker.recipient()));
    worker.stop();
    assert!(soon(end).await.expect("no panic").is_normal());
}

#[actors_core::test(start_paused = true)]
async fn a_timeout_counts_from_the_first_poll() {
    let workers = workers(2, 1);
    let group = Group::<Run<Option<Instant>>>::round_robin();
    for (worker, _) in &workers {
        assert!(group.join(worker.recipient()));
    }
    let limit = Duration::from_secs(7);
    // One that runs and ends in time, with the deadline that the handler inherits.
    let began = Instant::now();
    let ask = group.ask(run(async { None })).timeout(limit);
    soon(ask).await.expect("it is in time");
    let hangs = || run(std::future::pending::<Option<Instant>>());
    let ended = soon(group.ask(hangs()).timeout(limit)).await;
    assert!(matches!(
        ended,
        Err(AskError::TimedOut {
            may_have_run: true,
            ..
        })
    ));
    assert_eq!(began.elapsed(), limit);
    let ended = soon(group.ask(hangs()).timeout(limit)).await;
    assert!(matches!(
        ended,
        Err(AskError::TimedOut {
            may_have_run: true,
            ..
        })
    ));

    // Both hang; one message waits at each; then all are full.
    for _ in 0..2 {
        group.tell(hangs()).expect("there is room");
    }
    let began = Instant::now();
    let ended = soon(group.ask(hangs()).timeout(limit)).await;
    assert!(
        matches!(
            ended,
            Err(AskError::TimedOut {
                may_have_run: false,
                ..
            })
        ),
        "{ended:?}"
    );
    assert_eq!(began.elapsed(), limit);
    let posted = group.ask(hangs()).timeout(limit).post();
    assert!(matches!(posted, Err(AskError::Full)));
    for (worker, _) in &workers {
        worker.kill();
        soon(worker.stopped()).await;
    }
    let late = soon(group.ask(hangs()).timeout(limit)).await;
    assert!(matches!(late, Err(AskError::Closed)));
}

#[actors_core::test(start_paused = true)]
async fn a_posted_ask_has_a_timeout_too_and_its_handler_a_deadline() {
    let (worker, _) = Worker::logged();
    let group = Group::round_robin();
    assert!(group.join(worker.recipient()));
    let limit = Duration::from_secs(3);
    let began = Instant::now();
    for posted in [true, false] {
        let deadline = with(|ctx| {
            let deadline = ctx.deadline();
            Box::pin(async move { deadline })
        });
        let ask = group.ask(deadline).timeout(limit);
        let deadline = match posted {
            true => soon(ask.post().expect("there is room")).await,
            false => soon(ask).await,
        };
        let deadline = deadline.expect("it lives").expect("there is one");
        assert_eq!(deadline, began + limit, "posted: {posted}");
    }
    let hangs = with(|_| Box::pin(std::future::pending::<Option<Instant>>()));
    let reply = group
        .ask(hangs)
        .timeout(limit)
        .post()
        .expect("there is room");
    let ended = soon(reply).await;
    assert!(matches!(
        ended,
        Err(AskError::TimedOut {
            may_have_run: true,
            ..
        })
    ));
    assert_eq!(began.elapsed(), limit);
    worker.kill();
}

#[actors_core::test]
async fn an_ask_to_oneself_through_a_group_is_a_circle() {
    let (worker, _) = Worker::logged();
    let group = Group::<Note>::round_robin();
    assert!(group.join(worker.recipient()));
    let inside = group.clone();
    let asked = worker.ask(run(async move { inside.ask(Note(1)).await }));
    let asked = soon(asked).await.expect("it lives");
    assert!(matches!(asked, Err(AskError::Deadlock { .. })), "{asked:?}");
    // With somebody else in the group it is none.
    let (other, _) = Worker::logged();
    assert!(group.join(other.recipient()));
    let inside = group.clone();
    let to_other = run(async move {
        let asked = [inside.ask(Note(2)).await, inside.ask(Note(3)).await];
        asked.map(|asked| matches!(asked, Err(AskError::Deadlock { .. })))
    });
    let circles = soon(worker.ask(to_other)).await.expect("it lives");
    assert_eq!(circles.iter().filter(|circle| **circle).count(), 1);
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_may_wait_for_a_group() {
    let (worker, _) = Worker::logged_with(SpawnOptions::new().capacity(1));
    let group = Group::<Note>::round_robin();
    assert!(group.join(worker.recipient()));
    let refused = group.ask(Note(0)).wait();
    assert!(matches!(refused, Err(AskError::WouldBlock)));
    let waiting = group.clone();
    let asked = std::thread::spawn(move || waiting.ask(Note(1)).wait());
    let asked = tokio::task::spawn_blocking(|| asked.join());
    let asked = soon(asked).await.expect("no panic").expect("no panic");
    assert_eq!(asked.expect("it lives"), 1);

    let gate = held(&worker).await;
    worker.tell(Note(2)).expect("there is room");
    let waiting = group.clone();
    let limit = Duration::from_millis(20);
    let asked = std::thread::spawn(move || waiting.ask(Note(3)).timeout(limit).wait());
    let asked = tokio::task::spawn_blocking(|| asked.join());
    let asked = soon(asked).await.expect("no panic").expect("no panic");
    assert!(matches!(asked, Err(AskError::TimedOut { .. })), "{asked:?}");
    gate.open();
}

#[actors_core::test]
async fn an_ask_that_was_never_polled_sends_nothing() {
    let workers = workers(1, 4);
    let group = joined(Group::round_robin(), &workers);
    drop(group.ask(Note(1)));
    drop(group.send(Note(2)));
    let mut ask = group.ask(Note(3));
    // Polled once it lies in the mailbox; dropped, it is withdrawn.
    assert!(once(&mut ask).await.is_pending());
    drop(ask);
    settle(&workers).await;
    assert_eq!(logs(&workers), [Vec::<u32>::new()]);
    assert_eq!(workers[0].0.mailbox_stats().withdrawn, 1);
}

/// Members come and go in every way while others ask: each ask ends, and as one member always
/// lives, none finds nobody. What was accepted by tell was handled or died with a member.
#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn asks_end_while_members_come_and_go() {
    let mut rng = Rng::seeded();
    for group in [
        Group::<Note>::round_robin(),
        Group::least_loaded(),
        Group::by_key(|note: &Note| note.0),
    ] {
        let (stays, _) = Worker::logged_with(SpawnOptions::new().capacity(2));
        assert!(group.join(stays.recipient()));
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(AtomicU64::new(0));
        let askers: Vec<_> = (0..4)
            .map(|_| {
                let (group, over) = (group.clone(), Arc::clone(&over));
                let (ended, mut rng) = (Arc::clone(&ended), Rng::from(rng.below(u64::MAX)));
                tokio::spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        let n = u32::try_from(rng.below(1 << 20)).expect("it is small");
                        match soon(group.ask(Note(n))).await {
                            Ok(answer) => assert_eq!(answer, n),
                            Err(AskError::NoReply {
                                reason: NoReplyReason::Stopped(_),
                                ..
                            }) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                        soon(group.send(Note(n))).await.expect("one member lives");
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let mut members: Vec<Addr<Worker>> = Vec::new();
        while ended.load(Ordering::Relaxed) < 2_000 {
            match rng.below(4) {
                0 | 1 if members.len() < 8 => {
                    let (worker, _) = Worker::logged_with(SpawnOptions::new().capacity(2));
                    assert!(group.join(worker.recipient()));
                    members.push(worker);
                }
                2 if !members.is_empty() => {
                    let at = usize::try_from(rng.below(members.len() as u64)).expect("small");
                    let member = members.swap_remove(at);
                    match rng.below(3) {
                        0 => member.kill(),
                        1 => member.stop_now(),
                        _ => member.stop(),
                    }
                    soon(member.stopped()).await;
                    assert!(!ids(&group).contains(&member.id().get()));
                }
                _ => tokio::task::yield_now().await,
            }
        }
        over.store(true, Ordering::Relaxed);
        for asker in askers {
            soon(asker).await.expect("each ask has ended as it should");
        }
        for member in members {
            stop(&member).await;
        }
        assert_eq!(ids(&group), BTreeSet::from([stays.id().get()]));
    }
}
