//! The actor that walks the paths. Listing a directory blocks, so it has a thread of its own.
use super::console::{Console, Fault};
use super::pieces::Piece;
use actors_core::{Addr, LocalActor, handlers};
use std::fs;
use std::path::PathBuf;
use walkdir::{DirEntry, WalkDir};

/// How many bytes of small files are given out at a time, and how many files.
const BATCH: u64 = 1024 * 1024;
const BATCH_FILES: usize = 256;

/// Gives out work to whoever asks for it, so nothing piles up: it walks on when it is asked.
#[derive(LocalActor)]
pub(crate) struct Walk {
    entries: Box<dyn Iterator<Item = walkdir::Result<DirEntry>>>,
    /// A large file of which parts are still to be given out: where the next one begins, and how
    /// long the file is.
    large: Option<(PathBuf, u64, u64)>,
    /// How large a part of a large file is.
    part: u64,
    console: Addr<Console>,
}

impl Walk {
    pub(crate) fn new(paths: Vec<PathBuf>, part: u64, console: Addr<Console>) -> Self {
        Self {
            // Links inside of directories are not followed, so there are no loops.
            entries: Box::new(paths.into_iter().flat_map(WalkDir::new)),
            large: None,
            part,
            console,
        }
    }
}

#[handlers(local)]
impl Walk {
    /// What to read next; nothing when all was given out.
    #[message(NextPieces)]
    pub(crate) async fn next_pieces(&mut self) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH && pieces.len() < BATCH_FILES {
            if let Some((piece, len)) = self.next_part() {
                bytes += len;
                pieces.push(piece);
                continue;
            }
            let Some(entry) = self.entries.next() else {
                break;
            };
            match entry.map_err(|error| told(&error)).and_then(|it| size(&it)) {
                Ok(None) => {}
                Ok(Some((path, len))) => self.large = Some((path, 0, len)),
                // Whether anybody hears of it is not for this actor to mind.
                Err(text) => drop(self.console.send(Fault { text }).await),
            }
        }
        (!pieces.is_empty()).then_some(pieces)
    }

    #[skip]
    fn next_part(&mut self) -> Option<(Piece, u64)> {
        let (path, start, len) = self.large.take()?;
        let end = start.saturating_add(self.part);
        let piece = Piece {
            path: path.clone(),
            start,
            end: (end < len).then_some(end),
        };
        if end < len {
            self.large = Some((path, end, len));
        }
        Some((piece, end.min(len) - start))
    }
}

/// The path of what is to be read, and its size as far as that is known; nothing for a directory
/// and for what is no file, unless the user named it.
fn size(entry: &DirEntry) -> Result<Option<(PathBuf, u64)>, String> {
    let path = entry.path();
    let is_named = entry.depth() == 0;
    let metadata = if is_named {
        // Follows a link.
        fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?
    } else if entry.file_type().is_file() {
        entry.metadata().map_err(|error| told(&error))?
    } else {
        return Ok(None);
    };
    if metadata.is_dir() {
        return Ok(None);
    }
    Ok(Some((path.to_owned(), metadata.len())))
}

fn told(error: &walkdir::Error) -> String {
    match (error.path(), error.io_error()) {
        (Some(path), Some(cause)) => format!("{}: {cause}", path.display()),
        _ => error.to_string(),
    }
}
