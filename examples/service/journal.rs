//! What was sold, kept where no failure of an actor reaches it.
use super::shelf::Order;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The orders of one shelf, in the order in which they were accepted. Stands for the disk or the
/// database of a real shop: a shelf writes here before it answers, and reads it when it is made
/// anew. Cloned, it is the same journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<Order>>>);

impl Journal {
    pub(crate) fn append(&self, order: Order) {
        self.lock().push(order);
    }

    pub(crate) fn orders(&self) -> Vec<Order> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Order>> {
        // A push is done or not done, also by a thread that panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
