//! Hash maps of small `Copy` keys and values.

mod bulk;
mod operations;
mod traits;

use core::hash::{BuildHasher, Hash};
use core::panic::{RefUnwindSafe, UnwindSafe};

/// Types whose bytes are all initialised, from the `bytemuck` crate: what a key or a value of a [`CopyMap`] must be.
#[doc(no_inline)]
pub use bytemuck::NoUninit;

#[cfg(all(feature = "rayon", not(any(latchfree_loom, latchfree_stall))))]
#[doc(inline)]
pub use crate::impls::CopyParIter as ParIter;

pub use self::bulk::{IntoIter, Iter};
pub use self::operations::Integer;
use super::raw::inline::Inline;
use super::raw::{self, Raw};
use super::{RandomState, TryReserveError};
use crate::reclaim::{Accepts, Backlog, Epoch, Garbage, Reclaim};
use crate::sync::const_fn;

/// A concurrent hash map of small `Copy` keys and values, in which entries lie in the table itself: for counters, limits,
/// connection and job tables. Linearizable and strictly lock-free, as [`HashMap`](super::HashMap); no operation takes a guard.
///
/// ```
/// use latchfree::CopyMap;
///
/// let hits = CopyMap::new();
/// assert_eq!(hits.insert(80_u16, 1_u64), None);
/// assert_eq!(hits.update_or_insert(80, |n| n + 1, 1), 2);
/// assert_eq!(hits.get(&80), Some(2));
/// assert_eq!(hits.remove(&80), Some(2));
/// ```
///
/// # Which types
///
/// Keys and values are `Copy`, have at most eight bytes each, and no padding: [`NoUninit`] of the `bytemuck` crate, which integers,
/// floats, `bool`, `char`, `NonZero`, arrays of such and `()` have, and your own types may derive
/// (`#[derive(bytemuck::NoUninit)]`). Nothing is asked of bit patterns: what is read is what was written. Keys are compared by
/// `Eq`. Larger types do not compile:
///
/// ```compile_fail
/// let map = latchfree::CopyMap::<u128, u64>::new();
/// map.get(&1);
/// ```
///
/// ```
/// let map = latchfree::CopyMap::<u64, u64>::new();
/// map.get(&1);
/// ```
///
/// nor do such with padding, or with references:
///
/// ```compile_fail,E0277
/// let map = latchfree::CopyMap::<(u8, u16), u64>::new();
/// ```
///
/// ```
/// let map = latchfree::CopyMap::<[u8; 4], u64>::new();
/// ```
///
/// # Which map
///
/// | | `CopyMap` | [`HashMap`](super::HashMap) |
/// |---|---|---|
/// | keys and values | `Copy`, up to eight bytes each | any |
/// | a value is | copied out | lent, while a guard stands |
/// | a look-up touches | the bucket's line | the bucket's line and the entry |
/// | an insertion allocates | nothing, but where a bucket runs full | the entry |
/// | updates of one key | two exchanges of the bucket's header | an allocation, an exchange of a pointer |
///
/// # Operations
///
/// | operation | progress | cost |
/// |---|---|---|
/// | [`get`](Self::get), [`get_many`](Self::get_many), [`contains_key`](Self::contains_key) | lock-free, write nothing | a bucket's line |
/// | [`insert`](Self::insert), [`compare_exchange`](Self::compare_exchange), [`fetch_update`](Self::fetch_update), ... | lock-free | two compare-exchanges |
/// | [`remove`](Self::remove), [`remove_if`](Self::remove_if) | lock-free | one compare-exchange |
/// | growth | lock-free: operations that change something move some buckets each | |
/// | [`iter`](Self::iter), [`retain`](Self::retain), [`clear`](Self::clear) | lock-free, force and await no resize | a visit of every bucket |
/// | [`len`](Self::len) | wait-free | a sum over threads |
/// | [`new`](Self::new) | allocates nothing | |
///
/// Where the allocator is called, progress is the allocator's. Each operation pins the thread for its duration.
///
/// # Guarantees
///
/// - Every operation on one key is linearizable, and every conditional one is a single atomic step. All keys, and all maps, have
///   one order: two threads that each insert a key and then look for the other's do not both miss it. What a thread did before it
///   put a value in happens before what another does that finds it.
/// - A look-up is repeated only if another operation changed its bucket meanwhile.
/// - Weaker: [`len`](Self::len) is exact only when nobody changes the map. An iteration yields each key that is there
///   throughout exactly once; others perhaps. `clear`, `retain`, `extend` and [`get_many`](Self::get_many) are many steps.
/// - Any number of equal hashes is handled, at the cost of a copy of their list for each change. The default hasher is keyed.
/// - Keys are hashed again when the table grows, by whichever thread moves them. A `Hash` or `Eq` that panics leaves the map whole; one
///   that contradicts itself may lose, double or misplace its own keys, and nothing worse.
///
/// # Closures
///
/// Closures of [`fetch_update`](Self::fetch_update), [`update_or_insert`](Self::update_or_insert) and
/// [`remove_if`](Self::remove_if) run again when something in the same bucket was changed meanwhile.
/// [`get_or_insert_with`](Self::get_or_insert_with) calls its closure at most once, and may discard what it returned.
///
/// There is no `entry`: an entry that is copied has no identity. [`compare_exchange`](Self::compare_exchange) is its conditional
/// change, on the value.
///
/// # Memory
///
/// A bucket is a line of 64 bytes for up to three entries, with a second part of 120 where more than three meet, and stays so until
/// it is moved. A removal frees its place at once. The map shrinks by [`shrink_to_fit`](Self::shrink_to_fit) only.
///
/// The algorithm is of the DLHT family ([A. Katsarakis, V. Gavrielatos, N. Ntarmos, 2024](https://arxiv.org/abs/2406.09986)).
pub struct CopyMap<K, V, S = RandomState, R: Reclaim = Epoch> {
    pub(super) raw: Raw<Inline<K, V, S>, R>,
}

// SAFETY: the map owns its keys and values, and hands copies out.
unsafe impl<K: Send, V: Send, S: Send, R: Reclaim> Send for CopyMap<K, V, S, R> where R::Garbage: Send {}
// SAFETY: a shared map takes and hands out keys and values by copy on all threads (`Send`), and lends none; the hasher is shared.
unsafe impl<K: Send, V: Send, S: Sync, R: Reclaim> Sync for CopyMap<K, V, S, R> where R::Garbage: Sync {}

impl<K, V, S: UnwindSafe, R: Reclaim> UnwindSafe for CopyMap<K, V, S, R> {}
impl<K, V, S: RefUnwindSafe, R: Reclaim> RefUnwindSafe for CopyMap<K, V, S, R> {}

#[cfg(feature = "std")]
impl<K: NoUninit, V: NoUninit> CopyMap<K, V> {
    /// An empty map with the default hasher; allocates nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::CopyMap::<u64, u32>::new();
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
    /// let map = latchfree::CopyMap::<u64, u32>::with_capacity(1000);
    /// assert!(map.capacity() >= 1000);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::new())
    }
}

impl<K: NoUninit, V: NoUninit, S> CopyMap<K, V, S> {
    const_fn! {
        /// An empty map with a hasher; allocates nothing.
        ///
        /// For another reclaimer than the default one, use [`Default`] or
        /// [`with_reclaimer`](CopyMap::with_reclaimer).
        ///
        /// # Examples
        ///
        /// ```
        /// use std::hash::{BuildHasherDefault, DefaultHasher};
        ///
        /// use latchfree::CopyMap;
        ///
        /// static HITS: CopyMap<u16, u64, BuildHasherDefault<DefaultHasher>> =
        ///     CopyMap::with_hasher(BuildHasherDefault::new());
        /// HITS.update_or_insert(80, |n| n + 1, 1);
        /// assert_eq!(HITS.get(&80), Some(1));
        /// ```
        #[must_use]
        pub const fn with_hasher(hasher: S) -> Self {
            Self { raw: Raw::new(Inline::new(hasher), Garbage::new(0)) }
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
    /// let map = latchfree::CopyMap::<u64, u64, _>::with_capacity_and_hasher(100, RandomState::new());
    /// assert!(map.capacity() >= 100);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        Self::with_reclaimer(capacity, hasher)
    }
}

impl<K: NoUninit, V: NoUninit, S, R: Accepts<(K, V)>> CopyMap<K, V, S, R> {
    /// An empty map of any reclaimer, with a hasher and room for so many entries. Only tables and their parts are reclaimed.
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
    /// use latchfree::{CopyMap, reclaim::Crossbeam};
    ///
    /// let map: CopyMap<u64, u64, _, Crossbeam> = CopyMap::with_reclaimer(0, RandomState::new());
    /// map.insert(1, 2);
    /// # }
    /// ```
    #[must_use]
    #[track_caller]
    pub fn with_reclaimer(capacity: usize, hasher: S) -> Self {
        let raw = Raw::with_capacity(capacity, Inline::new(hasher), R::garbage(0));
        match raw {
            Some(raw) => Self { raw },
            None => panic!("CopyMap: {}", TryReserveError(capacity)),
        }
    }
}

impl<K, V, S, R: Reclaim> CopyMap<K, V, S, R> {
    /// The map's hasher.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::hash::BuildHasher;
    ///
    /// let map = latchfree::CopyMap::<u64, u64>::new();
    /// assert_eq!(map.hasher().hash_one(5), map.hasher().hash_one(5));
    /// ```
    #[must_use]
    pub fn hasher(&self) -> &S {
        &self.raw.kind.hasher
    }

    /// How many entries there are: a sum over threads, wait-free. Exact if nobody changes the map meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = (0..100).map(|n| (n, n)).collect();
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
    /// let map = latchfree::CopyMap::<u64, u64>::new();
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
    /// assert_eq!(latchfree::CopyMap::<u64, u64>::new().capacity(), 0);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.raw.capacity(&R::pin())
    }

    /// Tries to free the tables, second lines and lists that were left behind; with the default reclaimer at once if no other
    /// thread is pinned. For a map that falls idle: otherwise its next operations do it.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::CopyMap<_, _> = (0..100).map(|n| (n, n)).collect();
    /// map.collect();
    /// assert_eq!(map.backlog().objects, 0);
    /// ```
    pub fn collect(&self) {
        R::collect(&self.raw.garbage);
    }

    /// What was left behind and is not freed yet: tables and parts of them.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::CopyMap::new();
    /// map.insert(1, 1);
    /// map.remove(&1);
    /// assert_eq!(map.backlog().objects, 0); // entries are copies
    /// ```
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        R::backlog(&self.raw.garbage)
    }
}

impl<K: NoUninit + Hash + Eq, V: NoUninit, S: BuildHasher, R: Reclaim> CopyMap<K, V, S, R> {
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
    /// let map = latchfree::CopyMap::<u64, u64>::new();
    /// map.reserve(1000);
    /// assert!(map.capacity() >= 1000);
    /// ```
    #[track_caller]
    pub fn reserve(&self, additional: usize) {
        if let Err(error) = self.try_reserve(additional) {
            panic!("CopyMap::reserve: {error}");
        }
    }

    /// As [`reserve`](Self::reserve), and tells if there is no memory.
    ///
    /// # Errors
    ///
    /// If there is no memory for it; the map is as it was, or somewhat larger.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::CopyMap::<u64, u64>::new();
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
    /// let map = latchfree::CopyMap::<u64, u64>::with_capacity(1000);
    /// map.insert(1, 1);
    /// map.shrink_to_fit();
    /// assert!(map.capacity() < 10);
    /// ```
    pub fn shrink_to_fit(&self) {
        self.raw.resize(self.len(), false, &R::pin());
    }

    #[inline(always)]
    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        raw::hash(&self.raw.kind.hasher, key)
    }
}
