//! The command line: a table to print, or one point of it.
use super::row::{Row, Who};

/// What this process is to do.
pub(crate) enum Job {
    Table(Plan),
    /// One measurement, for the process that prints the table.
    Point {
        row: &'static Row,
        side: Who,
        smoke: bool,
    },
}

/// What the table holds.
pub(crate) struct Plan {
    pub(crate) rows: Vec<&'static Row>,
    pub(crate) reps: usize,
    pub(crate) free: bool,
    pub(crate) pinned: bool,
    pub(crate) smoke: bool,
}

impl Job {
    pub(crate) fn from_args(
        rows: &'static [Row],
        mut args: impl Iterator<Item = String>,
    ) -> Result<Self, String> {
        let mut plan = Plan {
            rows: Vec::new(),
            reps: 0,
            free: false,
            pinned: false,
            smoke: false,
        };
        let mut point = None;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--reps" => plan.reps = number(&value()?)?,
                "--row" => plan.rows.push(row(rows, &value()?)?),
                "--free" => plan.free = true,
                "--pinned" => plan.pinned = true,
                "--smoke" => plan.smoke = true,
                "--point" => point = Some((row(rows, &value()?)?, Who::named(&value()?)?)),
                // Cargo says so to every benchmark.
                "--bench" => {}
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        if let Some((row, side)) = point {
            let smoke = plan.smoke;
            return Ok(Self::Point { row, side, smoke });
        }
        Ok(Self::Table(plan.with_defaults(rows)))
    }
}

impl Plan {
    fn with_defaults(mut self, rows: &'static [Row]) -> Self {
        if self.rows.is_empty() {
            self.rows = rows.iter().collect();
        }
        if self.reps == 0 {
            self.reps = if self.smoke { 2 } else { 7 };
        }
        if !self.free && !self.pinned {
            (self.free, self.pinned) = (true, true);
        }
        self
    }
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("not a number of repetitions: {text}")),
        Ok(number) => Ok(number),
    }
}

fn row(rows: &'static [Row], name: &str) -> Result<&'static Row, String> {
    rows.iter().find(|row| row.name == name).ok_or_else(|| {
        let names: Vec<_> = rows.iter().map(|row| row.name).collect();
        format!("no row is called {name}; there are {}", names.join(", "))
    })
}
