//! Rooms that several structures use.

pub(crate) mod backoff;
#[allow(dead_code, reason = "the structures that count come next")]
pub(crate) mod count;
