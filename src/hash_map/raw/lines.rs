//! The memory of a table: zeroed cache lines.
//!
//! It comes from the global allocator, in a form in which large blocks come to it from the system untouched: asked for zeroes
//! with the alignment of a line, the standard one writes all of them first, and one insertion would pay for that. So the
//! alignment is made here.
//!
//! Large tables ask the system for huge pages: a look-up goes to a line at random, and with small pages to an entry of the
//! page table as well, which is missed as often; and a table that grows has a page fault every two megabytes instead of every
//! four kilobytes. All lines of a table are used alike, so no memory is wasted. It is a hint: other systems, and kernels that are
//! told never to, go on with small pages.

use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;

/// A huge page of x86-64 and of most others.
const HUGE: usize = 2 << 20;
/// Tables of so many bytes begin with a huge page. Smaller ones have what huge pages there are between their ends: room to
/// begin with one would be more than an eighth of them.
const ALIGNED: usize = 8 * HUGE;
/// What allocators give without being asked.
const USUAL: usize = align_of::<u128>();

/// A boxed slice that may begin anywhere in its block.
pub(super) struct Lines<T> {
    first: NonNull<T>,
    len: usize,
    block: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns the `T`s, as a boxed slice does.
unsafe impl<T: Send> Send for Lines<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Lines<T> {}

impl<T> Lines<T> {
    /// So many zeroed ones, or `None` if there is no memory for them.
    ///
    /// # Safety
    ///
    /// Zeroes are a `T`.
    pub(super) unsafe fn zeroed(len: usize) -> Option<Self> {
        const { assert!(size_of::<T>() > 0 && !core::mem::needs_drop::<T>()) };
        let size = size_of::<T>().checked_mul(len)?;
        let align = if size >= ALIGNED { HUGE } else { align_of::<T>() };
        let layout = Layout::from_size_align(size.checked_add(align)?, USUAL).ok()?;
        // SAFETY: not of size zero, for the alignment is not.
        let block = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let begin = block.addr().get().next_multiple_of(align) - block.addr().get();
        // SAFETY: less than the alignment, by which the block is larger.
        let first = unsafe { block.add(begin) };
        ask_for_huge_pages(first, size);
        Some(Self { first: first.cast(), len, block, layout })
    }
}

impl<T> Deref for Lines<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `zeroed` made so many.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Lines<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl<T> Drop for Lines<T> {
    fn drop(&mut self) {
        // SAFETY: from `zeroed`; no `T` needs to be dropped.
        unsafe { dealloc(self.block.as_ptr(), self.layout) };
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
fn ask_for_huge_pages(first: NonNull<u8>, size: usize) {
    let begin = first.addr().get().next_multiple_of(HUGE) - first.addr().get();
    let len = size.saturating_sub(begin) / HUGE * HUGE;
    if len > 0 {
        // SAFETY: whole pages of our own block; the call changes nothing but how they are backed. What it answers does not
        // matter.
        unsafe { libc::madvise(first.as_ptr().add(begin).cast(), len, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn ask_for_huge_pages(_: NonNull<u8>, _: usize) {}
