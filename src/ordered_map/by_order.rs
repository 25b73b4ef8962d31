//! The map's operations on its ends and on ranges.

use core::ops::{Bound, RangeBounds};

use equivalent::Comparable;

use super::raw::Edge;
use super::{Iter, Keys, Layout, OrderedMap, Popped, Range, Snapshot, Values, lend};
use crate::reclaim::Reclaim;

impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> OrderedMap<K, V, R, L> {
    /// The entry with the smallest key.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(2, 'b'), (1, 'a')]);
    /// assert_eq!(map.first_key_value(&latchfree::pin()), Some((&1, &'a')));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn first_key_value<'g>(&'g self, guard: &'g R::Guard) -> Option<(&'g K, &'g V)> {
        self.lower_bound::<K>(Bound::Unbounded, guard)
    }

    /// The entry with the greatest key.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(2, 'b'), (1, 'a')]);
    /// assert_eq!(map.last_key_value(&latchfree::pin()), Some((&2, &'b')));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn last_key_value<'g>(&'g self, guard: &'g R::Guard) -> Option<(&'g K, &'g V)> {
        self.upper_bound::<K>(Bound::Unbounded, guard)
    }

    /// The first entry within a lower bound.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::ops::Bound::{Excluded, Included};
    ///
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (3, 'c')]);
    /// let guard = latchfree::pin();
    /// assert_eq!(map.lower_bound(Included(&1), &guard), Some((&1, &'a')));
    /// assert_eq!(map.lower_bound(Excluded(&1), &guard), Some((&3, &'c')));
    /// assert_eq!(map.lower_bound(Excluded(&3), &guard), None);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn lower_bound<'g, Q: ?Sized + Comparable<K>>(
        &'g self,
        bound: Bound<&Q>,
        guard: &'g R::Guard,
    ) -> Option<(&'g K, &'g V)> {
        R::check(guard);
        // SAFETY: both borrows are `'g`.
        self.raw.after(Edge::start::<K>(bound), guard).map(|item| unsafe { lend(item) })
    }

    /// The last entry within an upper bound.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::ops::Bound::{Excluded, Included};
    ///
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (3, 'c')]);
    /// let guard = latchfree::pin();
    /// assert_eq!(map.upper_bound(Included(&3), &guard), Some((&3, &'c')));
    /// assert_eq!(map.upper_bound(Excluded(&3), &guard), Some((&1, &'a')));
    /// assert_eq!(map.upper_bound(Excluded(&1), &guard), None);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn upper_bound<'g, Q: ?Sized + Comparable<K>>(
        &'g self,
        bound: Bound<&Q>,
        guard: &'g R::Guard,
    ) -> Option<(&'g K, &'g V)> {
        R::check(guard);
        // SAFETY: both borrows are `'g`.
        self.raw.ahead(Edge::end::<K>(bound), guard).map(|item| unsafe { lend(item) })
    }

    /// Removes the entry with the smallest key and lends it, to this caller alone.
    ///
    /// `None` if there was an instant during the call at which the map was empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(2, 'b'), (1, 'a')]);
    /// let guard = latchfree::pin();
    /// assert_eq!(map.pop_first(&guard), Some((&1, &'a')));
    /// assert_eq!(map.pop_first(&guard), Some((&2, &'b')));
    /// assert_eq!(map.pop_first(&guard), None);
    /// ```
    #[track_caller]
    pub fn pop_first<'g>(&'g self, guard: &'g R::Guard) -> Option<(&'g K, &'g V)> {
        self.pop_first_while(1, |_, _| true, guard).next()
    }

    /// Removes the entry with the greatest key and lends it, to this caller alone.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(2, 'b'), (1, 'a')]);
    /// assert_eq!(map.pop_last(&latchfree::pin()), Some((&2, &'b')));
    /// ```
    #[track_caller]
    pub fn pop_last<'g>(&'g self, guard: &'g R::Guard) -> Option<(&'g K, &'g V)> {
        R::check(guard);
        // SAFETY: both borrows are `'g`.
        self.raw.pop_last(guard).map(|item| unsafe { lend(item) })
    }

    /// As [`pop_first`](Self::pop_first), with clones, without a guard at hand.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, "one".to_string())]);
    /// assert_eq!(map.pop_first_cloned(), Some((1, "one".to_string())));
    /// assert_eq!(map.pop_first_cloned(), None);
    /// ```
    pub fn pop_first_cloned(&self) -> Option<(K, V)>
    where
        K: Clone,
        V: Clone,
    {
        self.pop_first(&R::pin()).map(|(key, value)| (key.clone(), value.clone()))
    }

    /// As [`pop_last`](Self::pop_last), with clones, without a guard at hand.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, "one".to_string())]);
    /// assert_eq!(map.pop_last_cloned(), Some((1, "one".to_string())));
    /// ```
    pub fn pop_last_cloned(&self) -> Option<(K, V)>
    where
        K: Clone,
        V: Clone,
    {
        self.pop_last(&R::pin()).map(|(key, value)| (key.clone(), value.clone()))
    }

    /// Removes the entries with the smallest keys while the predicate holds, up to `max` of them, in one step.
    ///
    /// Returns what one step took: at least one entry if the predicate holds for the first and `max > 0`; perhaps
    /// fewer than `max` although there are more, because it takes from one leaf: repeat until it returns none. No other
    /// thread gets any of these entries, and none ever sees a part of them gone. The predicate may be called several times.
    ///
    /// # Examples
    ///
    /// ```
    /// let timers: latchfree::OrderedMap<u64, String> = (0..100).map(|at| (at, format!("job {at}"))).collect();
    /// let guard = latchfree::pin();
    /// let (now, mut due) = (42, 0);
    /// loop {
    ///     let batch = timers.pop_first_while(1000, |&at, _| at <= now, &guard);
    ///     if batch.len() == 0 {
    ///         break;
    ///     }
    ///     due += batch.len();
    /// }
    /// assert_eq!(due, 43);
    /// ```
    #[track_caller]
    pub fn pop_first_while<'g>(
        &'g self,
        max: usize,
        predicate: impl FnMut(&K, &V) -> bool,
        guard: &'g R::Guard,
    ) -> Popped<'g, K, V, L> {
        R::check(guard);
        Popped::new(self.raw.pop_first_while(max, predicate, guard))
    }

    /// All entries, by ascending keys; see [scans](Self#scans).
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(2, 'b'), (1, 'a')]);
    /// let guard = latchfree::pin();
    /// assert!(map.iter(&guard).eq([(&1, &'a'), (&2, &'b')]));
    /// assert!(map.iter(&guard).rev().eq([(&2, &'b'), (&1, &'a')]));
    /// ```
    #[track_caller]
    pub fn iter<'g>(&'g self, guard: &'g R::Guard) -> Iter<'g, K, V, R, L> {
        R::check(guard);
        Iter::new(&self.raw, guard)
    }

    /// All keys, ascending.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(2, 'b'), (1, 'a')]);
    /// assert!(map.keys(&latchfree::pin()).eq(&[1, 2]));
    /// ```
    #[track_caller]
    pub fn keys<'g>(&'g self, guard: &'g R::Guard) -> Keys<'g, K, V, R, L> {
        Keys(self.iter(guard))
    }

    /// All values, by ascending keys.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(2, 'b'), (1, 'a')]);
    /// assert!(map.values(&latchfree::pin()).eq(&['a', 'b']));
    /// ```
    #[track_caller]
    pub fn values<'g>(&'g self, guard: &'g R::Guard) -> Values<'g, K, V, R, L> {
        Values(self.iter(guard))
    }

    /// The entries within bounds, by ascending keys, from both ends; see [scans](Self#scans). Empty if the bounds contradict
    /// each other.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::OrderedMap<_, _> = (0..100).map(|n| (n, n * n)).collect();
    /// let guard = latchfree::pin();
    /// assert!(map.range(3..6, &guard).eq([(&3, &9), (&4, &16), (&5, &25)]));
    /// assert_eq!(map.range(..=50, &guard).next_back(), Some((&50, &2500)));
    ///
    /// let words = latchfree::OrderedMap::from([("one".to_string(), 1), ("two".to_string(), 2)]);
    /// assert_eq!(words.range::<str, _>((std::ops::Bound::Excluded("one"), std::ops::Bound::Unbounded), &guard).count(), 1);
    /// ```
    #[track_caller]
    pub fn range<'g, Q: ?Sized + Comparable<K>, B: RangeBounds<Q>>(
        &'g self,
        bounds: B,
        guard: &'g R::Guard,
    ) -> Range<'g, Q, B, K, V, R, L> {
        R::check(guard);
        Range::new(&self.raw, bounds, guard)
    }

    /// The entries within bounds as they were at one moment during the call.
    ///
    /// It reads the leaves of the range until two readings agree: long ranges that are changed all the time may take
    /// long.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::OrderedMap<_, _> = (0..100).map(|n| (n, n * n)).collect();
    /// let guard = latchfree::pin();
    /// let snapshot = map.range_snapshot(10..90, &guard);
    /// map.clear();
    /// assert_eq!(snapshot.len(), 80);
    /// assert!(snapshot.map(|(key, _)| *key).eq(10..90));
    /// ```
    #[track_caller]
    pub fn range_snapshot<'g, Q: ?Sized + Comparable<K>, B: RangeBounds<Q>>(
        &'g self,
        bounds: B,
        guard: &'g R::Guard,
    ) -> Snapshot<'g, K, V, L> {
        R::check(guard);
        let (start, end) = (Edge::start::<K>(bounds.start_bound()), Edge::end::<K>(bounds.end_bound()));
        Snapshot::new(self.raw.snapshot(start, end, guard))
    }

    /// Removes the entries for which the predicate does not hold.
    ///
    /// Leaf by leaf, each in one step: what is inserted meanwhile may be passed over. The predicate is called again for
    /// entries of a leaf that others change meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::OrderedMap<_, _> = (0..100).map(|n| (n, n)).collect();
    /// map.retain(|_, n| n % 10 == 0);
    /// assert_eq!(map.len(), 10);
    /// ```
    pub fn retain(&self, predicate: impl FnMut(&K, &V) -> bool) {
        self.raw.retain::<K>(Edge::First, Edge::Last, predicate, &R::pin());
    }

    /// Removes the entries within bounds, leaf by leaf, each in one step, and returns how many. What is inserted meanwhile may stay.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::OrderedMap<_, _> = (0..100).map(|n| (n, n)).collect();
    /// assert_eq!(map.remove_range(10..90), 80);
    /// assert_eq!(map.len(), 20);
    /// ```
    pub fn remove_range<Q: ?Sized + Comparable<K>, B: RangeBounds<Q>>(&self, bounds: B) -> usize {
        let (start, end) = (Edge::start::<K>(bounds.start_bound()), Edge::end::<K>(bounds.end_bound()));
        self.raw.retain(start, end, |_, _| false, &R::pin())
    }

    /// Removes the entries that are there when it is called; what is inserted meanwhile may stay.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::OrderedMap<_, _> = (0..100).map(|n| (n, n)).collect();
    /// map.clear();
    /// assert!(map.is_empty());
    /// ```
    pub fn clear(&self) {
        self.remove_range::<K, _>(..);
    }
}
