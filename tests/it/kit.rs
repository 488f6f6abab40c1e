//! What several modules use: an actor that does as it is told, gates, logs, drop tokens, seeds.
use actors_core::{Actor, Addr, Context, Event, Events, Handler, Message, SpawnOptions, Stopped};
use std::collections::BTreeMap;
use std::fs;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{MutexGuard, Semaphore};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Does as the messages say.
#[derive(Actor, Default)]
pub(crate) struct Worker {
    pub(crate) log: Log,
}

impl Worker {
    /// With the default options.
    pub(crate) fn logged() -> (Addr<Self>, Log) {
        Self::logged_with(SpawnOptions::new())
    }

    pub(crate) fn logged_with(options: SpawnOptions) -> (Addr<Self>, Log) {
        let log = Log::default();
        let worker = Self { log: log.clone() };
        (options.spawn(worker).expect("it can be spawned"), log)
    }
}

/// Writes its number into the log and answers it.
#[derive(Message, Clone, Copy, Debug, PartialEq)]
#[reply(u32)]
pub(crate) struct Note(pub(crate) u32);

impl Handler<Note> for Worker {
    async fn handle(&mut self, Note(n): Note, _: &mut Context<Self>) -> u32 {
        self.log.add(n);
        n
    }
}

/// What the worker logs for a [`Stopped`] message.
pub(crate) const STOPPED: u32 = u32::MAX;

impl Handler<Stopped> for Worker {
    async fn handle(&mut self, _: Stopped, _: &mut Context<Self>) {
        self.log.add(STOPPED);
    }
}

/// Runs as the worker's handler; made by [`run`].
pub(crate) struct Run<R>(BoxFuture<'static, R>);

/// A message whose handler is this future.
pub(crate) fn run<R>(handler: impl Future<Output = R> + Send + 'static) -> Run<R> {
    Run(Box::pin(handler))
}

/// A message whose handler waits at the gate.
pub(crate) fn hold(gate: &Gate) -> Run<()> {
    let gate = gate.clone();
    run(async move { gate.pass().await })
}

impl<R: Send + 'static> Message for Run<R> {
    type Reply = R;
}

impl<R: Send + 'static> Handler<Run<R>> for Worker {
    async fn handle(&mut self, msg: Run<R>, _: &mut Context<Self>) -> R {
        msg.0.await
    }
}

type WithContext<R> = dyn for<'a> FnOnce(&'a mut Context<Worker>) -> BoxFuture<'a, R> + Send;

/// As [`Run`], with the context; made by [`with`].
pub(crate) struct With<R>(Box<WithContext<R>>);

/// A message whose handler is this function's future.
pub(crate) fn with<R>(
    handler: impl for<'a> FnOnce(&'a mut Context<Worker>) -> BoxFuture<'a, R> + Send + 'static,
) -> With<R> {
    With(Box::new(handler))
}

impl<R: Send + 'static> Message for With<R> {
    type Reply = R;
}

impl<R: Send + 'static> Handler<With<R>> for Worker {
    async fn handle(&mut self, msg: With<R>, ctx: &mut Context<Self>) -> R {
        (msg.0)(ctx).await
    }
}

/// Numbers in the order in which they were added.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u32>>>);

impl Log {
    pub(crate) fn add(&self, n: u32) {
        self.0.lock().unwrap().push(n);
    }

    pub(crate) fn all(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

/// Where handlers wait until the test lets them go.
#[derive(Clone)]
pub(crate) struct Gate {
    entered: Arc<Semaphore>,
    opened: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            entered: Arc::new(Semaphore::new(0)),
            opened: Arc::new(Semaphore::new(0)),
        }
    }

    /// Comes to the gate and waits until it is open.
    pub(crate) async fn pass(&self) {
        self.entered.add_permits(1);
        // Closing the semaphore opens the gate.
        let _ = self.opened.acquire().await;
    }

    /// Waits until somebody has come; each who came counts once.
    pub(crate) async fn entered(&self) {
        let came = self.entered.acquire().await;
        came.expect("the gate is never taken down").forget();
    }

    /// Opens for good.
    pub(crate) fn open(&self) {
        self.opened.close();
    }
}

/// Holds the actor in a handler until the gate that this gives is opened.
pub(crate) async fn held(worker: &Addr<Worker>) -> Gate {
    let gate = Gate::new();
    worker.tell(hold(&gate)).expect("there is room");
    soon(gate.entered()).await;
    gate
}

/// Counts how often each of its tokens was dropped.
#[derive(Clone, Default)]
pub(crate) struct Tokens(Arc<Mutex<Vec<u32>>>);

/// Says when it is dropped.
pub(crate) struct Token {
    all: Tokens,
    number: usize,
}

impl Tokens {
    pub(crate) fn token(&self) -> Token {
        let mut drops = self.0.lock().unwrap();
        drops.push(0);
        Token {
            all: self.clone(),
            number: drops.len() - 1,
        }
    }

    /// How often each was dropped.
    pub(crate) fn drops(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }

    /// How many there are that were not dropped.
    pub(crate) fn left(&self) -> usize {
        self.drops().iter().filter(|drops| **drops == 0).count()
    }
}

impl Token {
    pub(crate) fn number(&self) -> usize {
        self.number
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.all.0.lock().unwrap()[self.number] += 1;
    }
}

/// Fails the test instead of hanging. Under paused time that is at once when nothing can go on.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(120);
    match tokio::time::timeout(limit, future).await {
        Ok(output) => output,
        Err(_) => panic!("this hangs"),
    }
}

/// Polls once.
pub(crate) async fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// Stops the actor and waits for its end.
pub(crate) async fn stop<A>(addr: &Addr<A>) {
    addr.stop();
    let reason = soon(addr.stopped()).await;
    assert!(reason.is_normal(), "{reason}");
}

/// To be held by tests that listen to events, and by those that cause more of them than a listener
/// may miss: they share the process.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}

/// The next event that `pick` takes.
pub(crate) async fn next_event<T>(
    events: &mut Events,
    mut pick: impl FnMut(Event) -> Option<T>,
) -> T {
    soon(async {
        loop {
            match events.recv().await {
                Event::Missed(n) => panic!("{n} events were missed"),
                event => {
                    if let Some(picked) = pick(event) {
                        return picked;
                    }
                }
            }
        }
    })
    .await
}

/// Random numbers from a seed, which is printed: `SEED=n` repeats a run.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn seeded() -> Self {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(()));
        println!("SEED={seed}");
        Self(seed)
    }

    pub(crate) fn from(seed: u64) -> Self {
        Self(seed)
    }

    /// Less than `limit`. By splitmix64.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

/// The binary of an example, built as it is now: `cargo test --test it` by itself builds none.
pub(crate) fn example(name: &'static str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(name).or_insert_with(|| build(name)).clone()
}

fn build(example: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--quiet", "--example", example]);
    cargo.arg("--message-format=json-render-diagnostics");
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(built.status.success(), "the example does not build");
    let told = String::from_utf8(built.stdout).expect("cargo writes UTF-8");
    let executable = told.lines().find_map(|line| {
        let (_, path) = line.split_once(r#""executable":""#)?;
        Some(path.split_once('"')?.0.replace(r"\\", r"\"))
    });
    executable.expect("cargo names the binary").into()
}

/// An empty folder of a test's own. It is removed at the end, unless the test has failed.
#[derive(Debug)]
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        Self(folder.expect("a folder can be made"))
    }

    /// The path of what has this name there.
    pub(crate) fn at(&self, name: &str) -> String {
        let path = self.0.path().join(name);
        path.into_os_string().into_string().expect("plain text")
    }

    /// A file with this in it.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.at(name);
        fs::write(&path, text).expect("a file can be written");
        path
    }

    /// A named pipe: opening it for reading waits until it is opened for writing.
    pub(crate) fn pipe(&self, name: &str) -> String {
        let path = self.at(name);
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("there is mkfifo").success());
        path
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.disable_cleanup(true);
            eprintln!("left in {}", self.display());
        }
    }
}
