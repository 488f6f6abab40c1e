use actors_core::{Actor, Addr, Ask, AskError, handlers};
use std::sync::Arc;

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
    fn name(&self) -> String {
        "counter".into()
    }
}

struct Mock(Vec<i64>);

impl CounterApi for Mock {
    fn inc(&self, by: i64) -> Ask<'_, i64> {
        Ask::ready(Ok(self.0.iter().sum::<i64>() + by))
    }
    fn name(&self) -> Ask<'_, String> {
        Ask::from_future(async { Err(AskError::Closed) })
    }
}

struct Till {
    counter: Arc<dyn CounterApi>,
}

impl Till {
    async fn sell(&self) -> Result<i64, AskError> {
        self.counter.inc(1).await
    }
}

fn of_actor(counter: Addr<Counter>) -> Till {
    Till { counter: Arc::new(counter) }
}

#[actors_core::main]
async fn main() -> Result<(), actors_core::Error> {
    let _ = of_actor;
    let till = Till { counter: Arc::new(Mock(vec![1, 2])) };
    assert_eq!(till.sell().await?, 4);
    assert!(till.counter.name().await.is_err());
    Ok(())
}
