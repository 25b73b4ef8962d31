//! The shim: the only file that names core atomics, loom or shuttle.
//!
//! The crate's sources are compiled in four worlds. Users get [`core`]'s atomics; `loom-tests` compiles the same
//! files against loom, which explores weak-memory executions; `stall-tests` compiles them against shuttle, whose
//! scheduler can freeze a thread at any atomic step; `delay-tests` has core's atomics that dawdle, for real threads in odd
//! schedules. The world is chosen by a private cfg that the members' build scripts emit, never by a feature, so that no
//! user's build can end up in the wrong one.

#[cfg(not(any(latchfree_loom, latchfree_stall)))]
mod world {
    #[cfg(all(target_has_atomic = "64", not(latchfree_delay)))]
    pub(crate) use core::sync::atomic::AtomicU64;
    #[cfg(not(latchfree_delay))]
    pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize};
    pub(crate) use core::sync::atomic::{Ordering, compiler_fence, fence};

    /// What dawdles, and what the delays themselves need.
    #[cfg(latchfree_delay)]
    pub(crate) use core::sync::atomic as undelayed;

    #[cfg(all(target_has_atomic = "64", latchfree_delay))]
    pub(crate) use super::delay::AtomicU64;
    #[cfg(latchfree_delay)]
    pub(crate) use super::delay::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize};

    /// A static of this world, as an expression of type `&'static T`.
    #[doc(hidden)]
    #[macro_export]
    macro_rules! __global {
        ($type:ty, $init:expr) => {{
            static GLOBAL: $type = $init;
            &GLOBAL
        }};
    }

    /// A thread-local of this world, whose destructor runs at thread exit.
    #[doc(hidden)]
    #[macro_export]
    #[cfg(feature = "std")]
    macro_rules! __local {
        ($name:ident: $type:ty = $init:expr) => {
            ::std::thread_local! { static $name: $type = const { $init } }
        };
    }
}

#[cfg(latchfree_stall)]
mod world {
    pub(crate) use shuttle::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence, fence,
    };

    #[doc(hidden)]
    pub use shuttle;

    #[doc(hidden)]
    #[macro_export]
    macro_rules! __global {
        ($type:ty, $init:expr) => {{
            use $crate::__private::shuttle;
            shuttle::lazy_static! { static ref GLOBAL: $type = $init; }
            let global: &'static $type = &GLOBAL;
            global
        }};
    }

    #[doc(hidden)]
    #[macro_export]
    macro_rules! __local {
        ($name:ident: $type:ty = $init:expr) => {
            $crate::__private::shuttle::thread_local! { static $name: $type = $init }
        };
    }
}

#[cfg(latchfree_loom)]
mod world {
    pub(crate) use core::sync::atomic::Ordering;

    #[doc(hidden)]
    pub use loom;

    use super::model::{Barriers, barriers, reader_loads_are_rmws};
    use super::mutant;

    #[track_caller]
    pub(crate) fn fence(order: Ordering) {
        if !mutant::removes() {
            loom::sync::atomic::fence(order);
        }
    }

    /// Before an access of this order; the order. loom takes `SeqCst` for `AcqRel`: where a model asks for its total order, a fence
    /// stands before each such access, or after each that writes.
    fn ordered(order: Ordering) -> Ordering {
        if order == Ordering::SeqCst && barriers() == Barriers::TotalOrder {
            loom::sync::atomic::fence(order);
        }
        order
    }

    /// After an access of this order that has written.
    fn written(order: Ordering) {
        if order == Ordering::SeqCst && barriers() == Barriers::StoreLoad {
            loom::sync::atomic::fence(order);
        }
    }

    /// loom's atomics, with one switch: in a run whose reader loads are RMWs a `load` is a read-modify-write that
    /// changes nothing. loom remembers only the last access to an atomic, so it finds no reason to try another
    /// order for a reader that merely loads (tokio-rs/loom#166); an RMW is a reason. The RMW is an exchange that fails:
    /// one that wrote the same value again could, in loom's partial order of stores, come after another thread's
    /// concurrent plain store, and undo it.
    macro_rules! atomic {
        ($name:ident, $value:ty) => {
            #[derive(Debug)]
            pub(crate) struct $name(loom::sync::atomic::$name);

            impl $name {
                #[track_caller]
                pub(crate) fn new(value: $value) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }
                #[track_caller]
                pub(crate) fn load(&self, order: Ordering) -> $value {
                    let order = ordered(mutant::weaken(order));
                    if reader_loads_are_rmws() {
                        // AcqRel: it always fails, so `order` is what counts.
                        let never = <$value>::MAX;
                        let any = self.0.compare_exchange(never, never, Ordering::AcqRel, order);
                        return any.unwrap_or_else(|actual| actual);
                    }
                    self.0.load(order)
                }
                #[allow(dead_code, reason = "not every width is stored")]
                #[track_caller]
                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    let order = ordered(mutant::weaken(order));
                    self.0.store(value, order);
                    written(order);
                }
                #[allow(dead_code, reason = "not every width is exchanged")]
                #[track_caller]
                pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                    let order = ordered(mutant::weaken(order));
                    let old = self.0.swap(value, order);
                    written(order);
                    old
                }
                #[allow(dead_code, reason = "not every width is added to")]
                #[track_caller]
                pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                    let order = ordered(mutant::weaken(order));
                    let old = self.0.fetch_add(value, order);
                    written(order);
                    old
                }
                #[allow(dead_code, reason = "not every width is subtracted from")]
                #[track_caller]
                pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                    let order = ordered(mutant::weaken(order));
                    let old = self.0.fetch_sub(value, order);
                    written(order);
                    old
                }
                #[allow(dead_code, reason = "not every width has bits")]
                #[track_caller]
                pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                    let order = ordered(mutant::weaken(order));
                    let old = self.0.fetch_or(value, order);
                    written(order);
                    old
                }
                #[allow(dead_code, reason = "not every width has bits")]
                #[track_caller]
                pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                    let order = ordered(mutant::weaken(order));
                    let old = self.0.fetch_and(value, order);
                    written(order);
                    old
                }
                #[allow(dead_code, reason = "not every width is exchanged")]
                #[track_caller]
                pub(crate) fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    let success = ordered(mutant::weaken(success));
                    let old = self.0.compare_exchange(current, new, success, mutant::weaken_failure(failure));
                    if old.is_ok() {
                        written(success);
                    }
                    old
                }
                #[allow(dead_code, reason = "not every width is reset")]
                #[track_caller]
                pub(crate) fn with_mut<T>(&mut self, f: impl FnOnce(&mut $value) -> T) -> T {
                    self.0.with_mut(f)
                }
            }
        };
    }
    atomic!(AtomicUsize, usize);
    atomic!(AtomicU8, u8);
    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);

    /// A bool is a byte here, so that there is a value it never has, for the exchange that fails.
    #[derive(Debug)]
    pub(crate) struct AtomicBool(AtomicU8);

    impl AtomicBool {
        #[track_caller]
        pub(crate) fn new(value: bool) -> Self {
            Self(AtomicU8::new(value.into()))
        }
        #[track_caller]
        pub(crate) fn load(&self, order: Ordering) -> bool {
            self.0.load(order) != 0
        }
        #[track_caller]
        pub(crate) fn store(&self, value: bool, order: Ordering) {
            self.0.store(value.into(), order);
        }
        #[track_caller]
        pub(crate) fn compare_exchange(
            &self,
            current: bool,
            new: bool,
            success: Ordering,
            failure: Ordering,
        ) -> Result<bool, bool> {
            let exchanged = self.0.compare_exchange(current.into(), new.into(), success, failure);
            exchanged.map(|found| found != 0).map_err(|found| found != 0)
        }
    }

    #[derive(Debug)]
    pub(crate) struct AtomicPtr<T>(loom::sync::atomic::AtomicPtr<T>);

    impl<T> AtomicPtr<T> {
        #[track_caller]
        pub(crate) fn new(value: *mut T) -> Self {
            Self(loom::sync::atomic::AtomicPtr::new(value))
        }
        #[track_caller]
        pub(crate) fn load(&self, order: Ordering) -> *mut T {
            let order = ordered(mutant::weaken(order));
            if reader_loads_are_rmws() {
                // AcqRel: it always fails, so `order` is what counts.
                let never = core::ptr::without_provenance_mut(usize::MAX);
                let any = self.0.compare_exchange(never, never, Ordering::AcqRel, order);
                return any.unwrap_or_else(|actual| actual);
            }
            self.0.load(order)
        }
        #[track_caller]
        pub(crate) fn store(&self, value: *mut T, order: Ordering) {
            let order = ordered(mutant::weaken(order));
            self.0.store(value, order);
            written(order);
        }
        #[track_caller]
        pub(crate) fn swap(&self, value: *mut T, order: Ordering) -> *mut T {
            let order = ordered(mutant::weaken(order));
            let old = self.0.swap(value, order);
            written(order);
            old
        }
        #[track_caller]
        pub(crate) fn compare_exchange(
            &self,
            current: *mut T,
            new: *mut T,
            success: Ordering,
            failure: Ordering,
        ) -> Result<*mut T, *mut T> {
            let success = ordered(mutant::weaken(success));
            let old = self.0.compare_exchange(current, new, success, mutant::weaken_failure(failure));
            if old.is_ok() {
                written(success);
            }
            old
        }
        #[track_caller]
        pub(crate) fn with_mut<U>(&mut self, f: impl FnOnce(&mut *mut T) -> U) -> U {
            self.0.with_mut(f)
        }
    }

    #[doc(hidden)]
    #[macro_export]
    macro_rules! __global {
        ($type:ty, $init:expr) => {{
            use $crate::__private::loom;
            loom::lazy_static! { static ref GLOBAL: $type = $init; }
            let global: &'static $type = &GLOBAL;
            global
        }};
    }

    #[doc(hidden)]
    #[macro_export]
    macro_rules! __local {
        ($name:ident: $type:ty = $init:expr) => {
            $crate::__private::loom::thread_local! { static $name: $type = $init }
        };
    }
}

#[cfg(any(latchfree_loom, latchfree_stall))]
pub use world::*;
#[cfg(not(any(latchfree_loom, latchfree_stall)))]
pub(crate) use world::*;

/// `const fn` where the world's atomics have const constructors, `fn` under loom.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis const fn $($rest:tt)*) => {
        #[cfg(not(latchfree_loom))]
        $(#[$meta])* $vis const fn $($rest)*
        #[cfg(latchfree_loom)]
        $(#[$meta])* $vis fn $($rest)*
    };
}
pub(crate) use const_fn;

/// An `UnsafeCell` with loom's interface, so that loom sees every access to plain memory.
#[cfg(not(latchfree_loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(latchfree_loom))]
impl<T> UnsafeCell<T> {
    #[inline]
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }
    #[inline(always)]
    pub(crate) fn with<U>(&self, f: impl FnOnce(*const T) -> U) -> U {
        f(self.0.get())
    }
    #[inline(always)]
    pub(crate) fn with_mut<U>(&self, f: impl FnOnce(*mut T) -> U) -> U {
        f(self.0.get())
    }
}
#[cfg(latchfree_loom)]
pub(crate) use loom::cell::UnsafeCell;

/// loom's way to reach the inside of an atomic that is not shared, for the worlds whose own is `get_mut`.
#[cfg(not(latchfree_loom))]
pub(crate) trait WithMut {
    type Value;
    fn with_mut<U>(&mut self, f: impl FnOnce(&mut Self::Value) -> U) -> U;
}

#[cfg(not(latchfree_loom))]
macro_rules! with_mut {
    ($([$($generic:ident)?] $atomic:ty, $value:ty;)+) => {$(
        impl$(<$generic>)? WithMut for $atomic {
            type Value = $value;
            #[inline(always)]
            fn with_mut<U>(&mut self, f: impl FnOnce(&mut $value) -> U) -> U {
                f(self.get_mut())
            }
        }
    )+};
}
#[cfg(not(latchfree_loom))]
with_mut! {
    [] AtomicUsize, usize;
    [] AtomicU8, u8;
    [] AtomicU32, u32;
    [T] AtomicPtr<T>, *mut T;
}
#[cfg(all(not(latchfree_loom), target_has_atomic = "64"))]
with_mut! {
    [] AtomicU64, u64;
}

/// A byte of the process and not of a model: decided once, before and outside of what is explored.
#[cfg(not(latchfree_loom))]
pub(crate) type ProcessByte = core::sync::atomic::AtomicU8;

/// A number of the process and not of a model, so that none is given twice to its threads.
#[cfg(any(feature = "std", latchfree_loom, latchfree_stall))]
pub(crate) type ProcessWord = core::sync::atomic::AtomicUsize;

/// For whom relies on the total order of `SeqCst` accesses: loom takes them for `AcqRel`, and orders its fences only.
#[inline(always)]
#[cfg_attr(latchfree_loom, track_caller)]
pub(crate) fn order_for_loom() {
    #[cfg(latchfree_loom)]
    fence(Ordering::SeqCst);
}

/// Tells the processor, or the model, that this thread is in a bounded wait.
#[inline]
pub(crate) fn spin_loop() {
    #[cfg(not(any(latchfree_loom, latchfree_stall)))]
    core::hint::spin_loop();
    #[cfg(latchfree_stall)]
    shuttle::hint::spin_loop();
    // Under loom the bound of a wait is zero or one, and a yield would only hide interleavings.
}

/// The answer of a re-check: whether what was read still holds. A name for the mutants tool, which makes it say yes.
#[inline(always)]
#[cfg_attr(latchfree_loom, track_caller)]
pub(crate) fn recheck(holds: bool) -> bool {
    #[cfg(latchfree_loom)]
    if mutant::removes() {
        return true;
    }
    holds
}

#[cfg(latchfree_loom)]
pub(crate) mod mutant;

#[cfg(latchfree_delay)]
mod delay;
#[cfg(latchfree_delay)]
pub use delay::delays;

/// How models of this crate, and of crates over it, are run. Exists only in the loom build.
#[cfg(latchfree_loom)]
pub mod model {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::world::AtomicUsize as ModelUsize;

    std::thread_local! {
        // loom runs all threads of a model on the thread that called it, so these are one switch a model.
        static READER_RMWS: Cell<bool> = const { Cell::new(false) };
        static BARRIERS: Cell<Barriers> = const { Cell::new(Barriers::Fence) };
        static LOGS: Cell<bool> = const { Cell::new(false) };
        static ADOPTS: Cell<bool> = const { Cell::new(false) };
    }

    /// Lets threads own the counters of queues in this execution: whoever takes a ticket by exchange adopts the counter.
    pub fn adopt() {
        ADOPTS.with(|switch| switch.set(true));
    }

    pub(crate) fn adopts() -> bool {
        ADOPTS.with(Cell::get)
    }

    /// Lets leaves of ordered maps use their logs in this execution: else every insertion makes a new leaf, so that models of splits
    /// are small.
    pub fn use_logs() {
        LOGS.with(|switch| switch.set(true));
    }

    pub(crate) fn uses_logs() -> bool {
        LOGS.with(Cell::get)
    }

    pub(super) fn reader_loads_are_rmws() -> bool {
        READER_RMWS.with(Cell::get)
    }

    pub(crate) fn asymmetric() -> bool {
        barriers() == Barriers::Asymmetric
    }

    pub(super) fn barriers() -> Barriers {
        BARRIERS.with(Cell::get)
    }

    /// Which barriers the model's threads have.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Barriers {
        /// `fence(SeqCst)` on both sides.
        Fence,
        /// A light side and a heavy side that order light against heavy, and never light against light.
        Asymmetric,
        /// As `Fence`, and `SeqCst` accesses have their total order, by a fence before each, since loom takes them for
        /// `AcqRel`. Its fences also synchronise, which the accesses do not: for models about that order, and no others.
        TotalOrder,
        /// As `TotalOrder`, with a fence after each access that writes instead: it comes between a write and the next read, and
        /// not between two reads. A fence before the read would be there whether or not the write is `SeqCst`.
        StoreLoad,
    }

    /// Explores `f` twice, with true loads and with reader loads as RMWs, and returns the executions of both runs.
    ///
    /// The bounds come from loom's environment variables; without `LOOM_MAX_PREEMPTIONS` the bound is
    /// `preemptions`, and `None` explores without a bound.
    ///
    /// # Panics
    ///
    /// If an execution fails, or if either run explored fewer than `at_least` executions: a model that explores
    /// nothing proves nothing.
    #[track_caller]
    pub fn check(
        barriers: Barriers,
        preemptions: Option<usize>,
        at_least: usize,
        f: impl Fn() + Sync + Send + 'static,
    ) -> [usize; 2] {
        let f = Arc::new(f);
        [false, true].map(|rmws| {
            let executions = Arc::new(AtomicUsize::new(0));
            let mut builder = loom::model::Builder::new();
            builder.max_branches = 20_000;
            if builder.preemption_bound.is_none() {
                builder.preemption_bound = preemptions;
            }
            READER_RMWS.with(|switch| switch.set(rmws));
            BARRIERS.with(|switch| switch.set(barriers));
            let (f, counter) = (f.clone(), executions.clone());
            builder.check(move || {
                // Relaxed: one thread of the system runs a model.
                counter.fetch_add(1, Ordering::Relaxed);
                // Here and not at the first barrier, whose thread's past would happen before every later one.
                let _ = WORDS.words.len();
                LOGS.with(|switch| switch.set(false));
                ADOPTS.with(|switch| switch.set(false));
                f();
            });
            READER_RMWS.with(|switch| switch.set(false));
            BARRIERS.with(|switch| switch.set(Barriers::Fence));
            // Relaxed: as above.
            let executions = executions.load(Ordering::Relaxed);
            assert!(
                // Of a mutant another number may be explored, and that is no answer.
                executions >= at_least || super::mutant::is_chosen(),
                "only {executions} executions explored (reader loads as RMWs: {rmws}), at least {at_least} expected"
            );
            executions
        })
    }

    /// One word a thread: the light barrier is an RMW on the caller's own word, the heavy one an RMW on every
    /// thread's. That orders light against heavy, as `membarrier` does, and leaves light against light unordered.
    struct Words {
        words: Vec<ModelUsize>,
        given: AtomicUsize,
    }

    loom::lazy_static! {
        static ref WORDS: Words = Words {
            words: (0..loom::MAX_THREADS).map(|_| ModelUsize::new(0)).collect(),
            given: AtomicUsize::new(0),
        };
    }
    loom::thread_local! {
        // Relaxed: as above.
        static WORD: usize = WORDS.given.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn light() {
        // AcqRel: pairs with that of `heavy` on this word.
        WORD.with(|&word| WORDS.words[word].fetch_add(1, Ordering::AcqRel));
    }

    pub(crate) fn heavy() {
        for word in &WORDS.words {
            // AcqRel: pairs with each thread's own in `light`.
            word.fetch_add(1, Ordering::AcqRel);
        }
    }
}
