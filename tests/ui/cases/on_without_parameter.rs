use actors_core::{Actor, Context, Message, handlers};

#[derive(Message)]
struct Inc(i64);

#[derive(Actor)]
struct Counter;

#[handlers]
impl Counter {
    #[on]
    fn nothing(&mut self) {}
    #[on]
    fn context_only(&mut self, _ctx: &mut Context<Self>) {}
    #[on]
    fn two(&mut self, msg: Inc, by: i64) {
        let _ = (msg, by);
    }
    #[on]
    #[message(Named)]
    fn named(&mut self, _msg: Inc) {}
}

fn main() {}
