//! Nodes of the stack, the tagged words that name them, and the spare ones that a thread keeps.
//!
//! ```text
//!   word = address of the node | generation        next ----> word of the node below
//!          [ next | value ]                        value      there while the node is in a stack
//! ```
//! The generation, in the bits that the alignment leaves free, is what makes immediate reuse sound; the argument is in
//! [`treiber`](super::treiber). A node's `next` is read by whoever ever saw its word, also when the node is spare, so it is
//! written atomically only; `value` is touched by the node's owner alone.

use alloc::boxed::Box;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, AtomicUsize, Ordering, UnsafeCell};

/// 16, so that the system's allocator need not align specially and a node of a word takes 16 bytes.
#[repr(C, align(16))]
pub(super) struct Node<T> {
    next: AtomicPtr<Node<T>>,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// Bits of a word that hold the generation.
const GENERATION: usize = if cfg!(latchfree_loom) { 1 } else { align_of::<Node<()>>() - 1 };

/// Nodes a list: what a thread keeps is two lists of spare nodes, and one of worn ones. Not measured; the reclaimer's price, some
/// 50 ns a list, is small beside 32 operations of 5 ns.
const LIST: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 1 } else { 32 };

/// The most that a thread keeps, in bytes; fewer nodes of larger values.
const LIST_BYTES: usize = 4 << 10;

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

    /// A new node without a value.
    pub(super) fn allocate() -> Self {
        let node =
            Node { next: AtomicPtr::new(ptr::null_mut()), value: UnsafeCell::new(MaybeUninit::uninit()) };
        Self(Box::into_raw(Box::new(node)))
    }

    /// # Safety
    ///
    /// The node holds no value, and nobody else will look at it.
    pub(super) unsafe fn free(self) {
        // SAFETY: the caller's promise; it came from `allocate`.
        drop(unsafe { Box::from_raw(self.node()) });
    }

    #[inline(always)]
    fn node(self) -> *mut Node<T> {
        self.0.map_addr(|address| address & !GENERATION)
    }

    /// The same node for its next use, unless its generations are used up.
    #[inline(always)]
    pub(super) fn renewed(self) -> Option<Self> {
        let worn = self.0.addr() & GENERATION == GENERATION;
        // Stays within the node: the generation is less than its alignment.
        (!worn).then(|| Self(self.0.map_addr(|address| address + 1)))
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

    /// # Safety
    ///
    /// The node is the caller's.
    #[inline(always)]
    pub(super) unsafe fn set_next(self, next: Self) {
        // Relaxed: published by the exchange that publishes this word.
        // SAFETY: the caller's promise.
        unsafe { &(*self.node()).next }.store(next.0, Ordering::Relaxed);
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

    /// The node as an object to be retired by itself, or as the first of a list.
    fn object(self, single: bool) -> NonNull<u8> {
        let node = self.node().map_addr(|address| address | usize::from(single));
        // SAFETY: nodes are not null.
        unsafe { NonNull::new_unchecked(node) }.cast()
    }
}

/// Nodes that nobody uses, linked through `next`.
pub(super) struct List<T> {
    first: Word<T>,
    len: usize,
}

impl<T> List<T> {
    const EMPTY: Self = Self { first: Word::NULL, len: 0 };

    /// As many nodes as a list takes.
    const MAX: usize = {
        let fit = LIST_BYTES / size_of::<Node<T>>();
        if fit == 0 {
            1
        } else if fit < LIST {
            fit
        } else {
            LIST
        }
    };

    /// What a full list takes.
    pub(super) const BYTES: usize = Self::MAX * size_of::<Node<T>>();

    /// # Safety
    ///
    /// The node is the caller's, without a value, and does not lie in a list yet.
    #[inline(always)]
    unsafe fn put(&mut self, word: Word<T>) {
        // SAFETY: the caller's promise.
        unsafe { word.set_next(self.first) };
        self.first = word;
        self.len += 1;
    }

    #[inline(always)]
    fn take(&mut self) -> Option<Word<T>> {
        let word = self.first;
        if word.is_null() {
            return None;
        }
        // SAFETY: nodes in lists are allocated.
        self.first = unsafe { word.next() };
        self.len -= 1;
        Some(word)
    }

    fn is_full(&self) -> bool {
        self.len >= Self::MAX
    }

    /// As an object to be retired, with its size; the list must not be empty.
    pub(super) fn into_object(self) -> (NonNull<u8>, usize) {
        debug_assert!(self.len > 0);
        let object = (self.first.object(false), self.len * size_of::<Node<T>>());
        core::mem::forget(self);
        object
    }

    /// One node as an object, whose `next` others may still follow.
    pub(super) fn single_object(word: Word<T>) -> (NonNull<u8>, usize) {
        (word.object(true), size_of::<Node<T>>())
    }

    /// Of an object, when it is protected no more: its nodes, whose generations begin anew.
    ///
    /// # Safety
    ///
    /// The object came from `into_object` or `single_object`, was retired, may be reclaimed, and is given away.
    unsafe fn from_object(object: NonNull<u8>) -> Self {
        let single = object.addr().get() & 1 == 1;
        let mut word = Word(object.as_ptr().map_addr(|address| address & !1).cast::<Node<T>>());
        let mut list = Self::EMPTY;
        while !word.is_null() {
            // SAFETY: allocated, and ours.
            let next = if single { Word::NULL } else { unsafe { word.next() } };
            // SAFETY: ours, without a value, and out of the list that it was in.
            unsafe { list.put(Word(word.node())) };
            word = next;
        }
        list
    }

    /// Frees an object's nodes.
    ///
    /// # Safety
    ///
    /// As for `from_object`.
    pub(super) unsafe fn reclaim(object: NonNull<u8>) {
        // SAFETY: the caller's promise.
        drop(unsafe { Self::from_object(object) });
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        while let Some(word) = self.take() {
            // SAFETY: a list is dropped when no guard protects its nodes (`reclaim`), or with its stack.
            unsafe { word.free() };
        }
    }
}

/// What a thread has in a stack: its part of the length, and its spare nodes.
pub(super) struct Place<T> {
    /// Pushes minus pops, modulo 2^n.
    pub(super) count: AtomicUsize,
    /// The holder's alone (`PerThread`, invariant 1).
    spare: UnsafeCell<Spare<T>>,
}

struct Spare<T> {
    /// Taken from and put to, the last one first: it is in the cache.
    ready: List<T>,
    /// Full, or empty: a thread that goes up and down at the boundary of a list does not go to the allocator each time.
    full: List<T>,
    /// Their generations are used up.
    worn: List<T>,
    /// How many nodes come from the allocator before retired ones are asked for again.
    patience: usize,
}

// SAFETY: the nodes hold no values; `spare` is touched by the place's holder only.
unsafe impl<T> Send for Place<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Place<T> {}

impl<T> Place<T> {
    pub(super) fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            spare: UnsafeCell::new(Spare {
                ready: List::EMPTY,
                full: List::EMPTY,
                worn: List::EMPTY,
                patience: 0,
            }),
        }
    }

    /// # Safety
    ///
    /// The caller holds the place and does not hold it twice; `f` runs no code of others.
    #[inline(always)]
    unsafe fn with<U>(&self, f: impl FnOnce(&mut Spare<T>) -> U) -> U {
        // SAFETY: the caller's promise.
        self.spare.with_mut(|spare| f(unsafe { &mut *spare }))
    }

    /// The spare node that was put here last.
    ///
    /// # Safety
    ///
    /// The caller holds the place.
    #[inline(always)]
    pub(super) unsafe fn take(&self) -> Option<Word<T>> {
        // SAFETY: the caller's promise.
        unsafe { self.with(|spare| spare.ready.take()) }
    }

    /// One of the full list, where `take` finds none.
    ///
    /// # Safety
    ///
    /// The caller holds the place.
    pub(super) unsafe fn take_full(&self) -> Option<Word<T>> {
        // SAFETY: the caller's promise.
        unsafe {
            self.with(|spare| {
                core::mem::swap(&mut spare.ready, &mut spare.full);
                spare.ready.take()
            })
        }
    }

    /// Keeps a node for its next use; false if that is not as simple as that.
    ///
    /// # Safety
    ///
    /// The caller holds the place and the node, which holds no value.
    #[inline(always)]
    pub(super) unsafe fn put(&self, word: Word<T>) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            self.with(|spare| match word.renewed() {
                Some(word) if !spare.ready.is_full() => {
                    spare.ready.put(word);
                    true
                }
                _ => false,
            })
        }
    }

    /// Keeps a node; returns the list that became too much, to be retired.
    ///
    /// # Safety
    ///
    /// As for `put`.
    pub(super) unsafe fn put_full(&self, word: Word<T>) -> Option<List<T>> {
        // SAFETY: the caller's promise.
        unsafe {
            self.with(|spare| {
                let Some(word) = word.renewed() else {
                    spare.worn.put(word);
                    return spare.worn.is_full().then(|| core::mem::replace(&mut spare.worn, List::EMPTY));
                };
                let full = core::mem::replace(&mut spare.ready, List::EMPTY);
                let before = core::mem::replace(&mut spare.full, full);
                spare.ready.put(word);
                (before.len > 0).then_some(before)
            })
        }
    }

    /// True once in a while, when retired nodes should be asked for.
    ///
    /// # Safety
    ///
    /// The caller holds the place.
    pub(super) unsafe fn is_impatient(&self) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            self.with(|spare| {
                let now = spare.patience == 0;
                spare.patience = if now { LIST } else { spare.patience - 1 };
                now
            })
        }
    }

    /// Makes reclaimed nodes the spare ones; there were none.
    ///
    /// # Safety
    ///
    /// The caller holds the place; for the object as in `List::from_object`.
    pub(super) unsafe fn refill(&self, object: NonNull<u8>) -> Option<Word<T>> {
        // SAFETY: the caller's promise.
        unsafe {
            self.with(|spare| {
                spare.patience = 0;
                spare.ready = List::from_object(object);
                spare.ready.take()
            })
        }
    }

    /// All spare nodes, to be retired.
    ///
    /// # Safety
    ///
    /// The caller holds the place.
    pub(super) unsafe fn empty(&self) -> impl Iterator<Item = List<T>> + use<T> {
        // SAFETY: the caller's promise.
        let lists = unsafe {
            self.with(|spare| {
                [&mut spare.ready, &mut spare.full, &mut spare.worn]
                    .map(|list| core::mem::replace(list, List::EMPTY))
            })
        };
        lists.into_iter().filter(|list| list.len > 0)
    }

    /// What is kept here, in nodes; for whom shares the stack with nobody.
    #[inline]
    pub(super) fn add(&self, n: usize) {
        // Relaxed: the holder is the only writer, and nothing is published by a count.
        self.count.store(self.count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }
}
