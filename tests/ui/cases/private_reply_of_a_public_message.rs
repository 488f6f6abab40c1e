mod bank {
    use actors_core::{Actor, handlers};

    #[derive(Debug)]
    struct Receipt;

    #[derive(Actor)]
    pub struct Bank;

    #[handlers]
    impl Bank {
        pub fn pay(&mut self) -> Receipt {
            Receipt
        }
    }
}

fn main() {
    let _ = bank::Bank;
}
