//! What the macros generate, at run time.

use actors_core::{
    Actor, Addr, Ask, AskError, Context, Error, Handler, LocalActor, LocalHandler, Message,
    handlers,
};
use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

#[derive(Actor, Default)]
struct Counter {
    n: i64,
}

#[derive(Message)]
#[reply(i64)]
struct Dec(i64);

#[derive(Message)]
struct Reset;

#[handlers]
impl Counter {
    /// Adds `by` and returns the new value.
    async fn inc(&mut self, by: i64) -> i64 {
        self.n += by;
        self.n
    }
    fn get(&self) -> i64 {
        self.n
    }
    /// The order of the parameters is told apart by what comes out.
    fn set(&mut self, tens: i64, ctx: &mut Context<Self>, ones: i64) -> (i64, u64) {
        self.n = tens * 10 + ones;
        (self.n, ctx.id().get())
    }
    #[on]
    fn dec(&mut self, Dec(by): Dec) -> i64 {
        self.n -= by;
        self.n
    }
    #[message(Doubled, derive(Clone, Debug, PartialEq))]
    fn double(&mut self, times: u32) -> i64 {
        self.n *= 2_i64.pow(times);
        self.n
    }
    fn fail(&mut self, text: String) -> Result<i64, String> {
        Err(text)
    }
    #[skip]
    fn new(n: i64) -> Self {
        Self { n }
    }
}

/// A handler written by hand stands beside generated ones.
impl Handler<Reset> for Counter {
    async fn handle(&mut self, _msg: Reset, _ctx: &mut Context<Self>) {
        self.n = 0;
    }
}

#[actors_core::test]
async fn a_method_and_its_message_do_the_same() -> Result<(), Error> {
    let counter = Counter::new(1).spawn();
    assert_eq!(counter.inc(2).await?, 3);
    assert_eq!(counter.ask(Inc { by: 2 }).await?, 5);
    assert_eq!(counter.get().await?, 5);
    assert_eq!(counter.ask(Get).await?, 5);
    counter.tell(Inc { by: 1 })?;
    counter.send(Inc { by: 1 }).await?;
    assert_eq!(counter.inc(1).post()?.await?, 8);
    Ok(())
}

#[actors_core::test]
async fn fields_keep_the_order_of_the_parameters() -> Result<(), Error> {
    let counter = Counter::default().spawn();
    let id = counter.id().get();
    assert_eq!(counter.set(4, 2).await?, (42, id));
    assert_eq!(counter.ask(Set { ones: 1, tens: 2 }).await?, (21, id));
    Ok(())
}

#[actors_core::test]
async fn on_handles_a_message_that_is_there() -> Result<(), Error> {
    let counter = Counter::new(5).spawn();
    assert_eq!(counter.ask(Dec(2)).await?, 3);
    counter.ask(Reset).await?;
    assert_eq!(counter.get().await?, 0);
    Ok(())
}

#[actors_core::test]
async fn a_message_has_the_name_and_the_derives_it_was_given() -> Result<(), Error> {
    let counter = Counter::new(3).spawn();
    let message = Doubled { times: 2 };
    assert_eq!(format!("{message:?}"), "Doubled { times: 2 }");
    assert_eq!(message.clone(), message);
    assert_eq!(counter.ask(message).await?, 12);
    assert_eq!(counter.double(1).await?, 24);
    Ok(())
}

#[actors_core::test]
async fn a_reply_may_be_a_result() -> Result<(), Error> {
    let counter = Counter::default().spawn();
    assert_eq!(counter.fail("no".into()).await?, Err("no".into()));
    assert!(
        counter.is_alive(),
        "an `Err` is an answer, not a failure of the actor"
    );
    Ok(())
}

#[actors_core::test]
async fn methods_can_be_called_without_an_actor() {
    let mut counter = Counter::new(1);
    assert_eq!(counter.inc(1).await, 2);
    assert_eq!(counter.get(), 2);
    assert_eq!(counter.dec(Dec(1)), 1);
}

#[actors_core::test]
async fn typed_methods_are_asks_with_all_that_an_ask_has() -> Result<(), Error> {
    let counter = Counter::default().spawn();
    let mut reply = counter.inc(1).post()?;
    assert!(reply.cancel(), "the actor had no chance to start yet");
    assert_eq!(
        counter.get().await?,
        0,
        "a withdrawn message is not handled"
    );

    counter.stop();
    counter.stopped().await;
    assert!(matches!(counter.inc(1).await, Err(AskError::Closed)));
    Ok(())
}

/// What callers see is the trait; this one knows no actor.
struct Till {
    counter: Arc<dyn CounterApi>,
}

impl Till {
    async fn sell(&self, price: i64) -> Result<i64, AskError> {
        let before = self.counter.get().await?;
        Ok(self
            .counter
            .inc(price)
            .timeout(Duration::from_secs(60))
            .await?
            - before)
    }
}

struct Mock {
    inc: fn(i64) -> Ask<'static, i64>,
}

impl CounterApi for Mock {
    fn inc(&self, by: i64) -> Ask<'_, i64> {
        (self.inc)(by)
    }
    fn get(&self) -> Ask<'_, i64> {
        Ask::ready(Ok(100))
    }
    fn set(&self, _tens: i64, _ones: i64) -> Ask<'_, (i64, u64)> {
        Ask::ready(Err(AskError::Closed))
    }
    fn double(&self, _times: u32) -> Ask<'_, i64> {
        Ask::ready(Err(AskError::Closed))
    }
    fn fail(&self, text: String) -> Ask<'_, Result<i64, String>> {
        Ask::ready(Ok(Err(text)))
    }
}

#[actors_core::test]
async fn a_dyn_api_reaches_the_actor() -> Result<(), Error> {
    let counter = Counter::new(10).spawn();
    let till = Till {
        counter: Arc::new(counter.clone()),
    };
    assert_eq!(till.sell(5).await?, 5);
    assert_eq!(counter.get().await?, 15);
    counter.stop();
    counter.stopped().await;
    assert!(matches!(till.sell(1).await, Err(AskError::Closed)));
    Ok(())
}

#[actors_core::test(start_paused = true)]
async fn a_mock_stands_in_for_the_actor() -> Result<(), Error> {
    let ready = Mock {
        inc: |by| Ask::ready(Ok(100 + by)),
    };
    assert_eq!(
        Till {
            counter: Arc::new(ready)
        }
        .sell(5)
        .await?,
        5
    );

    let later = Mock {
        inc: |by| {
            Ask::from_future(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(101 + by)
            })
        },
    };
    assert_eq!(
        Till {
            counter: Arc::new(later)
        }
        .sell(5)
        .await?,
        6
    );

    let refusing = Mock {
        inc: |_| Ask::ready(Err(AskError::Full)),
    };
    assert!(matches!(
        Till {
            counter: Arc::new(refusing)
        }
        .sell(5)
        .await,
        Err(AskError::Full)
    ));

    let silent = Mock {
        inc: |_| Ask::from_future(std::future::pending()),
    };
    let result = Till {
        counter: Arc::new(silent),
    }
    .sell(5)
    .await;
    assert!(
        matches!(result, Err(AskError::TimedOut { .. })),
        "{result:?}"
    );
    Ok(())
}

#[actors_core::test]
async fn a_mock_can_be_posted_and_waited_for_like_an_actor() -> Result<(), Error> {
    let mock: Box<dyn CounterApi> = Box::new(Mock {
        inc: |by| Ask::ready(Ok(by)),
    });
    let reply = mock.inc(7).post()?;
    assert!(reply.is_ready());
    assert_eq!(reply.await?, 7);
    Ok(())
}

#[derive(Actor)]
struct Cache<K, V> {
    entries: HashMap<K, V>,
}

#[handlers]
impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    fn put(&mut self, key: K, value: V) -> Option<V> {
        self.entries.insert(key, value)
    }
    async fn look_up(&mut self, key: K) -> Option<V> {
        self.entries.get(&key).cloned()
    }
    fn count(&self) -> usize {
        self.entries.len()
    }
    fn any(&self) -> Option<V> {
        self.entries.values().next().cloned()
    }
    #[on]
    fn swap(&mut self, Swap { key, with }: Swap<K, V>) -> Option<V> {
        self.entries.insert(key, with)
    }
}

#[derive(Message)]
#[reply(Option<V>)]
struct Swap<K, V> {
    key: K,
    with: V,
}

async fn use_generically<K, V>(cache: &dyn CacheApi<K, V>, key: K, value: V) -> Option<V>
where
    K: Hash + Eq,
    V: Clone + Send + 'static,
{
    cache.put(key, value).await.ok()?
}

#[actors_core::test]
async fn generic_actors_have_generic_messages() -> Result<(), Error> {
    let cache = Cache::<String, u8> {
        entries: HashMap::new(),
    }
    .spawn();
    assert_eq!(cache.put("a".into(), 1).await?, None);
    assert_eq!(
        cache
            .ask(Put {
                key: String::from("a"),
                value: 2
            })
            .await?,
        Some(1)
    );
    assert_eq!(cache.look_up("a".into()).await?, Some(2));
    assert_eq!(
        cache.ask(LookUp::<String, u8>::new("b".into())).await?,
        None
    );
    assert_eq!(cache.ask(Any::<u8>::new()).await?, Some(2));
    assert_eq!(cache.ask(Count).await?, 1);
    assert_eq!(
        cache
            .ask(Swap {
                key: String::from("a"),
                with: 3
            })
            .await?,
        Some(2)
    );
    assert_eq!(use_generically(&cache, "a".into(), 4).await, Some(3));
    Ok(())
}

/// Tells the test what happens in it.
#[derive(Actor)]
struct Worker {
    seen: mpsc::UnboundedSender<&'static str>,
}

/// Says that the work it is part of was dropped, and whether it had ended.
struct Work {
    seen: mpsc::UnboundedSender<&'static str>,
    text: &'static str,
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = self.seen.send(self.text);
    }
}

#[handlers]
impl Worker {
    #[abort_on_cancel]
    async fn abort(&mut self, release: oneshot::Receiver<u8>) -> u8 {
        self.work(release).await
    }
    async fn finish(&mut self, release: oneshot::Receiver<u8>) -> u8 {
        self.work(release).await
    }
    fn ping(&self) {}
    #[skip]
    async fn work(&mut self, release: oneshot::Receiver<u8>) -> u8 {
        let mut work = Work {
            seen: self.seen.clone(),
            text: "dropped at its await",
        };
        let _ = self.seen.send("began");
        let value = release.await.unwrap_or(0);
        work.text = "ended";
        value
    }
}

fn worker() -> (Addr<Worker>, mpsc::UnboundedReceiver<&'static str>) {
    let (seen, events) = mpsc::unbounded_channel();
    (Worker { seen }.spawn(), events)
}

#[actors_core::test]
async fn abort_on_cancel_drops_the_work_at_its_await() -> Result<(), Error> {
    let (worker, mut events) = worker();
    let (_never, release) = oneshot::channel();
    let mut reply = worker.abort(release).post()?;
    assert_eq!(events.recv().await, Some("began"));
    assert!(!reply.cancel(), "the handler has started");
    assert_eq!(events.recv().await, Some("dropped at its await"));
    assert!(matches!(
        reply.await,
        Err(AskError::Cancelled {
            may_have_run: true,
            ..
        })
    ));
    worker.ping().await?;
    Ok(())
}

#[actors_core::test]
async fn abort_on_cancel_sees_a_dropped_ask() -> Result<(), Error> {
    let (worker, mut events) = worker();
    let (_never, release) = oneshot::channel();
    drop({
        let reply = worker.abort(release).post()?;
        assert_eq!(events.recv().await, Some("began"));
        reply
    });
    assert_eq!(events.recv().await, Some("dropped at its await"));
    worker.ping().await?;
    Ok(())
}

#[actors_core::test(start_paused = true)]
async fn abort_on_cancel_sees_a_timeout() -> Result<(), Error> {
    let (worker, mut events) = worker();
    let (_never, release) = oneshot::channel();
    let result = worker.abort(release).timeout(Duration::from_secs(1)).await;
    assert!(
        matches!(
            result,
            Err(AskError::TimedOut {
                may_have_run: true,
                ..
            })
        ),
        "{result:?}"
    );
    assert_eq!(events.recv().await, Some("began"));
    assert_eq!(events.recv().await, Some("dropped at its await"));
    worker.ping().await?;
    Ok(())
}

#[actors_core::test]
async fn abort_on_cancel_gives_the_reply_when_nobody_cancels() -> Result<(), Error> {
    let (worker, mut events) = worker();
    let (sender, release) = oneshot::channel();
    let reply = worker.abort(release).post()?;
    assert_eq!(events.recv().await, Some("began"));
    let _ = sender.send(7);
    assert_eq!(reply.await?, 7);
    assert_eq!(events.recv().await, Some("ended"));
    Ok(())
}

#[actors_core::test]
async fn without_abort_on_cancel_the_work_goes_on() -> Result<(), Error> {
    let (worker, mut events) = worker();
    let (sender, release) = oneshot::channel();
    let mut reply = worker.finish(release).post()?;
    assert_eq!(events.recv().await, Some("began"));
    assert!(!reply.cancel());
    let _ = sender.send(7);
    assert_eq!(events.recv().await, Some("ended"));
    worker.ping().await?;
    Ok(())
}

#[derive(LocalActor)]
struct Screen {
    lines: Rc<str>,
}

#[handlers(local)]
impl Screen {
    async fn show(&mut self, line: String) -> usize {
        let before = Rc::clone(&self.lines);
        std::future::ready(()).await;
        self.lines = format!("{before}{line}").into();
        self.lines.len()
    }
    #[abort_on_cancel]
    async fn wait(&mut self, release: oneshot::Receiver<()>) -> ThreadId {
        let _held = Rc::clone(&self.lines);
        let _ = release.await;
        thread::current().id()
    }
    #[on]
    fn dec(&mut self, Dec(by): Dec) -> i64 {
        by
    }
}

impl LocalHandler<Reset> for Screen {
    async fn handle(&mut self, _msg: Reset, _ctx: &mut Context<Self>) {
        self.lines = "".into();
    }
}

#[actors_core::test]
async fn local_handlers_hold_what_is_not_send_across_an_await() -> Result<(), Error> {
    let screen = Screen { lines: "".into() }.spawn_local();
    assert_eq!(screen.show("ab".into()).await?, 2);
    assert_eq!(screen.ask(Show { line: "c".into() }).await?, 3);
    screen.ask(Reset).await?;
    assert_eq!(screen.show("d".into()).await?, 1);
    assert_eq!(screen.ask(Dec(2)).await?, 2);

    let dynamic: Arc<dyn ScreenApi> = Arc::new(screen.clone());
    let (sender, release) = oneshot::channel();
    let reply = dynamic.wait(release).post()?;
    let _ = sender.send(());
    assert_eq!(reply.await?, thread::current().id());

    let (_never, release) = oneshot::channel();
    let mut reply = screen.wait(release).post()?;
    tokio::task::yield_now().await;
    reply.cancel();
    assert_eq!(
        screen.show("e".into()).await?,
        2,
        "the aborted handler does not hold it up"
    );
    Ok(())
}

mod bank {
    use actors_core::{Actor, handlers};

    #[derive(Actor, Default)]
    pub(super) struct Bank {
        amount: u64,
    }

    #[handlers(api = Paying)]
    impl Bank {
        pub(super) fn pay(&mut self, amount: u64) -> u64 {
            self.amount += amount;
            self.amount
        }
    }

    #[handlers(no_api)]
    impl Bank {
        pub(super) fn audit(&self) -> u64 {
            self.amount
        }
    }
}

#[actors_core::test]
async fn two_blocks_of_one_actor_share_its_state() -> Result<(), Error> {
    use bank::Paying;
    let bank = bank::Bank::default().spawn();
    assert_eq!(bank.pay(2).await?, 2);
    assert_eq!(bank.ask(bank::Audit).await?, 2);
    Ok(())
}

fn flavor() -> tokio::runtime::RuntimeFlavor {
    tokio::runtime::Handle::current().runtime_flavor()
}

fn workers() -> usize {
    tokio::runtime::Handle::current().metrics().num_workers()
}

#[actors_core::test]
async fn a_test_runs_on_one_thread() {
    assert_eq!(flavor(), tokio::runtime::RuntimeFlavor::CurrentThread);
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_test_can_run_on_many_threads() {
    assert_eq!(flavor(), tokio::runtime::RuntimeFlavor::MultiThread);
    assert_eq!(workers(), 3);
}

#[actors_core::test(start_paused = true)]
async fn paused_time_passes_when_all_wait() {
    let start = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(86_400));
}

#[actors_core::test(start_paused = false)]
async fn time_that_is_not_paused_cannot_be_advanced() {
    let advanced = tokio::spawn(tokio::time::advance(Duration::from_secs(1))).await;
    assert!(advanced.is_err_and(|error| error.is_panic()));
}

#[actors_core::test]
#[should_panic(expected = "on purpose")]
async fn other_attributes_of_a_test_hold() {
    panic!("on purpose");
}

#[actors_core::main]
async fn main_by_default() -> (tokio::runtime::RuntimeFlavor, ThreadId) {
    (flavor(), thread::current().id())
}

#[actors_core::main(flavor = "current_thread")]
async fn main_on_one_thread() -> Result<usize, Error> {
    let screen = Screen { lines: "".into() }.spawn_local();
    Ok(screen.show("abc".into()).await?)
}

#[actors_core::main(flavor = "current_thread")]
async fn main_that_leaves_a_blocked_thread() -> u8 {
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    tokio::task::spawn_blocking(|| {
        let _ = begun.send(());
        loop {
            thread::park();
        }
    });
    has_begun.await.expect("it begins");
    7
}

#[test]
fn main_does_not_wait_for_a_thread_that_is_blocked() {
    let (told, hears) = std::sync::mpsc::channel();
    thread::spawn(move || told.send(main_that_leaves_a_blocked_thread()));
    assert_eq!(hears.recv_timeout(Duration::from_secs(600)), Ok(7));
}

#[actors_core::main(flavor = "multi_thread", worker_threads = 2)]
async fn main_on_two_threads() -> usize {
    workers()
}

#[actors_core::main(flavor = "current_thread", start_paused = true)]
async fn main_with_paused_time() -> Duration {
    let start = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    start.elapsed()
}

#[actors_core::main]
async fn main_of_nothing() {}

#[actors_core::main]
async fn main_of_an_exit_code() -> std::process::ExitCode {
    std::process::ExitCode::from(3)
}

#[actors_core::main]
async fn main_with_an_early_return() -> Result<u8, AskError> {
    let counter = Counter::default().spawn();
    counter.kill();
    counter.stopped().await;
    counter.inc(1).await?;
    unreachable!("a killed actor accepts nothing");
}

#[test]
fn main_gives_what_its_function_returns() {
    let (flavor, thread) = main_by_default();
    assert_eq!(flavor, tokio::runtime::RuntimeFlavor::MultiThread);
    assert_eq!(
        thread,
        thread::current().id(),
        "it runs where it was called"
    );
    assert_eq!(main_on_one_thread().expect("it shows"), 3);
    assert_eq!(main_on_two_threads(), 2);
    assert_eq!(main_with_paused_time(), Duration::from_secs(3_600));
    main_of_nothing();
    assert_eq!(main_of_an_exit_code(), std::process::ExitCode::from(3));
    assert!(matches!(main_with_an_early_return(), Err(AskError::Closed)));
}
