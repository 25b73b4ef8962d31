//! Walking over leaves, in either direction.

use core::mem::MaybeUninit;

use equivalent::Comparable;

use super::form::Layout;
use super::node::{self, Ref, Slot, bare};
use super::search::{self, Edge};
use crate::sync::Ordering;

/// The most levels of inner nodes; with the narrowest nodes that splits make, ten of them have more children than there is
/// memory for. At this height the root is not split any more.
pub(super) const HEIGHT: usize = 10;

/// A way from the root to a leaf. Bounds of nodes never change, so the leaves to either side have disjoint ranges of
/// keys, in order, whichever versions of the nodes are met; and each slot is passed once, so a walk ends whatever keys
/// say of their order.
pub(super) struct Cursor<K, V, L: Layout<K, V>> {
    depth: usize,
    way: [MaybeUninit<Step<K, V, L>>; HEIGHT],
}

/// An inner node, and which of its children the way goes through.
type Step<K, V, L> = (Ref<K, V, L>, usize);

impl<K, V, L: Layout<K, V>> Cursor<K, V, L> {
    /// The leaf where an edge is, and the way to it. `None` for a map that was never used.
    ///
    /// # Safety
    ///
    /// All that was or is reachable from `root` since the caller's guard began is protected by it, and the cursor is
    /// not used beyond it.
    #[inline]
    pub(super) unsafe fn seek<Q: ?Sized + Comparable<K>>(
        root: &Slot<K, V, L>,
        edge: Edge<'_, Q>,
    ) -> (Self, Option<Ref<K, V, L>>) {
        let mut cursor = Self { depth: 0, way: [const { MaybeUninit::uninit() }; HEIGHT] };
        // SAFETY: the caller's promise.
        let node = unsafe { load(root) };
        // SAFETY: below, `child_at` is called with inner nodes.
        let leaf = node.map(|node| unsafe { cursor.descend(node, |node| search::child_at(node, edge)) });
        (cursor, leaf)
    }

    /// # Safety
    ///
    /// As for `seek`; `choose` returns an index within the node.
    #[inline]
    unsafe fn descend(
        &mut self,
        mut node: Ref<K, V, L>,
        choose: impl Fn(Ref<K, V, L>) -> usize,
    ) -> Ref<K, V, L> {
        while node.level() > 0 {
            let index = choose(node);
            self.way[self.depth].write((node, index));
            self.depth += 1;
            // SAFETY: within the node, whose children are not null.
            node = unsafe { load(node.slot(index)) }.expect("a child");
        }
        node
    }

    /// The next leaf.
    pub(super) fn right(&mut self) -> Option<Ref<K, V, L>> {
        self.step(|index, len| (index + 1 < len).then_some(index + 1), |_| 0)
    }

    /// The leaf before.
    pub(super) fn left(&mut self) -> Option<Ref<K, V, L>> {
        self.step(|index, _| index.checked_sub(1), |node| node.len() - 1)
    }

    /// Asks for the leaf that `right` will find, if it has the same parent.
    #[inline]
    pub(super) fn prefetch_right(&self) {
        self.prefetch(|index, len| (index + 1 < len).then_some(index + 1));
    }

    /// The same for `left`.
    #[inline]
    pub(super) fn prefetch_left(&self) {
        self.prefetch(|index, _| index.checked_sub(1));
    }

    #[inline(always)]
    fn prefetch(&self, next: impl Fn(usize, usize) -> Option<usize>) {
        // Models know no caches, and another load makes them longer.
        if cfg!(latchfree_loom) {
            return;
        }
        let Some(depth) = self.depth.checked_sub(1) else { return };
        // SAFETY: written when the cursor came to this depth.
        let (node, index) = unsafe { self.way[depth].assume_init() };
        if let Some(next) = next(index, node.len()) {
            // Relaxed: nothing is read through the pointer.
            // SAFETY: within the node, which the guard of `seek` protects.
            node::prefetch(bare(unsafe { node.slot(next) }.load(Ordering::Relaxed)));
        }
    }

    fn step(
        &mut self,
        next: impl Fn(usize, usize) -> Option<usize>,
        choose: impl Fn(Ref<K, V, L>) -> usize,
    ) -> Option<Ref<K, V, L>> {
        loop {
            let depth = self.depth.checked_sub(1)?;
            // SAFETY: written when the cursor came to this depth.
            let (node, index) = unsafe { self.way[depth].assume_init() };
            if let Some(index) = next(index, node.len()) {
                self.way[depth].write((node, index));
                // SAFETY: within the node, whose children are not null; the promise of `seek`.
                return Some(unsafe { self.descend(load(node.slot(index)).expect("a child"), choose) });
            }
            self.depth = depth;
        }
    }
}

/// What is in a slot, frozen or not.
///
/// # Safety
///
/// It is protected by the caller's guard.
#[inline(always)]
pub(super) unsafe fn load<K, V, L: Layout<K, V>>(slot: &Slot<K, V, L>) -> Option<Ref<K, V, L>> {
    // SeqCst: for the node's contents, and in the total order with the exchanges of all slots: of two threads that each
    // change one key and then read the other's, one sees the other's change.
    // SAFETY: the caller's promise, and the bits are removed.
    unsafe { Ref::new(bare(slot.load(Ordering::SeqCst))) }
}
