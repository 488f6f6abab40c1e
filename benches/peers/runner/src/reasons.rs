//! Why a row is not led, where it is not. What no profile has shown is called likely.
use crate::options::Condition;
use crate::results::Line;
use crate::sides::{Side, bare_tasks, ours_on_one_thread, work};

pub(crate) fn reason(line: &Line, side: &Side) -> String {
    let is_latency = line.row.starts_with("latency");
    let is_pinned = line.condition == Condition::Pinned;
    let why = match &*line.row {
        "tell-64B" | "tell-1024B" if !is_pinned => {
            "Each message is lines of memory that go from one core to the other. How long that takes [differs with the \
             cores](#how-far-apart-the-cores-are)."
        }
        "tell-64B" | "tell-1024B" => {
            "Likely that the first time that a handler's thread reads a message that has waited behind many is \
             most of it, and copying."
        }
        "fork-join" => {
            "By the profile on one core, a fifth is tokio's tasks, lists and queues, glibc's allocator is a \
             tenth, and the rest is flat. (actix on one arbiter spawns no task that another thread could \
             take.) With all cores free it [differs with the cores](#how-far-apart-the-cores-are), too."
        }
        "ask-1000" if !is_pinned => {
            "With two workers asks take lines of memory from core to core. How long that takes [differs with the \
             cores](#how-far-apart-the-cores-are)."
        }
        "live-once" => {
            "By the profile on one core, three tenths are tokio's wake-ups and states of tasks, and a \
             twentieth is the list of live actors; the rest is flat. Likely that it is what an actor is \
             beside a task: its name, its states, its counts, and that others may wait for its end."
        }
        "idle" => "What its cell holds beside the mailbox: names, watchers, counts, states.",
        "latency-500k" if is_pinned => {
            "The processor time is a quarter more than the time in which messages are due. Likely that \
             in all of them messages wait for the end of the sender's time slice, as p99 suggests, and \
             that this begins a little below the middle of them or above it."
        }
        _ if is_latency && is_pinned => {
            "The sender and two worker threads take turns on the one core, and a message waits for \
             its thread's turn."
        }
        _ if is_latency => {
            "Likely the wake-up of a worker thread, which tokio makes for all alike."
        }
        "ring" | "ping-pong" | "philosophers" | "dictionary" | "buffer" if !is_pinned => {
            "tokio polls what a handler wakes on the same thread three times in a row, then wakes \
             another thread for it ([why it stays so](../../DESIGN.md#\
             why-is-an-actor-that-a-handler-tells-not-polled-on-the-spot)). How long that takes [differs \
             with the cores](#how-far-apart-the-cores-are)."
        }
        "buffer" | "dictionary" => {
            "Two worker threads take turns on the core, some 170 to 2,000 times in a run, where actix on one \
             arbiter has one; likely that it is this, since ours on one thread leads."
        }
        "sieve" | "quicksort" | "queens" => "Most of the time is the work itself.",
        _ => "Not looked into yet.",
    };
    let part = |side, what| {
        let share = 1.0 / line.ratio(side)?.0;
        Some(format!(" {what}: {share:.2} of ours."))
    };
    let work = part(work(), "The work alone, by plain calls on one thread");
    let tasks = part(bare_tasks(), "tokio's part alone, by bare tasks");
    let alike = side.package == "peers-actix";
    let alike = line.ratio_of(ours_on_one_thread(), side).filter(|_| alike);
    let alike = alike.map(|(ratio, ..)| format!(" `ours, one thread`: {ratio:.2}."));
    format!(
        "{why}{}{}{}",
        work.unwrap_or_default(),
        tasks.unwrap_or_default(),
        alike.unwrap_or_default()
    )
}
