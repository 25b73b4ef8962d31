//! The algorithm of [`Stack`](super::Stack): a list whose top is one word, whose links hold many items each, and whose memory is
//! used again at once by the thread that it belongs to.
//!
//! ```text
//!   top: A|3|2 --> A [ a1 a2 .  . ] --> C|0|3 --> C [ c1 c2 c3 . ] --> null         word = chunk | generation | index
//!                        ^ the next item of A's owner goes here, the next of any other thread into a chunk of its own
//! ```
//! R. K. Treiber, [*Systems programming: coping with parallelism*](https://dominoweb.draco.res.ibm.com/58319a2ed2b1078985257003004617ef.html),
//! RJ 5118, 1986. A push writes its item and exchanges the top for a word that includes it: in the chunk at the top, if that is
//! the pusher's own and its next slot is free, or in another chunk of its own with the top as its `next`. A pop exchanges
//! the top for the word one index lower, or for `next` with the last item, and reads the item when it has it. What belongs to
//! whom is [`place`](super::place)'s.
//!
//! **Invariants**
//!
//! 1. *Within a guard a word means one chain below it.* A pop that read the top `A|g|1` and `A`'s next, and then lies still, must fail if
//!    `A` left and came back above something else (ABA). Whenever a chunk is put above another word than the last time, it gets the next
//!    generation; only when these are used up does it go through the reclaimer, and begins anew when every guard of that time has
//!    ended. Above the same word as before it may come back as it was. An index that goes down within a chunk follows no pointer, so
//!    it needs no guard; whether the item is the one that was there before makes no difference to who has not read it yet. Nor does
//!    the owner need one for the lowest item of a chunk of its own: it is the only one who puts that elsewhere, or retires it.
//! 2. *A chunk stays allocated while a guard that could have seen it lasts, and while one of its items was not read.* It is freed with the stack,
//!    or through the reclaimer, when it is out of the stack and all its slots were released.
//! 3. *A slot is written only by the chunk's owner, and only while it is free.* Who takes an item out releases its slot when it has read it.
//!    So an owner neither waits for a slow reader nor overtakes one: it goes on in another chunk.
//! 4. *A value is overwritten only while nobody can read it by [`peek`](Raw::peek) or [`iter`](Raw::iter).* These copy
//!    values that they do not own. They count themselves in `readers` before they read the top, and who takes an item
//!    out looks at `readers` afterwards, all in the one order of `SeqCst`: if it sees none, then every later reader sees a top
//!    without this item. If it sees one, the slot is spoiled: its chunk goes through the reclaimer before that slot is used, or the
//!    chunk is put elsewhere; readers are pinned.
//! 5. `top` is changed by read-modify-writes only, so whoever reads it acquires every push before.
//! 6. *While a word is at the top, nothing below it changes.* So a pop of many walks down, and looks at the top after each `next` that
//!    it read and before it follows it: if the top is still the same, then by (1) the word is what lies below, and what was done before it was
//!    pushed has been acquired with the top. What is read of a chunk that was taken out and used again names a chunk that was at
//!    the top during the guard, so it is protected; but its contents have not been acquired, so it is not followed.
//!
//! **Non-invariants**: the sum of the counts may be behind or ahead of the list, while operations are under way. What
//! an empty chunk's `next` names may be freed, but not under the guard of who saw that chunk in the stack.
//!
//! **Linearization.** Push, push_all, pop, pop_many and pop_all at their successful exchange of `top`, or at the exchange in
//! [`elimination`](super::elimination). `None` where `top` was read as null; the fence before the deciding read orders
//! it after the caller's earlier pushes to other stacks (store buffering). `peek` and `iter` where they read `top`: what
//! is below is unchanged while it is reachable from there.
//!
//! **Progress.** An exchange fails only because another operation's succeeded. Nobody waits; a pause after a lost race is
//! bounded in time. A thread that is stopped between taking an item and reading it costs a chunk; one that is stopped while it is pinned
//! holds back what went to the reclaimer: a chunk in 256 that were put elsewhere, all of them while a reader is stopped.
//!
//! **Who frees what.** Values are moved out by whoever takes them. Chunks belong to a thread's place and are freed with the stack, or
//! retired: when there are many spare ones, when their generations are used up, by `collect`. Garbage holds no values.
//! Threads that go leave their chunks to the next holder of their slot.

use core::mem::{ManuallyDrop, needs_drop};
use core::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use super::chunk::{Chunk, FREE, USED, Word};
use super::elimination::Elimination;
use super::place::{Place, Step};
use crate::reclaim::{Reclaim, Retired};
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, const_fn, fence, order_for_loom};
use crate::util::backoff;
use crate::util::per_thread::{self, PerThread};

/// What is kept in retired chunks for reuse, in bytes: what is retired while the clock makes the three steps that free it, with
/// advances tried every 64 KiB.
const KEEP_BYTES: usize = 192 << 10;

/// The same in chunks.
pub(super) const fn keep<T>() -> usize {
    KEEP_BYTES / Chunk::<T>::MAX_BYTES
}

/// Of the two ends that `backoff` knows, the one at which items are taken out. A stack has one end, but only pops find nothing
/// there.
const FRONT: usize = 1;

pub(super) struct Raw<T, R: Reclaim> {
    pub(super) top: CachePadded<AtomicPtr<Chunk<T>>>,
    // From here on a line that is mostly read.
    pub(super) readers: AtomicUsize,
    places: PerThread<Place<T>>,
    elimination: Elimination<T>,
    /// The count of threads that have no place.
    uncounted: AtomicUsize,
    pub(super) garbage: R::Garbage,
}

impl<T, R: Reclaim> Raw<T, R> {
    const_fn! {
        pub(super) const fn new(garbage: R::Garbage) -> Self {
            Self {
                top: CachePadded::new(AtomicPtr::new(ptr::null_mut())),
                readers: AtomicUsize::new(0),
                places: PerThread::new(),
                elimination: Elimination::new(),
                uncounted: AtomicUsize::new(0),
                garbage,
            }
        }
    }

    #[inline(always)]
    pub(super) fn place(&self) -> Option<&Place<T>> {
        self.places.get(Place::new)
    }

    /// Counts `n` more, modulo 2^n.
    #[inline(always)]
    pub(super) fn count(&self, n: usize) {
        self.count_in(self.place(), n);
    }

    /// As `count`, by a thread that knows its place.
    #[inline(always)]
    fn count_in(&self, place: Option<&Place<T>>, n: usize) {
        match place {
            Some(place) => place.add(n),
            // Relaxed: a count.
            None => drop(self.uncounted.fetch_add(n, Ordering::Relaxed)),
        }
    }

    /// Where races are lost.
    #[inline(always)]
    pub(super) fn here(&self) -> backoff::Place {
        (&raw const self.top).cast()
    }

    #[inline(always)]
    pub(super) fn push(&self, value: T) {
        // Written once, from where the caller made it: no loop through which it would be carried. What is out of line gets a copy.
        let value = ManuallyDrop::new(value);
        // SAFETY: called once, where the value was not published, and it is not dropped here.
        let again = || unsafe { ptr::read(&raw const *value) };
        let Some(place) = self.place() else { return self.push_alone(again()) };
        // Relaxed: it is not followed.
        let top = Word::from_raw(self.top.load(Ordering::Relaxed));
        // SAFETY: this thread's place (`PerThread`), here and wherever `place` is passed on.
        let Some(word) = (unsafe { place.with(|own| own.usual(top)) }) else {
            return self.push_slowly(place, again());
        };
        // SAFETY: the slot is ours (`Own`), and the value as long as it was not published.
        unsafe {
            if !self.publish(top, word, &raw const *value) {
                return self.push_again(place, word);
            }
        }
        place.add(1);
    }

    /// As `push`, in all cases.
    #[cold]
    #[inline(never)]
    fn push_slowly(&self, place: &Place<T>, mut value: T) {
        loop {
            let Some((top, word)) = self.slot(place) else { return self.push_alone(value) };
            let item = ManuallyDrop::new(value);
            // SAFETY: as in `push`.
            if unsafe { self.publish(top, word, &raw const *item) } {
                break;
            }
            // SAFETY: not published, so ours.
            match unsafe { self.offer(word) } {
                Some(back) => value = back,
                None => break,
            }
        }
        place.add(1);
    }

    /// As `push`, of an item that was not published and is in its slot.
    ///
    /// # Safety
    ///
    /// The item is the caller's.
    #[cold]
    #[inline(never)]
    unsafe fn push_again(&self, place: &Place<T>, word: Word<T>) {
        // SAFETY: the caller's promise.
        match unsafe { self.offer(word) } {
            Some(value) => self.push_slowly(place, value),
            None => place.add(1),
        }
    }

    /// Writes an item into its slot and puts it on top of what was found there; false if that has changed.
    ///
    /// # Safety
    ///
    /// The slot is the caller's, has an owner, and the item is given away if this succeeds.
    #[inline(always)]
    unsafe fn publish(&self, top: Word<T>, word: Word<T>, item: *const T) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let word = word.owned_by_somebody();
            word.header().mark(word.index(), USED);
            word.write_from(item);
        }
        // Release: publishes the item. Losing means that another operation took effect. The linearization point.
        let published =
            self.top.compare_exchange(top.raw(), word.raw(), Ordering::Release, Ordering::Relaxed).is_ok();
        if published {
            backoff::won(self.here());
        }
        published
    }

    /// Where a push goes, and what the top was for that; `None` if the thread's place is in use or chunks have no generations here.
    #[cold]
    #[inline(never)]
    fn slot(&self, place: &Place<T>) -> Option<(Word<T>, Word<T>)> {
        loop {
            // Relaxed: it is not followed.
            let top = Word::from_raw(self.top.load(Ordering::Relaxed));
            // What the reclaimer does may run code of others, of other structures: not in here.
            // SAFETY: this thread's place.
            match unsafe { place.with(|own| own.find(top)) } {
                Step::Slot(word) => return Some((top, word)),
                Step::Busy => return None,
                step => self.provide(place, step)?,
            }
        }
    }

    /// Does what a place asks for before it goes on; `None` if that is not possible.
    pub(super) fn provide(&self, place: &Place<T>, step: Step<T>) -> Option<()> {
        match step {
            Step::Wanted(len) => {
                let chunk = self.new_chunk(len)?;
                // SAFETY: this thread's place.
                unsafe { place.with(|own| own.take_over(chunk)) };
            }
            Step::Retire(object) => self.retire(object),
            Step::Slot(_) | Step::Busy => {}
        }
        Some(())
    }

    fn new_chunk(&self, len: usize) -> Option<Word<T>> {
        if let Some(object) = R::reuse(&self.garbage, &R::pin()) {
            let chunk = object.cast::<Chunk<T>>();
            // SAFETY: it was retired by `retire`, and is ours.
            let header = unsafe { chunk.as_ref() };
            if let Some(word) = Word::owned(chunk).filter(|_| header.len() >= len) {
                header.renew();
                return Some(word);
            }
            // SAFETY: as above.
            unsafe { Chunk::free(chunk) };
        }
        let chunk = Chunk::allocate(len);
        let word = Word::owned(chunk);
        if word.is_none() {
            // SAFETY: nobody knows it.
            unsafe { Chunk::free(chunk) };
        }
        word
    }

    /// As `push`, in a chunk that nobody owns.
    #[cold]
    #[inline(never)]
    fn push_alone(&self, value: T) {
        let word = Word::alone(Chunk::allocate(1));
        // SAFETY: new, and ours.
        unsafe {
            word.write(value);
            self.push_chain(word, word);
        }
        self.count(1);
    }

    /// Links chunks that nobody owns and that were linked out of sight, the last one at the top.
    ///
    /// # Safety
    ///
    /// They are the caller's, hold an item each, and are linked from `last` down to `first`.
    pub(super) unsafe fn push_chain(&self, first: Word<T>, last: Word<T>) {
        loop {
            // Relaxed: it is not followed.
            let top = Word::from_raw(self.top.load(Ordering::Relaxed));
            // SAFETY: not published yet, so ours.
            unsafe { first.set_next(top) };
            // Release: publishes the items. Losing means that another operation took effect. The linearization point.
            if self.top.compare_exchange(top.raw(), last.raw(), Ordering::Release, Ordering::Relaxed).is_ok()
            {
                break;
            }
            backoff::lost_again(self.here());
        }
    }

    /// Pauses with the item on offer; returns it unless a pop took it.
    ///
    /// # Safety
    ///
    /// The item is the caller's, in a slot of its own.
    #[cold]
    unsafe fn offer(&self, word: Word<T>) -> Option<T> {
        // SAFETY: the caller's promise, and what it says if it was not taken.
        unsafe {
            let hint = per_thread::hint();
            // Relaxed: only whether there is anything to pop. A consumer that has emptied the stack waits for this item.
            let busy = || !self.top.load(Ordering::Relaxed).is_null();
            if self.elimination.offer(word, hint, || backoff::lost_again_while(self.here(), busy)) {
                return None;
            }
            let value = word.read();
            word.header().mark(word.index(), FREE);
            Some(value)
        }
    }

    /// The word at the top, acquired; null only if it was null after all that the caller did before.
    #[inline(always)]
    pub(super) fn top(&self) -> Word<T> {
        // SeqCst: for readers, in the order of invariant 4. Its Acquire pairs with the Release of the pushes.
        let top = self.top.load(Ordering::SeqCst);
        if !top.is_null() {
            return Word::from_raw(top);
        }
        // In the total order with the same fence of other threads, so that of two threads that push to one stack each and look
        // into the other's, at least one sees the other's item.
        fence(Ordering::SeqCst);
        Word::from_raw(self.top.load(Ordering::SeqCst))
    }

    #[inline(always)]
    pub(super) fn pop(&self) -> Option<T> {
        self.pop_by(|lost| self.pop_slowly(lost))
    }

    #[inline(always)]
    pub(super) fn pop_with(&self, guard: &R::Guard) -> Option<T> {
        self.pop_by(|lost| {
            let word = if lost { self.lost_pop() } else { None };
            // SAFETY: taken out by us.
            word.or_else(|| self.take(guard)).map(|word| unsafe { self.open(word) })
        })
    }

    /// Takes the top item out if that needs no guard, or else as `slowly` does, which is told whether a race was lost.
    #[inline(always)]
    fn pop_by(&self, slowly: impl FnOnce(bool) -> Option<T>) -> Option<T> {
        let place = self.place();
        // Relaxed: it is not followed, unless it is this thread's.
        let top = Word::from_raw(self.top.load(Ordering::Relaxed));
        let rest = if top.has_more() {
            Some(top.below(1))
        } else {
            // SAFETY: this thread's place.
            place.and_then(|place| unsafe { place.with(|own| own.below(top)) })
        };
        // Written once, to where it is returned.
        let mut value = None;
        let (mut taken, mut lost) = (false, false);
        if let Some(rest) = rest {
            // SeqCst: before the look at `readers`, in the order of invariant 4; acquires what the push did. Losing means that
            // another operation took effect. The linearization point.
            taken =
                self.top.compare_exchange(top.raw(), rest.raw(), Ordering::SeqCst, Ordering::Relaxed).is_ok();
            lost = !taken;
            if taken {
                backoff::won(self.here());
                // SAFETY: taken out by us, of a chunk that has an owner; moved out before the slot is given back.
                unsafe {
                    let top = top.owned_by_somebody();
                    value = Some(top.read());
                    if self.is_read() {
                        top.header().spoil(top.index());
                    } else {
                        top.header().release(top.index(), FREE);
                    }
                }
                self.count_in(place, usize::MAX);
            }
        }
        if !taken {
            value = slowly(lost);
        }
        value
    }

    /// As `pop`, in all cases.
    #[inline(never)]
    fn pop_slowly(&self, lost: bool) -> Option<T> {
        let offered = if lost { self.lost_pop() } else { None };
        // SAFETY: `take` does neither pin nor panic, and knows nothing of values.
        let mut word = offered.or_else(|| unsafe { R::briefly(|guard| self.take(guard)) });
        if word.is_none() && self.stay_behind() {
            // SAFETY: as above.
            word = unsafe { R::briefly(|guard| self.take(guard)) };
        }
        // SAFETY: taken out by us.
        word.map(|word| unsafe { self.open(word) })
    }

    /// There was nothing to pop: if this thread follows too closely upon others who push, waits a moment, and then it is worth to
    /// look again.
    #[cold]
    #[inline(never)]
    fn stay_behind(&self) -> bool {
        let Some(place) = self.place() else { return false };
        let popped = place.count().wrapping_neg();
        // Relaxed: only whether something has come.
        backoff::idle(self.here(), FRONT, popped, || !self.top.load(Ordering::Relaxed).is_null())
    }

    /// Takes the top item out, or one that is on offer.
    #[inline(always)]
    fn take(&self, _guard: &R::Guard) -> Option<Word<T>> {
        loop {
            let top = self.top();
            if top.is_null() {
                return None;
            }
            // SAFETY: protected by the guard (invariant 2).
            let next = unsafe { top.rest() };
            // SeqCst: as above.
            if self.top.compare_exchange(top.raw(), next.raw(), Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                backoff::won(self.here());
                return Some(top);
            }
            let offered = self.lost_pop();
            if offered.is_some() {
                return offered;
            }
        }
    }

    #[cold]
    fn lost_pop(&self) -> Option<Word<T>> {
        let offered = self.elimination.take(per_thread::hint());
        if offered.is_none() {
            backoff::lost_again(self.here());
        }
        offered
    }

    /// The topmost item of a word, whose slot is given back.
    ///
    /// # Safety
    ///
    /// The item is the caller's.
    #[inline(always)]
    pub(super) unsafe fn open(&self, word: Word<T>) -> T {
        // SAFETY: the caller's promise; the value is moved out before the slot is given back.
        unsafe {
            let value = word.read();
            let read = self.is_read();
            if word.is_alone() || read {
                self.release_elsewhere(word, read);
            } else {
                word.header().release(word.index(), FREE);
            }
            self.count(usize::MAX);
            value
        }
    }

    /// Whether somebody may be copying the items that the caller has taken out.
    #[inline(always)]
    fn is_read(&self) -> bool {
        // SeqCst: after the exchange that took the items out, in the order of invariant 4. Its Acquire pairs with the Release
        // of readers that have gone. What has a destructor is not `Copy`.
        !needs_drop::<T>() && {
            order_for_loom();
            self.readers.load(Ordering::SeqCst) != 0
        }
    }

    /// Gives back the slots of the `count` topmost items of a word, which is not alone.
    ///
    /// # Safety
    ///
    /// The items are the caller's, and were moved out.
    #[inline]
    pub(super) unsafe fn release_run(&self, word: Word<T>, count: usize) {
        // SAFETY: the slots are ours, so the chunk stays.
        let (header, lowest) = (unsafe { word.header() }, word.index() + 1 - count);
        if self.is_read() {
            (lowest..=word.index()).rev().for_each(|index| header.spoil(index));
        } else {
            header.release(lowest, count as u8);
        }
        self.count(count.wrapping_neg());
    }

    /// # Safety
    ///
    /// As for `open`; the value was moved out.
    #[cold]
    #[inline(never)]
    unsafe fn release_elsewhere(&self, word: Word<T>, read: bool) {
        if word.is_alone() {
            // Others may still follow its `next`.
            // SAFETY: ours with its item.
            let bytes = unsafe { word.header() }.bytes();
            self.retire((word.chunk().cast(), bytes));
        } else if read {
            // SAFETY: the slot is ours, so the chunk stays.
            unsafe { word.header() }.spoil(word.index());
        }
    }

    fn retire(&self, (object, bytes): (NonNull<u8>, usize)) {
        let retired = Retired { object, reclaim: Chunk::<T>::reclaim, bytes };
        // SAFETY: the chunk was taken out before, by this thread, or another that released its slots; it is in no place any more, and
        // holds no value.
        unsafe { R::retire(&self.garbage, retired, &R::pin()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.top().is_null()
    }

    pub(super) fn len(&self) -> usize {
        // Relaxed: a count.
        let uncounted = self.uncounted.load(Ordering::Relaxed);
        let counts = self.places.all().map(Place::count);
        usize::try_from(counts.fold(uncounted, usize::wrapping_add) as isize).unwrap_or(0)
    }

    /// Retires the spare chunks of this thread and of those that have gone, and collects.
    pub(super) fn collect(&self) {
        self.places.own_and_abandoned(|place| {
            // SAFETY: ours, or nobody's while this runs.
            while let Some(object) = unsafe { place.with(|own| own.shed()) } {
                self.retire(object);
            }
        });
        R::collect(&self.garbage);
    }

    /// As `push`, without atomic steps.
    pub(super) fn push_mut(&mut self, value: T) {
        let found = self.place().and_then(|place| {
            let top = Word::from_raw(self.top.load(Ordering::Relaxed));
            // SAFETY: this thread's place.
            let usual = unsafe { place.with(|own| own.usual(top)) };
            usual.or_else(|| self.slot(place).map(|(_, word)| word))
        });
        let Some(word) = found else { return self.push_alone(value) };
        // SAFETY: the slot is ours.
        unsafe {
            word.header().mark(word.index(), USED);
            word.write(value);
        }
        self.top.with_mut(|top| *top = word.raw());
        self.count(1);
    }

    /// As `pop`, without a guard.
    pub(super) fn pop_mut(&mut self) -> Option<T> {
        // SAFETY: unlinked by us.
        self.unlink().map(|word| unsafe { self.open(word) })
    }

    fn unlink(&mut self) -> Option<Word<T>> {
        self.top.with_mut(|top| {
            let word = Word::from_raw(*top);
            if word.is_null() {
                return None;
            }
            // SAFETY: in the list, so allocated.
            *top = unsafe { word.rest() }.raw();
            Some(word)
        })
    }
}

impl<T, R: Reclaim> Drop for Raw<T, R> {
    fn drop(&mut self) {
        /// Goes on with the rest if a destructor panics.
        struct Rest<'a, T, R: Reclaim>(&'a mut Raw<T, R>);
        impl<T, R: Reclaim> Rest<'_, T, R> {
            fn drain(&mut self) {
                while let Some(word) = self.0.unlink() {
                    // SAFETY: unlinked, and nobody shares the stack: a chunk that no place will free is freed, and its value
                    // dropped after that.
                    let value = unsafe {
                        let value = word.read();
                        if word.is_alone() {
                            Chunk::free(word.chunk());
                        }
                        value
                    };
                    drop(value);
                }
            }
        }
        impl<T, R: Reclaim> Drop for Rest<'_, T, R> {
            fn drop(&mut self) {
                self.drain();
            }
        }
        Rest(self).drain();
    }
}
