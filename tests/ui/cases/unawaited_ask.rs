#![deny(unused_must_use)]

use actors_core::{Actor, Addr, AskError, handlers};

#[derive(Actor)]
struct Counter {
    n: i64,
}

#[handlers]
impl Counter {
    fn inc(&mut self, by: i64) -> i64 {
        self.n += by;
        self.n
    }
}

fn use_it(counter: &Addr<Counter>) -> Result<(), AskError> {
    counter.ask(Inc { by: 1 });
    counter.inc(1);
    counter.inc(1).post()?;
    counter.send(Inc { by: 1 });
    counter.tell(Inc { by: 1 });
    Ok(())
}

fn main() {}
