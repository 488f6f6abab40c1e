//! The actor that takes requests from outside.
use actors_core::{Actor, Context, Error, StopReason};
use axum::Router;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Serves HTTP for as long as it lives. Added to the tree last, it stops first: no more requests
/// come in, and those that have come are answered while all that they need still runs.
pub(crate) struct Front {
    address: SocketAddr,
    router: Router,
    /// How long requests may take to be answered once it is stopping.
    patience: Duration,
    server: Option<Server>,
}

struct Server {
    task: JoinHandle<std::io::Result<()>>,
    /// Dropped, the server takes no more requests, and ends when it has answered those it has.
    _open: oneshot::Sender<()>,
}

impl Front {
    pub(crate) fn new(address: SocketAddr, router: Router, patience: Duration) -> Self {
        Self {
            address,
            router,
            patience,
            server: None,
        }
    }
}

impl Actor for Front {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), Error> {
        let bound = TcpListener::bind(self.address).await;
        let listener = bound.map_err(|error| format!("{}: {error}", self.address))?;
        // Known to the system now, so it stays the same if this is started again.
        self.address = listener.local_addr()?;
        println!("listening on http://{}", self.address);
        let (open, closed) = oneshot::channel::<()>();
        let closed = async {
            let _ = closed.await;
        };
        let serve = axum::serve(listener, self.router.clone()).with_graceful_shutdown(closed);
        self.server = Some(Server {
            task: tokio::spawn(serve.into_future()),
            _open: open,
        });
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        let Some(Server { mut task, _open }) = self.server.take() else {
            return;
        };
        drop(_open);
        if timeout(self.patience, &mut task).await.is_err() {
            // They have not sent all of a request, or do not read the answer.
            tracing::warn!("some connections are not waited for");
            task.abort();
        }
    }
}
