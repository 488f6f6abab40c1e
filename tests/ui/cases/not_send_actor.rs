use actors_core::Actor;
use std::rc::Rc;

#[derive(Actor)]
struct Greeter {
    name: Rc<str>,
}

fn main() {}
