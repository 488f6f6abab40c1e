//! `Factory`: what makes the state of a supervised child, again for each incarnation.
use crate::actor::Actor;
use crate::error::Error;
use std::future::Future;

/// Makes the state of a supervised child: a closure that gives the actor, a `Result` of it, or a
/// future of either.
///
/// It is called for each incarnation. An error and a panic are failures of the child, as those of
/// its `started` are. Of the two parameters, the second is found by the compiler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not make a `{A}`",
    label = "not a factory of `{A}`",
    note = "a factory is a closure `FnMut() -> Actor`, `FnMut() -> Result<Actor, Error>`, or one \
            that returns a `Send` future of either",
    note = "it is called for each incarnation, so what it carries stays with it, and is \
            `Send + 'static`"
)]
pub trait Factory<A, Form>: Send + 'static {
    /// Makes one state.
    fn make(&mut self) -> impl Future<Output = Result<A, Error>> + Send;
}

/// Gives the actor.
#[derive(Debug)]
pub enum Plain {}

/// Gives the actor or an error.
#[derive(Debug)]
pub enum Fallible {}

/// Gives a future of the actor.
#[derive(Debug)]
pub enum Later {}

/// Gives a future of the actor or an error.
#[derive(Debug)]
pub enum FallibleLater {}

#[diagnostic::do_not_recommend]
impl<F, A> Factory<A, Plain> for F
where
    F: FnMut() -> A + Send + 'static,
    A: Actor,
{
    async fn make(&mut self) -> Result<A, Error> {
        Ok(self())
    }
}

#[diagnostic::do_not_recommend]
impl<F, A, E> Factory<A, Fallible> for F
where
    F: FnMut() -> Result<A, E> + Send + 'static,
    A: Actor,
    E: Into<Error>,
{
    async fn make(&mut self) -> Result<A, Error> {
        self().map_err(Into::into)
    }
}

#[diagnostic::do_not_recommend]
impl<F, T, A> Factory<A, Later> for F
where
    F: FnMut() -> T + Send + 'static,
    T: Future<Output = A> + Send,
    A: Actor,
{
    async fn make(&mut self) -> Result<A, Error> {
        Ok(self().await)
    }
}

#[diagnostic::do_not_recommend]
impl<F, T, A, E> Factory<A, FallibleLater> for F
where
    F: FnMut() -> T + Send + 'static,
    T: Future<Output = Result<A, E>> + Send,
    A: Actor,
    E: Into<Error> + Send,
{
    async fn make(&mut self) -> Result<A, Error> {
        self().await.map_err(Into::into)
    }
}
