//! The tests of `bounded_queue` with compare-exchanges instead of `membarrier`.

#[path = "bounded_queue.rs"]
mod bounded_queue;
