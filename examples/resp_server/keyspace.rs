//! Keys, their values, and until when they live.
use crate::resp::{Refusal, WRONG_TYPE};
use crate::values::{Kind, Text, Value};
use hashbrown::HashMap;
use std::collections::BTreeSet;
use std::mem;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Milliseconds since 1970, which do not jump when the system's clock does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
    began_at: i64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            began: Instant::now(),
            began_at: now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(0)),
        }
    }

    pub(crate) fn now(self) -> i64 {
        let since = i64::try_from(self.began.elapsed().as_millis());
        self.began_at.saturating_add(since.unwrap_or(i64::MAX))
    }
}

type Key = Box<[u8]>;

/// The part of a database that one shard has.
#[derive(Debug, Default)]
pub(crate) struct Keyspace {
    entries: HashMap<Key, Entry>,
    /// The keys that end, the next one first.
    ends: BTreeSet<(i64, Key)>,
}

#[derive(Debug)]
struct Entry {
    value: Value,
    ends: Option<i64>,
}

/// A text gives memory back that it has not used for its last value.
const KEEP: usize = 1 << 10;

impl Keyspace {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many keys end some day.
    pub(crate) fn ending(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// When the next key ends.
    pub(crate) fn next_end(&self) -> Option<i64> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Removes a key if its time is over. To be called before a key is looked at.
    pub(crate) fn expire(&mut self, key: &[u8], now: i64) {
        if self.ends.is_empty() {
            return;
        }
        let ends = self.entries.get(key).and_then(|entry| entry.ends);
        if ends.is_some_and(|end| end < now) {
            self.remove(key);
        }
    }

    /// Removes keys whose time is over, so many at most. Gives whether there are more.
    pub(crate) fn sweep(&mut self, now: i64, most: usize) -> bool {
        for _ in 0..most {
            match self.ends.first() {
                Some((end, _)) if *end < now => {}
                _ => return false,
            }
            if let Some((_, key)) = self.ends.pop_first() {
                self.entries.remove(&key);
            }
        }
        true
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.entries.contains_key(key)
    }

    pub(crate) fn kind(&self, key: &[u8]) -> Option<&'static str> {
        self.entries.get(key).map(|entry| entry.value.kind())
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// It is of another kind.
    pub(crate) fn get<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&mut K>, Refusal> {
        match self.entries.get_mut(key) {
            None => Ok(None),
            Some(entry) => K::of(&mut entry.value).map(Some).ok_or(WRONG_TYPE),
        }
    }

    /// The value of a key, which is empty if it was not there.
    ///
    /// # Errors
    ///
    /// It is of another kind.
    pub(crate) fn get_or_new<K: Kind>(&mut self, key: &[u8]) -> Result<&mut K, Refusal> {
        if !self.entries.contains_key(key) {
            let entry = Entry {
                value: K::default().into_value(),
                ends: None,
            };
            self.entries.insert(key.into(), entry);
        }
        self.get(key)?.ok_or(WRONG_TYPE)
    }

    /// Puts a text under a key in the place of what was there; its end stays if `keep_end`.
    pub(crate) fn put(&mut self, key: &[u8], text: &[u8], keep_end: bool) {
        let Some(entry) = self.entries.get_mut(key) else {
            let entry = Entry {
                value: Value::Text(text.to_vec()),
                ends: None,
            };
            self.entries.insert(key.into(), entry);
            return;
        };
        match &mut entry.value {
            Value::Text(old) if old.capacity() <= KEEP.max(2 * text.len()) => {
                old.clear();
                old.extend_from_slice(text);
            }
            other => *other = Value::Text(text.to_vec()),
        }
        if !keep_end {
            self.set_end(key, None);
        }
    }

    /// Removes a text, and gives it.
    ///
    /// # Errors
    ///
    /// It is of another kind, and stays.
    pub(crate) fn take(&mut self, key: &[u8]) -> Result<Option<Text>, Refusal> {
        let text = self.get::<Text>(key)?.map(mem::take);
        if text.is_some() {
            self.remove(key);
        }
        Ok(text)
    }

    /// Removes a key. False: it was not there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        match self.entries.remove_entry(key) {
            None => false,
            Some((key, entry)) => {
                if let Some(end) = entry.ends {
                    self.ends.remove(&(end, key));
                }
                true
            }
        }
    }

    /// Removes a collection that has nothing left.
    pub(crate) fn remove_if_empty(&mut self, key: &[u8]) {
        if (self.entries.get(key)).is_some_and(|entry| entry.value.is_empty()) {
            self.remove(key);
        }
    }

    /// When a key ends, if it does.
    pub(crate) fn end(&self, key: &[u8]) -> Option<i64> {
        self.entries.get(key)?.ends
    }

    /// Sets when a key ends, or that it does not.
    pub(crate) fn set_end(&mut self, key: &[u8], end: Option<i64>) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let old = mem::replace(&mut entry.ends, end);
        if let Some(old) = old {
            self.ends.remove(&(old, key.into()));
        }
        if let Some(end) = end {
            self.ends.insert((end, key.into()));
        }
    }
}
