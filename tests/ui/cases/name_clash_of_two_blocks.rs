use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Counter {
    n: i64,
}

#[handlers]
impl Counter {
    fn inc(&mut self) {
        self.n += 1;
    }
}

#[handlers]
impl Counter {
    fn dec(&mut self) {
        self.n -= 1;
    }
}

fn main() {}
