//! Histories of the stack, with delays.

extern crate latchfree_delay as latchfree;

#[path = "../../tests/stack_linearizability.rs"]
mod histories;
