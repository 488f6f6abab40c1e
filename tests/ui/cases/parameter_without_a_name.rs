use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Counter;

#[handlers]
impl Counter {
    fn ignored(&mut self, _: i64) {}
    fn pair(&mut self, (a, b): (i64, i64)) -> i64 {
        a + b
    }
}

fn main() {}
