//! Iterators.

use core::fmt;
use core::iter::FusedIterator;

use super::HashMap;
use super::raw::boxed::{Entry, Lent, Owned, Raw};
use crate::reclaim::{Epoch, Reclaim};

/// The entries of a map, lent, in no particular order.
///
/// Neither forces nor awaits a resize. Yields each key that is there throughout exactly once, with a value that it had meanwhile;
/// others may be yielded or not, and one that is removed and inserted again meanwhile more than once.
///
/// # Examples
///
/// ```
/// let map: latchfree::HashMap<_, _> = [(1, "one"), (2, "two")].into();
/// let pinned = map.pin();
/// let mut entries: Vec<(&i32, &&str)> = pinned.iter().collect();
/// entries.sort();
/// assert_eq!(entries, [(&1, &"one"), (&2, &"two")]);
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Iter<'g, K, V>(Lent<'g, K, V>);

impl<'g, K, V> Iter<'g, K, V> {
    pub(super) fn new<R: Reclaim>(raw: &'g Raw<K, V, R>, guard: &'g R::Guard) -> Self {
        Self(Lent::new(raw, guard))
    }

    #[inline]
    pub(super) fn next_entry(&mut self) -> Option<&'g Entry<K, V>> {
        self.0.next()
    }

    /// Leaves a part of what is to come to another iterator.
    #[cfg(all(feature = "rayon", not(any(latchfree_loom, latchfree_stall))))]
    pub(crate) fn split(&mut self) -> Option<Self> {
        self.0.split().map(Self)
    }
}

impl<'g, K, V> Iterator for Iter<'g, K, V> {
    type Item = (&'g K, &'g V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_entry().map(|entry| (&*entry.key, &*entry.value))
    }
}

impl<K, V> FusedIterator for Iter<'_, K, V> {}

impl<K, V> fmt::Debug for Iter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

macro_rules! part {
    ($(#[$doc:meta])* $name:ident, $part:ident, $item:ident) => {
        $(#[$doc])*
        #[must_use = "iterators are lazy and do nothing unless consumed"]
        pub struct $name<'g, K, V>(pub(super) Iter<'g, K, V>);

        impl<'g, K, V> Iterator for $name<'g, K, V> {
            type Item = &'g $item;

            #[inline]
            fn next(&mut self) -> Option<Self::Item> {
                self.0.next_entry().map(|entry| &*entry.$part)
            }
        }

        impl<K, V> FusedIterator for $name<'_, K, V> {}

        impl<K, V> fmt::Debug for $name<'_, K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}
part! {
    /// The keys of a map, as [`Iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, "one"), (2, "two")].into();
    /// assert_eq!(map.pin().keys().max(), Some(&2));
    /// ```
    Keys, key, K
}
part! {
    /// The values of a map, as [`Iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, "one"), (2, "two")].into();
    /// assert!(map.pin().values().all(|name| name.len() == 3));
    /// ```
    Values, value, V
}

/// Removes entries as it yields them; see [`HashMap::drain`].
///
/// # Examples
///
/// ```
/// let map: latchfree::HashMap<_, _> = (0..10).map(|n| (n, n)).collect();
/// let pinned = map.pin();
/// assert_eq!(pinned.drain().take(4).count(), 4); // what is not asked for stays
/// assert_eq!(map.len(), 6);
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Drain<'g, K, V, R: Reclaim = Epoch> {
    iter: Iter<'g, K, V>,
    raw: &'g Raw<K, V, R>,
    guard: &'g R::Guard,
}

impl<'g, K, V, R: Reclaim> Drain<'g, K, V, R> {
    pub(super) fn new(raw: &'g Raw<K, V, R>, guard: &'g R::Guard) -> Self {
        Self { iter: Iter::new(raw, guard), raw, guard }
    }
}

impl<'g, K: Eq, V, R: Reclaim> Iterator for Drain<'g, K, V, R> {
    type Item = (&'g K, &'g V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = self.iter.next_entry()?;
            if let Some(removed) = self.raw.remove_like(entry, |_| true, self.guard) {
                return Some((&removed.key, &removed.value));
            }
        }
    }
}

impl<K: Eq, V, R: Reclaim> FusedIterator for Drain<'_, K, V, R> {}

impl<K, V, R: Reclaim> fmt::Debug for Drain<'_, K, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").finish_non_exhaustive()
    }
}

/// The entries of a map, by value.
///
/// # Examples
///
/// ```
/// let map: latchfree::HashMap<_, _> = [(1, "one".to_string())].into();
/// let entries: Vec<(i32, String)> = map.into_iter().collect();
/// assert_eq!(entries, [(1, "one".to_string())]);
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct IntoIter<K, V, R: Reclaim = Epoch> {
    entries: Owned<K, V, R>,
    len: usize,
}

impl<K, V, R: Reclaim> Iterator for IntoIter<K, V, R> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        self.len = self.len.saturating_sub(1);
        self.entries.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl<K, V, R: Reclaim> FusedIterator for IntoIter<K, V, R> {}

impl<K, V, R: Reclaim> fmt::Debug for IntoIter<K, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<K, V, S, R: Reclaim> IntoIterator for HashMap<K, V, S, R> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V, R>;

    fn into_iter(self) -> IntoIter<K, V, R> {
        IntoIter { len: self.raw.len(), entries: Owned::new(self.raw) }
    }
}
