//! What a process writes, on its way to an actor.
use actors_core::{Error, Message, Recipient};
use futures_core::Stream;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::codec::{Decoder, FramedRead};

/// A part of what a process writes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output<T> {
    /// A line, or a frame.
    Item(T),
    /// It has closed this output, mostly by ending.
    End,
    /// What it writes cannot be read, and is not read any more.
    Failed(Error),
}

/// Reads one output of a process and sends it on.
pub(super) struct Reader {
    read: Box<dyn FnOnce(Pipe) -> Reading + Send + Sync>,
}

type Pipe = Pin<Box<dyn AsyncRead + Send>>;
type Reading = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Reader {
    pub(super) fn new<D, M>(
        decoder: D,
        to: Recipient<M>,
        f: impl FnMut(Output<D::Item>) -> M + Send + Sync + 'static,
    ) -> Self
    where
        D: Decoder + Send + Sync + 'static,
        D::Item: Send,
        D::Error: Into<Error> + Send,
        M: Message,
    {
        Self {
            read: Box::new(move |pipe| Box::pin(read(FramedRead::new(pipe, decoder), to, f))),
        }
    }

    /// Until the end of the pipe, or until nobody listens; `held` is held so long.
    pub(super) async fn read(
        self,
        pipe: impl AsyncRead + Send + 'static,
        held: mpsc::Sender<Infallible>,
    ) {
        (self.read)(Box::pin(pipe)).await;
        drop(held);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

async fn read<D, M>(
    frames: FramedRead<Pipe, D>,
    to: Recipient<M>,
    mut f: impl FnMut(Output<D::Item>) -> M,
) where
    D: Decoder,
    D::Error: Into<Error>,
    M: Message,
{
    let mut frames = pin!(frames);
    loop {
        let next = poll_fn(|cx| frames.as_mut().poll_next(cx)).await;
        let (output, goes_on) = match next {
            Some(Ok(item)) => (Output::Item(item), true),
            Some(Err(error)) => (Output::Failed(error.into()), false),
            None => (Output::End, false),
        };
        if to.send(f(output)).await.is_err() || !goes_on {
            return;
        }
    }
}
