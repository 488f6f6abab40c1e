use actors_core::{Actor, handlers};
use std::cell::Cell;

#[derive(Actor)]
struct Counter {
    n: Cell<i64>,
}

#[handlers]
impl Counter {
    async fn get(&self) -> i64 {
        self.n.get()
    }
}

fn main() {}
