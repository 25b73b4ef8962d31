//! A striped counter: each thread counts in a line of its own, so that counting costs a load and a store and no cache line
//! travels between cores.
//!
//! **Invariants**: a stripe has one writer, the thread whose place it is ([`PerThread`]). Stripes are numbers modulo 2^n:
//! what one thread adds another may take away, and only the sum means anything.
//!
//! **Non-invariants**: a sum that is taken while others count is off by no more than what they count meanwhile, and may
//! come out below zero, which reads as zero. It is exact where every count happens before it.
//!
//! **Progress**: wait-free but for the allocation of stripes, once for each doubling of the threads.

use core::fmt;

use super::per_thread::PerThread;
use crate::sync::{AtomicUsize, Ordering, const_fn};

/// A counter that many threads change and few read.
pub(crate) struct Count {
    stripes: PerThread<AtomicUsize>,
    /// For threads without a place.
    shared: AtomicUsize,
}

impl Count {
    const_fn! {
        /// Zero; allocates nothing.
        pub(crate) const fn new() -> Self {
            Self { stripes: PerThread::new(), shared: AtomicUsize::new(0) }
        }
    }

    /// Counts `n` more. A thread's first call may allocate.
    #[inline]
    pub(crate) fn add(&self, n: usize) {
        match self.stripes.get(|| AtomicUsize::new(0)) {
            // Relaxed: we are the only writer, and nothing is published by a count.
            Some(stripe) => stripe.store(stripe.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed),
            // Relaxed: nothing is published by a count.
            None => drop(self.shared.fetch_add(n, Ordering::Relaxed)),
        }
    }

    /// Counts `n` less, whoever added them.
    #[inline]
    pub(crate) fn sub(&self, n: usize) {
        self.add(n.wrapping_neg());
    }

    /// What all threads counted together; wait-free, a walk over the stripes.
    pub(crate) fn sum(&self) -> usize {
        // Relaxed, all of them: a count; what happens before this call is seen by coherence.
        let shared = self.shared.load(Ordering::Relaxed);
        let stripes = self.stripes.all().map(|stripe| stripe.load(Ordering::Relaxed));
        let sum = stripes.fold(shared, usize::wrapping_add);
        usize::try_from(sum as isize).unwrap_or(0)
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Count").field(&self.sum()).finish()
    }
}

#[cfg(all(test, feature = "std", not(any(latchfree_loom, latchfree_stall))))]
mod tests {
    use std::sync::Barrier;
    use std::thread::{scope, spawn};
    use std::vec::Vec;

    use super::Count;

    static STATIC: Count = Count::new();

    #[test]
    fn what_one_adds_another_takes_away() {
        STATIC.add(3);
        spawn(|| STATIC.sub(2)).join().unwrap();
        assert_eq!(STATIC.sum(), 1);
        STATIC.sub(2);
        assert_eq!(STATIC.sum(), 0, "never below zero");
        STATIC.add(1);
        assert_eq!(STATIC.sum(), 0);
    }

    /// More threads than there are slots, all alive at once, then as many again that inherit their slots.
    #[test]
    fn exact_when_nobody_counts() {
        const THREADS: usize = 200;
        let (count, barrier) = (Count::new(), Barrier::new(THREADS));
        for round in 1..=2 {
            scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        barrier.wait();
                        for _ in 0..1000 {
                            count.add(2);
                            count.sub(1);
                        }
                        barrier.wait();
                    });
                }
            });
            assert_eq!(count.sum(), round * THREADS * 1000);
        }
    }

    /// A thread-local made before the slot's owner is destroyed after it, and counts in its destructor.
    #[test]
    fn destructors_of_thread_locals_count() {
        struct Late(&'static Count);
        impl Drop for Late {
            fn drop(&mut self) {
                self.0.add(1);
            }
        }
        std::thread_local! { static LATE: Late = const { Late(&COUNT) } }
        static COUNT: Count = Count::new();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                spawn(|| {
                    LATE.with(|_| ());
                    COUNT.add(1);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(COUNT.sum(), 16);
    }
}
