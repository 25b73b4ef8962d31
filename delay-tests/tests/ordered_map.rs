//! Histories of the ordered map, with delays.

extern crate latchfree_delay as latchfree;

#[path = "../../tests/ordered_map_linearizability.rs"]
mod histories;
