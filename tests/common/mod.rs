//! What several test binaries share; each uses a part of it.
#![allow(dead_code, reason = "every test binary compiles its own copy and uses a part")]
#![allow(unused_macros, unused_imports, reason = "as above")]

pub mod history;
pub mod lifo;
pub mod per_key;

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use latchfree::reclaim::{self, Accepts, Reclaim, barrier, choose_barrier};

/// The reclaimers that a test body is run with, and the item types that most bodies need.
pub trait Both:
    Reclaim<Garbage: Send + Sync>
    + Accepts<()>
    + Accepts<u8>
    + Accepts<u64>
    + Accepts<String>
    + Accepts<Counted>
    + Accepts<(usize, u64)>
{
}

impl<R> Both for R where
    R: Reclaim<Garbage: Send + Sync>
        + Accepts<()>
        + Accepts<u8>
        + Accepts<u64>
        + Accepts<String>
        + Accepts<Counted>
        + Accepts<(usize, u64)>
{
}

/// Makes a `#[test]` of each generic body for each reclaimer; `setup` of the invoking module runs first.
macro_rules! over_both {
    ($($name:ident),* $(,)?) => {
        mod on_epoch {
            $(#[test] fn $name() { super::setup(); super::$name::<latchfree::Epoch>(); })*
        }
        #[cfg(feature = "crossbeam")]
        mod on_crossbeam {
            $(#[test] fn $name() { super::setup(); super::$name::<latchfree::reclaim::Crossbeam>(); })*
        }
    };
}
pub(crate) use over_both;

/// Forces the fences where a file is included a second time, by a binary whose name ends in `_fence`.
pub fn choose(module_path: &str) {
    if module_path.split("::").next().is_some_and(|root| root.ends_with("_fence")) {
        choose_barrier(reclaim::Barrier::Fence).expect("nothing was used before");
        assert_eq!(barrier(), reclaim::Barrier::Fence);
    }
}

/// Who was made and who was dropped, by number.
#[derive(Debug)]
pub struct Ledger {
    made: Vec<AtomicU8>,
    dropped: Vec<AtomicU8>,
}

impl Ledger {
    /// For values numbered below `len`.
    pub fn new(len: usize) -> Arc<Self> {
        let zeros = || (0..len).map(|_| AtomicU8::new(0)).collect();
        Arc::new(Self { made: zeros(), dropped: zeros() })
    }

    pub fn item(self: &Arc<Self>, id: usize) -> Counted {
        assert_eq!(self.made[id].fetch_add(1, Ordering::Relaxed), 0, "made twice by the test");
        Counted { id, ledger: self.clone() }
    }

    pub fn dropped(&self) -> usize {
        self.dropped.iter().map(|count| usize::from(count.load(Ordering::Relaxed))).sum()
    }

    /// As many were dropped as were made.
    pub fn is_settled(&self) -> bool {
        self.dropped() == self.made.iter().map(|count| usize::from(count.load(Ordering::Relaxed))).sum()
    }

    /// Everything made was dropped, once.
    pub fn settle(&self) {
        for (id, (made, dropped)) in self.made.iter().zip(&self.dropped).enumerate() {
            let (made, dropped) = (made.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed));
            assert_eq!(made, dropped, "value {id}: made {made} times, dropped {dropped} times");
        }
    }
}

/// A value that signs the ledger when it is dropped.
#[derive(Debug)]
pub struct Counted {
    pub id: usize,
    ledger: Arc<Ledger>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Not asserted here: a panic in a destructor would hide who did it; `settle` tells.
        self.ledger.dropped[self.id].fetch_add(1, Ordering::Relaxed);
    }
}

/// Collects until nothing waits: other tests of the binary share the domain and may be pinned for a moment.
pub fn drained(collect: impl Fn(), objects: impl Fn() -> usize) -> bool {
    for _ in 0..1_000_000 {
        collect();
        if objects() == 0 {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// Small, reproducible, and good enough to pick operations.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// Threads that begin at once, each told its number.
pub fn scatter(threads: u64, work: impl Fn(u64) + Sync) {
    let start = Barrier::new(threads as usize);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(thread);
            });
        }
    });
}

/// A count that threads share.
pub type Count = AtomicUsize;
