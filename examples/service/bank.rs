//! The flaky dependency: takes its time, and panics now and then.
use super::monkey::Ping;
use actors_core::{Actor, handlers};
use fastrand::Rng;
use std::time::Duration;

#[derive(Actor)]
pub(crate) struct Bank {
    /// How often it panics, from 0 to 1.
    pub(crate) flakiness: f64,
    pub(crate) latency: Duration,
    pub(crate) rng: Rng,
}

#[handlers]
impl Bank {
    /// Authorizes a payment. One that no sale follows lapses by itself.
    pub(crate) async fn authorize(&mut self, pieces: u64) {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        if self.rng.f64() < self.flakiness {
            panic!("the line to the bank broke down, with {pieces} pieces to pay");
        }
    }

    #[on]
    fn ping(&mut self, _: Ping) {}
}
