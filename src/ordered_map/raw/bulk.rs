//! Building a map from entries in order, without searches and without rebuilding.

use alloc::vec::Vec;

use super::entry::Fresh;
use super::form::Layout;
use super::node::{Draft, Keys, Node, Ref};
use super::rebuild::{INNER_MAX, LEAF_MAX};
use super::{Raw, form};
use crate::reclaim::Reclaim;
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;

/// A node, and the separator to its left.
type Child<K, V, L> = (*mut Node<K, V, L>, Option<Keys<K, V, L>>);

/// How many entries a leaf gets, and how many children an inner node: room is left for some insertions.
const fn filled(most: usize) -> usize {
    most - most / 8
}

impl<K, V, R: Reclaim, L: Layout<K, V>> Raw<K, V, R, L> {
    /// Fills a map that was never used with entries whose keys ascend.
    pub(in crate::ordered_map) fn load(&mut self, entries: Vec<(K, V)>) {
        debug_assert!(self.root.with_mut(|root| root.is_null()));
        let len = entries.len();
        let mut entries = entries.into_iter();
        // The nodes of a level.
        let mut nodes: Vec<Child<K, V, L>> = Vec::new();
        let leaves = len.div_ceil(filled(LEAF_MAX));
        for index in 0..leaves {
            let count = len * (index + 1) / leaves - len * index / leaves;
            let mut fresh: Vec<Fresh<K, V, L>> =
                entries.by_ref().take(count).map(|(key, value)| Fresh::new(key, value)).collect();
            let items: Vec<_> = fresh
                .iter_mut()
                .map(|fresh| {
                    let item = fresh.item();
                    (item, form::prefix::<K, K>(fresh.key()).unwrap_or(0))
                })
                .collect();
            // SAFETY: the items are read while `fresh` holds them; it gives them away below, and nothing panics between.
            let leaf = unsafe {
                let mut draft = Draft::new(items.len(), None);
                items.iter().for_each(|(item, prefix)| draft.add(item, *prefix));
                draft.done()
            };
            fresh.into_iter().for_each(Fresh::give);
            let separator = (index > 0).then(|| {
                // SAFETY: not empty: there are no more leaves than entries.
                let (first, entry) = unsafe { (Keys::new(leaf, 0..1), leaf.boxed_key(0)) };
                if let Some(entry) = entry {
                    entry.acquire();
                }
                first
            });
            nodes.push((leaf.as_ptr(), separator));
        }
        let mut level = 1;
        while nodes.len() > 1 {
            let parents = nodes.len().div_ceil(filled(INNER_MAX));
            nodes = (0..parents)
                .map(|index| {
                    let group = &nodes[nodes.len() * index / parents..nodes.len() * (index + 1) / parents];
                    let children: Vec<_> = group.iter().map(|&(node, _)| node).collect();
                    let separators = group[1..].iter().filter_map(|&(_, separator)| separator);
                    let node = Ref::inner(level, &children, separators);
                    (node.as_ptr(), group[0].1)
                })
                .collect();
            level += 1;
        }
        if let Some(&(root, _)) = nodes.first() {
            self.root.with_mut(|slot| *slot = root);
            self.count.add(len);
        }
    }
}
