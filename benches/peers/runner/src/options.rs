//! The command line.
use crate::sides::{Kind, SIDES, Side};
use peers_kit::{GROWTH, ROWS, Row};
use std::path::PathBuf;

pub(crate) struct Options {
    /// Measures how cost grows, and nothing else.
    pub(crate) growth: bool,
    /// Measures what a build costs, and nothing else.
    pub(crate) builds: bool,
    pub(crate) rows: Vec<&'static Row>,
    pub(crate) sides: Vec<&'static Side>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) reps: usize,
    pub(crate) share: f64,
    pub(crate) workers: usize,
    pub(crate) lto: bool,
    pub(crate) json: PathBuf,
    pub(crate) from_json: bool,
    pub(crate) update: bool,
    pub(crate) write: bool,
}

/// Where the processes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Free,
    Pinned,
}

impl Condition {
    pub(crate) const ALL: [Self; 2] = [Self::Free, Self::Pinned];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pinned => "pinned",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Free => "All cores free",
            Self::Pinned => "Everything on one core",
        }
    }
}

impl Options {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut rows, mut peers) = (Vec::new(), Vec::new());
        let (mut reps, mut json, mut smoke) = (None, None, false);
        let mut options = Self {
            growth: false,
            builds: false,
            rows: Vec::new(),
            sides: Vec::new(),
            conditions: Vec::new(),
            reps: 0,
            share: 1.0,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            lto: false,
            json: PathBuf::new(),
            from_json: false,
            update: false,
            write: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--reps" => reps = Some(number(&value()?)?),
                "--workers" => options.workers = number(&value()?)?,
                "--share" => {
                    let share = value()?;
                    let parsed = share.parse();
                    options.share = parsed.map_err(|_| format!("not a share: {share}"))?;
                }
                "--growth" => options.growth = true,
                "--builds" => options.builds = true,
                "--row" => rows.push(value()?),
                "--peer" => peers.push(value()?),
                "--free" => options.conditions.push(Condition::Free),
                "--pinned" => options.conditions.push(Condition::Pinned),
                "--lto" => options.lto = true,
                "--json" => json = Some(value()?.into()),
                "--from-json" => options.from_json = true,
                "--update" => options.update = true,
                "--write" => options.write = true,
                "--smoke" => smoke = true,
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        if smoke {
            options.share = 0.01;
        }
        let (known, file, usual, conditions) = match options.growth {
            true => (GROWTH, "growth.json", 3, &[Condition::Free][..]),
            false => (ROWS, "results.json", 7, &Condition::ALL[..]),
        };
        let usual = if options.builds { 3 } else { usual };
        options.reps = reps.unwrap_or(if smoke { 1 } else { usual });
        options.json = json.unwrap_or_else(|| folder().join(file));
        options.rows = match rows.is_empty() {
            true => known.iter().collect(),
            false => rows
                .iter()
                .map(|name| row(known, name))
                .collect::<Result<_, _>>()?,
        };
        if options.conditions.is_empty() {
            options.conditions = conditions.to_vec();
        }
        for peer in &peers {
            if !SIDES.iter().any(|side| side.name == peer) {
                let names: Vec<_> = SIDES.iter().map(|side| side.name).collect();
                return Err(format!("no peer is called `{peer}`: {}", names.join("; ")));
            }
        }
        let wanted = |side: &&Side| match peers.is_empty() {
            true => side.grows || !options.growth,
            false => side.kind == Kind::Ours || peers.iter().any(|name| name == side.name),
        };
        options.sides = SIDES.iter().filter(wanted).collect();
        Ok(options)
    }
}

/// The folder of this workspace.
pub(crate) fn folder() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("not such a number: {text}")),
        Ok(number) => Ok(number),
    }
}

fn row<'a>(known: &'a [Row], name: &str) -> Result<&'a Row, String> {
    known.iter().find(|row| row.name == name).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|row| row.name).collect();
        format!("no row is called `{name}`; there are {}", names.join(", "))
    })
}
