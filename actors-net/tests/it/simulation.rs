//! Clients and a server in a simulated network that loses what it carries and whose server restarts:
//! nothing is answered by another's answer, handled twice or out of order, and nobody waits for ever.
//!
//! `SIMULATED_SEEDS` says how many histories, 2,000 unless told otherwise; `SIMULATED_FIRST_SEED`
//! which is the first, 0. A failure tells the seed, by which it comes again.
use crate::places::Halves;
use actors_core::{Actor, Context, Handler, handlers};
use actors_net::{
    Acceptor, Client, ClientError, Connector, Dial, Frame, Limits, Link, LinkEvent, Listener,
    NetAddr, Stream,
};
use async_trait::async_trait;
use std::collections::HashSet;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::codec::LinesCodec;
use turmoil::net::{TcpListener, TcpStream};

const PORT: u16 = 7000;

/// A socket of the simulated network that listens.
struct Door(TcpListener);

#[async_trait]
impl Acceptor for Door {
    async fn accept(&mut self) -> io::Result<Box<dyn Stream>> {
        let (stream, _) = self.0.accept().await?;
        let (read, write) = stream.into_split();
        Ok(Box::new(Halves::new(read, write)))
    }

    fn local_addr(&self) -> NetAddr {
        NetAddr::Other("simulated".into())
    }
}

/// The way there.
struct Path;

#[async_trait]
impl Connector for Path {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(("server", PORT)).await?;
        let (read, write) = stream.into_split();
        Ok(Box::new(Halves::new(read, write)))
    }

    fn peer_addr(&self) -> NetAddr {
        NetAddr::Other("server".into())
    }
}

fn limits() -> Limits {
    let short = Duration::from_millis(500);
    Limits::new()
        .handshake_timeout(short)
        .first_frame_timeout(Some(short))
        .idle_timeout(Some(short))
        .write_timeout(Some(short))
        .linger(short)
}

fn dial(keeps: bool) -> Dial {
    let pauses = (Duration::from_millis(50), Duration::from_millis(200));
    let dial = Dial::via(Path).limits(limits()).pauses(pauses.0, pauses.1);
    if keeps { dial.keep_while_down() } else { dial }
}

/// What the server has handled: by which connection, and what.
#[derive(Clone, Default)]
struct Handled(Arc<Mutex<Vec<(usize, String)>>>);

impl Handled {
    /// What came from those that say this first: the numbers, with their connections.
    fn by(&self, who: char) -> Vec<(usize, usize)> {
        let all = self.0.lock().unwrap();
        let numbers = all.iter().filter_map(|(connection, line)| {
            let number = line.strip_prefix(who)?;
            Some((*connection, number.parse().expect("it is whole")))
        });
        numbers.collect()
    }

    /// None twice, and those of a connection in the order in which they were sent.
    fn check(&self, who: char) -> HashSet<usize> {
        let numbers = self.by(who);
        let mut seen = HashSet::new();
        for (at, (connection, number)) in numbers.iter().enumerate() {
            assert!(seen.insert(*number), "twice: {who}{number}");
            let mut before = numbers[..at].iter().rev();
            if let Some((_, before)) = before.find(|(other, _)| other == connection) {
                assert!(before < number, "{who}{number} came after {who}{before}");
            }
        }
        seen
    }
}

/// Notes each line, and gives it back.
#[derive(Actor)]
struct Desk {
    link: Link<String>,
    connection: usize,
    handled: Handled,
}

impl Handler<Frame<String>> for Desk {
    async fn handle(&mut self, Frame(line): Frame<String>, _: &mut Context<Self>) {
        let note = (self.connection, line.clone());
        self.handled.0.lock().unwrap().push(note);
        let _ = self.link.send(line).await;
    }
}

async fn serve(handled: Handled, connections: Arc<Mutex<usize>>) -> turmoil::Result {
    let door = Door(TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?);
    let listener = Listener::on(door).limits(limits());
    let listener = listener.serve(LinesCodec::new, move |link| {
        let mut connections = connections.lock().unwrap();
        *connections += 1;
        Desk {
            link,
            connection: *connections,
            handled: handled.clone(),
        }
    });
    Err(format!("the listener {}", listener.spawn().stopped().await).into())
}

/// How many requests there are, and as many notes.
const NUMBERS: usize = 30;

/// Asks, many at a time.
async fn ask(handled: Handled, keeps: bool, patience: Option<Duration>) -> turmoil::Result {
    let mut client = Client::<String, String>::new(dial(keeps), LinesCodec::new);
    if let Some(patience) = patience {
        client = client.timeout(patience);
    }
    let mut asked = JoinSet::new();
    for number in 0..NUMBERS {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..40))).await;
        let client = client.clone();
        asked.spawn(async move { (number, client.ask(format!("?{number}")).await) });
    }
    let answers = asked.join_all().await;
    let seen = handled.check('?');
    for (number, answer) in answers {
        match answer {
            Ok(answer) => {
                assert_eq!(answer, format!("?{number}"), "another's answer");
                assert!(seen.contains(&number), "?{number} was answered by nobody");
                ANSWERED.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                let is_known = match &error {
                    ClientError::NotConnected => !keeps,
                    ClientError::TimedOut => patience.is_some(),
                    ClientError::Disconnected(_) => true,
                    _ => false,
                };
                assert!(is_known, "{error:?}");
                assert!(error.may_have_run() || !seen.contains(&number), "{error:?}");
                FAILED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

/// Tells, and does not wait for what comes back.
struct Teller {
    dial: Option<Dial>,
    link: Option<Link<String>>,
}

impl Actor for Teller {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), actors_core::Error> {
        let dial = self.dial.take().ok_or("it is started once")?;
        self.link = Some(dial.attach(ctx, LinesCodec::new));
        Ok(())
    }
}

#[handlers]
impl Teller {
    fn way(&self) -> Link<String> {
        self.link.clone().expect("set when it started")
    }
}

impl Handler<Frame<String>> for Teller {
    async fn handle(&mut self, _: Frame<String>, _: &mut Context<Self>) {}
}

impl Handler<LinkEvent> for Teller {
    async fn handle(&mut self, _: LinkEvent, _: &mut Context<Self>) {}
}

/// Tells one after the other, and closes when all is told.
async fn tell(handled: Handled, keeps: bool) -> turmoil::Result {
    let dial = Some(dial(keeps));
    let teller = Teller { dial, link: None }.spawn();
    let link = teller.way().await?;
    let mut refused = Vec::new();
    for number in 0..NUMBERS {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..40))).await;
        if link.send(format!("!{number}")).await.is_err() {
            assert!(!keeps, "it was to be kept");
            refused.push(number);
        }
    }
    link.close();
    let _ = link.closed().await;
    let seen = handled.check('!');
    let lied = refused.iter().find(|number| seen.contains(number));
    assert_eq!(lied, None, "it was refused, and has come");
    TOLD.fetch_add(seen.len(), Ordering::Relaxed);
    Ok(())
}

/// What became of all requests and notes, so that it can be seen that the histories differ.
static ANSWERED: AtomicUsize = AtomicUsize::new(0);
static FAILED: AtomicUsize = AtomicUsize::new(0);
static TOLD: AtomicUsize = AtomicUsize::new(0);

/// One history.
fn history(seed: u64) -> turmoil::Result {
    fastrand::seed(seed);
    let ms = Duration::from_millis;
    let mut simulation = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(300))
        .tick_duration(ms(5))
        .min_message_latency(ms(1))
        .max_message_latency(ms(fastrand::u64(5..100)))
        .fail_rate(fastrand::f64() * 0.02)
        .repair_rate(0.3)
        .build();
    let handled = Handled::default();
    let served = (handled.clone(), Arc::default());
    simulation.host("server", move || {
        serve(served.0.clone(), Arc::clone(&served.1))
    });
    let patience = (fastrand::bool()).then(|| ms(fastrand::u64(50..1000)));
    let (asking, telling) = (fastrand::bool(), fastrand::bool());
    simulation.client("asker", ask(handled.clone(), asking, patience));
    simulation.client("teller", tell(handled.clone(), telling));
    // Its server is restarted now and then.
    let restart = fastrand::f64() * 0.02;
    while !simulation.step()? {
        if fastrand::f64() < restart {
            simulation.bounce("server");
        }
    }
    handled.check('?');
    handled.check('!');
    Ok(())
}

/// Tells the seed of a history that panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed is {}", self.0);
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    let number = std::env::var(name).ok();
    number.map_or(default, |number| number.parse().expect("it is a number"))
}

#[test]
fn nothing_is_mixed_up_or_lost_in_silence_by_a_bad_network() {
    let first = number("SIMULATED_FIRST_SEED", 0);
    let seeds = number("SIMULATED_SEEDS", 2000);
    let next = AtomicU64::new(first);
    let work = || loop {
        let seed = Seed(next.fetch_add(1, Ordering::Relaxed));
        if seed.0 >= first + seeds {
            break;
        }
        if let Err(error) = history(seed.0) {
            panic!("{error}");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let [answered, failed, told] = [&ANSWERED, &FAILED, &TOLD].map(|n| n.load(Ordering::Relaxed));
    println!("{answered} answered, {failed} failed, {told} told");
    if seeds >= 100 {
        let all = NUMBERS * seeds as usize;
        assert!(
            answered > all / 4 && told > all / 4,
            "hardly anything gets through"
        );
        assert!(failed > all / 100, "hardly anything is lost");
    }
}
