//! Points, each measured in a process of its own.
use super::row::{Row, Who};
use std::process::Command;

/// Where the processes run.
#[derive(Clone, Copy)]
pub(crate) enum Cores {
    Free,
    /// All threads on one core.
    One,
}

/// Measurements of both sides, made in turn.
pub(crate) struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    pub(crate) fn measure(
        row: &Row,
        cores: Cores,
        reps: usize,
        smoke: bool,
    ) -> Result<Self, String> {
        let pair = |_| {
            let ours = point(row, Who::Ours, cores, smoke)?;
            let reference = point(row, Who::Reference, cores, smoke)?;
            Ok((ours, reference))
        };
        (0..reps).map(pair).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn ours(&self) -> f64 {
        median(self.0.iter().map(|(ours, _)| *ours))
    }

    pub(crate) fn reference(&self) -> f64 {
        median(self.0.iter().map(|(_, reference)| *reference))
    }

    /// The median of the pairs' ratios.
    pub(crate) fn ratio(&self) -> f64 {
        median(self.ratios())
    }

    /// The least and the greatest ratio of a pair.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let least = self.ratios().fold(f64::INFINITY, f64::min);
        (least, self.ratios().fold(0.0, f64::max))
    }

    fn ratios(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|(ours, reference)| ours / reference)
    }
}

/// Whether processes can be pinned to a core here.
pub(crate) fn can_pin() -> bool {
    Command::new("taskset")
        .args(["-c", "0", "true"])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn point(row: &Row, side: Who, cores: Cores, smoke: bool) -> Result<f64, String> {
    let exe = std::env::current_exe().map_err(|error| format!("no path to myself: {error}"))?;
    let mut command = match cores {
        Cores::Free => Command::new(exe),
        Cores::One => {
            let mut command = Command::new("taskset");
            command.args(["-c", "0"]).arg(exe);
            command
        }
    };
    command.args(["--point", row.name, side.name()]);
    if smoke {
        command.arg("--smoke");
    }
    let what = format!("{} of {}", row.name, side.name());
    let output = command
        .output()
        .map_err(|error| format!("{what}: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{what}: {}\n{text}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| format!("{what}: not a number: {text}"))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}
