//! A bin of retired objects, and the claims on it.
//!
//! ```text
//!   the bin's thread                       another one
//!   busy = true                            claimed: false -> true, by an exchange
//!   light barrier                          heavy barrier
//!   claimed? then busy = false, give up    busy? then claimed = false, give up
//!   ... the contents ...                   ... the contents ...
//!   busy = false                           claimed = false
//! ```
//! At least one of the two sees the other (see [`barrier`](crate::reclaim::barrier())); both may, and then both give up. So
//! nobody waits, and the bin's thread needs no locked instruction. Where barriers are fences, where others look into the bins often
//! (`reuse`), and for bins that are nobody's own, `claimed` alone decides and the heavy barrier is left out.
//!
//! **Invariants**: the contents are reached by the one who has the claim; no user code runs while there is one, except for the
//! global allocator, which, if it retires into the same garbage, finds `busy` or `claimed`. The claims of all threads on all bins
//! of a garbage are of one kind. A bin passes with its thread's slot, never while it is busy.

use core::mem::MaybeUninit;
use core::ops::Deref;

use super::chunks::{Chunks, Tagged};
use super::domain::State;
use crate::reclaim::{Backlog, Retired, light};
use crate::sync::{AtomicBool, AtomicUsize, Ordering, UnsafeCell};

/// Objects freed by one retirement at the most; more than one, so that a backlog shrinks.
const BATCH: usize = 4;
/// Batches of one bin that may be under way at once. A destructor may retire, which may reclaim, whose destructors may
/// retire: with this bound a long chain of them is not a deep one.
const NESTED: usize = 4;

pub(super) struct Bin {
    /// Its thread has a claim, which it made without an exchange.
    busy: AtomicBool,
    /// Somebody has a claim, which was made with one.
    claimed: AtomicBool,
    /// What the clock showed when its thread came last.
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
// SAFETY: as above; `contents` is reached with a claim only.
unsafe impl Sync for Bin {}

struct Contents {
    chunks: Chunks,
    /// What was retired since the clock moved, or an advance was tried.
    objects: usize,
    bytes: usize,
}

/// Who claims, and how.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// The bin's thread, without an exchange.
    Busy,
    /// Anybody, with one.
    Exchanged,
}

impl Bin {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self {
            busy: AtomicBool::new(false),
            claimed: AtomicBool::new(false),
            used: AtomicUsize::new(0),
            objects: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            reclaiming: AtomicUsize::new(0),
            contents: UnsafeCell::new(Contents { chunks: Chunks::NONE, objects: 0, bytes: 0 }),
        }
    }

    /// An empty one with a claim on it.
    pub(super) fn new_claimed() -> Self {
        Self { claimed: AtomicBool::new(true), ..Self::new() }
    }

    /// The claim that [`new_claimed`](Self::new_claimed) made.
    ///
    /// # Safety
    ///
    /// Called once.
    pub(super) unsafe fn first_claim(&self) -> Claim<'_> {
        Claim { bin: self, kind: Kind::Exchanged }
    }

    /// The bin for the calling thread alone, whose own it is.
    #[inline(always)]
    pub(super) fn try_claim_own(&self, kind: Kind) -> Option<Claim<'_>> {
        if kind == Kind::Exchanged {
            return self.try_claim();
        }
        // Relaxed: our own store, if the allocator's code has come back to us.
        if self.busy.load(Ordering::Relaxed) {
            return None;
        }
        // Relaxed: it is the barrier that orders it before what follows.
        self.busy.store(true, Ordering::Relaxed);
        light(true);
        let claim = Claim { bin: self, kind };
        // Acquire: pairs with the Release of a claim that ended. If one was made that we do not see, its heavy barrier came after
        // our light one, and it sees that we are busy.
        (!self.claimed.load(Ordering::Acquire)).then_some(claim)
    }

    /// The bin for the caller alone, unless somebody has it; where all claims are made so.
    pub(super) fn try_claim(&self) -> Option<Claim<'_>> {
        // Relaxed first look, so that a taken bin is not written. Acquire on success: takes over the contents that the
        // last claim released. Losing means that another thread has it.
        let free = !self.claimed.load(Ordering::Relaxed)
            && self.claimed.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        // Lazily: a claim that was made and dropped would give back somebody else's.
        free.then(|| Claim { bin: self, kind: Kind::Exchanged })
    }

    /// Another thread's bin, unless somebody has exchanged its flag.
    pub(super) fn ask(&self) -> Option<Asked<'_>> {
        self.try_claim().map(Asked)
    }

    /// False if there is nothing in it; loom, which loses its way among the stores of a gauge, always looks.
    pub(super) fn is_filled(&self) -> bool {
        // Relaxed: whether to look.
        cfg!(latchfree_loom) || self.objects.load(Ordering::Relaxed) > 0
    }

    /// True if the clock is past all that is in it: its thread has not come for long.
    pub(super) fn is_stale(&self, clock: usize) -> bool {
        // Relaxed: whether to look.
        State::is_past(self.used.load(Ordering::Relaxed), clock)
    }

    /// What is in it.
    pub(super) fn backlog(&self) -> Backlog {
        // Relaxed: a gauge.
        Backlog { objects: self.objects.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// Runs the destructors of a batch, while there is no claim; for claims of that kind.
    #[inline(always)]
    pub(super) fn reclaim(&self, batch: &mut Batch, kind: Kind) {
        struct Nested<'a>(&'a Bin, Kind);
        impl Drop for Nested<'_> {
            fn drop(&mut self) {
                self.0.nest(self.1, usize::MAX);
            }
        }
        if !batch.is_empty() {
            self.nest(kind, 1);
            let _nested = Nested(self, kind);
            reclaim_all(batch);
        }
    }

    #[inline(always)]
    fn nest(&self, kind: Kind, n: usize) {
        // Relaxed, all: a bound. What our own callers have under way we see.
        if kind == Kind::Busy {
            // Its thread alone reclaims what is in it.
            self.reclaiming.store(self.reclaiming.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        } else {
            self.reclaiming.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Takes all objects out of a bin that is not shared any more.
    pub(super) fn take(&self) -> impl Iterator<Item = Retired> + use<> {
        // SAFETY: the caller's promise: nobody else reaches the bin.
        self.contents
            .with_mut(|contents| core::mem::replace(unsafe { &mut (*contents).chunks }, Chunks::NONE))
    }
}

/// A bin whose contents belong to the holder.
pub(super) struct Claim<'a> {
    bin: &'a Bin,
    kind: Kind,
}

impl Deref for Claim<'_> {
    type Target = Bin;

    fn deref(&self) -> &Bin {
        self.bin
    }
}

impl<'a> Claim<'a> {
    /// The bin, and how it was claimed.
    pub(super) fn of(&self) -> (&'a Bin, Kind) {
        (self.bin, self.kind)
    }

    #[inline(always)]
    fn with<T>(&self, f: impl FnOnce(&mut Contents) -> T) -> T {
        // SAFETY: only the holder of the claim reaches the contents, and no call of `with` is nested.
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
        let bytes = tagged.retired.bytes;
        self.count(|objects| objects + 1, |all| all + bytes);
        // Relaxed, both: written under a claim only.
        let moved = self.bin.used.load(Ordering::Relaxed) != clock;
        if moved {
            self.bin.used.store(clock, Ordering::Relaxed);
        }
        self.with(|contents| {
            contents.chunks.push(tagged);
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

    /// The oldest object, if the clock is past its tag.
    #[inline(always)]
    pub(super) fn pop_past(&self, clock: usize) -> Option<Tagged> {
        let tagged = self.with(|contents| contents.chunks.pop_past(clock))?;
        self.count(|objects| objects - 1, |bytes| bytes - tagged.retired.bytes);
        Some(tagged)
    }

    /// Moves objects that the clock is past into the batch, as long as more than `keep` are left.
    #[inline(always)]
    pub(super) fn fill(&self, batch: &mut Batch, clock: usize, keep: usize) {
        // Relaxed: a bound. What our own callers have under way we see.
        if self.bin.reclaiming.load(Ordering::Relaxed) < NESTED {
            // Relaxed: only the holder of the claim writes it.
            while batch.len < BATCH && self.bin.objects.load(Ordering::Relaxed) > keep {
                let Some(tagged) = self.pop_past(clock) else { break };
                batch.objects[batch.len].write(tagged.retired);
                batch.len += 1;
            }
        }
    }

    /// Moves up to `limit` objects that the clock is past out of bins that were asked for, to be the next that are reclaimed. A
    /// heavy barrier lies behind, if claims are not all exchanges.
    pub(super) fn adopt(&self, others: &[Asked<'_>], clock: usize, limit: usize) {
        let (mut chunks, mut objects, mut bytes) = (Chunks::NONE, 0, 0);
        for other in others.iter().filter_map(Asked::granted) {
            while objects < limit
                && let Some(tagged) = other.pop_past(clock)
            {
                objects += 1;
                bytes += tagged.retired.bytes;
                chunks.push(tagged);
            }
        }
        self.with(|contents| contents.chunks.prepend(chunks));
        self.count(|n| n + objects, |n| n + bytes);
    }

    #[inline(always)]
    fn count(&self, objects: impl FnOnce(usize) -> usize, bytes: impl FnOnce(usize) -> usize) {
        let bin = self.bin;
        // Relaxed: a gauge that only the holder of the claim writes, so that a load and a store do for an addition.
        bin.objects.store(objects(bin.objects.load(Ordering::Relaxed)), Ordering::Relaxed);
        bin.bytes.store(bytes(bin.bytes.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}

impl Drop for Claim<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let flag = if self.kind == Kind::Busy { &self.bin.busy } else { &self.bin.claimed };
        // Release: hands the contents to the next claim; pairs with the Acquire in `try_claim`, `try_claim_own` and `granted`.
        flag.store(false, Ordering::Release);
    }
}

/// A bin that was asked for: its thread sees that from the next heavy barrier on, and leaves it alone.
pub(super) struct Asked<'a>(Claim<'a>);

impl<'a> Asked<'a> {
    /// After a heavy barrier, if claims are not all exchanges: the claim, unless the bin's thread has one.
    fn granted(&self) -> Option<&Claim<'a>> {
        // Acquire: pairs with the Release of the claim of its thread that ended.
        (!self.0.bin.busy.load(Ordering::Acquire)).then_some(&self.0)
    }
}

/// Objects taken out of a bin, to be reclaimed once there is no claim on it. They stay where they are: to move them right after
/// they were written would wait for the stores.
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
        fn reclaim(&mut self) {
            for retired in &mut self.0 {
                // SAFETY: it was retired once, was taken out of its bin, and no guard protects it (`pop_past`), or its
                // structure is gone (`Garbage::drop`); the rest is the promise of whoever retired it.
                unsafe { (retired.reclaim)(retired.object) }
            }
        }
    }
    impl<I: Iterator<Item = Retired>> Drop for Rest<I> {
        fn drop(&mut self) {
            self.reclaim();
        }
    }
    Rest(objects.fuse()).reclaim();
}
