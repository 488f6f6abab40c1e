//! P12 without supervisors: children end before their parent, and an actor that nobody can reach
//! ends once it has nothing left to do.
use crate::gate::Gate;
use actors_core::{
    Actor, Addr, Context, Error, Handler, Message, SpawnOptions, StopReason, Timer, WeakAddr,
    handlers,
};
use futures_core::Stream;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

const HOUR: Duration = Duration::from_secs(3600);

/// Who has stopped, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, line: String) {
        self.0.lock().expect("nobody panics with it").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

/// One of a tree: has children of the same kind.
struct Branch {
    log: Log,
    /// How many levels of children it starts, two in each.
    levels: usize,
    /// `started` fails after the children were started.
    fails: bool,
    /// A child that nobody has an address of would stop at once.
    children: Vec<Addr<Self>>,
}

impl Branch {
    fn new(log: &Log, levels: usize) -> Self {
        Self {
            log: log.clone(),
            levels,
            fails: false,
            children: Vec::new(),
        }
    }
}

impl Actor for Branch {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        if self.levels > 0 {
            for n in 1..=2 {
                let name = format!("{}.{n}", ctx.name());
                let child = Self::new(&self.log, self.levels - 1);
                let child = ctx.spawn_with(SpawnOptions::new().name(name), child)?;
                self.children.push(child);
            }
        }
        if self.fails {
            Err("it was told to".into())
        } else {
            Ok(())
        }
    }

    async fn stopped(&mut self, ctx: &mut Context<Self>, _reason: &StopReason) {
        // Whoever does not wait for its children is overtaken by them here.
        tokio::task::yield_now().await;
        self.log.note(ctx.name().to_owned());
    }
}

#[handlers]
impl Branch {
    /// Returns when the tree stands.
    fn is_up(&mut self) {}

    fn adopt(&mut self, child: Child, ctx: &mut Context<Self>) -> Addr<Child> {
        ctx.spawn(child)
    }

    fn panic(&mut self) {
        panic!("the parent panics");
    }

    async fn hold(&mut self, gate: Gate) {
        gate.pass().await;
    }
}

/// A child that tells of its hook, and can be kept from stopping.
struct Child {
    log: Log,
    hangs_in_hook: bool,
}

impl Child {
    fn new(log: &Log) -> Self {
        Self {
            log: log.clone(),
            hangs_in_hook: false,
        }
    }
}

impl Actor for Child {
    async fn stopped(&mut self, _ctx: &mut Context<Self>, _reason: &StopReason) {
        if self.hangs_in_hook {
            pending::<()>().await;
        }
        self.log.note("child".into());
    }
}

#[handlers]
impl Child {
    async fn hang(&mut self, gate: Gate) {
        gate.pass().await;
        pending::<()>().await;
    }
}

const THREE_LEVELS: [&str; 7] = [
    "root.2.2", "root.2.1", "root.2", "root.1.2", "root.1.1", "root.1", "root",
];

/// A tree of three levels, all of them up.
async fn tree(log: &Log) -> Addr<Branch> {
    let mut events = actors_core::events();
    let root = SpawnOptions::new()
        .name("root")
        .start(Branch::new(log, 2))
        .await;
    let root = root.expect("it starts");
    // Every branch starts its children before it is up, so the tree is whole when seven are.
    let mut up = actors_core::actors()
        .into_iter()
        .filter(|actor| is_in(&root, actor.id))
        .count();
    while up < 7 {
        let _ = events.recv().await;
        up = actors_core::actors()
            .into_iter()
            .filter(|actor| is_in(&root, actor.id))
            .count();
    }
    root
}

/// Whether the actor is up and belongs to the tree.
fn is_in(root: &Addr<Branch>, id: actors_core::ActorId) -> bool {
    let actors = actors_core::actors();
    let find = |id| actors.iter().find(|actor| actor.id == id);
    let Some(found) = find(id) else { return false };
    let mut at = Some(found);
    while let Some(actor) = at {
        if actor.id == root.id() {
            return found.state == actors_core::ActorState::Running;
        }
        at = actor.parent.and_then(find);
    }
    false
}

#[actors_core::test]
async fn leaves_stop_first_and_in_reverse_order() {
    let log = Log::default();
    let root = tree(&log).await;
    root.stop();
    assert!(root.stopped().await.is_normal());
    assert_eq!(log.lines(), THREE_LEVELS);
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_stop_first_on_several_threads() {
    for _ in 0..50 {
        let log = Log::default();
        let root = tree(&log).await;
        root.stop();
        assert!(root.stopped().await.is_normal());
        assert_eq!(log.lines(), THREE_LEVELS);
    }
}

#[actors_core::test]
async fn children_of_a_panicking_parent_stop_first() {
    let log = Log::default();
    let root = tree(&log).await;
    root.panic().await.expect_err("it panics");
    assert!(matches!(root.stopped().await, StopReason::Panicked(_)));
    assert_eq!(log.lines(), THREE_LEVELS);
}

#[actors_core::test]
async fn children_of_a_parent_that_fails_to_start_stop() {
    let log = Log::default();
    let mut root = Branch::new(&log, 1);
    root.fails = true;
    let started = SpawnOptions::new().name("root").start(root).await;
    started.expect_err("it fails");
    assert_eq!(log.lines(), ["root.2", "root.1"]);
}

#[actors_core::test]
async fn children_of_a_killed_parent_are_killed() {
    let log = Log::default();
    let root = tree(&log).await;
    let child = root.adopt(Child::new(&log)).await.expect("it starts");
    root.kill();
    assert!(matches!(root.stopped().await, StopReason::Killed));
    assert!(matches!(child.stopped().await, StopReason::Killed));
    assert!(log.lines().is_empty(), "hooks ran: {:?}", log.lines());
    assert!(
        !actors_core::actors()
            .iter()
            .any(|actor| actor.parent == Some(root.id()))
    );
}

async fn ignoring_child(hangs_in_hook: bool) {
    let limit = Duration::from_secs(3);
    let log = Log::default();
    let options = SpawnOptions::new().name("root").child_stop_timeout(limit);
    let root = options.spawn(Branch::new(&log, 0)).expect("it starts");
    let before = root.adopt(Child::new(&log)).await.expect("it starts");
    let state = Child {
        hangs_in_hook,
        ..Child::new(&log)
    };
    let ignoring = root.adopt(state).await.expect("it starts");
    let last = root.adopt(Child::new(&log)).await.expect("it starts");
    let gate = Gate::default();
    if !hangs_in_hook {
        ignoring
            .tell(Hang { gate: gate.clone() })
            .expect("there is room");
        gate.reached().await;
        gate.open();
    }

    let began = Instant::now();
    root.stop();
    assert!(last.stopped().await.is_normal());
    assert_eq!(
        began.elapsed(),
        Duration::ZERO,
        "it is not the one that hangs"
    );
    assert!(matches!(ignoring.stopped().await, StopReason::Killed));
    let waited = began.elapsed();
    // The clock of tokio goes in steps of a millisecond.
    assert!(
        waited >= limit && waited < limit + Duration::from_millis(5),
        "{waited:?}"
    );
    assert!(before.stopped().await.is_normal());
    assert!(root.stopped().await.is_normal());
    assert_eq!(log.lines(), ["child", "child", "root"]);
}

#[actors_core::test(start_paused = true)]
async fn child_that_ignores_its_stop_is_killed_in_time() {
    ignoring_child(false).await;
}

#[actors_core::test(start_paused = true)]
async fn child_that_hangs_in_its_hook_is_killed_in_time() {
    ignoring_child(true).await;
}

#[actors_core::test]
async fn child_that_has_stopped_is_forgotten() {
    let log = Log::default();
    let root = SpawnOptions::new().name("root").spawn(Branch::new(&log, 0));
    let root = root.expect("it starts");
    let child = root.adopt(Child::new(&log)).await.expect("it starts");
    child.stop();
    assert!(child.stopped().await.is_normal());
    root.is_up().await.expect("its parent lives on");
    root.stop();
    assert!(root.stopped().await.is_normal());
    assert_eq!(log.lines(), ["child", "root"]);
}

/// Tells by its destructor that it has ended, and what it had handled.
struct Lonely {
    handled: u32,
    ended: Option<oneshot::Sender<u32>>,
}

impl Drop for Lonely {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            let _ = ended.send(self.handled);
        }
    }
}

impl Actor for Lonely {}

#[derive(Message)]
struct Count;

impl Handler<Count> for Lonely {
    async fn handle(&mut self, _msg: Count, _ctx: &mut Context<Self>) {
        self.handled += 1;
    }
}

/// A stream of what is sent to it.
struct Items(mpsc::UnboundedReceiver<()>);

impl Stream for Items {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<()>> {
        self.0.poll_recv(cx)
    }
}

#[handlers]
impl Lonely {
    fn count_later(&mut self, delay: Duration, ctx: &mut Context<Self>) {
        ctx.notify_after(delay, Count);
    }

    fn count_often(&mut self, period: Duration, ctx: &mut Context<Self>) -> Timer {
        ctx.notify_every(period, || Count)
    }

    fn listen(&mut self, items: Items, ctx: &mut Context<Self>) {
        ctx.attach(items, |()| Count);
    }

    fn bear(&mut self, ctx: &mut Context<Self>) -> Addr<Child> {
        ctx.spawn(Child::new(&Log::default()))
    }

    fn pipe_from(&mut self, from: oneshot::Receiver<()>, ctx: &mut Context<Self>) {
        ctx.pipe(from, |_| Count);
    }

    async fn wait(&mut self, gate: Gate) {
        gate.pass().await;
    }
}

fn lonely() -> (Addr<Lonely>, oneshot::Receiver<u32>) {
    let (ended, has_ended) = oneshot::channel();
    let lonely = Lonely {
        handled: 0,
        ended: Some(ended),
    };
    (lonely.spawn(), has_ended)
}

#[actors_core::test]
async fn last_address_gone_the_mail_is_handled_before_the_end() {
    let (lonely, ended) = lonely();
    let gate = Gate::default();
    lonely
        .tell(Wait { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    for _ in 0..1000 {
        lonely.tell(Count).expect("there is room");
    }
    drop(lonely);
    gate.open();
    assert_eq!(ended.await.expect("its state is dropped"), 1000);
}

#[actors_core::test(start_paused = true)]
async fn any_address_keeps_it_and_a_weak_one_does_not() {
    let (lonely, mut ended) = lonely();
    let weak: WeakAddr<Lonely> = lonely.downgrade();
    let recipient = lonely.recipient::<Count, _>();
    drop(lonely);
    timeout(HOUR, &mut ended)
        .await
        .expect_err("a recipient is an address");
    let again = weak.upgrade().expect("it lives");
    drop(recipient);
    timeout(HOUR, &mut ended)
        .await
        .expect_err("an upgraded address is one");
    again.ask(Count).await.expect("it lives");
    drop(again);
    assert_eq!(ended.await.expect("its state is dropped"), 1);
    assert!(weak.upgrade().is_none());
}

#[actors_core::test(start_paused = true)]
async fn posted_ask_is_answered_though_the_address_has_gone() {
    let (lonely, ended) = lonely();
    let reply = lonely.ask(Count).post().expect("there is room");
    drop(lonely);
    reply.await.expect("what was accepted is handled");
    assert_eq!(ended.await.expect("its state is dropped"), 1);
}

#[actors_core::test(start_paused = true)]
async fn timer_keeps_it_until_it_has_fired() {
    let (lonely, ended) = lonely();
    let began = Instant::now();
    lonely.count_later(HOUR).await.expect("it lives");
    drop(lonely);
    assert_eq!(
        ended.await.expect("its state is dropped"),
        1,
        "the tick was handled"
    );
    assert!(began.elapsed() >= HOUR);
}

#[actors_core::test(start_paused = true)]
async fn repeating_timer_keeps_it_until_it_is_cancelled() {
    let (lonely, mut ended) = lonely();
    let timer = lonely.count_often(HOUR / 10).await.expect("it lives");
    drop(lonely);
    timeout(HOUR + HOUR / 20, &mut ended)
        .await
        .expect_err("its timer runs");
    timer.cancel();
    assert_eq!(ended.await.expect("its state is dropped"), 10);
}

#[actors_core::test(start_paused = true)]
async fn stream_keeps_it_until_its_end() {
    let (lonely, mut ended) = lonely();
    let (items, stream) = mpsc::unbounded_channel();
    lonely.listen(Items(stream)).await.expect("it lives");
    drop(lonely);
    timeout(HOUR, &mut ended)
        .await
        .expect_err("its stream goes on");
    items.send(()).expect("it listens");
    timeout(HOUR, &mut ended)
        .await
        .expect_err("its stream goes on");
    items.send(()).expect("it listens");
    drop(items);
    assert_eq!(ended.await.expect("its state is dropped"), 2);
}

#[actors_core::test(start_paused = true)]
async fn child_keeps_it_until_it_has_stopped() {
    let (lonely, mut ended) = lonely();
    let child = lonely.bear().await.expect("it lives");
    drop(lonely);
    timeout(HOUR, &mut ended)
        .await
        .expect_err("its child lives");
    child.stop();
    assert_eq!(ended.await.expect("its state is dropped"), 0);
}

#[actors_core::test(start_paused = true)]
async fn pipe_keeps_it_until_its_result_is_handled() {
    let (lonely, mut ended) = lonely();
    let (done, future) = oneshot::channel();
    lonely.pipe_from(future).await.expect("it lives");
    drop(lonely);
    timeout(HOUR, &mut ended)
        .await
        .expect_err("its future runs");
    done.send(()).expect("it waits");
    assert_eq!(ended.await.expect("its state is dropped"), 1);
}

/// Has children that hang in their hooks, and stops them together.
struct Crowd {
    size: usize,
    limit: Duration,
    children: Vec<Addr<Hanging>>,
}

impl Actor for Crowd {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        ctx.stop_children_together(self.limit);
        self.children = (0..self.size).map(|_| ctx.spawn(Hanging)).collect();
        Ok(())
    }
}

#[handlers]
impl Crowd {
    fn members(&self) -> Vec<Addr<Hanging>> {
        self.children.clone()
    }
}

#[derive(Clone, Copy)]
struct Hanging;

impl Actor for Hanging {
    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        tokio::time::sleep(HOUR).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn children_that_are_stopped_together_share_the_time() {
    let crowd = Crowd {
        size: 100,
        limit: Duration::from_secs(7),
        children: Vec::new(),
    };
    let crowd = crowd.spawn();
    let children = crowd.members().await.expect("it lives");
    let began = Instant::now();
    crowd.stop();
    assert!(crowd.stopped().await.is_normal());
    assert_eq!(began.elapsed().as_secs(), 7);
    for child in children {
        assert!(matches!(child.stopped().await, StopReason::Killed));
    }
}

/// Listens to a stream that never has anything, and hangs when it stops.
struct Listening(Option<Mute>);

impl Actor for Listening {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        ctx.attach(self.0.take().expect("starts once"), |unheard| unheard);
        ctx.spawn(Hanging);
        Ok(())
    }
}

impl Handler<Unheard> for Listening {
    async fn handle(&mut self, _: Unheard, _: &mut Context<Self>) {}
}

#[derive(Message)]
struct Unheard;

/// Says when it is dropped.
struct Mute {
    _dropped: oneshot::Sender<()>,
}

impl Stream for Mute {
    type Item = Unheard;

    fn poll_next(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Option<Unheard>> {
        Poll::Pending
    }
}

#[actors_core::test(start_paused = true)]
async fn streams_end_before_the_children_do() {
    let (dropped, is_dropped) = oneshot::channel();
    let stream = Mute { _dropped: dropped };
    let listening = Listening(Some(stream)).spawn();
    listening.stop();
    // The child takes five seconds of the paused time, and the stream none.
    let stream = timeout(Duration::from_secs(1), is_dropped).await;
    assert!(stream.is_ok(), "the stream is still there");
    assert!(listening.stopped().await.is_normal());
}
