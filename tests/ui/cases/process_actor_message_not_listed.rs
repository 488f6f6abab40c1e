//! A message that an actor's process does not know.
use actors_core::{Actor, Error, handlers};
use actors_net::{ProcessActor, process_actor, spawn_process};
use serde::{Deserialize, Serialize};

#[derive(Actor)]
struct Counter;

#[handlers]
impl Counter {
    #[message(derive(Serialize, Deserialize))]
    fn inc(&mut self) {}
    #[message(derive(Serialize, Deserialize))]
    fn dec(&mut self) {}
}

impl ProcessActor for Counter {
    type Init = ();
    fn make((): ()) -> Result<Self, Error> {
        Ok(Self)
    }
}
process_actor!(Counter: Inc);

fn main() {
    let counter = spawn_process::<Counter>(&());
    let _ = counter.tell(Dec {});
}
