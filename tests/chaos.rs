//! Ten thousand supervised actors under random faults and traffic: the counters add up, and nothing
//! is left at the end. In a process of its own, since it counts the actors, names and tasks of all
//! of the process. For 5 s, or as many as `ACTORS_CHAOS_SECONDS` says.
#![allow(
    unreachable_pub,
    reason = "what the macros write beside a private actor is private too"
)]
use actors_core::{
    Actor, Addr, AskError, Backoff, ChildOptions, Context, Error, Group, Intensity, MailboxStats,
    Reply, Restart, SpawnOptions, StopReason, Stopped, Strategy, Supervisor, SupervisorOptions,
    actor_count, handlers, names, vacant_tasks,
};
use fastrand::Rng;
use std::env;
use std::future::Future;
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::task::{JoinSet, yield_now};

const ACTORS: usize = 10_000;
const SUBTREES: usize = 100;
const DRIVERS: usize = 8;

/// What all share.
#[derive(Default)]
struct World {
    /// Messages whose handler has begun, and of these the asks.
    begun: AtomicU64,
    asks_begun: AtomicU64,
    starts: AtomicU64,
    /// No more faults: what stops is to stop well.
    calm: AtomicBool,
    /// The children that actors have started themselves.
    born: Mutex<Vec<Addr<Mote>>>,
}

impl World {
    /// Once in so many times, while there are to be faults.
    fn is_unlucky(&self, one_in: u32) -> bool {
        !self.calm.load(Ordering::Relaxed) && fastrand::u32(..one_in) == 0
    }
}

/// An actor that does as it is told, and has bad luck.
struct Mote {
    world: Arc<World>,
    number: usize,
    panics_in_drop: bool,
}

impl Actor for Mote {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        self.world.starts.fetch_add(1, Ordering::Relaxed);
        if has_timer(self.number) {
            let period = Duration::from_millis(20 + self.number as u64 % 80);
            ctx.notify_every(period, || Tick);
        }
        if self.world.is_unlucky(400) {
            panic!("chaos in started");
        }
        match self.world.is_unlucky(100) {
            true => Err("no luck".into()),
            false => Ok(()),
        }
    }

    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        if self.world.is_unlucky(50) {
            panic!("chaos in stopped");
        }
    }
}

impl Drop for Mote {
    fn drop(&mut self) {
        if self.panics_in_drop && !thread::panicking() {
            panic!("chaos in drop");
        }
    }
}

fn has_timer(number: usize) -> bool {
    number % 4 == 0
}

#[handlers]
impl Mote {
    async fn work(&mut self, n: u64) -> u64 {
        self.begin();
        self.world.asks_begun.fetch_add(1, Ordering::Relaxed);
        if n % 3 == 0 {
            yield_now().await;
        }
        n + 1
    }

    fn note(&mut self) {
        self.begin();
    }

    fn tick(&mut self) {
        self.begin();
    }

    fn panic(&mut self) {
        self.begin();
        panic!("chaos in a handler");
    }

    fn fail(&mut self, ctx: &mut Context<Self>) {
        self.begin();
        ctx.fail("it fails");
    }

    fn end(&mut self, ctx: &mut Context<Self>) {
        self.begin();
        ctx.stop();
    }

    fn be_fragile(&mut self) {
        self.begin();
        self.panics_in_drop = true;
    }

    /// A child that nobody restarts, watched.
    fn have_child(&mut self, ctx: &mut Context<Self>) {
        self.begin();
        let child = ctx.spawn(Self {
            world: Arc::clone(&self.world),
            number: self.number,
            panics_in_drop: false,
        });
        ctx.watch(&child);
        self.world.born.lock().unwrap().push(child);
    }

    /// More to come later, from a future.
    fn think(&mut self, ctx: &mut Context<Self>) {
        self.begin();
        ctx.pipe(yield_now(), |()| Note);
    }

    fn watch(&mut self, other: Addr<Self>, ctx: &mut Context<Self>) {
        self.begin();
        ctx.watch(&other);
    }

    #[on]
    fn ended(&mut self, _: Stopped) {}

    #[skip]
    fn begin(&self) {
        self.world.begun.fetch_add(1, Ordering::Relaxed);
    }
}

/// A place in the tree, and who is there now.
struct Spot {
    number: usize,
    supervisor: Supervisor,
    now: Addr<Mote>,
}

impl Spot {
    fn new(number: usize, supervisor: &Supervisor, world: &Arc<World>) -> Self {
        Self {
            number,
            supervisor: supervisor.clone(),
            now: Self::fill(number, supervisor, world),
        }
    }

    fn fill(number: usize, supervisor: &Supervisor, world: &Arc<World>) -> Addr<Mote> {
        let spawn = match number % 3 {
            0 => SpawnOptions::new().registered(format!("mote-{number}")),
            1 => SpawnOptions::new().capacity(8),
            _ => SpawnOptions::new(),
        };
        let restart = match number % 7 {
            0 => Restart::Temporary,
            1 => Restart::Transient,
            _ => Restart::Permanent,
        };
        let options = ChildOptions::new()
            .restart(restart)
            .retry_first_start()
            .stop_timeout(LONG)
            .spawn(spawn);
        let world = Arc::clone(world);
        supervisor.child_with(format!("mote-{number}"), options, move || Mote {
            world: Arc::clone(&world),
            number,
            panics_in_drop: false,
        })
    }
}

/// Longer than anything here may take on the slowest machine.
const LONG: Duration = Duration::from_secs(300);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LONG, future).await {
        Ok(output) => output,
        Err(_) => panic!("this hangs"),
    }
}

/// What became of the messages of one driver.
#[derive(Default)]
struct Sent {
    /// What actors without a timer have accepted: nobody else sends to them. And the others.
    plain: u64,
    others: u64,
    answered: u64,
    unanswered: u64,
    /// Of the unanswered, those that may have run.
    perhaps: u64,
}

impl Sent {
    fn accepted(&mut self, number: usize) {
        *if has_timer(number) {
            &mut self.others
        } else {
            &mut self.plain
        } += 1;
    }

    fn answer(&mut self, n: u64, result: Result<u64, AskError>) {
        match result {
            Ok(answer) => {
                assert_eq!(answer, n + 1);
                self.answered += 1;
            }
            Err(error) => {
                self.unanswered += 1;
                self.perhaps += u64::from(error.may_have_run());
            }
        }
    }
}

/// Does random things to its spots until it is told to stop, and gives all actors that ever were
/// there.
struct Driver {
    world: Arc<World>,
    spots: Vec<Spot>,
    group: Group<Work>,
    rng: Rng,
    sent: Sent,
    replies: Vec<(u64, Reply<u64>)>,
    gone: Vec<Addr<Mote>>,
}

impl Driver {
    async fn run(mut self, over: Arc<AtomicBool>) -> (Vec<Addr<Mote>>, Sent) {
        while !over.load(Ordering::Relaxed) {
            self.step().await;
            // So that a shutdown finds others than these busy.
            if self.rng.u8(..16) == 0 {
                yield_now().await;
            }
        }
        for (n, reply) in std::mem::take(&mut self.replies) {
            self.sent.answer(n, soon(reply).await);
        }
        self.gone
            .extend(self.spots.into_iter().map(|spot| spot.now));
        (self.gone, self.sent)
    }

    async fn step(&mut self) {
        let at = self.rng.usize(..self.spots.len());
        let number = self.spots[at].number;
        let addr = self.spots[at].now.clone();
        let told = match self.rng.u32(..1_000) {
            0..400 => addr.tell(Note).is_ok(),
            400..800 => return self.ask(at),
            800..850 => addr.send(Note).await.is_ok(),
            // Brings more mail, so not for those whose mail is counted exactly.
            850..870 if has_timer(number) => addr.tell(Think).is_ok(),
            850..870 => addr.tell(Note).is_ok(),
            870..880 => addr.tell(HaveChild).is_ok(),
            880..900 => {
                let other = self.rng.usize(..self.spots.len());
                let other = self.spots[other].now.clone();
                addr.tell(Watch { other }).is_ok()
            }
            900..915 => addr.tell(Panic).is_ok(),
            915..925 => addr.tell(Fail).is_ok(),
            925..935 => addr.tell(End).is_ok(),
            935..945 => addr.tell(BeFragile).is_ok(),
            945..960 => return addr.kill(),
            960..970 => return addr.stop(),
            970..975 => return addr.stop_now(),
            975..985 => {
                soon(self.spots[at].supervisor.stop_child(addr.id())).await;
                return self.replace(at).await;
            }
            985..990 => {
                soon(self.spots[at].supervisor.restart_child(addr.id())).await;
                return;
            }
            _ => return self.settle().await,
        };
        match told {
            true => self.sent.accepted(number),
            false if !addr.is_alive() => self.replace(at).await,
            // It was full.
            false => yield_now().await,
        }
    }

    fn ask(&mut self, at: usize) {
        let n = self.rng.u64(..1 << 32);
        let spot = &self.spots[at];
        // Members of the group have no timer.
        let (number, asked) = match self.rng.u8(..4) {
            0 => (1, self.group.try_ask(Work { n })),
            _ => (spot.number, spot.now.try_ask(Work { n })),
        };
        let Ok(mut reply) = asked else {
            return;
        };
        self.sent.accepted(number);
        match self.rng.u8(..8) {
            0 => drop(reply.cancel()),
            1 => reply = reply.timeout(Duration::from_millis(self.rng.u64(..50))),
            _ => {}
        }
        self.replies.push((n, reply));
    }

    /// Takes the replies that are there.
    async fn settle(&mut self) {
        for (n, mut reply) in std::mem::take(&mut self.replies) {
            match reply.try_take() {
                Some(result) => self.sent.answer(n, result),
                None => self.replies.push((n, reply)),
            }
        }
        if self.replies.len() > 1_000 {
            let (n, reply) = self.replies.swap_remove(0);
            self.sent.answer(n, soon(reply).await);
        }
    }

    /// Somebody else, where one has ended for good.
    async fn replace(&mut self, at: usize) {
        let spot = &mut self.spots[at];
        soon(spot.now.stopped()).await;
        let next = Spot::fill(spot.number, &spot.supervisor, &self.world);
        if spot.number % 50 == 1 {
            self.group.join(next.recipient());
        }
        self.gone.push(std::mem::replace(&mut spot.now, next));
    }
}

fn subtree(app: &Supervisor, n: usize) -> Supervisor {
    let strategy = match n % 20 {
        0 => Strategy::OneForAll,
        1 | 2 => Strategy::RestForOne,
        _ => Strategy::OneForOne,
    };
    // Some fail themselves, and are made anew with all their children.
    let intensity = match n % 10 {
        5 => Intensity::new(20, Duration::from_secs(1)),
        _ => Intensity::UNLIMITED,
    };
    let options = SupervisorOptions::new()
        .strategy(strategy)
        .intensity(intensity)
        .backoff(Backoff::new(
            Duration::from_millis(1),
            Duration::from_millis(50),
        ));
    app.subtree_with(format!("subtree-{n}"), options)
}

fn add_up(stats: &MailboxStats) -> u64 {
    stats.handled + stats.failed + stats.withdrawn + stats.dead_letters
}

async fn chaos(seed: u64, time: Duration) {
    let mut rng = Rng::with_seed(seed);
    let world = Arc::new(World::default());
    let app = SupervisorOptions::new()
        .intensity(Intensity::UNLIMITED)
        .backoff(Backoff::new(
            Duration::from_millis(1),
            Duration::from_millis(50),
        ))
        .start("chaos")
        .expect("a runtime");
    let subtrees: Vec<_> = (0..SUBTREES).map(|n| subtree(&app, n)).collect();
    let spots = |n| Spot::new(n, &subtrees[n % SUBTREES], &world);
    let mut spots: Vec<_> = (0..ACTORS).map(spots).collect();
    let group = Group::round_robin();
    for spot in spots.iter().filter(|spot| spot.number % 50 == 1) {
        group.join(spot.now.recipient());
    }
    soon(app.ready()).await.expect("it starts, late or soon");
    assert!(actor_count() > ACTORS / 2, "{} actors", actor_count());

    let over = Arc::new(AtomicBool::new(false));
    let mut drivers = JoinSet::new();
    for _ in 0..DRIVERS {
        let driver = Driver {
            world: Arc::clone(&world),
            spots: spots.split_off(spots.len() - ACTORS / DRIVERS),
            group: group.clone(),
            rng: rng.fork(),
            sent: Sent::default(),
            replies: Vec::new(),
            gone: Vec::new(),
        };
        drivers.spawn(driver.run(Arc::clone(&over)));
    }
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    let (mut actors, mut sent) = (Vec::new(), Vec::new());
    while let Some(driver) = soon(drivers.join_next()).await {
        let (more, of_driver) = driver.expect("no driver fails");
        actors.extend(more);
        sent.push(of_driver);
    }
    let supervised = actors.len();
    world.calm.store(true, Ordering::Relaxed);
    let report = soon(app.shutdown(LONG)).await;
    assert!(report.is_clean(), "{report:?}");
    actors.extend(std::mem::take(&mut *world.born.lock().unwrap()));
    for actor in &actors {
        soon(actor.stopped()).await;
    }

    // Nothing is left: no actor, no name, no membership, no task and so no timer.
    assert_eq!(actor_count(), 0);
    assert_eq!(names().len(), 0);
    assert!(group.is_empty());
    soon(async {
        // The end of an actor is told a little before its task has ended.
        while Handle::current().metrics().num_alive_tasks() > vacant_tasks() {
            yield_now().await;
        }
    })
    .await;

    // What was accepted is accounted for.
    let (mut all, mut plain) = (MailboxStats::default(), 0);
    for (n, actor) in actors.iter().enumerate() {
        let stats = actor.mailbox_stats();
        assert_eq!(stats.waiting, 0, "{actor:?}: {stats:?}");
        assert_eq!(stats.accepted, add_up(&stats), "{actor:?}: {stats:?}");
        all.accepted += stats.accepted;
        all.handled += stats.handled;
        all.failed += stats.failed;
        all.withdrawn += stats.withdrawn;
        all.dead_letters += stats.dead_letters;
        let number = actor.name().strip_prefix("mote-").map(str::parse::<usize>);
        if let (true, Some(Ok(number))) = (n < supervised, number) {
            plain += if has_timer(number) { 0 } else { stats.accepted };
        }
    }
    let total = |count: fn(&Sent) -> u64| sent.iter().map(count).sum::<u64>();
    let begun = world.begun.load(Ordering::Relaxed);
    let asks_begun = world.asks_begun.load(Ordering::Relaxed);
    let starts = world.starts.load(Ordering::Relaxed);
    println!(
        "{} actors, {starts} starts, {} messages by drivers, {all:?}",
        actors.len(),
        total(|sent| sent.plain + sent.others),
    );
    assert_eq!(begun, all.handled + all.failed);
    assert_eq!(plain, total(|sent| sent.plain));
    assert!(all.accepted >= total(|sent| sent.plain + sent.others));
    let answered = total(|sent| sent.answered);
    assert!(answered <= asks_begun);
    assert!(asks_begun <= answered + total(|sent| sent.perhaps));
    // It did happen.
    assert!(starts > actors.len() as u64 && all.failed > 0 && answered > 0);
}

fn from_environment(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

#[test]
fn ten_thousand_actors_under_random_faults_leave_nothing() {
    let seed = from_environment("SEED").unwrap_or_else(|| Rng::new().u64(..));
    let seconds = from_environment("ACTORS_CHAOS_SECONDS").unwrap_or(5);
    println!("SEED={seed}");
    // Thousands of panics that are meant are not for the eye.
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<&str>();
        if !text.is_some_and(|text| text.starts_with("chaos")) {
            usual(info);
        }
    }));
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(chaos(seed, Duration::from_secs(seconds)));
}
