//! The actor that tells the user: how far the work is, and what went wrong.
use actors_core::{Actor, Context, Error, StopReason, handlers};
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Words that were too long to be told apart.
    pub(crate) too_long: u64,
    /// How many paths could not be read.
    pub(crate) faults: u64,
}

/// Writes to standard error; progress only if that is a terminal.
#[derive(Debug)]
pub(crate) struct Console {
    bar: ProgressBar,
    totals: Totals,
}

impl Console {
    pub(crate) fn new() -> Self {
        Self {
            // Draws nothing where there is no terminal.
            bar: ProgressBar::new_spinner(),
            totals: Totals::default(),
        }
    }
}

impl Actor for Console {
    async fn started(&mut self, _ctx: &mut Context<Self>) -> Result<(), Error> {
        let style = "{spinner} {msg} files, {bytes}, {bytes_per_sec}, {elapsed}";
        self.bar.set_style(ProgressStyle::with_template(style)?);
        // On a thread of its own, so that it turns also while a slow disk keeps all waiting.
        self.bar.enable_steady_tick(Duration::from_millis(100));
        Ok(())
    }

    async fn stopped(&mut self, _ctx: &mut Context<Self>, _reason: &StopReason) {
        self.bar.finish_and_clear();
    }
}

#[handlers]
impl Console {
    /// Some files were begun, and so many bytes of them read.
    pub(crate) fn progress(&mut self, files: u64, bytes: u64, too_long: u64) {
        self.totals.files += files;
        self.totals.bytes += bytes;
        self.totals.too_long += too_long;
        self.bar.inc(bytes);
        if files != 0 && !self.bar.is_hidden() {
            self.bar.set_message(self.totals.files.to_string());
        }
    }

    /// Something could not be read.
    pub(crate) fn fault(&mut self, text: String) {
        self.totals.faults += 1;
        self.bar.suspend(|| complain(text));
    }

    pub(crate) fn total(&mut self) -> Totals {
        self.totals
    }
}

/// Writes a line to standard error; not being able to is no reason to end.
pub(crate) fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "wordcount: {text}");
}
