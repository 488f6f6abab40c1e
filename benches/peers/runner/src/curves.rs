//! The charts of how cost grows: a line for each side, on logarithmic axes.
use crate::chart::{put, save};
use crate::readme::in_any;
use crate::results::{Line, Results, grouped};
use crate::sides::SIDES;
use peers_kit::{GROWTH, Row};
use std::fmt::Write;

const LEFT: f64 = 80.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 340.0;

pub(crate) fn write(results: &Results) -> Result<(), String> {
    for row in GROWTH {
        let lines: Vec<_> = results.of_growth(row).collect();
        if !lines.is_empty() {
            save(&format!("growth-{}", row.name), &draw(row, &lines))?;
        }
    }
    Ok(())
}

fn draw(row: &Row, lines: &[&Line]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"390\" \
         viewBox=\"0 0 860 390\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{}: {} each</text>\n",
        row.title, row.unit
    );
    let sizes: Vec<_> = lines.iter().filter_map(|line| line.size).collect();
    let places: Vec<_> = sizes.iter().map(|size| *size as f64).collect();
    let across = Axis::new(&places, LEFT, RIGHT);
    let medians = lines
        .iter()
        .flat_map(|line| SIDES.iter().filter_map(|side| line.median(side)));
    let heights: Vec<_> = medians.flat_map(between_ticks).collect();
    let up = Axis::new(&heights, BOTTOM, TOP);
    for size in sizes {
        let x = across.place(size as f64);
        rule(&mut svg, (x, TOP), (x, BOTTOM));
        put(&mut svg, x, BOTTOM + 18.0, "middle", &grouped(size));
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    put(&mut svg, middle, BOTTOM + 38.0, "middle", row.against);
    for tick in ticks().filter(|tick| (up.least..=up.most).contains(tick)) {
        let y = up.place(tick);
        rule(&mut svg, (LEFT, y), (RIGHT, y));
        let label = format!("{} {}", grouped(tick as u64), row.unit);
        put(&mut svg, LEFT - 8.0, y + 4.0, "end", &label);
    }
    let sides = SIDES.iter().filter(|side| in_any(side, lines));
    for (at, side) in sides.enumerate() {
        let points = lines
            .iter()
            .filter_map(|line| Some((line.size?, line.median(side)?)));
        let mut path = String::new();
        for (size, median) in points {
            let (x, y) = (across.place(size as f64), up.place(median));
            let _ = write!(path, "{x:.1},{y:.1} ");
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{}\">\
                 <title>{}, {}: {median:.1} {}</title></circle>",
                side.color,
                side.name,
                grouped(size),
                row.unit
            );
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
            path.trim_end(),
            side.color
        );
        let y = TOP + 12.0 + 20.0 * at as f64;
        let _ = writeln!(
            svg,
            "<line x1=\"{}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"{}\" stroke-width=\"3\"/>",
            RIGHT + 24.0,
            RIGHT + 44.0,
            side.color
        );
        put(&mut svg, RIGHT + 52.0, y + 4.0, "start", side.name);
    }
    svg + "</svg>\n"
}

/// A logarithmic one.
struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(values: &[f64], from: f64, to: f64) -> Self {
        let values = values.iter().copied();
        Self {
            least: values.clone().fold(f64::INFINITY, f64::min),
            most: values.fold(0.0, f64::max),
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = match self.least < self.most {
            true => (value / self.least).ln() / (self.most / self.least).ln(),
            // There is one only.
            false => 0.5,
        };
        self.from + (self.to - self.from) * share
    }
}

/// 1, 2, 5, 10 and so on.
fn ticks() -> impl Iterator<Item = f64> {
    (0..12).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
}

/// The ticks below and above.
fn between_ticks(value: f64) -> impl Iterator<Item = f64> {
    let below = ticks().take_while(move |tick| *tick <= value).last();
    let above = ticks().find(move |tick| *tick > value);
    below.into_iter().chain(above)
}

fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#dddddd\"/>",
        from.0, from.1, to.0, to.1
    );
}
