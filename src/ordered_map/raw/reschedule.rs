//! Moving an entry to another key, in one step.
//!
//! ```text
//!            slot                 slot
//!             |                    |
//!        [ 1 5 9 | From ]     [ 30 40 44 | To ]        5 becomes 40: both leaves show it, and hide one of the two
//!                     \          /
//!                   Move: undecided -> done, or failed
//! ```
//! Within one leaf a move is one exchange, as any change. Otherwise:
//!
//! 1. The mover reads both leaves, closes them, and describes in a [`Move`] what it wants: the entry under its new key, and the second leaf
//!    as it was read. The *first* leaf is the one whose key is less.
//! 2. It exchanges the first leaf for a copy in which the move is *pending*: one that shows the entry at the old key and names
//!    the move, or that shows the entry at the new key as well and names it. From here on the move is known.
//! 3. Anyone who knows it exchanges the second leaf, if it is still the one that the move names, for such a copy.
//! 4. Anyone who has seen the move pending in both decides it: [`DONE`], by a compare-exchange of its state. Who finds
//!    another leaf in the second one's place decides [`FAILED`]; so does a rebuilding that needs a leaf with a pending move.
//! 5. Both leaves are exchanged for copies without the move and without what it hides.
//!
//! This is a compare-exchange of two words with a descriptor, as since [Harris, Fraser and Pratt, *A practical multi-word
//! compare-and-swap operation* (2002)](https://doi.org/10.1007/3-540-36108-1_18), but the words are slots that are copied with their
//! node (so a leaf's address stands for the word), and the descriptor is in the new values, which readers can look through.
//!
//! **What a leaf says.** While a move is not done, `From` hides nothing and `To` hides the entry at the new key; once it is done it
//! is the other way round. Every reader asks the move when it reads the leaf ([`Ref::hidden`]) and writes nothing.
//!
//! **Invariants**
//!
//! 1. A leaf in which an undecided move is pending is not replaced: every change settles a pending move first (`place`), and a
//!    rebuilding abandons it. It may get into another slot, with its parent.
//! 2. The state changes once.
//! 3. A move that is done was pending in both leaves when that was decided. For it is decided after somebody saw each of them there;
//!    and by 1 neither had been replaced.
//! 4. While a move is undecided, its mover is in its call, under a guard that it held before it read the second leaf (if it
//!    leaves by a panic, it decides `FAILED`). Hence the address of that leaf is not used again, and who read it from a slot
//!    *before* it found the move undecided has read that very leaf.
//!
//! **Linearization.** A move takes effect when its state becomes `DONE`. Before, both leaves said that the entry is at the old key,
//! after that both say that it is at the new one; the two slots do not change at that moment. A reader that reads a leaf at one
//! moment and the state later: if it finds the move undecided, the leaf was in the map then (invariant 1), which is the reader's
//! moment; if it finds it decided, its moment is the later one of the reading of the leaf and the decision, for the leaf was in the map at
//! both, or a replaced parent's slot was right until after the decision. That the old key is absent is seen at one leaf. That
//! the new key is taken is seen there, and that the old one is not absent at that moment by a second look at its leaf, which is
//! the same.
//!
//! A leaf in which a move is pending is closed from the beginning, and so are the two that a move names: a leaf's address stands for
//! what it holds. If the move fails, they stay closed until somebody changes them.
//!
//! **Progress.** Nobody waits for a decision: helping is steps 3 and 4, a descent and an exchange, and meets no other move that it would
//! have to help (another one in the second leaf's place decides that this one fails). A descent in step 3 may rebuild frozen nodes, as
//! all descents do. An exchange fails because the slot changed. It remains that moves do not make each other fail for ever.
//! Assume that from some moment on no change of the map's contents takes effect although threads take steps without end; then
//! also no more rebuildings after a while, for their need comes from such changes. Of the leaves that are replaced again and again, let `h` be
//! the last one in the order of keys. What is exchanged there is a pending move (who replaces a closed leaf otherwise changes it), and `h` is its first leaf: as its second one it would be
//! followed by a decision, by invariants 1 and 4 for `DONE`, which would be a change. Its second leaf is behind `h` and changes no more: so a
//! move that was begun late enough finds there the leaf that it names, and is done: a contradiction.
//!
//! **Who frees what.** A move is counted: the mover has a share, which it retires when it leaves, and so has every leaf in which the
//! move is pending, which gives it up when its memory is freed. A helper may exchange the second leaf after the move failed; then the leaf
//! keeps the move until the next change there. The entry at the new key belongs to the move until that is done, and then to the newest version of its leaf.
//! A box at the old key passes its value and its leaf's share to the new one; if it had its value from another box itself,
//! whoever replaces the leaf that hides it retires it.
//!
//! **The user's code**: the key is cloned and all positions are found before anything is published; helpers compare keys when
//! they descend, and if that panics, others decide the move.

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use equivalent::Comparable;

use super::entry::{Alias, Boxed, Item};
use super::form::Layout;
use super::node::{Draft, NONE, Node, Pending, Ref};
use super::rebuild::LEAF_MIN;
use super::search::{self, Edge, Probe};
use super::{Place, Raw, form};
use crate::reclaim::{Reclaim, Retired};
use crate::sync::{AtomicU8, AtomicUsize, Ordering, order_for_loom};

const UNDECIDED: u8 = 0;
/// The entry is at the new key.
const DONE: u8 = 1;
/// It stays at the old one.
const FAILED: u8 = 2;

/// What a leaf is to a move that is pending in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The entry leaves it.
    From,
    /// The entry comes to it.
    To,
}

/// A move over two leaves.
pub(super) struct Move<K, V, L: Layout<K, V>> {
    /// The mover, and each leaf in which it is pending.
    owners: AtomicUsize,
    state: AtomicU8,
    /// The entry at its new key.
    alias: Alias<K, V, L>,
    prefix: u64,
    /// The old key, for finding it: a copy, or a share of its box.
    old: MaybeUninit<K>,
    old_box: Option<Boxed<K, V>>,
    /// The second leaf: what it is to the move, what it was when it was read, and where the entry is or will be in it.
    second: Role,
    leaf: *mut Node<K, V, L>,
    index: usize,
}

impl<K, V, L: Layout<K, V>> Move<K, V, L> {
    /// What is being moved, the second leaf, and its place in it.
    ///
    /// # Safety
    ///
    /// The entry can be read, under the caller's guard.
    unsafe fn new(key: K, old: &Item<K, V>, second: Role, leaf: Ref<K, V, L>, index: usize) -> NonNull<Self> {
        let prefix = Probe::new::<K>(&key).stored();
        // SAFETY: the caller's promise.
        let alias = unsafe { Alias::new(key, old) };
        let (old, old_box) = if form::keys_inline::<K, V, L>() {
            // SAFETY: the caller's promise; such keys are plain, so that a copy is as good as the original.
            (MaybeUninit::new(unsafe { old.key.read() }), None)
        } else {
            old.entry.inspect(|entry| entry.acquire());
            (MaybeUninit::uninit(), old.entry)
        };
        let movement = alloc::boxed::Box::new(Self {
            owners: AtomicUsize::new(1),
            state: AtomicU8::new(UNDECIDED),
            alias,
            prefix,
            old,
            old_box,
            second,
            leaf: leaf.as_ptr(),
            index,
        });
        NonNull::from(alloc::boxed::Box::leak(movement))
    }

    /// Gives up a share.
    ///
    /// # Safety
    ///
    /// The caller's, who does not use the move any more.
    pub(super) unsafe fn release(this: NonNull<u8>) {
        let this = this.cast::<Self>();
        // AcqRel: what other owners did with the move happens before the last one drops it.
        // SAFETY: the caller's share keeps it alive.
        if unsafe { this.as_ref() }.owners.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // SAFETY: made in `new`, and nobody else reaches it.
        let this = *unsafe { alloc::boxed::Box::from_raw(this.as_ptr()) };
        /// Even if the new key's destructor panics.
        struct Old<K, V>(Option<Boxed<K, V>>);
        impl<K, V> Drop for Old<K, V> {
            fn drop(&mut self) {
                if let Some(entry) = self.0 {
                    // SAFETY: the share of `new`.
                    unsafe { entry.release() }
                }
            }
        }
        let _old = Old(this.old_box);
        if this.is_done() {
            this.alias.give();
        }
    }

    /// # Safety
    ///
    /// The leaf may be read and is closed, and the entry is or will be at this place in its order. The caller can read the move.
    unsafe fn pend(this: NonNull<Self>, leaf: Ref<K, V, L>, role: Role, index: usize) -> Ref<K, V, L> {
        // SAFETY: the caller's promise.
        let movement = unsafe { this.as_ref() };
        // Relaxed: as in `Boxed::acquire`; here the caller is the mover, or came through a leaf.
        movement.owners.fetch_add(1, Ordering::Relaxed);
        let item = movement.alias.item();
        let pending = Pending { movement: this, role, index };
        let order = leaf.order(leaf.state());
        // SAFETY: the place is within the leaf, or behind the last entry where one comes to it; the share was just acquired.
        unsafe {
            match role {
                Role::From => {
                    let mut draft = Draft::new(order.len(), Some(pending));
                    draft.copy(leaf, order.as_slice());
                    draft.done()
                }
                Role::To => {
                    let (before, behind) = order.as_slice().split_at(index);
                    let mut draft = Draft::new(order.len() + 1, Some(pending));
                    draft.copy(leaf, before);
                    draft.add(&item, movement.prefix);
                    draft.copy(leaf, behind);
                    draft.done()
                }
            }
        }
    }

    fn state(&self) -> u8 {
        // SeqCst: as all reads of leaves, of which this is the second half (see `cursor::load`).
        self.state.load(Ordering::SeqCst)
    }

    pub(super) fn is_done(&self) -> bool {
        self.state() == DONE
    }

    fn decide(&self, state: u8) {
        // SeqCst: as `Raw::exchange`, which this stands for: the linearization point of a move over two leaves. Losing means that
        // somebody decided before.
        let _ = self.state.compare_exchange(UNDECIDED, state, Ordering::SeqCst, Ordering::Relaxed);
        order_for_loom();
    }

    /// The key that leads to the second leaf.
    fn key(&self) -> *const K {
        match (self.second, self.old_box) {
            (Role::To, _) => self.alias.item().key,
            (Role::From, Some(entry)) => entry.key(),
            (Role::From, None) => self.old.as_ptr(),
        }
    }
}

impl<K, V, L: Layout<K, V>> Ref<K, V, L> {
    /// Decides that the move that is pending in a leaf, if one is, has failed, unless it is decided already.
    pub(super) fn abandon(self) {
        if let Some(pending) = self.pending() {
            // SAFETY: the leaf has a share.
            unsafe { pending.movement.as_ref() }.decide(FAILED);
        }
    }

    /// The box of a key that a move replaced and that is still in the leaf, if it has to be retired with it: one whose value
    /// is in another box.
    pub(super) fn replaced(self) -> Option<Boxed<K, V>> {
        let pending = self.pending()?;
        if pending.role == Role::To || self.hidden() == NONE {
            return None;
        }
        // SAFETY: within the leaf.
        unsafe { self.item(pending.index) }.entry.filter(|entry| entry.is_moved())
    }

    /// A copy of a leaf in which a decided move is pending, without it.
    ///
    /// # Safety
    ///
    /// The leaf may be read.
    pub(super) unsafe fn settled(self) -> Self {
        let order = self.order(self.state());
        let mut draft = Draft::new(order.len(), None);
        // SAFETY: these places are there.
        unsafe { draft.copy(self, order.as_slice()) };
        draft.done()
    }
}

/// A place, its leaf, and where in its order an entry is or will be.
type Spot<'g, K, V, L> = (Place<'g, K, V, L>, Ref<K, V, L>, usize);

/// Why an entry was not moved, with the new key.
pub(in crate::ordered_map) enum Refused<K, V> {
    Absent(K),
    Occupied(Item<K, V>, K),
}

impl<K: Ord, V, R: Reclaim, L: Layout<K, V>> Raw<K, V, R, L> {
    /// Gives the entry of a key another key; returns it there.
    pub(in crate::ordered_map) fn reschedule<Q: ?Sized + Comparable<K>>(
        &self,
        old: Probe<'_, Q>,
        mut new: K,
        guard: &R::Guard,
    ) -> Result<Item<K, V>, Refused<K, V>>
    where
        K: Clone,
    {
        loop {
            let mut from = self.place(Edge::Below(old), guard);
            let (Ok(at), Some(leaf)) = (from.find(old), from.leaf) else {
                return Err(Refused::Absent(new));
            };
            let probe = Probe::new::<K>(&new);
            let mut to = self.place(Edge::Below(probe), guard);
            let found = to.find(probe);
            let is_within = to.leaf == from.leaf;
            if is_within && to.state != from.state {
                continue;
            }
            match (found, to.leaf) {
                // Another entry; the old key was there as well if its leaf still is.
                (Ok(index), Some(target))
                    if if is_within {
                        index != at
                    } else {
                        let again = self.place(Edge::Below(old), guard);
                        again.leaf == from.leaf && again.state == from.state
                    } =>
                {
                    // SAFETY: it is there.
                    return Err(Refused::Occupied(unsafe { target.item(index) }, new));
                }
                _ if is_within => match self.move_within(from, leaf, at, found, new, guard) {
                    Ok(item) => return Ok(item),
                    Err(key) => new = key,
                },
                // The leaf was replaced in between, if the slots are the same.
                (Err(_), Some(target)) if !ptr::eq(from.slot, to.slot) => {
                    // A move names a leaf, not what it holds: from here on that is the same.
                    if !from.close() || !to.close() {
                        continue;
                    }
                    let (source_order, target_order) = (from.order(), to.order());
                    if !self.has_room(source_order.len(), Edge::Below(old), guard)
                        || !self.has_room(target_order.len() + 1, Edge::Below(probe), guard)
                    {
                        continue;
                    }
                    let at = source_order.as_slice().iter().position(|&place| usize::from(place) == at);
                    // SAFETY: a leaf and its order.
                    let index = unsafe { search::before(target, &target_order, Edge::Below(probe)) };
                    let places = [(from, leaf, at.expect("it was found")), (to, target, index)];
                    if let Some(item) = self.move_across(places, &new, guard) {
                        return Ok(item);
                    }
                }
                _ => {}
            }
        }
    }

    /// Moves the entry at `at` to where the new key was found in the same leaf, or would be.
    fn move_within(
        &self,
        place: Place<'_, K, V, L>,
        leaf: Ref<K, V, L>,
        at: usize,
        found: Result<usize, usize>,
        key: K,
        guard: &R::Guard,
    ) -> Result<Item<K, V>, K> {
        // SAFETY: it is there, and the guard protects it.
        let alias = unsafe { Alias::<K, V, L>::new(key, &leaf.item(at)) };
        let item = alias.item();
        // Both keys were looked for in the same state.
        let Some(put) = self.change(place, Some(at), found, &item, |_| false, guard) else {
            return Err(alias.into_key());
        };
        alias.give();
        let replaced = put.old.and_then(|old| old.entry).filter(|entry| entry.is_moved());
        let nodes = put.replaced.map(Self::retired_node).into_iter();
        // SAFETY: our exchange replaced both.
        unsafe { self.retire(nodes.chain(replaced.map(Boxed::retired_share)), guard) };
        Ok(put.new)
    }

    /// Tries to move an entry from a leaf to another one; see the head of this module. `None` if a leaf has changed, or will.
    #[cold]
    fn move_across(
        &self,
        [(from, source, at), (to, target, index)]: [Spot<'_, K, V, L>; 2],
        key: &K,
        guard: &R::Guard,
    ) -> Option<Item<K, V>>
    where
        K: Clone,
    {
        // SAFETY: it is there, and the guard protects it.
        let (old, old_key) = unsafe {
            let old = source.item(from.order().place(at));
            (old, &*old.key)
        };
        let ascends = old_key.cmp(key).is_lt();
        let (first, role, first_at, second, second_leaf, second_at) = if ascends {
            (&from, Role::From, at, Role::To, target, index)
        } else {
            (&to, Role::To, index, Role::From, source, at)
        };
        // SAFETY: the guard protects the entry.
        let movement = unsafe { Move::new(key.clone(), &old, second, second_leaf, second_at) };
        /// The mover's share, and its promise that the move does not stay undecided.
        struct Mover<'a, K, V, R: Reclaim, L: Layout<K, V>>(
            NonNull<Move<K, V, L>>,
            &'a Raw<K, V, R, L>,
            &'a R::Guard,
        );
        impl<K, V, R: Reclaim, L: Layout<K, V>> Drop for Mover<'_, K, V, R, L> {
            fn drop(&mut self) {
                // SAFETY: our share.
                unsafe { self.0.as_ref() }.decide(FAILED);
                let share = Retired {
                    object: self.0.cast(),
                    reclaim: Move::<K, V, L>::release,
                    bytes: size_of::<Move<K, V, L>>(),
                };
                // SAFETY: our share, once. Helpers may be looking at the move under their guards, and what we return may lie
                // in it.
                unsafe { R::retire(&self.1.garbage, share, self.2) }
            }
        }
        let mover = Mover(movement, self, guard);
        // SAFETY: the place was found in this leaf.
        let pending = unsafe {
            let leaf = if ascends { source } else { target };
            Move::pend(movement, leaf, role, first_at)
        };
        // SAFETY: as long as the move is undecided, the copy says the same as the leaf.
        if !unsafe { self.exchange(first, pending) } {
            return None;
        }
        // SAFETY: replaced by the exchange.
        unsafe {
            self.retire(core::iter::once(Self::retired_node(if ascends { source } else { target })), guard)
        };
        // SAFETY: our share.
        let movement = unsafe { movement.as_ref() };
        let helped = self.help(mover.0, guard);
        self.clean(&Place { leaf: Some(pending), ..*first }, guard);
        if let Some(second) = helped {
            self.clean(&second, guard);
        }
        if !movement.is_done() {
            return None;
        }
        let item = movement.alias.item();
        drop(mover);
        if from.len() <= LEAF_MIN && !from.is_root {
            self.tend(Edge::Below(Probe::new::<K>(old_key)), guard);
        }
        Some(item)
    }

    /// Sees to it that a move that is pending in its first leaf is decided. Returns where it is pending in the second one, if it was
    /// seen there.
    fn help<'g>(&'g self, of: NonNull<Move<K, V, L>>, guard: &'g R::Guard) -> Option<Place<'g, K, V, L>> {
        // SAFETY: the caller is the mover, or came through a leaf in which it is pending, under the guard.
        let movement = unsafe { of.as_ref() };
        loop {
            if movement.state() != UNDECIDED {
                return None;
            }
            // SAFETY: the key lives as long as the move.
            let probe = Probe::new::<K>(unsafe { &*movement.key() });
            let place = self.place_as_is(Edge::Below(probe), guard);
            let Some(leaf) = place.leaf else {
                movement.decide(FAILED);
                return None;
            };
            if leaf.pending().is_some_and(|is| is.movement == of && is.role == movement.second) {
                movement.decide(DONE);
                return Some(place);
            }
            // Only now: see the fourth invariant.
            if movement.state() != UNDECIDED {
                return None;
            }
            if leaf.as_ptr() != movement.leaf {
                movement.decide(FAILED);
                return None;
            }
            // SAFETY: the leaf in which the mover found the place.
            let pending = unsafe { Move::pend(of, leaf, movement.second, movement.index) };
            // SAFETY: as long as the move is not done, the copy says the same as the leaf.
            if unsafe { self.exchange(&place, pending) } {
                // SAFETY: replaced by the exchange.
                unsafe { self.retire(core::iter::once(Self::retired_node(leaf)), guard) };
                movement.decide(DONE);
                return Some(Place { leaf: Some(pending), ..place });
            }
        }
    }

    /// Ends the move that is pending in a place's leaf. It is not there any more afterwards, unless it got into another slot.
    #[cold]
    pub(super) fn settle(&self, place: &Place<'_, K, V, L>, leaf: Ref<K, V, L>, guard: &R::Guard) {
        if let Some(pending) = leaf.pending() {
            let _ = self.help(pending.movement, guard);
            self.clean(place, guard);
        }
    }

    /// Exchanges a leaf in which a decided move is pending for one without it. May fail, if somebody else does it or the slot is frozen.
    fn clean(&self, place: &Place<'_, K, V, L>, guard: &R::Guard) {
        let Some(leaf) = place.leaf else { return };
        // SAFETY: the guard protects it, and the copy says the same.
        if unsafe { self.exchange(place, leaf.settled()) } {
            let replaced = leaf.replaced().map(Boxed::retired_share);
            // SAFETY: our exchange replaced both.
            unsafe { self.retire(core::iter::once(Self::retired_node(leaf)).chain(replaced), guard) };
        }
    }
}
