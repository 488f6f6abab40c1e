//! What is told to `tracing`: spans of lives and of messages, and events. In a process of its own,
//! since whether a span is wanted is known to a process, not to a test: all share one subscriber.
#![allow(
    unreachable_pub,
    reason = "what the macros write beside a private actor is private too"
)]
use actors_core::{Actor, Addr, Context, SpawnOptions, handlers};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future;
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Instrument, Level, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

#[derive(Actor, Default)]
struct Seen;

#[handlers]
impl Seen {
    fn answer(&mut self, n: u32, ctx: &mut Context<Self>) -> u32 {
        tracing::info!(actor = name_of(&ctx.addr()), n, "in a handler");
        n
    }

    async fn hold(&mut self) {
        future::pending().await
    }

    fn panic(&mut self) {
        panic!("in sight");
    }

    async fn ask_other(&mut self, other: Addr<Self>) -> u32 {
        other.answer(1).await.expect("it lives")
    }
}

/// What this actor is called in spans and events, like `Seen#12`. No other actor is.
fn name_of(seen: &Addr<Seen>) -> String {
    format!("{}{}", seen.name(), seen.id())
}

/// A span or an event, with its fields by their names.
#[derive(Clone, Debug)]
struct Note {
    level: Level,
    fields: BTreeMap<&'static str, String>,
    /// The number of the span that it lies in.
    parent: Option<usize>,
}

impl Note {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn is_of(&self, actor: &str) -> bool {
        self.field("actor") == actor
    }
}

/// A span, and what became of it.
#[derive(Clone, Debug)]
struct Opened {
    name: &'static str,
    note: Note,
    /// The numbers of the spans that it follows from.
    follows: Vec<usize>,
    closed: bool,
}

#[derive(Default)]
struct Noted {
    /// In the order in which they were opened; a span's number is its place here.
    spans: Vec<Opened>,
    /// The numbers of those that are open.
    open: HashMap<u64, usize>,
    events: Vec<Note>,
}

/// All spans and events of this process, from all tests: each looks for its own actors.
#[derive(Default)]
struct Notes {
    noted: Mutex<Noted>,
    told: Notify,
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().expect("nobody panics with it")
    }

    /// The spans with this name that are of this actor, with their numbers.
    fn spans(&self, name: &str, actor: &str) -> Vec<(usize, Opened)> {
        let noted = self.lock();
        let spans = noted.spans.iter().cloned().enumerate();
        spans
            .filter(|(_, span)| span.name == name && span.note.is_of(actor))
            .collect()
    }

    /// The spans in which this actor has handled messages of this type, with their numbers.
    fn handled(&self, message: &str, actor: &str) -> Vec<(usize, Opened)> {
        let mut handled = self.spans("handle", actor);
        handled.retain(|(_, span)| span.note.field("message") == message);
        handled
    }

    /// The spans of this actor that are not closed.
    fn open(&self, actor: &str) -> Vec<Opened> {
        let noted = self.lock();
        let open = noted.spans.iter().filter(|span| !span.closed);
        open.filter(|span| span.note.is_of(actor))
            .cloned()
            .collect()
    }

    /// The events of this actor: those that name it, and those that lie in one of its spans.
    fn events(&self, actor: &str) -> Vec<Note> {
        let noted = self.lock();
        let is_own = |event: &&Note| {
            let span = event.parent.map(|at| &noted.spans[at].note);
            event.is_of(actor) || span.is_some_and(|span| span.is_of(actor))
        };
        noted.events.iter().filter(is_own).cloned().collect()
    }

    /// The one event of this actor that says this.
    fn event(&self, actor: &str, message: &str) -> Note {
        let mut found = self.events(actor);
        found.retain(|event| event.field("message") == message);
        assert_eq!(found.len(), 1, "{message}: {found:?}");
        found.remove(0)
    }

    /// Waits until something was said of this actor.
    async fn told(&self, actor: &str) {
        loop {
            let told = self.told.notified();
            if !self.events(actor).is_empty() {
                return;
            }
            told.await;
        }
    }
}

/// Notes what happens, from now on until the process ends. Each test begins with it, so that
/// nothing is decided about spans before there is somebody who wants them.
fn notes() -> &'static Notes {
    static NOTES: OnceLock<&'static Notes> = OnceLock::new();
    NOTES.get_or_init(|| {
        let notes = Box::leak(Box::default());
        let subscriber = tracing_subscriber::registry()
            .with(Noting(notes))
            .with(LevelFilter::DEBUG);
        tracing::subscriber::set_global_default(subscriber).expect("there is no other");
        notes
    })
}

thread_local! {
    /// Entering a span panics on this thread.
    static ENTERING_PANICS: Cell<bool> = const { Cell::new(false) };
}

/// Writes the notes.
struct Noting(&'static Notes);

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Noting {
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let mut fields = Fields::default();
        attrs.record(&mut fields);
        let parent = ctx.span(id).and_then(|span| span.parent());
        let mut noted = self.0.lock();
        let parent = parent.map(|parent| noted.open[&parent.id().into_u64()]);
        let at = noted.spans.len();
        noted.open.insert(id.into_u64(), at);
        noted.spans.push(Opened {
            name: attrs.metadata().name(),
            note: Note {
                level: *attrs.metadata().level(),
                fields: fields.0,
                parent,
            },
            follows: Vec::new(),
            closed: false,
        });
    }

    fn on_enter(&self, _id: &Id, _ctx: LayerContext<'_, S>) {
        assert!(!ENTERING_PANICS.get(), "a subscriber that panics");
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _ctx: LayerContext<'_, S>) {
        let mut noted = self.0.lock();
        let at = noted.open[&id.into_u64()];
        let of = noted.open[&follows.into_u64()];
        noted.spans[at].follows.push(of);
    }

    fn on_event(&self, event: &tracing::Event<'_>, ctx: LayerContext<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = ctx.event_span(event).map(|span| span.id().into_u64());
        let mut noted = self.0.lock();
        let parent = span.map(|span| noted.open[&span]);
        noted.events.push(Note {
            level: *event.metadata().level(),
            fields: fields.0,
            parent,
        });
        drop(noted);
        self.0.told.notify_waiters();
    }

    fn on_close(&self, id: Id, _ctx: LayerContext<'_, S>) {
        let mut noted = self.0.lock();
        if let Some(at) = noted.open.remove(&id.into_u64()) {
            noted.spans[at].closed = true;
        }
    }
}

// One thread, so that what an actor does at the end of its turn is done when the test goes on.
#[actors_core::test(flavor = "current_thread")]
async fn spans_of_lives_and_messages_are_linked() {
    let notes = notes();
    let seen = SpawnOptions::new()
        .name("traced")
        .spawn(Seen)
        .expect("it starts");
    let name = name_of(&seen);
    assert_eq!(name, format!("traced{}", seen.id()));
    let caller = tracing::info_span!("caller", actor = name);
    let (asked, told) = async { (seen.answer(1).await, seen.tell(Answer { n: 2 })) }
        .instrument(caller.clone())
        .await;
    asked.expect("it lives");
    told.expect("there is room");
    // Sent from nowhere.
    seen.answer(3).await.expect("it lives");
    let at = notes.spans("caller", &name)[0].0;

    let lives = notes.spans("actor", &name);
    assert_eq!(lives.len(), 1, "{lives:?}");
    assert_eq!(lives[0].1.note.level, Level::INFO);
    assert!(!lives[0].1.closed);

    let answers = notes.handled("tracing::Answer", &name);
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|(_, span)| span.note.level == Level::DEBUG && span.closed),
        "{answers:?}"
    );
    let links = |n: usize| (answers[n].1.note.parent, answers[n].1.follows.as_slice());
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
    let events = notes.events(&name);
    let said: Vec<_> = events
        .iter()
        .map(|event| (event.field("message"), event.field("n"), event.parent))
        .collect();
    let in_span = |n: usize| Some(answers[n].0);
    assert_eq!(
        said,
        [
            ("in a handler", "1", in_span(0)),
            ("in a handler", "2", in_span(1)),
            ("in a handler", "3", in_span(2))
        ]
    );

    seen.stop();
    seen.stopped().await;
    tokio::task::yield_now().await;
    drop((seen, caller));
    assert!(notes.spans("actor", &name)[0].1.closed, "its life is over");
    let open = notes.open(&name);
    assert!(open.is_empty(), "left open: {open:?}");
}

#[actors_core::test(flavor = "current_thread")]
async fn ask_inside_of_a_handler_is_a_part_of_it() {
    let notes = notes();
    let (first, second) = (Seen.spawn(), Seen.spawn());
    let names = (name_of(&first), name_of(&second));
    first.ask_other(second).await.expect("it lives");
    let outer = notes.handled("tracing::AskOther", &names.0);
    let inner = notes.handled("tracing::Answer", &names.1);
    let ([(outer, _)], [(_, inner)]) = (&outer[..], &inner[..]) else {
        panic!("not one of each: {outer:?} {inner:?}");
    };
    assert_eq!(inner.note.parent, Some(*outer));
}

#[actors_core::test(flavor = "current_thread")]
async fn subscriber_that_panics_costs_no_message() {
    notes();
    let seen = Seen.spawn();
    ENTERING_PANICS.set(true);
    let answers = [seen.answer(1).await, seen.answer(2).await];
    ENTERING_PANICS.set(false);
    assert_eq!(answers.map(Result::ok), [Some(1), Some(2)]);
}

#[actors_core::test(flavor = "current_thread")]
async fn panics_and_dead_letters_are_told_to_tracing() {
    let notes = notes();
    let seen = SpawnOptions::new()
        .name("loud")
        .spawn(Seen)
        .expect("it starts");
    let name = name_of(&seen);
    let panicking = seen.panic().post().expect("there is room");
    seen.tell(Answer { n: 1 }).expect("there is room");
    panicking.await.expect_err("it panics");
    seen.stopped().await;
    let panicked = notes.event(&name, "panicked");
    assert_eq!(panicked.level, Level::ERROR);
    assert!(panicked.is_of(&name), "{panicked:?}");
    assert_eq!(panicked.field("text"), "in sight");
    let letter = notes.event(&name, "dead letter");
    assert_eq!(letter.level, Level::WARN);
    assert!(letter.is_of(&name), "{letter:?}");
    assert_eq!(letter.field("message_type"), "tracing::Answer");
    assert_eq!(letter.field("reason"), "the actor panicked: in sight");
}

#[actors_core::test]
async fn stuck_handlers_are_told_to_tracing() {
    let notes = notes();
    let limit = Duration::from_millis(1);
    let seen = SpawnOptions::new().stuck_after(limit).spawn(Seen);
    let seen = seen.expect("it starts");
    let name = name_of(&seen);
    seen.tell(Hold {}).expect("there is room");
    notes.told(&name).await;
    let stuck = notes.event(&name, "stuck");
    assert_eq!(stuck.level, Level::WARN);
    assert_eq!(stuck.field("message_type"), "tracing::Hold");
    assert!(!stuck.field("running").is_empty(), "{stuck:?}");
    seen.kill();
    seen.stopped().await;
}
