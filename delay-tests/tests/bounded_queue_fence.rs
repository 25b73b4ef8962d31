//! Histories of the bounded queue, with compare-exchanges instead of `membarrier`, with delays.

extern crate latchfree_delay as latchfree;

#[path = "../../tests/bounded_linearizability.rs"]
mod histories;
