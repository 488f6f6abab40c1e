//! The connections that come in, as a stream of messages to their listener.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::roster::{Roster, Seat};
use crate::stream::Stream;
use crate::transport::Acceptor;
use actors_core::Message;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A connection that was let in.
#[derive(Message)]
pub(crate) struct Incoming {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) seat: Seat,
}

/// Accepts for ever.
pub(crate) struct Accepting {
    next: Pin<Box<dyn Future<Output = (Door, Incoming)> + Send>>,
    roster: Arc<Roster>,
}

impl Accepting {
    pub(crate) fn new(acceptor: Box<dyn Acceptor>, roster: Arc<Roster>) -> Self {
        let door = Door {
            acceptor,
            roster: Arc::clone(&roster),
            pause: Duration::ZERO,
        };
        Self {
            next: Box::pin(door.next()),
            roster,
        }
    }
}

impl futures_core::Stream for Accepting {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        let (door, incoming) = ready!(self.next.as_mut().poll(cx));
        self.next = Box::pin(door.next());
        Poll::Ready(Some(incoming))
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.roster.close();
    }
}

struct Door {
    acceptor: Box<dyn Acceptor>,
    roster: Arc<Roster>,
    /// How long to wait after an error of the system.
    pause: Duration,
}

impl Door {
    /// The next connection for which there is a seat. The others are closed.
    async fn next(mut self) -> (Self, Incoming) {
        loop {
            match self.acceptor.accept().await {
                Ok(stream) => {
                    self.pause = Duration::ZERO;
                    let peer = stream.peer_addr();
                    if let Some(seat) = self.roster.seat(peer.origin()) {
                        return (self, Incoming { stream, seat });
                    }
                    tracing::debug!(%peer, "refused: there are too many connections");
                }
                Err(error) if is_of_peer(&error) => {}
                Err(error) => {
                    // No descriptors or no memory: others have to give them back first.
                    self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                    let address = self.acceptor.local_addr();
                    tracing::warn!(%address, %error, pause = ?self.pause, "cannot accept");
                    tokio::time::sleep(self.pause).await;
                }
            }
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether the error is of the one connection, which has gone again.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
            | ErrorKind::WouldBlock
    )
}
