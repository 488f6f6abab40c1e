//! Bugs to plant, by which it is seen that the tests reject them: a test that never failed proves nothing.
//!
//! Built with `--cfg actors_mutants`, there is the one that `ACTORS_MUTANT` names; `.ci/mutants` tries them
//! one by one. In every other build there are none, and nothing is looked up.
use super::sync::atomic::Ordering;

/// Whether there is this bug.
#[cfg(not(actors_mutants))]
#[inline(always)]
pub(super) const fn planted(_bug: &str) -> bool {
    false
}

/// Whether there is this bug.
#[cfg(actors_mutants)]
pub(super) fn planted(bug: &str) -> bool {
    use std::sync::OnceLock;

    static NAMED: OnceLock<Option<String>> = OnceLock::new();
    let named = NAMED.get_or_init(|| std::env::var("ACTORS_MUTANT").ok());
    named.as_deref() == Some(bug)
}

/// This order, or none where there is this bug.
#[inline(always)]
pub(super) fn unless(bug: &str, order: Ordering) -> Ordering {
    if planted(bug) {
        Ordering::Relaxed
    } else {
        order
    }
}
