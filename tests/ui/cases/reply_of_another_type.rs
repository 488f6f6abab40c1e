use actors_core::{Actor, Context, Handler, Message};

#[derive(Actor)]
struct Counter;

#[derive(Message)]
struct Inc;

impl Handler<Inc> for Counter {
    async fn handle(&mut self, _msg: Inc, _ctx: &mut Context<Self>) -> i64 {
        1
    }
}

fn main() {}
