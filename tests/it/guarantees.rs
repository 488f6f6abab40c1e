//! `GUARANTEES.md` names tests that exist, at least one for each promise; and the README's first
//! program is the example `counter`.
use std::fs;
use std::path::{Path, PathBuf};

/// One promise: its heading, and the tests that are said to hold it.
struct Promise<'a> {
    heading: &'a str,
    tests: Vec<&'a str>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("the file can be read")
}

/// The promises of the text: each has a heading, and its tests stand in backquotes behind `Held by`,
/// without which it is none.
fn promises(text: &str) -> Vec<Promise<'_>> {
    let sections = text.split("\n## ").skip(1);
    sections
        .filter(|section| section.starts_with('P') || section.contains("Held by"))
        .map(|section| Promise {
            heading: section.lines().next().unwrap_or_default(),
            tests: section
                .split_once("Held by")
                .map_or("", |(_, tests)| tests)
                .split('`')
                .skip(1)
                .step_by(2)
                .collect(),
        })
        .collect()
}

/// Where a test may be: `order::name` in `tests/it/order.rs`, `tests/order.rs` or
/// `actors-net/tests/it/order.rs`,
/// `mailbox::loom::name` beside the code, and `mailbox::runner::tests::name` in it.
fn files_of(test: &str) -> Option<(Vec<PathBuf>, &str)> {
    let (module, name) = test.rsplit_once("::")?;
    let folders: &[&str] = match module.contains("::") {
        true => &["actors-core/src"],
        false => &["tests/it", "tests", "actors-net/tests/it"],
    };
    let of_code = module
        .strip_suffix("::tests")
        .filter(|of| of.contains("::"));
    let files = [Some(module), of_code].into_iter().flatten();
    let files = files.map(|module| Path::new(&module.replace("::", "/")).with_extension("rs"));
    let paths = files.flat_map(|file| {
        folders
            .iter()
            .map(move |folder| root().join(folder).join(&file))
    });
    Some((paths.collect(), name))
}

/// Whether the source has a function of this name, marked as a test; or one of those that a macro
/// runs for each kind of transport.
fn has_test(source: &str, name: &str) -> bool {
    let declared = [format!("fn {name}("), format!("async fn {name}(")];
    let of_all = format!("async fn {name}(kind)");
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let is_it = declared.iter().any(|declared| line.starts_with(declared));
        let above = lines[..at].iter().rev();
        let mut attributes =
            above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        let is_of_all = line.starts_with(&of_all) && source.contains("\non_all! {");
        is_of_all
            || is_it && attributes.any(|line| line.starts_with("#[test") || line.contains("::test"))
    })
}

fn exists(test: &str) -> bool {
    let Some((paths, name)) = files_of(test) else {
        return false;
    };
    paths
        .iter()
        .any(|path| fs::read_to_string(path).is_ok_and(|source| has_test(&source, name)))
}

#[test]
fn every_threat_names_tests_that_exist() {
    let text = read("SECURITY.md");
    let [threats] = &promises(&text)[..] else {
        panic!("there is one list of threats");
    };
    assert!(threats.tests.len() >= 10, "{:?}", threats.tests);
    let missing: Vec<_> = threats.tests.iter().filter(|test| !exists(test)).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:#?}");
}

#[test]
fn every_promise_names_tests_that_exist() {
    let text = read("GUARANTEES.md");
    let promises = promises(&text);
    assert!(promises.len() >= 19, "found only {}", promises.len());
    for promise in &promises {
        assert!(
            !promise.tests.is_empty(),
            "{} names no test",
            promise.heading
        );
    }
    let tests = promises.iter().flat_map(|promise| &promise.tests);
    let missing: Vec<_> = tests.filter(|test| !exists(test)).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:#?}");
}

#[test]
fn a_test_that_is_missing_is_found() {
    assert!(exists("guarantees::a_test_that_is_missing_is_found"));
    assert!(!exists("guarantees::exists"), "not a test");
    assert!(!exists("guarantees::another"));
    assert!(!exists("nowhere::a_test_that_is_missing_is_found"));
    let text = "\n## P1 One\n\nText `x`.\n\nHeld by `a::b`,\n`c::d`.\n\n## P2 Two\n\nNothing.\n\n## Notes\n\nNone.\n";
    let [one, two] = &promises(text)[..] else {
        panic!("there are two");
    };
    assert_eq!(
        (one.heading, &one.tests[..]),
        ("P1 One", &["a::b", "c::d"][..])
    );
    assert_eq!((two.heading, two.tests.len()), ("P2 Two", 0));
}

#[test]
fn the_readme_begins_with_the_example_counter() {
    let readme = read("README.md");
    let (_, program) = readme.split_once("```rust\n").expect("there is a program");
    let (program, _) = program.split_once("```").expect("it ends");
    assert_eq!(program, read("examples/counter.rs"));
}
