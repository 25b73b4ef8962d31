//! A bin of retired objects: whose it is, and how it changes hands.
//!
//! ```text
//!   HOME ----- asked for, by whoever is pinned at p -----> ASKED(p)     its participant works in it while it finds HOME
//!    ^  ^----------- its participant came back ------------'  |
//!    |                                                        | taken, when the clock is three steps past p
//!    '------------ given back, without the contents -------- TAKEN
//! ```
//! A bin at home is its participant's alone, who finds that out by a load: no exchange, no barrier. Nobody can tell from outside
//! whether the participant is at work in it. But it works there under a guard only, so the epochs tell when it no longer can be:
//! a bin that was asked for is taken as an object is reclaimed that was retired then.
//!
//! **Why that is right.** Say that the bin was asked for under a guard at `p`, and is taken by one who saw the clock at `p + 3`, by
//! an exchange of that very `ASKED(p)`. By invariant 2 of the [epochs](super), a guard of the participant either ended before
//! (happens before) the taking, with all that was done in the bin under it, or began after the asking. In the second case it
//! finds `ASKED(p)` or what came later: it does not go in without an exchange back to `HOME`, and with that exchange the other one
//! fails. The participant's own record says nothing here, so that any guard of the domain does for it.
//!
//! A *shared* bin is nobody's home: whoever works in it takes it before, from `HOME`, by an exchange.
//!
//! **Invariants**: the contents are reached by the bin's participant, under a guard, after it found `HOME` under the same guard, or
//! by the one who took it. No user code runs meanwhile but the global allocator's, between two accesses to the contents.

use core::mem::MaybeUninit;
use core::ops::Deref;

use super::chunks::{Chunk, Chunks, Tagged};
use super::domain::State;
use crate::reclaim::{Backlog, Retired};
use crate::sync::{AtomicUsize, Ordering, UnsafeCell};

/// Objects freed by one retirement at the most; more than one, so that a backlog shrinks.
const BATCH: usize = 4;
/// Batches of one bin that may be under way at once. A destructor may retire, which may reclaim, whose destructors may
/// retire: with this bound a long chain of them is not a deep one.
const NESTED: usize = 4;

/// Even, and no clock: who asks leaves its epoch, which is even, with [`ASKED`].
const HOME: usize = 0;
const TAKEN: usize = 2;
const ASKED: usize = 1;

/// The mark in `used` that there is something in a bin, beside what the clock showed, which is even.
const USED: usize = 1;

pub(super) struct Bin {
    state: AtomicUsize,
    /// What the clock showed when the last object came, with [`USED`]; 0 if there is nothing in it, nor memory.
    used: AtomicUsize,
    objects: AtomicUsize,
    bytes: AtomicUsize,
    /// How many of its batches are being reclaimed now.
    reclaiming: AtomicUsize,
    contents: UnsafeCell<Contents>,
}

// SAFETY: what it holds are unlinked objects; the structure that owns the garbage answers for sending them (contract of
// `Reclaim::retire`, clause 2).
unsafe impl Send for Bin {}
// SAFETY: as above; `contents` is reached by one thread at a time (module head).
unsafe impl Sync for Bin {}

struct Contents {
    chunks: Chunks,
    /// What was retired since the clock moved, or since an advance was tried.
    objects: usize,
    bytes: usize,
}

impl Bin {
    /// An empty one, at home.
    pub(super) fn new() -> Self {
        Self::in_state(HOME)
    }

    /// An empty one, taken.
    pub(super) fn taken() -> Self {
        Self::in_state(TAKEN)
    }

    fn in_state(state: usize) -> Self {
        Self {
            state: AtomicUsize::new(state),
            used: AtomicUsize::new(0),
            objects: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            reclaiming: AtomicUsize::new(0),
            contents: UnsafeCell::new(Contents { chunks: Chunks::NONE, objects: 0, bytes: 0 }),
        }
    }

    /// The bin for its participant, unless somebody has taken it.
    ///
    /// # Safety
    ///
    /// The caller is the participant, and holds a guard of its domain for as long as what is returned.
    #[inline(always)]
    pub(super) unsafe fn enter(&self) -> Option<Open<'_>> {
        // Acquire: pairs with the Release of who took it and gave it back.
        let state = self.state.load(Ordering::Acquire);
        if state == HOME || self.come_back(state) {
            return Some(Open { bin: self, taken: false });
        }
        None
    }

    /// Takes back a bin that was asked for.
    #[cold]
    #[inline(never)]
    fn come_back(&self, state: usize) -> bool {
        // Relaxed, both: `enter` acquired what it found, for the exchange that asked continues the release sequence of who gave the
        // bin back. Losing means that it is being emptied: nothing else happens to a bin that was asked for.
        state & ASKED != 0
            && self.state.compare_exchange(state, HOME, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Asks for a bin that is at home.
    ///
    /// # Safety
    ///
    /// The caller holds a guard at that epoch.
    pub(super) unsafe fn ask(&self, epoch: usize) {
        // Relaxed, both: a first look, so that a bin is written once; and what follows on the asking follows on the caller's
        // guard (module head). Losing means that another thread asked.
        if self.state.load(Ordering::Relaxed) == HOME {
            let _ = self.state.compare_exchange(HOME, epoch | ASKED, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Takes a bin that was asked for three steps ago.
    pub(super) fn take(&self, clock: usize) -> Option<Open<'_>> {
        // Relaxed: a first look.
        let state = self.state.load(Ordering::Relaxed);
        let is_due = state & ASKED != 0 && State::is_past(state & !ASKED, clock);
        is_due.then(|| self.exchange(state)).flatten()
    }

    /// Takes a shared bin, unless somebody has it.
    pub(super) fn take_shared(&self) -> Option<Open<'_>> {
        // Relaxed: a first look, so that a taken bin is not written.
        let is_free = self.state.load(Ordering::Relaxed) == HOME;
        is_free.then(|| self.exchange(HOME)).flatten()
    }

    fn exchange(&self, state: usize) -> Option<Open<'_>> {
        // Acquire on success: pairs with the Release of who had it before; what its participant did there happens before the clock
        // that the caller saw. Losing means that its participant came back, or that another thread took it.
        let taken = self.state.compare_exchange(state, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok();
        // Lazily: what is made and dropped gives the bin back.
        taken.then(|| Open { bin: self, taken: true })
    }

    /// The caller's, as [`taken`](Self::taken) made it.
    ///
    /// # Safety
    ///
    /// Called once for such a bin, and for no other.
    pub(super) unsafe fn open_taken(&self) -> Open<'_> {
        Open { bin: self, taken: true }
    }

    /// True if the clock is past all that is in it: its participant has not come for long.
    pub(super) fn is_left(&self, clock: usize) -> bool {
        // Relaxed: whether to ask.
        let used = self.used.load(Ordering::Relaxed);
        used != 0 && State::is_past(used & !USED, clock)
    }

    /// True if there is something in it, or memory.
    pub(super) fn is_used(&self) -> bool {
        // Relaxed: whether to ask. What its participant did before the caller's last synchronisation with it is seen.
        self.used.load(Ordering::Relaxed) != 0
    }

    /// What is in it.
    pub(super) fn backlog(&self) -> Backlog {
        // Relaxed: a gauge.
        Backlog { objects: self.objects.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// All that is in a bin that is not shared any more.
    ///
    /// # Safety
    ///
    /// Nobody else reaches the bin.
    pub(super) unsafe fn rest(&self) -> Chunks {
        // SAFETY: the caller's promise.
        self.contents
            .with_mut(|contents| core::mem::replace(unsafe { &mut (*contents).chunks }, Chunks::NONE))
    }
}

/// A bin whose contents are the holder's for now.
pub(super) struct Open<'a> {
    bin: &'a Bin,
    /// And not entered.
    taken: bool,
}

impl Deref for Open<'_> {
    type Target = Bin;

    #[inline(always)]
    fn deref(&self) -> &Bin {
        self.bin
    }
}

impl<'a> Open<'a> {
    #[inline(always)]
    fn with<T>(&self, f: impl FnOnce(&mut Contents) -> T) -> T {
        // SAFETY: the contents are ours (module head), and no call of `with` is nested in another: what is passed to it calls
        // nobody's code.
        self.bin.contents.with_mut(|contents| f(unsafe { &mut *contents }))
    }

    /// Adds an object. True once enough was retired since the clock moved, or since it was true.
    #[inline(always)]
    pub(super) fn push(
        &self,
        tagged: Tagged,
        clock: usize,
        is_enough: impl FnOnce(usize, usize) -> bool,
    ) -> bool {
        if !self.with(|contents| contents.chunks.has_room()) {
            self.grow();
        }
        let bytes = tagged.retired.bytes;
        self.count(|objects| objects + 1, |all| all + bytes);
        // Relaxed, both: written by the holder only.
        let moved = self.bin.used.load(Ordering::Relaxed) != clock | USED;
        if moved {
            self.bin.used.store(clock | USED, Ordering::Relaxed);
        }
        self.with(|contents| {
            // SAFETY: there is room, made above if there was none.
            unsafe { contents.chunks.push(tagged) };
            if moved {
                (contents.objects, contents.bytes) = (0, 0);
            }
            contents.objects += 1;
            contents.bytes += bytes;
            let is_enough = is_enough(contents.objects, contents.bytes);
            if is_enough {
                (contents.objects, contents.bytes) = (0, 0);
            }
            is_enough
        })
    }

    #[cold]
    #[inline(never)]
    fn grow(&self) {
        if self.with(|contents| contents.chunks.has_spare()) {
            return;
        }
        let chunk = Chunk::allocate();
        // The allocator may have retired something, and made room.
        let needed = self.with(|contents| {
            let needed = !contents.chunks.has_room();
            if needed {
                contents.chunks.grow(chunk);
            }
            needed
        });
        if !needed {
            // SAFETY: it is ours and empty.
            unsafe { Chunk::free(chunk) };
        }
    }

    /// The oldest object, if the clock is past its tag.
    #[inline(always)]
    pub(super) fn pop_past(&self, clock: usize) -> Option<Retired> {
        let (tagged, emptied) = self.with(|contents| contents.chunks.pop_past(clock))?;
        self.count(|objects| objects - 1, |bytes| bytes - tagged.retired.bytes);
        if let Some(chunk) = emptied {
            // SAFETY: it is empty and in no list any more.
            unsafe { Chunk::free(chunk) };
        }
        Some(tagged.retired)
    }

    /// Moves objects that the clock is past into the batch, as long as more than `keep` are left.
    #[inline(always)]
    pub(super) fn fill(&self, batch: &mut Batch, clock: usize, keep: usize) {
        // Relaxed: a bound. What our own callers have under way we see.
        if self.bin.reclaiming.load(Ordering::Relaxed) < NESTED {
            // Relaxed: only the holder writes it.
            while batch.len < BATCH && self.bin.objects.load(Ordering::Relaxed) > keep {
                let Some(retired) = self.pop_past(clock) else { break };
                batch.objects[batch.len].write(retired);
                batch.len += 1;
            }
        }
    }

    /// All that is in it, which takes its memory along.
    pub(super) fn empty(&self) -> (Chunks, Backlog) {
        let backlog = self.bin.backlog();
        self.count(|_| 0, |_| 0);
        // Relaxed: written by the holder only.
        self.bin.used.store(0, Ordering::Relaxed);
        (self.with(|contents| core::mem::replace(&mut contents.chunks, Chunks::NONE)), backlog)
    }

    /// Puts what was in another bin before what is in this one.
    pub(super) fn adopt(&self, (chunks, backlog): (Chunks, Backlog), clock: usize) {
        // Relaxed: written by the holder only.
        if self.bin.used.load(Ordering::Relaxed) == 0 {
            self.bin.used.store(clock | USED, Ordering::Relaxed);
        }
        self.count(|objects| objects + backlog.objects, |bytes| bytes + backlog.bytes);
        drop(self.with(|contents| contents.chunks.prepend(chunks)));
    }

    #[inline(always)]
    fn count(&self, objects: impl FnOnce(usize) -> usize, bytes: impl FnOnce(usize) -> usize) {
        let bin = self.bin;
        // Relaxed: a gauge that only the holder writes, so that a load and a store do for an addition.
        bin.objects.store(objects(bin.objects.load(Ordering::Relaxed)), Ordering::Relaxed);
        bin.bytes.store(bytes(bin.bytes.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// Ends the work in it.
    #[inline(always)]
    pub(super) fn close(self) -> Closed<'a> {
        Closed { bin: self.bin, shared: self.taken }
    }
}

impl Drop for Open<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.taken {
            // Release: hands the contents on; pairs with the Acquire in `enter` and `exchange`.
            self.bin.state.store(HOME, Ordering::Release);
        }
    }
}

/// A bin that somebody worked in.
pub(super) struct Closed<'a> {
    bin: &'a Bin,
    /// Not its participant alone reclaims what was in it.
    shared: bool,
}

impl Closed<'_> {
    /// Runs the destructors of a batch.
    #[inline(always)]
    pub(super) fn reclaim(&self, batch: &mut Batch) {
        struct Nested<'a>(&'a Closed<'a>);
        impl Drop for Nested<'_> {
            #[inline(always)]
            fn drop(&mut self) {
                self.0.nest(usize::MAX);
            }
        }
        if !batch.is_empty() {
            self.nest(1);
            let _nested = Nested(self);
            reclaim_all(batch);
        }
    }

    #[inline(always)]
    fn nest(&self, n: usize) {
        let reclaiming = &self.bin.reclaiming;
        // Relaxed, all: a bound. What our own callers have under way we see.
        if self.shared {
            reclaiming.fetch_add(n, Ordering::Relaxed);
        } else {
            reclaiming.store(reclaiming.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        }
    }
}

/// Objects taken out of a bin, to be reclaimed once it is closed. They stay where they are: to move them right after they were
/// written would wait for the stores.
pub(super) struct Batch {
    objects: [MaybeUninit<Retired>; BATCH],
    next: usize,
    len: usize,
}

impl Batch {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { objects: [const { MaybeUninit::uninit() }; BATCH], next: 0, len: 0 }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Iterator for &mut Batch {
    type Item = Retired;

    #[inline(always)]
    fn next(&mut self) -> Option<Retired> {
        let object = self.objects[..self.len].get(self.next)?;
        self.next += 1;
        // SAFETY: up to `len` they were written, and each is read once.
        Some(unsafe { object.assume_init_read() })
    }
}

/// Reclaims all that comes, the rest even if a destructor panics.
#[inline(always)]
pub(super) fn reclaim_all(objects: impl Iterator<Item = Retired>) {
    struct Rest<I: Iterator<Item = Retired>>(I);
    impl<I: Iterator<Item = Retired>> Rest<I> {
        #[inline(always)]
        fn reclaim(&mut self) {
            for retired in &mut self.0 {
                // SAFETY: it was retired once, was taken out of its bin, and no guard protects it (`pop_past`), or its
                // structure is gone (`Garbage::drop`); the rest is the promise of whoever retired it.
                unsafe { (retired.reclaim)(retired.object) }
            }
        }
    }
    impl<I: Iterator<Item = Retired>> Drop for Rest<I> {
        #[inline(always)]
        fn drop(&mut self) {
            self.reclaim();
        }
    }
    Rest(objects.fuse()).reclaim();
}
