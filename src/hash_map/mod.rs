//! Hash maps and sets.

mod bulk;
mod conditional;
pub mod copy_map;
mod entry;
mod held;
mod iter;
mod operations;
mod pinned;
mod raw;
pub mod set;
mod set_iter;
mod set_pinned;
mod traits;

use core::error::Error;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::panic::{RefUnwindSafe, UnwindSafe};

#[doc(no_inline)]
pub use equivalent::Equivalent;
#[cfg(feature = "std")]
#[doc(no_inline)]
pub use std::hash::RandomState;

#[cfg(all(feature = "rayon", not(any(latchfree_loom, latchfree_stall))))]
#[doc(inline)]
pub use crate::impls::ParIter;

pub use crate::compute::{Compute, Operation};

#[doc(inline)]
pub use self::copy_map::CopyMap;
pub use self::entry::{ChangedError, Entry, OccupiedEntry, UpdateEntry, VacantEntry};
pub use self::iter::{Drain, IntoIter, Iter, Keys, Values};
pub use self::operations::OccupiedError;
pub use self::pinned::HashMapRef;
use self::raw::boxed::{Boxed, Raw};
#[doc(inline)]
pub use self::set::{HashSet, HashSetRef};
use crate::reclaim::{Accepts, Backlog, Epoch, Garbage, Reclaim};
use crate::sync::const_fn;

/// Without the `std` feature there is no default hasher: name one.
#[cfg(not(feature = "std"))]
#[derive(Clone, Copy, Debug)]
pub enum RandomState {}

/// A concurrent hash map that lends references to its values, linearizable and strictly lock-free.
///
/// A thread that is stopped at any point never keeps others from anything: not from the bucket it was changing, not from
/// the table it was growing. Nothing waits for a resize; readers write nothing.
///
/// ```
/// use latchfree::HashMap;
///
/// let map = HashMap::new();
/// map.pin().insert("apples", 3);
///
/// let pinned = map.pin(); // a guard and the map: lends references for as long as it lives
/// assert_eq!(pinned.get("apples"), Some(&3));
/// assert_eq!(pinned.update("apples", |n| n + 1), Some(&4));
/// assert_eq!(pinned.remove("apples"), Some(&4));
/// ```
///
/// # Two ways to call
///
/// Each operation exists on the map, with a guard as its last argument ([`pin`](crate::pin)), and on the handle that
/// [`pin`](Self::pin) returns, which brings its own. One guard serves any number of structures. What is lent is bounded by
/// both, the map and the guard.
///
/// | operation | progress | cost |
/// |---|---|---|
/// | [`get`](Self::get) and its like | lock-free, writes nothing | a bucket's line and the entry |
/// | [`insert`](Self::insert), [`update`](Self::update), [`compute`](Self::compute), ... | lock-free | an allocation; one or two compare-exchanges |
/// | [`entry`](Self::entry) | a look-up, then a conditional change | their sum |
/// | [`remove`](Self::remove), [`remove_if`](Self::remove_if) | lock-free | one compare-exchange, one locked instruction |
/// | growth | lock-free: operations that insert or remove move some buckets each | |
/// | [`iter`](Self::iter), [`retain`](Self::retain), [`clear`](Self::clear) | lock-free, force and await no resize | a visit of every bucket |
/// | [`len`](Self::len) | wait-free | a sum over threads |
/// | [`new`](Self::new) | allocates nothing | |
///
/// Where the allocator is called, progress is the allocator's.
///
/// # Guarantees
///
/// - Every operation on one key is linearizable, and every conditional one is a single atomic step. All keys, and all maps, have
///   one order: two threads that each insert a key and then look for the other's do not both miss it. What a thread did before it
///   put a value in happens before what another does that finds it.
/// - Entries never move: a reference stays good while it is lent, whatever others do to the map.
/// - Weaker: [`len`](Self::len) is exact only when nobody changes the map. An iteration yields each key that is there
///   throughout exactly once; others perhaps. `clear`, `retain`, `extend` are many steps.
/// - Any number of equal hashes is handled, at the cost of a copy of their list for each change. The default hasher is keyed.
/// - A panic of `Hash`, `Eq`, a closure or a destructor leaves the map whole: the operation took place or did not.
///
/// # Closures
///
/// Closures of [`update`](Self::update), [`compute`](Self::compute) and [`remove_if`](Self::remove_if) run again when another
/// thread changed the entry meanwhile. `get_or_insert_with` calls its closure at most once, and may discard what it returned.
///
/// # Memory
///
/// An entry is a box of hash, key and value; a bucket is a line of 64 bytes for up to five of them. A removal frees its place at
/// once, so that a map under insertions and removals does not grow or fill with marks. Removed and replaced entries are
/// freed when no guard can have lent them, by later operations, by [`collect`](Self::collect), and, all of them, when the
/// map is dropped. The map shrinks by [`shrink_to_fit`](Self::shrink_to_fit) only.
///
/// # When not to use it
///
/// For one thread std's map is faster. Where a value must be changed in place take a map of locks or atomics, or a mutex. Where
/// removed values must be handed out, store them in an `Arc`: others may be looking at what was removed.
///
/// The algorithm is of the DLHT family ([A. Katsarakis, V. Gavrielatos, N. Ntarmos, 2024](https://arxiv.org/abs/2406.09986)).
pub struct HashMap<K, V, S = RandomState, R: Reclaim = Epoch> {
    raw: Raw<K, V, R>,
    hasher: S,
}

// SAFETY: the map owns its keys and values and may drop them on any thread that it is sent to; it hands none out by value.
unsafe impl<K: Send, V: Send, S: Send, R: Reclaim> Send for HashMap<K, V, S, R> where R::Garbage: Send {}
// SAFETY: a shared map lends keys and values to all threads (`Sync`), and takes and drops them on any (`Send`).
unsafe impl<K: Send + Sync, V: Send + Sync, S: Sync, R: Reclaim> Sync for HashMap<K, V, S, R> where
    R::Garbage: Sync
{
}

impl<K, V, S: UnwindSafe, R: Reclaim> UnwindSafe for HashMap<K, V, S, R> {}
impl<K, V, S: RefUnwindSafe, R: Reclaim> RefUnwindSafe for HashMap<K, V, S, R> {}

/// There is no memory for what was to be reserved.
///
/// # Examples
///
/// ```
/// let map = latchfree::HashMap::<u64, u64>::new();
/// let error = map.try_reserve(usize::MAX / 2).unwrap_err();
/// assert!(error.to_string().starts_with("no memory for a table"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryReserveError(
    /// How many more entries there was to be room for.
    usize,
);

impl fmt::Display for TryReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no memory for a table with room for {} more entries", self.0)
    }
}

impl Error for TryReserveError {}

#[cfg(feature = "std")]
impl<K, V> HashMap<K, V> {
    /// An empty map with the default hasher; allocates nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::<u64, String>::new();
    /// assert!(map.is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::with_hasher(RandomState::new())
    }

    /// An empty map with room for so many entries.
    ///
    /// # Panics
    ///
    /// If there is no memory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::<u64, String>::with_capacity(1000);
    /// assert!(map.capacity() >= 1000);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::new())
    }
}

impl<K, V, S> HashMap<K, V, S> {
    const_fn! {
        /// An empty map with a hasher; allocates nothing.
        ///
        /// For another reclaimer than the default one, use [`Default`] or
        /// [`with_reclaimer`](HashMap::with_reclaimer).
        ///
        /// # Examples
        ///
        /// ```
        /// use std::hash::{BuildHasherDefault, DefaultHasher};
        ///
        /// use latchfree::HashMap;
        ///
        /// static JOBS: HashMap<u64, String, BuildHasherDefault<DefaultHasher>> =
        ///     HashMap::with_hasher(BuildHasherDefault::new());
        /// JOBS.pin().insert(1, "sweep".to_string());
        /// assert_eq!(JOBS.len(), 1);
        /// ```
        #[must_use]
        pub const fn with_hasher(hasher: S) -> Self {
            Self { raw: Raw::new(Boxed::NEW, Garbage::new(0)), hasher }
        }
    }

    /// An empty map with a hasher and room for so many entries.
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
    /// let map = latchfree::HashMap::<u64, u64, _>::with_capacity_and_hasher(100, RandomState::new());
    /// assert!(map.capacity() >= 100);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        Self::with_reclaimer(capacity, hasher)
    }
}

impl<K, V, S, R: Accepts<(K, V)>> HashMap<K, V, S, R> {
    /// An empty map of any reclaimer, with a hasher and room for so many entries.
    ///
    /// # Panics
    ///
    /// If there is no memory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "crossbeam")] {
    /// use std::hash::RandomState;
    ///
    /// use latchfree::{HashMap, reclaim::Crossbeam};
    ///
    /// let map: HashMap<u64, u64, _, Crossbeam> = HashMap::with_reclaimer(0, RandomState::new());
    /// map.insert(1, 2, &crossbeam_epoch::pin());
    /// # }
    /// ```
    #[must_use]
    #[track_caller]
    pub fn with_reclaimer(capacity: usize, hasher: S) -> Self {
        let raw = Raw::with_capacity(capacity, Boxed::NEW, R::garbage(0));
        match raw {
            Some(raw) => Self { raw, hasher },
            None => panic!("HashMap: {}", TryReserveError(capacity)),
        }
    }
}

impl<K, V, S, R: Reclaim> HashMap<K, V, S, R> {
    /// A handle with a guard of its own, on which the operations need none.
    ///
    /// References that it lends live as long as the handle. While it lives, nothing that anybody removes from structures of the
    /// same domain is freed: do not keep it for long, or [`repin`](HashMapRef::repin) it.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, "one"), (2, "two")].into();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.get(&1), Some(&"one"));
    /// assert_eq!(pinned.len(), 2);
    /// ```
    #[inline]
    pub fn pin(&self) -> HashMapRef<'_, K, V, S, R> {
        HashMapRef::new(self)
    }

    /// The map's hasher.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::hash::BuildHasher;
    ///
    /// let map = latchfree::HashMap::<u64, u64>::new();
    /// assert_eq!(map.hasher().hash_one(5), map.hasher().hash_one(5));
    /// ```
    #[must_use]
    pub fn hasher(&self) -> &S {
        &self.hasher
    }

    /// How many entries there are: a sum over threads, wait-free. Exact if nobody changes the map meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = (0..100).map(|n| (n, n)).collect();
    /// assert_eq!(map.len(), 100);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// True if [`len`](Self::len) is zero, and no more exact than that.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::<u64, u64>::new();
    /// assert!(map.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries the map's table takes before it grows, about.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(latchfree::HashMap::<u64, u64>::new().capacity(), 0);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.raw.capacity(&R::pin())
    }

    /// Makes room for `additional` more entries than there are now, so that inserting them moves nothing. Completes a
    /// migration that is under way, together with whoever else works at it.
    ///
    /// # Panics
    ///
    /// If there is no memory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::<u64, u64>::new();
    /// map.reserve(1000);
    /// assert!(map.capacity() >= 1000);
    /// ```
    #[track_caller]
    pub fn reserve(&self, additional: usize) {
        if let Err(error) = self.try_reserve(additional) {
            panic!("HashMap::reserve: {error}");
        }
    }

    /// As [`reserve`](Self::reserve), and tells if there is no memory.
    ///
    /// # Errors
    ///
    /// If there is no memory for the table; the map is as it was, or somewhat larger. Moving entries into it takes memory in
    /// small pieces, for buckets with more entries than a line holds; without those the process ends, as it does in
    /// [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::<u64, u64>::new();
    /// assert!(map.try_reserve(1000).is_ok());
    /// assert!(map.try_reserve(usize::MAX / 2).is_err());
    /// ```
    pub fn try_reserve(&self, additional: usize) -> Result<(), TryReserveError> {
        let done =
            self.len().checked_add(additional).is_some_and(|len| self.raw.resize(len, true, &R::pin()));
        done.then_some(()).ok_or(TryReserveError(additional))
    }

    /// Makes the table as small as its entries allow. Takes part in the migration until it is complete.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::<u64, u64>::with_capacity(1000);
    /// map.pin().insert(1, 1);
    /// map.shrink_to_fit();
    /// assert!(map.capacity() < 10);
    /// ```
    pub fn shrink_to_fit(&self) {
        self.raw.resize(self.len(), false, &R::pin());
    }

    /// Tries to free what was removed and replaced; with the default reclaimer at once if no other thread is pinned.
    ///
    /// For a map that falls idle: otherwise its next operations do it.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = (0..100).map(|n| (n, n)).collect();
    /// map.pin().clear();
    /// map.collect();
    /// assert_eq!(map.backlog().objects, 0);
    /// ```
    pub fn collect(&self) {
        R::collect(&self.raw.garbage);
    }

    /// What was removed or replaced and is not freed yet: entries, and parts of tables.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 1)].into();
    /// let pinned = map.pin();
    /// pinned.remove(&1);
    /// assert_eq!(map.backlog().objects, 1); // `pinned` may have lent it
    /// ```
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        R::backlog(&self.raw.garbage)
    }
}

impl<K: Hash + Eq, V, S: BuildHasher, R: Reclaim> HashMap<K, V, S, R> {
    #[inline(always)]
    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        raw::hash(&self.hasher, key)
    }
}
