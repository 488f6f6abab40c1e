use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Counter {
    n: i64,
}

#[handlers(local)]
impl Counter {
    async fn get(&mut self) -> i64 {
        self.n
    }
}

fn main() {}
