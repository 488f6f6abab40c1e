//! What the compiler says to misuse, and what it takes: one file per case in `tests/ui`.
//!
//! The texts are those of one toolchain; `TRYBUILD=overwrite cargo test --test ui` writes them anew.

#[test]
fn misuse_is_explained_and_use_compiles() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/*.rs");
}
