//! Reading more than one entry.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use equivalent::Comparable;

use super::cursor::Cursor;
use super::entry::Item;
use super::form::Layout;
use super::node::{Contents, Ref};
use super::search::{self, Edge, Probe};
use super::state::{Order, State};
use super::{Raw, Taken};
use crate::reclaim::Reclaim;

/// A walk over the entries between two edges, from both ends. Each leaf is read once, when the walk comes to it.
pub(in crate::ordered_map) struct Scan<K, V, L: Layout<K, V>> {
    front: Option<Side<K, V, L>>,
    back: Option<Side<K, V, L>>,
    /// The last keys that each side yielded, once both have been used.
    front_key: *const K,
    back_key: *const K,
    done: bool,
}

/// One end of a scan: the way to a leaf, and which of the leaf's entries are left.
struct Side<K, V, L: Layout<K, V>> {
    cursor: Cursor<K, V, L>,
    leaf: Ref<K, V, L>,
    contents: Contents<K, V, L>,
    /// Its places that held entries when it was read.
    order: Order,
    left: Range<usize>,
    /// The other edge lies in this leaf.
    last: bool,
}

impl<K: Ord, V, L: Layout<K, V>> Scan<K, V, L> {
    pub(in crate::ordered_map) const fn new() -> Self {
        Self {
            front: None,
            back: None,
            front_key: core::ptr::null(),
            back_key: core::ptr::null(),
            done: false,
        }
    }

    /// # Safety
    ///
    /// One guard protects the map from before the first call to the last. The edges are always the same.
    #[inline(always)]
    pub(in crate::ordered_map) unsafe fn next<'q, Q: ?Sized + Comparable<K> + 'q, R: Reclaim>(
        &mut self,
        raw: &Raw<K, V, R, L>,
        edges: impl Fn() -> [Edge<'q, Q>; 2],
    ) -> Option<Item<K, V>> {
        loop {
            let side = self.front.as_mut();
            if let Some((side, index)) = side.and_then(|side| side.left.next().map(|index| (side, index))) {
                // SAFETY: it is there.
                let item = unsafe { side.contents.item(side.order.place(index)) };
                // SAFETY: keys that were yielded are protected by the caller's guard.
                let ahead = |key: *const K| unsafe { (*item.key).cmp(&*key) } == Ordering::Less;
                if !self.back_key.is_null() && !ahead(self.back_key) {
                    self.finish();
                    return None;
                }
                self.front_key = item.key;
                return Some(item);
            }
            // SAFETY: the caller's promise.
            if self.done || !unsafe { self.forward(raw, edges()) } {
                return None;
            }
        }
    }

    /// Goes to the next leaf; false if there is none.
    ///
    /// # Safety
    ///
    /// As for `next`.
    #[inline(never)]
    unsafe fn forward<Q: ?Sized + Comparable<K>, R: Reclaim>(
        &mut self,
        raw: &Raw<K, V, R, L>,
        [start, end]: [Edge<'_, Q>; 2],
    ) -> bool {
        let side = match &mut self.front {
            Some(side) => {
                let Some(leaf) = (!side.last).then(|| side.cursor.right()).flatten() else {
                    self.finish();
                    return false;
                };
                side.is_in(leaf);
                side
            }
            None => {
                // SAFETY: the caller's promise.
                let (cursor, Some(leaf)) = (unsafe { Cursor::seek(&raw.root, start) }) else {
                    self.finish();
                    return false;
                };
                let side = self.front.insert(Side::new(cursor, leaf));
                // SAFETY: a leaf and its order.
                side.left.start = unsafe { search::before(leaf, &side.order, start) };
                side
            }
        };
        // SAFETY: a leaf and its order.
        side.left.end = unsafe { search::before(side.leaf, &side.order, end) };
        side.last = side.left.end < side.order.len();
        if !side.last {
            side.cursor.prefetch_right();
        }
        true
    }

    /// # Safety
    ///
    /// As for `next`.
    #[inline(always)]
    pub(in crate::ordered_map) unsafe fn next_back<'q, Q: ?Sized + Comparable<K> + 'q, R: Reclaim>(
        &mut self,
        raw: &Raw<K, V, R, L>,
        edges: impl Fn() -> [Edge<'q, Q>; 2],
    ) -> Option<Item<K, V>> {
        loop {
            let side = self.back.as_mut();
            if let Some((side, index)) =
                side.and_then(|side| side.left.next_back().map(|index| (side, index)))
            {
                // SAFETY: it is there.
                let item = unsafe { side.contents.item(side.order.place(index)) };
                // SAFETY: keys that were yielded are protected by the caller's guard.
                let behind = |key: *const K| unsafe { (*item.key).cmp(&*key) } == Ordering::Greater;
                if !self.front_key.is_null() && !behind(self.front_key) {
                    self.finish();
                    return None;
                }
                self.back_key = item.key;
                return Some(item);
            }
            // SAFETY: the caller's promise.
            if self.done || !unsafe { self.backward(raw, edges()) } {
                return None;
            }
        }
    }

    /// Goes to the leaf before; false if there is none.
    ///
    /// # Safety
    ///
    /// As for `next`.
    #[inline(never)]
    unsafe fn backward<Q: ?Sized + Comparable<K>, R: Reclaim>(
        &mut self,
        raw: &Raw<K, V, R, L>,
        [start, end]: [Edge<'_, Q>; 2],
    ) -> bool {
        let side = match &mut self.back {
            Some(side) => {
                let Some(leaf) = (!side.last).then(|| side.cursor.left()).flatten() else {
                    self.finish();
                    return false;
                };
                side.is_in(leaf);
                side
            }
            None => {
                // SAFETY: the caller's promise.
                let (cursor, Some(leaf)) = (unsafe { Cursor::seek(&raw.root, end) }) else {
                    self.finish();
                    return false;
                };
                let side = self.back.insert(Side::new(cursor, leaf));
                // SAFETY: a leaf and its order.
                side.left.end = unsafe { search::before(leaf, &side.order, end) };
                side
            }
        };
        // SAFETY: a leaf and its order.
        side.left.start = unsafe { search::before(side.leaf, &side.order, start) };
        side.last = side.left.start > 0;
        if !side.last {
            side.cursor.prefetch_left();
        }
        true
    }

    /// Nothing is left at either end.
    #[cold]
    fn finish(&mut self) {
        self.done = true;
        for side in [&mut self.front, &mut self.back].into_iter().flatten() {
            side.left = 0..0;
        }
    }
}

impl<K, V, L: Layout<K, V>> Side<K, V, L> {
    /// All of a leaf.
    #[inline(always)]
    fn new(cursor: Cursor<K, V, L>, leaf: Ref<K, V, L>) -> Self {
        let order = leaf.order(leaf.state());
        Self { cursor, leaf, contents: Contents::new(leaf), left: 0..order.len(), order, last: false }
    }

    /// All of the next leaf.
    #[inline(always)]
    fn is_in(&mut self, leaf: Ref<K, V, L>) {
        self.leaf = leaf;
        self.contents = Contents::new(leaf);
        self.order = leaf.order(leaf.state());
        self.left = 0..self.order.len();
    }
}

/// Entries of leaves that were all in the map at one moment.
pub(in crate::ordered_map) struct Leaves<K, V, L: Layout<K, V>> {
    leaves: alloc::vec::IntoIter<Part<K, V, L>>,
    front: Taken<K, V, L>,
    back: Taken<K, V, L>,
    len: usize,
}

/// A leaf as it was at one moment, and which of its entries belong to a range.
struct Part<K, V, L: Layout<K, V>> {
    leaf: Ref<K, V, L>,
    state: State,
    order: Order,
    range: Range<usize>,
}

impl<K, V, L: Layout<K, V>> PartialEq for Part<K, V, L> {
    fn eq(&self, other: &Self) -> bool {
        self.leaf == other.leaf
            && self.state == other.state
            && self.order == other.order
            && self.range == other.range
    }
}

fn part<K, V, L: Layout<K, V>>(part: Part<K, V, L>) -> Taken<K, V, L> {
    Taken { leaf: Some(part.leaf), order: part.order, range: part.range }
}

impl<K, V, L: Layout<K, V>> Leaves<K, V, L> {
    pub(in crate::ordered_map) fn len(&self) -> usize {
        self.len
    }

    pub(in crate::ordered_map) fn next(&mut self) -> Option<Item<K, V>> {
        loop {
            if let Some(item) = self.front.next() {
                self.len -= 1;
                return Some(item);
            }
            self.front = match self.leaves.next() {
                Some(next) => part(next),
                None if self.len == 0 => return None,
                None => core::mem::replace(&mut self.back, Taken::none()),
            };
        }
    }

    pub(in crate::ordered_map) fn next_back(&mut self) -> Option<Item<K, V>> {
        loop {
            if let Some(item) = self.back.next_back() {
                self.len -= 1;
                return Some(item);
            }
            self.back = match self.leaves.next_back() {
                Some(next) => part(next),
                None if self.len == 0 => return None,
                None => core::mem::replace(&mut self.front, Taken::none()),
            };
        }
    }
}

impl<K, V, R: Reclaim, L: Layout<K, V>> Raw<K, V, R, L> {
    /// The entries between two edges as they were at one moment: leaves that are the same, and hold the same, in two collections
    /// were all there between them, for neither ever comes back, and so was what moves had made of them, for a move is decided once. A repetition
    /// is due to a change that another thread made.
    pub(in crate::ordered_map) fn snapshot<Q: ?Sized + Comparable<K>>(
        &self,
        start: Edge<'_, Q>,
        end: Edge<'_, Q>,
        _guard: &R::Guard,
    ) -> Leaves<K, V, L> {
        let collect = || {
            let mut leaves = Vec::new();
            // SAFETY: the guard protects all that is reached.
            let (mut cursor, mut next) = unsafe { Cursor::seek(&self.root, start) };
            while let Some(leaf) = next {
                let state = leaf.state();
                let order = leaf.order(state);
                // SAFETY: a leaf, and its order.
                let until = unsafe { search::before(leaf, &order, end) };
                let is_last = until < order.len();
                // SAFETY: as above.
                let from = if leaves.is_empty() { unsafe { search::before(leaf, &order, start) } } else { 0 };
                leaves.push(Part { leaf, state, order, range: from..until.max(from) });
                next = if is_last { None } else { cursor.right() };
            }
            leaves
        };
        let mut leaves: Vec<Part<K, V, L>> = collect();
        while leaves.len() > 1 {
            let again = collect();
            let same = leaves == again;
            leaves = again;
            if same {
                break;
            }
        }
        let len = leaves.iter().map(|part| part.range.len()).sum();
        Leaves { leaves: leaves.into_iter(), front: Taken::none(), back: Taken::none(), len }
    }

    /// The first entry behind an edge.
    pub(in crate::ordered_map) fn after<Q: ?Sized + Comparable<K>>(
        &self,
        edge: Edge<'_, Q>,
        _guard: &R::Guard,
    ) -> Option<Item<K, V>> {
        self.nearest(edge, Cursor::right, |leaf, order| {
            // SAFETY: a leaf, and its order.
            unsafe {
                let index = search::before(leaf, order, edge);
                (index < order.len()).then(|| leaf.item(order.place(index)))
            }
        })
    }

    /// The last entry before an edge.
    pub(in crate::ordered_map) fn ahead<Q: ?Sized + Comparable<K>>(
        &self,
        edge: Edge<'_, Q>,
        _guard: &R::Guard,
    ) -> Option<Item<K, V>> {
        self.nearest(edge, Cursor::left, |leaf, order| {
            // SAFETY: a leaf, and its order.
            unsafe {
                let index = search::before(leaf, order, edge).checked_sub(1)?;
                Some(leaf.item(order.place(index)))
            }
        })
    }

    /// The entry that `choose` finds in the first leaf in which it finds one; the leaves passed on the way were there at the
    /// same moment, as in `snapshot`.
    fn nearest<Q: ?Sized + Comparable<K>>(
        &self,
        edge: Edge<'_, Q>,
        step: impl Fn(&mut Cursor<K, V, L>) -> Option<Ref<K, V, L>>,
        choose: impl Fn(Ref<K, V, L>, &Order) -> Option<Item<K, V>>,
    ) -> Option<Item<K, V>> {
        let mut passed: Vec<(Ref<K, V, L>, State)> = Vec::new();
        loop {
            // SAFETY: the callers' guard protects all that is reached.
            let (mut cursor, mut next) = unsafe { Cursor::seek(&self.root, edge) };
            let (mut count, mut same, mut found) = (0, true, None);
            while let Some(leaf) = next {
                // If a move is decided meanwhile that hid something here, or will, this leaf is passed in one of two rounds only.
                let state = leaf.state();
                found = choose(leaf, &leaf.order(state));
                if count == 0 && found.is_some() {
                    return found;
                }
                if passed.get(count) != Some(&(leaf, state)) {
                    same = false;
                    passed.truncate(count);
                    passed.push((leaf, state));
                }
                count += 1;
                if found.is_some() {
                    break;
                }
                next = step(&mut cursor);
            }
            same &= passed.len() == count;
            passed.truncate(count);
            if same || count <= 1 {
                return found;
            }
        }
    }

    /// Removes what lies between two edges and for which `keep` does not hold; returns how many. Leaf by leaf: `keep` is called
    /// for each entry that is there when the scan comes to its leaf, and again if the leaf changes before the removal.
    pub(in crate::ordered_map) fn retain<Q: ?Sized + Comparable<K>>(
        &self,
        start: Edge<'_, Q>,
        end: Edge<'_, Q>,
        mut keep: impl FnMut(&K, &V) -> bool,
        guard: &R::Guard,
    ) -> usize
    where
        K: Ord,
    {
        let mut removed = 0;
        // SAFETY: the guard protects all that is reached.
        let (mut cursor, mut next) = unsafe { Cursor::seek(&self.root, start) };
        let mut is_first = true;
        while let Some(leaf) = next {
            let state = leaf.state();
            let order = leaf.order(state);
            // SAFETY: a leaf, and its order.
            let until = unsafe { search::before(leaf, &order, end) };
            // SAFETY: as above.
            let from = if is_first { unsafe { search::before(leaf, &order, start) } } else { 0 };
            let mut doomed = Order::EMPTY;
            for index in from..until {
                // SAFETY: it is there; key and value are protected by the guard.
                if !unsafe { keeps(leaf.item(order.place(index)), &mut keep) } {
                    doomed.push(order.place(index));
                }
            }
            if doomed.len() > 0 {
                removed += match self.prune(leaf, state, doomed, guard) {
                    true => doomed.len(),
                    false => {
                        let each = doomed.as_slice().iter().filter(|&&place| {
                            // SAFETY: it was there, in a leaf that the guard protects.
                            let probe = Probe::new::<K>(unsafe { &*leaf.item(place.into()).key });
                            let gone = self.remove_if(probe, |key, value| !keep(key, value), guard);
                            matches!(gone, Ok(Some(_)))
                        });
                        each.count()
                    }
                };
            }
            is_first = false;
            next = if until < order.len() { None } else { cursor.right() };
        }
        removed
    }

    /// Removes the `doomed` of a leaf in one exchange, if the leaf is still in the map and holds what it held.
    fn prune(&self, leaf: Ref<K, V, L>, state: State, doomed: Order, guard: &R::Guard) -> bool
    where
        K: Ord,
    {
        // SAFETY: it was there.
        let edge = Edge::Below(Probe::new::<K>(unsafe { &*leaf.item(doomed.place(0)).key }));
        let place = self.place(edge, guard);
        place.leaf == Some(leaf) && place.state == state && self.take(place, doomed.as_slice(), edge, guard)
    }
}

/// # Safety
///
/// Key and value can be read.
unsafe fn keeps<K, V>(item: Item<K, V>, keep: &mut impl FnMut(&K, &V) -> bool) -> bool {
    // SAFETY: the caller's promise.
    unsafe { keep(&*item.key, &*item.value) }
}
