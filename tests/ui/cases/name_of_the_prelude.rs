use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Line;

#[handlers]
impl Line {
    fn send(&mut self, text: String) -> usize {
        text.len()
    }
    fn none(&mut self) {}
}

fn is_send<T: Send>(_: T) -> Option<T> {
    None
}

fn main() {
    is_send(Line);
}
