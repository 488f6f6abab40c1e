//! Connecting, connecting again, and requests with their answers.
use crate::kit::{serve, soon};
use crate::places::Kind;
use actors_core::{Actor, Addr, AskError, Context, Error, Handler, handlers};
use actors_net::{
    Client, ClientError, Connector, Dial, Frame, Limits, Link, LinkError, LinkEvent,
    MemoryListener, NetAddr, NetError, Stream, memory_listener,
};
use async_trait::async_trait;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::codec::LinesCodec;

const SECOND: Duration = Duration::from_secs(1);

fn client(dial: Dial) -> Client<String, String> {
    Client::new(dial, LinesCodec::new)
}

/// A server's end of a connection, by hand.
struct Line(Lines<BufReader<Box<dyn Stream>>>);

impl Line {
    async fn accept(listener: &mut MemoryListener) -> Self {
        let stream = soon(actors_net::Acceptor::accept(listener)).await.unwrap();
        Self(BufReader::new(stream).lines())
    }

    async fn hears(&mut self) -> String {
        let line = soon(self.0.next_line()).await.unwrap();
        line.expect("there is a line")
    }

    async fn says(&mut self, line: &str) {
        let text = format!("{line}\n");
        let stream = self.0.get_mut();
        stream.write_all(text.as_bytes()).await.unwrap();
    }
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_gets_its_own_answer() {
    let (binding, _) = Kind::Tcp.bind();
    let address = binding.address().to_string();
    let server = serve(binding, Limits::new());
    let client = client(Dial::new(address).keep_while_down());
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..100 {
        let client = client.clone();
        tasks.spawn(async move {
            for n in 0..100 {
                let request = format!("{task}.{n}");
                assert_eq!(client.ask(request.clone()).await.unwrap(), request);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    drop(client);
    assert!(server.end().await.is_normal(), "the client has gone");
    server.listener.kill();
}

#[actors_core::test(start_paused = true)]
async fn requests_without_an_answer_fail_with_their_connection() {
    let (mut listener, door) = memory_listener(1024);
    let client = client(Dial::via(door).keep_while_down());
    let ask = |text: &'static str| {
        let client = client.clone();
        tokio::spawn(async move { client.ask(text.into()).await })
    };
    let first = ask("1");
    let mut line = Line::accept(&mut listener).await;
    assert_eq!(line.hears().await, "1");
    let second = ask("2");
    assert_eq!(line.hears().await, "2");
    line.says("one").await;
    assert_eq!(first.await.unwrap().unwrap(), "one");
    drop(line);
    let error = soon(second).await.unwrap().unwrap_err();
    assert!(
        matches!(error, ClientError::Disconnected(None)),
        "{error:?}"
    );
    assert!(error.may_have_run());
    // What is asked meanwhile waits for the next connection.
    let third = ask("3");
    let mut line = Line::accept(&mut listener).await;
    assert_eq!(line.hears().await, "3");
    line.says("three").await;
    assert_eq!(soon(third).await.unwrap().unwrap(), "three");
}

#[actors_core::test(start_paused = true)]
async fn a_late_answer_is_not_taken_for_that_of_another_request() {
    let (mut listener, door) = memory_listener(1024);
    let patient = client(Dial::via(door).keep_while_down());
    let hasty = patient.clone().timeout(3 * SECOND);
    let server = async {
        let mut line = Line::accept(&mut listener).await;
        assert_eq!(line.hears().await, "slow");
        // Asked when the other one has given up.
        assert_eq!(line.hears().await, "next");
        line.says("slow").await;
        line.says("next").await;
        line
    };
    let asking = async {
        let began = Instant::now();
        let error = hasty.ask("slow".into()).await.unwrap_err();
        assert!(matches!(error, ClientError::TimedOut), "{error:?}");
        assert_eq!(began.elapsed().as_secs(), 3);
        assert_eq!(patient.ask("next".into()).await.unwrap(), "next");
    };
    let (_line, ()) = tokio::join!(soon(server), soon(asking));
}

/// Asks a client for others, and tells how that went.
struct Middleman(Client<String, String>, mpsc::UnboundedSender<String>);

impl Actor for Middleman {}

#[handlers]
impl Middleman {
    async fn pass(&mut self, request: String) -> Result<String, ClientError> {
        let answer = self.0.ask(request).await;
        let _ = self.1.send(format!("{answer:?}"));
        answer
    }
}

#[actors_core::test(start_paused = true)]
async fn a_request_of_a_handler_ends_with_the_handlers_deadline() {
    let (mut listener, door) = memory_listener(1024);
    let (told, mut hears) = mpsc::unbounded_channel();
    let middleman = Middleman(client(Dial::via(door).keep_while_down()), told).spawn();
    let began = Instant::now();
    let asked = middleman
        .pass("1".into())
        .timeout(3 * SECOND)
        .post()
        .unwrap();
    let mut line = Line::accept(&mut listener).await;
    assert_eq!(line.hears().await, "1");
    let error = soon(asked).await.unwrap_err();
    assert!(matches!(error, AskError::TimedOut { .. }), "{error:?}");
    // The handler itself has learned it at the same time, and is free.
    assert_eq!(soon(hears.recv()).await.unwrap(), "Err(TimedOut)");
    let server = async {
        assert_eq!(line.hears().await, "2");
        line.says("one").await;
        line.says("two").await;
    };
    let (answer, ()) = tokio::join!(middleman.pass("2".into()), soon(server));
    assert_eq!(answer.unwrap().unwrap(), "two");
    assert_eq!(began.elapsed().as_secs(), 3);
}

#[actors_core::test(start_paused = true)]
async fn without_a_connection_requests_are_refused_or_wait() {
    let (listener, door) = memory_listener(1024);
    drop(listener);
    let client = client(Dial::via(door.clone()));
    let error = soon(client.ask("1".into())).await.unwrap_err();
    assert!(matches!(error, ClientError::NotConnected), "{error:?}");
    assert!(!error.may_have_run());
    let waits = crate::dialing::client(Dial::via(door).keep_while_down()).timeout(60 * SECOND);
    let began = Instant::now();
    let error = waits.ask("1".into()).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[actors_core::test(start_paused = true)]
async fn an_answer_that_nobody_asked_for_goes_to_nobody() {
    let (mut listener, door) = memory_listener(1024);
    let client = client(Dial::via(door).keep_while_down());
    let mut line = Line::accept(&mut listener).await;
    line.says("welcome").await;
    // Of the paused time: until nothing is on its way.
    tokio::time::sleep(SECOND).await;
    let server = async {
        assert_eq!(line.hears().await, "1");
        line.says("one").await;
    };
    let (answer, ()) = tokio::join!(client.ask("1".into()), soon(server));
    assert_eq!(answer.unwrap(), "one");
}

/// Notes what it is told, and sends what it is asked to.
struct Caller {
    dial: Option<Dial>,
    link: Option<Link<String>>,
    told: mpsc::UnboundedSender<String>,
}

impl Caller {
    fn spawn_with(dial: Dial) -> (Addr<Self>, mpsc::UnboundedReceiver<String>) {
        let (told, hears) = mpsc::unbounded_channel();
        let caller = Self {
            dial: Some(dial),
            link: None,
            told,
        };
        (caller.spawn(), hears)
    }
}

impl Actor for Caller {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        let dial = self.dial.take().expect("started once");
        self.link = Some(dial.attach(ctx, LinesCodec::new));
        Ok(())
    }
}

#[handlers]
impl Caller {
    fn way(&self) -> Link<String> {
        self.link.clone().expect("set when it started")
    }
}

impl Handler<Frame<String>> for Caller {
    async fn handle(&mut self, Frame(line): Frame<String>, _: &mut Context<Self>) {
        let _ = self.told.send(line);
    }
}

impl Handler<LinkEvent> for Caller {
    async fn handle(&mut self, event: LinkEvent, _: &mut Context<Self>) {
        let _ = self.told.send(match event {
            LinkEvent::Up { connection, .. } => format!("up {connection}"),
            LinkEvent::Down { connection, .. } => format!("down {connection}"),
            LinkEvent::Closed => "closed".into(),
            _ => "something else".into(),
        });
    }
}

#[actors_core::test(start_paused = true)]
async fn an_actor_is_told_of_up_and_down_in_order() {
    let (mut listener, door) = memory_listener(1024);
    let (caller, mut told) = Caller::spawn_with(Dial::via(door).keep_while_down());
    let link = caller.way().await.unwrap();
    link.send("before".into()).await.unwrap();
    for connection in 1..4 {
        let mut line = Line::accept(&mut listener).await;
        if connection == 1 {
            assert_eq!(line.hears().await, "before", "it was kept");
        }
        line.says("hello").await;
        assert_eq!(told.recv().await.unwrap(), format!("up {connection}"));
        assert_eq!(told.recv().await.unwrap(), "hello");
        drop(line);
        assert_eq!(told.recv().await.unwrap(), format!("down {connection}"));
    }
    let mut line = Line::accept(&mut listener).await;
    link.send("last".into()).await.unwrap();
    link.close();
    assert_eq!(line.hears().await, "last");
    assert!(soon(line.0.next_line()).await.unwrap().is_none());
    drop(line);
    soon(link.closed()).await.unwrap();
    assert_eq!(told.recv().await.unwrap(), "up 4");
    assert_eq!(told.recv().await.unwrap(), "closed");
    assert!(caller.is_alive());
}

#[actors_core::test(start_paused = true)]
async fn what_is_sent_while_it_is_down_is_refused_unless_kept() {
    let (listener, door) = memory_listener(1024);
    drop(listener);
    let (caller, mut told) = Caller::spawn_with(Dial::via(door.clone()));
    assert_eq!(told.recv().await.unwrap(), "down 0");
    let link = caller.way().await.unwrap();
    let refused = link.send("hello".into()).await;
    assert!(matches!(refused, Err(LinkError::Closed(line)) if line == "hello"));
    assert!(!link.is_closed());
    let (caller, mut told) = Caller::spawn_with(Dial::via(door).keep_while_down());
    assert_eq!(told.recv().await.unwrap(), "down 0");
    let link = caller.way().await.unwrap();
    link.send("hello".into()).await.unwrap();
}

#[actors_core::test(start_paused = true)]
async fn the_actors_end_closes_the_line_and_writes_what_was_sent() {
    let (mut listener, door) = memory_listener(1024);
    let (caller, _told) = Caller::spawn_with(Dial::via(door).keep_while_down());
    let mut line = Line::accept(&mut listener).await;
    let link = caller.way().await.unwrap();
    link.send("hello".into()).await.unwrap();
    caller.kill();
    assert_eq!(line.hears().await, "hello");
    assert!(soon(line.0.next_line()).await.unwrap().is_none());
    drop(line);
    soon(link.closed()).await.unwrap();
}

#[actors_core::test(start_paused = true)]
async fn what_was_kept_for_a_connection_that_did_not_come_is_not_said_to_be_written() {
    for ends in [false, true] {
        let dial = Dial::via(Refusing::default()).keep_while_down();
        let (caller, mut told) = Caller::spawn_with(dial);
        assert_eq!(told.recv().await.unwrap(), "down 0");
        let link = caller.way().await.unwrap();
        link.send("hello".into()).await.unwrap();
        match ends {
            true => caller.kill(),
            false => link.close(),
        }
        let error = soon(link.closed()).await.unwrap_err();
        assert!(matches!(error, NetError::CutOff), "{error:?}");
    }
}

/// Notes when it is asked to connect, and refuses.
#[derive(Clone, Default)]
struct Refusing(Arc<Mutex<Vec<Instant>>>);

#[async_trait]
impl Connector for Refusing {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        self.0.lock().unwrap().push(Instant::now());
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn peer_addr(&self) -> NetAddr {
        NetAddr::Other("nobody".into())
    }
}

#[actors_core::test(start_paused = true)]
async fn pauses_grow_to_their_limit_and_are_random() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    fastrand::seed(seed);
    let mut all = Vec::new();
    for _ in 0..20 {
        let refusing = Refusing::default();
        let dial = Dial::via(refusing.clone()).pauses(SECOND, 60 * SECOND);
        let (caller, _told) = Caller::spawn_with(dial);
        tokio::time::sleep(3600 * SECOND).await;
        caller.kill();
        let tries = refusing.0.lock().unwrap().clone();
        let pauses: Vec<_> = tries.windows(2).map(|two| two[1] - two[0]).collect();
        for (n, pause) in pauses.iter().enumerate() {
            let limit = SECOND * 2_u32.pow(u32::try_from(n.min(6)).unwrap());
            assert!(
                *pause <= limit.min(60 * SECOND) + SECOND / 100,
                "{n}: {pause:?}"
            );
        }
        // Of 30 s in the mean; an hour has 120 of them.
        assert!((60..240).contains(&pauses.len()), "{}", pauses.len());
        all.push(pauses[0]);
    }
    all.sort();
    all.dedup();
    assert!(all.len() > 10, "not random: {all:?}");
}

#[actors_core::test(start_paused = true)]
async fn many_that_lost_the_same_server_come_back_spread_over_the_pause() {
    const MANY: usize = 2000;
    let seed = 7;
    println!("seed {seed}");
    fastrand::seed(seed);
    let mut all = Vec::new();
    for _ in 0..MANY {
        let refusing = Refusing::default();
        let dial = Dial::via(refusing.clone()).pauses(5 * SECOND, 5 * SECOND);
        all.push((Caller::spawn_with(dial).0, refusing));
    }
    tokio::time::sleep(10 * SECOND).await;
    // When each has tried for the second time, in tenths of a second.
    let mut tenths = [0; 50];
    for (caller, refusing) in &all {
        caller.kill();
        let tries = refusing.0.lock().unwrap();
        let pause = (tries[1] - tries[0]).as_millis() / 100;
        tenths[usize::try_from(pause).unwrap().min(49)] += 1;
    }
    let most = tenths.iter().max().unwrap();
    assert!(*most <= 2 * MANY / tenths.len(), "{tenths:?}");
}
