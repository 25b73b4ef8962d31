//! Strictly lock-free concurrent data structures on epoch-based reclamation.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod sync;
mod util;

pub mod queue;
pub mod reclaim;

#[doc(inline)]
pub use queue::Queue;
#[doc(inline)]
pub use reclaim::{Epoch, Guard, OwnedGuard};

#[cfg(latchfree_loom)]
pub use sync::model;

/// Pins the current thread in the process's domain; see [`Guard::pin`].
///
/// # Examples
///
/// ```
/// let queue = latchfree::Queue::new();
/// let guard = latchfree::pin();
/// queue.push_with(1, &guard); // any number of structures under one guard
/// ```
#[inline]
pub fn pin() -> Guard {
    Guard::pin()
}

/// A guard that can move between threads; see [`OwnedGuard`].
///
/// # Examples
///
/// ```
/// let guard = latchfree::pin_owned();
/// let queue = latchfree::Queue::new();
/// queue.push_with("from a task", &guard);
/// ```
pub fn pin_owned() -> OwnedGuard {
    OwnedGuard::pin()
}

/// For the macros.
#[doc(hidden)]
pub mod __private {
    pub use crate::reclaim::epoch::{Local, State};
    #[cfg(latchfree_loom)]
    pub use crate::sync::loom;
    #[cfg(latchfree_stall)]
    pub use crate::sync::shuttle;
}

/// The README's programs, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
