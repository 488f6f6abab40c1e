//! A supervised tree as a service: it runs until a signal, and stops in order.
use crate::error::{Error, SpawnError, StopReason};
use crate::signals::EndSignals;
use crate::supervise::{ShutdownReport, Supervisor};
use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Why a service has not ended as it should: what [`Supervisor::run_until_signal`] returns, boxed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServiceError {
    /// A child did not start for the first time, so nothing of the tree is left.
    StartFailed(StopReason),
    /// The tree has ended by itself.
    Ended(StopReason),
    /// It was stopped, and these actors had to be killed.
    Aborted(ShutdownReport),
    /// The operating system refused to tell of signals.
    Signals(io::Error),
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartFailed(reason) => write!(f, "the service did not start: it {reason}"),
            Self::Ended(reason) => write!(f, "the service ended by itself: it {reason}"),
            Self::Aborted(report) => {
                f.write_str("actors had to be killed to stop the service: ")?;
                for (n, aborted) in report.aborted.iter().enumerate() {
                    let comma = if n > 0 { ", " } else { "" };
                    write!(f, "{comma}{}", aborted.actor)?;
                    if let Some(message) = aborted.message {
                        write!(f, " in {message}")?;
                    }
                }
                Ok(())
            }
            Self::Signals(_) => f.write_str("signals cannot be waited for"),
        }
    }
}

impl StdError for ServiceError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::StartFailed(StopReason::Failed(error))
            | Self::Ended(StopReason::Failed(error)) => Some(&**error),
            Self::Signals(error) => Some(error),
            _ => None,
        }
    }
}

impl Supervisor {
    /// Runs the tree until the process gets SIGTERM or SIGINT, then
    /// [shuts it down](Self::shutdown) within the deadline. Mostly the last line of `main`.
    ///
    /// Stopping goes by phases, one after the other: the children of this supervisor in the reverse
    /// order of their start. So what takes work from outside is added last, and what others need
    /// first; a phase of several actors is a [subtree](Self::subtree).
    ///
    /// On Unix, signals count from this call on, and not only once it is awaited. So a service that
    /// must not miss one calls this before it adds what takes work from outside. A second signal kills
    /// what is left at once. Signals that come when nobody runs a tree any more do what they do by
    /// default.
    ///
    /// If systemd has started the process as a service of type `notify`, it is told when all
    /// children are up, when the service is stopping, and, where it wants to know, that the runtime
    /// is alive.
    ///
    /// Dropped before it is ready, the tree goes on.
    ///
    /// ```no_run
    /// use actors_core::{Actor, Supervisor};
    /// use std::time::Duration;
    ///
    /// #[derive(Actor)]
    /// struct Db;
    ///
    /// #[actors_core::main]
    /// async fn main() -> Result<(), actors_core::Error> {
    ///     let app = Supervisor::new("shop");
    ///     let ended = app.run_until_signal(Duration::from_secs(10));
    ///     app.child("db", || Db);
    ///     ended.await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`ServiceError`], boxed: when a child did not start, when the tree has ended by itself and
    /// not normally, and when actors had to be killed to stop it.
    pub fn run_until_signal(
        &self,
        deadline: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<'_> {
        let signals = EndSignals::listen();
        async move {
            let signals = signals.map_err(ServiceError::Signals)?;
            Ok(self.run(signals, deadline).await?)
        }
    }

    async fn run(&self, mut signals: EndSignals, deadline: Duration) -> Result<(), ServiceError> {
        let signal = match either(signals.next(), self.ready()).await {
            Either::First(signal) => signal,
            Either::Second(Err(SpawnError::StartFailed(reason))) if reason.is_normal() => {
                return Ok(());
            }
            Either::Second(Err(SpawnError::StartFailed(reason))) => {
                return Err(ServiceError::StartFailed(reason));
            }
            Either::Second(_) => {
                tracing::info!(service = self.name(), "ready");
                systemd::ready();
                let _watchdog = systemd::watchdog();
                match either(signals.next(), self.stopped()).await {
                    Either::First(signal) => signal,
                    Either::Second(StopReason::Normal) => return Ok(()),
                    Either::Second(reason) => return Err(ServiceError::Ended(reason)),
                }
            }
        };
        tracing::info!(service = self.name(), signal, ?deadline, "stopping");
        systemd::stopping();
        let report = match either(signals.next(), self.shutdown(deadline)).await {
            Either::Second(report) => report,
            Either::First(signal) => {
                tracing::warn!(service = self.name(), signal, "killed: the second signal");
                self.shutdown(Duration::ZERO).await
            }
        };
        if !report.is_clean() {
            return Err(ServiceError::Aborted(report));
        }
        tracing::info!(service = self.name(), took = ?report.took, "stopped");
        Ok(())
    }
}

enum Either<A, B> {
    First(A),
    Second(B),
}

/// Whichever is ready first.
async fn either<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> Either<A, B> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| {
        if let Poll::Ready(output) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}

/// What systemd is told, if it has asked for that by its environment variables.
#[cfg(unix)]
mod systemd {
    use sd_notify::NotifyState;
    use tokio::task::JoinHandle;

    pub(super) fn ready() {
        tell(&[NotifyState::Ready]);
    }

    pub(super) fn stopping() {
        tell(&[NotifyState::Stopping]);
    }

    fn tell(state: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(state) {
            tracing::warn!(%error, "systemd could not be told");
        }
    }

    /// Says that the runtime is alive, twice in each period that systemd grants. A task: if all
    /// threads of the runtime are held by handlers that block, it says nothing.
    pub(super) fn watchdog() -> Option<Watchdog> {
        let period = sd_notify::watchdog_enabled()?;
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval((period / 2).max(period.min(LEAST)));
            loop {
                ticks.tick().await;
                tell(&[NotifyState::Watchdog]);
            }
        });
        Some(Watchdog(task))
    }

    /// An interval of zero is none.
    const LEAST: std::time::Duration = std::time::Duration::from_millis(1);

    pub(super) struct Watchdog(JoinHandle<()>);

    impl Drop for Watchdog {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
}

#[cfg(not(unix))]
mod systemd {
    pub(super) fn ready() {}

    pub(super) fn stopping() {}

    pub(super) fn watchdog() {}
}
