use actors_core::{Actor, handlers};

#[derive(Actor)]
struct One;

#[handlers(remote)]
impl One {
    fn get(&self) {}
}

#[derive(Actor)]
struct Two;

#[handlers(api = Names, no_api)]
impl Two {
    fn see(&self) {}
}

#[derive(Actor)]
struct Three;

#[handlers(api = "Text")]
impl Three {
    fn look(&self) {}
}

fn main() {}
