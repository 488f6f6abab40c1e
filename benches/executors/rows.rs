//! The rows of the table: what is measured, with which target. `executors.py` has the same names.
use crate::ours;

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    /// How many times as fast as `concurrent.futures` it is to be; or the least value, where more is
    /// better.
    pub(crate) target: f64,
    pub(crate) better: Better,
    /// Whether `multiprocessing.Pool` can do it, too.
    pub(crate) multiprocessing: bool,
    count: u64,
    pub(crate) ours: fn(u64) -> f64,
}

/// Which of two values is the better one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

pub(crate) static ROWS: &[Row] = &[
    row(
        "thread-trip",
        "thread: one job, submit to result",
        "us",
        20.0,
        20_000,
        ours::thread_trip,
    ),
    row(
        "thread-many",
        "thread: 10,000 tiny jobs",
        "ms",
        20.0,
        10_000,
        ours::thread_many,
    ),
    row(
        "process-trip",
        "process: one job, submit to result",
        "us",
        5.0,
        5_000,
        ours::process_trip,
    )
    .with_multiprocessing(),
    row(
        "process-many",
        "process: 10,000 tiny jobs, each by itself",
        "ms",
        5.0,
        10_000,
        ours::process_many,
    )
    .with_multiprocessing(),
    row(
        "process-map",
        "process: 100,000 tiny jobs in chunks of 1,000",
        "ms",
        5.0,
        100_000,
        ours::process_map,
    )
    .with_multiprocessing(),
    row(
        "text",
        "process: 1 MiB of text there and back",
        "us",
        1.0,
        200,
        ours::text,
    )
    .with_multiprocessing(),
    row(
        "bytes",
        "process: 1 MiB of bytes there and back",
        "us",
        1.0,
        200,
        ours::bytes,
    )
    .with_multiprocessing(),
    row(
        "start",
        "process: from no pool to the first result",
        "ms",
        1.0,
        20,
        ours::start,
    )
    .with_multiprocessing(),
    row(
        "recovery",
        "process: from a killed worker to the next result",
        "ms",
        1.0,
        20,
        ours::recovery,
    ),
    row(
        "cpu-threads",
        "thread: share of cores x one thread",
        "",
        0.95,
        400,
        ours::cpu_threads,
    )
    .more_is_better(),
    row(
        "cpu-processes",
        "process: share of cores x one thread",
        "",
        0.95,
        400,
        ours::cpu_processes,
    )
    .more_is_better(),
];

const fn row(
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    target: f64,
    count: u64,
    ours: fn(u64) -> f64,
) -> Row {
    Row {
        name,
        title,
        unit,
        target,
        better: Better::Less,
        multiprocessing: false,
        count,
        ours,
    }
}

impl Row {
    const fn with_multiprocessing(mut self) -> Self {
        self.multiprocessing = true;
        self
    }

    const fn more_is_better(mut self) -> Self {
        self.better = Better::More;
        self
    }

    /// How many jobs a measurement has.
    pub(crate) fn count(&self, smoke: bool) -> u64 {
        if smoke {
            (self.count / 20).max(2)
        } else {
            self.count
        }
    }
}

pub(crate) fn named(name: &str) -> Result<&'static Row, String> {
    ROWS.iter().find(|row| row.name == name).ok_or_else(|| {
        let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        format!("no row is called `{name}`; there are {}", names.join(", "))
    })
}
