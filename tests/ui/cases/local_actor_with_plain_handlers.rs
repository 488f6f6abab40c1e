use actors_core::{LocalActor, handlers};
use std::rc::Rc;

#[derive(LocalActor)]
struct Screen {
    lines: Rc<str>,
}

#[handlers]
impl Screen {
    async fn len(&mut self) -> usize {
        self.lines.len()
    }
}

fn main() {}
