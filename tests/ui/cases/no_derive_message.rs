use actors_core::{Actor, Context, Handler};

#[derive(Actor)]
struct Greeter;

struct Greet;

impl Handler<Greet> for Greeter {
    async fn handle(&mut self, _msg: Greet, _ctx: &mut Context<Self>) {}
}

fn main() {}
