use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Greeter<'a> {
    name: &'a str,
}

#[handlers]
impl<'a> Greeter<'a> {
    fn name(&mut self) -> String {
        self.name.into()
    }
}

fn main() {}
