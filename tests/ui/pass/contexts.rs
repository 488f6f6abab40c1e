use actors_core::{Actor, Context, handlers};

#[derive(Actor)]
struct Counter;

#[handlers]
impl Counter {
    fn nothing(&mut self) {}
    fn only(&mut self, ctx: &mut Context<Self>) -> String {
        ctx.name().into()
    }
    fn first(&mut self, _ctx: &mut Context<Self>, by: i64) -> i64 {
        by
    }
    async fn last(&self, by: i64, ctx: &Context<Self>) -> bool {
        by > 0 && ctx.is_cancelled()
    }
    async fn by_path(&mut self, _: &mut actors_core::Context<Counter>, by: i64) -> i64 {
        by
    }
    fn between(&mut self, a: u8, ctx: &mut Context<Self>, b: u8) -> u8 {
        ctx.stop();
        a + b
    }
}

#[actors_core::main]
async fn main() -> Result<(), actors_core::Error> {
    let counter = Counter.spawn();
    counter.nothing().await?;
    assert_eq!(counter.only().await?, counter.name());
    assert_eq!(counter.ask(First { by: 1 }).await?, 1);
    assert!(!counter.last(1).await?);
    assert_eq!(counter.by_path(2).await?, 2);
    assert_eq!(counter.ask(Between { a: 1, b: 2 }).await?, 3);
    Ok(())
}
