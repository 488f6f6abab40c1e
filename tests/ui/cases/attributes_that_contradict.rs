use actors_core::{Actor, Message, handlers};

#[derive(Message)]
struct Tick;

#[derive(Actor)]
struct Counter;

#[handlers]
impl Counter {
    #[skip]
    #[on]
    fn skipped(&mut self) {}
    #[skip]
    #[skip]
    fn twice(&mut self) {}
    #[on(Message)]
    fn with_arguments(&mut self, _: Tick) {}
}

fn main() {}
