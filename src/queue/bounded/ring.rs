//! The algorithm of [`BoundedQueue`](super::BoundedQueue): a ring of slots and two counters that give out tickets.
//!
//! ```text
//!     head                       tail        tickets, one per slot and lap
//!      v                          v
//!   x x o o - o o . o o o o o o . . .        x taken, o full, . empty or on its way, - nobody's
//! ```
//! A producer takes the ticket at the tail if its slot is free, and publishes into the slot; a consumer takes the ticket at
//! the head if its slot is full, moves the value out and frees the slot for the ticket one lap later. So far this is
//! [D. Vyukov's bounded queue](https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue), in
//! which everybody waits for a thread that stopped with a ticket. Here nobody does: see [`slot`](super::slot) for how a
//! holder is challenged and how it returns the slot by itself. A thread that is alone at one end comes to own that counter, and takes
//! tickets by plain stores: see [`tickets`](super::super::tickets), which knows nothing of slots; here no step depends on who owns what.
//!
//! * A consumer that finds the producer of the head's ticket on its way answers `None` if nothing behind is published
//!   either, for then the queue was empty. Else it takes the ticket, and challenges.
//! * A producer that finds the tail's slot held looks for a free one further on. If there is none, the ring is full. Else it
//!   makes the tickets before that one nobody's, with one heavy barrier for all, and moves the tail past them: see [`room`].
//!
//! **Invariants**
//!
//! 1. The tail passes a ticket only if its slot was free for it, and then it is one producer's, or after it was made
//!    void in the slot, and then it is nobody's for ever.
//! 2. The head passes a ticket when one consumer takes it, which thereby owns the value if there is or will be one.
//! 3. A slot has one holder or is free; what is free stays free until a producer has the tail's ticket for it.
//! 4. Slots become free in the order of their tickets, or are counted in `counted` until they are used.
//!
//! **Non-invariants**: `tail - head` may exceed the capacity, for void tickets count; a slot between head and tail may be
//! full, on its way, void and held, or void and free for its next lap.
//!
//! **Linearization.** A push takes effect when its ticket was taken, or later, but before a later ticket's push is popped;
//! which attempt succeeds is known only later. A pop takes effect when its ticket is taken, or, if it had to ask, when
//! the push came. `None`: while the head did not move, slots became full and none was emptied, so if none was
//! full in the end, none was when the tail was read. Full: while the tail did not move, slots became free and none was
//! filled, so if none was free in the end, none was when the tail was read. (A counter did not move if it was read twice and stood at
//! the same ticket: it only goes forward, whoever owns it, and what is read is a value that it had. The second reading
//! comes after those of the slots, which acquire; whoever empties or fills a slot has taken the ticket before, and an owner's plain
//! store releases, too. So who saw the slot changed sees the counter moved.) That is, each slot then had an item, or its holder
//! was between its first and its last step. Nothing stricter exists with values in the slots: a consumer that is stopped while it
//! moves the only slot's value out leaves a queue that is empty and has no room. The fences before these two answers order them
//! after the caller's own earlier operations on other queues (store buffering), of which an owner's claims are plain stores as those to
//! slots are.
//!
//! **Progress.** Nobody waits for anybody. A push repeats if another producer took the ticket (which got on), if a
//! free slot is further on (each step comes closer to it, and somebody gets it), or if its consumer has gone on. That
//! consumer had seen a published item behind, and each of its steps comes closer to it; so infinitely many repetitions are
//! infinitely many completed operations. Waits before a challenge are bounded, and nothing is held during them.
//! So is the moment for which an operation stays behind that finds nothing to do, too close to the other end.
//! A challenge calls the kernel (`membarrier`), whose progress it then shares, and so does who wants a ticket of a counter that
//! another thread owns.
//!
//! **Who frees what.** Nothing is allocated or freed while the queue is in use. Values are moved out by whoever pops them.

mod batches;
mod displace;
mod looks;
mod room;

use crossbeam_utils::CachePadded;

use super::super::tickets::{Ticket, Tickets, Turn};
use super::CapacityError;
use super::slot::{CODES, Free, Lap, Slot, TICKETS};
use super::slots::{Slots, from_to};
use crate::reclaim::is_asymmetric;
use crate::sync::{AtomicU64, AtomicUsize, Ordering, fence, spin_loop};
use crate::util::backoff::{self, Place};

/// How often somebody looks at a slot whose holder is on its way before it looks for another one, or challenges.
const PATIENCE: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 0 } else { 64 };

/// The ends, for the memory of races there.
const BACK: usize = 0;
const FRONT: usize = 1;

pub(super) struct Ring<T> {
    /// The next consumer's ticket.
    head: CachePadded<Tickets>,
    /// The next producer's ticket.
    tail: CachePadded<Tickets>,
    rare: CachePadded<Rare>,
    slots: Slots<T>,
}

/// What is written only when a holder was passed over.
struct Rare {
    /// Free slots that became so out of turn. Too many for the moment between a producer's claim and its subtraction, never
    /// too few once the operation that freed the slot has returned.
    counted: AtomicUsize,
    /// The last ticket that was nobody's.
    void: AtomicU64,
}

impl<T> Ring<T> {
    pub(super) fn new(capacity: usize, first_lap: u64) -> Result<Self, CapacityError> {
        // Tickets need room for the index, with the codes of the slots' words below it.
        if capacity == 0 || capacity > 1 << 56 {
            return Err(CapacityError);
        }
        let step = (capacity as u64).next_power_of_two().max(CODES + 1);
        let first = first_lap.wrapping_mul(step) & TICKETS;
        Ok(Self {
            head: CachePadded::new(Tickets::new(first)),
            tail: CachePadded::new(Tickets::new(first)),
            rare: CachePadded::new(Rare {
                counted: AtomicUsize::new(0),
                void: AtomicU64::new(first.wrapping_sub(1) & TICKETS),
            }),
            slots: Slots::new(capacity, Lap { at: first, step }, is_asymmetric())?,
        })
    }

    #[inline(always)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.count()
    }

    #[inline(always)]
    fn lap(&self, ticket: Ticket) -> Lap {
        self.slots.lap(ticket)
    }

    #[inline(always)]
    fn index(&self, ticket: Ticket) -> usize {
        self.slots.index(ticket)
    }

    #[inline(always)]
    fn slot(&self, ticket: Ticket) -> Slot<'_, T> {
        self.slots.slot(ticket)
    }

    #[inline(always)]
    fn next(&self, ticket: Ticket) -> Ticket {
        if self.index(ticket) + 1 < self.capacity() { ticket + 1 } else { self.lap(ticket).after() }
    }

    /// The ticket `count` later, which is at most a lap.
    #[inline(always)]
    fn advance(&self, ticket: Ticket, count: usize) -> Ticket {
        let index = self.index(ticket) + count;
        if index < self.capacity() {
            ticket + count as u64
        } else {
            self.lap(ticket).after() + (index - self.capacity()) as u64
        }
    }

    /// How many tickets there are from one to the other; negative if that is the earlier one.
    fn distance(&self, from: Ticket, to: Ticket) -> i64 {
        let laps = from_to(self.lap(from).at, self.lap(to).at) >> self.slots.step().trailing_zeros();
        laps.wrapping_mul(self.capacity() as i64) + self.index(to) as i64 - self.index(from) as i64
    }

    /// Adds an item; on failure it still belongs to the caller, and the tail is told at which there was no room.
    ///
    /// The common case, small enough to be inlined: a pair of a push and a pop took 7.6 ns instead of 15 through the loop below.
    ///
    /// # Safety
    ///
    /// The item is initialised, and the caller gives it away on success.
    #[inline(always)]
    pub(super) unsafe fn push(&self, item: *const T) -> Result<(), Ticket> {
        let turn = self.tail.read();
        let tail = turn.ticket;
        // All of these before the ticket is taken, behind which the compiler would have to load them again.
        let (slot, next) = (self.slot(tail), self.next(tail));
        if slot.free() == Free::Yes {
            // The linearization point, if `put` succeeds.
            if !self.tail.take(turn, next) {
                self.lost(turn);
                // SAFETY: the caller's promise.
                return unsafe { self.push_slowly(item, true) };
            }
            // SAFETY: the slot was free and the ticket is ours; the caller's promise.
            if unsafe { slot.put(item) } {
                self.won(BACK, tail, next);
                return Ok(());
            }
            // SAFETY: ours still, and our item was not delivered.
            unsafe { self.release(tail, true) };
        }
        // SAFETY: the caller's promise; the item was not delivered.
        unsafe { self.push_slowly(item, true) }
    }

    /// As `push`, in all cases. `patient`: may stay behind a little where it comes too close to a consumer.
    ///
    /// # Safety
    ///
    /// As for `push`.
    #[cold]
    #[inline(never)]
    unsafe fn push_slowly(&self, item: *const T, mut patient: bool) -> Result<(), Ticket> {
        let mut fenced = false;
        loop {
            let turn = self.tail.read();
            let tail = turn.ticket;
            let free = self.slot(tail).free();
            if free == Free::No {
                if self.make_room(turn, &mut fenced) {
                    continue;
                }
                if patient && self.stay_behind(BACK, tail) {
                    patient = false;
                    continue;
                }
                return Err(tail);
            }
            let next = self.next(tail);
            // The linearization point, if `put` succeeds.
            if !self.tail.take(turn, next) {
                self.lost_again(turn);
                continue;
            }
            // SAFETY: the slot was free and the ticket is ours; the caller's promise.
            if unsafe { self.put(item, tail, free) } {
                self.won(BACK, tail, next);
                return Ok(());
            }
        }
    }

    /// Publishes an item with a ticket; if the ticket's consumer has gone on, the slot is freed and false returned.
    ///
    /// # Safety
    ///
    /// The ticket is the caller's, the slot was free for it, and the item is given away on success.
    unsafe fn put(&self, item: *const T, ticket: Ticket, free: Free) -> bool {
        if free == Free::Counted {
            self.uncount();
        }
        // SAFETY: the caller's promise.
        let put = unsafe { self.slot(ticket).put(item) };
        if !put {
            // SAFETY: ours still, and our item was not delivered.
            unsafe { self.release(ticket, true) };
        }
        put
    }

    /// Frees a slot for its next lap.
    ///
    /// # Safety
    ///
    /// The caller holds the slot with this ticket, and there is no value.
    #[inline(always)]
    unsafe fn release(&self, ticket: Ticket, used: bool) {
        // SAFETY: the caller's promise.
        if unsafe { self.slot(ticket).release(used) } {
            self.count();
        }
    }

    /// Removes the oldest item: the common case, as in `push`.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<T> {
        let turn = self.head.read();
        let head = turn.ticket;
        let (slot, next) = (self.slot(head), self.next(head));
        // Written once, to where it is returned: a pair with 1 KiB took 42 ns instead of 25 with a return for each case.
        let mut value = None;
        let mut mine = false;
        if slot.is_full() {
            // The linearization point.
            mine = self.head.take(turn, next);
            if mine {
                // SAFETY: seen full, and the ticket is ours.
                value = Some(unsafe { slot.read() });
                // SAFETY: the same, and the value was moved out.
                if unsafe { slot.release(true) } {
                    self.count();
                }
                self.won(FRONT, head, next);
            } else {
                self.lost(turn);
            }
        }
        if !mine {
            value = self.pop_slowly();
        }
        value
    }

    /// As `pop`, in all cases.
    #[cold]
    #[inline(never)]
    fn pop_slowly(&self) -> Option<T> {
        let ticket = self.take_oldest(true)?;
        // SAFETY: the ticket is ours, and the value is there.
        let value = Some(unsafe { self.slot(ticket).read() });
        // SAFETY: the same, and the value was moved out.
        unsafe { self.release(ticket, true) };
        self.won(FRONT, ticket, self.next(ticket));
        value
    }

    /// The ticket of the oldest item, which is there to be read by the caller, who holds the slot.
    ///
    /// `patient`: may stay behind a little where it comes too close to a producer.
    fn take_oldest(&self, mut patient: bool) -> Option<Ticket> {
        let mut fenced = false;
        loop {
            let turn = self.head.read();
            let head = turn.ticket;
            if self.slot(head).is_full() {
                // The linearization point.
                if self.head.take(turn, self.next(head)) {
                    return Some(head);
                }
                self.lost_again(turn);
                continue;
            }
            match self.front(turn, &mut fenced) {
                Front::Empty if patient && self.stay_behind(FRONT, head) => patient = false,
                Front::Empty => return None,
                Front::Again => {}
                Front::Asked => {
                    // SAFETY: the consumers' ticket is ours now, and a producer has its one.
                    if unsafe { self.slot(head).challenge() } {
                        return Some(head);
                    }
                    fenced = false;
                }
            }
        }
    }

    /// What to do about a head whose slot was seen not to be full.
    #[cold]
    fn front(&self, turn: Turn, fenced: &mut bool) -> Front {
        let head = turn.ticket;
        // Shows which tickets are void.
        let tail = self.tail.read().ticket;
        let pending = self.distance(head, tail);
        let known = usize::try_from(pending).unwrap_or(0).min(self.capacity());
        let nobodys = self.count_while(head, known, |slot| !slot.is_claimed());
        if nobodys > 0 {
            // Losing means that somebody else moved on, or that it was not the head any more.
            self.head.take(turn, self.advance(head, nobodys));
            return Front::Again;
        }
        let come = pending > 0
            && (0..PATIENCE).any(|_| {
                spin_loop();
                self.slot(head).is_full()
            });
        let mut ticket = head;
        let behind = !come
            && (1..pending).any(|_| {
                ticket = self.next(ticket);
                self.slot(ticket).is_full()
            });
        // Last, behind loads that acquire: the head did not move while the slots were looked at.
        if come || self.head.read().ticket != head {
            return Front::Again;
        }
        if behind {
            // The linearization point, if the push comes in time.
            let mine = self.head.take(turn, self.next(head));
            return if mine { Front::Asked } else { Front::Again };
        }
        if *fenced {
            return Front::Empty;
        }
        // SeqCst: in the total order with the same fence of other threads, so that of two threads that push to one queue each and
        // look into the other's, at least one sees the other's item.
        fence(Ordering::SeqCst);
        *fenced = true;
        Front::Again
    }

    /// There was nothing to do at an end with this ticket: if it follows too closely upon the other end, waits a moment, and then it is
    /// worth to look again.
    #[cold]
    fn stay_behind(&self, end: usize, ticket: Ticket) -> bool {
        let other = if end == FRONT { &self.tail } else { &self.head };
        let before = other.read().ticket;
        backoff::idle(self.place(), end, self.index(ticket), || other.read().ticket != before)
    }

    /// Where races are lost, for the memory of it: one place, for the same threads may work at both ends.
    fn place(&self) -> Place {
        (&raw const self.tail).cast()
    }

    /// A ticket could not be taken.
    #[cold]
    #[inline(never)]
    fn lost(&self, turn: Turn) {
        if !turn.is_anothers() {
            backoff::lost(self.place());
        }
    }

    /// As `lost`, and pauses if that is due.
    #[cold]
    #[inline(never)]
    fn lost_again(&self, turn: Turn) {
        self.lost(turn);
        backoff::rest(self.place());
    }

    /// An operation at an end succeeded with these tickets; pauses if that is due, and so comes last.
    ///
    /// Few exchanges are lost even where every one waits for the cache line, so contention is sensed by the tickets
    /// between one's own, too: with lost exchanges alone, and a place for each end, pairs of 4 and 8 threads took 23 and 33 ns
    /// instead of 11 and 13, flows of 2 and 4 producers and consumers 12 and 16 instead of 8.
    #[inline(always)]
    fn won(&self, end: usize, first: Ticket, next: Ticket) {
        // By their slots, which follow each other round the ring.
        backoff::tickets(self.place(), end, self.index(first), self.index(next), false);
        backoff::rest(self.place());
    }

    /// As `push`, without atomic steps where nothing is out of turn.
    ///
    /// # Safety
    ///
    /// As for `push`.
    pub(super) unsafe fn push_mut(&mut self, item: *const T) -> Result<(), Ticket> {
        let tail = self.tail.with_mut(|tail| *tail);
        if self.slot(tail).free() != Free::Yes {
            // SAFETY: the caller's promise.
            return unsafe { self.push_slowly(item, false) };
        }
        let next = self.next(tail);
        let (lap, index) = (self.lap(tail), self.index(tail));
        self.tail.with_mut(|tail| *tail = next);
        // SAFETY: the slot is free, and the caller's promise.
        unsafe { self.slots.cell_mut(index).put_mut(item, lap) };
        Ok(())
    }

    /// As `pop`.
    pub(super) fn pop_mut(&mut self) -> Option<T> {
        loop {
            let head = self.head.with_mut(|head| *head);
            if head == self.tail.with_mut(|tail| *tail) {
                return None;
            }
            let next = self.next(head);
            self.head.with_mut(|head| *head = next);
            // What is not full is nobody's: an operation that was on its way cannot be, for nobody shares the queue.
            if self.slot(head).is_full() {
                // SAFETY: full, and the ticket is ours.
                unsafe {
                    let value = self.slot(head).read();
                    self.release(head, true);
                    return Some(value);
                }
            }
        }
    }
}

/// What stands at the head.
enum Front {
    /// Nothing, and there was nothing behind it.
    Empty,
    /// Something changed.
    Again,
    /// A producer that is on its way; the consumers' ticket is ours.
    Asked,
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        /// Goes on with the rest if a destructor panics.
        struct Rest<'a, T>(&'a mut Ring<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while let Some(value) = self.0.pop_mut() {
                    drop(value);
                }
            }
        }
        if core::mem::needs_drop::<T>() {
            let rest = Rest(self);
            while let Some(value) = rest.0.pop_mut() {
                drop(value);
            }
        }
    }
}
