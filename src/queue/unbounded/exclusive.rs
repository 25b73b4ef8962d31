//! The operations of a queue that nobody shares, and its end.

use core::ptr::NonNull;

use super::{Raw, Source};
use crate::queue::segment::{CLOSED, Segment, TICKET, ticket};
use crate::reclaim::Reclaim;
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;

impl<T, R: Reclaim> Raw<T, R> {
    /// As `push`, without a guard and without atomic steps.
    ///
    /// # Safety
    ///
    /// The source's items are initialised, and the caller gives them away.
    pub(in crate::queue) unsafe fn push_mut(&mut self, mut source: Source<T>) {
        while source.len > 0 {
            let tail = self.tail.with_mut(|tail| *tail);
            let head = self.head.with_mut(|head| *head);
            let Some(last) = NonNull::new(if tail.is_null() { head } else { tail }) else {
                let segment = Segment::allocate();
                self.head.with_mut(|head| *head = segment.as_ptr());
                self.tail.with_mut(|tail| *tail = segment.as_ptr());
                continue;
            };
            // SAFETY: nobody shares the queue.
            let slot = |ticket| unsafe { Segment::slot(last, ticket) };
            // SAFETY: nobody shares the queue.
            let header = unsafe { &mut *last.as_ptr() };
            let next = header.next.with_mut(|next| *next);
            let enq = header.enq.with_mut(|enq| *enq);
            if !next.is_null() {
                self.tail.with_mut(|tail| *tail = next);
            } else if slot(enq).is_free(enq) {
                header.enq.with_mut(|enq| *enq += TICKET);
                // SAFETY: the next slot in turn; nobody challenges it, so `put` succeeds.
                unsafe {
                    let delivered = Segment::put(last, enq, source.items, true);
                    debug_assert!(delivered);
                    source.advance(1);
                }
            } else {
                let segment = Segment::allocate();
                let first = header.base.wrapping_add(ticket(enq));
                header.enq.with_mut(|enq| *enq |= CLOSED);
                header.next.with_mut(|next| *next = segment.as_ptr());
                let count = source.len.min(Segment::<T>::CAPACITY);
                // SAFETY: the segment is ours and new.
                unsafe {
                    Segment::fill(segment, first, source.items, count);
                    source.advance(count);
                }
                self.tail.with_mut(|tail| *tail = segment.as_ptr());
            }
        }
    }

    /// As `pop`, without a guard.
    pub(in crate::queue) fn pop_mut(&mut self) -> Option<T> {
        loop {
            let segment = NonNull::new(self.head.with_mut(|head| *head))?;
            // SAFETY: nobody shares the queue.
            let head = unsafe { &mut *segment.as_ptr() };
            let next = head.deq.with_mut(|deq| *deq);
            if next != ticket(head.enq.with_mut(|enq| *enq)) {
                head.deq.with_mut(|deq| *deq += TICKET);
                // SAFETY: nobody shares the queue.
                let slot = unsafe { Segment::slot(segment, next) };
                if slot.is_full(next) {
                    // SAFETY: the ticket is ours, and the slot full.
                    let value = unsafe { slot.read() };
                    // SAFETY: as above, and read.
                    unsafe { Segment::release(segment, next) };
                    return Some(value);
                }
                // Retracted: an operation that was on its way cannot be, for nobody shares the queue.
            } else {
                let next = head.next.with_mut(|next| *next);
                if next.is_null() {
                    return None;
                }
                self.head.with_mut(|head| *head = next);
                self.tail.with_mut(|tail| {
                    if tail.is_null() || *tail == segment.as_ptr() {
                        *tail = next;
                    }
                });
                // SAFETY: unlinked, empty, and shared with nobody.
                unsafe { Segment::<T>::free(segment.cast()) };
            }
        }
    }
}

impl<T, R: Reclaim> Drop for Raw<T, R> {
    fn drop(&mut self) {
        /// Goes on with the rest if a destructor panics.
        struct Rest<'a, T, R: Reclaim>(&'a mut Raw<T, R>);
        impl<T, R: Reclaim> Rest<'_, T, R> {
            fn drain(&mut self) {
                while let Some(value) = self.0.pop_mut() {
                    drop(value);
                }
            }
        }
        impl<T, R: Reclaim> Drop for Rest<'_, T, R> {
            fn drop(&mut self) {
                self.drain();
                if let Some(last) = NonNull::new(self.0.head.with_mut(|head| *head)) {
                    // SAFETY: the only segment left, and empty.
                    unsafe { Segment::<T>::free(last.cast()) };
                }
            }
        }
        Rest(self).drain();
    }
}
