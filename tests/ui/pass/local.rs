use actors_core::{Ask, Context, LocalActor, LocalHandler, Message, handlers};
use std::cell::RefCell;
use std::rc::Rc;

#[derive(LocalActor, Default)]
struct Screen<T> {
    lines: Rc<RefCell<Vec<T>>>,
}

#[handlers(local)]
impl<T: ToString> Screen<T> {
    async fn show(&mut self, line: T) -> usize {
        let lines = Rc::clone(&self.lines);
        std::future::ready(()).await;
        lines.borrow_mut().push(line);
        lines.borrow().len()
    }
    #[on]
    fn clear(&mut self, _: Clear, _ctx: &mut Context<Self>) {
        self.lines.borrow_mut().clear();
    }
}

#[derive(Message)]
struct Clear;

#[derive(Message)]
#[reply(String)]
struct Text;

impl LocalHandler<Text> for Screen<u8> {
    async fn handle(&mut self, _msg: Text, _ctx: &mut Context<Self>) -> String {
        let lines = Rc::clone(&self.lines);
        std::future::ready(()).await;
        lines.borrow().iter().map(u8::to_string).collect()
    }
}

struct Mock;

impl ScreenApi<u8> for Mock {
    fn show(&self, _line: u8) -> Ask<'_, usize> {
        Ask::ready(Ok(1))
    }
}

#[actors_core::main(flavor = "current_thread")]
async fn main() -> Result<(), actors_core::Error> {
    let screen = Screen::default().spawn_local();
    screen.tell(Clear)?;
    assert_eq!(screen.show(1).await?, 1);
    assert_eq!(screen.ask(Text).await?, "1");
    let _: &dyn ScreenApi<u8> = &Mock;
    Ok(())
}
