//! An argument that cannot travel.
use actors_net::task;

struct Point {
    x: i32,
}

#[task]
fn left(point: Point) -> i32 {
    point.x
}

fn main() {}
