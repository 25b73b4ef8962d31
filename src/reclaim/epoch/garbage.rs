//! Where one structure's retired objects wait, and how they are freed a few at a time.
//!
//! ```text
//!   Garbage -> bin 1 -> bin 0        a bin: oldest [o o o o] [o o o o] [o o . .] newest
//!              claimed  free                        ^ freed from here, when the clock is past their tag
//! ```
//!
//! A thread that retires claims a bin for a few instructions. Claiming never waits: a bin that is taken is passed over,
//! and when all are, a new one is made. So there are at most as many bins as threads ever retired at one moment, and
//! a structure that never retires has none. A thread that stops while it holds a bin is pinned, so it holds back all
//! reclamation anyway: the claim adds nothing to that.
//!
//! **Invariants**: a bin's queue is touched by the claimer only; no user code runs while a bin is claimed. Within a
//! bin tags are almost in order: they may be one step off, which delays an object behind its neighbour and frees none
//! early.
//!
//! **Who frees what**: `retire`, at most [`BATCH`] objects a call, on the retiring thread; `collect`, all that may be;
//! `drop`, all. Bins live until then.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use super::domain::{Domain, Global, State};
use super::guard::Guard;
use crate::reclaim::{Backlog, Retired};
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, UnsafeCell, const_fn};

/// Objects freed by one retirement at the most; more than one, so that a backlog shrinks.
const BATCH: usize = 4;
/// Batches of one bin that may be under way at once. A destructor may retire, which may reclaim, whose destructors may
/// retire: with this bound a long chain of them is not a deep one.
const NESTED: usize = 4;
/// An advance is tried after so many retirements, and one more for each participant that a scan would visit: on a virtual
/// machine with 2 cores a `membarrier` took 0.2 us alone and 4.8 us while another thread ran, so this is at most about
/// 10 ns a retirement.
const ADVANCE_OBJECTS: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 1 } else { 512 };
/// ... or after so many retired bytes, whichever comes first, so that large objects do not pile up. Pairs on a queue of `u64`
/// with 2 threads took 14.9 ns an operation with 16 KiB and 11.5 with 64; where threads take turns at 10 ns a pair, a step
/// every 32 KiB is 2 to 4 ns of it, every 64 KiB 1 to 2. With 128 KiB there was no difference beyond the noise.
const ADVANCE_BYTES: usize = 64 << 10;
/// Objects a chunk of a bin's queue: a bin grows by a chunk, never by copying what it holds.
const CHUNK: usize = 62;

/// One structure's retired objects. Dropping it reclaims them all, on that thread.
///
/// # Examples
///
/// ```
/// use latchfree::Epoch;
/// use latchfree::reclaim::{Garbage, Reclaim};
///
/// let garbage: Garbage = Garbage::new(0);
/// assert_eq!(<Epoch>::backlog(&garbage).objects, 0);
/// ```
pub struct Garbage<D: Domain = Global> {
    bins: AtomicPtr<Bin>,
    count: AtomicUsize,
    /// Up to so many reclaimable objects are left for `reuse`.
    keep: usize,
    _domain: PhantomData<fn(D)>,
}

struct Bin {
    claimed: AtomicBool,
    objects: AtomicUsize,
    bytes: AtomicUsize,
    /// How many of its batches are being reclaimed now.
    reclaiming: AtomicUsize,
    next: *mut Bin,
    contents: UnsafeCell<Contents>,
}

// SAFETY: what it holds are unlinked objects; the structure that owns the garbage answers for sending them (contract of
// `Reclaim::retire`, clause 2). `contents` is reached by the claimer only.
unsafe impl<D: Domain> Send for Garbage<D> {}
// SAFETY: as above.
unsafe impl<D: Domain> Sync for Garbage<D> {}

#[derive(Default)]
struct Contents {
    /// Full chunks but the last; the first is drained from its front.
    chunks: VecDeque<VecDeque<Tagged>>,
    /// Since an advance was last tried.
    objects: usize,
    bytes: usize,
}

struct Tagged {
    retired: Retired,
    epoch: usize,
}

impl<D: Domain> Garbage<D> {
    const_fn! {
        /// An empty store; allocates nothing.
        ///
        /// # Examples
        ///
        /// ```
        /// use latchfree::reclaim::Garbage;
        ///
        /// static GARBAGE: Garbage = Garbage::new(0);
        /// assert!(format!("{GARBAGE:?}").starts_with("Garbage"));
        /// ```
        #[must_use]
        pub const fn new(keep: usize) -> Self {
            Self {
                bins: AtomicPtr::new(ptr::null_mut()),
                count: AtomicUsize::new(0),
                keep,
                _domain: PhantomData,
            }
        }
    }

    /// See [`Reclaim::retire`](crate::reclaim::Reclaim::retire).
    ///
    /// # Safety
    ///
    /// As there.
    pub(super) unsafe fn retire(&self, retired: Retired, guard: &Guard<D>) {
        let record = guard.record();
        let claim = self.claim(record.number);
        let bin = claim.0;
        claim.push(Tagged { retired, epoch: record.epoch() });
        let batch = claim.batch(D::state().clock(), self.keep);
        let advance = claim.advance_is_due(ADVANCE_OBJECTS + D::state().participants());
        drop(claim);
        if advance {
            D::state().try_advance();
        }
        bin.reclaim(batch);
    }

    /// See [`Reclaim::reuse`](crate::reclaim::Reclaim::reuse).
    pub(super) fn reuse(&self, _guard: &Guard<D>) -> Option<NonNull<u8>> {
        let clock = D::state().clock();
        self.bins().find_map(|bin| Some(bin.try_claim()?.pop_past(clock)?.object))
    }

    /// See [`Reclaim::collect`](crate::reclaim::Reclaim::collect).
    pub(super) fn collect(&self) {
        // Three steps make all that is unprotected now reclaimable; the first that fails ends it.
        for _ in 0..3 {
            if !D::state().try_advance() {
                break;
            }
        }
        let clock = D::state().clock();
        for bin in self.bins() {
            while let Some(batch) = bin.try_claim().map(|claim| claim.batch(clock, 0)) {
                if batch.is_empty() {
                    break;
                }
                bin.reclaim(batch);
            }
        }
    }

    /// What waits here.
    #[must_use]
    pub(super) fn backlog(&self) -> Backlog {
        self.bins().fold(Backlog::default(), |sum, bin| Backlog {
            // Relaxed: a gauge.
            objects: sum.objects + bin.objects.load(Ordering::Relaxed),
            bytes: sum.bytes + bin.bytes.load(Ordering::Relaxed),
        })
    }

    fn bins(&self) -> impl Iterator<Item = &Bin> {
        // Acquire: pairs with the Release in `new_bin`, for the bin's contents.
        let mut next: *const Bin = self.bins.load(Ordering::Acquire);
        core::iter::from_fn(move || {
            // SAFETY: bins live as long as the garbage that `self` borrows.
            let bin = unsafe { next.as_ref() }?;
            next = bin.next;
            Some(bin)
        })
    }

    /// A bin for the caller alone. `hint` spreads threads over the bins once there are several.
    fn claim(&self, hint: usize) -> Claim<'_> {
        // Relaxed: where to start looking.
        let count = self.count.load(Ordering::Relaxed);
        let start = if count > 1 { hint % count } else { 0 };
        let claimed = self.bins().skip(start).chain(self.bins().take(start)).find_map(Bin::try_claim);
        claimed.unwrap_or_else(|| self.new_bin())
    }

    #[cold]
    fn new_bin(&self) -> Claim<'_> {
        // Relaxed, here and on losing: nobody looks into it from here, and who finds our bin acquires those behind it with it (a
        // release sequence: the list's head is changed by exchanges only).
        let mut head = self.bins.load(Ordering::Relaxed);
        let bin = Box::into_raw(Box::new(Bin {
            claimed: AtomicBool::new(true),
            objects: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            reclaiming: AtomicUsize::new(0),
            next: head,
            contents: UnsafeCell::new(Contents::default()),
        }));
        loop {
            // SAFETY: not published yet, so it is ours.
            unsafe { (*bin).next = head };
            // Release: publishes the bin; pairs with the Acquire in `bins`. Losing means that another bin came first.
            match self.bins.compare_exchange(head, bin, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(newer) => head = newer,
            }
        }
        // Relaxed: see `claim`.
        self.count.fetch_add(1, Ordering::Relaxed);
        // SAFETY: bins live as long as the garbage.
        Claim(unsafe { &*bin })
    }
}

impl<D: Domain> Drop for Garbage<D> {
    fn drop(&mut self) {
        let mut next = self.bins.with_mut(|bins| *bins);
        let bins = core::iter::from_fn(|| {
            if next.is_null() {
                return None;
            }
            // SAFETY: nobody shares the garbage any more, so the bin is ours; it came from `new_bin`.
            let bin = unsafe { Box::from_raw(next) };
            next = bin.next;
            Some(bin.contents.into_inner())
        });
        reclaim_all(bins.flat_map(|contents| contents.chunks).flatten().map(|tagged| tagged.retired));
    }
}

impl<D: Domain> fmt::Debug for Garbage<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Garbage").field("backlog", &self.backlog()).finish_non_exhaustive()
    }
}

impl Bin {
    /// The bin for the caller alone, unless somebody has it.
    fn try_claim(&self) -> Option<Claim<'_>> {
        // Relaxed first look, so that a taken bin is not written. Acquire on success: takes over the contents that the
        // last claimer released. Losing means that another thread has it.
        let free = !self.claimed.load(Ordering::Relaxed)
            && self.claimed.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        // Lazily: a claim that was made and dropped would give back somebody else's.
        free.then(|| Claim(self))
    }

    /// Runs the destructors of a batch, while the bin is not claimed.
    fn reclaim(&self, batch: Batch) {
        struct Nested<'a>(&'a AtomicUsize);
        impl Drop for Nested<'_> {
            fn drop(&mut self) {
                // Relaxed: see `Claim::batch`.
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if !batch.is_empty() {
            self.reclaiming.fetch_add(1, Ordering::Relaxed);
            let _nested = Nested(&self.reclaiming);
            reclaim_all(batch.0.into_iter().flatten());
        }
    }
}

/// A bin whose contents belong to the holder.
struct Claim<'a>(&'a Bin);

impl Claim<'_> {
    fn with<T>(&self, f: impl FnOnce(&mut Contents) -> T) -> T {
        // SAFETY: only the claimer reaches the contents, and no call of `with` is nested.
        self.0.contents.with_mut(|contents| f(unsafe { &mut *contents }))
    }

    fn push(&self, tagged: Tagged) {
        self.count(|objects| objects + 1, |bytes| bytes + tagged.retired.bytes);
        self.with(|contents| {
            contents.objects += 1;
            contents.bytes += tagged.retired.bytes;
            match contents.chunks.back_mut() {
                Some(chunk) if chunk.len() < CHUNK => chunk.push_back(tagged),
                _ => {
                    let mut chunk = VecDeque::with_capacity(CHUNK);
                    chunk.push_back(tagged);
                    contents.chunks.push_back(chunk);
                }
            }
        });
    }

    /// The oldest object, if the clock is past its tag.
    fn pop_past(&self, clock: usize) -> Option<Retired> {
        let retired = self.with(|contents| {
            let chunk = contents.chunks.front_mut()?;
            if !State::is_past(chunk.front()?.epoch, clock) {
                return None;
            }
            let tagged = chunk.pop_front()?;
            // The last chunk stays, empty, for what comes.
            if chunk.is_empty() && contents.chunks.len() > 1 {
                contents.chunks.pop_front();
            }
            Some(tagged.retired)
        })?;
        self.count(|objects| objects - 1, |bytes| bytes - retired.bytes);
        Some(retired)
    }

    /// Up to a batch of the objects that the clock is past, as long as more than `keep` are left.
    fn batch(&self, clock: usize, keep: usize) -> Batch {
        let mut batch = Batch::default();
        // Relaxed: a bound. What our own callers have under way we see.
        if self.0.reclaiming.load(Ordering::Relaxed) < NESTED {
            for place in &mut batch.0 {
                // Relaxed: only the claimer writes it.
                if self.0.objects.load(Ordering::Relaxed) <= keep {
                    break;
                }
                *place = self.pop_past(clock);
                if place.is_none() {
                    break;
                }
            }
        }
        batch
    }

    /// True once enough was retired since the last time it was true.
    fn advance_is_due(&self, objects: usize) -> bool {
        self.with(|contents| {
            let due = contents.objects >= objects || contents.bytes >= ADVANCE_BYTES;
            if due {
                (contents.objects, contents.bytes) = (0, 0);
            }
            due
        })
    }

    fn count(&self, objects: impl FnOnce(usize) -> usize, bytes: impl FnOnce(usize) -> usize) {
        // Relaxed: a gauge that only the claimer writes, so that a load and a store do for an addition.
        self.0.objects.store(objects(self.0.objects.load(Ordering::Relaxed)), Ordering::Relaxed);
        self.0.bytes.store(bytes(self.0.bytes.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // Release: hands the contents to the next claimer; pairs with the Acquire in `try_claim`.
        self.0.claimed.store(false, Ordering::Release);
    }
}

/// Objects taken out of a bin, to be reclaimed once it is no longer claimed.
#[derive(Default)]
struct Batch([Option<Retired>; BATCH]);

impl Batch {
    fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }
}

/// Reclaims all that comes, the rest even if a destructor panics.
fn reclaim_all(objects: impl Iterator<Item = Retired>) {
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
