//! A service that stays up: `cargo run --release --example service`
//!
//! ```text
//! shop
//! ├─ store      one shelf for some of the items each; what they sell is in a journal
//! ├─ partners   the bank, which takes its time and panics now and then
//! ├─ clerks     a pool: each works on one order at a time, pays it and sells it
//! ├─ front      HTTP: requests become messages
//! └─ monkey     kills actors at random, if told so
//! ```
//!
//! What fails is made anew by its supervisor, under the same address and with its mail. Whoever
//! waited for it is told, and the customer gets a 503; ordering again, by the same id, is safe.
//! At SIGTERM or ctrl-c the tree stops from below: first no more requests come in and those that
//! have come are answered, then the clerks, the bank and the shelves stop. At last it prints what
//! was sold.
//!
//! ```text
//! curl -i -X PUT localhost:8080/items/tea/orders/1 --json '{"count": 3}'
//! curl localhost:8080/items
//! curl localhost:8080/tree
//! curl localhost:8080/healthz
//! ```
mod args;
mod bank;
mod clerk;
mod front;
mod journal;
mod monkey;
mod report;
mod routes;
mod shelf;

use actors_core::{
    Backoff, ChildOptions, Error, Intensity, Supervisor, SupervisorOptions, WorkerPool,
};
use args::Args;
use bank::Bank;
use clap::Parser;
use clerk::Clerk;
use fastrand::Rng;
use front::Front;
use journal::Journal;
use monkey::Monkey;
use routes::Shop;
use shelf::{Shelf, Shelves, place};
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

#[actors_core::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_max_level(args.log)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    match serve(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("service: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until a signal, and tells what was sold, however that went.
async fn serve(args: &Args) -> Result<(), Error> {
    let journals: Vec<_> = (0..args.shelves).map(|_| Journal::default()).collect();
    let app = Supervisor::new("shop");
    // Before any order is taken.
    let ended = app.run_until_signal(args.deadline);
    open(&app, args, &journals);
    let ended = ended.await;
    report::print(&journals, io::stdout().lock())?;
    if let Some(path) = &args.orders {
        report::save(&journals, path)?;
    }
    ended
}

/// Builds the tree: what is needed comes before what needs it.
fn open(app: &Supervisor, args: &Args, journals: &[Journal]) {
    let seed = args.seed.unwrap_or_else(|| Rng::new().u64(..));
    tracing::info!(seed);
    let mut rng = Rng::with_seed(seed);

    // A shelf that fails again and again has a fault of its own: then the store fails, and with it
    // the shop. Unless it is the monkey's doing.
    let intensity = match args.kill_every {
        Some(_) => Intensity::UNLIMITED,
        None => Intensity::DEFAULT,
    };
    let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(500));
    let options = SupervisorOptions::new().backoff(backoff);
    let store = app.subtree_with("store", options.intensity(intensity));
    let shelf = |(n, journal): (usize, &Journal)| {
        let is_here = |item: &&String| place(item, journals.len()) == n;
        let items: Vec<_> = args.items.iter().filter(is_here).cloned().collect();
        let (journal, stock) = (journal.clone(), args.stock);
        store.child(format!("shelf-{n}"), move || {
            Shelf::open(&items, stock, journal.clone())
        })
    };
    let shelves = Shelves::new(journals.iter().enumerate().map(shelf));

    // Not our fault, and no reason to close the shop, however often it happens.
    let partners = app.subtree_with("partners", options.intensity(Intensity::UNLIMITED));
    let (flakiness, latency) = (args.flakiness, args.latency);
    let mut luck = rng.fork();
    let bank = partners.child("bank", move || Bank {
        flakiness,
        latency,
        rng: luck.fork(),
    });

    let clerk = Clerk {
        bank: bank.clone(),
        shelves: shelves.clone(),
    };
    let clerks = WorkerPool::new(app, "clerks", args.clerks.into(), move || clerk.clone());

    let shop = Shop {
        app: app.clone(),
        shelves: shelves.clone(),
        clerks: clerks.clone(),
        patience: args.patience,
    };
    let router = routes::router(shop);
    // A little longer than the last request may take.
    let patience = args.patience + Duration::from_secs(1);
    let options = ChildOptions::new().stop_timeout(patience + Duration::from_secs(1));
    let address = args.listen;
    app.child_with("front", options, move || {
        Front::new(address, router.clone(), patience)
    });

    if let Some(every) = args.kill_every {
        let mut victims = vec![bank.recipient()];
        victims.extend(shelves.all().iter().map(|shelf| shelf.recipient()));
        let clerks = clerks.supervisor();
        let clerk = |n| clerks.find::<Clerk>(&format!("{}-{n}", clerks.name()));
        victims.extend((1..=args.clerks).filter_map(clerk).map(|it| it.recipient()));
        app.child("monkey", move || Monkey {
            victims: victims.clone(),
            every,
            rng: rng.fork(),
        });
    }
}
