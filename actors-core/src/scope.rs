//! What a running actor owns besides its state: children, and tasks that work for it.
use crate::error::Error;
use crate::id::ActorId;
use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinHandle};

/// Undoes a note that somebody has taken of an actor.
pub(crate) type Undo = Box<dyn FnOnce() + Send>;

/// What ends when its actor ends. `C` is how a child is known.
pub(crate) struct Scope<C> {
    /// By id, which is the order of their start.
    children: BTreeMap<ActorId, C>,
    tasks: Vec<JoinHandle<()>>,
    /// Tasks that can only send mail: of no use once the mailbox is closed.
    streams: Vec<AbortHandle>,
    /// The children are all stopped at the same time, and have this long.
    pub(crate) together: Option<Duration>,
    /// What others say the actor fails with.
    pub(crate) failure: Option<Error>,
    /// What others have noted of the actor and must forget when it ends: names, memberships.
    undo: BTreeMap<u64, Undo>,
    /// When `tasks` is this long, those that have ended are sorted out.
    sort_out_at: usize,
}

impl<C> Scope<C> {
    pub(crate) fn new() -> Self {
        Self {
            children: BTreeMap::new(),
            tasks: Vec::new(),
            streams: Vec::new(),
            together: None,
            failure: None,
            undo: BTreeMap::new(),
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

    pub(crate) fn children(&self) -> impl DoubleEndedIterator<Item = &C> + ExactSizeIterator {
        self.children.values()
    }

    pub(crate) fn has_children(&self) -> bool {
        !self.children.is_empty()
    }

    /// Notes a task that ends when the actor takes no more mail.
    pub(crate) fn add_stream(&mut self, task: AbortHandle) {
        if self.streams.len() == self.streams.capacity() {
            self.streams.retain(|task| !task.is_finished());
            // So that the next time is as far away as there are tasks now.
            self.streams.reserve(4.max(self.streams.len()));
        }
        self.streams.push(task);
    }

    /// Ends the tasks that can only send mail.
    pub(crate) fn abort_streams(&mut self) {
        for task in self.streams.drain(..) {
            task.abort();
        }
    }

    /// Notes a task that must not outlive the actor.
    pub(crate) fn add_task(&mut self, task: JoinHandle<()>) {
        if self.tasks.len() >= self.sort_out_at {
            self.tasks.retain(|task| !task.is_finished());
            self.sort_out_at = 8.max(2 * self.tasks.len());
        }
        self.tasks.push(task);
    }

    /// Ends the tasks at their next await, and gives them.
    pub(crate) fn abort_tasks(&mut self) -> Vec<JoinHandle<()>> {
        let tasks = std::mem::take(&mut self.tasks);
        for task in &tasks {
            task.abort();
        }
        tasks
    }

    /// Notes what is to be undone when the actor ends.
    pub(crate) fn add_undo(&mut self, key: u64, undo: Undo) {
        self.undo.insert(key, undo);
    }

    /// The same back, if it was not undone yet.
    pub(crate) fn take_undo(&mut self, key: u64) -> Option<Undo> {
        self.undo.remove(&key)
    }

    /// All that is to be undone, in the order in which it was noted.
    pub(crate) fn take_all_undo(&mut self) -> impl Iterator<Item = Undo> + use<C> {
        mem::take(&mut self.undo).into_values()
    }
}
