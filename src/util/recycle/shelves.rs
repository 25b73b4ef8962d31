//! What a thread keeps.

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::{self, NonNull};

use super::depot::{Block, Depot};
use super::{allocate_new, free_for_good};

/// The most that a chain holds. With as much each, a thread that only removes passes a chain of map entries on once in 64 frees.
const CHAIN_BYTES: usize = 8 << 10;
const CHAIN_BLOCKS: usize = 64;
/// The largest size.
const LARGEST: usize = 2 << 10;
/// Sizes up to here are kept by the word, so that an entry takes no more than it would; above, eight sizes for each doubling.
const EXACT: usize = 128;
const WORD: usize = 8;
const CLASSES: usize = class_of(LARGEST) + 1;
/// Allocations after which a thread that found the depot empty looks again, so that a map that only grows looks rarely.
const PATIENCE: u32 = 32;

/// The number of the smallest class that has room for so many bytes.
#[inline(always)]
const fn class_of(size: usize) -> usize {
    let exact = EXACT / WORD - 2;
    if size <= 2 * WORD {
        0
    } else if size <= EXACT {
        size.div_ceil(WORD) - 2
    } else {
        // The top four bits of the last byte's place: eight classes for each position of the first one.
        let shift = (size - 1).ilog2() as usize - 3;
        exact + 1 + (shift - 4) * 8 + (((size - 1) >> shift) - 8)
    }
}

/// How large a class's blocks are.
const fn size_of_class(class: usize) -> usize {
    let exact = EXACT / WORD - 2;
    if class <= exact {
        (class + 2) * WORD
    } else {
        let above = class - exact - 1;
        (above % 8 + 9) << (4 + above / 8)
    }
}

const fn layout_of_class(class: usize) -> Layout {
    match Layout::from_size_align(size_of_class(class), WORD) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    }
}

/// Blocks of a full chain.
const fn full(class: usize) -> u32 {
    let fit = CHAIN_BYTES / size_of_class(class);
    (if fit > CHAIN_BLOCKS { CHAIN_BLOCKS } else { fit }) as u32
}

#[inline(always)]
fn class(layout: Layout) -> Option<usize> {
    (layout.size() <= LARGEST && layout.align() <= WORD).then(|| class_of(layout.size()))
}

/// A thread's blocks of one size.
struct Shelf {
    loaded: Cell<*mut Block>,
    /// Blocks of `loaded`.
    len: Cell<u32>,
    /// Blocks that it may still take. Zero for a thread that keeps nothing (yet), so that the common case need not ask.
    room: Cell<u32>,
    /// A full chain, or null.
    previous: Cell<*mut Block>,
}

struct Shelves {
    shelves: [Shelf; CLASSES],
    patience: Cell<u32>,
}

/// What a thread does with what it frees.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// It has not freed anything yet.
    New,
    Keeps,
    /// It is exiting.
    Gone,
}

crate::__local!(
    SHELVES: Shelves = Shelves {
        shelves: [const {
            Shelf {
                loaded: Cell::new(ptr::null_mut()),
                len: Cell::new(0),
                room: Cell::new(0),
                previous: Cell::new(ptr::null_mut()),
            }
        }; CLASSES],
        patience: Cell::new(0),
    }
);
// Apart from the shelves, which can thus be reached without asking whether a destructor has run.
crate::__local!(OWNER: Owner = Owner(Cell::new(State::New)));

/// Empties the shelves when the thread exits.
struct Owner(Cell<State>);

fn depots() -> &'static [Depot; CLASSES] {
    crate::__global!([Depot; CLASSES], [const { Depot::EMPTY }; CLASSES])
}

#[inline(always)]
pub(super) fn allocate(layout: Layout) -> NonNull<u8> {
    let Some(class) = class(layout) else { return allocate_new(layout) };
    SHELVES.with(|shelves| {
        let shelf = &shelves.shelves[class];
        shelf.take().unwrap_or_else(|| shelves.refill(class)).cast()
    })
}

/// # Safety
///
/// As for `recycle::free`.
#[inline(always)]
pub(super) unsafe fn free(memory: NonNull<u8>, layout: Layout) {
    let Some(class) = class(layout) else {
        // SAFETY: the caller's promise.
        return unsafe { free_for_good(memory, layout) };
    };
    if cfg!(debug_assertions) {
        // SAFETY: nobody looks at it any more.
        unsafe { memory.write_bytes(0xDE, layout.size()) };
    }
    let block = memory.cast::<Block>();
    SHELVES.with(|shelves| {
        // SAFETY: the caller's promise: a block of this class.
        unsafe {
            if !shelves.shelves[class].put(block) {
                shelves.put_elsewhere(class, block);
            }
        }
    });
}

impl Shelf {
    #[inline(always)]
    fn take(&self) -> Option<NonNull<Block>> {
        let len = self.len.get().checked_sub(1)?;
        self.len.set(len);
        self.room.set(self.room.get() + 1);
        // SAFETY: a chain of `len` blocks, which are ours.
        unsafe {
            let block = NonNull::new_unchecked(self.loaded.get());
            self.loaded.set(next(block));
            Some(block)
        }
    }

    /// False if there is no room.
    ///
    /// # Safety
    ///
    /// A free block of this size, which is the shelf's if this returns true.
    #[inline(always)]
    unsafe fn put(&self, block: NonNull<Block>) -> bool {
        let Some(room) = self.room.get().checked_sub(1) else { return false };
        self.room.set(room);
        self.len.set(self.len.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { (&raw mut (*block.as_ptr()).next).cast::<*mut Block>().write(self.loaded.get()) };
        self.loaded.set(block.as_ptr());
        true
    }

    /// Puts a chain where `loaded` was empty.
    fn load(&self, chain: *mut Block, len: u32, class: usize) {
        debug_assert!(self.len.get() == 0);
        self.loaded.set(chain);
        self.len.set(len);
        self.room.set(full(class).saturating_sub(len));
    }
}

impl Shelves {
    /// A block, where `loaded` has none.
    #[cold]
    #[inline(never)]
    fn refill(&self, class: usize) -> NonNull<Block> {
        let shelf = &self.shelves[class];
        let previous = shelf.previous.replace(ptr::null_mut());
        if !previous.is_null() {
            shelf.load(previous, full(class), class);
        } else if self.patience.get() > 0 {
            self.patience.set(self.patience.get() - 1);
        } else if let Some((chain, len)) = keeps().then(|| depots()[class].take()).flatten() {
            shelf.load(chain.as_ptr(), len as u32, class);
        } else {
            self.patience.set(PATIENCE);
        }
        shelf.take().unwrap_or_else(|| allocate_new(layout_of_class(class)).cast())
    }

    /// Takes a block back, where `loaded` has no room.
    ///
    /// # Safety
    ///
    /// As for `put`.
    #[cold]
    #[inline(never)]
    unsafe fn put_elsewhere(&self, class: usize, block: NonNull<Block>) {
        let shelf = &self.shelves[class];
        // SAFETY: the caller's promise, and chains are ours.
        unsafe {
            if !keeps() {
                return free_for_good(block.cast(), layout_of_class(class));
            }
            let len = shelf.len.replace(0);
            let loaded = shelf.loaded.replace(ptr::null_mut());
            shelf.load(ptr::null_mut(), 0, class);
            if len > 0 {
                give(class, shelf.previous.replace(loaded), len);
            }
            // Not without an answer: the allocator's code may have run, and freed something.
            if !shelf.put(block) {
                free_for_good(block.cast(), layout_of_class(class));
            }
        }
    }
}

/// # Safety
///
/// A block of a chain of the caller's.
#[inline(always)]
unsafe fn next(block: NonNull<Block>) -> *mut Block {
    // SAFETY: the caller's promise.
    unsafe { block.as_ref().next.with(|next| *next) }
}

/// A chain to the depot, or back to the allocator if that has enough.
///
/// # Safety
///
/// A chain of so many blocks of this class, the caller's, or null.
unsafe fn give(class: usize, chain: *mut Block, len: u32) {
    let Some(first) = NonNull::new(chain) else { return };
    // SAFETY: the caller's promise.
    unsafe {
        if depots()[class].give(first, len as usize) {
            return;
        }
        let mut rest = first.as_ptr();
        for _ in 0..len {
            let block = NonNull::new_unchecked(rest);
            rest = next(block);
            free_for_good(block.cast(), layout_of_class(class));
        }
    }
}

/// Whether the thread keeps what it frees; the first call makes it one that does.
fn keeps() -> bool {
    let state = OWNER.try_with(|owner| {
        if owner.0.get() == State::New {
            owner.0.set(State::Keeps);
        }
        owner.0.get()
    });
    state == Ok(State::Keeps)
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.set(State::Gone);
        SHELVES.with(|shelves| {
            for (class, shelf) in shelves.shelves.iter().enumerate() {
                let (loaded, len) = (shelf.loaded.replace(ptr::null_mut()), shelf.len.replace(0));
                shelf.room.set(0);
                // SAFETY: the thread's own; a previous chain is full.
                unsafe {
                    give(class, loaded, len);
                    give(class, shelf.previous.replace(ptr::null_mut()), full(class));
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use core::alloc::Layout;
    use core::ptr::NonNull;
    use std::collections::HashSet;
    use std::thread::spawn;
    use std::vec::Vec;

    use super::{CLASSES, LARGEST, class, class_of, full, size_of_class};
    use crate::util::recycle::{allocate, free};

    fn bytes(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn classes_fit() {
        for size in 1..=LARGEST {
            let class = class_of(size);
            assert!(size_of_class(class) >= size, "{size}");
            assert!(class == 0 || size_of_class(class - 1) < size, "{size}");
            assert!(size_of_class(class) <= size + size / 8 + 15, "{size}");
        }
        assert_eq!((class_of(LARGEST), size_of_class(CLASSES - 1)), (CLASSES - 1, LARGEST));
        assert_eq!((24, 40), (size_of_class(class_of(24)), size_of_class(class_of(40))));
        assert_eq!(class(Layout::new::<u128>()), None);
        assert_eq!(class(bytes(LARGEST + 1)), None);
        assert!((0..CLASSES).all(|class| full(class) >= 2));
    }

    /// Blocks are in one hand at a time, and what is in them stays.
    #[test]
    fn no_block_twice() {
        let threads: Vec<_> = (0..4_usize)
            .map(|thread| {
                spawn(move || {
                    let mut held: Vec<(NonNull<u8>, usize, u8)> = Vec::new();
                    let mut random = thread as u64 + 1;
                    for round in 0..50_000_u64 {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round | 1);
                        if random >> 63 == 0 && held.len() < 300 || held.is_empty() {
                            let size = 16 + (random >> 20) as usize % 700;
                            let memory = allocate(bytes(size));
                            let mark = (random >> 50) as u8;
                            // SAFETY: so large.
                            unsafe { memory.write_bytes(mark, size) };
                            held.push((memory, size, mark));
                        } else {
                            let (memory, size, mark) = held.swap_remove((random >> 30) as usize % held.len());
                            // SAFETY: ours, written above, and freed once.
                            unsafe {
                                let bytes = core::slice::from_raw_parts(memory.as_ptr(), size);
                                assert!(bytes.iter().all(|&byte| byte == mark));
                            }
                            // SAFETY: as above.
                            unsafe { free(memory, bytes(size)) };
                        }
                    }
                    for (memory, size, _) in held {
                        // SAFETY: as above.
                        unsafe { free(memory, bytes(size)) };
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    /// What one thread frees another allocates: in whole chains, also when the first has gone.
    #[test]
    fn passes_on() {
        let layout = bytes(1999);
        let freed = spawn(move || {
            let blocks: Vec<_> = (0..40).map(|_| allocate(layout)).collect();
            // SAFETY: ours, and freed once.
            blocks.iter().for_each(|&block| unsafe { free(block, layout) });
            blocks.iter().map(|block| block.addr()).collect::<HashSet<_>>()
        });
        let freed = freed.join().unwrap();
        let got: Vec<_> = (0..8).map(|_| allocate(layout)).collect();
        assert!(got.iter().all(|block| freed.contains(&block.addr())));
        // SAFETY: as above.
        got.iter().for_each(|&block| unsafe { free(block, layout) });
        assert!(got.contains(&allocate(layout)), "the last comes first");
    }

    /// A thread-local made before the thread kept anything is destroyed after that is gone, and frees and allocates.
    #[test]
    fn destructors_of_thread_locals() {
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                let block = allocate(bytes(40));
                // SAFETY: ours.
                unsafe { free(block, bytes(40)) };
            }
        }
        std::thread_local! { static LATE: Late = const { Late } }
        for first in [true, false] {
            let thread = spawn(move || {
                let both = [
                    || LATE.with(|_| ()),
                    || {
                        let block = allocate(bytes(40));
                        // SAFETY: ours.
                        unsafe { free(block, bytes(40)) };
                    },
                ];
                both[usize::from(first)]();
                both[usize::from(!first)]();
            });
            thread.join().unwrap();
        }
    }
}
