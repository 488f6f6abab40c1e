//! What the `main` and `test` macros call: a runtime to run one future on.
use std::future::Future;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

/// The kinds of tokio runtime.
#[derive(Clone, Copy, Debug)]
pub enum Flavor {
    /// One thread, with a `LocalSet`, so that local actors can be spawned.
    CurrentThread,
    /// Work-stealing.
    MultiThread,
}

/// How long the threads of a runtime may take to drop what was left.
const AT_END: Duration = Duration::from_secs(1);

/// Runs a future on a runtime of its own. What it leaves behind is dropped; who blocks its thread
/// for ever is left to the end of the process.
///
/// # Panics
///
/// When the operating system refuses threads.
pub fn block_on<F: Future>(flavor: Flavor, worker_threads: Option<usize>, main: F) -> F::Output {
    match flavor {
        Flavor::CurrentThread => {
            let runtime = build(&mut Builder::new_current_thread());
            LocalSet::new().block_on(&runtime, main)
        }
        Flavor::MultiThread => {
            let mut builder = Builder::new_multi_thread();
            if let Some(threads) = worker_threads {
                builder.worker_threads(threads);
            }
            let runtime = build(&mut builder);
            let output = runtime.block_on(main);
            // A handler that blocks its thread must not hold up the end of the process.
            runtime.shutdown_timeout(AT_END);
            output
        }
    }
}

/// Runs a future on one thread with paused time.
///
/// # Panics
///
/// When the operating system refuses threads.
#[cfg(feature = "test-kit")]
pub fn block_on_paused<F: Future>(main: F) -> F::Output {
    let runtime = build(Builder::new_current_thread().start_paused(true));
    LocalSet::new().block_on(&runtime, main)
}

fn build(builder: &mut Builder) -> Runtime {
    match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("the tokio runtime did not start: {error}"),
    }
}
