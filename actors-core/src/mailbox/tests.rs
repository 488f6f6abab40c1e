//! Tests of the mailbox by itself; small under Miri, where they matter most.
