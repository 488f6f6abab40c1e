use actors_core::{Actor, handlers};

#[derive(Actor)]
struct Log;

#[handlers]
impl Log {
    fn put<T: ToString>(&mut self, line: T) -> usize {
        line.to_string().len()
    }
    fn put_any(&mut self, line: impl ToString) -> usize {
        line.to_string().len()
    }
    fn put_bytes<const N: usize>(&mut self, line: [u8; N]) -> usize {
        line.len()
    }
}

fn main() {}
