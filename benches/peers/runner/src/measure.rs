//! Building, and points that are each measured in a process of its own.
use crate::options::{Condition, Options, folder};
use crate::results::{Line, Results};
use crate::sides::{SIDES, Side};
use crate::weather;
use peers_kit::Row;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A point that takes longer has failed. Where its side has no value so far, it is not measured again for this
/// row under this condition.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure(options: &Options) -> Result<Results, String> {
    let programs = build(options.lto)?;
    let mut results = match options.update {
        true => Results::read(&options.json)?,
        false => Results::default(),
    };
    results.about = about(options);
    for row in &options.rows {
        for condition in &options.conditions {
            if *condition == Condition::Pinned && !can_pin() {
                return Err("there is no `taskset` that works here; say `--free`".to_owned());
            }
            let sizes: Vec<_> = match row.sizes {
                [] => vec![None],
                sizes => sizes.iter().copied().map(Some).collect(),
            };
            let mut sides = options.sides.clone();
            for size in sizes {
                let lines = measure_row(options, &programs, row, *condition, size, &mut sides);
                lines.iter().for_each(print);
                results.put(lines);
                // What there is, should somebody end it early.
                results.write(&options.json)?;
            }
        }
    }
    Ok(results)
}

/// Builds all peers; returns the folder of their programs.
fn build(lto: bool) -> Result<PathBuf, String> {
    let profile = if lto { "lto" } else { "release" };
    let status = Command::new("cargo")
        .args(["build", "--locked", "--workspace", "--profile", profile])
        .current_dir(folder())
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err("the peers were not built".to_owned());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR");
    Ok(target
        .map_or_else(|| folder().join("target"), PathBuf::from)
        .join(profile))
}

fn measure_row(
    options: &Options,
    programs: &std::path::Path,
    row: &Row,
    condition: Condition,
    size: Option<u64>,
    sides: &mut Vec<&'static Side>,
) -> Vec<Line> {
    let parts = row.parts.iter();
    let mut lines: Vec<_> = parts
        .map(|part| Line::new(row, part, condition, size))
        .collect();
    for _ in 0..options.reps {
        // None is always the first, or always follows the same one.
        let first = sides.len().min(1);
        sides.rotate_left(first);
        if let (Condition::Free, Some(nanos)) = (condition, weather::core_to_core()) {
            lines
                .iter_mut()
                .for_each(|line| line.core_to_core.push(nanos));
        }
        sides.retain(|side| {
            let mut command = match condition {
                Condition::Free => Command::new(programs.join(side.package)),
                Condition::Pinned => {
                    let mut command = Command::new("taskset");
                    command.args(["-c", "0"]).arg(programs.join(side.package));
                    command
                }
            };
            command.args([row.name, side.variant]);
            command.args([options.workers.to_string(), options.share.to_string()]);
            command.args(size.map(|size| size.to_string()));
            let failure = match point(command) {
                Ok(values) => {
                    for (line, value) in lines.iter_mut().zip(values) {
                        line.add(side, Some(value));
                    }
                    return true;
                }
                Err(failure) => failure,
            };
            eprintln!("{} of {}: {failure}", row.name, side.name);
            lines.iter_mut().for_each(|line| line.add(side, None));
            let has_some = lines.iter().any(|line| line.median(side).is_some());
            has_some || !matches!(failure, Failure::Slow)
        });
    }
    lines
}

/// Why there is nothing of a point.
enum Failure {
    /// It took longer than [`PATIENCE`].
    Slow,
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow => write!(f, "took more than {PATIENCE:?}"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.to_string())
    }
}

/// Runs one; no values where the peer cannot do it.
fn point(mut command: Command) -> Result<Vec<f64>, Failure> {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let end = Instant::now() + PATIENCE;
    // What they print is less than a pipe holds.
    while child.try_wait()?.is_none() {
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::Slow);
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::Other(format!("{}\n{text}", output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let values: Result<_, _> = text.split_whitespace().map(str::parse).collect();
    values.map_err(|_| Failure::Other(format!("not numbers: {text}")))
}

fn can_pin() -> bool {
    let output = Command::new("taskset").args(["-c", "0", "true"]).output();
    output.is_ok_and(|output| output.status.success())
}

fn print(line: &Line) {
    println!("\n{}, {}", line.title, line.condition.name());
    for side in SIDES {
        if let (Some(median), Some((ratio, least, most))) = (line.median(side), line.ratio(side)) {
            println!(
                "  {:<20} {median:>12.1} {:<2}  ours is {ratio:.2} of it ({least:.2} to {most:.2})",
                side.name, line.unit
            );
        }
    }
}

/// The machine, and what runs on it.
pub(crate) fn machine() -> Vec<(String, String)> {
    let mut about = Vec::new();
    let mut tell = |name: &str, value: String| about.push((name.to_owned(), value));
    let cores = thread::available_parallelism().map_or(0, usize::from);
    tell("Machine", format!("{}, {cores} cores", cpu()));
    tell("System", first_line(Command::new("uname").arg("-sr")));
    tell(
        "Compiler",
        first_line(Command::new("rustc").arg("--version")),
    );
    about
}

/// The machine, the versions and the command.
fn about(options: &Options) -> Vec<(String, String)> {
    let mut about = machine();
    let mut tell = |name: &str, value: String| about.push((name.to_owned(), value));
    let build = if options.lto {
        "release, with link-time optimization"
    } else {
        "release"
    };
    tell("Build", build.to_owned());
    tell("Threads that run actors", options.workers.to_string());
    tell("Turns", options.reps.to_string());
    if options.share < 1.0 {
        tell("Share of the work", options.share.to_string());
    }
    tell("Versions", versions(&options.sides));
    about
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split(": ").nth(1));
    name.unwrap_or("unknown processor").to_owned()
}

pub(crate) fn first_line(command: &mut Command) -> String {
    let output = command
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&output);
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// As `Cargo.lock` has them.
pub(crate) fn versions(sides: &[&Side]) -> String {
    let lock = fs::read_to_string(folder().join("Cargo.lock")).unwrap_or_default();
    let mut versions = Vec::new();
    for side in sides {
        let name = format!("name = \"{}\"", side.krate);
        let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
        let version = lines.next().and_then(|line| line.split('"').nth(1));
        let version = format!("{} {}", side.krate, version.unwrap_or("unknown"));
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    versions.join(", ")
}
