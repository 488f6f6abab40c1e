//! All that was measured, in memory and as JSON.
use crate::options::Condition;
use crate::sides::{Kind, SIDES, Side, ours};
use peers_kit::{ROWS, Row};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

#[derive(Default)]
pub(crate) struct Results {
    /// What it was measured on and with, as names and values.
    pub(crate) about: Vec<(String, String)>,
    pub(crate) lines: Vec<Line>,
}

/// One value of a row under one condition, of all sides.
pub(crate) struct Line {
    pub(crate) row: String,
    pub(crate) title: String,
    pub(crate) unit: String,
    pub(crate) condition: Condition,
    /// Of a row that has several.
    pub(crate) size: Option<u64>,
    /// By the sides' names, turn by turn. `None`: it failed, or took too long.
    turns: HashMap<String, Vec<Option<f64>>>,
    /// What a cache line took before each turn, in nanoseconds, with all cores free.
    pub(crate) core_to_core: Vec<f64>,
}

impl Line {
    pub(crate) fn new(row: &Row, part: &str, condition: Condition, size: Option<u64>) -> Self {
        let title = match (part, size) {
            (_, Some(size)) => format!("{}: {} {}", row.title, grouped(size), row.against),
            ("", None) => row.title.to_owned(),
            (part, None) => format!("{}, {part}", row.title),
        };
        Self {
            row: row.name.to_owned(),
            title,
            unit: row.unit.to_owned(),
            condition,
            size,
            turns: HashMap::new(),
            core_to_core: Vec::new(),
        }
    }

    /// Adds what came of a turn, if anything did.
    pub(crate) fn add(&mut self, side: &Side, value: Option<f64>) {
        self.turns
            .entry(side.name.to_owned())
            .or_default()
            .push(value);
    }

    fn turns(&self, side: &Side) -> &[Option<f64>] {
        self.turns.get(side.name).map_or(&[], Vec::as_slice)
    }

    /// `None`: the side cannot do it.
    pub(crate) fn median(&self, side: &Side) -> Option<f64> {
        median(self.turns(side).iter().copied().flatten().collect())
    }

    /// How many turns have nothing, of how many.
    pub(crate) fn failed(&self, side: &Side) -> (usize, usize) {
        let turns = self.turns(side);
        let failed = turns.iter().filter(|turn| turn.is_none()).count();
        (failed, turns.len())
    }

    /// Ours as a share of this side: the median of the turns, the least and the greatest.
    pub(crate) fn ratio(&self, side: &Side) -> Option<(f64, f64, f64)> {
        self.ratio_of(ours(), side)
    }

    /// Whether all turns but one in seven say that ours takes longer than this side.
    pub(crate) fn is_behind(&self, side: &Side) -> bool {
        let ratios = self.ratios(ours(), side);
        let others = ratios.iter().filter(|ratio| **ratio <= 1.0).count();
        others * 7 <= ratios.len()
    }

    /// One side as a share of another, turn by turn.
    fn ratios(&self, side: &Side, other: &Side) -> Vec<f64> {
        let turns = self.turns(side).iter().zip(self.turns(other));
        turns
            .filter_map(|(one, other)| Some((*one)? / (*other)?))
            .collect()
    }

    /// One side as a share of another.
    pub(crate) fn ratio_of(&self, side: &Side, other: &Side) -> Option<(f64, f64, f64)> {
        let ratios = self.ratios(side, other);
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        Some((median(ratios)?, least, most))
    }

    /// The greatest ratio against any of these: the one that we lead least, or not.
    pub(crate) fn worst(&self, kind: Kind) -> Option<(&'static Side, f64)> {
        let ratios = SIDES
            .iter()
            .filter(|side| side.kind == kind)
            .filter_map(|side| Some((side, self.ratio(side)?.0)));
        ratios.max_by(|one, other| one.1.total_cmp(&other.1))
    }
}

/// With commas between the thousands.
pub(crate) fn grouped(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1_000), number % 1_000),
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

impl Results {
    /// Adds what was measured of a row, in the place of what there was of it. The rows stay in their
    /// order.
    pub(crate) fn put(&mut self, lines: Vec<Line>) {
        for line in lines {
            let same =
                |old: &&mut Line| (&old.title, old.condition) == (&line.title, line.condition);
            match self.lines.iter_mut().find(same) {
                Some(old) => *old = line,
                None => self.lines.push(line),
            }
        }
        let place = |line: &Line| ROWS.iter().position(|row| row.name == line.row);
        self.lines.sort_by_key(place);
    }

    /// The points of a row of how cost grows, with all cores free.
    pub(crate) fn of_growth(&self, row: &Row) -> impl Iterator<Item = &Line> {
        let lines = self.lines.iter();
        lines.filter(|line| line.row == row.name && line.condition == Condition::Free)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let about: Map<_, _> = self
            .about
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let lines: Vec<_> = self.lines.iter().map(Line::to_json).collect();
        let text = serde_json::to_string_pretty(&json!({ "about": about, "lines": lines }))
            .map_err(|error| error.to_string())?;
        fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let wrong = |what: &str| format!("{}: {what}", path.display());
        let text = fs::read_to_string(path).map_err(|error| wrong(&error.to_string()))?;
        let json: Value = serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
        let about = json["about"]
            .as_object()
            .ok_or_else(|| wrong("no `about`"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let about = about
            .iter()
            .map(|(name, value)| (name.clone(), text(value)));
        let lines = json["lines"]
            .as_array()
            .ok_or_else(|| wrong("no `lines`"))?;
        let lines = lines.iter().map(Line::from_json).collect::<Option<_>>();
        Ok(Self {
            about: about.collect(),
            lines: lines.ok_or_else(|| wrong("a line that is none"))?,
        })
    }
}

impl Line {
    fn to_json(&self) -> Value {
        let sides = SIDES.iter().filter_map(|side| {
            let ratio = self.ratio(side)?;
            let side_json = json!({
                "median": self.median(side)?,
                "ours / this": ratio.0,
                "least": ratio.1,
                "greatest": ratio.2,
                "turns": self.turns(side),
            });
            Some((side.name.to_owned(), side_json))
        });
        json!({
            "row": self.row,
            "title": self.title,
            "unit": self.unit,
            "condition": self.condition.name(),
            "size": self.size,
            "core to core": self.core_to_core,
            "sides": sides.collect::<Map<_, _>>(),
        })
    }

    fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| Some(json[name].as_str()?.to_owned());
        let condition = text("condition")?;
        let condition = Condition::ALL
            .into_iter()
            .find(|known| known.name() == condition)?;
        let sides = json["sides"].as_object()?.iter().map(|(name, side)| {
            let turns = side["turns"].as_array()?.iter().map(Value::as_f64);
            Some((name.clone(), turns.collect()))
        });
        let core_to_core = json["core to core"].as_array()?;
        Some(Self {
            row: text("row")?,
            title: text("title")?,
            unit: text("unit")?,
            condition,
            size: json["size"].as_u64(),
            turns: sides.collect::<Option<_>>()?,
            core_to_core: core_to_core.iter().filter_map(Value::as_f64).collect(),
        })
    }
}
