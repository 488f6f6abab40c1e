//! The same list of jobs on threads and on processes, with a progress bar; and what a crash costs.
//!
//! `cargo run --release --example pools [HOW_MANY]`
use actors_core::ThreadPool;
use actors_net::{Error, JobError, Pool, ProcessPool, Shutdown, task};
use futures_util::StreamExt;
use indicatif::ProgressBar;
use std::time::Instant;

/// How many steps it takes until the number is 1: work for the processor and nothing else.
#[task]
fn steps(from: u64, to: u64) -> u64 {
    let steps_of = |mut n: u64| {
        let mut steps = 0;
        while n > 1 {
            n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
            steps += 1;
        }
        steps
    };
    (from..to).map(steps_of).max().unwrap_or(0)
}

#[task]
fn crash() {
    std::process::abort()
}

/// Runs the jobs on any pool that can.
async fn longest(name: &str, pool: &impl Pool<steps>, jobs: u64) -> Result<u64, JobError> {
    let began = Instant::now();
    let bar = ProgressBar::new(jobs);
    let calls = (0..jobs).map(|n| steps::job(n * 10_000, (n + 1) * 10_000));
    let mut results = pool.map_unordered(calls);
    let mut longest = 0;
    while let Some(steps) = results.next().await {
        longest = longest.max(steps?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!(
        "{name}: the longest way has {longest} steps, found in {:?}",
        began.elapsed()
    );
    Ok(longest)
}

fn main() -> Result<(), Error> {
    actors_net::init(); // the workers are this program started again
    run()
}

#[actors_core::main]
async fn run() -> Result<(), Error> {
    let jobs = std::env::args()
        .nth(1)
        .map_or(Ok(200), |jobs| jobs.parse())?;
    let threads = ThreadPool::options().build()?;
    let processes = ProcessPool::options().build()?;
    let on_threads = longest("threads", &threads, jobs).await?;
    let on_processes = longest("processes", &processes, jobs).await?;
    assert_eq!(on_threads, on_processes);

    // A crash would end this program on a thread. In a process it costs its own job.
    let crashed = processes.submit(crash::job()).await?.await;
    if let Err(JobError::WorkerDied(died)) = &crashed {
        println!("a job crashed ({died}), and the pool goes on:");
    }
    let after = processes.submit(steps::job(0, 100)).await?.await?;
    println!("below 100 the longest way has {after} steps");
    processes.shutdown(Shutdown::Finish).await;
    Ok(())
}
