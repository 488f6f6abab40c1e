//! Lines of text, as a program writes them: any bytes, of any length.
use std::io;
use tokio_util::bytes::BytesMut;
use tokio_util::codec::Decoder;

/// Longer lines come in pieces.
const LONGEST: usize = 64 << 10;

/// Cuts at line ends, which are left out.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Up to here there is no line end.
    searched: usize,
}

impl Lines {
    fn take(&mut self, buffer: &mut BytesMut) -> Option<String> {
        let unsearched = buffer.get(self.searched..).unwrap_or_default();
        let end = unsearched.iter().position(|byte| *byte == b'\n');
        let (length, skip) = match end {
            Some(at) if self.searched + at <= LONGEST => (self.searched + at, 1),
            _ if buffer.len() > LONGEST => (LONGEST, 0),
            _ => {
                self.searched = buffer.len();
                return None;
            }
        };
        self.searched = 0;
        let line = buffer.split_to(length);
        drop(buffer.split_to(skip));
        Some(text(&line))
    }
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line).into_owned()
}

impl Decoder for Lines {
    type Item = String;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<String>, io::Error> {
        Ok(self.take(buffer))
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<String>, io::Error> {
        let line = self.take(buffer);
        if line.is_some() || buffer.is_empty() {
            return Ok(line);
        }
        self.searched = 0;
        Ok(Some(text(&buffer.split())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut decoder, mut buffer) = (Lines::default(), BytesMut::new());
        let mut lines = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Some(line) = decoder.decode(&mut buffer).expect("never fails") {
                lines.push(line);
            }
        }
        while let Some(line) = decoder.decode_eof(&mut buffer).expect("never fails") {
            lines.push(line);
        }
        lines
    }

    #[test]
    fn wherever_they_are_cut() {
        let text = "a\r\n\nb\u{e9}\nlast".as_bytes();
        let expected = ["a", "", "b\u{e9}", "last"];
        for at in 0..text.len() {
            let (before, after) = text.split_at(at);
            assert_eq!(lines(&[before, after]), expected, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&bytes), expected);
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        assert_eq!(lines(&[b"\xff\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn long_lines_come_in_pieces() {
        let long = vec![b'x'; 2 * LONGEST + 5];
        let lengths = |lines: Vec<String>| lines.iter().map(String::len).collect::<Vec<_>>();
        assert_eq!(lengths(lines(&[&long, b"\ny\n"])), [LONGEST, LONGEST, 5, 1]);
        let exact = vec![b'x'; LONGEST];
        assert_eq!(lengths(lines(&[&exact, b"\n"])), [LONGEST]);
    }
}
