use actors_core::{LocalActor, SpawnOptions};
use std::rc::Rc;

#[derive(LocalActor)]
struct Screen {
    lines: Rc<str>,
}

fn use_it(first: Screen, second: Screen) {
    first.spawn();
    let _ = SpawnOptions::new().spawn(second);
}

fn main() {}
