//! Nodes of the stack, and the tagged words that name them.
//!
//! ```text
//!   word = address of the node | generation        next ----> word of the node below
//!          [ next | value ]                        value      there while the node is in a stack
//! ```
//! The generation is what makes immediate reuse sound; the argument is in [`treiber`](super::treiber). On 64-bit machines it
//! lies in bits 48 to 55, which no system sets in an address unless it was asked to, and which are clear of the tags that
//! some keep in the topmost byte; elsewhere in the low bits that the alignment leaves free. A node at an address that needs
//! these bits has one generation only, and says so in its low bits: it is used once between two grace periods. A node's `next` is read by whoever ever saw its word, also when the node is spare, so it is
//! accessed atomically only; `value` is touched by the node's owner alone.

use core::mem::MaybeUninit;
use core::ptr;

use crate::sync::{AtomicPtr, Ordering, UnsafeCell};

/// 16, so that the system's allocator need not align specially and a node of a word takes 16 bytes.
#[repr(C, align(16))]
pub(super) struct Node<T> {
    next: AtomicPtr<Node<T>>,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Node<T> {
    pub(super) fn new() -> Self {
        Self { next: AtomicPtr::new(ptr::null_mut()), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }
}

/// The word has no generation, and all its other bits are the address.
const PLAIN: usize = 1;

const HIGH: bool = cfg!(all(target_pointer_width = "64", not(latchfree_loom)));
/// Where the generation lies. Pairs on one thread took 11.5 ns with 15 generations, in the low bits, and 9.5 with 256: a node
/// that comes back from the reclaimer is no longer in the first cache.
const SHIFT: u32 = if HIGH { 48 } else { 1 };
const LAST: usize = if cfg!(latchfree_loom) {
    1
} else if HIGH {
    255
} else {
    align_of::<Node<()>>() / 2 - 1
};
const GENERATION: usize = LAST << SHIFT;

/// A node with its generation; null for none.
pub(super) struct Word<T>(*mut Node<T>);

impl<T> Clone for Word<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Word<T> {}

impl<T> PartialEq for Word<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Word<T> {
    pub(super) const NULL: Self = Self(ptr::null_mut());

    pub(super) fn from_raw(raw: *mut Node<T>) -> Self {
        Self(raw)
    }

    #[inline(always)]
    pub(super) fn raw(self) -> *mut Node<T> {
        self.0
    }

    #[inline(always)]
    pub(super) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Whether the address leaves the bits of a generation free.
    pub(super) fn has_generations(node: *mut Node<T>) -> bool {
        node.addr() & GENERATION == 0
    }

    /// Of a node without generations.
    pub(super) fn plain(node: *mut Node<T>) -> Self {
        Self(node.map_addr(|address| address | PLAIN))
    }

    #[inline(always)]
    pub(super) fn is_plain(self) -> bool {
        self.0.addr() & PLAIN != 0
    }

    #[inline(always)]
    pub(super) fn node(self) -> *mut Node<T> {
        if self.is_plain() {
            return self.plain_node();
        }
        self.0.map_addr(|address| address & !GENERATION)
    }

    /// Out of the way, so that the usual case waits for no comparison.
    #[cold]
    #[inline(never)]
    fn plain_node(self) -> *mut Node<T> {
        self.0.map_addr(|address| address & !PLAIN)
    }

    /// The same node for its next use, unless its generations are used up.
    #[inline(always)]
    pub(super) fn renewed(self) -> Option<Self> {
        let worn = self.is_plain() || self.0.addr() & GENERATION == GENERATION;
        // Back in the address before it is followed (`node`).
        (!worn).then(|| Self(self.0.map_addr(|address| address + (1 << SHIFT))))
    }

    /// The same node when nobody knows it any more: its generations begin anew.
    pub(super) fn forgotten(self) -> Self {
        if self.is_plain() { self } else { Self(self.node()) }
    }

    /// The word below, as it was when this one was pushed if it is at the top now.
    ///
    /// # Safety
    ///
    /// The node is allocated.
    #[inline(always)]
    pub(super) unsafe fn next(self) -> Self {
        // Relaxed: ordered by the access that found this word, if it still stands for the same use of the node; else the
        // value is not used.
        // SAFETY: the caller's promise.
        Self(unsafe { &(*self.node()).next }.load(Ordering::Relaxed))
    }

    /// As `next`, of a node that may have been taken out of the stack since: if the top is looked at again after this and is still
    /// what it was, then this is what lies below.
    ///
    /// # Safety
    ///
    /// The node is allocated.
    #[inline(always)]
    pub(super) unsafe fn next_if_there(self) -> Self {
        // Acquire: pairs with the Release in `set_next`: who sees a node's later use sees that it was taken out.
        // SAFETY: the caller's promise.
        Self(unsafe { &(*self.node()).next }.load(Ordering::Acquire))
    }

    /// # Safety
    ///
    /// The node is the caller's.
    #[inline(always)]
    pub(super) unsafe fn set_next(self, next: Self) {
        // Release: pairs with `next_if_there`. Otherwise it is published by the exchange that publishes this word.
        // SAFETY: the caller's promise.
        unsafe { &(*self.node()).next }.store(next.0, Ordering::Release);
    }

    /// # Safety
    ///
    /// The node is the caller's.
    #[inline(always)]
    pub(super) unsafe fn write(self, value: T) {
        // SAFETY: the owner alone touches the value.
        unsafe { &(*self.node()).value }.with_mut(|place| unsafe { (*place).write(value) });
    }

    /// A bitwise copy of the value.
    ///
    /// # Safety
    ///
    /// The node holds a value, which is the caller's to take, or is `Copy` and protected from being overwritten.
    #[inline(always)]
    pub(super) unsafe fn read(self) -> T {
        // SAFETY: the caller's promise.
        unsafe { &(*self.node()).value }.with(|place| unsafe { (*place).assume_init_read() })
    }
}

#[cfg(all(test, not(any(latchfree_loom, latchfree_stall))))]
mod tests {
    use core::ptr::without_provenance_mut;

    use super::{LAST, Node, Word};

    #[test]
    fn generations_of_a_node() {
        for address in [16, 0x1230, 0x7fff_fff0] {
            let node = without_provenance_mut::<Node<u64>>(address);
            assert!(Word::has_generations(node));
            let mut word = Word::from_raw(node);
            let mut seen = alloc::vec![word.raw().addr()];
            while let Some(next) = word.renewed() {
                word = next;
                assert!(!seen.contains(&word.raw().addr()), "no word comes twice");
                assert!(!word.is_plain() && word.node().addr() == address);
                seen.push(word.raw().addr());
            }
            assert_eq!(seen.len(), LAST + 1);
            assert_eq!(word.forgotten().raw().addr(), address);
        }
    }

    /// With any bits set, as where pointers are tagged or address spaces are wider.
    #[test]
    fn nodes_without_generations() {
        for address in [0x10, usize::MAX << 4, usize::MAX << 8, 0xab << (usize::BITS - 8)] {
            let word = Word::plain(without_provenance_mut::<Node<u64>>(address));
            assert!(word.is_plain() && word.renewed().is_none());
            assert_eq!(word.node().addr(), address);
            assert!(word.forgotten() == word);
        }
        #[cfg(target_pointer_width = "64")]
        {
            assert!(!Word::has_generations(without_provenance_mut::<Node<u64>>(1 << 52)));
            let tagged = without_provenance_mut::<Node<u64>>(0xb4 << 56 | 0x1230);
            assert!(Word::has_generations(tagged));
            assert_eq!(Word::from_raw(tagged).renewed().unwrap().node(), tagged);
        }
    }
}
