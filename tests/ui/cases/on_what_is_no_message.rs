use actors_core::{Actor, handlers};

struct Inc(i64);

#[derive(Actor)]
struct Counter;

#[handlers]
impl Counter {
    #[on]
    fn inc(&mut self, Inc(by): Inc) -> i64 {
        by
    }
}

fn main() {}
