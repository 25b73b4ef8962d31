//! Freed memory that goes round: what a thread frees it allocates again, without the allocator.
//!
//! ```text
//!   a thread, for each size     loaded    o -> o -> o          the next allocation takes what was freed last
//!                               previous  o -> o -> o -> o     full: exchanged with `loaded` where that is empty or full
//!   the process, for each size  depot     [ chain | . | chain | . ]
//! ```
//! The magazines of J. Bonwick and J. Adams ([2001](https://www.usenix.org/legacy/event/usenix01/bonwick.html)), as chains
//! through the free blocks themselves. A structure that copies what it changes allocates and retires at every write. What comes
//! back from the reclaimer comes back in batches, more than an allocator keeps at hand for a thread, and often to another thread
//! than the one that allocated it: chains that are too many for one thread lie in the depot for any other.
//!
//! **Invariants**: a chain belongs to one thread, or to the depot; it passes by `Release` and `Acquire`. Blocks hold nobody's
//! values, they are memory of a size, and whoever frees one knows its layout.
//!
//! **Bounds**: of each of 47 sizes up to 2 KiB a thread keeps two chains at most, and the depot eight; a chain is 8 KiB or 64
//! blocks, whichever is less. What is more goes back to the allocator, as does what an exiting thread has and the depot does not
//! take. Larger or more aligned memory is the allocator's business alone.
//!
//! **Progress**: wait-free but for the allocator's part. Nobody's code runs here but the global allocator's, and while it does no
//! list is half-made.
//!
//! Where memory errors are looked for (Miri, loom, the sanitizers of `tools/sanitize`) and where there are no thread-locals,
//! everything goes to the allocator at once. With debug assertions free memory is overwritten.

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use core::alloc::Layout;
use core::ptr::NonNull;

#[cfg(any(latchfree_loom, all(feature = "std", not(any(latchfree_stall, latchfree_sanitize, miri)))))]
pub(crate) mod depot;
#[cfg(all(feature = "std", not(any(latchfree_loom, latchfree_stall, latchfree_sanitize, miri))))]
mod shelves;
/// Nothing is kept.
#[cfg(not(all(feature = "std", not(any(latchfree_loom, latchfree_stall, latchfree_sanitize, miri)))))]
mod shelves {
    pub(super) use super::{allocate_new as allocate, free_for_good as free};
}

/// Memory of that layout, whose size is not 0.
#[inline(always)]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    debug_assert!(layout.size() > 0);
    shelves::allocate(layout)
}

/// Takes memory back.
///
/// # Safety
///
/// It came from [`allocate`] with this layout, and nobody will look at it any more.
#[inline(always)]
pub(crate) unsafe fn free(memory: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller's promise is the same.
    unsafe { shelves::free(memory, layout) }
}

fn allocate_new(layout: Layout) -> NonNull<u8> {
    // SAFETY: the size is not 0.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
///
/// As for `free`, with the layout that `allocate_new` was called with.
unsafe fn free_for_good(memory: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller's promise.
    unsafe { dealloc(memory.as_ptr(), layout) }
}
