use actors_core::{Actor, Message, handlers};

#[derive(Message)]
#[reply(i64)]
struct Inc(i64);

#[derive(Message)]
#[reply(i64)]
struct Dec(i64);

#[derive(Message)]
#[reply(i64)]
struct Get;

#[derive(Actor)]
struct Counter;

#[handlers]
impl Counter {
    #[on]
    fn inc(&mut self, Inc(by): Inc) -> String {
        by.to_string()
    }
    #[on]
    async fn dec(&mut self, Dec(by): Dec) -> String {
        by.to_string()
    }
    #[on]
    fn get(&mut self, _: Get) {}
}

fn main() {}
