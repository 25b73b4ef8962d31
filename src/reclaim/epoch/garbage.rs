//! Where one structure's retired objects wait, and how they are freed a few at a time.
//!
//! ```text
//!   Garbage    a bin for each participant   [ bin | bin | bin ]     a bin: oldest [o o o o] [o o o o] [o o . .] newest
//!              shared, for all others       bin -> bin                      ^ freed from here, when the clock is past their tag
//! ```
//! Who retires works in the bin of its participant, by plain loads and stores ([`bin`](super::bin)). Shared bins are claimed by
//! an exchange for a few instructions: by participants without a bin of their own (those after the 127th), or whose bin is being
//! emptied by another that moment; and always where objects are kept for [`reuse`](Garbage::reuse), for these must be found by all.
//! Claiming never waits: a bin that is taken is passed over, and when all are, a new one is made. So there are at most as many shared
//! bins as threads ever worked in one at one moment, and a structure that never retires has no bins at all.
//!
//! What a participant leaves behind, by exiting or by retiring no more, becomes that of another who does: a bin into which
//! nothing came for three steps of the clock is asked for, and taken three steps later. A thread that stops for good while it has
//! taken a bin is pinned and holds back all reclamation anyway; it keeps the bin, and nobody waits for it.
//!
//! **When the clock moves.** A thread tries to advance it when it has retired so many objects or bytes since the clock moved,
//! by whoever's advance. So with any number of threads the cost is one heavy barrier for so many retirements, and what
//! waits is at most four times as much (three steps and the current one) for each thread, while none stays pinned.
//!
//! **Invariants**: no user code runs while a bin is open. Within a bin tags are almost in order: they may be some steps off,
//! which delays an object behind its neighbour and frees none early.
//!
//! **Who frees what**: `retire`, at most four objects a call, on the retiring thread; `collect`, all that may be, of all bins
//! but those into which something came since; `drop`, all. Bins live until then.

use alloc::boxed::Box;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use super::bin::{Batch, Bin, Open, reclaim_all};
use super::chunks::Tagged;
use super::domain::{Domain, Global};
use super::guard::Guard;
use crate::reclaim::{Backlog, Retired};
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, Ordering, const_fn};
use crate::util::places::Places;

/// An advance is tried after so many retirements, and one more for each participant that a scan would visit: on a virtual
/// machine with 2 cores a `membarrier` took 0.2 us alone and 4.8 us while another thread ran, so this is at most about
/// 10 ns a retirement.
const ADVANCE_OBJECTS: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 1 } else { 512 };
/// ... or after so many retired bytes, whichever comes first, so that large objects do not pile up. Pairs on a queue of `u64`
/// with 2 threads took 14.9 ns an operation with 16 KiB and 11.5 with 64; where threads take turns at 10 ns a pair, a step
/// every 32 KiB is 2 to 4 ns of it, every 64 KiB 1 to 2. With 128 KiB there was no difference beyond the noise. Replacing values of
/// 1 KiB in a `HashMap` took one thread 74 ns with 64 KiB, 89 with 256 and 96 with 1024, since more of what waits is in no cache
/// any more; two threads were as fast with all three.
const ADVANCE_BYTES: usize = 64 << 10;

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
    own: Places<Bin>,
    shared: AtomicPtr<Shared>,
    /// Up to so many reclaimable objects are left in a bin for `reuse`.
    keep: usize,
    _domain: PhantomData<fn(D)>,
}

struct Shared {
    bin: Bin,
    /// The one prepended before this one; written before this one is published.
    next: *mut Shared,
}

// SAFETY: what it holds are unlinked objects; the structure that owns the garbage answers for sending them (contract of
// `Reclaim::retire`, clause 2).
unsafe impl<D: Domain> Send for Garbage<D> {}
// SAFETY: as above; the list of bins only grows.
unsafe impl<D: Domain> Sync for Garbage<D> {}

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
                own: Places::new(),
                shared: AtomicPtr::new(ptr::null_mut()),
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
        let clock = D::state().clock();
        let open = self.open(guard);
        let tagged = Tagged { retired: Retired { object, reclaim, bytes }, epoch: guard.record().epoch() };
        let advance = open.push(tagged, clock, |objects, bytes| {
            bytes >= ADVANCE_BYTES
                || objects >= ADVANCE_OBJECTS && objects >= ADVANCE_OBJECTS + D::state().participants()
        });
        let mut batch = Batch::new();
        open.fill(&mut batch, clock, self.keep);
        let closed = open.close();
        if advance {
            self.advance(clock, guard);
        }
        closed.reclaim(&mut batch);
    }

    /// Tries to move the clock, and takes over what others have left.
    #[cold]
    #[inline(never)]
    fn advance(&self, clock: usize, guard: &Guard<D>) {
        D::state().try_advance();
        for bin in self.others(guard).filter(|bin| bin.is_left(clock)) {
            match bin.take(clock) {
                Some(left) => self.adopt(left, clock, guard),
                // SAFETY: the guard's epoch.
                None => unsafe { bin.ask(guard.record().epoch()) },
            }
        }
        // What came here because a bin was being emptied that moment.
        if self.keep == 0 {
            let left = self.shared().filter(|bin| bin.is_left(clock)).filter_map(Bin::take_shared);
            left.for_each(|left| self.adopt(left, clock, guard));
        }
    }

    /// Moves what is in a bin to where the caller retires.
    fn adopt(&self, left: Open<'_>, clock: usize, guard: &Guard<D>) {
        let contents = left.empty();
        drop(left);
        self.open(guard).adopt(contents, clock);
    }

    /// See [`Reclaim::reuse`](crate::reclaim::Reclaim::reuse).
    pub(super) fn reuse(&self, guard: &Guard<D>) -> Option<NonNull<u8>> {
        let clock = D::state().clock();
        let own = || self.open_own(guard)?.pop_past(clock);
        let object = own().or_else(|| self.shared().find_map(|bin| bin.take_shared()?.pop_past(clock)));
        Some(object?.object)
    }

    /// See [`Reclaim::collect`](crate::reclaim::Reclaim::collect).
    pub(super) fn collect(&self) {
        let guard = Guard::<D>::pin();
        for bin in self.others(&guard).filter(|bin| bin.is_used()) {
            // SAFETY: the guard's epoch.
            unsafe { bin.ask(guard.record().epoch()) };
        }
        drop(guard);
        // Three steps make all that is unprotected now reclaimable, and all bins that nobody came back to; the first that fails
        // ends it.
        for _ in 0..3 {
            if !D::state().try_advance() {
                break;
            }
        }
        let mut guard = Guard::<D>::pin();
        let clock = D::state().clock();
        let taken = self.others(&guard).filter_map(|bin| bin.take(clock));
        taken.for_each(|taken| self.adopt(taken, clock, &guard));
        reclaim_from(|| self.open_own(&guard), clock);
        guard.repin();
        for bin in self.shared() {
            reclaim_from(|| bin.take_shared(), clock);
            guard.repin();
        }
    }

    /// What waits here.
    #[must_use]
    pub(super) fn backlog(&self) -> Backlog {
        let bins = self.own.all().map(|(_, bin)| bin).chain(self.shared());
        bins.map(Bin::backlog).fold(Backlog::default(), |sum, bin| Backlog {
            objects: sum.objects + bin.objects,
            bytes: sum.bytes + bin.bytes,
        })
    }

    /// All participants' bins but the caller's.
    fn others(&self, guard: &Guard<D>) -> impl Iterator<Item = &Bin> {
        let own = guard.record().place;
        self.own.all().filter_map(move |(place, bin)| (place != own).then_some(bin))
    }

    fn shared(&self) -> impl Iterator<Item = &Bin> {
        // Acquire: pairs with the Release in `new_bin`, for the bin's contents.
        let mut next: *const Shared = self.shared.load(Ordering::Acquire);
        core::iter::from_fn(move || {
            // SAFETY: bins live as long as the garbage that `self` borrows.
            let shared = unsafe { next.as_ref() }?;
            next = shared.next;
            Some(&shared.bin)
        })
    }

    /// A bin for the caller, as long as the guard lasts.
    #[inline(always)]
    fn open<'a>(&'a self, guard: &'a Guard<D>) -> Open<'a> {
        self.open_own(guard).unwrap_or_else(|| self.open_elsewhere(guard))
    }

    /// The participant's own, if there is one.
    #[inline(always)]
    fn open_own<'a>(&'a self, guard: &'a Guard<D>) -> Option<Open<'a>> {
        let bin = self.own.get(guard.record().place)?;
        // SAFETY: the record's owner is the caller, who lends us the guard; `PhantomData` keeps a guard with its thread.
        unsafe { bin.enter() }
    }

    /// The participant's own if there is none yet, or a shared one.
    #[inline(never)]
    fn open_elsewhere<'a>(&'a self, guard: &'a Guard<D>) -> Open<'a> {
        if self.keep == 0 && self.own.get(guard.record().place).is_none() {
            self.own.make(guard.record().place, Bin::new);
            if let Some(open) = self.open_own(guard) {
                return open;
            }
        }
        self.shared().find_map(Bin::take_shared).unwrap_or_else(|| self.new_bin())
    }

    #[cold]
    fn new_bin(&self) -> Open<'_> {
        // Relaxed, here and on losing: nobody looks into it from here, and who finds our bin acquires those behind it with it (a
        // release sequence: the list's head is changed by exchanges only).
        let mut head = self.shared.load(Ordering::Relaxed);
        let shared = Box::into_raw(Box::new(Shared { bin: Bin::taken(), next: head }));
        loop {
            // SAFETY: not published yet, so it is ours.
            unsafe { (*shared).next = head };
            // Release: publishes the bin; pairs with the Acquire in `shared`. Losing means that another bin came first.
            match self.shared.compare_exchange(head, shared, Ordering::Release, Ordering::Relaxed) {
                // SAFETY: bins live as long as the garbage; made by `taken`, and opened once.
                Ok(_) => return unsafe { (*shared).bin.open_taken() },
                Err(newer) => head = newer,
            }
        }
    }
}

/// Reclaims all in a bin that the clock is past; one that has nothing else gives its memory back.
fn reclaim_from<'a>(open: impl Fn() -> Option<Open<'a>>, clock: usize) {
    while let Some(open) = open() {
        let mut batch = Batch::new();
        open.fill(&mut batch, clock, 0);
        if batch.is_empty() {
            if open.backlog().objects == 0 {
                drop(open.empty());
            }
            break;
        }
        open.close().reclaim(&mut batch);
    }
}

impl<D: Domain> Drop for Garbage<D> {
    fn drop(&mut self) {
        let mut next = self.shared.with_mut(|shared| *shared);
        let shared = core::iter::from_fn(|| {
            if next.is_null() {
                return None;
            }
            // SAFETY: nobody shares the garbage any more, so the bin is ours; it came from `new_bin`.
            let shared = unsafe { Box::from_raw(next) };
            next = shared.next;
            // SAFETY: as above.
            Some(unsafe { shared.bin.rest() })
        });
        // SAFETY: as above.
        let own = self.own.all().map(|(_, bin)| unsafe { bin.rest() });
        reclaim_all(own.chain(shared).flatten());
    }
}

impl<D: Domain> fmt::Debug for Garbage<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Garbage").field("backlog", &self.backlog()).finish_non_exhaustive()
    }
}
