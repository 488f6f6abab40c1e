use actors_core::{Actor, Context, Error, Message};
use std::time::Duration;

#[derive(Message)]
struct Tick;

struct Clock;

impl Actor for Clock {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        ctx.notify_every(Duration::from_secs(1), || Tick);
        ctx.pipe(async { 1 }, |_| Tick);
        let other = Clock.spawn();
        ctx.watch(&other);
        Ok(())
    }
}

fn main() {}
