//! What a pool of threads cannot run.
use actors_core::{Pool, ThreadPool};

fn main() {
    let pool = ThreadPool::new(1).unwrap();
    let _ = pool.apply(6 * 7);
}
