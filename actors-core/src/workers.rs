//! `WorkerPool`: supervised actors that take one job at a time, and whom one may wait for.
use crate::actor::{Actor, Handler, Message};
use crate::addr::Addr;
use crate::ask::{self, PortFor};
use crate::call::{Ask, Reply, Routed};
use crate::cell::Live;
use crate::error::{AskError, DeadlockPath, SendError, TellError};
use crate::mailbox::{Deadline, Seal, Turn, current, current_actor};
use crate::policy::Intensity;
use crate::supervise::{ChildOptions, Factory, Supervisor, SupervisorOptions};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::Instant;

/// A number of supervised actors of one type, each of which has one job at a time: who asks waits
/// for one that is free.
///
/// A worker is free again when its handler has ended: not when the asker gave up, and after a panic
/// not before its supervisor has made it anew. Who waits is served in turn. A worker that has ended
/// for good is no longer in the pool; when none is left, asks end with [`AskError::Closed`].
///
/// The workers are children of a supervisor of their own, below the one that the pool was made for.
/// Unless told otherwise they are restarted however often they fail, with back-off, since it is
/// mostly a job that is to blame, and not the pool. Cloning a pool gives another handle of it.
///
/// ```
/// use actors_core::{Actor, Supervisor, WorkerPool, handlers};
/// use std::time::Duration;
///
/// #[derive(Actor)]
/// struct Press;
///
/// #[handlers]
/// impl Press {
///     async fn print(&mut self, pages: u32) -> u32 { pages }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let app = Supervisor::new("shop");
/// let presses = WorkerPool::new(&app, "presses", 4, || Press);
/// let jobs: Vec<_> = (0..100).map(|pages| presses.ask(Print { pages })).collect();
/// for (pages, job) in (0..).zip(jobs) {
///     assert_eq!(job.await?, pages);
/// }
/// app.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
pub struct WorkerPool<A> {
    pool: Arc<Pool<A>>,
}

/// How the workers of a pool are supervised.
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a pool is made with them"]
pub struct PoolOptions {
    supervisor: SupervisorOptions,
    child: ChildOptions,
}

impl PoolOptions {
    /// The defaults: those of [`ChildOptions`] for each worker, and those of [`SupervisorOptions`]
    /// but for the intensity, which is unlimited.
    pub fn new() -> Self {
        Self {
            supervisor: SupervisorOptions::new().intensity(Intensity::UNLIMITED),
            child: ChildOptions::new(),
        }
    }

    /// The supervisor of the workers: its strategy, intensity and back-off.
    pub fn supervisor(mut self, options: SupervisorOptions) -> Self {
        self.supervisor = options;
        self
    }

    /// Each worker: when it is restarted, how long it may take to start and to stop.
    pub fn worker(mut self, options: ChildOptions) -> Self {
        self.child = options;
        self
    }
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self::new()
    }
}

struct Pool<A> {
    supervisor: Supervisor,
    workers: Vec<Addr<A>>,
    state: Mutex<State>,
    /// A permit for each worker that is free; closed when no worker is left.
    free: Semaphore,
}

/// Workers are known by their place in the list.
struct State {
    free: VecDeque<usize>,
    /// Those that have not ended for good.
    left: usize,
    /// Those whose handler waits for this pool, each with the number of its waits.
    waiting: Vec<(usize, u32)>,
}

impl<A: Actor> WorkerPool<A> {
    /// Starts so many workers (at least one) with the default [`PoolOptions`], as children of a
    /// new subtree of this supervisor. Jobs that come before they are up wait.
    pub fn new<Form: 'static>(
        supervisor: &Supervisor,
        name: impl Into<Cow<'static, str>>,
        workers: usize,
        factory: impl Factory<A, Form> + Clone,
    ) -> Self {
        Self::with_options(supervisor, name, workers, PoolOptions::new(), factory)
    }

    /// The same with other options.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "as all factories and options are passed"
    )]
    pub fn with_options<Form: 'static>(
        supervisor: &Supervisor,
        name: impl Into<Cow<'static, str>>,
        workers: usize,
        options: PoolOptions,
        factory: impl Factory<A, Form> + Clone,
    ) -> Self {
        let name = name.into();
        let workers = workers.max(1);
        let below = supervisor.subtree_with(name.clone(), options.supervisor);
        let worker = |n: usize| {
            below.child_with(
                format!("{name}-{n}"),
                options.child.clone(),
                factory.clone(),
            )
        };
        Self {
            pool: Arc::new(Pool {
                workers: (1..=workers).map(worker).collect(),
                supervisor: below,
                state: Mutex::new(State {
                    free: (0..workers).collect(),
                    left: workers,
                    waiting: Vec::new(),
                }),
                free: Semaphore::new(workers),
            }),
        }
    }

    /// Asks a worker. Awaited, it waits for one that is free; a timeout counts for that as well.
    ///
    /// Ends with `Closed` when no worker is left. Posted, it ends with `Full` when none is free.
    /// Ends with `Deadlock` when a worker asks its own pool while all others do the same.
    pub fn ask<M: Message>(&self, msg: M) -> Ask<'static, M::Reply>
    where
        A: Handler<M>,
    {
        Ask::routed(ToWorker {
            pool: Arc::clone(&self.pool),
            msg,
        })
    }

    /// Posts an ask to a worker that is free; or gives the message back.
    ///
    /// # Errors
    ///
    /// `Full` when no worker is free, `Closed` when none is left.
    pub fn try_ask<M: Message>(&self, msg: M) -> Result<Reply<M::Reply>, TellError<M>>
    where
        A: Handler<M>,
    {
        self.pool.offer(msg, ask::try_ask)
    }

    /// Tells a worker that is free.
    ///
    /// # Errors
    ///
    /// `Full` when no worker is free, `Closed` when none is left. Both give the message back.
    pub fn tell<M: Message>(&self, msg: M) -> Result<(), TellError<M>>
    where
        A: Handler<M>,
    {
        self.pool.offer(msg, ask::tell)
    }

    /// Waits for a worker that is free, and tells it. Dropped before it is ready, it has sent
    /// nothing.
    ///
    /// # Errors
    ///
    /// `Closed` when no worker is left, `Deadlock` as for [`ask`](Self::ask). Both give the message
    /// back.
    pub async fn send<M: Message>(&self, mut msg: M) -> Result<(), SendError<M>>
    where
        A: Handler<M>,
    {
        loop {
            let slot = match self.pool.slot().await {
                Ok(slot) => slot,
                Err(NoSlot::Closed) => return Err(SendError::Closed(msg)),
                Err(NoSlot::Deadlock(path)) => return Err(SendError::Deadlock(msg, path)),
            };
            let to = slot.worker().clone();
            match ask::send(port(&to), Job { msg, slot }).await {
                Ok(()) => return Ok(()),
                Err(SendError::Closed(job)) => msg = job.msg,
                Err(SendError::Deadlock(job, path)) => {
                    return Err(SendError::Deadlock(job.msg, path));
                }
                Err(SendError::WouldBlock(job)) => return Err(SendError::WouldBlock(job.msg)),
            }
        }
    }
}

impl<A> WorkerPool<A> {
    /// How many workers there are that have not ended for good.
    pub fn workers(&self) -> usize {
        self.pool.state().left
    }

    /// How many workers have no job and are up, as far as is known.
    pub fn free(&self) -> usize {
        self.pool.state().free.len()
    }

    /// The supervisor of the workers.
    pub fn supervisor(&self) -> &Supervisor {
        &self.pool.supervisor
    }
}

/// Why there is no worker to wait for.
enum NoSlot {
    Closed,
    Deadlock(DeadlockPath),
}

impl<A> Pool<A> {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock is left half-done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One worker less: it has ended for good.
    fn retire(&self) {
        let mut state = self.state();
        state.left -= 1;
        if state.left == 0 {
            drop(state);
            self.free.close();
        }
    }

    /// Takes the worker for which a permit was taken.
    fn take(self: &Arc<Self>) -> Option<Slot<A>>
    where
        A: Actor,
    {
        let worker = self.state().free.pop_front()?;
        Some(Slot {
            pool: Arc::clone(self),
            worker,
            fate: Fate::Unknown,
        })
    }

    /// The place of the worker in whose handler this is called.
    fn current_worker(&self) -> Option<usize> {
        let me = current_actor();
        let is_me = |worker: &Addr<A>| worker.id().get() == me;
        if me == 0 {
            return None;
        }
        self.workers.iter().position(is_me)
    }
}

impl<A: Actor> Pool<A> {
    /// Waits for a worker that is free. Dropped before it is ready, it has taken none.
    async fn slot(self: &Arc<Self>) -> Result<Slot<A>, NoSlot> {
        loop {
            let mut permit = pin!(self.free.acquire());
            let mut waits = None;
            let permit = poll_fn(|cx| {
                if let Poll::Ready(permit) = permit.as_mut().poll(cx) {
                    return Poll::Ready(permit.map_err(|_| NoSlot::Closed));
                }
                if waits.is_none() {
                    if let Some(worker) = self.current_worker() {
                        match Waiting::begin(self, worker) {
                            Ok(waiting) => waits = Some(waiting),
                            Err(path) => return Poll::Ready(Err(NoSlot::Deadlock(path))),
                        }
                    }
                }
                Poll::Pending
            })
            .await?;
            permit.forget();
            if let Some(slot) = self.take().and_then(Slot::usable) {
                return Ok(slot);
            }
        }
    }

    /// Gives a job to a worker that is free, if there is one.
    fn offer<M, T>(
        self: &Arc<Self>,
        mut msg: M,
        mut give: impl FnMut(PortFor<'_, Job<A, M>>, Job<A, M>) -> Result<T, TellError<Job<A, M>>>,
    ) -> Result<T, TellError<M>>
    where
        A: Handler<M>,
        M: Message,
    {
        loop {
            match self.free.try_acquire() {
                Ok(permit) => permit.forget(),
                Err(TryAcquireError::NoPermits) => return Err(TellError::Full(msg)),
                Err(TryAcquireError::Closed) => return Err(TellError::Closed(msg)),
            }
            let Some(slot) = self.take().and_then(Slot::usable) else {
                continue;
            };
            let to = slot.worker().clone();
            match give(port(&to), Job { msg, slot }) {
                Ok(done) => return Ok(done),
                Err(TellError::Full(job)) => return Err(TellError::Full(job.msg)),
                Err(TellError::Closed(job)) => msg = job.msg,
            }
        }
    }
}

/// Notes, while it is held, that the handler of a worker waits for its own pool.
struct Waiting<'a, A> {
    pool: &'a Pool<A>,
    worker: usize,
}

impl<'a, A> Waiting<'a, A> {
    /// # Errors
    ///
    /// All workers are waiting for each other, if this one waits too.
    fn begin(pool: &'a Pool<A>, worker: usize) -> Result<Self, DeadlockPath> {
        let mut state = pool.state();
        match state.waiting.iter_mut().find(|(of, _)| *of == worker) {
            Some((_, times)) => *times += 1,
            None => state.waiting.push((worker, 1)),
        }
        let waiting = Self { pool, worker };
        if state.free.is_empty() && state.waiting.len() >= state.left {
            let mut circle: Vec<usize> = state.waiting.iter().map(|(of, _)| *of).collect();
            drop(state);
            // The one whose call is refused comes first.
            circle.sort_unstable_by_key(|of| *of != worker);
            let name = |of: usize| pool.workers[of].tx.beside().actor_name();
            return Err(DeadlockPath::new(circle.into_iter().map(name).collect()));
        }
        drop(state);
        Ok(waiting)
    }
}

impl<A> Drop for Waiting<'_, A> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        if let Some(at) = state.waiting.iter().position(|(of, _)| *of == self.worker) {
            state.waiting[at].1 -= 1;
            if state.waiting[at].1 == 0 {
                state.waiting.swap_remove(at);
            }
        }
    }
}

/// A worker that is taken. Dropped, it is free again as soon as it can work.
struct Slot<A: Actor> {
    pool: Arc<Pool<A>>,
    worker: usize,
    fate: Fate,
}

/// What is known of a worker that was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its job was dropped: before it began, or with its handler, and then the worker may be about
    /// to be made anew.
    Unknown,
    /// It can work.
    Free,
    /// It has ended for good.
    Gone,
}

impl<A: Actor> Slot<A> {
    fn worker(&self) -> &Addr<A> {
        &self.pool.workers[self.worker]
    }

    /// The same, unless the worker has ended for good.
    fn usable(self) -> Option<Self> {
        self.worker().is_alive().then_some(self)
    }
}

impl<A: Actor> Drop for Slot<A> {
    fn drop(&mut self) {
        match self.fate {
            Fate::Free => {
                self.pool.state().free.push_back(self.worker);
                self.pool.free.add_permits(1);
            }
            Fate::Gone => self.pool.retire(),
            Fate::Unknown => {
                // It is free when it handles what lies behind the job, be it made anew by then.
                let probe = Probe(Self {
                    pool: Arc::clone(&self.pool),
                    worker: self.worker,
                    fate: Fate::Unknown,
                });
                let port = Probe::seal().port(&self.worker().tx).tell_own(probe);
                if let Err(mut probe) = port {
                    probe.0.fate = Fate::Gone;
                }
            }
        }
    }
}

/// Goes through the mailbox of a worker, and frees it when it is handled.
struct Probe<A: Actor>(Slot<A>);

impl<A: Actor> Probe<A> {
    fn seal() -> Seal<Live<A>, Self, ()> {
        Seal::new(|_: &'static mut Live<A>, mut probe: Self| {
            probe.0.fate = Fate::Free;
            ready(())
        })
    }
}

/// A message for a worker, and its being taken.
struct Job<A: Actor, M> {
    msg: M,
    slot: Slot<A>,
}

impl<A: Actor, M: Message> Message for Job<A, M> {
    type Reply = M::Reply;
}

fn port<A: Handler<M>, M: Message>(worker: &Addr<A>) -> PortFor<'_, Job<A, M>> {
    let seal: Seal<Live<A>, Job<A, M>, M::Reply> =
        Seal::new(|live: &'static mut Live<A>, job: Job<A, M>| async move {
            let Job { msg, mut slot } = job;
            let reply = live.actor.handle(msg, &mut live.ctx).await;
            if live.ctx.reason().is_none() {
                slot.fate = Fate::Free;
            }
            drop(slot);
            reply
        });
    seal.port(&worker.tx)
}

/// An ask that waits for a worker.
struct ToWorker<A, M> {
    pool: Arc<Pool<A>>,
    msg: M,
}

impl<A: Handler<M>, M: Message> Routed<M::Reply> for ToWorker<A, M> {
    fn post(self: Box<Self>, timeout: Option<Duration>) -> Result<Reply<M::Reply>, AskError> {
        let posted = self.pool.offer(self.msg, |port, job| {
            ask::try_ask_within(port, job, timeout)
        });
        posted.map_err(|refused| match refused {
            TellError::Full(_) => AskError::Full,
            TellError::Closed(_) => AskError::Closed,
        })
    }

    fn ask(self: Box<Self>, timeout: Option<Duration>) -> Asking<M::Reply> {
        Box::pin(async move {
            let Self { pool, mut msg } = *self;
            let own = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            let inherited = current(|turn| turn.map_or(Deadline::NONE, Turn::deadline));
            let deadline = own.into_iter().chain(inherited.time()).min();
            loop {
                let slot = match until(deadline, pool.slot()).await {
                    Some(Ok(slot)) => slot,
                    Some(Err(NoSlot::Closed)) => return Err(AskError::Closed),
                    Some(Err(NoSlot::Deadlock(path))) => {
                        return Err(AskError::Deadlock {
                            path,
                            may_have_run: false,
                        });
                    }
                    None => {
                        return Err(AskError::TimedOut {
                            may_have_run: false,
                        });
                    }
                };
                let to = slot.worker().clone();
                let mut ask = Ask::new(port(&to).call(Job { msg, slot }));
                if let Some(own) = own {
                    ask = ask.timeout(own.saturating_duration_since(Instant::now()));
                }
                match poll_fn(|cx| ask.poll_or_message::<Job<A, M>>(cx)).await {
                    Ok(result) => return result,
                    Err(job) => msg = job.msg,
                }
            }
        })
    }
}

type Asking<R> = Pin<Box<dyn Future<Output = Result<R, AskError>> + Send>>;

/// What the future gives, unless the deadline comes first. Without a runtime there is no timer, and
/// whoever waits looks at the clock itself.
async fn until<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) if tokio::runtime::Handle::try_current().is_ok() => {
            tokio::time::timeout_at(deadline, work).await.ok()
        }
        _ => Some(work.await),
    }
}

impl<A> Clone for WorkerPool<A> {
    fn clone(&self) -> Self {
        Self {
            pool: Arc::clone(&self.pool),
        }
    }
}

impl<A> fmt::Debug for WorkerPool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("name", &self.pool.supervisor.name())
            .field("workers", &self.workers())
            .field("free", &self.free())
            .finish()
    }
}
