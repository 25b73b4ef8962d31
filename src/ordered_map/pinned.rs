//! The handle that holds a guard.

use core::fmt;
use core::ops::{Bound, RangeBounds};

use equivalent::Comparable;

use super::{
    Auto, Compute, Iter, Keys, Layout, OccupiedError, Operation, OrderedMap, Popped, Range, Snapshot, Values,
};
use crate::reclaim::{Epoch, Reclaim};

/// An [`OrderedMap`] and a guard: the map's operations, lending for as long as the handle is borrowed.
///
/// Made by [`OrderedMap::pin`]. While it lives nothing that is removed is freed: hold it for a few operations, and
/// [`repin`](Self::repin) it between many. It stays with its thread unless the guard may move.
///
/// # Examples
///
/// ```
/// let map = latchfree::OrderedMap::new();
/// let map = map.pin();
/// map.insert(2, "two");
/// map.insert(1, "one");
/// assert!(map.iter().eq([(&1, &"one"), (&2, &"two")]));
/// ```
#[must_use = "an unused handle ends its critical section at once"]
pub struct OrderedMapRef<'m, K, V, R: Reclaim = Epoch, L: Layout<K, V> = Auto> {
    map: &'m OrderedMap<K, V, R, L>,
    /// Always there, but for a moment in `repin`.
    guard: Option<R::Guard>,
}

impl<'m, K, V, R: Reclaim, L: Layout<K, V>> OrderedMapRef<'m, K, V, R, L> {
    #[inline]
    pub(super) fn new(map: &'m OrderedMap<K, V, R, L>) -> Self {
        Self { map, guard: Some(R::pin()) }
    }

    /// The guard, for operations on other structures.
    ///
    /// # Examples
    ///
    /// ```
    /// let (map, queue) = (latchfree::OrderedMap::from([(1, 'a')]), latchfree::Queue::new());
    /// let map = map.pin();
    /// queue.push_with(*map.get(&1).unwrap(), map.guard());
    /// assert_eq!(queue.pop(), Some('a'));
    /// ```
    #[must_use]
    #[inline]
    pub fn guard(&self) -> &R::Guard {
        self.guard.as_ref().expect("only taken in repin")
    }

    /// The map.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::<u8, u8>::new();
    /// assert_eq!(map.pin().map().backlog().objects, 0);
    /// ```
    #[must_use]
    pub fn map(&self) -> &'m OrderedMap<K, V, R, L> {
        self.map
    }

    /// Gives up the guard and takes a new one, so that what was removed meanwhile can be freed.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::new();
    /// let mut map = map.pin();
    /// for n in 0..1000 {
    ///     map.insert(n, n);
    ///     map.repin();
    /// }
    /// assert_eq!(map.len(), 1000);
    /// ```
    pub fn repin(&mut self) {
        // The old one first: a guard within a guard would keep the old epoch.
        self.guard = None;
        self.guard = Some(R::pin());
    }

    /// See [`OrderedMap::len`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert_eq!(map.pin().len(), 1);
    /// ```
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.map.len()
    }
}

impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> OrderedMapRef<'_, K, V, R, L> {
    /// See [`OrderedMap::is_empty`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::<u8, u8>::new();
    /// assert!(map.pin().is_empty());
    /// ```
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// See [`OrderedMap::get`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert_eq!(map.pin().get(&1), Some(&'a'));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get<Q: ?Sized + Comparable<K>>(&self, key: &Q) -> Option<&V> {
        self.map.get(key, self.guard())
    }

    /// See [`OrderedMap::get_key_value`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert_eq!(map.pin().get_key_value(&1), Some((&1, &'a')));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get_key_value<Q: ?Sized + Comparable<K>>(&self, key: &Q) -> Option<(&K, &V)> {
        self.map.get_key_value(key, self.guard())
    }

    /// See [`OrderedMap::contains_key`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert!(!map.pin().contains_key(&2));
    /// ```
    #[must_use]
    #[inline]
    pub fn contains_key<Q: ?Sized + Comparable<K>>(&self, key: &Q) -> bool {
        self.get(key).is_some()
    }

    /// See [`OrderedMap::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::new();
    /// assert_eq!(map.pin().insert(1, 'a'), None);
    /// ```
    #[inline]
    #[track_caller]
    pub fn insert(&self, key: K, value: V) -> Option<&V> {
        self.map.insert(key, value, self.guard())
    }

    /// See [`OrderedMap::try_insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert!(map.pin().try_insert(1, 'b').is_err());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_insert(&self, key: K, value: V) -> Result<&V, OccupiedError<'_, K, V>> {
        self.map.try_insert(key, value, self.guard())
    }

    /// See [`OrderedMap::get_or_insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::new();
    /// assert_eq!(map.pin().get_or_insert(1, 'a'), &'a');
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_insert(&self, key: K, value: V) -> &V {
        self.map.get_or_insert(key, value, self.guard())
    }

    /// See [`OrderedMap::get_or_insert_with`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::new();
    /// assert_eq!(map.pin().get_or_insert_with(1, || 'a'), &'a');
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_insert_with(&self, key: K, f: impl FnOnce() -> V) -> &V {
        self.map.get_or_insert_with(key, f, self.guard())
    }

    /// See [`OrderedMap::update`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 1)]);
    /// assert_eq!(map.pin().update(&1, |n| n + 1), Some(&2));
    /// ```
    #[inline]
    #[track_caller]
    pub fn update<Q: ?Sized + Comparable<K>>(&self, key: &Q, f: impl FnMut(&V) -> V) -> Option<&V>
    where
        K: Clone,
    {
        self.map.update(key, f, self.guard())
    }

    /// See [`OrderedMap::compute`].
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::ordered_map::{Compute, Operation};
    ///
    /// let map = latchfree::OrderedMap::from([(1, 1)]);
    /// let pinned = map.pin();
    /// let remove = |_: Option<(&i32, &i32)>| Operation::<i32>::Remove;
    /// assert_eq!(pinned.compute(1, remove), Compute::Removed(&1, &1));
    /// assert_eq!(pinned.compute(1, remove), Compute::Absent);
    /// ```
    #[inline]
    #[track_caller]
    pub fn compute<T>(
        &self,
        key: K,
        f: impl FnMut(Option<(&K, &V)>) -> Operation<V, T>,
    ) -> Compute<'_, K, V, T> {
        self.map.compute(key, f, self.guard())
    }

    /// See [`OrderedMap::remove`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert_eq!(map.pin().remove(&1), Some(&'a'));
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove<Q: ?Sized + Comparable<K>>(&self, key: &Q) -> Option<&V> {
        self.map.remove(key, self.guard())
    }

    /// See [`OrderedMap::remove_entry`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert_eq!(map.pin().remove_entry(&1), Some((&1, &'a')));
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove_entry<Q: ?Sized + Comparable<K>>(&self, key: &Q) -> Option<(&K, &V)> {
        self.map.remove_entry(key, self.guard())
    }

    /// See [`OrderedMap::remove_if`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert!(map.pin().remove_if(&1, |_, &value| value == 'b').is_err());
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove_if<Q: ?Sized + Comparable<K>>(
        &self,
        key: &Q,
        predicate: impl FnMut(&K, &V) -> bool,
    ) -> Result<Option<(&K, &V)>, (&K, &V)> {
        self.map.remove_if(key, predicate, self.guard())
    }

    /// See [`OrderedMap::first_key_value`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b')]);
    /// assert_eq!(map.pin().first_key_value(), Some((&1, &'a')));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.map.first_key_value(self.guard())
    }

    /// See [`OrderedMap::last_key_value`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b')]);
    /// assert_eq!(map.pin().last_key_value(), Some((&2, &'b')));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        self.map.last_key_value(self.guard())
    }

    /// See [`OrderedMap::lower_bound`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (3, 'c')]);
    /// assert_eq!(map.pin().lower_bound(std::ops::Bound::Included(&2)), Some((&3, &'c')));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn lower_bound<Q: ?Sized + Comparable<K>>(&self, bound: Bound<&Q>) -> Option<(&K, &V)> {
        self.map.lower_bound(bound, self.guard())
    }

    /// See [`OrderedMap::upper_bound`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (3, 'c')]);
    /// assert_eq!(map.pin().upper_bound(std::ops::Bound::Included(&2)), Some((&1, &'a')));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn upper_bound<Q: ?Sized + Comparable<K>>(&self, bound: Bound<&Q>) -> Option<(&K, &V)> {
        self.map.upper_bound(bound, self.guard())
    }

    /// See [`OrderedMap::pop_first`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b')]);
    /// assert_eq!(map.pin().pop_first(), Some((&1, &'a')));
    /// ```
    #[inline]
    #[track_caller]
    pub fn pop_first(&self) -> Option<(&K, &V)> {
        self.map.pop_first(self.guard())
    }

    /// See [`OrderedMap::pop_last`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b')]);
    /// assert_eq!(map.pin().pop_last(), Some((&2, &'b')));
    /// ```
    #[inline]
    #[track_caller]
    pub fn pop_last(&self) -> Option<(&K, &V)> {
        self.map.pop_last(self.guard())
    }

    /// See [`OrderedMap::pop_first_while`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b')]);
    /// assert_eq!(map.pin().pop_first_while(9, |&key, _| key < 2).len(), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn pop_first_while(&self, max: usize, predicate: impl FnMut(&K, &V) -> bool) -> Popped<'_, K, V, L> {
        self.map.pop_first_while(max, predicate, self.guard())
    }

    /// See [`OrderedMap::iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert!(map.pin().iter().eq([(&1, &'a')]));
    /// ```
    #[inline]
    #[track_caller]
    pub fn iter(&self) -> Iter<'_, K, V, R, L> {
        self.map.iter(self.guard())
    }

    /// See [`OrderedMap::keys`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert!(map.pin().keys().eq([&1]));
    /// ```
    #[inline]
    #[track_caller]
    pub fn keys(&self) -> Keys<'_, K, V, R, L> {
        self.map.keys(self.guard())
    }

    /// See [`OrderedMap::values`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert!(map.pin().values().eq([&'a']));
    /// ```
    #[inline]
    #[track_caller]
    pub fn values(&self) -> Values<'_, K, V, R, L> {
        self.map.values(self.guard())
    }

    /// See [`OrderedMap::range`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b')]);
    /// assert!(map.pin().range(2..).eq([(&2, &'b')]));
    /// ```
    #[inline]
    #[track_caller]
    pub fn range<Q: ?Sized + Comparable<K>, B: RangeBounds<Q>>(
        &self,
        bounds: B,
    ) -> Range<'_, Q, B, K, V, R, L> {
        self.map.range(bounds, self.guard())
    }

    /// See [`OrderedMap::range_snapshot`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b')]);
    /// assert_eq!(map.pin().range_snapshot(2..).len(), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn range_snapshot<Q: ?Sized + Comparable<K>, B: RangeBounds<Q>>(
        &self,
        bounds: B,
    ) -> Snapshot<'_, K, V, L> {
        self.map.range_snapshot(bounds, self.guard())
    }

    /// See [`OrderedMap::retain`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b')]);
    /// map.pin().retain(|key, _| *key > 1);
    /// assert_eq!(map.len(), 1);
    /// ```
    pub fn retain(&self, predicate: impl FnMut(&K, &V) -> bool) {
        self.map.retain(predicate);
    }

    /// See [`OrderedMap::remove_range`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b'), (3, 'c')]);
    /// assert_eq!(map.pin().remove_range(..3), 2);
    /// ```
    pub fn remove_range<Q: ?Sized + Comparable<K>, B: RangeBounds<Q>>(&self, bounds: B) -> usize {
        self.map.remove_range(bounds)
    }

    /// See [`OrderedMap::clear`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b')]);
    /// map.pin().clear();
    /// assert!(map.is_empty());
    /// ```
    pub fn clear(&self) {
        self.map.clear();
    }
}

impl<'p, K: Ord, V, R: Reclaim, L: Layout<K, V>> IntoIterator for &'p OrderedMapRef<'_, K, V, R, L> {
    type Item = (&'p K, &'p V);
    type IntoIter = Iter<'p, K, V, R, L>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Ord + fmt::Debug, V: fmt::Debug, R: Reclaim, L: Layout<K, V>> fmt::Debug
    for OrderedMapRef<'_, K, V, R, L>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}
