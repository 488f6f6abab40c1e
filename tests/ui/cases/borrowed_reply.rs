use actors_core::{Actor, Message, handlers};

#[derive(Actor)]
struct Greeter {
    name: String,
}

#[handlers]
impl Greeter {
    fn name(&self) -> &str {
        &self.name
    }
    async fn names(&mut self) -> Vec<&str> {
        vec![&self.name]
    }
    fn letters(&self) -> impl Iterator<Item = char> {
        self.name.chars()
    }
}

#[derive(Message)]
#[reply(&str)]
struct Borrowed;

async fn use_it(greeter: Greeter) {
    let _ = greeter.spawn().ask(Name).await;
}

fn main() {}
