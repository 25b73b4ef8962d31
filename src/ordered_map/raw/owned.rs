//! The entries of a map that nobody shares any more.

use alloc::vec::Vec;
use core::ops::Range;
use core::ptr;

use super::Raw;
use super::entry::{Boxed, Item};
use super::form;
use super::form::Layout;
use super::node::{Ref, bare};
use super::state::Order;
use crate::reclaim::Reclaim;
use crate::sync::Ordering;
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;

/// All entries, by value and in order. Dropping it drops the rest.
pub(in crate::ordered_map) struct Owned<K, V, L: Layout<K, V>> {
    leaves: alloc::vec::IntoIter<Ref<K, V, L>>,
    front: Option<Part<K, V, L>>,
    back: Option<Part<K, V, L>>,
    /// Boxes of which a share is left: of separators, and of keys that were replaced.
    shares: Vec<Boxed<K, V>>,
    len: usize,
}

/// A leaf, its places that hold entries, and which of these are left.
type Part<K, V, L> = (Ref<K, V, L>, Order, Range<usize>);

impl<K, V, L: Layout<K, V>> Owned<K, V, L> {
    /// Takes all nodes out of a map.
    pub(in crate::ordered_map) fn new<R: Reclaim>(raw: &mut Raw<K, V, R, L>) -> Self {
        let root = raw.root.with_mut(|root| core::mem::replace(root, ptr::null_mut()));
        let (mut leaves, mut shares, mut len) = (Vec::new(), Vec::new(), 0);
        // SAFETY: nobody shares the map.
        let mut nodes: Vec<Ref<K, V, L>> = unsafe { Ref::new(root) }.into_iter().collect();
        while let Some(node) = nodes.pop() {
            if node.level() == 0 {
                len += node.order(node.state()).len();
                shares.extend(node.replaced());
                leaves.push(node);
                continue;
            }
            // The first is popped first.
            for index in (0..node.len()).rev() {
                // SAFETY: within the node, which is ours.
                unsafe {
                    if index > 0 {
                        shares.extend(node.boxed_key(index - 1));
                    }
                    // Relaxed: what other threads did happened before the map was ours.
                    nodes.extend(Ref::new(bare(node.slot(index).load(Ordering::Relaxed))));
                }
            }
            // SAFETY: ours, and not reached again.
            unsafe { node.free() };
        }
        Self { leaves: leaves.into_iter(), front: None, back: None, shares, len }
    }

    pub(in crate::ordered_map) fn len(&self) -> usize {
        self.len
    }

    pub(in crate::ordered_map) fn next(&mut self) -> Option<(K, V)> {
        loop {
            if let Some((leaf, order, range)) = &mut self.front {
                if let Some(index) = range.next() {
                    self.len -= 1;
                    // SAFETY: it is there, and each is taken once.
                    return Some(unsafe { take::<K, V, L>(leaf.item(order.place(index))) });
                }
                // SAFETY: ours; its entries are taken, or at the other end.
                unsafe { leaf.free() };
                self.front = None;
            }
            self.front = self.leaves.next().map(whole).or_else(|| self.back.take());
            self.front.as_ref()?;
        }
    }

    pub(in crate::ordered_map) fn next_back(&mut self) -> Option<(K, V)> {
        loop {
            if let Some((leaf, order, range)) = &mut self.back {
                if let Some(index) = range.next_back() {
                    self.len -= 1;
                    // SAFETY: it is there, and each is taken once.
                    return Some(unsafe { take::<K, V, L>(leaf.item(order.place(index))) });
                }
                // SAFETY: ours; its entries are taken, or at the other end.
                unsafe { leaf.free() };
                self.back = None;
            }
            self.back = self.leaves.next_back().map(whole).or_else(|| self.front.take());
            self.back.as_ref()?;
        }
    }
}

fn whole<K, V, L: Layout<K, V>>(leaf: Ref<K, V, L>) -> Part<K, V, L> {
    let order = leaf.order(leaf.state());
    (leaf, order, 0..order.len())
}

/// # Safety
///
/// The entry is owned by the caller, who takes it once.
unsafe fn take<K, V, L: Layout<K, V>>(item: Item<K, V>) -> (K, V) {
    // SAFETY: the caller's promise; what is not boxed is plain.
    unsafe {
        match item.entry {
            Some(entry) => entry.into_pair(),
            None => {
                debug_assert!(form::values_inline::<K, V, L>());
                (item.key.read(), item.value.read())
            }
        }
    }
}

impl<K, V, L: Layout<K, V>> Drop for Owned<K, V, L> {
    fn drop(&mut self) {
        /// Goes on with the rest if a destructor panics.
        struct Rest<'a, K, V, L: Layout<K, V>>(&'a mut Owned<K, V, L>);
        impl<K, V, L: Layout<K, V>> Rest<'_, K, V, L> {
            fn drain(&mut self) {
                while let Some(pair) = self.0.next() {
                    drop(pair);
                }
                while let Some(entry) = self.0.shares.pop() {
                    // SAFETY: a share of what is gone.
                    unsafe { entry.release() };
                }
            }
        }
        impl<K, V, L: Layout<K, V>> Drop for Rest<'_, K, V, L> {
            fn drop(&mut self) {
                self.drain();
            }
        }
        Rest(self).drain();
    }
}

impl<K, V, R: Reclaim, L: Layout<K, V>> Drop for Raw<K, V, R, L> {
    fn drop(&mut self) {
        drop(Owned::new(self));
    }
}
