//! A set with a guard.

use core::fmt;
use core::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::RandomState;
use super::held::Held;
use super::set::HashSet;
use super::set_iter::Iter;
use crate::reclaim::{Epoch, Reclaim};

/// A [`HashSet`] and a guard: its operations need no guard, and lend for as long as the handle is borrowed.
///
/// # Examples
///
/// ```
/// let set = latchfree::HashSet::new();
/// let pinned = set.pin();
/// assert!(pinned.insert("a"));
/// assert_eq!(pinned.get("a"), Some(&"a"));
/// ```
#[must_use = "an unused handle ends its critical section at once"]
pub struct HashSetRef<'s, T, S = RandomState, R: Reclaim = Epoch> {
    pub(crate) set: &'s HashSet<T, S, R>,
    pub(super) guard: Held<R>,
}

impl<'s, T, S, R: Reclaim> HashSetRef<'s, T, S, R> {
    /// The set.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::HashSet::<u64>::new();
    /// assert!(set.pin().set().is_empty());
    /// ```
    #[must_use]
    pub fn set(&self) -> &'s HashSet<T, S, R> {
        self.set
    }

    /// The guard, for other structures of the same reclaimer.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1].into();
    /// let other = set.clone();
    /// let set = set.pin();
    /// assert!(set.contains(&1) && other.contains(&1, set.guard()));
    /// ```
    #[must_use]
    pub fn guard(&self) -> &R::Guard {
        self.guard.guard()
    }

    /// See [`HashMapRef::repin`](super::HashMapRef::repin).
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::HashSet::<u64>::new();
    /// set.pin().repin();
    /// ```
    pub fn repin(&mut self) {
        self.guard.repin();
    }

    /// See [`HashSet::len`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1].into();
    /// assert_eq!(set.pin().len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// See [`HashSet::is_empty`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1].into();
    /// assert!(!set.pin().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// See [`HashSet::iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.pin().iter().count(), 2);
    /// ```
    #[inline]
    pub fn iter(&self) -> Iter<'_, T> {
        self.set.iter(self.guard.guard())
    }
}

impl<T: Hash + Eq, S: BuildHasher, R: Reclaim> HashSetRef<'_, T, S, R> {
    /// See [`HashSet::get`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.pin().get(&1), Some(&1));
    /// ```
    #[must_use]
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&T>
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.set.get(key, self.guard.guard())
    }

    /// See [`HashSet::contains`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(set.pin().contains(&1));
    /// ```
    #[must_use]
    #[inline]
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.set.contains(key, self.guard.guard())
    }

    /// See [`HashSet::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(!set.pin().insert(1));
    /// ```
    #[inline]
    pub fn insert(&self, element: T) -> bool {
        self.set.insert(element, self.guard.changing())
    }

    /// See [`HashSet::replace`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(!set.pin().replace(1));
    /// ```
    #[inline]
    pub fn replace(&self, element: T) -> bool {
        self.set.replace(element, self.guard.changing())
    }

    /// See [`HashSet::remove`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(set.pin().remove(&1));
    /// ```
    #[inline]
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.set.remove(key, self.guard.changing())
    }

    /// See [`HashSet::take`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.pin().take(&1), Some(&1));
    /// ```
    #[inline]
    pub fn take<Q>(&self, key: &Q) -> Option<&T>
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.set.take(key, self.guard.changing())
    }

    /// See [`HashSet::remove_if`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.pin().remove_if(&1, |_| false), Err(&1));
    /// ```
    #[inline]
    pub fn remove_if<Q>(&self, key: &Q, should_remove: impl FnMut(&T) -> bool) -> Result<Option<&T>, &T>
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.set.remove_if(key, should_remove, self.guard.changing())
    }

    /// See [`HashSet::pop_any`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(set.pin().pop_any().is_some());
    /// ```
    #[inline]
    pub fn pop_any(&self) -> Option<&T> {
        self.set.pop_any(self.guard.changing())
    }

    /// See [`HashSet::clear`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// set.pin().clear();
    /// assert!(set.is_empty());
    /// ```
    #[inline]
    pub fn clear(&self) {
        self.set.clear(self.guard.changing());
    }

    /// See [`HashSet::retain`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// set.pin().retain(|n| *n > 1);
    /// assert_eq!(set.len(), 1);
    /// ```
    #[inline]
    pub fn retain(&self, keep: impl FnMut(&T) -> bool) {
        self.set.retain(keep, self.guard.changing());
    }

    /// See [`HashSet::insert_many`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.pin().insert_many([2, 3]), 1);
    /// ```
    #[inline]
    pub fn insert_many(&self, elements: impl IntoIterator<Item = T>) -> usize {
        self.set.insert_many(elements, self.guard.changing())
    }
}

impl<'a, T, S, R: Reclaim> IntoIterator for &'a HashSetRef<'_, T, S, R> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: fmt::Debug, S, R: Reclaim> fmt::Debug for HashSetRef<'_, T, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}
