//! Traits of the standard library.

use core::fmt;
use core::hash::{BuildHasher, Hash};

use bytemuck::NoUninit;

use super::CopyMap;
use crate::reclaim::{Accepts, Reclaim};

impl<K: NoUninit, V: NoUninit, S: Default, R: Accepts<(K, V)>> Default for CopyMap<K, V, S, R> {
    /// An empty map.
    fn default() -> Self {
        Self::with_reclaimer(0, S::default())
    }
}

impl<K, V, S, R> FromIterator<(K, V)> for CopyMap<K, V, S, R>
where
    K: NoUninit + Hash + Eq,
    V: NoUninit,
    S: BuildHasher + Default,
    R: Accepts<(K, V)>,
{
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        map.extend(entries);
        map
    }
}

/// For the default hasher and reclaimer, as std's; for others collect.
#[cfg(feature = "std")]
impl<K: NoUninit + Hash + Eq, V: NoUninit, const N: usize> From<[(K, V); N]> for CopyMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> Extend<(K, V)>
    for CopyMap<K, V, S, R>
{
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        (&*self).extend(entries);
    }
}

impl<K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> Extend<(K, V)>
    for &CopyMap<K, V, S, R>
{
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        let entries = entries.into_iter();
        // A hint that lies costs a table of 64 Ki entries at the most.
        self.raw.resize(self.len() + entries.size_hint().0.min(1 << 16), true, &R::pin());
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<'a, K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> Extend<(&'a K, &'a V)>
    for CopyMap<K, V, S, R>
{
    fn extend<I: IntoIterator<Item = (&'a K, &'a V)>>(&mut self, entries: I) {
        (&*self).extend(entries.into_iter().map(|(key, value)| (*key, *value)));
    }
}

impl<K, V, S, R> Clone for CopyMap<K, V, S, R>
where
    K: NoUninit + Hash + Eq,
    V: NoUninit,
    S: BuildHasher + Clone,
    R: Accepts<(K, V)>,
{
    /// Another map with copies of the entries. What others change meanwhile may be in it or not.
    fn clone(&self) -> Self {
        let map = Self::with_reclaimer(self.len(), self.hasher().clone());
        for (key, value) in self {
            map.insert(key, value);
        }
        map
    }
}

impl<K, V, S, S2, R, R2> PartialEq<CopyMap<K, V, S2, R2>> for CopyMap<K, V, S, R>
where
    K: NoUninit + Hash + Eq,
    V: NoUninit + PartialEq,
    S: BuildHasher,
    S2: BuildHasher,
    R: Reclaim,
    R2: Reclaim,
{
    /// The same keys with the same values; sensible only if nobody changes the maps meanwhile.
    fn eq(&self, other: &CopyMap<K, V, S2, R2>) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(&key) == Some(value))
    }
}

impl<K: NoUninit + Hash + Eq, V: NoUninit + Eq, S: BuildHasher, R: Reclaim> Eq for CopyMap<K, V, S, R> {}

impl<K, V, S, R> fmt::Debug for CopyMap<K, V, S, R>
where
    K: NoUninit + Hash + Eq + fmt::Debug,
    V: NoUninit + fmt::Debug,
    S: BuildHasher,
    R: Reclaim,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
