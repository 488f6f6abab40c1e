#[actors_core::main(flavour = "multi_thread")]
async fn unknown() {}

#[actors_core::main(flavor = "threads")]
async fn no_such_flavor() {}

#[actors_core::main(worker_threads = 0)]
async fn no_workers() {}

#[actors_core::main(flavor = "current_thread", worker_threads = 2)]
async fn workers_of_one_thread() {}

#[actors_core::main(worker_threads = "2")]
async fn workers_as_text() {}

#[actors_core::main]
struct NoFunction;

fn main() {}
