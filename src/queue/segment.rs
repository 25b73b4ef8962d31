//! A segment of the unbounded queue: a ring of slots, each used once a lap, and the two ways to publish into one.
//!
//! ```text
//!   producer with ticket t                     consumer with ticket t, tired of waiting
//!   write the value                            closes the segment: no slot of it is given out again
//!   stamp = FULL(t)       (plain store)        verdict = CHALLENGED
//!   light()                                    heavy()
//!   verdict none: published                    stamp FULL(t): take the value
//!   CHALLENGED: exchange it for PUBLISHED      else exchange CHALLENGED for ABANDONED: go on elsewhere
//! ```
//! Whoever loses the exchange obeys the winner. If the producer saw no challenge, its load came before the heavy
//! barrier, so its store of FULL did too and the consumer sees it. If both see each other, the exchange decides. Each
//! ticket has one producer and one consumer, so the challenge itself needs no exchange.
//!
//! Where barriers are not asymmetric the stamp alone decides: the producer exchanges FREE for FULL, the impatient
//! consumer exchanges it for ABANDONED. The producer pays for a locked instruction then.
//!
//! **A slot's stamps**, of which only the holders of its tickets write one:
//!
//! ```text
//!   FREE(t) -- producer of t --> FULL(t) -- consumer of t --> FREE(t + CAPACITY) --> ...
//!      \--> RETRACTED(t), ABANDONED(t): in closed segments only, and the last of the slot
//! ```
//! A producer takes ticket t only where it saw FREE(t), a consumer only where it saw FULL(t) or a producer with that ticket. They
//! may see a stale stamp, but none older than the one that the taker of the slot's last ticket saw: who reads
//! a counter to take a ticket sees what the taker of the one before saw. So stamps of two laps would do, and 32 bits of the ticket are plenty.
//!
//! **Challenges close.** A challenge leaves a verdict, and an abandoned slot no way back to FREE. So a consumer closes the
//! segment before it challenges, and at most one ticket of a slot is ever challenged: the last that was given. A
//! producer that dawdled until its ticket is not the last, and meets a verdict, knows that it is somebody else's.

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use super::tickets::{Ticket, Tickets};
use crate::reclaim::{heavy, is_asymmetric, light};
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, AtomicU8, AtomicU32, Ordering, UnsafeCell, spin_loop};

/// From one ticket to the next. The bits below tell what became of it, in a stamp; or of its segment, in `enq`.
pub(super) const TICKET: Ticket = 4;
/// In `enq`: no ticket is given any more.
pub(super) const CLOSED: Ticket = 1;
/// ... and some slot was challenged, and will not be as it was.
const SPOILT: Ticket = 2;

/// Tickets end here, where a counter might wrap within the life of a segment.
const LAST: Ticket = Ticket::MAX / 2;

/// What a slot holds, as far as its producer has said: in the lowest bits of its stamp, and the ticket above. Written by the
/// producer; without asymmetric barriers also by an impatient consumer.
mod state {
    use super::Ticket;

    /// Nothing yet: the ticket's producer may write.
    pub(super) const FREE: Ticket = 0;
    /// The value.
    pub(super) const FULL: Ticket = 1;
    /// Its producer gave it up: an earlier slot of its batch was abandoned.
    pub(super) const RETRACTED: Ticket = 2;
    /// Its consumer gave it up; without asymmetric barriers only.
    pub(super) const ABANDONED: Ticket = 3;
}

/// What became of a challenge, with asymmetric barriers only.
mod verdict {
    /// There was none.
    pub(super) const NONE: u8 = 0;
    /// The consumer has asked.
    pub(super) const CHALLENGED: u8 = 1;
    /// The producer has answered that the value is there.
    pub(super) const PUBLISHED: u8 = 2;
    /// The consumer has gone on.
    pub(super) const ABANDONED: u8 = 3;
}

/// The stamp of a ticket in a state.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "two laps would do")]
const fn stamp(ticket: Ticket, state: Ticket) -> u32 {
    (ticket | state) as u32
}

/// The ticket that stands in a counter without its marks.
#[inline(always)]
pub(super) const fn ticket(enq: Ticket) -> Ticket {
    enq & !(TICKET - 1)
}

/// The ticket so many further on.
#[inline(always)]
pub(super) const fn later(ticket: Ticket, count: usize) -> Ticket {
    ticket + count as Ticket * TICKET
}

/// What a segment's slots may take, in bytes: a ring that stays in a first-level cache of 32 KiB beside what the program does. Pairs
/// of 1 KiB took 55 ns where each slot was used once, and 33 with a ring of 16.
const SIZE: usize = 20 << 10;
/// ... and how many there may be: for words no more than 8 KiB a queue, with an append in 512 pushes. Reasoned.
const MOST: usize = 512;

pub(super) struct Slot<T> {
    stamp: AtomicU32,
    verdict: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// What a look at a slot found, for a ticket.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Found {
    /// Its value is published.
    Full,
    /// Its producer gave it up.
    Retracted,
    /// Its producer is on its way, or there is none yet.
    Pending,
}

impl<T> Slot<T> {
    #[inline(always)]
    fn stamp(&self) -> u32 {
        // Acquire: pairs with the Release in `put`, for the value, and with that in `free`, for the end of its reading.
        self.stamp.load(Ordering::Acquire)
    }

    /// Whether the producer of this ticket may write; never if the ticket was read from a closed counter.
    #[inline(always)]
    pub(super) fn is_free(&self, ticket: Ticket) -> bool {
        self.stamp() == stamp(ticket, state::FREE)
    }

    /// Whether the value may be read by whoever has the ticket.
    #[inline(always)]
    pub(super) fn is_full(&self, ticket: Ticket) -> bool {
        self.stamp() == stamp(ticket, state::FULL)
    }

    /// What the producer of this ticket has said so far.
    #[inline]
    pub(super) fn look(&self, ticket: Ticket) -> Found {
        let found = self.stamp();
        if found == stamp(ticket, state::FULL) {
            Found::Full
        } else if found == stamp(ticket, state::RETRACTED) {
            Found::Retracted
        } else {
            Found::Pending
        }
    }

    /// The producer gives the slot up without a value; its segment is closed.
    #[inline]
    pub(super) fn retract(&self, ticket: Ticket) {
        let retracted = stamp(ticket, state::RETRACTED);
        if is_asymmetric() {
            // Relaxed: tells only that there is nothing.
            self.stamp.store(retracted, Ordering::Relaxed);
        } else {
            let free = stamp(ticket, state::FREE);
            // Relaxed: as above. Losing means that the consumer has given it up as well.
            let _ = self.stamp.compare_exchange(free, retracted, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Moves the value out of a slot that was seen full.
    ///
    /// # Safety
    ///
    /// The caller has the consumer's ticket of this slot and has seen it FULL, or PUBLISHED.
    #[inline(always)]
    pub(super) unsafe fn read(&self) -> T {
        // SAFETY: the value was published with Release and seen with Acquire; the ticket is ours alone.
        self.value.with(|value| unsafe { (*value).assume_init_read() })
    }

    fn wait(&self, ticket: Ticket) -> T {
        while !self.is_full(ticket) {
            spin_loop();
        }
        // SAFETY: called by `challenge` only, whose caller has the ticket; seen FULL.
        unsafe { self.read() }
    }
}

/// An array of slots behind its two ticket counters, in one allocation:
///
/// ```text
///   [ enq ..line.. ][ deq ..line.. ][ next, base ][ slot 0 ][ slot 1 ] ... [ slot CAPACITY - 1 ]
/// ```
#[repr(C)]
pub(super) struct Segment<T> {
    /// The next producer's ticket, and whether the segment is CLOSED. Written by producers.
    pub(super) enq: CachePadded<Tickets>,
    /// The next consumer's ticket; never more than `enq`. Written by consumers.
    pub(super) deq: CachePadded<Tickets>,
    /// The segment behind, once there is one; set once, when this one is closed.
    pub(super) next: AtomicPtr<Segment<T>>,
    /// What a ticket of this segment is in all of the queue's life: so much more, wrapping.
    pub(super) base: Ticket,
    slots: [Slot<T>; 0],
}

impl<T> Segment<T> {
    /// Slots a segment, a power of two: no more than fit into SIZE bytes, and no fewer than four, so that even large values share a
    /// segment. The models' are as small as can be.
    pub(super) const CAPACITY: usize = if cfg!(any(latchfree_loom, latchfree_stall)) {
        if size_of::<T>() > 64 { 4 } else { 2 }
    } else {
        let fit = SIZE / size_of::<Slot<T>>();
        if fit < 4 {
            4
        } else if fit > MOST {
            MOST
        } else {
            1 << fit.ilog2()
        }
    };

    /// From a slot's ticket to its next.
    const LAP: Ticket = later(0, Self::CAPACITY);

    const LAYOUT: Layout = {
        let slots = match Layout::array::<Slot<T>>(Self::CAPACITY) {
            Ok(slots) => slots,
            Err(_) => panic!("a segment of such values exceeds the address space"),
        };
        match Layout::new::<Self>().extend(slots) {
            Ok((layout, _)) => layout.pad_to_align(),
            Err(_) => panic!("a segment of such values exceeds the address space"),
        }
    };

    /// What a segment occupies, in bytes.
    pub(super) const BYTES: usize = Self::LAYOUT.size();

    /// A new segment, all slots free, built in place on the heap.
    pub(super) fn allocate() -> NonNull<Self> {
        // SAFETY: the layout is not of size 0, for it contains the counters.
        let Some(segment) = NonNull::new(unsafe { alloc(Self::LAYOUT) }.cast::<Self>()) else {
            handle_alloc_error(Self::LAYOUT)
        };
        let header = Segment {
            enq: CachePadded::new(Tickets::new(0)),
            deq: CachePadded::new(Tickets::new(0)),
            next: AtomicPtr::new(ptr::null_mut()),
            base: 0,
            slots: [],
        };
        // SAFETY: freshly allocated for a header and CAPACITY slots behind it.
        unsafe {
            segment.write(header);
            for index in 0..Self::CAPACITY {
                let slot = Self::slot_ptr(segment, later(0, index));
                (&raw mut (*slot).stamp).write(AtomicU32::new(stamp(later(0, index), state::FREE)));
                (&raw mut (*slot).verdict).write(AtomicU8::new(verdict::NONE));
                (&raw mut (*slot).value).write(UnsafeCell::new(MaybeUninit::uninit()));
            }
        }
        segment
    }

    /// Opens a segment that was used before: its tickets go on, unless slots were left in disorder.
    ///
    /// # Safety
    ///
    /// No other thread can reach the segment, and its values have been moved out.
    pub(super) unsafe fn reset(segment: NonNull<Self>) {
        // SAFETY: the segment is the caller's.
        let header = unsafe { &mut *segment.as_ptr() };
        header.deq.disown();
        header.enq.disown();
        let deq = header.deq.with_mut(|deq| *deq);
        let enq = header.enq.with_mut(|enq| *enq);
        header.next.with_mut(|next| *next = ptr::null_mut());
        // Closed for want of room and emptied: all slots are free, for what comes. Else spoilt, or never linked.
        if enq == (deq | CLOSED) && deq < LAST - Self::LAP {
            header.enq.with_mut(|enq| *enq = deq);
            return;
        }
        header.enq.with_mut(|enq| *enq = 0);
        header.deq.with_mut(|deq| *deq = 0);
        for index in 0..Self::CAPACITY {
            // SAFETY: as above; `header` is not used any more.
            let slot = unsafe { &mut *Self::slot_ptr(segment, later(0, index)) };
            slot.stamp.with_mut(|place| *place = stamp(later(0, index), state::FREE));
            slot.verdict.with_mut(|verdict| *verdict = verdict::NONE);
        }
    }

    /// Frees a segment, and none of the values in it.
    ///
    /// # Safety
    ///
    /// `segment` came from `allocate`, and nobody uses it after this.
    pub(super) unsafe fn free(segment: NonNull<u8>) {
        let segment = segment.cast::<Self>();
        // SAFETY: the segment is the caller's, initialised by `allocate`, and of this layout. The slots' values are
        // `MaybeUninit`, so dropping slots drops none.
        unsafe {
            for index in 0..Self::CAPACITY {
                Self::slot_ptr(segment, later(0, index)).drop_in_place();
            }
            segment.drop_in_place();
            dealloc(segment.as_ptr().cast(), Self::LAYOUT);
        }
    }

    /// Fills an unpublished segment from the front with `count` items; in the queue's life its first ticket is `first`.
    ///
    /// # Safety
    ///
    /// The segment is the caller's and as new; `count <= CAPACITY` values at `items` are given away with it, if and when
    /// it is published.
    pub(super) unsafe fn fill(segment: NonNull<Self>, first: Ticket, items: *const T, count: usize) {
        debug_assert!(count <= Self::CAPACITY);
        // SAFETY: the segment is the caller's.
        let header = unsafe { &mut *segment.as_ptr() };
        let start = header.enq.with_mut(|enq| *enq);
        header.base = first.wrapping_sub(start);
        header.enq.with_mut(|enq| *enq = later(start, count));
        for offset in 0..count {
            let ticket = later(start, offset);
            // SAFETY: as above, and `offset < count` items are there.
            unsafe {
                let slot = &mut *Self::slot_ptr(segment, ticket);
                slot.stamp.with_mut(|place| *place = stamp(ticket, state::FULL));
                slot.value.with_mut(|value| ptr::copy_nonoverlapping(items.add(offset), value.cast(), 1));
            }
        }
    }

    /// Copies the item in and publishes it; false if the slot was abandoned, and then the copy means nothing.
    ///
    /// # Safety
    ///
    /// `segment` is allocated. `asymmetric` says which barriers are in force, unless nobody shares the queue. The caller has the
    /// producer's ticket, and `item` points to a value that it gives away on success.
    #[inline(always)]
    pub(super) unsafe fn put(
        segment: NonNull<Self>,
        ticket: Ticket,
        item: *const T,
        asymmetric: bool,
    ) -> bool {
        // SAFETY: the caller's promise.
        let slot = unsafe { Self::slot(segment, ticket) };
        // SAFETY: nobody reads the value before it is published below, and only the ticket's holder writes it.
        slot.value.with_mut(|value| unsafe { ptr::copy_nonoverlapping(item, value.cast(), 1) });
        if asymmetric {
            // Release: publishes the value; pairs with `Slot::stamp`.
            slot.stamp.store(stamp(ticket, state::FULL), Ordering::Release);
            // Against the heavy barrier in `challenge`: either the consumer sees FULL or we see its challenge.
            light(true);
            // Relaxed: the barriers order it; `answer` looks again.
            if slot.verdict.load(Ordering::Relaxed) == verdict::NONE {
                return true;
            }
        }
        // SAFETY: the caller's promise.
        unsafe { segment.as_ref() }.settle(slot, ticket, asymmetric)
    }

    /// What is left to do of a publication, out of line, so that the common case is short.
    #[cold]
    #[inline(never)]
    fn settle(&self, slot: &Slot<T>, ticket: Ticket, asymmetric: bool) -> bool {
        if asymmetric {
            return self.answer(slot, ticket);
        }
        let (free, full) = (stamp(ticket, state::FREE), stamp(ticket, state::FULL));
        // Release: publishes the value; pairs with `Slot::stamp` and `challenge`. Losing means that the slot was abandoned.
        slot.stamp.compare_exchange(free, full, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// A ticket of the slot was challenged: this one is published unless it is that one and was abandoned.
    fn answer(&self, slot: &Slot<T>, ticket: Ticket) -> bool {
        // Acquire: pairs with the Release in `challenge`, for the mark that it closed the segment with; which is final.
        let challenged = slot.verdict.load(Ordering::Acquire) != verdict::NONE;
        let end = self::ticket(self.enq.read().ticket);
        debug_assert!(challenged);
        if end - ticket > Self::LAP {
            // The slot was given out again: what we published was taken, and the verdict is on a later ticket.
            return true;
        }
        // Release: pairs with the Acquire of the consumer's exchange. Losing means that the consumer abandoned us; Relaxed
        // then, for nothing of the consumer's is read.
        slot.verdict
            .compare_exchange(verdict::CHALLENGED, verdict::PUBLISHED, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    /// After the value was read: the slot may be written for its next ticket.
    ///
    /// # Safety
    ///
    /// `segment` is allocated. The caller has the consumer's ticket, saw its slot full and has moved the value out.
    #[inline(always)]
    pub(super) unsafe fn release(segment: NonNull<Self>, ticket: Ticket) {
        let next = ticket + Self::LAP;
        // Where counters are short the slots are left as they are in the end, and the segment is full.
        if Ticket::BITS == 64 || next < LAST {
            // SAFETY: the caller's promise.
            let slot = unsafe { Self::slot(segment, ticket) };
            // Release: the reading comes before the next writing; pairs with `Slot::stamp`.
            slot.stamp.store(stamp(next, state::FREE), Ordering::Release);
        }
    }

    /// Takes the value if it is there by now, else abandons the slot, whose producer will push elsewhere.
    ///
    /// # Safety
    ///
    /// `segment` is allocated, and the caller has the consumer's ticket.
    #[cold]
    pub(super) unsafe fn challenge(segment: NonNull<Self>, ticket: Ticket) -> Option<T> {
        // SAFETY: the caller's promise.
        let (header, slot) = unsafe { (segment.as_ref(), Self::slot(segment, ticket)) };
        // The slot is not free, so no later ticket of it was given; and none will be.
        header.enq.mark(CLOSED | SPOILT);
        let full = if is_asymmetric() {
            // Release: pairs with the Acquire in `answer`, for the mark above. The heavy barrier orders it before the load below.
            slot.verdict.store(verdict::CHALLENGED, Ordering::Release);
            if !heavy() {
                // The system broke its promise of barriers. Nothing can be abandoned any more, so we must wait.
                return Some(slot.wait(ticket));
            }
            // Relaxed on success: abandoning passes nothing on. Acquire on failure: pairs with the Release of the producer's
            // exchange. Losing means that it published.
            slot.is_full(ticket)
                || slot
                    .verdict
                    .compare_exchange(
                        verdict::CHALLENGED,
                        verdict::ABANDONED,
                        Ordering::Relaxed,
                        Ordering::Acquire,
                    )
                    .is_err()
        } else {
            // Relaxed on success: as above. Acquire on failure: pairs with the Release in `put`. Losing means that the producer has
            // spoken.
            match slot.stamp.compare_exchange(
                stamp(ticket, state::FREE),
                stamp(ticket, state::ABANDONED),
                Ordering::Relaxed,
                Ordering::Acquire,
            ) {
                Ok(_) => false,
                Err(found) => found == stamp(ticket, state::FULL),
            }
        };
        // SAFETY: the ticket is ours, and the value is there.
        full.then(|| unsafe { slot.read() })
    }

    /// The slot of a ticket, marks in it notwithstanding.
    ///
    /// # Safety
    ///
    /// `segment` is allocated and not freed while the result is used.
    #[inline(always)]
    pub(super) unsafe fn slot<'a>(segment: NonNull<Self>, ticket: Ticket) -> &'a Slot<T> {
        // SAFETY: the caller's promise.
        unsafe { &*Self::slot_ptr(segment, ticket) }
    }

    /// Kept apart from the references to the header, which do not reach so far.
    #[inline(always)]
    unsafe fn slot_ptr(segment: NonNull<Self>, ticket: Ticket) -> *mut Slot<T> {
        let index = (ticket / TICKET) as usize % Self::CAPACITY;
        // SAFETY: the allocation has CAPACITY slots at this offset.
        unsafe { (&raw mut (*segment.as_ptr()).slots).cast::<Slot<T>>().add(index) }
    }
}
