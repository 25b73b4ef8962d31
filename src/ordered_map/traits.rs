//! The map's standard traits.

use alloc::vec::Vec;
use core::fmt;

use super::raw::Raw;
use super::{IntoIter, Layout, OrderedMap};
use crate::reclaim::{Accepts, Reclaim};

impl<K, V, R: Accepts<(K, V)>, L: Layout<K, V>> Default for OrderedMap<K, V, R, L> {
    /// An empty map.
    fn default() -> Self {
        Self { raw: Raw::new(R::garbage(0)) }
    }
}

impl<K: Ord, V, R: Accepts<(K, V)>, L: Layout<K, V>> FromIterator<(K, V)> for OrderedMap<K, V, R, L> {
    /// Sorts what is not in order, keeps the last of equal keys, and builds the tree in one pass.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        if !entries.is_sorted_by(|one, two| one.0 < two.0) {
            entries.sort_by(|one, two| one.0.cmp(&two.0));
            // The first of equal keys is the one that is kept: it takes over what comes later.
            entries.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                if same {
                    core::mem::swap(later, kept);
                }
                same
            });
        }
        let mut map = Self::default();
        map.raw.load(entries);
        map
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for OrderedMap<K, V> {
    /// As by [`FromIterator`], which is there for every reclaimer.
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> Extend<(K, V)> for &OrderedMap<K, V, R, L> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            // A guard each: the iterator is the user's and may take long.
            self.insert(key, value, &R::pin());
        }
    }
}

impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> Extend<(K, V)> for OrderedMap<K, V, R, L> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        (&*self).extend(entries);
    }
}

impl<K: Ord + Clone, V: Clone, R: Accepts<(K, V)>, L: Layout<K, V>> Clone for OrderedMap<K, V, R, L> {
    /// The entries of one scan: see [scans](Self#scans).
    fn clone(&self) -> Self {
        let guard = R::pin();
        self.iter(&guard).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl<K: Ord, V: PartialEq, R: Reclaim, L: Layout<K, V>> PartialEq for OrderedMap<K, V, R, L> {
    /// Compares the entries of one scan of each; exact while nobody changes them.
    fn eq(&self, other: &Self) -> bool {
        let guard = R::pin();
        self.iter(&guard).eq(other.iter(&guard))
    }
}

impl<K: Ord, V: Eq, R: Reclaim, L: Layout<K, V>> Eq for OrderedMap<K, V, R, L> {}

impl<K: Ord + fmt::Debug, V: fmt::Debug, R: Reclaim, L: Layout<K, V>> fmt::Debug for OrderedMap<K, V, R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guard = R::pin();
        f.debug_map().entries(self.iter(&guard)).finish()
    }
}

impl<K, V, R: Reclaim, L: Layout<K, V>> IntoIterator for OrderedMap<K, V, R, L> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V, L>;

    /// The entries by value, by ascending keys.
    fn into_iter(mut self) -> IntoIter<K, V, L> {
        IntoIter::new(&mut self.raw)
    }
}
