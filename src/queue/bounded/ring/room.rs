//! What a producer does whose slot is not free: it looks for another one, and passes over what is before that.
//!
//! ```text
//!         tail            free, out of turn
//!          v               v
//!   o o o  o o x o o o o o . o o      o full, x held
//!          <-------------->           a stretch: asked, one heavy barrier for all, and then made void one by one, in order
//! ```
//! A slot that was passed over comes back to the ring out of turn, and a full ring may have no other room for an item. Then all the
//! tickets before it are in the way. They are few if consumers are at work, since the producer waits a moment for
//! the tail's own slot. If they are many, they still cost one barrier.
//!
//! Void tickets lie before the tail, or behind it without a gap: a stretch is judged in order, from the tail on, and
//! up to the first slot that became free in time. So whoever finds the tail's ticket not void knows that none of the lap
//! that begins there was void when it read the tail, and misses no slot that is free for one lap later.

use super::super::super::tickets::{Ticket, Turn};
use super::super::slot::{Free, Lap, Slot};
use super::super::slots::older;
use super::{PATIENCE, Ring};
use crate::reclaim::heavy;
use crate::sync::{Ordering, fence, spin_loop};

/// What there is for an item.
pub(super) enum Room {
    /// Nothing: every slot had an item or was held.
    None,
    /// A slot, so many tickets after the tail's.
    Ahead(usize),
    /// So many tickets, from the tail's on, are nobody's; then one has to look again.
    Void(usize),
    /// The tail's slot, perhaps, or the tail has moved.
    Again,
}

impl<T> Ring<T> {
    #[cold]
    pub(super) fn count(&self) {
        // Release: pairs with the load in `room`.
        self.rare.counted.fetch_add(1, Ordering::Release);
    }

    #[cold]
    pub(super) fn uncount(&self) {
        // Release: who sees it in `room` sees the tail moved, too; who sees too many looks for itself.
        self.rare.counted.fetch_sub(1, Ordering::Release);
    }

    /// The slots of `count` tickets, at most a lap, for them.
    #[inline(always)]
    pub(super) fn stretch(&self, from: Ticket, count: usize) -> [impl Iterator<Item = Slot<'_, T>>; 2] {
        debug_assert!(count <= self.capacity());
        let (index, lap) = (self.index(from), self.lap(from));
        let first = count.min(self.capacity() - index);
        let next = Lap { at: lap.after(), ..lap };
        [(index..index + first, lap), (0..count - first, next)].map(|(indexes, lap)| {
            // SAFETY: up to the last slot, and not more than there are.
            indexes.map(move |index| unsafe { Slot::new(&self.slots, index, lap) })
        })
    }

    /// How many of the next `most` tickets' slots, at most a lap, are as wanted.
    #[inline(always)]
    pub(super) fn count_while(
        &self,
        from: Ticket,
        most: usize,
        mut wanted: impl FnMut(Slot<'_, T>) -> bool,
    ) -> usize {
        let mut count = 0;
        for slots in self.stretch(from, most) {
            for slot in slots {
                if !wanted(slot) {
                    return count;
                }
                count += 1;
            }
        }
        count
    }

    /// The tail's slot was seen not to be free. False if there was no room at all; true if it is worth to look again.
    #[cold]
    pub(super) fn make_room(&self, turn: Turn, fenced: &mut bool) -> bool {
        if !*fenced {
            // SeqCst: in the total order with the same fence of other threads, so that of two threads that pop from one full queue
            // each and push into the other's, at least one finds room.
            fence(Ordering::SeqCst);
            *fenced = true;
            return true;
        }
        match self.room(turn) {
            Room::None => return false,
            Room::Ahead(count) => self.pass_over(turn, count),
            Room::Void(count) => self.skip(turn, count),
            Room::Again => {}
        }
        true
    }

    /// With a tail whose slot was seen not to be free: whether some other slot is.
    pub(super) fn room(&self, turn: Turn) -> Room {
        let tail = turn.ticket;
        // These acquire, as all loads here: none may be looked at later than the tail is again.
        let head = self.head.read().ticket;
        let capacity = self.capacity();
        // What is void already is in nobody's way.
        let void = self.count_while(tail, capacity, |slot| slot.is_void());
        if void > 0 {
            return Room::Void(void);
        }
        let in_use = self.distance(head, tail);
        // Tickets from the tail on whose slots' consumers have come: they may be free. Other slots can be so out of turn only.
        let come = usize::try_from(capacity as i64 - in_use).unwrap_or(0).min(capacity);
        // Acquire: as above.
        let counted = self.rare.counted.load(Ordering::Acquire) > 0;
        let end = if counted { capacity } else { come };
        let freed = end > 0
            && (0..PATIENCE).any(|_| {
                spin_loop();
                self.slot(tail).free() != Free::No
            });
        if freed {
            return Room::Again;
        }
        let ahead = (1..end).find(|&count| self.slot(self.advance(tail, count)).free() != Free::No);
        // Last, behind loads that acquire: the tail did not move while the slots were looked at.
        if self.tail.read().ticket != tail {
            return Room::Again;
        }
        ahead.map_or(Room::None, Room::Ahead)
    }

    /// Makes the tickets from the tail on nobody's, so many at most, up to one whose slot became free in time, and moves the
    /// tail past them.
    #[cold]
    pub(super) fn pass_over(&self, turn: Turn, count: usize) {
        let tail = turn.ticket;
        let mut count = count;
        let mut barrier = false;
        if self.slots.asymmetric() {
            self.slots.will_ask(self.slot(self.advance(tail, count - 1)).ticket_before());
            let asked = self.count_while(tail, count, |slot| slot.ask());
            #[cfg(all(test, feature = "std", not(any(latchfree_loom, latchfree_stall))))]
            tests::BARRIERS.with(|barriers| barriers.set(barriers.get() + usize::from(asked > 0)));
            if asked > 0 && !heavy() {
                // The system broke its promise of barriers. Nothing can be passed over any more, so producers wait.
                spin_loop();
                return;
            }
            barrier = asked > 0;
            // The first one does not have to be asked if it is held for laps.
            count = asked.max(1);
        }
        let void = self.count_while(tail, count, |slot| slot.pass(barrier));
        if void > 0 {
            self.skip(turn, void);
        }
    }

    /// Moves the tail past tickets that are nobody's.
    pub(super) fn skip(&self, turn: Turn, void: usize) {
        let tail = turn.ticket;
        self.note_void(self.advance(tail, void - 1));
        // Losing means that somebody else moved it.
        self.tail.take(turn, self.advance(tail, void));
    }

    /// Remembers a ticket that is nobody's.
    pub(super) fn note_void(&self, ticket: Ticket) {
        // Relaxed, all: the taking of the tail's tickets, or the exchange of the slot's word, comes after and publishes it.
        let mut last = self.rare.void.load(Ordering::Relaxed);
        while older(last, ticket) {
            match self.rare.void.compare_exchange(last, ticket, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                // Losing means that another void ticket was noted; perhaps a later one.
                Err(found) => last = found,
            }
        }
    }
}

#[cfg(all(test, feature = "std", not(any(latchfree_loom, latchfree_stall))))]
mod tests {
    use core::cell::Cell;

    use super::super::Ring;

    std::thread_local! {
        /// Heavy barriers for which producers asked.
        pub(super) static BARRIERS: Cell<usize> = const { Cell::new(0) };
    }

    fn push(ring: &Ring<usize>, item: usize) -> bool {
        // SAFETY: an integer is copied in.
        unsafe { ring.push(&raw const item) }.is_ok()
    }

    /// Once a full ring whose only free slot was out of turn took two exchanges and a barrier for every other slot.
    #[test]
    fn one_barrier_for_a_lap_of_tickets() {
        for capacity in [4, 100, 1024, 50_000] {
            let ring = Ring::new(capacity, 0).unwrap();
            for item in 0..capacity {
                assert!(push(&ring, item));
            }
            // A consumer stops with its slot; another one makes room, and the producer passes over the first one's.
            let held = ring.take_oldest(false).unwrap();
            // SAFETY: the oldest one's ticket.
            assert_eq!(unsafe { ring.slot(held).read() }, 0);
            assert_eq!(ring.pop(), Some(1));
            assert!(push(&ring, capacity));
            assert!(!push(&ring, 0), "every slot has an item or is held");
            // SAFETY: held since then, and the value was moved out.
            unsafe { ring.release(held, true) };
            let before = BARRIERS.get();
            assert!(push(&ring, capacity + 1), "there is room again");
            assert!(BARRIERS.get() <= before + 1, "{} barriers", BARRIERS.get() - before);
            assert!(!push(&ring, 0));
            // While the ring is kept full its slots stay out of turn: a lap takes some stretches more, and not a barrier a push.
            for item in 2..capacity + 2 {
                assert_eq!(ring.pop(), Some(item));
                assert!(push(&ring, item + capacity));
            }
            assert!(BARRIERS.get() <= before + 5, "{} barriers", BARRIERS.get() - before);
            for item in 2..capacity + 2 {
                assert_eq!(ring.pop(), Some(item + capacity));
            }
            assert_eq!(ring.pop(), None);
        }
    }
}
