//! A domain: its clock, and the list of the records in which threads announce that they are pinned.

use alloc::boxed::Box;
use core::cell::Cell;
use core::ptr;

use crossbeam_utils::CachePadded;

use crate::reclaim::{heavy, is_asymmetric, light};
use crate::sync::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, const_fn, recheck};
use crate::util::places::Place;

/// One step of the clock. The lowest bit is a record's mark that it is pinned, so that announcing is one store.
const STEP: usize = 2;
const PINNED: usize = 1;

/// A set of threads whose guards hold back each other's garbage; made by [`domain!`](crate::domain).
///
/// # Safety
///
/// `state` always returns the same state, which no other domain returns; `with_local` runs its argument on the
/// calling thread's own [`Local`] for that state, or returns `None` where the thread has none (any more);
/// `with_current` runs its argument on a cell of the calling thread and this domain that is null at first and that this
/// module alone writes, or on one that is forgotten at once.
///
/// # Examples
///
/// ```
/// use latchfree::Stack;
/// use latchfree::reclaim::{Epoch, Guard, epoch::Domain};
///
/// latchfree::domain! { struct Pool; }
///
/// fn drain<D: Domain>(stack: &Stack<u8, Epoch<D>>) -> usize {
///     let guard = Guard::<D>::pin();
///     std::iter::from_fn(|| stack.pop_with(&guard)).count()
/// }
/// let stack: Stack<u8, Epoch<Pool>> = Stack::default();
/// stack.push_all([1, 2, 3]);
/// assert_eq!(drain(&stack), 3);
/// ```
pub unsafe trait Domain: 'static + Sized {
    /// The domain's clock and records.
    #[doc(hidden)]
    fn state() -> &'static State;
    /// The calling thread's place in it.
    #[doc(hidden)]
    fn with_local<T>(f: impl FnOnce(&Local) -> T) -> Option<T>;
    /// What [`Local`] holds, in a thread-local without a destructor, which is cheaper to reach; null while it holds
    /// nothing, and after its own destructor.
    #[doc(hidden)]
    #[inline(always)]
    fn with_current<T>(f: impl FnOnce(&Cell<*const Record>) -> T) -> Option<T> {
        Some(f(&Cell::new(ptr::null())))
    }
}

/// Makes a domain of its own, whose garbage no foreign guard can hold back.
///
/// # Examples
///
/// ```
/// use latchfree::{Queue, reclaim::Epoch};
///
/// latchfree::domain! {
///     /// Only the broker's own threads pin here.
///     pub struct Broker;
/// }
///
/// let queue: Queue<u32, Epoch<Broker>> = Queue::default();
/// queue.push(1);
/// assert_eq!(queue.pop(), Some(1));
/// ```
#[macro_export]
macro_rules! domain {
    ($(#[$meta:meta])* $vis:vis struct $name:ident;) => {
        $(#[$meta])*
        $vis struct $name;

        // SAFETY: the global and the thread-local are this expansion's own, so no other domain has them.
        unsafe impl $crate::reclaim::epoch::Domain for $name {
            fn state() -> &'static $crate::__private::State {
                $crate::__global!($crate::__private::State, $crate::__private::State::new())
            }
            $crate::__with_local!($name);
        }
    };
}

/// The thread-local half of a domain, absent without `std`.
#[cfg(all(feature = "std", not(any(latchfree_loom, latchfree_stall))))]
#[doc(hidden)]
#[macro_export]
macro_rules! __with_local {
    ($name:ident) => {
        #[inline]
        fn with_local<T>(f: impl FnOnce(&$crate::__private::Local) -> T) -> Option<T> {
            $crate::__local!(LOCAL: $crate::__private::Local = $crate::__private::Local::new(|| {
                <$name as $crate::reclaim::epoch::Domain>::with_current(|current| current.set(::core::ptr::null()));
            }));
            LOCAL.try_with(f).ok()
        }
        #[inline(always)]
        fn with_current<T>(
            f: impl FnOnce(&::core::cell::Cell<*const $crate::__private::Record>) -> T,
        ) -> Option<T> {
            $crate::__local!(
                CURRENT: ::core::cell::Cell<*const $crate::__private::Record>
                    = ::core::cell::Cell::new(::core::ptr::null())
            );
            CURRENT.try_with(f).ok()
        }
    };
}
/// In models the one thread-local does, for its loads are not counted.
#[cfg(any(latchfree_loom, latchfree_stall))]
#[doc(hidden)]
#[macro_export]
macro_rules! __with_local {
    ($name:ident) => {
        fn with_local<T>(f: impl FnOnce(&$crate::__private::Local) -> T) -> Option<T> {
            $crate::__local!(LOCAL: $crate::__private::Local = $crate::__private::Local::new(|| ()));
            LOCAL.try_with(f).ok()
        }
    };
}
/// Without thread-locals every thread is one that has none.
#[cfg(not(any(feature = "std", latchfree_loom, latchfree_stall)))]
#[doc(hidden)]
#[macro_export]
macro_rules! __with_local {
    ($name:ident) => {
        fn with_local<T>(_: impl FnOnce(&$crate::__private::Local) -> T) -> Option<T> {
            None
        }
    };
}

crate::domain! {
    /// The domain of the process, in which everybody pins who does not say otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::reclaim::{Guard, epoch::Global};
    ///
    /// let guard: Guard<Global> = latchfree::pin();
    /// assert_eq!(size_of_val(&guard), size_of::<usize>());
    /// ```
    #[derive(Debug)]
    pub struct Global;
}

/// A domain's clock and records.
#[derive(Debug)]
pub struct State {
    /// Even, moves by [`STEP`]; written by whoever advances, read by everybody who pins.
    clock: CachePadded<AtomicUsize>,
    /// Oldest first, so that those with small numbers are used again first; records are appended and never leave.
    records: AtomicPtr<Record>,
    count: AtomicUsize,
}

/// Where one participant announces. Two lines: foreign scans must not slow the owner's neighbours.
#[derive(Debug)]
#[repr(align(128))]
pub struct Record {
    /// The epoch it is pinned at, with [`PINNED`]; 0 while it is not pinned. Written by the owner only.
    announced: AtomicUsize,
    /// Somebody owns it.
    claimed: AtomicBool,
    /// Which barriers are in force, beside what else a guard reads; decided once for the process, before there is a record.
    asymmetric: bool,
    /// The place of its number in the domain.
    pub(super) place: Place,
    /// The record appended after this one.
    next: AtomicPtr<Record>,
    // The rest belongs to the owner, whoever claimed it.
    /// How many guards it has; it is pinned while there is one. With [`ORPHANED`] once its owner has gone.
    pub(super) depth: Cell<usize>,
}

/// The mark in a record's depth that the last guard to end gives the record back. In one word with the count, so that
/// the end of a guard tests for both at once.
pub(super) const ORPHANED: usize = 1 << (usize::BITS - 1);

// SAFETY: the cells are written by the claiming owner only; ownership passes by `claimed`, released with
// `Release` and taken with `Acquire`. A record is reached from another thread only for its atomics.
unsafe impl Sync for Record {}

impl State {
    const_fn! {
        /// A domain without participants.
        #[must_use]
        #[allow(clippy::new_without_default, reason = "for the macro only")]
        pub const fn new() -> Self {
            Self {
                clock: CachePadded::new(AtomicUsize::new(0)),
                records: AtomicPtr::new(ptr::null_mut()),
                count: AtomicUsize::new(0),
            }
        }
    }

    /// Announces that the record's owner is in a critical section, at the epoch that the clock shows.
    #[inline(always)]
    pub(super) fn enter(&self, record: &Record) {
        // Relaxed: it is kept only if `announce` reads it again, and acquires it.
        let epoch = self.clock.load(Ordering::Relaxed);
        let now = self.announce(record, epoch);
        if !recheck(now == epoch) {
            self.enter_again(record, now);
        }
    }

    /// Announces an epoch and returns what the clock shows then.
    #[inline(always)]
    fn announce(&self, record: &Record, epoch: usize) -> usize {
        // Release: keeps what the owner did in an earlier critical section before this announcement, which a scan
        // may read instead of the 0 that ended that section.
        record.announced.store(epoch | PINNED, Ordering::Release);
        // Against the heavy barrier in `try_advance`: either its scan sees the announcement, or we see its clock.
        light(record.asymmetric);
        // Acquire: pairs with the Release in `try_advance`; what happened before the epoch began happens before what
        // we read from here on (invariant 2).
        self.clock.load(Ordering::Acquire)
    }

    /// The clock moved meanwhile: other threads made progress. Announces what it shows now.
    #[cold]
    fn enter_again(&self, record: &Record, mut epoch: usize) {
        loop {
            let now = self.announce(record, epoch);
            if now == epoch {
                return;
            }
            epoch = now;
        }
    }

    /// Announces again if the clock has moved since.
    #[inline]
    pub(super) fn reenter(&self, record: &Record) {
        // Relaxed: only whether it moved; `enter` reads it again.
        if self.clock.load(Ordering::Relaxed) != record.epoch() {
            self.enter(record);
        }
    }

    /// Moves the clock one step if every pinned participant has seen where it stands.
    #[cold]
    pub(super) fn try_advance(&self) -> bool {
        // Relaxed: whoever acquires the clock acquires every step up to there, because it is changed by exchanges only (a
        // release sequence). Nothing that is read below depends on earlier steps.
        let epoch = self.clock.load(Ordering::Relaxed);
        let is_behind = |announced: usize| announced & PINNED != 0 && announced != epoch | PINNED;
        // Without a barrier it is often known already that there is no way: of timers in an `OrderedMap` set by 4 threads on 2 cores,
        // where the threads that do not run are pinned as a rule, 95 of 100 attempts end here. Models have no use for it.
        // Relaxed: nothing follows on what is seen but that this attempt is given up.
        let seen = |record: &Record| record.announced.load(Ordering::Relaxed);
        if !cfg!(latchfree_loom) && self.records().any(|record| is_behind(seen(record))) || !heavy() {
            return false;
        }
        for record in self.records() {
            // Acquire: pairs with the Release in `enter` and `leave`; what the owner did in the critical section that
            // it left happens before the step.
            if is_behind(record.announced.load(Ordering::Acquire)) {
                return false;
            }
        }
        // Release: pairs with the Acquire loads of the clock (invariant 2). Losing means that somebody else moved the clock, by
        // the same step. No model can tell: what came before the heavy barrier is released by its fence already, and for what
        // only the scan acquired, a reader, a mover and a third who frees are needed, more than loom explores in minutes.
        self.clock
            .compare_exchange(epoch, epoch.wrapping_add(STEP), Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    /// True if an object retired at `tag` may be reclaimed: the clock is three steps on.
    ///
    /// The difference is taken as signed, so that the clock may wrap: what waits for half its range counts as young.
    #[inline]
    pub(super) fn is_past(tag: usize, clock: usize) -> bool {
        clock.wrapping_sub(tag) as isize >= 3 * STEP as isize
    }

    #[inline]
    pub(super) fn clock(&self) -> usize {
        // Acquire: pairs with the Release in `try_advance`; the critical sections that ended before this epoch happen
        // before what is reclaimed now.
        self.clock.load(Ordering::Acquire)
    }

    /// How many records there are: what one scan costs.
    #[inline]
    pub(super) fn participants(&self) -> usize {
        // Relaxed: a measure only.
        self.count.load(Ordering::Relaxed)
    }

    fn records(&self) -> impl Iterator<Item = &'static Record> {
        let mut link = &self.records;
        core::iter::from_fn(move || {
            // Acquire: pairs with the Release of `register`, for the record's contents.
            // SAFETY: records are never freed.
            let record = unsafe { link.load(Ordering::Acquire).as_ref::<'static>() }?;
            link = &record.next;
            Some(record)
        })
    }

    /// A record that the caller owns: the first that was given back, or a new one.
    #[cold]
    pub(super) fn register(&self) -> &'static Record {
        let mut number = 0;
        let mut link = &self.records;
        for record in self.records() {
            if record.claim() {
                return record;
            }
            number += 1;
            link = &record.next;
        }
        let new = Box::into_raw(Box::new(Record {
            announced: AtomicUsize::new(0),
            claimed: AtomicBool::new(true),
            asymmetric: is_asymmetric(),
            place: Place::new(number),
            next: AtomicPtr::new(ptr::null_mut()),
            depth: Cell::new(0),
        }));
        loop {
            // SAFETY: nobody else has it yet.
            unsafe { (*new).place = Place::new(number) };
            // Release: publishes the record; pairs with the Acquire loads of the list. Losing means that another record was
            // appended: ours comes after that one, whose link is acquired.
            match link.compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Acquire) {
                Ok(_) => {
                    // Relaxed: a measure only.
                    self.count.fetch_add(1, Ordering::Relaxed);
                    // SAFETY: records are never freed.
                    return unsafe { &*new };
                }
                Err(appended) => {
                    number += 1;
                    // SAFETY: as above.
                    link = unsafe { &(*appended).next };
                }
            }
        }
    }
}

impl Record {
    /// Makes the caller its owner, if there is none.
    fn claim(&self) -> bool {
        // Relaxed first look. Acquire on success: takes over the cells that the last owner released. Losing means that another
        // thread owns it now.
        !self.claimed.load(Ordering::Relaxed)
            && self.claimed.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// The epoch at which it is pinned; meaningful to its owner.
    #[inline]
    pub(super) fn epoch(&self) -> usize {
        // Relaxed: the owner's own store.
        self.announced.load(Ordering::Relaxed) & !PINNED
    }

    /// How many guards there are.
    #[inline]
    pub(super) fn guards(&self) -> usize {
        self.depth.get() & !ORPHANED
    }

    /// Ends the critical section.
    #[inline(always)]
    pub(super) fn leave(&self) {
        // Release: what was read and written in the critical section happens before an advance that sees this.
        self.announced.store(0, Ordering::Release);
    }

    /// Ends the critical section of the last guard after the owner has gone, and the ownership.
    #[cold]
    pub(super) fn leave_for_good(&self) {
        self.leave();
        self.give_back();
    }

    /// The owner goes: now if it is not pinned, else with the last guard (never, if that was leaked).
    pub(super) fn orphan(&self) {
        if self.depth.get() == 0 {
            self.give_back();
        } else {
            self.depth.set(self.depth.get() | ORPHANED);
        }
    }

    #[cold]
    fn give_back(&self) {
        self.depth.set(0);
        // Release: hands the cells over; pairs with the Acquire in `register`.
        self.claimed.store(false, Ordering::Release);
    }
}

/// A thread's place in a domain: the record that it registered, given back at thread exit.
#[derive(Debug)]
pub struct Local {
    pub(super) record: Cell<*const Record>,
    /// Makes the thread forget what it has of this place elsewhere.
    forget: fn(),
}

impl Local {
    /// A place without a record; pinning for the first time takes one.
    #[must_use]
    pub const fn new(forget: fn()) -> Self {
        Self { record: Cell::new(ptr::null()), forget }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        (self.forget)();
        // SAFETY: records are never freed, and this one is ours.
        if let Some(record) = unsafe { self.record.get().as_ref() } {
            record.orphan();
        }
    }
}
