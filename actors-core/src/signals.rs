//! The signals that ask the process to end.
//!
//! A thread of its own waits for them, not the runtime: whose threads may all be held by handlers
//! that block, and then nobody would look.
#[cfg(unix)]
mod unix {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::{emulate_default_handler, signal_name};
    use std::io;
    use std::sync::{Mutex, PoisonError};
    use std::thread;
    use tokio::sync::mpsc;

    /// Who is told. `None`: nobody has listened yet, and signals do what they do by default.
    static LISTENERS: Mutex<Option<Vec<Listener>>> = Mutex::new(None);

    type Listener = mpsc::UnboundedSender<&'static str>;

    /// As long as it is held, the process does not end by SIGTERM and SIGINT.
    #[derive(Debug)]
    pub(crate) struct EndSignals(mpsc::UnboundedReceiver<&'static str>);

    impl EndSignals {
        pub(crate) fn listen() -> io::Result<Self> {
            let (tell, told) = mpsc::unbounded_channel();
            let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *listeners {
                Some(listeners) => listeners.push(tell),
                None => {
                    let signals = Signals::new([SIGTERM, SIGINT])?;
                    let thread = thread::Builder::new().name("actors-signals".into());
                    thread.spawn(move || pass_on(signals))?;
                    *listeners = Some(vec![tell]);
                }
            }
            Ok(Self(told))
        }

        /// Waits for the next one; gives its name. Dropped before it is ready, it has taken none.
        pub(crate) async fn next(&mut self) -> &'static str {
            match self.0.recv().await {
                Some(signal) => signal,
                // The other end is kept until it cannot send.
                None => std::future::pending().await,
            }
        }
    }

    fn pass_on(mut signals: Signals) {
        for signal in signals.forever() {
            let name = signal_name(signal).unwrap_or("a signal");
            let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
            let listeners = listeners.get_or_insert_default();
            listeners.retain(|listener| listener.send(name).is_ok());
            if listeners.is_empty() {
                // Nobody waits any more, so it does what it always does.
                let _ = emulate_default_handler(signal);
            }
        }
    }
}

#[cfg(not(unix))]
mod other {
    use std::io;

    /// Elsewhere there is ctrl-c.
    #[derive(Debug)]
    pub(crate) struct EndSignals(());

    impl EndSignals {
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self(()))
        }

        pub(crate) async fn next(&mut self) -> &'static str {
            match tokio::signal::ctrl_c().await {
                Ok(()) => "ctrl-c",
                Err(error) => {
                    tracing::error!(%error, "ctrl-c cannot be waited for");
                    std::future::pending().await
                }
            }
        }
    }
}

#[cfg(not(unix))]
pub(crate) use other::EndSignals;
#[cfg(unix)]
pub(crate) use unix::EndSignals;
