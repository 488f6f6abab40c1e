use actors_core::{Actor, Context, handlers};

#[derive(Actor)]
struct Counter;

#[derive(Actor)]
struct Other;

#[handlers]
impl Counter {
    fn stop(&mut self, ctx: &mut Context<Other>) {
        ctx.stop();
    }
}

fn main() {}
