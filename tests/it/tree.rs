//! The live tree: who started whom, printed and serialized.
use crate::kit::{Note, Rng, Worker, hold, soon, stop, with};
use actors_core::{
    Actor, ActorId, ActorState, Addr, SpawnOptions, Timings, Tree, actors, handlers, tree,
};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// A child of the worker that is up.
async fn child(of: &Addr<Worker>, options: SpawnOptions) -> Addr<Worker> {
    let child = with(|ctx| {
        let child = ctx.spawn_with(options, Worker::default());
        Box::pin(async move { child.expect("it can be spawned") })
    });
    let child = soon(of.ask(child)).await.expect("it lives");
    soon(child.ask(Note(0))).await.expect("it lives");
    child
}

fn named(name: &'static str) -> SpawnOptions {
    SpawnOptions::new().name(name).capacity(8)
}

async fn root(name: &'static str) -> Addr<Worker> {
    let started = named(name).start(Worker::default()).await;
    started.expect("it starts")
}

fn below(root: &Addr<Worker>) -> Tree {
    tree().below(root.id()).expect("it is in the tree")
}

/// Without for how long a message has been handled: that is there while some test measures it.
fn printed_of(root: &Addr<Worker>) -> String {
    let printed = below(root).to_string();
    let lines = printed.lines().map(|line| line.split(" for ").next());
    lines.map(Option::unwrap).collect::<Vec<_>>().join("\n")
}

#[actors_core::test(start_paused = true)]
async fn it_prints_as_a_tree() {
    let shop = root("shop").await;
    let db = child(&shop, named("db")).await;
    let _idle = child(&db, named("conn-1").unbounded()).await;
    let conn = child(&db, named("conn-2")).await;
    tokio::time::advance(Duration::from_secs(3_725)).await;
    let last = child(&shop, named("a\nb")).await;
    tokio::time::advance(Duration::from_millis(4_250)).await;
    let gate = crate::kit::Gate::new();
    conn.tell(hold(&gate)).expect("there is room");
    soon(gate.entered()).await;
    conn.tell(Note(1)).expect("there is room");
    let expected = "\
shop          Worker  running  0/8  2 handled
├─ db         Worker  running  0/8  3 handled  up 1h02m
│  ├─ conn-1  Worker  running  0/∞  1 handled  up 1h02m
│  └─ conn-2  Worker  running  2/8  1 handled  up 1h02m  in Run
└─ a\\nb       Worker  running  0/8  1 handled  up 4.2s";
    let printed = printed_of(&shop);
    assert_eq!(printed, expected, "\n{printed}");
    let of_db = printed_of(&db);
    let expected = "\
db         Worker  running  0/8  3 handled  up 1h02m
├─ conn-1  Worker  running  0/∞  1 handled  up 1h02m
└─ conn-2  Worker  running  2/8  1 handled  up 1h02m  in Run";
    assert_eq!(of_db, expected, "\n{of_db}");
    gate.open();
    stop(&last).await;
    stop(&shop).await;
    assert!(tree().below(shop.id()).is_none());
}

#[actors_core::test]
async fn many_children_can_be_left_out() {
    let shop = root("shop").await;
    let mut children = Vec::new();
    for _ in 0..5 {
        children.push(child(&shop, named("conn")).await);
    }
    children.push(child(&children[1], named("deep")).await);
    children.push(child(&children[4], named("left-out")).await);
    let names = |most: usize| {
        let printed = format!("{:.most$}", below(&shop));
        let names = printed.lines().map(|line| match line.find("  W") {
            Some(end) => line[..end].trim_end().to_owned(),
            None => line.to_owned(),
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        names(2),
        ["shop", "├─ conn", "├─ conn", "│  └─ deep", "└─ and 3 more"]
    );
    assert_eq!(names(0), ["shop", "└─ and 5 more"]);
    assert_eq!(names(5).len(), 8);
    assert_eq!(names(4)[6], "└─ and 1 more");
    stop(&shop).await;
}

#[derive(Actor)]
struct Kind;

#[handlers]
impl Kind {
    fn nothing(&mut self) {}
}

#[actors_core::test]
async fn a_type_is_printed_where_it_says_more_than_the_name() {
    let same = SpawnOptions::new().start(Kind).await.expect("it starts");
    let printed = tree().below(same.id()).expect("it is up").to_string();
    assert_eq!(printed, "Kind  running  0/1024  0 handled");
    same.nothing().await.expect("it lives");
    let printed = tree().below(same.id()).expect("it is up").to_string();
    assert_eq!(printed, "Kind  running  0/1024  1 handled");
}

#[actors_core::test(start_paused = true)]
async fn it_serializes() {
    let timings = Timings::measure();
    let shop = root("shop").await;
    let conn = child(&shop, named("conn").unbounded()).await;
    tokio::time::advance(Duration::from_millis(1_500)).await;
    let gate = crate::kit::Gate::new();
    conn.tell(hold(&gate)).expect("there is room");
    soon(gate.entered()).await;
    let mut value = serde_json::to_value(below(&shop)).expect("it serializes");
    let message_for = value[1]["message_for"].take();
    assert!(message_for.as_f64().is_some_and(|s| s >= 0.0), "{value}");
    let message = value[1]["message"].take();
    let message = message.as_str().expect("it is handling one");
    assert!(message.ends_with("kit::Run<()>"), "{message}");
    let (shop_id, conn_id) = (shop.id().get(), conn.id().get());
    let expected = json!([
        {
            "depth": 0, "id": shop_id, "parent": null, "name": "shop", "type": "it::kit::Worker",
            "state": "running", "waiting": 0, "capacity": 8, "handled": 1, "failed": 0,
            "withdrawn": 0, "dead_letters": 0, "restarts": 0, "uptime": null, "message": null,
            "message_for": null,
        },
        {
            "depth": 1, "id": conn_id, "parent": shop_id, "name": "conn",
            "type": "it::kit::Worker", "state": "running", "waiting": 1, "capacity": null,
            "handled": 1, "failed": 0, "withdrawn": 0, "dead_letters": 0, "restarts": 0,
            "uptime": 1.5, "message": null, "message_for": null,
        },
    ]);
    assert_eq!(value, expected);
    gate.open();
    drop(timings);
    stop(&shop).await;
}

/// Whatever starts and ends: the tree holds each live actor once, behind its parent.
#[actors_core::test]
async fn it_is_the_tree_of_the_actors() {
    let mut rng = Rng::seeded();
    let shop = root("random").await;
    let mut live = vec![shop.clone()];
    for _ in 0..300 {
        let at = usize::try_from(rng.below(live.len() as u64)).expect("small");
        if rng.below(4) > 0 || at == 0 {
            let new = child(&live[at], SpawnOptions::new()).await;
            live.push(new);
        } else {
            stop(&live[at].clone()).await;
            live.retain(Addr::is_alive);
        }
    }
    let tree = below(&shop);
    let nodes: HashSet<ActorId> = tree.nodes().iter().map(|node| node.actor.id).collect();
    assert_eq!(nodes.len(), tree.nodes().len(), "each once");
    assert_eq!(nodes, live.iter().map(Addr::id).collect());
    let parents: HashMap<ActorId, Option<ActorId>> =
        actors().into_iter().map(|a| (a.id, a.parent)).collect();
    let mut way: Vec<ActorId> = Vec::new();
    let mut before = Vec::new();
    for node in tree.nodes() {
        let id = node.actor.id;
        way.truncate(node.depth);
        assert_eq!(way.last().copied(), parents[&id].filter(|_| node.depth > 0));
        way.push(id);
        // Siblings come in the order of their start.
        before.retain(|(depth, _)| *depth <= node.depth);
        let elder = before.iter().rfind(|(depth, _)| *depth == node.depth);
        assert!(elder.is_none_or(|(_, elder)| *elder < id));
        before.push((node.depth, id));
        assert_eq!(node.actor.state, ActorState::Running);
    }
    assert_eq!(tree.to_string().lines().count(), live.len());
    stop(&shop).await;
}

/// A chain of actors that is longer than a stack is deep.
#[actors_core::test]
async fn it_may_be_deep() {
    const DEPTH: usize = 20_000;
    let shop = root("deep").await;
    let mut last = shop.clone();
    for _ in 0..DEPTH {
        last = child(&last, SpawnOptions::new()).await;
    }
    let tree = below(&shop);
    assert_eq!(tree.nodes().last().map(|node| node.depth), Some(DEPTH));
    let below_last = tree.below(last.id()).expect("it is in the tree");
    assert_eq!(below_last.nodes().len(), 1);
    let serialized = serde_json::to_string(&tree).expect("it serializes");
    assert!(serialized.len() > DEPTH);
    assert!(serialized.contains(&format!("\"depth\":{DEPTH}")));
    let printed = tree.to_string();
    assert_eq!(printed.lines().count(), DEPTH + 1);
    assert!(printed.len() < 500 * DEPTH, "{}", printed.len());
    assert!(printed.contains(&format!("({DEPTH}) └─ Worker")));
    shop.kill();
    soon(shop.stopped()).await;
}
