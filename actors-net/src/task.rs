//! `Task`: a function that another process can find by its name.
use crate::wire::{self, Whole};
use actors_core::Job;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A call of a function marked [`#[task]`](macro@crate::task): a job that can be sent to another process.
///
/// Arguments and results travel by serde, so both have to be `Serialize` and `DeserializeOwned`.
/// What is not, such as an open file, has no meaning elsewhere.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "has no name by which the other process could find it",
    note = "mark a function with `#[task]` and pass a call of it: `name::job(..)`",
    note = "closures run on a `ThreadPool`"
)]
pub trait Task: Job<Output: Serialize + DeserializeOwned> {
    /// The arguments, as a tuple.
    type Args: Serialize + DeserializeOwned + Send + 'static;

    /// By this name the function is found in the other process: its path, unless told otherwise.
    const NAME: &'static str;

    /// The arguments of this call.
    fn args(&self) -> &Self::Args;

    /// A call with these arguments.
    fn from_args(args: Self::Args) -> Self;
}

/// A task as a worker finds it.
#[derive(Debug)]
pub struct Entry {
    name: &'static str,
    run: fn(&[u8]) -> Vec<u8>,
    run_chunk: fn(&[u8]) -> Vec<u8>,
}

inventory::collect!(Entry);

impl Entry {
    /// For the code that `#[task]` writes.
    pub const fn of<T: Task>() -> Self {
        Self {
            name: T::NAME,
            run: run::<T>,
            run_chunk: run_chunk::<T>,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Runs a job or a chunk of them, and gives the frame of the answer.
    pub(crate) fn run(&self, kind: u8, args: &[u8]) -> Vec<u8> {
        match kind {
            wire::CHUNK => (self.run_chunk)(args),
            _ => (self.run)(args),
        }
    }
}

fn run<T: Task>(args: &[u8]) -> Vec<u8> {
    let args = match wire::decode::<T::Args>(args) {
        Ok(args) => args,
        Err(error) => return unread(&error),
    };
    match call::<T>(args) {
        Ok(output) => {
            wire::frame(wire::DONE, &Whole(&output)).unwrap_or_else(|error| unsent(&error))
        }
        Err(text) => wire::bytes(wire::PANICKED, text.as_bytes()),
    }
}

fn run_chunk<T: Task>(args: &[u8]) -> Vec<u8> {
    let args = match wire::decode::<Vec<T::Args>>(args) {
        Ok(args) => args,
        Err(error) => return unread(&error),
    };
    let results: Vec<Result<T::Output, String>> = args.into_iter().map(call::<T>).collect();
    wire::frame(wire::DONE, &results).unwrap_or_else(|error| unsent(&error))
}

fn unread(error: &wire::Fault) -> Vec<u8> {
    let text = format!("the arguments could not be read: {error}");
    wire::bytes(wire::REFUSED, text.as_bytes())
}

fn unsent(error: &wire::Fault) -> Vec<u8> {
    let text = format!("the result could not be written: {error}");
    wire::bytes(wire::LOST, text.as_bytes())
}

fn call<T: Task>(args: T::Args) -> Result<T::Output, String> {
    catch_unwind(AssertUnwindSafe(|| T::from_args(args).run())).map_err(|payload| {
        let text = panic_text(&*payload);
        // Its destructor may panic, too.
        std::mem::forget(payload);
        text
    })
}

pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic whose payload is not text")
        .to_owned()
}
