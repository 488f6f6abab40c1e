//! A posted ask is an object: everything that can be done with a `Reply`.
//!
//! `addr.ask(m).await` sends and waits. `addr.ask(m).post()?` only sends, and gives a `Reply`, which
//! can be looked at, waited for, given a time limit, cancelled, or handed on; and which is a future
//! like any other, so whatever combines futures combines replies.
use actors_core::{Actor, Addr, AskError, Context, Error, handlers};
use futures_util::future::{Either, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// An actor that answers when it is let, so that we can look at replies that are not there yet.
#[derive(Actor)]
struct Squarer {
    /// How many more answers it may give.
    allowed: Arc<Semaphore>,
}

#[handlers]
impl Squarer {
    async fn square(&mut self, n: u64) -> u64 {
        let permit = self.allowed.acquire().await;
        permit.expect("the semaphore is never closed").forget();
        n * n
    }

    /// Never answers. Without this attribute the handler would have to listen to
    /// `ctx.cancelled()`, or the actor would be stuck in it for ever.
    #[abort_on_cancel]
    async fn brood(&mut self) -> u64 {
        pending().await
    }
}

/// An actor that is told results.
#[derive(Actor, Default)]
struct Log {
    lines: Vec<String>,
}

#[handlers]
impl Log {
    fn write(&mut self, line: String, ctx: &mut Context<Self>) {
        println!("  {} notes: {line}", ctx.name());
        self.lines.push(line);
    }

    fn len(&self) -> usize {
        self.lines.len()
    }
}

fn squarer() -> (Addr<Squarer>, Arc<Semaphore>) {
    let allowed = Arc::new(Semaphore::new(0));
    let actor = Squarer {
        allowed: Arc::clone(&allowed),
    };
    (actor.spawn(), allowed)
}

#[actors_core::main]
async fn main() -> Result<(), Error> {
    let (squarer_1, allow_1) = squarer();
    let (squarer_2, allow_2) = squarer();

    println!("look at it");
    let mut reply = squarer_1.square(2).post()?;
    println!("  is there a result? {}", reply.is_ready());
    println!("  anything to take? {}", reply.try_take().is_some());
    // An actor handles one message after the other: when the second is done the first is.
    allow_1.add_permits(2);
    squarer_1.square(0).await?;
    println!("  and now? {}", reply.is_ready());
    if let Some(result) = reply.try_take() {
        println!("  taken: {}", result?);
    }

    println!("wait for it");
    let reply = squarer_1.square(3).post()?;
    allow_1.add_permits(1);
    println!("  in a task: {}", reply.await?);
    // A thread waits too, where nothing asynchronous would be held up by that.
    let mut reply = squarer_1.square(4).post()?;
    let allow = Arc::clone(&allow_1);
    let waited = tokio::task::spawn_blocking(move || {
        let early = reply.wait_timeout(Duration::from_millis(1));
        println!("  on a thread, for a millisecond: {}", early.is_some());
        allow.add_permits(1);
        reply.wait()
    });
    println!("  on a thread: {}", waited.await??);

    println!("limit it");
    let mut running = squarer_2.brood().post()?;
    // Behind a message that takes for ever.
    let reply = squarer_2.square(5).post()?;
    let error = reply.timeout(Duration::from_millis(1)).await.unwrap_err();
    println!("  {error}; may have run: {}", error.may_have_run());

    println!("cancel it");
    let mut waiting = squarer_2.square(6).post()?;
    println!("  will never run: {}", waiting.cancel());
    println!("  its result: {}", waiting.await.unwrap_err());
    running.cancel();
    // The handler was dropped where it awaited, so the actor is free again.
    allow_2.add_permits(1);
    println!("  the actor goes on: {}", squarer_2.square(7).await?);

    println!("let it go");
    // Dropped, a reply takes its message along; detached, it does not.
    drop(squarer_2.brood().post()?);
    squarer_2.square(8).post()?.detach();
    allow_2.add_permits(2);
    println!("  all handled before: {}", squarer_2.square(9).await?);

    println!("be told of it");
    let (told, is_told) = oneshot::channel();
    let reply = squarer_1.square(10).post()?;
    reply.on_ready(move |result| {
        // Where the reply is made: mostly in the actor's task. So this is to be short.
        let _ = told.send(result);
    });
    allow_1.add_permits(1);
    println!("  a callback got: {}", is_told.await??);
    let log = Log::default().spawn();
    let reply = squarer_1.square(11).post()?;
    reply.pipe_to(&log, |result| Write {
        line: match result {
            Ok(square) => square.to_string(),
            Err(error) => error.to_string(),
        },
    });
    // The answer to this comes after the one that is piped.
    allow_1.add_permits(2);
    squarer_1.square(0).await?;
    println!("  lines in the log: {}", log.len().await?);

    println!("combine them");
    allow_1.add_permits(3);
    let all = [1, 2, 3].map(|n| squarer_1.square(n));
    let all: Result<Vec<_>, AskError> = join_all(all).await.into_iter().collect();
    println!("  all, in the order of asking: {:?}", all?);

    let mut replies =
        FuturesUnordered::from_iter([squarer_1.square(12).post()?, squarer_2.square(13).post()?]);
    for allow in [&allow_2, &allow_1] {
        allow.add_permits(1);
        if let Some(result) = replies.next().await {
            println!("  as they come: {}", result?);
        }
    }

    let (slow, quick) = (squarer_1.brood().post()?, squarer_2.square(14).post()?);
    allow_2.add_permits(1);
    // The loser is dropped, and its handler with it.
    match select(slow, quick).await {
        Either::Left((slow, _)) => println!("  the first of two: {}", slow?),
        Either::Right((quick, _)) => println!("  the first of two: {}", quick?),
    }

    println!("its actor ends");
    let reply = squarer_1.square(15).post()?;
    squarer_1.kill();
    let error = reply.await.unwrap_err();
    println!("  {error}");
    println!("  asked again: {}", squarer_1.square(15).await.unwrap_err());
    Ok(())
}
