//! A queue of retired objects, oldest first: a list of chunks, so that it grows without copying what it holds.

use core::alloc::Layout;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::{self, NonNull};

use super::domain::State;
use crate::reclaim::Retired;
use crate::util::recycle;

/// Objects a chunk: as many as make it one of the blocks that threads keep, of less than 2 KiB.
const CHUNK: usize = 62;

/// A retired object, and when it was.
pub(super) struct Tagged {
    pub(super) retired: Retired,
    pub(super) epoch: usize,
}

/// The queue. Dropping it frees its memory and reclaims nothing.
pub(super) struct Chunks {
    /// Null if there never was an object.
    oldest: *mut Chunk,
    newest: *mut Chunk,
}

struct Chunk {
    next: *mut Chunk,
    /// Where the oldest object is, and where the next goes.
    begin: usize,
    end: usize,
    objects: [MaybeUninit<Tagged>; CHUNK],
}

impl Chunk {
    #[cold]
    #[inline(never)]
    fn allocate() -> NonNull<Self> {
        let chunk = recycle::allocate(Layout::new::<Self>()).cast::<Self>();
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
    /// From `allocate`, and nobody uses it any more.
    unsafe fn free(chunk: NonNull<Self>) {
        // SAFETY: the caller's promise.
        unsafe { recycle::free(chunk.cast(), Layout::new::<Self>()) }
    }
}

impl Chunks {
    pub(super) const NONE: Self = Self { oldest: ptr::null_mut(), newest: ptr::null_mut() };

    /// Adds the newest object.
    #[inline(always)]
    pub(super) fn push(&mut self, tagged: Tagged) {
        // SAFETY: chunks are ours alone.
        let has_room = unsafe { self.newest.as_ref() }.is_some_and(|newest| newest.end < CHUNK);
        if !has_room {
            self.grow();
        }
        // SAFETY: there is a newest chunk, and it has room.
        unsafe {
            let newest = &mut *self.newest;
            newest.objects.get_unchecked_mut(newest.end).write(tagged);
            newest.end += 1;
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let chunk = Chunk::allocate().as_ptr();
        // SAFETY: as above.
        match unsafe { self.newest.as_mut() } {
            Some(newest) => newest.next = chunk,
            None => self.oldest = chunk,
        }
        self.newest = chunk;
    }

    /// The oldest object, if the clock is past its tag.
    #[inline(always)]
    pub(super) fn pop_past(&mut self, clock: usize) -> Option<Tagged> {
        self.pop_if(|tagged| State::is_past(tagged.epoch, clock))
    }

    #[inline(always)]
    fn pop_if(&mut self, may_go: impl FnOnce(&Tagged) -> bool) -> Option<Tagged> {
        // SAFETY: chunks are ours alone; objects from `begin` to `end` are there.
        unsafe {
            let oldest = self.oldest.as_mut()?;
            let place = oldest.objects.get_unchecked(oldest.begin..oldest.end).first()?;
            if !may_go(place.assume_init_ref()) {
                return None;
            }
            let tagged = place.assume_init_read();
            oldest.begin += 1;
            if oldest.begin == oldest.end {
                self.emptied();
            }
            Some(tagged)
        }
    }

    /// The oldest chunk is empty: it goes, but for the last, which stays for what comes.
    ///
    /// # Safety
    ///
    /// There is one.
    #[cold]
    #[inline(never)]
    unsafe fn emptied(&mut self) {
        // SAFETY: ours alone, and the caller's promise.
        unsafe {
            let oldest = NonNull::new_unchecked(self.oldest);
            let next = oldest.as_ref().next;
            if next.is_null() {
                ((*self.oldest).begin, (*self.oldest).end) = (0, 0);
            } else {
                self.oldest = next;
                Chunk::free(oldest);
            }
        }
    }

    /// Puts all that `other` holds before what this holds.
    pub(super) fn prepend(&mut self, other: Self) {
        // SAFETY: chunks are ours alone. One that is empty is the only one.
        unsafe {
            if other.oldest.as_ref().is_none_or(|oldest| oldest.begin == oldest.end) {
                return;
            }
            let other = ManuallyDrop::new(other);
            let newest = other.newest;
            (*newest).next = self.oldest;
            if self.oldest.is_null() {
                self.newest = other.newest;
            }
            self.oldest = other.oldest;
        }
    }
}

/// All objects, the oldest first, whatever the clock shows.
impl Iterator for Chunks {
    type Item = Retired;

    fn next(&mut self) -> Option<Retired> {
        self.pop_if(|_| true).map(|tagged| tagged.retired)
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        let mut next = self.oldest;
        while let Some(chunk) = NonNull::new(next) {
            // SAFETY: ours alone.
            unsafe {
                next = chunk.as_ref().next;
                Chunk::free(chunk);
            }
        }
    }
}
