//! The tests of `reclaim` with a fence on both sides instead of `membarrier`.

#[path = "reclaim.rs"]
mod reclaim;
