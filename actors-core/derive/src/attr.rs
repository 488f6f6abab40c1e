//! Attributes, read into typed options; what cannot be read becomes a fault at its own place.

mod handlers;
mod method;
mod reply;
mod runtime;
mod task;

pub(crate) use self::handlers::{ApiTrait, HandlersOptions, Threads};
pub(crate) use self::method::{MessageOptions, MethodOptions, Role};
pub(crate) use self::reply::reply;
pub(crate) use self::runtime::{Entry, Flavor, RuntimeOptions};
pub(crate) use self::task::TaskOptions;
