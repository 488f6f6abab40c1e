use actors_core::{LocalActor, handlers};
use std::rc::Rc;

#[derive(LocalActor)]
struct Screen {
    lines: Rc<str>,
}

#[handlers(local)]
impl Screen {
    fn show(&mut self, lines: Rc<str>) {
        self.lines = lines;
    }
}

fn main() {}
