//! Nodes of the stack, and the tagged words that name them.
//!
//! ```text
//!   word = address of the node | generation        next ----> word of the node below
//!          [ next | value ]                        value      there while the node is in a stack
//! ```
//! The generation, in the bits that the alignment leaves free, is what makes immediate reuse sound; the argument is in
//! [`treiber`](super::treiber). A node's `next` is read by whoever ever saw its word, also when the node is spare, so it is
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

/// Bits of a word that are not the address.
const TAG: usize = align_of::<Node<()>>() - 1;
/// The last generation of a node that is one of a slab.
const LAST: usize = if cfg!(latchfree_loom) { 1 } else { TAG - 1 };
/// The only generation of a node that was allocated by itself: so it goes through the reclaimer after each use.
const ALONE: usize = TAG;

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

    /// Of a node that was allocated by itself.
    pub(super) fn alone(node: *mut Node<T>) -> Self {
        Self(node.map_addr(|address| address | ALONE))
    }

    pub(super) fn is_alone(self) -> bool {
        self.0.addr() & TAG == ALONE
    }

    #[inline(always)]
    pub(super) fn node(self) -> *mut Node<T> {
        self.0.map_addr(|address| address & !TAG)
    }

    /// The same node for its next use, unless its generations are used up.
    #[inline(always)]
    pub(super) fn renewed(self) -> Option<Self> {
        let worn = self.0.addr() & TAG >= LAST;
        // Stays within the node: the generation is less than its alignment.
        (!worn).then(|| Self(self.0.map_addr(|address| address + 1)))
    }

    /// The same node when nobody knows it any more: its generations begin anew.
    pub(super) fn forgotten(self) -> Self {
        if self.is_alone() { self } else { Self(self.node()) }
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
