//! A place for each thread in a structure, in cache lines of its own and for that thread alone.
//!
//! ```text
//!   thread 0 (slot 1)  chunk 0: [ . ]
//!   thread 1 (slot 2)  chunk 1: [ . | . ]
//!   more               chunk 2: not allocated yet ...
//! ```
//!
//! A thread holds a *slot* of the process from its first use of any such structure to its exit; the slot names its place in
//! all of them. A thread may have none: there are more threads than slots, or no thread-locals, or its own are gone.
//!
//! **Invariants**
//!
//! 1. *A place belongs to the holder of its slot*, one thread at a time. A slot passes from one thread to the next by
//!    `Release` and `Acquire`, so the next holder finds the place as the last one left it.
//! 2. Chunks are published once and live as long as the structure.
//!
//! **Progress**: wait-free but for the allocation of a chunk, once for each doubling of the threads.

use alloc::boxed::Box;
use core::ptr;

use crossbeam_utils::CachePadded;

#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, Ordering, const_fn};

/// Chunk `c` has 2^c places: few threads cost few lines, and 127 threads have a place of their own.
const CHUNKS: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 2 } else { 7 };

/// Places, made when a thread first comes.
pub(crate) struct PerThread<P> {
    chunks: [AtomicPtr<CachePadded<P>>; CHUNKS],
}

#[cfg(not(latchfree_loom))]
const fn no_chunks<P>() -> [AtomicPtr<CachePadded<P>>; CHUNKS] {
    [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS]
}
#[cfg(latchfree_loom)]
fn no_chunks<P>() -> [AtomicPtr<CachePadded<P>>; CHUNKS] {
    core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()))
}

impl<P> PerThread<P> {
    const_fn! {
        /// No places yet; allocates nothing.
        pub(crate) const fn new() -> Self {
            Self { chunks: no_chunks() }
        }
    }

    /// The calling thread's place, if it has one. Its first call may allocate, and `make` places for others as well.
    #[inline(always)]
    pub(crate) fn get(&self, make: impl Fn() -> P) -> Option<&P> {
        let slot = slot::get()?;
        let number = slot.ilog2() as usize;
        // Acquire: pairs with the Release in `new_chunk`, for the places.
        let mut chunk = self.chunks[number].load(Ordering::Acquire);
        if chunk.is_null() {
            chunk = self.new_chunk(number, make);
        }
        // SAFETY: invariant 2; chunk `c` has the places of the slots from 2^c to 2^(c + 1) - 1.
        Some(unsafe { &*chunk.add(slot ^ (1 << number)) })
    }

    #[cold]
    fn new_chunk(&self, number: usize, make: impl Fn() -> P) -> *mut CachePadded<P> {
        let places: Box<[CachePadded<P>]> = (0..1 << number).map(|_| CachePadded::new(make())).collect();
        let new = Box::into_raw(places).cast();
        // Release: publishes the places. Acquire on losing, for those of the winner, another thread of this chunk.
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

    /// All places there are, whoever's.
    pub(crate) fn all(&self) -> impl Iterator<Item = &P> {
        self.numbered().map(|(_, place)| place)
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &P)> {
        self.chunks.iter().enumerate().flat_map(|(number, chunk)| {
            // Acquire: pairs with the Release in `new_chunk`, for the places.
            let chunk = chunk.load(Ordering::Acquire);
            let len = if chunk.is_null() { 0 } else { 1 << number };
            // SAFETY: invariant 2.
            (0..len).map(move |index| (1 << number | index, unsafe { &**chunk.add(index) }))
        })
    }

    /// Runs `f` on the caller's own place, and on those that belong to nobody: what threads that have gone left behind.
    pub(crate) fn own_and_abandoned(&self, mut f: impl FnMut(&P)) {
        let own = slot::get();
        for (slot, place) in self.numbered() {
            if own == Some(slot) {
                f(place);
            } else {
                slot::while_free(slot, || f(place));
            }
        }
    }
}

/// A number that differs from thread to thread, of those that have a slot.
pub(crate) fn hint() -> usize {
    slot::get().unwrap_or(0)
}

/// # Safety
///
/// The chunk was made by `new_chunk` with that number, and nobody uses it any more.
unsafe fn free<P>(chunk: *mut CachePadded<P>, number: usize) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(chunk, 1 << number)) });
}

impl<P> Drop for PerThread<P> {
    fn drop(&mut self) {
        for (number, chunk) in self.chunks.iter_mut().enumerate() {
            let chunk = chunk.with_mut(|chunk| *chunk);
            if !chunk.is_null() {
                // SAFETY: published by `new_chunk`, and the structure is not shared any more.
                unsafe { free(chunk, number) };
            }
        }
    }
}

/// Which threads hold which slots.
#[cfg(any(feature = "std", latchfree_loom, latchfree_stall))]
mod slot {
    use core::cell::Cell;

    use super::CHUNKS;
    use crate::sync::{AtomicBool, Ordering};

    /// Slots from 1 on; as many as there are places.
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
                // is not written. Acquire: pairs with the Release in `drop`, for the places as the last holder left them. Losing means
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

    /// Runs `f` while nobody holds the slot, and nothing if somebody does.
    pub(super) fn while_free(slot: usize, f: impl FnOnce()) {
        struct Free<'a>(&'a AtomicBool);
        impl Drop for Free<'_> {
            fn drop(&mut self) {
                // Release: pairs with the Acquire in `take` and below.
                self.0.store(false, Ordering::Release);
            }
        }
        let taken = &slots().0[slot - 1];
        // Acquire: as in `take`. Losing means that the place belongs to somebody.
        if taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            let _free = Free(taken);
            f();
        }
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            // The thread's later destructors go without.
            let _ = SLOT.try_with(|slot| slot.set(SHARED));
            if self.0.get() != SHARED {
                // Release: pairs with the Acquire in `take` and `while_free`.
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

    pub(super) fn while_free(_: usize, _: impl FnOnce()) {}
}
