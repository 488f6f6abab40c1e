use actors_core::{Actor, Context, Handler, Message};
use std::rc::Rc;

#[derive(Actor)]
struct Greeter;

#[derive(Message)]
#[reply(usize)]
struct Greet;

impl Handler<Greet> for Greeter {
    async fn handle(&mut self, _msg: Greet, _ctx: &mut Context<Self>) -> usize {
        let name = Rc::new(String::from("you"));
        std::future::ready(()).await;
        name.len()
    }
}

fn main() {}
