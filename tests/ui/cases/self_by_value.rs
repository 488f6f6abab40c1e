use actors_core::{Actor, handlers};
use std::pin::Pin;

#[derive(Actor)]
struct Counter {
    n: i64,
}

#[handlers]
impl Counter {
    fn into_inner(self) -> i64 {
        self.n
    }
    fn boxed(self: Box<Self>) -> i64 {
        self.n
    }
    fn pinned(self: Pin<&mut Self>) -> i64 {
        self.n
    }
}

fn main() {}
