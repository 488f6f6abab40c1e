//! The examples of pools and subprocesses: what they find is what others find, too.
#![cfg(unix)]
use crate::kit::{Folder, example};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(name: &'static str, folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(example(name));
    command.args(args).current_dir(folder);
    command.stdin(Stdio::null()).output().expect("it runs")
}

/// What it has printed; it must not fail.
fn printed(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stderr}", output.status);
    String::from_utf8(output.stdout.clone()).expect("it writes UTF-8")
}

fn shell(folder: &Path, script: &str) -> Vec<u8> {
    let mut command = Command::new("sh");
    let output = command.args(["-ec", script]).current_dir(folder).output();
    let output = output.expect("there is a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {stderr}");
    output.stdout
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn pools_find_the_same_on_threads_and_on_processes() {
    let output = printed(&run("pools", Path::new("."), &["4"]));
    let lines: Vec<_> = output.lines().collect();
    // Of the numbers below 40,000 it is 35,655 that takes the longest way.
    assert!(
        lines[0].starts_with("threads: the longest way has 323 steps"),
        "{output}"
    );
    assert!(
        lines[1].starts_with("processes: the longest way has 323 steps"),
        "{output}"
    );
    assert!(lines[2].contains("killed by signal 6"), "{output}");
    assert_eq!(lines[3], "below 100 the longest way has 118 steps");
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn digests_are_those_of_gzip() {
    let folder = Folder::new();
    fs::create_dir(folder.join("inner")).expect("a folder can be made");
    let large: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let files: [(&str, &[u8]); 3] = [
        ("empty", b""),
        ("inner/digits", b"123456789"),
        ("large", &large),
    ];
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).expect("a file can be written");
    }
    let output = printed(&run("digests", &folder, &["."]));
    for (name, bytes) in files {
        // Its last eight bytes are the sum and the length.
        let end = shell(&folder, &format!("gzip -c {name} | tail -c 8"));
        let number = |at: usize| {
            let bytes = end[at..at + 4].try_into().expect("four bytes");
            u32::from_le_bytes(bytes)
        };
        let line = format!("{:08x} {:>10} ./{name}", number(0), bytes.len());
        assert_eq!(number(4) as usize, bytes.len());
        assert!(
            output.lines().any(|printed| printed == line),
            "{line}\n{output}"
        );
    }
    let total = large.len() + 9;
    let end = format!("3 files, {total} bytes, 0 could not be read");
    assert_eq!(output.lines().last(), Some(&*end));

    let missing = run("digests", &folder, &["no-such-file"]);
    assert!(!missing.status.success());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file"));
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn the_pipeline_counts_as_the_shell_does() {
    let folder = Folder::new();
    shell(
        &folder,
        "git init -q .
         for subject in 'one two' 'three' 'two two' 'four' 'twofold'; do
             git -c user.name=a -c user.email=a@b commit -q --allow-empty -m \"$subject\"
         done",
    );
    for (word, count) in [("two", 3), ("four", 1), ("five", 0)] {
        let output = printed(&run("subprocess_pipeline", &folder, &[word]));
        let expected = format!("commits that speak of `{word}`: {count}, and by the shell {count}");
        assert_eq!(output.trim(), expected);
    }
}
