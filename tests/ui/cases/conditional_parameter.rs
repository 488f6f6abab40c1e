use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Line;

#[handlers]
impl Line {
    fn put(&mut self, text: String, #[cfg(unix)] mode: u32) -> usize {
        text.len() + mode as usize
    }
}

fn main() {}
