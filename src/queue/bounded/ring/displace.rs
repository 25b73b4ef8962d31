//! Adding an item in the place of the oldest one.
//!
//! Whoever took the oldest item out keeps its slot, and so has room: it pushes to a free slot before its own if there is one,
//! passes over those that are not, and when the tail comes to its own slot keeps it for that ticket. Should producers
//! have passed over it meanwhile, it goes once more round. So no second item has to go.

use super::super::super::tickets::Ticket;
use super::super::slot::Free;
use super::Ring;

/// A slot in the caller's hands, whose value was moved out.
pub(super) struct Held {
    ticket: Ticket,
    /// Its next ticket was passed over.
    passed: bool,
}

impl<T> Ring<T> {
    /// Adds an item, in the place of the oldest one if there is no room. `Err` if every slot is held by operations in flight: then
    /// the item still belongs to the caller.
    ///
    /// # Safety
    ///
    /// The item is initialised, and the caller gives it away on success.
    pub(in crate::queue::bounded) unsafe fn force_push(&self, item: *const T) -> Result<Option<T>, ()> {
        // The tail at which there was no room, and then no item.
        let mut nothing = None;
        loop {
            // SAFETY: the caller's promise.
            let Err(tail) = (unsafe { self.push_slowly(item, false) }) else { return Ok(None) };
            if nothing == Some(tail) {
                // No slot was free before and after we found no item, and the tail has not moved: all were held between.
                return Err(());
            }
            if let Some(ticket) = self.take_oldest(false) {
                // SAFETY: the ticket is ours, and the value is there.
                let oldest = Some(unsafe { self.slot(ticket).read() });
                // SAFETY: the slot is ours; the caller's promise.
                unsafe { self.push_holding(item, Held { ticket, passed: false }) };
                return Ok(oldest);
            }
            nothing = Some(tail);
        }
    }

    /// Adds an item by somebody who holds a slot, which makes sure of room: into that one if nothing is free before it.
    ///
    /// # Safety
    ///
    /// The caller holds the slot and moved its value out; the item is initialised and given away.
    #[cold]
    unsafe fn push_holding(&self, item: *const T, mut held: Held) {
        loop {
            let turn = self.tail.read();
            let tail = turn.ticket;
            let next = self.next(tail);
            if self.index(tail) == self.index(held.ticket) {
                if !self.tail.take(turn, next) {
                    continue;
                }
                let slot = self.slot(tail);
                // SAFETY: we hold the slot, and have moved the tail.
                if !unsafe { slot.keep(self.lap(held.ticket)) } {
                    self.note_void(tail);
                    held.passed = true;
                    continue;
                }
                // SAFETY: kept for this ticket, which is ours; the caller's promise.
                if unsafe { slot.put(item) } {
                    return;
                }
                held = Held { ticket: tail, passed: false };
                continue;
            }
            let free = self.slot(tail).free();
            if free == Free::No {
                let slots = self.capacity();
                let own = (self.index(held.ticket) + slots - self.index(tail)) % slots;
                let before = self.count_while(tail, own, |slot| slot.free() == Free::No);
                self.pass_over(turn, before.max(1));
            } else if self.tail.take(turn, next) {
                // SAFETY: the slot was free and the ticket is ours; the caller's promise.
                if unsafe { self.put(item, tail, free) } {
                    if held.passed {
                        // SAFETY: ours, and passed over.
                        unsafe { self.slot(held.ticket).give_back() };
                        self.count();
                    } else {
                        // SAFETY: ours, and the value was moved out.
                        unsafe { self.release(held.ticket, true) };
                    }
                    return;
                }
            }
        }
    }
}
