use actors_core::{Actor, Message, handlers};

#[derive(Actor)]
struct Greeter;

#[handlers]
impl Greeter {
    fn greet(&mut self) {}
    fn part(&mut self, name: String) -> String {
        name
    }
}

#[derive(Message)]
#[reply(u8)]
struct Nope;

async fn use_it() {
    let greeter = Greeter.spawn();
    let _ = greeter.ask(Nope).await;
}

fn main() {}
