//! The pipes of a child process, as one stream.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::address::NetAddr;
use crate::stream::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout};

/// The pipes of a child process: reads what it writes, writes what it reads.
///
/// The child itself stays with whoever has it.
#[derive(Debug)]
pub struct ChildPipes {
    /// `None`: closed.
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    id: u32,
}

impl ChildPipes {
    /// Takes the pipes of a child that was started with both piped. `None`: it was not, or somebody
    /// has taken them.
    pub fn take(child: &mut Child) -> Option<Self> {
        if child.stdin.is_none() || child.stdout.is_none() {
            return None;
        }
        Some(Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take()?,
            id: child.id().unwrap_or_default(),
        })
    }
}

impl Stream for ChildPipes {
    fn peer_addr(&self) -> NetAddr {
        NetAddr::Other(format!("process:{}", self.id).into())
    }

    fn local_addr(&self) -> NetAddr {
        NetAddr::Other(format!("process:{}", std::process::id()).into())
    }
}

impl AsyncRead for ChildPipes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for ChildPipes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Its other end sees that only when this one is gone.
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}
