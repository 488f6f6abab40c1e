//! What several modules use: an actor that does as its peer says, and peers that say something.
use crate::places::{End, Place};
use actors_core::{Actor, Addr, Context, Handler, Message, StopReason};
use actors_net::{
    Binding, CountConnections, Frame, FrameEncoder, Limits, Link, Listener, NetError,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::codec::{Decoder, LinesCodec};

/// Fails the test instead of hanging. Under paused time that is at once when nothing can go on.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(600);
    match tokio::time::timeout(limit, future).await {
        Ok(output) => output,
        Err(_) => panic!("this hangs"),
    }
}

/// Who connects, and speaks in lines.
pub(crate) struct Peer(BufReader<Box<dyn End>>);

impl Peer {
    pub(crate) async fn at(place: &Place) -> Self {
        Self(BufReader::new(place.connect().await))
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.write(text.as_bytes()).await.expect("it is taken");
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let stream = self.0.get_mut();
        stream.write_all(bytes).await?;
        stream.flush().await
    }

    /// Says that there is no more.
    pub(crate) async fn finish(&mut self) {
        self.0.get_mut().shutdown().await.expect("it is open");
    }

    /// The same, to somebody who may be gone.
    pub(crate) async fn finish_if_possible(&mut self) {
        let _ = self.0.get_mut().shutdown().await;
    }

    /// Goes in the rudest way that there is.
    pub(crate) fn cut(self) {
        self.0.into_inner().cut();
    }

    /// The next line. Empty: there is none.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        soon(self.0.read_line(&mut line)).await.expect("it is text");
        line.trim_end().to_owned()
    }

    /// So many bytes.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let read = soon(self.0.read_exact(&mut bytes)).await;
        read.expect("there are so many");
        bytes
    }

    /// All until the end.
    pub(crate) async fn rest(&mut self) -> std::io::Result<String> {
        let mut text = String::new();
        soon(self.0.read_to_string(&mut text)).await?;
        Ok(text)
    }
}

type Inbox<T> = Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<T>>>;

/// A listener, and what its connections' actors tell the test.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) listener: Addr<Listener>,
    ends: Inbox<StopReason>,
    links: Inbox<(Link<String>, Addr<Desk>)>,
    pub(crate) gate: Gate,
}

impl Server {
    /// Why the next connection's actor that ended did so.
    pub(crate) async fn end(&self) -> StopReason {
        let mut ends = self.ends.lock().await;
        soon(ends.recv()).await.expect("the server tells")
    }

    /// The same, of one whose connection failed.
    pub(crate) async fn error(&self) -> NetError {
        match self.end().await {
            StopReason::Failed(error) => (*error).downcast_ref().cloned().expect("of the net"),
            other => panic!("it {other}"),
        }
    }

    /// Whether no connection has opened that was not asked for.
    pub(crate) async fn is_quiet(&self) -> bool {
        // Behind all that has come so far.
        let _ = self.listener.ask(CountConnections).await;
        self.links.lock().await.try_recv().is_err()
    }

    /// The link and the actor of the next connection.
    pub(crate) async fn opened(&self) -> (Link<String>, Addr<Desk>) {
        let mut links = self.links.lock().await;
        soon(links.recv()).await.expect("the server tells")
    }
}

/// Listens, and has a [`Desk`] for each connection, which speaks in lines.
pub(crate) fn serve(binding: Binding, limits: Limits) -> Server {
    serve_by(binding, limits, LinesCodec::new)
}

/// The same, in another language.
pub(crate) fn serve_by<C>(
    binding: Binding,
    limits: Limits,
    codec: impl FnMut() -> C + Send + 'static,
) -> Server
where
    C: Decoder<Item = String> + FrameEncoder<String> + Send + 'static,
    C::Error: Into<actors_core::Error>,
{
    let (ends_tx, ends) = mpsc::unbounded_channel();
    let (links_tx, links) = mpsc::unbounded_channel();
    let gate = Gate(Arc::new(Semaphore::new(0)));
    let desk_gate = gate.clone();
    let listener = binding.limits(limits).serve(codec, move |link| Desk {
        link,
        ends: ends_tx.clone(),
        links: links_tx.clone(),
        gate: desk_gate.clone(),
    });
    Server {
        listener: listener.spawn(),
        ends: Arc::new(tokio::sync::Mutex::new(ends)),
        links: Arc::new(tokio::sync::Mutex::new(links)),
        gate,
    }
}

/// Where a handler waits until the test lets it go on.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.close();
    }

    async fn pass(&self) {
        let _ = self.0.acquire().await;
    }
}

/// Answers each line with the same, but for some words.
pub(crate) struct Desk {
    link: Link<String>,
    ends: mpsc::UnboundedSender<StopReason>,
    links: mpsc::UnboundedSender<(Link<String>, Addr<Self>)>,
    gate: Gate,
}

impl Actor for Desk {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), actors_core::Error> {
        let _ = self.links.send((self.link.clone(), ctx.addr()));
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, reason: &StopReason) {
        let _ = self.link.send("bye".into()).await;
        let _ = self.ends.send(reason.clone());
    }
}

impl Handler<Frame<String>> for Desk {
    async fn handle(&mut self, Frame(line): Frame<String>, ctx: &mut Context<Self>) {
        match line.as_str() {
            "stop" => ctx.stop(),
            "fail" => ctx.fail("as it was told"),
            "panic" => panic!("as it was told"),
            "close" => self.link.close(),
            "wait" => self.gate.pass().await,
            "note" => {}
            _ => {
                let _ = self.link.send(line).await;
            }
        }
    }
}

/// Makes the actor say something.
#[derive(Message)]
pub(crate) struct Say(pub(crate) String);

impl Handler<Say> for Desk {
    async fn handle(&mut self, Say(line): Say, _: &mut Context<Self>) {
        let _ = self.link.send(line).await;
    }
}
