//! Many items in one step: built in chunks out of sight and published by one exchange, taken by one exchange and read by the
//! chunk.
//!
//! ```text
//!   push_all    E [ e1 e2 e3 e4 ] <-- F [ f1 f2 . . ]    out of sight, in the caller's own chunks
//!               E.next = top; exchange top for F|g|2     or, where few fit above the top item: copy them there, and exchange
//!   pop_many    walk down from the top, exchange it for what lies below the last one, read, release the slots in runs
//! ```
//! The invariants are those of [`treiber`](super::treiber) and [`place`](super::place). A user's iterator runs while the batch is
//! built: the place is marked, and what the iterator itself pushes goes into chunks that nobody owns.

use alloc::vec::Vec;
use core::mem::ManuallyDrop;
use core::ptr;

use super::chunk::{Chunk, Word};
use super::place::{Place, Step};
use super::treiber::Raw;
use crate::reclaim::Reclaim;
use crate::sync::Ordering;
use crate::util::backoff;

/// What is being built; if the user's iterator panics, its items are dropped.
struct Batch<'a, T, R: Reclaim> {
    raw: &'a Raw<T, R>,
    place: &'a Place<T>,
    /// Its first chunk and its last one, among those of the place.
    first: usize,
    at: usize,
    /// The last chunk, up to the last slot that was claimed; null if there is none yet.
    word: Word<T>,
    /// Items in it, and in the chunks before.
    fill: usize,
    before: usize,
    /// The first chunk has a generation that nobody has seen.
    renewed: bool,
}

impl<'a, T, R: Reclaim> Batch<'a, T, R> {
    /// `None` if the thread's place is in use.
    fn begin(raw: &'a Raw<T, R>) -> Option<Self> {
        let place = raw.place()?;
        // SAFETY: this thread's place, here and below.
        let first = unsafe { place.with(|own| own.begin()) }?;
        Some(Self { raw, place, first, at: first, word: Word::NULL, fill: 0, before: 0, renewed: false })
    }

    fn count(&self) -> usize {
        self.before + self.fill
    }

    /// Goes on to another chunk, where the last one is full; false if there is none.
    fn next_chunk(&mut self, len: usize) -> bool {
        let at = if self.word.is_null() { self.first } else { self.at + 1 };
        let word = loop {
            // SAFETY: as in `begin`.
            match unsafe { self.place.with(|own| own.prepare(at, len)) } {
                Step::Slot(word) => break word,
                step => {
                    if self.raw.provide(self.place, step).is_none() {
                        return false;
                    }
                }
            }
        };
        if at == self.first {
            self.word = word;
            return true;
        }
        if at == self.first + 1 {
            self.renew_first();
        }
        // SAFETY: as in `begin`; the chunk is out of the stack, and has a generation left.
        self.word = unsafe {
            self.place.with(|own| {
                let below = own.chunk(at - 1).with(self.fill);
                own.put_above(at, below).with(word.index())
            })
        };
        self.at = at;
        self.before += self.fill;
        self.fill = 0;
        true
    }

    /// Gives the first chunk its next generation, once.
    fn renew_first(&mut self) {
        if !self.renewed {
            self.renewed = true;
            // SAFETY: as in `begin`.
            let chunk = unsafe { self.place.with(|own| own.renew(self.first)) };
            if self.at == self.first {
                self.word = chunk.with(self.word.index());
            }
        }
    }

    /// Puts the first chunk above that.
    fn put_above(&mut self, below: Word<T>) {
        // SAFETY: as in `begin`.
        let first = unsafe { self.place.with(|own| own.chunk(self.first)) };
        // SAFETY: ours, and out of the stack. Above the same word as before it may be as it was (`treiber`, invariant 1).
        unsafe {
            if first.next() != below {
                self.renew_first();
                first.set_next(below);
            }
        }
    }

    /// Gives back the slots that were claimed and not filled; returns the word of the last item.
    fn close(&self) -> Word<T> {
        // SAFETY: ours.
        unsafe { self.word.header() }.unclaim(self.fill + 1, self.word.index() - self.fill);
        self.word.base().with(self.fill)
    }

    /// The items, out of the stack; nothing is being built any more.
    fn into_taken(self) -> Taken<'a, T, R> {
        ManuallyDrop::new(self).taken()
    }

    fn taken(&mut self) -> Taken<'a, T, R> {
        let count = self.count();
        let mut last = Word::NULL;
        if !self.word.is_null() {
            self.close();
            if count > 0 {
                self.put_above(Word::NULL);
                last = self.word.base().with(self.fill);
            }
        }
        self.place.add(count);
        // SAFETY: as in `begin`.
        unsafe { self.place.with(|own| own.cancel()) };
        Taken { raw: self.raw, next: last, left: count }
    }

    fn publish(self) {
        if self.count() == 0 {
            return;
        }
        let mut batch = ManuallyDrop::new(self);
        batch.close();
        let count = batch.count();
        loop {
            // Relaxed: it is not followed.
            let top = Word::from_raw(batch.raw.top.load(Ordering::Relaxed));
            if batch.try_above(top, count) || batch.try_publish(top) {
                break;
            }
            backoff::lost_again(batch.raw.here());
        }
        batch.place.add(count);
    }

    /// Publishes the items in the chunk of the item at the top, if that is ours and they fit.
    fn try_above(&mut self, top: Word<T>, count: usize) -> bool {
        if self.at != self.first {
            return false;
        }
        // SAFETY: as in `begin`.
        let Some(last) = (unsafe { self.place.with(|own| own.claim_above(top, count)) }) else {
            return false;
        };
        let (from, to) = (self.word.base(), last.base());
        let lowest = last.index() + 1 - count;
        // SAFETY: the slots are ours, there and here. If the exchange fails these were copies that nobody minds.
        unsafe {
            (0..count).for_each(|i| to.with(lowest + i).write(from.with(1 + i).read()));
        }
        // Release: publishes the items. Losing means that another operation took effect. The linearization point.
        let exchanged = self
            .raw
            .top
            .compare_exchange(top.raw(), last.raw(), Ordering::Release, Ordering::Relaxed)
            .is_ok();
        let (done, index) = if exchanged { (from, 1) } else { (to, lowest) };
        // SAFETY: ours.
        unsafe { done.header() }.unclaim(index, count);
        if exchanged {
            // SAFETY: as in `begin`.
            unsafe { self.place.with(|own| own.end(self.first - 1)) };
        }
        exchanged
    }

    fn try_publish(&mut self, top: Word<T>) -> bool {
        self.put_above(top);
        let last = self.word.base().with(self.fill);
        // Release: publishes the items. Losing means that another operation took effect. The linearization point.
        let exchanged = self
            .raw
            .top
            .compare_exchange(top.raw(), last.raw(), Ordering::Release, Ordering::Relaxed)
            .is_ok();
        if exchanged {
            // SAFETY: as in `begin`.
            unsafe { self.place.with(|own| own.end(self.at)) };
        }
        exchanged
    }
}

impl<T, R: Reclaim> Drop for Batch<'_, T, R> {
    fn drop(&mut self) {
        drop(self.taken());
    }
}

impl<T, R: Reclaim> Raw<T, R> {
    /// Puts what the user's iterator yields into the stack, in one step.
    pub(super) fn push_all(&self, mut items: impl Iterator<Item = T>) {
        let Some(mut batch) = Batch::begin(self) else { return self.push_all_alone(items) };
        // How large the chunks are that have to be made, no more. Before there is anything of ours.
        let mut len = items.size_hint().0;
        loop {
            // SAFETY: null, or claimed by `next_chunk`.
            let full = batch.word.is_null() || unsafe { batch.word.fill(&mut batch.fill, &mut items) };
            let Some(item) = (if full { items.next() } else { None }) else { return batch.publish() };
            if !batch.next_chunk(len) {
                let mut built: Vec<_> = batch.into_taken().collect();
                built.reverse();
                return self.push_all_alone(built.into_iter().chain([item]).chain(items));
            }
            len = usize::MAX;
            // SAFETY: as above; a chunk has a slot.
            unsafe { batch.word.base().with(1).write(item) };
            batch.fill = 1;
        }
    }

    /// As `push_all`, in chunks that nobody owns.
    #[cold]
    #[inline(never)]
    fn push_all_alone(&self, items: impl Iterator<Item = T>) {
        let mut chain = Taken { raw: self, next: Word::NULL, left: usize::MAX };
        let mut first = Word::NULL;
        for item in items {
            let word = Word::alone(Chunk::allocate(1));
            // SAFETY: out of sight, so ours.
            unsafe {
                word.write(item);
                word.set_next(chain.next);
            }
            if first.is_null() {
                first = word;
            }
            chain.next = word;
            // One by one: should the iterator panic, they are taken one by one.
            self.count(1);
        }
        let last = ManuallyDrop::new(chain).next;
        if !last.is_null() {
            // SAFETY: ours, linked above.
            unsafe { self.push_chain(first, last) };
        }
    }

    /// Up to `max` items from the top, out of the stack.
    pub(super) fn pop_many(&self, max: usize) -> Taken<'_, T, R> {
        if max == 0 {
            return Taken { raw: self, next: Word::NULL, left: 0 };
        }
        // SAFETY: `take_many` does neither pin nor panic, and knows nothing of values.
        let (next, left) = unsafe { R::briefly(|guard| self.take_many(max, guard)) };
        Taken { raw: self, next, left }
    }

    /// Takes up to `max` items out in one step; returns the word of the first and how many.
    fn take_many(&self, max: usize, _guard: &R::Guard) -> (Word<T>, usize) {
        'again: loop {
            let top = self.top();
            let (mut next, mut count) = (top, 0);
            while count < max && !next.is_null() {
                // Relaxed: comes after the load in `next_if_there`, by its Acquire; what is below was acquired with `top`, if it is
                // still the same (invariant 6).
                if count > 0 && self.top.load(Ordering::Relaxed) != top.raw() {
                    backoff::lost_again(self.here());
                    continue 'again;
                }
                let left = max - count;
                if left < next.index() {
                    count = max;
                    next = next.below(left);
                } else {
                    count += next.index();
                    // SAFETY: protected by the guard (invariant 2), as it is in the stack.
                    next = unsafe { next.next_if_there() };
                }
            }
            // SeqCst: as in `take`, as is the rest. No model can tell: it acquires what `top` did already.
            if top.is_null()
                || self
                    .top
                    .compare_exchange(top.raw(), next.raw(), Ordering::SeqCst, Ordering::Relaxed)
                    .is_ok()
            {
                backoff::won(self.here());
                return (top, count);
            }
            backoff::lost_again(self.here());
        }
    }

    /// All that is there, out of the stack.
    pub(super) fn pop_all(&self) -> Taken<'_, T, R> {
        let mut top = self.top();
        if !top.is_null() {
            // SeqCst: as the exchange in `take`; Acquire in it for pushes since. The linearization point.
            top = Word::from_raw(self.top.swap(ptr::null_mut(), Ordering::SeqCst));
        }
        Taken { raw: self, next: top, left: usize::MAX }
    }
}

/// Items out of the stack and owned; their slots go back to it.
pub(super) struct Taken<'a, T, R: Reclaim> {
    raw: &'a Raw<T, R>,
    next: Word<T>,
    /// How many there are, unless they end before.
    left: usize,
}

impl<T, R: Reclaim> Taken<'_, T, R> {
    /// Puts all items to the end of a vector, those that `pop_many` took; returns how many.
    pub(super) fn append_to(mut self, items: &mut Vec<T>) -> usize {
        let count = self.left;
        // Should this panic, they are dropped.
        items.reserve(count);
        while self.left > 0 {
            let word = self.next;
            if word.is_alone() {
                items.extend(self.next());
                continue;
            }
            let run = word.index().min(self.left);
            // SAFETY: the items are ours, there is room for them, and their slots go back when they were read.
            unsafe {
                self.next = if run < word.index() { word.below(run) } else { word.next() };
                self.left -= run;
                word.read_run(run, items.as_mut_ptr().add(items.len()));
                items.set_len(items.len() + run);
                self.raw.release_run(word, run);
            }
        }
        count
    }
}

impl<T, R: Reclaim> Iterator for Taken<'_, T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let word = self.next;
        if word.is_null() || self.left == 0 {
            return None;
        }
        self.left -= 1;
        // SAFETY: ours. Below the last one nothing is ours, and it is not followed.
        unsafe {
            self.next = word.rest();
            Some(self.raw.open(word))
        }
    }
}

impl<T, R: Reclaim> Drop for Taken<'_, T, R> {
    fn drop(&mut self) {
        /// Goes on with the rest if a destructor panics.
        struct Rest<'a, 'b, T, R: Reclaim>(&'a mut Taken<'b, T, R>);
        impl<T, R: Reclaim> Rest<'_, '_, T, R> {
            fn drain(&mut self) {
                self.0.by_ref().for_each(drop);
            }
        }
        impl<T, R: Reclaim> Drop for Rest<'_, '_, T, R> {
            fn drop(&mut self) {
                self.drain();
            }
        }
        Rest(self).drain();
    }
}
