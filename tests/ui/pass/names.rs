use actors_core::{Actor, Addr, AskError, handlers};

struct Inc;
trait CounterApi {}

#[derive(Actor)]
struct Counter {
    n: i64,
}

#[handlers(api = Counting)]
impl Counter {
    #[message(IncBy, derive(Clone, Debug, PartialEq))]
    fn inc(&mut self, by: i64) -> i64 {
        self.n += by;
        self.n
    }
}

#[handlers(no_api)]
impl Counter {
    #[message(derive(Clone, Copy))]
    fn dec(&mut self) {
        self.n -= 1;
    }
    #[skip]
    fn new(n: i64) -> Self {
        Self { n }
    }
    #[skip]
    fn borrowed(&self, of: &str) -> usize {
        of.len()
    }
}

impl CounterApi for Inc {}

async fn use_it(counter: &Addr<Counter>) -> Result<(), AskError> {
    let by = IncBy { by: 1 };
    assert_eq!(by.clone(), by);
    counter.ask(by).await?;
    let counting: &dyn Counting = counter;
    counting.inc(1).await?;
    let dec = Dec;
    counter.ask(dec).await?;
    counter.ask(dec).await
}

fn main() {
    let _ = (use_it, Inc);
    assert_eq!(Counter::new(1).borrowed("1"), 1);
}
