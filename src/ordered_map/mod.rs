//! Ordered maps and sets.
//!
//! [`OrderedMap`] and [`OrderedSet`] are at the top of the crate as well; here are their iterators, the pinned handles, and
//! what some operations take and return.

mod by_order;
mod iter;
mod pinned;
mod range;
mod raw;
mod reschedule;
mod set;
mod set_iter;
mod set_pinned;
mod traits;

use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};

use equivalent::Comparable;

pub use crate::compute::{Compute, Operation};

pub use self::iter::{IntoIter, Iter, Keys, Popped, Snapshot, Values};
pub use self::pinned::OrderedMapRef;
pub use self::range::Range;
pub use self::raw::{Auto, Inline, InlineKeys, Layout};
use self::raw::{Computed, Edge, Item, Probe, Raw};
pub use self::reschedule::RescheduleError;
pub use self::set::OrderedSet;
pub use self::set_iter::{SetIntoIter, SetIter, SetPopped, SetRange, SetSnapshot};
pub use self::set_pinned::OrderedSetRef;
use crate::reclaim::{Backlog, Epoch, Garbage, Reclaim};
use crate::sync::const_fn;

/// An ordered map: a strictly lock-free B+tree.
///
/// A thread that is stopped at any point never keeps others from reading or changing the map. Reads write nothing.
///
/// | operation | progress | cost |
/// |---|---|---|
/// | [`get`](Self::get) and its like, [`first_key_value`](Self::first_key_value), [`last_key_value`](Self::last_key_value), [`lower_bound`](Self::lower_bound), [`upper_bound`](Self::upper_bound) | as many loads as the tree has levels; repeated only where an answer spans leaves and another thread changed them | O(log n) |
/// | [`insert`](Self::insert), [`try_insert`](Self::try_insert), [`update`](Self::update), [`compute`](Self::compute), [`remove`](Self::remove), [`pop_first`](Self::pop_first) and their like | lock-free; about one insertion in six allocates a leaf | O(log n), and a copy of a leaf then |
/// | [`reschedule`](Self::reschedule) | lock-free | that of a change in one leaf, or about four copies over two |
/// | [`pop_first_while`](Self::pop_first_while) | lock-free | one compare-exchange for up to a leaf of entries |
/// | [`range`](Self::range), [`iter`](Self::iter) | each step in a bounded number of steps | O(1) amortised |
/// | [`range_snapshot`](Self::range_snapshot) | lock-free: it repeats when another thread changed the range | O(n) |
/// | [`len`](Self::len) | wait-free, a sum over threads | |
/// | [`clear`](Self::clear), [`retain`](Self::retain), [`remove_range`](Self::remove_range) | lock-free, leaf by leaf | O(n) |
/// | [`new`](OrderedMap::new) | allocates nothing | |
///
/// Where the allocator is called, progress is the allocator's.
///
/// **Guards.** What is looked up is lent for as long as a guard: take one with [`pin`](crate::pin) and pass it to the
/// operations, or use the handle that [`OrderedMap::pin`] returns and which has the same operations without it. Do
/// not hold either for long: what is removed meanwhile is not freed.
///
/// **Linearizability.** Operations on single keys, [`reschedule`](Self::reschedule), pops, [`first_key_value`](Self::first_key_value), [`last_key_value`](Self::last_key_value),
/// [`lower_bound`](Self::lower_bound), [`upper_bound`](Self::upper_bound), [`is_empty`](Self::is_empty) and [`range_snapshot`](Self::range_snapshot) are linearizable
/// together. What a thread did before it inserted an entry happens before what another does after it found the entry.
///
/// **Scans.** [`range`](Self::range) and [`iter`](Self::iter) yield keys in strictly ascending order (descending from the back). They see
/// each leaf, of up to 37 adjacent entries, as it was at one moment between the call of `range` and the step that
/// came to it, and different leaves at different moments: an entry that is in the map from the call until the scan has passed
/// it is yielded; one that was not there at any time meanwhile is not; of two changes made one after the other during the scan, it
/// may show the later one without the earlier.
///
/// **Memory.** Entries of plain keys and values (integers, byte arrays, pairs of integers) lie in the leaves; other entries
/// are boxed once, with plain keys copied, and the first eight bytes of strings, into the nodes. `Copy` keys and values of
/// your own lie there as well if you say so, with a [`Layout`]. Leaves have between 8 and 32 entries, as a rule.
///
/// **Drops.** What is removed or replaced is dropped when no guard protects it any more, by some thread that changes the
/// map, or by [`collect`](Self::collect), or with the map; [`backlog`](Self::backlog) tells how much waits. A boxed key may live longer,
/// as long as it divides two leaves. Dropping the map drops all that is left in it, on that thread.
///
/// **Order.** `K: Ord` must be consistent and must not change while a key is in the map. If it is not, or panics, results are
/// unspecified (entries may not be found; an operation whose comparison panics may have taken effect), but
/// nothing is unsound, everything is dropped once, and iterators end.
///
/// When not to use it: where nobody needs the order, a hash map is faster. Where one thread changes a map of some thousand entries again
/// and again, a `Mutex<BTreeMap>` is as fast, as long as nobody is stopped while holding it. For one
/// that rarely changes and is small, an `Arc<BTreeMap>` that is swapped as a whole may be better.
///
/// Leaves are copied when their logs are full, and nodes on the way when leaves are split: after [Braginsky and Petrank, *A lock-free B+tree*](https://doi.org/10.1145/2312005.2312016).
///
/// # Examples
///
/// ```
/// use latchfree::OrderedMap;
///
/// let timers = OrderedMap::new();
/// std::thread::scope(|scope| {
///     for worker in 0..4_u64 {
///         let timers = &timers;
///         scope.spawn(move || timers.pin().insert((worker * 100, worker), "job").is_none());
///     }
/// });
/// let timers = timers.pin();
/// let due = timers.pop_first_while(64, |&(deadline, _), _| deadline <= 150);
/// assert_eq!(due.map(|(&(_, worker), _)| worker).collect::<Vec<_>>(), [0, 1]);
/// ```
///
/// What is lent lives no longer than the guard and the map:
///
/// ```compile_fail,E0505
/// let map: latchfree::OrderedMap<u8, String> = [(1, "one".to_string())].into();
/// let guard = latchfree::pin();
/// let one = map.get(&1, &guard);
/// drop(guard);
/// assert_eq!(one.unwrap(), "one");
/// ```
///
/// ```compile_fail,E0505
/// let map: latchfree::OrderedMap<u8, String> = [(1, "one".to_string())].into();
/// let guard = latchfree::pin();
/// let one = map.get(&1, &guard);
/// drop(map);
/// assert_eq!(one.unwrap(), "one");
/// ```
///
/// ```
/// let map: latchfree::OrderedMap<u8, String> = [(1, "one".to_string())].into();
/// let guard = latchfree::pin();
/// let one = map.get(&1, &guard);
/// assert_eq!(one.unwrap(), "one");
/// drop(guard);
/// drop(map);
/// ```
pub struct OrderedMap<K, V, R: Reclaim = Epoch, L: Layout<K, V> = Auto> {
    raw: Raw<K, V, R, L>,
}

// SAFETY: the map owns its entries. Sent to another thread, it is used there alone; its garbage goes with it.
unsafe impl<K: Send, V: Send, R: Reclaim, L: Layout<K, V>> Send for OrderedMap<K, V, R, L> where
    R::Garbage: Send
{
}
// SAFETY: a shared map lends keys and values to all threads, hence `Sync`, and drops on one thread what another
// inserted, hence `Send`.
unsafe impl<K: Send + Sync, V: Send + Sync, R: Reclaim, L: Layout<K, V>> Sync for OrderedMap<K, V, R, L> where
    R::Garbage: Sync
{
}

impl<K: RefUnwindSafe, V: RefUnwindSafe, R: Reclaim, L: Layout<K, V>> UnwindSafe for OrderedMap<K, V, R, L> {}
impl<K: RefUnwindSafe, V: RefUnwindSafe, R: Reclaim, L: Layout<K, V>> RefUnwindSafe
    for OrderedMap<K, V, R, L>
{
}

/// There is an entry of the key already: what could not be inserted, and what is there.
///
/// # Examples
///
/// ```
/// let map = latchfree::OrderedMap::from([(1, "one")]);
/// let pinned = map.pin();
/// let error = pinned.try_insert(1, "uno").unwrap_err();
/// assert_eq!((error.current, error.key, error.value), (&"one", 1, "uno"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OccupiedError<'g, K, V> {
    /// The key that is in the map.
    pub current_key: &'g K,
    /// Its value.
    pub current: &'g V,
    /// The key that was not inserted.
    pub key: K,
    /// The value that was not inserted.
    pub value: V,
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Display for OccupiedError<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { current, key, value, .. } = self;
        write!(f, "{value:?} was not inserted, the key {key:?} has the value {current:?}")
    }
}

impl<K: fmt::Debug, V: fmt::Debug> core::error::Error for OccupiedError<'_, K, V> {}

/// Lends an entry.
///
/// # Safety
///
/// It was read from a map that is borrowed for `'g`, under a guard that is.
#[inline(always)]
unsafe fn lend<'g, K, V>(item: Item<K, V>) -> (&'g K, &'g V) {
    // SAFETY: the guard protects leaves and entries that were in the map while it was held, and what is not boxed is never
    // changed in a leaf.
    unsafe { (&*item.key, &*item.value) }
}

impl<K, V> OrderedMap<K, V> {
    const_fn! {
        /// An empty map; allocates nothing.
        ///
        /// For another reclaimer than the default one, use [`Default`].
        ///
        /// # Examples
        ///
        /// ```
        /// static TIMERS: latchfree::OrderedMap<u64, &str> = latchfree::OrderedMap::new();
        /// assert!(TIMERS.is_empty());
        /// ```
        #[must_use]
        pub const fn new() -> Self {
            Self { raw: Raw::new(Garbage::new(0)) }
        }
    }
}

impl<K, V, L: Layout<K, V>> OrderedMap<K, V, Epoch, L> {
    const_fn! {
        /// An empty map of another [`Layout`] than the default one, for `Copy` keys of the user's own; allocates nothing.
        ///
        /// [`FromIterator`] builds such maps as well, and [`Default`] those of other reclaimers.
        ///
        /// # Examples
        ///
        /// ```
        /// use latchfree::ordered_map::InlineKeys;
        /// use latchfree::{Epoch, OrderedMap};
        ///
        /// #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        /// struct Due(u64, u32);
        ///
        /// static TIMERS: OrderedMap<Due, String, Epoch, InlineKeys> = OrderedMap::with_layout();
        /// TIMERS.pin().insert(Due(10, 1), "first".to_string());
        /// assert_eq!(TIMERS.len(), 1);
        /// ```
        #[must_use]
        pub const fn with_layout() -> Self {
            Self { raw: Raw::new(Garbage::new(0)) }
        }
    }
}

impl<K, V, R: Reclaim, L: Layout<K, V>> OrderedMap<K, V, R, L> {
    /// A handle with the map's operations, which holds a guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::new();
    /// let pinned = map.pin();
    /// pinned.insert(1, "one");
    /// assert_eq!(pinned.get(&1), Some(&"one"));
    /// ```
    #[inline]
    pub fn pin(&self) -> OrderedMapRef<'_, K, V, R, L> {
        OrderedMapRef::new(self)
    }

    /// How many entries there are.
    ///
    /// Exact when nobody changes the map; else what others insert and remove meanwhile may count or not.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b')]);
    /// assert_eq!(map.len(), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Tries to free what waits for reclamation; with the default reclaimer at once if no other thread is pinned.
    ///
    /// For a map that falls idle: otherwise its next changes do it.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::OrderedMap<_, _> = (0..1000).map(|n| (n, n)).collect();
    /// map.clear();
    /// map.collect();
    /// assert_eq!(map.backlog().objects, 0);
    /// ```
    pub fn collect(&self) {
        R::collect(&self.raw.garbage);
    }

    /// What was removed or replaced, copied leaves included, and not freed yet.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::<u8, u8>::new();
    /// assert_eq!(map.backlog().bytes, 0);
    /// ```
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        R::backlog(&self.raw.garbage)
    }
}

impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> OrderedMap<K, V, R, L> {
    /// True if there was an instant during the call at which the map was empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::new();
    /// assert!(map.is_empty());
    /// map.pin().insert(1, 'a');
    /// assert!(!map.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.after::<K>(Edge::First, &R::pin()).is_none()
    }

    /// The value of a key.
    ///
    /// # Panics
    ///
    /// If the guard belongs to another collector (possible with `Crossbeam` only); so do all operations that take one.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([("a".to_string(), 1)]);
    /// let guard = latchfree::pin();
    /// assert_eq!(map.get("a", &guard), Some(&1));
    /// assert_eq!(map.get("b", &guard), None);
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get<'g, Q: ?Sized + Comparable<K>>(&'g self, key: &Q, guard: &'g R::Guard) -> Option<&'g V> {
        self.get_key_value(key, guard).map(|(_, value)| value)
    }

    /// The entry of a key.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([("a".to_string(), 1)]);
    /// assert_eq!(map.get_key_value("a", &latchfree::pin()), Some((&"a".to_string(), &1)));
    /// ```
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get_key_value<'g, Q: ?Sized + Comparable<K>>(
        &'g self,
        key: &Q,
        guard: &'g R::Guard,
    ) -> Option<(&'g K, &'g V)> {
        R::check(guard);
        // SAFETY: both borrows are `'g`.
        self.raw.get(Probe::new::<K>(key), guard).map(|item| unsafe { lend(item) })
    }

    /// True if there is an entry of this key.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert!(map.contains_key(&1));
    /// ```
    #[must_use]
    #[inline]
    pub fn contains_key<Q: ?Sized + Comparable<K>>(&self, key: &Q) -> bool {
        self.raw.get(Probe::new::<K>(key), &R::pin()).is_some()
    }

    /// A clone of the value of a key, without a guard at hand.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, "one".to_string())]);
    /// assert_eq!(map.get_cloned(&1).as_deref(), Some("one"));
    /// ```
    #[must_use]
    #[inline]
    pub fn get_cloned<Q: ?Sized + Comparable<K>>(&self, key: &Q) -> Option<V>
    where
        V: Clone,
    {
        self.get(key, &R::pin()).cloned()
    }

    /// What `f` makes of the value of a key, without a guard at hand.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, "one".to_string())]);
    /// assert_eq!(map.with(&1, |value| value.len()), Some(3));
    /// ```
    pub fn with<Q: ?Sized + Comparable<K>, T>(&self, key: &Q, f: impl FnOnce(&V) -> T) -> Option<T> {
        self.get(key, &R::pin()).map(f)
    }

    /// Inserts an entry; if there is one of this key, replaces both key and value, and returns the old value.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.insert(1, "one", &guard), None);
    /// assert_eq!(map.insert(1, "uno", &guard), Some(&"one"));
    /// ```
    #[inline]
    #[track_caller]
    pub fn insert<'g>(&'g self, key: K, value: V, guard: &'g R::Guard) -> Option<&'g V> {
        R::check(guard);
        // SAFETY: both borrows are `'g`.
        self.raw.insert(key, value, guard).map(|item| unsafe { lend(item) }.1)
    }

    /// Inserts an entry if there is none of this key, and returns its value.
    ///
    /// # Errors
    ///
    /// If there is one: key and value come back.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.try_insert(1, "one", &guard), Ok(&"one"));
    /// let error = map.try_insert(1, "uno", &guard).unwrap_err();
    /// assert_eq!((error.current, error.value), (&"one", "uno"));
    /// ```
    #[track_caller]
    pub fn try_insert<'g>(
        &'g self,
        key: K,
        value: V,
        guard: &'g R::Guard,
    ) -> Result<&'g V, OccupiedError<'g, K, V>> {
        R::check(guard);
        match self.raw.try_insert(key, value, guard) {
            // SAFETY: both borrows are `'g`.
            Ok(item) => Ok(unsafe { lend(item) }.1),
            Err((item, key, value)) => {
                // SAFETY: as above.
                let (current_key, current) = unsafe { lend(item) };
                Err(OccupiedError { current_key, current, key, value })
            }
        }
    }

    /// The value of a key, which is inserted if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.get_or_insert(1, "one", &guard), &"one");
    /// assert_eq!(map.get_or_insert(1, "uno", &guard), &"one");
    /// ```
    #[track_caller]
    pub fn get_or_insert<'g>(&'g self, key: K, value: V, guard: &'g R::Guard) -> &'g V {
        self.get_or_insert_with(key, || value, guard)
    }

    /// The value of a key, which `f` makes if there is none. `f` is called at most once; its value is dropped if another
    /// thread inserts one meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.get_or_insert_with(1, || "one".to_string(), &guard), "one");
    /// assert_eq!(map.get_or_insert_with(1, || unreachable!(), &guard), "one");
    /// ```
    #[track_caller]
    pub fn get_or_insert_with<'g>(&'g self, key: K, f: impl FnOnce() -> V, guard: &'g R::Guard) -> &'g V {
        if let Some(value) = self.get(&key, guard) {
            return value;
        }
        self.try_insert(key, f(), guard).unwrap_or_else(|error| error.current)
    }

    /// Replaces the value of a key by what `f` makes of it, in one step, and returns the new one; `None` if there is no entry
    /// of this key.
    ///
    /// `f` may be called several times, when others change the leaf meanwhile; what it made before is dropped. It gets the
    /// value by reference, which others may be reading: the new one comes to its place.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([("a".to_string(), 1)]);
    /// let guard = latchfree::pin();
    /// assert_eq!(map.update("a", |n| n + 1, &guard), Some(&2));
    /// assert_eq!(map.update("b", |n| n + 1, &guard), None);
    /// ```
    #[track_caller]
    pub fn update<'g, Q: ?Sized + Comparable<K>>(
        &'g self,
        key: &Q,
        f: impl FnMut(&V) -> V,
        guard: &'g R::Guard,
    ) -> Option<&'g V>
    where
        K: Clone,
    {
        R::check(guard);
        // SAFETY: both borrows are `'g`.
        self.raw.update(Probe::new::<K>(key), f, guard).map(|[new, _]| unsafe { lend(new) }.1)
    }

    /// Looks at the entry of a key and inserts, replaces or removes it, or leaves it alone, as `f` says, in one step.
    ///
    /// `f` may be called several times, when others change the leaf meanwhile; what it made before is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::ordered_map::{Compute, Operation};
    ///
    /// // A counter that disappears when it comes down to zero.
    /// let map = latchfree::OrderedMap::from([(7, 2)]);
    /// let guard = latchfree::pin();
    /// let down = |entry: Option<(&i32, &u32)>| match entry {
    ///     None => Operation::Abort("not there"),
    ///     Some((_, 1)) => Operation::Remove,
    ///     Some((_, n)) => Operation::Insert(n - 1),
    /// };
    /// assert_eq!(map.compute(7, down, &guard), Compute::Updated { old: (&7, &2), new: (&7, &1) });
    /// assert_eq!(map.compute(7, down, &guard), Compute::Removed(&7, &1));
    /// assert_eq!(map.compute(7, down, &guard), Compute::Aborted("not there"));
    /// ```
    #[track_caller]
    pub fn compute<'g, T>(
        &'g self,
        key: K,
        mut f: impl FnMut(Option<(&K, &V)>) -> Operation<V, T>,
        guard: &'g R::Guard,
    ) -> Compute<'g, K, V, T> {
        R::check(guard);
        // SAFETY: the item is used within the call, under the guard.
        let step = |item: Option<&Item<K, V>>| f(item.map(|&item| unsafe { lend(item) }));
        // SAFETY: both borrows are `'g`, here and below.
        let lent = |item| unsafe { lend(item) };
        match self.raw.compute(key, step, guard) {
            Computed::Inserted(new) => {
                let (key, value) = lent(new);
                Compute::Inserted(key, value)
            }
            Computed::Updated { old, new } => Compute::Updated { old: lent(old), new: lent(new) },
            Computed::Removed(old) => {
                let (key, value) = lent(old);
                Compute::Removed(key, value)
            }
            Computed::Absent => Compute::Absent,
            Computed::Aborted(result) => Compute::Aborted(result),
        }
    }

    /// Removes the entry of a key and lends its value, once: of several threads that remove it, one gets it.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// let guard = latchfree::pin();
    /// assert_eq!(map.remove(&1, &guard), Some(&'a'));
    /// assert_eq!(map.remove(&1, &guard), None);
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove<'g, Q: ?Sized + Comparable<K>>(&'g self, key: &Q, guard: &'g R::Guard) -> Option<&'g V> {
        self.remove_entry(key, guard).map(|(_, value)| value)
    }

    /// Removes the entry of a key and lends it.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// assert_eq!(map.remove_entry(&1, &latchfree::pin()), Some((&1, &'a')));
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove_entry<'g, Q: ?Sized + Comparable<K>>(
        &'g self,
        key: &Q,
        guard: &'g R::Guard,
    ) -> Option<(&'g K, &'g V)> {
        self.remove_if(key, |_, _| true, guard).unwrap_or(None)
    }

    /// Removes the entry of a key if the predicate holds for it, in one step.
    ///
    /// The predicate may be called several times, when others change the leaf meanwhile.
    ///
    /// # Errors
    ///
    /// If it does not hold: the entry that stays.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, 'a')]);
    /// let guard = latchfree::pin();
    /// assert_eq!(map.remove_if(&1, |_, &value| value == 'b', &guard), Err((&1, &'a')));
    /// assert_eq!(map.remove_if(&1, |_, &value| value == 'a', &guard), Ok(Some((&1, &'a'))));
    /// assert_eq!(map.remove_if(&1, |_, _| true, &guard), Ok(None));
    /// ```
    #[track_caller]
    pub fn remove_if<'g, Q: ?Sized + Comparable<K>>(
        &'g self,
        key: &Q,
        predicate: impl FnMut(&K, &V) -> bool,
        guard: &'g R::Guard,
    ) -> Result<Option<(&'g K, &'g V)>, (&'g K, &'g V)> {
        R::check(guard);
        // SAFETY: both borrows are `'g`.
        let lent = |item| unsafe { lend(item) };
        self.raw.remove_if(Probe::new::<K>(key), predicate, guard).map(|item| item.map(lent)).map_err(lent)
    }

    /// Removes the entry of a key and returns a clone of its value, without a guard at hand.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::OrderedMap::from([(1, "one".to_string())]);
    /// assert_eq!(map.remove_cloned(&1).as_deref(), Some("one"));
    /// ```
    pub fn remove_cloned<Q: ?Sized + Comparable<K>>(&self, key: &Q) -> Option<V>
    where
        V: Clone,
    {
        self.remove(key, &R::pin()).cloned()
    }
}
