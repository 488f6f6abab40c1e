//! Why a row is not led, where it is not.
use crate::sides::{Kind, Side};

pub(crate) fn reason(row: &str, side: &Side) -> &'static str {
    match (row, side.kind) {
        ("live-once", Kind::Reference) => {
            "An actor is entered among the live, has a cell of its own beside its task, and its end \
             is told to who waits for it; the profile is flat."
        }
        ("idle", _) => {
            "A cell holds what an actor can be asked: its counters, its name, its parent, its \
             watchers."
        }
        ("tell-64B" | "tell-1024B", _) => {
            "A message of more than 24 bytes is boxed, and freed on another thread than it was made \
             on; a channel of tokio holds it in blocks, and one arbiter has one thread."
        }
        ("fork-join", _) => {
            "As for `spawn, ask, stop`: a cell of its own beside the task, and an entry among the \
             live."
        }
        (_, Kind::OneThread) => {
            "One arbiter takes no lock and wakes no thread; compare `ours, one thread`."
        }
        _ => "Not looked into yet.",
    }
}
