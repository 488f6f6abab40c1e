use actors_core::{Actor, Addr, AskError, Context, Handler, Message, handlers};
use std::marker::PhantomData;

#[derive(Message)]
#[reply(Option<T>)]
struct Swap<T> {
    with: T,
}

#[derive(Message)]
#[reply([u8; N])]
struct Fill<const N: usize>;

#[derive(Message)]
enum Either<L: Clone, R>
where
    R: Copy,
{
    Left(L),
    Right(R),
}

#[derive(Actor)]
struct Slot<T> {
    held: Option<T>,
    seen: PhantomData<fn(T)>,
}

#[handlers]
impl<T> Slot<T> {
    #[on]
    fn swap(&mut self, Swap { with }: Swap<T>) -> Option<T> {
        self.held.replace(with)
    }
    #[on]
    fn fill(&mut self, _: Fill<4>) -> [u8; 4] {
        [4; 4]
    }
}

impl<T: Send + 'static, U: Clone + Send + 'static> Handler<Either<U, u8>> for Slot<T> {
    async fn handle(&mut self, msg: Either<U, u8>, _ctx: &mut Context<Self>) {
        let (Either::Left(_) | Either::Right(_)) = msg;
    }
}

async fn use_it(slot: Addr<Slot<String>>) -> Result<(), AskError> {
    let _: Option<String> = slot.ask(Swap { with: "a".into() }).await?;
    let _: [u8; 4] = slot.ask(Fill::<4>).await?;
    slot.ask(Either::<&str, u8>::Left("l")).await?;
    slot.ask(Either::<u16, u8>::Right(1)).await
}

fn main() {
    let _ = use_it;
}
