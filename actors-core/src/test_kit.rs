//! For tests of programs that are built on actors. With the feature `test-kit`, as a
//! dev-dependency:
//!
//! ```toml
//! [dev-dependencies]
//! actors-core = { version = "0.1", features = ["test-kit"] }
//! ```
//!
//! - [`#[actors_core::test]`](macro@crate::test) fails a test in which an actor panics and nobody
//!   learns of it; its options pause time and find actors that are left over.
//! - A [`Probe`] stands in for an actor that the one under test talks to.
use crate::actor::{Actor, Handler, Message};
use crate::addr::Addr;
use crate::cell::Context;
use crate::recipient::Recipient;
use crate::spawn::SpawnOptions;
use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long [`Probe::recv`] waits.
const LIMIT: Duration = Duration::from_secs(5);

/// An actor that takes messages of one type and hands them to the test.
///
/// Dropped, it lets go of the actor, which goes on answering for as long as somebody has its address;
/// what it is told then is dropped.
///
/// ```
/// use actors_core::test_kit::Probe;
/// use actors_core::{Actor, Message, Recipient, handlers};
///
/// #[derive(Message, Clone, Debug, PartialEq)]
/// struct Alarm { degrees: i32 }
///
/// #[derive(Actor)]
/// struct Thermometer { listener: Recipient<Alarm> }
///
/// #[handlers]
/// impl Thermometer {
///     fn measured(&mut self, degrees: i32) {
///         if degrees > 40 {
///             let _ = self.listener.tell(Alarm { degrees });
///         }
///     }
/// }
///
/// # #[actors_core::main]
/// # async fn main() {
/// // in an `#[actors_core::test]`:
/// let mut probe = Probe::new();
/// let thermometer = Thermometer { listener: probe.recipient() }.spawn();
/// thermometer.measured(39).await.unwrap();
/// thermometer.measured(41).await.unwrap();
/// assert_eq!(probe.recv().await, Alarm { degrees: 41 });
/// assert_eq!(probe.try_recv(), None);
/// # }
/// ```
pub struct Probe<M: Message> {
    recorder: Addr<Recorder<M>>,
    received: mpsc::UnboundedReceiver<M>,
}

impl<M: Message<Reply = ()>> Probe<M> {
    /// One that answers at once.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn new() -> Self {
        Self::answering(|_| ())
    }
}

impl<M: Message<Reply = ()>> Default for Probe<M> {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Message> Probe<M> {
    /// One that answers what the function says, in its actor. A panic of the function is a panic of
    /// the actor.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn answering(answer: impl FnMut(&M) -> M::Reply + Send + 'static) -> Self {
        let (heard, received) = mpsc::unbounded_channel();
        let recorder = Recorder {
            heard,
            answer: Box::new(answer),
        };
        match SpawnOptions::new().spawn(recorder) {
            Ok(recorder) => Self { recorder, received },
            Err(error) => panic!("{error}"),
        }
    }

    /// The actor, for whoever is to send to it.
    pub fn recipient(&self) -> Recipient<M> {
        self.recorder.recipient()
    }

    /// The next message, in the order in which they were handled. The message was answered before.
    ///
    /// Dropping the future loses no message.
    ///
    /// # Panics
    ///
    /// When there is none for 5 seconds of tokio's time, which may be paused.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = M> + '_ {
        let caller = Location::caller();
        async move {
            match tokio::time::timeout(LIMIT, self.received.recv()).await {
                Ok(Some(message)) => message,
                Ok(None) => panic!("the probe was stopped ({caller})"),
                Err(_) => panic!("no `{}` came within {LIMIT:?} ({caller})", type_name::<M>()),
            }
        }
    }

    /// The next message, if one has been handled.
    pub fn try_recv(&mut self) -> Option<M> {
        self.received.try_recv().ok()
    }

    /// Stops the actor, as a peer that goes away.
    pub fn stop(&self) {
        self.recorder.stop();
    }
}

impl<M: Message> fmt::Debug for Probe<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("recorder", &self.recorder)
            .field("waiting", &self.received.len())
            .finish()
    }
}

type Answer<M> = dyn FnMut(&M) -> <M as Message>::Reply + Send;

/// The actor of a probe.
struct Recorder<M: Message> {
    heard: mpsc::UnboundedSender<M>,
    answer: Box<Answer<M>>,
}

impl<M: Message> Actor for Recorder<M> {
    const HAS_HOOKS: bool = false;
}

impl<M: Message> Handler<M> for Recorder<M> {
    async fn handle(&mut self, message: M, _: &mut Context<Self>) -> M::Reply {
        let reply = (self.answer)(&message);
        // A probe that was dropped does not want to know.
        let _ = self.heard.send(message);
        reply
    }
}
