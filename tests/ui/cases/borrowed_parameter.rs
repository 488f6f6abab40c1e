use actors_core::{Actor, handlers};
use std::borrow::Cow;
use std::path::Path;

#[derive(Actor)]
struct Greeter;

#[handlers]
impl Greeter {
    fn text(&mut self, name: &str) -> usize {
        name.len()
    }
    async fn slice(&mut self, names: &[String]) -> usize {
        names.len()
    }
    fn moo(&mut self, name: Cow<'_, str>) -> usize {
        name.len()
    }
    fn file(&mut self, at: &Path) -> bool {
        at.exists()
    }
    fn inside(&mut self, name: Option<&String>) -> bool {
        name.is_some()
    }
    fn with_lifetime<'a>(&mut self, name: &'a str) -> usize {
        name.len()
    }
    fn object(&mut self, call: &dyn Fn()) {
        call();
    }
}

async fn use_it() {
    let greeter = Greeter.spawn();
    let _ = greeter.ask(Text { name: "you" }).await;
    let _ = greeter.moo("you".into()).await;
}

fn main() {}
