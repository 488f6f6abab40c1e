#![deny(warnings, missing_docs, unreachable_pub, missing_debug_implementations)]
//! What is generated has the visibility of what it is generated from, and no lint minds it.

/// A bank.
pub mod bank {
    use actors_core::{Actor, Context, handlers};

    /// Holds money.
    #[derive(Actor, Debug, Default)]
    pub struct Bank {
        amount: i64,
    }

    #[derive(Debug)]
    pub(crate) struct Audited(pub(crate) i64);

    struct Secret;

    #[handlers]
    impl Bank {
        /// Pays in.
        pub fn pay(
            &mut self,
            /// How much.
            amount: i64,
        ) -> i64 {
            self.amount += amount;
            self.amount
        }
        pub(crate) fn audit(&mut self) -> Audited {
            Audited(self.amount)
        }
        fn hide(&mut self, secret: Secret, _ctx: &mut Context<Self>) {
            drop(secret);
        }
    }

    /// Used inside only.
    pub(crate) async fn hide(bank: &actors_core::Addr<Bank>) {
        let _ = bank.ask(Hide { secret: Secret }).await;
    }

    mod vault {
        use actors_core::{Actor, handlers};

        #[derive(Actor)]
        pub(super) struct Vault;

        #[handlers]
        impl Vault {
            pub(super) fn open(&mut self) {}
            fn close(&mut self) {}
        }
    }

    pub(crate) async fn open() {
        use vault::VaultApi;
        let vault = vault::Vault.spawn();
        let _ = vault.open().await;
        let _ = vault.ask(vault::Open).await;
        let _ = vault.close().await;
    }
}

use actors_core::Actor as _;
use bank::BankApi as _;

#[actors_core::main]
async fn main() -> Result<(), actors_core::Error> {
    let bank = bank::Bank::default().spawn();
    assert_eq!(bank.pay(1).await?, 1);
    assert_eq!(bank.ask(bank::Pay { amount: 1 }).await?, 2);
    assert_eq!(bank.audit().await?.0, 2);
    bank::hide(&bank).await;
    bank::open().await;
    Ok(())
}
