use actors_core::{Actor, handlers};

struct Inc;

#[derive(Actor)]
struct Counter {
    n: i64,
}

#[handlers]
impl Counter {
    async fn inc(&mut self, by: i64) -> i64 {
        self.n += by;
        self.n
    }
}

fn main() {
    let _ = Inc;
}
