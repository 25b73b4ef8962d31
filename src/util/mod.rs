//! Rooms that several structures use.

pub(crate) mod backoff;
pub(crate) mod count;
pub(crate) mod per_thread;
pub(crate) mod places;
pub(crate) mod prefetch;
pub(crate) mod recycle;
