//! Cuts bytes into words, also where a word runs on from one chunk of bytes into the next.

/// A longer word is counted, but not told apart from others: so memory has a limit, whatever is
/// read.
pub(crate) const LONGEST: usize = 64 * 1024;

/// Whether the byte is part of a word: an ASCII letter, a digit or an underscore. All else lies
/// between words, so any bytes can be read, in any encoding or none.
pub(crate) fn is_word(byte: u8) -> bool {
    const WORD: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = matches!(byte as u8, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_');
            byte += 1;
        }
        table
    };
    WORD[usize::from(byte)]
}

/// How many of the first bytes are parts of a word.
pub(crate) fn leading(bytes: &[u8]) -> usize {
    let end = bytes.iter().position(|byte| !is_word(*byte));
    end.unwrap_or(bytes.len())
}

/// What is known of a word whose end has not been seen.
#[derive(Debug, Default)]
pub(crate) struct Words {
    begun: Vec<u8>,
    /// `begun` was given up, because it became too long.
    is_too_long: bool,
    too_long: u64,
}

impl Words {
    /// Calls `on_word` with each word that ends in this chunk.
    pub(crate) fn feed(&mut self, chunk: &[u8], mut on_word: impl FnMut(&[u8])) {
        let mut rest = chunk;
        if !self.begun.is_empty() || self.is_too_long {
            let (end, after) = rest.split_at(leading(rest));
            self.grow(end);
            if after.is_empty() {
                return;
            }
            self.end(&mut on_word);
            rest = after;
        }
        while let Some(start) = rest.iter().position(|byte| is_word(*byte)) {
            let (word, after) = rest[start..].split_at(leading(&rest[start..]));
            if after.is_empty() {
                self.grow(word);
                return;
            }
            if word.len() > LONGEST {
                self.too_long += 1;
            } else {
                on_word(word);
            }
            rest = after;
        }
    }

    /// How many words were too long to be told apart, since this was last called.
    pub(crate) fn take_too_long(&mut self) -> u64 {
        std::mem::take(&mut self.too_long)
    }

    fn grow(&mut self, more: &[u8]) {
        if self.begun.len() + more.len() > LONGEST {
            self.is_too_long = true;
            self.begun = Vec::new();
        }
        if !self.is_too_long {
            self.begun.extend_from_slice(more);
        }
    }

    fn end(&mut self, on_word: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.is_too_long) {
            self.too_long += 1;
        } else {
            on_word(&self.begun);
        }
        self.begun.clear();
    }
}
