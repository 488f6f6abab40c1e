//! Actors and code that is not asynchronous: threads that call actors, an actor that blocks, and
//! one that stays on its thread.
use actors_core::{Actor, Addr, AskError, Error, LocalActor, SpawnOptions, handlers};
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::thread;

#[derive(Actor, Default)]
struct Counter {
    n: u64,
}

#[handlers]
impl Counter {
    fn add(&mut self, by: u64) -> u64 {
        self.n += by;
        self.n
    }
}

/// Threads know nothing of the runtime; an address is all they need.
fn call_from_threads(counter: &Addr<Counter>) -> Result<u64, Error> {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    // Waits for room in the mailbox, and not for the answer.
                    counter.blocking_send(Add { by: 1 }).expect("it runs");
                }
            });
        }
    });
    Ok(counter.blocking_ask(Add { by: 0 })?)
}

/// An actor that blocks: on a thread of its own it holds up nobody else.
///
/// It is a `LocalActor`, since it never leaves that thread; so its state need not be `Send`.
#[derive(LocalActor)]
struct Printer {
    /// Held for as long as the actor lives: nobody else prints between its lines.
    out: io::StdoutLock<'static>,
    lines: usize,
}

#[handlers(local)]
impl Printer {
    fn print(&mut self, line: String) -> io::Result<usize> {
        // Blocks for as long as whoever reads the output takes.
        writeln!(self.out, "{line}")?;
        self.lines += 1;
        Ok(self.lines)
    }

    /// Calls from here may block too, on what other actors do.
    fn print_sum(&mut self, counter: Addr<Counter>) -> Result<usize, Error> {
        let sum = counter.blocking_ask(Add { by: 0 })?;
        Ok(self.print(format!("the printer asked for the sum itself: {sum}"))?)
    }
}

/// An actor whose state is shared on its thread, by `Rc`.
#[derive(LocalActor)]
struct Notes {
    lines: Rc<RefCell<Vec<String>>>,
}

#[handlers(local)]
impl Notes {
    fn note(&mut self, line: String) -> usize {
        self.lines.borrow_mut().push(line);
        self.lines.borrow().len()
    }
}

// A runtime of one thread, as an event loop: local actors live on it. (With worker threads, put
// them into a `tokio::task::LocalSet`, or on a thread of their own.)
#[actors_core::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let counter = Counter::default().spawn();

    // Here a blocking call would stop the very loop that the actor needs to answer; so it is
    // refused, at once, and nothing was sent.
    let error = counter.blocking_ask(Add { by: 1 }).unwrap_err();
    assert!(matches!(error, AskError::WouldBlock) && !error.may_have_run());
    println!("in a task: {error}");
    let error = counter.blocking_send(Add { by: 1 }).unwrap_err();
    println!("and the message is given back: {}", error.into_message().by);

    // On a thread it is right, whether the runtime knows the thread or not.
    let sum = tokio::task::spawn_blocking({
        let counter = counter.clone();
        move || call_from_threads(&counter)
    });
    println!("four threads have counted to {}", sum.await??);

    // What makes the state runs on the thread where it stays.
    let printer = SpawnOptions::new()
        .name("printer")
        .spawn_local_thread(|| Printer {
            out: io::stdout().lock(),
            lines: 0,
        })?;
    printer
        .print("a line from the printer's thread".into())
        .await??;
    let lines = printer.print_sum(counter.clone()).await??;
    printer.stop();
    // With its state, which holds the lock, dropped.
    printer.stopped().await;
    println!("the printer has printed {lines} lines");

    let lines = Rc::new(RefCell::new(Vec::new()));
    let notes = Notes {
        lines: Rc::clone(&lines),
    };
    let notes = notes.spawn_local();
    notes.note("from the same thread".into()).await?;
    // Its address goes everywhere, though it does not.
    let elsewhere = thread::spawn({
        let notes = notes.clone();
        move || {
            notes.blocking_ask(Note {
                line: "from another one".into(),
            })
        }
    });
    // The loop has to run for the answer, so the thread is waited for where that may block.
    let joined = tokio::task::spawn_blocking(move || elsewhere.join()).await?;
    println!("notes: {}", joined.expect("the thread ends")?);
    println!("read without a message: {:?}", lines.borrow());
    Ok(())
}
