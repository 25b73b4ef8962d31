//! Looking up, inserting and removing.

use core::error::Error;
use core::fmt;
use core::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::HashMap;
use super::raw::Decision;
use super::raw::boxed::{Draft, Entry, Outcome};
use crate::reclaim::Reclaim;

/// A key is there already: its value, and the one that was not inserted.
///
/// # Examples
///
/// ```
/// let map: latchfree::HashMap<_, _> = [(1, "one")].into();
/// let pinned = map.pin();
/// let error = pinned.try_insert(1, "uno").unwrap_err();
/// assert_eq!((error.current, error.not_inserted), (&"one", "uno"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OccupiedError<'g, V> {
    /// The value in the map.
    pub current: &'g V,
    /// The value that was to be inserted.
    pub not_inserted: V,
}

impl<V: fmt::Debug> fmt::Display for OccupiedError<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} was not inserted, the key has the value {:?}", self.not_inserted, self.current)
    }
}

impl<V: fmt::Debug> Error for OccupiedError<'_, V> {}

impl<K: Hash + Eq, V, S: BuildHasher, R: Reclaim> HashMap<K, V, S, R> {
    /// The value of a key.
    ///
    /// # Panics
    ///
    /// This and all operations that take a guard: if the guard belongs to another collector (possible with `Crossbeam`
    /// only).
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [("a".to_string(), 1)].into();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.get("a", &guard), Some(&1));
    /// assert_eq!(map.get("b", &guard), None);
    /// ```
    ///
    /// What is lent is bounded by the guard and by the map:
    ///
    /// ```compile_fail,E0505
    /// let map: latchfree::HashMap<_, _> = [(1, 1)].into();
    /// let guard = latchfree::pin();
    /// let one = map.get(&1, &guard);
    /// drop(guard);
    /// println!("{one:?}");
    /// ```
    ///
    /// ```compile_fail,E0505
    /// let map: latchfree::HashMap<_, _> = [(1, 1)].into();
    /// let guard = latchfree::pin();
    /// let one = map.get(&1, &guard);
    /// drop(map);
    /// println!("{one:?}");
    /// ```
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 1)].into();
    /// let guard = latchfree::pin();
    /// let one = map.get(&1, &guard);
    /// println!("{one:?}");
    /// drop(guard);
    /// drop(map);
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get<'g, Q>(&'g self, key: &Q, guard: &'g R::Guard) -> Option<&'g V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        R::check(guard);
        let hash = self.hash(key);
        self.raw.get(hash, |other| key.equivalent(other), guard).map(|entry| &*entry.value)
    }

    /// The key as it is in the map, and its value.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [("a".to_string(), 1)].into();
    /// assert_eq!(map.get_key_value("a", &latchfree::pin()), Some((&"a".to_string(), &1)));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get_key_value<'g, Q>(&'g self, key: &Q, guard: &'g R::Guard) -> Option<(&'g K, &'g V)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        R::check(guard);
        let hash = self.hash(key);
        self.raw.get(hash, |other| key.equivalent(other), guard).map(|entry| (&*entry.key, &*entry.value))
    }

    /// True if the key is there.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 1)].into();
    /// assert!(map.contains_key(&1, &latchfree::pin()));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn contains_key<Q>(&self, key: &Q, guard: &R::Guard) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.get(key, guard).is_some()
    }

    /// A clone of a key's value, without a guard at hand. The clone is made under a guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, "one".to_string())].into();
    /// assert_eq!(map.get_cloned(&1), Some("one".to_string()));
    /// ```
    #[must_use]
    #[inline]
    pub fn get_cloned<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        self.get(key, &R::pin()).cloned()
    }

    /// What a closure makes of a key's value, without a guard at hand. The closure runs under a guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, "one".to_string())].into();
    /// assert_eq!(map.with(&1, |name| name.len()), Some(3));
    /// assert_eq!(map.with(&2, |name| name.len()), None);
    /// ```
    #[inline]
    pub fn with<Q, T>(&self, key: &Q, f: impl FnOnce(&V) -> T) -> Option<T>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.get(key, &R::pin()).map(f)
    }

    /// Sets a key's value, and returns the one that it had, if any: that one is freed when no guard lends it any more.
    ///
    /// If the key is there, its entry is replaced, key included.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.insert(1, "a", &guard), None);
    /// assert_eq!(map.insert(1, "b", &guard), Some(&"a"));
    /// assert_eq!(map.get(&1, &guard), Some(&"b"));
    /// ```
    #[inline]
    #[track_caller]
    pub fn insert<'g>(&'g self, key: K, value: V, guard: &'g R::Guard) -> Option<&'g V> {
        R::check(guard);
        let hash = self.hash(&key);
        self.insert_hashed(hash, key, value, guard)
    }

    #[inline]
    pub(super) fn insert_hashed<'g>(
        &'g self,
        hash: u64,
        key: K,
        value: V,
        guard: &'g R::Guard,
    ) -> Option<&'g V> {
        let mut draft = self.raw.draft(Some(key), Some(value), guard);
        let eq = |draft: &Draft<'g, K, V, R>, other: &K| draft.key() == other;
        match self.raw.apply(hash, eq, &mut draft, |_, _| Decision::Put, guard) {
            Outcome::Replaced { old, .. } => Some(&old.value),
            _ => None,
        }
    }

    /// Inserts a value unless the key is there.
    ///
    /// # Errors
    ///
    /// If the key is there: its value, and the value back that was not inserted. The rejected key is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.try_insert(1, "a", &guard), Ok(&"a"));
    /// let error = map.try_insert(1, "b", &guard).unwrap_err();
    /// assert_eq!((error.current, error.not_inserted), (&"a", "b"));
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_insert<'g>(
        &'g self,
        key: K,
        value: V,
        guard: &'g R::Guard,
    ) -> Result<&'g V, OccupiedError<'g, V>> {
        R::check(guard);
        let hash = self.hash(&key);
        self.try_insert_hashed(hash, key, value, guard)
    }

    #[inline]
    pub(super) fn try_insert_hashed<'g>(
        &'g self,
        hash: u64,
        key: K,
        value: V,
        guard: &'g R::Guard,
    ) -> Result<&'g V, OccupiedError<'g, V>> {
        let mut draft = self.raw.draft(Some(key), Some(value), guard);
        match self.raw.apply(hash, |draft, other| draft.key() == other, &mut draft, put_if_absent, guard) {
            Outcome::Left(Some(entry)) => {
                let not_inserted = draft.take_value().expect("a draft that was not used");
                // The key goes here and not at the end: a result that is made already is leaked if a destructor panics then
                // (rust-lang/rust#47949).
                drop(draft);
                Err(OccupiedError { current: &entry.value, not_inserted })
            }
            outcome => Ok(&current(outcome).value),
        }
    }

    /// The key's value, inserted if it was not there.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.get_or_insert(1, "a", &guard), &"a");
    /// assert_eq!(map.get_or_insert(1, "b", &guard), &"a");
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_insert<'g>(&'g self, key: K, value: V, guard: &'g R::Guard) -> &'g V {
        R::check(guard);
        let hash = self.hash(&key);
        let mut draft = self.raw.draft(Some(key), Some(value), guard);
        let eq = |draft: &Draft<'g, K, V, R>, other: &K| draft.key() == other;
        &current(self.raw.apply(hash, eq, &mut draft, put_if_absent, guard)).value
    }

    /// The key's value; if it was not there, inserted as the closure makes it.
    ///
    /// The closure runs at most once. What it made is dropped if another thread inserts the key meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.get_or_insert_with(1, || "made".to_string(), &guard), "made");
    /// assert_eq!(map.get_or_insert_with(1, || unreachable!(), &guard), "made");
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_insert_with<'g>(&'g self, key: K, value: impl FnOnce() -> V, guard: &'g R::Guard) -> &'g V {
        R::check(guard);
        let hash = self.hash(&key);
        self.get_or_insert_hashed(hash, key, |_| value(), guard)
    }

    #[inline]
    pub(super) fn get_or_insert_hashed<'g>(
        &'g self,
        hash: u64,
        key: K,
        value: impl FnOnce(&K) -> V,
        guard: &'g R::Guard,
    ) -> &'g V {
        let mut draft = self.raw.draft(Some(key), None, guard);
        let mut value = Some(value);
        let eq = |draft: &Draft<'g, K, V, R>, other: &K| draft.key() == other;
        let decide = |draft: &mut Draft<'g, K, V, R>, entry: Option<&'g Entry<K, V>>| {
            if entry.is_some() {
                return Decision::Leave;
            }
            if let Some(value) = value.take() {
                draft.value = Some(value(draft.key()));
            }
            Decision::Put
        };
        &current(self.raw.apply(hash, eq, &mut draft, decide, guard)).value
    }

    /// Removes a key, and lends the value that it had.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, "a")].into();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.remove(&1, &guard), Some(&"a"));
    /// assert_eq!(map.remove(&1, &guard), None);
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove<'g, Q>(&'g self, key: &Q, guard: &'g R::Guard) -> Option<&'g V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        Some(self.remove_entry(key, guard)?.1)
    }

    /// Removes a key, and returns a clone of the value that it had, without a guard at hand.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, "one".to_string())].into();
    /// assert_eq!(map.remove_cloned(&1).as_deref(), Some("one"));
    /// ```
    pub fn remove_cloned<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        self.remove(key, &R::pin()).cloned()
    }

    /// Removes a key, and lends the entry.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [("a".to_string(), 1)].into();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.remove_entry("a", &guard), Some((&"a".to_string(), &1)));
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove_entry<'g, Q>(&'g self, key: &Q, guard: &'g R::Guard) -> Option<(&'g K, &'g V)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.remove_if(key, |_, _| true, guard).ok().flatten()
    }

    /// Removes a key if its entry is as it should be, in one step: the entry that is removed is the one that was judged.
    ///
    /// The closure runs again when the entry was replaced meanwhile.
    ///
    /// # Errors
    ///
    /// If the key is there and the closure said no: the entry.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 10)].into();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.remove_if(&1, |_, n| *n > 10, &guard), Err((&1, &10)));
    /// assert_eq!(map.remove_if(&1, |_, n| *n == 10, &guard), Ok(Some((&1, &10))));
    /// assert_eq!(map.remove_if(&1, |_, n| *n == 10, &guard), Ok(None));
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove_if<'g, Q>(
        &'g self,
        key: &Q,
        mut should_remove: impl FnMut(&K, &V) -> bool,
        guard: &'g R::Guard,
    ) -> Result<Option<(&'g K, &'g V)>, (&'g K, &'g V)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        R::check(guard);
        let hash = self.hash(key);
        let mut draft = self.raw.draft(None, None, guard);
        let decide = |_: &mut Draft<'g, K, V, R>, entry: Option<&'g Entry<K, V>>| match entry {
            Some(entry) if should_remove(&entry.key, &entry.value) => Decision::Remove,
            _ => Decision::Leave,
        };
        match self.raw.apply(hash, |_, other| key.equivalent(other), &mut draft, decide, guard) {
            Outcome::Left(Some(entry)) => Err((&entry.key, &entry.value)),
            Outcome::Removed(entry) => Ok(Some((&entry.key, &entry.value))),
            _ => Ok(None),
        }
    }
}

/// Inserts where there is nothing.
fn put_if_absent<K, V, R: Reclaim>(_: &mut Draft<'_, K, V, R>, entry: Option<&Entry<K, V>>) -> Decision {
    if entry.is_some() { Decision::Leave } else { Decision::Put }
}

/// The entry that an operation left in the map.
pub(super) fn current<K, V>(outcome: Outcome<'_, K, V>) -> &Entry<K, V> {
    match outcome {
        Outcome::Left(Some(entry)) | Outcome::Inserted(entry) => entry,
        Outcome::Replaced { new, .. } => new,
        Outcome::Left(None) | Outcome::Removed(_) => unreachable!("an operation that leaves an entry"),
    }
}
