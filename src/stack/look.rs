//! Copies of items that stay where they are: [`peek`](Raw::peek) and [`iter`](Raw::iter).
//!
//! A slot that was given back is written again at once. So who looks counts itself in `readers` first; why that keeps what it sees
//! whole is told in [`treiber`](super::treiber), invariant 4.

use super::chunk::Word;
use super::treiber::Raw;
use crate::reclaim::Reclaim;
use crate::sync::{AtomicUsize, Ordering, order_for_loom};

impl<T: Copy, R: Reclaim> Raw<T, R> {
    /// Forbids that values are overwritten, until it is dropped.
    fn reading(&self) -> Reading<'_> {
        // SeqCst: before the caller reads `top`, in the order of invariant 4. No model can tell: loom sees SeqCst accesses as
        // AcqRel, and what stands for the one order there is `order_for_loom`, whose mutant is killed.
        self.readers.fetch_add(1, Ordering::SeqCst);
        order_for_loom();
        Reading(&self.readers)
    }

    pub(super) fn peek(&self, _guard: &R::Guard) -> Option<T> {
        let _reading = self.reading();
        let top = self.top();
        // SAFETY: `Copy`; not overwritten (invariant 4), and the chunk is protected by the guard.
        (!top.is_null()).then(|| unsafe { top.read() })
    }

    pub(super) fn iter(&self) -> Copies<'_, T, R> {
        let guard = R::pin();
        let reading = self.reading();
        Copies { next: self.top(), _reading: reading, _guard: guard }
    }
}

struct Reading<'a>(&'a AtomicUsize);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // Release: what was read happens before it is overwritten; pairs with the load in `is_read`.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// A walk over what was there.
pub(super) struct Copies<'a, T, R: Reclaim> {
    next: Word<T>,
    // Dropped in this order.
    _reading: Reading<'a>,
    _guard: R::Guard,
}

impl<T: Copy, R: Reclaim> Copies<'_, T, R> {
    pub(super) fn next(&mut self) -> Option<T> {
        if self.next.is_null() {
            return None;
        }
        let word = self.next;
        // SAFETY: reachable from the top when `reading` was there already, so untouched (invariant 4), and protected.
        unsafe {
            self.next = word.rest();
            Some(word.read())
        }
    }
}
