//! Numbered places in a structure, in cache lines of their own, made when somebody first comes.
//!
//! ```text
//!   place 0          chunk 0: [ . ]
//!   places 1, 2      chunk 1: [ . | . ]
//!   places 3 ...     chunk 2: not allocated yet ...
//! ```
//! Who has which number, and what that allows, is the users' business.
//!
//! **Invariant**: chunks are published once and live as long as the structure.
//!
//! **Progress**: wait-free but for the allocation of a chunk, once for each doubling of the numbers.

use alloc::boxed::Box;
use core::ptr;

use crossbeam_utils::CachePadded;

#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, Ordering, const_fn};

/// Chunk `c` has 2^c places: small numbers cost few lines.
const CHUNKS: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 2 } else { 7 };

/// How many places there may be.
pub(crate) const PLACES: usize = (1 << CHUNKS) - 1;

/// A number, as its chunk and where it is in there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    chunk: u32,
    index: u32,
}

impl Place {
    /// That nobody has.
    pub(crate) const NONE: Self = Self { chunk: u32::MAX, index: 0 };
    /// That nobody has either.
    #[allow(dead_code, reason = "nobody asks without thread-locals")]
    pub(crate) const UNKNOWN: Self = Self { chunk: u32::MAX, index: 1 };

    /// The place of that number, from 0; `NONE` beyond the last.
    pub(crate) const fn new(number: usize) -> Self {
        if number >= PLACES {
            return Self::NONE;
        }
        let chunk = (number + 1).ilog2();
        Self { chunk, index: (number + 1) as u32 ^ (1 << chunk) }
    }

    /// Its number, if it is one.
    #[allow(dead_code, reason = "nobody has a place without thread-locals")]
    pub(crate) fn number(self) -> usize {
        (1 << self.chunk) - 1 + self.index as usize
    }

    /// A number that differs from place to place.
    pub(crate) fn hint(self) -> usize {
        (1 << (self.chunk % 8) | self.index) as usize
    }
}

/// Places, made when somebody first comes.
pub(crate) struct Places<P> {
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

impl<P> Places<P> {
    const_fn! {
        /// No places yet; allocates nothing.
        pub(crate) const fn new() -> Self {
            Self { chunks: no_chunks() }
        }
    }

    /// What is at the place, if it is one and somebody of its chunk came.
    #[inline(always)]
    pub(crate) fn get(&self, place: Place) -> Option<&P> {
        // Acquire: pairs with the Release in `new_chunk`, for the places.
        let chunk = self.chunks.get(place.chunk as usize)?.load(Ordering::Acquire);
        // SAFETY: the invariant; a place's index is one of its chunk's.
        (!chunk.is_null()).then(|| unsafe { &**chunk.add(place.index as usize) })
    }

    /// What is at the place, if it is one; may allocate, and `make` what is at others.
    #[cold]
    #[inline(never)]
    pub(crate) fn make(&self, place: Place, make: fn() -> P) -> Option<&P> {
        // Acquire: as above.
        let mut chunk = self.chunks.get(place.chunk as usize)?.load(Ordering::Acquire);
        if chunk.is_null() {
            chunk = self.new_chunk(place.chunk as usize, make);
        }
        // SAFETY: as above.
        Some(unsafe { &**chunk.add(place.index as usize) })
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

    /// All that there are.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Place, &P)> {
        self.chunks.iter().enumerate().flat_map(|(number, chunk)| {
            // Acquire: pairs with the Release in `new_chunk`, for the places.
            let chunk = chunk.load(Ordering::Acquire);
            let len = if chunk.is_null() { 0 } else { 1 << number };
            (0..len).map(move |index| {
                let place = Place { chunk: number as u32, index: index as u32 };
                // SAFETY: the invariant.
                (place, unsafe { &**chunk.add(index) })
            })
        })
    }
}

/// # Safety
///
/// The chunk was made by `new_chunk` with that number, and nobody uses it any more.
unsafe fn free<P>(chunk: *mut CachePadded<P>, number: usize) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(chunk, 1 << number)) });
}

impl<P> Drop for Places<P> {
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
