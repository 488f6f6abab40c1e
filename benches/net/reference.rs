//! The same by hand: a tokio task for each connection, with `Framed`.
use actors_core::Error;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_util::codec::{Framed, LinesCodec};

/// Gives each line back, for ever.
pub(crate) async fn echo() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut frames = Framed::new(stream, LinesCodec::new()).ready_chunks(1024);
            // All lines that are there are answered by one write.
            while let Some(lines) = frames.next().await {
                for line in lines {
                    let Ok(line) = line else { return };
                    if SinkExt::<String>::feed(frames.get_mut(), line)
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
                if SinkExt::<String>::flush(frames.get_mut()).await.is_err() {
                    return;
                }
            }
        });
    }
}
