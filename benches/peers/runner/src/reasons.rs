//! Why a row is not led, where it is not.
use crate::options::Condition;
use crate::sides::{Kind, Side};

pub(crate) fn reason(row: &str, side: &Side, condition: Condition) -> &'static str {
    match (row, side.kind, condition) {
        _ => "Not looked into yet.",
    }
}
