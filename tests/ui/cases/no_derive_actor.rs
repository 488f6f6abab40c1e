use actors_core::handlers;

struct Counter {
    n: i64,
}

#[handlers]
impl Counter {
    async fn inc(&mut self, by: i64) -> i64 {
        self.n += by;
        self.n
    }
    fn get(&self) -> i64 {
        self.n
    }
}

fn main() {}
