//! Guards: the proof that a participant is pinned, in the three ways to hold one.
//!
//! A thread's own participant lives in a thread-local and is what [`Guard::pin`] uses. [`OwnedGuard`] and
//! [`Participant`] own a record each and can move between threads. All of them are used as a `&Guard`.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;

use super::domain::{Domain, Global, ORPHANED, Record};

/// Proof that the current thread is pinned: what it reads from a structure of the domain stays allocated.
///
/// Nested guards cost a counter. Dropping the last one ends the critical section; a guard that is leaked never does,
/// and stops reclamation in its domain for good. Neither `Send` nor `Sync`; see [`OwnedGuard`] for one that moves.
///
/// # Examples
///
/// ```
/// let map: latchfree::HashMap<_, _> = [(1, "one".to_string())].into();
/// let guard = latchfree::pin();
/// let one = map.get(&1, &guard).unwrap();
/// map.remove(&1, &guard);
/// map.collect();
/// assert_eq!(one, "one"); // not freed while the guard is there
/// drop(guard);
/// map.collect();
/// ```
#[must_use = "an unused guard ends its critical section at once"]
pub struct Guard<D: Domain = Global> {
    record: &'static Record,
    /// The record's cells are this thread's.
    _not_send: PhantomData<(*mut (), D)>,
}

impl<D: Domain> Guard<D> {
    /// Pins the current thread.
    ///
    /// A thread's first guard registers it, which may allocate. Without the `std` feature, and in the destructors of
    /// thread-locals after the thread's own participant has gone, the guard borrows a record for as long as it lives,
    /// which costs a compare-exchange.
    ///
    /// # Examples
    ///
    /// ```
    /// let guard = latchfree::pin();
    /// let nested = latchfree::pin(); // a counter only
    /// drop(guard);
    /// drop(nested); // now the thread is no longer pinned
    /// ```
    #[inline]
    pub fn pin() -> Self {
        // SAFETY: records are never freed.
        match D::with_current(Cell::get).and_then(|record| unsafe { record.as_ref() }) {
            Some(record) => Self::enter(record),
            None => Self::first(),
        }
    }

    /// See [`Reclaim::briefly`](crate::reclaim::Reclaim::briefly): without counting guards, for there is no other in it.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(super) unsafe fn briefly<T>(f: impl FnOnce(&Self) -> T) -> T {
        // SAFETY: the caller's promise is the same.
        let Some(guard) = (unsafe { Self::uncounted() }) else { return Self::nested(f) };
        let result = f(&guard);
        // SAFETY: it is one.
        unsafe { guard.end_uncounted() };
        result
    }

    /// See [`Reclaim::enter`](crate::reclaim::Reclaim::enter): the thread's only guard, and so not counted.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(super) unsafe fn uncounted() -> Option<Self> {
        // SAFETY: records are never freed.
        let record = D::with_current(Cell::get).and_then(|record| unsafe { record.as_ref() })?;
        if record.depth.get() != 0 {
            return None;
        }
        D::state().enter(record);
        Some(Self { record, _not_send: PhantomData })
    }

    /// Ends the critical section of a guard that was not counted.
    ///
    /// # Safety
    ///
    /// It came from `uncounted`.
    #[inline(always)]
    pub(super) unsafe fn end_uncounted(self) {
        ManuallyDrop::new(self).record.leave();
    }

    /// As `briefly`, where a guard has to be counted.
    #[cold]
    #[inline(never)]
    fn nested<T>(f: impl FnOnce(&Self) -> T) -> T {
        f(&Self::pin())
    }

    /// The thread's first guard, or one after its participant has gone.
    #[cold]
    fn first() -> Self {
        let record = D::with_local(|local| {
            if local.record.get().is_null() {
                local.record.set(D::state().register());
            }
            // SAFETY: records are never freed.
            unsafe { &*local.record.get() }
        });
        let Some(record) = record else { return Self::borrowed() };
        D::with_current(|current| current.set(record));
        Self::enter(record)
    }

    #[inline(always)]
    fn enter(record: &'static Record) -> Self {
        let depth = record.depth.get();
        if depth == 0 {
            D::state().enter(record);
        }
        record.depth.set(depth + 1);
        Self { record, _not_send: PhantomData }
    }

    /// A guard with a record of its own, given back when it ends.
    #[cold]
    fn borrowed() -> Self {
        let record = D::state().register();
        let guard = Self::enter(record);
        // There is no owner but the guard.
        record.orphan();
        guard
    }

    /// Ends the critical section and begins a new one, in one step and more cheaply if the clock stands still.
    ///
    /// References that were lent under this guard end here, which is why it is borrowed mutably. Does nothing while
    /// the thread holds another guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut guard = latchfree::pin();
    /// for _ in 0..1000 {
    ///     // ... work that may take long in all ...
    ///     guard.repin(); // lets others reclaim
    /// }
    /// ```
    #[inline]
    pub fn repin(&mut self) {
        if self.record.guards() == 1 {
            D::state().reenter(self.record);
        }
    }

    /// Tries to move the domain's clock one step, and tells whether it did.
    ///
    /// Costs a heavy barrier and a look at every participant. Freeing is up to the structures; see their `collect`.
    ///
    /// # Examples
    ///
    /// ```
    /// latchfree::domain! { struct Mine; }
    ///
    /// let guard = latchfree::reclaim::Guard::<Mine>::pin();
    /// assert!(guard.flush()); // nobody else is pinned here
    /// assert!(!guard.flush()); // we are, a step behind
    /// ```
    pub fn flush(&self) -> bool {
        D::state().try_advance()
    }

    #[inline(always)]
    pub(super) fn record(&self) -> &'static Record {
        self.record
    }
}

impl<D: Domain> Drop for Guard<D> {
    #[inline]
    fn drop(&mut self) {
        let depth = self.record.depth.get() - 1;
        self.record.depth.set(depth);
        if depth == 0 {
            self.record.leave();
        } else if depth == ORPHANED {
            self.record.leave_for_good();
        }
    }
}

impl<D: Domain> fmt::Debug for Guard<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("epoch", &self.record.epoch()).finish_non_exhaustive()
    }
}

/// A guard that can move to another thread: for async tasks, which may be resumed on any.
///
/// It owns a participant of its own, so getting one costs a compare-exchange and a walk over those in use.
///
/// # Examples
///
/// ```
/// let guard = latchfree::pin_owned();
/// let queue = latchfree::Queue::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let guard = guard; // moved here
///         queue.push_with(7, &guard);
///     });
/// });
/// assert_eq!(queue.pop(), Some(7));
/// ```
#[must_use = "an unused guard ends its critical section at once"]
pub struct OwnedGuard<D: Domain = Global>(Guard<D>);

// SAFETY: its record belongs to nobody else (`Guard::borrowed`), so the cells move with it. It is not `Sync`, and it
// never gives out `&mut Guard`, so the inner guard cannot be swapped for one that is bound to a thread.
unsafe impl<D: Domain> Send for OwnedGuard<D> {}

impl<D: Domain> OwnedGuard<D> {
    /// Pins a participant of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// let guard: latchfree::OwnedGuard = latchfree::OwnedGuard::pin();
    /// let queue: latchfree::Queue<_> = [1].into_iter().collect();
    /// assert_eq!(queue.pop_with(&guard), Some(1));
    /// ```
    pub fn pin() -> Self {
        Self(Guard::borrowed())
    }

    /// As [`Guard::repin`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [(1, 1)].into();
    /// let mut guard = latchfree::pin_owned();
    /// map.remove(&1, &guard);
    /// guard.repin(); // between two awaits, say
    /// assert_eq!(map.get(&1, &guard), None);
    /// ```
    pub fn repin(&mut self) {
        self.0.repin();
    }
}

impl<D: Domain> Deref for OwnedGuard<D> {
    type Target = Guard<D>;

    #[inline]
    fn deref(&self) -> &Guard<D> {
        &self.0
    }
}

impl<D: Domain> fmt::Debug for OwnedGuard<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedGuard").field(&self.0).finish()
    }
}

/// A participant that is held explicitly instead of in a thread-local: for `no_std`, and for tasks that share a
/// thread and must not share a critical section.
///
/// # Examples
///
/// ```
/// use latchfree::{Queue, reclaim::Participant};
///
/// let participant: Participant = Participant::register();
/// let queue = Queue::new();
/// queue.push_with("job", &participant.pin());
/// assert_eq!(queue.pop_with(&participant.pin()), Some("job"));
/// ```
pub struct Participant<D: Domain = Global> {
    record: &'static Record,
    _domain: PhantomData<(*mut (), D)>,
}

// SAFETY: the record belongs to this participant alone. It cannot move while a `ParticipantGuard` borrows it, and it is
// not `Sync`, so the record's cells are used by one thread at a time.
unsafe impl<D: Domain> Send for Participant<D> {}

impl<D: Domain> Participant<D> {
    /// Takes a record that was given back, or a new one; lock-free, a walk over the records in use.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::reclaim::Participant;
    ///
    /// let task: Participant = Participant::register();
    /// std::thread::spawn(move || latchfree::Queue::new().push_with("moved", &task.pin())).join().unwrap();
    /// ```
    #[must_use]
    pub fn register() -> Self {
        Self { record: D::state().register(), _domain: PhantomData }
    }

    /// Pins this participant.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::reclaim::Participant;
    ///
    /// let (one, other): (Participant, Participant) = (Participant::register(), Participant::register());
    /// let guard = one.pin();
    /// assert_eq!(format!("{other:?}"), "Participant { pinned: false, .. }"); // each has a critical section of its own
    /// drop(guard);
    /// ```
    #[inline]
    pub fn pin(&self) -> ParticipantGuard<'_, D> {
        ParticipantGuard { guard: Guard::enter(self.record), _participant: PhantomData }
    }
}

impl<D: Domain> Drop for Participant<D> {
    fn drop(&mut self) {
        // A leaked guard keeps the record pinned and out of use.
        self.record.orphan();
    }
}

impl<D: Domain> fmt::Debug for Participant<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant").field("pinned", &(self.record.guards() > 0)).finish_non_exhaustive()
    }
}

/// A [`Participant`]'s guard.
///
/// # Examples
///
/// ```
/// use latchfree::reclaim::{Participant, ParticipantGuard};
///
/// let participant: Participant = Participant::register();
/// let guard: ParticipantGuard<'_> = participant.pin();
/// let stack = latchfree::Stack::new();
/// stack.push_with(1, &guard);
/// assert_eq!(stack.pop_with(&guard), Some(1));
/// ```
#[must_use = "an unused guard ends its critical section at once"]
pub struct ParticipantGuard<'p, D: Domain = Global> {
    guard: Guard<D>,
    _participant: PhantomData<&'p Participant<D>>,
}

impl<D: Domain> ParticipantGuard<'_, D> {
    /// As [`Guard::repin`].
    ///
    /// # Examples
    ///
    /// ```
    /// let participant = latchfree::reclaim::Participant::<latchfree::reclaim::epoch::Global>::register();
    /// let map: latchfree::HashMap<_, _> = [(1, 1)].into();
    /// let mut guard = participant.pin();
    /// map.remove(&1, &guard);
    /// guard.repin();
    /// assert_eq!(map.get(&1, &guard), None);
    /// ```
    pub fn repin(&mut self) {
        self.guard.repin();
    }
}

impl<D: Domain> Deref for ParticipantGuard<'_, D> {
    type Target = Guard<D>;

    #[inline]
    fn deref(&self) -> &Guard<D> {
        &self.guard
    }
}

impl<D: Domain> fmt::Debug for ParticipantGuard<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ParticipantGuard").field(&self.guard).finish()
    }
}
