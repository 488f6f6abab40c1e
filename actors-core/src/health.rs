//! How a supervised tree fares: its health, and a look at its actors.
use crate::cell::{ActorState, Cell};
use crate::error::{ActorName, StopReason};
use crate::mailbox::Keep;
use crate::supervise::Supervisor;
use crate::tree::{Tree, tree};
use std::fmt;

/// How a supervised tree fares; see [`Supervisor::health`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Health {
    /// Nothing in it is being made anew.
    Healthy,
    /// It works, but for the actors that have failed and are not up again yet: they wait for their
    /// back-off, or start.
    #[non_exhaustive]
    Degraded {
        /// Who they are.
        restarting: Vec<ActorName>,
    },
    /// It was told to stop.
    Stopping,
    /// It has ended as it was asked to.
    Stopped,
    /// It has ended, and should not have.
    Failed(StopReason),
}

impl Health {
    /// Whether it takes work: healthy or degraded.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded { .. })
    }

    /// Whether nothing is wrong with it.
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }
}

/// In a few words, as `degraded: db#7 and cache#9 are being restarted`.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::Degraded { restarting } => {
                f.write_str("degraded: ")?;
                for (n, actor) in restarting.iter().enumerate() {
                    match n {
                        0 => {}
                        _ if n + 1 == restarting.len() => f.write_str(" and ")?,
                        _ => f.write_str(", ")?,
                    }
                    write!(f, "{actor}")?;
                }
                f.write_str(match restarting.len() {
                    1 => " is being restarted",
                    _ => " are being restarted",
                })
            }
            Self::Stopping => f.write_str("stopping"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(reason) => write!(f, "failed: it {reason}"),
        }
    }
}

impl Supervisor {
    /// How the tree fares, below this supervisor and its subtrees. A child that was added and is
    /// starting for the first time is nothing wrong; for that there is [`ready`](Self::ready).
    ///
    /// Looks at each actor of the tree.
    ///
    /// ```
    /// use actors_core::{Actor, Supervisor};
    ///
    /// #[derive(Actor)]
    /// struct Db;
    ///
    /// # #[actors_core::main]
    /// # async fn main() -> Result<(), actors_core::Error> {
    /// let app = Supervisor::new("shop");
    /// app.child("db", || Db);
    /// app.ready().await?;
    /// assert!(app.health().is_healthy());
    /// app.shutdown(std::time::Duration::from_secs(5)).await;
    /// assert_eq!(app.health().to_string(), "stopped");
    /// # Ok(())
    /// # }
    /// ```
    pub fn health(&self) -> Health {
        let root = self.node.tx.any().keep();
        match root.beside().stop_reason() {
            Some(reason) if reason.is_normal() => return Health::Stopped,
            Some(reason) => return Health::Failed(reason),
            None if root.queue().is_closed() => return Health::Stopping,
            None => {}
        }
        let restarting = restarting(root);
        match restarting.is_empty() {
            true => Health::Healthy,
            false => Health::Degraded { restarting },
        }
    }

    /// The tree below this supervisor, and it, as they are now; see [`Tree`]. Empty when it has
    /// ended.
    ///
    /// ```
    /// use actors_core::{Actor, Supervisor};
    ///
    /// #[derive(Actor)]
    /// struct Db;
    ///
    /// # #[actors_core::main]
    /// # async fn main() -> Result<(), actors_core::Error> {
    /// let app = Supervisor::new("shop");
    /// app.child("db", || Db);
    /// app.ready().await?;
    /// println!("{}", app.tree());
    /// // shop   Supervisor  running  0/∞     3 handled  up 52us
    /// // └─ db  Db          running  0/1024  0 handled  up 21us
    /// # assert_eq!(app.tree().nodes()[1].actor.name, "db");
    /// # app.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tree(&self) -> Tree {
        tree().below(self.id()).unwrap_or_default()
    }
}

/// Those in the tree that have failed and are not up again.
fn restarting(root: Keep<Cell>) -> Vec<ActorName> {
    let mut found = Vec::new();
    let mut left = vec![root];
    while let Some(actor) = left.pop() {
        let cell = actor.beside();
        let is_down = match cell.state() {
            ActorState::Restarting => true,
            ActorState::Starting => cell.incarnation() > 0,
            ActorState::Running | ActorState::Stopping | ActorState::Stopped => false,
        };
        if is_down {
            found.push(cell.actor_name());
        }
        // The last one first, since they are taken from the end.
        cell.scope_if_any(|scope| {
            let children = scope.children().rev();
            left.extend(children.map(|child| child.keep.clone()));
        });
    }
    found
}
