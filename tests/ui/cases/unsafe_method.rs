use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Counter;

#[handlers]
impl Counter {
    unsafe fn poke(&mut self, at: usize) -> usize {
        at
    }
}

fn main() {}
