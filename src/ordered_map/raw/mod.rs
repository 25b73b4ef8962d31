//! The algorithm of [`OrderedMap`](super::OrderedMap): a B+tree whose leaves are copied on write.
//!
//! ```text
//!   root --> [ 30 | 70 ]            inner: keys never change, slots do
//!             |    |    |
//!        [1 5 9] [30 44] [70 71]    leaves: never change
//! ```
//! Every node hangs off exactly one atomic slot. A leaf is immutable: a change makes a copy with the difference and
//! exchanges the slot's pointer, so one compare-exchange inserts, replaces or removes an entry, or removes many adjacent
//! ones, and whoever has read a leaf has an atomic snapshot of its range. Splits and merges replace an inner node that was
//! frozen before ([`rebuild`]).
//!
//! Copying on write and swapping pointers at one place is the idea of lock-free B+trees since [Braginsky and Petrank's
//! (2012)](https://doi.org/10.1145/2312005.2312016), whose nodes freeze as well before they are replaced; that a frozen
//! parent is rebuilt by anyone who meets it, without descriptors, is ours.
//!
//! **Invariants**
//!
//! 1. A slot that is not frozen belongs to a node in the tree: a node is replaced only after all of its slots were frozen.
//! 2. A frozen slot never changes.
//! 3. The range of keys of a node never changes while it lives, and a node that left a slot never comes back: one that is
//!    read twice in a slot was there all the time between.
//! 4. Slots are not null, but for the root slot before the first insertion; null is an empty leaf there.
//! 5. Each boxed entry is owned by the newest version of exactly one leaf. Older versions point to it as well.
//!
//! **Non-invariants**: nodes may be longer or shorter than the thresholds for a while, or leaves empty; inner nodes may
//! have one child.
//!
//! **Linearization.** A change takes effect at the exchange of the leaf's slot, and one that changes nothing at the load
//! of it. A reader may come through frozen slots of nodes that were replaced meanwhile. The leaf that it finds was current at
//! some moment since it began: by induction from the root, a node that it reads was either in the tree when it was read, or
//! was replaced after the reader began, and its frozen slots were right until then.
//!
//! **Progress.** An exchange fails because another one of the same slot succeeded, or because it was frozen. A frozen node is
//! rebuilt by whoever meets it; that fails because another thread did it, or because the slot above is frozen, which the next
//! descent meets first. A need to rebuild comes from a change that took effect, and a rebuilding makes none at its own level
//! (thresholds keep apart); it is made known in the frozen slots, so that who helps does the work for which was frozen. Readers
//! repeat nothing, except where an answer spans several leaves: there a repetition is due to another thread's change.
//! Where the allocator is called, progress is the allocator's.
//!
//! **The user's code** runs before anything is published, never between a freeze and a replacement. If it
//! panics, what was built and not published is freed. Indexes that keys' order led to are within their nodes whatever it says.
//!
//! **Who frees what.** Nodes are retired, as memory, by the thread whose exchange replaced them; entries by the thread
//! whose exchange removed them; a key that is still a separator lives until that is dropped ([`entry`]).

mod bulk;
mod cursor;
mod entry;
mod form;
mod node;
mod owned;
mod rebuild;
mod reschedule;
mod scan;
mod search;
mod update;

use core::ops::Range;
use core::ptr;

use crossbeam_utils::CachePadded;
use equivalent::Comparable;

pub(super) use self::entry::Item;
use self::entry::{Boxed, Fresh};
pub use self::form::{Auto, Inline, InlineKeys, Layout};
use self::node::{Node, Ref, Run, Slot, is_frozen};
pub(super) use self::owned::Owned;
use self::rebuild::{LEAF_MAX, LEAF_MIN};
pub(super) use self::reschedule::Refused;
pub(super) use self::scan::{Leaves, Scan};
pub(super) use self::search::{Edge, Probe};
pub(super) use self::update::Computed;
use crate::reclaim::{Reclaim, Retired};
use crate::sync::{AtomicPtr, Ordering, const_fn, order_for_loom};
use crate::util::backoff;
use crate::util::count::Count;

pub(super) struct Raw<K, V, R: Reclaim, L: Layout<K, V>> {
    root: CachePadded<Slot<K, V, L>>,
    pub(super) garbage: R::Garbage,
    count: Count,
}

/// The inner node that a descent has come through last, and the slot where that was read.
type Above<'g, K, V, L> = Option<(&'g Slot<K, V, L>, Ref<K, V, L>)>;

/// A leaf that was read from its slot, which was not frozen then.
struct Place<'g, K, V, L: Layout<K, V>> {
    slot: &'g Slot<K, V, L>,
    leaf: Option<Ref<K, V, L>>,
    /// Nothing is above the leaf.
    is_root: bool,
}

impl<K, V, L: Layout<K, V>> Clone for Place<'_, K, V, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, L: Layout<K, V>> Copy for Place<'_, K, V, L> {}

impl<K, V, L: Layout<K, V>> Place<'_, K, V, L> {
    fn pointer(&self) -> *mut Node<K, V, L> {
        self.leaf.map_or(ptr::null_mut(), Ref::as_ptr)
    }

    fn len(&self) -> usize {
        self.leaf.map_or(0, Ref::len)
    }
}

/// Entries that one exchange removed: a part of a leaf that is no longer in the map.
pub(super) struct Taken<K, V, L: Layout<K, V>> {
    leaf: Option<Ref<K, V, L>>,
    range: Range<usize>,
}

impl<K, V, L: Layout<K, V>> Taken<K, V, L> {
    fn none() -> Self {
        Self { leaf: None, range: 0..0 }
    }
}

impl<K, V, L: Layout<K, V>> Taken<K, V, L> {
    pub(super) fn len(&self) -> usize {
        self.range.len()
    }

    fn item(&self, index: usize) -> Option<Item<K, V>> {
        // SAFETY: within the leaf, which the caller's guard protects.
        self.leaf.map(|leaf| unsafe { leaf.item(index) })
    }

    pub(super) fn next(&mut self) -> Option<Item<K, V>> {
        self.range.next().and_then(|index| self.item(index))
    }

    pub(super) fn next_back(&mut self) -> Option<Item<K, V>> {
        self.range.next_back().and_then(|index| self.item(index))
    }
}

impl<K, V, R: Reclaim, L: Layout<K, V>> Raw<K, V, R, L> {
    const_fn! {
        pub(super) const fn new(garbage: R::Garbage) -> Self {
            Self { root: CachePadded::new(AtomicPtr::new(ptr::null_mut())), garbage, count: Count::new() }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count.sum()
    }

    /// The leaf to which an edge belongs, for a change: no move is pending in it.
    #[inline]
    fn place<'g, Q: ?Sized + Comparable<K>>(
        &'g self,
        edge: Edge<'_, Q>,
        guard: &'g R::Guard,
    ) -> Place<'g, K, V, L>
    where
        K: Ord,
    {
        loop {
            let place = self.place_as_is(edge, guard);
            match place.leaf {
                Some(leaf) if leaf.is_pending() => self.settle(&place, leaf, guard),
                _ => return place,
            }
        }
    }

    /// The leaf to which an edge belongs, through slots that are not frozen: what is in the way is rebuilt.
    #[inline]
    fn place_as_is<'g, Q: ?Sized + Comparable<K>>(
        &'g self,
        edge: Edge<'_, Q>,
        guard: &'g R::Guard,
    ) -> Place<'g, K, V, L> {
        'again: loop {
            let mut slot: &Slot<K, V, L> = &self.root;
            let mut above: Above<'_, K, V, L> = None;
            let mut at_end = true;
            loop {
                // SeqCst: as in `cursor::load`.
                let pointer = slot.load(Ordering::SeqCst);
                if is_frozen(pointer) {
                    let (slot, node) = above.expect("the root slot is never frozen");
                    self.rebuild(slot, node, at_end, guard);
                    continue 'again;
                }
                // SAFETY: read from a slot under the guard, and without bits.
                let node = match unsafe { Ref::new(pointer) } {
                    Some(node) if node.level() > 0 => node,
                    leaf => return Place { slot, leaf, is_root: above.is_none() },
                };
                // SAFETY: an inner node, and an index within it.
                slot = unsafe {
                    let index = search::child_at(node, edge);
                    at_end &= index == node.len() - 1;
                    above = Some((slot, node));
                    node.slot(index)
                };
            }
        }
    }

    /// Replaces the leaf of a place, whose caller then retires it; if another thread was first, frees the new leaf, pauses,
    /// and returns false.
    ///
    /// # Safety
    ///
    /// The new leaf is not published, and its entries are right for the place.
    #[inline]
    unsafe fn exchange(&self, place: &Place<'_, K, V, L>, new: Ref<K, V, L>) -> bool {
        // SeqCst: publishes the leaf, what was done before it, and its entries; pairs with the loads in `cursor::load` and
        // `place`, and is in the total order with them. Losing means that the leaf was replaced, or its slot frozen: the caller looks
        // again. The linearization point of all changes.
        let exchanged = place
            .slot
            .compare_exchange(place.pointer(), new.as_ptr(), Ordering::SeqCst, Ordering::Relaxed)
            .is_ok();
        order_for_loom();
        if exchanged {
            backoff::won(ptr::from_ref(place.slot).cast());
        } else {
            // SAFETY: never published.
            unsafe { new.free() };
            backoff::lost_again(ptr::from_ref(place.slot).cast());
        }
        exchanged
    }

    /// Retires all of it, the rest even if a destructor that runs meanwhile panics.
    ///
    /// # Safety
    ///
    /// The caller's exchange unlinked them, under the guard.
    unsafe fn retire(&self, objects: impl Iterator<Item = Retired>, guard: &R::Guard) {
        struct Rest<'a, I: Iterator<Item = Retired>, R: Reclaim>(I, &'a R::Garbage, &'a R::Guard);
        impl<I: Iterator<Item = Retired>, R: Reclaim> Rest<'_, I, R> {
            #[inline]
            fn retire(&mut self) {
                for retired in &mut self.0 {
                    // SAFETY: the promise of whoever made this.
                    unsafe { R::retire(self.1, retired, self.2) }
                }
            }
        }
        impl<I: Iterator<Item = Retired>, R: Reclaim> Drop for Rest<'_, I, R> {
            fn drop(&mut self) {
                self.retire();
            }
        }
        Rest::<_, R>(objects, &self.garbage, guard).retire();
    }

    /// A node, as it is retired: memory only.
    fn retired_node(node: Ref<K, V, L>) -> Retired {
        let object = ptr::NonNull::new(node.as_ptr().cast()).expect("a node");
        Retired { object, reclaim: Ref::<K, V, L>::reclaim, bytes: node.bytes() }
    }

    /// An entry, as it is retired: the value, and the leaf's share of the key.
    #[inline]
    fn retired_entry(item: Item<K, V>) -> Option<Retired> {
        item.entry.map(Boxed::retired)
    }

    /// The entry of a key.
    #[inline]
    pub(super) fn get<Q: ?Sized + Comparable<K>>(
        &self,
        probe: Probe<'_, Q>,
        _guard: &R::Guard,
    ) -> Option<Item<K, V>> {
        // SAFETY: the guard protects all that is reached; indexes come from the searches.
        unsafe {
            let mut node = cursor::load(&self.root)?;
            while node.level() > 0 {
                // The linearization point, where it reads a leaf (see the module's head for frozen slots).
                node = cursor::load(node.slot(search::child(node, probe))).expect("a child");
            }
            let index = search::find(Some(node), probe).ok()?;
            (index != node.hidden()).then(|| node.item(index))
        }
    }

    /// Inserts an entry, or replaces the one of this key, which is returned.
    #[inline]
    pub(super) fn insert(&self, key: K, value: V, guard: &R::Guard) -> Option<Item<K, V>>
    where
        K: Ord,
    {
        let mut fresh = Fresh::new(key, value);
        fresh.settle();
        loop {
            let place = self.place(Edge::Below(Probe::new::<K>(fresh.key())), guard);
            // SAFETY: a leaf that the guard protects.
            let found = unsafe { search::find(place.leaf, Probe::new::<K>(fresh.key())) };
            if let Some(item) = self.put(&place, found, &mut fresh, guard) {
                fresh.give();
                return self.has_put(&place, found, &item, guard);
            }
        }
    }

    /// Tries to put an entry where the search in the place's leaf found its key, or would have. Returns it as it is in the new
    /// leaf; then the caller gives it away.
    #[inline]
    fn put(
        &self,
        place: &Place<'_, K, V, L>,
        found: Result<usize, usize>,
        fresh: &mut Fresh<K, V, L>,
        _guard: &R::Guard,
    ) -> Option<Item<K, V>>
    where
        K: Ord,
    {
        let (index, rest) = match found {
            Ok(index) => (index, index + 1),
            Err(index) => (index, index),
        };
        let item = fresh.item();
        let prefix = Probe::new::<K>(fresh.key()).stored();
        let runs = [Run::new(place.leaf, 0..index), Run::new(place.leaf, rest..place.len())];
        // SAFETY: both ranges are within the leaf: the search found the index there.
        let new = unsafe { Ref::leaf(&runs, Some((0, &item, prefix)), None) };
        // SAFETY: the new leaf is the old one with the item where it belongs; the guard protects it from here on.
        unsafe { self.exchange(place, new).then(|| new.item(index)) }
    }

    /// After a put: retires and returns what it replaced, or counts what it added.
    #[inline]
    fn has_put(
        &self,
        place: &Place<'_, K, V, L>,
        found: Result<usize, usize>,
        item: &Item<K, V>,
        guard: &R::Guard,
    ) -> Option<Item<K, V>>
    where
        K: Ord,
    {
        let old = match (found, place.leaf) {
            // SAFETY: within the leaf.
            (Ok(index), Some(leaf)) => Some(unsafe { leaf.item(index) }),
            _ => None,
        };
        if old.is_none() {
            self.count.add(1);
        }
        let node = place.leaf.map(Self::retired_node);
        // SAFETY: our exchange replaced the leaf, and the entry if there was one.
        unsafe { self.retire(node.into_iter().chain(old.and_then(Self::retired_entry)), guard) };
        if old.is_none() && place.len() >= LEAF_MAX {
            // SAFETY: in a leaf that the guard protects.
            self.tend(Edge::Below(Probe::new::<K>(unsafe { &*item.key })), guard);
        }
        old
    }

    /// Tries to take entries out of the place's leaf; counts and retires them.
    fn take<Q: ?Sized + Comparable<K>>(
        &self,
        place: &Place<'_, K, V, L>,
        range: Range<usize>,
        edge: Edge<'_, Q>,
        guard: &R::Guard,
    ) -> Option<Taken<K, V, L>>
    where
        K: Ord,
    {
        let Some(leaf) = place.leaf else { return Some(Taken::none()) };
        let runs = [Run::new(place.leaf, 0..range.start), Run::new(place.leaf, range.end..leaf.len())];
        // SAFETY: both ranges are within the leaf, by the promise of the callers, which are in this module.
        let new = unsafe { Ref::leaf(&runs, None, None) };
        // SAFETY: the new leaf is the old one without the range.
        unsafe { self.replace(place, leaf, new, range.clone(), edge, guard) }
            .then_some(Taken { leaf: Some(leaf), range })
    }

    /// Exchanges a leaf for one without the `gone`; counts and retires them.
    ///
    /// # Safety
    ///
    /// The new leaf is the place's without the `gone`, which are within it.
    unsafe fn replace<Q: ?Sized + Comparable<K>>(
        &self,
        place: &Place<'_, K, V, L>,
        leaf: Ref<K, V, L>,
        new: Ref<K, V, L>,
        gone: impl ExactSizeIterator<Item = usize>,
        edge: Edge<'_, Q>,
        guard: &R::Guard,
    ) -> bool
    where
        K: Ord,
    {
        let left = new.len();
        // SAFETY: the caller's promise.
        let exchanged = unsafe { self.exchange(place, new) };
        if exchanged {
            self.count.sub(gone.len());
            // SAFETY: within the leaf, which the guard protects.
            let entries = gone.filter_map(|index| Self::retired_entry(unsafe { leaf.item(index) }));
            // SAFETY: our exchange removed them, and replaced the leaf.
            unsafe { self.retire(core::iter::once(Self::retired_node(leaf)).chain(entries), guard) };
            if left < LEAF_MIN && !place.is_root {
                self.tend(edge, guard);
            }
        }
        exchanged
    }
}
