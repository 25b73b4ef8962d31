//! Answers that change nothing of what is in the queue.

use super::super::slot::Free;
use super::super::slots::older;
use super::Ring;
use super::room::Room;
use crate::sync::{Ordering, fence};

impl<T> Ring<T> {
    pub(in crate::queue::bounded) fn is_empty(&self) -> bool {
        let mut fenced = false;
        loop {
            let head = self.head.read().ticket;
            // What was pushed before the fence of the first round is before this tail.
            let tail = self.tail.read().ticket;
            let mut ticket = head;
            let full = (0..self.distance(head, tail)).any(|_| {
                let full = self.slot(ticket).is_full();
                ticket = self.next(ticket);
                full
            });
            // Last, and SeqCst: as in `front`.
            if self.head.read().ticket == head {
                if full || fenced {
                    return !full;
                }
                fence(Ordering::SeqCst);
                fenced = true;
            }
        }
    }

    pub(in crate::queue::bounded) fn is_full(&self) -> bool {
        let mut fenced = false;
        loop {
            let turn = self.tail.read();
            let tail = turn.ticket;
            if self.slot(tail).free() != Free::No {
                return false;
            }
            if fenced {
                match self.room(turn) {
                    Room::None => return true,
                    Room::Void(count) => {
                        self.skip(turn, count);
                        continue;
                    }
                    Room::Ahead(_) => return false,
                    Room::Again => continue,
                }
            }
            // SeqCst: as in `make_room`.
            fence(Ordering::SeqCst);
            fenced = true;
        }
    }

    pub(in crate::queue::bounded) fn len(&self) -> usize {
        // The head first, so that the difference is rarely negative; the tail shows void tickets.
        let head = self.head.read().ticket;
        let tail = self.tail.read().ticket;
        let tickets = self.distance(head, tail);
        // Relaxed: see above.
        let void = self.rare.void.load(Ordering::Relaxed);
        let len = if !older(void, head) {
            // Void tickets between them: count the slots.
            let mut ticket = head;
            (0..tickets)
                .filter(|_| {
                    let full = self.slot(ticket).is_full();
                    ticket = self.next(ticket);
                    full
                })
                .count()
        } else {
            usize::try_from(tickets).unwrap_or(0)
        };
        len.min(self.capacity())
    }
}
