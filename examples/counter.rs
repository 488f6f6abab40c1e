//! The README's program: an actor, asked and told.
use actors_core::{Actor, handlers};

#[derive(Actor, Default)]
struct Counter {
    n: i64,
}

#[handlers]
impl Counter {
    /// Adds `by` and returns the new value.
    async fn inc(&mut self, by: i64) -> i64 {
        self.n += by;
        self.n
    }
}

#[actors_core::main]
async fn main() -> Result<(), actors_core::Error> {
    let counter = Counter::default().spawn();
    let n = counter.ask(Inc { by: 42 }).await?;
    println!("asked: {n}");
    let n = counter.inc(1).await?;
    println!("by its typed method: {n}");
    counter.tell(Inc { by: 1 })?;
    counter.send(Inc { by: 1 }).await?;
    let reply = counter.ask(Inc { by: 1 }).post()?;
    println!("posted, awaited later: {}", reply.await?);
    counter.stop();
    println!("it {}", counter.stopped().await);
    Ok(())
}
