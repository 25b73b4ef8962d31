//! Splits and merges: an inner node is frozen, rebuilt and replaced in one exchange.
//!
//! ```text
//!        slot ---> [ a | n | c ]            slot ---> [ a | n1 | n2 | c ]
//!                    |   |   |        =>                |   |    |    |        n: needy, too long or too short
//!                    f   f!  f                          (new slots)            f: frozen, f!: and the reason
//! ```
//! 1. Whoever finds a child too long or too short freezes its slot with `NEEDY`, from exactly the child that it judged.
//! 2. Then all other slots of the parent. From here on the parent's contents are constant.
//! 3. A new parent is built, in which every needy child is split, or merged with a neighbour, or shares with it. Inner
//!    children that take part are frozen first, in the same way. A few leaves that would soon be needy are done as well.
//! 4. One exchange of the slot that the parent hangs off replaces it. What it replaced is retired.
//!
//! A thread that meets a frozen slot on its way to a change does 2 to 4 as well. All see the same needs, so whoever wins
//! the last exchange has done everybody's work, and nobody freezes again for the same need. Separators and positions
//! decide; no key is compared, so no code of the user runs here.
//!
//! The root slot is never frozen. There a node that became too long gets a parent, and a parent of one child gives way to it.
//!
//! **Thresholds keep apart**, so that no rebuilding makes a need: what comes out of a split or of sharing has at least
//! [`LEAF_MIN`] or [`INNER_MIN`] and at most [`LEAF_MAX`] or [`INNER_MAX`], and what comes out of a merge at most
//! `merged`. Only the first and the last nodes of a level may be short, as long as they are not empty: they are split
//! unevenly, since keys that come in ascending order fill nodes to the brim that way.

use alloc::vec::Vec;
use core::ops::Range;
use core::ptr;

use equivalent::Comparable;

use super::cursor::HEIGHT;
use super::entry::Boxed;
use super::form::Layout;
use super::node::{Draft, Keys, Ref, Slot, bare, frozen, is_frozen, is_needy};
use super::search::{self, Edge};
use super::state::Order;
use super::{Above, Place, Raw};
use crate::reclaim::Reclaim;
use crate::sync::Ordering;
use crate::util::prefetch::prefetch;

const SMALL: bool = cfg!(any(latchfree_loom, latchfree_stall));

/// Sorted places of a leaf at the most, so that there is a bit for each in its [state](super::state); one that is closed and as long is
/// split before something is inserted. With a million `u64` that came in random order a look-up took 0.88 of `BTreeMap`'s time both with 32
/// and with 64, a replacement 1.3 of it with 32 and 1.5 with 64 (medians of four runs, CPU time of one thread), and what a change
/// leaves behind is half as much.
pub(super) const LEAF_MAX: usize = if SMALL { 2 } else { 32 };
/// A shorter leaf is merged with a neighbour, or shares with it.
pub(super) const LEAF_MIN: usize = if SMALL { 1 } else { 8 };
/// The same for inner nodes, in children. A look-up among a thousand `u64` took 28 ns, with 32 30 and with 16 33, and timers as long with
/// all three.
pub(super) const INNER_MAX: usize = if SMALL { 3 } else { 64 };
pub(super) const INNER_MIN: usize = if SMALL { 2 } else { 16 };

/// With a parent that is made anew so many groups of leaves are that need it only soon: one that is full, or adjacent ones that together
/// are short. Timers in a map of 40,000 (set, and most of them cancelled) took 0.93 of the time with one thread, 0.87 with 2 and 0.83 with 4,
/// since parents were made anew half as often. With any number of groups it was 0.92, 0.86 and 0.84, but the 99.9th percentile
/// of one thread was 2.3 us instead of 1.8; with none 1.4.
const AHEAD: usize = 2;
/// More than any leaf holds.
const NOT_FREE: u8 = u8::MAX;

/// Nodes that a rebuilding makes or replaces, as a rule: room for them is asked for once.
const FEW: usize = 4;

/// How often one operation looks for work that it, or the work itself, has made. More than one for each level: what is
/// left undone is seen by the next operation there.
const ROUNDS: usize = 4 * HEIGHT;

const fn most(level: u32) -> usize {
    if level == 0 { LEAF_MAX } else { INNER_MAX }
}

const fn least(level: u32) -> usize {
    if level == 0 { LEAF_MIN } else { INNER_MIN }
}

/// Up to so many together become one node; with more, each of two gets at least `least`.
const fn merged(level: u32) -> usize {
    let (enough, two) = (most(level) * 3 / 4, 2 * least(level) - 1);
    if enough > two { enough } else { two }
}

/// Keys between children, as runs of such that are adjacent in a node.
struct Separators<K, V, L: Layout<K, V>>(Vec<Keys<K, V, L>>);

impl<K, V, L: Layout<K, V>> Separators<K, V, L> {
    /// Those at a range.
    fn within(&self, range: Range<usize>) -> impl Iterator<Item = Keys<K, V, L>> {
        let mut begin = 0;
        self.0.iter().map(move |keys| {
            let here = range.start.saturating_sub(begin)..range.end.saturating_sub(begin);
            begin += keys.len;
            keys.within(&here)
        })
    }
}

/// What is going to replace a node, and what becomes of the rest once it has.
struct Plan<K, V, L: Layout<K, V>> {
    level: u32,
    children: Vec<*mut super::Node<K, V, L>>,
    separators: Separators<K, V, L>,
    /// Nodes that will be replaced.
    old: Vec<Ref<K, V, L>>,
    /// Nodes that were made for it.
    fresh: Vec<Ref<K, V, L>>,
    /// Boxes that become separators, and those that cease to be one, or whose key was replaced by a move.
    acquired: Vec<Boxed<K, V>>,
    dropped: Vec<Boxed<K, V>>,
}

impl<K, V, L: Layout<K, V>> Plan<K, V, L> {
    /// Of a node of so many children or a few more.
    fn new(level: u32, len: usize) -> Self {
        Self {
            level,
            children: Vec::with_capacity(len + FEW),
            separators: Separators(Vec::with_capacity(2 * FEW)),
            old: Vec::with_capacity(FEW),
            fresh: Vec::with_capacity(FEW),
            acquired: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Cuts the entries of a group of adjacent leaves anew.
    ///
    /// # Safety
    ///
    /// They are leaves that may be read.
    unsafe fn leaves(&mut self, group: impl Iterator<Item = Ref<K, V, L>>, at_end: bool) {
        let first = self.old.len();
        self.old.extend(group);
        // Moves that are pending in them are decided here, and what they hide is left out. Their slots are frozen, so that no new
        // ones come; and they are closed, so that all see the same entries.
        let read = |&leaf: &Ref<K, V, L>| {
            leaf.abandon();
            self.dropped.extend(leaf.replaced());
            (leaf, leaf.order(leaf.close()))
        };
        let group: Vec<(Ref<K, V, L>, Order)> = self.old[first..].iter().map(read).collect();
        let total = group.iter().map(|(_, order)| order.len()).sum();
        for piece in pieces(0, total, group.len() > 1, at_end) {
            let mut draft = Draft::new(piece.len(), None);
            let mut begin = 0;
            for (leaf, order) in &group {
                let end = begin + order.len();
                let within = |index: usize| index.clamp(begin, end) - begin;
                let places = &order.as_slice()[within(piece.start)..within(piece.end)];
                // SAFETY: they are there, in a leaf that the caller lets us read.
                unsafe { draft.copy(*leaf, places) };
                begin = end;
            }
            let leaf = draft.done();
            self.fresh.push(leaf);
            if piece.start > 0 {
                // SAFETY: not empty: there are entries before and in every piece but the first.
                let (first, entry) = unsafe { (Keys::new(leaf, 0..1), leaf.boxed_key(0)) };
                if let Some(entry) = entry {
                    entry.acquire();
                    self.acquired.push(entry);
                }
                self.separators.0.push(first);
            }
            self.children.push(leaf.as_ptr());
        }
    }

    /// Children that stay, with the separator before each.
    ///
    /// # Safety
    ///
    /// They are of this node, which may be read, in this range.
    unsafe fn keep(
        &mut self,
        node: Ref<K, V, L>,
        range: Range<usize>,
        children: &[*mut super::Node<K, V, L>],
    ) {
        if !range.is_empty() {
            // SAFETY: the caller's promise.
            let separators = unsafe { Keys::new(node, range.start.saturating_sub(1)..range.end - 1) };
            self.separators.0.push(separators);
            self.children.extend_from_slice(children);
        }
    }

    /// Cuts the children of a group of adjacent inner nodes anew; `between` are the separators of the group.
    ///
    /// # Safety
    ///
    /// They are inner nodes that may be read, all of one level.
    unsafe fn inners(&mut self, group: &[Ref<K, V, L>], between: Keys<K, V, L>, at_end: bool) {
        let (mut children, mut separators) = (Vec::new(), Separators(Vec::new()));
        for (place, &node) in group.iter().enumerate() {
            if place > 0 {
                separators.0.push(between.within(&(place - 1..place)));
            }
            // SAFETY: within the node.
            unsafe {
                children.extend((0..node.len()).map(|index| freeze(node.slot(index))));
                separators.0.push(Keys::new(node, 0..node.len() - 1));
            }
        }
        self.cut(self.level - 1, &children, &separators, at_end, group.len() > 1);
        self.old.extend_from_slice(group);
    }

    /// Makes nodes of these children.
    fn cut(
        &mut self,
        level: u32,
        children: &[*mut super::Node<K, V, L>],
        separators: &Separators<K, V, L>,
        at_end: bool,
        may_merge: bool,
    ) {
        for piece in pieces(level, children.len(), may_merge, at_end) {
            if piece.start > 0 {
                self.separators.0.extend(separators.within(piece.start - 1..piece.start));
            }
            let node =
                Ref::inner(level, &children[piece.clone()], separators.within(piece.start..piece.end - 1));
            self.fresh.push(node);
            self.children.push(node.as_ptr());
        }
    }

    /// The node that the plan describes; at the root, it may be its only child, or a parent of several.
    fn finish(&mut self, at_root: bool, at_end: bool) -> *mut super::Node<K, V, L> {
        if at_root && self.children.len() == 1 {
            return bare(self.children[0]);
        }
        if at_root && self.children.len() > INNER_MAX && (self.level as usize) < HEIGHT {
            let children = core::mem::take(&mut self.children);
            let separators = core::mem::replace(&mut self.separators, Separators(Vec::new()));
            self.cut(self.level, &children, &separators, at_end, false);
            self.level += 1;
        }
        let separators = self.separators.within(0..self.children.len() - 1);
        let node = Ref::inner(self.level, &self.children, separators);
        self.fresh.push(node);
        node.as_ptr()
    }
}

/// How `total` entries or children are cut into nodes.
fn pieces(level: u32, total: usize, may_merge: bool, at_end: bool) -> impl Iterator<Item = Range<usize>> {
    let count = if may_merge && total <= merged(level) { 1 } else { total.div_ceil(most(level)).max(2) };
    let cut = move |index: usize| {
        if at_end && count == 2 && index == 1 {
            // What comes in ascending order goes to the last node.
            (total - (most(level) / 8).max(least(level).min(2))).min(most(level))
        } else {
            total * index / count
        }
    };
    (0..count).map(move |index| cut(index)..cut(index + 1))
}

/// Freezes a slot and returns what is in it, with its bits.
fn freeze<K, V, L: Layout<K, V>>(slot: &Slot<K, V, L>) -> *mut super::Node<K, V, L> {
    // Acquire, here and below: for the child's contents.
    let mut node = slot.load(Ordering::Acquire);
    while !is_frozen(node) {
        // Relaxed: the child was acquired by whoever read it here, and for those who will read it frozen the exchange goes on with the
        // release sequence of who published it. Losing means that a child was replaced, which is somebody's progress, or that
        // another thread froze the slot.
        match slot.compare_exchange(node, frozen(node, false), Ordering::Relaxed, Ordering::Acquire) {
            Ok(_) => return frozen(node, false),
            Err(now) => node = now,
        }
    }
    node
}

impl<K, V, R: Reclaim, L: Layout<K, V>> Raw<K, V, R, L> {
    /// Rebuilds the inner node that hangs off `slot`, with what its frozen slots ask for. It may fail if `slot` changed;
    /// the caller starts again from the root in either case. `at_end`: nothing is to the right of the node.
    #[cold]
    pub(super) fn rebuild(&self, slot: &Slot<K, V, L>, node: Ref<K, V, L>, at_end: bool, guard: &R::Guard) {
        // Relaxed: a hint; the exchange below decides. A frozen slot fails it, so that a node is never frozen before its
        // parent for a rebuilding of the parent.
        if slot.load(Ordering::Relaxed) != node.as_ptr() {
            return;
        }
        let count = node.len();
        // SAFETY: within the node, which the guard protects.
        let frozen_at = |index| freeze(unsafe { node.slot(index) });
        let children: Vec<_> = (0..count).map(frozen_at).inspect(|&child| prefetch(bare(child))).collect();
        // SAFETY: children of inner nodes are not null, and protected by the guard: the slots are frozen.
        let child = |index: usize| unsafe { Ref::new(bare(children[index])) }.expect("a child");

        let mut plan = Plan::new(node.level(), count);
        plan.old.push(node);
        // A child that is too short takes part with the next one; the last one, with the one before.
        let short = |index: usize| is_needy(children[index]) && !is_long(child(index));
        let (is_above_leaves, mut ahead) = (node.level() == 1, AHEAD);
        // What a leaf holds that may be made anew although it need not. Where keys come in ascending order there are none.
        let mut held = [NOT_FREE; 2 * INNER_MAX];
        if is_above_leaves && !at_end {
            for (index, (&pointer, held)) in children.iter().zip(&mut held).enumerate() {
                if !is_needy(pointer) && !child(index).is_pending() {
                    *held = child(index).state().len() as u8;
                }
            }
        }
        let entries = |index: usize| usize::from(*held.get(index).unwrap_or(&NOT_FREE));
        // The one before the last is not for others if the last one wants it.
        let last_free = if short(count - 1) { count.saturating_sub(2) } else { count };
        let (mut index, mut kept) = (0, 0);
        while index < count {
            let mut end = index + 1;
            while end < count && (short(end - 1) || end + 1 == count && short(end)) {
                end += 1;
            }
            let mut is_made_anew = end - index > 1 || is_needy(children[index]) && !short(index);
            if !is_made_anew && ahead > 0 {
                let mut total = entries(index);
                while end < last_free && total + entries(end) <= merged(0) {
                    total += entries(end);
                    end += 1;
                }
                let is_full = (LEAF_MAX..usize::from(NOT_FREE)).contains(&total) && is_long(child(index));
                is_made_anew = end - index > 1 || is_full;
                ahead -= usize::from(is_made_anew);
            }
            if is_made_anew {
                // SAFETY: within the node. What takes part are its children, which the guard protects.
                unsafe {
                    plan.keep(node, kept..index, &children[kept..index]);
                    if index > 0 {
                        plan.separators.0.push(Keys::new(node, index - 1..index));
                    }
                    let group = (index..end).map(child);
                    if is_above_leaves {
                        plan.dropped.extend((index..end - 1).filter_map(|index| node.boxed_key(index)));
                        plan.leaves(group, at_end && end == count);
                    } else {
                        let between = Keys::new(node, index..end - 1);
                        plan.inners(&group.collect::<Vec<_>>(), between, at_end && end == count);
                    }
                }
                kept = end;
            }
            index = end;
        }
        // SAFETY: as above.
        unsafe { plan.keep(node, kept..count, &children[kept..]) };
        self.carry_out(slot, node.as_ptr(), plan, at_end, guard);
    }

    /// Gives a root that is a leaf, and too long, a parent.
    #[cold]
    fn grow(&self, leaf: Ref<K, V, L>, guard: &R::Guard) {
        let mut plan = Plan::new(1, 1);
        // SAFETY: a leaf, protected by the guard.
        unsafe { plan.leaves(core::iter::once(leaf), true) };
        self.carry_out(&self.root, leaf.as_ptr(), plan, true, guard);
    }

    fn carry_out(
        &self,
        slot: &Slot<K, V, L>,
        old: *mut super::Node<K, V, L>,
        mut plan: Plan<K, V, L>,
        at_end: bool,
        guard: &R::Guard,
    ) {
        let new = plan.finish(ptr::eq(slot, &*self.root), at_end);
        // SeqCst: see `Raw::exchange`; the new nodes are published. Losing means that another thread replaced the node, or that
        // its slot is frozen and its parent about to be replaced. No model can tell: it acquires what it need not, as there.
        if slot.compare_exchange(old, new, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
            let nodes = plan.old.into_iter().map(Self::retired_node);
            let shares = plan.dropped.into_iter().map(Boxed::retired_share);
            // SAFETY: replaced by the exchange that we won, and with them the separators that were dropped.
            unsafe { self.retire(nodes.chain(shares), guard) };
        } else {
            for node in plan.fresh {
                // SAFETY: never published.
                unsafe { node.free() };
            }
            for entry in plan.acquired {
                // SAFETY: the share that was acquired for the plan; the leaf's share is still there.
                unsafe { entry.release() };
            }
        }
    }

    /// Looks for nodes that are too long or too short on the way to an edge, and has them rebuilt.
    #[cold]
    pub(super) fn tend<Q: ?Sized + Comparable<K>>(&self, edge: Edge<'_, Q>, guard: &R::Guard)
    where
        K: Ord,
    {
        for _ in 0..ROUNDS {
            if self.tend_once(edge, guard) {
                return;
            }
        }
    }

    /// True if nothing was to be done; else something was, by us or by somebody else, and it is worth looking again.
    fn tend_once<Q: ?Sized + Comparable<K>>(&self, edge: Edge<'_, Q>, guard: &R::Guard) -> bool
    where
        K: Ord,
    {
        let mut slot: &Slot<K, V, L> = &self.root;
        let mut above: Above<'_, K, V, L> = None;
        let (mut at_start, mut at_end) = (true, true);
        loop {
            // Acquire: for the node's contents.
            let pointer = slot.load(Ordering::Acquire);
            if is_frozen(pointer) {
                let (slot, node) = above.expect("the root slot is never frozen");
                self.rebuild(slot, node, at_end, guard);
                return false;
            }
            // SAFETY: read from a slot under the guard, and without bits.
            let Some(node) = (unsafe { Ref::new(pointer) }) else { return true };
            let level = node.level();
            let (len, is_long) = if level == 0 {
                // While there is room in its log, or it can be copied with one entry more, it is not too long.
                let state = node.state();
                (state.len(), state.is_closed() && state.len() >= LEAF_MAX)
            } else {
                (node.len(), node.len() > INNER_MAX)
            };
            if node.is_pending() {
                // How long it is is known when the move is decided, and only a leaf without a move becomes needy.
                let state = node.state();
                self.settle(&Place { slot, leaf: Some(node), state, is_root: above.is_none() }, node, guard);
                return false;
            }
            match above {
                None if level == 0 && is_long => {
                    self.grow(node, guard);
                    return false;
                }
                None if level > 0 && (len == 1 || is_long && (level as usize) < HEIGHT) => {
                    self.rebuild(slot, node, true, guard);
                    return false;
                }
                None => {}
                Some((above, parent)) => {
                    let least = if at_start || at_end {
                        least(level).min(1 + level.min(1) as usize)
                    } else {
                        least(level)
                    };
                    if is_long || len < least && parent.len() > 1 {
                        // Relaxed: as in `freeze`. Losing means that the child was replaced.
                        let needy = frozen(pointer, true);
                        if slot.compare_exchange(pointer, needy, Ordering::Relaxed, Ordering::Relaxed).is_ok()
                        {
                            self.rebuild(above, parent, at_end, guard);
                        }
                        return false;
                    }
                }
            }
            if level == 0 {
                return true;
            }
            // SAFETY: an inner node.
            let index = unsafe { search::child_at(node, edge) };
            at_start &= index == 0;
            at_end &= index == len - 1;
            above = Some((slot, node));
            // SAFETY: within the node.
            slot = unsafe { node.slot(index) };
        }
    }
}

/// Whether a node that was found needy, or full, is too long. A leaf is closed for that: it may have changed since, or may yet.
fn is_long<K, V, L: Layout<K, V>>(node: Ref<K, V, L>) -> bool {
    if node.level() == 0 { node.close().len() >= LEAF_MAX } else { node.len() > INNER_MAX }
}
