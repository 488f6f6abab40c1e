//! The wire format: bytes of a client become batches of commands. Knows no actors and no commands.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use bytes::{Buf, BytesMut};
use std::io;
use std::mem;
use tokio_util::codec::{Decoder, Encoder};

/// A batch is closed once its commands are so long together.
const BATCH: usize = 32 << 10;
/// How long a line without its end may be.
const LONGEST_LINE: usize = 64 << 10;
/// What a client may announce: Redis takes so many words for one command.
const MOST_WORDS: i64 = i32::MAX as i64;
/// Up to here it costs less to copy a reply behind others than to hand over its memory.
const SMALL: usize = 1 << 10;

/// Reads commands and writes replies, which are bytes already.
#[derive(Debug)]
pub(crate) struct Codec {
    largest_word: i64,
    /// How far the first command of the buffer was read, if it is not whole.
    progress: Progress,
    /// What came before cannot be understood, so what follows cannot be either.
    broken: bool,
}

#[derive(Debug, Default)]
struct Progress {
    at: usize,
    /// How many words are missing; 0: the command has not begun.
    missing: usize,
    words: Vec<Place>,
}

/// Where a word lies in the bytes of its batch.
#[derive(Clone, Copy, Debug)]
struct Place {
    begin: u32,
    len: u32,
}

/// All whole commands that lay in the buffer, up to a limit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: BytesMut,
    words: Vec<Place>,
    /// Behind which word each command ends.
    ends: Vec<u32>,
    fault: Option<Vec<u8>>,
}

/// The words of one command: its name and its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a> {
    bytes: &'a [u8],
    places: &'a [Place],
}

impl Batch {
    /// How many commands there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The command with this number. One that is not there has no words.
    pub(crate) fn command(&self, number: usize) -> Words<'_> {
        let end_of = |number: usize| self.ends.get(number).map_or(0, |end| *end as usize);
        let begin = number.checked_sub(1).map_or(0, end_of);
        Words {
            bytes: &self.bytes,
            places: self.words.get(begin..end_of(number)).unwrap_or_default(),
        }
    }

    /// What is wrong with that which follows the commands. After it nothing can be read.
    pub(crate) fn fault(&self) -> Option<&[u8]> {
        self.fault.as_deref()
    }
}

impl<'a> Words<'a> {
    /// How many there are.
    pub(crate) fn len(self) -> usize {
        self.places.len()
    }

    /// A word. One that is not there is empty.
    pub(crate) fn word(self, number: usize) -> &'a [u8] {
        let place = self.places.get(number);
        place.map_or(&[], |place| place.of(self.bytes))
    }

    /// All words from this one on.
    pub(crate) fn from(self, first: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        let places = self.places.get(first..).unwrap_or_default();
        places.iter().map(move |place| place.of(self.bytes))
    }
}

impl Place {
    fn new(begin: usize, len: usize) -> Option<Self> {
        Some(Self {
            begin: begin.try_into().ok()?,
            len: len.try_into().ok()?,
        })
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        let begin = self.begin as usize;
        bytes
            .get(begin..begin + self.len as usize)
            .unwrap_or_default()
    }
}

impl Codec {
    /// Takes words of up to so many bytes.
    pub(crate) fn new(largest_word: usize) -> Self {
        Self {
            largest_word: largest_word.try_into().unwrap_or(i64::MAX),
            progress: Progress::default(),
            broken: false,
        }
    }

    /// Reads on in the command that begins or goes on at `progress.at`.
    fn read(&self, source: &mut [u8], progress: &mut Progress) -> Step {
        if progress.missing == 0 {
            match source.get(progress.at) {
                None => return Step::Incomplete,
                Some(b'*') => {}
                Some(_) => return read_inline(source, progress),
            }
            let count = match line(source, progress.at) {
                Line::Whole(count, next) => {
                    progress.at = next;
                    count.filter(|count| *count <= MOST_WORDS)
                }
                Line::Incomplete => return Step::Incomplete,
                Line::TooLong => return Step::fault("too big mbulk count string"),
            };
            match count {
                None => return Step::fault("invalid multibulk length"),
                Some(..=0) => return Step::Nothing,
                Some(count) => progress.missing = usize::try_from(count).unwrap_or_default(),
            }
        }
        while progress.missing > 0 {
            let (len, next) = match line(source, progress.at) {
                Line::Whole(len, next) => (len, next),
                Line::Incomplete => return Step::Incomplete,
                Line::TooLong => return Step::fault("too big bulk count string"),
            };
            match source.get(progress.at) {
                Some(b'$') | None => {}
                Some(other) => {
                    return Step::Fault([b"expected '$', got '", &[*other][..], b"'"].concat());
                }
            }
            let len = len.filter(|len| (0..=self.largest_word).contains(len));
            let Some(len) = len.and_then(|len| usize::try_from(len).ok()) else {
                return Step::fault("invalid bulk length");
            };
            if source.len() - next < len + 2 {
                return Step::Incomplete;
            }
            let Some(place) = Place::new(next, len) else {
                return Step::fault("too big request");
            };
            progress.words.push(place);
            progress.at = next + len + 2;
            progress.missing -= 1;
        }
        Step::Command
    }
}

/// What was found.
enum Step {
    Command,
    /// A command of no words, which is passed over.
    Nothing,
    Incomplete,
    Fault(Vec<u8>),
}

impl Step {
    fn fault(text: &str) -> Self {
        Self::Fault(text.into())
    }
}

/// A line that says how many there are of something.
enum Line {
    /// The number behind its first byte, if it is one, and where the next line begins.
    Whole(Option<i64>, usize),
    Incomplete,
    TooLong,
}

fn line(source: &[u8], at: usize) -> Line {
    let rest = source.get(at..).unwrap_or_default();
    if let [_, digit @ b'0'..=b'9', b'\r', _, ..] = rest {
        // Most lines.
        return Line::Whole(Some(i64::from(*digit - b'0')), at + 4);
    }
    match rest.iter().position(|byte| *byte == b'\r') {
        // What follows the first half of a line's end is taken for the second.
        Some(end) if end + 1 < rest.len() => {
            let line = rest.get(1..end).unwrap_or_default();
            Line::Whole(integer(line), at + end + 2)
        }
        None if rest.len() > LONGEST_LINE => Line::TooLong,
        _ => Line::Incomplete,
    }
}

/// Reads a command that is a line, as people type it.
fn read_inline(source: &mut [u8], progress: &mut Progress) -> Step {
    let begin = progress.at;
    let rest = source.get_mut(begin..).unwrap_or_default();
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
        return if rest.len() > LONGEST_LINE {
            Step::fault("too big inline request")
        } else {
            Step::Incomplete
        };
    };
    progress.at = begin + end + 1;
    let line = rest.get_mut(..end).unwrap_or_default();
    let text = match line {
        [text @ .., b'\r'] => text,
        text => text,
    };
    let before = progress.words.len();
    match split(text, begin, &mut progress.words) {
        Err(Unbalanced) => Step::fault("unbalanced quotes in request"),
        Ok(()) if progress.words.len() == before => Step::Nothing,
        Ok(()) => Step::Command,
    }
}

struct Unbalanced;

/// Splits a line into its words. Those in quotes are put down without them in the same place, since
/// they become shorter.
fn split(line: &mut [u8], offset: usize, words: &mut Vec<Place>) -> Result<(), Unbalanced> {
    let byte = |line: &[u8], at: usize| line.get(at).copied().filter(|byte| *byte != 0);
    let mut at = 0;
    loop {
        while byte(line, at).is_some_and(is_space) {
            at += 1;
        }
        if byte(line, at).is_none() {
            return Ok(());
        }
        let begin = at;
        let mut end = at;
        let mut quote = None;
        loop {
            let here = byte(line, at);
            let put = match (quote, here) {
                (None, None | Some(b' ' | b'\n' | b'\r' | b'\t')) => break,
                (None, Some(b'"' | b'\'')) => {
                    quote = here;
                    None
                }
                (None, byte) => byte,
                (Some(_), None) => return Err(Unbalanced),
                (Some(closing), Some(here)) if closing == here => {
                    at += 1;
                    if byte(line, at).is_some_and(|next| !is_space(next)) {
                        return Err(Unbalanced);
                    }
                    break;
                }
                (Some(b'"'), Some(b'\\')) => {
                    let hex = |at| byte(line, at).and_then(hex_digit);
                    match (byte(line, at + 1), hex(at + 2), hex(at + 3)) {
                        (Some(b'x'), Some(high), Some(low)) => {
                            at += 3;
                            Some(high << 4 | low)
                        }
                        (None, ..) => Some(b'\\'),
                        (Some(escaped), ..) => {
                            at += 1;
                            Some(match escaped {
                                b'n' => b'\n',
                                b'r' => b'\r',
                                b't' => b'\t',
                                b'b' => 8,
                                b'a' => 7,
                                other => other,
                            })
                        }
                    }
                }
                (Some(b'\''), Some(b'\\')) if byte(line, at + 1) == Some(b'\'') => {
                    at += 1;
                    Some(b'\'')
                }
                (Some(_), here) => here,
            };
            at += 1;
            if let Some(put) = put {
                if let Some(place) = line.get_mut(end) {
                    *place = put;
                }
                end += 1;
            }
        }
        words.extend(Place::new(offset + begin, end - begin));
    }
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn hex_digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// An integer as Redis takes it: decimal, without a plus, spaces or zeros that say nothing.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !is_negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    // 19 digits are less than 2^64.
    let mut number: u64 = 0;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number = number * 10 + u64::from(digit);
    }
    if is_negative {
        0i64.checked_sub_unsigned(number)
    } else {
        number.try_into().ok()
    }
}

impl Decoder for Codec {
    type Item = Batch;
    type Error = io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Batch>, io::Error> {
        if self.broken {
            source.clear();
            return Ok(None);
        }
        let mut progress = mem::take(&mut self.progress);
        let mut batch = Batch::default();
        if progress.words.capacity() == 0 && !source.is_empty() {
            // What many commands together have; more grows as it comes.
            progress.words.reserve(source.len().min(BATCH) / 12 + 1);
            batch.ends.reserve(source.len().min(BATCH) / 32 + 1);
        }
        // Where the last whole command ends.
        let mut whole = 0;
        let mut words = 0;
        while whole < BATCH {
            match self.read(source, &mut progress) {
                Step::Command => {
                    words = progress.words.len();
                    batch.ends.extend(u32::try_from(words).ok());
                }
                Step::Nothing => {}
                Step::Incomplete => break,
                Step::Fault(text) => {
                    self.broken = true;
                    batch.fault = Some(text);
                    break;
                }
            }
            whole = progress.at;
        }
        if whole == 0 && batch.fault.is_none() {
            // Read on from here when there is more: a long command is not read again and again.
            self.progress = progress;
            return Ok(None);
        }
        batch.words = progress.words;
        batch.words.truncate(words);
        batch.bytes = if whole == source.len() {
            mem::take(source)
        } else {
            source.split_to(whole)
        };
        if self.broken {
            source.clear();
        }
        if batch.ends.is_empty() && batch.fault.is_none() {
            // Nothing but empty lines.
            return if source.is_empty() {
                Ok(None)
            } else {
                self.decode(source)
            };
        }
        Ok(Some(batch))
    }

    /// Who goes away in the middle of a command has not asked for it.
    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<Batch>, io::Error> {
        let batch = self.decode(source)?;
        if batch.is_none() {
            source.advance(source.len());
        }
        Ok(batch)
    }
}

impl Encoder<BytesMut> for Codec {
    type Error = io::Error;

    fn encode(&mut self, reply: BytesMut, to: &mut BytesMut) -> Result<(), io::Error> {
        if to.is_empty() && reply.len() > SMALL {
            *to = reply;
        } else {
            to.extend_from_slice(&reply);
        }
        Ok(())
    }
}
