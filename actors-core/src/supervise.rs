//! `Supervisor`: actors that are restarted when they fail, in trees that stop in order.
mod plan;
mod factory;
mod child;
mod node;
mod shutdown;

use crate::actor::Actor;
use crate::addr::{Addr, WeakAddr, ended};
use crate::cell::{self, Cell, Child, Context, Live, Renewed};
use crate::error::{SpawnError, StopReason};
use crate::id::ActorId;
use crate::mailbox::{Keep, Seal, outside};
use crate::policy::{Backoff, Intensity, Restart, Strategy};
use crate::sight::{ActorInfo, info};
use crate::spawn::{Parent, SpawnOptions};
use child::{Report, Supervised, live_on};
pub use factory::Factory;
pub(crate) use node::Node;
use node::{Kind, Ready, RenewChild, Said, StopChild};
use plan::{First, Significance, Spec};
pub use shutdown::{Aborted, ShutdownReport};
use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::ready;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How a supervisor deals with failures of its children.
///
/// ```
/// use actors_core::{Backoff, Intensity, Strategy, SupervisorOptions};
/// use std::time::Duration;
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let app = SupervisorOptions::new()
///     .strategy(Strategy::RestForOne)
///     .intensity(Intensity::new(3, Duration::from_secs(60)))
///     .backoff(Backoff::new(Duration::from_millis(10), Duration::from_secs(5)))
///     .start("shop")?;
/// # app.shutdown(Duration::from_secs(1)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "options do nothing until a supervisor is started with them"]
pub struct SupervisorOptions {
    strategy: Strategy,
    intensity: Intensity,
    backoff: Backoff,
}

impl SupervisorOptions {
    /// The defaults: a failed child is restarted alone, after 100 ms and then twice as long each
    /// time up to 30 s, with full jitter; more than five restarts within ten seconds are too many.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which children are restarted when one fails.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How many restarts are too many.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// How long to wait before a restart.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Starts a supervisor that has nobody above, on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// `NoRuntime`.
    pub fn start(self, name: impl Into<Cow<'static, str>>) -> Result<Supervisor, SpawnError> {
        self.spawn(name.into(), None, None)
    }

    fn spawn(
        self,
        name: Cow<'static, str>,
        above: Option<Supervisor>,
        owner: Option<Parent>,
    ) -> Result<Supervisor, SpawnError> {
        let runtime = match &above {
            Some(above) => above.shared.runtime.clone(),
            None => Handle::try_current().map_err(|_| SpawnError::NoRuntime)?,
        };
        let parent = match &above {
            Some(above) => Some(above.parent(None, Renewed::Never)),
            None => owner,
        };
        let shared = Arc::new(Shared {
            runtime: runtime.clone(),
            is_root: parent.is_none(),
            above,
            busy: Mutex::new(false),
            children: Mutex::default(),
        });
        let _entered = runtime.enter();
        let node = Node::new(&self, Arc::clone(&shared));
        let node = SpawnOptions::new()
            .name(name)
            .unbounded()
            .spawn_under(node, parent, None)?;
        node.tx.beside().note_up();
        Ok(Supervisor { node, shared })
    }
}

/// How a child is started, restarted and stopped.
///
/// ```
/// use actors_core::{Actor, ChildOptions, Restart, SpawnOptions, Supervisor};
/// use std::time::Duration;
///
/// #[derive(Actor)]
/// struct Import;
///
/// # #[actors_core::main]
/// # async fn main() {
/// let app = Supervisor::new("shop");
/// let options = ChildOptions::new()
///     .restart(Restart::Transient)
///     .stop_timeout(Duration::from_secs(30))
///     .spawn(SpawnOptions::new().capacity(16));
/// let import = app.child_with("import", options, || Import);
/// # app.shutdown(Duration::from_secs(1)).await;
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a child is started with them"]
pub struct ChildOptions {
    restart: Restart,
    significant: bool,
    retry_first_start: bool,
    stop_timeout: Duration,
    start_timeout: Option<Duration>,
    spawn: SpawnOptions,
}

impl ChildOptions {
    /// The defaults: permanent, not significant, 5 s to stop, as long as it takes to start.
    pub fn new() -> Self {
        Self {
            restart: Restart::default(),
            significant: false,
            retry_first_start: false,
            stop_timeout: Duration::from_secs(5),
            start_timeout: None,
            spawn: SpawnOptions::new(),
        }
    }

    /// When it is restarted.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// When this child ends for good by itself, so does its supervisor, with all other children:
    /// normally if the child did, and else as a failure that goes on upwards. For children that can
    /// end for good, so not for permanent ones.
    pub fn significant(mut self) -> Self {
        self.significant = true;
        self
    }

    /// A failure of the very first start is a failure like any other: it is tried again. Without
    /// this the supervisor fails, since what never ran is more likely misconfigured than unlucky.
    pub fn retry_first_start(mut self) -> Self {
        self.retry_first_start = true;
        self
    }

    /// How long it may take to stop; then it is killed.
    pub fn stop_timeout(mut self, limit: Duration) -> Self {
        self.stop_timeout = limit;
        self
    }

    /// How long its factory and its `started` may take together; then the start has failed. One
    /// that blocks its thread cannot be interrupted, and is told as stuck instead.
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.start_timeout = Some(limit);
        self
    }

    /// Its mailbox and all else that any actor has. A name given there counts only if it is
    /// registered.
    pub fn spawn(mut self, options: SpawnOptions) -> Self {
        self.spawn = options;
        self
    }
}

impl Default for ChildOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A node of a supervised tree: it starts actors, makes them anew when they fail, and stops them in
/// order.
///
/// A child's address, and the mail that waits in its mailbox, outlive its failures. Only the message
/// being handled is lost, and its asker knows. What a failed incarnation had put aside is mail
/// again. Timers, streams, watches and plain children of the incarnation end with it.
///
/// Children start one after the other, in the order in which they were added: the next one when
/// `started` of the one before has returned, and those of a subtree before what was added after
/// them. They stop in the reverse order, each within its [limit](ChildOptions::stop_timeout).
///
/// This is a handle, cheap to copy. The tree lives on without it, for as long as there are children;
/// see [`shutdown`](Self::shutdown).
///
/// ```
/// use actors_core::{Actor, Supervisor, handlers};
/// use std::time::Duration;
///
/// #[derive(Actor, Default)]
/// struct Counter { n: i64 }
///
/// #[handlers]
/// impl Counter {
///     fn add(&mut self, n: i64) -> i64 {
///         self.n = self.n.checked_add(n).expect("it fits");
///         self.n
///     }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let app = Supervisor::new("shop");
/// let counter = app.child("counter", Counter::default);
/// app.ready().await?;
/// assert_eq!(counter.add(1).await?, 1);
///
/// // A panic ends the incarnation. The address goes on, with a new state.
/// counter.add(i64::MAX).await.unwrap_err();
/// assert_eq!(counter.add(1).await?, 1);
///
/// let report = app.shutdown(Duration::from_secs(5)).await;
/// assert!(report.is_clean());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Supervisor {
    pub(crate) node: Addr<Node>,
    shared: Arc<Shared>,
}

/// What the handles of a supervisor and its actor share.
struct Shared {
    runtime: Handle,
    /// Nothing is above, no supervisor and no other actor.
    is_root: bool,
    /// The supervisor above.
    above: Option<Supervisor>,
    /// Children were added, and the supervisor above was told so, and has not yet asked about them.
    busy: Mutex<bool>,
    /// Addresses by name and id: a `WeakAddr` of the child's type, or a `Subtree`.
    children: Mutex<BTreeMap<ChildKey, Box<dyn Any + Send + Sync>>>,
}

type ChildKey = (Cow<'static, str>, ActorId);

/// How a supervisor knows the handle of a subtree.
struct Subtree {
    node: WeakAddr<Node>,
    shared: std::sync::Weak<Shared>,
}

impl Shared {
    fn is_said_busy(&self) -> MutexGuard<'_, bool> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, cell: &Cell, address: impl Any + Send + Sync) {
        let key = (cell.name_to_keep(), cell.id);
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.insert(key, Box::new(address));
    }

    fn forget(&self, cell: &Cell) {
        let key = (cell.name_to_keep(), cell.id);
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.remove(&key);
    }

    /// The first child of this name of which `pick` makes something.
    fn find<T>(&self, name: &str, pick: impl Fn(&dyn Any) -> Option<T>) -> Option<T> {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let from = (Cow::Owned(name.to_owned()), ActorId::FIRST);
        let named = children.range(from..);
        let mut named = named.take_while(|((of, _), _)| of == name);
        named.find_map(|(_, address)| pick(&**address))
    }
}

impl Supervisor {
    /// Starts a supervisor that has nobody above, with the default [`SupervisorOptions`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime. [`SupervisorOptions::start`] returns an error instead.
    #[track_caller]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        match SupervisorOptions::new().start(name) {
            Ok(supervisor) => supervisor,
            Err(error) => panic!("{error}"),
        }
    }

    /// Adds a child with the default [`ChildOptions`], and gives its address. The supervisor starts
    /// it when those before it are up; mail that comes before waits.
    ///
    /// If its first start fails, the supervisor fails, and stops what it has started;
    /// [`ready`](Self::ready) tells. See [`start_child`](Self::start_child) for children whose
    /// failing start is the caller's business. A child that cannot be spawned has ended when this
    /// returns, and [`Addr::stopped`] tells why; so has one that is added to a supervisor which has
    /// ended.
    pub fn child<A: Actor, Form: 'static>(
        &self,
        name: impl Into<Cow<'static, str>>,
        factory: impl Factory<A, Form>,
    ) -> Addr<A> {
        self.child_with(name, ChildOptions::new(), factory)
    }

    /// Adds a child; see [`child`](Self::child).
    pub fn child_with<A: Actor, Form: 'static>(
        &self,
        name: impl Into<Cow<'static, str>>,
        options: ChildOptions,
        factory: impl Factory<A, Form>,
    ) -> Addr<A> {
        let first = match (options.retry_first_start, options.restart) {
            (true, _) => First::Retried,
            (false, Restart::Temporary) => First::Dropped,
            (false, _) => First::Required,
        };
        match self.add(name.into(), options, first, factory) {
            Ok((addr, _)) => addr,
            Err(error) => still_born(error),
        }
    }

    /// Adds a child with the default [`ChildOptions`] and waits until it is up; see
    /// [`start_child_with`](Self::start_child_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn start_child<A: Actor, Form: 'static>(
        &self,
        name: impl Into<Cow<'static, str>>,
        factory: impl Factory<A, Form>,
    ) -> Result<Addr<A>, SpawnError> {
        self.start_child_with(name, ChildOptions::new(), factory)
            .await
    }

    /// Adds a child and waits until it is up. If its first start fails, it is not a child, and the
    /// supervisor goes on. Dropped before it is ready, the child stays.
    ///
    /// # Errors
    ///
    /// `StartFailed`, `SupervisorEnded`, and as [`SpawnOptions::spawn`].
    pub async fn start_child_with<A: Actor, Form: 'static>(
        &self,
        name: impl Into<Cow<'static, str>>,
        options: ChildOptions,
        factory: impl Factory<A, Form>,
    ) -> Result<Addr<A>, SpawnError> {
        let first = match options.retry_first_start {
            true => First::Retried,
            false => First::Dropped,
        };
        let (addr, is_up) = self.add(name.into(), options, first, factory)?;
        match is_up.await {
            Ok(()) => Ok(addr),
            Err(_) => match addr.stopped().await {
                reason if reason.is_normal() && !self.node.is_alive() => {
                    Err(SpawnError::SupervisorEnded)
                }
                reason => Err(SpawnError::StartFailed(reason)),
            },
        }
    }

    /// Adds a supervisor with the default [`SupervisorOptions`]; see
    /// [`subtree_with`](Self::subtree_with).
    pub fn subtree(&self, name: impl Into<Cow<'static, str>>) -> Self {
        self.subtree_with(name, SupervisorOptions::new())
    }

    /// Adds a supervisor below this one. It is a child: when it fails, it is restarted, which means
    /// that its children stop and start again, in order. They keep their addresses and their mail.
    ///
    /// Where it fails because of a [significant](ChildOptions::significant) child, which does not
    /// come back, it ends, and this supervisor fails in its turn.
    pub fn subtree_with(
        &self,
        name: impl Into<Cow<'static, str>>,
        options: SupervisorOptions,
    ) -> Self {
        let spawned = options.spawn(name.into(), Some(self.clone()), None);
        let Ok(subtree) = spawned else {
            unreachable!("there is a runtime, the mailbox has no bounds, no name is claimed");
        };
        let keep = subtree.node.tx.any().keep();
        let id = keep.beside().id.get();
        let address = Subtree {
            node: subtree.node.downgrade(),
            shared: Arc::downgrade(&subtree.shared),
        };
        self.shared.remember(keep.beside(), address);
        let above = self.node.clone();
        keep.beside().on_end(cell::watch_key(), move |reason| {
            let _ = above.tell(Said::Gone(id, reason.clone()));
        });
        let spec = Spec {
            restart: Restart::Permanent,
            significant: Significance::Failed,
            first: First::Required,
        };
        let kind = Kind::Subtree(subtree.node.clone(), Arc::clone(&subtree.shared));
        let added = self.add_known(keep, spec, kind);
        if !added {
            subtree.node.tx.queue().kill();
        }
        subtree
    }

    /// Adds a child; what is received with it tells that it is up.
    fn add<A: Actor, Form: 'static>(
        &self,
        name: Cow<'static, str>,
        options: ChildOptions,
        first: First,
        factory: impl Factory<A, Form>,
    ) -> Result<(Addr<A>, oneshot::Receiver<()>), SpawnError> {
        let ChildOptions {
            restart,
            significant,
            stop_timeout,
            start_timeout,
            spawn,
            ..
        } = options;
        let renewed = match restart {
            Restart::Permanent => Renewed::Always,
            Restart::Transient => Renewed::AfterFailure,
            Restart::Temporary => Renewed::Never,
        };
        let stash_limit = spawn.stash_capacity;
        let idle_limit = spawn.idle_nanos();
        let _entered = self.shared.runtime.enter();
        let parent = self.parent(Some(stop_timeout), renewed);
        let (addr, shell) = spawn.named_or(name).make::<A>(Some(parent))?;
        let life = shell.still();
        let keep = life.rx.keep().clone();
        self.shared.remember(keep.beside(), addr.downgrade());
        let (up, is_up) = oneshot::channel();
        let child = Supervised {
            life,
            report: Report {
                supervisor: self.node.clone(),
                child: keep.clone(),
                up: Some(up),
            },
            _alive: addr.tx.any().clone(),
            start_limit: start_timeout,
            stash_limit,
            idle_limit,
        };
        let (word, told) = oneshot::channel();
        let spec = Spec {
            restart,
            significant: match significant {
                true => Significance::Always,
                false => Significance::Never,
            },
            first,
        };
        let kind = Kind::Actor {
            word: Some(word),
            stop_limit: stop_timeout,
        };
        // One that is not added ends for want of a word.
        self.add_known(keep, spec, kind);
        self.shared.runtime.spawn(live_on(child, factory, told));
        Ok((addr, is_up))
    }

    fn add_known(&self, keep: Keep<Cell>, spec: Spec, kind: Kind) -> bool {
        let id = keep.beside().id.get();
        let said = Said::Add {
            id,
            keep,
            spec,
            kind,
        };
        let told = self.node.tell(said);
        // After it: who is asked whether all have settled knows of this one.
        self.busy();
        match told {
            Ok(()) => true,
            Err(error) => {
                if let Said::Add { keep, .. } = error.into_message() {
                    self.shared.forget(keep.beside());
                }
                false
            }
        }
    }

    /// Tells the supervisors above that what they add from now on is to wait for what is added
    /// here.
    fn busy(&self) {
        let Some(above) = &self.shared.above else {
            return;
        };
        // Told under the lock, so that whoever finds it said can rely on that; the nearest one first,
        // so that it knows before it is asked in its turn.
        let mut is_said = self.shared.is_said_busy();
        if !mem::replace(&mut *is_said, true) {
            let _ = above.node.tell(Said::Busy(self.node.id().get()));
            above.busy();
        }
    }

    fn parent(&self, stop_limit: Option<Duration>, renewed: Renewed) -> Parent {
        Parent {
            tx: self.node.tx.any().clone(),
            // A subtree takes as long as its children may take.
            stop_limit: Some(stop_limit.unwrap_or(Duration::MAX)),
            renewed,
        }
    }

    /// Waits until all children that were added before, here and in subtrees, have been up. So not
    /// to be awaited in the `started` of one of them.
    ///
    /// # Errors
    ///
    /// `StartFailed`, with why the supervisor has ended.
    pub async fn ready(&self) -> Result<(), SpawnError> {
        // The deadline of a handler is not one for the children.
        let ready = outside(|| self.node.ask(Ready).post());
        let is_ready = match ready {
            Ok(ready) => ready.await.is_ok(),
            Err(_) => false,
        };
        match is_ready {
            true => Ok(()),
            false => Err(SpawnError::StartFailed(self.stopped().await)),
        }
    }

    /// Stops a child for good, whatever its [`Restart`]: it handles what it has accepted, and is
    /// killed when its limit is over. Waits until it has ended.
    ///
    /// False: it is not a child of this supervisor, or it was killed and its handler goes on, since
    /// it does not await. Dropped before it is ready, it makes no difference to the child. A child
    /// that awaits it for itself waits until its limit is over.
    pub async fn stop_child(&self, child: ActorId) -> bool {
        self.node.ask(StopChild(child.get())).await.unwrap_or(false)
    }

    /// Makes a child anew: it ends after the message that it is handling, and its successor handles
    /// the mail that waits. Not counted as a failure, and without back-off. Waits until it is up.
    ///
    /// False: it is not a child of this supervisor, it is never restarted, or has ended for good.
    pub async fn restart_child(&self, child: ActorId) -> bool {
        self.node
            .ask(RenewChild(child.get()))
            .await
            .unwrap_or(false)
    }

    /// The address of the child of this name and type; of several, the one that was added first.
    pub fn find<A: Actor>(&self, name: &str) -> Option<Addr<A>> {
        self.shared.find(name, |address| {
            address.downcast_ref::<WeakAddr<A>>()?.upgrade()
        })
    }

    /// The subtree of this name.
    pub fn find_subtree(&self, name: &str) -> Option<Self> {
        self.shared.find(name, |address| {
            let subtree = address.downcast_ref::<Subtree>()?;
            Some(Self {
                node: subtree.node.upgrade()?,
                shared: subtree.shared.upgrade()?,
            })
        })
    }

    /// The children, in the order in which they were added.
    pub fn children(&self) -> Vec<ActorInfo> {
        let children = self.scope(|children| children.cloned().collect::<Vec<_>>());
        let children = children.unwrap_or_default();
        children.iter().map(|child| info(&child.keep)).collect()
    }

    /// How many children there are.
    pub fn child_count(&self) -> usize {
        self.scope(|children| children.len()).unwrap_or(0)
    }

    fn scope<R>(
        &self,
        f: impl FnOnce(&mut dyn ExactSizeIterator<Item = &Child>) -> R,
    ) -> Option<R> {
        let cell = self.node.tx.beside();
        cell.scope_if_any(|scope| f(&mut scope.children()))
    }

    /// Stops the tree: all children, the last one first, each within its limit; then it is killed.
    /// At the deadline all that is left is killed. Returns at most 100 ms later, whatever handlers
    /// do, and names who had to be killed.
    ///
    /// For a subtree this is the end for good, and no failure. Dropped before it is ready, the tree
    /// goes on stopping, without the deadline.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        shutdown::shut_down(&self.node.tx.any().keep(), deadline).await
    }

    /// Begins to stop the tree, without a deadline for all of it.
    pub fn stop(&self) {
        self.node.tx.queue().close();
    }

    /// Kills the tree: running handlers are dropped at their next await, hooks do not run.
    pub fn kill(&self) {
        self.node.tx.queue().kill();
    }

    /// Waits until the tree has ended, and tells why.
    pub async fn stopped(&self) -> StopReason {
        ended(self.node.tx.beside()).await.observed()
    }

    /// The supervisor's id.
    pub fn id(&self) -> ActorId {
        self.node.id()
    }

    /// The supervisor's name.
    pub fn name(&self) -> &str {
        self.node.name()
    }
}

impl PartialEq for Supervisor {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Eq for Supervisor {}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supervisor({})", self.node.tx.beside().actor_name())
    }
}

/// The address of an actor that could not be spawned.
fn still_born<A: Actor>(error: SpawnError) -> Addr<A> {
    let Ok((addr, shell)) = SpawnOptions::new().make::<A>(None) else {
        unreachable!("nothing is claimed, and the capacity is not zero");
    };
    shell.end(StopReason::failed(error.into()));
    addr
}

/// The message that a supervisor below an actor has failed.
struct Below {
    incarnation: u32,
    reason: StopReason,
}

impl<A: 'static> Context<A> {
    /// Starts a supervisor below this actor, with the default [`SupervisorOptions`]; see
    /// [`supervise_with`](Self::supervise_with).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn supervise(&self, name: impl Into<Cow<'static, str>>) -> Supervisor {
        self.supervise_with(name, SupervisorOptions::new())
    }

    /// Starts a supervisor below this actor. It is a child: it stops with this incarnation, before
    /// its `stopped` runs. When it fails, this actor fails after the message that it is handling.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn supervise_with(
        &self,
        name: impl Into<Cow<'static, str>>,
        options: SupervisorOptions,
    ) -> Supervisor {
        let owner = Parent {
            tx: self.tx.keep().tx(),
            stop_limit: Some(Duration::MAX),
            renewed: Renewed::Never,
        };
        let supervisor = match options.spawn(name.into(), None, Some(owner)) {
            Ok(supervisor) => supervisor,
            Err(error) => panic!("{error}"),
        };
        let me = self.tx.clone();
        let incarnation = self.cell().incarnation();
        let id = supervisor.id().get();
        let node = supervisor.node.tx.beside();
        node.on_end(cell::watch_key(), move |reason| {
            if let StopReason::Failed(_) | StopReason::Panicked(_) = reason {
                let reason = reason.clone();
                let below = Below {
                    incarnation,
                    reason,
                };
                me.tx().notice(id, None, fail_with().seal(below));
            }
        });
        supervisor
    }
}

/// How an actor of any type handles the failure of a supervisor below it.
fn fail_with<A: 'static>() -> Seal<Live<A>, Below, ()> {
    Seal::new(|live: &'static mut Live<A>, below: Below| {
        let mine = live.ctx.cell().incarnation();
        match below.reason {
            StopReason::Failed(error) if below.incarnation == mine => live.ctx.fail(error),
            StopReason::Panicked(panic) if below.incarnation == mine => live.ctx.fail(panic),
            _ => {}
        }
        ready(())
    })
}
