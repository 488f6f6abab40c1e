//! Why a row is not led, where it is not.
use crate::options::Condition;
use crate::sides::Side;

pub(crate) fn reason(_row: &str, _side: &Side, _condition: Condition) -> &'static str {
    "Not looked into yet."
}
