//! An example of a crate over `latchfree` that model-checks its own code: a mailbox that can be closed.
//!
//! `mailbox.rs` names no atomics and no queue of its own: it takes them from its parent module. Here these are the real
//! ones; `tests/model.rs` includes the same file below a module that has loom's.

mod world {
    pub(crate) use core::sync::atomic::{AtomicBool, Ordering};
    pub(crate) use latchfree::Queue;
}

mod mailbox;

pub use mailbox::Mailbox;
