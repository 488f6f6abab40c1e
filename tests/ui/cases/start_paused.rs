#[actors_core::main(start_paused = true)]
async fn on_many_threads() {}

#[actors_core::test(flavor = "multi_thread", start_paused = true)]
async fn on_many_threads_by_name() {}

#[actors_core::test(start_paused)]
async fn bare() {}

#[actors_core::test(start_paused = "yes")]
async fn text() {}

fn main() {}
