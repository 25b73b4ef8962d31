//! The set: a map without values.

use core::fmt;
use core::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::held::Held;
use super::{HashMap, RandomState, TryReserveError};
pub use super::{
    set_iter::{IntoIter, Iter},
    set_pinned::HashSetRef,
};
use crate::reclaim::{Accepts, Backlog, Epoch, Reclaim};
use crate::sync::const_fn;

/// A concurrent hash set that lends references to its elements, linearizable and strictly lock-free: a [`HashMap`] without
/// values, whose documentation says what holds here as well.
///
/// # Examples
///
/// ```
/// use latchfree::HashSet;
///
/// let seen = HashSet::new();
/// let pinned = seen.pin();
/// assert!(pinned.insert("a"));
/// assert!(!pinned.insert("a"));
/// assert!(pinned.contains("a"));
/// ```
pub struct HashSet<T, S = RandomState, R: Reclaim = Epoch> {
    pub(crate) map: HashMap<T, (), S, R>,
}

#[cfg(feature = "std")]
impl<T> HashSet<T> {
    /// An empty set with the default hasher; allocates nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(latchfree::HashSet::<u64>::new().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self { map: HashMap::new() }
    }

    /// An empty set with room for so many elements.
    ///
    /// # Panics
    ///
    /// If there is no memory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(latchfree::HashSet::<u64>::with_capacity(100).capacity() >= 100);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { map: HashMap::with_capacity(capacity) }
    }
}

impl<T, S> HashSet<T, S> {
    const_fn! {
        /// An empty set with a hasher; allocates nothing.
        ///
        /// # Examples
        ///
        /// ```
        /// let set = latchfree::HashSet::<u64, _>::with_hasher(std::hash::RandomState::new());
        /// assert!(set.is_empty());
        /// ```
        #[must_use]
        pub const fn with_hasher(hasher: S) -> Self {
            Self { map: HashMap::with_hasher(hasher) }
        }
    }

    /// An empty set with a hasher and room for so many elements.
    ///
    /// # Panics
    ///
    /// If there is no memory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::hash::RandomState;
    ///
    /// let set = latchfree::HashSet::<u64, _>::with_capacity_and_hasher(100, RandomState::new());
    /// assert!(set.capacity() >= 100);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        Self { map: HashMap::with_capacity_and_hasher(capacity, hasher) }
    }
}

impl<T, S, R: Accepts<(T, ())>> HashSet<T, S, R> {
    /// An empty set of any reclaimer, with a hasher and room for so many elements.
    ///
    /// # Panics
    ///
    /// If there is no memory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::hash::RandomState;
    ///
    /// use latchfree::{Epoch, HashSet};
    ///
    /// let set: HashSet<u64, _, Epoch> = HashSet::with_reclaimer(0, RandomState::new());
    /// assert!(set.is_empty());
    /// ```
    #[must_use]
    #[track_caller]
    pub fn with_reclaimer(capacity: usize, hasher: S) -> Self {
        Self { map: HashMap::with_reclaimer(capacity, hasher) }
    }
}

impl<T, S, R: Reclaim> HashSet<T, S, R> {
    /// A handle with a guard of its own, on which the operations need none; see [`HashMap::pin`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(set.pin().contains(&1));
    /// ```
    #[inline]
    pub fn pin(&self) -> HashSetRef<'_, T, S, R> {
        HashSetRef { set: self, guard: Held::new(R::pin(), self.map.raw.place()) }
    }

    /// The set's hasher.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::HashSet::<u64>::new();
    /// let _: &std::hash::RandomState = set.hasher();
    /// ```
    #[must_use]
    pub fn hasher(&self) -> &S {
        self.map.hasher()
    }

    /// How many elements there are; see [`HashMap::len`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.len(), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// True if [`len`](Self::len) is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(!set.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// How many elements the table takes before it grows, about.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(set.capacity() >= 2);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.map.capacity()
    }

    /// See [`HashMap::reserve`].
    ///
    /// # Panics
    ///
    /// If there is no memory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// set.reserve(100);
    /// assert!(set.capacity() >= 102);
    /// ```
    #[track_caller]
    pub fn reserve(&self, additional: usize) {
        self.map.reserve(additional);
    }

    /// See [`HashMap::try_reserve`].
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(set.try_reserve(100).is_ok());
    /// ```
    pub fn try_reserve(&self, additional: usize) -> Result<(), TryReserveError> {
        self.map.try_reserve(additional)
    }

    /// See [`HashMap::shrink_to_fit`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::HashSet::<u64>::with_capacity(1000);
    /// set.shrink_to_fit();
    /// assert!(set.capacity() < 10);
    /// ```
    pub fn shrink_to_fit(&self) {
        self.map.shrink_to_fit();
    }

    /// Tries to free what was removed; see [`HashMap::collect`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// set.pin().clear();
    /// set.collect();
    /// assert_eq!(set.backlog().objects, 0);
    /// ```
    pub fn collect(&self) {
        self.map.collect();
    }

    /// What was removed and is not freed yet.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.backlog().objects, 0);
    /// ```
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.map.backlog()
    }

    /// The elements, lent, in no particular order; promises what [`super::Iter`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.iter(&latchfree::pin()).count(), 2);
    /// ```
    #[inline]
    #[track_caller]
    pub fn iter<'g>(&'g self, guard: &'g R::Guard) -> Iter<'g, T> {
        Iter(self.map.keys(guard))
    }
}

impl<T: Hash + Eq, S: BuildHasher, R: Reclaim> HashSet<T, S, R> {
    /// The element that is equal to another.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.get(&1, &latchfree::pin()), Some(&1));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get<'g, Q>(&'g self, key: &Q, guard: &'g R::Guard) -> Option<&'g T>
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.map.get_key_value(key, guard).map(|(element, ())| element)
    }

    /// True if the element is there.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(set.contains(&1, &latchfree::pin()));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn contains<Q>(&self, key: &Q, guard: &R::Guard) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.map.contains_key(key, guard)
    }

    /// Adds an element; false, and the set as it was, if it is there.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(!set.insert(1, &latchfree::pin()));
    /// ```
    #[inline]
    #[track_caller]
    pub fn insert(&self, element: T, guard: &R::Guard) -> bool {
        self.map.try_insert(element, (), guard).is_ok()
    }

    /// Adds an element, in the place of an equal one if there is one; true if there was none.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(!set.replace(1, &latchfree::pin()));
    /// ```
    #[inline]
    #[track_caller]
    pub fn replace(&self, element: T, guard: &R::Guard) -> bool {
        self.map.insert(element, (), guard).is_none()
    }

    /// Removes an element; false if it is not there.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(set.remove(&1, &latchfree::pin()));
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove<Q>(&self, key: &Q, guard: &R::Guard) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.map.remove_entry(key, guard).is_some()
    }

    /// Removes an element and lends it.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.take(&1, &latchfree::pin()), Some(&1));
    /// ```
    #[inline]
    #[track_caller]
    pub fn take<'g, Q>(&'g self, key: &Q, guard: &'g R::Guard) -> Option<&'g T>
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.map.remove_entry(key, guard).map(|(element, ())| element)
    }

    /// Removes an element if it is as it should be, in one step; see [`HashMap::remove_if`].
    ///
    /// # Errors
    ///
    /// If the element is there and the closure said no: the element.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.remove_if(&1, |_| false, &latchfree::pin()), Err(&1));
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove_if<'g, Q>(
        &'g self,
        key: &Q,
        mut should_remove: impl FnMut(&T) -> bool,
        guard: &'g R::Guard,
    ) -> Result<Option<&'g T>, &'g T>
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        let removed = self.map.remove_if(key, |element, ()| should_remove(element), guard);
        removed.map(|removed| removed.map(|(element, ())| element)).map_err(|(element, ())| element)
    }

    /// Removes some element and lends it; see [`HashMap::pop_any`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert!(set.pop_any(&latchfree::pin()).is_some());
    /// ```
    #[inline]
    #[track_caller]
    pub fn pop_any<'g>(&'g self, guard: &'g R::Guard) -> Option<&'g T> {
        self.map.pop_any(guard).map(|(element, ())| element)
    }

    /// Removes the elements; see [`HashMap::clear`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// set.clear(&latchfree::pin());
    /// assert!(set.is_empty());
    /// ```
    #[inline]
    #[track_caller]
    pub fn clear(&self, guard: &R::Guard) {
        self.map.clear(guard);
    }

    /// Removes the elements for which a closure says no; see [`HashMap::retain`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// set.retain(|n| *n > 1, &latchfree::pin());
    /// assert_eq!(set.len(), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn retain(&self, mut keep: impl FnMut(&T) -> bool, guard: &R::Guard) {
        self.map.retain(|element, ()| keep(element), guard);
    }

    /// Adds many elements, and returns how many were new; an equal element is replaced.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: latchfree::HashSet<_> = [1, 2].into();
    /// assert_eq!(set.insert_many([2, 3], &latchfree::pin()), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn insert_many(&self, elements: impl IntoIterator<Item = T>, guard: &R::Guard) -> usize {
        self.map.insert_many(elements.into_iter().map(|element| (element, ())), guard)
    }
}

impl<T, S: Default, R: Accepts<(T, ())>> Default for HashSet<T, S, R> {
    /// An empty set.
    fn default() -> Self {
        Self { map: HashMap::default() }
    }
}

impl<T: Hash + Eq, S: BuildHasher + Default, R: Accepts<(T, ())>> FromIterator<T> for HashSet<T, S, R> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut set = Self::default();
        set.extend(elements);
        set
    }
}

/// For the default hasher and reclaimer, as std's; for others collect.
#[cfg(feature = "std")]
impl<T: Hash + Eq, const N: usize> From<[T; N]> for HashSet<T> {
    fn from(elements: [T; N]) -> Self {
        elements.into_iter().collect()
    }
}

impl<T: Hash + Eq, S: BuildHasher, R: Reclaim> Extend<T> for HashSet<T, S, R> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        (&*self).extend(elements);
    }
}

impl<T: Hash + Eq, S: BuildHasher, R: Reclaim> Extend<T> for &HashSet<T, S, R> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        (&self.map).extend(elements.into_iter().map(|element| (element, ())));
    }
}

impl<T: Hash + Eq + Clone, S: BuildHasher + Clone, R: Accepts<(T, ())>> Clone for HashSet<T, S, R> {
    /// Another set with clones of the elements. What others change meanwhile may be in it or not.
    fn clone(&self) -> Self {
        Self { map: self.map.clone() }
    }
}

impl<T: Hash + Eq, S: BuildHasher, S2: BuildHasher, R: Reclaim, R2: Reclaim> PartialEq<HashSet<T, S2, R2>>
    for HashSet<T, S, R>
{
    /// The same elements; sensible only if nobody changes the sets meanwhile.
    fn eq(&self, other: &HashSet<T, S2, R2>) -> bool {
        self.map == other.map
    }
}

impl<T: Hash + Eq, S: BuildHasher, R: Reclaim> Eq for HashSet<T, S, R> {}

impl<T: fmt::Debug, S, R: Reclaim> fmt::Debug for HashSet<T, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter(&R::pin())).finish()
    }
}
