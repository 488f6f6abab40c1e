use actors_core::{Actor, Message, handlers};

#[derive(Message)]
#[reply(Strin)]
struct Unknown;

#[derive(Actor)]
struct Greeter;

#[handlers]
impl Greeter {
    fn name(&mut self) -> Strin {
        "me".into()
    }
}

fn main() {}
