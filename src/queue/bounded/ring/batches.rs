//! Many items with one step of a counter.

use super::super::super::tickets::Ticket;
use super::super::slot::{Free, Said, Slot};
use super::{BACK, FRONT, Ring};
use crate::reclaim::light;

impl<T> Ring<T> {
    /// Adds items in order, as many as there is room for; returns how many. The others still belong to the caller.
    ///
    /// # Safety
    ///
    /// `count` items are initialised, and the caller gives away those that are delivered.
    pub(in crate::queue::bounded) unsafe fn push_all(&self, items: *const T, count: usize) -> usize {
        let mut done = 0;
        let mut fenced = false;
        let mut patient = true;
        while done < count {
            let turn = self.tail.read();
            let tail = turn.ticket;
            // One by one where a slot is free out of turn.
            let grab = self.count_free(tail, (count - done).min(self.capacity()));
            if grab == 0 {
                // SAFETY: the caller's promise.
                match self.slot(tail).free() {
                    Free::No if self.make_room(turn, &mut fenced) => continue,
                    Free::No if patient && self.stay_behind(BACK, tail) => {
                        patient = false;
                        continue;
                    }
                    Free::No => break,
                    Free::Yes => continue,
                    Free::Counted => {}
                }
                // SAFETY: the caller's promise.
                if unsafe { self.push_slowly(items.add(done), true) }.is_err() {
                    break;
                }
                done += 1;
                continue;
            }
            let next = self.advance(tail, grab);
            // The linearization point of those that succeed.
            if !self.tail.take(turn, next) {
                self.lost_again(turn);
                continue;
            }
            fenced = false;
            // SAFETY: the slots were free, the tickets are ours; the caller's promise.
            done += unsafe { self.put_all(items.add(done), tail, grab) };
            self.won(BACK, tail, next);
        }
        done
    }

    /// How many of the next `most` tickets' slots, at most a lap, are free in turn.
    #[inline]
    fn count_free(&self, from: Ticket, most: usize) -> usize {
        if self.slots.asymmetric() {
            let count = self.slots.count_said(from, most, Said::Free);
            // As in `Slot::free`, for all of them.
            light(true);
            if self.slots.is_unasked(self.slot(from).ticket_before()) {
                return count;
            }
        }
        self.count_while(from, most, |slot| slot.free() == Free::Yes)
    }

    /// Publishes items with adjacent tickets, until one of the tickets' consumers has gone on; returns how many.
    ///
    /// # Safety
    ///
    /// As for `put`, of all of them.
    #[inline]
    unsafe fn put_all(&self, items: *const T, first: Ticket, count: usize) -> usize {
        let asymmetric = self.slots.asymmetric();
        let mut done = 0;
        for (cells, lap) in self.slots.stretch(first, count) {
            for cell in cells {
                // SAFETY: the caller's promise.
                unsafe { cell.write(items.add(done)) };
                if asymmetric {
                    cell.say(Said::Full, lap);
                    // As in `Slot::put`; who was not asked about the first is not about the others.
                    light(true);
                }
                let put = asymmetric && self.slots.is_unasked(first)
                    || Slot::put_after_all(&self.slots, self.advance(first, done));
                if !put {
                    // SAFETY: the caller's promise; this item was not delivered.
                    unsafe { self.retract(first, done, count) };
                    return done;
                }
                done += 1;
            }
        }
        count
    }

    /// Of a batch of adjacent tickets, gives back those from `done` on, of which the first one's consumer has gone on.
    ///
    /// # Safety
    ///
    /// The tickets are the caller's, and nothing was published with those from `done` on.
    #[cold]
    unsafe fn retract(&self, first: Ticket, done: usize, count: usize) {
        // SAFETY: ours still, and our item was not delivered.
        unsafe { self.release(self.advance(first, done), true) };
        // What comes later in the batch must not be popped earlier, so the other tickets are not used either.
        for ahead in done + 1..count {
            let ticket = self.advance(first, ahead);
            self.note_void(ticket);
            // SAFETY: the ticket is ours, and nothing was put there.
            unsafe { self.release(ticket, false) };
        }
    }

    /// Moves up to `max` items, the oldest first, to `out`; returns how many. They were adjacent, and published.
    ///
    /// # Safety
    ///
    /// `out` is valid for writing `max` values, and `max > 0`.
    pub(in crate::queue::bounded) unsafe fn pop_many(&self, out: *mut T, max: usize) -> usize {
        let max = max.min(self.capacity());
        loop {
            let turn = self.head.read();
            let head = turn.ticket;
            let count = self.slots.count_said(head, max, Said::Full);
            if count == 0 {
                // One at a time where a producer is on its way.
                let Some(value) = self.pop_slowly() else { return 0 };
                // SAFETY: there is room for one.
                unsafe { out.write(value) };
                return 1;
            }
            let next = self.advance(head, count);
            // The linearization point of all of them.
            if !self.head.take(turn, next) {
                self.lost_again(turn);
                continue;
            }
            // SAFETY: the tickets are ours and the slots seen full; there is room for `max`.
            unsafe { self.take_all(head, count, out) };
            self.won(FRONT, head, next);
            return count;
        }
    }

    /// Moves the items of adjacent tickets out, and frees their slots.
    ///
    /// # Safety
    ///
    /// The tickets are the caller's and the slots were seen full; `out` is valid for writing `count` values.
    #[inline]
    unsafe fn take_all(&self, first: Ticket, count: usize, out: *mut T) {
        let asymmetric = self.slots.asymmetric();
        let mut out = out;
        for (cells, lap) in self.slots.stretch(first, count) {
            for cell in cells {
                // SAFETY: the caller's promise.
                unsafe {
                    out.write(cell.read());
                    out = out.add(1);
                }
                if asymmetric {
                    cell.say(Said::Free, lap.next());
                }
            }
        }
        if asymmetric {
            // As in `Slot::release`, for all of them.
            light(true);
            if self.slots.is_unasked(first) {
                return;
            }
        }
        for ahead in 0..count {
            if Slot::release_after_all(&self.slots, self.advance(first, ahead), true) {
                self.count();
            }
        }
    }
}
