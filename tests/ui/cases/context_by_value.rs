use actors_core::{Actor, Context, handlers};

#[derive(Actor)]
struct Counter;

#[handlers]
impl Counter {
    fn owned(&mut self, ctx: Context<Self>) {
        ctx.stop();
    }
}

fn main() {}
