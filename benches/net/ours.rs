//! Our side.
use actors_core::{Actor, Context, Error, Handler};
use actors_net::{Frame, Limits, Link, Listener};
use tokio_util::codec::LinesCodec;

#[derive(Actor)]
struct Echo {
    link: Link<String>,
}

impl Handler<Frame<String>> for Echo {
    async fn handle(&mut self, Frame(line): Frame<String>, _: &mut Context<Self>) {
        let _ = self.link.send(line).await;
    }
}

/// Gives each line back, for ever.
pub(crate) async fn echo() -> Result<(), Error> {
    let limits = Limits::new()
        .connections(20_000)
        .connections_per_peer(20_000)
        .first_frame_timeout(None);
    let listener = Listener::bind("127.0.0.1:0")?
        .limits(limits)
        .serve(LinesCodec::new, |link| Echo { link });
    println!("{}", listener.address());
    listener.spawn().stopped().await;
    Ok(())
}
