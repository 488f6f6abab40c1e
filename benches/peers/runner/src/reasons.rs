//! Why a row is not led, where it is not. What no profile has shown is called likely.
use crate::sides::{Kind, Side};

pub(crate) fn reason(row: &str, side: &Side) -> &'static str {
    match (row, side.kind) {
        ("tell-64B" | "tell-1024B", _) => {
            "A message of more than 24 bytes is boxed: by the profile, the allocator takes two fifths \
             of 64 bytes, and with the copy half of 1,024."
        }
        ("live-once" | "fork-join", _) => {
            "The profile is flat; entering an actor among the live and taking it out is 8 % of \
             fork-join."
        }
        ("idle", _) => "Likely what a cell holds beside the mailbox; not taken apart yet.",
        (_, Kind::OneThread) => {
            "Likely that one arbiter takes no lock and wakes no thread; compare `ours, one thread`."
        }
        _ => "Not looked into yet.",
    }
}
