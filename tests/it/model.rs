//! P11, P12: random trees and random faults, against a small model of what supervisors do. `SEED=n`
//! repeats a run, `HISTORIES=n` makes it longer.
use crate::kit::{Rng, soon};
use actors_core::{
    Actor, ActorId, Addr, Backoff, ChildOptions, Context, Error, Handler, Intensity, Message,
    Restart, StopReason, Strategy, Supervisor, SupervisorOptions, actors,
};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep_until};

/// Milliseconds since the history began.
type Millis = u64;

/// Timers are late by so much at the most: what the model says must not depend on less.
const BLUR: Millis = 12;

// --- what is told to the actors and to the model

#[derive(Clone, Copy, Debug)]
enum Op {
    Panic(usize),
    Fail(usize),
    /// The actor stops itself.
    End(usize),
    Kill(usize),
    /// By its address.
    Stop(usize),
    /// By its supervisor.
    StopChild(usize),
    Renew(usize),
    /// The next so many starts fail.
    Arm(usize, u32),
    /// A message that is counted.
    Note(usize),
    Wait(Millis),
    /// One more child, to the supervisor of this number.
    Add(usize, LeafSpec),
}

#[derive(Clone, Copy, Debug)]
struct LeafSpec {
    restart: Restart,
    significant: bool,
}

#[derive(Clone, Copy, Debug)]
struct SupSpec {
    strategy: Strategy,
    restarts: usize,
    period: Millis,
    /// The first back-off; it doubles up to eight times as long.
    backoff: Millis,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Leaf(LeafSpec),
    Sup(SupSpec),
}

/// A node of a tree: its parent has a smaller number.
type Tree = Vec<(usize, Kind)>;

// --- the model

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Up,
    /// A supervisor that is starting its children.
    Starting,
    /// Stands still, to be started with its group.
    Down,
    Waits(Millis),
    Gone,
}

struct Node {
    parent: usize,
    kind: Kind,
    children: Vec<usize>,
    state: State,
    failures: u32,
    /// How its last life ended.
    has_failed: bool,
    up_since: Millis,
    armed: u32,
    /// Messages that were accepted, and those that were handled.
    mail: u32,
    handled: u32,
    // Of a supervisor.
    restarts: Vec<Millis>,
    group: Option<Group>,
}

/// Children that are to be started together, from this place on.
#[derive(Clone, Copy, Debug)]
struct Group {
    from: usize,
    due: Millis,
}

#[derive(Default)]
struct Model {
    nodes: Vec<Node>,
    now: Millis,
    log: Vec<String>,
    /// The model cannot say what comes next: it depends on less than a timer can tell apart.
    blurred: bool,
}

impl Model {
    fn add(&mut self, parent: usize, kind: Kind) {
        let id = self.nodes.len();
        self.nodes.push(Node {
            parent,
            kind,
            children: Vec::new(),
            state: State::Up,
            failures: 0,
            has_failed: false,
            up_since: self.now,
            armed: 0,
            mail: 0,
            handled: 0,
            restarts: Vec::new(),
            group: None,
        });
        if id > 0 {
            self.nodes[parent].children.push(id);
        }
        if let Kind::Leaf(_) = kind {
            self.log.push(format!("+{id}"));
        }
    }

    fn sup(&self, id: usize) -> SupSpec {
        match self.nodes[id].kind {
            Kind::Sup(spec) => spec,
            Kind::Leaf(_) => panic!("{id} is no supervisor"),
        }
    }

    /// Where the child stands among its siblings.
    fn place(&self, id: usize) -> usize {
        let siblings = &self.nodes[self.nodes[id].parent].children;
        siblings.iter().position(|child| *child == id).unwrap()
    }

    fn drop_child(&mut self, id: usize) {
        self.nodes[id].state = State::Gone;
        let parent = self.nodes[id].parent;
        let place = self.place(id);
        if id == 0 {
            return;
        }
        self.nodes[parent].children.retain(|child| *child != id);
        if let Some(group) = &mut self.nodes[parent].group {
            group.from -= usize::from(place < group.from);
        }
    }

    /// Ends the node and all below it, the last one first. For good, or to be started again.
    fn halt(&mut self, id: usize, for_good: bool) {
        for child in self.nodes[id].children.clone().into_iter().rev() {
            let is_temporary = matches!(
                self.nodes[child].kind,
                Kind::Leaf(LeafSpec {
                    restart: Restart::Temporary,
                    ..
                })
            );
            self.halt(child, for_good || is_temporary);
            // One that fails with its supervisor, or is stopped by it, begins anew.
            self.nodes[child].failures = 0;
            if is_temporary && !for_good {
                self.drop_child(child);
            }
        }
        let node = &mut self.nodes[id];
        if let (Kind::Leaf(_), State::Up) = (node.kind, node.state) {
            self.log.push(format!("-{id}"));
            node.has_failed = false;
        }
        let node = &mut self.nodes[id];
        node.group = None;
        node.restarts.clear();
        node.state = if for_good { State::Gone } else { State::Down };
    }

    fn start(&mut self, id: usize) {
        match self.nodes[id].kind {
            Kind::Sup(_) => {
                self.nodes[id].state = State::Starting;
                self.nodes[id].group = Some(Group { from: 0, due: 0 });
            }
            Kind::Leaf(_) if self.nodes[id].armed > 0 => {
                self.nodes[id].armed -= 1;
                self.log.push(format!("!{id}"));
                self.failed(id, false);
            }
            Kind::Leaf(_) => {
                self.log.push(format!("+{id}"));
                let now = self.now;
                let node = &mut self.nodes[id];
                node.state = State::Up;
                node.up_since = now;
                node.handled = node.mail;
            }
        }
    }

    /// A child has ended and is to be restarted.
    fn failed(&mut self, id: usize, was_up: bool) {
        let sup = self.nodes[id].parent;
        let spec = self.sup(sup);
        let (now, place) = (self.now, self.place(id));
        let node = &mut self.nodes[id];
        if was_up {
            let up = now - node.up_since;
            self.blurred |= up.abs_diff(spec.period) < BLUR;
            if up > spec.period {
                node.failures = 0;
            }
        }
        node.failures += 1;
        node.has_failed = true;
        let wait = spec.backoff << (node.failures - 1).min(3);
        node.state = State::Down;
        // Too often?
        let restarts = &mut self.nodes[sup].restarts;
        for at in restarts.iter() {
            self.blurred |= (now - at).abs_diff(spec.period) < BLUR;
        }
        restarts.retain(|at| now - at <= spec.period);
        if restarts.len() >= spec.restarts {
            return self.gives_up(sup);
        }
        restarts.push(now);
        let from = match spec.strategy {
            Strategy::OneForOne => {
                if wait == 0 {
                    self.start(id);
                } else {
                    self.nodes[id].state = State::Waits(now + wait);
                }
                return;
            }
            Strategy::OneForAll => 0,
            Strategy::RestForOne => place,
        };
        // Those of a group that is under way and that are down yet must come along.
        let mut from = from;
        if let Some(group) = self.nodes[sup].group {
            let siblings = &self.nodes[sup].children;
            let mut down = group.from..siblings.len();
            let first = down.find(|at| self.nodes[siblings[*at]].state == State::Down);
            from = from.min(first.unwrap_or(from));
        }
        for child in self.nodes[sup]
            .children
            .clone()
            .into_iter()
            .skip(from)
            .rev()
        {
            let (kind, failures) = (self.nodes[child].kind, self.nodes[child].failures);
            if let Kind::Leaf(LeafSpec {
                restart: Restart::Temporary,
                ..
            }) = kind
            {
                self.halt(child, true);
                self.drop_child(child);
            } else if self.nodes[child].state != State::Down {
                self.halt(child, false);
                self.nodes[child].failures = failures;
            }
        }
        let due = now + wait;
        self.nodes[sup].group = Some(Group { from, due });
    }

    fn gives_up(&mut self, sup: usize) {
        if sup == 0 {
            return self.halt(0, true);
        }
        let was_up = self.nodes[sup].state == State::Up;
        self.halt(sup, false);
        self.failed(sup, was_up);
    }

    /// A child has ended by itself and does not come back.
    fn gone(&mut self, id: usize, normally: bool) {
        let Kind::Leaf(spec) = self.nodes[id].kind else {
            panic!("{id} is no leaf");
        };
        let sup = self.nodes[id].parent;
        self.drop_child(id);
        if spec.significant {
            self.significant_is_gone(sup, normally);
        }
    }

    /// The supervisor ends for good; after a failure, so do those above it.
    fn significant_is_gone(&mut self, sup: usize, normally: bool) {
        self.halt(sup, true);
        if sup == 0 {
            return;
        }
        let above = self.nodes[sup].parent;
        self.drop_child(sup);
        if !normally {
            self.significant_is_gone(above, false);
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Panic(id) | Op::Fail(id) => self.ends(id, false, true),
            Op::Kill(id) => {
                self.ends(id, false, false);
                // Where nothing runs, it is how it ends if it is not made anew.
                self.nodes[id].has_failed = true;
            }
            Op::End(id) => self.ends(id, true, true),
            Op::Stop(id) => match self.nodes[id].state {
                State::Up => self.ends(id, true, true),
                State::Gone => {}
                // Nothing runs that could end.
                _ if self.restart_of(id) == Restart::Permanent => {}
                _ => self.gone_while_it_waits(id),
            },
            Op::StopChild(id) => {
                if self.nodes[id].state != State::Gone {
                    self.halt(id, true);
                    self.drop_child(id);
                }
            }
            Op::Renew(id) => match self.nodes[id].state {
                // It never comes back, so it is left alone.
                _ if self.restart_of(id) == Restart::Temporary => {}
                State::Up => {
                    self.log.push(format!("-{id}"));
                    self.start(id);
                }
                State::Waits(_) => self.start(id),
                State::Starting | State::Down | State::Gone => {}
            },
            Op::Arm(id, times) => self.nodes[id].armed = times,
            Op::Note(id) => {
                let node = &mut self.nodes[id];
                node.mail += u32::from(node.state != State::Gone);
                if node.state == State::Up {
                    node.handled = node.mail;
                }
            }
            Op::Wait(_) => {}
            Op::Add(sup, spec) => {
                if self.nodes[sup].state == State::Up {
                    self.add(sup, Kind::Leaf(spec));
                }
            }
        }
    }

    fn restart_of(&self, id: usize) -> Restart {
        match self.nodes[id].kind {
            Kind::Leaf(spec) => spec.restart,
            Kind::Sup(_) => Restart::Permanent,
        }
    }

    fn gone_while_it_waits(&mut self, id: usize) {
        // How it ended last is how it ends.
        let normally = !self.nodes[id].has_failed;
        self.gone(id, normally);
    }

    /// A leaf that is up ends by itself.
    fn ends(&mut self, id: usize, normally: bool, hook: bool) {
        if self.nodes[id].state != State::Up {
            return;
        }
        if hook {
            self.log.push(format!("-{id}"));
        }
        match (self.restart_of(id), normally) {
            (Restart::Permanent, _) | (Restart::Transient, false) => self.failed(id, true),
            (Restart::Transient, true) | (Restart::Temporary, _) => self.gone(id, normally),
        }
    }

    /// Does what is due, until nothing is.
    fn settle(&mut self) {
        while (0..self.nodes.len()).any(|id| self.step(id)) {}
    }

    fn step(&mut self, id: usize) -> bool {
        let now = self.now;
        let is_gone = |model: &Self, id: usize| model.nodes[id].state == State::Gone;
        if is_gone(self, id) {
            return false;
        }
        if let State::Waits(due) = self.nodes[id].state {
            if due <= now {
                self.start(id);
                return true;
            }
        }
        let Kind::Sup(_) = self.nodes[id].kind else {
            return false;
        };
        if let Some(group) = self.nodes[id].group {
            if group.due > now {
                return false;
            }
            let members = &self.nodes[id].children[group.from..];
            let state = |at: &usize| self.nodes[*at].state;
            let is_unfinished = |at| matches!(state(at), State::Starting | State::Waits(_));
            if members.iter().any(is_unfinished) {
                return false;
            }
            match members.iter().copied().find(|at| state(at) == State::Down) {
                Some(child) => self.start(child),
                None => self.nodes[id].group = None,
            }
            return true;
        }
        if self.nodes[id].state == State::Starting {
            self.nodes[id].state = State::Up;
            self.nodes[id].up_since = now;
            return true;
        }
        false
    }

    /// When timers are due, the next one first.
    fn due(&self) -> Vec<Millis> {
        let due = self.nodes.iter().flat_map(|node| {
            let group = node.group.map(|group| group.due);
            let waits = match node.state {
                State::Waits(due) => Some(due),
                _ => None,
            };
            [group, waits]
        });
        let mut due: Vec<Millis> = due.flatten().filter(|due| *due > self.now).collect();
        due.sort_unstable();
        due
    }

    fn pass(&mut self, millis: Millis) {
        let until = self.now + millis;
        loop {
            let due = self.due();
            let Some(&first) = due.first() else { break };
            // Two timers that are due almost together come in any order.
            self.blurred |= due.get(1).is_some_and(|second| *second < first + BLUR);
            self.blurred |= first.abs_diff(until) < BLUR;
            if first > until {
                break;
            }
            self.now = first;
            self.settle();
        }
        self.now = until;
    }
}

// --- the actors

type Log = Arc<Mutex<Vec<String>>>;

struct Leaf {
    id: usize,
    log: Log,
    handled: Arc<AtomicU32>,
}

impl Actor for Leaf {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), Error> {
        self.log.lock().unwrap().push(format!("+{}", self.id));
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        self.log.lock().unwrap().push(format!("-{}", self.id));
    }
}

impl Message for Op {
    type Reply = ();
}

impl Handler<Op> for Leaf {
    async fn handle(&mut self, op: Op, ctx: &mut Context<Self>) {
        match op {
            // Without the hook that prints.
            Op::Panic(_) => resume_unwind(Box::new("told to panic")),
            Op::Fail(_) => ctx.fail("told to fail"),
            Op::End(_) => ctx.stop(),
            _ => {
                self.handled.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

struct Real {
    sups: Vec<Option<Supervisor>>,
    leaves: Vec<Option<RealLeaf>>,
    log: Log,
}

struct RealLeaf {
    addr: Addr<Leaf>,
    sup: Supervisor,
    armed: Arc<AtomicU32>,
    handled: Arc<AtomicU32>,
}

fn options(spec: SupSpec) -> SupervisorOptions {
    let millis = Duration::from_millis;
    SupervisorOptions::new()
        .strategy(spec.strategy)
        .intensity(Intensity::new(spec.restarts as u32, millis(spec.period)))
        .backoff(Backoff::new(millis(spec.backoff), millis(spec.backoff * 8)).without_jitter())
}

impl Real {
    fn add(&mut self, parent: usize, kind: Kind) {
        let id = self.sups.len();
        let above = self.sups.get(parent).cloned().flatten();
        let (sup, leaf) = match (kind, above) {
            (Kind::Sup(spec), None) => (options(spec).start("root").ok(), None),
            (Kind::Sup(spec), Some(above)) => (
                Some(above.subtree_with(id.to_string(), options(spec))),
                None,
            ),
            (Kind::Leaf(spec), Some(above)) => (None, Some(self.leaf(id, above, spec))),
            (Kind::Leaf(_), None) => panic!("a leaf needs a supervisor"),
        };
        self.sups.push(sup);
        self.leaves.push(leaf);
    }

    fn leaf(&self, id: usize, sup: Supervisor, spec: LeafSpec) -> RealLeaf {
        let armed = Arc::new(AtomicU32::new(0));
        let handled = Arc::new(AtomicU32::new(0));
        let (fails, counts, log) = (armed.clone(), handled.clone(), self.log.clone());
        let make = move || {
            let left = fails.load(Ordering::SeqCst);
            if left > 0 {
                fails.store(left - 1, Ordering::SeqCst);
                log.lock().unwrap().push(format!("!{id}"));
                return Err("told not to start");
            }
            Ok(Leaf {
                id,
                log: log.clone(),
                handled: counts.clone(),
            })
        };
        let mut options = ChildOptions::new().restart(spec.restart);
        if spec.significant {
            options = options.significant();
        }
        let addr = sup.child_with(id.to_string(), options, make);
        RealLeaf {
            addr,
            sup,
            armed,
            handled,
        }
    }

    fn apply(&mut self, op: Op) {
        let leaf = |id: usize| self.leaves[id].as_ref().unwrap();
        match op {
            Op::Panic(id) | Op::Fail(id) | Op::End(id) | Op::Note(id) => {
                // Refused where it has gone.
                let _ = leaf(id).addr.tell(op);
            }
            Op::Kill(id) => leaf(id).addr.kill(),
            Op::Stop(id) => leaf(id).addr.stop(),
            Op::StopChild(id) | Op::Renew(id) => {
                let (sup, child) = (leaf(id).sup.clone(), leaf(id).addr.id());
                tokio::spawn(async move {
                    match op {
                        Op::Renew(_) => sup.restart_child(child).await,
                        _ => sup.stop_child(child).await,
                    }
                });
            }
            Op::Arm(id, times) => leaf(id).armed.store(times, Ordering::SeqCst),
            Op::Wait(_) => {}
            Op::Add(sup, spec) => self.add(sup, Kind::Leaf(spec)),
        }
    }
}

// --- the histories

fn leaf_spec(rng: &mut Rng) -> LeafSpec {
    let restart = match rng.below(6) {
        0 => Restart::Temporary,
        1 | 2 => Restart::Transient,
        _ => Restart::Permanent,
    };
    LeafSpec {
        restart,
        significant: restart != Restart::Permanent && rng.below(8) == 0,
    }
}

fn sup_spec(rng: &mut Rng) -> SupSpec {
    SupSpec {
        strategy: [
            Strategy::OneForOne,
            Strategy::OneForAll,
            Strategy::RestForOne,
        ][rng.below(3) as usize],
        restarts: rng.below(5) as usize,
        period: 500 + 100 * rng.below(20),
        backoff: [0, 100, 330][rng.below(3) as usize],
    }
}

fn tree(rng: &mut Rng) -> Tree {
    let mut tree = vec![(0, Kind::Sup(sup_spec(rng)))];
    let mut sups = vec![0];
    for _ in 0..2 + rng.below(6) {
        let parent = sups[rng.below(sups.len() as u64) as usize];
        if rng.below(4) == 0 {
            sups.push(tree.len());
            tree.push((parent, Kind::Sup(sup_spec(rng))));
        } else {
            tree.push((parent, Kind::Leaf(leaf_spec(rng))));
        }
    }
    tree
}

/// The next operation: on leaves that are up where they would only wait as mail.
fn next_op(rng: &mut Rng, model: &Model) -> Op {
    let nodes = model.nodes.iter().enumerate();
    let leaves = nodes.filter(|(_, node)| matches!(node.kind, Kind::Leaf(_)));
    let leaves: Vec<(usize, State)> = leaves.map(|(id, node)| (id, node.state)).collect();
    if leaves.is_empty() || rng.below(3) == 0 {
        return Op::Wait(20 + rng.below(900));
    }
    let (id, state) = leaves[rng.below(leaves.len() as u64) as usize];
    let is_up = state == State::Up;
    match rng.below(14) {
        0..=2 if is_up => Op::Panic(id),
        3 if is_up => Op::Fail(id),
        4 if is_up => Op::End(id),
        5 | 6 => Op::Kill(id),
        7 => Op::Stop(id),
        8 => Op::StopChild(id),
        9 => Op::Renew(id),
        10 => Op::Arm(id, 1 + rng.below(2) as u32),
        11 => {
            let sups: Vec<usize> = (0..model.nodes.len())
                .filter(|id| matches!(model.nodes[*id].kind, Kind::Sup(_)))
                // While it is not up, when the new one starts depends on more than the model knows.
                .filter(|id| model.is_calm(*id))
                .collect();
            match sups.is_empty() {
                true => Op::Note(id),
                false => Op::Add(sups[rng.below(sups.len() as u64) as usize], leaf_spec(rng)),
            }
        }
        _ => Op::Note(id),
    }
}

impl Model {
    fn tell_leaves(&mut self, id: usize) {
        if let Kind::Leaf(_) = self.nodes[id].kind {
            self.log.push(format!("+{id}"));
        }
        for child in self.nodes[id].children.clone() {
            self.tell_leaves(child);
        }
    }

    /// It and all above it are up and have no group under way.
    fn is_calm(&self, id: usize) -> bool {
        let node = &self.nodes[id];
        let calm = node.state == State::Up && node.group.is_none();
        calm && (id == 0 || self.is_calm(node.parent))
    }
}

/// Runs one history. False: it was cut short.
async fn history(seed: u64) -> bool {
    let mut rng = Rng::from(seed);
    let tree = tree(&mut rng);
    let mut model = Model::default();
    let mut real = Real {
        sups: Vec::new(),
        leaves: Vec::new(),
        log: Log::default(),
    };
    let begin = Instant::now();
    for (parent, kind) in &tree {
        model.add(*parent, *kind);
        real.add(*parent, *kind);
    }
    let root = real.sups[0].clone().unwrap();
    soon(root.ready()).await.expect("all start");
    // Those of a subtree before what was added after it.
    model.log.clear();
    model.tell_leaves(0);
    let mut ops = Vec::new();
    let mut whole = true;
    for _ in 0..12 {
        let op = next_op(&mut rng, &model);
        model.apply(op);
        model.settle();
        model.pass(match op {
            Op::Wait(millis) => millis,
            _ => 10,
        });
        if model.blurred {
            whole = false;
            break;
        }
        ops.push(op);
        real.apply(op);
        // Paused time passes when nobody has anything to do: so all has been done.
        sleep_until(begin + Duration::from_millis(model.now)).await;
        let (told, said) = (
            std::mem::take(&mut *real.log.lock().unwrap()),
            &mut model.log,
        );
        let said = std::mem::take(said);
        assert_eq!(
            told, said,
            "seed {seed}: {tree:?}\n{ops:?} at {} ms",
            model.now
        );
        for (id, node) in model.nodes.iter().enumerate() {
            let Some(leaf) = &real.leaves[id] else {
                continue;
            };
            let context = || format!("seed {seed}, {id}: {tree:?}\n{ops:?} at {} ms", model.now);
            let is_gone = node.state == State::Gone;
            assert_eq!(leaf.addr.is_alive(), !is_gone, "{}", context());
            assert_eq!(
                leaf.handled.load(Ordering::SeqCst),
                node.handled,
                "{}",
                context()
            );
        }
        let lives = model.nodes[0].state != State::Gone;
        let children = if lives {
            model.nodes[0].children.len()
        } else {
            0
        };
        assert_eq!(
            root.child_count(),
            children,
            "seed {seed}: {tree:?}\n{ops:?}"
        );
    }
    let asked = Instant::now();
    // Its limit counts by real time, too, and this machine may be busy with something else for a second.
    let report = soon(root.shutdown(Duration::from_secs(60))).await;
    assert!(report.is_clean(), "seed {seed}: {report:?}");
    assert!(asked.elapsed() < Duration::from_secs(1), "seed {seed}");
    for leaf in real.leaves.iter().flatten() {
        soon(leaf.addr.stopped()).await;
        let stats = leaf.addr.mailbox_stats();
        let left = stats.handled + stats.failed + stats.withdrawn + stats.dead_letters;
        assert_eq!((stats.accepted, stats.waiting), (left, 0), "seed {seed}");
    }
    let ours: Vec<ActorId> = real.leaves.iter().flatten().map(|l| l.addr.id()).collect();
    let live = actors();
    assert!(
        live.iter().all(|actor| !ours.contains(&actor.id)),
        "seed {seed}"
    );
    whole
}

/// Half of the histories: the other test runs the other half beside it.
fn histories(half: u64) {
    let count: u64 = std::env::var("HISTORIES").map_or(20_000, |n| n.parse().unwrap());
    let mut rng = Rng::seeded();
    // Of one seed, each half has its own.
    let base = rng.below(u64::MAX / 2) + half * (u64::MAX / 2);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut cut_short = 0;
    for n in 0..count.div_ceil(2) {
        let seed = base.wrapping_add(n);
        cut_short += u64::from(!runtime.block_on(history(seed)));
    }
    println!(
        "{cut_short} of {} histories were cut short",
        count.div_ceil(2)
    );
    assert!(cut_short * 2 < count, "the model knows too little");
}

#[test]
fn random_histories_of_random_trees() {
    histories(0);
}

#[test]
fn more_random_histories_of_random_trees() {
    histories(1);
}
