#[actors_core::test]
fn sync() {}

#[actors_core::test]
#[test]
async fn twice() {}

fn main() {}
