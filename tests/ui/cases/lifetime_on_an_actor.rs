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

#[handlers(no_api)]
impl Greeter<'_> {
    fn letters(&mut self) -> usize {
        self.name.len()
    }
}

fn main() {}
