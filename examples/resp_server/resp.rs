//! Replies, written as RESP2 or RESP3.
use bytes::BytesMut;
use std::borrow::Cow;

/// Which of the two protocols a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

impl Protocol {
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// What a command answers when it is refused: a code and a text, in one line.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) Cow<'static, [u8]>);

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<Vec<u8>> for Refusal {
    fn from(text: Vec<u8>) -> Self {
        Self(text.into())
    }
}

pub(crate) const WRONG_TYPE: Refusal =
    Refusal::new("WRONGTYPE Operation against a key holding the wrong kind of value");
pub(crate) const NOT_AN_INTEGER: Refusal =
    Refusal::new("ERR value is not an integer or out of range");
pub(crate) const SYNTAX: Refusal = Refusal::new("ERR syntax error");

impl Refusal {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }

    pub(crate) fn arity(command: &str) -> Self {
        format!("ERR wrong number of arguments for '{command}' command").into()
    }
}

/// Writes replies behind each other.
pub(crate) struct Writer {
    pub(crate) bytes: BytesMut,
    pub(crate) protocol: Protocol,
}

impl Writer {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self::with_capacity(protocol, 0)
    }

    pub(crate) fn with_capacity(protocol: Protocol, bytes: usize) -> Self {
        Self {
            bytes: BytesMut::with_capacity(bytes),
            protocol,
        }
    }

    /// Adds replies that are written already.
    pub(crate) fn append(&mut self, replies: BytesMut) {
        if self.bytes.is_empty() {
            self.bytes = replies;
        } else {
            self.bytes.extend_from_slice(&replies);
        }
    }

    pub(crate) fn ok(&mut self) {
        self.bytes.extend_from_slice(b"+OK\r\n");
    }

    /// A word that has no line break in it.
    pub(crate) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    pub(crate) fn refusal(&mut self, Refusal(text): &Refusal) {
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let end = text.iter().rposition(|byte| !is_break(byte));
        let text = &text[..end.map_or(0, |last| last + 1)];
        self.bytes.extend_from_slice(b"-");
        let one_line = text.iter();
        (self.bytes).extend(one_line.map(|byte| if is_break(byte) { b' ' } else { *byte }));
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn integer(&mut self, number: i64) {
        self.number(b':', number);
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.bytes.reserve(bytes.len() + 32);
        self.len(b'$', bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// A text for people to read.
    pub(crate) fn text(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.len(b'=', text.len() + 4);
                self.bytes.extend_from_slice(b"txt:");
                self.bytes.extend_from_slice(text.as_bytes());
                self.bytes.extend_from_slice(b"\r\n");
            }
        }
    }

    pub(crate) fn null(&mut self) {
        self.bytes.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// Nothing where there could be an array.
    pub(crate) fn null_array(&mut self) {
        self.bytes.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// Begins an array of so many replies.
    pub(crate) fn array(&mut self, len: usize) {
        self.len(b'*', len);
    }

    /// Begins a map of so many pairs.
    pub(crate) fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.len(b'*', 2 * pairs),
            Protocol::Resp3 => self.len(b'%', pairs),
        }
    }

    pub(crate) fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.len(b'*', len),
            Protocol::Resp3 => self.len(b'~', len),
        }
    }

    /// Begins what no command has asked for.
    pub(crate) fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.len(b'*', len),
            Protocol::Resp3 => self.len(b'>', len),
        }
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.reserve(text.len() + 3);
        self.bytes.extend_from_slice(&[kind]);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn number(&mut self, kind: u8, number: i64) {
        let mut digits = itoa::Buffer::new();
        self.line(kind, digits.format(number).as_bytes());
    }

    fn len(&mut self, kind: u8, len: usize) {
        let mut digits = itoa::Buffer::new();
        self.line(kind, digits.format(len).as_bytes());
    }
}
