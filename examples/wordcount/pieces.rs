//! Files, or parts of them, as chunks of bytes. What is here blocks, and runs where that is right.
use super::words::{is_word, leading};
use std::fs::File;
use std::io::{ErrorKind, Read, Result, Seek, SeekFrom};
use std::path::PathBuf;
use std::vec::IntoIter;

/// A file, or a part of a large one: the words that begin in it.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) path: PathBuf,
    pub(crate) start: u64,
    /// `None`: to the end of the file, wherever that is by then.
    pub(crate) end: Option<u64>,
}

/// Bytes of one or several pieces. Between pieces there is always a byte that ends a word.
pub(crate) struct Chunk {
    buffer: Box<[u8]>,
    len: usize,
    /// How many files were begun, and how many of their bytes were read.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// What could not be read, and why.
    pub(crate) faults: Vec<String>,
}

impl Chunk {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            buffer: vec![0; size.max(2)].into(),
            len: 0,
            files: 0,
            bytes: 0,
            faults: Vec::new(),
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    fn has_room(&self) -> bool {
        self.len + 1 < self.buffer.len()
    }

    /// Room for more, less the byte that ends a piece.
    fn room(&mut self) -> &mut [u8] {
        let end = self.buffer.len() - 1;
        &mut self.buffer[self.len..end]
    }

    fn end_piece(&mut self) {
        self.buffer[self.len] = b'\n';
        self.len += 1;
    }
}

/// Pieces to be read one after the other.
pub(crate) struct Pieces {
    waiting: IntoIter<Piece>,
    open: Option<Open>,
}

impl Pieces {
    pub(crate) fn new(pieces: Vec<Piece>) -> Self {
        Self {
            waiting: pieces.into_iter(),
            open: None,
        }
    }

    /// Fills a chunk anew. It is empty when all has been read.
    ///
    /// A piece that cannot be read is named in the chunk, and the next one follows.
    pub(crate) fn fill(&mut self, chunk: &mut Chunk) {
        (chunk.len, chunk.files, chunk.bytes) = (0, 0, 0);
        chunk.faults.clear();
        while chunk.has_room() {
            let Some(open) = &mut self.open else {
                let Some(piece) = self.waiting.next() else {
                    return;
                };
                chunk.files += u64::from(piece.start == 0);
                match Open::begin(&piece) {
                    Ok(open) => self.open = Some(open),
                    Err(error) => {
                        let fault = format!("{}: {error}", piece.path.display());
                        chunk.faults.push(fault);
                        // Not empty, since it is not the end.
                        chunk.end_piece();
                    }
                }
                continue;
            };
            match open.read(chunk) {
                Ok(true) => {}
                Ok(false) => {
                    chunk.end_piece();
                    self.open = None;
                }
                Err(error) => {
                    let fault = format!("{}: {error}", open.path.display());
                    chunk.faults.push(fault);
                    chunk.end_piece();
                    self.open = None;
                }
            }
        }
    }
}

/// A piece that is being read.
///
/// A word belongs to the piece in which it begins. So a piece begins to read one byte early, to see
/// whether it begins within a word, which it then leaves out; and reads on behind its end for as
/// long as its last word goes on.
struct Open {
    path: PathBuf,
    file: File,
    /// How many bytes there are before the end.
    left: u64,
    /// All so far was the end of a word that began before.
    leave_out: bool,
    /// The byte read one early is not one of this piece's.
    early: u64,
}

impl Open {
    fn begin(piece: &Piece) -> Result<Self> {
        let mut file = File::open(&piece.path)?;
        let early = piece.start.min(1);
        let at = piece.start - early;
        if at != 0 {
            file.seek(SeekFrom::Start(at))?;
        }
        Ok(Self {
            path: piece.path.clone(),
            file,
            left: piece.end.map_or(u64::MAX, |end| end - at),
            leave_out: early != 0,
            early,
        })
    }

    /// Reads once. False: the piece has ended.
    fn read(&mut self, chunk: &mut Chunk) -> Result<bool> {
        /// Most words that run over the end of a piece end within this.
        const BEHIND_THE_END: usize = 512;
        let is_behind = self.left == 0;
        let room = chunk.room();
        let most = if is_behind {
            BEHIND_THE_END
        } else {
            usize::try_from(self.left).unwrap_or(usize::MAX)
        };
        let most = most.min(room.len());
        let n = match self.file.read(&mut room[..most]) {
            Ok(0) => return Ok(false),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        let read = &mut room[..n];
        if is_behind {
            let end = leading(read);
            chunk.len += end;
            return Ok(end == n);
        }
        let from = if self.leave_out { leading(read) } else { 0 };
        self.leave_out = from == n;
        let is_in_word = !self.leave_out && read.last().is_some_and(|byte| is_word(*byte));
        if from != 0 {
            read.copy_within(from.., 0);
        }
        chunk.len += n - from;
        chunk.bytes += n as u64 - std::mem::take(&mut self.early);
        if self.left != u64::MAX {
            self.left -= n as u64;
        }
        Ok(self.left != 0 || is_in_word)
    }
}
