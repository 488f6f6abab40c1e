use actors_core::{Actor, Context, Message, handlers};

#[derive(Message)]
#[reply(i64)]
struct Dec(i64);

#[derive(Message)]
#[reply(i64)]
struct Move {
    by: i64,
    times: i64,
}

#[derive(Message)]
struct Tick;

#[derive(Message)]
enum Switch {
    On,
    Off,
}

#[derive(Actor, Default)]
struct Counter {
    n: i64,
}

#[handlers]
impl Counter {
    #[on]
    fn dec(&mut self, Dec(by): Dec) -> i64 {
        self.n -= by;
        self.n
    }
    #[on]
    async fn shift(&mut self, Move { by, mut times }: Move) -> i64 {
        while times > 0 {
            self.n += by;
            times -= 1;
        }
        self.n
    }
    #[on]
    fn tick(&self, _: Tick) {}
    #[on]
    fn switch(&mut self, ctx: &mut Context<Self>, to: Switch) {
        if let Switch::Off = to {
            ctx.stop();
        }
    }
}

#[actors_core::main(flavor = "current_thread")]
async fn main() -> Result<(), actors_core::Error> {
    let counter = Counter::default().spawn();
    assert_eq!(counter.ask(Dec(1)).await?, -1);
    assert_eq!(counter.ask(Move { by: 2, times: 3 }).await?, 5);
    counter.ask(Tick).await?;
    counter.tell(Switch::On)?;
    counter.tell(Switch::Off)?;
    counter.stopped().await;
    Ok(())
}
