//! `Gate`: a place where a handler waits until the test lets it go on; and how to poll once.
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::Notify;

/// A place to stop at. Cloned, it is the same place.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    reached: Arc<Notify>,
    opened: Arc<Notify>,
}

impl Gate {
    /// Waits until it is opened, and tells who waits for that it was reached. By the handler.
    pub(crate) async fn pass(&self) {
        self.reached.notify_one();
        self.opened.notified().await;
    }

    /// Waits until somebody stands before it. By the test.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets one through. By the test.
    pub(crate) fn open(&self) {
        self.opened.notify_one();
    }
}

/// Polls the future once, with the waker of the task that asks for it.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}
