//! The tests of `stack` with a fence on both sides instead of `membarrier`.

#[path = "stack.rs"]
mod stack;
