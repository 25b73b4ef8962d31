//! rayon: filling queues and stacks from parallel iterators, and emptying owned ones into them.

use alloc::vec::Vec;

use rayon::iter::{FromParallelIterator, IntoParallelIterator, ParallelExtend, ParallelIterator};

use crate::reclaim::{Accepts, Reclaim};
use crate::{Queue, Stack};

impl<T: Send, R: Reclaim> ParallelExtend<T> for &Queue<T, R>
where
    R::Garbage: Send + Sync,
{
    /// Pushes the items as the pool's threads produce them, in no particular order.
    fn par_extend<I: IntoParallelIterator<Item = T>>(&mut self, items: I) {
        let queue: &Queue<T, R> = self;
        items.into_par_iter().for_each(|item| queue.push(item));
    }
}

impl<T: Send, R: Reclaim> ParallelExtend<T> for Queue<T, R>
where
    R::Garbage: Send + Sync,
{
    fn par_extend<I: IntoParallelIterator<Item = T>>(&mut self, items: I) {
        (&*self).par_extend(items);
    }
}

impl<T: Send, R: Accepts<T>> FromParallelIterator<T> for Queue<T, R>
where
    R::Garbage: Send + Sync,
{
    fn from_par_iter<I: IntoParallelIterator<Item = T>>(items: I) -> Self {
        let mut queue = Self::default();
        queue.par_extend(items);
        queue
    }
}

#[cfg(target_has_atomic = "64")]
impl<T: Send> IntoParallelIterator for crate::BoundedQueue<T> {
    type Item = T;
    type Iter = rayon::vec::IntoIter<T>;

    /// The items by value, indexed by their place in the queue.
    fn into_par_iter(self) -> Self::Iter {
        self.into_iter().collect::<Vec<_>>().into_par_iter()
    }
}

impl<T: Send, R: Reclaim> IntoParallelIterator for Queue<T, R> {
    type Item = T;
    type Iter = rayon::vec::IntoIter<T>;

    /// The items by value, indexed by their place in the queue.
    fn into_par_iter(self) -> Self::Iter {
        self.into_iter().collect::<Vec<_>>().into_par_iter()
    }
}

impl<T: Send, R: Reclaim> ParallelExtend<T> for &Stack<T, R>
where
    R::Garbage: Send + Sync,
{
    /// Pushes the items as the pool's threads produce them, in no particular order.
    fn par_extend<I: IntoParallelIterator<Item = T>>(&mut self, items: I) {
        let stack: &Stack<T, R> = self;
        items.into_par_iter().for_each(|item| stack.push(item));
    }
}

impl<T: Send, R: Reclaim> ParallelExtend<T> for Stack<T, R>
where
    R::Garbage: Send + Sync,
{
    fn par_extend<I: IntoParallelIterator<Item = T>>(&mut self, items: I) {
        (&*self).par_extend(items);
    }
}

impl<T: Send, R: Accepts<T>> FromParallelIterator<T> for Stack<T, R>
where
    R::Garbage: Send + Sync,
{
    fn from_par_iter<I: IntoParallelIterator<Item = T>>(items: I) -> Self {
        let mut stack = Self::default();
        stack.par_extend(items);
        stack
    }
}

impl<T: Send, R: Reclaim> IntoParallelIterator for Stack<T, R> {
    type Item = T;
    type Iter = rayon::vec::IntoIter<T>;

    /// The items by value, indexed by their place in the stack.
    fn into_par_iter(self) -> Self::Iter {
        self.into_iter().collect::<Vec<_>>().into_par_iter()
    }
}
