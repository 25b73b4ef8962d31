//! Moving an entry to another key.

use core::fmt;

use equivalent::Comparable;

use super::raw::{Probe, Refused};
use super::{Layout, OrderedMap, OrderedMapRef, OrderedSet, OrderedSetRef, lend};
use crate::reclaim::Reclaim;

/// Why an entry was not moved; the new key comes back.
///
/// # Examples
///
/// ```
/// use latchfree::ordered_map::RescheduleError;
///
/// let timers = latchfree::OrderedMap::from([(10, "a"), (20, "b")]);
/// let pinned = timers.pin();
/// assert_eq!(pinned.reschedule(&15, 30), Err(RescheduleError::NotFound { key: 30 }));
/// assert!(matches!(pinned.reschedule(&10, 20), Err(RescheduleError::Occupied { current: &"b", key: 20, .. })));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RescheduleError<'g, K, V> {
    /// There is no entry of the old key.
    NotFound {
        /// The key that it should have got.
        key: K,
    },
    /// There is an entry of the new key already, and it is another one.
    Occupied {
        /// The key that is in the map.
        current_key: &'g K,
        /// Its value.
        current: &'g V,
        /// The key that the entry should have got.
        key: K,
    },
}

impl<K, V> RescheduleError<'_, K, V> {
    /// The key that the entry should have got.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b')]);
    /// assert_eq!(map.pin().reschedule(&1, 2).unwrap_err().into_key(), 2);
    /// ```
    pub fn into_key(self) -> K {
        match self {
            Self::NotFound { key } | Self::Occupied { key, .. } => key,
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Display for RescheduleError<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { key } => {
                write!(f, "nothing was moved to the key {key:?}: there is no entry of the old key")
            }
            Self::Occupied { key, current, .. } => {
                write!(f, "nothing was moved to the key {key:?}: it has the value {current:?}")
            }
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> core::error::Error for RescheduleError<'_, K, V> {}

impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> OrderedMap<K, V, R, L> {
    /// Moves the entry of a key to another key, in one atomic step, and lends its value; the value itself stays where it is.
    ///
    /// Of the two places, [`get`](Self::get) and its like, pops, [`lower_bound`](Self::lower_bound) and its like, and
    /// [`range_snapshot`](Self::range_snapshot) see the entry at exactly one at each moment; whoever removes or pops it gets it once, under the
    /// key that it has then. Scans ([`range`](Self::range), [`iter`](Self::iter)) that overlap the move may see it at both places or at neither,
    /// as they may see a removal without an insertion made before it. A thread that is stopped in the middle does not leave the entry
    /// in between: it is at the old key until it is at the new one, and whoever is in need of either leaf completes the move, or makes
    /// it begin again.
    ///
    /// If `new` is equal to the old key, the key is replaced.
    ///
    /// The cost is that of one change, if both keys are in one leaf; else that of about four, and the new key is cloned. The old key
    /// is dropped with the value, if keys are boxed, and keys that it had between as soon as no guard protects them.
    ///
    /// # Errors
    ///
    /// If there is no entry of the old key, or else if there is another one of the new key: then nothing is changed, and the new key
    /// comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::ordered_map::RescheduleError;
    ///
    /// let timers = latchfree::OrderedMap::from([((100, 1), "ping"), ((200, 2), "close")]);
    /// let guard = latchfree::pin();
    /// // Something was heard of the first connection.
    /// assert_eq!(timers.reschedule(&(100, 1), (300, 1), &guard), Ok(&"ping"));
    /// assert_eq!(timers.first_key_value(&guard), Some((&(200, 2), &"close")));
    ///
    /// let error = timers.reschedule(&(100, 1), (400, 1), &guard).unwrap_err();
    /// assert_eq!(error, RescheduleError::NotFound { key: (400, 1) });
    /// let error = timers.reschedule(&(200, 2), (300, 1), &guard).unwrap_err();
    /// assert_eq!(error, RescheduleError::Occupied { current_key: &(300, 1), current: &"ping", key: (300, 1) });
    /// ```
    #[track_caller]
    pub fn reschedule<'g, Q: ?Sized + Comparable<K>>(
        &'g self,
        old: &Q,
        new: K,
        guard: &'g R::Guard,
    ) -> Result<&'g V, RescheduleError<'g, K, V>>
    where
        K: Clone,
    {
        self.moved(old, new, guard).map(|(_, value)| value)
    }

    /// As `reschedule`, with the key as it is in the map.
    #[track_caller]
    fn moved<'g, Q: ?Sized + Comparable<K>>(
        &'g self,
        old: &Q,
        new: K,
        guard: &'g R::Guard,
    ) -> Result<(&'g K, &'g V), RescheduleError<'g, K, V>>
    where
        K: Clone,
    {
        R::check(guard);
        match self.raw.reschedule(Probe::new::<K>(old), new, guard) {
            // SAFETY: both borrows are `'g`.
            Ok(item) => Ok(unsafe { lend(item) }),
            Err(Refused::Absent(key)) => Err(RescheduleError::NotFound { key }),
            Err(Refused::Occupied(item, key)) => {
                // SAFETY: as above.
                let (current_key, current) = unsafe { lend(item) };
                Err(RescheduleError::Occupied { current_key, current, key })
            }
        }
    }
}

impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> OrderedMapRef<'_, K, V, R, L> {
    /// See [`OrderedMap::reschedule`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert_eq!(map.pin().reschedule(&1, 5), Ok(&'a'));
    /// assert_eq!(map.pin().get(&5), Some(&'a'));
    /// ```
    #[inline]
    #[track_caller]
    pub fn reschedule<Q: ?Sized + Comparable<K>>(
        &self,
        old: &Q,
        new: K,
    ) -> Result<&V, RescheduleError<'_, K, V>>
    where
        K: Clone,
    {
        self.map().reschedule(old, new, self.guard())
    }
}

impl<T: Ord, R: Reclaim, L: Layout<T, ()>> OrderedSet<T, R, L> {
    /// Replaces an element by another one, in one atomic step, and lends the new one; see [`OrderedMap::reschedule`].
    ///
    /// # Errors
    ///
    /// If the old element is not there, or else if the new one is and they are not equal: then nothing is changed, and the new
    /// one comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// let due = latchfree::OrderedSet::from([(10, "a"), (20, "b")]);
    /// let guard = latchfree::pin();
    /// assert_eq!(due.reschedule(&(10, "a"), (30, "a"), &guard), Ok(&(30, "a")));
    /// assert_eq!(due.first(&guard), Some(&(20, "b")));
    /// assert_eq!(due.reschedule(&(20, "b"), (30, "a"), &guard).unwrap_err().into_key(), (30, "a"));
    /// ```
    #[track_caller]
    pub fn reschedule<'g, Q: ?Sized + Comparable<T>>(
        &'g self,
        old: &Q,
        new: T,
        guard: &'g R::Guard,
    ) -> Result<&'g T, RescheduleError<'g, T, ()>>
    where
        T: Clone,
    {
        self.map.moved(old, new, guard).map(|(element, ())| element)
    }
}

impl<T: Ord, R: Reclaim, L: Layout<T, ()>> OrderedSetRef<'_, T, R, L> {
    /// See [`OrderedSet::reschedule`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([1]);
    /// assert_eq!(set.pin().reschedule(&1, 5), Ok(&5));
    /// assert_eq!(set.pin().reschedule(&1, 6).unwrap_err().into_key(), 6);
    /// ```
    #[track_caller]
    pub fn reschedule<Q: ?Sized + Comparable<T>>(
        &self,
        old: &Q,
        new: T,
    ) -> Result<&T, RescheduleError<'_, T, ()>>
    where
        T: Clone,
    {
        self.map.map().moved(old, new, self.guard()).map(|(element, ())| element)
    }
}
