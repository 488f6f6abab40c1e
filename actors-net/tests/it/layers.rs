//! The modules of `actors-net` use only those that `lib.rs` lists above them, and none has unsafe
//! code.
use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(of: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(of) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The code without its comments.
fn code(source: &str) -> String {
    let lines = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn modules(lib: &str) -> Vec<&str> {
    let names = lib.lines().filter_map(|line| line.strip_prefix("mod "));
    names.map(|name| name.trim_end_matches(';')).collect()
}

fn ident(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The first names of what is used by `crate::name` and `crate::{name, ..}`.
fn used(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            names.push(ident(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, c) in group.char_indices() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && !c.is_whitespace() => {
                    names.push(ident(&group[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// What the module may not use and uses: modules further down, and the root itself, which would
/// hide them.
fn faults<'a>(modules: &[&str], module: &str, code: &'a str) -> Vec<&'a str> {
    let place = |name: &str| modules.iter().position(|module| *module == name);
    let own = place(module).expect("`lib.rs` lists the module");
    let mut names = used(code);
    // What a macro writes into other crates goes by the door for macros.
    names.retain(|name| *name != "__private" && place(name).is_none_or(|at| at > own));
    names
}

#[test]
fn modules_use_only_those_above_them() {
    let lib = fs::read_to_string(sources().join("lib.rs")).expect("there is a `lib.rs`");
    let modules = modules(&lib);
    assert!(modules.len() > 10, "found only {modules:?}");
    for module in &modules {
        let mut files = files(&sources().join(module));
        files.push(sources().join(module).with_extension("rs"));
        for file in files {
            let source = fs::read_to_string(&file).expect("a listed module has a file");
            let source = code(&source);
            let faults = faults(&modules, module, &source);
            assert!(faults.is_empty(), "{} uses {faults:?}", file.display());
        }
    }
}

#[test]
fn a_planted_violation_is_found() {
    let modules = modules("mod id;\nmod error;\n// Not a module.\nmod cell;\npub use id::Id;");
    assert_eq!(modules, ["id", "error", "cell"]);
    let clean = code("use crate::id::Id;\n/// See crate::cell.\nuse crate::error::{self, E};");
    assert!(faults(&modules, "error", &clean).is_empty());
    assert_eq!(faults(&modules, "id", "use crate::error::E;"), ["error"]);
    assert_eq!(
        faults(&modules, "id", "fn f() { crate::cell::g() }"),
        ["cell"]
    );
    let group = "use crate::{id::{Id, next}, cell::Cell, error};";
    assert_eq!(faults(&modules, "error", group), ["cell"]);
    assert_eq!(faults(&modules, "error", "use crate::Cell;"), ["Cell"]);
}

#[test]
fn there_is_no_unsafe_code() {
    let lib = fs::read_to_string(sources().join("lib.rs")).expect("there is a `lib.rs`");
    assert!(lib.contains("#![forbid(unsafe_code)]"));
}
