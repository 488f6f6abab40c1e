use actors_core::SpawnOptions;

struct Counter;

fn use_it() {
    let _ = SpawnOptions::new().spawn(Counter);
}

fn main() {}
