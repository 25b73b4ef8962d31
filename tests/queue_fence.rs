//! The tests of `queue` with a fence on both sides instead of `membarrier`.

#[path = "queue.rs"]
mod queue;
