//! What can be seen of actors: snapshots, events, and what is told to `tracing`.
use crate::gate::Gate;
use actors_core::{
    Actor, ActorInfo, ActorState, Addr, Capacity, Context, DeadLetterReason, Event, Events,
    SpawnOptions, StopReason, Timings, actor_count, actors, events, handlers,
};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Instrument, Level, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

#[derive(Actor, Default)]
struct Seen;

#[handlers]
impl Seen {
    fn answer(&mut self, n: u32) -> u32 {
        tracing::info!("in a handler");
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

    async fn ask_other(&mut self, other: Addr<Self>) -> u32 {
        other.answer(1).await.expect("it lives")
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

/// A span, as it was opened.
#[derive(Clone, Debug)]
struct Opened {
    name: &'static str,
    level: Level,
    fields: String,
    parent: Option<u64>,
    follows: Vec<u64>,
    closed: bool,
}

/// Notes all spans and events of this thread.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    /// In the order in which they were opened.
    spans: Vec<Opened>,
    by_id: HashMap<u64, usize>,
    /// Level, fields, and the index of the span that it lies in.
    events: Vec<(Level, String, Option<usize>)>,
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().expect("nobody panics with it")
    }

    /// The spans of this name, with their numbers.
    fn spans(&self, name: &str) -> Vec<(usize, Opened)> {
        let noted = self.lock();
        let spans = noted.spans.iter().cloned().enumerate();
        spans.filter(|(_, span)| span.name == name).collect()
    }

    /// The one event with this in its fields.
    fn event(&self, with: &str) -> (Level, String, Option<usize>) {
        let noted = self.lock();
        let mut found = noted.events.iter().filter(|event| event.1.contains(with));
        let event = found
            .next()
            .unwrap_or_else(|| panic!("{with}: {:?}", noted.events));
        assert!(found.next().is_none(), "{with} twice: {:?}", noted.events);
        event.clone()
    }
}

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?};"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Notes {
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let mut fields = Fields::default();
        attrs.record(&mut fields);
        let parent = ctx.span(id).and_then(|span| span.parent());
        let mut noted = self.lock();
        let parent = parent.and_then(|parent| noted.by_id.get(&parent.id().into_u64()).copied());
        let at = noted.spans.len();
        noted.by_id.insert(id.into_u64(), at);
        noted.spans.push(Opened {
            name: attrs.metadata().name(),
            level: *attrs.metadata().level(),
            fields: fields.0,
            parent: parent.map(|parent| parent as u64),
            follows: Vec::new(),
            closed: false,
        });
    }

    fn on_record(&self, _id: &Id, _values: &Record<'_>, _ctx: LayerContext<'_, S>) {}

    fn on_follows_from(&self, id: &Id, follows: &Id, _ctx: LayerContext<'_, S>) {
        let mut noted = self.lock();
        let (Some(&at), Some(&of)) = (
            noted.by_id.get(&id.into_u64()),
            noted.by_id.get(&follows.into_u64()),
        ) else {
            return;
        };
        noted.spans[at].follows.push(of as u64);
    }

    fn on_event(&self, event: &tracing::Event<'_>, ctx: LayerContext<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = ctx.event_span(event).map(|span| span.id().into_u64());
        let mut noted = self.lock();
        let span = span.and_then(|span| noted.by_id.get(&span).copied());
        noted
            .events
            .push((*event.metadata().level(), fields.0, span));
    }

    fn on_close(&self, id: Id, _ctx: LayerContext<'_, S>) {
        let mut noted = self.lock();
        if let Some(at) = noted.by_id.remove(&id.into_u64()) {
            noted.spans[at].closed = true;
        }
    }
}

/// Notes what this thread does until the guard is dropped.
fn note() -> (Notes, tracing::subscriber::DefaultGuard) {
    let notes = Notes::default();
    let subscriber = tracing_subscriber::registry().with(notes.clone());
    (notes, tracing::subscriber::set_default(subscriber))
}

#[actors_core::test(flavor = "current_thread")]
async fn spans_of_lives_and_messages_are_linked() {
    let (notes, _guard) = note();
    let seen = SpawnOptions::new()
        .name("traced")
        .spawn(Seen)
        .expect("it starts");
    let caller = tracing::info_span!("caller");
    let (asked, told) = async { (seen.answer(1).await, seen.tell(Answer { n: 2 })) }
        .instrument(caller.clone())
        .await;
    asked.expect("it lives");
    told.expect("there is room");
    // Sent from nowhere.
    seen.answer(3).await.expect("it lives");
    let at = notes.spans("caller")[0].0 as u64;

    let lives = notes.spans("actor");
    assert_eq!(lives.len(), 1, "{lives:?}");
    assert!(
        lives[0].1.fields.contains(&format!("traced{}", seen.id())),
        "{lives:?}"
    );
    assert_eq!(lives[0].1.level, Level::INFO);
    assert!(!lives[0].1.closed);

    let handled = notes.spans("handle");
    let answers: Vec<_> = handled
        .iter()
        .filter(|span| span.1.fields.contains("Answer"))
        .collect();
    assert_eq!(answers.len(), 3, "{handled:?}");
    assert!(
        answers
            .iter()
            .all(|span| span.1.level == Level::DEBUG && span.1.closed)
    );
    let links = |n: usize| (answers[n].1.parent, answers[n].1.follows.as_slice());
    assert_eq!(
        links(0),
        (Some(at), [].as_slice()),
        "an ask is a part of what its asker does"
    );
    assert_eq!(
        links(1),
        (None, [at].as_slice()),
        "a tell is a consequence of it"
    );
    assert_eq!(links(2), (None, [].as_slice()));
    // What a handler says lies in the span of its message.
    let said: Vec<_> = notes.lock().events.iter().map(|event| event.2).collect();
    assert_eq!(
        said,
        answers.iter().map(|span| Some(span.0)).collect::<Vec<_>>()
    );

    seen.stop();
    seen.stopped().await;
    tokio::task::yield_now().await;
    drop((seen, caller));
    assert!(notes.spans("actor")[0].1.closed, "its life is over");
    assert!(notes.lock().by_id.is_empty(), "a span was left open");
}

#[actors_core::test(flavor = "current_thread")]
async fn ask_inside_of_a_handler_is_a_part_of_it() {
    let (notes, _guard) = note();
    let (first, second) = (Seen.spawn(), Seen.spawn());
    first.ask_other(second).await.expect("it lives");
    let handled = notes.spans("handle");
    let find = |message: &str| {
        let mut found = handled
            .iter()
            .filter(|span| span.1.fields.contains(message));
        found
            .next()
            .unwrap_or_else(|| panic!("{message}: {handled:?}"))
    };
    let (outer, inner) = (find("AskOther"), find("Answer"));
    assert_eq!(inner.1.parent, Some(outer.0 as u64));
}

#[actors_core::test(flavor = "current_thread")]
async fn panics_and_dead_letters_are_told_to_tracing() {
    let (notes, _guard) = note();
    let seen = SpawnOptions::new()
        .name("loud")
        .spawn(Seen)
        .expect("it starts");
    let panicking = seen.panic().post().expect("there is room");
    seen.tell(Answer { n: 1 }).expect("there is room");
    panicking.await.expect_err("it panics");
    seen.stopped().await;
    let name = format!("actor=loud{}", seen.id());
    let (level, fields, _) = notes.event("message=panicked");
    assert_eq!(level, Level::ERROR);
    assert!(
        fields.contains(&name) && fields.contains("text=in sight"),
        "{fields}"
    );
    let (level, fields, _) = notes.event("message=dead letter");
    assert_eq!(level, Level::WARN);
    assert!(
        fields.contains(&name) && fields.contains("sight::Answer"),
        "{fields}"
    );
    assert!(
        fields.contains("reason=the actor panicked: in sight"),
        "{fields}"
    );
}
