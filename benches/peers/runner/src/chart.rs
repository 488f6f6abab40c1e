//! The charts: a line for each row, a dot for each side, by how much more it costs than ours does.
use crate::options::{Condition, folder};
use crate::results::{Line, Results};
use crate::sides::{Kind, SIDES, Side, ours};
use std::fmt::Write;
use std::fs;

const LEFT: f64 = 260.0;
const PLOT: f64 = 560.0;
const TOP: f64 = 92.0;
const STEP: f64 = 22.0;
/// The ends of the axis; what lies beyond is drawn at its end.
const LEAST: f64 = 0.25;
const MOST: f64 = 32.0;

pub(crate) fn write(results: &Results) -> Result<(), String> {
    for condition in Condition::ALL {
        let lines = results.lines.iter();
        let lines: Vec<_> = lines.filter(|line| line.condition == condition).collect();
        if lines.is_empty() {
            continue;
        }
        save(condition.name(), &draw(&lines, condition))?;
    }
    Ok(())
}

/// Writes one chart.
pub(crate) fn save(name: &str, svg: &str) -> Result<(), String> {
    let path = folder().join("charts").join(format!("{name}.svg"));
    fs::write(&path, svg).map_err(|error| format!("{}: {error}", path.display()))
}

fn draw(lines: &[&Line], condition: Condition) -> String {
    let height = TOP + STEP * lines.len() as f64 + 40.0;
    let bottom = TOP + STEP * lines.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"{height}\" \
         viewBox=\"0 0 860 {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{}: what each costs, \
         as a multiple of ours</text>\n",
        condition.title()
    );
    let mut x = 12.0;
    let mut y = 44.0;
    let sides = || {
        let all = SIDES.iter().filter(|side| side.kind != Kind::Part);
        all.filter(|side| side.name != ours().name)
    };
    for side in sides() {
        let width = 24.0 + 6.6 * side.name.len() as f64;
        if x + width > 850.0 {
            (x, y) = (12.0, y + 18.0);
        }
        circle(&mut svg, x + 6.0, y - 4.0, side, "");
        put(&mut svg, x + 16.0, y, "start", side.name);
        x += width;
    }
    for tick in [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0] {
        let x = place(tick);
        let color = if tick == 1.0 { "#1a1a1a" } else { "#dddddd" };
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"{color}\"/>",
            TOP - 8.0
        );
        put(&mut svg, x, bottom + 18.0, "middle", &format!("{tick}"));
    }
    for (at, line) in lines.iter().enumerate() {
        let y = TOP + STEP * (at as f64 + 0.5);
        put(&mut svg, LEFT - 14.0, y + 4.0, "end", &line.title);
        for side in sides() {
            if let Some((ratio, ..)) = line.ratio(side) {
                let times = 1.0 / ratio;
                let title = format!("{}: {times:.2}", side.name);
                circle(&mut svg, place(times), y, side, &title);
            }
        }
    }
    svg + "</svg>\n"
}

fn place(times: f64) -> f64 {
    let share = (times.clamp(LEAST, MOST) / LEAST).ln() / (MOST / LEAST).ln();
    LEFT + PLOT * share
}

fn circle(svg: &mut String, x: f64, y: f64, side: &Side, title: &str) {
    let _ = writeln!(
        svg,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{}\" fill-opacity=\"0.85\">\
         <title>{title}</title></circle>",
        side.color
    );
}

pub(crate) fn put(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}
