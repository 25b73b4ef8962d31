//! Operations on many entries, each of them a step of its own.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::HashMap;
use super::iter::{Drain, Iter, Keys, Values};
use super::raw::ahead::ahead;
use crate::reclaim::Reclaim;

/// Entries whose lines are asked for before the first of them is inserted.
const BATCH: usize = 16;

impl<K, V, S, R: Reclaim> HashMap<K, V, S, R> {
    /// The entries, lent, in no particular order; see [`Iter`] for what it promises while others change the map.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, "a"), (2, "b")].into();
    /// let guard = latchfree::pin();
    /// let mut all: Vec<_> = map.iter(&guard).collect();
    /// all.sort();
    /// assert_eq!(all, [(&1, &"a"), (&2, &"b")]);
    /// ```
    #[track_caller]
    pub fn iter<'g>(&'g self, guard: &'g R::Guard) -> Iter<'g, K, V> {
        R::check(guard);
        Iter::new(&self.raw, guard)
    }

    /// The keys, as [`iter`](Self::iter).
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, "a"), (2, "b")].into();
    /// assert_eq!(map.keys(&latchfree::pin()).sum::<i32>(), 3);
    /// ```
    #[track_caller]
    pub fn keys<'g>(&'g self, guard: &'g R::Guard) -> Keys<'g, K, V> {
        Keys(self.iter(guard))
    }

    /// The values, as [`iter`](Self::iter).
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [("a", 1), ("b", 2)].into();
    /// assert_eq!(map.values(&latchfree::pin()).sum::<i32>(), 3);
    /// ```
    #[track_caller]
    pub fn values<'g>(&'g self, guard: &'g R::Guard) -> Values<'g, K, V> {
        Values(self.iter(guard))
    }
}

impl<K: Hash + Eq, V, S: BuildHasher, R: Reclaim> HashMap<K, V, S, R> {
    /// Removes entries and lends them, bucket by bucket; those that are not asked for stay. Each entry is lent to one thread only,
    /// and entries that others insert meanwhile may be met or not.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = (0..10).map(|n| (n, n)).collect();
    /// assert_eq!(map.drain(&latchfree::pin()).take(3).count(), 3);
    /// assert_eq!(map.len(), 7);
    /// ```
    #[track_caller]
    pub fn drain<'g>(&'g self, guard: &'g R::Guard) -> Drain<'g, K, V, R> {
        R::check(guard);
        Drain::new(&self.raw, guard)
    }

    /// Removes some entry and lends it; `None` if the map looked empty, bucket by bucket.
    ///
    /// Begins at the first bucket each time: to empty a map, [`drain`](Self::drain) it.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, "a")].into();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.pop_any(&guard), Some((&1, &"a")));
    /// assert_eq!(map.pop_any(&guard), None);
    /// ```
    #[track_caller]
    pub fn pop_any<'g>(&'g self, guard: &'g R::Guard) -> Option<(&'g K, &'g V)> {
        self.drain(guard).next()
    }

    /// Removes the entries that are there when it comes by; what is inserted meanwhile may stay.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = (0..10).map(|n| (n, n)).collect();
    /// map.clear(&latchfree::pin());
    /// assert!(map.is_empty());
    /// ```
    #[track_caller]
    pub fn clear(&self, guard: &R::Guard) {
        self.drain(guard).for_each(drop);
    }

    /// Removes the entries for which a closure says no. Each is removed in one step: what is removed is what was judged; an
    /// entry that was replaced meanwhile is judged again.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = (0..10).map(|n| (n, n)).collect();
    /// map.retain(|_, n| n % 2 == 0, &latchfree::pin());
    /// assert_eq!(map.len(), 5);
    /// ```
    #[track_caller]
    pub fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool, guard: &R::Guard) {
        R::check(guard);
        let mut iter = Iter::new(&self.raw, guard);
        while let Some(entry) = iter.next_entry() {
            self.raw.remove_like(entry, |entry| !keep(&entry.key, &entry.value), guard);
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
    /// let map: latchfree::HashMap<_, _> = (0..100).map(|n| (n, n * n)).collect();
    /// assert_eq!(map.get_many(&[3, 200, 5], &latchfree::pin()), [Some(&9), None, Some(&25)]);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn get_many<'g, 'k, Q>(
        &'g self,
        keys: impl IntoIterator<Item = &'k Q>,
        guard: &'g R::Guard,
    ) -> Vec<Option<&'g V>>
    where
        Q: Hash + Equivalent<K> + ?Sized + 'k,
    {
        let keys = keys.into_iter();
        let mut values = Vec::with_capacity(keys.size_hint().0.min(1 << 16));
        self.get_many_with(keys, |_, value| values.push(value), guard);
        values
    }

    /// As [`get_many`](Self::get_many), with a closure that sees each key and its value, in order.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = (0..100).map(|n| (n, n * n)).collect();
    /// let mut sum = 0;
    /// map.get_many_with(&[3, 200, 5], |_, n| sum += n.unwrap_or(&0), &latchfree::pin());
    /// assert_eq!(sum, 34);
    /// ```
    #[track_caller]
    pub fn get_many_with<'g, 'k, Q>(
        &'g self,
        keys: impl IntoIterator<Item = &'k Q>,
        mut f: impl FnMut(&'k Q, Option<&'g V>),
        guard: &'g R::Guard,
    ) where
        Q: Hash + Equivalent<K> + ?Sized + 'k,
    {
        R::check(guard);
        ahead(
            keys.into_iter().map(|key| (self.hash(key), key)),
            |(hash, _)| self.raw.prefetch_bucket(hash, guard),
            |(hash, _)| self.raw.prefetch_entry(hash, guard),
            |(hash, key)| {
                let entry = self.raw.get(hash, |other| key.equivalent(other), guard);
                f(key, entry.map(|entry| &*entry.value));
            },
        );
    }

    /// Inserts many entries, as [`insert`](Self::insert) one by one and faster; returns how many keys were new.
    ///
    /// The iterator may use the map itself: entries are taken from it 16 at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// assert_eq!(map.insert_many((0..100).map(|n| (n % 10, n)), &latchfree::pin()), 10);
    /// assert_eq!(map.len(), 10);
    /// ```
    #[track_caller]
    pub fn insert_many(&self, entries: impl IntoIterator<Item = (K, V)>, guard: &R::Guard) -> usize {
        R::check(guard);
        let mut entries = entries.into_iter();
        let mut batch = Vec::with_capacity(BATCH);
        let mut new = 0;
        loop {
            batch.extend(entries.by_ref().take(BATCH).map(|(key, value)| (self.hash(&key), key, value)));
            if batch.is_empty() {
                return new;
            }
            batch.iter().for_each(|&(hash, ..)| self.raw.prefetch_bucket(hash, guard));
            batch.iter().for_each(|&(hash, ..)| self.raw.prefetch_entry(hash, guard));
            for (hash, key, value) in batch.drain(..) {
                new += usize::from(self.insert_hashed(hash, key, value, guard).is_none());
            }
        }
    }
}
