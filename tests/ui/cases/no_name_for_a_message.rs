use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Counter;

#[handlers]
impl Counter {
    fn _1(&mut self) {}
    #[message]
    fn bare(&mut self) {}
    #[message(Two, Names)]
    fn named(&mut self) {}
    #[message(rename = Other)]
    fn renamed(&mut self) {}
    #[message(derive(Nope))]
    fn derived(&mut self) {}
}

fn main() {}
