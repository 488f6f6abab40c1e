use actors_core::{Actor, Message, handlers};
use std::rc::Rc;

#[derive(Message)]
struct Derived {
    name: Rc<str>,
}

#[derive(Message)]
#[reply(Rc<str>)]
struct Replied;

#[derive(Actor)]
struct Greeter;

#[handlers]
impl Greeter {
    fn greet(&mut self, name: Rc<str>) {
        drop(name);
    }
    fn name(&mut self) -> Rc<str> {
        "me".into()
    }
}

fn main() {}
