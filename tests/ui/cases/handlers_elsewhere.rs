use actors_core::{Actor, handlers};

#[handlers]
#[derive(Actor)]
struct Counter;

#[handlers]
impl Clone for Counter {
    fn clone(&self) -> Self {
        Self
    }
}

#[handlers]
fn free() {}

trait Named {}

#[handlers]
impl dyn Named {
    fn get(&self) {}
}

fn main() {}
