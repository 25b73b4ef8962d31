//! Operations on many entries, each of them a step of its own, and iterators.

use alloc::vec::Vec;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::iter::FusedIterator;

use bytemuck::NoUninit;
use equivalent::Equivalent;

use super::{CopyMap, RandomState};
use crate::hash_map::raw::Cursor;
use crate::hash_map::raw::ahead::ahead;
use crate::hash_map::raw::inline::Words;
use crate::reclaim::{Epoch, Reclaim};

impl<K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> CopyMap<K, V, S, R> {
    /// Copies of the entries, in no particular order; see [`Iter`] for what it promises while others change the map.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = [(1, 'a'), (2, 'b')].into();
    /// let mut all: Vec<_> = map.iter().collect();
    /// all.sort();
    /// assert_eq!(all, [(1, 'a'), (2, 'b')]);
    /// ```
    pub fn iter(&self) -> Iter<'_, K, V, S, R> {
        Iter { map: self, cursor: Cursor::new(&self.raw) }
    }

    /// The keys, as [`iter`](Self::iter).
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = [(1, 'a'), (2, 'b')].into();
    /// assert_eq!(map.keys().sum::<i32>(), 3);
    /// ```
    pub fn keys(&self) -> impl FusedIterator<Item = K> {
        self.iter().map(|(key, _)| key)
    }

    /// The values, as [`iter`](Self::iter).
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = [('a', 1), ('b', 2)].into();
    /// assert_eq!(map.values().sum::<i32>(), 3);
    /// ```
    pub fn values(&self) -> impl FusedIterator<Item = V> {
        self.iter().map(|(_, value)| value)
    }

    /// Removes the entries that are there when it comes by; what is inserted meanwhile may stay.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = (0..10).map(|n| (n, n)).collect();
    /// map.clear();
    /// assert!(map.is_empty());
    /// ```
    pub fn clear(&self) {
        self.retain(|_, _| false);
    }

    /// Removes the entries for which a closure says no. Each is removed in one step: what is removed is what was judged; an
    /// entry that was changed meanwhile is judged again.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = (0..10).map(|n| (n, n)).collect();
    /// map.retain(|_, n| n % 2 == 0);
    /// assert_eq!(map.len(), 5);
    /// ```
    pub fn retain(&self, mut keep: impl FnMut(K, V) -> bool) {
        for (key, _) in self {
            // That the closure said no to it is no error.
            let _ = self.remove_if(&key, |key, value| !keep(key, value));
        }
    }

    /// The values of many keys, in their order.
    ///
    /// Faster than one by one if the map is larger than the caches: the lines of the next keys are on their way while one is
    /// looked up. Each look-up is a step of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = (0..100).map(|n| (n, n * n)).collect();
    /// assert_eq!(map.get_many(&[3, 200, 5]), [Some(9), None, Some(25)]);
    /// ```
    #[must_use]
    pub fn get_many<'k, Q>(&self, keys: impl IntoIterator<Item = &'k Q>) -> Vec<Option<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized + 'k,
    {
        let keys = keys.into_iter();
        let mut values = Vec::with_capacity(keys.size_hint().0.min(1 << 16));
        self.get_many_with(keys, |_, value| values.push(value));
        values
    }

    /// As [`get_many`](Self::get_many), with a closure that sees each key and its value, in order.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = (0..100).map(|n| (n, n * n)).collect();
    /// let mut sum = 0;
    /// map.get_many_with(&[3, 200, 5], |_, n| sum += n.unwrap_or(0));
    /// assert_eq!(sum, 34);
    /// ```
    pub fn get_many_with<'k, Q>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
        mut f: impl FnMut(&'k Q, Option<V>),
    ) where
        Q: Hash + Equivalent<K> + ?Sized + 'k,
    {
        ahead(
            keys.into_iter().map(|key| (self.hash(key), key)),
            |(hash, _)| self.raw.prefetch(hash),
            |(hash, _)| self.raw.prefetch_behind(hash),
            |(hash, key)| {
                f(key, self.raw.get(hash, |other| key.equivalent(other), |_, value| value));
            },
        );
    }
}

/// Copies of a map's entries, in no particular order.
///
/// Neither forces nor awaits a resize, and holds back no reclamation: it pins for a step at a time. Each bucket's entries are as
/// they were at one moment. Yields each key that is there throughout exactly once, with a value that it had meanwhile; others
/// may be yielded or not, and one that is removed and inserted again meanwhile, too.
///
/// # Examples
///
/// ```
/// let map: latchfree::CopyMap<u32, u32> = [(1, 10), (2, 20)].into();
/// let iter = map.iter();
/// map.remove(&1); // nothing is lent, and nobody waits
/// assert!(iter.eq([(2, 20)]));
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Iter<'a, K, V, S = RandomState, R: Reclaim = Epoch> {
    map: &'a CopyMap<K, V, S, R>,
    cursor: Cursor<Words>,
}

impl<K, V, S, R: Reclaim> Iter<'_, K, V, S, R> {
    /// Leaves a part of what is to come to another iterator.
    #[cfg(all(feature = "rayon", not(any(latchfree_loom, latchfree_stall))))]
    pub(crate) fn split(&mut self) -> Option<Self> {
        Some(Self { map: self.map, cursor: self.cursor.split()? })
    }
}

impl<K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> Iterator for Iter<'_, K, V, S, R> {
    type Item = (K, V);

    #[inline]
    fn next(&mut self) -> Option<(K, V)> {
        self.map.raw.advance(&mut self.cursor)
    }
}

impl<K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> FusedIterator
    for Iter<'_, K, V, S, R>
{
}

impl<K, V, S, R: Reclaim> fmt::Debug for Iter<'_, K, V, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

impl<'a, K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> IntoIterator
    for &'a CopyMap<K, V, S, R>
{
    type Item = (K, V);
    type IntoIter = Iter<'a, K, V, S, R>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The entries of a map that is no more.
///
/// # Examples
///
/// ```
/// let map: latchfree::CopyMap<u32, u32> = [(1, 10), (2, 20)].into();
/// assert_eq!(map.into_iter().map(|(_, n)| n).sum::<u32>(), 30);
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct IntoIter<K, V, S = RandomState, R: Reclaim = Epoch> {
    map: CopyMap<K, V, S, R>,
    cursor: Cursor<Words>,
    len: usize,
}

impl<K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> Iterator for IntoIter<K, V, S, R> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        self.len = self.len.saturating_sub(1);
        self.map.raw.advance(&mut self.cursor)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl<K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> FusedIterator
    for IntoIter<K, V, S, R>
{
}

impl<K, V, S, R: Reclaim> fmt::Debug for IntoIter<K, V, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> IntoIterator for CopyMap<K, V, S, R> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V, S, R>;

    fn into_iter(self) -> Self::IntoIter {
        IntoIter { len: self.len(), cursor: Cursor::new(&self.raw), map: self }
    }
}
