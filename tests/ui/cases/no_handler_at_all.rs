use actors_core::{Actor, Message};

#[derive(Actor)]
struct Greeter;

#[derive(Message)]
struct Nope;

async fn use_it() {
    let greeter = Greeter.spawn();
    let _ = greeter.ask(Nope).await;
}

fn main() {}
