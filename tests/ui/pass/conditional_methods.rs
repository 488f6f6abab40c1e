#![deny(warnings)]

use actors_core::{Actor, Addr, AskError, handlers};

#[derive(Actor)]
pub struct Counter {
    n: i64,
}

#[handlers]
impl Counter {
    pub fn get(&self) -> i64 {
        self.n
    }
    #[cfg(any())]
    pub fn gone(&self, of: Missing) -> Missing {
        of
    }
    #[cfg(all())]
    pub fn there(&self) {}
    #[deprecated(note = "use `get`")]
    pub fn old(&self) -> i64 {
        self.n
    }
}

#[cfg(any())]
#[handlers(api = Gone)]
impl Counter {
    fn never(&self) {}
}

struct Mock;

impl CounterApi for Mock {
    fn get(&self) -> actors_core::Ask<'_, i64> {
        actors_core::Ask::ready(Ok(1))
    }
    fn there(&self) -> actors_core::Ask<'_, ()> {
        actors_core::Ask::ready(Ok(()))
    }
    fn old(&self) -> actors_core::Ask<'_, i64> {
        actors_core::Ask::ready(Ok(1))
    }
}

pub async fn use_it(counter: Addr<Counter>) -> Result<(), AskError> {
    counter.get().await?;
    counter.there().await?;
    let _: &dyn CounterApi = &Mock;
    Ok(())
}

fn main() {
    let _ = use_it;
    let _ = Counter { n: 1 };
}
