//! The README's tables.
use crate::options::{Condition, folder};
use crate::reasons::reason;
use crate::results::{Line, Results, grouped, median};
use crate::sides::{Kind, SIDES, Side, ours};
use peers_kit::{GROWTH, Row};
use std::fmt::Write;
use std::fs;

pub(crate) fn write(results: &Results) -> Result<(), String> {
    fill("--write", &tables(results))
}

/// The tables of how cost grows.
pub(crate) fn write_growth(results: &Results) -> Result<(), String> {
    let mut text = about(&results.about);
    for row in GROWTH {
        let lines: Vec<_> = results.of_growth(row).collect();
        if !lines.is_empty() {
            curve(&mut text, row, &lines);
        }
    }
    fill("--growth --write", &text)
}

/// Puts this in the place of what the runner wrote with these options before.
pub(crate) fn fill(options: &str, text: &str) -> Result<(), String> {
    const END: &str = "<!-- Until here. -->";
    let begin =
        format!("<!-- From here on it is written by `cargo run --release -- {options}`. -->");
    let path = folder().join("README.md");
    let wrong = |what: &str| format!("{}: {what}", path.display());
    let old = fs::read_to_string(&path).map_err(|error| wrong(&error.to_string()))?;
    let (before, rest) = old
        .split_once(&begin)
        .ok_or_else(|| wrong("no beginning"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| wrong("no end"))?;
    let new = format!("{before}{begin}\n\n{text}\n{END}{after}");
    fs::write(&path, new).map_err(|error| wrong(&error.to_string()))
}

/// What it was measured on and with.
pub(crate) fn about(about: &[(String, String)]) -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    for (name, value) in about {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

fn tables(results: &Results) -> String {
    let mut text = about(&results.about);
    for condition in Condition::ALL {
        let lines = results.lines.iter();
        let lines: Vec<_> = lines.filter(|line| line.condition == condition).collect();
        if !lines.is_empty() {
            table(&mut text, condition, &lines);
        }
    }
    not_led(&mut text, results);
    text
}

fn table(text: &mut String, condition: Condition, lines: &[&Line]) {
    let others = || SIDES.iter().filter(|side| side.name != ours().name);
    let has_weather = lines.iter().any(|line| !line.core_to_core.is_empty());
    let _ = write!(
        text,
        "\n## {}\n\n![What each costs as a multiple of ours](charts/{}.svg)\n\n| | ours |",
        condition.title(),
        condition.name()
    );
    for side in others() {
        let _ = write!(text, " {} |", side.name);
    }
    text.push_str(if has_weather { " core to core |" } else { "" });
    let _ = write!(text, "\n|---|---|");
    for _ in others() {
        text.push_str("---|");
    }
    text.push_str(if has_weather { "---|\n" } else { "\n" });
    for line in lines {
        let amount = line.median(ours()).map_or("-".to_owned(), |median| {
            format!("{} {}", rounded(median), line.unit)
        });
        let _ = write!(text, "| {} | {amount} |", line.title);
        for side in others() {
            match line.ratio(side) {
                Some((ratio, least, most)) => {
                    let failed = match line.failed(side) {
                        (0, _) => String::new(),
                        (failed, turns) => format!("; {failed} of {turns} turns failed"),
                    };
                    let _ = write!(text, " {ratio:.2} ({least:.2}–{most:.2}{failed}) |");
                }
                None => text.push_str(" – |"),
            }
        }
        if has_weather {
            let _ = write!(text, " {} |", weather(&line.core_to_core));
        }
        text.push('\n');
    }
}

/// What a cache line took: the median of the turns, the least and the greatest.
fn weather(nanos: &[f64]) -> String {
    let mut nanos = nanos.to_vec();
    nanos.sort_by(f64::total_cmp);
    let (Some(least), Some(most), Some(middle)) = (
        nanos.first().copied(),
        nanos.last().copied(),
        median(nanos.clone()),
    ) else {
        return "–".to_owned();
    };
    format!("{middle:.0} ns ({least:.0}–{most:.0})")
}

fn curve(text: &mut String, row: &Row, lines: &[&Line]) {
    let sides = || SIDES.iter().filter(|side| in_any(side, lines));
    let _ = write!(
        text,
        "\n### {}\n\n![{}](charts/growth-{}.svg)\n\n| {} |",
        row.title, row.title, row.name, row.against
    );
    for side in sides() {
        let _ = write!(text, " {} |", side.name);
    }
    let _ = write!(text, "\n|---|");
    for _ in sides() {
        text.push_str("---|");
    }
    text.push('\n');
    for line in lines {
        let _ = write!(text, "| {} |", grouped(line.size.unwrap_or_default()));
        for side in sides() {
            match line.median(side) {
                Some(median) => {
                    let _ = write!(text, " {} {} |", rounded(median), line.unit);
                }
                None => text.push_str(" – |"),
            }
        }
        text.push('\n');
    }
}

/// Whether it has been measured.
pub(crate) fn in_any(side: &Side, lines: &[&Line]) -> bool {
    lines.iter().any(|line| line.median(side).is_some())
}

fn not_led(text: &mut String, results: &Results) {
    let (mut behind, mut open) = (String::new(), String::new());
    for line in &results.lines {
        for kind in [Kind::ManyThreads, Kind::OneThread, Kind::Reference] {
            let Some((side, ratio)) = line.worst(kind).filter(|(_, ratio)| *ratio > 1.0) else {
                continue;
            };
            let condition = line.condition.title().to_lowercase();
            let what = format!("{}, {condition}: {ratio:.2} of {}.", line.title, side.name);
            let list = match line.is_behind(side) {
                true => &mut behind,
                false => &mut open,
            };
            let _ = writeln!(list, "- {what} {}", reason(line, side));
        }
    }
    for (title, list) in [
        ("Rows that we do not lead", behind),
        ("Rows where the turns do not agree on who leads", open),
    ] {
        let list = if list.is_empty() { "None.\n" } else { &list };
        let _ = write!(text, "\n## {title}\n\n{list}");
    }
}

fn rounded(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}
