#[actors_core::main]
async fn main(path: String) {
    println!("{path}");
}
