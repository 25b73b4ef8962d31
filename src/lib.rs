//! Strictly lock-free concurrent data structures on epoch-based reclamation.
//!
//! *Strictly* means that a thread which is stopped at any instruction never stops another one: not a producer that the
//! scheduler took off its core in the middle of a push, not a consumer in the middle of a pop. Many queues that are called
//! lock-free do not have this.
//!
//! # Choose a structure
//!
//! | you need | take |
//! |---|---|
//! | a first-in first-out queue without a bound, any number of producers and consumers | [`Queue`] |
//! | the same with a fixed capacity, for back-pressure | [`BoundedQueue`] |
//! | a last-in first-out stack, or a pool | [`Stack`] |
//! | a map from keys to values that are lent, any number of readers and writers | [`HashMap`] |
//! | the same without values | [`HashSet`] |
//! | a hash map of small `Copy` keys and values, by value: counters, limits, tables of connections | [`CopyMap`] |
//! | entries or elements in order: timers, priorities, ranges, scans | [`OrderedMap`], [`OrderedSet`] |
//!
//! # Guards
//!
//! Memory that other threads may still read is freed when no guard that could protect it is left. Every operation takes a
//! guard for its own duration; where several follow each other, hold one and use the `_with` forms:
//!
//! ```
//! let (input, output) = (latchfree::Queue::new(), latchfree::Queue::new());
//! input.push_all(0..100);
//!
//! let guard = latchfree::pin(); // for any number of structures
//! while let Some(n) = input.pop_with(&guard) {
//!     output.push_with(n * n, &guard);
//! }
//! drop(guard); // before anything that may take long
//! assert_eq!(output.len(), 100);
//! ```
//!
//! ```text
//!   thread 1   ---[ guard ]------[ guard ]---->
//!   thread 2   ------[ guard        ]--------->
//!                      ^ retired here     ^ freed from here on: every guard that was there has ended
//! ```
//!
//! | | lives in | for |
//! |---|---|---|
//! | [`pin`] | the thread | everything, unless ... |
//! | [`pin_owned`] | itself; moves between threads | async tasks |
//! | [`reclaim::Participant`] | wherever you keep it | `no_std`, tasks that share a thread |
//!
//! # Memory and drops
//!
//! A structure's garbage belongs to the structure. It is freed a few objects at a time by the operations that retire more,
//! by `collect`, and, all of it, when the structure is dropped. So values need not be `'static`:
//!
//! ```
//! let text = String::from("words borrowed from here");
//! let queue = latchfree::Queue::new();
//! queue.push_all(text.split(' '));
//! assert_eq!(queue.pop(), Some("words"));
//! ```
//!
//! and what is borrowed must outlive the structure, which does not compile otherwise:
//!
//! ```compile_fail,E0597
//! let queue = latchfree::Queue::new();
//! {
//!     let text = String::from("words borrowed from here");
//!     queue.push_all(text.split(' '));
//! }
//! assert_eq!(queue.pop(), Some("words"));
//! ```
//!
//! Structures are invariant in what they hold: a shared queue of `&'static str` does not take a shorter-lived `&str`.
//!
//! ```compile_fail,E0597
//! fn push<'a>(queue: &latchfree::Queue<&'a str>, item: &'a str) {
//!     queue.push(item);
//! }
//! let queue: latchfree::Queue<&'static str> = latchfree::Queue::new();
//! let text = String::from("short-lived");
//! push(&queue, &text);
//! ```
//!
//! ```
//! fn push<'a>(queue: &latchfree::Queue<&'a str>, item: &'a str) {
//!     queue.push(item);
//! }
//! let queue: latchfree::Queue<&'static str> = latchfree::Queue::new();
//! push(&queue, "for ever");
//! ```
//!
//! A guard stays with its thread, and an owned one may move:
//!
//! ```compile_fail,E0277
//! let guard = latchfree::pin();
//! std::thread::spawn(move || drop(guard));
//! ```
//!
//! ```
//! let guard = latchfree::pin_owned();
//! std::thread::spawn(move || drop(guard)).join().unwrap();
//! ```
//!
//! A participant's guard does not outlive the participant:
//!
//! ```compile_fail,E0597
//! let guard = {
//!     let participant = latchfree::reclaim::Participant::<latchfree::reclaim::epoch::Global>::register();
//!     participant.pin()
//! };
//! drop(guard);
//! ```
//!
//! With [`Crossbeam`](reclaim::Crossbeam) destructors may run later and anywhere, so the values must be `Send + 'static`:
//!
//! ```compile_fail
//! let text = String::from("short-lived");
//! let queue: latchfree::Queue<&str, latchfree::reclaim::Crossbeam> = Default::default();
//! queue.push(&text);
//! ```
//!
//! # What happens before what
//!
//! | structure | what one thread did before | happens before what another does after |
//! |---|---|---|
//! | [`Queue`], [`BoundedQueue`] | it pushed an item | it popped that item, or displaced it with `force_push` |
//! | [`Stack`] | it pushed an item | it popped that item, or got a copy of it from `peek` or `iter` |
//! | [`HashMap`], [`HashSet`], [`CopyMap`] | it put an entry there, new or in another's place | it found, met in an iteration, replaced or removed that entry |
//! | [`OrderedMap`], [`OrderedSet`] | the same, and moved it to another key | the same, and popped it |
//! | all | a guard ended that may have lent a value | that value is dropped |
//!
//! So what an item points to may have been written without atomics, by whoever pushed it. Two operations that did not
//! meet in an item or an entry are not ordered by `len`, by an iteration, or by having been called one after the other by
//! the clock; yet all of them take effect in one order that all threads agree on: if two threads each push to one queue and then find
//! the other's empty, one of them is wrong, and that does not happen.
//!
//! ```
//! use std::cell::UnsafeCell;
//!
//! use latchfree::Queue;
//!
//! /// A cell without synchronization of its own.
//! struct Plain(UnsafeCell<u32>);
//! // SAFETY: written before a push, and read after the pop of that item.
//! unsafe impl Sync for Plain {}
//!
//! let (plain, ready) = (&Plain(UnsafeCell::new(0)), Queue::new());
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         // SAFETY: the other thread has not popped yet.
//!         unsafe { *plain.0.get() = 7 };
//!         ready.push(plain);
//!     });
//!     while ready.is_empty() {
//!         std::thread::yield_now();
//!     }
//!     let plain = ready.pop().unwrap();
//!     // SAFETY: the write happens before the push, which happens before this.
//!     assert_eq!(unsafe { *plain.0.get() }, 7);
//! });
//! ```
//!
//! # `no_std`
//!
//! Without the `std` feature the crate needs `alloc` only. There are no thread-locals then: each operation borrows a
//! participant's record for its duration, which costs two compare-exchanges. Keep a [`reclaim::Participant`] and use the
//! `_with` forms to avoid that.
//!
//! # Features
//!
//! - `std` (default): thread-local participants, timed backoff.
//! - `crossbeam` (default): [`reclaim::Crossbeam`].
//! - `serde`: `Deserialize` for the structures that own their elements, `Serialize` for those that can be looked at.
//! - `rayon`: `FromParallelIterator`, `ParallelExtend`, also for shared structures, and `IntoParallelIterator`.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod compute;
#[cfg(not(any(latchfree_loom, latchfree_stall)))]
mod impls;
mod sync;
mod util;

#[cfg(target_has_atomic = "64")]
pub mod hash_map;
pub mod ordered_map;
pub mod queue;
pub mod reclaim;
pub mod stack;

#[cfg(target_has_atomic = "64")]
#[doc(inline)]
pub use hash_map::{CopyMap, HashMap, HashSet};
#[doc(inline)]
pub use ordered_map::{OrderedMap, OrderedSet};
#[doc(inline)]
pub use queue::Queue;
#[cfg(target_has_atomic = "64")]
#[doc(inline)]
pub use queue::bounded::BoundedQueue;
#[doc(inline)]
pub use reclaim::{Epoch, Guard, OwnedGuard};
#[doc(inline)]
pub use stack::Stack;

#[cfg(latchfree_delay)]
pub use sync::delays;
#[cfg(latchfree_loom)]
pub use sync::model;

/// Pages about the whole crate; they exist in the documentation only.
#[cfg(any(doc, doctest))]
pub mod docs {
    #[doc = include_str!("docs/guide.md")]
    pub mod guide {}
    #[doc = include_str!("docs/migration.md")]
    pub mod migration {}
    #[doc = include_str!("docs/performance.md")]
    pub mod performance {}
    #[doc = include_str!("docs/limitations.md")]
    pub mod limitations {}
    #[doc = include_str!("docs/internals.md")]
    pub mod internals {}
    #[doc = include_str!("docs/evidence.md")]
    pub mod evidence {}
    #[doc = include_str!("docs/mutants.md")]
    pub mod mutants {}
}

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
    #[cfg(latchfree_loom)]
    pub use crate::queue::tickets::{Ticket, Tickets};
    pub use crate::reclaim::epoch::{Local, Record, State};
    #[cfg(latchfree_loom)]
    pub use crate::sync::loom;
    #[cfg(latchfree_stall)]
    pub use crate::sync::shuttle;
    #[cfg(latchfree_loom)]
    pub use crate::util::recycle::depot::{Block, Depot};
}

/// What does not compile, and its twins that do.
#[cfg(doctest)]
#[doc = include_str!("docs/lifetimes.md")]
struct Lifetimes;

/// The README's programs, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
