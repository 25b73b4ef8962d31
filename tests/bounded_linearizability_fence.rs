//! The tests of `bounded_linearizability` with compare-exchanges instead of `membarrier`.

#[path = "bounded_linearizability.rs"]
mod bounded_linearizability;
