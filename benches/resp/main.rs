//! What a Redis server made of actors costs: the example `resp_server` against a real Redis, under
//! the load of `redis-benchmark`, as ratios.
//!
//! `cargo bench --bench resp -- [OPTIONS]` prints a table. The options:
//!
//! - `--reps N` pairs of measurements for each number, 7 unless told otherwise
//! - `--requests N` requests of one measurement, 500,000 unless told otherwise
//! - `--smoke` one short pair, to see that everything works; the numbers mean nothing
//!
//! Each measurement has a server of its own, fresh each time, ours and Redis' in turn.
#[path = "../kit/process.rs"]
mod process;
mod server;

use server::{Server, Who};
use std::process::{Command, ExitCode};

/// What is measured of one server.
#[derive(Clone, Copy)]
struct Point {
    /// Thousands of requests per second.
    rate: f64,
    /// Thousands of requests for each second of the server's processor: what a busy machine blurs
    /// less.
    per_cpu: f64,
}

struct Options {
    reps: usize,
    requests: u64,
}

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => return fail(&error),
    };
    let missing = ["redis-server", "redis-benchmark"]
        .into_iter()
        .find(|name| {
            let version = Command::new(name).arg("--version").output();
            version.is_err()
        });
    if let Some(missing) = missing {
        println!("nothing is measured: there is no {missing} on this machine");
        return ExitCode::SUCCESS;
    }
    match table(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &str) -> ExitCode {
    eprintln!("resp: {error}");
    ExitCode::FAILURE
}

impl Options {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            reps: 7,
            requests: 500_000,
        };
        while let Some(arg) = args.next() {
            let mut number = || {
                let value = args.next().and_then(|value| value.parse().ok());
                let value = value.filter(|value| *value > 0);
                value.ok_or_else(|| format!("{arg} needs a number"))
            };
            match arg.as_str() {
                "--reps" => options.reps = usize::try_from(number()?).unwrap_or(usize::MAX),
                "--requests" => options.requests = number()?,
                "--smoke" => (options.reps, options.requests) = (1, 5_000),
                // Cargo says so to every benchmark.
                "--bench" => {}
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        Ok(options)
    }
}

fn table(options: &Options) -> Result<(), String> {
    let ours = server::build()?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "resp_server against redis-server, 50 clients, {} requests, {cores} cores; medians of {} \
         pairs.\nA ratio above 1 means that ours is faster. The spread is that of the pairs' \
         ratios.\n",
        options.requests, options.reps
    );
    println!(
        "{:<40} {:>5}  {:<12} {:<8} {:<4} {:>14} {:>14}",
        "row", "ratio", "spread", "target", "", "ours", "redis"
    );
    for depth in [1, 16] {
        for test in ["set", "get"] {
            let mut pairs = Vec::new();
            for _ in 0..options.reps {
                let point = |who| measure(&Server::start(who)?, test, depth, options.requests);
                pairs.push((point(Who::Ours(&ours))?, point(Who::Redis)?));
            }
            let title = format!("{test}, {depth} at a time");
            print_row(&title, Some(1.0), &pairs, |point| point.rate);
            let title = format!("{title}, each second of its CPU");
            print_row(&title, None, &pairs, |point| point.per_cpu);
        }
    }
    Ok(())
}

fn measure(server: &Server, test: &str, depth: u32, requests: u64) -> Result<Point, String> {
    let before = server.process.cpu_seconds()?;
    let mut command = Command::new("redis-benchmark");
    command.args(["-p", &server.port.to_string(), "-t", test, "-c", "50", "-q"]);
    command.args(["-n", &requests.to_string(), "-P", &depth.to_string()]);
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text
        .rsplit_once(" requests per second")
        .and_then(|(text, _)| {
            let number = text.rsplit(' ').next()?;
            number.parse::<f64>().ok()
        });
    let rate = rate.ok_or_else(|| format!("redis-benchmark: {}: {text}", output.status))?;
    let seconds = (server.process.cpu_seconds()? - before).max(0.01);
    Ok(Point {
        rate: rate / 1e3,
        per_cpu: requests as f64 / seconds / 1e3,
    })
}

fn print_row(title: &str, target: Option<f64>, pairs: &[(Point, Point)], pick: fn(Point) -> f64) {
    let sorted = |of: fn(f64, f64) -> f64| {
        let mut values: Vec<_> = pairs
            .iter()
            .map(|(ours, redis)| of(pick(*ours), pick(*redis)))
            .collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let middle = pairs.len() / 2;
    let ratios = sorted(|ours, redis| ours / redis);
    let verdict = |target| {
        if ratios[middle] >= target {
            "ok"
        } else {
            "MISS"
        }
    };
    println!(
        "{title:<40} {:>5.2}  {:<12} {:<8} {:<4} {:>10.0} k/s {:>10.0} k/s",
        ratios[middle],
        format!("{:.2}..{:.2}", ratios[0], ratios[ratios.len() - 1]),
        target.map_or(String::new(), |target| format!(">= {target:.2}")),
        target.map_or("", verdict),
        sorted(|ours, _| ours)[middle],
        sorted(|_, redis| redis)[middle],
    );
}
