//! What a task cannot be: each is one error, at its own place.
use actors_net::task;

#[task]
async fn waits(n: u32) -> u32 {
    n
}

#[task]
fn borrows(text: &str) -> usize {
    text.len()
}

#[task]
fn any<T: Copy>(n: T) -> T {
    n
}

#[task]
unsafe fn dares() {}

#[task(retries = 3)]
fn again() {}


#[task]
struct NoFunction;

fn main() {}
