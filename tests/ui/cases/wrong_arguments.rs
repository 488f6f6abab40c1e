use actors_core::{Actor, Addr, AskError, handlers};

#[derive(Actor)]
struct Counter {
    n: i64,
}

#[handlers]
impl Counter {
    fn inc(&mut self, by: i64) -> i64 {
        self.n += by;
        self.n
    }
}

async fn use_it(counter: &Addr<Counter>) -> Result<(), AskError> {
    counter.inc("one").await?;
    counter.inc().await?;
    counter.ask(Inc { by: "one" }).await?;
    let _: String = counter.inc(1).await?;
    Ok(())
}

fn main() {}
