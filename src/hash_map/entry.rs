//! `entry`: a look at one key, and the changes that depend on what was seen.
//!
//! Nothing is locked meanwhile. What makes a change conditional is the identity of the entry that was seen, its address:
//! entries do not change once they are in the map, are put into it once, and are not freed while the guard lasts under which they
//! were seen. So an entry at that address in the map is that very entry, with that key and that value, however many others were
//! there in between (no ABA). The absence of an entry has no such identity: it is enough that there is none.

use core::error::Error;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::ptr;

use super::conditional::Start;
use super::raw::Decision;
use super::raw::boxed::{Draft, Entry as Boxed, Outcome};
use super::{HashMap, OccupiedError, RandomState};
use crate::reclaim::{Epoch, Reclaim};

/// Where was looked, and the caller's key.
struct Look<'g, K, V, S, R: Reclaim> {
    map: &'g HashMap<K, V, S, R>,
    guard: &'g R::Guard,
    hash: u64,
    key: K,
}

/// What there was of a key when [`HashMap::entry`] looked: an entry, or none.
///
/// A look at one moment. It keeps nobody from anything, so that what was seen may be gone when you act on it; therefore each
/// change is one atomic step that takes place only if what was seen is still there, and hands back what is there now
/// otherwise. Between look and change you may do whatever you like, with this map too. Where what is to be done is known
/// beforehand, [`update_or_insert`](HashMap::update_or_insert), [`compute`](HashMap::compute) and their like look once only.
///
/// # Examples
///
/// ```
/// use latchfree::hash_map::{Entry, HashMap};
///
/// /// Doubles what there is, unless somebody else changes it first: then tries again with what is there.
/// fn double(map: &HashMap<&'static str, u32>, key: &'static str) -> Option<u32> {
///     let guard = latchfree::pin();
///     let mut entry = map.entry(key, &guard);
///     loop {
///         let Entry::Occupied(seen) = entry else { return None };
///         let doubled = seen.get() * 2; // as slow as it likes to be
///         match seen.replace(doubled) {
///             Ok(value) => return Some(*value),
///             Err(error) => entry = error.entry,
///         }
///     }
/// }
///
/// let map: HashMap<_, _> = [("a", 21)].into();
/// assert_eq!((double(&map, "a"), double(&map, "b")), (Some(42), None));
/// ```
pub enum Entry<'g, K, V, S = RandomState, R: Reclaim = Epoch> {
    /// There was one.
    Occupied(OccupiedEntry<'g, K, V, S, R>),
    /// There was none.
    Vacant(VacantEntry<'g, K, V, S, R>),
}

/// An entry that was in the map when [`HashMap::entry`] looked, and the caller's key.
///
/// # Examples
///
/// ```
/// use latchfree::hash_map::{Entry, HashMap};
///
/// let map: HashMap<_, _> = [(1, "one")].into();
/// let pinned = map.pin();
/// let Entry::Occupied(entry) = pinned.entry(1) else { unreachable!() };
/// assert_eq!((entry.key(), entry.get()), (&1, &"one"));
/// ```
#[must_use = "it only holds what was seen"]
pub struct OccupiedEntry<'g, K, V, S = RandomState, R: Reclaim = Epoch> {
    look: Look<'g, K, V, S, R>,
    seen: &'g Boxed<K, V>,
}

/// A key that was not in the map when [`HashMap::entry`] looked.
///
/// # Examples
///
/// ```
/// use latchfree::hash_map::{Entry, HashMap};
///
/// let map = HashMap::new();
/// let pinned = map.pin();
/// let Entry::Vacant(entry) = pinned.entry(1) else { unreachable!() };
/// assert_eq!(entry.insert("one"), Ok(&"one"));
/// ```
#[must_use = "it only holds a key"]
pub struct VacantEntry<'g, K, V, S = RandomState, R: Reclaim = Epoch> {
    look: Look<'g, K, V, S, R>,
}

/// An entry, and how its value is to be updated; made by [`Entry::and_update`].
///
/// Does nothing by itself: ask for one of its `or_` methods, each of which updates or inserts in one atomic step.
///
/// # Examples
///
/// ```
/// let visits = latchfree::HashMap::new();
/// for page in ["a", "b", "a"] {
///     visits.pin().entry(page).and_update(|n| n + 1).or_insert(1);
/// }
/// assert_eq!(visits.get_cloned("a"), Some(2));
/// ```
#[must_use = "nothing is updated before one of the `or_` methods is called"]
pub struct UpdateEntry<'g, K, V, F, S = RandomState, R: Reclaim = Epoch> {
    look: Look<'g, K, V, S, R>,
    update: F,
}

/// An entry was not replaced, because it was not there any more: what is there now, and the value back.
///
/// # Examples
///
/// ```
/// use latchfree::hash_map::{Entry, HashMap};
///
/// let map: HashMap<_, _> = [(1, "one")].into();
/// let pinned = map.pin();
/// let Entry::Occupied(entry) = pinned.entry(1) else { unreachable!() };
/// pinned.remove(&1);
/// let error = entry.replace("uno").unwrap_err();
/// assert_eq!(error.not_inserted, "uno");
/// assert!(matches!(error.entry, Entry::Vacant(_)));
/// ```
pub struct ChangedError<'g, K, V, S = RandomState, R: Reclaim = Epoch> {
    /// What is there now, and the caller's key.
    pub entry: Entry<'g, K, V, S, R>,
    /// The value that was to be put there.
    pub not_inserted: V,
}

impl<K: Hash + Eq, V, S: BuildHasher, R: Reclaim> HashMap<K, V, S, R> {
    /// Looks at what there is of a key, to decide then what is to become of it. Locks nothing: see [`Entry`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.entry("a", &guard).or_insert(1), &1);
    /// assert_eq!(map.entry("a", &guard).or_insert(2), &1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn entry<'g>(&'g self, key: K, guard: &'g R::Guard) -> Entry<'g, K, V, S, R> {
        R::check(guard);
        let hash = self.hash(&key);
        let seen = self.raw.get(hash, |other| key == *other, guard);
        Entry::new(Look { map: self, guard, hash, key }, seen)
    }
}

impl<'g, K: Hash + Eq, V, S: BuildHasher, R: Reclaim> Entry<'g, K, V, S, R> {
    #[inline]
    fn new(look: Look<'g, K, V, S, R>, seen: Option<&'g Boxed<K, V>>) -> Self {
        match seen {
            Some(seen) => Self::Occupied(OccupiedEntry { look, seen }),
            None => Self::Vacant(VacantEntry { look }),
        }
    }

    /// The key: the map's if there was an entry, else the caller's.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::<_, u32>::new();
    /// assert_eq!(map.pin().entry("a").key(), &"a");
    /// ```
    #[must_use]
    pub fn key(&self) -> &K {
        match self {
            Self::Occupied(entry) => entry.key(),
            Self::Vacant(entry) => entry.key(),
        }
    }

    /// The value that was seen; if there was none, the key's value, inserted if there still is none.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.entry("a").or_insert(1), &1);
    /// let seen = pinned.entry("a");
    /// pinned.insert("a", 2);
    /// assert_eq!(seen.or_insert(3), &1); // what was seen, though it is not there any more
    /// ```
    pub fn or_insert(self, value: V) -> &'g V {
        match self {
            Self::Occupied(entry) => entry.get(),
            Self::Vacant(VacantEntry { look: Look { map, guard, hash, key } }) => {
                map.get_or_insert_hashed(hash, key, |_| value, guard)
            }
        }
    }

    /// As [`or_insert`](Self::or_insert), with the value made by a closure.
    ///
    /// It runs at most once, and not if there is an entry. What it made is dropped if another thread inserts the key
    /// meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.entry("a").or_insert_with(|| "made".to_string()), "made");
    /// assert_eq!(pinned.entry("a").or_insert_with(|| unreachable!()), "made");
    /// ```
    pub fn or_insert_with(self, value: impl FnOnce() -> V) -> &'g V {
        self.or_insert_with_key(|_| value())
    }

    /// As [`or_insert_with`](Self::or_insert_with); the closure is told the key.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// assert_eq!(map.pin().entry("four").or_insert_with_key(|key| key.len()), &4);
    /// ```
    pub fn or_insert_with_key(self, value: impl FnOnce(&K) -> V) -> &'g V {
        match self {
            Self::Occupied(entry) => entry.get(),
            Self::Vacant(VacantEntry { look: Look { map, guard, hash, key } }) => {
                map.get_or_insert_hashed(hash, key, value, guard)
            }
        }
    }

    /// As [`or_insert_with`](Self::or_insert_with), with the type's default value.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::<_, u32>::new();
    /// assert_eq!(map.pin().entry("a").or_default(), &0);
    /// ```
    pub fn or_default(self) -> &'g V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }

    /// The value is to be replaced by what a closure makes of it; what happens if there is none is said by what follows.
    ///
    /// The value is the one that is there then, not the one that was seen: the update is never lost, and the closure runs
    /// again if another thread changes the value meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.entry("a").and_update(|n| n + 1).or_insert(10), &10);
    /// assert_eq!(pinned.entry("a").and_update(|n| n + 1).or_insert(10), &11);
    /// ```
    #[doc(alias = "and_modify")]
    pub fn and_update<F: FnMut(&V) -> V>(self, update: F) -> UpdateEntry<'g, K, V, F, S, R> {
        let (Self::Occupied(OccupiedEntry { look, .. }) | Self::Vacant(VacantEntry { look })) = self;
        UpdateEntry { look, update }
    }
}

impl<'g, K: Hash + Eq, V, S: BuildHasher, R: Reclaim> OccupiedEntry<'g, K, V, S, R> {
    /// The key, as it was in the map.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Entry, HashMap};
    ///
    /// let map: HashMap<_, _> = [(1, "one")].into();
    /// let guard = latchfree::pin();
    /// let Entry::Occupied(entry) = map.entry(1, &guard) else { unreachable!() };
    /// assert_eq!(entry.key(), &1);
    /// ```
    #[must_use]
    pub fn key(&self) -> &'g K {
        &self.seen.key
    }

    /// The value. It stays good for as long as the guard, whatever becomes of the entry.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Entry, HashMap};
    ///
    /// let map: HashMap<_, _> = [(1, "one")].into();
    /// let guard = latchfree::pin();
    /// let Entry::Occupied(entry) = map.entry(1, &guard) else { unreachable!() };
    /// map.remove(&1, &guard);
    /// assert_eq!(entry.get(), &"one");
    /// ```
    #[must_use]
    pub fn get(&self) -> &'g V {
        &self.seen.value
    }

    /// The caller's key, back.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Entry, HashMap};
    ///
    /// let map: HashMap<_, _> = [("a".to_string(), 1)].into();
    /// let guard = latchfree::pin();
    /// let Entry::Occupied(entry) = map.entry("a".to_string(), &guard) else { unreachable!() };
    /// assert_eq!(entry.into_key(), "a");
    /// ```
    #[must_use]
    pub fn into_key(self) -> K {
        self.look.key
    }

    /// Replaces this very entry, key included, and lends the new value.
    ///
    /// # Errors
    ///
    /// If this entry is not there any more, replaced perhaps by an equal one: what is there now, and the value back.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Entry, HashMap};
    ///
    /// let map: HashMap<_, _> = [("a", 1)].into();
    /// let guard = latchfree::pin();
    /// let Entry::Occupied(first) = map.entry("a", &guard) else { unreachable!() };
    /// let Entry::Occupied(second) = map.entry("a", &guard) else { unreachable!() };
    /// assert_eq!(first.replace(2).unwrap(), &2);
    ///
    /// let error = second.replace(3).unwrap_err(); // saw what was there before
    /// let Entry::Occupied(now) = error.entry else { unreachable!() };
    /// assert_eq!((now.get(), error.not_inserted), (&2, 3));
    /// assert_eq!(now.replace(3).unwrap(), &3);
    /// ```
    pub fn replace(self, value: V) -> Result<&'g V, ChangedError<'g, K, V, S, R>> {
        let Self { look: Look { map, guard, hash, key }, seen } = self;
        let mut draft = map.raw.draft(Some(key), Some(value), guard);
        let decide = |_: &mut Draft<'g, K, V, R>, entry: Option<&'g Boxed<K, V>>| match entry {
            Some(entry) if ptr::eq(entry, seen) => Decision::Put,
            _ => Decision::Leave,
        };
        match map.raw.apply(hash, |draft, other| draft.key() == other, &mut draft, decide, guard) {
            Outcome::Left(now) => {
                // An entry that is only ever put in another one's place is never shown before that.
                let Some((key, not_inserted)) = draft.into_parts() else {
                    unreachable!("a draft that was shown")
                };
                Err(ChangedError { entry: Entry::new(Look { map, guard, hash, key }, now), not_inserted })
            }
            Outcome::Replaced { new, .. } => Ok(&new.value),
            Outcome::Inserted(_) | Outcome::Removed(_) => unreachable!("an entry was to be replaced"),
        }
    }

    /// Removes this very entry, and lends its value.
    ///
    /// # Errors
    ///
    /// If this entry is not there any more, replaced perhaps by an equal one: what is there now.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Entry, HashMap};
    ///
    /// let map: HashMap<_, _> = [("a", 1)].into();
    /// let guard = latchfree::pin();
    /// let Entry::Occupied(entry) = map.entry("a", &guard) else { unreachable!() };
    /// map.insert("a", 2, &guard);
    /// let Err(Entry::Occupied(now)) = entry.remove() else { unreachable!() };
    /// assert_eq!(now.remove().unwrap(), &2);
    /// ```
    pub fn remove(self) -> Result<&'g V, Entry<'g, K, V, S, R>> {
        let Self { look, seen } = self;
        let Look { map, guard, hash, ref key } = look;
        let mut draft = map.raw.draft(None, None, guard);
        let decide = |_: &mut Draft<'g, K, V, R>, entry: Option<&'g Boxed<K, V>>| match entry {
            Some(entry) if ptr::eq(entry, seen) => Decision::Remove,
            _ => Decision::Leave,
        };
        match map.raw.apply(hash, |_, other| key == other, &mut draft, decide, guard) {
            Outcome::Left(now) => {
                drop(draft);
                Err(Entry::new(look, now))
            }
            Outcome::Removed(entry) => Ok(&entry.value),
            Outcome::Inserted(_) | Outcome::Replaced { .. } => unreachable!("an entry was to be removed"),
        }
    }
}

impl<'g, K: Hash + Eq, V, S: BuildHasher, R: Reclaim> VacantEntry<'g, K, V, S, R> {
    /// The caller's key.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Entry, HashMap};
    ///
    /// let map = HashMap::<_, u32>::new();
    /// let guard = latchfree::pin();
    /// let Entry::Vacant(entry) = map.entry("a", &guard) else { unreachable!() };
    /// assert_eq!(entry.key(), &"a");
    /// ```
    #[must_use]
    pub fn key(&self) -> &K {
        &self.look.key
    }

    /// The caller's key, back.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Entry, HashMap};
    ///
    /// let map = HashMap::<_, u32>::new();
    /// let guard = latchfree::pin();
    /// let Entry::Vacant(entry) = map.entry("a".to_string(), &guard) else { unreachable!() };
    /// assert_eq!(entry.into_key(), "a");
    /// ```
    #[must_use]
    pub fn into_key(self) -> K {
        self.look.key
    }

    /// Inserts a value if there still is none, or none again.
    ///
    /// # Errors
    ///
    /// If there is one: that one, and the value back. The key is dropped, as in [`try_insert`](HashMap::try_insert): other
    /// threads may be comparing it with theirs at that moment. Clone it beforehand if you need it.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Entry, HashMap};
    ///
    /// let map = HashMap::new();
    /// let guard = latchfree::pin();
    /// let Entry::Vacant(first) = map.entry("a", &guard) else { unreachable!() };
    /// let Entry::Vacant(second) = map.entry("a", &guard) else { unreachable!() };
    /// assert_eq!(first.insert(1), Ok(&1));
    /// let error = second.insert(2).unwrap_err();
    /// assert_eq!((error.current, error.not_inserted), (&1, 2));
    /// ```
    pub fn insert(self, value: V) -> Result<&'g V, OccupiedError<'g, V>> {
        let Look { map, guard, hash, key } = self.look;
        map.try_insert_hashed(hash, key, value, guard)
    }
}

impl<'g, K: Hash + Eq, V, F: FnMut(&V) -> V, S: BuildHasher, R: Reclaim> UpdateEntry<'g, K, V, F, S, R> {
    /// Updates the value, or inserts one if there is none, in one step; lends what is there then.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [("a", 1)].into();
    /// assert_eq!(map.pin().entry("a").and_update(|n| n + 1).or_insert(7), &2);
    /// assert_eq!(map.pin().entry("b").and_update(|n| n + 1).or_insert(7), &7);
    /// ```
    pub fn or_insert(self, value: V) -> &'g V {
        let Look { map, guard, hash, key } = self.look;
        map.update_or(hash, key, self.update, Start::<V, fn() -> V>::Value(value), guard)
    }

    /// As [`or_insert`](Self::or_insert), with the value to be inserted made by a closure, which runs at most once.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [("a", 1)].into();
    /// assert_eq!(map.pin().entry("a").and_update(|n| n + 1).or_insert_with(|| unreachable!()), &2);
    /// assert_eq!(map.pin().entry("b").and_update(|n| n + 1).or_insert_with(|| 7), &7);
    /// ```
    pub fn or_insert_with(self, value: impl FnOnce() -> V) -> &'g V {
        let Look { map, guard, hash, key } = self.look;
        map.update_or(hash, key, self.update, Start::With(value), guard)
    }

    /// As [`or_insert_with`](Self::or_insert_with), with the type's default value.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::<_, u32>::new();
    /// assert_eq!(map.pin().entry("a").and_update(|n| n + 1).or_default(), &0);
    /// ```
    pub fn or_default(self) -> &'g V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }

    /// Updates the value if there is one, and lends the new one.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [("a", 1)].into();
    /// assert_eq!(map.pin().entry("a").and_update(|n| n + 1).or_leave(), Some(&2));
    /// assert_eq!(map.pin().entry("b").and_update(|n| n + 1).or_leave(), None);
    /// ```
    pub fn or_leave(self) -> Option<&'g V> {
        let Look { map, guard, hash, key } = self.look;
        map.update_hashed(hash, key, self.update, guard)
    }
}

impl<K: fmt::Debug, V: fmt::Debug, S, R: Reclaim> fmt::Debug for Entry<'_, K, V, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occupied(entry) => entry.fmt(f),
            Self::Vacant(entry) => entry.fmt(f),
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug, S, R: Reclaim> fmt::Debug for OccupiedEntry<'_, K, V, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, value) = (&*self.seen.key, &*self.seen.value);
        f.debug_struct("OccupiedEntry").field("key", key).field("value", value).finish_non_exhaustive()
    }
}

impl<K: fmt::Debug, V, S, R: Reclaim> fmt::Debug for VacantEntry<'_, K, V, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VacantEntry").field("key", &self.look.key).finish_non_exhaustive()
    }
}

impl<K: fmt::Debug, V, F, S, R: Reclaim> fmt::Debug for UpdateEntry<'_, K, V, F, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateEntry").field("key", &self.look.key).finish_non_exhaustive()
    }
}

impl<K: fmt::Debug, V: fmt::Debug, S, R: Reclaim> fmt::Debug for ChangedError<'_, K, V, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, not_inserted } = self;
        f.debug_struct("ChangedError").field("entry", entry).field("not_inserted", not_inserted).finish()
    }
}

impl<K: fmt::Debug, V: fmt::Debug, S, R: Reclaim> fmt::Display for ChangedError<'_, K, V, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} was not put in an entry's place: there is {:?} now", self.not_inserted, self.entry)
    }
}

impl<K: fmt::Debug, V: fmt::Debug, S, R: Reclaim> Error for ChangedError<'_, K, V, S, R> {}
