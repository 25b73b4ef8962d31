//! What an operation of the unbounded queue holds for its duration: a guard, and a value that it has taken.

use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use super::segment::Segment;
use super::tickets::Ticket;
use crate::reclaim::Reclaim;

/// A value whose ticket is a consumer's, who saw it full and is pinned; frees the slot in the end.
///
/// What comes after the reading is done by destructors, here and in [`Brief`], and the pause after it, so that the value goes straight to
/// where the caller wants it: copied once more, a pair of 24 bytes took twice as long.
pub(super) struct Taken<T> {
    pub(super) segment: NonNull<Segment<T>>,
    pub(super) ticket: Ticket,
}

impl<T> Taken<T> {
    /// # Safety
    ///
    /// It is called once.
    #[inline(always)]
    pub(super) unsafe fn read(&self) -> T {
        // SAFETY: by the type's description, and the caller's promise.
        unsafe { Segment::slot(self.segment, self.ticket).read() }
    }
}

impl<T> Drop for Taken<T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: by the type's description; dropped when it was read.
        unsafe { Segment::release(self.segment, self.ticket) };
    }
}

/// A guard of [`Reclaim::enter`].
pub(super) struct Brief<R: Reclaim>(ManuallyDrop<R::Guard>);

impl<R: Reclaim> Brief<R> {
    /// In this room nobody pins or panics while it lasts.
    #[inline(always)]
    pub(super) fn enter() -> Option<Self> {
        // SAFETY: see above; what runs meanwhile is ours.
        unsafe { R::enter() }.map(|guard| Self(ManuallyDrop::new(guard)))
    }
}

impl<R: Reclaim> Drop for Brief<R> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: it came from `enter`, and ends here.
        unsafe { R::leave(ManuallyDrop::take(&mut self.0)) }
    }
}
