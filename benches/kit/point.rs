//! What points are made of.
use std::future::Future;
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};

/// Runs on a worker of the runtime that both sides use, so that the measuring task is one like
/// others.
pub(crate) fn on_worker(work: impl Future<Output = f64> + Send + 'static) -> f64 {
    let runtime: Runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let cost = runtime.block_on(runtime.spawn(work)).expect("it ends well");
    runtime.shutdown_background();
    cost
}

/// What one of so many operations has cost since then, in nanoseconds.
pub(crate) fn each(start: Instant, count: u64) -> f64 {
    start.elapsed().as_nanos() as f64 / count as f64
}

/// 0 + 1 + … up to below `count`.
pub(crate) fn sum(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}
