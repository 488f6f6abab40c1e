//! The two halves of an actor: `Cell`, which its addresses share, and `Live`, which runs; and
//! `Context`, what a handler sees of its actor.
use crate::error::{ActorName, StopReason};
use crate::id::ActorId;
use crate::mailbox::{self, Duty, Keep, OnceBox, Opener, Sealed, WeakTx};
use crate::scope::{Scope, Undo};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;
use tracing::Span;

/// What the addresses of an actor share with it, beside its mailbox.
pub(crate) struct Cell {
    pub(crate) id: ActorId,
    pub(crate) type_name: fn() -> &'static str,
    state: AtomicU8,
    /// It was killed since it had not ended in time.
    aborted: AtomicBool,
    /// Made when somebody wants to be told of the end, or it comes and is not a normal one.
    ending: OnceBox<Mutex<Ending>>,
    scope: OnceBox<Mutex<Scope<Child>>>,
    /// None of an actor for which all is as usual.
    details: Option<Box<Details>>,
}

/// What tells an actor apart from one that was spawned with a type and no more.
pub(crate) struct Details {
    /// The name that it was given.
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) parent: Option<ActorId>,
    /// How long each child may take to stop, in milliseconds.
    pub(crate) stop_limit: u32,
    /// A handler that runs for longer is reported; in milliseconds, 0 for never.
    pub(crate) stuck_after: u32,
    /// When it is made anew instead of ending.
    pub(crate) renewed: Renewed,
    pub(crate) incarnation: AtomicU32,
    /// Since when it is up, in [`mailbox::nanos`]; 0 where that is not noted.
    pub(crate) up_since: AtomicU64,
}

impl Details {
    pub(crate) const STOP_LIMIT: u32 = 5_000;
    pub(crate) const STUCK_AFTER: u32 = 10_000;
}

/// As usual.
impl Default for Details {
    fn default() -> Self {
        Self {
            name: None,
            parent: None,
            stop_limit: Self::STOP_LIMIT,
            stuck_after: Self::STUCK_AFTER,
            renewed: Renewed::Never,
            incarnation: AtomicU32::new(0),
            up_since: AtomicU64::new(0),
        }
    }
}

/// Which ends of an actor leave its mailbox open, for its supervisor to make it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewed {
    Never,
    /// When it failed, panicked or was killed.
    AfterFailure,
    Always,
}

/// A child, as its parent's scope knows it.
#[derive(Clone)]
pub(crate) struct Child {
    pub(crate) keep: Keep<Cell>,
    /// How long it may take to stop, in milliseconds, where that differs from what its parent
    /// grants each child.
    pub(crate) stop_limit: Option<u32>,
}

/// Where an actor is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActorState {
    /// Its `started` runs, or waits to run.
    Starting,
    /// It handles mail, or waits for it.
    Running,
    /// It handles no more mail; its children stop, its `stopped` runs.
    Stopping,
    /// Its state was dropped, and its supervisor is to make it anew. Mail waits meanwhile.
    Restarting,
    /// It has ended.
    Stopped,
}

impl ActorState {
    const ALL: [Self; 5] = [
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Restarting,
        Self::Stopped,
    ];
}

/// In one word, in lower case.
impl fmt::Display for ActorState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

enum Ending {
    Alive(Watchers),
    Ended(StopReason),
}

/// Mostly there is one: who stops an actor and waits for it.
type Watchers = SmallVec<[Watcher; 1]>;

/// Who is told that an actor ended.
struct Watcher {
    key: u64,
    told: Told,
}

enum Told {
    Task(Waker),
    Actor(Box<dyn FnOnce(&StopReason) + Send>),
}

impl Cell {
    #[inline]
    pub(crate) fn new(
        id: ActorId,
        type_name: fn() -> &'static str,
        details: Option<Box<Details>>,
    ) -> Self {
        Self {
            id,
            type_name,
            state: AtomicU8::new(ActorState::Starting as u8),
            aborted: AtomicBool::new(false),
            ending: OnceBox::new(),
            scope: OnceBox::new(),
            details,
        }
    }

    /// The name that it was given, or its type's without the path.
    pub(crate) fn name(&self) -> &str {
        match self.given_name() {
            Some(name) => name,
            None => short_name((self.type_name)()),
        }
    }

    /// The same, to keep.
    pub(crate) fn name_to_keep(&self) -> Cow<'static, str> {
        match self.given_name() {
            Some(name) => name.clone(),
            None => Cow::Borrowed(short_name((self.type_name)())),
        }
    }

    fn given_name(&self) -> Option<&Cow<'static, str>> {
        self.details.as_deref()?.name.as_ref()
    }

    pub(crate) fn parent(&self) -> Option<ActorId> {
        self.details.as_deref()?.parent
    }

    /// How long each child may take to stop, in milliseconds.
    pub(crate) fn stop_limit(&self) -> u32 {
        let details = self.details.as_deref();
        details.map_or(Details::STOP_LIMIT, |details| details.stop_limit)
    }

    /// A handler that runs for longer is reported; in milliseconds, 0 for never.
    pub(crate) fn stuck_after(&self) -> u32 {
        let details = self.details.as_deref();
        details.map_or(Details::STUCK_AFTER, |details| details.stuck_after)
    }

    /// When it is made anew instead of ending.
    pub(crate) fn renewed(&self) -> Renewed {
        let details = self.details.as_deref();
        details.map_or(Renewed::Never, |details| details.renewed)
    }

    /// How often it was made anew.
    pub(crate) fn incarnation(&self) -> u32 {
        let details = self.details.as_deref();
        details.map_or(0, |details| details.incarnation.load(Ordering::Relaxed))
    }

    /// It is about to be made anew.
    pub(crate) fn count_incarnation(&self) {
        if let Some(details) = &self.details {
            details.incarnation.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn actor_name(&self) -> ActorName {
        ActorName::new(self.id, self.name_to_keep())
    }

    pub(crate) fn state(&self) -> ActorState {
        ActorState::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    pub(crate) fn set_state(&self, state: ActorState) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// It is killed since it has not ended in time.
    pub(crate) fn set_aborted(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    /// `started` has returned. Actors without a parent, which come and go by the thousands, do not
    /// look at the clock for that.
    pub(crate) fn up(&self) {
        self.set_state(ActorState::Running);
        if self.parent().is_some() {
            self.note_up();
        }
    }

    /// Notes that it is up from now on.
    pub(crate) fn note_up(&self) {
        let now = tokio::time::Instant::now().into_std();
        if let Some(details) = &self.details {
            let now = mailbox::nanos(now);
            details.up_since.store(now, Ordering::Relaxed);
        }
    }

    /// For how long the actor, or its incarnation, has been up, where that is noted.
    pub(crate) fn uptime(&self) -> Option<Duration> {
        let since = self.details.as_deref()?.up_since.load(Ordering::Relaxed);
        let is_up = since != 0 && self.state() == ActorState::Running;
        is_up.then(|| {
            let now = tokio::time::Instant::now().into_std();
            now.saturating_duration_since(mailbox::instant(since))
        })
    }

    /// Works on what the actor owns.
    pub(crate) fn with_scope<R>(&self, f: impl FnOnce(&mut Scope<Child>) -> R) -> R {
        let scope = self.scope.get_or_make(|| Mutex::new(Scope::new()));
        f(&mut scope.lock())
    }

    /// The same, if it owns anything.
    pub(crate) fn scope_if_any<R>(&self, f: impl FnOnce(&mut Scope<Child>) -> R) -> Option<R> {
        // Who is to find what somebody else has noted comes after that by other means: it was sent
        // for, or has closed the queue, in whose lock the other looks afterwards.
        let scope = self.scope.get()?;
        Some(f(&mut scope.lock()))
    }

    /// Whether it may own anything.
    pub(crate) fn has_scope(&self) -> bool {
        self.scope.get().is_some()
    }

    fn ending(&self) -> &Mutex<Ending> {
        let alive = || Mutex::new(Ending::Alive(Watchers::new()));
        self.ending.get_or_make(alive)
    }

    fn has_ended(&self) -> bool {
        self.state.load(Ordering::SeqCst) == ActorState::Stopped as u8
    }

    /// Why it has ended, if it has. An end that is not normal is noted in the lock before the state
    /// says so.
    fn reason(&self, ending: &Ending) -> Option<StopReason> {
        match ending {
            Ending::Ended(reason) => Some(reason.clone()),
            Ending::Alive(_) => self.has_ended().then_some(StopReason::Normal),
        }
    }

    /// Marks the actor as ended and tells everybody who waits for that. Not twice.
    pub(crate) fn end(&self, reason: &StopReason) {
        if reason.is_normal() {
            // `SeqCst`: either who wants to be told is found here, or finds that it has ended.
            self.state
                .store(ActorState::Stopped as u8, Ordering::SeqCst);
            if self.ending.get().is_none() {
                return;
            }
        }
        let mut ending = self.ending().lock();
        let before = mem::replace(&mut *ending, Ending::Ended(reason.clone()));
        self.set_state(ActorState::Stopped);
        drop(ending);
        let Ending::Alive(watchers) = before else {
            return;
        };
        for watcher in watchers {
            match watcher.told {
                Told::Task(waker) => waker.wake(),
                Told::Actor(tell) => tell(reason),
            }
        }
    }

    /// Tells the watchers, and nobody else, that an incarnation has ended. Each of them once.
    pub(crate) fn end_incarnation(&self, reason: &StopReason) {
        let Some(ending) = self.ending.get() else {
            return;
        };
        let told: Watchers = match &mut *ending.lock() {
            Ending::Alive(watchers) => {
                let is_told = |watcher: &Watcher| matches!(watcher.told, Told::Actor(_));
                let (told, kept) = mem::take(watchers).into_iter().partition(is_told);
                *watchers = kept;
                told
            }
            Ending::Ended(_) => return,
        };
        for watcher in told {
            if let Told::Actor(tell) = watcher.told {
                tell(reason);
            }
        }
    }

    pub(crate) fn stop_reason(&self) -> Option<StopReason> {
        if !self.has_ended() {
            return None;
        }
        match self.ending.get() {
            Some(ending) => self.reason(&ending.lock()),
            None => Some(StopReason::Normal),
        }
    }

    /// Calls `tell` once when the actor, or its incarnation, ends; at once if the actor has.
    pub(crate) fn on_end(&self, key: u64, tell: impl FnOnce(&StopReason) + Send + 'static) {
        let mut ending = self.ending().lock();
        if let Some(reason) = self.reason(&ending) {
            drop(ending);
            tell(&reason);
        } else if let Ending::Alive(watchers) = &mut *ending {
            let at = watchers.partition_point(|watcher| watcher.key < key);
            let told = Told::Actor(Box::new(tell));
            watchers.insert(at, Watcher { key, told });
        }
    }

    /// Ready when the actor has ended; else wakes the waker then. `key` tells the waiting apart.
    pub(crate) fn poll_ended(&self, key: u64, waker: &Waker) -> Poll<StopReason> {
        let mut ending = self.ending().lock();
        if let Some(reason) = self.reason(&ending) {
            return Poll::Ready(reason);
        }
        if let Ending::Alive(watchers) = &mut *ending {
            match watchers.binary_search_by_key(&key, |watcher| watcher.key) {
                Ok(at) => match &mut watchers[at].told {
                    Told::Task(known) => known.clone_from(waker),
                    Told::Actor(_) => {}
                },
                Err(at) => {
                    let told = Told::Task(waker.clone());
                    watchers.insert(at, Watcher { key, told });
                }
            }
        }
        Poll::Pending
    }

    /// Forgets who was told by this key.
    pub(crate) fn forget(&self, key: u64) {
        let Some(ending) = self.ending.get() else {
            return;
        };
        let mut ending = ending.lock();
        let Ending::Alive(watchers) = &mut *ending else {
            return;
        };
        let found = watchers.binary_search_by_key(&key, |watcher| watcher.key);
        let forgotten = found.ok().map(|at| watchers.remove(at));
        // Without the lock: a waker's destructor is somebody's code.
        drop(ending);
        drop(forgotten);
    }
}

/// What [`Addr::stop`](crate::Addr::stop) does.
pub(crate) fn stop(cell: &Cell, queue: &mailbox::Queue) {
    match cell.renewed() {
        Renewed::Always => queue.leave(),
        Renewed::Never | Renewed::AfterFailure => queue.close(),
    }
}

/// `a::b::Name<c::D>` without its path: `Name`.
pub(crate) fn short_name(type_name: &'static str) -> &'static str {
    // By bytes, since each spawn comes by here: `<` and `:` are not part of any other character.
    let bytes = type_name.as_bytes();
    let end = bytes.iter().position(|&byte| byte == b'<');
    let end = end.unwrap_or(bytes.len());
    let path = bytes[..end].iter().rposition(|&byte| byte == b':');
    &type_name[path.map_or(0, |colon| colon + 1)..end]
}

/// A key for [`Cell::on_end`] and [`Cell::poll_ended`]; later ones are greater.
pub(crate) fn watch_key() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Has something undone when the actor ends, before anybody learns of the end. False when it ends
/// already: then it is not undone, and the caller's to do.
pub(crate) fn undo_at_end(
    keep: &Keep<Cell>,
    key: u64,
    undo: impl FnOnce() + Send + 'static,
) -> bool {
    let cell = keep.beside();
    cell.with_scope(|scope| scope.add_undo(key, Box::new(undo)));
    // Whoever ends the actor closes its queue before it looks at the scope: so either it finds the
    // note there, or it is seen here that the queue is closed.
    !keep.queue().is_closed() || take_undo(cell, key).is_none()
}

/// Takes back what was to be undone when the actor ends, if it has not been.
pub(crate) fn take_undo(cell: &Cell, key: u64) -> Option<Undo> {
    cell.scope_if_any(|scope| scope.take_undo(key)).flatten()
}

/// What an actor's handlers see of it: its address, its mailbox, its children, and the message
/// they are handling.
pub struct Context<A> {
    pub(crate) tx: WeakTx<Live<A>, Cell>,
    /// The duty to answer the message being handled.
    pub(crate) duty: Option<Duty>,
    few: Option<Box<Few<A>>>,
    /// It ends as it was asked to, unless `few` knows another reason.
    ends_normally: bool,
}

/// What few actors need. Apart, as all have room for it in their tasks.
struct Few<A> {
    /// Why the actor gives up, and at last why it ends, unless that is normal.
    reason: Option<StopReason>,
    stash: Stash<Live<A>>,
}

/// Mail that was put aside.
pub(crate) struct Stash<O> {
    /// So many messages may be.
    limit: u32,
    pub(crate) aside: VecDeque<Sealed<O>>,
    /// What comes back after the running handler.
    pub(crate) back: VecDeque<Sealed<O>>,
}

impl<O> Stash<O> {
    /// The limit of an actor that was not told of another one.
    pub(crate) const LIMIT: u32 = 1024;

    fn new(limit: u32) -> Self {
        Self {
            limit,
            aside: VecDeque::new(),
            back: VecDeque::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.aside.len() >= self.limit as usize
    }
}

impl<A> Context<A> {
    #[inline]
    pub(crate) fn new(tx: WeakTx<Live<A>, Cell>, stash_limit: u32) -> Self {
        let mut ctx = Self {
            tx,
            duty: None,
            few: None,
            ends_normally: false,
        };
        if stash_limit != Stash::<Live<A>>::LIMIT {
            ctx.few().stash.limit = stash_limit;
        }
        ctx
    }

    fn few(&mut self) -> &mut Few<A> {
        self.few.get_or_insert_with(|| {
            Box::new(Few {
                reason: None,
                stash: Stash::new(Stash::<Live<A>>::LIMIT),
            })
        })
    }

    /// Why the actor gives up, and at last why it ends.
    pub(crate) fn reason(&self) -> Option<&StopReason> {
        let other = self.few.as_ref().and_then(|few| few.reason.as_ref());
        other.or(self.ends_normally.then_some(&StopReason::Normal))
    }

    /// Notes that the actor ends as usual, if nobody has said otherwise: who does, the actor itself or who
    /// tells it, needs a place for that.
    #[inline]
    pub(crate) fn note_plain_end(&mut self) -> bool {
        let is_plain = self.few.is_none() && !self.cell().has_scope();
        self.ends_normally |= is_plain;
        is_plain
    }

    #[inline]
    pub(crate) fn set_reason(&mut self, reason: StopReason) {
        self.ends_normally = reason.is_normal();
        let other = (!self.ends_normally).then_some(reason);
        if other.is_some() || self.few.is_some() {
            self.few().reason = other;
        }
    }

    #[inline]
    pub(crate) fn take_reason(&mut self) -> Option<StopReason> {
        let is_normal = mem::take(&mut self.ends_normally);
        let other = self.few.as_mut().and_then(|few| few.reason.take());
        other.or(is_normal.then_some(StopReason::Normal))
    }

    /// The mail that was put aside, where there is a place for that.
    pub(crate) fn stash_if_any(&mut self) -> Option<&mut Stash<Live<A>>> {
        self.few.as_mut().map(|few| &mut few.stash)
    }

    pub(crate) fn stash_or_make(&mut self) -> &mut Stash<Live<A>> {
        &mut self.few().stash
    }

    /// How many messages are put aside.
    pub(crate) fn stashed_len(&self) -> usize {
        self.few.as_ref().map_or(0, |few| few.stash.aside.len())
    }

    /// Takes the mail that was put aside: first what was to come back.
    pub(crate) fn take_stashed(
        &mut self,
    ) -> impl DoubleEndedIterator<Item = Sealed<Live<A>>> + use<A> {
        let stash = self.stash_if_any();
        let (back, aside) = stash
            .map(|stash| (mem::take(&mut stash.back), mem::take(&mut stash.aside)))
            .unwrap_or_default();
        back.into_iter().chain(aside)
    }

    pub(crate) fn cell(&self) -> &Cell {
        self.tx.keep().beside()
    }

    pub(crate) fn queue(&self) -> &mailbox::Queue {
        self.tx.keep().queue()
    }
}

impl<A> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("actor", &self.cell().actor_name())
            .finish_non_exhaustive()
    }
}

/// The half of an actor that runs: what its handlers borrow.
pub struct Live<A> {
    pub(crate) actor: A,
    pub(crate) ctx: Context<A>,
}

impl<A: 'static> Opener for Live<A> {
    fn begin(&mut self, duty: Duty) {
        let deadline = duty.deadline();
        if deadline.is_some() {
            self.ctx.queue().turn().set_deadline(deadline);
        }
        self.ctx.duty = Some(duty);
    }

    #[inline]
    fn end(&mut self) -> Option<Duty> {
        let duty = self.ctx.duty.take()?;
        if duty.deadline().is_some() {
            self.ctx
                .queue()
                .turn()
                .set_deadline(mailbox::Deadline::NONE);
        }
        Some(duty)
    }

    fn unstash(&mut self) -> VecDeque<Sealed<Self>> {
        let stash = self.ctx.stash_if_any();
        stash
            .map(|stash| mem::take(&mut stash.back))
            .unwrap_or_default()
    }

    fn span(&self, message: &'static str, is_ask: bool, sender: Option<Span>) -> Span {
        let actor = self.ctx.cell().actor_name();
        let span = match &sender {
            Some(sender) if is_ask => {
                tracing::debug_span!(parent: sender, "handle", %actor, message)
            }
            _ => tracing::debug_span!(parent: None, "handle", %actor, message),
        };
        if let (false, Some(sender)) = (is_ask, sender) {
            span.follows_from(sender);
        }
        span
    }
}

impl<A: fmt::Debug> fmt::Debug for Live<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("actor", &self.actor)
            .field("ctx", &self.ctx)
            .finish()
    }
}

#[cfg(all(test, not(actors_loom), target_pointer_width = "64"))]
mod tests {
    use super::{Cell, Keep};
    use crate::error::StopReason;
    use crate::id::ActorId;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Barrier};
    use std::task::{Poll, Wake, Waker};
    use std::thread;

    /// With the task, whose memory is aligned to 128 bytes, it takes 640 bytes of the heap, with the
    /// headers of both. More than 232 bytes would take 768.
    #[test]
    fn a_block_leaves_no_gap_before_the_task() {
        const { assert!(Keep::<Cell>::BLOCK <= 232) };
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Nothing is kept for a normal end of which nobody wants to be told, or so it seems in the moment.
    #[test]
    fn who_asks_while_it_ends_normally_is_told() {
        let rounds = if cfg!(miri) { 20 } else { 5_000 };
        for _ in 0..rounds {
            let cell = Cell::new(ActorId::next(), || "cell", None);
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let both = Barrier::new(2);
            let asked = thread::scope(|scope| {
                scope.spawn(|| {
                    both.wait();
                    cell.end(&StopReason::Normal);
                });
                both.wait();
                cell.poll_ended(1, &waker)
            });
            assert!(asked.is_ready() || woken.0.load(Ordering::Relaxed));
            let later = cell.poll_ended(1, &waker);
            assert!(matches!(later, Poll::Ready(StopReason::Normal)));
        }
    }
}
