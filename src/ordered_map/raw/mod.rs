//! The algorithm of [`OrderedMap`](super::OrderedMap): a B+tree whose leaves have a short log and are copied when it is full.
//!
//! ```text
//!   root --> [ 30 | 70 ]                        inner: keys never change, slots do
//!             |    |    |
//!    [1 5 9| 7 .] [30 44| . .] [70 71| . .]     leaves: sorted entries, a log, and a word that says which of them count
//! ```
//! Every node hangs off exactly one atomic slot. Entries of a leaf never change; one word says which places hold entries
//! ([`state`]). One compare-exchange of this word inserts an entry into the log, or replaces one by it, or removes any number
//! of adjacent ones. When the log is full, the leaf is closed, by the same word, and a change makes a copy with the difference and
//! exchanges the slot's pointer. So whoever has read a leaf's word has an atomic snapshot of its range. Splits and merges replace an
//! inner node that was frozen before ([`rebuild`]).
//!
//! Copying on write and swapping pointers at one place is the idea of lock-free B+trees since [Braginsky and Petrank's
//! (2012)](https://doi.org/10.1145/2312005.2312016), whose nodes freeze as well before they are replaced; that a frozen
//! parent is rebuilt by anyone who meets it, without descriptors, is ours.
//!
//! **Invariants**
//!
//! 1. A slot that is not frozen belongs to a node in the tree: a node is replaced only after all of its slots were frozen. Likewise a
//!    leaf that is not closed is in the tree, whatever became of its parent.
//! 2. A frozen slot never changes, nor does a closed leaf.
//! 3. The range of keys of a node never changes while it lives, and a node that left a slot never comes back: one that is
//!    read twice in a slot was there all the time between.
//! 4. Slots are not null, but for the root slot before the first insertion; null is an empty leaf there.
//! 5. Each boxed entry is owned by exactly one leaf, the newest one that holds it. Older ones point to it as well, and so may
//!    places that are gone; nobody looks at these but a search, among keys that lie in the node themselves.
//!
//! **Non-invariants**: nodes may be longer or shorter than the thresholds for a while, or leaves empty; inner nodes may
//! have one child.
//!
//! **Linearization.** A change takes effect at the exchange of the leaf's word or slot, and one that changes nothing at the load
//! of the word. A reader may come through frozen slots of nodes that were replaced meanwhile. The leaf that it finds was current at
//! some moment since it began: by induction from the root, a node that it reads was either in the tree when it was read, or
//! was replaced after the reader began, and its frozen slots were right until then. If the leaf is open when its word is read, it is
//! current then; if it is closed, the word was right from the closing until the leaf was replaced, and the later one of the
//! closing and that moment lies within.
//!
//! **Progress.** An exchange fails because another one of the same word or slot succeeded, or because it was frozen or closed. Places of
//! a log are few, and a closed leaf is no obstacle: whoever wants to change it makes a copy that has the change in it. A frozen node is
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
mod state;
mod update;

use core::ops::Range;
use core::ptr;

use crossbeam_utils::CachePadded;
use equivalent::Comparable;

pub(super) use self::entry::Item;
use self::entry::{Boxed, Fresh};
pub use self::form::{Auto, Inline, InlineKeys, Layout};
use self::node::{Draft, Node, Ref, Slot, is_frozen};
pub(super) use self::owned::Owned;
use self::rebuild::{LEAF_MAX, LEAF_MIN};
pub(super) use self::reschedule::Refused;
pub(super) use self::scan::{Leaves, Scan};
pub(super) use self::search::{Edge, Probe};
use self::state::{Order, State};
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

/// A leaf that was read from its slot, which was not frozen then, and what it held.
struct Place<'g, K, V, L: Layout<K, V>> {
    slot: &'g Slot<K, V, L>,
    leaf: Option<Ref<K, V, L>>,
    /// What the leaf held then; nothing if there is none.
    state: State,
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
        self.state.len()
    }

    fn order(&self) -> Order {
        self.leaf.map_or(Order::EMPTY, |leaf| leaf.order(self.state))
    }

    /// The entry of a key: its place, or the rank that it would have.
    #[inline(always)]
    fn find<Q: ?Sized + Comparable<K>>(&self, probe: Probe<'_, Q>) -> Result<usize, usize> {
        // SAFETY: a leaf and its state.
        unsafe { search::find(self.leaf, self.state, probe) }
    }

    /// Closes the leaf as it was read; false if it has changed.
    fn close(&mut self) -> bool {
        let Some(leaf) = self.leaf else { return true };
        if !self.state.is_closed() {
            let closed = self.state.closed();
            if leaf.commit(self.state, closed).is_err() {
                return false;
            }
            self.state = closed;
        }
        true
    }
}

/// Entries that one exchange removed: places of a leaf that are no longer in the map.
pub(super) struct Taken<K, V, L: Layout<K, V>> {
    leaf: Option<Ref<K, V, L>>,
    order: Order,
    range: Range<usize>,
}

impl<K, V, L: Layout<K, V>> Taken<K, V, L> {
    fn none() -> Self {
        Self { leaf: None, order: Order::EMPTY, range: 0..0 }
    }

    pub(super) fn len(&self) -> usize {
        self.range.len()
    }

    fn item(&self, index: usize) -> Option<Item<K, V>> {
        // SAFETY: these places were there; the caller's guard protects the leaf.
        self.leaf.map(|leaf| unsafe { leaf.item(self.order.place(index)) })
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
                    leaf => {
                        let state = leaf.map_or(State::new(0, true), Ref::state);
                        return Place { slot, leaf, state, is_root: above.is_none() };
                    }
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

    /// Replaces the leaf of a place, which is closed, and whose caller then retires it; if another thread was first, frees the new leaf, pauses,
    /// and returns false.
    ///
    /// # Safety
    ///
    /// The new leaf is not published, and its entries are right for the place.
    #[inline]
    unsafe fn exchange(&self, place: &Place<'_, K, V, L>, new: Ref<K, V, L>) -> bool {
        // SeqCst: publishes the leaf, what was done before it, and its entries; pairs with the loads in `cursor::load` and
        // `place`, and is in the total order with them. Losing means that the leaf was replaced, or its slot frozen: the caller looks
        // again. The linearization point of all changes. No model can tell: it acquires what it need not, for the load that found the
        // pointer has acquired it.
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
            let place = search::find(Some(node), node.state(), probe).ok()?;
            (place != node.hidden()).then(|| node.item(place))
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
            let found = place.find(Probe::new::<K>(fresh.key()));
            if let Some(put) = self.put(place, found, &mut fresh, guard) {
                fresh.give();
                return self.has_put(put, guard);
            }
        }
    }

    /// Whether a sorted place may go while its leaf stays: searches look at its key from then on as before.
    #[inline(always)]
    fn can_remove(place: usize, sorted: usize) -> bool {
        place >= sorted || form::keys_inline::<K, V, L>()
    }

    /// Tries to put an entry where the search in the place's leaf found its key, or its rank; the caller gives it away, if that was
    /// successful, before anything else.
    #[inline]
    fn put(
        &self,
        place: Place<'_, K, V, L>,
        found: Result<usize, usize>,
        fresh: &mut Fresh<K, V, L>,
        guard: &R::Guard,
    ) -> Option<Put<K, V, L>>
    where
        K: Ord,
    {
        let item = fresh.item();
        let key = fresh.key();
        // SAFETY: a state of the place's leaf. The same place, whatever else was changed.
        let same = |now| unsafe { search::find(place.leaf, now, Probe::new::<K>(key)) } == found;
        self.change(place, found.ok(), found, &item, same, guard)
    }

    /// Tries to put an item, whose key was found in the place's leaf or would have that rank, into the map, and to take another
    /// one out of the leaf. It may be tried again at a state for which `same` holds.
    #[inline]
    fn change(
        &self,
        mut place: Place<'_, K, V, L>,
        out: Option<usize>,
        found: Result<usize, usize>,
        item: &Item<K, V>,
        same: impl Fn(State) -> bool,
        guard: &R::Guard,
    ) -> Option<Put<K, V, L>>
    where
        K: Ord,
    {
        // SAFETY: the caller holds what the item points to.
        let key = unsafe { &*item.key };
        // SAFETY: it was found.
        let old = out.and_then(|place_in| place.leaf.map(|leaf| unsafe { leaf.item(place_in) }));
        match self.log(&place, out, found, item, key, same) {
            Logged::Done(new) => return Some(Put { old, new, replaced: None }),
            Logged::Changed => return None,
            Logged::Full => {}
        }
        let edge = Edge::Below(Probe::new::<K>(key));
        let len = place.len() - usize::from(old.is_some()) + 1;
        if !place.close() || !self.has_room(len, edge, guard) {
            return None;
        }
        let mut order = place.order();
        if let Some(out) = out {
            order.remove(out);
        }
        // SAFETY: a leaf, and places of it that are there.
        let index = place.leaf.map_or(0, |leaf| unsafe { search::before(leaf, &order, edge) });
        let (before, behind) = order.as_slice().split_at(index);
        let mut draft = Draft::new(len, None);
        // SAFETY: as above, and counted. The new leaf is the old one with the item where it belongs, and without what goes; the
        // guard protects it from here on.
        unsafe {
            if let Some(leaf) = place.leaf {
                draft.copy(leaf, before);
            }
            draft.add(item, Probe::new::<K>(key).stored());
            if let Some(leaf) = place.leaf {
                draft.copy(leaf, behind);
            }
            let new = draft.done();
            self.exchange(&place, new).then(|| Put { old, new: new.item(index), replaced: place.leaf })
        }
    }

    /// The same, in the leaf's log.
    #[inline]
    fn log(
        &self,
        place: &Place<'_, K, V, L>,
        out: Option<usize>,
        found: Result<usize, usize>,
        item: &Item<K, V>,
        key: &K,
        same: impl Fn(State) -> bool,
    ) -> Logged<K, V>
    where
        K: Ord,
    {
        let Some(leaf) = place.leaf else { return Logged::Full };
        let (sorted, mut state) = (leaf.len(), place.state);
        if state.is_closed() || !out.is_none_or(|out| Self::can_remove(out, sorted)) {
            return Logged::Full;
        }
        let rank = match found {
            Ok(place) if place >= sorted => state.logged(place - sorted).expect("it was found"),
            Ok(rank) | Err(rank) => rank,
        };
        let Some(slot) = leaf.claim() else { return Logged::Full };
        // SAFETY: claimed just now.
        unsafe { leaf.log(slot, item, Probe::new::<K>(key).stored()) };
        // Of races for this leaf; the pause comes when the place is in use, or given up.
        let (race, mut lost) = (ptr::from_ref(place.slot).cast(), false);
        loop {
            let without = out.map_or(state, |out| state.without(out, sorted));
            // SAFETY: a leaf and its state, but for a place.
            if !unsafe { search::fits(leaf, without, rank, slot, key) } {
                return Logged::Full;
            }
            match leaf.commit(state, without.with(slot, rank)) {
                Ok(()) => {
                    if lost {
                        backoff::rest(race);
                    } else {
                        backoff::won(race);
                    }
                    // SAFETY: it is there; the guard protects the leaf from here on.
                    return Logged::Done(unsafe { leaf.item(sorted + slot) });
                }
                Err(now) if !now.is_closed() && same(now) => {
                    backoff::lost(race);
                    (state, lost) = (now, true);
                }
                Err(_) => {
                    backoff::lost_again(race);
                    return Logged::Changed;
                }
            }
        }
    }

    /// Whether so many entries go into one leaf. If not, the leaf, which is closed, is split, and the caller looks again.
    #[inline]
    fn has_room<Q: ?Sized + Comparable<K>>(&self, len: usize, edge: Edge<'_, Q>, guard: &R::Guard) -> bool
    where
        K: Ord,
    {
        if len > LEAF_MAX {
            self.tend(edge, guard);
        }
        len <= LEAF_MAX
    }

    /// After a put: retires and returns what it replaced, or counts what it added.
    #[inline]
    fn has_put(&self, put: Put<K, V, L>, guard: &R::Guard) -> Option<Item<K, V>> {
        if put.old.is_none() {
            self.count.add(1);
        }
        let node = put.replaced.map(Self::retired_node);
        // SAFETY: our exchange replaced the leaf, if it did, and the entry if there was one.
        unsafe { self.retire(node.into_iter().chain(put.old.and_then(Self::retired_entry)), guard) };
        put.old
    }

    /// Tries to take what is at some places out of the place's leaf; counts and retires it. False if the leaf changed.
    #[inline]
    fn take<Q: ?Sized + Comparable<K>>(
        &self,
        mut place: Place<'_, K, V, L>,
        gone: &[u8],
        edge: Edge<'_, Q>,
        guard: &R::Guard,
    ) -> bool
    where
        K: Ord,
    {
        let Some(leaf) = place.leaf else { return true };
        let (sorted, left) = (leaf.len(), place.len() - gone.len());
        let places = || gone.iter().copied().map(usize::from);
        let mut replaced = None;
        if !place.state.is_closed() && places().all(|place| Self::can_remove(place, sorted)) {
            let without = places().fold(place.state, |state, place| state.without(place, sorted));
            let race = ptr::from_ref(place.slot).cast();
            if leaf.commit(place.state, without).is_err() {
                backoff::lost_again(race);
                return false;
            }
            backoff::won(race);
        } else {
            if !place.close() || !self.has_room(left, edge, guard) {
                return false;
            }
            let mut draft = Draft::new(left, None);
            let order = place.order();
            let goes = |place: &u8| gone.contains(place);
            for kept in order.as_slice().chunk_by(|one, two| goes(one) == goes(two)) {
                if !goes(&kept[0]) {
                    // SAFETY: these places are there, and counted.
                    unsafe { draft.copy(leaf, kept) };
                }
            }
            // SAFETY: the new leaf is the old one without the places.
            if !unsafe { self.exchange(&place, draft.done()) } {
                return false;
            }
            replaced = Some(leaf);
        }
        self.count.sub(gone.len());
        // SAFETY: they were there, and the guard protects the leaf.
        let entries = places().filter_map(|place| Self::retired_entry(unsafe { leaf.item(place) }));
        // SAFETY: our exchange removed them, and replaced the leaf if it did.
        unsafe { self.retire(replaced.map(Self::retired_node).into_iter().chain(entries), guard) };
        if left < LEAF_MIN && !place.is_root {
            self.tend(edge, guard);
        }
        true
    }
}

/// What came of a try to put an item into a leaf's log.
enum Logged<K, V> {
    Done(Item<K, V>),
    /// There is no room for it.
    Full,
    /// Somebody changed the leaf.
    Changed,
}

/// What a put has done.
struct Put<K, V, L: Layout<K, V>> {
    old: Option<Item<K, V>>,
    new: Item<K, V>,
    /// The leaf, if a new one replaced it.
    replaced: Option<Ref<K, V, L>>,
}
