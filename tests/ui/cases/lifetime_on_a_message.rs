use actors_core::{Actor, Context, Handler, Message};

#[derive(Message)]
#[reply(usize)]
struct Greet<'a> {
    name: &'a str,
}

#[derive(Actor)]
struct Greeter;

impl Handler<Greet<'static>> for Greeter {
    async fn handle(&mut self, msg: Greet<'static>, _ctx: &mut Context<Self>) -> usize {
        msg.name.len()
    }
}

fn main() {}
