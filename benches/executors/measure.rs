//! Points, each measured in a process of its own, and the table of them.
use crate::rows::{self, Better, ROWS, Row};
use std::process::Command;

/// What the table holds.
pub(crate) struct Plan {
    rows: Vec<&'static Row>,
    reps: usize,
    python: String,
    smoke: bool,
}

/// Who does the jobs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Ours,
    Futures,
    Multiprocessing,
}

const WHO: [Who; 3] = [Who::Ours, Who::Futures, Who::Multiprocessing];

impl Plan {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut plan = Self {
            rows: Vec::new(),
            reps: 0,
            python: "python3.11".to_owned(),
            smoke: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--reps" => {
                    let reps = value()?;
                    plan.reps = match reps.parse() {
                        Ok(0) | Err(_) => return Err(format!("not so many repetitions: {reps}")),
                        Ok(reps) => reps,
                    };
                }
                "--row" => plan.rows.push(rows::named(&value()?)?),
                "--python" => plan.python = value()?,
                "--smoke" => plan.smoke = true,
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        if plan.rows.is_empty() {
            plan.rows = ROWS.iter().collect();
        }
        if plan.reps == 0 {
            plan.reps = if plan.smoke { 1 } else { 7 };
        }
        Ok(plan)
    }

    pub(crate) fn print(&self) -> Result<(), String> {
        println!(
            "Our pools against CPython's, 2 workers, {} cores; medians of {} turns.\n\
             A ratio says how many times as fast ours are, and is of the medians; the spread is that \
             of the turns.\n",
            std::thread::available_parallelism().map_or(0, usize::from),
            self.reps
        );
        println!(
            "{:<50} {:>11} {:>13} {:>13} {:>7} {:<15} {:>7} {:<15} {:<8}",
            "row", "ours", "futures", "mp.Pool", "ratio", "spread", "ratio", "spread", "target"
        );
        for row in &self.rows {
            self.print_row(row)?;
        }
        Ok(())
    }

    fn print_row(&self, row: &Row) -> Result<(), String> {
        let mut values = [const { Vec::new() }; WHO.len()];
        for _ in 0..self.reps {
            for (who, values) in WHO.iter().zip(&mut values) {
                if *who != Who::Multiprocessing || row.multiprocessing {
                    values.push(self.point(row, *who)?);
                }
            }
        }
        let [ours, futures, multiprocessing] = &values;
        let (value, sign) = match row.better {
            Better::Less => (median(futures) / median(ours), "x"),
            // The ideal is the machine's, and not the peers'.
            Better::More => (median(ours), ""),
        };
        let reached = value >= row.target;
        let verdict = if reached { "ok" } else { "MISS" };
        println!(
            "{:<50} {:>11} {:>13} {:>13} {:>7} {:<15} {:>7} {:<15} {:<8} {verdict}",
            row.title,
            amount(ours, row),
            amount(futures, row),
            amount(multiprocessing, row),
            ratio(ours, futures, row),
            spread(ours, futures, row),
            ratio(ours, multiprocessing, row),
            spread(ours, multiprocessing, row),
            format!(">= {}{sign}", row.target),
        );
        Ok(())
    }

    fn point(&self, row: &Row, who: Who) -> Result<f64, String> {
        const SCRIPT: &str = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/benches/executors/executors.py"
        );
        let count = row.count(self.smoke).to_string();
        let mut command = match who {
            Who::Ours => {
                let exe = std::env::current_exe();
                let exe = exe.map_err(|error| format!("no path to myself: {error}"))?;
                let mut command = Command::new(exe);
                command.args(["--point", row.name]);
                command.args(self.smoke.then_some("--smoke"));
                command
            }
            Who::Futures | Who::Multiprocessing => {
                let mut command = Command::new(&self.python);
                let name = match who {
                    Who::Multiprocessing => "multiprocessing",
                    _ => "futures",
                };
                command.args([SCRIPT, row.name, &count, name]);
                command
            }
        };
        let output = command.output();
        let output = output.map_err(|error| format!("{command:?}: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        match text.trim().parse() {
            Ok(value) if output.status.success() => Ok(value),
            _ => Err(format!(
                "{command:?}: {}\n{text}{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }
}

fn amount(values: &[f64], row: &Row) -> String {
    match values {
        [] => String::new(),
        _ if row.better == Better::More => format!("{:.2}", median(values)),
        _ => format!("{:.1} {}", median(values), row.unit),
    }
}

fn ratio(ours: &[f64], peer: &[f64], row: &Row) -> String {
    match peer {
        [] => String::new(),
        _ => format!("{:.1}", times(median(ours), median(peer), row)),
    }
}

fn spread(ours: &[f64], peer: &[f64], row: &Row) -> String {
    let turns = ours.iter().zip(peer);
    let ratios = turns.map(|(ours, peer)| times(*ours, *peer, row));
    let (least, most) = ratios.fold((f64::INFINITY, 0.0_f64), |(least, most), ratio| {
        (least.min(ratio), most.max(ratio))
    });
    match peer {
        [] => String::new(),
        _ => format!("{least:.1}..{most:.1}"),
    }
}

/// How many times as good ours is.
fn times(ours: f64, peer: f64, row: &Row) -> f64 {
    match row.better {
        Better::Less => peer / ours,
        Better::More => ours / peer,
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
