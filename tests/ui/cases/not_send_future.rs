use actors_core::{Actor, handlers};
use std::rc::Rc;

#[derive(Actor)]
struct Greeter;

#[handlers]
impl Greeter {
    async fn greet(&mut self) -> usize {
        let name = Rc::new(String::from("you"));
        std::future::ready(()).await;
        name.len()
    }
}

fn main() {}
