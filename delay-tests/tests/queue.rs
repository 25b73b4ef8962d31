//! Histories of the queue, with delays.

extern crate latchfree_delay as latchfree;

#[path = "../../tests/linearizability.rs"]
mod histories;
