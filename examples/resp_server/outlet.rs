//! The way out of a client's actor: what is written goes to its connection.
use crate::resp::Writer;
use actors_core::AskError;
use actors_net::Link;
use bytes::BytesMut;
use std::mem;

/// How much is written before it is handed to the connection, in the middle of a batch.
pub(crate) const FULL: usize = 64 << 10;

/// Why a client is not served any longer.
pub(crate) enum Over {
    /// It has said so, or what it says cannot be understood.
    Finished,
    /// It has gone.
    Gone,
    /// An actor did not answer, and so what became of a command is not known.
    Failed(AskError),
}

impl From<AskError> for Over {
    fn from(error: AskError) -> Self {
        Self::Failed(error)
    }
}

/// Hands what is written to the connection, if it is so much. Waits while the client does not read.
pub(crate) async fn hand_over(
    link: &Link<BytesMut>,
    out: &mut Writer,
    least: usize,
) -> Result<(), Over> {
    if out.bytes.len() < least {
        return Ok(());
    }
    let bytes = mem::take(&mut out.bytes);
    link.send(bytes).await.map_err(|_| Over::Gone)
}
