//! Traits of the standard library.

use core::fmt;
use core::hash::{BuildHasher, Hash};

use super::HashMap;
use crate::reclaim::{Accepts, Reclaim};

impl<K, V, S: Default, R: Accepts<(K, V)>> Default for HashMap<K, V, S, R> {
    /// An empty map.
    fn default() -> Self {
        Self::with_reclaimer(0, S::default())
    }
}

impl<K: Hash + Eq, V, S: BuildHasher + Default, R: Accepts<(K, V)>> FromIterator<(K, V)>
    for HashMap<K, V, S, R>
{
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        map.extend(entries);
        map
    }
}

/// For the default hasher and reclaimer, as std's; for others collect.
#[cfg(feature = "std")]
impl<K: Hash + Eq, V, const N: usize> From<[(K, V); N]> for HashMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Hash + Eq, V, S: BuildHasher, R: Reclaim> Extend<(K, V)> for HashMap<K, V, S, R> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        (&*self).extend(entries);
    }
}

impl<K: Hash + Eq, V, S: BuildHasher, R: Reclaim> Extend<(K, V)> for &HashMap<K, V, S, R> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        let mut entries = entries.into_iter().peekable();
        // A hint that lies costs a table of 64 Ki entries at the most.
        self.raw.resize(self.len() + entries.size_hint().0.min(1 << 16), true, &R::pin());
        // Pinned again from time to time, so that what is replaced can be freed.
        while entries.peek().is_some() {
            self.insert_many(entries.by_ref().take(1024), &R::pin());
        }
    }
}

impl<'a, K: Hash + Eq + Copy, V: Copy, S: BuildHasher, R: Reclaim> Extend<(&'a K, &'a V)>
    for HashMap<K, V, S, R>
{
    fn extend<I: IntoIterator<Item = (&'a K, &'a V)>>(&mut self, entries: I) {
        (&*self).extend(entries.into_iter().map(|(key, value)| (*key, *value)));
    }
}

impl<K: Hash + Eq + Clone, V: Clone, S: BuildHasher + Clone, R: Accepts<(K, V)>> Clone
    for HashMap<K, V, S, R>
{
    /// Another map with clones of the entries. What others change meanwhile may be in it or not.
    fn clone(&self) -> Self {
        let guard = R::pin();
        let map = Self::with_reclaimer(self.len(), self.hasher.clone());
        map.insert_many(self.iter(&guard).map(|(key, value)| (key.clone(), value.clone())), &guard);
        map
    }
}

impl<K, V, S, S2, R, R2> PartialEq<HashMap<K, V, S2, R2>> for HashMap<K, V, S, R>
where
    K: Hash + Eq,
    V: PartialEq,
    S: BuildHasher,
    S2: BuildHasher,
    R: Reclaim,
    R2: Reclaim,
{
    /// The same keys with the same values; sensible only if nobody changes the maps meanwhile.
    fn eq(&self, other: &HashMap<K, V, S2, R2>) -> bool {
        let (guard, theirs) = (R::pin(), R2::pin());
        self.len() == other.len()
            && self
                .iter(&guard)
                .all(|(key, value)| other.get(key, &theirs).is_some_and(|other| value == other))
    }
}

impl<K: Hash + Eq, V: Eq, S: BuildHasher, R: Reclaim> Eq for HashMap<K, V, S, R> {}

impl<K: fmt::Debug, V: fmt::Debug, S, R: Reclaim> fmt::Debug for HashMap<K, V, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter(&R::pin())).finish()
    }
}
