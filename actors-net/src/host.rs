//! An actor that can live in a worker process, and the process's side: it makes the actor, hands it what comes, and sends back what it answers.
use crate::task::panic_text;
use crate::wire;
use actors_core::{Actor, Addr, Error, Handler, Message, SpawnOptions, StopReason};
use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, type_name};
use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::codec::LengthDelimitedCodec;

/// An actor that can live in a process of its own.
///
/// Its messages and their replies travel by serde; [`process_actor!`](crate::process_actor) lists
/// them. Its state is made there, from what is sent along.
///
/// A crash of the process is a failure of the actor that stands for it here, and of nothing else;
/// supervised, it is started again.
///
/// ```
/// use actors_core::{Actor, Error, handlers};
/// use actors_net::{ProcessActor, process_actor, spawn_process};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Actor)]
/// struct Counter { n: i64 }
///
/// #[handlers]
/// impl Counter {
///     #[message(derive(Serialize, Deserialize))]
///     fn inc(&mut self, by: i64) -> i64 {
///         self.n += by;
///         self.n
///     }
///     #[message(derive(Serialize, Deserialize))]
///     fn crash(&mut self) {
///         std::process::abort()
///     }
/// }
///
/// impl ProcessActor for Counter {
///     type Init = i64;
///     fn make(n: i64) -> Result<Self, Error> {
///         Ok(Self { n })
///     }
/// }
/// process_actor!(Counter: Inc, Crash);
///
/// fn main() -> Result<(), Error> {
///     actors_net::init(); // first
///     run()
/// }
///
/// #[actors_core::main]
/// async fn run() -> Result<(), Error> {
///     let counter = spawn_process::<Counter>(&40);
///     assert_eq!(counter.ask(Inc { by: 2 }).await?, 42);
///     assert!(counter.ask(Crash {}).await.is_err());
///     assert!(!counter.stopped().await.is_normal());
///     Ok(())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot live in another process",
    label = "does not say how it is made there",
    note = "write `impl ProcessActor for {Self}`, and list its messages by \
            `process_actor!({Self}: ..)`"
)]
pub trait ProcessActor: Actor {
    /// What the state is made from.
    type Init: Serialize + DeserializeOwned + Send + 'static;

    /// Makes the state, in the other process.
    ///
    /// # Errors
    ///
    /// Why it cannot be made; the actor does not start then.
    fn make(init: Self::Init) -> Result<Self, Error>;
}

/// That an actor's process knows a message; written by [`process_actor!`](crate::process_actor).
#[diagnostic::on_unimplemented(
    message = "the process of `{Self}` does not know `{M}`",
    label = "not listed",
    note = "list it: `process_actor!({Self}: {M})`"
)]
pub trait Carries<M>: ProcessActor + Handler<M>
where
    M: Message<Reply: Serialize + DeserializeOwned> + Serialize + DeserializeOwned,
{
}

/// Lists the messages that an actor takes when it lives in another process: see
/// [`ProcessActor`].
#[macro_export]
macro_rules! process_actor {
    ($actor:ty: $($message:ty),+ $(,)?) => {
        $(impl $crate::__private::Carries<$message> for $actor {})+
        $crate::__private::submit! {
            $crate::__private::ActorEntry::of::<$actor>(&const {
                [$($crate::__private::MessageEntry::of::<$actor, $message>()),+]
            })
        }
    };
}

/// Makes an actor, or says why not.
type Make = fn(&[u8]) -> Result<Box<dyn Hosted>, String>;
/// Gives an actor a message with this number, or says why not.
type Deliver = fn(&dyn Any, u64, &[u8], &Out) -> Result<(), String>;
/// Where answers go.
#[derive(Clone)]
struct Out {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    /// How long a frame may be.
    limit: u32,
}

impl Out {
    fn send(&self, frame: Vec<u8>) {
        // An error: the process is about to end.
        let _ = self.frames.send(frame);
    }

    fn reply<R: Serialize>(&self, id: u64, reply: &R) {
        match wire::numbered(wire::DONE, id, reply) {
            Ok(frame) if frame.len() - wire::LENGTH <= self.limit as usize => self.send(frame),
            Ok(frame) => {
                let (length, limit) = (frame.len(), self.limit);
                self.lost(
                    id,
                    &format!("it takes {length} bytes, and the limit is {limit}"),
                );
            }
            Err(error) => self.lost(id, &format!("it could not be written: {error}")),
        }
    }

    /// There is no reply.
    fn lost(&self, id: u64, why: &str) {
        if let Ok(frame) = wire::numbered(wire::LOST, id, &why) {
            self.send(frame);
        }
    }
}

/// An actor as a process finds it.
#[derive(Debug)]
pub struct ActorEntry {
    name: fn() -> &'static str,
    make: Make,
    messages: &'static [MessageEntry],
}

inventory::collect!(ActorEntry);

/// One of its messages.
#[derive(Debug)]
pub struct MessageEntry {
    name: fn() -> &'static str,
    deliver: Deliver,
}

impl ActorEntry {
    /// For the code that `process_actor!` writes.
    pub const fn of<A: ProcessActor>(messages: &'static [MessageEntry]) -> Self {
        Self {
            name: type_name::<A>,
            make: make::<A>,
            messages,
        }
    }
}

impl MessageEntry {
    /// For the code that `process_actor!` writes.
    pub const fn of<A, M>() -> Self
    where
        A: Carries<M>,
        M: Message<Reply: Serialize + DeserializeOwned> + Serialize + DeserializeOwned,
    {
        Self {
            name: type_name::<M>,
            deliver: deliver::<A, M>,
        }
    }
}

/// An actor that lives here, with its type forgotten.
trait Hosted: Send + Sync {
    fn any(&self) -> &dyn Any;
    fn stop(&self);
    fn stopped(&self) -> Pin<Box<dyn Future<Output = StopReason> + Send + '_>>;
}

impl<A: Actor> Hosted for Addr<A> {
    fn any(&self) -> &dyn Any {
        self
    }

    fn stop(&self) {
        Self::stop(self);
    }

    fn stopped(&self) -> Pin<Box<dyn Future<Output = StopReason> + Send + '_>> {
        Box::pin(Self::stopped(self))
    }
}

fn make<A: ProcessActor>(init: &[u8]) -> Result<Box<dyn Hosted>, String> {
    let init = wire::decode::<A::Init>(init)
        .map_err(|error| format!("what it is made from could not be read: {error}"))?;
    let made = catch_unwind(AssertUnwindSafe(|| A::make(init)));
    let actor = match made {
        Ok(Ok(actor)) => actor,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(payload) => return Err(panic_text(&*payload)),
    };
    // The other side counts what is under way.
    let options = SpawnOptions::new().unbounded();
    let addr = options.spawn(actor).map_err(|error| error.to_string())?;
    Ok(Box::new(addr))
}

fn deliver<A, M>(actor: &dyn Any, id: u64, payload: &[u8], out: &Out) -> Result<(), String>
where
    A: Carries<M>,
    M: Message<Reply: Serialize + DeserializeOwned> + Serialize + DeserializeOwned,
{
    let message = wire::decode::<M>(payload)
        .map_err(|error| format!("a `{}` could not be read: {error}", type_name::<M>()))?;
    let addr = actor.downcast_ref::<Addr<A>>().ok_or("another actor")?;
    let reply = addr.try_ask(message).map_err(|error| error.to_string())?;
    let out = out.clone();
    reply.on_ready(move |result| match result {
        Ok(reply) => out.reply(id, &reply),
        Err(error) => out.lost(id, &error.to_string()),
    });
    Ok(())
}

/// Runs the actor of this name until it ends, or until the channel does.
pub(crate) fn host(channel: &StdUnixStream, name: &str, init: &[u8], limit: u32) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let channel = channel.try_clone()?;
    channel.set_nonblocking(true)?;
    runtime.block_on(async {
        let entry = inventory::iter::<ActorEntry>
            .into_iter()
            .find(|entry| (entry.name)() == name);
        let made = match entry {
            Some(entry) => (entry.make)(init).map(|actor| (entry, actor)),
            None => Err(format!(
                "the program has no `process_actor!` for the actor `{name}`"
            )),
        };
        let (reader, mut writer) = UnixStream::from_std(channel)?.into_split();
        let ready = wire::frame(wire::READY, &made.as_ref().map(drop).map_err(Clone::clone));
        writer.write_all(&ready.map_err(io::Error::other)?).await?;
        let Ok((entry, actor)) = made else {
            return Ok(());
        };
        let actor: Arc<dyn Hosted> = Arc::from(actor);
        let (frames, mut answers) = mpsc::unbounded_channel::<Vec<u8>>();
        let out = Out { frames, limit };
        let ends = tokio::spawn({
            let (actor, out) = (Arc::clone(&actor), out.clone());
            async move {
                let reason = actor.stopped().await;
                let (kind, text) = match &reason {
                    StopReason::Normal => (wire::END, String::new()),
                    StopReason::Panicked(text) => (wire::PANICKED, text.to_string()),
                    StopReason::Failed(error) => (wire::REFUSED, error.to_string()),
                    other => (wire::REFUSED, other.to_string()),
                };
                out.send(wire::bytes(kind, text.as_bytes()));
            }
        });
        let writes = tokio::spawn(async move {
            while let Some(first) = answers.recv().await {
                // Those that wait already go along.
                let mut frames = first;
                while let Ok(next) = answers.try_recv() {
                    frames.extend_from_slice(&next);
                }
                if writer.write_all(&frames).await.is_err() {
                    break;
                }
            }
        });
        let mut frames = LengthDelimitedCodec::builder()
            .little_endian()
            .length_field_length(wire::LENGTH)
            .max_frame_length(limit as usize)
            .new_read(reader);
        let takes = async {
            while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut frames).poll_next(cx)).await {
                match frame.split_first() {
                    Some((&wire::STOP, _)) => actor.stop(),
                    Some((_, payload)) => take(entry, &*actor, payload, &out),
                    None => {}
                }
            }
        };
        tokio::select! {
            // The other side has gone.
            () = takes => {}
            _ = ends => {}
        }
        drop(actor);
        drop(out);
        let _ = writes.await;
        Ok(())
    })
}

/// Gives the actor a message.
fn take(entry: &ActorEntry, actor: &dyn Hosted, payload: &[u8], out: &Out) {
    let Ok((id, name, payload)) = wire::read_message(payload) else {
        return;
    };
    let message = entry.messages.iter().find(|entry| (entry.name)() == name);
    let taken = match message {
        Some(message) => (message.deliver)(actor.any(), id, payload, out),
        None => Err(format!("the program does not list the message `{name}`")),
    };
    if let Err(why) = taken {
        out.lost(id, &why);
    }
}
