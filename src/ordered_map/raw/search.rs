//! Search within a node.

use core::cmp::Ordering;
use core::ops::Bound;

use equivalent::Comparable;

use super::form;
use super::form::Layout;
use super::node::Ref;
use super::state::{LOG, Order, State};

/// What is looked up, with its prefix if that helps among such keys.
pub(in crate::ordered_map) struct Probe<'q, Q: ?Sized> {
    pub(super) query: &'q Q,
    prefix: Option<u64>,
}

impl<Q: ?Sized> Clone for Probe<'_, Q> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Q: ?Sized> Copy for Probe<'_, Q> {}

/// Where a range begins or ends: at an end of the map, or below or above a key.
pub(in crate::ordered_map) enum Edge<'q, Q: ?Sized> {
    First,
    Below(Probe<'q, Q>),
    Above(Probe<'q, Q>),
    Last,
}

impl<Q: ?Sized> Clone for Edge<'_, Q> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Q: ?Sized> Copy for Edge<'_, Q> {}

impl<'q, Q: ?Sized> Probe<'q, Q> {
    #[inline(always)]
    pub(in crate::ordered_map) fn new<K>(query: &'q Q) -> Self {
        Self { query, prefix: form::prefix::<K, Q>(query) }
    }

    /// Of a key that goes into the map itself, the prefix that is stored.
    #[inline(always)]
    pub(super) fn stored(&self) -> u64 {
        self.prefix.unwrap_or(0)
    }
}

impl<'q, Q: ?Sized> Edge<'q, Q> {
    pub(in crate::ordered_map) fn start<K>(bound: Bound<&'q Q>) -> Self {
        match bound {
            Bound::Included(query) => Self::Below(Probe::new::<K>(query)),
            Bound::Excluded(query) => Self::Above(Probe::new::<K>(query)),
            Bound::Unbounded => Self::First,
        }
    }

    pub(in crate::ordered_map) fn end<K>(bound: Bound<&'q Q>) -> Self {
        match bound {
            Bound::Included(query) => Self::Above(Probe::new::<K>(query)),
            Bound::Excluded(query) => Self::Below(Probe::new::<K>(query)),
            Bound::Unbounded => Self::Last,
        }
    }
}

/// The first index below `len` for which `before` is false, in a fixed number of steps.
#[inline(always)]
fn first(len: usize, mut before: impl FnMut(usize) -> bool) -> usize {
    let (mut base, mut size) = (0, len);
    while size > 1 {
        let half = size / 2;
        base = if before(base + half) { base + half } else { base };
        size -= half;
    }
    base + usize::from(size == 1 && before(base))
}

/// The same where comparisons cost less than waiting for their outcome: counts among every [`BLOCK`]th key, and looks at all of one
/// block, so that no comparison depends on another one.
#[inline(always)]
fn counted(len: usize, mut before: impl FnMut(usize) -> bool) -> usize {
    let (mut blocks, mut last) = (0, BLOCK - 1);
    while last < len {
        blocks += usize::from(before(last));
        last += BLOCK;
    }
    // The last block may be short, or overlap with the one before.
    let base = (blocks * BLOCK).min(len.saturating_sub(BLOCK));
    let mut at = base;
    // A choice for each, since compilers make vector code of sums, with which such look-ups took 39 ns instead of 29.
    if len >= BLOCK {
        for index in base..base + BLOCK {
            at = if before(index) { index + 1 } else { at };
        }
    } else {
        for index in 0..len {
            at = if before(index) { index + 1 } else { at };
        }
    }
    at
}

/// So many make a block. Look-ups in a map of a thousand `u64` took 29 ns instead of 47, which the branches of a binary search take that
/// nobody can foretell. Reasoned: with 64 keys as many comparisons among blocks as within one.
const BLOCK: usize = 8;

/// Where the query, or its end with `or_equal`, is among `count` places in order. With any `Ord`, at most `count`.
///
/// # Safety
///
/// `place` leads to keys of the node that can be read.
#[inline(always)]
unsafe fn position<K, V, L: Layout<K, V>, Q: ?Sized + Comparable<K>>(
    node: Ref<K, V, L>,
    count: usize,
    place: impl Fn(usize) -> usize,
    probe: Probe<'_, Q>,
    or_equal: bool,
) -> usize {
    let before = |index: usize| {
        // SAFETY: the caller's promise.
        let ordering = probe.query.compare(unsafe { &*node.key(place(index)) });
        ordering == Ordering::Greater || or_equal && ordering == Ordering::Equal
    };
    match probe.prefix {
        Some(prefix) if form::keys_prefixed::<K, V, L>() => {
            // SAFETY: the caller's promise.
            let low = counted(count, |index| unsafe { node.prefix(place(index)) } < prefix);
            // Keys of the same prefix are few, as a rule: their end is sought from their begin on.
            let mut high = low;
            // SAFETY: the caller's promise.
            while high < count && unsafe { node.prefix(place(high)) } == prefix {
                high += 1;
            }
            low + first(high - low, |index| before(low + index))
        }
        _ if form::keys_inline::<K, V, L>() && size_of::<K>() <= size_of::<u64>() => counted(count, before),
        _ => first(count, before),
    }
}

/// Which child of an inner node leads to the query.
///
/// # Safety
///
/// An inner node.
#[inline(always)]
pub(super) unsafe fn child<K, V, L: Layout<K, V>, Q: ?Sized + Comparable<K>>(
    node: Ref<K, V, L>,
    probe: Probe<'_, Q>,
) -> usize {
    // SAFETY: it has one separator less than children.
    unsafe { position(node, node.len() - 1, |index| index, probe, true) }
}

/// Which child of an inner node leads to an edge of a range.
///
/// # Safety
///
/// An inner node.
#[inline(always)]
pub(super) unsafe fn child_at<K, V, L: Layout<K, V>, Q: ?Sized + Comparable<K>>(
    node: Ref<K, V, L>,
    edge: Edge<'_, Q>,
) -> usize {
    match edge {
        Edge::First => 0,
        // SAFETY: the caller's promise.
        Edge::Below(probe) | Edge::Above(probe) => unsafe { child(node, probe) },
        Edge::Last => node.len() - 1,
    }
}

/// The place of the query in a leaf; or the rank that it would have.
///
/// # Safety
///
/// A leaf and a state of it, or nothing.
#[inline(always)]
pub(super) unsafe fn find<K, V, L: Layout<K, V>, Q: ?Sized + Comparable<K>>(
    leaf: Option<Ref<K, V, L>>,
    state: State,
    probe: Probe<'_, Q>,
) -> Result<usize, usize> {
    let Some(leaf) = leaf else { return Err(0) };
    let sorted = leaf.len();
    // SAFETY: below; a sorted place that is gone can be read, for keys that lie in the node (see `Raw::can_remove`).
    let is_equal = |place: usize| probe.query.compare(unsafe { &*leaf.key(place) }) == Ordering::Equal;
    // Of most keys that are not the query the prefix says so, and nothing outside of the leaf is read.
    let is_query = |place: usize| match probe.prefix {
        Some(prefix) if form::keys_prefixed::<K, V, L>() => {
            // SAFETY: as above.
            let same = unsafe { leaf.prefix(place) } == prefix;
            same && is_equal(place)
        }
        _ => is_equal(place),
    };
    // SAFETY: the sorted places.
    let rank = unsafe { position(leaf, sorted, |index| index, probe, false) };
    if rank < sorted && state.has_sorted(rank) && is_query(rank) {
        return Ok(rank);
    }
    if state.may_log(rank) {
        for slot in 0..LOG {
            if state.logged(slot) == Some(rank) && is_query(sorted + slot) {
                return Ok(sorted + slot);
            }
        }
    }
    Err(rank)
}

/// Whether a key of this rank may come to a place of the log, so that entries of the same rank stay in order there.
///
/// # Safety
///
/// A leaf and a state of it.
#[inline(always)]
pub(super) unsafe fn fits<K: Ord, V, L: Layout<K, V>>(
    leaf: Ref<K, V, L>,
    state: State,
    rank: usize,
    slot: usize,
    key: &K,
) -> bool {
    !state.may_log(rank)
        || (0..LOG).filter(|&other| state.logged(other) == Some(rank)).all(|other| {
            // SAFETY: it is there.
            let ordering = unsafe { &*leaf.key(leaf.len() + other) }.cmp(key);
            (ordering == Ordering::Less) == (other < slot)
        })
}

/// How many of a leaf's entries come before an edge.
///
/// # Safety
///
/// A leaf, and an order of it.
#[inline]
pub(super) unsafe fn before<K, V, L: Layout<K, V>, Q: ?Sized + Comparable<K>>(
    leaf: Ref<K, V, L>,
    order: &Order,
    edge: Edge<'_, Q>,
) -> usize {
    let place = |index| order.place(index);
    // SAFETY: the places of an order can be read.
    unsafe {
        match edge {
            Edge::First => 0,
            Edge::Below(probe) => position(leaf, order.len(), place, probe, false),
            Edge::Above(probe) => position(leaf, order.len(), place, probe, true),
            Edge::Last => order.len(),
        }
    }
}
