//! What is left when all actors have stopped: what was sold.
use super::journal::Journal;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes a line for each item, with its orders and pieces.
pub(crate) fn print(journals: &[Journal], mut to: impl Write) -> io::Result<()> {
    let mut sold = BTreeMap::new();
    for order in journals.iter().flat_map(Journal::orders) {
        let (orders, pieces): &mut (u64, u64) = sold.entry(order.item).or_default();
        *orders += 1;
        *pieces += order.count;
    }
    for (item, (orders, pieces)) in sold {
        writeln!(to, "{item}: {orders} orders, {pieces} pieces")?;
    }
    to.flush()
}

/// Writes all orders as lines of JSON.
pub(crate) fn save(journals: &[Journal], path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for order in journals.iter().flat_map(Journal::orders) {
        serde_json::to_writer(&mut file, &order)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}
