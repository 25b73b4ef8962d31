//! Stacks.

mod batch;
mod chunk;
mod elimination;
mod look;
mod place;
mod treiber;

use alloc::vec::Vec;
use core::fmt;
use core::iter::FusedIterator;
use core::panic::{RefUnwindSafe, UnwindSafe};

use self::batch::Taken;
use self::look::Copies;
use self::treiber::{Raw, keep};
use crate::reclaim::{Accepts, Backlog, Epoch, Garbage, Reclaim};
use crate::sync::const_fn;

/// An unbounded multi-producer multi-consumer last-in first-out stack, linearizable and strictly lock-free.
///
/// A thread that is stopped at any point never keeps others from pushing and popping.
///
/// | operation | progress | cost |
/// |---|---|---|
/// | [`push`](Self::push) | lock-free; may allocate a chunk | one compare-exchange, no guard |
/// | [`push_all`](Self::push_all) | as `push` | one compare-exchange for all items |
/// | [`pop`](Self::pop) | lock-free; may allocate to retire a chunk, and free some | one compare-exchange; a guard for the last item of another thread's chunk |
/// | [`pop_many`](Self::pop_many) | as `pop` | one compare-exchange for all items |
/// | [`pop_all`](Self::pop_all) | lock-free | one swap for all items |
/// | [`peek`](Self::peek), [`iter`](Self::iter) (`T: Copy`) | lock-free | two `fetch_add` |
/// | [`len`](Self::len) | wait-free | a load for each thread that used the stack |
/// | [`is_empty`](Self::is_empty) | wait-free | a load, and a fence if it is empty |
/// | [`new`](Self::new) | allocates nothing | |
///
/// Where the allocator is called, progress is the allocator's. A thread's first operation on a stack may allocate some cache
/// lines for its counter and its chunks.
///
/// **Ordering.** Each item is popped once, the one that was pushed last first. What a thread did before it pushed an item
/// happens before what another does after it popped it. An empty answer is linearizable: there was an instant during the
/// call at which the stack was empty. Batches are pushed and popped as a whole, in one step.
///
/// **Memory.** Items lie in chunks of up to 54, of 16 KiB at most, with a header of a cache line; a thread's first chunks are smaller. A thread
/// pushes into chunks of its own only: where threads push in turns and nobody pops, an item may take a small chunk, of two cache lines or more. A
/// thread uses its chunks again at once, keeps at most 32 MiB of them beside what is in the stack, and leaves them to the stack
/// when it exits; what is more goes through the reclaimer, which keeps up to 192 KiB for reuse. [`backlog`](Self::backlog) tells how
/// much waits there, [`collect`](Self::collect) returns all of it to the allocator.
///
/// **Drops.** A popped item belongs to the caller. Dropping the stack drops what is left in it, on that thread, from the top
/// down and without recursion.
///
/// **Contention.** A thread that loses races pauses before its next attempt, for some microseconds, and remembers for how long. A
/// push offers its item meanwhile, and a pop that loses a race takes an item that is on offer. With more threads than cores
/// this is faster by far than fighting for a cache line, at the price of fairness within such a pause. A pop that again and again
/// finds nothing after a few items, with somebody at work who pushes, stays behind for 2 us and looks again.
///
/// Nothing is lent: a pop moves the item out, and its new owner may drop it at once. So [`peek`](Self::peek) and
/// [`iter`](Self::iter) return copies, of items that are `Copy`.
///
/// When not to use it: where nobody is ever stopped and items are moved in batches only, a short mutex around a vector costs less.
///
/// The algorithm is R. K. Treiber's (1986), with the elimination of D. Hendler, N. Shavit and L. Yerushalmi
/// ([2004](https://doi.org/10.1145/1007912.1007944)).
///
/// # Examples
///
/// ```
/// use latchfree::Stack;
///
/// static POOL: Stack<Vec<u8>> = Stack::new();
///
/// let mut buffer = POOL.pop().unwrap_or_default();
/// buffer.extend_from_slice(b"some work");
/// buffer.clear();
/// POOL.push(buffer);
/// assert!(POOL.pop().unwrap().capacity() > 0);
/// ```
pub struct Stack<T, R: Reclaim = Epoch> {
    raw: Raw<T, R>,
}

// SAFETY: the stack owns its items and hands each to one thread, by value. The garbage holds chunks without items.
unsafe impl<T: Send, R: Reclaim> Send for Stack<T, R> where R::Garbage: Send {}
// SAFETY: as above. `peek` and `iter` give copies to several threads, of items that are `Copy` and `Send`: as if one thread had
// copied them and sent the copies. Copying runs no code of the item's, so `T: Sync` is not needed.
unsafe impl<T: Send, R: Reclaim> Sync for Stack<T, R> where R::Garbage: Sync {}

impl<T, R: Reclaim> UnwindSafe for Stack<T, R> {}
impl<T, R: Reclaim> RefUnwindSafe for Stack<T, R> {}

impl<T> Stack<T> {
    const_fn! {
        /// An empty stack; allocates nothing.
        ///
        /// For another reclaimer than the default one, use [`Default`].
        ///
        /// # Examples
        ///
        /// ```
        /// let stack = latchfree::Stack::<i32>::new();
        /// assert!(stack.is_empty());
        /// ```
        #[must_use]
        pub const fn new() -> Self {
            Self { raw: Raw::new(Garbage::new(keep::<T>())) }
        }
    }
}

impl<T, R: Reclaim> Stack<T, R> {
    /// Puts an item on top.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack = latchfree::Stack::new();
    /// stack.push("first");
    /// stack.push("second");
    /// assert_eq!(stack.pop(), Some("second"));
    /// ```
    #[inline]
    pub fn push(&self, value: T) {
        self.raw.push(value);
    }

    /// As [`push`](Self::push), for symmetry with [`pop_with`](Self::pop_with): pushing needs no guard.
    ///
    /// # Panics
    ///
    /// If the guard belongs to another collector (possible with `Crossbeam` only).
    ///
    /// # Examples
    ///
    /// ```
    /// let stack = latchfree::Stack::new();
    /// let guard = latchfree::pin();
    /// stack.push_with(1, &guard);
    /// assert_eq!(stack.pop_with(&guard), Some(1));
    /// ```
    #[inline]
    #[track_caller]
    pub fn push_with(&self, value: T, guard: &R::Guard) {
        R::check(guard);
        self.raw.push(value);
    }

    /// Puts all items of an iterator on top, in order and in one step: the last one is at the top, no other thread's item comes
    /// between, and none of them can be popped before all are there.
    ///
    /// The iterator runs to its end before anything is pushed. If it panics, nothing is pushed and the items that it had yielded
    /// are dropped. It may use the stack itself, and its size hint is not relied on.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack = latchfree::Stack::new();
    /// stack.push_all([1, 2, 3]);
    /// assert_eq!(stack.pop(), Some(3));
    /// assert_eq!(stack.len(), 2);
    /// ```
    pub fn push_all<I: IntoIterator<Item = T>>(&self, items: I) {
        self.raw.push_all(items.into_iter());
    }

    /// Removes the top item.
    ///
    /// `None` if there was an instant during the call at which the stack was empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack: latchfree::Stack<_> = [1].into_iter().collect();
    /// assert_eq!(stack.pop(), Some(1));
    /// assert_eq!(stack.pop(), None);
    /// ```
    #[inline]
    pub fn pop(&self) -> Option<T> {
        self.raw.pop()
    }

    /// Removes the top item under a guard that the caller holds.
    ///
    /// # Panics
    ///
    /// If the guard belongs to another collector (possible with `Crossbeam` only).
    ///
    /// # Examples
    ///
    /// ```
    /// let stack: latchfree::Stack<_> = "ab".chars().collect();
    /// let guard = latchfree::pin();
    /// assert_eq!(stack.pop_with(&guard), Some('b'));
    /// assert_eq!(stack.pop_with(&guard), Some('a'));
    /// ```
    #[inline]
    #[track_caller]
    pub fn pop_with(&self, guard: &R::Guard) -> Option<T> {
        R::check(guard);
        self.raw.pop_with(guard)
    }

    /// Removes up to `max` items from the top, in one step; the top one comes first.
    ///
    /// Fewer than `max` only if there was an instant during the call at which there were no more.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack: latchfree::Stack<_> = (0..5).collect();
    /// assert_eq!(stack.pop_many(3), [4, 3, 2]);
    /// assert_eq!(stack.pop_many(9), [1, 0]);
    /// assert!(stack.pop_many(9).is_empty());
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
    /// let stack: latchfree::Stack<_> = (0..5).collect();
    /// let mut items = Vec::with_capacity(32);
    /// while stack.pop_many_into(&mut items, 2) > 0 {}
    /// assert_eq!(items, [4, 3, 2, 1, 0]);
    /// ```
    pub fn pop_many_into(&self, items: &mut Vec<T>, max: usize) -> usize {
        self.raw.pop_many(max).append_to(items)
    }

    /// Removes all items in one step, and returns an iterator over them from the top down.
    ///
    /// The items are the iterator's: what it has not yielded is dropped with it, and leaked if it is leaked. They count in
    /// [`len`](Self::len) until then, although they are in the stack no more.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack = latchfree::Stack::new();
    /// stack.push_all([1, 2, 3]);
    /// let all = stack.pop_all();
    /// assert!(stack.is_empty());
    /// assert_eq!(all.collect::<Vec<_>>(), [3, 2, 1]);
    /// ```
    pub fn pop_all(&self) -> PopAll<'_, T, R> {
        PopAll { taken: self.raw.pop_all() }
    }

    /// How many items there are.
    ///
    /// Approximate while others push and pop: an operation is counted a little after it takes effect. Exact when nobody pushes or
    /// pops, unless a [`PopAll`] was leaked.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack: latchfree::Stack<_> = (0..5).collect();
    /// assert_eq!(stack.len(), 5);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// True if there was an instant during the call at which the stack was empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack = latchfree::Stack::new();
    /// assert!(stack.is_empty());
    /// stack.push(1);
    /// assert!(!stack.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Removes all items in one step and drops them.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack: latchfree::Stack<_> = (0..5).collect();
    /// stack.clear();
    /// assert!(stack.is_empty());
    /// ```
    pub fn clear(&self) {
        drop(self.pop_all());
    }

    /// Puts an item on top of a stack that nobody shares.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut stack = latchfree::Stack::new();
    /// stack.push_mut(1);
    /// assert_eq!(stack.pop_mut(), Some(1));
    /// ```
    pub fn push_mut(&mut self, value: T) {
        self.raw.push_mut(value);
    }

    /// Removes the top item of a stack that nobody shares.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut stack: latchfree::Stack<_> = [1, 2].into_iter().collect();
    /// assert_eq!(stack.pop_mut(), Some(2));
    /// ```
    pub fn pop_mut(&mut self) -> Option<T> {
        self.raw.pop_mut()
    }

    /// Tries to free the chunks that are spare or wait for reclamation, but for those that other threads keep; with the default
    /// reclaimer at once if no other thread is pinned.
    ///
    /// For a stack that falls idle: otherwise its next operations use them.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack = latchfree::Stack::new();
    /// stack.push_all(0..100_000);
    /// stack.clear();
    /// stack.collect();
    /// assert_eq!(stack.backlog().objects, 0);
    /// ```
    pub fn collect(&self) {
        self.raw.collect();
    }

    /// The chunks that are retired and not freed yet: those kept for reuse, and those that a guard holds back.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack = latchfree::Stack::<u8>::new();
    /// assert_eq!(stack.backlog().bytes, 0);
    /// ```
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        R::backlog(&self.raw.garbage)
    }
}

impl<T: Copy, R: Reclaim> Stack<T, R> {
    /// A copy of the top item.
    ///
    /// `None` if there was an instant during the call at which the stack was empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack: latchfree::Stack<_> = [1, 2].into_iter().collect();
    /// assert_eq!(stack.peek(), Some(2));
    /// assert_eq!(stack.len(), 2);
    /// ```
    ///
    /// Nothing is lent, so what is not `Copy` cannot be looked at:
    ///
    /// ```compile_fail,E0599
    /// let stack: latchfree::Stack<String> = ["a".to_string()].into_iter().collect();
    /// stack.peek();
    /// ```
    #[must_use]
    pub fn peek(&self) -> Option<T> {
        self.raw.peek(&R::pin())
    }

    /// A copy of the top item, under a guard that the caller holds.
    ///
    /// # Panics
    ///
    /// If the guard belongs to another collector (possible with `Crossbeam` only).
    ///
    /// # Examples
    ///
    /// ```
    /// let stack: latchfree::Stack<_> = [1, 2].into_iter().collect();
    /// assert_eq!(stack.peek_with(&latchfree::pin()), Some(2));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn peek_with(&self, guard: &R::Guard) -> Option<T> {
        R::check(guard);
        self.raw.peek(guard)
    }

    /// Copies of the items that are there when it is called, from the top down: a snapshot, whatever others push and pop
    /// meanwhile.
    ///
    /// The iterator holds a guard, and while there is one, every chunk that items are popped of goes through the reclaimer: keep it short. One
    /// that is leaked, or whose thread stops, costs memory and nobody's progress.
    ///
    /// # Examples
    ///
    /// ```
    /// let stack: latchfree::Stack<_> = [1, 2, 3].into_iter().collect();
    /// let items = stack.iter();
    /// stack.pop();
    /// assert_eq!(items.collect::<Vec<_>>(), [3, 2, 1]);
    /// ```
    pub fn iter(&self) -> Iter<'_, T, R> {
        Iter { copies: self.raw.iter() }
    }
}

impl<T, R: Accepts<T>> Default for Stack<T, R> {
    /// An empty stack.
    fn default() -> Self {
        Self { raw: Raw::new(R::garbage(keep::<T>())) }
    }
}

impl<T, R: Accepts<T>> FromIterator<T> for Stack<T, R> {
    /// The last item is at the top.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut stack = Self::default();
        stack.extend(items);
        stack
    }
}

impl<T, R: Reclaim> Extend<T> for Stack<T, R> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push_mut(item));
    }
}

impl<T, R: Reclaim> Extend<T> for &Stack<T, R> {
    /// As [`Stack::push_all`].
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        self.push_all(items);
    }
}

impl<T, R: Reclaim> fmt::Debug for Stack<T, R> {
    /// The length, not the items: most cannot be looked at while they are in the stack.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The items of a stack, by value, from the top down.
///
/// # Examples
///
/// ```
/// let stack: latchfree::Stack<_> = ["a", "b"].into_iter().collect();
/// assert!(stack.into_iter().eq(["b", "a"]));
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct IntoIter<T, R: Reclaim = Epoch> {
    stack: Stack<T, R>,
}

impl<T, R: Reclaim> Iterator for IntoIter<T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.stack.pop_mut()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // What a leaked `PopAll` took still counts.
        (0, Some(self.stack.len()))
    }
}

impl<T, R: Reclaim> FusedIterator for IntoIter<T, R> {}

impl<T, R: Reclaim> fmt::Debug for IntoIter<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("len", &self.stack.len()).finish_non_exhaustive()
    }
}

impl<T, R: Reclaim> IntoIterator for Stack<T, R> {
    type Item = T;
    type IntoIter = IntoIter<T, R>;

    fn into_iter(self) -> IntoIter<T, R> {
        IntoIter { stack: self }
    }
}

/// All items that were in a stack at one instant, by value, from the top down; see [`Stack::pop_all`].
///
/// # Examples
///
/// ```
/// let stack: latchfree::Stack<_> = ["a", "b"].into_iter().collect();
/// let all = stack.pop_all();
/// assert!(stack.is_empty()); // whether they are looked at or not
/// assert!(all.eq(["b", "a"]));
/// ```
#[must_use = "what is not taken from it is dropped"]
pub struct PopAll<'a, T, R: Reclaim = Epoch> {
    taken: Taken<'a, T, R>,
}

// SAFETY: it owns its items and shares the stack.
unsafe impl<T: Send, R: Reclaim> Send for PopAll<'_, T, R> where R::Garbage: Sync {}
// SAFETY: a shared one gives out nothing.
unsafe impl<T: Send, R: Reclaim> Sync for PopAll<'_, T, R> where R::Garbage: Sync {}

impl<T, R: Reclaim> Iterator for PopAll<'_, T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.taken.next()
    }
}

impl<T, R: Reclaim> FusedIterator for PopAll<'_, T, R> {}

impl<T, R: Reclaim> fmt::Debug for PopAll<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PopAll").finish_non_exhaustive()
    }
}

/// Copies of the items that were in a stack at one instant, from the top down; see [`Stack::iter`].
///
/// # Examples
///
/// ```
/// let stack: latchfree::Stack<_> = [1, 2, 3].into_iter().collect();
/// let copies = stack.iter();
/// stack.pop(); // perhaps seen by `copies`, perhaps not
/// assert!(copies.count() >= 2);
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Iter<'a, T: Copy, R: Reclaim = Epoch> {
    copies: Copies<'a, T, R>,
}

impl<T: Copy, R: Reclaim> Iterator for Iter<'_, T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.copies.next()
    }
}

impl<T: Copy, R: Reclaim> FusedIterator for Iter<'_, T, R> {}

impl<T: Copy, R: Reclaim> fmt::Debug for Iter<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}
