//! A striped counter: each thread counts in a line of its own, so that counting costs a load and a store and no cache line
//! travels between cores.
//!
//! ```text
//!   thread 0 (slot 1)  chunk 0: [ 12 ]
//!   thread 1 (slot 2)  chunk 1: [ -3 | 0 ]              sum = 12 - 3 + 0 + shared
//!   more               chunk 2: not allocated yet ...
//! ```
//!
//! A thread holds a *slot* of the process from its first count to its exit; the slot names its stripe in every counter.
//! Threads that have none (there are more of them than slots, no thread-locals, or theirs are gone) count in a shared word.
//!
//! **Invariants**
//!
//! 1. *A stripe has one writer*: the holder of its slot. A slot passes from one thread to the next by `Release` and
//!    `Acquire`, so the next holder reads what the last one wrote, and no count is lost.
//! 2. *Stripes are numbers modulo 2^n*: what one thread adds another may take away; only the sum means anything.
//! 3. Chunks are published once and live as long as the counter.
//!
//! **Non-invariants**: a sum that is taken while others count is off by no more than what they count meanwhile, and may
//! come out below zero, which reads as zero. It is exact where every count happens before it.
//!
//! **Progress**: all of it is wait-free but for the allocation of a chunk, once for each number of stripes.

use alloc::boxed::Box;
use core::fmt;
use core::ptr;

use crossbeam_utils::CachePadded;

#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, const_fn};

/// Chunk `c` has 2^c stripes: few threads cost few lines. Seven pointers and the shared word are one line.
const CHUNKS: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 2 } else { 7 };

type Stripe = CachePadded<AtomicUsize>;

/// A counter that many threads change and few read.
pub(crate) struct Count {
    chunks: [AtomicPtr<Stripe>; CHUNKS],
    shared: AtomicUsize,
}

#[cfg(not(latchfree_loom))]
const fn no_chunks() -> [AtomicPtr<Stripe>; CHUNKS] {
    [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS]
}
#[cfg(latchfree_loom)]
fn no_chunks() -> [AtomicPtr<Stripe>; CHUNKS] {
    core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()))
}

impl Count {
    const_fn! {
        /// Zero; allocates nothing.
        pub(crate) const fn new() -> Self {
            Self { chunks: no_chunks(), shared: AtomicUsize::new(0) }
        }
    }

    /// Counts `n` more. A thread's first call may allocate.
    #[inline]
    pub(crate) fn add(&self, n: usize) {
        match slot::get() {
            Some(slot) => {
                let stripe = self.stripe(slot);
                // Relaxed: we are the only writer (invariant 1), and nothing is published by a count.
                stripe.store(stripe.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
            }
            // Relaxed: as above.
            None => drop(self.shared.fetch_add(n, Ordering::Relaxed)),
        }
    }

    /// Counts `n` less, whoever added them.
    #[inline]
    pub(crate) fn sub(&self, n: usize) {
        self.add(n.wrapping_neg());
    }

    /// What all threads counted together; a walk over at most as many stripes as threads counted at one time, doubled.
    pub(crate) fn sum(&self) -> usize {
        // Relaxed, all of them: a count; what happens before this call is seen by coherence.
        let mut sum = self.shared.load(Ordering::Relaxed);
        for (number, chunk) in self.chunks.iter().enumerate() {
            // Acquire: pairs with the Release in `new_chunk`, for the stripes.
            let chunk = chunk.load(Ordering::Acquire);
            if !chunk.is_null() {
                for index in 0..1 << number {
                    // SAFETY: chunks live as long as the counter and have so many stripes (invariant 3).
                    sum = sum.wrapping_add(unsafe { &*chunk.add(index) }.load(Ordering::Relaxed));
                }
            }
        }
        usize::try_from(sum as isize).unwrap_or(0)
    }

    /// The stripe of a slot, counted from 1.
    #[inline(always)]
    fn stripe(&self, slot: usize) -> &AtomicUsize {
        let number = slot.ilog2() as usize;
        // Acquire: pairs with the Release in `new_chunk`, for the stripes.
        let mut chunk = self.chunks[number].load(Ordering::Acquire);
        if chunk.is_null() {
            chunk = self.new_chunk(number);
        }
        // SAFETY: chunks live as long as the counter; chunk `c` has the stripes of the slots from 2^c to 2^(c + 1) - 1.
        unsafe { &*chunk.add(slot ^ (1 << number)) }
    }

    #[cold]
    fn new_chunk(&self, number: usize) -> *mut Stripe {
        let stripes: Box<[Stripe]> =
            (0..1 << number).map(|_| CachePadded::new(AtomicUsize::new(0))).collect();
        let new = Box::into_raw(stripes).cast();
        // Release: publishes the stripes; Acquire on losing, for the winner's, which another thread of this chunk made.
        match self.chunks[number].compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Acquire)
        {
            Ok(_) => new,
            Err(winner) => {
                // SAFETY: made above, and not published.
                unsafe { free(new, number) };
                winner
            }
        }
    }
}

/// # Safety
///
/// The chunk was made by `new_chunk` with that number, and nobody uses it any more.
unsafe fn free(chunk: *mut Stripe, number: usize) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(chunk, 1 << number)) });
}

impl Drop for Count {
    fn drop(&mut self) {
        for (number, chunk) in self.chunks.iter_mut().enumerate() {
            let chunk = chunk.with_mut(|chunk| *chunk);
            if !chunk.is_null() {
                // SAFETY: published by `new_chunk`, and the counter is not shared any more.
                unsafe { free(chunk, number) };
            }
        }
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Count").field(&self.sum()).finish()
    }
}

/// Which threads hold which slots.
#[cfg(any(feature = "std", latchfree_loom, latchfree_stall))]
mod slot {
    use core::cell::Cell;

    use super::CHUNKS;
    use crate::sync::{AtomicBool, Ordering};

    /// Slots from 1 on; as many as there are stripes.
    const SLOTS: usize = (1 << CHUNKS) - 1;

    /// The calling thread has not asked for a slot yet.
    const UNKNOWN: usize = 0;
    /// It has none.
    const SHARED: usize = usize::MAX;

    struct Slots([AtomicBool; SLOTS]);

    #[cfg(not(latchfree_loom))]
    const fn all_free() -> Slots {
        Slots([const { AtomicBool::new(false) }; SLOTS])
    }
    #[cfg(latchfree_loom)]
    fn all_free() -> Slots {
        Slots(core::array::from_fn(|_| AtomicBool::new(false)))
    }

    fn slots() -> &'static Slots {
        crate::__global!(Slots, all_free())
    }

    crate::__local!(SLOT: Cell<usize> = Cell::new(UNKNOWN));
    // Apart from the number, which can thus be read without asking whether its destructor has run.
    crate::__local!(OWNER: Owner = Owner(Cell::new(SHARED)));

    /// Gives the slot back when the thread exits.
    struct Owner(Cell<usize>);

    /// The calling thread's slot.
    #[inline(always)]
    pub(super) fn get() -> Option<usize> {
        match SLOT.try_with(Cell::get) {
            Ok(UNKNOWN) => take(),
            Ok(SHARED) | Err(_) => None,
            Ok(slot) => Some(slot),
        }
    }

    #[cold]
    fn take() -> Option<usize> {
        let slot = OWNER
            .try_with(|owner| {
                // The lowest first, so that chunks are full before the next is needed. Relaxed first look, so that a taken slot
                // is not written. Acquire: pairs with the Release in `drop`, for what the last holder counted. Losing means
                // that another thread took it: on to the next.
                let free = slots().0.iter().position(|taken| {
                    !taken.load(Ordering::Relaxed)
                        && taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
                });
                let slot = free.map_or(SHARED, |index| index + 1);
                owner.0.set(slot);
                slot
            })
            .unwrap_or(SHARED);
        let _ = SLOT.try_with(|cell| cell.set(slot));
        (slot != SHARED).then_some(slot)
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            // What the thread's later destructors count goes to the shared words.
            let _ = SLOT.try_with(|slot| slot.set(SHARED));
            if self.0.get() != SHARED {
                // Release: pairs with the Acquire in `take`.
                slots().0[self.0.get() - 1].store(false, Ordering::Release);
            }
        }
    }
}

/// Without thread-locals nobody holds one.
#[cfg(not(any(feature = "std", latchfree_loom, latchfree_stall)))]
mod slot {
    #[inline(always)]
    pub(super) fn get() -> Option<usize> {
        None
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
