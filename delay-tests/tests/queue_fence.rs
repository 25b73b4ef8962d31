//! Histories of the queue, with compare-exchanges instead of `membarrier`, with delays.

extern crate latchfree_delay as latchfree;

#[path = "../../tests/linearizability.rs"]
mod histories;
