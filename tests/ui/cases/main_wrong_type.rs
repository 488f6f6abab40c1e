#[actors_core::main]
async fn main() -> Result<(), actors_core::Error> {
    42
}
