//! The iterator over a part of a map.

use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;
use core::ops::RangeBounds;

use equivalent::Comparable;

use super::lend;
use super::raw::{Auto, Edge, Layout, Raw, Scan};
use crate::reclaim::{Epoch, Reclaim};

/// The entries of an [`OrderedMap`](super::OrderedMap) within bounds; see its [`range`](super::OrderedMap::range).
///
/// # Examples
///
/// ```
/// let map = latchfree::OrderedMap::from([(1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')]);
/// let pinned = map.pin();
/// assert!(pinned.range(2..4).rev().eq([(&3, &'c'), (&2, &'b')]));
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Range<'g, Q: ?Sized, B, K, V, R: Reclaim = Epoch, L: Layout<K, V> = Auto> {
    raw: &'g Raw<K, V, R, L>,
    bounds: B,
    scan: Scan<K, V, L>,
    _guard: PhantomData<&'g R::Guard>,
    _query: PhantomData<fn(&Q)>,
}

impl<'g, Q: ?Sized, B, K: Ord, V, R: Reclaim, L: Layout<K, V>> Range<'g, Q, B, K, V, R, L> {
    pub(super) fn new(raw: &'g Raw<K, V, R, L>, bounds: B, _guard: &'g R::Guard) -> Self {
        Self { raw, bounds, scan: Scan::new(), _guard: PhantomData, _query: PhantomData }
    }
}

fn edges<'q, Q: ?Sized, K>(bounds: &'q impl RangeBounds<Q>) -> [Edge<'q, Q>; 2] {
    [Edge::start::<K>(bounds.start_bound()), Edge::end::<K>(bounds.end_bound())]
}

impl<'g, Q, B, K, V, R, L> Iterator for Range<'g, Q, B, K, V, R, L>
where
    Q: ?Sized + Comparable<K>,
    B: RangeBounds<Q>,
    K: Ord,
    R: Reclaim,
    L: Layout<K, V>,
{
    type Item = (&'g K, &'g V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // SAFETY: the guard and the map are borrowed from the scan's beginning on. If the bounds change their mind, a scan
        // yields other entries or ends early.
        unsafe { self.scan.next(self.raw, || edges::<Q, K>(&self.bounds)).map(|item| lend(item)) }
    }
}

impl<Q, B, K, V, R, L> DoubleEndedIterator for Range<'_, Q, B, K, V, R, L>
where
    Q: ?Sized + Comparable<K>,
    B: RangeBounds<Q>,
    K: Ord,
    R: Reclaim,
    L: Layout<K, V>,
{
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        // SAFETY: as in `next`.
        unsafe { self.scan.next_back(self.raw, || edges::<Q, K>(&self.bounds)).map(|item| lend(item)) }
    }
}

impl<Q, B, K, V, R, L> FusedIterator for Range<'_, Q, B, K, V, R, L>
where
    Q: ?Sized + Comparable<K>,
    B: RangeBounds<Q>,
    K: Ord,
    R: Reclaim,
    L: Layout<K, V>,
{
}

impl<Q: ?Sized, B: fmt::Debug, K, V, R: Reclaim, L: Layout<K, V>> fmt::Debug for Range<'_, Q, B, K, V, R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}
