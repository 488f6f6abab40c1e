//! The workers of the pool: each works on one order at a time.
use super::bank::{Authorize, Bank};
use super::monkey::Ping;
use super::shelf::{Order, Sale, Sell, Shelves};
use actors_core::{Actor, Addr, AskError, handlers};

#[derive(Actor, Clone)]
pub(crate) struct Clerk {
    pub(crate) bank: Addr<Bank>,
    pub(crate) shelves: Shelves,
}

#[handlers]
impl Clerk {
    /// Pays, and then sells. The customer's time limit holds for both: these asks get what is left
    /// of it. Whatever fails in between, an order is either on the shelf or it is not.
    pub(crate) async fn place(&mut self, order: Order) -> Result<Sale, AskError> {
        let pieces = order.count;
        self.bank.ask(Authorize { pieces }).await?;
        let shelf = self.shelves.of(&order.item);
        shelf.ask(Sell { order }).await
    }

    #[on]
    fn ping(&mut self, _: Ping) {}
}
