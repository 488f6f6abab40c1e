use actors_core::{LocalActor, Message};

#[derive(LocalActor)]
struct Screen;

#[derive(Message)]
struct Nope;

async fn use_it() {
    let screen = Screen.spawn_local();
    let _ = screen.tell(Nope);
}

fn main() {}
