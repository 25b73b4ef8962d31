//! Nodes: what they look like in memory, and how they are made and freed.
//!
//! ```text
//!   leaf    level 0      [ head | keys or prefixes | entries ]        or  [ head | keys | values ], and then [ pending ],
//!                                                                           while an entry moves (reschedule)
//!   inner   level 1..    [ head | keys or prefixes | separators | slots ]
//!                                                    (unless keys are inline)
//! ```
//! A node is one allocation, as large as what it holds. All of it is immutable from its publication on, but for the
//! slots of an inner node. A slot holds a pointer to a child and two bits: [`FROZEN`], from when on the slot does not change
//! any more, and [`NEEDY`], with it, if the child is to be split or merged (see [`rebuild`](super::rebuild)).

use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use super::entry::{Boxed, Item};
use super::form::{self, Layout};
use super::reschedule::{Move, Role};
use crate::sync::{AtomicPtr, UnsafeCell};
use crate::util::recycle;

pub(super) type Slot<K, V, L> = AtomicPtr<Node<K, V, L>>;

/// The slot does not change any more.
const FROZEN: usize = 1;
/// Its child is the reason.
const NEEDY: usize = 2;

#[derive(Clone, Copy)]
struct Head {
    level: u16,
    /// What a leaf is to the move that is pending in it.
    role: Option<Role>,
    /// Of a leaf, its entries; of an inner node, its children.
    len: u32,
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
    _holds: PhantomData<(K, V, L)>,
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

/// A key between two children, read: where the key is, its prefix, and the entry that it belongs to if keys are boxed.
pub(super) struct Separator<K, V> {
    pub(super) key: *const K,
    prefix: u64,
    pub(super) entry: Option<Boxed<K, V>>,
}

impl<K, V> Clone for Separator<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Separator<K, V> {}

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
        self.head().len as usize
    }

    #[inline(always)]
    fn parts(level: u32, len: usize, is_pending: bool) -> Parts {
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
        let parts = Self::parts(head.level.into(), head.len as usize, head.role.is_some());
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
        let parts = Self::parts(self.level(), self.len(), false);
        // SAFETY: within the node, or one past.
        unsafe { self.0.as_ptr().cast::<u8>().add(parts.entries).cast() }
    }

    #[inline(always)]
    fn last(self) -> *mut u8 {
        let parts = Self::parts(self.level(), self.len(), false);
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
        let parts = Self::parts(0, head.len as usize, true);
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

    /// How many of a leaf's entries are in the map.
    pub(super) fn shown(self) -> usize {
        self.len() - usize::from(self.hidden() != NONE)
    }

    /// The key at `index`: of an entry of a leaf, or between two children.
    ///
    /// # Safety
    ///
    /// `index` is below the number of keys.
    #[inline(always)]
    pub(super) unsafe fn key(self, index: usize) -> *const K {
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
    /// A leaf, and `index` is below its length.
    #[inline(always)]
    pub(super) unsafe fn item(self, index: usize) -> Item<K, V> {
        // SAFETY: the caller's promise; the entry lives as long as the leaf.
        unsafe {
            if form::values_inline::<K, V, L>() {
                Item { key: self.key(index), value: self.last().cast::<V>().add(index), entry: None }
            } else {
                let entry = self.entries().add(index).read();
                // A key that lies in the node is lent from the entry all the same, which outlives the node.
                Item { key: entry.key(), value: entry.value(), entry: Some(entry) }
            }
        }
    }

    /// The slot of child `index` of an inner node.
    ///
    /// # Safety
    ///
    /// An inner node, and `index` is below its length.
    #[inline(always)]
    pub(super) unsafe fn slot<'n>(self, index: usize) -> &'n Slot<K, V, L> {
        // SAFETY: the caller's promise; the node lives as long as the caller uses what it reads.
        unsafe { &*self.last().cast::<Slot<K, V, L>>().add(index) }
    }

    /// The key between children `index` and `index + 1`.
    ///
    /// # Safety
    ///
    /// An inner node, and there are these children.
    pub(super) unsafe fn separator(self, index: usize) -> Separator<K, V> {
        // SAFETY: the caller's promise.
        unsafe {
            let boxed = !form::keys_inline::<K, V, L>();
            Separator {
                key: self.key(index),
                prefix: if form::keys_prefixed::<K, V, L>() { self.prefix(index) } else { 0 },
                entry: boxed.then(|| self.entries().add(index).read()),
            }
        }
    }

    /// The first key of a leaf as a separator; the caller acquires the entry if it uses it.
    ///
    /// # Safety
    ///
    /// A leaf that is not empty.
    pub(super) unsafe fn first_as_separator(self) -> Separator<K, V> {
        // SAFETY: the caller's promise.
        unsafe {
            Separator {
                key: self.key(0),
                prefix: if form::keys_prefixed::<K, V, L>() { self.prefix(0) } else { 0 },
                entry: if form::keys_inline::<K, V, L>() { None } else { self.item(0).entry },
            }
        }
    }

    /// A node without contents, which the caller fills before it publishes it.
    fn allocate(level: u32, len: usize, role: Option<Role>) -> Self {
        let len = u32::try_from(len).expect("nodes are small");
        let head = Head { level: u16::try_from(level).expect("trees are low"), role, len };
        let layout = Self::layout(head);
        let node = recycle::allocate(layout).cast::<Node<K, V, L>>();
        // SAFETY: allocated for it.
        unsafe { node.write(Node { head: UnsafeCell::new(head), _holds: PhantomData }) };
        Self(node)
    }

    /// A leaf whose entries are copies of `ranges` of other leaves, in turn, with an item, if there is one, behind the range
    /// of that number. Entries that are boxed are then in both.
    ///
    /// # Safety
    ///
    /// The ranges are within their leaves, and the item can be read. If a move is pending in the leaf, its share is the
    /// leaf's from now on, and its place will be within the leaf.
    #[inline]
    pub(super) unsafe fn leaf(
        ranges: &[Run<K, V, L>],
        item: Option<(usize, &Item<K, V>, u64)>,
        pending: Option<Pending<K, V, L>>,
    ) -> Self {
        let len = ranges.iter().map(|run| run.len).sum::<usize>() + usize::from(item.is_some());
        let new = Self::allocate(0, len, pending.map(|pending| pending.role));
        if let Some(pending) = pending {
            let parts = Self::parts(0, len, true);
            // SAFETY: a node of this kind ends with it.
            unsafe {
                new.0.as_ptr().cast::<u8>().add(parts.pending).cast::<Pending<K, V, L>>().write(pending)
            };
        }
        let mut at = 0;
        for (place, run) in ranges.iter().enumerate() {
            // SAFETY: the caller's promise, and the new leaf is as long as all of it.
            unsafe { new.copy_keys(at, run.from, run.start, run.len) };
            if let Some(from) = run.from {
                // SAFETY: as above.
                unsafe {
                    if form::values_inline::<K, V, L>() {
                        let values = from.last().cast::<V>().add(run.start);
                        ptr::copy_nonoverlapping(values, new.last().cast::<V>().add(at), run.len);
                    } else {
                        ptr::copy_nonoverlapping(
                            from.entries().add(run.start),
                            new.entries().add(at),
                            run.len,
                        );
                    }
                }
            }
            at += run.len;
            if let Some((_, item, prefix)) = item.filter(|item| item.0 == place) {
                // SAFETY: counted above, and the caller's promise.
                unsafe { new.set(at, item, prefix) };
                at += 1;
            }
        }
        new
    }

    /// A leaf of these entries, with their prefixes.
    ///
    /// # Safety
    ///
    /// The items can be read.
    pub(super) unsafe fn leaf_of(items: &[(Item<K, V>, u64)]) -> Self {
        let new = Self::allocate(0, items.len(), None);
        for (at, (item, prefix)) in items.iter().enumerate() {
            // SAFETY: as long as there are items, and the caller's promise.
            unsafe { new.set(at, item, *prefix) };
        }
        new
    }

    /// # Safety
    ///
    /// A leaf that is not published, an index within it, and an item that can be read.
    #[inline(always)]
    unsafe fn set(self, at: usize, item: &Item<K, V>, prefix: u64) {
        // SAFETY: the caller's promise. Keys and values that are copied are plain.
        unsafe {
            if form::keys_inline::<K, V, L>() {
                ptr::copy_nonoverlapping(item.key, self.keys().cast::<K>().add(at), 1);
            } else if form::keys_prefixed::<K, V, L>() {
                self.keys().cast::<u64>().add(at).write(prefix);
            }
            if form::values_inline::<K, V, L>() {
                ptr::copy_nonoverlapping(item.value, self.last().cast::<V>().add(at), 1);
            } else {
                self.entries().add(at).write(item.entry.expect("boxed in this form"));
            }
        }
    }

    /// # Safety
    ///
    /// `len` keys from `start` on are there in `from`, and from `at` on in `self`, which is not published.
    #[inline(always)]
    unsafe fn copy_keys(self, at: usize, from: Option<Self>, start: usize, len: usize) {
        let Some(from) = from else { return };
        // SAFETY: the caller's promise. Keys that are copied are plain.
        unsafe {
            if form::keys_inline::<K, V, L>() {
                let keys = from.keys().cast::<K>().add(start);
                ptr::copy_nonoverlapping(keys, self.keys().cast::<K>().add(at), len);
            } else if form::keys_prefixed::<K, V, L>() {
                let prefixes = from.keys().cast::<u64>().add(start);
                ptr::copy_nonoverlapping(prefixes, self.keys().cast::<u64>().add(at), len);
            }
        }
    }

    /// An inner node with these children (bits are removed) and one separator fewer.
    ///
    /// # Safety
    ///
    /// The separators can be read. There is at least one child.
    pub(super) unsafe fn inner(
        level: u32,
        children: &[*mut Node<K, V, L>],
        separators: &[Separator<K, V>],
    ) -> Self {
        assert!(level > 0 && children.len() == separators.len() + 1, "one separator between two children");
        let new = Self::allocate(level, children.len(), None);
        for (index, separator) in separators.iter().enumerate() {
            // SAFETY: counted above, and the caller's promise. Keys that are copied are plain.
            unsafe {
                if form::keys_inline::<K, V, L>() {
                    ptr::copy_nonoverlapping(separator.key, new.keys().cast::<K>().add(index), 1);
                } else {
                    if form::keys_prefixed::<K, V, L>() {
                        new.keys().cast::<u64>().add(index).write(separator.prefix);
                    }
                    new.entries().add(index).write(separator.entry.expect("boxed in this form"));
                }
            }
        }
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

/// A part of a leaf, or of nothing, which is empty.
pub(super) struct Run<K, V, L: Layout<K, V>> {
    pub(super) from: Option<Ref<K, V, L>>,
    pub(super) start: usize,
    pub(super) len: usize,
}

impl<K, V, L: Layout<K, V>> Run<K, V, L> {
    #[inline(always)]
    pub(super) fn new(from: Option<Ref<K, V, L>>, range: core::ops::Range<usize>) -> Self {
        Self { from, start: range.start, len: range.len() }
    }
}
