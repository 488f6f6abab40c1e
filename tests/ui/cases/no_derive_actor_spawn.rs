use actors_core::Actor;

struct Counter;

fn use_it() {
    let _counter = Counter.spawn();
}

fn main() {}
