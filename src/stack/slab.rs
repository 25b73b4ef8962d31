//! Where nodes come from: slabs of adjacent nodes, each freed when the last of its nodes is.
//!
//! ```text
//!   slab, aligned to SIZE    [ left | len | node | node | node | ... ]        left: nodes that are not freed yet
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

/// Alignment of slabs, and the size of the largest, in bytes. Bursts of 32,768 words took 27 ns an item with 1 KiB, and 14 with 4.
const SIZE: usize = 4 << 10;
/// What is left free at a slab's end, for the allocator's own header: so that adjacent slabs fit without gaps.
const SPARE: usize = 16;

/// At the beginning of a slab.
struct Header {
    left: AtomicUsize,
    /// How many nodes it had at first.
    len: usize,
}

/// The layouts of slabs and nodes.
pub(super) struct Slab<T>(PhantomData<T>);

impl<T> Slab<T> {
    /// Where the nodes begin: behind the header.
    const FIRST: usize = {
        let (header, align) = (size_of::<Header>(), align_of::<Node<T>>());
        header.next_multiple_of(align)
    };
    /// Nodes of the largest slabs; 1 for nodes that are allocated by themselves.
    const LEN: usize = {
        let fit =
            if SIZE > Self::FIRST + SPARE { (SIZE - Self::FIRST - SPARE) / size_of::<Node<T>>() } else { 0 };
        if fit < 4 {
            1
        } else if cfg!(any(latchfree_loom, latchfree_stall)) {
            2
        } else {
            fit
        }
    };

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(Self::FIRST + len * size_of::<Node<T>>(), SIZE).expect("small")
    }

    /// How many nodes a thread's next slab has, after one of `len` or none: a few at first, for there may be many small stacks.
    pub(super) fn next_len(len: usize) -> usize {
        (2 * len).max(Self::LEN / 8).clamp(Self::LEN.min(2), Self::LEN)
    }

    /// So many new, adjacent nodes with generations; `None` if the allocator's addresses leave no room for these.
    pub(super) fn allocate(len: usize) -> Option<*mut Node<T>> {
        let first = if Self::LEN == 1 { Self::allocate_alone() } else { Self::allocate_some(len) };
        if Word::has_generations(first) {
            return Some(first);
        }
        let mut free = Free::new();
        // SAFETY: allocated above, and nobody knows them.
        unsafe { if Self::LEN == 1 { free.free(Word::plain(first)) } else { free.free_some(first, len) } };
        None
    }

    fn allocate_some(len: usize) -> *mut Node<T> {
        let layout = Self::layout(len);
        // SAFETY: the layout's size is not 0.
        let slab = unsafe { alloc(layout) };
        if slab.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: allocated above, with room for the header and, behind it, the nodes.
        unsafe {
            slab.cast::<Header>().write(Header { left: AtomicUsize::new(len), len });
            let first = slab.add(Self::FIRST).cast::<Node<T>>();
            (0..len).for_each(|index| first.add(index).write(Node::new()));
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
        // SAFETY: the slab has nodes that were not freed: these.
        let header = unsafe { &*slab.cast::<Header>() };
        let len = header.len;
        // Release: what was done to the nodes happens before their memory is freed. Acquire: by whoever frees the last.
        let left = header.left.fetch_sub(count, Ordering::AcqRel);
        debug_assert!(left >= count);
        if left == count {
            // SAFETY: no node is anybody's any more; allocated with this layout.
            unsafe {
                let nodes = slab.add(Slab::<T>::FIRST).cast::<Node<T>>();
                (0..len).for_each(|index| ptr::drop_in_place(nodes.add(index)));
                ptr::drop_in_place(slab.cast::<Header>());
                dealloc(slab, Slab::<T>::layout(len));
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
