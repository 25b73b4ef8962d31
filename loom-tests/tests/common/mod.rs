//! What the models share.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod eager;
pub mod hash;
pub mod ordered;
#[path = "../../../tests/common/tens.rs"]
pub mod tens;

use std::cell::Cell;
use std::sync::Arc;

use latchfree_loom::model::{Barriers, check};
use loom::thread::{JoinHandle, spawn};

std::thread_local! {
    // loom runs all threads of a model on one thread of the system, so this counts one model's items.
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// A value whose drops are counted.
#[derive(Debug)]
pub struct Item(pub usize);

impl Item {
    /// A value that has to be dropped once.
    pub fn new(id: usize) -> Self {
        LIVE.with(|live| live.set(live.get() + 1));
        Self(id)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        // A model that fails with items in its hands drops them when the thread's locals are gone.
        let _ = LIVE.try_with(|live| live.set(live.get() - 1));
    }
}

/// An item so large that four of them share a segment in the loom build, and not two.
pub struct Large(pub Item, [usize; 16]);

impl Large {
    /// As [`Item::new`].
    pub fn new(id: usize) -> Self {
        Self(Item::new(id), [id; 16])
    }

    /// The number, after a look at all of the value.
    pub fn id(&self) -> usize {
        assert!(self.1.iter().all(|&word| word == self.0.0), "torn value");
        self.0.0
    }
}

/// Explores `f`, which has to drop all items, and prints how many executions that took.
#[track_caller]
pub fn explore(name: &str, barriers: Barriers, preemptions: Option<usize>, at_least: usize, f: fn()) {
    let start = std::time::Instant::now();
    let executions = check(barriers, preemptions, at_least, move || {
        LIVE.with(|live| live.set(0));
        f();
        assert_eq!(LIVE.with(Cell::get), 0, "every item is dropped once");
    });
    println!("MODEL {name} {barriers:?} {executions:?} {:.1?}", start.elapsed());
}

/// A thread of a model that works on what all share.
pub fn go<S: Send + Sync + 'static, T: 'static>(
    shared: &Arc<S>,
    f: impl FnOnce(&S) -> T + 'static,
) -> JoinHandle<T> {
    let shared = shared.clone();
    // The thread's handle is dropped at the end, never the last.
    spawn(move || f(&shared))
}

/// A test a model, for what does not depend on barriers: bound on preemptions, least number of executions, body.
#[macro_export]
macro_rules! models_without_barriers {
    ($($(#[$doc:meta])* $name:ident($preemptions:expr, $at_least:expr) $body:block)+) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            fn model() $body
            $crate::common::explore(
                stringify!($name),
                latchfree_loom::model::Barriers::Fence,
                $preemptions,
                $at_least,
                model,
            );
        }
    )+};
}

/// Two tests a model, one for either kind of barriers: bound on preemptions, least number of executions, body.
#[macro_export]
macro_rules! models {
    ($($rest:tt)+) => { $crate::models_with! { [] $($rest)+ } };
}

/// Models that take minutes: run by the mutants tool, and by `cargo test -p loom-tests -- --include-ignored`.
#[macro_export]
macro_rules! deep_models {
    ($($rest:tt)+) => { $crate::models_with! { [#[ignore = "takes minutes; run with --include-ignored"]] $($rest)+ } };
}

#[doc(hidden)]
#[macro_export]
macro_rules! models_with {
    ($ignore:tt) => {};
    ($ignore:tt $(#[$doc:meta])* $name:ident($preemptions:expr, $at_least:expr) $body:block $($rest:tt)*) => {
        $crate::models_with! { @one $ignore [$(#[$doc])*] $name($preemptions, $at_least) $body }
        $crate::models_with! { $ignore $($rest)* }
    };
    (@one [$($ignore:tt)*] [$($doc:tt)*] $name:ident($preemptions:expr, $at_least:expr) $body:block) => {
        $($doc)*
        mod $name {
            use super::*;

            pub(super) fn model() $body

            #[test]
            $($ignore)*
            fn fence() {
                $crate::common::explore(stringify!($name), Barriers::Fence, $preemptions, $at_least, model);
            }
            #[test]
            $($ignore)*
            fn asymmetric() {
                $crate::common::explore(stringify!($name), Barriers::Asymmetric, $preemptions, $at_least, model);
            }
        }
    };
}

/// The same models where threads own the counters of queues: bound on preemptions, names.
#[macro_export]
macro_rules! owned_models {
    ($($name:ident($preemptions:expr, $at_least:expr))+) => {
        mod owned {
            use super::*;
            $(#[test]
            fn $name() {
                fn model() {
                    latchfree_loom::model::adopt();
                    super::$name::model();
                }
                let name = concat!("owned ", stringify!($name));
                $crate::common::explore(name, Barriers::Asymmetric, $preemptions, $at_least, model);
            })+
        }
    };
}
