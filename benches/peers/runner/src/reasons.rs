//! Why a row is not led, where it is not. What no profile has shown is called likely.
use crate::options::Condition;
use crate::results::Line;
use crate::sides::{Kind, Side};

pub(crate) fn reason(line: &Line, side: &Side) -> &'static str {
    let (_, least, most) = line.ratio(side).unwrap_or_default();
    let is_latency = line.row.starts_with("latency");
    match (&*line.row, side.kind) {
        _ if is_latency && most > 10.0 * least => {
            "The turns differ more than tenfold: what else the machine did at that time decides."
        }
        ("latency-500k", _) if line.condition == Condition::Pinned && most > 5.0 => {
            "The sender and two worker threads take turns on the one core, and a message waits for \
             its thread's turn. So it is with all that run on tokio's threads, the bare task too; \
             with one thread there is one to wait for: compare `ours, one thread`."
        }
        _ if least <= 1.0 && most >= 1.0 => "Within the spread: the turns do not agree on it.",
        ("tell-64B" | "tell-1024B", _) => {
            "A message of more than 24 bytes is boxed: by the profile, the allocator takes two fifths \
             of 64 bytes, and with the copy half of 1,024. Where another thread frees what one has \
             allocated, that is dear; compare `ours, one thread`."
        }
        ("live-once" | "fork-join", _) => {
            "By the profile, a third of fork-join is threads that wait for the lock of glibc's \
             allocator: one makes the actors and the other ends them. Entering an actor among the \
             live and taking it out is 8 %."
        }
        ("idle", _) => "What its cell holds beside the mailbox: names, watchers, counts, states.",
        (_, Kind::OneThread) => {
            "Likely that one arbiter takes no lock and wakes no thread; compare `ours, one thread`."
        }
        _ if is_latency => {
            "Likely the wake-up of a worker thread, which tokio makes for all alike."
        }
        _ => "Not looked into yet.",
    }
}
