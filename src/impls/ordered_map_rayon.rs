//! rayon: filling ordered maps and sets from parallel iterators, and taking them apart into them.

use alloc::vec::Vec;

use rayon::iter::{FromParallelIterator, IntoParallelIterator, ParallelExtend, ParallelIterator};

use crate::ordered_map::{Layout, OrderedMapRef, OrderedSetRef};
use crate::reclaim::{Accepts, Reclaim};
use crate::{OrderedMap, OrderedSet};

impl<K: Ord + Send + Sync, V: Send + Sync, R: Reclaim, L: Layout<K, V>> ParallelExtend<(K, V)>
    for &OrderedMap<K, V, R, L>
where
    R::Garbage: Send + Sync,
{
    /// Inserts the entries as the pool's threads produce them: of equal keys any may be the last.
    fn par_extend<I: IntoParallelIterator<Item = (K, V)>>(&mut self, entries: I) {
        let map: &OrderedMap<K, V, R, L> = self;
        entries.into_par_iter().for_each(|(key, value)| {
            map.insert(key, value, &R::pin());
        });
    }
}

impl<K: Ord + Send + Sync, V: Send + Sync, R: Reclaim, L: Layout<K, V>> ParallelExtend<(K, V)>
    for OrderedMap<K, V, R, L>
where
    R::Garbage: Send + Sync,
{
    fn par_extend<I: IntoParallelIterator<Item = (K, V)>>(&mut self, entries: I) {
        (&*self).par_extend(entries);
    }
}

impl<K: Ord + Send, V: Send, R: Accepts<(K, V)>, L: Layout<K, V>> FromParallelIterator<(K, V)>
    for OrderedMap<K, V, R, L>
{
    /// Sorts, and builds the tree in one pass; of equal keys the last counts.
    fn from_par_iter<I: IntoParallelIterator<Item = (K, V)>>(entries: I) -> Self {
        entries.into_par_iter().collect::<Vec<_>>().into_iter().collect()
    }
}

impl<K: Send, V: Send, R: Reclaim, L: Layout<K, V>> IntoParallelIterator for OrderedMap<K, V, R, L> {
    type Item = (K, V);
    type Iter = rayon::vec::IntoIter<(K, V)>;

    /// The entries by value, indexed by their place in the map.
    fn into_par_iter(self) -> Self::Iter {
        self.into_iter().collect::<Vec<_>>().into_par_iter()
    }
}

impl<'p, K: Ord + Sync, V: Sync, R: Reclaim, L: Layout<K, V>> IntoParallelIterator
    for &'p OrderedMapRef<'_, K, V, R, L>
{
    type Item = (&'p K, &'p V);
    type Iter = rayon::vec::IntoIter<(&'p K, &'p V)>;

    /// The entries of one scan, lent by the handle's guard and not by one of each job.
    fn into_par_iter(self) -> Self::Iter {
        self.iter().collect::<Vec<_>>().into_par_iter()
    }
}

impl<T: Ord + Send + Sync, R: Reclaim, L: Layout<T, ()>> ParallelExtend<T> for &OrderedSet<T, R, L>
where
    R::Garbage: Send + Sync,
{
    fn par_extend<I: IntoParallelIterator<Item = T>>(&mut self, elements: I) {
        let set: &OrderedSet<T, R, L> = self;
        elements.into_par_iter().for_each(|element| {
            set.insert(element);
        });
    }
}

impl<T: Ord + Send + Sync, R: Reclaim, L: Layout<T, ()>> ParallelExtend<T> for OrderedSet<T, R, L>
where
    R::Garbage: Send + Sync,
{
    fn par_extend<I: IntoParallelIterator<Item = T>>(&mut self, elements: I) {
        (&*self).par_extend(elements);
    }
}

impl<T: Ord + Send, R: Accepts<(T, ())>, L: Layout<T, ()>> FromParallelIterator<T> for OrderedSet<T, R, L> {
    fn from_par_iter<I: IntoParallelIterator<Item = T>>(elements: I) -> Self {
        elements.into_par_iter().collect::<Vec<_>>().into_iter().collect()
    }
}

impl<T: Send, R: Reclaim, L: Layout<T, ()>> IntoParallelIterator for OrderedSet<T, R, L> {
    type Item = T;
    type Iter = rayon::vec::IntoIter<T>;

    /// The elements by value, indexed by their place in the set.
    fn into_par_iter(self) -> Self::Iter {
        self.into_iter().collect::<Vec<_>>().into_par_iter()
    }
}

impl<'p, T: Ord + Sync, R: Reclaim, L: Layout<T, ()>> IntoParallelIterator
    for &'p OrderedSetRef<'_, T, R, L>
{
    type Item = &'p T;
    type Iter = rayon::vec::IntoIter<&'p T>;

    /// The elements of one scan, lent by the handle's guard and not by one of each job.
    fn into_par_iter(self) -> Self::Iter {
        self.iter().collect::<Vec<_>>().into_par_iter()
    }
}
