//! The bounded queue.

// The public face. The algorithm is in `ring`, what happens in a slot in `slot`.

mod ring;
mod slot;
mod slots;

use alloc::vec::{self, Vec};
use core::fmt;
use core::iter::FusedIterator;
use core::mem::{self, ManuallyDrop, MaybeUninit};
use core::panic::{RefUnwindSafe, UnwindSafe};

use self::ring::Ring;

/// A bounded multi-producer multi-consumer first-in first-out queue, strictly lock-free: a ring in one allocation.
///
/// A thread that is stopped at any point never keeps others from pushing and popping through the other slots. **A push
/// fails if at some instant during the call every slot had an item, or was held by another operation in flight** (a pop
/// that is moving an item out, a push that is on its way). Nothing stricter can exist with items in the slots: while a thread is
/// stopped in the middle of moving the only item out of a queue of capacity 1, the queue is empty, and there is nowhere to push
/// to. Where no operation is in flight, a push fails only if there are as many items as the capacity. An empty answer is exact.
///
/// | operation | progress | cost |
/// |---|---|---|
/// | [`push`](Self::push), [`push_all`](Self::push_all) | lock-free | one compare-exchange a grab, or none |
/// | [`pop`](Self::pop), [`pop_many`](Self::pop_many) | lock-free | one compare-exchange a grab, or none |
/// | [`force_push`](Self::force_push) | lock-free | as a push, or as a push and a pop |
/// | [`len`](Self::len), [`is_empty`](Self::is_empty), [`is_full`](Self::is_full) | lock-free | a few loads |
/// | [`new`](Self::new) | allocates | O(capacity) |
///
/// **Alone at an end.** A thread that has pushed, or popped, some thousand times in a row with no other thread doing so in between does it
/// without a compare-exchange from then on, until another thread comes, which may call the kernel (`membarrier`), and progress is the
/// kernel's: where barriers are asymmetric ([`reclaim::barrier`](crate::reclaim::barrier)) on 64-bit systems, with the feature `std`.
///
/// Where barriers are not asymmetric (see [`reclaim::barrier`](crate::reclaim::barrier)), each operation takes a second
/// compare-exchange. Where somebody was passed over, operations may look at every slot: up to O(capacity). Passing over
/// a stalled thread calls the kernel (`membarrier`) where barriers are asymmetric, and progress is the kernel's.
///
/// **Ordering.** Each item is popped once, in the order in which the pushes took effect. What a thread did before it
/// pushed an item happens before what another does after it popped it. `None` is linearizable: there was an
/// instant during the call at which the queue was empty. So is a failed push, to the weaker specification above.
///
/// **Memory.** One allocation of as many slots as the capacity, made by `new`; a slot has three words besides the item. Nothing
/// is allocated after that, and no guard is needed.
///
/// **Drops.** A popped item belongs to the caller. Dropping the queue drops what is left in it, on that thread.
///
/// **Contention.** A thread that loses races pauses before its next try, for some microseconds, and remembers for how long:
/// with more threads than cores this is faster by far than fighting for every cache line, at the price of fairness
/// within such a pause. One that again and again finds the queue empty after a few items, or full, with somebody at work at the other
/// end, stays behind for 2 us and looks again, so that the two are not after the same cache lines. Apart from that a push and a
/// pop do not wait for room or items.
///
/// When not to use it: without a need for a bound take [`Queue`](crate::Queue); between one producer and one consumer a
/// wait-free SPSC ring is simpler and faster.
///
/// The ring is D. Vyukov's ([2010](https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue)), which waits for
/// a stopped thread; that this one does not is our addition.
///
/// # Examples
///
/// ```
/// use latchfree::BoundedQueue;
///
/// let queue = BoundedQueue::new(2);
/// assert_eq!(queue.push("a"), Ok(()));
/// assert_eq!(queue.push("b"), Ok(()));
/// assert_eq!(queue.push("c"), Err("c")); // full: the item comes back
/// assert_eq!(queue.force_push("c"), Ok(Some("a"))); // in the place of the oldest
/// assert_eq!(queue.pop(), Some("b"));
/// ```
///
/// Items may borrow, from what outlives the queue:
///
/// ```compile_fail,E0597
/// let queue = latchfree::BoundedQueue::new(1);
/// {
///     let text = String::from("gone too early");
///     queue.push(text.as_str()).unwrap();
/// }
/// assert!(queue.pop().is_some());
/// ```
///
/// ```
/// let text = String::from("there in time");
/// let queue = latchfree::BoundedQueue::new(1);
/// queue.push(text.as_str()).unwrap();
/// assert!(queue.pop().is_some());
/// ```
pub struct BoundedQueue<T> {
    ring: Ring<T>,
}

// SAFETY: the queue owns its items and hands each to one thread, by value: sharing it sends items and shares none.
unsafe impl<T: Send> Send for BoundedQueue<T> {}
// SAFETY: as above; no method lends an item from a shared queue, so `T: Sync` is not needed.
unsafe impl<T: Send> Sync for BoundedQueue<T> {}

impl<T> UnwindSafe for BoundedQueue<T> {}
impl<T> RefUnwindSafe for BoundedQueue<T> {}

/// A capacity of zero, or one whose memory cannot be had.
///
/// # Examples
///
/// ```
/// use latchfree::BoundedQueue;
/// use latchfree::queue::bounded::CapacityError;
///
/// assert_eq!(BoundedQueue::<u8>::try_new(0).err(), Some(CapacityError));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityError;

impl fmt::Display for CapacityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bounded queue's capacity must be at least 1, and its slots must fit into memory")
    }
}

impl core::error::Error for CapacityError {}

impl<T> BoundedQueue<T> {
    /// An empty queue with room for `capacity` items, neither rounded up nor down.
    ///
    /// # Panics
    ///
    /// If the capacity is zero, or if there is no memory for that many slots.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::BoundedQueue::<u8>::new(100);
    /// assert_eq!(queue.capacity(), 100);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        match Self::try_new(capacity) {
            Ok(queue) => queue,
            Err(error) => panic!("BoundedQueue::new({capacity}): {error}"),
        }
    }

    /// As [`new`](Self::new), without panics.
    ///
    /// # Errors
    ///
    /// If the capacity is zero, or if there is no memory for that many slots.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::BoundedQueue;
    ///
    /// assert!(BoundedQueue::<u64>::try_new(1).is_ok());
    /// assert!(BoundedQueue::<u64>::try_new(0).is_err());
    /// assert!(BoundedQueue::<u64>::try_new(usize::MAX).is_err());
    /// ```
    pub fn try_new(capacity: usize) -> Result<Self, CapacityError> {
        Ok(Self { ring: Ring::new(capacity, 0)? })
    }

    /// A queue that has gone round so many times already, for tests of what happens when that number wraps around.
    #[doc(hidden)]
    #[must_use]
    pub fn with_first_lap(capacity: usize, lap: u64) -> Self {
        Self { ring: Ring::new(capacity, lap).expect("a test's capacity") }
    }

    /// How many items there is room for.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::BoundedQueue::<u8>::new(3).capacity(), 3);
    /// ```
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    /// Adds an item at the back.
    ///
    /// # Errors
    ///
    /// Hands the item back if there was an instant during the call at which every slot had an item or was held by another
    /// operation in flight.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::BoundedQueue::new(1);
    /// assert_eq!(queue.push(1), Ok(()));
    /// assert_eq!(queue.push(2), Err(2));
    /// ```
    // Always: pairs took 11.7 ns instead of 10.2 where the compiler did not.
    #[inline(always)]
    pub fn push(&self, value: T) -> Result<(), T> {
        // From where it lies, and not from a `ManuallyDrop` of it, into which the compiler would move a large item first.
        // SAFETY: one item, given away on success: it is not dropped here, for nothing in there unwinds.
        match unsafe { self.ring.push(&raw const value) } {
            Ok(()) => {
                mem::forget(value);
                Ok(())
            }
            Err(_) => Err(value),
        }
    }

    /// Removes the oldest item.
    ///
    /// `None` if there was an instant during the call at which the queue was empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::BoundedQueue::new(2);
    /// queue.push(1).unwrap();
    /// assert_eq!(queue.pop(), Some(1));
    /// assert_eq!(queue.pop(), None);
    /// ```
    #[inline(always)]
    pub fn pop(&self) -> Option<T> {
        self.ring.pop()
    }

    /// Adds an item at the back; if there is no room, the oldest item is removed for it and returned.
    ///
    /// This is a push, or a failed push, a pop and a push, where the pop's slot is not given to anybody else: at most one
    /// item is removed.
    ///
    /// # Errors
    ///
    /// Hands the item back if there was an instant during the call at which every slot was held by another operation in
    /// flight: there was no room then, and no item to remove.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::BoundedQueue::new(2);
    /// assert_eq!(queue.force_push(1), Ok(None));
    /// assert_eq!(queue.force_push(2), Ok(None));
    /// assert_eq!(queue.force_push(3), Ok(Some(1)));
    /// ```
    pub fn force_push(&self, value: T) -> Result<Option<T>, T> {
        let value = ManuallyDrop::new(value);
        // SAFETY: one item, given away on success: it is not dropped here.
        unsafe { self.ring.force_push(&raw const *value) }.map_err(|()| ManuallyDrop::into_inner(value))
    }

    /// Adds the items of an iterator at the back, in order, many with one step, until there is no room.
    ///
    /// Each item is pushed as by [`push`](Self::push): others may see a part of them, and items of other threads may come
    /// between. Some items (64, or fewer if they are large) are gathered before any place is taken for them; if the iterator
    /// panics, what was gathered and not pushed is dropped, and what was pushed stays. The iterator may use the queue itself, and
    /// its size hint is not relied on.
    ///
    /// # Errors
    ///
    /// Returns what did not fit, in order: what was gathered and the rest of the iterator, which is not asked further. Only then
    /// something is allocated.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::BoundedQueue::new(3);
    /// let rest = queue.push_all(1..=5).unwrap_err();
    /// assert!(rest.eq([4, 5]));
    /// assert_eq!(queue.pop_many(9), [1, 2, 3]);
    /// ```
    pub fn push_all<I: IntoIterator<Item = T>>(&self, items: I) -> Result<(), Rest<I::IntoIter>> {
        let items = items.into_iter();
        // A buffer on the stack of at most about a page.
        match size_of::<T>() {
            0..=64 => self.gather::<_, 64>(items),
            65..=512 => self.gather::<_, 8>(items),
            _ => self.gather::<_, 1>(items),
        }
    }

    fn gather<I: Iterator<Item = T>, const N: usize>(&self, mut items: I) -> Result<(), Rest<I>> {
        loop {
            let mut buffer = Buffer::<T, N> { items: [const { MaybeUninit::uninit() }; N], from: 0, to: 0 };
            while buffer.to < N {
                let Some(item) = items.next() else { break };
                buffer.items[buffer.to].write(item);
                buffer.to += 1;
            }
            let count = buffer.to;
            if count > 0 {
                // SAFETY: so many items were written; those that are delivered are not touched any more.
                unsafe {
                    buffer.from = self.ring.push_all(buffer.items.as_ptr().cast(), count);
                }
            }
            if buffer.from < count {
                let mut gathered = Vec::with_capacity(count - buffer.from);
                while let Some(item) = buffer.next() {
                    gathered.push(item);
                }
                return Err(Rest { gathered: gathered.into_iter(), items });
            }
            if count < N {
                return Ok(());
            }
        }
    }

    /// Removes up to `max` of the oldest items with one step.
    ///
    /// Returns what one grab took: at least one item if the queue was not empty and `max > 0`, and perhaps fewer than
    /// `max` although there are more. The items were adjacent. Allocates the vector.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::BoundedQueue::new(8);
    /// queue.push_all(0..5).unwrap();
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
    /// let queue = latchfree::BoundedQueue::new(8);
    /// queue.push_all(0..5).unwrap();
    /// let mut items = Vec::with_capacity(32);
    /// while queue.pop_many_into(&mut items, 32) > 0 {}
    /// assert_eq!(items, [0, 1, 2, 3, 4]);
    /// ```
    pub fn pop_many_into(&self, items: &mut Vec<T>, max: usize) -> usize {
        let max = max.min(self.capacity());
        if max == 0 {
            return 0;
        }
        // What may panic comes before any ticket is taken.
        items.reserve(max);
        // SAFETY: there is room for `max` items behind the vector's end, and the new length covers what was written.
        unsafe {
            let count = self.ring.pop_many(items.as_mut_ptr().add(items.len()), max);
            items.set_len(items.len() + count);
            count
        }
    }

    /// How many items there are; at most the capacity.
    ///
    /// Approximate while others push and pop, and exact when nobody does.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::BoundedQueue::new(2);
    /// queue.push(1).unwrap();
    /// assert_eq!(queue.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// True if there was an instant during the call at which the queue was empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::BoundedQueue::new(1);
    /// assert!(queue.is_empty());
    /// queue.push(1).unwrap();
    /// assert!(!queue.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// True if there was an instant during the call at which every slot had an item or was held by another operation in flight,
    /// so that a push would have failed.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::BoundedQueue::new(1);
    /// assert!(!queue.is_full());
    /// queue.push(1).unwrap();
    /// assert!(queue.is_full());
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.ring.is_full()
    }

    /// Removes and drops the items that are there when it is called; what is pushed meanwhile may stay.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = latchfree::BoundedQueue::new(2);
    /// queue.push(1).unwrap();
    /// queue.clear();
    /// assert!(queue.is_empty());
    /// ```
    pub fn clear(&self) {
        for _ in 0..self.len() {
            if self.pop().is_none() {
                break;
            }
        }
    }

    /// Adds an item at the back of a queue that nobody shares.
    ///
    /// # Errors
    ///
    /// Hands the item back if the queue is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut queue = latchfree::BoundedQueue::new(1);
    /// assert_eq!(queue.push_mut(1), Ok(()));
    /// assert_eq!(queue.push_mut(2), Err(2));
    /// ```
    pub fn push_mut(&mut self, value: T) -> Result<(), T> {
        let value = ManuallyDrop::new(value);
        // SAFETY: one item, given away on success: it is not dropped here.
        match unsafe { self.ring.push_mut(&raw const *value) } {
            Ok(()) => Ok(()),
            Err(_) => Err(ManuallyDrop::into_inner(value)),
        }
    }

    /// Removes the oldest item of a queue that nobody shares.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut queue = latchfree::BoundedQueue::new(1);
    /// queue.push_mut(1).unwrap();
    /// assert_eq!(queue.pop_mut(), Some(1));
    /// assert_eq!(queue.pop_mut(), None);
    /// ```
    pub fn pop_mut(&mut self) -> Option<T> {
        self.ring.pop_mut()
    }
}

/// Gathered items, of which those in `from..to` are still here.
struct Buffer<T, const N: usize> {
    items: [MaybeUninit<T>; N],
    from: usize,
    to: usize,
}

impl<T, const N: usize> Buffer<T, N> {
    fn next(&mut self) -> Option<T> {
        if self.from == self.to {
            return None;
        }
        self.from += 1;
        // SAFETY: written, and not counted any more.
        Some(unsafe { self.items[self.from - 1].assume_init_read() })
    }
}

impl<T, const N: usize> Drop for Buffer<T, N> {
    fn drop(&mut self) {
        while let Some(item) = self.next() {
            drop(item);
        }
    }
}

/// What [`BoundedQueue::push_all`] had no room for: an iterator over these items, in order.
///
/// # Examples
///
/// ```
/// let queue = latchfree::BoundedQueue::new(2);
/// let rest = queue.push_all(1..=4).unwrap_err();
/// assert!(rest.eq([3, 4]));
/// ```
#[must_use = "these items were not pushed, and are dropped"]
pub struct Rest<I: Iterator> {
    gathered: vec::IntoIter<I::Item>,
    items: I,
}

impl<I: Iterator> Iterator for Rest<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.gathered.next().or_else(|| self.items.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.items.size_hint();
        let gathered = self.gathered.len();
        (least.saturating_add(gathered), most.and_then(|most| most.checked_add(gathered)))
    }
}

impl<I: FusedIterator> FusedIterator for Rest<I> {}

impl<I: Iterator> fmt::Debug for Rest<I> {
    /// How many items were gathered; the others are still inside the iterator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("gathered", &self.gathered.len()).finish_non_exhaustive()
    }
}

impl<T> Extend<T> for BoundedQueue<T> {
    /// Pushes all items.
    ///
    /// # Panics
    ///
    /// If they do not fit: what was pushed stays, the rest is dropped. [`push_all`](BoundedQueue::push_all) returns the rest
    /// instead.
    #[track_caller]
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        (&*self).extend(items);
    }
}

impl<T> Extend<T> for &BoundedQueue<T> {
    /// As for an owned queue.
    #[track_caller]
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        if self.push_all(items).is_err() {
            panic!(
                "BoundedQueue::extend: more items than there was room for, with a capacity of {}",
                self.capacity()
            );
        }
    }
}

impl<T> fmt::Debug for BoundedQueue<T> {
    /// The length and the capacity, not the items: they cannot be looked at while they are in the queue.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedQueue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// The items of a bounded queue, by value, the oldest first.
///
/// # Examples
///
/// ```
/// let queue = latchfree::BoundedQueue::new(2);
/// queue.push("a").unwrap();
/// queue.push("b").unwrap();
/// assert!(queue.into_iter().eq(["a", "b"]));
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct IntoIter<T> {
    queue: BoundedQueue<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.queue.pop_mut()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.queue.len();
        (len, Some(len))
    }
}

impl<T> ExactSizeIterator for IntoIter<T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("len", &self.queue.len()).finish_non_exhaustive()
    }
}

impl<T> IntoIterator for BoundedQueue<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { queue: self }
    }
}
