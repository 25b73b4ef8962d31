//! The algorithm of [`Stack`](super::Stack): a list whose top is one word, nodes that are used again at once, and readers that
//! can forbid it.
//!
//! ```text
//!   top --> [C|3] --> [A|0] --> [B|7] --> null           word = node | generation
//!   a thread's spare nodes: D|2, E|5                     the next push takes E and publishes it as E|5
//! ```
//! R. K. Treiber, [*Systems programming: coping with parallelism*](https://dominoweb.draco.res.ibm.com/58319a2ed2b1078985257003004617ef.html),
//! RJ 5118, 1986. A push links its node with one exchange and never follows a pointer, so it takes no guard. A pop reads
//! the word below the top and exchanges the top for it.
//!
//! **Invariants**
//!
//! 1. *Within a guard a word means one use of a node.* A pop that read the top `A|g` and then lies still must fail if `A` left
//!    and came back, for what it read below is stale (ABA). Whenever a node is taken out, its next word is `A|g+1`; only
//!    when the generations are used up does it go through the reclaimer, and begins with `A|0` when every guard of that
//!    time has ended. So the same word comes back only after the guard of everybody who saw it. This is why a spare node
//!    can be used again at once, while others may still look at it, and why one in 256 only is retired.
//! 2. *A node stays a node of this stack while a guard that could have seen it lasts.* A late pop may read `next` of a spare
//!    node; that is atomic, and its exchange fails by (1). So spare nodes belong to the stack, each to one thread's place
//!    ([`place`](super::place)), and never pass to another stack or to the allocator but through the reclaimer, which counts
//!    them off their slab ([`slab`](super::slab)).
//! 3. *A value is overwritten only while nobody can read it by [`peek`](Raw::peek) or [`iter`](Raw::iter).* These copy
//!    values that they do not own. They count themselves in `readers` before they read the top, and who takes a node out
//!    looks at `readers` afterwards, all in the one order of `SeqCst`: if it sees none, then every later reader sees a top
//!    without this node. If it sees one, the node goes through the reclaimer, untouched; readers are pinned.
//! 4. *`top` is changed by read-modify-writes only*, so whoever reads it acquires every push before.
//! 5. *While a word is at the top, nothing below it changes.* So a pop of many walks down, and looks at the top after each word
//!    that it read and before it follows it: if the top is still the same, then by (1) it was all the time, the word is what
//!    lies below, and what was done before that node was pushed has been acquired with the top. What is read of a node that
//!    was taken out and used again names a node that was at the top during the guard, so it is protected; but its contents
//!    have not been acquired, so it is not followed.
//!
//! **Non-invariants**: the sum of what the places say may be behind or ahead of the list, while operations are under way. What
//! a spare node's `next` names may be freed, but not under the guard of who saw that node in the stack.
//!
//! **Linearization.** Push, push_all, pop, pop_many and pop_all at their successful exchange of `top`, or at the exchange in
//! [`elimination`](super::elimination). `None` where `top` was read as null; the fence before the deciding read orders
//! it after the caller's earlier pushes to other stacks (store buffering). `peek` and `iter` where they read `top`: what
//! is below is unchanged while it is reachable from there.
//!
//! **Progress.** An exchange fails only because another operation's succeeded. Nobody waits; a pause after a lost race is
//! bounded in time. A stopped thread holds back reclamation (stopped in a pop, a peek or an iteration: pinned), which then
//! costs memory: one node in 256 that is popped, all of them while a reader is stopped.
//!
//! **Who frees what.** Values are moved out by whoever takes the node. A spare node is freed with the stack, or retired: when
//! a thread has too many, when its generations are used up, by `collect`. Garbage holds no values. Threads that go leave
//! at most three magazines and the rest of a slab each, for the next holder of their slot.

use core::ptr;

use crossbeam_utils::CachePadded;

use super::elimination::Elimination;
use super::node::{Node, Word};
use super::place::{Magazine, Place};
use super::slab::{Free, Slab};
use crate::reclaim::{Reclaim, Retired};
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, const_fn, fence, order_for_loom};
use crate::util::backoff;
use crate::util::per_thread::{self, PerThread};

/// What is kept in retired magazines for reuse, in bytes: what is retired while the clock makes the three steps that free it, with
/// advances tried every 32 KiB, and half as much again.
const KEEP_BYTES: usize = 192 << 10;

/// The same in magazines.
pub(super) const fn keep<T>() -> usize {
    KEEP_BYTES / Magazine::<T>::BYTES
}

pub(super) struct Raw<T, R: Reclaim> {
    top: CachePadded<AtomicPtr<Node<T>>>,
    // From here on a line that is mostly read.
    readers: AtomicUsize,
    places: PerThread<Place<T>>,
    elimination: Elimination<T>,
    /// The count of threads that have no place.
    uncounted: AtomicUsize,
    pub(super) garbage: R::Garbage,
}

impl<T, R: Reclaim> Raw<T, R> {
    const_fn! {
        pub(super) const fn new(garbage: R::Garbage) -> Self {
            Self {
                top: CachePadded::new(AtomicPtr::new(ptr::null_mut())),
                readers: AtomicUsize::new(0),
                places: PerThread::new(),
                elimination: Elimination::new(),
                uncounted: AtomicUsize::new(0),
                garbage,
            }
        }
    }

    #[inline(always)]
    fn place(&self) -> Option<&Place<T>> {
        self.places.get(Place::new)
    }

    /// A node with a value, in nobody else's hands.
    #[inline(always)]
    fn node(&self, place: Option<&Place<T>>, value: T) -> Word<T> {
        // SAFETY: the place is this thread's (`PerThread`), here and wherever `place` is passed on.
        let word = place.and_then(|place| unsafe { place.take() }).unwrap_or_else(|| self.new_node(place));
        // SAFETY: spare or new, so ours.
        unsafe { word.write(value) };
        word
    }

    #[cold]
    #[inline(never)]
    fn new_node(&self, place: Option<&Place<T>>) -> Word<T> {
        // SAFETY: this thread's place; what `reuse` returns was retired by `retire`, and is ours.
        let spare = place.and_then(|place| unsafe {
            if let Some(word) = place.take_previous() {
                return Some(word);
            }
            let object = if place.is_impatient() { R::reuse(&self.garbage, &R::pin()) } else { None };
            match object {
                Some(object) => place.refill(object),
                None => place.take_fresh(),
            }
        });
        spare.unwrap_or_else(|| {
            // Relaxed: a count.
            self.uncounted.fetch_add(1, Ordering::Relaxed);
            Slab::alone()
        })
    }

    /// Keeps or retires a node that was taken out of the stack and holds no value any more.
    ///
    /// # Safety
    ///
    /// The node is the caller's.
    #[inline(always)]
    unsafe fn give_back(&self, word: Word<T>, place: Option<&Place<T>>) {
        // SeqCst: after the exchange that took the node out, in the order of invariant 3. Its Acquire pairs with the Release
        // of readers that have gone.
        order_for_loom();
        let read = self.readers.load(Ordering::SeqCst) != 0;
        // SAFETY: this thread's place; nobody else touches what the caller owns but through `next`, which `read` tells.
        let kept = !read && place.is_some_and(|place| unsafe { place.put(word) });
        if !kept {
            // SAFETY: the caller's promise.
            unsafe { self.give_back_elsewhere(word, place, read) };
        }
    }

    /// # Safety
    ///
    /// As for `give_back`; `read` is what it found there.
    #[cold]
    #[inline(never)]
    unsafe fn give_back_elsewhere(&self, word: Word<T>, place: Option<&Place<T>>, read: bool) {
        let object = match place {
            // SAFETY: as there.
            Some(place) if !read => unsafe { place.put_elsewhere(word) }.map(Magazine::into_object),
            Some(place) => {
                place.returned();
                Some(Magazine::single_object(word))
            }
            None => {
                // Relaxed: a count.
                self.uncounted.fetch_sub(1, Ordering::Relaxed);
                Some(Magazine::single_object(word))
            }
        };
        if let Some(object) = object {
            self.retire(object);
        }
    }

    fn retire(&self, (object, bytes): (ptr::NonNull<u8>, usize)) {
        let retired = Retired { object, reclaim: Magazine::<T>::reclaim, bytes };
        // SAFETY: the nodes were taken out before, by this thread or by one whose place it inherited; each lies in one list, and
        // holds no value.
        unsafe { R::retire(&self.garbage, retired, &R::pin()) }
    }

    /// Where races are lost.
    #[inline(always)]
    fn here(&self) -> backoff::Place {
        (&raw const self.top).cast()
    }

    #[inline(always)]
    pub(super) fn push(&self, value: T) {
        let place = self.place();
        let word = self.node(place, value);
        // Relaxed: it is not followed.
        let mut top = Word::from_raw(self.top.load(Ordering::Relaxed));
        loop {
            // SAFETY: not published yet, so ours.
            unsafe { word.set_next(top) };
            // Release: publishes the node. Losing means that another operation took effect. The linearization point.
            match self.top.compare_exchange(top.raw(), word.raw(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => {
                    backoff::won(self.here());
                    break;
                }
                Err(_) => {
                    // SAFETY: not published, so ours.
                    if unsafe { self.offer(word) } {
                        break;
                    }
                    // Relaxed: as above. Again, for the pause took a while.
                    top = Word::from_raw(self.top.load(Ordering::Relaxed));
                }
            }
        }
    }

    /// Pauses with the node on offer; true if a pop took it.
    ///
    /// # Safety
    ///
    /// The node is the caller's, and holds a value.
    #[cold]
    unsafe fn offer(&self, word: Word<T>) -> bool {
        let _guard = R::pin();
        // SAFETY: the caller's promise; pinned.
        unsafe { self.elimination.offer(word, per_thread::hint(), || backoff::lost_again(self.here())) }
    }

    /// Links a chain that was built out of sight, the last one at the top.
    ///
    /// # Safety
    ///
    /// The nodes are the caller's, hold values, and are linked from `first` to `last`.
    unsafe fn push_chain(&self, first: Word<T>, last: Word<T>) {
        loop {
            // Relaxed: it is not followed.
            let top = Word::from_raw(self.top.load(Ordering::Relaxed));
            // SAFETY: not published yet, so ours.
            unsafe { last.set_next(top) };
            // Release: publishes the nodes. Losing means that another operation took effect. The linearization point.
            if self.top.compare_exchange(top.raw(), first.raw(), Ordering::Release, Ordering::Relaxed).is_ok()
            {
                break;
            }
            backoff::lost_again(self.here());
        }
    }

    /// Builds a chain from the user's iterator and links it.
    pub(super) fn push_all(&self, items: impl Iterator<Item = T>) {
        /// What was built, given back if the iterator panics.
        struct Chain<'a, T, R: Reclaim> {
            raw: &'a Raw<T, R>,
            first: Word<T>,
            last: Word<T>,
        }
        impl<T, R: Reclaim> Drop for Chain<'_, T, R> {
            fn drop(&mut self) {
                drop(Taken { raw: self.raw, next: self.first, left: usize::MAX });
            }
        }
        let mut chain = Chain { raw: self, first: Word::NULL, last: Word::NULL };
        for item in items {
            // The place anew each time: the iterator may use the stack.
            let word = self.node(self.place(), item);
            // SAFETY: out of sight, so ours.
            unsafe { word.set_next(chain.first) };
            if chain.first.is_null() {
                chain.last = word;
            }
            chain.first = word;
        }
        let Chain { first, last, .. } = *core::mem::ManuallyDrop::new(chain);
        if !first.is_null() {
            // SAFETY: ours, linked above.
            unsafe { self.push_chain(first, last) };
        }
    }

    /// The word at the top, acquired; null only if it was null after all that the caller did before.
    #[inline(always)]
    fn top(&self) -> Word<T> {
        // SeqCst: for readers, in the order of invariant 3. Its Acquire pairs with the Release of the pushes.
        let top = self.top.load(Ordering::SeqCst);
        if !top.is_null() {
            return Word::from_raw(top);
        }
        // In the total order with the same fence of other threads, so that of two threads that push to one stack each and look
        // into the other's, at least one sees the other's item.
        fence(Ordering::SeqCst);
        Word::from_raw(self.top.load(Ordering::SeqCst))
    }

    #[inline(always)]
    pub(super) fn pop(&self) -> Option<T> {
        // SAFETY: `take` does neither pin nor panic, and knows nothing of values.
        let word = unsafe { R::briefly(|guard| self.take(guard)) }?;
        // SAFETY: taken out by us.
        Some(unsafe { self.open(word) })
    }

    #[inline(always)]
    pub(super) fn pop_with(&self, guard: &R::Guard) -> Option<T> {
        // SAFETY: taken out by us.
        self.take(guard).map(|word| unsafe { self.open(word) })
    }

    /// Takes the top node out, or one that is on offer.
    #[inline(always)]
    fn take(&self, _guard: &R::Guard) -> Option<Word<T>> {
        loop {
            let top = self.top();
            if top.is_null() {
                return None;
            }
            // SAFETY: protected by the guard (invariant 2).
            let next = unsafe { top.next() };
            // SeqCst: before the look at `readers`, in the order of invariant 3; what the push did was acquired with `top`. Losing
            // means that another operation took effect. The linearization point.
            if self.top.compare_exchange(top.raw(), next.raw(), Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                backoff::won(self.here());
                return Some(top);
            }
            let offered = self.lost_pop();
            if offered.is_some() {
                return offered;
            }
        }
    }

    /// The value of a node, which is given back.
    ///
    /// # Safety
    ///
    /// The node is the caller's, by invariant 1 or out of a push's hand, and holds a value.
    #[inline(always)]
    unsafe fn open(&self, word: Word<T>) -> T {
        // SAFETY: the caller's promise; the value is moved out before the node is given back.
        unsafe {
            let value = word.read();
            self.give_back(word, self.place());
            value
        }
    }

    #[cold]
    fn lost_pop(&self) -> Option<Word<T>> {
        let offered = self.elimination.take(per_thread::hint());
        if offered.is_none() {
            backoff::lost_again(self.here());
        }
        offered
    }

    /// Up to `max` items from the top, out of the stack.
    pub(super) fn pop_many(&self, max: usize) -> Taken<'_, T, R> {
        if max == 0 {
            return Taken { raw: self, next: Word::NULL, left: 0 };
        }
        // SAFETY: `take_many` does neither pin nor panic, and knows nothing of values.
        let (next, left) = unsafe { R::briefly(|guard| self.take_many(max, guard)) };
        Taken { raw: self, next, left }
    }

    /// Takes up to `max` nodes out in one step; returns the first and how many.
    fn take_many(&self, max: usize, _guard: &R::Guard) -> (Word<T>, usize) {
        'again: loop {
            let top = self.top();
            if top.is_null() {
                return (top, 0);
            }
            // SAFETY: protected by the guard (invariant 2).
            let mut next = unsafe { top.next_if_there() };
            let mut count = 1;
            while count < max && !next.is_null() {
                // Relaxed: comes after the load in `next_if_there`, by its Acquire; what is below was acquired with `top`, if it is
                // still the same (invariant 5).
                if self.top.load(Ordering::Relaxed) != top.raw() {
                    backoff::lost_again(self.here());
                    continue 'again;
                }
                // SAFETY: protected by the guard (invariant 2), as it is in the stack.
                next = unsafe { next.next_if_there() };
                count += 1;
            }
            // SeqCst: as in `take`, as is the rest.
            if self.top.compare_exchange(top.raw(), next.raw(), Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                backoff::won(self.here());
                return (top, count);
            }
            backoff::lost_again(self.here());
        }
    }

    /// All that is there, out of the stack.
    pub(super) fn pop_all(&self) -> Taken<'_, T, R> {
        let mut top = self.top();
        if !top.is_null() {
            // SeqCst: as the exchange in `pop`; Acquire in it for pushes since. The linearization point.
            top = Word::from_raw(self.top.swap(ptr::null_mut(), Ordering::SeqCst));
        }
        Taken { raw: self, next: top, left: usize::MAX }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.top().is_null()
    }

    pub(super) fn len(&self) -> usize {
        // Relaxed, all of them: a count.
        let uncounted = self.uncounted.load(Ordering::Relaxed);
        let counts = self.places.all().map(Place::items);
        usize::try_from(counts.fold(uncounted, usize::wrapping_add) as isize).unwrap_or(0)
    }

    /// Retires the spare nodes of this thread and of those that have gone, and collects.
    pub(super) fn collect(&self) {
        self.places.own_and_abandoned(|place| {
            // SAFETY: ours, or nobody's while this runs.
            for list in unsafe { place.empty() } {
                self.retire(list.into_object());
            }
        });
        R::collect(&self.garbage);
    }

    /// As `push`, without atomic steps.
    pub(super) fn push_mut(&mut self, value: T) {
        let place = self.place();
        let word = self.node(place, value);
        self.top.with_mut(|top| {
            // SAFETY: ours.
            unsafe { word.set_next(Word::from_raw(*top)) };
            *top = word.raw();
        });
    }

    /// As `pop`, without a guard.
    pub(super) fn pop_mut(&mut self) -> Option<T> {
        // SAFETY: unlinked by us.
        self.unlink().map(|word| unsafe { self.open(word) })
    }

    fn unlink(&mut self) -> Option<Word<T>> {
        self.top.with_mut(|top| {
            let word = Word::from_raw(*top);
            if word.is_null() {
                return None;
            }
            // SAFETY: in the list, so allocated.
            *top = unsafe { word.next() }.raw();
            Some(word)
        })
    }
}

impl<T: Copy, R: Reclaim> Raw<T, R> {
    /// Forbids that values are overwritten, until it is dropped.
    fn reading(&self) -> Reading<'_> {
        // SeqCst: before the caller reads `top`, in the order of invariant 3.
        self.readers.fetch_add(1, Ordering::SeqCst);
        order_for_loom();
        Reading(&self.readers)
    }

    pub(super) fn peek(&self, _guard: &R::Guard) -> Option<T> {
        let _reading = self.reading();
        let top = self.top();
        // SAFETY: `Copy`; not overwritten (invariant 3), and the node is protected by the guard.
        (!top.is_null()).then(|| unsafe { top.read() })
    }

    pub(super) fn iter(&self) -> Copies<'_, T, R> {
        let guard = R::pin();
        let reading = self.reading();
        Copies { next: self.top(), _reading: reading, _guard: guard }
    }
}

struct Reading<'a>(&'a AtomicUsize);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // Release: what was read happens before it is overwritten; pairs with the load in `give_back`.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// A walk over what was there.
pub(super) struct Copies<'a, T, R: Reclaim> {
    next: Word<T>,
    // Dropped in this order.
    _reading: Reading<'a>,
    _guard: R::Guard,
}

impl<T: Copy, R: Reclaim> Copies<'_, T, R> {
    pub(super) fn next(&mut self) -> Option<T> {
        if self.next.is_null() {
            return None;
        }
        let word = self.next;
        // SAFETY: reachable from the top when `reading` was there already, so untouched (invariant 3), and protected.
        unsafe {
            self.next = word.next();
            Some(word.read())
        }
    }
}

/// A chain of nodes with their values, out of the stack and owned; the nodes go back to it.
pub(super) struct Taken<'a, T, R: Reclaim> {
    raw: &'a Raw<T, R>,
    next: Word<T>,
    /// The chain's nodes, unless it ends before.
    left: usize,
}

impl<T, R: Reclaim> Taken<'_, T, R> {
    /// How many there are, of those that `pop_many` took.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    pub(super) fn next(&mut self) -> Option<T> {
        let word = self.next;
        if word.is_null() || self.left == 0 {
            return None;
        }
        self.left -= 1;
        // SAFETY: ours.
        unsafe {
            self.next = word.next();
            Some(self.raw.open(word))
        }
    }
}

impl<T, R: Reclaim> Drop for Taken<'_, T, R> {
    fn drop(&mut self) {
        /// Goes on with the rest if a destructor panics.
        struct Rest<'a, 'b, T, R: Reclaim>(&'a mut Taken<'b, T, R>);
        impl<T, R: Reclaim> Rest<'_, '_, T, R> {
            fn drain(&mut self) {
                while let Some(value) = self.0.next() {
                    drop(value);
                }
            }
        }
        impl<T, R: Reclaim> Drop for Rest<'_, '_, T, R> {
            fn drop(&mut self) {
                self.drain();
            }
        }
        Rest(self).drain();
    }
}

impl<T, R: Reclaim> Drop for Raw<T, R> {
    fn drop(&mut self) {
        /// Goes on with the rest if a destructor panics.
        struct Rest<'a, T, R: Reclaim> {
            raw: &'a mut Raw<T, R>,
            free: Free<T>,
        }
        impl<T, R: Reclaim> Rest<'_, T, R> {
            fn drain(&mut self) {
                while let Some(word) = self.raw.unlink() {
                    // SAFETY: unlinked, and nobody shares the stack: the node is freed, and its value dropped after that.
                    let value = unsafe {
                        let value = word.read();
                        self.free.free(word);
                        value
                    };
                    drop(value);
                }
            }
        }
        impl<T, R: Reclaim> Drop for Rest<'_, T, R> {
            fn drop(&mut self) {
                self.drain();
            }
        }
        Rest { raw: self, free: Free::new() }.drain();
    }
}
