//! The same by hand: a tokio task for each connection of a server, with `Framed`; and a client of two
//! tasks, one that writes and one that reads.
use actors_core::Error;
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
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

type Request = (String, oneshot::Sender<String>);

/// Asks a server that answers in order.
#[derive(Clone)]
pub(crate) struct Client(mpsc::Sender<Request>);

impl Client {
    pub(crate) async fn connect(server: SocketAddr) -> Result<Self, Error> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let (mut sink, mut answers) = Framed::new(stream, LinesCodec::new()).split();
        let (tx, mut requests) = mpsc::channel::<Request>(2048);
        let (waiting_tx, mut waiting) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // All requests that are there are written by one call.
            let mut batch = Vec::new();
            while requests.recv_many(&mut batch, 1024).await > 0 {
                for (line, reply) in batch.drain(..) {
                    let _ = waiting_tx.send(reply);
                    if SinkExt::<String>::feed(&mut sink, line).await.is_err() {
                        return;
                    }
                }
                if SinkExt::<String>::flush(&mut sink).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            while let Some(Ok(answer)) = answers.next().await {
                let reply: Option<oneshot::Sender<_>> = waiting.recv().await;
                let _ = reply.map(|reply| reply.send(answer));
            }
        });
        Ok(Self(tx))
    }

    pub(crate) async fn ask(&self, line: String) -> Option<String> {
        let (reply, answer) = oneshot::channel();
        self.0.send((line, reply)).await.ok()?;
        answer.await.ok()
    }
}
