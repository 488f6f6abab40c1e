//! The example `service`, over real HTTP: every request is answered, and no accepted order is lost,
//! while its actors are killed and panic, and when it is stopped under load.
#![cfg(unix)]
use crate::kit::{Folder, Rng, example, soon};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const ITEMS: [&str; 5] = ["coffee", "tea", "sugar", "milk", "cake"];
const STOCK: u64 = 3_000;

/// The example in a process of its own.
struct Service {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
    folder: Folder,
}

impl Service {
    /// Starts it on a port that is free.
    async fn start(args: &[&str]) -> Self {
        let folder = Folder::new();
        // What it tells is to be read when a test fails.
        let log = fs::File::create(folder.at("log")).expect("a file for what it tells");
        let mut command = Command::new(example("service"));
        command.args(["--listen", "127.0.0.1:0", "--items", &ITEMS.join(",")]);
        command.args(["--stock", &STOCK.to_string(), "--log", "warn"]);
        command.args(["--orders", &folder.at("orders")]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(log).kill_on_drop(true);
        let mut child = command.spawn().expect("the example runs");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        soon(output.read_line(&mut line)).await.expect("UTF-8");
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("not an address: {line}"));
        Self {
            address: address.to_owned(),
            child,
            output,
            folder,
        }
    }

    fn terminate(&self) {
        let id = self.child.id().expect("it was not waited for");
        let id = i32::try_from(id).ok().and_then(Pid::from_raw);
        kill_process(id.expect("an id"), Signal::TERM).expect("it runs");
    }

    /// Waits for its end; gives what it has printed, and the orders that it has written.
    async fn end(mut self) -> (ExitStatus, String, Orders) {
        let mut printed = String::new();
        let read = soon(self.output.read_to_string(&mut printed)).await;
        read.expect("UTF-8");
        let status = soon(self.child.wait()).await.expect("it can be waited for");
        let text = fs::read_to_string(self.folder.at("orders")).expect("it has written the orders");
        let mut orders = Orders::new();
        for line in text.lines() {
            let order: Value = serde_json::from_str(line).expect("a line of JSON");
            let text = |name: &str| order[name].as_str().expect("a text").to_owned();
            let count = order["count"].as_u64().expect("a number");
            let twice = orders.insert((text("item"), text("id")), count);
            assert_eq!(twice, None, "written twice: {line}");
        }
        (status, printed, orders)
    }
}

/// How many pieces by item and id.
type Orders = BTreeMap<(String, String), u64>;

/// A client with one connection at a time.
struct Client {
    address: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    fn of(service: &Service) -> Self {
        Self {
            address: service.address.clone(),
            connection: None,
        }
    }

    /// The answer, or nothing when the connection ended before there was one.
    async fn ask(&mut self, request: Request<Full<Bytes>>) -> Option<(StatusCode, Bytes)> {
        soon(async {
            if self.connection.as_ref().is_none_or(SendRequest::is_closed) {
                let stream = TcpStream::connect(&self.address).await.ok()?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
                tokio::spawn(connection);
                self.connection = Some(sender);
            }
            let connection = self.connection.as_mut()?;
            connection.ready().await.ok()?;
            let response = connection.send_request(request).await.ok()?;
            let status = response.status();
            let body = response.into_body().collect().await.ok()?;
            Some((status, body.to_bytes()))
        })
        .await
    }

    async fn get(&mut self, path: &str) -> (StatusCode, String) {
        let request = self.request("GET", path, "");
        let (status, body) = self.ask(request).await.expect("an answer");
        (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    async fn put(&mut self, order: &Order) -> Option<StatusCode> {
        let Order { item, id, count } = order;
        let path = format!("/items/{item}/orders/{id}");
        let request = self.request("PUT", &path, &format!(r#"{{"count":{count}}}"#));
        Some(self.ask(request).await?.0)
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::HOST, &self.address);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        request.body(body).expect("a request")
    }
}

#[derive(Clone)]
struct Order {
    item: &'static str,
    id: String,
    count: u64,
}

impl Order {
    fn random(rng: &mut Rng, id: String) -> Self {
        Self {
            item: ITEMS[rng.below(ITEMS.len() as u64) as usize],
            id,
            count: 1 + rng.below(5),
        }
    }

    fn key(&self) -> (String, String) {
        (self.item.to_owned(), self.id.clone())
    }
}

/// What `/items` says: left, sold and orders of each item. All have their stock.
async fn levels(client: &mut Client) -> BTreeMap<String, (u64, u64)> {
    let text = loop {
        match client.get("/items").await {
            (StatusCode::OK, text) => break text,
            // A shelf was killed while it was asked.
            (status, text) => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}"),
        }
    };
    let levels: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let number = |level: &Value, name: &str| level[name].as_u64().expect("a number");
    let mut by_item = BTreeMap::new();
    for level in &levels {
        let sold = number(level, "sold");
        assert_eq!(number(level, "left") + sold, STOCK, "{level}");
        let item = level["item"].as_str().expect("a text").to_owned();
        by_item.insert(item, (sold, number(level, "orders")));
    }
    assert_eq!(by_item.len(), ITEMS.len());
    by_item
}

/// The same from a list of orders.
fn sums(orders: &Orders) -> BTreeMap<String, (u64, u64)> {
    let mut sums: BTreeMap<_, _> = ITEMS.map(|item| (item.to_owned(), (0, 0))).into();
    for ((item, _), count) in orders {
        let (sold, orders) = sums.get_mut(item).expect("an item");
        *sold += count;
        *orders += 1;
    }
    sums
}

fn printed_sums(sums: &BTreeMap<String, (u64, u64)>) -> String {
    let lines = sums.iter().filter(|(_, (_, orders))| *orders > 0);
    let line = |(item, (sold, orders)): (&String, &(u64, u64))| {
        format!("{item}: {orders} orders, {sold} pieces\n")
    };
    lines.map(line).collect()
}

#[tokio::test]
async fn tells_how_it_fares() {
    let service = Service::start(&["--flakiness", "0"]).await;
    let mut client = Client::of(&service);
    assert_eq!(
        client.get("/healthz").await,
        (StatusCode::OK, "healthy".into())
    );
    assert_eq!(
        client.get("/readyz").await,
        (StatusCode::OK, "ready".into())
    );
    let (status, tree) = client.get("/tree").await;
    assert_eq!(status, StatusCode::OK);
    for name in [
        "shop", "store", "shelf-3", "partners", "bank", "clerks-8", "front",
    ] {
        assert!(tree.contains(name), "no {name} in\n{tree}");
    }
    let mut request = client.request("GET", "/tree", "");
    let json = header::HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::ACCEPT, json);
    let (_, tree) = client.ask(request).await.expect("an answer");
    let tree: Vec<Value> = serde_json::from_slice(&tree).expect("JSON");
    assert_eq!(tree[0]["name"], "shop");

    let mut order = Order {
        item: "tea",
        id: "one".into(),
        count: 2,
    };
    assert_eq!(client.put(&order).await, Some(StatusCode::CREATED));
    assert_eq!(client.put(&order).await, Some(StatusCode::OK));
    let (status, body) = client.get("/items/tea/orders/one").await;
    assert_eq!((status, &*body), (StatusCode::OK, r#"{"count":2}"#));
    order.count = 3;
    assert_eq!(client.put(&order).await, Some(StatusCode::CONFLICT));
    (order.id, order.count) = ("all".into(), STOCK);
    assert_eq!(client.put(&order).await, Some(StatusCode::CONFLICT));
    order.count = 0;
    assert_eq!(
        client.put(&order).await,
        Some(StatusCode::UNPROCESSABLE_ENTITY)
    );
    (order.item, order.count) = ("gold", 1);
    assert_eq!(client.put(&order).await, Some(StatusCode::NOT_FOUND));
    let (status, _) = client.get("/items/tea/orders/two").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let levels = levels(&mut client).await;
    assert_eq!(levels["tea"], (2, 1));

    // A connection that has nothing to say does not hold it up.
    let _idle = TcpStream::connect(&service.address)
        .await
        .expect("it listens");
    service.terminate();
    let (status, printed, orders) = service.end().await;
    assert!(status.success(), "{status}");
    assert_eq!(printed, "tea: 1 orders, 2 pieces\n");
    assert_eq!(sums(&orders), levels);
}

/// Every order is repeated until it is known what became of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_answered_while_actors_are_killed_and_panic() {
    const CLIENTS: u64 = 16;
    const ORDERS: u64 = 40;
    let mut rng = Rng::seeded();
    let seed = rng.below(1 << 32).to_string();
    let args = ["--flakiness", "0.1", "--kill-every", "5", "--seed", &seed];
    let service = Service::start(&args).await;
    let refused = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let mut rng = Rng::from(rng.below(u64::MAX));
        let mut connection = Client::of(&service);
        let refused = Arc::clone(&refused);
        clients.spawn(async move {
            let mut accepted = Orders::new();
            for n in 0..ORDERS {
                let order = Order::random(&mut rng, format!("{client}-{n}"));
                loop {
                    let answer = connection.put(&order).await.expect("an answer");
                    match answer {
                        StatusCode::CREATED | StatusCode::OK => break,
                        StatusCode::SERVICE_UNAVAILABLE => refused.fetch_add(1, Ordering::Relaxed),
                        other => panic!("{other}"),
                    };
                }
                accepted.insert(order.key(), order.count);
            }
            accepted
        });
    }
    let mut accepted = Orders::new();
    while let Some(orders) = clients.join_next().await {
        accepted.extend(orders.expect("no client fails"));
    }
    let mut client = Client::of(&service);
    assert_eq!(levels(&mut client).await, sums(&accepted));
    // The faults did happen.
    assert!(refused.load(Ordering::Relaxed) > 0);
    let (status, health) = client.get("/healthz").await;
    assert_eq!(status, StatusCode::OK, "{health}");
    service.terminate();
    let (status, printed, orders) = service.end().await;
    assert!(status.success(), "{status}");
    assert_eq!(orders, accepted);
    assert_eq!(printed, printed_sums(&sums(&accepted)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_under_load_it_loses_no_accepted_order() {
    const CLIENTS: u32 = 16;
    let mut rng = Rng::seeded();
    let seed = rng.below(1 << 32).to_string();
    let args = ["--flakiness", "0.02", "--kill-every", "10", "--seed", &seed];
    let service = Service::start(&args).await;
    let stopping = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(Semaphore::new(0));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let mut rng = Rng::from(rng.below(u64::MAX));
        let mut connection = Client::of(&service);
        let (stopping, answered) = (Arc::clone(&stopping), Arc::clone(&answered));
        clients.spawn(async move {
            let (mut accepted, mut sent) = (Orders::new(), Orders::new());
            for n in 0.. {
                let order = Order::random(&mut rng, format!("{client}-{n}"));
                sent.insert(order.key(), order.count);
                let was_stopping = stopping.load(Ordering::Acquire);
                match connection.put(&order).await {
                    Some(StatusCode::CREATED) => {
                        accepted.insert(order.key(), order.count);
                    }
                    Some(StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT) => {}
                    Some(other) => panic!("{other}"),
                    // The way is closed.
                    None if was_stopping || stopping.load(Ordering::Acquire) => break,
                    None => panic!("no answer from a service that nobody has stopped"),
                }
                answered.add_permits(1);
            }
            (accepted, sent)
        });
    }
    let many = soon(answered.acquire_many(20 * CLIENTS)).await;
    many.expect("it is never closed").forget();
    stopping.store(true, Ordering::Release);
    service.terminate();
    let (mut accepted, mut sent) = (Orders::new(), Orders::new());
    while let Some(client) = clients.join_next().await {
        let (more, tried) = client.expect("no client fails");
        accepted.extend(more);
        sent.extend(tried);
    }
    let (status, printed, orders) = service.end().await;
    assert!(status.success(), "{status}");
    for (order, count) in &accepted {
        assert_eq!(orders.get(order), Some(count), "{order:?} was accepted");
    }
    // What is there was asked for; not every answer came back.
    for (order, count) in &orders {
        assert_eq!(sent.get(order), Some(count), "{order:?} was not sent");
    }
    assert!(!accepted.is_empty());
    let sums = sums(&orders);
    assert!(sums.values().all(|(sold, _)| *sold <= STOCK), "{sums:?}");
    assert_eq!(printed, printed_sums(&sums));
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let mut command = Command::new(example("service"));
    command.args(["--listen", &address]).stdin(Stdio::null());
    let output = soon(command.output()).await.expect("the example runs");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    let last = told.trim_end().lines().last().unwrap_or_default();
    assert!(
        last.starts_with("service: the service did not start"),
        "{told}"
    );
    assert!(last.contains(&address), "{told}");
}
