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
    let _ = greeter.try_ask(Nope);
    let _ = greeter.tell(Nope);
    let _ = greeter.send(Nope).await;
    let _ = greeter.blocking_ask(Nope);
    let _ = greeter.blocking_send(Nope);
    let _ = greeter.recipient::<Nope, _>();
}

fn main() {}
