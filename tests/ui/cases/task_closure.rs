//! A closure cannot be sent to another process; a task can.
use actors_net::{Pool, ProcessPool};

fn main() {
    let pool = ProcessPool::new(1).unwrap();
    let _ = pool.apply(|| 6 * 7);
}
