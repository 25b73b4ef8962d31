//! Queues.

#[cfg(target_has_atomic = "64")]
pub mod bounded;
mod brief;
mod gather;
mod segment;
pub(crate) mod tickets;
mod unbounded;

use alloc::vec::Vec;
use core::fmt;
use core::iter::FusedIterator;
use core::mem::ManuallyDrop;
use core::panic::{RefUnwindSafe, UnwindSafe};

use self::gather::gather;
use self::segment::Segment;
use self::unbounded::{Raw, Source, keep};
use crate::reclaim::{Accepts, Backlog, Epoch, Garbage, Reclaim};
use crate::sync::const_fn;

/// An unbounded multi-producer multi-consumer first-in first-out queue, linearizable and strictly lock-free.
///
/// A thread that is stopped at any point never keeps others from pushing and popping: the slot of a stalled producer is
/// passed over, and its item is pushed when it resumes; the item of a stalled consumer counts as taken.
///
/// | operation | progress | cost |
/// |---|---|---|
/// | [`push`](Self::push), [`push_all`](Self::push_all) | lock-free; may allocate a segment | one compare-exchange a grab, or none |
/// | [`pop`](Self::pop), [`pop_many`](Self::pop_many) | lock-free; may allocate to retire a segment, and free some | one compare-exchange a grab, or none |
/// | [`len`](Self::len), [`is_empty`](Self::is_empty) | lock-free | a few loads |
/// | [`new`](Self::new) | allocates nothing | |
///
/// Where the allocator is called, progress is the allocator's. Where a consumer gives up on a stalled producer, or a thread comes to
/// an end at which another one has been alone, it may call the kernel (`membarrier`), and progress is the kernel's.
///
/// **Alone at an end.** A thread that has pushed, or popped, some thousand times in a row with no other thread doing so in between does it
/// without locked instructions from then on, until another thread comes: where barriers are asymmetric
/// ([`reclaim::barrier`](crate::reclaim::barrier)) on 64-bit systems, with the feature `std`.
///
/// **Ordering.** Each item is popped once, in the order in which the pushes took effect. What a thread did before it
/// pushed an item happens before what another does after it popped it. An empty answer is linearizable: there was an
/// instant during the call at which the queue was empty.
///
/// **Memory.** Slots lie in segments of at most 20 KiB and 512 slots, but at least four slots. A segment is a ring: while consumers
/// keep up, one is used over and over. Segments that were used up are reused, and up to 384 KiB of them are kept for it; [`backlog`](Self::backlog) tells how much waits,
/// [`collect`](Self::collect) returns it to the allocator. An empty queue holds at most one segment besides that.
///
/// **Drops.** A popped item belongs to the caller. Dropping the queue drops what is left in it, on that thread.
///
/// **Contention.** Threads that fight for the queue take turns: who loses races pauses at the end of an operation, from a
/// microsecond up to an eighth of a millisecond where the fight goes on, and sleeps through the longer pauses. With more threads than
/// cores this is faster by far than fighting for every cache line, and takes half of the processor time; its price is
/// fairness within such a pause, and that one operation in some thousands takes as long.
///
/// When not to use it: for back-pressure take a bounded queue; between one producer and one consumer a wait-free SPSC ring
/// is simpler and faster.
///
/// The algorithm is of the FAAArrayQueue family (P. Ramalhete, [2016](https://concurrencyfreaks.blogspot.com/2016/11/faaarrayqueue-mpmc-lock-free-queue-part.html)).
///
/// # Examples
///
/// ```
/// use latchfree::Queue;
///
/// static JOBS: Queue<u64> = Queue::new();
///
/// std::thread::scope(|scope| {
///     for worker in 0..4 {
///         scope.spawn(move || JOBS.push(worker));
///     }
/// });
/// let mut jobs: Vec<_> = std::iter::from_fn(|| JOBS.pop()).collect();
/// jobs.sort();
/// assert_eq!(jobs, [0, 1, 2, 3]);
/// ```
pub struct Queue<T, R: Reclaim = Epoch> {
    raw: Raw<T, R>,
}

// SAFETY: the queue owns its items and hands each to one thread, by value: sharing it sends items and shares none. The
// garbage holds segments without items.
unsafe impl<T: Send, R: Reclaim> Send for Queue<T, R> where R::Garbage: Send {}
// SAFETY: as above; no method lends an item from a shared queue, so `T: Sync` is not needed.
unsafe impl<T: Send, R: Reclaim> Sync for Queue<T, R> where R::Garbage: Sync {}

impl<T, R: Reclaim> UnwindSafe for Queue<T, R> {}
impl<T, R: Reclaim> RefUnwindSafe for Queue<T, R> {}

impl<T> Queue<T> {
    const_fn! {
        /// An empty queue; allocates nothing.
        ///
        /// For another reclaimer than the default one, use [`Default`].
        ///
        /// # Examples
        ///
        /// ```
        /// let queue = latchfree::Queue::<i32>::new();
        /// assert!(queue.is_empty());
        /// ```
        #[must_use]
        pub const fn new() -> Self {
            Self { raw: Raw::new(Garbage::new(keep::<T>())) }
        }
    }
}

impl<T, R: Reclaim> Queue<T, R> {
    /// Adds an item at the back.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::Queue::new();
    /// queue.push("first");
    /// queue.push("second");
    /// assert_eq!(queue.pop(), Some("first"));
    /// ```
    #[inline]
    pub fn push(&self, value: T) {
        self.raw.push(value);
    }

    /// Adds an item at the back under a guard that the caller holds.
    ///
    /// # Panics
    ///
    /// If the guard belongs to another collector (possible with `Crossbeam` only).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::Queue::new();
    /// let guard = latchfree::pin();
    /// for i in 0..10 {
    ///     queue.push_with(i, &guard);
    /// }
    /// assert_eq!(queue.len(), 10);
    /// ```
    #[inline]
    #[track_caller]
    pub fn push_with(&self, value: T, guard: &R::Guard) {
        R::check(guard);
        self.raw.push_with(value, guard);
    }

    /// Adds all items of an iterator at the back, in order, many with one step.
    ///
    /// Each item is pushed as by [`push`](Self::push): others may see a part of them, and items of other threads may come
    /// between. Items are gathered, up to 256 at a time and fewer of large ones, before any place is taken for them; if the iterator panics, what
    /// was gathered and not pushed is dropped, and what was pushed stays. The iterator may use the queue itself, and its
    /// size hint is not relied on.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::Queue::new();
    /// queue.push_all(0..1000);
    /// assert_eq!(queue.len(), 1000);
    /// assert_eq!(queue.pop(), Some(0));
    /// ```
    pub fn push_all<I: IntoIterator<Item = T>>(&self, items: I) {
        gather(items, |items| {
            // SAFETY: the items were gathered and are given away.
            unsafe { self.raw.push_all(items, &R::pin()) }
            self.raw.rest();
        });
    }

    /// Removes the oldest item.
    ///
    /// `None` if there was an instant during the call at which the queue was empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue: latchfree::Queue<_> = [1].into_iter().collect();
    /// assert_eq!(queue.pop(), Some(1));
    /// assert_eq!(queue.pop(), None);
    /// ```
    #[inline]
    pub fn pop(&self) -> Option<T> {
        self.raw.pop()
    }

    /// Removes the oldest item under a guard that the caller holds.
    ///
    /// # Panics
    ///
    /// If the guard belongs to another collector (possible with `Crossbeam` only).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue: latchfree::Queue<_> = "ab".chars().collect();
    /// let guard = latchfree::pin();
    /// assert_eq!(queue.pop_with(&guard), Some('a'));
    /// assert_eq!(queue.pop_with(&guard), Some('b'));
    /// ```
    #[inline]
    #[track_caller]
    pub fn pop_with(&self, guard: &R::Guard) -> Option<T> {
        R::check(guard);
        self.raw.pop_with(guard)
    }

    /// Removes up to `max` of the oldest items, many with one step.
    ///
    /// Each item is popped as by [`pop`](Self::pop), and as many as one segment has ready are taken in one step: those were
    /// adjacent in the queue. It returns at least one item if the queue was not empty and `max > 0`, and perhaps fewer than
    /// `max` although there are more, where the next item's producer is still on its way.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue: latchfree::Queue<_> = (0..5).collect();
    /// assert_eq!(queue.pop_many(3), [0, 1, 2]);
    /// assert_eq!(queue.pop_many(9), [3, 4]);
    /// assert!(queue.pop_many(9).is_empty());
    /// ```
    pub fn pop_many(&self, max: usize) -> Vec<T> {
        let mut items = Vec::new();
        self.pop_many_into(&mut items, max);
        items
    }

    /// As [`pop_many`](Self::pop_many), to the end of a vector; returns how many.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue: latchfree::Queue<_> = (0..5).collect();
    /// let mut items = Vec::with_capacity(32);
    /// while queue.pop_many_into(&mut items, 32) > 0 {}
    /// assert_eq!(items, [0, 1, 2, 3, 4]);
    /// ```
    pub fn pop_many_into(&self, items: &mut Vec<T>, max: usize) -> usize {
        let before = items.len();
        let mut left = max;
        let mut more = true;
        while more && left > 0 {
            let room = left.min(Segment::<T>::CAPACITY);
            // What may panic comes before any ticket is taken.
            items.reserve(room);
            let end = items.len();
            let count;
            // SAFETY: there is room for `room` items behind the vector's end, and the new length covers what was written.
            unsafe {
                (count, more) = self.raw.pop_many(items.as_mut_ptr().add(end), room, &R::pin());
                items.set_len(end + count);
            }
            left -= count;
            self.raw.rest();
        }
        items.len() - before
    }

    /// How many items there are.
    ///
    /// Approximate while others push and pop: pushes on their way count. Exact when nobody does, unless a batch was cut short
    /// by a stalled thread, when places that it gave up count until they are passed over.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue: latchfree::Queue<_> = (0..5).collect();
    /// assert_eq!(queue.len(), 5);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len(&R::pin())
    }

    /// True if there was an instant during the call at which the queue was empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::Queue::new();
    /// assert!(queue.is_empty());
    /// queue.push(1);
    /// assert!(!queue.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty(&R::pin())
    }

    /// Removes and drops the items that are there when it is called; what is pushed meanwhile may stay.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue: latchfree::Queue<_> = (0..5).collect();
    /// queue.clear();
    /// assert!(queue.is_empty());
    /// ```
    pub fn clear(&self) {
        // Dropped outside of any critical section: an item's destructor may use the queue.
        for _ in 0..self.len() {
            if self.pop().is_none() {
                break;
            }
        }
    }

    /// Adds an item at the back of a queue that nobody shares.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut queue = latchfree::Queue::new();
    /// queue.push_mut(1);
    /// assert_eq!(queue.pop_mut(), Some(1));
    /// ```
    pub fn push_mut(&mut self, value: T) {
        let value = ManuallyDrop::new(value);
        // SAFETY: one item, given away: it is not dropped here.
        unsafe { self.raw.push_mut(Source::new(&raw const *value, 1)) }
    }

    /// Removes the oldest item of a queue that nobody shares.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut queue: latchfree::Queue<_> = [1, 2].into_iter().collect();
    /// assert_eq!(queue.pop_mut(), Some(1));
    /// ```
    pub fn pop_mut(&mut self) -> Option<T> {
        self.raw.pop_mut()
    }

    /// Tries to free the segments that wait for reclamation; with the default reclaimer at once if no other thread is
    /// pinned.
    ///
    /// For a queue that falls idle: otherwise its next operations do it.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::Queue::new();
    /// queue.push_all(0..100_000);
    /// queue.clear();
    /// queue.collect();
    /// assert_eq!(queue.backlog().objects, 0);
    /// ```
    pub fn collect(&self) {
        R::collect(&self.raw.garbage);
    }

    /// The segments that are used up and not freed yet: those kept for reuse, and those that a guard holds back.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::Queue::<u8>::new();
    /// assert_eq!(queue.backlog().bytes, 0);
    /// ```
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        R::backlog(&self.raw.garbage)
    }
}

impl<T, R: Accepts<T>> Default for Queue<T, R> {
    /// An empty queue.
    fn default() -> Self {
        Self { raw: Raw::new(R::garbage(keep::<T>())) }
    }
}

impl<T, R: Accepts<T>> FromIterator<T> for Queue<T, R> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut queue = Self::default();
        queue.extend(items);
        queue
    }
}

impl<T, R: Reclaim> Extend<T> for Queue<T, R> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        // SAFETY: the items were gathered and are given away.
        gather(items, |items| unsafe { self.raw.push_mut(items) });
    }
}

impl<T, R: Reclaim> Extend<T> for &Queue<T, R> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        self.push_all(items);
    }
}

impl<T, R: Reclaim> fmt::Debug for Queue<T, R> {
    /// The length, not the items: they cannot be looked at while they are in the queue.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The items of a queue, by value, the oldest first.
///
/// # Examples
///
/// ```
/// let queue: latchfree::Queue<_> = ["a", "b"].into_iter().collect();
/// assert!(queue.into_iter().eq(["a", "b"]));
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct IntoIter<T, R: Reclaim = Epoch> {
    queue: Queue<T, R>,
}

impl<T, R: Reclaim> Iterator for IntoIter<T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.queue.pop_mut()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // Places that a batch gave up count in `len`.
        (0, Some(self.queue.len()))
    }
}

impl<T, R: Reclaim> FusedIterator for IntoIter<T, R> {}

impl<T, R: Reclaim> fmt::Debug for IntoIter<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("len", &self.queue.len()).finish_non_exhaustive()
    }
}

impl<T, R: Reclaim> IntoIterator for Queue<T, R> {
    type Item = T;
    type IntoIter = IntoIter<T, R>;

    fn into_iter(self) -> IntoIter<T, R> {
        IntoIter { queue: self }
    }
}
