//! Ordered sets: maps without values.

use core::fmt;
use core::ops::{Bound, RangeBounds};

use equivalent::Comparable;

use super::{
    Auto, Layout, OrderedMap, OrderedSetRef, SetIntoIter, SetIter, SetPopped, SetRange, SetSnapshot,
};
use crate::reclaim::{Accepts, Backlog, Epoch, Reclaim};
use crate::sync::const_fn;

/// An ordered set: an [`OrderedMap`] without values, strictly lock-free, and with the same guarantees.
///
/// Elements of plain types (integers, byte arrays, pairs of integers) lie in the leaves; others are boxed once, unless you
/// choose another [`Layout`].
///
/// # Examples
///
/// ```
/// let set = latchfree::OrderedSet::new();
/// let pinned = set.pin();
/// assert!(pinned.insert((20, "twenty")));
/// assert!(pinned.insert((10, "ten")));
/// assert!(!pinned.insert((10, "ten")));
/// assert_eq!(pinned.pop_first(), Some(&(10, "ten")));
/// ```
pub struct OrderedSet<T, R: Reclaim = Epoch, L: Layout<T, ()> = Auto> {
    pub(super) map: OrderedMap<T, (), R, L>,
}

impl<T> OrderedSet<T> {
    const_fn! {
        /// An empty set; allocates nothing.
        ///
        /// For another reclaimer than the default one, use [`Default`].
        ///
        /// # Examples
        ///
        /// ```
        /// static SEEN: latchfree::OrderedSet<u64> = latchfree::OrderedSet::new();
        /// assert!(SEEN.is_empty());
        /// ```
        #[must_use]
        pub const fn new() -> Self {
            Self { map: OrderedMap::new() }
        }
    }
}

impl<T, L: Layout<T, ()>> OrderedSet<T, Epoch, L> {
    const_fn! {
        /// An empty set of another [`Layout`] than the default one, for `Copy` elements of the user's own; allocates nothing.
        ///
        /// # Examples
        ///
        /// ```
        /// use latchfree::ordered_map::InlineKeys;
        /// use latchfree::{Epoch, OrderedSet};
        ///
        /// #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        /// struct Due(u64, u32);
        ///
        /// static DUE: OrderedSet<Due, Epoch, InlineKeys> = OrderedSet::with_layout();
        /// let due = DUE.pin();
        /// due.insert(Due(20, 1));
        /// due.insert(Due(10, 2));
        /// assert_eq!(due.pop_first(), Some(&Due(10, 2)));
        /// ```
        ///
        /// ```compile_fail,E0277
        /// use latchfree::ordered_map::InlineKeys;
        /// let set = latchfree::OrderedSet::<String, latchfree::Epoch, InlineKeys>::with_layout();
        /// ```
        #[must_use]
        pub const fn with_layout() -> Self {
            Self { map: OrderedMap::with_layout() }
        }
    }
}

impl<T, R: Reclaim, L: Layout<T, ()>> OrderedSet<T, R, L> {
    /// A handle with the set's operations, which holds a guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1, 2]);
    /// assert_eq!(set.pin().first(), Some(&1));
    /// ```
    #[inline]
    pub fn pin(&self) -> OrderedSetRef<'_, T, R, L> {
        OrderedSetRef { map: self.map.pin() }
    }

    /// How many elements there are; see [`OrderedMap::len`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([1, 2]).len(), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// See [`OrderedMap::collect`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::OrderedSet<_> = (0..1000).collect();
    /// set.clear();
    /// set.collect();
    /// assert_eq!(set.backlog().objects, 0);
    /// ```
    pub fn collect(&self) {
        self.map.collect();
    }

    /// See [`OrderedMap::backlog`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::<u8>::new().backlog().bytes, 0);
    /// ```
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.map.backlog()
    }
}

impl<T: Ord, R: Reclaim, L: Layout<T, ()>> OrderedSet<T, R, L> {
    /// True if there was an instant during the call at which the set was empty.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(latchfree::OrderedSet::<u8>::new().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// True if the element is there.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from(["a".to_string()]);
    /// assert!(set.contains("a") && !set.contains("b"));
    /// ```
    #[must_use]
    #[inline]
    pub fn contains<Q: ?Sized + Comparable<T>>(&self, element: &Q) -> bool {
        self.map.contains_key(element)
    }

    /// The element of the set that is equal to this one.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from(["a".to_string()]);
    /// assert_eq!(set.get("a", &latchfree::pin()), Some(&"a".to_string()));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get<'g, Q: ?Sized + Comparable<T>>(&'g self, element: &Q, guard: &'g R::Guard) -> Option<&'g T> {
        self.map.get_key_value(element, guard).map(|(element, ())| element)
    }

    /// Adds an element if there is no equal one; false if there is, and the given one is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::new();
    /// assert!(set.insert(1));
    /// assert!(!set.insert(1));
    /// ```
    #[inline]
    pub fn insert(&self, element: T) -> bool {
        self.insert_with(element, &R::pin())
    }

    /// As [`insert`](Self::insert), under a guard that the caller holds.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::new();
    /// let guard = latchfree::pin();
    /// assert!((0..10).all(|n| set.insert_with(n, &guard)));
    /// ```
    #[inline]
    #[track_caller]
    pub fn insert_with(&self, element: T, guard: &R::Guard) -> bool {
        self.map.try_insert(element, (), guard).is_ok()
    }

    /// Adds an element, or replaces an equal one, which is lent.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(set.replace(1, &guard), None);
    /// assert_eq!(set.replace(1, &guard), Some(&1));
    /// ```
    #[track_caller]
    pub fn replace<'g>(&'g self, element: T, guard: &'g R::Guard) -> Option<&'g T> {
        R::check(guard);
        // SAFETY: both borrows are `'g`.
        self.map.raw.insert(element, (), guard).map(|item| unsafe { super::lend(item) }.0)
    }

    /// Removes an element; true if it was there. Of several threads that remove it, one is told so.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1]);
    /// assert!(set.remove(&1));
    /// assert!(!set.remove(&1));
    /// ```
    #[inline]
    pub fn remove<Q: ?Sized + Comparable<T>>(&self, element: &Q) -> bool {
        self.map.remove(element, &R::pin()).is_some()
    }

    /// Removes an element and lends it.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1]);
    /// assert_eq!(set.take(&1, &latchfree::pin()), Some(&1));
    /// ```
    #[inline]
    #[track_caller]
    pub fn take<'g, Q: ?Sized + Comparable<T>>(&'g self, element: &Q, guard: &'g R::Guard) -> Option<&'g T> {
        self.map.remove_entry(element, guard).map(|(element, ())| element)
    }

    /// Removes an element if it is as it should be, in one step; see [`OrderedMap::remove_if`].
    ///
    /// # Errors
    ///
    /// If the element is there and the closure said no: the element.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1, 2]);
    /// let guard = latchfree::pin();
    /// assert_eq!(set.remove_if(&1, |_| false, &guard), Err(&1));
    /// assert_eq!(set.remove_if(&1, |_| true, &guard), Ok(Some(&1)));
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove_if<'g, Q: ?Sized + Comparable<T>>(
        &'g self,
        element: &Q,
        mut should_remove: impl FnMut(&T) -> bool,
        guard: &'g R::Guard,
    ) -> Result<Option<&'g T>, &'g T> {
        let removed = self.map.remove_if(element, |element, ()| should_remove(element), guard);
        removed.map(|entry| entry.map(|(element, ())| element)).map_err(|(element, ())| element)
    }

    /// The smallest element.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([2, 1]);
    /// assert_eq!(set.first(&latchfree::pin()), Some(&1));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn first<'g>(&'g self, guard: &'g R::Guard) -> Option<&'g T> {
        self.map.first_key_value(guard).map(|(element, ())| element)
    }

    /// The greatest element.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([2, 1]);
    /// assert_eq!(set.last(&latchfree::pin()), Some(&2));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn last<'g>(&'g self, guard: &'g R::Guard) -> Option<&'g T> {
        self.map.last_key_value(guard).map(|(element, ())| element)
    }

    /// The first element within a lower bound.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1, 3]);
    /// assert_eq!(set.lower_bound(std::ops::Bound::Included(&2), &latchfree::pin()), Some(&3));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn lower_bound<'g, Q: ?Sized + Comparable<T>>(
        &'g self,
        bound: Bound<&Q>,
        guard: &'g R::Guard,
    ) -> Option<&'g T> {
        self.map.lower_bound(bound, guard).map(|(element, ())| element)
    }

    /// The last element within an upper bound.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1, 3]);
    /// assert_eq!(set.upper_bound(std::ops::Bound::Included(&2), &latchfree::pin()), Some(&1));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn upper_bound<'g, Q: ?Sized + Comparable<T>>(
        &'g self,
        bound: Bound<&Q>,
        guard: &'g R::Guard,
    ) -> Option<&'g T> {
        self.map.upper_bound(bound, guard).map(|(element, ())| element)
    }

    /// Removes the smallest element and lends it, to this caller alone.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([2, 1]);
    /// assert_eq!(set.pop_first(&latchfree::pin()), Some(&1));
    /// ```
    #[track_caller]
    pub fn pop_first<'g>(&'g self, guard: &'g R::Guard) -> Option<&'g T> {
        self.map.pop_first(guard).map(|(element, ())| element)
    }

    /// Removes the greatest element and lends it, to this caller alone.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([2, 1]);
    /// assert_eq!(set.pop_last(&latchfree::pin()), Some(&2));
    /// ```
    #[track_caller]
    pub fn pop_last<'g>(&'g self, guard: &'g R::Guard) -> Option<&'g T> {
        self.map.pop_last(guard).map(|(element, ())| element)
    }

    /// As [`pop_first`](Self::pop_first), with a clone, without a guard at hand.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([2, 1]).pop_first_cloned(), Some(1));
    /// ```
    pub fn pop_first_cloned(&self) -> Option<T>
    where
        T: Clone,
    {
        self.pop_first(&R::pin()).cloned()
    }

    /// As [`pop_last`](Self::pop_last), with a clone, without a guard at hand.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([2, 1]).pop_last_cloned(), Some(2));
    /// ```
    pub fn pop_last_cloned(&self) -> Option<T>
    where
        T: Clone,
    {
        self.pop_last(&R::pin()).cloned()
    }

    /// Removes the smallest elements while the predicate holds, up to `max`, in one step; see [`OrderedMap::pop_first_while`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::OrderedSet<_> = (0..10).collect();
    /// assert!(set.pop_first_while(5, |&n| n < 3, &latchfree::pin()).eq(&[0, 1, 2]));
    /// ```
    #[track_caller]
    pub fn pop_first_while<'g>(
        &'g self,
        max: usize,
        mut predicate: impl FnMut(&T) -> bool,
        guard: &'g R::Guard,
    ) -> SetPopped<'g, T, L> {
        SetPopped(self.map.pop_first_while(max, |element, ()| predicate(element), guard))
    }

    /// All elements, ascending; see [scans](OrderedMap#scans).
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([2, 1]);
    /// assert!(set.iter(&latchfree::pin()).eq(&[1, 2]));
    /// ```
    #[track_caller]
    pub fn iter<'g>(&'g self, guard: &'g R::Guard) -> SetIter<'g, T, R, L> {
        SetIter(self.map.iter(guard))
    }

    /// The elements within bounds, ascending, from both ends; see [`OrderedMap::range`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::OrderedSet<_> = (0..10).collect();
    /// assert!(set.range(3..5, &latchfree::pin()).eq(&[3, 4]));
    /// ```
    #[track_caller]
    pub fn range<'g, Q: ?Sized + Comparable<T>, B: RangeBounds<Q>>(
        &'g self,
        bounds: B,
        guard: &'g R::Guard,
    ) -> SetRange<'g, Q, B, T, R, L> {
        SetRange(self.map.range(bounds, guard))
    }

    /// The elements within bounds as they were at one moment; see [`OrderedMap::range_snapshot`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::OrderedSet<_> = (0..10).collect();
    /// assert_eq!(set.range_snapshot(3..5, &latchfree::pin()).len(), 2);
    /// ```
    #[track_caller]
    pub fn range_snapshot<'g, Q: ?Sized + Comparable<T>, B: RangeBounds<Q>>(
        &'g self,
        bounds: B,
        guard: &'g R::Guard,
    ) -> SetSnapshot<'g, T, L> {
        SetSnapshot(self.map.range_snapshot(bounds, guard))
    }

    /// Removes the elements for which the predicate does not hold; see [`OrderedMap::retain`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::OrderedSet<_> = (0..10).collect();
    /// set.retain(|n| n % 2 == 0);
    /// assert_eq!(set.len(), 5);
    /// ```
    pub fn retain(&self, mut predicate: impl FnMut(&T) -> bool) {
        self.map.retain(|element, ()| predicate(element));
    }

    /// Removes the elements within bounds and returns how many; see [`OrderedMap::remove_range`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::OrderedSet<_> = (0..10).collect();
    /// assert_eq!(set.remove_range(2..), 8);
    /// ```
    pub fn remove_range<Q: ?Sized + Comparable<T>, B: RangeBounds<Q>>(&self, bounds: B) -> usize {
        self.map.remove_range(bounds)
    }

    /// Removes the elements that are there when it is called; what is added meanwhile may stay.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1, 2]);
    /// set.clear();
    /// assert!(set.is_empty());
    /// ```
    pub fn clear(&self) {
        self.map.clear();
    }
}

impl<T, R: Accepts<(T, ())>, L: Layout<T, ()>> Default for OrderedSet<T, R, L> {
    /// An empty set.
    fn default() -> Self {
        Self { map: OrderedMap::default() }
    }
}

impl<T: Ord, R: Accepts<(T, ())>, L: Layout<T, ()>> FromIterator<T> for OrderedSet<T, R, L> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self { map: elements.into_iter().map(|element| (element, ())).collect() }
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for OrderedSet<T> {
    /// As by [`FromIterator`], which is there for every reclaimer.
    fn from(elements: [T; N]) -> Self {
        elements.into_iter().collect()
    }
}

impl<T: Ord, R: Reclaim, L: Layout<T, ()>> Extend<T> for &OrderedSet<T, R, L> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        for element in elements {
            self.insert(element);
        }
    }
}

impl<T: Ord, R: Reclaim, L: Layout<T, ()>> Extend<T> for OrderedSet<T, R, L> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        (&*self).extend(elements);
    }
}

impl<T: Ord + Clone, R: Accepts<(T, ())>, L: Layout<T, ()>> Clone for OrderedSet<T, R, L> {
    /// The elements of one scan.
    fn clone(&self) -> Self {
        Self { map: self.map.clone() }
    }
}

impl<T: Ord, R: Reclaim, L: Layout<T, ()>> PartialEq for OrderedSet<T, R, L> {
    /// Compares the elements of one scan of each; exact while nobody changes them.
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}

impl<T: Ord, R: Reclaim, L: Layout<T, ()>> Eq for OrderedSet<T, R, L> {}

impl<T: Ord + fmt::Debug, R: Reclaim, L: Layout<T, ()>> fmt::Debug for OrderedSet<T, R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guard = R::pin();
        f.debug_set().entries(self.iter(&guard)).finish()
    }
}

impl<T, R: Reclaim, L: Layout<T, ()>> IntoIterator for OrderedSet<T, R, L> {
    type Item = T;
    type IntoIter = SetIntoIter<T, L>;

    /// The elements by value, ascending.
    fn into_iter(self) -> SetIntoIter<T, L> {
        SetIntoIter(self.map.into_iter())
    }
}
