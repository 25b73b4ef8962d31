//! A queue of retired objects, oldest first: a list of chunks, so that it grows without copying what it holds.
//!
//! Memory is allocated and freed by the caller, between its calls: the allocator may be the user's, and may come back here.

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use super::domain::State;
use crate::reclaim::Retired;

/// Objects a chunk, which makes 2 KiB: a bin grows by a chunk, never by copying what it holds.
const CHUNK: usize = 62;

/// Emptied chunks that are kept for what comes: a step of the clock empties as many at once as are filled until the next. Replacing
/// values in a `HashMap` took one thread 31.0 ns and not 32.1, and 71 and not 74 with values of 1 KiB.
const SPARES: usize = 8;

/// A retired object, and when it was.
pub(super) struct Tagged {
    pub(super) retired: Retired,
    pub(super) epoch: usize,
}

/// The queue. Dropping it frees its memory and reclaims nothing.
///
/// **Invariant**: a chunk is empty only if it is the only one.
pub(super) struct Chunks {
    /// Null if there is none.
    oldest: *mut Chunk,
    newest: *mut Chunk,
    /// A list of so many, which are not part of the queue.
    spare: *mut Chunk,
    spares: usize,
}

pub(super) struct Chunk {
    next: *mut Chunk,
    /// Where the oldest object is, and where the next goes.
    begin: usize,
    end: usize,
    objects: [MaybeUninit<Tagged>; CHUNK],
}

impl Chunk {
    #[cold]
    #[inline(never)]
    pub(super) fn allocate() -> NonNull<Self> {
        // SAFETY: the size is not 0.
        let chunk = unsafe { alloc(Layout::new::<Self>()) }.cast::<Self>();
        let Some(chunk) = NonNull::new(chunk) else { handle_alloc_error(Layout::new::<Self>()) };
        // SAFETY: allocated for it; what is in `objects` means nothing yet.
        unsafe {
            (&raw mut (*chunk.as_ptr()).next).write(ptr::null_mut());
            (&raw mut (*chunk.as_ptr()).begin).write(0);
            (&raw mut (*chunk.as_ptr()).end).write(0);
        }
        chunk
    }

    /// # Safety
    ///
    /// From `allocate`, empty, and nobody uses it any more.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn free(chunk: NonNull<Self>) {
        // SAFETY: the caller's promise.
        unsafe { dealloc(chunk.as_ptr().cast(), Layout::new::<Self>()) }
    }
}

impl Chunks {
    pub(super) const NONE: Self =
        Self { oldest: ptr::null_mut(), newest: ptr::null_mut(), spare: ptr::null_mut(), spares: 0 };

    /// True if the next object needs no other chunk.
    #[inline(always)]
    pub(super) fn has_room(&self) -> bool {
        // SAFETY: chunks are ours alone.
        unsafe { self.newest.as_ref() }.is_some_and(|newest| newest.end < CHUNK)
    }

    /// Makes room with a spare chunk, if there is one and no room.
    pub(super) fn has_spare(&mut self) -> bool {
        let Some(spare) = NonNull::new(self.spare) else { return self.has_room() };
        if !self.has_room() {
            // SAFETY: chunks are ours alone.
            self.spare = unsafe { core::mem::replace(&mut (*spare.as_ptr()).next, ptr::null_mut()) };
            self.spares -= 1;
            self.grow(spare);
        }
        true
    }

    /// Adds a chunk, where there is no room.
    pub(super) fn grow(&mut self, chunk: NonNull<Chunk>) {
        let chunk = chunk.as_ptr();
        // SAFETY: as above.
        match unsafe { self.newest.as_mut() } {
            Some(newest) => newest.next = chunk,
            None => self.oldest = chunk,
        }
        self.newest = chunk;
    }

    /// Adds the newest object.
    ///
    /// # Safety
    ///
    /// There is room.
    #[inline(always)]
    pub(super) unsafe fn push(&mut self, tagged: Tagged) {
        // SAFETY: there is a newest chunk, and it has room.
        unsafe {
            let newest = &mut *self.newest;
            newest.objects.get_unchecked_mut(newest.end).write(tagged);
            newest.end += 1;
        }
    }

    /// The oldest object, if the clock is past its tag, and the chunk that it was the last of, for the caller to free.
    #[inline(always)]
    pub(super) fn pop_past(&mut self, clock: usize) -> Option<(Tagged, Option<NonNull<Chunk>>)> {
        self.pop_if(|tagged| State::is_past(tagged.epoch, clock))
    }

    #[inline(always)]
    fn pop_if(&mut self, may_go: impl FnOnce(&Tagged) -> bool) -> Option<(Tagged, Option<NonNull<Chunk>>)> {
        // SAFETY: chunks are ours alone; objects from `begin` to `end` are there.
        unsafe {
            let oldest = self.oldest.as_mut()?;
            let place = oldest.objects.get_unchecked(oldest.begin..oldest.end).first()?;
            if !may_go(place.assume_init_ref()) {
                return None;
            }
            let tagged = place.assume_init_read();
            oldest.begin += 1;
            let emptied = if oldest.begin == oldest.end { self.emptied() } else { None };
            Some((tagged, emptied))
        }
    }

    /// The oldest chunk is empty: it goes, but for the last, which stays for what comes.
    ///
    /// # Safety
    ///
    /// There is one.
    #[cold]
    #[inline(never)]
    unsafe fn emptied(&mut self) -> Option<NonNull<Chunk>> {
        // SAFETY: ours alone, and the caller's promise.
        let oldest = unsafe { &mut *self.oldest };
        (oldest.begin, oldest.end) = (0, 0);
        if oldest.next.is_null() {
            return None;
        }
        let emptied = core::mem::replace(&mut self.oldest, oldest.next);
        if self.spares == SPARES {
            return NonNull::new(emptied);
        }
        oldest.next = core::mem::replace(&mut self.spare, emptied);
        self.spares += 1;
        None
    }

    /// Puts all that `other` holds before what this holds; returns the memory that is too much, for the caller to drop.
    pub(super) fn prepend(&mut self, mut other: Self) -> Self {
        let is_empty = |chunks: &Self| {
            // SAFETY: chunks are ours alone.
            unsafe { chunks.oldest.as_ref() }.is_none_or(|oldest| oldest.begin == oldest.end)
        };
        if is_empty(&other) {
            return other;
        }
        if is_empty(self) {
            core::mem::swap(&mut self.oldest, &mut other.oldest);
            core::mem::swap(&mut self.newest, &mut other.newest);
            return other;
        }
        // SAFETY: as above; it holds something, so there is one.
        unsafe { (*other.newest).next = self.oldest };
        self.oldest = core::mem::replace(&mut other.oldest, ptr::null_mut());
        other.newest = ptr::null_mut();
        other
    }
}

/// All objects, the oldest first, whatever the clock shows.
impl Iterator for Chunks {
    type Item = Retired;

    fn next(&mut self) -> Option<Retired> {
        let (tagged, emptied) = self.pop_if(|_| true)?;
        if let Some(chunk) = emptied {
            // SAFETY: it is empty and in no list any more.
            unsafe { Chunk::free(chunk) }
        }
        Some(tagged.retired)
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        for mut next in [self.oldest, self.spare] {
            while let Some(chunk) = NonNull::new(next) {
                // SAFETY: ours alone.
                unsafe {
                    next = chunk.as_ref().next;
                    Chunk::free(chunk);
                }
            }
        }
    }
}
