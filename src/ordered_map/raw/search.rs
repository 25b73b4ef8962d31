//! Search within a node.

use core::cmp::Ordering;
use core::ops::Bound;

use equivalent::Comparable;

use super::form;
use super::form::Layout;
use super::node::Ref;

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

/// The first index below `len` for which `before` is false; a fixed number of steps without branches on keys.
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

/// The first index of `count` keys that is not before the query, or with `or_equal` not equal to it either. With any
/// `Ord`, at most `count`.
///
/// # Safety
///
/// The node has so many keys.
#[inline(always)]
unsafe fn position<K, V, L: Layout<K, V>, Q: ?Sized + Comparable<K>>(
    node: Ref<K, V, L>,
    count: usize,
    probe: Probe<'_, Q>,
    or_equal: bool,
) -> usize {
    let before = |index: usize| {
        // SAFETY: below `count`.
        let ordering = probe.query.compare(unsafe { &*node.key(index) });
        ordering == Ordering::Greater || or_equal && ordering == Ordering::Equal
    };
    match probe.prefix {
        Some(prefix) if form::keys_prefixed::<K, V, L>() => {
            // SAFETY: below `count`.
            let low = first(count, |index| unsafe { node.prefix(index) } < prefix);
            // Keys of the same prefix are few, as a rule: their end is sought from their begin on.
            let mut high = low;
            // SAFETY: below `count`.
            while high < count && unsafe { node.prefix(high) } == prefix {
                high += 1;
            }
            low + first(high - low, |index| before(low + index))
        }
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
    unsafe { position(node, node.len() - 1, probe, true) }
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

/// Where the query is in a leaf, or would be.
///
/// # Safety
///
/// A leaf, or nothing.
#[inline(always)]
pub(super) unsafe fn find<K, V, L: Layout<K, V>, Q: ?Sized + Comparable<K>>(
    leaf: Option<Ref<K, V, L>>,
    probe: Probe<'_, Q>,
) -> Result<usize, usize> {
    let Some(leaf) = leaf else { return Err(0) };
    // SAFETY: a leaf has as many keys as entries.
    let index = unsafe { position(leaf, leaf.len(), probe, false) };
    // SAFETY: within the leaf if the first is true.
    if index < leaf.len() && probe.query.compare(unsafe { &*leaf.key(index) }) == Ordering::Equal {
        Ok(index)
    } else {
        Err(index)
    }
}

/// How many of a leaf's entries come before an edge.
///
/// # Safety
///
/// A leaf.
pub(super) unsafe fn before<K, V, L: Layout<K, V>, Q: ?Sized + Comparable<K>>(
    leaf: Ref<K, V, L>,
    edge: Edge<'_, Q>,
) -> usize {
    // SAFETY: a leaf has as many keys as entries.
    unsafe {
        match edge {
            Edge::First => 0,
            Edge::Below(probe) => position(leaf, leaf.len(), probe, false),
            Edge::Above(probe) => position(leaf, leaf.len(), probe, true),
            Edge::Last => leaf.len(),
        }
    }
}
