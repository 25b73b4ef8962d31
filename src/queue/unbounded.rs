//! The algorithm of [`Queue`](super::Queue): a list of segments, each a ring of slots whose tickets are given out by two
//! counters.
//!
//! ```text
//!   head --> [x x x x] --> [x o o o] --> [o o . .] <-- tail       x taken, o full, . free
//!             closed         ^ deq          ^ enq
//! ```
//! A producer takes the next ticket of the tail's `enq` if that ticket's slot is free, and publishes into it; a consumer takes
//! the next ticket of the head's `deq`, reads that slot and frees it for the ticket a lap on. So where consumers keep up, one
//! segment does for ever, and stays in the cache. When it is full, a producer closes it and appends the next one with its items
//! already in it; when it is used up as well, a consumer moves `head` on and retires it, which a later append uses again.
//!
//! The shape is that of [Morrison and Afek's LCRQ](https://doi.org/10.1145/2442516.2442527), a list of rings that are closed, with
//! these changes: values of any type lie in the slots; tickets are taken by exchanges, or by plain stores of a thread that has long
//! been alone (see [`tickets`](super::tickets)), and only where the slot is free, or a producer has taken the ticket before; publishing is a plain store where barriers are asymmetric; and a ring is closed before
//! a slot is abandoned, so that none has to be repaired (see [`segment`](super::segment)).
//!
//! **Invariants**
//!
//! 1. `head` is never behind a segment that is retired, and neither is `tail`: `advance` moves `tail` past a segment
//!    before it moves `head`.
//! 2. A consumer's ticket is less than `enq`: there is, or was, a producer with that ticket.
//! 3. `next` is set only when a segment is closed, and a closed segment gives no ticket to producers any more.
//! 4. In each segment every ticket of either kind is given once.
//!
//! **Non-invariants**: `tail` may be behind the last segment, and null while `head` is not; a segment that is not full may be
//! closed; slots between `deq` and `enq` may be empty (a producer is on its way), retracted, or abandoned, and slots behind
//! them not free yet (a consumer is on its way).
//!
//! **Linearization.** A push takes effect at the ticket of the attempt that succeeded, or at the exchange that linked
//! its segment; which attempt that is, is known only later. A pop takes effect at the exchange or the store that gave it the ticket
//! of a full slot. `None` takes effect where `deq` was read: the counters only grow, so if `deq` had reached what `enq`
//! shows afterwards, and there is no next segment even later, the queue was empty when `deq` was read. The fence before the
//! deciding look orders it after the caller's own earlier pushes to other queues (store buffering): of two that do so, one fence
//! is first, and sends out the tickets and stamps that its thread has stored.
//!
//! **Progress.** Nobody waits for anybody. A push repeats when another producer took the ticket, or when its slot was abandoned,
//! which a consumer does that goes on to the next and closes the segment; the next one is linked with the items in it. A stalled
//! consumer's slot is not freed: then the segment is full, sooner or later, and is closed. A consumer repeats
//! when another consumer took the ticket. A stalled producer's slot is abandoned after a bounded wait; a stalled
//! consumer's item counts as taken. A thread that wants a counter which another one owns ends that, alone if need be, and tries again; its
//! next owner has taken a ticket first. The challenge and that end call the kernel (`membarrier`), whose progress they then share.
//!
//! **Who frees what.** Values are moved out by whoever pops them. A segment is retired by the consumer that moved `head`
//! past it, with no value left in it, and freed or reused by the reclaimer; so garbage holds no values of `T`.

mod exclusive;

use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use super::brief::{Brief, Taken};
use super::segment::{CLOSED, Found, Segment, TICKET, later, ticket};
use super::tickets::{Ticket, Turn};
use crate::reclaim::{Reclaim, Retired, is_asymmetric};
use crate::sync::{AtomicPtr, Ordering, const_fn, fence, spin_loop};
use crate::util::backoff::{self, Place};

/// How often a consumer looks at a slot whose producer is on its way before it challenges it.
const PATIENCE: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 0 } else { 64 };

/// The ends of a queue, for the memory of their tickets.
const FRONT: usize = 0;
const BACK: usize = 1;

/// What is kept in segments for reuse, in bytes: what is retired while the clock makes the three steps that free a segment,
/// with advances tried every 64 KiB, and as much again.
const KEEP_BYTES: usize = 384 << 10;

/// The same in segments.
pub(super) const fn keep<T>() -> usize {
    KEEP_BYTES / Segment::<T>::BYTES
}

pub(super) struct Raw<T, R: Reclaim> {
    head: CachePadded<AtomicPtr<Segment<T>>>,
    tail: CachePadded<AtomicPtr<Segment<T>>>,
    pub(super) garbage: R::Garbage,
}

/// Items to be pushed: bitwise copies are handed out, and what was not delivered still belongs to the caller.
pub(super) struct Source<T> {
    items: *const T,
    pub(super) len: usize,
}

impl<T> Source<T> {
    pub(super) fn new(items: *const T, len: usize) -> Self {
        Self { items, len }
    }

    /// The first `count` items are somebody else's now.
    ///
    /// # Safety
    ///
    /// `count <= self.len`.
    unsafe fn advance(&mut self, count: usize) {
        // SAFETY: stays within the items, or one past.
        self.items = unsafe { self.items.add(count) };
        self.len -= count;
    }
}

/// What stands at the front of the queue.
struct Front<T> {
    segment: NonNull<Segment<T>>,
    turn: Turn,
    /// Its value is published; else its producer is on its way.
    full: bool,
}

impl<T, R: Reclaim> Raw<T, R> {
    const_fn! {
        pub(super) const fn new(garbage: R::Garbage) -> Self {
            Self {
                head: CachePadded::new(AtomicPtr::new(ptr::null_mut())),
                tail: CachePadded::new(AtomicPtr::new(ptr::null_mut())),
                garbage,
            }
        }
    }

    /// Pushes one item.
    #[inline(always)]
    pub(super) fn push(&self, value: T) {
        let value = ManuallyDrop::new(value);
        if let Some(guard) = Brief::<R>::enter() {
            // SAFETY: the value is given away if this succeeds.
            if unsafe { self.try_push(&raw const *value) } {
                drop(guard);
                return self.rest();
            }
        }
        // A copy of its own for the way out of line, which takes its address: `value` can stay in registers then. Where it was in
        // memory, written in pieces and read back whole, a pair of 24 bytes took 29 ns instead of 14.
        // SAFETY: it was not delivered, and `value` is not dropped.
        self.push_slowly(unsafe { ptr::read(&raw const *value) });
    }

    /// Pushes one item under a guard, which belongs to `R`.
    #[inline(always)]
    pub(super) fn push_with(&self, value: T, guard: &R::Guard) {
        let value = ManuallyDrop::new(value);
        // SAFETY: the value is given away if this succeeds; the caller has a guard.
        if unsafe { self.try_push(&raw const *value) } {
            return self.rest();
        }
        // SAFETY: as above.
        self.push_slowly_with(unsafe { ptr::read(&raw const *value) }, guard);
    }

    /// The common case, small enough to be inlined (a pair took 14 ns instead of 23 through `push_all`); false if it is not given.
    ///
    /// # Safety
    ///
    /// The caller is pinned, and gives the value away if this succeeds.
    #[inline(always)]
    unsafe fn try_push(&self, value: *const T) -> bool {
        // Acquire: pairs with the Release that moved it, for the segment's contents.
        let Some(tail) = NonNull::new(self.tail.load(Ordering::Acquire)) else { return false };
        // SAFETY: reached from `tail` under the caller's guard; invariant 1.
        let segment = unsafe { tail.as_ref() };
        let turn = segment.enq.read();
        let ticket = turn.ticket;
        // SAFETY: protected by the guard. The linearization point, if `put` succeeds.
        if !unsafe { Segment::slot(tail, ticket) }.is_free(ticket)
            || !segment.enq.take(turn, later(ticket, 1))
        {
            return false;
        }
        // SAFETY: the ticket is ours.
        if !unsafe { Segment::put(tail, ticket, value, is_asymmetric()) } {
            return false;
        }
        self.took(BACK, ticket);
        true
    }

    #[cold]
    #[inline(never)]
    fn push_slowly(&self, value: T) {
        self.push_slowly_with(value, &R::pin());
        self.rest();
    }

    #[cold]
    #[inline(never)]
    fn push_slowly_with(&self, value: T, guard: &R::Guard) {
        let value = ManuallyDrop::new(value);
        // SAFETY: one item, given away: it is not dropped here.
        unsafe { self.push_all(Source::new(&raw const *value, 1), guard) }
    }

    /// Pushes all items, in order.
    ///
    /// # Safety
    ///
    /// The source's items are initialised, and the caller gives them away. `guard` belongs to `R`.
    #[inline(never)]
    pub(super) unsafe fn push_all(&self, mut source: Source<T>, guard: &R::Guard) {
        let mut raced = false;
        while source.len > 0 {
            let Some(tail) = self.tail() else {
                // SAFETY: the caller's promise.
                unsafe { self.begin(&mut source, guard) };
                continue;
            };
            // SAFETY: reached from `tail` under the guard; invariant 1.
            let segment = unsafe { tail.as_ref() };
            let turn = segment.enq.read();
            let first = turn.ticket;
            // SAFETY: protected by the guard.
            let is_free = |ticket| unsafe { Segment::slot(tail, ticket) }.is_free(ticket);
            let most = source.len.min(Segment::<T>::CAPACITY);
            let free = (0..most).take_while(|&offset| is_free(later(first, offset))).count();
            if free > 0 {
                // The linearization point of those that `put` delivers.
                if segment.enq.take(turn, later(first, free)) {
                    // SAFETY: the tickets are ours, and the caller's promise.
                    raced |= !unsafe { Self::put(tail, first, free, &mut source) };
                } else {
                    raced = true;
                }
            } else if first & CLOSED != 0 || segment.enq.close(turn, CLOSED) {
                // SAFETY: the caller's promise; it is closed.
                unsafe { self.append(tail, &mut source, guard) };
            } else {
                raced = true;
            }
        }
        if raced { backoff::lost(self.place()) } else { backoff::won(self.place()) }
    }

    /// Publishes `count` items into the slots of the tickets from `first` on; false if a slot was abandoned.
    ///
    /// # Safety
    ///
    /// The tickets are the caller's, `source` has at least `count` items, and `tail` is protected.
    #[inline]
    unsafe fn put(tail: NonNull<Segment<T>>, first: Ticket, count: usize, source: &mut Source<T>) -> bool {
        let asymmetric = is_asymmetric();
        let items = source.items;
        // SAFETY: the caller's promises.
        let put = |offset| unsafe { Segment::put(tail, later(first, offset), items.add(offset), asymmetric) };
        let delivered = (0..count).take_while(|&offset| put(offset)).count();
        // SAFETY: they were delivered.
        unsafe { source.advance(delivered) };
        // What comes later in the batch must not be popped earlier than the item whose slot was abandoned, so the other
        // tickets are not used either; saying so spares their consumers the challenge.
        for offset in delivered + 1..count {
            let ticket = later(first, offset);
            // SAFETY: as above.
            unsafe { Segment::slot(tail, ticket) }.retract(ticket);
        }
        delivered == count
    }

    /// The segment at the tail, or `None` while the queue has none.
    #[inline]
    fn tail(&self) -> Option<NonNull<Segment<T>>> {
        loop {
            // Acquire: pairs with the Release that moved it, for the segment's contents.
            let tail = NonNull::new(self.tail.load(Ordering::Acquire));
            if tail.is_some() {
                return tail;
            }
            // Acquire: pairs with the Release in `begin`.
            let head = self.head.load(Ordering::Acquire);
            if head.is_null() {
                return None;
            }
            self.help_begin(head);
        }
    }

    /// `head` has its first segment: so must `tail`, before `head` moves on.
    #[cold]
    fn help_begin(&self, head: *mut Segment<T>) {
        // Release: passes on what we acquired with `head`. Losing means that somebody else did it; it cannot be lost and
        // `head` be stale, because `head` stays at the first segment while `tail` is null (invariant 1).
        let _ = self.tail.compare_exchange(ptr::null_mut(), head, Ordering::Release, Ordering::Relaxed);
    }

    /// A segment of our own with items in it, and how many; `first` is the first one's ticket in the queue's life.
    ///
    /// # Safety
    ///
    /// The source's items are initialised.
    unsafe fn prepare(
        &self,
        first: Ticket,
        source: &Source<T>,
        guard: &R::Guard,
    ) -> (NonNull<Segment<T>>, usize) {
        let segment = match R::reuse(&self.garbage, guard) {
            Some(retired) => {
                let segment = retired.cast();
                // SAFETY: the reclaimer gave it back, so nobody reaches it; it was retired without values.
                unsafe { Segment::<T>::reset(segment) };
                segment
            }
            None => Segment::allocate(),
        };
        let count = source.len.min(Segment::<T>::CAPACITY);
        // SAFETY: the segment is ours and as new.
        unsafe { Segment::fill(segment, first, source.items, count) };
        (segment, count)
    }

    /// The queue's first segment.
    ///
    /// # Safety
    ///
    /// The source's items are initialised.
    #[cold]
    unsafe fn begin(&self, source: &mut Source<T>, guard: &R::Guard) {
        // SAFETY: the caller's promise.
        let (segment, count) = unsafe { self.prepare(0, source, guard) };
        // Release: publishes the segment and its items; the linearization point. Losing means that another producer
        // began: the copies in ours mean nothing.
        let begun = self.head.compare_exchange(
            ptr::null_mut(),
            segment.as_ptr(),
            Ordering::Release,
            Ordering::Relaxed,
        );
        if begun.is_ok() {
            // SAFETY: they are in the queue now.
            unsafe { source.advance(count) };
            self.help_begin(segment.as_ptr());
        } else {
            // SAFETY: never published.
            unsafe { Segment::<T>::free(segment.cast()) };
        }
    }

    /// Appends a segment with items in it behind `tail`, or helps whoever did.
    ///
    /// # Safety
    ///
    /// The source's items are initialised; `tail` is protected by `guard`, and was seen closed.
    #[cold]
    unsafe fn append(&self, tail: NonNull<Segment<T>>, source: &mut Source<T>, guard: &R::Guard) {
        // SAFETY: protected.
        let last = unsafe { tail.as_ref() };
        // Acquire: pairs with the Release below.
        let mut next = last.next.load(Ordering::Acquire);
        if next.is_null() {
            // Closed, so it stands.
            let end = ticket(last.enq.read().ticket);
            // SAFETY: the caller's promise.
            let (segment, count) = unsafe { self.prepare(last.base.wrapping_add(end), source, guard) };
            // SAFETY: ours.
            unsafe { segment.as_ref() }.enq.follow(&last.enq);
            // Release: publishes the segment and its items; the linearization point of these. Losing means that another
            // producer appended: the copies in ours mean nothing, and its segment has room.
            match last.next.compare_exchange(
                ptr::null_mut(),
                segment.as_ptr(),
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    // SAFETY: they are in the queue now.
                    unsafe { source.advance(count) };
                    next = segment.as_ptr();
                }
                Err(theirs) => {
                    next = theirs;
                    // SAFETY: never published, and so retired as an unlinked one.
                    unsafe { self.retire(segment, guard) };
                }
            }
        }
        self.help_tail(tail, next);
    }

    /// Moves `tail` from one segment to the next.
    fn help_tail(&self, from: NonNull<Segment<T>>, to: *mut Segment<T>) {
        // Release: passes on the segment that we acquired or made. Losing means that it was moved already; it cannot
        // come back to `from`, which is not reused while our guard stands.
        let _ = self.tail.compare_exchange(from.as_ptr(), to, Ordering::Release, Ordering::Relaxed);
    }

    /// What stands at the front, or `None` if the queue is empty. Moves `head` past what is used up.
    #[inline]
    fn front(&self, guard: &R::Guard) -> Option<Front<T>> {
        let mut fenced = false;
        loop {
            // Acquire: pairs with the Release that moved it.
            if let Some(segment) = NonNull::new(self.head.load(Ordering::Acquire)) {
                // SAFETY: reached from `head` under the guard; invariant 1.
                let head = unsafe { segment.as_ref() };
                // The linearization point of `None`. It acquires, which keeps the loads below behind it.
                let turn = head.deq.read();
                let next = turn.ticket;
                // SAFETY: protected by the guard.
                let found = unsafe { Segment::slot(segment, next) }.look(next);
                if found == Found::Full {
                    return Some(Front { segment, turn, full: true });
                }
                // Whoever knows of a push knows its ticket, and who took the last one saw it given.
                let enq = head.enq.read().ticket;
                if ticket(enq) != next {
                    if found != Found::Retracted {
                        return Some(Front { segment, turn, full: false });
                    }
                    head.deq.take(turn, later(next, 1));
                    continue;
                }
                if enq & CLOSED != 0 {
                    // Acquire: pairs with the Release in `append`.
                    let next = head.next.load(Ordering::Acquire);
                    if !next.is_null() {
                        self.advance(segment, next, guard);
                        continue;
                    }
                }
            }
            // It looks empty. SeqCst: in the total order with the same fence of other threads, so that of two threads
            // that push to one queue each and look into the other's, at least one sees the other's item.
            if fenced {
                return None;
            }
            fence(Ordering::SeqCst);
            fenced = true;
        }
    }

    /// Moves `head` past a used-up segment, and `tail` before it.
    #[cold]
    fn advance(&self, segment: NonNull<Segment<T>>, next: *mut Segment<T>, guard: &R::Guard) {
        // Relaxed: that `head` is here happens after `tail` was moved past the segments before, so this is null, here or
        // further on.
        let tail = self.tail.load(Ordering::Relaxed);
        if tail.is_null() {
            self.help_begin(segment.as_ptr());
        }
        self.help_tail(segment, next);
        // Release: passes on the next segment and that `tail` was moved. Losing means that another consumer did it.
        if self.head.compare_exchange(segment.as_ptr(), next, Ordering::Release, Ordering::Relaxed).is_ok() {
            // SAFETY: protected by the guard, both.
            unsafe { (*next).deq.follow(&segment.as_ref().deq) };
            // SAFETY: neither `head` nor `tail` nor an earlier segment leads here any more, and only the thread whose
            // exchange succeeded comes to this line.
            unsafe { self.retire(segment, guard) };
        }
    }

    /// # Safety
    ///
    /// The segment is unlinked and holds no values; it is retired once.
    unsafe fn retire(&self, segment: NonNull<Segment<T>>, guard: &R::Guard) {
        let retired =
            Retired { object: segment.cast(), reclaim: Segment::<T>::free, bytes: Segment::<T>::BYTES };
        // SAFETY: the caller's promise.
        unsafe { R::retire(&self.garbage, retired, guard) }
    }

    /// The oldest item.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<T> {
        let _rest = RestAfter(self);
        if let Some(_guard) = Brief::<R>::enter() {
            // SAFETY: pinned.
            if let Some(taken) = unsafe { self.try_take() } {
                // SAFETY: once.
                return Some(unsafe { taken.read() });
            }
        }
        self.pop_slowly_pinned()
    }

    /// The oldest item, under a guard, which belongs to `R`.
    #[inline(always)]
    pub(super) fn pop_with(&self, guard: &R::Guard) -> Option<T> {
        let _rest = RestAfter(self);
        // SAFETY: the caller has a guard.
        if let Some(taken) = unsafe { self.try_take() } {
            // SAFETY: once.
            return Some(unsafe { taken.read() });
        }
        self.pop_slowly(guard)
    }

    /// The common case, small enough to be inlined: the ticket of the oldest item.
    ///
    /// # Safety
    ///
    /// The caller is pinned, longer than it has what is returned.
    #[inline(always)]
    unsafe fn try_take(&self) -> Option<Taken<T>> {
        // Acquire: as in `front`.
        let segment = NonNull::new(self.head.load(Ordering::Acquire))?;
        // SAFETY: reached from `head` under the guard; invariant 1.
        let head = unsafe { segment.as_ref() };
        let turn = head.deq.read();
        let ticket = turn.ticket;
        // SAFETY: protected by the guard.
        let full = unsafe { Segment::slot(segment, ticket) }.is_full(ticket);
        // The linearization point.
        if !full || !head.deq.take(turn, later(ticket, 1)) {
            return None;
        }
        self.took(FRONT, ticket);
        Some(Taken { segment, ticket })
    }

    #[cold]
    #[inline(never)]
    fn pop_slowly_pinned(&self) -> Option<T> {
        self.pop_slowly(&R::pin())
    }

    #[cold]
    #[inline(never)]
    fn pop_slowly(&self, guard: &R::Guard) -> Option<T> {
        loop {
            let Front { segment, turn, full } = self.front(guard)?;
            let ticket = turn.ticket;
            // SAFETY: protected by the guard.
            let (head, slot) = unsafe { (segment.as_ref(), Segment::slot(segment, ticket)) };
            let full = full
                || (0..PATIENCE).any(|_| {
                    spin_loop();
                    slot.is_full(ticket)
                });
            // The linearization point.
            if !head.deq.take(turn, later(ticket, 1)) {
                backoff::lost(self.place());
                continue;
            }
            if full {
                backoff::won(self.place());
                let taken = Taken { segment, ticket };
                // SAFETY: once.
                return Some(unsafe { taken.read() });
            }
            // SAFETY: the ticket is ours.
            let value = unsafe { Segment::challenge(segment, ticket) };
            if value.is_some() {
                backoff::won(self.place());
                return value;
            }
        }
    }

    /// Moves up to `max` items, the oldest first, to `out`, which has room for them; returns how many, and whether they were
    /// the last of their segment, so that there may be more. They are all from one segment, and published.
    ///
    /// # Safety
    ///
    /// `out` is valid for writing `max` values, and `max > 0`.
    pub(super) unsafe fn pop_many(&self, out: *mut T, max: usize, guard: &R::Guard) -> (usize, bool) {
        loop {
            let Some(Front { segment, turn, full }) = self.front(guard) else { return (0, false) };
            if !full {
                // One at a time where a producer is on its way.
                let Some(value) = self.pop_with(guard) else { return (0, false) };
                // SAFETY: there is room for one.
                unsafe { out.write(value) };
                return (1, false);
            }
            let first = turn.ticket;
            let most = max.min(Segment::<T>::CAPACITY);
            // SAFETY: protected by the guard.
            let slot = |ticket| unsafe { Segment::slot(segment, ticket) };
            let is_full = |offset| {
                let ticket = later(first, offset);
                slot(ticket).is_full(ticket)
            };
            let count = 1 + (1..most).take_while(|&offset| is_full(offset)).count();
            // SAFETY: protected by the guard.
            let head = unsafe { segment.as_ref() };
            // The linearization point of all.
            if !head.deq.take(turn, later(first, count)) {
                backoff::lost(self.place());
                continue;
            }
            for offset in 0..count {
                let ticket = later(first, offset);
                // SAFETY: the tickets are ours and the slots seen full; there is room for `max`.
                unsafe {
                    out.add(offset).write(slot(ticket).read());
                    Segment::release(segment, ticket);
                }
            }
            backoff::won(self.place());
            return (count, head.enq.read().ticket == later(first, count) | CLOSED);
        }
    }

    pub(super) fn is_empty(&self, guard: &R::Guard) -> bool {
        loop {
            let Some(Front { segment, turn, full }) = self.front(guard) else { return true };
            if full {
                return false;
            }
            // The first producer is on its way; somebody behind it may have arrived. SeqCst: as in `front`, which has had no need of
            // it yet: of two producers that look into each other's queue, neither may miss a value that is on its way out.
            fence(Ordering::SeqCst);
            // SAFETY: protected by the guard.
            let head = unsafe { segment.as_ref() };
            let (first, end) = (turn.ticket, ticket(head.enq.read().ticket));
            // SAFETY: protected by the guard.
            let is_full = |ticket| unsafe { Segment::slot(segment, ticket) }.is_full(ticket);
            if (first..end).step_by(TICKET as usize).any(is_full) {
                return false;
            }
            // Relaxed: the slots' Acquire keeps both behind, and nothing is read through them. A slot that is full stays so
            // before `deq` moves: if it has not, none was full when we began, and nothing is behind this segment unless
            // it was closed.
            let more = !head.next.load(Ordering::Relaxed).is_null();
            if head.deq.read().ticket == first {
                return !more;
            }
        }
    }

    pub(super) fn len(&self, _guard: &R::Guard) -> usize {
        // Acquire: for the segments.
        let head = NonNull::new(self.head.load(Ordering::Acquire));
        let taken = head.map(|segment| {
            // SAFETY: protected by the guard.
            let head = unsafe { segment.as_ref() };
            // It acquires, which keeps the tail's side later, so that the difference is rarely negative.
            head.base.wrapping_add(head.deq.read().ticket)
        });
        let (Some(taken), Some(segment)) = (taken, self.tail()) else { return 0 };
        // SAFETY: protected by the guard.
        let tail = unsafe { segment.as_ref() };
        let given = tail.base.wrapping_add(ticket(tail.enq.read().ticket));
        let ahead = given.wrapping_sub(taken) / TICKET;
        if ahead > Ticket::MAX / TICKET / 2 { 0 } else { ahead as usize }
    }

    /// This ticket was taken at an end, at once.
    #[inline(always)]
    fn took(&self, end: usize, ticket: Ticket) {
        backoff::ticket(self.place(), end, (ticket / TICKET) as usize, false);
    }

    /// Where threads race, for their memory of it: one place for both ends, since many threads work at both.
    #[inline(always)]
    fn place(&self) -> Place {
        (&raw const self.tail).cast()
    }

    /// After each operation on a queue that is shared, and after its guard if it had one of its own: the pause that is due.
    #[inline(always)]
    pub(super) fn rest(&self) {
        backoff::rest(self.place());
    }
}

/// The pause that is due, after an operation and its guard.
struct RestAfter<'a, T, R: Reclaim>(&'a Raw<T, R>);

impl<T, R: Reclaim> Drop for RestAfter<'_, T, R> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.rest();
    }
}
