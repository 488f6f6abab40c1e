use actors_core::{Actor, Message, handlers};

#[derive(Actor)]
struct Greeter;

#[handlers]
impl Greeter {
    fn greet(&mut self) {}
}

#[derive(Message)]
struct Nope;

async fn use_it() {
    let greeter = Greeter.spawn();
    let _ = greeter.ask(Nope).await;
}

fn main() {}
