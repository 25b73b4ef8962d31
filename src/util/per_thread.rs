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
    pub(crate) fn get(&self, make: fn() -> P) -> Option<&P> {
        let slot = slot::current();
        // Both that the thread has no slot and that nobody of its chunk was here is told apart out of the way.
        if let Some(chunk) = self.chunks.get(slot.chunk as usize) {
            // Acquire: pairs with the Release in `new_chunk`, for the places.
            let chunk = chunk.load(Ordering::Acquire);
            if !chunk.is_null() {
                // SAFETY: invariant 2; a slot's index is one of its chunk's.
                return Some(unsafe { &*chunk.add(slot.index as usize) });
            }
        }
        self.arrive(make)
    }

    #[cold]
    #[inline(never)]
    fn arrive(&self, make: fn() -> P) -> Option<&P> {
        let slot = slot::get()?;
        // Acquire: as above.
        let mut chunk = self.chunks[slot.chunk as usize].load(Ordering::Acquire);
        if chunk.is_null() {
            chunk = self.new_chunk(slot.chunk as usize, make);
        }
        // SAFETY: as above.
        Some(unsafe { &*chunk.add(slot.index as usize) })
    }

    fn new_chunk(&self, number: usize, make: fn() -> P) -> *mut CachePadded<P> {
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

    fn numbered(&self) -> impl Iterator<Item = (Slot, &P)> {
        self.chunks.iter().enumerate().flat_map(|(number, chunk)| {
            // Acquire: pairs with the Release in `new_chunk`, for the places.
            let chunk = chunk.load(Ordering::Acquire);
            let len = if chunk.is_null() { 0 } else { 1 << number };
            (0..len).map(move |index| {
                let slot = Slot { chunk: number as u32, index: index as u32 };
                // SAFETY: invariant 2.
                (slot, unsafe { &**chunk.add(index) })
            })
        })
    }

    /// Runs `f` on the caller's own place, and on those that belong to nobody: what threads that have gone left behind.
    pub(crate) fn own_and_abandoned(&self, mut f: impl FnMut(&P)) {
        let own = slot::current();
        for (slot, place) in self.numbered() {
            if own == slot {
                f(place);
            } else {
                slot::while_free(slot, || f(place));
            }
        }
    }
}

/// Where a thread's places are: which chunk, and where in it.
#[derive(Clone, Copy, PartialEq)]
struct Slot {
    chunk: u32,
    index: u32,
}

/// A number that differs from thread to thread, of those that have a slot.
pub(crate) fn hint() -> usize {
    let slot = slot::current();
    (1 << (slot.chunk % 8) | slot.index) as usize
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

    use super::{CHUNKS, Slot};
    use crate::sync::{AtomicBool, Ordering};

    /// As many as there are places; chunk `c` begins at `2^c - 1`.
    const SLOTS: usize = (1 << CHUNKS) - 1;

    /// The calling thread has not asked for a slot yet.
    const UNKNOWN: Slot = Slot { chunk: u32::MAX, index: 0 };
    /// It has none.
    const NONE: Slot = Slot { chunk: u32::MAX, index: 1 };

    type Slots = [AtomicBool; SLOTS];

    #[cfg(not(any(latchfree_loom, latchfree_stall)))]
    fn slots() -> &'static Slots {
        crate::__global!(Slots, [const { AtomicBool::new(false) }; SLOTS])
    }
    /// Leaked: a model's statics are gone before its threads' locals are.
    #[cfg(any(latchfree_loom, latchfree_stall))]
    fn slots() -> &'static Slots {
        crate::__global!(
            &'static Slots,
            alloc::boxed::Box::leak(alloc::boxed::Box::new(core::array::from_fn(|_| AtomicBool::new(false))))
        )
    }

    fn taken(slot: Slot) -> &'static AtomicBool {
        &slots()[(1 << slot.chunk) - 1 + slot.index as usize]
    }

    crate::__local!(SLOT: Cell<Slot> = Cell::new(UNKNOWN));
    // Apart from the slot, which can thus be read without asking whether its destructor has run.
    crate::__local!(OWNER: Owner = Owner(Cell::new(None)));

    /// Gives the slot back when the thread exits.
    struct Owner(Cell<Option<&'static AtomicBool>>);

    /// The calling thread's slot if it has asked for one and got it; else one whose chunk does not exist.
    #[inline(always)]
    pub(super) fn current() -> Slot {
        SLOT.try_with(Cell::get).unwrap_or(NONE)
    }

    /// The calling thread's slot; the first call takes one.
    pub(super) fn get() -> Option<Slot> {
        let slot = match current() {
            UNKNOWN => take(),
            slot => slot,
        };
        (slot != NONE).then_some(slot)
    }

    fn take() -> Slot {
        let slot = OWNER
            .try_with(|owner| {
                // The lowest first, so that chunks are full before the next is needed. Relaxed first look, so that a taken slot
                // is not written. Acquire: pairs with the Release in `drop`, for the places as the last holder left them. Losing
                // means that another thread took it: on to the next.
                let free = slots().iter().position(|taken| {
                    !taken.load(Ordering::Relaxed)
                        && taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
                });
                let slot = free.map_or(NONE, |number| {
                    let chunk = (number + 1).ilog2();
                    Slot { chunk, index: (number + 1) as u32 ^ (1 << chunk) }
                });
                owner.0.set(free.map(|number| &slots()[number]));
                slot
            })
            .unwrap_or(NONE);
        let _ = SLOT.try_with(|cell| cell.set(slot));
        slot
    }

    /// Runs `f` while nobody holds the slot, and nothing if somebody does.
    pub(super) fn while_free(slot: Slot, f: impl FnOnce()) {
        struct Free(&'static AtomicBool);
        impl Drop for Free {
            fn drop(&mut self) {
                // Release: pairs with the Acquire in `take` and below.
                self.0.store(false, Ordering::Release);
            }
        }
        let taken = taken(slot);
        // Acquire: as in `take`. Losing means that the place belongs to somebody.
        if taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            let _free = Free(taken);
            f();
        }
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            // The thread's later destructors go without.
            let _ = SLOT.try_with(|slot| slot.set(NONE));
            if let Some(taken) = self.0.get() {
                // Release: pairs with the Acquire in `take` and `while_free`.
                taken.store(false, Ordering::Release);
            }
        }
    }
}

/// Without thread-locals nobody holds one.
#[cfg(not(any(feature = "std", latchfree_loom, latchfree_stall)))]
mod slot {
    use super::Slot;

    #[inline(always)]
    pub(super) fn current() -> Slot {
        Slot { chunk: u32::MAX, index: 0 }
    }

    pub(super) fn get() -> Option<Slot> {
        None
    }

    pub(super) fn while_free(_: Slot, _: impl FnOnce()) {}
}
