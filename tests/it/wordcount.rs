//! The example `wordcount`: its counts are those of coreutils, its faults are told, its mailboxes
//! stay short.
#[allow(dead_code, reason = "the example's own")]
#[path = "../../examples/wordcount/console.rs"]
mod console;
#[allow(dead_code, reason = "the example's own")]
#[path = "../../examples/wordcount/pieces.rs"]
mod pieces;
#[allow(dead_code, reason = "the example's own")]
#[path = "../../examples/wordcount/reader.rs"]
mod reader;
#[allow(dead_code, reason = "the example's own")]
#[path = "../../examples/wordcount/tally.rs"]
mod tally;
#[allow(dead_code, reason = "the example's own")]
#[path = "../../examples/wordcount/walk.rs"]
mod walk;
#[allow(dead_code, reason = "the example's own")]
#[path = "../../examples/wordcount/words.rs"]
mod words;

use crate::kit::{Folder, example};
use actors_core::{Actor, SpawnOptions, handlers};
use console::{Console, ConsoleApi};
use hashbrown::DefaultHashBuilder;
use pieces::{Chunk, Piece, Pieces};
use reader::Reader;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tally::Tally;
use tokio::sync::Semaphore;
use words::{LONGEST, Words};

type Counts = BTreeMap<String, u64>;

fn wordcount<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let mut command = Command::new(example("wordcount"));
    command.args(args).stdin(Stdio::null());
    command.output().expect("the example runs")
}

/// What the example printed, taken apart: the words in its order, and the totals.
fn parse(output: &Output) -> (Vec<(String, u64)>, BTreeMap<String, u64>) {
    let text = String::from_utf8(output.stdout.clone()).expect("words are ASCII");
    let (words, totals) = text.split_once("\n\n").expect("there are words and totals");
    let words = words.lines().map(|line| {
        let (count, word) = line.trim_start().split_once(' ').expect("count and word");
        (word.to_owned(), count.parse().expect("a count"))
    });
    let totals = totals.lines().map(|line| {
        let (name, number) = line.split_once(' ').expect("name and number");
        (name.to_owned(), number.trim().parse().expect("a number"))
    });
    (words.collect(), totals.collect())
}

/// The counts by `tr`, `sort` and `uniq`.
fn by_coreutils(files: &[PathBuf]) -> Counts {
    // The line end that `echo` adds keeps the last word of a file apart from the next one's first.
    let script =
        r#"for f do cat -- "$f" && echo; done | tr -cs 'A-Za-z0-9_' '\n' | sort | uniq -c"#;
    let mut sh = Command::new("sh");
    sh.env("LC_ALL", "C").args(["-c", script, "sh"]).args(files);
    let output = sh.stderr(Stdio::inherit()).output().expect("sh runs");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("words are ASCII");
    let lines = text.lines().map(|line| {
        let line = line.trim_start();
        let (count, word) = line.split_once(' ').unwrap_or((line, ""));
        (word.to_owned(), count.parse().expect("a count"))
    });
    // Bytes before the first word make an empty line.
    lines.filter(|(word, _)| !word.is_empty()).collect()
}

/// The counts by the plainest of means.
fn by_hand<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Counts {
    let mut counts = Counts::new();
    for text in texts {
        for word in text.split(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_')) {
            if !word.is_empty() {
                let word = String::from_utf8(word.to_vec()).expect("words are ASCII");
                *counts.entry(word).or_default() += 1;
            }
        }
    }
    counts
}

/// The counts in the order in which the example prints them.
fn in_order(counts: &Counts) -> Vec<(String, u64)> {
    let mut words: Vec<_> = counts.clone().into_iter().collect();
    // Stable, so words that are equally frequent stay in the order of their bytes.
    words.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    words
}

/// Numbers that look random, and are the same for the same seed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let clock = || {
            let now = std::time::UNIX_EPOCH.elapsed().expect("a clock");
            now.as_nanos() as u64 | 1
        };
        let seed = seed.unwrap_or_else(clock);
        println!("SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    /// Words of up to `longest` bytes, with bytes of all kinds between them.
    fn text(&mut self, len: usize, longest: usize) -> Vec<u8> {
        const WORD: &[u8] = b"abcXYZ019_";
        const OTHER: &[u8] = b" \n\t.-\0\x7f\x80\xc3\xa4\xff";
        let mut text = Vec::with_capacity(len);
        while text.len() < len {
            for _ in 0..self.below(longest + 1) {
                text.push(WORD[self.below(WORD.len())]);
            }
            for _ in 0..=self.below(2) {
                text.push(OTHER[self.below(OTHER.len())]);
            }
        }
        text.truncate(len);
        text
    }
}

fn tracked_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z"]);
    let listed = git.output().expect("git runs").stdout;
    let names = listed.split(|byte| *byte == 0).filter(|it| !it.is_empty());
    let paths = names.map(|name| root.join(std::str::from_utf8(name).expect("a path in UTF-8")));
    // One that was removed may still be listed.
    let files: Vec<_> = paths.filter(|path| path.is_file()).collect();
    assert!(files.len() > 10, "this is run in a clone of the repository");
    files
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn counts_this_repository_as_coreutils_do() {
    let files = tracked_files();
    let expected = by_coreutils(&files);
    assert!(
        expected["Actor"] > 10 && expected.len() > 500,
        "a real input"
    );
    let bytes: u64 = files
        .iter()
        .map(|it| fs::metadata(it).expect("a file").len())
        .sum();
    for (shards, readers) in [("1", "1"), ("3", "4")] {
        let options = ["--top", "1000000", "--shards", shards, "--readers", readers];
        let args = options.iter().map(OsStr::new);
        let output = wordcount(args.chain(files.iter().map(|it| it.as_os_str())));
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stderr, b"", "no progress where there is no terminal");
        let (words, totals) = parse(&output);
        assert_eq!(words, in_order(&expected));
        assert_eq!(totals["files"], files.len() as u64);
        assert_eq!(totals["bytes"], bytes);
        assert_eq!(totals["words"], expected.values().sum::<u64>());
        assert_eq!(totals["distinct"], expected.len() as u64);
    }
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn prints_as_many_words_as_told() {
    let folder = Folder::new();
    folder.file("a", b"b b b a a c c d");
    folder.file("b", b"d_ d_ d_ d_");
    let run = |top| wordcount([OsStr::new("--top"), OsStr::new(top), folder.as_os_str()]);
    let (words, totals) = parse(&run("3"));
    let first: Vec<_> = words.iter().map(|(word, n)| (word.as_str(), *n)).collect();
    // Equally frequent words come in the order of their bytes, whichever shard has them.
    assert_eq!(first, [("d_", 4), ("b", 3), ("a", 2)]);
    assert_eq!((totals["words"], totals["distinct"]), (12, 5));
    assert!(run("0").stdout.starts_with(b"files "), "the totals alone");
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn counts_any_bytes() {
    let mut random = Random::new();
    let folder = Folder::new();
    // Larger than a chunk, and than a part of a large file, so that words cross from one into the
    // next; and one line that is longer than both.
    let mut texts = vec![
        Vec::new(),
        b"no line end".to_vec(),
        b"\xff\xfe\x00w\x00o\xc3\xa4rd".to_vec(),
        random.text(5 << 20, 200),
        b"one line ".repeat(1 << 19),
    ];
    texts.extend((0..50).map(|n| random.text(n * 100, 5)));
    for (n, text) in texts.iter().enumerate() {
        folder.file(&n.to_string(), text);
    }
    let output = wordcount([OsStr::new("--top"), "10000000".as_ref(), folder.as_os_str()]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (words, totals) = parse(&output);
    let expected = by_hand(texts.iter().map(Vec::as_slice));
    assert!(words == in_order(&expected), "the counts differ");
    assert_eq!(totals["files"], texts.len() as u64);
    assert_eq!(
        totals["bytes"],
        texts.iter().map(Vec::len).sum::<usize>() as u64
    );
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn names_what_cannot_be_read_and_counts_the_rest() {
    let folder = Folder::new();
    let there = folder.file("there", b"word");
    let missing = folder.at("not there");
    let output = wordcount([&missing, &there]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.starts_with(&format!("wordcount: {missing}: No such file")),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    assert_eq!(parse(&output).0, [("word".to_owned(), 1)]);
}

/// What opens but cannot be read, which the reader finds out and not the walker.
#[cfg(target_os = "linux")]
#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn names_what_opens_but_cannot_be_read() {
    let output = wordcount(["/proc/self/mem"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.starts_with("wordcount: /proc/self/mem: "), "{told}");
}

#[cfg(unix)]
#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn follows_no_circle_of_links() {
    let folder = Folder::new();
    let file = folder.file("file", b"word");
    std::os::unix::fs::symlink(&*folder, folder.at("circle")).expect("a link");
    let link = folder.at("link");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    // The folder once, and the link because it is named.
    let output = wordcount([folder.as_os_str(), link.as_ref()]);
    assert!(output.status.success());
    assert_eq!(parse(&output).0, [("word".to_owned(), 2)]);
    // A link to itself is no file at all.
    let own = folder.at("own");
    std::os::unix::fs::symlink(&own, &own).expect("a link");
    let output = wordcount([&own]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains(&own), "{told}");
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn tells_of_words_too_long_to_keep() {
    let folder = Folder::new();
    let mut text = b"first ".to_vec();
    text.extend(vec![b'a'; LONGEST]);
    text.push(b' ');
    text.extend(vec![b'a'; LONGEST + 1]);
    text.push(b' ');
    // Over several chunks and parts of the file.
    text.extend(vec![b'a'; 10 << 20]);
    text.extend(b" last");
    let file = folder.file("file", &text);
    let output = wordcount([&file]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.starts_with("wordcount: 2 words are longer than 65536 bytes"),
        "{told}"
    );
    let (words, totals) = parse(&output);
    let lens: Vec<_> = words
        .iter()
        .map(|(word, count)| (word.len(), *count))
        .collect();
    assert_eq!(lens, [(LONGEST, 1), (5, 1), (4, 1)]);
    assert_eq!((totals["words"], totals["distinct"]), (5, 3));
}

/// A reader that waits for a pipe on which nothing comes does not keep the program from ending.
#[cfg(unix)]
#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn an_interrupt_ends_it() {
    use std::os::unix::process::ExitStatusExt;
    let folder = Folder::new();
    let pipe = folder.pipe("pipe");
    let mut command = Command::new(example("wordcount"));
    command
        .arg(&pipe)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("the example runs");
    // Opens as soon as the example reads, and stays open without a byte.
    let _held = fs::OpenOptions::new()
        .write(true)
        .open(&pipe)
        .expect("a pipe");
    let mut kill = Command::new("kill");
    let killed = kill.args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("kill runs").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(
        output.status.code(),
        Some(130),
        "{:?}",
        output.status.signal()
    );
    assert_eq!(output.stdout, b"", "no counts that are not whole");
    assert_eq!(output.stderr, b"wordcount: interrupted\n");
}

/// Whoever listens may go away: what it has to say is lost then, and it ends as otherwise.
#[cfg(unix)]
#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn needs_no_one_to_listen() {
    let run = |text: &[u8], is_heard: bool| {
        let mut command = Command::new(example("wordcount"));
        command.arg("/dev/stdin").stdin(Stdio::piped());
        let spawned = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.expect("the example runs");
        // It says nothing before it has read all.
        if is_heard {
            drop(child.stderr.take());
        } else {
            drop(child.stdout.take());
        }
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(text).expect("it reads");
        drop(pipe);
        child.wait_with_output().expect("it ends")
    };
    let mut text = b"word ".to_vec();
    text.extend(vec![b'a'; LONGEST + 1]);
    let output = run(&text, true);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(parse(&output).0, [("word".to_owned(), 1)]);
    let output = run(b"word", false);
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

/// A pipe is read as it comes, and its end is its end.
#[cfg(unix)]
#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn counts_what_comes_out_of_a_pipe() {
    let mut command = Command::new(example("wordcount"));
    command
        .arg("/dev/stdin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("the example runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    for part in ["one tw", "o two thr", "ee three three"] {
        pipe.write_all(part.as_bytes()).expect("it reads");
    }
    drop(pipe);
    let (words, _) = parse(&child.wait_with_output().expect("it ends"));
    let words: Vec<_> = words.iter().map(|(word, n)| (word.as_str(), *n)).collect();
    assert_eq!(words, [("three", 3), ("two", 2), ("one", 1)]);
}

/// Wherever a file is cut, and however small the chunks are, no word is lost, cut or read twice.
#[test]
#[cfg_attr(miri, ignore = "reads many files")]
fn pieces_are_the_whole() {
    let mut random = Random::new();
    let folder = Folder::new();
    for _ in 0..300 {
        let len = random.below(400);
        let longest = 1 + random.below(60);
        let text = random.text(len, longest);
        let path = folder.file("file", &text);
        let part = 1 + random.below(50) as u64;
        let mut pieces = Vec::new();
        let mut start = 0;
        while start == 0 || start < text.len() as u64 {
            let end = start + part;
            let is_last = end >= text.len() as u64;
            pieces.push(Piece {
                path: path.clone().into(),
                start,
                end: (!is_last).then_some(end),
            });
            start = end;
        }
        // As several readers would have them, in any order.
        pieces.reverse();
        let size = 2 + random.below(64);
        let (mut pieces, mut chunk) = (Pieces::new(pieces), Chunk::new(size));
        let (mut words, mut counts, mut bytes, mut files) = (Words::default(), Counts::new(), 0, 0);
        loop {
            pieces.fill(&mut chunk);
            if chunk.text().is_empty() {
                break;
            }
            assert!(chunk.text().len() <= size && chunk.faults.is_empty());
            (bytes, files) = (bytes + chunk.bytes, files + chunk.files);
            words.feed(chunk.text(), |word| {
                let word = String::from_utf8(word.to_vec()).expect("words are ASCII");
                *counts.entry(word).or_default() += 1;
            });
        }
        assert_eq!(
            counts,
            by_hand([text.as_slice()]),
            "part {part}, chunk {size}"
        );
        assert_eq!(
            (bytes, files),
            (text.len() as u64, 1),
            "part {part}, chunk {size}"
        );
    }
}

/// Stands in for `Walk`: gives out the same file, again and again.
#[derive(Actor)]
struct Endless {
    path: PathBuf,
    left: usize,
    given: Arc<AtomicUsize>,
}

#[handlers(no_api)]
impl Endless {
    #[on]
    fn next(&mut self, _: walk::NextPieces) -> Option<Vec<Piece>> {
        self.left = self.left.checked_sub(1)?;
        self.given.fetch_add(1, Ordering::Relaxed);
        Some(vec![Piece {
            path: self.path.clone(),
            start: 0,
            end: None,
        }])
    }
}

/// Stands in for `Counter`: counts when it is let.
#[derive(Actor)]
struct Slow {
    may_count: Arc<Semaphore>,
    tally: Tally,
}

#[handlers(api = SlowApi)]
impl Slow {
    #[on]
    async fn add(&mut self, tally: Tally) {
        let _permit = self.may_count.acquire().await;
        self.tally.merge(&tally);
    }

    fn counted(&mut self) -> (u64, usize) {
        (self.tally.total(), self.tally.distinct())
    }
}

/// A counter that does not get on holds up all before it, at their mailboxes' limits; and when it
/// gets on, nothing is missing.
#[actors_core::test(start_paused = true)]
#[cfg_attr(miri, ignore = "reads files")]
async fn a_slow_counter_holds_up_the_readers() {
    const FILES: usize = 200;
    const CAPACITY: usize = 2;
    let folder = Folder::new();
    // Each file has enough different words for a message to the counter.
    let text: String = (0..10_000).map(|n| format!("w{n} ")).collect();
    let path = folder.file("file", text.as_bytes());

    let given = Arc::new(AtomicUsize::new(0));
    let may_count = Arc::new(Semaphore::new(0));
    let console = Console::new().spawn();
    let counter = SpawnOptions::new().capacity(CAPACITY).spawn(Slow {
        may_count: Arc::clone(&may_count),
        tally: Tally::default(),
    });
    let counter = counter.expect("a counter");
    let work = Endless {
        path: path.into(),
        left: FILES,
        given: Arc::clone(&given),
    };
    let work = work.spawn();
    let hasher = DefaultHashBuilder::default();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (work, counters) = (work.recipient(), vec![counter.recipient()]);
            let reader = Reader::new(work, counters, console.clone(), hasher.clone());
            let spawned = SpawnOptions::new().capacity(CAPACITY).spawn(reader);
            spawned.expect("a reader")
        })
        .collect();

    // Paused time goes on only when nothing else can: then all wait for the counter.
    tokio::time::sleep(Duration::from_secs(1)).await;
    // In the handler and in the mailbox.
    assert_eq!(counter.mailbox_len(), 1 + CAPACITY);
    for reader in &readers {
        assert_eq!(reader.mailbox_len(), 1 + CAPACITY);
    }
    // Each message to the counter, and each to a reader, was a file; so was what a reader is at.
    let held = given.load(Ordering::Relaxed);
    assert!(
        held <= (1 + CAPACITY) + readers.len() * (1 + CAPACITY),
        "{held}"
    );

    may_count.add_permits(Semaphore::MAX_PERMITS);
    for reader in &readers {
        assert!(reader.stopped().await.is_normal());
    }
    assert_eq!(given.load(Ordering::Relaxed), FILES);
    assert_eq!(
        counter.counted().await.expect("an answer"),
        (10_000 * FILES as u64, 10_000)
    );
    let totals = console.total().await.expect("an answer");
    assert_eq!(
        (totals.files, totals.bytes),
        (FILES as u64, (text.len() * FILES) as u64)
    );
}
