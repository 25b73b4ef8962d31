//! What a thread has in a stack: its chunks, and its part of the length.
//!
//! ```text
//!   chunks   [ c0 c1 c2 c3 | c4 c5 ]      c0 to c3 in the stack, in this order, with others' between; c4 and c5 are out
//!                       ^ at              where the next push goes, if it is at the top or out of the stack
//!   aside    [ c6 ]                       out, but somebody is not done with it yet, or readers saw it
//! ```
//! Only the holder of a place appends to its chunks, whoever takes items out of them. So items come and go without anything
//! being handed back: a slot's state says when its item was taken.
//!
//! **Invariants**
//!
//! 1. The holder alone touches what is here. A chunk is in one place, and there for good, but when it goes to the reclaimer: then all
//!    who took items of it are done with it.
//! 2. What a chunk's states say decides whether a slot may be written, and the chunk be put elsewhere. That those behind `at` are out
//!    is likely, and makes them easy to find.
//! 3. While a batch is built, which runs the user's iterator, nobody else uses the place: what the iterator pushes goes into
//!    chunks that nobody owns.
//!
//! **Length**: each thread counts what it pushes and pops; the sum is the length.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ptr::NonNull;

use super::chunk::{Chunk, FREE, SPOILED, USED, Word};
use crate::sync::{AtomicUsize, Ordering, UnsafeCell};

/// What a thread keeps at most besides what is in the stack, in bytes. A vector keeps all. Bursts of 16 MiB, of items of 1 KiB, took
/// 96 ns an item where 0.2 MiB were kept, and the allocator returned the rest to the system each time.
const KEEP_BYTES: usize = 32 << 20;

/// The most chunks that a thread keeps behind the first one.
const fn keep<T>() -> usize {
    KEEP_BYTES / Chunk::<T>::MAX_BYTES + 1
}

/// How many chunks that are aside are looked at each time one is wanted: more than come.
const LOOKS: usize = 4;

/// An object for the reclaimer, and its size.
pub(super) type Object = (NonNull<u8>, usize);

/// Where a push goes.
pub(super) enum Step<T> {
    /// Here: the slot is the caller's, the word is what the top becomes.
    Slot(Word<T>),
    /// Nowhere yet: a chunk is to be added, of so many slots.
    Wanted(usize),
    /// This is to be retired before.
    Retire(Object),
    /// The place is in use: a batch is being built.
    Busy,
}

/// What a thread has.
pub(super) struct Place<T> {
    /// Pushed less popped, modulo 2^n.
    count: AtomicUsize,
    /// The holder's alone (`PerThread`, invariant 1).
    own: UnsafeCell<Own<T>>,
}

pub(super) struct Own<T> {
    /// The chunk at `at`, or null if there is none or a batch is being built.
    base: Word<T>,
    /// Its slots less one; 0 as long as there is none.
    room: usize,
    chunks: Vec<Word<T>>,
    at: usize,
    aside: VecDeque<Word<T>>,
    building: bool,
}

// SAFETY: the chunks' items belong to the stack; `own` is touched by the place's holder only.
unsafe impl<T> Send for Place<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Place<T> {}

impl<T> Place<T> {
    pub(super) fn new() -> Self {
        let own = Own {
            base: Word::NULL,
            room: 0,
            chunks: Vec::new(),
            at: 0,
            aside: VecDeque::new(),
            building: false,
        };
        Self { count: AtomicUsize::new(0), own: UnsafeCell::new(own) }
    }

    /// Items that the holders of this place have pushed and not popped, modulo 2^n.
    pub(super) fn count(&self) -> usize {
        // Relaxed: a count.
        self.count.load(Ordering::Relaxed)
    }

    /// Counts `n` more, modulo 2^n. The holder calls.
    #[inline(always)]
    pub(super) fn add(&self, n: usize) {
        // Relaxed, both: the holder is the only writer, and nothing is published by a count.
        self.count.store(self.count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// # Safety
    ///
    /// The caller holds the place and does not hold it twice; `f` runs no code of others.
    #[inline(always)]
    pub(super) unsafe fn with<U>(&self, f: impl FnOnce(&mut Own<T>) -> U) -> U {
        // SAFETY: the caller's promise.
        self.own.with_mut(|own| f(unsafe { &mut *own }))
    }
}

impl<T> Own<T> {
    /// Where a push goes that finds `top`, in the cases that need no thought: behind the top item in the chunk at hand, or there again
    /// where its first item was before. The slot is free.
    #[inline(always)]
    pub(super) fn usual(&self, top: Word<T>) -> Option<Word<T>> {
        if self.base.is_null() {
            return None;
        }
        let above = top.above(self.base);
        let index = if above.wrapping_sub(1) < self.room { above + 1 } else { 1 };
        // SAFETY: ours.
        let chunk = unsafe { self.base.owned_by_somebody().header() };
        if chunk.state(index) != FREE {
            return None;
        }
        // The same word as before within the same generation means the same (`treiber`, invariant 1).
        if index == 1 && chunk.next() != top {
            return None;
        }
        // SAFETY: a slot of a chunk that has an owner.
        Some(unsafe { self.base.with(index).owned_by_somebody() })
    }

    /// What lies below the top item, if that is the lowest one of the chunk at hand. Only this thread puts that chunk elsewhere, so
    /// while it is at the top it is above the same.
    #[inline(always)]
    pub(super) fn below(&self, top: Word<T>) -> Option<Word<T>> {
        if self.base.is_null() || top.above(self.base) != 1 {
            return None;
        }
        // SAFETY: ours.
        Some(unsafe { self.base.owned_by_somebody().header() }.next())
    }

    /// Where a push goes that finds `top`.
    pub(super) fn find(&mut self, top: Word<T>) -> Step<T> {
        if self.building {
            return Step::Busy;
        }
        self.come_back();
        if self.is_out(self.at) {
            self.descend();
            let much = self.chunks.len() - self.at > keep::<T>();
            let spare = if much { self.chunks.pop() } else { None };
            if let Some(object) = spare.and_then(|chunk| self.give_away(chunk)) {
                return Step::Retire(object);
            }
            let before = self.at.checked_sub(1);
            if let Some(word) = before.and_then(|at| self.append(at, top)) {
                self.select(self.at - 1);
                return Step::Slot(word);
            }
        } else {
            if let Some(word) = self.append(self.at, top) {
                self.select(self.at);
                return Step::Slot(word);
            }
            self.next_out();
        }
        self.link(top)
    }

    /// The chunk at `at` for the first item above `top`, if it is there and out of the stack.
    fn link(&mut self, top: Word<T>) -> Step<T> {
        while let Some(&chunk) = self.chunks.get(self.at) {
            // SAFETY: ours.
            let header = unsafe { chunk.header() };
            let fit = header.next() == top || chunk.renewed().is_some();
            if fit && !header.is_spoiled() && header.claim(1, 1) == 1 {
                header.unclaim(1, 1);
                let word = self.put_above(self.at, top).with(1);
                self.select(self.at);
                return Step::Slot(word);
            }
            if let Some(object) = self.remove(self.at) {
                return Step::Retire(object);
            }
        }
        self.want()
    }

    /// The slot above the top item, if that is in the chunk at `at` and the slot is free.
    fn append(&self, at: usize, top: Word<T>) -> Option<Word<T>> {
        let chunk = *self.chunks.get(at)?;
        // SAFETY: ours.
        let header = unsafe { chunk.header() };
        let index = top.above(chunk);
        if !(1..header.len()).contains(&index) || header.claim(index + 1, 1) == 0 {
            return None;
        }
        header.unclaim(index + 1, 1);
        Some(top.with_one_more())
    }

    /// Goes on to the next chunk that is out of the stack, where the one at `at` is not; or to none.
    fn next_out(&mut self) {
        self.at = (self.at + 1).min(self.chunks.len());
        while self.at < self.chunks.len() && !self.is_out(self.at) {
            let late = self.chunks.swap_remove(self.at);
            self.aside.push_back(late);
        }
    }

    /// To the last chunk, where there was none any more.
    fn come_back(&mut self) {
        self.at = self.at.min(self.chunks.len().saturating_sub(1));
    }

    fn want(&mut self) -> Step<T> {
        self.base = Word::NULL;
        if let Some(object) = self.done_with() {
            return Step::Retire(object);
        }
        // More, if the last one was filled.
        let last = self.at.checked_sub(1).map(|at| self.chunks[at]);
        // SAFETY: ours.
        let filled = last.map(|last| unsafe { last.header() }).filter(|last| last.state(last.len()) == USED);
        Step::Wanted(filled.map_or(Chunk::<T>::FIRST_LEN, |last| (last.len() * 4).min(Chunk::<T>::LEN)))
    }

    /// A chunk that comes new.
    pub(super) fn take_over(&mut self, chunk: Word<T>) {
        self.chunks.push(chunk);
    }

    fn is_out(&self, at: usize) -> bool {
        // SAFETY: ours.
        self.chunks.get(at).is_some_and(|chunk| unsafe { chunk.header() }.is_out())
    }

    /// From a chunk that is out to the lowest that is, if they are in order: a burst of items may have been taken since.
    fn descend(&mut self) {
        let (mut out, mut step) = (self.at, 1);
        while out >= step && self.is_out(out - step) {
            out -= step;
            step *= 2;
        }
        // What is below `in_it` is not looked at.
        let mut in_it = (out + 1).saturating_sub(step);
        while in_it < out {
            let middle = in_it + (out - in_it) / 2;
            if self.is_out(middle) { out = middle } else { in_it = middle + 1 }
        }
        if out != self.at {
            self.select(out);
        }
    }

    fn select(&mut self, at: usize) {
        self.at = at;
        self.base = self.chunks[at];
        // SAFETY: ours.
        self.room = unsafe { self.base.header() }.len() - 1;
    }

    /// Takes a chunk that is out away from the others.
    fn remove(&mut self, at: usize) -> Option<Object> {
        self.base = Word::NULL;
        let chunk = self.chunks.swap_remove(at);
        self.give_away(chunk)
    }

    /// A chunk to be retired; or it goes aside until that may be.
    fn give_away(&mut self, chunk: Word<T>) -> Option<Object> {
        // SAFETY: ours.
        let header = unsafe { chunk.header() };
        if !header.is_clear() {
            self.aside.push_back(chunk);
            return None;
        }
        Some((chunk.chunk().cast(), header.bytes()))
    }

    /// One that is aside and may be retired.
    fn done_with(&mut self) -> Option<Object> {
        for _ in 0..LOOKS.min(self.aside.len()) {
            // Round and round.
            let chunk = self.aside.pop_front()?;
            let object = self.give_away(chunk);
            if object.is_some() {
                return object;
            }
        }
        None
    }

    /// A chunk that is out of the stack, to be retired; all of them, one after the other.
    pub(super) fn shed(&mut self) -> Option<Object> {
        if self.building {
            return None;
        }
        while self.chunks.last().is_some_and(|_| self.is_out(self.chunks.len() - 1)) {
            let chunk = self.chunks.pop()?;
            self.base = Word::NULL;
            if let Some(object) = self.give_away(chunk) {
                return Some(object);
            }
        }
        self.chunks.shrink_to_fit();
        let looks = self.aside.len();
        (0..looks).find_map(|_| self.done_with())
    }
}

/// For batches: chunks that are filled before they are published.
impl<T> Own<T> {
    /// Begins a batch, and tells where its chunks go; `None` if one is being built.
    pub(super) fn begin(&mut self) -> Option<usize> {
        if self.building {
            return None;
        }
        self.come_back();
        if self.is_out(self.at) {
            self.descend();
        } else {
            self.next_out();
        }
        self.building = true;
        self.base = Word::NULL;
        Some(self.at)
    }

    /// A chunk to be filled at `at`, that has a generation left, up to the last slot that could be claimed. If one must be made it
    /// should have `len` slots.
    pub(super) fn prepare(&mut self, at: usize, len: usize) -> Step<T> {
        while at < self.chunks.len() {
            let chunk = self.chunks[at];
            // SAFETY: ours.
            let header = unsafe { chunk.header() };
            if !header.is_spoiled() && chunk.renewed().is_some() {
                let claimed = header.claim(1, header.len());
                if claimed > 0 {
                    return Step::Slot(chunk.with(claimed));
                }
            }
            if let Some(object) = self.remove(at) {
                return Step::Retire(object);
            }
        }
        match self.done_with() {
            Some(object) => Step::Retire(object),
            None => Step::Wanted(len.clamp(Chunk::<T>::FIRST_LEN, Chunk::<T>::LEN)),
        }
    }

    pub(super) fn chunk(&self, at: usize) -> Word<T> {
        self.chunks[at]
    }

    /// Gives a chunk that is out of the stack its next generation, which there is.
    pub(super) fn renew(&mut self, at: usize) -> Word<T> {
        let chunk = self.chunks[at].renewed();
        debug_assert!(chunk.is_some());
        self.chunks[at] = chunk.unwrap_or(self.chunks[at]);
        self.chunks[at]
    }

    /// Puts a chunk above a word, as `prepare` left it.
    pub(super) fn put_above(&mut self, at: usize, below: Word<T>) -> Word<T> {
        // SAFETY: ours, and out of the stack.
        unsafe {
            if self.chunks[at].header().next() != below {
                self.renew(at).set_next(below);
            }
        }
        self.chunks[at]
    }

    /// Room for `count` items above `top`, if that is in the chunk before the batch; the word of the last of them.
    pub(super) fn claim_above(&mut self, top: Word<T>, count: usize) -> Option<Word<T>> {
        let before = self.chunks[self.at.checked_sub(1)?];
        // SAFETY: ours.
        let header = unsafe { before.header() };
        let index = top.above(before);
        if !(1..=header.len()).contains(&index) || index + count > header.len() {
            return None;
        }
        let claimed = header.claim(index + 1, count);
        if claimed < count {
            header.unclaim(index + 1, claimed);
            return None;
        }
        Some(before.with(index + count))
    }

    /// The batch is in the stack; its last item is in the chunk at `at`.
    pub(super) fn end(&mut self, at: usize) {
        self.building = false;
        self.select(at);
    }

    /// There will be no batch.
    pub(super) fn cancel(&mut self) {
        self.building = false;
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        // SAFETY: the stack is being dropped, so the place is ours, and nobody will look at the chunks; items that are left in
        // them were leaked.
        unsafe {
            self.with(|own| {
                own.chunks.drain(..).chain(own.aside.drain(..)).for_each(|chunk| Chunk::free(chunk.chunk()));
            });
        }
    }
}

const _: () = assert!(USED == 0 && FREE == 1 && SPOILED > 64, "runs are numbers between");
