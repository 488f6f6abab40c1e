#[actors_core::main]
fn main() {
    println!("here");
}
