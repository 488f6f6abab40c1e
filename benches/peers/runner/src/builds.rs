//! What a clean build costs of a program with many actors: written here, and built in turn.
use crate::measure::{first_line, machine, versions};
use crate::options::{Options, folder};
use crate::readme;
use crate::results::median;
use crate::sides::{SIDES, Side};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const ACTORS: u64 = 100;
/// What the five asks of an actor reply, together.
const REPLIES: u64 = 3 + 2 + 7 + 7 + 8;

/// A program as a framework's own documentation shows one.
struct Program {
    /// The side's name, also of the folder.
    name: &'static str,
    dependencies: String,
    /// The module of one actor.
    actor: &'static str,
    /// The head of `main`.
    main: &'static str,
}

fn programs() -> [Program; 2] {
    let ours = folder().join("../../actors-core");
    [
        Program {
            name: "ours",
            dependencies: format!("actors-core = {{ path = {:?} }}\n", ours.display()),
            actor: OURS,
            main: "#[actors_core::main]\nasync fn main() -> Result<(), actors_core::Error> {\n",
        },
        Program {
            name: "kameo",
            dependencies: "kameo = \"0.22\"\n\
                 tokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }\n"
                .to_owned(),
            actor: KAMEO,
            main: "#[tokio::main]\nasync fn main() -> Result<(), Box<dyn std::error::Error>> {\n",
        },
    ]
}

const OURS: &str = r"use actors_core::{Actor, handlers};

#[derive(Actor, Default)]
struct Counter {
    n: u64,
}

#[handlers]
impl Counter {
    async fn add(&mut self, n: u64) -> u64 {
        self.n += n;
        self.n
    }

    async fn subtract(&mut self, n: u64) -> u64 {
        self.n -= n;
        self.n
    }

    async fn set(&mut self, n: u64) -> u64 {
        self.n = n;
        self.n
    }

    async fn swap(&mut self, n: u64) -> u64 {
        std::mem::replace(&mut self.n, n)
    }

    async fn get(&mut self) -> u64 {
        self.n
    }
}

pub async fn run() -> Result<u64, actors_core::Error> {
    let counter = Counter::default().spawn();
    let mut total = counter.ask(Add { n: 3 }).await?;
    total += counter.ask(Subtract { n: 1 }).await?;
    total += counter.ask(Set { n: 7 }).await?;
    total += counter.ask(Swap { n: 8 }).await?;
    total += counter.ask(Get).await?;
    Ok(total)
}
";

const KAMEO: &str = r"use kameo::Actor;
use kameo::actor::Spawn;
use kameo::message::{Context, Message};

#[derive(Actor)]
struct Counter {
    n: u64,
}

struct Add {
    n: u64,
}

impl Message<Add> for Counter {
    type Reply = u64;

    async fn handle(&mut self, msg: Add, _ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.n += msg.n;
        self.n
    }
}

struct Subtract {
    n: u64,
}

impl Message<Subtract> for Counter {
    type Reply = u64;

    async fn handle(&mut self, msg: Subtract, _ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.n -= msg.n;
        self.n
    }
}

struct Set {
    n: u64,
}

impl Message<Set> for Counter {
    type Reply = u64;

    async fn handle(&mut self, msg: Set, _ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.n = msg.n;
        self.n
    }
}

struct Swap {
    n: u64,
}

impl Message<Swap> for Counter {
    type Reply = u64;

    async fn handle(&mut self, msg: Swap, _ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        std::mem::replace(&mut self.n, msg.n)
    }
}

struct Get;

impl Message<Get> for Counter {
    type Reply = u64;

    async fn handle(&mut self, _: Get, _ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.n
    }
}

pub async fn run() -> Result<u64, Box<dyn std::error::Error>> {
    let counter = Counter::spawn(Counter { n: 0 });
    let mut total = counter.ask(Add { n: 3 }).await?;
    total += counter.ask(Subtract { n: 1 }).await?;
    total += counter.ask(Set { n: 7 }).await?;
    total += counter.ask(Swap { n: 8 }).await?;
    total += counter.ask(Get).await?;
    Ok(total)
}
";

/// Writes both programs, builds them in turn, and prints what that took.
pub(crate) fn measure(options: &Options) -> Result<(), String> {
    let programs = programs();
    let root = std::env::var_os("CARGO_TARGET_DIR");
    let root = root.map_or_else(|| folder().join("target"), PathBuf::from);
    let root = root.join("builds");
    let mut crates = Vec::new();
    for program in &programs {
        let at = root.join(program.name);
        write(program, &at).map_err(|error| format!("{}: {error}", at.display()))?;
        cargo(&at, &["fetch"])?;
        crates.push(tree(&at)?);
    }
    let mut turns = vec![(Vec::new(), Vec::new()); programs.len()];
    for _ in 0..options.reps {
        for (program, (cpu, wall)) in programs.iter().zip(&mut turns) {
            let (cpu_seconds, wall_seconds) = build(&root.join(program.name))?;
            println!(
                "{}: {cpu_seconds:.1} s of CPU, {wall_seconds:.1} s",
                program.name
            );
            cpu.push(cpu_seconds);
            wall.push(wall_seconds);
        }
    }
    let mut about = machine();
    about.push(("Turns".to_owned(), options.reps.to_string()));
    let built = |side: &&Side| programs.iter().any(|program| program.name == side.name);
    let built: Vec<_> = SIDES.iter().filter(built).collect();
    about.push(("Versions".to_owned(), versions(&built)));
    let mut text = readme::about(&about);
    text.push_str("\n| | CPU | time | crates |\n|---|---|---|---|\n");
    for ((program, (cpu, wall)), crates) in programs.iter().zip(turns).zip(crates) {
        let (cpu, wall) = (seconds(cpu), seconds(wall));
        let _ = writeln!(text, "| {} | {cpu} | {wall} | {crates} |", program.name);
    }
    println!("\n{text}");
    match options.write {
        true => readme::fill("--builds --write", &text),
        false => Ok(()),
    }
}

/// The median, the least and the greatest.
fn seconds(turns: Vec<f64>) -> String {
    let least = turns.iter().copied().fold(f64::INFINITY, f64::min);
    let most = turns.iter().copied().fold(0.0, f64::max);
    let median = median(turns).unwrap_or_default();
    format!("{median:.1} s ({least:.1}–{most:.1})")
}

/// A package of its own: a module for each actor, and a `main` that uses all.
fn write(program: &Program, at: &Path) -> std::io::Result<()> {
    let sources = at.join("src");
    fs::create_dir_all(&sources)?;
    let name = program.name;
    let dependencies = &program.dependencies;
    let manifest = format!(
        "[package]\nname = \"built-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         \n[dependencies]\n{dependencies}\n[workspace]\n"
    );
    fs::write(at.join("Cargo.toml"), manifest)?;
    // The same versions as in the rows.
    fs::copy(folder().join("Cargo.lock"), at.join("Cargo.lock"))?;
    let mut modules = String::new();
    let mut main = format!("\n{}    let mut total = 0;\n", program.main);
    for actor in 0..ACTORS {
        fs::write(sources.join(format!("actor_{actor}.rs")), program.actor)?;
        let _ = writeln!(modules, "mod actor_{actor};");
        let _ = writeln!(main, "    total += actor_{actor}::run().await?;");
    }
    main += "    println!(\"{total}\");\n    Ok(())\n}\n";
    fs::write(sources.join("main.rs"), modules + &main)
}

/// Builds it from nothing, and checks that it works: CPU seconds of all processes, and seconds.
fn build(at: &Path) -> Result<(f64, f64), String> {
    let target = at.join("target");
    if target.exists() {
        fs::remove_dir_all(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    }
    let (before, start) = (children_seconds()?, Instant::now());
    cargo(at, &["build", "--offline", "--quiet"])?;
    let wall = start.elapsed().as_secs_f64();
    let cpu = children_seconds()? - before;
    let name = at.file_name().unwrap_or_default().to_string_lossy();
    let total = first_line(&mut Command::new(
        target.join(format!("debug/built-{name}")),
    ));
    match total == (ACTORS * REPLIES).to_string() {
        true => Ok((cpu, wall)),
        false => Err(format!("{name}: its actors replied {total}")),
    }
}

fn cargo(at: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new("cargo")
        .args(args)
        .current_dir(at)
        .env("CARGO_TARGET_DIR", at.join("target"))
        // A cache of compiled crates would hide what they cost.
        .env_remove("RUSTC_WRAPPER")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("cargo {}: {}", args.join(" "), at.display())),
    }
}

/// How many crates the program pulls in, for this system.
fn tree(at: &Path) -> Result<usize, String> {
    let tree = cargo(
        at,
        &["tree", "--offline", "-e", "normal", "--prefix", "none"],
    )?;
    let crates: BTreeSet<_> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    // All but itself.
    Ok(crates.len() - 1)
}

/// The CPU time of all child processes that have ended, and of theirs.
fn children_seconds() -> Result<f64, String> {
    const FILE: &str = "/proc/self/stat";
    let stat = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
    let per_second = first_line(Command::new("getconf").arg("CLK_TCK"));
    // What comes first is a number and the program's name, in parentheses.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut ticks = fields.split_whitespace().skip(13).map(str::parse::<f64>);
    match (ticks.next(), ticks.next(), per_second.parse::<f64>()) {
        (Some(Ok(user)), Some(Ok(system)), Ok(per_second)) => Ok((user + system) / per_second),
        _ => Err(format!("{FILE} or `getconf CLK_TCK` is not as it is known")),
    }
}
