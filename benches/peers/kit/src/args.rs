//! The command line of a peer's program: one point, measured in this process.
use crate::peer::Peer;
use crate::rows::{self, Row};
use std::future::Future;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::Builder;

/// How a point is measured.
#[derive(Debug)]
pub struct Setup {
    /// Which of the peer's variants.
    pub variant: String,
    /// How many threads run actors.
    pub workers: usize,
    /// How long it works before it is measured.
    pub warm_up: Duration,
}

static SETUP: OnceLock<Setup> = OnceLock::new();

/// How this point is measured.
pub fn setup() -> &'static Setup {
    SETUP.get().expect("`main` has set it")
}

/// `PROGRAM ROW VARIANT WORKERS SHARE [SIZE]` measures a share of the row's work, and prints the values;
/// or nothing, where the peer cannot do it. A size belongs to a row that has several.
pub fn main<P: Peer>() -> ExitCode {
    program(|row, share, size| row.point::<P>(share, size))
}

/// The same for what is no peer and measures by itself: a share of the row's work, at this size; `None`: it
/// cannot do it.
pub fn program(point: impl FnOnce(&'static Row, f64, u64) -> Option<Vec<f64>>) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [row, variant, workers, share, size @ ..] = &args[..] else {
        eprintln!("usage: ROW VARIANT WORKERS SHARE [SIZE]");
        return ExitCode::FAILURE;
    };
    let (Ok(workers), Ok(share)) = (workers.parse(), share.parse::<f64>()) else {
        eprintln!("not numbers: {workers} {share}");
        return ExitCode::FAILURE;
    };
    let setup = Setup {
        variant: variant.clone(),
        workers,
        warm_up: Duration::from_millis(100).mul_f64((10.0 * share).min(1.0)),
    };
    SETUP.set(setup).expect("only once");
    let mut rows = rows::ROWS.iter().chain(rows::GROWTH);
    let Some(row) = rows.find(|known| known.name == *row) else {
        eprintln!("no row is called {row}");
        return ExitCode::FAILURE;
    };
    let size = size.first().map_or(Ok(0), |size| size.parse());
    let Some(size) = size.ok().filter(|size| row.takes(*size)) else {
        eprintln!("{} is of {:?} {}", row.name, row.sizes, row.against);
        return ExitCode::FAILURE;
    };
    let values = point(row, share, size).unwrap_or_default();
    let values: Vec<_> = values.iter().map(f64::to_string).collect();
    println!("{}", values.join(" "));
    // Some peers' threads do not end by themselves.
    std::process::exit(0)
}

/// Runs the measuring task on a worker of tokio's runtime, so that it is one like others: on the
/// work-stealing one, or for a variant called `one thread` on the other.
pub fn run_tokio<F>(work: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut builder = match setup().variant.as_str() {
        "one thread" => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(setup().workers).enable_time();
    let runtime = builder.build().expect("a runtime");
    let value = runtime.block_on(async { tokio::spawn(work).await });
    runtime.shutdown_background();
    value.expect("it ends well")
}
