//! Where one structure's retired objects wait, and how they are freed a few at a time.
//!
//! ```text
//!   Garbage    a bin for each thread   [ bin | bin | bin ]     a bin: oldest [o o o o] [o o o o] [o o . .] newest
//!              more, for all others    bin -> bin                      ^ freed from here, when the clock is past their tag
//! ```
//! A thread that retires claims its own bin for a few instructions ([`Bin`]). Claiming never waits: if somebody else looks into
//! the bin, or the thread has none, it takes any of a list that is free, and when none is, a new one is made. So there are at
//! most as many of these as threads were ever without their own at one moment, and a structure that never retires has no
//! bins at all. A thread that stops while it holds a bin holds back what is in that bin, until the garbage is dropped, and
//! nobody's work.
//!
//! What a thread leaves behind, by exiting or by retiring no more, is moved into the bin of another that does, a part at each
//! step of the clock: from bins that have been left alone for three steps, so that they are seldom missed.
//!
//! **When the clock moves.** A thread tries to advance it when it has retired so many objects or bytes since the clock moved,
//! by whoever's advance. So with any number of threads the cost is one heavy barrier for so many retirements, and what
//! waits is at most four times as much (three steps and the current one) for each thread, while none stays pinned.
//!
//! **Invariants**: no user code runs while a bin is claimed. Within a bin tags are almost in order: they may be some steps off,
//! which delays an object behind its neighbour and frees none early.
//!
//! **Who frees what**: `retire`, at most four objects a call, on the retiring thread; `collect`, all that may be, of all threads'
//! bins but those in which another thread is at work that moment; `drop`, all. Bins live until then.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use super::bin::{Asked, Batch, Bin, Claim, Kind, reclaim_all};
use super::chunks::Tagged;
use super::domain::{Domain, Global};
use super::guard::Guard;
use crate::reclaim::{Backlog, Retired, heavy, is_asymmetric};
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, Ordering, const_fn};
use crate::util::per_thread::PerThread;

/// An advance is tried after so many retirements, and one more for each participant that a scan would visit: on a virtual
/// machine with 2 cores a `membarrier` took 0.2 us alone and 4.8 us while another thread ran, so this is at most about
/// 10 ns a retirement.
const ADVANCE_OBJECTS: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 1 } else { 512 };
/// ... or after so many retired bytes, whichever comes first, so that large objects do not pile up. Pairs on a queue of `u64`
/// with 2 threads took 14.9 ns an operation with 16 KiB and 11.5 with 64; where threads take turns at 10 ns a pair, a step
/// every 32 KiB is 2 to 4 ns of it, every 64 KiB 1 to 2. With 128 KiB there was no difference beyond the noise.
const ADVANCE_BYTES: usize = 64 << 10;
/// Objects that are moved at one step of the clock out of bins that their threads have left: a few microseconds.
const ADOPT: usize = 1024;

/// One structure's retired objects. Dropping it reclaims them all, on that thread.
pub struct Garbage<D: Domain = Global> {
    bins: PerThread<Bin>,
    /// For threads without a bin, or whose own is claimed by another.
    more: AtomicPtr<More>,
    /// Up to so many reclaimable objects are left for `reuse`.
    keep: usize,
    _domain: PhantomData<fn(D)>,
}

struct More {
    bin: Bin,
    /// The one prepended before this one; written before this one is published.
    next: *mut More,
}

// SAFETY: what it holds are unlinked objects; the structure that owns the garbage answers for sending them (contract of
// `Reclaim::retire`, clause 2).
unsafe impl<D: Domain> Send for Garbage<D> {}
// SAFETY: as above; the list of bins only grows.
unsafe impl<D: Domain> Sync for Garbage<D> {}

impl<D: Domain> Garbage<D> {
    const_fn! {
        /// An empty store; allocates nothing.
        #[must_use]
        pub const fn new(keep: usize) -> Self {
            Self {
                bins: PerThread::new(),
                more: AtomicPtr::new(ptr::null_mut()),
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
    #[inline(always)]
    pub(super) unsafe fn retire(&self, retired: Retired, guard: &Guard<D>) {
        let Retired { object, reclaim, bytes } = retired;
        // SAFETY: the caller's promise is the same.
        unsafe { self.retire_parts(object, reclaim, bytes, guard) }
    }

    /// In parts, which are passed in registers.
    ///
    /// # Safety
    ///
    /// As for `retire`.
    #[inline(never)]
    unsafe fn retire_parts(
        &self,
        object: NonNull<u8>,
        reclaim: unsafe fn(NonNull<u8>),
        bytes: usize,
        guard: &Guard<D>,
    ) {
        let record = guard.record();
        let clock = D::state().clock();
        let own = self.kind(record.asymmetric);
        let claim = self.claim(own);
        let (bin, kind) = claim.of();
        let tagged = Tagged { retired: Retired { object, reclaim, bytes }, epoch: record.epoch() };
        let advance = claim.push(tagged, clock, |objects, bytes| {
            bytes >= ADVANCE_BYTES
                || objects >= ADVANCE_OBJECTS && objects >= ADVANCE_OBJECTS + D::state().participants()
        });
        let mut batch = Batch::new();
        claim.fill(&mut batch, clock, self.keep);
        drop(claim);
        if advance {
            self.advance(clock, own);
        }
        bin.reclaim(&mut batch, kind);
    }

    /// Tries to move the clock, and takes over what others have left, by one heavy barrier for both.
    #[cold]
    #[inline(never)]
    fn advance(&self, clock: usize, own: Kind) {
        let left = self.ask_for(|bin| bin.is_stale(clock));
        let passed = D::state().advance().is_ok();
        if passed && !left.is_empty() {
            self.claim(own).adopt(&left, clock, ADOPT);
        }
    }

    /// See [`Reclaim::reuse`](crate::reclaim::Reclaim::reuse).
    pub(super) fn reuse(&self, guard: &Guard<D>) -> Option<NonNull<u8>> {
        let clock = D::state().clock();
        let take = |claim: Claim<'_>| Some(claim.pop_past(clock)?.retired.object);
        match self.kind(guard.record().asymmetric) {
            Kind::Exchanged => self.filled().find_map(|bin| take(bin.try_claim()?)),
            // Nothing is kept here, so that others' bins are not worth a heavy barrier.
            Kind::Busy => take(self.bins.get(Bin::new)?.try_claim_own(Kind::Busy)?),
        }
    }

    /// See [`Reclaim::collect`](crate::reclaim::Reclaim::collect).
    pub(super) fn collect(&self) {
        // Three steps make all that is unprotected now reclaimable; the first that fails ends it.
        for _ in 0..3 {
            if !D::state().try_advance() {
                break;
            }
        }
        if self.filled().next().is_none() {
            return;
        }
        let clock = D::state().clock();
        let own = self.kind(is_asymmetric());
        let claim = self.claim(own);
        let (bin, kind) = claim.of();
        // All but this one, which is claimed.
        let others = self.ask_for(|_| true);
        if !others.is_empty() && (own == Kind::Exchanged || heavy()) {
            claim.adopt(&others, clock, usize::MAX);
        }
        drop(others);
        let mut claimed = Some(claim);
        while let Some(claim) = claimed {
            let mut batch = Batch::new();
            claim.fill(&mut batch, clock, 0);
            drop(claim);
            if batch.is_empty() {
                break;
            }
            bin.reclaim(&mut batch, kind);
            claimed = bin.try_claim_own(kind);
        }
    }

    /// What waits here.
    #[must_use]
    pub(super) fn backlog(&self) -> Backlog {
        self.all().map(Bin::backlog).fold(Backlog::default(), |sum, bin| Backlog {
            objects: sum.objects + bin.objects,
            bytes: sum.bytes + bin.bytes,
        })
    }

    /// Who keeps objects for `reuse` finds them in others' bins, so that these must be cheap to claim for all.
    #[inline(always)]
    fn kind(&self, asymmetric: bool) -> Kind {
        if asymmetric && self.keep == 0 { Kind::Busy } else { Kind::Exchanged }
    }

    fn all(&self) -> impl Iterator<Item = &Bin> {
        // Acquire: pairs with the Release in `new_bin`, for the bin's contents.
        let mut next: *const More = self.more.load(Ordering::Acquire);
        let more = core::iter::from_fn(move || {
            // SAFETY: bins live as long as the garbage that `self` borrows.
            let more = unsafe { next.as_ref() }?;
            next = more.next;
            Some(&more.bin)
        });
        self.bins.all().chain(more)
    }

    /// Those in which there is something.
    fn filled(&self) -> impl Iterator<Item = &Bin> {
        self.all().filter(|bin| bin.is_filled())
    }

    /// A bin for the caller alone: its own, claimed so, if it can; else another, by an exchange.
    #[inline(always)]
    fn claim(&self, kind: Kind) -> Claim<'_> {
        let own = self.bins.get(Bin::new);
        own.and_then(|bin| bin.try_claim_own(kind)).unwrap_or_else(|| self.claim_more())
    }

    #[cold]
    #[inline(never)]
    fn claim_more(&self) -> Claim<'_> {
        // Acquire: as in `all`.
        let mut next: *const More = self.more.load(Ordering::Acquire);
        // SAFETY: as there.
        while let Some(more) = unsafe { next.as_ref() } {
            if let Some(claim) = more.bin.try_claim() {
                return claim;
            }
            next = more.next;
        }
        self.new_bin()
    }

    fn new_bin(&self) -> Claim<'_> {
        // Relaxed, here and on losing: nobody looks into it from here, and who finds our bin acquires those behind it with it (a
        // release sequence: the list's head is changed by exchanges only).
        let mut head = self.more.load(Ordering::Relaxed);
        let more = Box::into_raw(Box::new(More { bin: Bin::new_claimed(), next: head }));
        loop {
            // SAFETY: not published yet, so it is ours.
            unsafe { (*more).next = head };
            // Release: publishes the bin; pairs with the Acquire in `all`. Losing means that another bin came first.
            match self.more.compare_exchange(head, more, Ordering::Release, Ordering::Relaxed) {
                // SAFETY: bins live as long as the garbage; called for this one once.
                Ok(_) => return unsafe { (*more).bin.first_claim() },
                Err(newer) => head = newer,
            }
        }
    }

    /// Asks for those of the filled bins that are wanted and that nobody else asks for.
    fn ask_for(&self, wanted: impl Fn(&Bin) -> bool) -> Vec<Asked<'_>> {
        self.filled().filter(|bin| wanted(bin)).filter_map(Bin::ask).collect()
    }
}

impl<D: Domain> Drop for Garbage<D> {
    fn drop(&mut self) {
        let mut next = self.more.with_mut(|more| *more);
        let more = core::iter::from_fn(|| {
            if next.is_null() {
                return None;
            }
            // SAFETY: nobody shares the garbage any more, so the bin is ours; it came from `new_bin`.
            let more = unsafe { Box::from_raw(next) };
            next = more.next;
            Some(more.bin.take())
        });
        reclaim_all(self.bins.all().map(Bin::take).chain(more).flatten());
    }
}

impl<D: Domain> fmt::Debug for Garbage<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Garbage").field("backlog", &self.backlog()).finish_non_exhaustive()
    }
}
