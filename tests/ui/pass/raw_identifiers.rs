use actors_core::{Actor, Addr, AskError, handlers};

#[derive(Actor)]
struct r#Loop;

#[handlers]
impl r#Loop {
    fn r#match(&mut self, r#type: String) -> usize {
        r#type.len()
    }
    async fn r#move(&mut self, r#in: u8, mut r#fn: u8) -> u8 {
        r#fn += 1;
        r#in + r#fn
    }
}

async fn use_it(it: Addr<r#Loop>) -> Result<(), AskError> {
    it.r#match("x".into()).await?;
    it.ask(Match { r#type: "x".into() }).await?;
    it.ask(Move { r#in: 1, r#fn: 2 }).await?;
    let _: &dyn LoopApi = &it;
    Ok(())
}

fn main() {
    let _ = use_it;
}
