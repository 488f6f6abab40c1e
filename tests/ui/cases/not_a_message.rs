use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Greeter;

#[handlers]
impl Greeter {
    fn greet(&mut self) {}
}

struct Plain;

async fn use_it() {
    let greeter = Greeter.spawn();
    let _ = greeter.ask("hello").await;
    let _ = greeter.tell(Plain);
}

fn main() {}
