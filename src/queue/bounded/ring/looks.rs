//! Answers that change nothing of what is in the queue.

use super::super::slot::Free;
use super::Ring;
use super::room::Room;
use crate::sync::{Ordering, fence};

impl<T> Ring<T> {
    pub(in crate::queue::bounded) fn is_empty(&self) -> bool {
        let mut fenced = false;
        loop {
            // Acquire: as in `take_oldest`.
            let head = self.head.load(Ordering::Acquire);
            // Relaxed: the slots tell. What was pushed before the fence of the first round is before this tail.
            let tail = self.tail.load(Ordering::Relaxed);
            let mut ticket = head;
            let full = (0..self.distance(head, tail)).any(|_| {
                let full = self.slot(ticket).is_full();
                ticket = self.next(ticket);
                full
            });
            // Relaxed and SeqCst: as in `front`.
            if self.head.load(Ordering::Relaxed) == head {
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
            // Acquire: as in `push_slowly`.
            let tail = self.tail.load(Ordering::Acquire);
            if self.slot(tail).free() != Free::No {
                return false;
            }
            if fenced {
                match self.room(tail) {
                    Room::None => return true,
                    Room::Void(count) => {
                        self.skip(tail, count);
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
        // Acquire: the head first, so that the difference is rarely negative; the tail shows void tickets. No model can tell: a
        // count is approximate while others push and pop, and exact when nobody does.
        let head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Acquire);
        let tickets = self.distance(head, tail);
        // Relaxed: see above.
        let void = self.rare.void.load(Ordering::Relaxed);
        let len = if void.wrapping_sub(head) as i64 >= 0 {
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
