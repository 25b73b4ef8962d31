//! Rooms that several structures use.

pub(crate) mod backoff;
#[allow(dead_code, reason = "the maps count with it")]
pub(crate) mod count;
pub(crate) mod per_thread;
pub(crate) mod prefetch;
