//! A client that sees replies as they lie on the wire.
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A reply, with the byte that says of which kind it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reply {
    Line(u8, Vec<u8>),
    Bulk(u8, Option<Vec<u8>>),
    Many(u8, Option<Vec<Self>>),
}

impl Reply {
    /// Without the order that nobody promises: that of a set's members, or of a map's pairs.
    pub(crate) fn sorted(self, pairs: bool) -> Self {
        match self {
            Self::Many(kind, Some(items)) => {
                let step = if pairs { 2 } else { 1 };
                let mut groups: Vec<_> = items.chunks(step).map(<[_]>::to_vec).collect();
                groups.sort();
                Self::Many(kind, Some(groups.concat()))
            }
            other => other,
        }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Line(b':', digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
            _ => None,
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |bytes: &[u8]| {
            let (len, bytes) = (bytes.len(), &bytes[..bytes.len().min(200)]);
            format!("{} ({len})", bytes.escape_ascii())
        };
        match self {
            Self::Line(kind, text) => write!(f, "{}{}", char::from(*kind), short(text)),
            Self::Bulk(kind, bytes) => {
                let bytes = bytes.as_deref().map(short);
                write!(f, "{}{bytes:?}", char::from(*kind))
            }
            Self::Many(kind, items) => write!(f, "{}{items:?}", char::from(*kind)),
        }
    }
}

pub(crate) struct Client(pub(crate) BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_nodelay(true).expect("it is a TCP socket");
        // Fails the test instead of hanging.
        let limit = Some(Duration::from_secs(120));
        stream.set_read_timeout(limit).expect("it is not zero");
        stream.set_write_timeout(limit).expect("it is not zero");
        Self(BufReader::new(stream))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("it is read");
    }

    /// Sends and reads at the same time, as many replies as there are commands.
    pub(crate) fn pipeline(&mut self, commands: &[Vec<Vec<u8>>]) -> Vec<Reply> {
        let bytes: Vec<u8> = commands
            .iter()
            .flat_map(|command| encode(command))
            .collect();
        let mut writer = self.0.get_ref().try_clone().expect("it can be cloned");
        std::thread::scope(|scope| {
            scope.spawn(move || writer.write_all(&bytes).expect("it is read"));
            commands.iter().map(|_| self.read()).collect()
        })
    }

    /// Sends one command; its words stand between spaces.
    pub(crate) fn ask(&mut self, command: &str) -> Reply {
        let words: Vec<&str> = command.split(' ').collect();
        self.write(&encode(&words));
        self.read()
    }

    pub(crate) fn read(&mut self) -> Reply {
        let mut line = Vec::new();
        self.0
            .read_until(b'\n', &mut line)
            .expect("a reply in time");
        assert!(line.ends_with(b"\r\n"), "no line: {}", line.escape_ascii());
        line.truncate(line.len() - 2);
        let kind = line.remove(0);
        let len = || {
            let text = std::str::from_utf8(&line).expect("a length");
            usize::try_from(text.parse::<i64>().expect("a length")).ok()
        };
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => Reply::Line(kind, line),
            b'$' | b'=' => Reply::Bulk(
                kind,
                len().map(|len| {
                    let mut bytes = vec![0; len + 2];
                    self.0.read_exact(&mut bytes).expect("a reply in time");
                    assert!(bytes.ends_with(b"\r\n"));
                    bytes.truncate(len);
                    bytes
                }),
            ),
            b'*' | b'~' | b'>' => {
                let len = len();
                Reply::Many(kind, len.map(|len| (0..len).map(|_| self.read()).collect()))
            }
            b'%' => {
                let len = len();
                let items = len.map(|len| (0..2 * len).map(|_| self.read()).collect());
                Reply::Many(kind, items)
            }
            other => panic!("no reply: {}", char::from(other)),
        }
    }

    /// Says that there is no more, and reads all that comes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let _ = self.0.get_ref().shutdown(Shutdown::Write);
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).expect("an end in time");
        bytes
    }
}

pub(crate) fn encode<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    bytes
}
