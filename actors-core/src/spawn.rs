//! A value becomes a running actor.
use crate::actor::{Actor, LocalActor};
use crate::addr::Addr;
use crate::cell::{Cell, Child, Context, Details, Live, Renewed, Stash};
use crate::census::Newcomer;
use crate::error::{SpawnError, StopReason};
use crate::mailbox::{self, AnyThread, AnyTx, OneThread};
use crate::panics::Panic;
use crate::policy::{Capacity, Overflow};
use crate::registry::Registry;
use crate::run::{Hooks, Shell, run, settle};
use crate::sight;
use crate::witness;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How an actor is started.
///
/// ```
/// use actors_core::{Actor, Capacity, SpawnOptions};
///
/// #[derive(Actor)]
/// struct Printer;
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let printer = SpawnOptions::new().name("printer-1").capacity(16).spawn(Printer)?;
/// assert_eq!(printer.name(), "printer-1");
/// assert_eq!(printer.mailbox_capacity(), Capacity::Bounded(16));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until something is spawned with them"]
pub struct SpawnOptions {
    name: Option<Cow<'static, str>>,
    registry: Option<Registry>,
    capacity: Capacity,
    overflow: Overflow,
    stop_limit: u32,
    idle_timeout: Option<Duration>,
    pub(crate) stash_capacity: u32,
    stuck_after: u32,
}

/// What a child has from its parent.
pub(crate) struct Parent {
    pub(crate) tx: AnyTx<Cell>,
    /// How long the child may take to stop, where that is not the same for all.
    pub(crate) stop_limit: Option<Duration>,
    pub(crate) renewed: Renewed,
}

impl Parent {
    /// Of a child that is not supervised.
    fn plain(tx: AnyTx<Cell>) -> Self {
        Self {
            tx,
            stop_limit: None,
            renewed: Renewed::Never,
        }
    }
}

impl SpawnOptions {
    /// The defaults: named like the type, a mailbox of 1,024 messages that rejects what does not
    /// fit, 5 s for each child to stop, a stash of 1,024, stuck after 10 s, no idle timeout.
    pub fn new() -> Self {
        Self {
            name: None,
            registry: None,
            capacity: Capacity::DEFAULT,
            overflow: Overflow::default(),
            stop_limit: Details::STOP_LIMIT,
            idle_timeout: None,
            stash_capacity: Stash::<()>::LIMIT,
            stuck_after: Details::STUCK_AFTER,
        }
    }

    /// Names the actor, for logs and errors. Others may have the same name.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Names the actor and claims the name for it: [`lookup`](crate::lookup) finds it, and nobody
    /// else can claim the name until [`Addr::stopped`] has returned.
    pub fn registered(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.registered_in(&Registry::process(), name)
    }

    /// The same in a registry of one's own.
    pub fn registered_in(self, registry: &Registry, name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            registry: Some(registry.clone()),
            ..self.name(name)
        }
    }

    /// How many messages the mailbox holds. Zero is refused when the actor is spawned.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = Capacity::Bounded(messages);
        self
    }

    /// The mailbox holds what memory holds. A stalled actor then grows without limit.
    pub fn unbounded(mut self) -> Self {
        self.capacity = Capacity::Unbounded;
        self
    }

    /// What happens to a `tell` that finds the mailbox full.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// How long each of the actor's children may take to stop when the actor does; then it is
    /// killed.
    pub fn child_stop_timeout(mut self, limit: Duration) -> Self {
        self.stop_limit = millis(limit);
        self
    }

    /// The actor stops when it has had nothing to do for this long. A supervised child too, for
    /// good, whatever its [`Restart`](crate::Restart) says: nobody needs it.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = Some(limit);
        self
    }

    /// How many messages the actor may put aside.
    pub fn stash_capacity(mut self, messages: u32) -> Self {
        self.stash_capacity = messages;
        self
    }

    /// A handler that runs for longer than this is reported, see
    /// [`Event::Stuck`](crate::Event). Zero: none is.
    pub fn stuck_after(mut self, limit: Duration) -> Self {
        self.stuck_after = millis(limit);
        self
    }

    /// Starts the actor on the current tokio runtime. Does not wait for its `started`; mail that
    /// comes before waits.
    ///
    /// It may live in the task of an actor that has ended: `tokio::task::id` tells tasks apart, and not
    /// actors, and the runtime has tasks in which nobody lives, see
    /// [`vacant_tasks`](crate::vacant_tasks).
    ///
    /// # Errors
    ///
    /// `NoRuntime`, `ZeroCapacity`, `NameTaken`.
    pub fn spawn<A: Actor>(self, actor: A) -> Result<Addr<A>, SpawnError> {
        self.spawn_under(actor, None, None)
    }

    /// Starts the actor and waits until its `started` has returned. Dropped before that, it stops
    /// the actor for want of addresses.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), and `StartFailed` with what `started` said.
    pub async fn start<A: Actor>(self, actor: A) -> Result<Addr<A>, SpawnError> {
        let (up, is_up) = oneshot::channel();
        let addr = self.spawn_under(actor, None, Some(up))?;
        match is_up.await {
            Ok(()) => Ok(addr),
            Err(_) => Err(SpawnError::StartFailed(addr.stopped().await)),
        }
    }

    pub(crate) fn spawn_under<A: Actor>(
        self,
        actor: A,
        parent: Option<Parent>,
        up: Option<oneshot::Sender<()>>,
    ) -> Result<Addr<A>, SpawnError> {
        let runtime = Handle::try_current().map_err(|_| SpawnError::NoRuntime)?;
        let (addr, mut shell) = self.make(parent)?;
        shell.up = up;
        let life = shell.live(actor);
        mailbox::spawn(&runtime, move || {
            run::<A, AnyThread>(life, &Hooks::<A>::OF_ACTOR)
        });
        Ok(addr)
    }

    /// Starts an actor that need not be `Send`, on this thread.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// Outside of a tokio `LocalSet`. `#[actors_core::main(flavor = "current_thread")]` and
    /// `#[actors_core::test]` run in one.
    #[track_caller]
    pub fn spawn_local<A: LocalActor>(self, actor: A) -> Result<Addr<A>, SpawnError> {
        if Handle::try_current().is_err() {
            return Err(SpawnError::NoRuntime);
        }
        let (addr, shell) = self.make(None)?;
        tokio::task::spawn_local(run::<A, OneThread>(
            shell.live(actor),
            &Hooks::<A>::OF_LOCAL_ACTOR,
        ));
        Ok(addr)
    }

    /// Starts an actor on a thread of its own, where its handlers may block. The thread is named
    /// like the actor and ends with it.
    ///
    /// Timers and sockets are those of the current runtime; outside of one the thread gets its own.
    ///
    /// # Errors
    ///
    /// `ZeroCapacity`, `NameTaken`, `Thread`.
    pub fn spawn_thread<A: Actor>(self, actor: A) -> Result<Addr<A>, SpawnError> {
        self.spawn_on_thread(&Hooks::<A>::OF_ACTOR, move || actor)
    }

    /// The same for an actor that need not be `Send`: `make` makes it on its thread.
    ///
    /// # Errors
    ///
    /// As [`spawn_thread`](Self::spawn_thread).
    pub fn spawn_local_thread<A: LocalActor>(
        self,
        make: impl FnOnce() -> A + Send + 'static,
    ) -> Result<Addr<A>, SpawnError> {
        self.spawn_on_thread(&Hooks::<A>::OF_LOCAL_ACTOR, make)
    }

    fn spawn_on_thread<A: 'static>(
        self,
        hooks: &'static Hooks<A>,
        make: impl FnOnce() -> A + Send + 'static,
    ) -> Result<Addr<A>, SpawnError> {
        let (addr, shell) = self.make::<A>(None)?;
        let keep = shell.rx.keep().clone();
        let name = addr.name().replace('\0', " ");
        let runtime = Handle::try_current().ok();
        let spawned = thread::Builder::new()
            .name(name)
            .spawn(witness::inherited(move || {
                thread_main(shell, hooks, runtime, make);
            }));
        match spawned {
            Ok(_) => Ok(addr),
            Err(error) => {
                settle(&keep, &StopReason::Killed);
                Err(SpawnError::Thread(error))
            }
        }
    }

    /// Named like this, unless a name was claimed.
    pub(crate) fn named_or(self, name: Cow<'static, str>) -> Self {
        match self.registry.is_some() {
            true => self,
            false => self.name(name),
        }
    }

    /// The idle timeout in nanoseconds, 0 for none.
    pub(crate) fn idle_nanos(&self) -> u64 {
        self.idle_timeout.map_or(0, |limit| {
            u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1)
        })
    }

    /// What tells the actor apart, if anything does. Nobody with neither name nor parent is supervised, so
    /// that nothing else is noted of it later.
    #[inline]
    fn details(&mut self, parent: Option<&Parent>) -> Option<Box<Details>> {
        let is_usual = self.name.is_none()
            && self.stop_limit == Details::STOP_LIMIT
            && self.stuck_after == Details::STUCK_AFTER;
        if is_usual && parent.is_none() {
            return None;
        }
        Some(Box::new(Details {
            name: self.name.take(),
            parent: parent.map(|parent| parent.tx.beside().id),
            stop_limit: self.stop_limit,
            stuck_after: self.stuck_after,
            renewed: parent.map_or(Renewed::Never, |parent| parent.renewed),
            ..Details::default()
        }))
    }

    /// All of an actor but its state.
    pub(crate) fn make<A: 'static>(
        mut self,
        parent: Option<Parent>,
    ) -> Result<(Addr<A>, Shell<A>), SpawnError> {
        if self.capacity == Capacity::Bounded(0) {
            return Err(SpawnError::ZeroCapacity);
        }
        let newcomer = Newcomer::new();
        let id = newcomer.id();
        let idle_limit = self.idle_nanos();
        let type_name = std::any::type_name::<A>;
        let details = self.details(parent.as_ref());
        let cell = Cell::new(id, type_name, details);
        let (tx, mut rx) =
            mailbox::mailbox::<Live<A>, Cell>(id.get(), self.capacity, self.overflow, cell);
        if let Some(registry) = &self.registry {
            let name = tx.beside().name_to_keep();
            if registry.claim(name.clone(), &tx).is_err() {
                return Err(SpawnError::NameTaken(name));
            }
        }
        tx.queue().set_idle_limit(idle_limit);
        if self.stuck_after != 0 && tracing::enabled!(tracing::Level::WARN) {
            sight::watch_for_stuck();
        }
        if tracing::enabled!(tracing::Level::INFO) {
            let actor = tx.beside().actor_name();
            rx.set_span(tracing::info_span!("actor", %actor));
        }
        if let Some(parent) = &parent {
            let child = Child {
                keep: rx.keep().clone(),
                stop_limit: parent.stop_limit.map(millis),
            };
            parent
                .tx
                .beside()
                .with_scope(|scope| scope.add_child(id, child));
        }
        newcomer.put_in(rx.keep());
        witness::spawned(id);
        Ok((
            Addr { tx },
            Shell {
                rx,
                stash_limit: self.stash_capacity,
                parent: parent.map(|parent| parent.tx),
                up: None,
            },
        ))
    }
}

impl Default for SpawnOptions {
    fn default() -> Self {
        Self::new()
    }
}

fn thread_main<A: 'static>(
    shell: Shell<A>,
    hooks: &'static Hooks<A>,
    runtime: Option<Handle>,
    make: impl FnOnce() -> A,
) {
    let actor = match catch_unwind(AssertUnwindSafe(make)) {
        Ok(actor) => actor,
        Err(payload) => {
            shell.end(StopReason::Panicked(Panic::caught(&*payload)));
            return;
        }
    };
    let life = shell.live(actor);
    // Unconstrained, since here it is right to block: this is nobody else's thread.
    let task = tokio::task::unconstrained(run::<A, OneThread>(life, hooks));
    match runtime {
        Some(runtime) => runtime.block_on(task),
        None => match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime.block_on(task),
            // Dropping the life ends the actor.
            Err(error) => tracing::error!(%error, "no runtime for the thread of an actor"),
        },
    }
}

impl<A: Actor> Addr<A> {
    /// For `Actor::spawn`.
    #[track_caller]
    pub(crate) fn spawn(actor: A) -> Self {
        match SpawnOptions::new().spawn(actor) {
            Ok(addr) => addr,
            Err(error) => panic!("{error}"),
        }
    }
}

impl<A: LocalActor> Addr<A> {
    /// For `LocalActor::spawn_local`.
    #[track_caller]
    pub(crate) fn spawn_local(actor: A) -> Self {
        match SpawnOptions::new().spawn_local(actor) {
            Ok(addr) => addr,
            Err(error) => panic!("{error}"),
        }
    }
}

impl<A: 'static> Context<A> {
    /// Starts a child with the default options; see [`spawn_with`](Self::spawn_with).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn spawn<B: Actor>(&self, child: B) -> Addr<B> {
        match self.spawn_with(SpawnOptions::new(), child) {
            Ok(addr) => addr,
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts a child: an actor that stops with this one, before its `stopped` runs. Children stop
    /// in the reverse order of their start, each within this actor's
    /// [`child_stop_timeout`](SpawnOptions::child_stop_timeout); then it is killed. As long as it
    /// has children, an actor does not stop for want of addresses.
    ///
    /// # Errors
    ///
    /// As [`SpawnOptions::spawn`].
    pub fn spawn_with<B: Actor>(
        &self,
        options: SpawnOptions,
        child: B,
    ) -> Result<Addr<B>, SpawnError> {
        options.spawn_under(child, Some(Parent::plain(self.tx.keep().tx())), None)
    }

    /// When this actor stops, its children are all told at the same time, and have this long
    /// together; then those that are left are killed. For actors with many children that do not
    /// need each other, such as connections. Otherwise they stop one after the other.
    pub fn stop_children_together(&self, limit: Duration) {
        self.cell().with_scope(|scope| scope.together = Some(limit));
    }
}

fn millis(limit: Duration) -> u32 {
    u32::try_from(limit.as_millis()).unwrap_or(u32::MAX)
}
