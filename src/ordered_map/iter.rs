//! Iterators over a whole map, over what was popped, over a snapshot, and by value.

use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;

use super::lend;
use super::raw::{Auto, Edge, Layout, Leaves, Owned, Raw, Scan, Taken};
use crate::reclaim::{Epoch, Reclaim};

/// The entries of an [`OrderedMap`](super::OrderedMap), by ascending keys; see its [`iter`](super::OrderedMap::iter).
///
/// # Examples
///
/// ```
/// let map = latchfree::OrderedMap::from([(2, "two"), (1, "one"), (3, "three")]);
/// let pinned = map.pin();
/// let mut iter = pinned.iter();
/// assert_eq!(iter.next(), Some((&1, &"one")));
/// assert_eq!(iter.next_back(), Some((&3, &"three")));
/// assert_eq!(iter.count(), 1);
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Iter<'g, K, V, R: Reclaim = Epoch, L: Layout<K, V> = Auto> {
    raw: &'g Raw<K, V, R, L>,
    guard: &'g R::Guard,
    scan: Scan<K, V, L>,
}

impl<'g, K: Ord, V, R: Reclaim, L: Layout<K, V>> Iter<'g, K, V, R, L> {
    pub(super) fn new(raw: &'g Raw<K, V, R, L>, guard: &'g R::Guard) -> Self {
        Self { raw, guard, scan: Scan::new() }
    }
}

impl<'g, K: Ord, V, R: Reclaim, L: Layout<K, V>> Iterator for Iter<'g, K, V, R, L> {
    type Item = (&'g K, &'g V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // SAFETY: the guard and the map are borrowed from the scan's beginning on.
        unsafe { self.scan.next(self.raw, || [Edge::<K>::First, Edge::Last]).map(|item| lend(item)) }
    }
}

impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> DoubleEndedIterator for Iter<'_, K, V, R, L> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        // SAFETY: the guard and the map are borrowed from the scan's beginning on.
        unsafe { self.scan.next_back(self.raw, || [Edge::<K>::First, Edge::Last]).map(|item| lend(item)) }
    }
}

impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> FusedIterator for Iter<'_, K, V, R, L> {}

impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> Clone for Iter<'_, K, V, R, L> {
    /// A new scan of the whole map.
    fn clone(&self) -> Self {
        Self::new(self.raw, self.guard)
    }
}

impl<K, V, R: Reclaim, L: Layout<K, V>> fmt::Debug for Iter<'_, K, V, R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

/// The keys of an [`OrderedMap`](super::OrderedMap), ascending; see its [`keys`](super::OrderedMap::keys).
///
/// # Examples
///
/// ```
/// let map = latchfree::OrderedMap::from([(2, "two"), (1, "one")]);
/// assert!(map.pin().keys().eq(&[1, 2]));
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Keys<'g, K, V, R: Reclaim = Epoch, L: Layout<K, V> = Auto>(pub(super) Iter<'g, K, V, R, L>);

/// The values of an [`OrderedMap`](super::OrderedMap), by ascending keys; see its [`values`](super::OrderedMap::values).
///
/// # Examples
///
/// ```
/// let map = latchfree::OrderedMap::from([(2, "two"), (1, "one")]);
/// assert!(map.pin().values().eq(&["one", "two"]));
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Values<'g, K, V, R: Reclaim = Epoch, L: Layout<K, V> = Auto>(pub(super) Iter<'g, K, V, R, L>);

macro_rules! half {
    ($name:ident, $half:ident, $index:tt) => {
        impl<'g, K: Ord, V, R: Reclaim, L: Layout<K, V>> Iterator for $name<'g, K, V, R, L> {
            type Item = &'g $half;

            #[inline]
            fn next(&mut self) -> Option<Self::Item> {
                self.0.next().map(|entry| entry.$index)
            }
        }

        impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> DoubleEndedIterator for $name<'_, K, V, R, L> {
            #[inline]
            fn next_back(&mut self) -> Option<Self::Item> {
                self.0.next_back().map(|entry| entry.$index)
            }
        }

        impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> FusedIterator for $name<'_, K, V, R, L> {}

        impl<K, V, R: Reclaim, L: Layout<K, V>> fmt::Debug for $name<'_, K, V, R, L> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}
half!(Keys, K, 0);
half!(Values, V, 1);

/// Entries that were removed in one step; see [`OrderedMap::pop_first_while`](super::OrderedMap::pop_first_while).
///
/// They are removed whether they are looked at or not.
///
/// # Examples
///
/// ```
/// let timers = latchfree::OrderedMap::from([(10, "a"), (20, "b"), (30, "c")]);
/// let pinned = timers.pin();
/// let due = pinned.pop_first_while(100, |&at, _| at <= 20);
/// assert_eq!((due.len(), timers.len()), (2, 1)); // gone already
/// assert!(due.eq([(&10, &"a"), (&20, &"b")]));
/// ```
pub struct Popped<'g, K, V, L: Layout<K, V> = Auto> {
    taken: Taken<K, V, L>,
    _lent: PhantomData<&'g (K, V)>,
}

impl<K, V, L: Layout<K, V>> Popped<'_, K, V, L> {
    pub(super) fn new(taken: Taken<K, V, L>) -> Self {
        Self { taken, _lent: PhantomData }
    }
}

/// The entries of a range as they were at one moment; see [`OrderedMap::range_snapshot`](super::OrderedMap::range_snapshot).
///
/// # Examples
///
/// ```
/// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b'), (3, 'c')]);
/// let pinned = map.pin();
/// let then = pinned.range_snapshot(2..);
/// map.clear();
/// assert!(then.eq([(&2, &'b'), (&3, &'c')]));
/// ```
#[must_use = "a snapshot changes nothing"]
pub struct Snapshot<'g, K, V, L: Layout<K, V> = Auto> {
    taken: Leaves<K, V, L>,
    _lent: PhantomData<&'g (K, V)>,
}

impl<K, V, L: Layout<K, V>> Snapshot<'_, K, V, L> {
    pub(super) fn new(taken: Leaves<K, V, L>) -> Self {
        Self { taken, _lent: PhantomData }
    }
}

macro_rules! exact {
    ($name:ident) => {
        impl<'g, K, V, L: Layout<K, V>> Iterator for $name<'g, K, V, L> {
            type Item = (&'g K, &'g V);

            #[inline]
            fn next(&mut self) -> Option<Self::Item> {
                // SAFETY: whoever made this borrows the map and the guard for `'g`.
                self.taken.next().map(|item| unsafe { lend(item) })
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                (self.taken.len(), Some(self.taken.len()))
            }
        }

        impl<K, V, L: Layout<K, V>> DoubleEndedIterator for $name<'_, K, V, L> {
            #[inline]
            fn next_back(&mut self) -> Option<Self::Item> {
                // SAFETY: whoever made this borrows the map and the guard for `'g`.
                self.taken.next_back().map(|item| unsafe { lend(item) })
            }
        }

        impl<K, V, L: Layout<K, V>> ExactSizeIterator for $name<'_, K, V, L> {}
        impl<K, V, L: Layout<K, V>> FusedIterator for $name<'_, K, V, L> {}

        impl<K, V, L: Layout<K, V>> fmt::Debug for $name<'_, K, V, L> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("len", &self.taken.len()).finish_non_exhaustive()
            }
        }
    };
}
exact!(Popped);
exact!(Snapshot);

/// The entries of a map, by value and by ascending keys.
///
/// # Examples
///
/// ```
/// let map = latchfree::OrderedMap::from([(2, "two".to_string()), (1, "one".to_string())]);
/// let names: Vec<String> = map.into_iter().map(|(_, name)| name).collect();
/// assert_eq!(names, ["one", "two"]);
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct IntoIter<K, V, L: Layout<K, V> = Auto> {
    owned: Owned<K, V, L>,
}

// SAFETY: it owns the entries.
unsafe impl<K: Send, V: Send, L: Layout<K, V>> Send for IntoIter<K, V, L> {}
// SAFETY: a shared one gives no access to them.
unsafe impl<K: Send, V: Send, L: Layout<K, V>> Sync for IntoIter<K, V, L> {}

impl<K, V, L: Layout<K, V>> IntoIter<K, V, L> {
    pub(super) fn new<R: Reclaim>(raw: &mut Raw<K, V, R, L>) -> Self {
        Self { owned: Owned::new(raw) }
    }
}

impl<K, V, L: Layout<K, V>> Iterator for IntoIter<K, V, L> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        self.owned.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.owned.len(), Some(self.owned.len()))
    }
}

impl<K, V, L: Layout<K, V>> DoubleEndedIterator for IntoIter<K, V, L> {
    fn next_back(&mut self) -> Option<(K, V)> {
        self.owned.next_back()
    }
}

impl<K, V, L: Layout<K, V>> ExactSizeIterator for IntoIter<K, V, L> {}
impl<K, V, L: Layout<K, V>> FusedIterator for IntoIter<K, V, L> {}

impl<K, V, L: Layout<K, V>> fmt::Debug for IntoIter<K, V, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("len", &self.owned.len()).finish_non_exhaustive()
    }
}
