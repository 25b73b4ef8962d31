//! Nodes: what they look like in memory, and how they are made and freed.
//!
//! ```text
//!   leaf    level 0      [ head | keys or prefixes | entries ]        or  [ head | keys | values ], and then [ pending ],
//!                          state                                            while an entry moves (reschedule)
//!   inner   level 1..    [ head | keys or prefixes | separators | slots ]
//!                                                    (unless keys are inline)
//! ```
//! A node is one allocation, as large as what it holds; a leaf has some places more, its [log](super::state). All of it is immutable
//! from its publication on, but for the slots of an inner node, and a leaf's state, which says what in it counts; a place of the log is
//! written before that. A slot holds a pointer to a child and two bits: [`FROZEN`], from when on the slot does not change
//! any more, and [`NEEDY`], with it, if the child is to be split or merged (see [`rebuild`](super::rebuild)).

mod contents;

use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::{self, NonNull};

pub(super) use self::contents::{Contents, Draft, prefetch};
use super::entry::{Boxed, Item};
use super::form::{self, Layout};
use super::reschedule::{Move, Role};
use super::state::{LOG, Order, State};
use crate::sync::{AtomicPtr, AtomicU8, Ordering, UnsafeCell, order_for_loom};
use crate::util::recycle;

pub(super) type Slot<K, V, L> = AtomicPtr<Node<K, V, L>>;

/// The slot does not change any more.
const FROZEN: usize = 1;
/// Its child is the reason.
const NEEDY: usize = 2;

#[derive(Clone, Copy)]
struct Head {
    level: u8,
    /// What a leaf is to the move that is pending in it.
    role: Option<Role>,
    /// Of a leaf, its sorted places; of an inner node, its children.
    len: u16,
}

/// Of a leaf in which a move is pending: which, and the place of its entry. The leaf owns a share of the move.
pub(super) struct Pending<K, V, L: Layout<K, V>> {
    pub(super) movement: NonNull<Move<K, V, L>>,
    pub(super) role: Role,
    pub(super) index: usize,
}

impl<K, V, L: Layout<K, V>> Clone for Pending<K, V, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, L: Layout<K, V>> Copy for Pending<K, V, L> {}

/// The place of no entry.
pub(super) const NONE: usize = usize::MAX;

#[repr(C, align(8))]
pub(super) struct Node<K, V, L: Layout<K, V>> {
    /// Never written once the node is published; a cell so that loom sees an access that publication does not order.
    head: UnsafeCell<Head>,
    /// Of a leaf, how many places of the log are taken.
    claimed: AtomicU8,
    /// Of a leaf, a [`State`].
    state: Word,
    /// So that loom sees accesses to places of the log, which are too many for it to see themselves.
    #[cfg(latchfree_loom)]
    written: [UnsafeCell<()>; LOG],
    _holds: PhantomData<(K, V, L)>,
}

#[cfg(target_has_atomic = "64")]
type Word = crate::sync::AtomicU64;

/// Without a log no leaf changes: all are closed from the beginning.
#[cfg(not(target_has_atomic = "64"))]
struct Word(u64);

#[cfg(not(target_has_atomic = "64"))]
impl Word {
    fn new(state: u64) -> Self {
        Self(state)
    }
    fn load(&self, _: Ordering) -> u64 {
        self.0
    }
    fn compare_exchange(&self, _: u64, _: u64, _: Ordering, _: Ordering) -> Result<u64, u64> {
        Err(self.0)
    }
}

/// Where the parts of a node begin, in bytes from its address.
struct Parts {
    keys: usize,
    entries: usize,
    /// Values of a leaf, slots of an inner node.
    last: usize,
    /// The pending move of a leaf, if there is one.
    pending: usize,
    end: usize,
    align: usize,
}

const fn up(offset: usize, align: usize) -> usize {
    offset.next_multiple_of(align)
}

/// A pointer as it is in a slot, without its bits.
#[inline(always)]
pub(super) fn bare<K, V, L: Layout<K, V>>(node: *mut Node<K, V, L>) -> *mut Node<K, V, L> {
    node.map_addr(|addr| addr & !(FROZEN | NEEDY))
}

#[inline(always)]
pub(super) fn is_frozen<K, V, L: Layout<K, V>>(node: *mut Node<K, V, L>) -> bool {
    node.addr() & FROZEN != 0
}

pub(super) fn is_needy<K, V, L: Layout<K, V>>(node: *mut Node<K, V, L>) -> bool {
    node.addr() & NEEDY != 0
}

pub(super) fn frozen<K, V, L: Layout<K, V>>(node: *mut Node<K, V, L>, needy: bool) -> *mut Node<K, V, L> {
    node.map_addr(|addr| addr | FROZEN | if needy { NEEDY } else { 0 })
}

/// Adjacent keys of a node.
pub(super) struct Keys<K, V, L: Layout<K, V>> {
    node: Ref<K, V, L>,
    first: usize,
    pub(super) len: usize,
}

impl<K, V, L: Layout<K, V>> Clone for Keys<K, V, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, L: Layout<K, V>> Copy for Keys<K, V, L> {}

impl<K, V, L: Layout<K, V>> Keys<K, V, L> {
    /// # Safety
    ///
    /// The node has them, and may be read for as long as this is used.
    pub(super) unsafe fn new(node: Ref<K, V, L>, range: Range<usize>) -> Self {
        debug_assert!(range.end <= node.len());
        Self { node, first: range.start, len: range.len() }
    }

    /// Those of them whose number is in the range.
    pub(super) fn within(self, range: &Range<usize>) -> Self {
        let (start, end) = (range.start.min(self.len), range.end.min(self.len));
        Self { first: self.first + start, len: end - start, ..self }
    }
}

/// A node that the holder may read: protected by a guard, or not shared.
///
/// The methods are unsafe where they take an index, which must be within the node, and where they need the right kind
/// of node. Results live as long as the node.
pub(super) struct Ref<K, V, L: Layout<K, V>>(NonNull<Node<K, V, L>>);

impl<K, V, L: Layout<K, V>> Clone for Ref<K, V, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, L: Layout<K, V>> Copy for Ref<K, V, L> {}
impl<K, V, L: Layout<K, V>> PartialEq for Ref<K, V, L> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K, V, L: Layout<K, V>> Ref<K, V, L> {
    /// `None` for null, which stands for an empty leaf.
    ///
    /// # Safety
    ///
    /// Null, or a node that is protected by a guard or not shared, for as long as the result is used. Without bits.
    #[inline(always)]
    pub(super) unsafe fn new(node: *mut Node<K, V, L>) -> Option<Self> {
        debug_assert_eq!(node, bare(node));
        NonNull::new(node).map(Self)
    }

    pub(super) fn as_ptr(self) -> *mut Node<K, V, L> {
        self.0.as_ptr()
    }

    #[inline(always)]
    fn head(self) -> Head {
        // SAFETY: alive by the contract of `new`, and not written after its publication.
        unsafe { self.0.as_ref() }.head.with(|head| unsafe { *head })
    }

    #[inline(always)]
    pub(super) fn level(self) -> u32 {
        self.head().level.into()
    }

    #[inline(always)]
    pub(super) fn len(self) -> usize {
        self.head().len.into()
    }

    /// What a leaf holds at this moment.
    #[inline(always)]
    pub(super) fn state(self) -> State {
        // SeqCst: for the places of the log that are there, and in the total order with all changes (see `cursor::load`). Pairs with
        // the exchanges in `commit` and `close`.
        // SAFETY: alive by the contract of `new`.
        State(unsafe { self.0.as_ref() }.state.load(Ordering::SeqCst))
    }

    /// Changes what a leaf holds, from a state that was read. Losing gives the state that it has.
    ///
    /// The linearization point of changes that make no new leaf.
    #[inline(always)]
    pub(super) fn commit(self, from: State, to: State) -> Result<(), State> {
        debug_assert!(!from.is_closed());
        // SAFETY: alive by the contract of `new`.
        let state = unsafe { &self.0.as_ref().state };
        // SeqCst: publishes a place of the log and what was done before; pairs with the load in `state`, and is in the total order with
        // it. Acquire on losing: for the places that are there now. Losing means that somebody else changed the leaf, or closed it.
        let exchanged = state.compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::Acquire);
        order_for_loom();
        exchanged.map(drop).map_err(State)
    }

    /// Closes a leaf, whatever it holds; what it holds from then on.
    pub(super) fn close(self) -> State {
        let mut state = self.state();
        while !state.is_closed() {
            // Losing means that somebody else changed the leaf, or closed it.
            match self.commit(state, state.closed()) {
                Ok(()) => return state.closed(),
                Err(now) => state = now,
            }
        }
        state
    }

    /// A place of the log for the caller alone, who fills it; `None` if none is left.
    #[inline(always)]
    pub(super) fn claim(self) -> Option<usize> {
        #[cfg(latchfree_loom)]
        if !crate::sync::model::uses_logs() {
            return None;
        }
        // SAFETY: alive by the contract of `new`.
        let claimed = unsafe { &self.0.as_ref().claimed };
        // Relaxed: only who gets which place is decided here. Losing means that another thread took a place, of which there are few.
        let mut count = claimed.load(Ordering::Relaxed);
        while usize::from(count) < LOG {
            match claimed.compare_exchange(count, count + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(count.into()),
                Err(now) => count = now,
            }
        }
        None
    }

    /// Fills a place of the log.
    ///
    /// # Safety
    ///
    /// A leaf, and the caller claimed the place; the item can be read.
    #[inline(always)]
    pub(super) unsafe fn log(self, slot: usize, item: &Item<K, V>, prefix: u64) {
        #[cfg(latchfree_loom)]
        // SAFETY: alive by the contract of `new`.
        unsafe { self.0.as_ref() }.written[slot].with_mut(drop);
        // SAFETY: the caller's promise; nobody reads the place before a state says that it is there.
        unsafe { Contents::new(self).set(self.len() + slot, item, prefix) }
    }

    /// Tells loom that a place is read.
    #[inline(always)]
    fn reads(self, _place: usize) {
        #[cfg(latchfree_loom)]
        if self.level() == 0 && _place >= self.len() {
            // SAFETY: alive by the contract of `new`.
            unsafe { self.0.as_ref() }.written[_place - self.len()].with(drop);
        }
    }

    /// The places that hold entries, in order, but for one that a move hides.
    #[inline]
    pub(super) fn order(self, state: State) -> Order {
        let mut order = Order::new(state, self.len());
        if self.is_pending() {
            order.remove(self.hidden());
        }
        order
    }

    #[inline(always)]
    fn parts(level: u32, len: usize, is_pending: bool) -> Parts {
        // A leaf in which a move is pending is replaced before it changes.
        let len = if level == 0 && !is_pending { len + LOG } else { len };
        let keys = if level == 0 { len } else { len - 1 };
        let pointers = size_of::<Boxed<K, V>>();
        let mut align = align_of::<Node<K, V, L>>();
        let mut at = size_of::<Node<K, V, L>>();
        let mut part = |count: usize, size: usize, alignment: usize| {
            align = align.max(alignment);
            let begin = up(at, alignment);
            at = begin + count * size;
            begin
        };
        let first = if form::keys_inline::<K, V, L>() {
            part(keys, size_of::<K>(), align_of::<K>())
        } else if form::keys_prefixed::<K, V, L>() {
            part(keys, size_of::<u64>(), align_of::<u64>())
        } else {
            part(0, 0, 1)
        };
        let boxed =
            if level == 0 { !form::values_inline::<K, V, L>() } else { !form::keys_inline::<K, V, L>() };
        let entries = part(if boxed { keys } else { 0 }, pointers, pointers);
        let last = if level > 0 {
            part(len, size_of::<Slot<K, V, L>>(), align_of::<Slot<K, V, L>>())
        } else if boxed {
            part(0, 0, 1)
        } else {
            part(len, size_of::<V>(), align_of::<V>())
        };
        let mut parts = Parts { keys: first, entries, last, pending: at, end: at, align };
        if is_pending {
            parts.pending = up(at, align_of::<Pending<K, V, L>>());
            parts.end = parts.pending + size_of::<Pending<K, V, L>>();
            parts.align = align.max(align_of::<Pending<K, V, L>>());
        }
        parts
    }

    fn layout(head: Head) -> core::alloc::Layout {
        let parts = Self::parts(head.level.into(), head.len.into(), head.role.is_some());
        core::alloc::Layout::from_size_align(parts.end, parts.align).expect("nodes are small")
    }

    /// What it occupies, in bytes.
    pub(super) fn bytes(self) -> usize {
        Self::layout(self.head()).size()
    }

    #[inline(always)]
    fn keys(self) -> *mut u8 {
        // Where keys begin does not depend on how many there are.
        // SAFETY: within the node, or one past.
        unsafe { self.0.as_ptr().cast::<u8>().add(Self::parts(1, 1, false).keys) }
    }

    #[inline(always)]
    fn entries(self) -> *mut Boxed<K, V> {
        let head = self.head();
        let parts = Self::parts(head.level.into(), head.len.into(), head.role.is_some());
        // SAFETY: within the node, or one past.
        unsafe { self.0.as_ptr().cast::<u8>().add(parts.entries).cast() }
    }

    #[inline(always)]
    fn last(self) -> *mut u8 {
        let head = self.head();
        let parts = Self::parts(head.level.into(), head.len.into(), head.role.is_some());
        // SAFETY: within the node, or one past.
        unsafe { self.0.as_ptr().cast::<u8>().add(parts.last) }
    }

    #[inline(always)]
    pub(super) fn is_pending(self) -> bool {
        self.head().role.is_some()
    }

    /// The move that is pending in a leaf.
    pub(super) fn pending(self) -> Option<Pending<K, V, L>> {
        let head = self.head();
        head.role?;
        let parts = Self::parts(0, head.len.into(), true);
        // SAFETY: a node of this kind ends with it.
        Some(unsafe { self.0.as_ptr().cast::<u8>().add(parts.pending).cast::<Pending<K, V, L>>().read() })
    }

    /// The place of the entry that a leaf shows and that is not in the map, or not any more, because of a move; else
    /// [`NONE`]. Once the move is decided it is always the same.
    #[inline(always)]
    pub(super) fn hidden(self) -> usize {
        if self.is_pending() { self.hidden_by_move() } else { NONE }
    }

    #[cold]
    fn hidden_by_move(self) -> usize {
        let Some(pending) = self.pending() else { return NONE };
        // SAFETY: the leaf has a share of it.
        let is_done = unsafe { pending.movement.as_ref() }.is_done();
        if is_done == (pending.role == Role::From) { pending.index } else { NONE }
    }

    /// The key at `index`: of an entry of a leaf, or between two children.
    ///
    /// # Safety
    ///
    /// `index` is below the number of keys, or a place of the log that was there in a state that was read.
    #[inline(always)]
    pub(super) unsafe fn key(self, index: usize) -> *const K {
        self.reads(index);
        // SAFETY: the caller's promise; the entry lives as long as the node that points to it.
        unsafe {
            if form::keys_inline::<K, V, L>() {
                self.keys().cast::<K>().add(index)
            } else {
                self.entries().add(index).read().key()
            }
        }
    }

    /// The prefix of the key at `index`, where keys are prefixed.
    ///
    /// # Safety
    ///
    /// `index` is below the number of keys.
    #[inline(always)]
    pub(super) unsafe fn prefix(self, index: usize) -> u64 {
        debug_assert!(form::keys_prefixed::<K, V, L>());
        // SAFETY: the caller's promise.
        unsafe { self.keys().cast::<u64>().add(index).read() }
    }

    /// The entry at `index` of a leaf.
    ///
    /// # Safety
    ///
    /// A leaf, and `index` is below its length, or a place of the log that was there in a state that was read.
    #[inline(always)]
    pub(super) unsafe fn item(self, index: usize) -> Item<K, V> {
        // SAFETY: the caller's promise.
        unsafe { Contents::new(self).item(index) }
    }

    /// The slot of child `index` of an inner node.
    ///
    /// # Safety
    ///
    /// An inner node, and `index` is below its length.
    #[inline(always)]
    pub(super) unsafe fn slot<'n>(self, index: usize) -> &'n Slot<K, V, L> {
        debug_assert!(self.level() > 0);
        // Where an inner node's slots are does not depend on its level.
        let slots = Self::parts(1, self.len(), false).last;
        // SAFETY: the caller's promise; the node lives as long as the caller uses what it reads.
        unsafe { &*self.0.as_ptr().cast::<u8>().add(slots).cast::<Slot<K, V, L>>().add(index) }
    }

    /// The box of a key of an inner node, or of a sorted place, unless keys lie in the nodes.
    ///
    /// # Safety
    ///
    /// `index` is below the number of keys.
    pub(super) unsafe fn boxed_key(self, index: usize) -> Option<Boxed<K, V>> {
        // SAFETY: the caller's promise.
        (!form::keys_inline::<K, V, L>()).then(|| unsafe { self.entries().add(index).read() })
    }

    /// A node without contents, which the caller fills before it publishes it.
    #[inline]
    fn allocate(level: u32, len: usize, role: Option<Role>) -> Self {
        let head = Head {
            level: u8::try_from(level).expect("trees are low"),
            role,
            len: u16::try_from(len).expect("nodes are small"),
        };
        let layout = Self::layout(head);
        let node = recycle::allocate(layout).cast::<Node<K, V, L>>();
        let state = if level == 0 { State::new(len, LOG == 0 || role.is_some()) } else { State(0) };
        let new = Node {
            head: UnsafeCell::new(head),
            claimed: AtomicU8::new(0),
            state: Word::new(state.0),
            #[cfg(latchfree_loom)]
            written: core::array::from_fn(|_| UnsafeCell::new(())),
            _holds: PhantomData,
        };
        // SAFETY: allocated for it.
        unsafe { node.write(new) };
        Self(node)
    }

    /// An inner node with these children (bits are removed) and one separator fewer.
    pub(super) fn inner(
        level: u32,
        children: &[*mut Node<K, V, L>],
        separators: impl Iterator<Item = Keys<K, V, L>>,
    ) -> Self {
        assert!(level > 0);
        let new = Self::allocate(level, children.len(), None);
        let mut at = 0;
        for Keys { node, first, len } in separators {
            assert!(at + len < children.len(), "one separator between two children");
            // SAFETY: counted; the keys are there by the contract of `Keys::new`. What is copied is plain.
            unsafe {
                if form::keys_inline::<K, V, L>() {
                    let (from, to) = (node.keys().cast::<K>(), new.keys().cast::<K>());
                    ptr::copy_nonoverlapping(from.add(first), to.add(at), len);
                } else {
                    if form::keys_prefixed::<K, V, L>() {
                        let (from, to) = (node.keys().cast::<u64>(), new.keys().cast::<u64>());
                        ptr::copy_nonoverlapping(from.add(first), to.add(at), len);
                    }
                    ptr::copy_nonoverlapping(node.entries().add(first), new.entries().add(at), len);
                }
            }
            at += len;
        }
        assert_eq!(at + 1, children.len(), "one separator between two children");
        for (index, &child) in children.iter().enumerate() {
            // SAFETY: counted above.
            unsafe { new.last().cast::<Slot<K, V, L>>().add(index).write(AtomicPtr::new(bare(child))) };
        }
        new
    }

    /// Frees the node's memory, and nothing that it points to but its share of a pending move.
    ///
    /// # Safety
    ///
    /// Nobody reaches the node any more.
    pub(super) unsafe fn free(self) {
        // SAFETY: the caller's promise.
        unsafe { Self::reclaim(self.0.cast()) }
    }

    /// As [`free`](Self::free), for the reclaimer.
    ///
    /// # Safety
    ///
    /// As there.
    pub(super) unsafe fn reclaim(node: NonNull<u8>) {
        let node = node.cast::<Node<K, V, L>>();
        // SAFETY: nobody reaches the node any more. Mutably, so that loom sees who still does.
        let head = unsafe { node.as_ref() }.head.with_mut(|head| unsafe { *head });
        let pending = Self(node).pending();
        // SAFETY: allocated with this layout. Slots and heads need no drop.
        unsafe { recycle::free(node.cast(), Self::layout(head)) }
        if let Some(pending) = pending {
            // SAFETY: the leaf's share.
            unsafe { Move::<K, V, L>::release(pending.movement.cast()) }
        }
    }
}
