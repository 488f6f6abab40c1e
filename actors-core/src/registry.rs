//! Names to addresses.
use crate::addr::Addr;
use crate::cell::{Cell, Live};
use crate::mailbox::{Tx, WeakTx};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::any::Any;
use std::borrow::Cow;
use std::sync::LazyLock;

/// The actors that were spawned under a name of their own.
static NAMES: LazyLock<DashMap<Cow<'static, str>, Named>> = LazyLock::new(DashMap::new);

struct Named {
    id: crate::id::ActorId,
    /// A `WeakTx` of the actor's type.
    tx: Box<dyn Any + Send + Sync>,
}

/// Finds the live actor that was spawned under a name, with
/// [`SpawnOptions::registered`](crate::SpawnOptions::registered).
///
/// `None` when there is none, when it is of another type, or when it accepts no more messages.
///
/// ```
/// use actors_core::{Actor, SpawnOptions, lookup};
///
/// #[derive(Actor)]
/// struct Db;
///
/// # #[actors_core::main]
/// # async fn main() -> Result<(), actors_core::Error> {
/// let db = SpawnOptions::new().registered("db").spawn(Db)?;
/// assert_eq!(lookup::<Db>("db"), Some(db.clone()));
/// db.stop();
/// db.stopped().await;
/// assert_eq!(lookup::<Db>("db"), None);
/// # Ok(())
/// # }
/// ```
pub fn lookup<A: 'static>(name: &str) -> Option<Addr<A>> {
    let tx = NAMES
        .get(name)?
        .tx
        .downcast_ref::<WeakTx<Live<A>, Cell>>()?
        .clone();
    (!tx.keep().queue().is_closed()).then(|| Addr { tx: tx.tx() })
}

/// Takes the name of the actor for it. False: another one has it.
pub(crate) fn register<A: 'static>(tx: &Tx<Live<A>, Cell>) -> bool {
    let cell = tx.beside();
    match NAMES.entry(cell.name.clone()) {
        Entry::Occupied(_) => false,
        Entry::Vacant(entry) => {
            entry.insert(Named {
                id: cell.id,
                tx: Box::new(WeakTx::of(tx)),
            });
            true
        }
    }
}

/// Frees the name, if this actor has it.
pub(crate) fn unregister(cell: &Cell) {
    NAMES.remove_if(&cell.name, |_, named| named.id == cell.id);
}
