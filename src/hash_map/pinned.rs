//! The handle of a map: the map and a guard.

use alloc::vec::Vec;
use core::fmt;
use core::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::held::Held;
use super::{Compute, Drain, Entry, HashMap, Iter, Keys, OccupiedError, Operation, RandomState, Values};
use crate::reclaim::{Epoch, Reclaim};

/// A [`HashMap`] and a guard: its operations need no guard, and lend for as long as the handle is borrowed.
///
/// Stays with its thread, as guards do.
///
/// # Examples
///
/// ```
/// let map = latchfree::HashMap::new();
/// let pinned = map.pin();
/// pinned.insert("a", 1);
/// assert_eq!(pinned.get("a"), Some(&1));
/// ```
///
/// ```compile_fail,E0505
/// let map: latchfree::HashMap<_, _> = [(1, 1)].into();
/// let pinned = map.pin();
/// let one = pinned.get(&1);
/// drop(pinned);
/// println!("{one:?}");
/// ```
///
/// ```
/// let map: latchfree::HashMap<_, _> = [(1, 1)].into();
/// let pinned = map.pin();
/// let one = pinned.get(&1);
/// println!("{one:?}");
/// drop(pinned);
/// ```
#[must_use = "an unused handle ends its critical section at once"]
pub struct HashMapRef<'m, K, V, S = RandomState, R: Reclaim = Epoch> {
    map: &'m HashMap<K, V, S, R>,
    guard: Held<R>,
}

impl<'m, K, V, S, R: Reclaim> HashMapRef<'m, K, V, S, R> {
    #[inline]
    pub(super) fn new(map: &'m HashMap<K, V, S, R>) -> Self {
        Self { map, guard: Held::new(R::pin(), map.raw.place()) }
    }

    /// The map.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::<u64, u64>::new();
    /// assert!(std::ptr::eq(map.pin().map(), &map));
    /// ```
    #[must_use]
    pub fn map(&self) -> &'m HashMap<K, V, S, R> {
        self.map
    }

    /// The guard, for other structures of the same reclaimer.
    ///
    /// # Examples
    ///
    /// ```
    /// let (jobs, done) = (latchfree::HashMap::new(), latchfree::Queue::new());
    /// let jobs = jobs.pin();
    /// jobs.insert(1, "sweep");
    /// done.push_with(jobs.remove(&1).copied(), jobs.guard());
    /// ```
    #[must_use]
    pub fn guard(&self) -> &R::Guard {
        self.guard.guard()
    }

    /// Ends the critical section and begins a new one, so that what was removed meanwhile can be freed. Nothing that was
    /// lent outlives it.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// let mut pinned = map.pin();
    /// for n in 0..10_000 {
    ///     pinned.insert(n % 10, n);
    ///     if n % 100 == 0 {
    ///         pinned.repin();
    ///     }
    /// }
    /// ```
    pub fn repin(&mut self) {
        self.guard.repin();
    }

    /// See [`HashMap::len`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 1)].into();
    /// assert_eq!(map.pin().len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// See [`HashMap::is_empty`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 1)].into();
    /// assert!(!map.pin().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// See [`HashMap::iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().iter().count(), 2);
    /// ```
    #[inline]
    pub fn iter(&self) -> Iter<'_, K, V> {
        self.map.iter(self.guard.guard())
    }

    /// See [`HashMap::keys`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().keys().sum::<i32>(), 3);
    /// ```
    #[inline]
    pub fn keys(&self) -> Keys<'_, K, V> {
        self.map.keys(self.guard.guard())
    }

    /// See [`HashMap::values`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().values().sum::<i32>(), 30);
    /// ```
    #[inline]
    pub fn values(&self) -> Values<'_, K, V> {
        self.map.values(self.guard.guard())
    }
}

impl<K: Hash + Eq, V, S: BuildHasher, R: Reclaim> HashMapRef<'_, K, V, S, R> {
    /// See [`HashMap::get`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().get(&1), Some(&10));
    /// ```
    #[must_use]
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.map.get(key, self.guard.guard())
    }

    /// See [`HashMap::get_key_value`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().get_key_value(&1), Some((&1, &10)));
    /// ```
    #[must_use]
    #[inline]
    pub fn get_key_value<Q>(&self, key: &Q) -> Option<(&K, &V)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.map.get_key_value(key, self.guard.guard())
    }

    /// See [`HashMap::contains_key`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert!(map.pin().contains_key(&1));
    /// ```
    #[must_use]
    #[inline]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.map.contains_key(key, self.guard.guard())
    }

    /// See [`HashMap::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().insert(1, 11), Some(&10));
    /// ```
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Option<&V> {
        self.map.insert(key, value, self.guard.changing())
    }

    /// See [`HashMap::try_insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().try_insert(3, 30), Ok(&30));
    /// assert!(map.pin().try_insert(1, 11).is_err());
    /// ```
    #[inline]
    pub fn try_insert(&self, key: K, value: V) -> Result<&V, OccupiedError<'_, V>> {
        self.map.try_insert(key, value, self.guard.changing())
    }

    /// See [`HashMap::get_or_insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().get_or_insert(1, 11), &10);
    /// ```
    #[inline]
    pub fn get_or_insert(&self, key: K, value: V) -> &V {
        self.map.get_or_insert(key, value, self.guard.changing())
    }

    /// See [`HashMap::get_or_insert_with`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().get_or_insert_with(3, || 30), &30);
    /// ```
    #[inline]
    pub fn get_or_insert_with(&self, key: K, value: impl FnOnce() -> V) -> &V {
        self.map.get_or_insert_with(key, value, self.guard.changing())
    }

    /// See [`HashMap::remove`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().remove(&1), Some(&10));
    /// ```
    #[inline]
    pub fn remove<Q>(&self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.map.remove(key, self.guard.changing())
    }

    /// See [`HashMap::remove_entry`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().remove_entry(&1), Some((&1, &10)));
    /// ```
    #[inline]
    pub fn remove_entry<Q>(&self, key: &Q) -> Option<(&K, &V)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.map.remove_entry(key, self.guard.changing())
    }

    /// See [`HashMap::remove_if`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().remove_if(&1, |_, n| *n > 10), Err((&1, &10)));
    /// ```
    #[inline]
    pub fn remove_if<Q>(
        &self,
        key: &Q,
        should_remove: impl FnMut(&K, &V) -> bool,
    ) -> Result<Option<(&K, &V)>, (&K, &V)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.map.remove_if(key, should_remove, self.guard.changing())
    }

    /// See [`HashMap::update`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().update(1, |n| n + 1), Some(&11));
    /// ```
    #[inline]
    pub fn update(&self, key: K, update: impl FnMut(&V) -> V) -> Option<&V> {
        self.map.update(key, update, self.guard.changing())
    }

    /// See [`HashMap::update_ref`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().update_ref(&1, |n| n + 1), Some(&11));
    /// ```
    #[inline]
    pub fn update_ref<Q>(&self, key: &Q, update: impl FnMut(&V) -> V) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        K: Clone,
    {
        self.map.update_ref(key, update, self.guard.changing())
    }

    /// See [`HashMap::update_or_insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().update_or_insert(3, |n| n + 1, 30), &30);
    /// ```
    #[inline]
    pub fn update_or_insert(&self, key: K, update: impl FnMut(&V) -> V, value: V) -> &V {
        self.map.update_or_insert(key, update, value, self.guard.changing())
    }

    /// See [`HashMap::update_or_insert_with`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().update_or_insert_with(1, |n| n + 1, || 30), &11);
    /// ```
    #[inline]
    pub fn update_or_insert_with(
        &self,
        key: K,
        update: impl FnMut(&V) -> V,
        value: impl FnOnce() -> V,
    ) -> &V {
        self.map.update_or_insert_with(key, update, value, self.guard.changing())
    }

    /// See [`HashMap::compute`].
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Compute, Operation};
    ///
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// let remove = |_: Option<_>| Operation::<i32>::Remove;
    /// assert_eq!(map.pin().compute(1, remove), Compute::Removed(&1, &10));
    /// ```
    #[inline]
    pub fn compute<'g, T>(
        &'g self,
        key: K,
        compute: impl FnMut(Option<(&'g K, &'g V)>) -> Operation<V, T>,
    ) -> Compute<'g, K, V, T> {
        self.map.compute(key, compute, self.guard.changing())
    }

    /// See [`HashMap::compute_ref`].
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Compute, Operation};
    ///
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// let remove = |_: Option<_>| Operation::<i32>::Remove;
    /// assert_eq!(map.pin().compute_ref(&1, remove), Compute::Removed(&1, &10));
    /// ```
    #[inline]
    pub fn compute_ref<'g, T>(
        &'g self,
        key: &K,
        compute: impl FnMut(Option<(&'g K, &'g V)>) -> Operation<V, T>,
    ) -> Compute<'g, K, V, T>
    where
        K: Clone,
    {
        self.map.compute_ref(key, compute, self.guard.changing())
    }

    /// See [`HashMap::entry`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().entry(3).or_insert(30), &30);
    /// ```
    #[inline]
    pub fn entry(&self, key: K) -> Entry<'_, K, V, S, R> {
        self.map.entry(key, self.guard.changing())
    }

    /// See [`HashMap::drain`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().drain().count(), 2);
    /// ```
    #[inline]
    pub fn drain(&self) -> Drain<'_, K, V, R> {
        self.map.drain(self.guard.changing())
    }

    /// See [`HashMap::pop_any`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert!(map.pin().pop_any().is_some());
    /// ```
    #[inline]
    pub fn pop_any(&self) -> Option<(&K, &V)> {
        self.map.pop_any(self.guard.changing())
    }

    /// See [`HashMap::clear`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// map.pin().clear();
    /// assert!(map.is_empty());
    /// ```
    #[inline]
    pub fn clear(&self) {
        self.map.clear(self.guard.changing())
    }

    /// See [`HashMap::retain`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// map.pin().retain(|_, n| *n > 10);
    /// assert_eq!(map.len(), 1);
    /// ```
    #[inline]
    pub fn retain(&self, keep: impl FnMut(&K, &V) -> bool) {
        self.map.retain(keep, self.guard.changing())
    }

    /// See [`HashMap::get_many`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().get_many(&[1, 3]), [Some(&10), None]);
    /// ```
    #[must_use]
    #[inline]
    pub fn get_many<'k, Q>(&self, keys: impl IntoIterator<Item = &'k Q>) -> Vec<Option<&V>>
    where
        Q: Hash + Equivalent<K> + ?Sized + 'k,
    {
        self.map.get_many(keys, self.guard.guard())
    }

    /// See [`HashMap::get_many_with`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// map.pin().get_many_with(&[1], |key, value| assert_eq!((key, value), (&1, Some(&10))));
    /// ```
    #[inline]
    pub fn get_many_with<'g, 'k, Q>(
        &'g self,
        keys: impl IntoIterator<Item = &'k Q>,
        f: impl FnMut(&'k Q, Option<&'g V>),
    ) where
        Q: Hash + Equivalent<K> + ?Sized + 'k,
    {
        self.map.get_many_with(keys, f, self.guard.guard())
    }

    /// See [`HashMap::insert_many`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10), (2, 20)].into();
    /// assert_eq!(map.pin().insert_many([(2, 21), (3, 30)]), 1);
    /// ```
    #[inline]
    pub fn insert_many(&self, entries: impl IntoIterator<Item = (K, V)>) -> usize {
        self.map.insert_many(entries, self.guard.changing())
    }
}

impl<'a, K, V, S, R: Reclaim> IntoIterator for &'a HashMapRef<'_, K, V, S, R> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<K: fmt::Debug, V: fmt::Debug, S, R: Reclaim> fmt::Debug for HashMapRef<'_, K, V, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}
