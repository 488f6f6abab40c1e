//! The macros of `actors-core`, which re-exports all of them but `#[task]`, which `actors-net` does.
//!
//! Depend on those, not on this crate: the code that is generated here names nothing but
//! `::actors_core`, `::core` and `::std` (and `::actors_net`, in that of `#[task]`), and the crates
//! are released together.
//!
//! | macro | what it saves writing |
//! |---|---|
//! | [`#[derive(Actor)]`](macro@Actor), [`#[derive(LocalActor)]`](macro@LocalActor) | an `impl` without hooks |
//! | [`#[derive(Message)]`](macro@Message) | an `impl` that names the reply |
//! | [`#[handlers]`](macro@handlers) | a message, its handler and a typed call for each method |
//! | [`#[main]`](macro@main), [`#[test]`](macro@test) | a runtime around an async function |
//! | [`#[task]`](macro@task) | a type whose values are calls of a function, for pools of processes |
//!
//! Where the input is wrong the error stands at the user's own line, and the code is generated all
//! the same, so that one mistake is one error.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod faults;
mod name;
mod owned;
mod self_type;
mod attr;
mod expand;

use proc_macro::TokenStream;
use syn::parse_macro_input;

use crate::attr::Threads;

/// Makes a type an actor that may run on any thread, with no hooks of its own.
///
/// Generates `impl Actor for T {}`. Each type parameter is required to be `Send + 'static` there,
/// so the type itself needs no bounds. To have `started` or `stopped`, write the `impl` by hand.
///
/// ```
/// use actors_core::Actor;
/// # use std::collections::HashMap;
///
/// #[derive(Actor)]
/// struct Cache<K, V> {
///     entries: HashMap<K, V>,
/// }
///
/// # #[actors_core::main]
/// # async fn main() {
/// let cache = Cache::<String, u64> { entries: HashMap::new() }.spawn();
/// # assert!(cache.is_alive());
/// # }
/// ```
#[proc_macro_derive(Actor)]
pub fn derive_actor(input: TokenStream) -> TokenStream {
    expand::actor(parse_macro_input!(input), Threads::Any).into()
}

/// Makes a type an actor that stays on the thread that spawned it, with no hooks of its own.
///
/// Generates `impl LocalActor for T {}`, for state that is not `Send`, such as an `Rc`. Each type
/// parameter is required to be `'static` there.
///
/// ```
/// use actors_core::LocalActor;
/// # use std::{cell::RefCell, rc::Rc};
///
/// #[derive(LocalActor, Default)]
/// struct Screen {
///     lines: Rc<RefCell<Vec<String>>>,
/// }
///
/// # #[actors_core::main(flavor = "current_thread")]
/// # async fn main() {
/// let screen = Screen::default().spawn_local();
/// # assert!(screen.is_alive());
/// # }
/// ```
#[proc_macro_derive(LocalActor)]
pub fn derive_local_actor(input: TokenStream) -> TokenStream {
    expand::actor(parse_macro_input!(input), Threads::One).into()
}

/// Makes a type a message.
///
/// Generates `impl Message for T { type Reply = R; }`, where `#[reply(R)]` names the type of the
/// reply; without it that is `()`. Each type parameter is required to be `Send + 'static` there. A
/// message owns its data, so a type with a lifetime parameter is an error.
///
/// ```
/// use actors_core::{Actor, Context, Handler, Message};
///
/// #[derive(Message)]
/// #[reply(Option<String>)]
/// struct FindUser {
///     id: usize,
/// }
///
/// #[derive(Actor)]
/// struct Users {
///     names: Vec<String>,
/// }
///
/// impl Handler<FindUser> for Users {
///     async fn handle(&mut self, msg: FindUser, _ctx: &mut Context<Self>) -> Option<String> {
///         self.names.get(msg.id).cloned()
///     }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let users = Users { names: vec!["Ada".into()] }.spawn();
/// assert_eq!(users.ask(FindUser { id: 0 }).await?.as_deref(), Some("Ada"));
/// # Ok(())
/// # }
/// ```
#[proc_macro_derive(Message, attributes(reply))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    expand::message(parse_macro_input!(input)).into()
}

/// Makes a message and its handler of each method in an actor's `impl` block.
///
/// ```
/// use actors_core::{Actor, handlers};
///
/// #[derive(Actor, Default)]
/// struct Counter {
///     n: i64,
/// }
///
/// #[handlers]
/// impl Counter {
///     /// Adds `by` and returns the new value.
///     async fn inc(&mut self, by: i64) -> i64 {
///         self.n += by;
///         self.n
///     }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let counter = Counter::default().spawn();
/// assert_eq!(counter.ask(Inc { by: 1 }).await?, 1); // the message
/// assert_eq!(counter.inc(1).await?, 2); // the same, as a method of `CounterApi`
/// # Ok(())
/// # }
/// ```
///
/// # What is generated
///
/// For the method above, what one would write by hand:
///
/// ```
/// # use actors_core::{Actor, Addr, Ask, Context, Handler, Message};
/// # #[derive(Actor)]
/// # struct Counter { n: i64 }
/// # impl Counter {
/// #     async fn inc(&mut self, by: i64) -> i64 { self.n += by; self.n }
/// # }
/// /// Adds `by` and returns the new value.
/// struct Inc {
///     pub by: i64,
/// }
///
/// impl Message for Inc {
///     type Reply = i64;
/// }
///
/// impl Handler<Inc> for Counter {
///     async fn handle(&mut self, msg: Inc, ctx: &mut Context<Self>) -> i64 {
///         Self::inc(self, msg.by).await
///     }
/// }
///
/// trait CounterApi: Send + Sync {
///     /// Adds `by` and returns the new value.
///     fn inc(&self, by: i64) -> Ask<'_, i64>;
/// }
///
/// impl CounterApi for Addr<Counter> {
///     fn inc(&self, by: i64) -> Ask<'_, i64> {
///         self.ask(Inc { by })
///     }
/// }
/// ```
///
/// - Methods take `&mut self` or `&self` and are `async` or not. They stay where they are, so a
///   unit test can call them without an actor.
/// - A parameter becomes a public field, and doc comments on it become those of the field. It has
///   to be owned: a message outlives the stack of its sender. Without parameters the message is a
///   unit struct.
/// - A parameter of type `&mut Context<Self>` (or `&Context<Self>`) is no field: the method gets the
///   context there.
/// - The message is as visible as the method, the trait as visible as the most visible method.
///   A `pub` method's message is `pub`, so the types in its reply have to be as well.
/// - `#[cfg]`, `#[deprecated]` and doc comments hold for what is generated too.
/// - The future of an `async` handler has to be `Send`. One that takes `&self` holds a reference to
///   the actor, so it is `Send` only if the actor is `Sync`; with `&mut self` it need not be.
///
/// # Names
///
/// The message of `find_user` is `FindUser`, in the module of the block. Where a type of that name
/// is there already, the compiler says at the method that the name is defined multiple times:
/// give the message another one with `#[message(Name)]`. A name that the standard library's prelude
/// has, as that of `send` or `none`, has to be given by hand.
///
/// The trait is named after the actor, so a second block for the same actor needs
/// `#[handlers(api = Name)]` or `#[handlers(no_api)]`. A method of the trait that is named like one
/// of `Addr` itself (`ask`, `tell`, `send` and so on) is hidden by it on the address; rename the
/// method, or send its message.
///
/// # Attributes of the block
///
/// | | |
/// |---|---|
/// | `#[handlers(local)]` | for a `LocalActor`: implements `LocalHandler`, whose futures need not be `Send` |
/// | `#[handlers(api = Name)]` | names the trait |
/// | `#[handlers(no_api)]` | leaves the trait out |
///
/// # Attributes of a method
///
/// | | |
/// |---|---|
/// | `#[on]` | handles a message type that is there: the one parameter besides the context, which may be a pattern |
/// | `#[skip]` | is no handler; for functions without `self`, too |
/// | `#[message(Name)]` | names the message |
/// | `#[message(derive(Clone, Debug))]` | derives these for the message, which derives nothing by default; goes with a name, too |
/// | `#[abort_on_cancel]` | when the ask is cancelled, the `async` method is dropped at its next await |
/// | `#[inline_ask]` | an ask of an idle actor runs the method on the asker's own thread, see `Handler::INLINE_ASK` |
///
/// ```
/// # use actors_core::{Actor, Context, Message, handlers};
/// # use std::time::Duration;
/// # #[derive(Actor)]
/// # struct Counter { n: i64 }
/// #[derive(Message)]
/// #[reply(i64)]
/// struct Dec(i64);
///
/// #[handlers]
/// impl Counter {
///     #[on]
///     fn dec(&mut self, Dec(by): Dec) -> i64 {
///         self.n -= by;
///         self.n
///     }
///
///     #[abort_on_cancel]
///     async fn settle(&mut self, ctx: &mut Context<Self>) {
///         # let _ = ctx;
///         tokio::time::sleep(Duration::from_secs(60)).await;
///     }
///
///     #[message(ResetCounter, derive(Clone))]
///     fn reset(&mut self) {
///         self.n = 0;
///     }
///
///     #[skip]
///     fn new(n: i64) -> Self {
///         Self { n }
///     }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let counter = Counter::new(5).spawn();
/// assert_eq!(counter.ask(Dec(2)).await?, 3);
/// counter.ask(ResetCounter).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Generic actors
///
/// A message has only those parameters of the block that its fields or its reply mention, with
/// those of their bounds that mention no others. A type parameter that the reply alone mentions
/// would be unused in the struct, so there it gets a hidden field and a constructor,
/// `Name::new(fields..)`. In the generated `impl`s every type parameter has to be what the actor and
/// its messages have to be, `Send + 'static`, so the block need not say it.
///
/// ```
/// # use actors_core::{Actor, handlers};
/// # use std::{collections::HashMap, hash::Hash};
/// # #[derive(Actor)]
/// # struct Cache<K, V> { entries: HashMap<K, V> }
/// #[handlers]
/// impl<K: Hash + Eq, V: Clone> Cache<K, V> {
///     fn put(&mut self, key: K, value: V) {
///         self.entries.insert(key, value);
///     }
///     fn get(&self, key: K) -> Option<V> {
///         self.entries.get(&key).cloned()
///     }
///     fn len(&self) -> usize {
///         self.entries.len()
///     }
/// }
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let cache = Cache::<&'static str, u64> { entries: HashMap::new() }.spawn();
/// cache.ask(Put { key: "a", value: 1 }).await?;
/// assert_eq!(cache.ask(Get::<&str, u64>::new("a")).await?, Some(1));
/// assert_eq!(cache.get("a").await?, Some(1));
/// assert_eq!(cache.ask(Len).await?, 1);
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn handlers(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::handlers(args.into(), &item.into()).into()
}

/// Runs an async function, such as `main`, on a runtime of its own.
///
/// Generates a function of the same name that is not async, and that blocks on the one as written.
///
/// | option | |
/// |---|---|
/// | `flavor = "multi_thread"` | work-stealing threads; the default |
/// | `flavor = "current_thread"` | the thread that calls, alone |
/// | `worker_threads = 4` | how many threads, for `multi_thread`; as many as there are cores without it |
/// | `start_paused = true` | time stands still until all wait for it, for `current_thread`; needs the feature `test-kit` |
///
/// ```
/// # use actors_core::{Actor, handlers};
/// # #[derive(Actor, Default)]
/// # struct Counter { n: i64 }
/// # #[handlers]
/// # impl Counter {
/// #     fn inc(&mut self, by: i64) -> i64 { self.n += by; self.n }
/// # }
/// #[actors_core::main]
/// async fn main() -> Result<(), actors_core::Error> {
///     let counter = Counter::default().spawn();
///     println!("{}", counter.inc(42).await?);
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::main(args.into(), &item.into()).into()
}

/// Makes an async function a test that runs on a runtime of its own.
///
/// Like [`macro@main`], with the same options, but the default is `flavor = "current_thread"`. Other
/// attributes, such as `#[should_panic]` and `#[ignore]`, work as on any test.
///
/// With the feature `test-kit` of `actors-core`, the test fails when an actor, or a task of one, has
/// panicked and nobody has learned of it: no ask got the error, nobody awaited `stopped()`, watched
/// or supervised the actor, or read the event. There are two more options then:
///
/// | option | |
/// |---|---|
/// | `allow_panics = true` | such a panic is all right |
/// | `no_actor_left = true` | the test fails when an actor that it has spawned does not end with it, within 5 seconds of tokio's time |
///
/// ```
/// # use std::time::Duration;
/// #[actors_core::test(start_paused = true)]
/// async fn an_hour_takes_no_time() {
///     tokio::time::sleep(Duration::from_secs(3_600)).await;
/// }
/// ```
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::test(args.into(), &item.into()).into()
}

/// Makes a function a task: something that can be run by another process.
///
/// Generates, beside the function, a type of the same name; `name::job(..)` makes a call, which is
/// a job for any pool. So do tuples: `name::from((a, b))`. Arguments and result travel by serde: they
/// are owned, and `Serialize` and `DeserializeOwned`.
///
/// Another process finds the function by its path; `#[task(name = "..")]` gives it another name, for
/// programs that are not built of the same sources, and where two would have the same path.
///
/// ```
/// use actors_net::{Pool, ProcessPool, task};
///
/// #[task]
/// fn power(base: u64, exponent: u32) -> u64 {
///     base.pow(exponent)
/// }
///
/// fn main() -> Result<(), actors_net::Error> {
///     actors_net::init(); // first
///     let pool = ProcessPool::new(1)?;
///     assert_eq!(pool.apply(power::job(2, 10))?, 1024);
///     let pairs = [(2, 3), (3, 2)];
///     let powers = pool.blocking_map(pairs.map(power::from));
///     assert_eq!(powers.collect::<Result<Vec<_>, _>>()?, [8, 9]);
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn task(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::task(args.into(), &item.into()).into()
}
