//! Options to tokens: one file per macro, and what `#[handlers]` is made of above it.

use proc_macro2::Span;

mod generics;
mod actor;
mod message;
mod signature;
mod method;
mod block;
mod payload;
mod handler;
mod api;
mod handlers;
mod entry;
mod task;

pub(crate) use self::actor::actor;
pub(crate) use self::entry::{main, test};
pub(crate) use self::handlers::handlers;
pub(crate) use self::message::message;
pub(crate) use self::task::task;

/// Generated code that an error shows at `place`, the user's own line.
///
/// It still counts as the macro's code, so that lints keep away from what the user did not write.
fn shown_at(place: Span) -> Span {
    Span::mixed_site().located_at(place)
}
