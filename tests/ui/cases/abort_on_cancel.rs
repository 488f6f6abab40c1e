use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Counter;

#[handlers]
impl Counter {
    #[abort_on_cancel]
    fn step(&mut self) {}
    #[abort_on_cancel(now)]
    async fn with_arguments(&mut self) {}
}

fn main() {}
