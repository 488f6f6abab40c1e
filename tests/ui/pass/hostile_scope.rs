//! Generated code finds its own names whatever the user's module has.
#![allow(dead_code, non_camel_case_types)]

mod scope {
    pub type Option = ();
    pub type Result = ();
    pub type String = ();
    pub type Box = ();
    pub type i64 = ();
    pub struct Send;
    pub struct Sync;
    pub struct Some;
    pub struct None;
    pub struct Ok;
    pub struct Message;
    pub struct Handler;
    pub struct Actor;
    pub struct Ask;
    pub struct Addr;
    pub mod core {}
    pub mod std {}
    pub mod actors_core {}
}

use scope::*;

#[derive(::actors_core::Actor)]
struct Counter;

#[derive(::actors_core::Message)]
#[reply(u8)]
struct Get;

#[::actors_core::handlers]
impl Counter {
    fn inc(&mut self, msg: u8, ctx: u8) -> u8 {
        msg + ctx
    }
    #[abort_on_cancel]
    async fn wait(&mut self, cancellation: u8, ctx: &mut ::actors_core::Context<Self>) -> u8 {
        let _ = ctx;
        cancellation
    }
    #[on]
    fn get(&mut self, _: Get) -> u8 {
        1
    }
}

/// A trait with methods of the same names does not get in the way.
trait Other {
    fn inc(&self) {}
    fn handle(&self) {}
}

impl<T> Other for T {}

#[::actors_core::main(worker_threads = 1)]
async fn main() {}
