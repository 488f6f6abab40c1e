//! What can lie under a key.
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;

pub(crate) type Text = Vec<u8>;
pub(crate) type List = VecDeque<Box<[u8]>>;
pub(crate) type Fields = HashMap<Box<[u8]>, Box<[u8]>>;
pub(crate) type Members = HashSet<Box<[u8]>>;

/// A value of one of the four kinds.
#[derive(Debug)]
pub(crate) enum Value {
    Text(Text),
    List(List),
    Fields(Fields),
    Members(Members),
}

impl Value {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Fields(_) => "hash",
            Self::Members(_) => "set",
        }
    }

    /// Whether it is a collection of nothing, which is not kept.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Fields(fields) => fields.is_empty(),
            Self::Members(members) => members.is_empty(),
        }
    }
}

/// One of the kinds of values.
pub(crate) trait Kind: Default {
    fn of(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
}

macro_rules! kind {
    ($kind:ident) => {
        impl Kind for $kind {
            fn of(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$kind(value) => Some(value),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$kind(self)
            }
        }
    };
}

kind!(Text);
kind!(List);
kind!(Fields);
kind!(Members);
