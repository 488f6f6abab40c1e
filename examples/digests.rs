//! A batch over real files on a pool of processes: each file is read and summed up by a worker; one
//! that cannot be read fails its own job.
//!
//! `cargo run --release --example digests PATH...`
use actors_net::{Error, Pool, ProcessPool, task};
use futures_util::StreamExt;
use std::path::PathBuf;
use walkdir::WalkDir;

/// The length and the CRC-32 of a file, as `gzip -lv` and zip files have it.
#[task]
fn digest(path: PathBuf) -> Result<(PathBuf, usize, u32), String> {
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 * (crc & 1))
        })
    });
    Ok((path, bytes.len(), !crc))
}

fn main() -> Result<(), Error> {
    actors_net::init(); // the workers are this program started again
    run()
}

#[actors_core::main]
async fn run() -> Result<(), Error> {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    if paths.is_empty() {
        return Err("name files or folders: digests PATH...".into());
    }
    let pool = ProcessPool::options().build()?;
    let entries = paths.iter().flat_map(WalkDir::new);
    let files = entries.filter_map(|entry| {
        let entry = entry.inspect_err(|error| eprintln!("{error}")).ok()?;
        entry.file_type().is_file().then(|| entry.into_path())
    });
    let mut digests = pool.map(files.map(digest::job)).chunk_size(8);
    let (mut count, mut total, mut failed) = (0, 0, 0);
    while let Some(digest) = digests.next().await {
        match digest? {
            Ok((path, length, crc)) => {
                println!("{crc:08x} {length:>10} {}", path.display());
                count += 1;
                total += length;
            }
            Err(error) => {
                eprintln!("{error}");
                failed += 1;
            }
        }
    }
    println!("{count} files, {total} bytes, {failed} could not be read");
    if failed > 0 || count == 0 {
        return Err("not all could be read".into());
    }
    Ok(())
}
