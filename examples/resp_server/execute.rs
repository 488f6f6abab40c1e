//! What the commands do to the keys of one shard.
use crate::codec::{Words, integer};
use crate::command::{Verb, quoted};
use crate::keyspace::Keyspace;
use crate::resp::{NOT_AN_INTEGER, Refusal, SYNTAX, Writer};
use crate::values::{Fields, List, Members, Text};

/// Carries out a command that belongs to one key, or all of one that this shard has all keys of.
///
/// The number of words was checked.
pub(crate) fn execute(
    verb: Verb,
    words: Words<'_>,
    space: &mut Keyspace,
    now: i64,
    out: &mut Writer,
) -> Result<(), Refusal> {
    let key = words.word(1);
    space.expire(key, now);
    match verb {
        Verb::Get => {
            let text = space.get::<Text>(key)?;
            out.bulk_or_null(text.map(|text| &text[..]));
        }
        Verb::Set => set(words, space, now, out)?,
        Verb::Setnx => {
            let is_new = !space.contains(key);
            if is_new {
                space.put(key, words.word(2), false);
            }
            out.integer(is_new.into());
        }
        Verb::Getset => {
            let old = space.get::<Text>(key)?;
            out.bulk_or_null(old.map(|text| &text[..]));
            space.put(key, words.word(2), false);
        }
        Verb::Getdel => {
            let text = space.take(key)?;
            out.bulk_or_null(text.as_deref());
        }
        Verb::Append => {
            let text = space.get_or_new::<Text>(key)?;
            if text.len() + words.word(2).len() > LONGEST_TEXT {
                return Err(Refusal::new(
                    "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
                ));
            }
            text.extend_from_slice(words.word(2));
            out.integer(len(text.len()));
        }
        Verb::Strlen => {
            let text = space.get::<Text>(key)?;
            out.integer(text.map_or(0, |text| len(text.len())));
        }
        Verb::Incr => add(key, 1, space, out)?,
        Verb::Decr => add(key, -1, space, out)?,
        Verb::Incrby => add(key, number(words.word(2))?, space, out)?,
        Verb::Decrby => {
            let by = number(words.word(2))?.checked_neg();
            let by = by.ok_or(Refusal::new("ERR decrement would overflow"))?;
            add(key, by, space, out)?;
        }
        Verb::Type => out.simple(space.kind(key).unwrap_or("none")),
        Verb::Expire => expire(words, 1000, "expire", space, now, out)?,
        Verb::Pexpire => expire(words, 1, "pexpire", space, now, out)?,
        Verb::Ttl => {
            let left = time_left(key, space, now);
            out.integer(if left < 0 { left } else { (left + 500) / 1000 });
        }
        Verb::Pttl => out.integer(time_left(key, space, now)),
        Verb::Persist => {
            let had_end = space.end(key).is_some();
            space.set_end(key, None);
            out.integer(had_end.into());
        }
        Verb::Lpush | Verb::Rpush => {
            let list = space.get_or_new::<List>(key)?;
            for word in words.from(2) {
                match verb {
                    Verb::Lpush => list.push_front(word.into()),
                    _ => list.push_back(word.into()),
                }
            }
            out.integer(len(list.len()));
        }
        Verb::Lpop | Verb::Rpop => pop(verb, words, space, out)?,
        Verb::Llen => {
            let list = space.get::<List>(key)?;
            out.integer(list.map_or(0, |list| len(list.len())));
        }
        Verb::Lrange => {
            let (first, last) = (number(words.word(2))?, number(words.word(3))?);
            let Some(list) = space.get::<List>(key)? else {
                out.array(0);
                return Ok(());
            };
            let range = range(first, last, list.len());
            out.array(range.len());
            for item in list.range(range) {
                out.bulk(item);
            }
        }
        Verb::Hset => {
            let fields = space.get_or_new::<Fields>(key)?;
            let mut added = 0;
            let mut words = words.from(2);
            while let (Some(field), Some(value)) = (words.next(), words.next()) {
                match fields.get_mut(field) {
                    Some(old) => *old = value.into(),
                    None => {
                        fields.insert(field.into(), value.into());
                        added += 1;
                    }
                }
            }
            out.integer(added);
        }
        Verb::Hget => {
            let fields = space.get::<Fields>(key)?;
            let value = fields.and_then(|fields| fields.get(words.word(2)));
            out.bulk_or_null(value.map(|value| &value[..]));
        }
        Verb::Hdel => {
            let fields = space.get::<Fields>(key)?;
            let removed = fields.map_or(0, |fields| {
                let removed = words
                    .from(2)
                    .filter(|field| fields.remove(*field).is_some());
                removed.count()
            });
            space.remove_if_empty(key);
            out.integer(len(removed));
        }
        Verb::Hgetall => {
            let fields = space.get::<Fields>(key)?.map(|fields| &*fields);
            out.map(fields.map_or(0, |fields| fields.len()));
            for (field, value) in fields.into_iter().flatten() {
                out.bulk(field);
                out.bulk(value);
            }
        }
        Verb::Hlen => {
            let fields = space.get::<Fields>(key)?;
            out.integer(fields.map_or(0, |fields| len(fields.len())));
        }
        Verb::Sadd => {
            let members = space.get_or_new::<Members>(key)?;
            let before = members.len();
            for word in words.from(2) {
                members.get_or_insert_with(word, |word| word.into());
            }
            out.integer(len(members.len() - before));
        }
        Verb::Srem => {
            let members = space.get::<Members>(key)?;
            let removed = members.map_or(0, |members| {
                words.from(2).filter(|word| members.remove(*word)).count()
            });
            space.remove_if_empty(key);
            out.integer(len(removed));
        }
        Verb::Smembers => {
            let members = space.get::<Members>(key)?.map(|members| &*members);
            out.set(members.map_or(0, |members| members.len()));
            for member in members.into_iter().flatten() {
                out.bulk(member);
            }
        }
        Verb::Sismember => {
            let members = space.get::<Members>(key)?;
            let is_in = members.is_some_and(|members| members.contains(words.word(2)));
            out.integer(is_in.into());
        }
        Verb::Scard => {
            let members = space.get::<Members>(key)?;
            out.integer(members.map_or(0, |members| len(members.len())));
        }
        // Not for one key.
        _ => return Err(Refusal::new("ERR not a command of a key")),
    }
    Ok(())
}

/// As long as Redis lets a text become.
const LONGEST_TEXT: usize = 512 << 20;

/// A length as a reply.
pub(crate) fn len(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn number(word: &[u8]) -> Result<i64, Refusal> {
    integer(word).ok_or(NOT_AN_INTEGER)
}

fn invalid_end(command: &str) -> Refusal {
    format!("ERR invalid expire time in '{command}' command").into()
}

fn add(key: &[u8], by: i64, space: &mut Keyspace, out: &mut Writer) -> Result<(), Refusal> {
    let old = match space.get::<Text>(key)? {
        Some(text) => number(text)?,
        None => 0,
    };
    let new = old
        .checked_add(by)
        .ok_or(Refusal::new("ERR increment or decrement would overflow"))?;
    let mut digits = itoa::Buffer::new();
    space.put(key, digits.format(new).as_bytes(), true);
    out.integer(new);
    Ok(())
}

/// The options of `SET`.
#[derive(Default)]
struct SetOptions<'a> {
    only_new: bool,
    only_old: bool,
    get: bool,
    keep_end: bool,
    /// By which option an end is given, and which.
    end: Option<(End, &'a [u8])>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Seconds,
    Milliseconds,
    AtSecond,
    AtMillisecond,
}

impl<'a> SetOptions<'a> {
    fn of(words: Words<'a>) -> Result<Self, Refusal> {
        let mut options = Self::default();
        let mut words = words.from(3);
        while let Some(word) = words.next() {
            let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
            if is(b"NX") && !options.only_old {
                options.only_new = true;
                continue;
            }
            if is(b"XX") && !options.only_new {
                options.only_old = true;
                continue;
            }
            if is(b"GET") {
                options.get = true;
                continue;
            }
            if is(b"KEEPTTL") && options.end.is_none() {
                options.keep_end = true;
                continue;
            }
            let end = match word {
                _ if is(b"EX") => End::Seconds,
                _ if is(b"PX") => End::Milliseconds,
                _ if is(b"EXAT") => End::AtSecond,
                _ if is(b"PXAT") => End::AtMillisecond,
                _ => return Err(SYNTAX),
            };
            let another = options.end.is_some_and(|(other, _)| other != end);
            let value = words.next().filter(|_| !another && !options.keep_end);
            options.end = Some((end, value.ok_or(SYNTAX)?));
        }
        Ok(options)
    }

    fn end(&self, now: i64) -> Result<Option<i64>, Refusal> {
        let Some((end, word)) = self.end else {
            return Ok(None);
        };
        let value = Some(number(word)?).filter(|value| *value > 0);
        let at = match end {
            End::Seconds => value.and_then(|s| s.checked_mul(1000)?.checked_add(now)),
            End::Milliseconds => value.and_then(|ms| ms.checked_add(now)),
            End::AtSecond => value.and_then(|s| s.checked_mul(1000)),
            End::AtMillisecond => value,
        };
        at.map(Some).ok_or_else(|| invalid_end("set"))
    }
}

fn set(words: Words<'_>, space: &mut Keyspace, now: i64, out: &mut Writer) -> Result<(), Refusal> {
    let (key, text) = (words.word(1), words.word(2));
    if words.len() == 3 {
        space.put(key, text, false);
        out.ok();
        return Ok(());
    }
    let options = SetOptions::of(words)?;
    let end = options.end(now)?;
    if options.get {
        let old = space.get::<Text>(key)?;
        out.bulk_or_null(old.map(|text| &text[..]));
    }
    let is_there = space.contains(key);
    if options.only_new && is_there || options.only_old && !is_there {
        if !options.get {
            out.null();
        }
        return Ok(());
    }
    space.put(key, text, options.keep_end);
    if end.is_some() {
        space.set_end(key, end);
    }
    if !options.get {
        out.ok();
    }
    Ok(())
}

fn expire(
    words: Words<'_>,
    unit: i64,
    command: &str,
    space: &mut Keyspace,
    now: i64,
    out: &mut Writer,
) -> Result<(), Refusal> {
    let key = words.word(1);
    let [
        mut only_endless,
        mut only_ending,
        mut only_later,
        mut only_earlier,
    ] = [false; 4];
    for word in words.from(3) {
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        let option = match word {
            _ if is(b"NX") => &mut only_endless,
            _ if is(b"XX") => &mut only_ending,
            _ if is(b"GT") => &mut only_later,
            _ if is(b"LT") => &mut only_earlier,
            _ => {
                let option = quoted(word, usize::MAX);
                return Err([b"ERR Unsupported option ", option].concat().into());
            }
        };
        *option = true;
    }
    if only_endless && (only_ending || only_later || only_earlier) {
        return Err(Refusal::new(
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        ));
    }
    if only_later && only_earlier {
        return Err(Refusal::new(
            "ERR GT and LT options at the same time are not compatible",
        ));
    }
    let within = number(words.word(2))?.checked_mul(unit);
    let end = within.and_then(|within| within.checked_add(now));
    let end = end.ok_or_else(|| invalid_end(command))?;
    let old = space.end(key);
    let refused = !space.contains(key)
        || only_endless && old.is_some()
        || only_ending && old.is_none()
        || only_later && old.is_none_or(|old| end <= old)
        || only_earlier && old.is_some_and(|old| end >= old);
    if refused {
        out.integer(0);
        return Ok(());
    }
    if end <= now {
        space.remove(key);
    } else {
        space.set_end(key, Some(end));
    }
    out.integer(1);
    Ok(())
}

/// In milliseconds; -1: for ever, -2: there is no such key.
fn time_left(key: &[u8], space: &Keyspace, now: i64) -> i64 {
    match space.end(key) {
        Some(end) => (end - now).max(0),
        None if space.contains(key) => -1,
        None => -2,
    }
}

fn pop(
    verb: Verb,
    words: Words<'_>,
    space: &mut Keyspace,
    out: &mut Writer,
) -> Result<(), Refusal> {
    let key = words.word(1);
    let count = match words.len() {
        2 => None,
        _ => Some(
            integer(words.word(2))
                .and_then(|count| usize::try_from(count).ok())
                .ok_or(Refusal::new("ERR value is out of range, must be positive"))?,
        ),
    };
    let Some(list) = space.get::<List>(key)? else {
        match count {
            None => out.null(),
            Some(_) => out.null_array(),
        }
        return Ok(());
    };
    let mut next = || match verb {
        Verb::Lpop => list.pop_front(),
        _ => list.pop_back(),
    };
    match count {
        None => out.bulk_or_null(next().as_deref()),
        Some(count) => {
            let popped: Vec<_> = std::iter::from_fn(next).take(count).collect();
            out.array(popped.len());
            for item in popped {
                out.bulk(&item);
            }
        }
    }
    space.remove_if_empty(key);
    Ok(())
}

/// From the first to the last item, which are counted from the end if negative.
fn range(first: i64, last: i64, len: usize) -> std::ops::Range<usize> {
    let place = |at: i64| match usize::try_from(at) {
        Ok(at) => Some(at),
        Err(_) => len.checked_sub(usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let first = place(first).unwrap_or(0);
    let end = place(last).map_or(0, |last| last.saturating_add(1).min(len));
    first.min(end)..end
}
