//! How a workload learns that its actors are done.
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// Opens when it was counted down, and adds up what it was counted down with.
#[derive(Debug)]
pub struct Latch {
    left: AtomicU64,
    sum: AtomicU64,
    open: Mutex<Option<oneshot::Sender<u64>>>,
}

impl Latch {
    /// The sum comes when it was counted down so often.
    pub fn new(count: u64) -> (Self, oneshot::Receiver<u64>) {
        let (open, opened) = oneshot::channel();
        let latch = Self {
            left: AtomicU64::new(count),
            sum: AtomicU64::new(0),
            open: Mutex::new(Some(open)),
        };
        (latch, opened)
    }

    /// Once, with a number that is added to the sum.
    pub fn count_down(&self, with: u64) {
        self.sum.fetch_add(with, Ordering::Relaxed);
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let open = self.open.lock().expect("nothing panics under it").take();
            let open = open.expect("it opens once");
            open.send(self.sum.load(Ordering::Relaxed))
                .expect("the workload waits");
        }
    }
}
