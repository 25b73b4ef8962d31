//! Histories of the bounded queue, with delays.

extern crate latchfree_delay as latchfree;

#[path = "../../tests/bounded_linearizability.rs"]
mod histories;
