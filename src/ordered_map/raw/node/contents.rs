//! What is in a leaf, and how a new one is filled.

use core::ptr;

use super::super::rebuild::LEAF_MAX;
use super::{Boxed, Item, Layout, Node, Pending, Ref, form};
use crate::util::prefetch;

/// Where a leaf's keys and entries are, found once for any number of them.
pub(in super::super) struct Contents<K, V, L: Layout<K, V>> {
    leaf: Ref<K, V, L>,
    /// Keys or prefixes, if they are in the leaf.
    keys: *mut u8,
    /// Values, or boxed entries.
    rest: *mut u8,
}

impl<K, V, L: Layout<K, V>> Clone for Contents<K, V, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, L: Layout<K, V>> Copy for Contents<K, V, L> {}

impl<K, V, L: Layout<K, V>> Contents<K, V, L> {
    /// Of a leaf.
    #[inline(always)]
    pub(in super::super) fn new(leaf: Ref<K, V, L>) -> Self {
        let rest = if form::values_inline::<K, V, L>() { leaf.last() } else { leaf.entries().cast() };
        Self { leaf, keys: leaf.keys(), rest }
    }

    /// The entry at a place.
    ///
    /// # Safety
    ///
    /// A sorted place, or one of the log that was there in a state that was read.
    #[inline(always)]
    pub(in super::super) unsafe fn item(self, place: usize) -> Item<K, V> {
        self.leaf.reads(place);
        // SAFETY: the caller's promise; the entry lives as long as the leaf.
        unsafe {
            if form::values_inline::<K, V, L>() {
                let (key, value) = (self.keys.cast::<K>().add(place), self.rest.cast::<V>().add(place));
                Item { key, value, entry: None }
            } else {
                let entry = self.rest.cast::<Boxed<K, V>>().add(place).read();
                // A key that lies in the node is lent from the entry all the same, which outlives the node.
                Item { key: entry.key(), value: entry.value(), entry: Some(entry) }
            }
        }
    }

    /// # Safety
    ///
    /// A place that nobody reads yet and only the caller writes, and an item that can be read.
    #[inline(always)]
    pub(super) unsafe fn set(self, place: usize, item: &Item<K, V>, prefix: u64) {
        // SAFETY: the caller's promise. Keys and values that are copied are plain.
        unsafe {
            if form::keys_inline::<K, V, L>() {
                ptr::copy_nonoverlapping(item.key, self.keys.cast::<K>().add(place), 1);
            } else if form::keys_prefixed::<K, V, L>() {
                self.keys.cast::<u64>().add(place).write(prefix);
            }
            if form::values_inline::<K, V, L>() {
                ptr::copy_nonoverlapping(item.value, self.rest.cast::<V>().add(place), 1);
            } else {
                self.rest.cast::<Boxed<K, V>>().add(place).write(item.entry.expect("boxed in this form"));
            }
        }
    }

    /// Copies what another leaf has at a place.
    ///
    /// # Safety
    ///
    /// As for `set`, and for `item` of the other one.
    #[inline(always)]
    unsafe fn copy(self, place: usize, from: Self, place_there: usize) {
        from.leaf.reads(place_there);
        // SAFETY: the caller's promise. Keys and values that are copied are plain.
        unsafe {
            if form::keys_inline::<K, V, L>() {
                let keys = self.keys.cast::<K>();
                ptr::copy_nonoverlapping(from.keys.cast::<K>().add(place_there), keys.add(place), 1);
            } else if form::keys_prefixed::<K, V, L>() {
                let prefix = from.keys.cast::<u64>().add(place_there).read();
                self.keys.cast::<u64>().add(place).write(prefix);
            }
            if form::values_inline::<K, V, L>() {
                let values = self.rest.cast::<V>();
                ptr::copy_nonoverlapping(from.rest.cast::<V>().add(place_there), values.add(place), 1);
            } else {
                let entry = from.rest.cast::<Boxed<K, V>>().add(place_there).read();
                self.rest.cast::<Boxed<K, V>>().add(place).write(entry);
            }
        }
    }
}

/// Asks for what a scan is going to read of a leaf, whose length is not known yet.
#[inline(always)]
pub(in super::super) fn prefetch<K, V, L: Layout<K, V>>(leaf: *mut Node<K, V, L>) {
    for line in 0..LINES {
        prefetch::prefetch(leaf.cast::<u8>().wrapping_add(64 * line));
    }
}

/// Lines of the longest leaf of two words an entry. Scans of 100 among a million took 0.73 of the time with the next leaf asked for in
/// advance; with five lines 0.97, since values lie behind the keys.
const LINES: usize = 10;

/// A leaf that is being made, entry by entry.
pub(in super::super) struct Draft<K, V, L: Layout<K, V>> {
    contents: Contents<K, V, L>,
    at: usize,
}

impl<K, V, L: Layout<K, V>> Draft<K, V, L> {
    /// Of so many entries.
    #[inline]
    pub(in super::super) fn new(len: usize, pending: Option<Pending<K, V, L>>) -> Self {
        debug_assert!(len <= LEAF_MAX);
        let new = Ref::allocate(0, len, pending.map(|pending| pending.role));
        if let Some(pending) = pending {
            let parts = Ref::<K, V, L>::parts(0, len, true);
            // SAFETY: a node of this kind ends with it.
            unsafe {
                new.0.as_ptr().cast::<u8>().add(parts.pending).cast::<Pending<K, V, L>>().write(pending)
            };
        }
        Self { contents: Contents::new(new), at: 0 }
    }

    /// The next entries are copies of another leaf's.
    ///
    /// # Safety
    ///
    /// That leaf holds something at these places, and the draft has room.
    #[inline(always)]
    pub(in super::super) unsafe fn copy(&mut self, from: Ref<K, V, L>, places: &[u8]) {
        let from = Contents::new(from);
        for &place in places {
            // SAFETY: the caller's promise.
            unsafe { self.contents.copy(self.at, from, place.into()) };
            self.at += 1;
        }
    }

    /// The next entry is this one.
    ///
    /// # Safety
    ///
    /// The item can be read, and the draft is not full.
    #[inline(always)]
    pub(in super::super) unsafe fn add(&mut self, item: &Item<K, V>, prefix: u64) {
        // SAFETY: the caller's promise.
        unsafe { self.contents.set(self.at, item, prefix) };
        self.at += 1;
    }

    /// The leaf, which the caller publishes or frees.
    #[inline(always)]
    pub(in super::super) fn done(self) -> Ref<K, V, L> {
        debug_assert_eq!(self.at, self.contents.leaf.len());
        self.contents.leaf
    }
}
