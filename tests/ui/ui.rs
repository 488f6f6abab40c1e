//! What the compiler says to misuse, and what it takes: one file per case, in `cases` and `pass`.
//!
//! The texts are those of one toolchain; `TRYBUILD=overwrite cargo test --test ui` writes them anew.

#[test]
fn misuse_is_explained_and_use_compiles() {
    let cases = trybuild::TestCases::new();
    cases.pass("pass/*.rs");
    cases.compile_fail("cases/*.rs");
}
