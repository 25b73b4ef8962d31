//! Ordered sets: maps without values.

use core::fmt;
use core::iter::FusedIterator;
use core::ops::{Bound, RangeBounds};

use equivalent::Comparable;

use super::{IntoIter, Iter, OrderedMap, OrderedMapRef, Popped, Range, Snapshot};
use crate::reclaim::{Accepts, Backlog, Epoch, Reclaim};
use crate::sync::const_fn;

/// An ordered set: an [`OrderedMap`] without values, strictly lock-free, and with the same guarantees.
///
/// Elements of plain types (integers, byte arrays, pairs of integers) lie in the leaves; others are boxed once.
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
pub struct OrderedSet<T, R: Reclaim = Epoch> {
    map: OrderedMap<T, (), R>,
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

impl<T, R: Reclaim> OrderedSet<T, R> {
    /// A handle with the set's operations, which holds a guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1, 2]);
    /// assert_eq!(set.pin().first(), Some(&1));
    /// ```
    #[inline]
    pub fn pin(&self) -> OrderedSetRef<'_, T, R> {
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

impl<T: Ord, R: Reclaim> OrderedSet<T, R> {
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

    /// The smallest element.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([2, 1]);
    /// assert_eq!(set.first(&latchfree::pin()), Some(&1));
    /// ```
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
    ) -> SetPopped<'g, T> {
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
    pub fn iter<'g>(&'g self, guard: &'g R::Guard) -> SetIter<'g, T, R> {
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
    ) -> SetRange<'g, Q, B, T, R> {
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
    ) -> SetSnapshot<'g, T> {
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

impl<T, R: Accepts<(T, ())>> Default for OrderedSet<T, R> {
    /// An empty set.
    fn default() -> Self {
        Self { map: OrderedMap::default() }
    }
}

impl<T: Ord, R: Accepts<(T, ())>> FromIterator<T> for OrderedSet<T, R> {
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

impl<T: Ord, R: Reclaim> Extend<T> for &OrderedSet<T, R> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        for element in elements {
            self.insert(element);
        }
    }
}

impl<T: Ord, R: Reclaim> Extend<T> for OrderedSet<T, R> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        (&*self).extend(elements);
    }
}

impl<T: Ord + Clone, R: Accepts<(T, ())>> Clone for OrderedSet<T, R> {
    /// The elements of one scan.
    fn clone(&self) -> Self {
        Self { map: self.map.clone() }
    }
}

impl<T: Ord, R: Reclaim> PartialEq for OrderedSet<T, R> {
    /// Compares the elements of one scan of each; exact while nobody changes them.
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}

impl<T: Ord, R: Reclaim> Eq for OrderedSet<T, R> {}

impl<T: Ord + fmt::Debug, R: Reclaim> fmt::Debug for OrderedSet<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guard = R::pin();
        f.debug_set().entries(self.iter(&guard)).finish()
    }
}

impl<T, R: Reclaim> IntoIterator for OrderedSet<T, R> {
    type Item = T;
    type IntoIter = SetIntoIter<T>;

    /// The elements by value, ascending.
    fn into_iter(self) -> SetIntoIter<T> {
        SetIntoIter(self.map.into_iter())
    }
}

/// An [`OrderedSet`] and a guard: the set's operations, lending for as long as the handle is borrowed.
///
/// As [`OrderedMapRef`] for a map.
///
/// # Examples
///
/// ```
/// let set = latchfree::OrderedSet::new();
/// let set = set.pin();
/// set.insert(2);
/// set.insert(1);
/// assert!(set.iter().eq(&[1, 2]));
/// ```
pub struct OrderedSetRef<'m, T, R: Reclaim = Epoch> {
    map: OrderedMapRef<'m, T, (), R>,
}

impl<T, R: Reclaim> OrderedSetRef<'_, T, R> {
    /// See [`OrderedMapRef::guard`].
    ///
    /// # Examples
    ///
    /// ```
    /// let sets = [latchfree::OrderedSet::from([1]), latchfree::OrderedSet::new()];
    /// let one = sets[0].pin();
    /// assert_eq!(sets[1].first(one.guard()), None);
    /// ```
    #[inline]
    pub fn guard(&self) -> &R::Guard {
        self.map.guard()
    }

    /// See [`OrderedMapRef::repin`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1]);
    /// let mut set = set.pin();
    /// set.repin();
    /// assert_eq!(set.first(), Some(&1));
    /// ```
    pub fn repin(&mut self) {
        self.map.repin();
    }

    /// See [`OrderedSet::len`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([1]).pin().len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }
}

impl<T: Ord, R: Reclaim> OrderedSetRef<'_, T, R> {
    /// See [`OrderedSet::is_empty`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(latchfree::OrderedSet::<u8>::new().pin().is_empty());
    /// ```
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// See [`OrderedSet::contains`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(latchfree::OrderedSet::from([1]).pin().contains(&1));
    /// ```
    #[inline]
    pub fn contains<Q: ?Sized + Comparable<T>>(&self, element: &Q) -> bool {
        self.map.contains_key(element)
    }

    /// See [`OrderedSet::get`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([1]).pin().get(&1), Some(&1));
    /// ```
    #[inline]
    pub fn get<Q: ?Sized + Comparable<T>>(&self, element: &Q) -> Option<&T> {
        self.map.get_key_value(element).map(|(element, ())| element)
    }

    /// See [`OrderedSet::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(latchfree::OrderedSet::new().pin().insert(1));
    /// ```
    #[inline]
    pub fn insert(&self, element: T) -> bool {
        self.map.try_insert(element, ()).is_ok()
    }

    /// See [`OrderedSet::remove`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(latchfree::OrderedSet::from([1]).pin().remove(&1));
    /// ```
    #[inline]
    pub fn remove<Q: ?Sized + Comparable<T>>(&self, element: &Q) -> bool {
        self.map.remove(element).is_some()
    }

    /// See [`OrderedSet::take`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([1]).pin().take(&1), Some(&1));
    /// ```
    #[inline]
    pub fn take<Q: ?Sized + Comparable<T>>(&self, element: &Q) -> Option<&T> {
        self.map.remove_entry(element).map(|(element, ())| element)
    }

    /// See [`OrderedSet::first`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([1, 2]).pin().first(), Some(&1));
    /// ```
    #[inline]
    pub fn first(&self) -> Option<&T> {
        self.map.first_key_value().map(|(element, ())| element)
    }

    /// See [`OrderedSet::last`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([1, 2]).pin().last(), Some(&2));
    /// ```
    #[inline]
    pub fn last(&self) -> Option<&T> {
        self.map.last_key_value().map(|(element, ())| element)
    }

    /// See [`OrderedSet::lower_bound`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1, 3]);
    /// assert_eq!(set.pin().lower_bound(std::ops::Bound::Included(&2)), Some(&3));
    /// ```
    #[inline]
    pub fn lower_bound<Q: ?Sized + Comparable<T>>(&self, bound: Bound<&Q>) -> Option<&T> {
        self.map.lower_bound(bound).map(|(element, ())| element)
    }

    /// See [`OrderedSet::upper_bound`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1, 3]);
    /// assert_eq!(set.pin().upper_bound(std::ops::Bound::Included(&2)), Some(&1));
    /// ```
    #[inline]
    pub fn upper_bound<Q: ?Sized + Comparable<T>>(&self, bound: Bound<&Q>) -> Option<&T> {
        self.map.upper_bound(bound).map(|(element, ())| element)
    }

    /// See [`OrderedSet::pop_first`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([1, 2]).pin().pop_first(), Some(&1));
    /// ```
    #[inline]
    pub fn pop_first(&self) -> Option<&T> {
        self.map.pop_first().map(|(element, ())| element)
    }

    /// See [`OrderedSet::pop_last`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([1, 2]).pin().pop_last(), Some(&2));
    /// ```
    #[inline]
    pub fn pop_last(&self) -> Option<&T> {
        self.map.pop_last().map(|(element, ())| element)
    }

    /// See [`OrderedSet::pop_first_while`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([1, 2]).pin().pop_first_while(9, |_| true).len(), 2);
    /// ```
    #[inline]
    pub fn pop_first_while(&self, max: usize, mut predicate: impl FnMut(&T) -> bool) -> SetPopped<'_, T> {
        SetPopped(self.map.pop_first_while(max, |element, ()| predicate(element)))
    }

    /// See [`OrderedSet::iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(latchfree::OrderedSet::from([2, 1]).pin().iter().eq(&[1, 2]));
    /// ```
    #[inline]
    pub fn iter(&self) -> SetIter<'_, T, R> {
        SetIter(self.map.iter())
    }

    /// See [`OrderedSet::range`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(latchfree::OrderedSet::from([1, 2]).pin().range(2..).eq(&[2]));
    /// ```
    #[inline]
    pub fn range<Q: ?Sized + Comparable<T>, B: RangeBounds<Q>>(&self, bounds: B) -> SetRange<'_, Q, B, T, R> {
        SetRange(self.map.range(bounds))
    }

    /// See [`OrderedSet::range_snapshot`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([1, 2]).pin().range_snapshot(2..).len(), 1);
    /// ```
    #[inline]
    pub fn range_snapshot<Q: ?Sized + Comparable<T>, B: RangeBounds<Q>>(
        &self,
        bounds: B,
    ) -> SetSnapshot<'_, T> {
        SetSnapshot(self.map.range_snapshot(bounds))
    }
}

impl<'p, T: Ord, R: Reclaim> IntoIterator for &'p OrderedSetRef<'_, T, R> {
    type Item = &'p T;
    type IntoIter = SetIter<'p, T, R>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Ord + fmt::Debug, R: Reclaim> fmt::Debug for OrderedSetRef<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

macro_rules! elements {
    ($name:ident<$($generic:ident),*>($inner:ty) where [$($bound:tt)*], $($doc:literal)+) => {
        $(#[doc = $doc])+
        #[must_use = "iterators are lazy and do nothing unless consumed"]
        pub struct $name<'g, $($generic),*>($inner) where $($bound)*;

        impl<'g, $($generic),*> Iterator for $name<'g, $($generic),*>
        where
            $inner: Iterator<Item = (&'g T, &'g ())>,
            $($bound)*
        {
            type Item = &'g T;

            #[inline]
            fn next(&mut self) -> Option<&'g T> {
                self.0.next().map(|(element, ())| element)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.0.size_hint()
            }
        }

        impl<'g, $($generic),*> DoubleEndedIterator for $name<'g, $($generic),*>
        where
            $inner: DoubleEndedIterator<Item = (&'g T, &'g ())>,
            $($bound)*
        {
            #[inline]
            fn next_back(&mut self) -> Option<&'g T> {
                self.0.next_back().map(|(element, ())| element)
            }
        }

        impl<'g, $($generic),*> ExactSizeIterator for $name<'g, $($generic),*>
        where
            $inner: ExactSizeIterator<Item = (&'g T, &'g ())>,
            $($bound)*
        {
        }

        impl<'g, $($generic),*> FusedIterator for $name<'g, $($generic),*>
        where
            $inner: FusedIterator<Item = (&'g T, &'g ())>,
            $($bound)*
        {
        }

        impl<$($generic),*> fmt::Debug for $name<'_, $($generic),*>
        where
            $($bound)*
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

elements!(SetIter<T, R>(Iter<'g, T, (), R>) where [R: Reclaim], "The elements of an [`OrderedSet`], ascending; see its [`iter`](OrderedSet::iter).");
elements!(SetPopped<T>(Popped<'g, T, ()>) where [], "Elements that were removed in one step; see [`OrderedSet::pop_first_while`].");
elements!(SetSnapshot<T>(Snapshot<'g, T, ()>) where [], "The elements of a range as they were at one moment; see [`OrderedSet::range_snapshot`].");

/// The elements of an [`OrderedSet`] within bounds; see its [`range`](OrderedSet::range).
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct SetRange<'g, Q: ?Sized, B, T, R: Reclaim = Epoch>(Range<'g, Q, B, T, (), R>);

impl<'g, Q: ?Sized + Comparable<T>, B: RangeBounds<Q>, T: Ord, R: Reclaim> Iterator
    for SetRange<'g, Q, B, T, R>
{
    type Item = &'g T;

    #[inline]
    fn next(&mut self) -> Option<&'g T> {
        self.0.next().map(|(element, ())| element)
    }
}

impl<Q: ?Sized + Comparable<T>, B: RangeBounds<Q>, T: Ord, R: Reclaim> DoubleEndedIterator
    for SetRange<'_, Q, B, T, R>
{
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(element, ())| element)
    }
}

impl<Q: ?Sized + Comparable<T>, B: RangeBounds<Q>, T: Ord, R: Reclaim> FusedIterator
    for SetRange<'_, Q, B, T, R>
{
}

impl<Q: ?Sized, B: fmt::Debug, T, R: Reclaim> fmt::Debug for SetRange<'_, Q, B, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SetRange").field(&self.0).finish()
    }
}

/// The elements of a set, by value and ascending.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct SetIntoIter<T>(IntoIter<T, ()>);

impl<T> Iterator for SetIntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.next().map(|(element, ())| element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> DoubleEndedIterator for SetIntoIter<T> {
    fn next_back(&mut self) -> Option<T> {
        self.0.next_back().map(|(element, ())| element)
    }
}

impl<T> ExactSizeIterator for SetIntoIter<T> {}
impl<T> FusedIterator for SetIntoIter<T> {}

impl<T> fmt::Debug for SetIntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SetIntoIter").field(&self.0).finish()
    }
}
