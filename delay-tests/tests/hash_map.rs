//! Histories of the hash map, with delays.

extern crate latchfree_delay as latchfree;

#[path = "../../tests/hash_map_linearizability.rs"]
mod histories;
