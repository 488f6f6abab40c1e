use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Counter {
    n: i64,
}

#[handlers]
impl Counter {
    fn new(n: i64) -> Self {
        Self { n }
    }
    fn get(&self) -> i64 {
        self.n
    }
}

async fn use_it() {
    let counter = Counter::new(1).spawn();
    let _ = counter.get().await;
}

fn main() {}
