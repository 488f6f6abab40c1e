use actors_core::{Actor, Message, handlers};

#[derive(Message)]
struct Tick;

#[derive(Actor)]
struct Clock;

#[handlers]
impl Clock {
    #[on]
    fn tick(&mut self, _: Tick) {}
    #[on]
    fn tock(&mut self, _: Tick) {}
}

fn main() {}
