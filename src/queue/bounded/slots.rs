//! The slots of a ring, in one allocation.
//!
//! ```text
//!   cells                                   disputes
//!   | state value | state value | ...       | verdict passed | verdict passed | ...
//! ```
//! Every operation goes to a slot's cell, and only a challenge to its dispute, so that what goes from core to core with the items
//! is as small as it can be: with both in one place, flows of 1, 2 and 4 producers and consumers took 10.9, 11.7 and 10.9 ns
//! an item instead of 8.8, 7.2 and 7.9. So nobody looks at a verdict before [`is_unasked`](Slots::is_unasked) says that there may be one.

use alloc::alloc::{alloc, dealloc};
use alloc::boxed::Box;
use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use core::slice;

use super::super::tickets::Ticket;
use super::CapacityError;
use super::slot::{Cell, Dispute, Lap, Said, Slot};
use crate::sync::{AtomicU64, Ordering};

pub(super) struct Slots<T> {
    cells: NonNull<Cell<T>>,
    count: usize,
    /// From a ticket to the same slot's next one; a power of two, at least the count.
    step: u64,
    /// Which protocol is in force; decided once a process.
    asymmetric: bool,
    /// The latest ticket about whose holder somebody asked. Where barriers are asymmetric, it is set before a verdict is, so that holders
    /// of later tickets need not look at theirs.
    asked: AtomicU64,
    owned: PhantomData<Box<[Cell<T>]>>,
}

impl<T> Slots<T> {
    /// All free for the tickets of this lap.
    pub(super) fn new(count: usize, lap: Lap, asymmetric: bool) -> Result<Self, CapacityError> {
        let layout = Self::layout(count).ok_or(CapacityError)?;
        // SAFETY: there is a slot, and none is of size zero.
        let cells = NonNull::new(unsafe { alloc(layout) }.cast::<Cell<T>>()).ok_or(CapacityError)?;
        let asked = AtomicU64::new(lap.long_ago());
        let slots = Self { cells, count, step: lap.step, asymmetric, asked, owned: PhantomData };
        for index in 0..count {
            // SAFETY: inside of the allocation, by `layout`; nothing in here panics before all are initialised.
            unsafe {
                cells.add(index).write(Cell::new(lap));
                slots.disputes().add(index).write(Dispute::new(lap, asymmetric));
            }
        }
        Ok(slots)
    }

    /// The disputes lie behind the cells, without a gap: a cell is aligned to what a dispute is made of.
    fn layout(count: usize) -> Option<Layout> {
        let cells = Layout::array::<Cell<T>>(count).ok()?;
        let (all, behind) = cells.extend(Layout::array::<Dispute>(count).ok()?).ok()?;
        debug_assert_eq!(behind, cells.size());
        Some(all)
    }

    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    #[inline(always)]
    pub(super) fn step(&self) -> u64 {
        self.step
    }

    #[inline(always)]
    pub(super) fn asymmetric(&self) -> bool {
        self.asymmetric
    }

    #[inline(always)]
    pub(super) fn lap(&self, ticket: Ticket) -> Lap {
        Lap { at: ticket & !(self.step - 1), step: self.step }
    }

    #[inline(always)]
    pub(super) fn index(&self, ticket: Ticket) -> usize {
        (ticket & (self.step - 1)) as usize
    }

    #[inline(always)]
    pub(super) fn slot(&self, ticket: Ticket) -> Slot<'_, T> {
        // SAFETY: tickets are made by the ring with index 0 and by its `next` and `advance`, which keep the index below the count.
        unsafe { Slot::new(self, self.index(ticket), self.lap(ticket)) }
    }

    /// The cells of `count` tickets, at most a lap, with their laps.
    #[inline(always)]
    pub(super) fn stretch(&self, from: Ticket, count: usize) -> [(&[Cell<T>], Lap); 2] {
        // SAFETY: initialised by `new`.
        let cells = unsafe { slice::from_raw_parts(self.cells.as_ptr(), self.count) };
        let (wrapped, first) = cells.split_at(self.index(from));
        let first = &first[..count.min(first.len())];
        let lap = self.lap(from);
        [(first, lap), (&wrapped[..count - first.len()], lap.next())]
    }

    /// Of how many of the next `most` tickets' slots, at most a lap, the holders have said so.
    #[inline(always)]
    pub(super) fn count_said(&self, from: Ticket, most: usize, said: Said) -> usize {
        let mut count = 0;
        for (cells, lap) in self.stretch(from, most) {
            for cell in cells {
                if !cell.says(said, lap) {
                    return count;
                }
                count += 1;
            }
        }
        count
    }

    /// # Safety
    ///
    /// There are more slots than `index`.
    #[inline(always)]
    pub(super) unsafe fn cell(&self, index: usize) -> &Cell<T> {
        debug_assert!(index < self.count);
        // SAFETY: initialised by `new`, and the caller's promise.
        unsafe { self.cells.add(index).as_ref() }
    }

    pub(super) fn cell_mut(&mut self, index: usize) -> &mut Cell<T> {
        assert!(index < self.count);
        // SAFETY: initialised by `new`, and borrowed alone.
        unsafe { self.cells.add(index).as_mut() }
    }

    /// # Safety
    ///
    /// As for [`cell`](Self::cell).
    #[inline(always)]
    pub(super) unsafe fn dispute(&self, index: usize) -> &Dispute {
        debug_assert!(index < self.count);
        // SAFETY: initialised by `new`, and the caller's promise.
        unsafe { self.disputes().add(index).as_ref() }
    }

    #[inline(always)]
    fn disputes(&self) -> NonNull<Dispute> {
        // SAFETY: the end of the cells, by `layout`.
        unsafe { self.cells.add(self.count).cast() }
    }

    /// Nobody has asked about a holder of this ticket or of a later one.
    ///
    /// To be called behind a light barrier, after the holder's state was written or seen: either this sees the question, or who asks
    /// sees that state, behind the heavy barrier.
    #[inline(always)]
    pub(super) fn is_unasked(&self, ticket: Ticket) -> bool {
        // Relaxed: the barriers order it, and who is not asked learns nothing from it.
        older(self.asked.load(Ordering::Relaxed), ticket)
    }

    /// Somebody will ask about the holder of this ticket, and has not yet.
    #[cold]
    pub(super) fn will_ask(&self, ticket: Ticket) {
        // Relaxed, all: the heavy barrier comes after the question. Whoever finds a later ticket here relies on what it found: what
        // is read before its own barrier is seen behind the others' as well.
        let mut last = self.asked.load(Ordering::Relaxed);
        while older(last, ticket) {
            match self.asked.compare_exchange(last, ticket, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                // Losing means that another ticket was noted; perhaps a later one.
                Err(found) => last = found,
            }
        }
    }
}

/// `a` is an earlier ticket or lap than `b`: they are never half of all laps apart.
#[inline(always)]
pub(super) fn older(a: Ticket, b: Ticket) -> bool {
    from_to(b, a) < 0
}

/// From one ticket to another as numbers, which wrap around; negative if that is the earlier one.
#[inline(always)]
pub(super) fn from_to(from: Ticket, to: Ticket) -> i64 {
    (to.wrapping_sub(from) << 1) as i64 >> 1
}

impl<T> Drop for Slots<T> {
    fn drop(&mut self) {
        let layout = Self::layout(self.count).expect("as in `new`");
        // SAFETY: initialised by `new` with this layout; values were moved out by the ring, and are not dropped here.
        unsafe {
            ptr::slice_from_raw_parts_mut(self.cells.as_ptr(), self.count).drop_in_place();
            ptr::slice_from_raw_parts_mut(self.disputes().as_ptr(), self.count).drop_in_place();
            dealloc(self.cells.as_ptr().cast(), layout);
        }
    }
}
