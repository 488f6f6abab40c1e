//! What a running actor owns besides its state: children, and tasks that work for it.
use crate::id::ActorId;
use std::collections::BTreeMap;
use tokio::task::AbortHandle;

/// What ends when its actor ends. `C` is how a child is known.
pub(crate) struct Scope<C> {
    /// By id, which is the order of their start.
    children: BTreeMap<ActorId, C>,
    tasks: Vec<AbortHandle>,
    /// When `tasks` is this long, those that have ended are sorted out.
    sort_out_at: usize,
}

impl<C> Scope<C> {
    pub(crate) fn new() -> Self {
        Self {
            children: BTreeMap::new(),
            tasks: Vec::new(),
            sort_out_at: 8,
        }
    }

    pub(crate) fn add_child(&mut self, id: ActorId, child: C) {
        self.children.insert(id, child);
    }

    pub(crate) fn remove_child(&mut self, id: ActorId) {
        self.children.remove(&id);
    }

    /// The child that was started last.
    pub(crate) fn last_child(&self) -> Option<&C> {
        self.children.last_key_value().map(|(_, child)| child)
    }

    pub(crate) fn children(&self) -> impl DoubleEndedIterator<Item = &C> {
        self.children.values()
    }

    /// Notes a task that must not outlive the actor.
    pub(crate) fn add_task(&mut self, task: AbortHandle) {
        if self.tasks.len() >= self.sort_out_at {
            self.tasks.retain(|task| !task.is_finished());
            self.sort_out_at = 8.max(2 * self.tasks.len());
        }
        self.tasks.push(task);
    }

    /// Ends the tasks at their next await.
    pub(crate) fn abort_tasks(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }
}
