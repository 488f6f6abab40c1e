//! Which tasks have short jobs, as far as one can know: the next one may take for ever.
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Jobs that take less are worth sending ahead.
const SHORT: Duration = Duration::from_micros(500);
/// So many in a row have to be, and the next one is taken to be, too.
const STEADY: u32 = 8;

/// What is told apart: the task's name, and whether it is a chunk of calls of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) task: &'static str,
    pub(super) is_chunk: bool,
}

/// How many jobs in a row were short, by their kind.
#[derive(Default)]
pub(super) struct Paces(Mutex<HashMap<Kind, u32>>);

impl Paces {
    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, kind: Kind, ran: Duration) {
        let mut paces = self.lock();
        let in_a_row = paces.entry(kind).or_default();
        *in_a_row = match ran < SHORT {
            true => in_a_row.saturating_add(1),
            false => 0,
        };
    }

    /// Whether one of them is likely to be short.
    pub(super) fn is_short(&self, kind: Kind) -> bool {
        self.lock().get(&kind).is_some_and(|&row| row >= STEADY)
    }
}
