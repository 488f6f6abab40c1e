//! What is known of a panic that was caught.
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};

/// A panic of a handler, a hook or a job: its text, and its backtrace where that is
/// [captured](capture_backtraces).
///
/// Is used as its text: it dereferences to `str` and displays as it. Cheap to clone.
///
/// ```
/// # use actors_core::{Actor, StopReason, handlers};
/// # #[derive(Actor)]
/// # struct Fragile;
/// # #[handlers]
/// # impl Fragile {
/// #     fn poke(&self) { panic!("as told") }
/// # }
/// # #[actors_core::main]
/// # async fn main() {
/// let fragile = Fragile.spawn();
/// let _ = fragile.poke().await;
/// match fragile.stopped().await {
///     StopReason::Panicked(panic) => assert_eq!(&*panic, "as told"),
///     other => unreachable!("{other}"),
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Panic(Arc<Known>);

struct Known {
    text: Box<str>,
    backtrace: Option<Backtrace>,
    /// Somebody has learned of it: an asker, a watcher, a subscriber, a supervisor.
    observed: AtomicBool,
}

impl Panic {
    /// What was caught on this thread just now. Runs nothing of the payload's.
    pub(crate) fn caught(payload: &(dyn Any + Send)) -> Self {
        let text = if let Some(text) = payload.downcast_ref::<&'static str>() {
            text
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.as_str()
        } else {
            "a panic whose payload is not text"
        };
        Self::new(text.into(), take_backtrace())
    }

    fn new(text: Box<str>, backtrace: Option<Backtrace>) -> Self {
        Self(Arc::new(Known {
            text,
            backtrace,
            observed: AtomicBool::new(false),
        }))
    }

    /// What the panic said; a fixed text where its payload is none.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Where it came from, if [`capture_backtraces`] was called before and the environment asks for
    /// backtraces. Not of a panic in another process.
    pub fn backtrace(&self) -> Option<&Backtrace> {
        self.0.backtrace.as_ref()
    }

    pub(crate) fn set_observed(&self) {
        self.0.observed.store(true, Ordering::Relaxed);
    }

    #[cfg(feature = "test-kit")]
    pub(crate) fn is_observed(&self) -> bool {
        self.0.observed.load(Ordering::Relaxed)
    }
}

impl Deref for Panic {
    type Target = str;

    fn deref(&self) -> &str {
        self.text()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

/// As its text; the backtrace would fill pages.
impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

impl Error for Panic {}

/// One of which only the text is known, such as one in another process.
impl From<String> for Panic {
    fn from(text: String) -> Self {
        Self::new(text.into(), None)
    }
}

thread_local! {
    /// Of the last panic of this thread, unless it was taken.
    static LAST: RefCell<Option<Backtrace>> = const { RefCell::new(None) };
}

fn take_backtrace() -> Option<Backtrace> {
    LAST.try_with(RefCell::take).ok().flatten()
}

/// From now on, panics come with their [backtrace](Panic::backtrace), in errors, events and the
/// log, where `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` is set as for [`Backtrace::capture`].
///
/// Puts a panic hook before the one that is set, which is called as before. So call it once, after
/// a hook of your own is set; further calls do nothing. Without it this crate touches no hook.
///
/// # Panics
///
/// When called for the first time by a thread that is panicking.
///
/// ```
/// actors_core::capture_backtraces();
/// ```
pub fn capture_backtraces() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let backtrace = Backtrace::capture();
            if backtrace.status() == BacktraceStatus::Captured {
                // A thread that is at its end has nobody to tell.
                let _ = LAST.try_with(|last| last.replace(Some(backtrace)));
            }
            next(info);
        }));
    });
}
