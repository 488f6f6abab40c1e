//! The store: actors that each keep some of the items, and the orders for them.
use super::journal::Journal;
use super::monkey::Ping;
use actors_core::{Actor, Addr, handlers};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A number of pieces of one item. The customer chooses the id, so that asking again for the same
/// order is the same order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Order {
    pub(crate) item: String,
    pub(crate) id: String,
    pub(crate) count: u64,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sale {
    /// It was accepted.
    New,
    /// It had been accepted before.
    Known,
    /// Another order has this id.
    IdTaken,
    /// There are so few pieces left.
    SoldOut(u64),
    NoSuchItem,
}

/// How it stands with an item.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Level {
    pub(crate) item: String,
    pub(crate) left: u64,
    pub(crate) sold: u64,
    pub(crate) orders: usize,
}

/// Keeps some of the items.
#[derive(Actor)]
pub(crate) struct Shelf {
    items: HashMap<String, Item>,
    journal: Journal,
}

struct Item {
    left: u64,
    orders: BTreeMap<String, u64>,
}

impl Item {
    fn take(&mut self, order: Order) {
        self.left -= order.count;
        self.orders.insert(order.id, order.count);
    }
}

impl Shelf {
    /// Begins with so many pieces of each item, less those that the journal says were sold. So it
    /// is the same after a failure as before.
    pub(crate) fn open(items: &[String], stock: u64, journal: Journal) -> Self {
        let full = || Item {
            left: stock,
            orders: BTreeMap::new(),
        };
        let mut items: HashMap<_, _> = items.iter().cloned().map(|it| (it, full())).collect();
        for order in journal.orders() {
            if let Some(item) = items.get_mut(&order.item) {
                item.take(order);
            }
        }
        Self { items, journal }
    }
}

#[handlers]
impl Shelf {
    /// Sells, once for each id.
    pub(crate) fn sell(&mut self, order: Order) -> Sale {
        let Some(item) = self.items.get_mut(&order.item) else {
            return Sale::NoSuchItem;
        };
        match item.orders.get(&order.id) {
            Some(count) if *count == order.count => return Sale::Known,
            Some(_) => return Sale::IdTaken,
            None if item.left < order.count => return Sale::SoldOut(item.left),
            None => {}
        }
        // First what is not lost, then the state: whatever happens in between, the next
        // incarnation knows of the order.
        self.journal.append(order.clone());
        item.take(order);
        Sale::New
    }

    /// How many pieces were ordered by this id.
    pub(crate) fn ordered(&mut self, item: String, id: String) -> Option<u64> {
        self.items.get(&*item)?.orders.get(&id).copied()
    }

    pub(crate) fn levels(&mut self) -> Vec<Level> {
        let level = |(item, it): (&String, &Item)| Level {
            item: item.clone(),
            left: it.left,
            sold: it.orders.values().sum(),
            orders: it.orders.len(),
        };
        self.items.iter().map(level).collect()
    }

    #[on]
    fn ping(&mut self, _: Ping) {}
}

/// All shelves. An item is always on the same one.
#[derive(Clone)]
pub(crate) struct Shelves(Arc<[Addr<Shelf>]>);

impl Shelves {
    pub(crate) fn new(shelves: impl IntoIterator<Item = Addr<Shelf>>) -> Self {
        Self(shelves.into_iter().collect())
    }

    pub(crate) fn of(&self, item: &str) -> &Addr<Shelf> {
        &self.0[place(item, self.0.len())]
    }

    pub(crate) fn all(&self) -> &[Addr<Shelf>] {
        &self.0
    }
}

/// On which of so many shelves an item is.
pub(crate) fn place(item: &str, shelves: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    item.hash(&mut hasher);
    // Less than the number of shelves, so no bits are lost.
    (hasher.finish() % shelves as u64) as usize
}
