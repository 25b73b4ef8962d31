//! The algorithm of [`Queue`](super::Queue): a list of segments of single-use slots, whose tickets are given out by two
//! counters.
//!
//! ```text
//!   head --> [x x x x] --> [x o o o] --> [o o . .] <-- tail       x taken, o full, . empty
//!                            ^ deq          ^ enq
//! ```
//! A producer takes a ticket of the tail's `enq` and publishes into that slot; a consumer takes a ticket of the head's
//! `deq` and reads that slot. When a segment's tickets are used up, a producer appends the next one with its items
//! already in it, and a consumer moves `head` on and retires the old one, which a later append uses again.
//!
//! The shape is that of P. Ramalhete's [FAAArrayQueue](https://concurrencyfreaks.blogspot.com/2016/11/faaarrayqueue-mpmc-lock-free-queue-part.html),
//! itself after [Morrison and Afek's LCRQ](https://doi.org/10.1145/2442516.2442527), with three changes: values of any
//! type lie in the slots, consumers take only tickets that a producer has taken before, and publishing is a plain store
//! where barriers are asymmetric (see [`segment`](super::segment)).
//!
//! **Invariants**
//!
//! 1. `head` is never behind a segment that is retired, and neither is `tail`: `advance` moves `tail` past a segment
//!    before it moves `head`.
//! 2. A consumer's ticket is less than `enq`: there is, or was, a producer with that ticket.
//! 3. `next` is set only when all tickets of a segment are given to producers.
//! 4. In each segment every ticket of either kind is given once.
//!
//! **Non-invariants**: `tail` may be behind the last segment, and null while `head` is not; `enq` may exceed CAPACITY;
//! slots between `deq` and `enq` may be empty (a producer is on its way), retracted, or abandoned.
//!
//! **Linearization.** A push takes effect at the ticket of the attempt that succeeded, or at the exchange that linked
//! its segment; which attempt that is, is known only later. A pop takes effect at the exchange that gave it the ticket
//! of a full slot. `None` takes effect where `deq` was read: the counters only grow, so if `deq` had reached what `enq`
//! shows afterwards, the queue was empty when `deq` was read. The fence before the deciding look orders it after the
//! caller's own earlier pushes to other queues (store buffering).
//!
//! **Progress.** Nobody waits for anybody. A push repeats when its slot was abandoned, which a consumer does that
//! goes on to the next; this ends with the segment, and the next one is linked with the items in it. A consumer repeats
//! when another consumer took the ticket. A stalled producer's slot is abandoned after a bounded wait; a stalled
//! consumer's item counts as taken. The challenge calls the kernel (`membarrier`), whose progress it then shares.
//!
//! **Who frees what.** Values are moved out by whoever pops them. A segment is retired by the consumer that moved `head`
//! past it, with no value left in it, and freed or reused by the reclaimer; so garbage holds no values of `T`.

use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use super::segment::{Segment, state};
use crate::reclaim::{Reclaim, Retired, is_asymmetric};
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
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
    index: usize,
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

    /// Pushes one item: the common case, small enough to be inlined (a pair took 14 ns instead of 23 through `push_all`).
    ///
    /// `guard` belongs to `R`.
    #[inline]
    pub(super) fn push(&self, value: T, guard: &R::Guard) {
        let value = ManuallyDrop::new(value);
        // Acquire: pairs with the Release that moved it, for the segment's contents.
        if let Some(tail) = NonNull::new(self.tail.load(Ordering::Acquire)) {
            // SAFETY: reached from `tail` under the guard; invariant 1.
            let enq = unsafe { &tail.as_ref().enq };
            // Relaxed, both: as in `push_all`.
            let seen = enq.load(Ordering::Relaxed);
            if seen < Segment::<T>::CAPACITY {
                let index = enq.fetch_add(1, Ordering::Relaxed);
                // SAFETY: the ticket is ours, and the slot exists where this is called.
                let put = || unsafe { Segment::slot(tail, index).put(&raw const *value, is_asymmetric()) };
                if index < Segment::<T>::CAPACITY && put() {
                    backoff::ticket(self.place(), BACK, index, index != seen);
                    return;
                }
            }
        }
        // A copy of its own for the way out of line, which takes its address: `value` can stay in registers then. Where it was in
        // memory, written in pieces and read back whole, a pair of 24 bytes took 29 ns instead of 14.
        // SAFETY: it was not delivered, and `value` is not dropped.
        self.push_slowly(unsafe { ptr::read(&raw const *value) }, guard);
    }

    #[cold]
    #[inline(never)]
    fn push_slowly(&self, value: T, guard: &R::Guard) {
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
            let enq = unsafe { &tail.as_ref().enq };
            // Relaxed: only where the counter stands; taking the ticket tells.
            let seen = enq.load(Ordering::Relaxed);
            if seen < Segment::<T>::CAPACITY {
                let wanted = source.len.min(Segment::<T>::CAPACITY - seen);
                // Relaxed: a ticket orders nothing, the slot's publication does. The linearization point, if `put`
                // succeeds.
                let first = enq.fetch_add(wanted, Ordering::Relaxed);
                raced |= first != seen;
                // SAFETY: the tickets are ours, and the caller's promise.
                raced |= !unsafe { Self::put(tail, first, wanted, &mut source) };
            } else {
                // SAFETY: the caller's promise.
                unsafe { self.append(tail, &mut source, guard) };
            }
        }
        if raced { backoff::lost(self.place()) } else { backoff::won(self.place()) }
    }

    /// Publishes items into the slots of the tickets from `first` on, as many as exist; false if a slot was abandoned.
    ///
    /// # Safety
    ///
    /// The tickets are the caller's, `source` has at least `wanted` items, and `tail` is protected.
    #[inline]
    unsafe fn put(tail: NonNull<Segment<T>>, first: usize, wanted: usize, source: &mut Source<T>) -> bool {
        let end = (first + wanted).min(Segment::<T>::CAPACITY);
        let asymmetric = is_asymmetric();
        let items = source.items;
        let mut delivered = 0;
        while first + delivered < end {
            // SAFETY: within CAPACITY, and the ticket is ours; the source has `wanted` items.
            if unsafe { !Segment::slot(tail, first + delivered).put(items.add(delivered), asymmetric) } {
                break;
            }
            delivered += 1;
        }
        // SAFETY: they were delivered.
        unsafe { source.advance(delivered) };
        // What comes later in the batch must not be popped earlier than the item whose slot was abandoned, so the other
        // tickets are not used either; saying so spares their consumers the challenge.
        for index in first + delivered + 1..end {
            // SAFETY: as above.
            unsafe { Segment::slot(tail, index) }.retract();
        }
        first + delivered >= end
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

    /// A segment of our own with items in it, and how many.
    ///
    /// # Safety
    ///
    /// The source's items are initialised.
    unsafe fn prepare(
        &self,
        base: usize,
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
        unsafe { Segment::fill(segment, base, source.items, count) };
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
    /// The source's items are initialised; `tail` is protected by `guard`.
    #[cold]
    unsafe fn append(&self, tail: NonNull<Segment<T>>, source: &mut Source<T>, guard: &R::Guard) {
        // SAFETY: protected.
        let last = unsafe { tail.as_ref() };
        // Acquire: pairs with the Release below.
        let mut next = last.next.load(Ordering::Acquire);
        if next.is_null() {
            let base = last.base.wrapping_add(Segment::<T>::CAPACITY);
            // SAFETY: the caller's promise.
            let (segment, count) = unsafe { self.prepare(base, source, guard) };
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
                // Acquire: pairs with the Release of the exchange in `take`, and keeps the loads below behind it; the
                // linearization point of `None`.
                let index = head.deq.load(Ordering::Acquire);
                if index < Segment::<T>::CAPACITY {
                    // SAFETY: within CAPACITY.
                    let slot = unsafe { Segment::slot(segment, index) };
                    let found = slot.state();
                    if found == state::FULL {
                        return Some(Front { segment, index, full: true });
                    }
                    // Relaxed: `enq` is only ever changed by Relaxed steps, so there is nothing to acquire from it; who knows of a
                    // push knows its ticket. Less than CAPACITY, so there is no next segment.
                    if index < head.enq.load(Ordering::Relaxed) {
                        if found != state::RETRACTED {
                            return Some(Front { segment, index, full: false });
                        }
                        self.take(head, index, 1);
                        continue;
                    }
                } else {
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

    /// Takes `count` consumers' tickets from `index` on; false if another consumer was first.
    #[inline]
    fn take(&self, head: &Segment<T>, index: usize, count: usize) -> bool {
        // Release: pairs with the load in `front`: who sees this ticket taken sees the pushes that we saw. Relaxed on
        // losing: another consumer took the ticket, and all is looked at again. The linearization point of a pop.
        head.deq.compare_exchange(index, index + count, Ordering::Release, Ordering::Relaxed).is_ok()
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

    /// The oldest item: the common case, small enough to be inlined.
    #[inline]
    pub(super) fn pop(&self, guard: &R::Guard) -> Option<T> {
        // Acquire, both: as in `front`.
        if let Some(segment) = NonNull::new(self.head.load(Ordering::Acquire)) {
            // SAFETY: reached from `head` under the guard; invariant 1.
            let head = unsafe { segment.as_ref() };
            let index = head.deq.load(Ordering::Acquire);
            if index < Segment::<T>::CAPACITY {
                // SAFETY: within CAPACITY.
                let slot = unsafe { Segment::slot(segment, index) };
                if slot.state() == state::FULL && self.take(head, index, 1) {
                    // SAFETY: the ticket is ours; seen full.
                    let value = unsafe { slot.read() };
                    backoff::ticket(self.place(), FRONT, index, false);
                    return Some(value);
                }
            }
        }
        self.pop_slowly(guard)
    }

    #[cold]
    #[inline(never)]
    fn pop_slowly(&self, guard: &R::Guard) -> Option<T> {
        loop {
            let Front { segment, index, full } = self.front(guard)?;
            // SAFETY: protected by the guard; `index` is within CAPACITY.
            let (head, slot) = unsafe { (segment.as_ref(), Segment::slot(segment, index)) };
            let full = full
                || (0..PATIENCE).any(|_| {
                    spin_loop();
                    slot.state() == state::FULL
                });
            if !self.take(head, index, 1) {
                backoff::lost(self.place());
                continue;
            }
            // SAFETY: the ticket is ours; seen full, or asked.
            let value = unsafe { if full { Some(slot.read()) } else { slot.challenge() } };
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
            let Some(Front { segment, index, full }) = self.front(guard) else { return (0, false) };
            if !full {
                // One at a time where a producer is on its way.
                let Some(value) = self.pop(guard) else { return (0, false) };
                // SAFETY: there is room for one.
                unsafe { out.write(value) };
                return (1, false);
            }
            let end = Segment::<T>::CAPACITY.min(index.saturating_add(max));
            // SAFETY: within CAPACITY, and protected by the guard.
            let slot = |index| unsafe { Segment::slot(segment, index) };
            let count = (index + 1..end).take_while(|&index| slot(index).state() == state::FULL).count() + 1;
            // SAFETY: protected by the guard.
            if !self.take(unsafe { segment.as_ref() }, index, count) {
                backoff::lost(self.place());
                continue;
            }
            for offset in 0..count {
                // SAFETY: the tickets are ours and the slots seen full; there is room for `max`.
                unsafe { out.add(offset).write(slot(index + offset).read()) };
            }
            backoff::won(self.place());
            return (count, index + count == Segment::<T>::CAPACITY);
        }
    }

    pub(super) fn is_empty(&self, guard: &R::Guard) -> bool {
        loop {
            let Some(Front { segment, index, full }) = self.front(guard) else { return true };
            if full {
                return false;
            }
            // The first producer is on its way; somebody behind it may have arrived. SeqCst: as in `front`, which has had no need of
            // it yet: of two producers that look into each other's queue, neither may miss a value that is on its way out.
            fence(Ordering::SeqCst);
            // SAFETY: protected by the guard.
            let head = unsafe { segment.as_ref() };
            // Relaxed: as in `front`.
            let end = head.enq.load(Ordering::Relaxed).min(Segment::<T>::CAPACITY);
            // SAFETY: within CAPACITY.
            if (index..end).any(|index| unsafe { Segment::slot(segment, index) }.state() == state::FULL) {
                return false;
            }
            // Relaxed, both: the slots' Acquire keeps them behind, and nothing is read through them. Slots fill and are not emptied
            // before `deq` moves: if it has not, none was full when we began, and nothing is behind this segment unless
            // all of it was given out.
            let more = end == Segment::<T>::CAPACITY && !head.next.load(Ordering::Relaxed).is_null();
            if head.deq.load(Ordering::Relaxed) == index {
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
            // Acquire: keeps the tail's side later, so that the difference is rarely negative. No model can tell: a count is
            // approximate while others push and pop, and exact when nobody does.
            head.base.wrapping_add(head.deq.load(Ordering::Acquire).min(Segment::<T>::CAPACITY))
        });
        let (Some(taken), Some(segment)) = (taken, self.tail()) else { return 0 };
        // SAFETY: protected by the guard.
        let tail = unsafe { segment.as_ref() };
        // Relaxed: a count.
        let given = tail.base.wrapping_add(tail.enq.load(Ordering::Relaxed).min(Segment::<T>::CAPACITY));
        usize::try_from(given.wrapping_sub(taken) as isize).unwrap_or(0)
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

    /// The same when the result is dropped, for an operation whose value is best not touched on its way to the caller: copied
    /// once more, a pair of 24 bytes took as long as with the slow path's copy, twice as long.
    #[inline(always)]
    pub(super) fn rest_after(&self) -> RestAfter<'_, T, R> {
        RestAfter(self)
    }

    /// As `push`, without a guard and without atomic steps.
    ///
    /// # Safety
    ///
    /// The source's items are initialised, and the caller gives them away.
    pub(super) unsafe fn push_mut(&mut self, mut source: Source<T>) {
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
            let header = unsafe { &mut *last.as_ptr() };
            let next = header.next.with_mut(|next| *next);
            let enq = header.enq.with_mut(|enq| *enq);
            if !next.is_null() {
                self.tail.with_mut(|tail| *tail = next);
            } else if enq < Segment::<T>::CAPACITY {
                header.enq.with_mut(|enq| *enq += 1);
                // SAFETY: the next slot in turn; nobody challenges it, so `put` succeeds.
                unsafe {
                    let delivered = Segment::slot(last, enq).put(source.items, true);
                    debug_assert!(delivered);
                    source.advance(1);
                }
            } else {
                let segment = Segment::allocate();
                let base = header.base.wrapping_add(Segment::<T>::CAPACITY);
                header.next.with_mut(|next| *next = segment.as_ptr());
                let count = source.len.min(Segment::<T>::CAPACITY);
                // SAFETY: the segment is ours and new.
                unsafe {
                    Segment::fill(segment, base, source.items, count);
                    source.advance(count);
                }
                self.tail.with_mut(|tail| *tail = segment.as_ptr());
            }
        }
    }

    /// As `pop`, without a guard.
    pub(super) fn pop_mut(&mut self) -> Option<T> {
        loop {
            let segment = NonNull::new(self.head.with_mut(|head| *head))?;
            // SAFETY: nobody shares the queue.
            let head = unsafe { &mut *segment.as_ptr() };
            let index = head.deq.with_mut(|deq| *deq);
            let end = head.enq.with_mut(|enq| *enq).min(Segment::<T>::CAPACITY);
            if index < end {
                head.deq.with_mut(|deq| *deq += 1);
                // SAFETY: within CAPACITY.
                let slot = unsafe { Segment::slot(segment, index) };
                if slot.state() == state::FULL {
                    // SAFETY: the ticket is ours, and the slot full.
                    return Some(unsafe { slot.read() });
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

/// See [`Raw::rest_after`].
pub(super) struct RestAfter<'a, T, R: Reclaim>(&'a Raw<T, R>);

impl<T, R: Reclaim> Drop for RestAfter<'_, T, R> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.rest();
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
