//! What reaches an actor without being sent by another: items of streams, ticks, results of
//! futures, the ends of actors. And how an answer, or a message, is kept for later.
//!
//! All of it arrives as messages, so a handler never has to look after two things at once. Time
//! here is tokio's and paused, so the program takes none, and prints the same each time.
use actors_core::{
    Actor, Addr, Context, Deferred, Error, Message, SpawnOptions, StopReason, Stopped, Timer,
    handlers,
};
use futures_util::stream;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A stream, attached.
#[derive(Actor, Default)]
struct Sum {
    sum: u64,
}

#[handlers]
impl Sum {
    fn listen(&mut self, ctx: &mut Context<Self>) {
        // Polled only while there is room in the mailbox, which is smaller than the stream is long.
        let numbers = stream::iter(1..=1000);
        ctx.attach_then(numbers, |n| Add { n }, Ended);
    }

    fn add(&mut self, n: u64) {
        self.sum += n;
    }

    /// Comes behind the last item.
    fn ended(&mut self, ctx: &mut Context<Self>) {
        println!("  the stream's sum: {}", self.sum);
        ctx.stop();
    }
}

/// Ticks, and an end when nothing happens.
struct Clock {
    began: Instant,
    ticking: Option<Timer>,
    ticks: u32,
}

impl Actor for Clock {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        self.ticking = Some(ctx.notify_every(Duration::from_secs(10), || Tick));
        // Half an hour without anything, and it stops by itself.
        ctx.set_idle_timeout(Some(Duration::from_secs(1800)));
        Ok(())
    }

    async fn stopped(&mut self, _ctx: &mut Context<Self>, _reason: &StopReason) {
        println!("  {:>5} s: nothing to do any more", self.seconds());
    }
}

#[handlers]
impl Clock {
    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.ticks += 1;
        println!("  {:>5} s: tick", self.seconds());
        if self.ticks == 3 {
            if let Some(ticking) = self.ticking.take() {
                ticking.cancel();
            }
            ctx.notify_after(Duration::from_secs(60), Ring);
        }
    }

    fn ring(&mut self) {
        println!("  {:>5} s: ring", self.seconds());
    }

    #[skip]
    fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }
}

/// Work beside the handlers: the actor goes on, and the result arrives as a message.
#[derive(Actor, Default)]
struct Librarian {
    /// Who has asked for the pages that are being fetched.
    asked: HashMap<u32, Vec<Deferred<String>>>,
}

#[handlers]
impl Librarian {
    /// Answers when the page is there. Until then the actor handles other messages.
    async fn page(&mut self, number: u32, ctx: &mut Context<Self>) -> String {
        let asked = self.asked.entry(number).or_default();
        if asked.is_empty() {
            ctx.pipe(fetch(number), move |text| Fetched { number, text });
        }
        // The last thing that this handler does: its reply is taken away from it.
        ctx.defer(|reply| asked.push(reply)).await
    }

    fn fetched(&mut self, number: u32, text: String) {
        for reply in self.asked.remove(&number).into_iter().flatten() {
            reply.answer(text.clone());
        }
    }
}

/// Later pages are fetched faster.
async fn fetch(number: u32) -> String {
    sleep(Duration::from_secs(u64::from(10 - number))).await;
    format!("page {number}")
}

/// Messages that come too early are put aside.
#[derive(Actor, Default)]
struct Door {
    is_open: bool,
}

#[derive(Message)]
#[reply(Result<String, Error>)]
struct Enter {
    name: &'static str,
}

#[handlers]
impl Door {
    #[on]
    async fn enter(&mut self, msg: Enter, ctx: &mut Context<Self>) -> Result<String, Error> {
        if !self.is_open {
            // An error when too many wait already; else it comes again, and is answered then.
            return ctx.stash(msg)?.await;
        }
        Ok(format!("{} is in", msg.name))
    }

    fn open(&mut self, ctx: &mut Context<Self>) -> usize {
        self.is_open = true;
        let waiting = ctx.stashed();
        // Before all that waits in the mailbox, in the order in which it came.
        ctx.unstash_all();
        waiting
    }
}

/// Learns of the ends of others.
struct Watchman {
    watched: Vec<Addr<Door>>,
}

impl Actor for Watchman {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        for door in &self.watched {
            ctx.watch(door);
        }
        Ok(())
    }
}

#[handlers(no_api)]
impl Watchman {
    #[on]
    fn stopped(&mut self, notice: Stopped, ctx: &mut Context<Self>) {
        println!("  {} {}", notice.actor.name(), notice.reason);
        self.watched.retain(|door| door.id() != notice.actor.id());
        if self.watched.is_empty() {
            ctx.stop();
        }
    }
}

#[actors_core::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Error> {
    println!("a stream");
    let sum = SpawnOptions::new().capacity(16).spawn(Sum::default())?;
    sum.listen().await?;
    sum.stopped().await;

    println!("timers");
    let clock = Clock {
        began: Instant::now(),
        ticking: None,
        ticks: 0,
    };
    clock.spawn().stopped().await;

    println!("a future beside the handlers, and answers given later");
    let librarian = Librarian::default().spawn();
    let (three, seven) = (librarian.page(3).post()?, librarian.page(7).post()?);
    // The second was asked for later and is there first.
    let again = librarian.page(3).post()?;
    println!("  {}", seven.await?);
    // Fetched once for both.
    println!("  {}, {}", three.await?, again.await?);

    println!("messages put aside");
    let options = SpawnOptions::new().name("front door").stash_capacity(2);
    let front = options.spawn(Door::default())?;
    let (ann, bob) = (Enter { name: "Ann" }, Enter { name: "Bob" });
    let (ann, bob) = (front.ask(ann).post()?, front.ask(bob).post()?);
    let error = front.ask(Enter { name: "Cid" }).await?.unwrap_err();
    println!("  Cid has to go: {error}");
    println!("  waiting: {}", front.open().await?);
    println!("  {}, {}", ann.await??, bob.await??);

    println!("the ends of others");
    let back = SpawnOptions::new()
        .name("back door")
        .spawn(Door::default())?;
    let watchman = Watchman {
        watched: vec![front.clone(), back.clone()],
    };
    let watchman = watchman.spawn();
    front.stop();
    front.stopped().await;
    back.kill();
    watchman.stopped().await;
    Ok(())
}
