//! What can be seen of actors: snapshots and events.
use crate::gate::Gate;
use actors_core::{
    Actor, ActorInfo, ActorState, Addr, Capacity, Context, DeadLetterReason, Event, Events,
    SpawnOptions, StopReason, Timings, actor_count, actors, events, handlers,
};
use std::time::{Duration, Instant};

#[derive(Actor, Default)]
struct Seen;

#[handlers]
impl Seen {
    fn answer(&mut self, n: u32) -> u32 {
        n
    }

    async fn hold(&mut self, gate: Gate) {
        gate.pass().await;
    }

    fn panic(&mut self) {
        panic!("in sight");
    }

    fn bear(&mut self, ctx: &mut Context<Self>) -> Addr<Self> {
        ctx.spawn(Self)
    }
}

fn info(of: &Addr<Seen>) -> Option<ActorInfo> {
    actors().into_iter().find(|actor| actor.id == of.id())
}

#[actors_core::test]
async fn snapshot_tells_what_an_actor_does() {
    let timings = Timings::measure();
    let began = Instant::now();
    let options = SpawnOptions::new().name("seen").capacity(7);
    let seen = options.spawn(Seen).expect("it starts");
    let info_now = || info(&seen).expect("it lives");
    assert_eq!(info_now().state, ActorState::Starting);

    seen.answer(1).await.expect("it lives");
    let child = seen.bear().await.expect("it lives");
    child.answer(0).await.expect("it lives");
    let found = info_now();
    assert_eq!((found.id, found.name.as_str()), (seen.id(), "seen"));
    assert!(
        found.type_name.ends_with("sight::Seen"),
        "{}",
        found.type_name
    );
    assert_eq!(found.parent, None);
    assert_eq!(found.state, ActorState::Running);
    assert_eq!(found.capacity, Capacity::Bounded(7));
    assert_eq!(found.incarnation, 0);
    assert_eq!((found.message, found.since), (None, None));
    assert_eq!(found.mailbox, seen.mailbox_stats());
    assert_eq!((found.mailbox.accepted, found.mailbox.handled), (2, 2));
    assert_eq!(info(&child).expect("it lives").parent, Some(seen.id()));
    assert!(actor_count() >= 2);

    let gate = Gate::default();
    seen.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    seen.tell(Answer { n: 2 }).expect("there is room");
    gate.reached().await;
    let found = info_now();
    assert!(
        found
            .message
            .is_some_and(|name| name.ends_with("sight::Hold")),
        "{found:?}"
    );
    let since = found.since.expect("timings are measured");
    assert!(began <= since && since <= Instant::now());
    assert_eq!(found.mailbox.waiting, 2);
    assert_eq!(seen.mailbox_len(), 2);
    drop(timings);

    seen.stop();
    gate.open();
    seen.stopped().await;
    assert!(info(&seen).is_none() && info(&child).is_none());
    let ids: Vec<_> = actors().into_iter().map(|actor| actor.id).collect();
    assert!(ids.is_sorted());
}

/// The next event for which `pick` gives something. Other tests' events pass by; if so many came
/// that some were missed, `again` is called to bring about the event once more.
async fn next<T>(
    events: &mut Events,
    mut pick: impl FnMut(Event) -> Option<T>,
    mut again: impl FnMut(),
) -> T {
    loop {
        match events.recv().await {
            Event::Missed(_) => again(),
            event => {
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        }
    }
}

#[actors_core::test]
async fn life_is_told_in_events() {
    let mut events = events();
    let seen = Seen.spawn();
    seen.panic().await.expect_err("it panics");
    seen.stopped().await;
    let (mut told, mut missed) = (Vec::new(), false);
    while let Some(event) = events.try_recv() {
        match event {
            Event::Started {
                actor, incarnation, ..
            } if actor.id() == seen.id() => {
                told.push(format!("started {incarnation}"));
            }
            Event::Stopped { actor, reason, .. } if actor.id() == seen.id() => {
                told.push(reason.to_string());
            }
            Event::Missed(_) => missed = true,
            _ => {}
        }
    }
    assert!(
        missed || told == ["started 0", "panicked: in sight"],
        "{told:?}"
    );
}

#[actors_core::test]
async fn dead_letters_are_told_in_events() {
    let mut events = events();
    let seen = Seen.spawn();
    let gate = Gate::default();
    seen.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    seen.tell(Answer { n: 1 }).expect("there is room");
    seen.kill();
    seen.stopped().await;
    let (mut letters, mut missed) = (Vec::new(), false);
    while let Some(event) = events.try_recv() {
        match event {
            Event::DeadLetter(letter) if letter.target.id() == seen.id() => letters.push(letter),
            Event::Missed(_) => missed = true,
            _ => {}
        }
    }
    if missed && letters.is_empty() {
        return;
    }
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].message.ends_with("sight::Answer"));
    assert_eq!(letters[0].target.name(), "Seen");
    assert!(matches!(
        letters[0].reason,
        DeadLetterReason::Stopped(StopReason::Killed)
    ));
}

#[actors_core::test]
async fn stuck_handler_is_reported() {
    let mut events = events();
    let limit = Duration::from_millis(1);
    let seen = SpawnOptions::new().stuck_after(limit).spawn(Seen);
    let seen = seen.expect("it starts");
    let gate = Gate::default();
    seen.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    let id = seen.id();
    let pick = |event| match event {
        Event::Stuck {
            actor,
            message,
            running,
            ..
        } if actor.id() == id => Some((message, running)),
        _ => None,
    };
    // A report that was missed: the next message is stuck as well.
    let again = || {
        seen.tell(Hold { gate: gate.clone() })
            .expect("there is room");
        gate.open();
    };
    let (message, running) = next(&mut events, pick, again).await;
    assert!(message.ends_with("sight::Hold"), "{message}");
    assert!(running >= limit);
    seen.kill();
    seen.stopped().await;
}
