//! The table: pairs of points, each measured in processes of its own.
use crate::rows::{Row, Who};
use std::process::Command;

pub(crate) fn table(rows: &[&Row], reps: usize, smoke: bool) -> Result<(), String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "Ours against hand-written tokio, {cores} cores; medians of {reps} pairs, with the spread \
         of the pairs' ratios.\n"
    );
    println!(
        "{:<44} {:>5}  {:<12} {:<9} {:<4} {:>14} {:>14}",
        "row", "ratio", "spread", "target", "", "ours", "reference"
    );
    for row in rows {
        let mut pairs = Vec::new();
        for _ in 0..reps {
            pairs.push((
                point(row, Who::Ours, smoke)?,
                point(row, Who::Tokio, smoke)?,
            ));
        }
        let median_of = |pick: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = pairs.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            let least = values.first().copied().unwrap_or_default();
            let most = values.last().copied().unwrap_or_default();
            (values[values.len() / 2], least, most)
        };
        let (ratio, least, most) = median_of(|(ours, tokio)| ours / tokio);
        let (ours, ..) = median_of(|(ours, _)| *ours);
        let (tokio, ..) = median_of(|(_, tokio)| *tokio);
        println!(
            "{:<44} {ratio:>5.2}  {:<12} {:<9} {:<4} {:>14} {:>14}",
            row.title,
            format!("{least:.2}..{most:.2}"),
            row.target.to_string(),
            if row.target.reached(ratio, ours) {
                "ok"
            } else {
                "MISS"
            },
            format!("{ours:.1} {}", row.unit),
            format!("{tokio:.1} {}", row.unit),
        );
    }
    Ok(())
}

fn point(row: &Row, who: Who, smoke: bool) -> Result<f64, String> {
    let exe = std::env::current_exe().map_err(|error| format!("no path to myself: {error}"))?;
    let mut command = Command::new(exe);
    command.args(["--point", row.name, who.name()]);
    if smoke {
        command.arg("--smoke");
    }
    let what = format!("{} of {}", row.name, who.name());
    let output = command
        .output()
        .map_err(|error| format!("{what}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        format!("{what}: {}: {text}\n{stderr}", output.status)
    })
}
