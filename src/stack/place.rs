//! What a thread has in a stack: its spare nodes, and with them its part of the length.
//!
//! ```text
//!   loaded    [ w w w w w . . . ]  fill = 5       the next push takes the last one, a pop puts one back
//!   previous  [ w w w w w w w w ]                 full or empty: exchanged with `loaded` where that is empty or full
//!   worn      [ w w . . . . . . ]                 their generations are used up
//!   fresh     ---> nodes of a slab that nobody has had yet
//! ```
//! The magazines of J. Bonwick and J. Adams ([2001](https://www.usenix.org/legacy/event/usenix01/bonwick.html)): what is too
//! much goes to the reclaimer, and comes back from it, a magazine at a time, without a look at its nodes.
//!
//! **Invariants**: the holder alone touches the magazines; the numbers of nodes are written by it alone. A node that is in a
//! place is in nobody else's hands, but `next` may be read by late pops. Nodes hold no values here.
//!
//! **Length**: what a thread has taken out of its place and not put back is in the stack, or on its way in or out. So
//! `lent - fill` counts the items, where `lent` changes only when nodes come and go by the magazine; and counting costs nothing.

use alloc::boxed::Box;
use core::ptr::{self, NonNull};

use super::node::{Node, Word};
use super::slab::{Free, Slab};
use crate::sync::{AtomicUsize, Ordering, UnsafeCell};

/// Nodes a magazine. Bursts of 32,768 words took 20 ns an item with 32, 14 with 64 (and slabs of 4 KiB),
/// and no less with 128.
const MAGAZINE: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 1 } else { 64 };

/// The most that a magazine holds, in bytes; fewer nodes of larger values.
const MAGAZINE_BYTES: usize = 4 << 10;

/// Nodes that nobody uses.
pub(super) struct Magazine<T> {
    len: usize,
    words: [*mut Node<T>; MAGAZINE],
}

impl<T> Magazine<T> {
    /// As many nodes as one takes.
    const MAX: usize = {
        let fit = MAGAZINE_BYTES / size_of::<Node<T>>();
        if fit == 0 {
            1
        } else if fit < MAGAZINE {
            fit
        } else {
            MAGAZINE
        }
    };

    /// What the nodes of a full one take.
    pub(super) const BYTES: usize = Self::MAX * size_of::<Node<T>>();

    fn new() -> Box<Self> {
        Box::new(Self { len: 0, words: [ptr::null_mut(); MAGAZINE] })
    }

    fn push(&mut self, word: Word<T>) {
        self.words[self.len] = word.raw();
        self.len += 1;
    }

    /// As an object to be retired, with its size.
    pub(super) fn into_object(self: Box<Self>) -> (NonNull<u8>, usize) {
        let bytes = self.len * size_of::<Node<T>>();
        (NonNull::from(Box::leak(self)).cast(), bytes)
    }

    /// One node as an object, whose `next` others may still follow.
    pub(super) fn single_object(word: Word<T>) -> (NonNull<u8>, usize) {
        let mark = if word.is_plain() { ALONE } else { SINGLE };
        let node = word.node().map_addr(|address| address | mark);
        // SAFETY: nodes are not null.
        (unsafe { NonNull::new_unchecked(node) }.cast(), size_of::<Node<T>>())
    }

    /// Of an object, when it is protected no more: its nodes, whose generations begin anew.
    ///
    /// # Safety
    ///
    /// The object came from `into_object` or `single_object`, was retired, may be reclaimed, and is given away.
    unsafe fn from_object(object: NonNull<u8>) -> Box<Self> {
        // SAFETY: the caller's promise is the same.
        let mut magazine = unsafe { Self::opened(object) };
        let len = magazine.len;
        magazine.words[..len].iter_mut().for_each(|word| *word = Word::from_raw(*word).forgotten().raw());
        magazine
    }

    /// As `from_object`, with words as they were.
    ///
    /// # Safety
    ///
    /// As there.
    unsafe fn opened(object: NonNull<u8>) -> Box<Self> {
        let mark = object.addr().get() & (SINGLE | ALONE);
        if mark == 0 {
            // SAFETY: the caller's promise: it is a magazine.
            return unsafe { Box::from_raw(object.as_ptr().cast::<Self>()) };
        }
        let node = object.as_ptr().map_addr(|address| address & !mark).cast::<Node<T>>();
        let mut magazine = Self::new();
        magazine.push(if mark == ALONE { Word::plain(node) } else { Word::from_raw(node) });
        magazine
    }

    /// Frees an object's nodes.
    ///
    /// # Safety
    ///
    /// As for `from_object`.
    pub(super) unsafe fn reclaim(object: NonNull<u8>) {
        // SAFETY: the caller's promise; nobody else will look at them.
        unsafe { Self::opened(object).free(&mut Free::new()) }
    }

    /// # Safety
    ///
    /// Nobody will look at the nodes any more, here or elsewhere.
    unsafe fn free(&self, free: &mut Free<T>) {
        // SAFETY: the caller's promise; nodes in magazines hold no values.
        self.words[..self.len].iter().for_each(|&word| unsafe { free.free(Word::from_raw(word)) });
    }
}

/// Marks of an object that is no magazine but a node of a slab ...
const SINGLE: usize = 1;
/// ... or one that was allocated by itself, without generations.
const ALONE: usize = 2;

/// What a thread has.
pub(super) struct Place<T> {
    /// How many nodes `loaded` holds: its own `len` counts only when it is retired.
    fill: AtomicUsize,
    /// Items in the stack, and `fill` more; modulo 2^n.
    lent: AtomicUsize,
    /// The holder's alone (`PerThread`, invariant 1).
    spare: UnsafeCell<Spare<T>>,
}

struct Spare<T> {
    /// Null until the first node is kept. Its `len` says nothing.
    loaded: *mut Magazine<T>,
    /// Full, or empty: a thread that goes up and down at the boundary of a magazine goes no further each time.
    previous: Option<Box<Magazine<T>>>,
    worn: Option<Box<Magazine<T>>>,
    fresh: *mut Node<T>,
    fresh_len: usize,
    /// Nodes of the last slab.
    slab_len: usize,
    /// How many nodes come from slabs before retired ones are asked for again.
    patience: usize,
}

// SAFETY: the nodes hold no values; `spare` is touched by the place's holder only.
unsafe impl<T> Send for Place<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Place<T> {}

impl<T> Place<T> {
    pub(super) fn new() -> Self {
        Self {
            fill: AtomicUsize::new(0),
            lent: AtomicUsize::new(0),
            spare: UnsafeCell::new(Spare {
                loaded: ptr::null_mut(),
                previous: None,
                worn: None,
                fresh: ptr::null_mut(),
                fresh_len: 0,
                slab_len: 0,
                patience: 0,
            }),
        }
    }

    /// Items that the holders of this place have pushed and not popped, modulo 2^n. Behind or ahead while they work, by a
    /// magazine at most for a moment.
    pub(super) fn items(&self) -> usize {
        // Relaxed, both: a count.
        self.lent.load(Ordering::Relaxed).wrapping_sub(self.fill.load(Ordering::Relaxed))
    }

    /// # Safety
    ///
    /// The caller holds the place and does not hold it twice; `f` runs no code of others.
    #[inline(always)]
    unsafe fn with<U>(&self, f: impl FnOnce(&mut Spare<T>) -> U) -> U {
        // SAFETY: the caller's promise.
        self.spare.with_mut(|spare| f(unsafe { &mut *spare }))
    }

    #[inline(always)]
    fn fill(&self) -> usize {
        // Relaxed: the holder is the only writer.
        self.fill.load(Ordering::Relaxed)
    }

    /// `fill` becomes that without a node being lent or returned.
    fn refilled(&self, fill: usize) {
        // Relaxed, all: the holder is the only writer, and nothing is published by a count.
        let lent = self.lent.load(Ordering::Relaxed).wrapping_add(fill).wrapping_sub(self.fill());
        self.lent.store(lent, Ordering::Relaxed);
        self.fill.store(fill, Ordering::Relaxed);
    }

    /// A node that was in the stack comes to rest outside of `loaded`.
    pub(super) fn returned(&self) {
        // Relaxed, both: as in `refilled`.
        self.lent.store(self.lent.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
    }

    /// The spare node that was put here last.
    ///
    /// # Safety
    ///
    /// The caller holds the place.
    #[inline(always)]
    pub(super) unsafe fn take(&self) -> Option<Word<T>> {
        let last = self.fill().checked_sub(1)?;
        // SAFETY: the caller's promise; a place that has nodes has a magazine, and so many in it.
        let word = unsafe {
            self.with(|spare| *(&raw const (*spare.loaded).words).cast::<*mut Node<T>>().add(last))
        };
        // Relaxed: as in `refilled`.
        self.fill.store(last, Ordering::Relaxed);
        Some(Word::from_raw(word))
    }

    /// Keeps a node for its next use; false if that is not as simple as that.
    ///
    /// # Safety
    ///
    /// The caller holds the place and the node, which holds no value.
    #[inline(always)]
    pub(super) unsafe fn put(&self, word: Word<T>) -> bool {
        let fill = self.fill();
        // SAFETY: the caller's promise.
        let loaded = unsafe { self.with(|spare| spare.loaded) };
        let Some(word) = word.renewed() else { return false };
        if fill >= Magazine::<T>::MAX || loaded.is_null() {
            return false;
        }
        // SAFETY: ours, and there is room.
        unsafe { (&raw mut (*loaded).words).cast::<*mut Node<T>>().add(fill).write(word.raw()) };
        // Relaxed: as in `refilled`.
        self.fill.store(fill + 1, Ordering::Relaxed);
        true
    }

    /// A node of the previous magazine, where `take` finds none.
    ///
    /// # Safety
    ///
    /// The caller holds the place.
    pub(super) unsafe fn take_previous(&self) -> Option<Word<T>> {
        // SAFETY: the caller's promise.
        unsafe {
            let previous = self.with(|spare| spare.previous.take_if(|previous| previous.len > 0))?;
            self.load(previous);
            self.take()
        }
    }

    /// Makes a magazine the loaded one, which was empty.
    ///
    /// # Safety
    ///
    /// The caller holds the place.
    unsafe fn load(&self, magazine: Box<Magazine<T>>) {
        let len = magazine.len;
        // SAFETY: the caller's promise; `loaded` came from `Box::into_raw`, here or in `put_elsewhere`.
        unsafe {
            self.with(|spare| {
                let empty = core::mem::replace(&mut spare.loaded, Box::into_raw(magazine));
                if !empty.is_null() {
                    let mut empty = Box::from_raw(empty);
                    empty.len = 0;
                    spare.previous.get_or_insert(empty);
                }
            });
        }
        self.refilled(len);
    }

    /// Keeps a node, where `put` did not; returns the magazine that became too much, to be retired.
    ///
    /// # Safety
    ///
    /// As for `put`.
    pub(super) unsafe fn put_elsewhere(&self, word: Word<T>) -> Option<Box<Magazine<T>>> {
        // SAFETY: the caller's promise.
        unsafe {
            if word.renewed().is_none() {
                self.returned();
                return self.with(|spare| {
                    let worn = spare.worn.get_or_insert_with(Magazine::new);
                    worn.push(word);
                    spare.worn.take_if(|worn| worn.len == Magazine::<T>::MAX)
                });
            }
            let fill = self.fill();
            let spilled = self.with(|spare| {
                if spare.loaded.is_null() {
                    spare.loaded = Box::into_raw(Magazine::new());
                    return None;
                }
                let mut full = Box::from_raw(spare.loaded);
                full.len = fill;
                let before = spare.previous.replace(full);
                let (empty, spilled) = match before {
                    Some(before) if before.len == 0 => (before, None),
                    spilled => (Magazine::new(), spilled),
                };
                spare.loaded = Box::into_raw(empty);
                spilled
            });
            self.refilled(0);
            let kept = self.put(word);
            debug_assert!(kept);
            spilled
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
                let patience = spare.patience;
                spare.patience = patience.saturating_sub(1);
                patience == 0
            })
        }
    }

    /// Makes reclaimed nodes the spare ones; there were none.
    ///
    /// # Safety
    ///
    /// The caller holds the place; for the object as in `Magazine::from_object`.
    pub(super) unsafe fn refill(&self, object: NonNull<u8>) -> Option<Word<T>> {
        // SAFETY: the caller's promise.
        unsafe {
            self.with(|spare| spare.patience = 0);
            self.load(Magazine::from_object(object));
            self.take()
        }
    }

    /// Makes new nodes the spare ones; there were none. `None` if nodes have no generations here.
    ///
    /// # Safety
    ///
    /// The caller holds the place.
    pub(super) unsafe fn take_fresh(&self) -> Option<Word<T>> {
        // SAFETY: the caller's promise; what `fresh` names is ours.
        unsafe {
            let len = self.with(|spare| {
                if spare.fresh_len == 0 {
                    spare.slab_len = Slab::<T>::next_len(spare.slab_len);
                    (spare.fresh, spare.fresh_len) = (Slab::allocate(spare.slab_len)?, spare.slab_len);
                }
                if spare.loaded.is_null() {
                    spare.loaded = Box::into_raw(Magazine::new());
                }
                let len = spare.fresh_len.min(Magazine::<T>::MAX);
                // The first comes last, to be taken first: a burst goes through memory upwards.
                for (index, word) in (&mut (*spare.loaded).words)[..len].iter_mut().rev().enumerate() {
                    *word = spare.fresh.add(index);
                }
                (spare.fresh, spare.fresh_len) = (spare.fresh.add(len), spare.fresh_len - len);
                spare.patience = PATIENCE;
                Some(len)
            });
            self.refilled(len?);
            self.take()
        }
    }

    /// All spare nodes, to be retired.
    ///
    /// # Safety
    ///
    /// The caller holds the place.
    pub(super) unsafe fn empty(&self) -> impl Iterator<Item = Box<Magazine<T>>> + use<T> {
        let fill = self.fill();
        // SAFETY: the caller's promise.
        let magazines = unsafe {
            self.with(|spare| {
                spare.free_fresh();
                [spare.take_loaded(fill), spare.previous.take(), spare.worn.take()]
            })
        };
        self.refilled(0);
        magazines.into_iter().flatten().filter(|magazine| magazine.len > 0)
    }
}

/// So many magazines are filled from slabs before retired ones are asked for again. Not measured: asking costs two dozen ns.
const PATIENCE: usize = 1;

impl<T> Spare<T> {
    fn take_loaded(&mut self, fill: usize) -> Option<Box<Magazine<T>>> {
        let loaded = core::mem::replace(&mut self.loaded, ptr::null_mut());
        (!loaded.is_null()).then(|| {
            // SAFETY: from `Box::into_raw`, and forgotten above.
            let mut loaded = unsafe { Box::from_raw(loaded) };
            loaded.len = fill;
            loaded
        })
    }

    fn free_fresh(&mut self) {
        let len = core::mem::take(&mut self.fresh_len);
        if len > 0 {
            // SAFETY: they lie in one slab, and nobody has ever known them.
            unsafe { Free::new().free_some(self.fresh, len) };
        }
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        let mut free = Free::new();
        // SAFETY: the stack is being dropped, so the place is ours, and nobody will look at the nodes.
        unsafe { self.empty().for_each(|magazine| magazine.free(&mut free)) };
    }
}
