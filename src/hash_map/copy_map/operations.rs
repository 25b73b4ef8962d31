//! Operations on one key, each in one atomic step.

use core::hash::{BuildHasher, Hash};

use bytemuck::NoUninit;
use equivalent::Equivalent;

use super::CopyMap;
use crate::hash_map::raw::inline::{Change, Done};
use crate::reclaim::Reclaim;

mod sealed {
    pub trait Sealed {}
}

/// The integers that [`add_if_below`](CopyMap::add_if_below) counts with: all of std's with at most eight bytes.
///
/// # Examples
///
/// ```
/// use latchfree::CopyMap;
/// use latchfree::hash_map::copy_map::Integer;
///
/// /// Two of a kind, and no third.
/// fn admit<V: Integer + From<u8>>(places: &CopyMap<u64, V>, who: u64) -> bool {
///     places.add_if_below(who, V::from(1), V::from(2)).is_ok()
/// }
/// let places = CopyMap::<u64, u16>::new();
/// assert_eq!([7, 7, 7].map(|who| admit(&places, who)), [true, true, false]);
/// ```
pub trait Integer: NoUninit + Ord + sealed::Sealed {
    #[doc(hidden)]
    const ZERO: Self;
    #[doc(hidden)]
    fn plus(self, other: Self) -> Option<Self>;
}

macro_rules! integers {
    ($($integer:ty)+) => {$(
        impl sealed::Sealed for $integer {}
        impl Integer for $integer {
            const ZERO: Self = 0;
            #[inline(always)]
            fn plus(self, other: Self) -> Option<Self> {
                self.checked_add(other)
            }
        }
    )+};
}
integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

/// What there is after an operation that leaves an entry.
fn left<K, V>(done: Done<K, V>) -> V {
    match (done.change, done.found) {
        (Change::Put(value), _) | (Change::Leave, Some((_, value))) => value,
        _ => unreachable!("an operation that leaves an entry"),
    }
}

impl<K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> CopyMap<K, V, S, R> {
    /// Changes the entry of an owned key, which is there or not.
    #[inline]
    fn apply(&self, key: K, decide: impl FnMut(Option<(K, V)>) -> Change<V>) -> Done<K, V> {
        let hash = self.hash(&key);
        let done = self.raw.apply(hash, Some(key), |other| key == *other, decide, &R::pin());
        self.raw.rest();
        done
    }

    /// Changes the entry of a borrowed key if it is there.
    #[inline]
    fn apply_ref<Q>(&self, key: &Q, mut decide: impl FnMut(K, V) -> Change<V>) -> Done<K, V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let decide = |found: Option<(K, V)>| found.map_or(Change::Leave, |(key, value)| decide(key, value));
        let hash = self.hash(key);
        let done = self.raw.apply(hash, None, |other| key.equivalent(other), decide, &R::pin());
        self.raw.rest();
        done
    }

    /// The value of a key.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = [(1, 'a')].into();
    /// assert_eq!(map.get(&1), Some('a'));
    /// assert_eq!(map.get(&2), None);
    /// ```
    #[must_use]
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.raw.get(self.hash(key), |other| key.equivalent(other), |_, value| value)
    }

    /// The key as it is in the map, and its value.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = [(1, 'a')].into();
    /// assert_eq!(map.get_key_value(&1), Some((1, 'a')));
    /// ```
    #[must_use]
    #[inline]
    pub fn get_key_value<Q>(&self, key: &Q) -> Option<(K, V)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.raw.get(self.hash(key), |other| key.equivalent(other), |key, value| (key, value))
    }

    /// True if the key is there.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = [(1, 'a')].into();
    /// assert!(map.contains_key(&1));
    /// ```
    #[must_use]
    #[inline]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.raw.get(self.hash(key), |other| key.equivalent(other), |_, _| ()).is_some()
    }

    /// Sets a key's value, and returns the one that it had. If the key is there, its entry is replaced, key included.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::CopyMap::new();
    /// assert_eq!(map.insert(1, 'a'), None);
    /// assert_eq!(map.insert(1, 'b'), Some('a'));
    /// assert_eq!(map.get(&1), Some('b'));
    /// ```
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        Some(self.apply(key, |_| Change::Put(value)).found?.1)
    }

    /// Inserts a value unless the key is there.
    ///
    /// # Errors
    ///
    /// If the key is there: the value that it has.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::CopyMap::new();
    /// assert_eq!(map.try_insert(1, 'a'), Ok(()));
    /// assert_eq!(map.try_insert(1, 'b'), Err('a'));
    /// ```
    #[inline]
    pub fn try_insert(&self, key: K, value: V) -> Result<(), V> {
        match self.apply(key, |found| found.map_or(Change::Put(value), |_| Change::Leave)).found {
            None => Ok(()),
            Some((_, current)) => Err(current),
        }
    }

    /// The key's value, inserted if it was not there.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::CopyMap::new();
    /// assert_eq!(map.get_or_insert(1, 'a'), 'a');
    /// assert_eq!(map.get_or_insert(1, 'b'), 'a');
    /// ```
    #[inline]
    pub fn get_or_insert(&self, key: K, value: V) -> V {
        self.get_or_insert_with(key, || value)
    }

    /// The key's value; if it was not there, inserted as the closure makes it.
    ///
    /// The closure runs at most once. What it made is discarded if another thread inserts the key meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::CopyMap::new();
    /// assert_eq!(map.get_or_insert_with(1, || 'a'), 'a');
    /// assert_eq!(map.get_or_insert_with(1, || unreachable!()), 'a');
    /// ```
    #[inline]
    pub fn get_or_insert_with(&self, key: K, value: impl FnOnce() -> V) -> V {
        let (mut make, mut made) = (Some(value), None);
        left(self.apply(key, |found| {
            if found.is_some() {
                return Change::Leave;
            }
            if let Some(make) = make.take() {
                made = Some(make());
            }
            Change::Put(made.expect("made above, or before"))
        }))
    }

    /// Removes a key, and returns the value that it had.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = [(1, 'a')].into();
    /// assert_eq!(map.remove(&1), Some('a'));
    /// assert_eq!(map.remove(&1), None);
    /// ```
    #[inline]
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        Some(self.apply_ref(key, |_, _| Change::Remove).found?.1)
    }

    /// Removes a key if its entry is as it should be, in one step: the entry that is removed is the one that was judged.
    ///
    /// # Errors
    ///
    /// If the key is there and the closure said no: its value.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = [(1, 10)].into();
    /// assert_eq!(map.remove_if(&1, |_, n| n > 10), Err(10));
    /// assert_eq!(map.remove_if(&1, |_, n| n == 10), Ok(Some(10)));
    /// assert_eq!(map.remove_if(&1, |_, n| n == 10), Ok(None));
    /// ```
    #[inline]
    pub fn remove_if<Q>(&self, key: &Q, mut should_remove: impl FnMut(K, V) -> bool) -> Result<Option<V>, V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let done =
            self.apply_ref(
                key,
                |key, value| {
                    if should_remove(key, value) { Change::Remove } else { Change::Leave }
                },
            );
        match (done.found, done.change) {
            (Some((_, value)), Change::Leave) => Err(value),
            (found, _) => Ok(found.map(|(_, value)| value)),
        }
    }

    /// Sets a key's value to `new` if it is `current`, and returns the one before, which is equal to `current`.
    ///
    /// Values are compared by `PartialEq`, not by their bits.
    ///
    /// # Errors
    ///
    /// The key's value if it is another, `None` if the key is not there.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = [(1, 'a')].into();
    /// assert_eq!(map.compare_exchange(&1, 'a', 'b'), Ok('a'));
    /// assert_eq!(map.compare_exchange(&1, 'a', 'c'), Err(Some('b')));
    /// assert_eq!(map.compare_exchange(&2, 'a', 'c'), Err(None));
    /// ```
    #[inline]
    pub fn compare_exchange<Q>(&self, key: &Q, current: V, new: V) -> Result<V, Option<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: PartialEq,
    {
        self.fetch_update(key, |value| (value == current).then_some(new))
    }

    /// Sets a key's value to what a closure makes of it, and returns the one before.
    ///
    /// # Errors
    ///
    /// The key's value if the closure said `None`, `None` if the key is not there.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = [(1, 10_u32)].into();
    /// assert_eq!(map.fetch_update(&1, |n| Some(n * 2)), Ok(10));
    /// assert_eq!(map.fetch_update(&1, |n| n.checked_sub(30)), Err(Some(20)));
    /// assert_eq!(map.fetch_update(&2, |n| Some(n)), Err(None));
    /// ```
    #[inline]
    pub fn fetch_update<Q>(&self, key: &Q, mut update: impl FnMut(V) -> Option<V>) -> Result<V, Option<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let done = self.apply_ref(key, |_, value| update(value).map_or(Change::Leave, Change::Put));
        let found = done.found.map(|(_, value)| value);
        match done.change {
            Change::Put(_) => found.ok_or(None),
            _ => Err(found),
        }
    }

    /// Replaces a key's value by what a closure makes of it, or inserts one; returns what is there then.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::CopyMap::new();
    /// assert_eq!(map.update_or_insert(80, |n| n + 1, 1), 1);
    /// assert_eq!(map.update_or_insert(80, |n| n + 1, 1), 2);
    /// ```
    #[inline]
    pub fn update_or_insert(&self, key: K, mut update: impl FnMut(V) -> V, value: V) -> V {
        left(self.apply(key, |found| Change::Put(found.map_or(value, |(_, value)| update(value)))))
    }

    /// Adds `n` to a key's value, which counts as zero where the key is not there, unless the sum would be above `limit`. Returns
    /// the sum. So with `n` of one it adds if the value is below the limit, and any number of threads together never exceed it.
    ///
    /// # Errors
    ///
    /// The value as it is (zero if the key is not there), if the sum would be above the limit or overflow. Nothing is changed or
    /// inserted then.
    ///
    /// # Examples
    ///
    /// ```
    /// let requests = latchfree::CopyMap::<[u8; 4], u32>::new();
    /// let client = [127, 0, 0, 1];
    /// assert_eq!(requests.add_if_below(client, 1, 2), Ok(1));
    /// assert_eq!(requests.add_if_below(client, 1, 2), Ok(2));
    /// assert_eq!(requests.add_if_below(client, 1, 2), Err(2));
    /// assert_eq!(requests.add_if_below([0; 4], 3, 2), Err(0));
    /// assert_eq!(requests.len(), 1);
    /// ```
    #[inline]
    pub fn add_if_below(&self, key: K, n: V, limit: V) -> Result<V, V>
    where
        V: Integer,
    {
        let done = self.apply(key, |found| {
            let sum = found.map_or(V::ZERO, |(_, value)| value).plus(n);
            sum.filter(|&sum| sum <= limit).map_or(Change::Leave, Change::Put)
        });
        match done.change {
            Change::Put(sum) => Ok(sum),
            _ => Err(done.found.map_or(V::ZERO, |(_, value)| value)),
        }
    }
}
