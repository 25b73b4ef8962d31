//! Rooms that several structures use.

pub(crate) mod backoff;
