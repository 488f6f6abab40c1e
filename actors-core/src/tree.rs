//! The live actors as a tree: who started whom, what each is doing.
use crate::cell::short_name;
use crate::id::ActorId;
use crate::policy::Capacity;
use crate::sight::{self, ActorInfo};
use crate::supervise::{Node, Supervisor};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::iter;
use std::time::Duration;

/// The actors of this process, as they were when it was made: each behind the one whose child it
/// is.
///
/// Printed, it shows the tree with a line for each actor: its name, type and state, how many
/// messages its mailbox holds and how many it has handled, how often it was restarted, for how long
/// it has been up, and what it is doing. `{:.10}` prints at most ten children of each actor and
/// counts the rest.
///
/// With the feature `serde` it serializes as the list of its actors, in the same order, each with
/// its `depth` and the id of its `parent`.
///
/// ```
/// use actors_core::{Actor, Addr, Context, Error, tree};
///
/// #[derive(actors_core::Actor)]
/// struct Db;
///
/// #[derive(Default)]
/// struct Shop { db: Option<Addr<Db>> }
/// impl Actor for Shop {
///     async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
///         self.db = Some(ctx.spawn(Db)); // without an address it would stop
///         Ok(())
///     }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let shop = actors_core::SpawnOptions::new().start(Shop::default()).await?;
/// println!("{}", tree());
/// // Shop   running  0/1024  0 handled
/// // └─ Db  running  0/1024  0 handled  up 21us
/// # let tree = tree().below(shop.id()).expect("it is up");
/// # assert_eq!(tree.nodes()[1].actor.name, "Db");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Each directly before its first child. Not nested, since a chain of children may be longer
    /// than a stack is deep.
    nodes: Vec<TreeNode>,
}

/// An actor in a [`Tree`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TreeNode {
    /// How many actors are above it in the tree.
    pub depth: usize,
    /// The actor.
    pub actor: ActorInfo,
}

/// The tree of all actors of this process that have not ended. Those without a parent, or whose
/// parent has ended, are roots.
pub fn tree() -> Tree {
    let actors = sight::actors();
    let live: HashSet<ActorId> = actors.iter().map(|actor| actor.id).collect();
    let mut children: HashMap<Option<ActorId>, Vec<ActorInfo>> = HashMap::new();
    // The last one first, since they are taken from the end.
    for actor in actors.into_iter().rev() {
        let parent = actor.parent.filter(|parent| live.contains(parent));
        children.entry(parent).or_default().push(actor);
    }
    let mut nodes = Vec::with_capacity(live.len());
    let mut way = vec![children.remove(&None).unwrap_or_default()];
    while let Some(siblings) = way.last_mut() {
        let Some(actor) = siblings.pop() else {
            way.pop();
            continue;
        };
        let depth = way.len() - 1;
        way.push(children.remove(&Some(actor.id)).unwrap_or_default());
        nodes.push(TreeNode { depth, actor });
    }
    Tree { nodes }
}

impl Tree {
    /// The tree of this actor and what is below it; `None` when it is not in this tree.
    pub fn below(&self, root: ActorId) -> Option<Self> {
        let at = self.nodes.iter().position(|node| node.actor.id == root)?;
        let depth = self.nodes[at].depth;
        let below = self.nodes[at + 1..].iter();
        let below = below.take_while(|node| node.depth > depth).count();
        let nodes = self.nodes[at..=at + below].iter().map(|node| TreeNode {
            depth: node.depth - depth,
            actor: node.actor.clone(),
        });
        Some(Self {
            nodes: nodes.collect(),
        })
    }

    /// The actors, each before its children, and these in the order in which they were started.
    pub fn nodes(&self) -> &[TreeNode] {
        &self.nodes
    }

    /// The lines to print: how a node is drawn, and the node, or how many were left out.
    fn lines(&self, most: usize) -> Vec<(String, Result<&TreeNode, usize>)> {
        let mut lines = Vec::new();
        // Of the nodes above the current one: how many siblings come after each, how many came.
        let mut above: Vec<(usize, usize)> = Vec::new();
        let siblings = self.later_siblings();
        let mut at = 0;
        while let Some(node) = self.nodes.get(at) {
            above.truncate(node.depth + 1);
            match above.get_mut(node.depth) {
                Some((left, came)) => (*left, *came) = (siblings[at], *came + 1),
                None => above.push((siblings[at], 1)),
            }
            let (left, came) = above[node.depth];
            let too_many = node.depth > 0 && came > most;
            let mut drawn = String::new();
            for (left, _) in above.iter().take(node.depth).take(DRAWN).skip(1) {
                drawn.push_str(if *left > 0 { "│  " } else { "   " });
            }
            if node.depth > DRAWN {
                drawn.push_str(&format!("({}) ", node.depth));
            }
            if node.depth > 0 {
                let last = left == 0 || too_many;
                drawn.push_str(if last { "└─ " } else { "├─ " });
            }
            if too_many {
                lines.push((drawn, Err(left + 1)));
                // On with what is not below their parent.
                let parents = node.depth;
                at += self.nodes[at..]
                    .iter()
                    .take_while(|node| node.depth >= parents)
                    .count();
            } else {
                lines.push((drawn, Ok(node)));
                at += 1;
            }
        }
        lines
    }

    /// Of each node, how many siblings come after it.
    fn later_siblings(&self) -> Vec<usize> {
        let mut later = vec![0; self.nodes.len()];
        let mut seen: Vec<usize> = Vec::new();
        for (at, node) in self.nodes.iter().enumerate().rev() {
            // What was seen further down belongs to other parents.
            seen.resize(node.depth + 1, 0);
            later[at] = seen[node.depth];
            seen[node.depth] += 1;
        }
        later
    }
}

/// How many levels are drawn. What is deeper is drawn at this one, with its depth as a number.
const DRAWN: usize = 40;

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines(f.precision().unwrap_or(usize::MAX));
        let mut rows: Vec<[String; 7]> = Vec::new();
        for (drawn, what) in &lines {
            rows.push(match what {
                Ok(node) => columns(drawn, &node.actor),
                Err(left) => {
                    let mut row = <[String; 7]>::default();
                    row[0] = format!("{drawn}and {left} more");
                    row
                }
            });
        }
        let width = |column: usize| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: [usize; 7] = std::array::from_fn(width);
        for (n, row) in rows.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                if width > 0 {
                    line.push_str(cell);
                    line.extend(iter::repeat_n(' ', width + 2 - cell.chars().count()));
                }
            }
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

fn columns(drawn: &str, actor: &ActorInfo) -> [String; 7] {
    let kind = short_name(type_name(actor));
    let capacity = match actor.capacity {
        Capacity::Bounded(capacity) => capacity.to_string(),
        Capacity::Unbounded => "∞".to_owned(),
    };
    let doing = actor.message.map(|message| {
        let since = actor.since.map(|since| since.elapsed());
        let since = since.map(|since| format!(" for {}", short(since)));
        format!("in {}{}", short_name(message), since.unwrap_or_default())
    });
    [
        format!("{drawn}{}", actor.name.escape_debug()),
        if kind == actor.name {
            String::new()
        } else {
            kind.to_owned()
        },
        actor.state.to_string(),
        format!("{}/{capacity}", actor.mailbox.waiting),
        format!("{} handled", actor.mailbox.handled),
        [
            restarts(actor.incarnation),
            actor.uptime.map(|uptime| format!("up {}", short(uptime))),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("  "),
        doing.unwrap_or_default(),
    ]
}

/// The type of its state; that of a supervisor's actor is nobody's business.
fn type_name(actor: &ActorInfo) -> &'static str {
    match actor.type_name == std::any::type_name::<Node>() {
        true => std::any::type_name::<Supervisor>(),
        false => actor.type_name,
    }
}

fn restarts(incarnation: u32) -> Option<String> {
    match incarnation {
        0 => None,
        1 => Some("1 restart".to_owned()),
        n => Some(format!("{n} restarts")),
    }
}

/// A time in its two largest units, or in one with a fraction.
fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time.as_millis() == 0 => format!("{}us", time.as_micros()),
        0 => format!("{}ms", time.as_millis()),
        1..60 => format!("{seconds}.{}s", time.subsec_millis() / 100),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(feature = "serde")]
mod serialize {
    use super::{Tree, TreeNode, type_name};
    use crate::policy::Capacity;
    use serde::ser::{Serialize, SerializeStruct, Serializer};

    impl Serialize for Tree {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(&self.nodes)
        }
    }

    /// As one map: the numbers of the mailbox are `waiting`, `capacity` (none when it is
    /// unbounded), `handled`, `failed`, `withdrawn`, `dead_letters`; times are in seconds.
    impl Serialize for TreeNode {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let Self { depth, actor } = self;
            let capacity = match actor.capacity {
                Capacity::Bounded(capacity) => Some(capacity),
                Capacity::Unbounded => None,
            };
            let since = actor.since.map(|since| since.elapsed().as_secs_f64());
            let uptime = actor.uptime.map(|uptime| uptime.as_secs_f64());
            let mut node = serializer.serialize_struct("TreeNode", 16)?;
            node.serialize_field("depth", depth)?;
            node.serialize_field("id", &actor.id.get())?;
            node.serialize_field("parent", &actor.parent.map(|parent| parent.get()))?;
            node.serialize_field("name", &actor.name)?;
            node.serialize_field("type", type_name(actor))?;
            node.serialize_field("state", &actor.state.to_string())?;
            node.serialize_field("waiting", &actor.mailbox.waiting)?;
            node.serialize_field("capacity", &capacity)?;
            node.serialize_field("handled", &actor.mailbox.handled)?;
            node.serialize_field("failed", &actor.mailbox.failed)?;
            node.serialize_field("withdrawn", &actor.mailbox.withdrawn)?;
            node.serialize_field("dead_letters", &actor.mailbox.dead_letters)?;
            node.serialize_field("restarts", &actor.incarnation)?;
            node.serialize_field("uptime", &uptime)?;
            node.serialize_field("message", &actor.message)?;
            node.serialize_field("message_for", &since)?;
            node.end()
        }
    }
}
