//! What a handler can do with its context, and what callers that are not asynchronous can do.
use crate::gate::{Gate, poll_once};
use actors_core::{
    Actor, Addr, AskError, Attached, Context, Deferred, LocalActor, Message, NoReplyReason,
    SendError, SpawnError, SpawnOptions, StopReason, Stopped, handlers,
};
use futures_core::Stream;
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

const HOUR: Duration = Duration::from_secs(3600);

/// A stream of what is sent to it; counts how often it is polled.
struct Items {
    from: mpsc::UnboundedReceiver<u32>,
    polls: Arc<AtomicU32>,
}

impl Stream for Items {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<u32>> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        self.from.poll_recv(cx)
    }
}

fn items() -> (mpsc::UnboundedSender<u32>, Items, Arc<AtomicU32>) {
    let (to, from) = mpsc::unbounded_channel();
    let polls = Arc::<AtomicU32>::default();
    let items = Items {
        from,
        polls: Arc::clone(&polls),
    };
    (to, items, polls)
}

/// Puts aside while it is closed.
#[derive(Actor, Default)]
struct Desk {
    open: bool,
    log: Vec<u32>,
    notices: Vec<Stopped>,
    waiting: Vec<Deferred<u32>>,
}

#[derive(Message)]
#[reply(Option<u32>)]
struct File(u32);

#[handlers]
impl Desk {
    #[on]
    async fn file(&mut self, msg: File, ctx: &mut Context<Self>) -> Option<u32> {
        if self.open {
            self.log.push(msg.0);
            return Some(msg.0);
        }
        match ctx.stash(msg) {
            Ok(later) => later.await,
            Err(full) => {
                self.log.push(full.into_message().0 + 1000);
                None
            }
        }
    }

    fn open(&mut self, ctx: &mut Context<Self>) -> usize {
        self.open = true;
        let stashed = ctx.stashed();
        ctx.unstash_all();
        stashed
    }

    fn note(&mut self, n: u32) {
        self.log.push(n);
    }

    fn log(&mut self) -> Vec<u32> {
        self.log.clone()
    }

    async fn hold(&mut self, gate: Gate) {
        gate.pass().await;
    }

    async fn later(&mut self, ctx: &mut Context<Self>) -> u32 {
        ctx.defer(|reply| self.waiting.push(reply)).await
    }

    /// Answered by a task that the gate lets go on.
    async fn in_a_task(&mut self, gate: Gate, ctx: &mut Context<Self>) -> u32 {
        ctx.defer(|reply| {
            tokio::spawn(async move {
                gate.pass().await;
                reply.answer(42);
            });
        })
        .await
    }

    async fn dropped(&mut self, ctx: &mut Context<Self>) -> u32 {
        ctx.defer(drop).await
    }

    fn owed(&mut self) -> usize {
        self.waiting.len()
    }

    async fn pass_on(&mut self, to: Addr<Self>, n: u32, ctx: &mut Context<Self>) -> Option<u32> {
        ctx.forward(&to, File(n)).await
    }

    fn listen(&mut self, items: Items, ctx: &mut Context<Self>) -> Attached {
        ctx.attach(items, |n| Note { n })
    }

    fn listen_then_stop(&mut self, items: Items, ctx: &mut Context<Self>) {
        let _ = ctx.attach(items, |n| Note { n }).then_stop();
    }

    fn listen_then(&mut self, items: Items, last: u32, ctx: &mut Context<Self>) {
        let _ = ctx.attach_then(items, |n| Note { n }, Note { n: last });
    }

    fn pipe_in(&mut self, from: oneshot::Receiver<u32>, ctx: &mut Context<Self>) {
        ctx.pipe(from, |n| Note { n: n.unwrap_or(0) });
    }

    fn watch(&mut self, other: Addr<Self>, ctx: &mut Context<Self>) {
        ctx.watch(&other);
    }

    fn unwatch(&mut self, other: Addr<Self>, ctx: &mut Context<Self>) {
        ctx.unwatch(&other);
    }

    async fn unwatch_late(&mut self, other: Addr<Self>, gate: Gate, ctx: &mut Context<Self>) {
        gate.pass().await;
        ctx.unwatch(&other);
    }

    #[on]
    fn notice(&mut self, msg: Stopped) {
        self.notices.push(msg);
    }

    fn notices(&mut self) -> Vec<Stopped> {
        self.notices.clone()
    }

    /// A blocking call where it must not be made.
    async fn block(&mut self, other: Addr<Self>) -> bool {
        let asked = other.blocking_ask(Log);
        let sent = other.blocking_send(Note { n: 1 });
        matches!(asked, Err(AskError::WouldBlock))
            && matches!(sent, Err(SendError::WouldBlock(Note { n: 1 })))
    }
}

fn desk(open: bool) -> Addr<Desk> {
    Desk {
        open,
        ..Desk::default()
    }
    .spawn()
}

/// A desk of little room, its handler stopped before a gate.
async fn held(room: usize) -> (Addr<Desk>, Gate) {
    let desk = SpawnOptions::new().capacity(room).spawn(Desk::default());
    let desk = desk.expect("it starts");
    let gate = Gate::default();
    desk.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    (desk, gate)
}

// --- defer

#[actors_core::test]
async fn deferred_reply_is_answered_from_a_task() {
    let desk = desk(true);
    let gate = Gate::default();
    let reply = desk.in_a_task(gate.clone()).post().expect("there is room");
    gate.reached().await;
    assert_eq!(
        desk.ask(File(1)).await.expect("it goes on meanwhile"),
        Some(1)
    );
    assert!(!reply.is_ready());
    gate.open();
    assert_eq!(reply.await.expect("it is answered"), 42);
}

#[actors_core::test]
async fn deferred_reply_is_answered_after_the_end_of_its_actor() {
    let desk = desk(true);
    let gate = Gate::default();
    let reply = desk.in_a_task(gate.clone()).post().expect("there is room");
    gate.reached().await;
    desk.stop();
    assert!(desk.stopped().await.is_normal());
    gate.open();
    assert_eq!(reply.await.expect("it is answered"), 42);
}

#[actors_core::test]
async fn deferred_reply_that_is_dropped_ends_the_ask_at_once() {
    let desk = desk(true);
    let is_dropped = |error: AskError| {
        let AskError::NoReply {
            reason,
            may_have_run,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        matches!(reason, NoReplyReason::ReplyDropped) && may_have_run
    };
    assert!(is_dropped(desk.dropped().await.expect_err("it is dropped")));
    // With the state of the actor, too.
    let reply = desk.later().post().expect("there is room");
    assert_eq!(desk.owed().await.expect("it lives"), 1);
    desk.kill();
    assert!(is_dropped(reply.await.expect_err("it is dropped")));
}

#[actors_core::test]
async fn deferred_reply_knows_that_nobody_waits() {
    let (to, mut from) = mpsc::unbounded_channel();
    let passer = Passer { to }.spawn();
    let reply = passer.pass_reply().post().expect("there is room");
    let deferred: Deferred<u32> = from.recv().await.expect("it passes it on");
    assert!(!deferred.is_cancelled());
    drop(reply);
    assert!(deferred.is_cancelled());
    passer.tell(PassReply).expect("there is room");
    let deferred = from.recv().await.expect("it passes it on");
    assert!(deferred.is_cancelled(), "it was told");
    deferred.answer(1);
}

#[derive(Actor)]
struct Passer {
    to: mpsc::UnboundedSender<Deferred<u32>>,
}

#[handlers]
impl Passer {
    async fn pass_reply(&mut self, ctx: &mut Context<Self>) -> u32 {
        ctx.defer(|reply| self.to.send(reply).expect("the test listens"))
            .await
    }
}

// --- forward

#[actors_core::test]
async fn forwarded_ask_is_answered_by_the_other() {
    let (first, second) = (desk(true), desk(true));
    assert_eq!(
        first
            .pass_on(second.clone(), 7)
            .await
            .expect("it is answered"),
        Some(7)
    );
    assert_eq!(second.log().await.expect("it lives"), [7]);
    first
        .tell(PassOn {
            to: second.clone(),
            n: 8,
        })
        .expect("there is room");
    first.log().await.expect("it has forwarded");
    assert_eq!(second.log().await.expect("a told message, too"), [7, 8]);
}

#[actors_core::test]
async fn forwarding_actor_goes_on() {
    let first = desk(true);
    let (second, gate) = held(4).await;
    let reply = first
        .pass_on(second.clone(), 7)
        .post()
        .expect("there is room");
    assert_eq!(
        first.ask(File(1)).await.expect("it goes on meanwhile"),
        Some(1)
    );
    second.open().post().expect("there is room").detach();
    gate.open();
    assert_eq!(reply.await.expect("it is answered"), Some(7));
}

#[actors_core::test]
async fn forwarded_ask_is_withdrawn_when_its_asker_cancels() {
    let first = desk(true);
    let (second, gate) = held(4).await;
    let mut reply = first
        .pass_on(second.clone(), 7)
        .post()
        .expect("there is room");
    first.log().await.expect("it has forwarded");
    assert_eq!(second.mailbox_len(), 2);
    reply.cancel();
    gate.open();
    assert!(second.log().await.expect("it lives").is_empty());
    assert_eq!(second.mailbox_stats().withdrawn, 1);
}

#[actors_core::test]
async fn forwarding_to_a_stopped_actor_ends_the_ask() {
    let (first, second) = (desk(true), desk(true));
    second.kill();
    second.stopped().await;
    let error = first.pass_on(second, 7).await.expect_err("nobody answers");
    let AskError::NoReply { reason, .. } = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(reason, NoReplyReason::Stopped(StopReason::Killed)),
        "{reason:?}"
    );
    first.log().await.expect("the one between lives");
}

// --- stash

#[actors_core::test]
async fn stash_keeps_the_order_of_asks_and_tells() {
    let desk = desk(false);
    let asked = desk.ask(File(1)).post().expect("there is room");
    desk.tell(File(2)).expect("there is room");
    let again = desk.ask(File(3)).post().expect("there is room");
    desk.tell(Note { n: 4 }).expect("there is room");
    let opened = desk.open().post().expect("there is room");
    desk.tell(Note { n: 5 }).expect("there is room");
    assert_eq!(opened.await.expect("it lives"), 3);
    assert_eq!(asked.await.expect("it is answered"), Some(1));
    assert_eq!(again.await.expect("it is answered"), Some(3));
    assert_eq!(desk.log().await.expect("it lives"), [4, 1, 2, 3, 5]);
    let stats = desk.mailbox_stats();
    assert_eq!(
        (stats.accepted, stats.handled),
        (7, 7),
        "none is counted twice"
    );
}

#[actors_core::test]
async fn stash_has_a_bound() {
    let desk = SpawnOptions::new().stash_capacity(2).spawn(Desk::default());
    let desk = desk.expect("it starts");
    let replies: Vec<_> = (1..=3).map(|n| desk.ask(File(n)).post()).collect();
    let mut replies = replies
        .into_iter()
        .map(|reply| reply.expect("there is room"));
    let (first, second) = (replies.next(), replies.next());
    let third = replies.next().expect("three were sent");
    assert_eq!(third.await.expect("it is answered at once"), None);
    desk.open().await.expect("it lives");
    assert_eq!(
        first
            .expect("three were sent")
            .await
            .expect("it is answered"),
        Some(1)
    );
    assert_eq!(
        second
            .expect("three were sent")
            .await
            .expect("it is answered"),
        Some(2)
    );
    assert_eq!(desk.log().await.expect("it lives"), [1003, 1, 2]);
}

#[actors_core::test]
async fn stashed_asks_end_with_the_actor() {
    let desk = desk(false);
    let stashed = desk.ask(File(1)).post().expect("there is room");
    desk.tell(File(2)).expect("there is room");
    desk.log().await.expect("both are aside");
    desk.stop();
    let error = stashed.await.expect_err("it is never handled");
    assert!(matches!(error, AskError::NoReply { .. }), "{error:?}");
    desk.stopped().await;
    let stats = desk.mailbox_stats();
    assert_eq!((stats.dead_letters, stats.waiting), (2, 0), "{stats:?}");
}

#[actors_core::test]
async fn stashed_ask_that_is_given_up_is_withdrawn() {
    let desk = desk(false);
    let mut stashed = desk.ask(File(1)).post().expect("there is room");
    desk.log().await.expect("it is aside");
    stashed.cancel();
    desk.open().await.expect("it lives");
    assert!(desk.log().await.expect("it lives").is_empty());
}

// --- streams and futures

#[actors_core::test]
async fn items_of_a_stream_arrive_in_order_and_its_end_changes_nothing() {
    let desk = desk(true);
    let (to, items, _) = items();
    let attached = desk.listen(items).await.expect("it lives");
    for n in 0..100 {
        to.send(n).expect("it listens");
    }
    drop(to);
    while !attached.is_finished() {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        desk.log().await.expect("it lives on"),
        (0..100).collect::<Vec<_>>()
    );
}

#[actors_core::test]
async fn stream_is_not_polled_while_the_mailbox_is_full() {
    let desk = SpawnOptions::new().capacity(2).spawn(Desk::default());
    let desk = desk.expect("it starts");
    let (to, items, polls) = items();
    let attached = desk.listen(items).await.expect("it lives");
    let gate = Gate::default();
    desk.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    for n in 0..10 {
        to.send(n).expect("it listens");
    }
    // As often as it takes for all that can happen.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        desk.mailbox_len(),
        3,
        "the handler that runs, and two items"
    );
    let polled = polls.load(Ordering::Relaxed);
    to.send(10).expect("it listens");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        polls.load(Ordering::Relaxed),
        polled,
        "it was polled while there was no room"
    );
    assert!(polled <= 4, "{polled} polls for two items");
    gate.open();
    drop(to);
    while !attached.is_finished() {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        desk.log().await.expect("it lives"),
        (0..=10).collect::<Vec<_>>()
    );
}

#[actors_core::test]
async fn stream_whose_end_stops_the_actor() {
    let desk = desk(true);
    let (to, items, _) = items();
    desk.listen_then_stop(items).await.expect("it lives");
    to.send(1).expect("it listens");
    to.send(2).expect("it listens");
    drop(to);
    assert!(desk.stopped().await.is_normal());
    assert_eq!(desk.mailbox_stats().handled, 3, "with its items");
    // One that has ended before it is told what then.
    let desk = self::desk(true);
    let (to, items, _) = self::items();
    drop(to);
    desk.listen_then_stop(items).await.expect("it lives");
    assert!(desk.stopped().await.is_normal());
}

#[actors_core::test]
async fn stream_whose_end_is_a_message() {
    let desk = desk(true);
    let (to, items, _) = items();
    desk.listen_then(items, 99).await.expect("it lives");
    to.send(1).expect("it listens");
    drop(to);
    let mut log = Vec::new();
    while log.last() != Some(&99) {
        log = desk.log().await.expect("it lives");
    }
    assert_eq!(log, [1, 99]);
}

#[actors_core::test]
async fn stream_that_is_cancelled_takes_no_more() {
    let desk = desk(true);
    let (to, items, _) = items();
    let attached = desk.listen(items).await.expect("it lives");
    to.send(1).expect("it listens");
    while desk.log().await.expect("it lives").is_empty() {}
    attached.cancel();
    while !attached.is_finished() {
        tokio::task::yield_now().await;
    }
    to.send(2).expect_err("the stream was dropped");
    assert_eq!(desk.log().await.expect("it lives"), [1]);
}

#[actors_core::test]
async fn stream_and_pipe_end_with_the_actor() {
    let desk = desk(true);
    let (to, items, _) = items();
    let attached = desk.listen(items).await.expect("it lives");
    let (mut done, from) = oneshot::channel();
    desk.pipe_in(from).await.expect("it lives");
    desk.kill();
    desk.stopped().await;
    done.closed().await;
    to.closed().await;
    while !attached.is_finished() {
        tokio::task::yield_now().await;
    }
}

#[actors_core::test]
async fn result_of_a_pipe_arrives_and_needs_no_room() {
    let (desk, gate) = held(1).await;
    let (done, from) = oneshot::channel();
    gate.open();
    desk.pipe_in(from).await.expect("it lives");
    desk.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    desk.tell(Note { n: 1 }).expect("there is room");
    desk.tell(Note { n: 2 }).expect_err("it is full");
    done.send(3).expect("it waits");
    while desk.mailbox_len() < 3 {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert_eq!(desk.log().await.expect("it lives"), [1, 3]);
}

// --- replies

#[actors_core::test]
async fn reply_is_piped_to_another_actor() {
    let (first, second) = (desk(true), desk(true));
    let reply = first.ask(File(5)).post().expect("there is room");
    reply.pipe_to(&second, |result| Note {
        n: result.ok().flatten().unwrap_or(0),
    });
    first.log().await.expect("it lives");
    assert_eq!(second.log().await.expect("it lives"), [5]);
    // An error, too.
    let (held, _gate) = held(1).await;
    let reply = held.ask(File(6)).post().expect("there is room");
    reply.pipe_to(&second, |result| Note {
        n: if result.is_err() { 66 } else { 0 },
    });
    held.kill();
    held.stopped().await;
    assert_eq!(second.log().await.expect("it lives"), [5, 66]);
}

#[actors_core::test]
async fn on_ready_is_called_once_now_or_later() {
    let (desk, gate) = held(2).await;
    let (to, mut from) = mpsc::unbounded_channel();
    let tell = |to: &mpsc::UnboundedSender<bool>| {
        let to = to.clone();
        move |result: Result<Vec<u32>, AskError>| to.send(result.is_ok()).expect("it listens")
    };
    let later = desk.log().post().expect("there is room");
    later.on_ready(tell(&to));
    let now = desk.log().post().expect("there is room");
    from.try_recv().expect_err("nothing was answered");
    gate.open();
    assert_eq!(from.recv().await, Some(true));
    while !now.is_ready() {
        tokio::task::yield_now().await;
    }
    now.on_ready(tell(&to));
    assert_eq!(from.try_recv(), Ok(true), "it was there");
    desk.log()
        .post()
        .expect("there is room")
        .on_ready(|_| panic!("in a callback"));
    desk.log().await.expect("the actor is not hurt by it");
    drop(to);
    assert_eq!(from.recv().await, None, "each was called once");
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn reply_is_waited_for_on_a_thread() {
    let (desk, gate) = held(2).await;
    let mut reply = desk.log().post().expect("there is room");
    let waited = thread::spawn(move || {
        let early = reply.wait_timeout(Duration::from_millis(1));
        assert!(early.is_none(), "{early:?}");
        assert!(!reply.is_ready());
        gate.open();
        let found = reply.wait_timeout(HOUR);
        assert!(matches!(found, Some(Ok(_))), "{found:?}");
        assert!(reply.wait_timeout(HOUR).is_none(), "it was taken");
    });
    while !waited.is_finished() {
        tokio::task::yield_now().await;
    }
    waited.join().expect("it does not panic");
    let reply = desk.log().post().expect("there is room");
    let waited = tokio::task::spawn_blocking(move || reply.wait());
    assert!(
        waited
            .await
            .expect("it does not panic")
            .expect("it lives")
            .is_empty()
    );
    // Not in a task; the reply stays as it is.
    let mut reply = desk.log().post().expect("there is room");
    let inside = tokio::spawn(async move {
        let refused = reply.wait_timeout(HOUR);
        assert!(
            matches!(refused, Some(Err(AskError::WouldBlock))),
            "{refused:?}"
        );
        reply.await
    });
    inside
        .await
        .expect("it does not panic")
        .expect("it is answered");
}

// --- watch

#[actors_core::test]
async fn watcher_gets_one_notice() {
    let (watcher, other) = (desk(true), desk(true));
    watcher.watch(other.clone()).await.expect("it lives");
    watcher.watch(other.clone()).await.expect("twice is once");
    other.kill();
    other.stopped().await;
    let notices = watcher.notices().await.expect("it lives");
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].actor.id(), other.id());
    assert!(matches!(notices[0].reason, StopReason::Killed));
    assert_eq!(notices[0].incarnation, 0);
}

#[actors_core::test]
async fn one_who_watches_no_more_gets_none() {
    let (watcher, other) = (desk(true), desk(true));
    watcher.watch(other.clone()).await.expect("it lives");
    watcher.unwatch(other.clone()).await.expect("it lives");
    other.stop();
    other.stopped().await;
    assert!(watcher.notices().await.expect("it lives").is_empty());
    // Not even one that waits already.
    let other = desk(true);
    watcher.watch(other.clone()).await.expect("it lives");
    let gate = Gate::default();
    let unwatching = watcher.unwatch_late(other.clone(), gate.clone()).post();
    let unwatching = unwatching.expect("there is room");
    gate.reached().await;
    other.stop();
    other.stopped().await;
    gate.open();
    unwatching.await.expect("it lives");
    assert!(watcher.notices().await.expect("it lives").is_empty());
}

#[actors_core::test]
async fn watching_the_dead_gives_a_notice_at_once() {
    let (watcher, other) = (desk(true), desk(true));
    other.stop();
    other.stopped().await;
    watcher.watch(other.clone()).await.expect("it lives");
    let notices = watcher.notices().await.expect("it lives");
    assert_eq!(notices.len(), 1);
    assert!(notices[0].reason.is_normal());
}

#[actors_core::test]
async fn watching_keeps_nobody_alive() {
    let (watcher, other) = (desk(true), desk(true));
    watcher.watch(other.clone()).await.expect("it lives");
    let weak = other.downgrade();
    drop(other);
    while weak.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
    while watcher.notices().await.expect("it lives").is_empty() {}
}

// --- callers that are not asynchronous

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_calls_work_where_they_may_block() {
    let desk = desk(true);
    let call = |desk: Addr<Desk>| {
        move || {
            desk.blocking_send(Note { n: 1 }).expect("it lives");
            desk.recipient::<Note, _>()
                .blocking_send(Note { n: 2 })
                .expect("it lives");
            desk.blocking_ask(Log).expect("it lives").len()
        }
    };
    let thread = thread::spawn(call(desk.clone()));
    assert_eq!(thread.join().expect("it does not panic"), 2);
    let blocking = tokio::task::spawn_blocking(call(desk.clone()));
    assert_eq!(blocking.await.expect("it does not panic"), 4);
    assert_eq!(tokio::task::block_in_place(call(desk.clone())), 6);
    let in_task = tokio::spawn({
        let desk = desk.clone();
        async move { tokio::task::block_in_place(call(desk)) }
    });
    assert_eq!(in_task.await.expect("it does not panic"), 8);
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_send_waits_for_room() {
    let (desk, gate) = held(1).await;
    desk.tell(Note { n: 1 }).expect("there is room");
    let (about_to, is_about_to) = oneshot::channel();
    let sender = tokio::task::spawn_blocking({
        let desk = desk.clone();
        move || {
            about_to.send(()).expect("it listens");
            desk.blocking_send(Note { n: 2 })
        }
    });
    is_about_to.await.expect("it sends");
    gate.open();
    sender.await.expect("it does not panic").expect("it lives");
    assert_eq!(desk.log().await.expect("it lives"), [1, 2]);
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_calls_are_refused_in_tasks() {
    let (one, other) = (desk(true), desk(true));
    assert!(
        one.block(other.clone()).await.expect("it lives"),
        "inside of a handler"
    );
    let task = tokio::spawn({
        let other = other.clone();
        async move { matches!(other.blocking_ask(Log), Err(AskError::WouldBlock)) }
    });
    assert!(task.await.expect("it does not panic"));
    assert!(matches!(other.blocking_ask(Log), Err(AskError::WouldBlock)));
    assert_eq!(other.mailbox_stats().accepted, 0, "nothing was sent");
}

#[actors_core::test]
async fn blocking_calls_are_refused_on_a_thread_that_runs_a_runtime() {
    let desk = desk(true);
    assert!(matches!(desk.blocking_ask(Log), Err(AskError::WouldBlock)));
    assert!(desk.log().await.expect("it lives").is_empty());
}

// --- where actors run

/// Shares its state with the test, which only one thread can do.
#[derive(LocalActor)]
struct Shared {
    notes: Rc<RefCell<Vec<u32>>>,
}

#[handlers(local)]
impl Shared {
    async fn write(&mut self, n: u32) -> usize {
        let notes = Rc::clone(&self.notes);
        tokio::task::yield_now().await;
        notes.borrow_mut().push(n);
        notes.borrow().len()
    }
}

#[actors_core::test]
async fn local_actor_shares_what_is_not_send() {
    let notes = Rc::new(RefCell::new(Vec::new()));
    let shared = Shared {
        notes: Rc::clone(&notes),
    };
    let addr = shared.spawn_local();
    let other_thread = thread::spawn({
        let addr = addr.clone();
        move || addr.tell(Write { n: 1 })
    });
    other_thread
        .join()
        .expect("it does not panic")
        .expect("there is room");
    assert_eq!(addr.ask(Write { n: 2 }).await.expect("it lives"), 2);
    assert_eq!(*notes.borrow(), [1, 2]);
    addr.tell(Write { n: 3 }).expect("there is room");
    addr.caught_up().await.expect("it lives");
    assert_eq!(*notes.borrow(), [1, 2, 3]);
    addr.stop();
    assert!(addr.stopped().await.is_normal());
    assert_eq!(Rc::strong_count(&notes), 1, "its state was dropped");
}

/// An actor with a thread of its own.
#[derive(LocalActor)]
struct Worker {
    desk: Addr<Desk>,
    made_by: thread::ThreadId,
    _not_send: Rc<()>,
}

#[handlers(local)]
impl Worker {
    /// Blocks its thread until the test says something, then asks by blocking.
    fn work(&mut self, go_on: std::sync::mpsc::Receiver<u32>) -> (u32, usize, bool) {
        let n = go_on.recv().expect("the test says something");
        let log = self.desk.blocking_ask(Log).expect("it may block here");
        let here = thread::current();
        let at_home = here.id() == self.made_by && here.name() == Some("worker 1");
        (n, log.len(), at_home)
    }
}

#[actors_core::test]
async fn thread_actor_may_block() {
    let desk = desk(true);
    let asked = desk.clone();
    let worker = SpawnOptions::new()
        .name("worker 1")
        .spawn_local_thread(move || Worker {
            desk: asked,
            made_by: thread::current().id(),
            _not_send: Rc::new(()),
        });
    let worker = worker.expect("it starts");
    let (say, go_on) = std::sync::mpsc::channel();
    let mut work = worker.work(go_on);
    assert!(poll_once(&mut work).await.is_pending());
    desk.ask(File(1)).await.expect("others go on meanwhile");
    say.send(3).expect("it listens");
    assert_eq!(work.await.expect("it lives"), (3, 1, true));
    worker.stop();
    assert!(worker.stopped().await.is_normal());
}

#[test]
fn thread_actor_needs_no_runtime() {
    let counter = SpawnOptions::new().spawn_local_thread(|| Shared {
        notes: Rc::default(),
    });
    let counter = counter.expect("it starts");
    assert_eq!(counter.blocking_ask(Write { n: 1 }).expect("it lives"), 1);
    counter.stop();
    assert!(counter.blocking_ask(Write { n: 2 }).is_err());
}

/// Opens a socket.
#[derive(Actor)]
struct Opens;

#[handlers]
impl Opens {
    async fn open_socket(&mut self) -> bool {
        tokio::net::TcpListener::bind("127.0.0.1:0").await.is_ok()
    }
}

#[test]
fn thread_actor_has_sockets_without_a_runtime() {
    let opens = SpawnOptions::new().spawn_thread(Opens);
    let opens = opens.expect("it starts");
    assert!(opens.blocking_ask(OpenSocket).expect("it lives"));
    opens.stop();
}

#[test]
fn thread_actor_whose_maker_panics_has_ended() {
    let shared = SpawnOptions::new().spawn_local_thread(|| -> Shared { panic!("in its maker") });
    let shared = shared.expect("its thread starts");
    shared
        .blocking_ask(Write { n: 1 })
        .expect_err("it never was");
}

#[test]
fn spawning_outside_of_a_runtime_names_the_cure() {
    let error = SpawnOptions::new()
        .spawn(Desk::default())
        .expect_err("no runtime");
    assert!(matches!(error, SpawnError::NoRuntime));
    let text = error.to_string();
    assert!(text.contains("#[actors_core::main]"), "{text}");
    let shared = Shared {
        notes: Rc::default(),
    };
    let error = SpawnOptions::new()
        .spawn_local(shared)
        .expect_err("no runtime");
    assert!(matches!(error, SpawnError::NoRuntime));
    let panicked = thread::spawn(|| drop(Desk::default().spawn())).join();
    let payload = panicked.expect_err("it has no way to return an error");
    let said = payload.downcast_ref::<String>().expect("a text");
    assert_eq!(*said, text);
    let error = SpawnOptions::new()
        .capacity(0)
        .spawn_local_thread(|| Shared {
            notes: Rc::default(),
        });
    assert!(matches!(error, Err(SpawnError::ZeroCapacity)));
}
