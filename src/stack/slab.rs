//! Where nodes come from: slabs of adjacent nodes, each freed when the last of its nodes is.
//!
//! ```text
//!   slab, aligned to SIZE    [ left | node | node | node | ... ]        left: nodes that are not freed yet
//! ```
//! A burst of items thus costs an allocation for some dozens of them, and lies in adjacent lines. A node's slab is found by
//! its address. Large nodes, those of threads without a place, and those without generations are allocated one by one.
//!
//! **Invariants**: whoever frees nodes of a slab owns them, and nobody else will look at them. A slab's memory belongs to its
//! nodes: it is freed by who frees the last one, after all others were.

use alloc::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use core::marker::PhantomData;
use core::ptr;

use super::node::{Node, Word};
use crate::sync::{AtomicUsize, Ordering};

/// Size and alignment of a slab, in bytes.
const SIZE: usize = 1 << 10;
/// What is left free at a slab's end, for the allocator's own header: so that adjacent slabs fit without gaps.
const SPARE: usize = 16;

/// The layouts of slabs and nodes.
pub(super) struct Slab<T>(PhantomData<T>);

impl<T> Slab<T> {
    /// Where the nodes begin: behind the count.
    const FIRST: usize = {
        let (count, align) = (size_of::<AtomicUsize>(), align_of::<Node<T>>());
        if count < align { align } else { count }
    };
    /// Nodes a slab; 1 for nodes that are allocated by themselves.
    pub(super) const LEN: usize = {
        let fit = if SIZE > Self::FIRST + SPARE { (SIZE - Self::FIRST - SPARE) / size_of::<Node<T>>() } else { 0 };
        if fit < 4 {
            1
        } else if cfg!(any(latchfree_loom, latchfree_stall)) {
            2
        } else {
            fit
        }
    };

    fn layout() -> Layout {
        let size = Self::FIRST + Self::LEN * size_of::<Node<T>>();
        Layout::from_size_align(size, SIZE).expect("a constant")
    }

    /// `LEN` new, adjacent nodes with generations; `None` if the allocator's addresses leave no room for these.
    pub(super) fn allocate() -> Option<*mut Node<T>> {
        let first = if Self::LEN == 1 { Self::allocate_alone() } else { Self::allocate_some() };
        if Word::has_generations(first) {
            return Some(first);
        }
        let mut free = Free::new();
        // SAFETY: allocated above, and nobody knows them.
        unsafe { if Self::LEN == 1 { free.free(Word::plain(first)) } else { free.free_some(first, Self::LEN) } };
        None
    }

    fn allocate_some() -> *mut Node<T> {
        // SAFETY: the layout's size is not 0.
        let slab = unsafe { alloc(Self::layout()) };
        if slab.is_null() {
            handle_alloc_error(Self::layout());
        }
        // SAFETY: allocated above, with room for the count and, behind it, the nodes.
        unsafe {
            slab.cast::<AtomicUsize>().write(AtomicUsize::new(Self::LEN));
            let first = slab.add(Self::FIRST).cast::<Node<T>>();
            (0..Self::LEN).for_each(|index| first.add(index).write(Node::new()));
            first
        }
    }

    fn allocate_alone() -> *mut Node<T> {
        let layout = Layout::new::<Node<T>>();
        // SAFETY: a node's size is not 0.
        let node = unsafe { alloc(layout) }.cast::<Node<T>>();
        if node.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: allocated above.
        unsafe { node.write(Node::new()) };
        node
    }

    /// A node that is no slab's, and has no generations.
    pub(super) fn alone() -> Word<T> {
        Word::plain(Self::allocate_alone())
    }
}

/// Frees nodes; those of a slab that come one after the other cost one step together.
pub(super) struct Free<T> {
    /// A node of the slab whose nodes are being counted, and how many there were.
    node: *mut Node<T>,
    count: usize,
}

impl<T> Free<T> {
    pub(super) fn new() -> Self {
        Self { node: ptr::null_mut(), count: 0 }
    }

    /// # Safety
    ///
    /// The node is the caller's, holds no value, and nobody else will look at it.
    #[inline]
    pub(super) unsafe fn free(&mut self, word: Word<T>) {
        if Slab::<T>::LEN == 1 || word.is_plain() {
            // SAFETY: the caller's promise; it came from `allocate_alone`.
            unsafe {
                ptr::drop_in_place(word.node());
                dealloc(word.node().cast(), Layout::new::<Node<T>>());
            }
            return;
        }
        // SAFETY: the caller's promise.
        unsafe { self.free_some(word.node(), 1) };
    }

    /// Frees adjacent nodes of one slab.
    ///
    /// # Safety
    ///
    /// As for `free`, for all of them; they came from `allocate`, and a slab has more than one node.
    pub(super) unsafe fn free_some(&mut self, first: *mut Node<T>, count: usize) {
        if self.count > 0 && (first.addr() ^ self.node.addr()) >= SIZE {
            self.settle();
        }
        self.node = first;
        self.count += count;
    }

    fn settle(&mut self) {
        let count = core::mem::take(&mut self.count);
        let slab = self.node.cast::<u8>().map_addr(|address| address & !(SIZE - 1));
        // Release: what was done to the nodes happens before their memory is freed. Acquire: by whoever frees the last.
        // SAFETY: the slab has nodes that were not freed: these.
        let left = unsafe { &*slab.cast::<AtomicUsize>() }.fetch_sub(count, Ordering::AcqRel);
        debug_assert!(left >= count);
        if left == count {
            // SAFETY: no node is anybody's any more; allocated with this layout.
            unsafe {
                let nodes = slab.add(Slab::<T>::FIRST).cast::<Node<T>>();
                (0..Slab::<T>::LEN).for_each(|index| ptr::drop_in_place(nodes.add(index)));
                ptr::drop_in_place(slab.cast::<AtomicUsize>());
                dealloc(slab, Slab::<T>::layout());
            }
        }
    }
}

impl<T> Drop for Free<T> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.settle();
        }
    }
}
