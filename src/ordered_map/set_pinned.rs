//! The handle of a set, which holds a guard.

use core::fmt;
use core::ops::{Bound, RangeBounds};

use equivalent::Comparable;

#[cfg(doc)]
use super::OrderedSet;
use super::{Auto, Layout, OrderedMapRef, SetIter, SetPopped, SetRange, SetSnapshot};
use crate::reclaim::{Epoch, Reclaim};

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
#[must_use = "an unused handle ends its critical section at once"]
pub struct OrderedSetRef<'m, T, R: Reclaim = Epoch, L: Layout<T, ()> = Auto> {
    pub(super) map: OrderedMapRef<'m, T, (), R, L>,
}

impl<T, R: Reclaim, L: Layout<T, ()>> OrderedSetRef<'_, T, R, L> {
    /// See [`OrderedMapRef::guard`].
    ///
    /// # Examples
    ///
    /// ```
    /// let sets = [latchfree::OrderedSet::from([1]), latchfree::OrderedSet::new()];
    /// let one = sets[0].pin();
    /// assert_eq!(sets[1].first(one.guard()), None);
    /// ```
    #[must_use]
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

impl<T: Ord, R: Reclaim, L: Layout<T, ()>> OrderedSetRef<'_, T, R, L> {
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
    #[must_use]
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
    #[must_use]
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
    #[must_use]
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
    #[must_use]
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
    #[must_use]
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
    #[must_use]
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
    pub fn pop_first_while(&self, max: usize, mut predicate: impl FnMut(&T) -> bool) -> SetPopped<'_, T, L> {
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
    pub fn iter(&self) -> SetIter<'_, T, R, L> {
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
    pub fn range<Q: ?Sized + Comparable<T>, B: RangeBounds<Q>>(
        &self,
        bounds: B,
    ) -> SetRange<'_, Q, B, T, R, L> {
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
    ) -> SetSnapshot<'_, T, L> {
        SetSnapshot(self.map.range_snapshot(bounds))
    }

    /// See [`OrderedSet::remove_if`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1, 2]);
    /// assert_eq!(set.pin().remove_if(&1, |n| *n > 1), Err(&1));
    /// ```
    #[inline]
    pub fn remove_if<Q: ?Sized + Comparable<T>>(
        &self,
        element: &Q,
        mut should_remove: impl FnMut(&T) -> bool,
    ) -> Result<Option<&T>, &T> {
        let removed = self.map.remove_if(element, |element, ()| should_remove(element));
        removed.map(|entry| entry.map(|(element, ())| element)).map_err(|(element, ())| element)
    }

    /// See [`OrderedSet::retain`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1, 2]);
    /// set.pin().retain(|n| *n > 1);
    /// assert_eq!(set.len(), 1);
    /// ```
    pub fn retain(&self, mut predicate: impl FnMut(&T) -> bool) {
        self.map.retain(|element, ()| predicate(element));
    }

    /// See [`OrderedSet::remove_range`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::OrderedSet::from([1, 2, 3]).pin().remove_range(..3), 2);
    /// ```
    pub fn remove_range<Q: ?Sized + Comparable<T>, B: RangeBounds<Q>>(&self, bounds: B) -> usize {
        self.map.remove_range(bounds)
    }

    /// See [`OrderedSet::clear`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1, 2]);
    /// set.pin().clear();
    /// assert!(set.is_empty());
    /// ```
    pub fn clear(&self) {
        self.map.clear();
    }
}

impl<'p, T: Ord, R: Reclaim, L: Layout<T, ()>> IntoIterator for &'p OrderedSetRef<'_, T, R, L> {
    type Item = &'p T;
    type IntoIter = SetIter<'p, T, R, L>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Ord + fmt::Debug, R: Reclaim, L: Layout<T, ()>> fmt::Debug for OrderedSetRef<'_, T, R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}
