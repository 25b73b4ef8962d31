//! Memory reclamation: when may memory that other threads might still read be freed?
//!
//! A lock-free structure unlinks an object while other threads may hold pointers to it. It therefore *retires* the
//! object, and a reclaimer frees it once nobody can hold such a pointer. Threads say that they might by holding a
//! guard ([`pin`](crate::pin)): a guard costs a plain store and protects everything in its domain, so one guard serves
//! any number of structures.
//!
//! | reclaimer | a guard costs | garbage belongs to | bounds on `T` |
//! |---|---|---|---|
//! | [`Epoch`] (default) | a plain store, a load and a compare | its structure: freed by it, and all of it when it is dropped | none |
//! | [`Crossbeam`] | a locked instruction, or a fence | crossbeam-epoch's global collector | `Send + 'static` |
//!
//! # What a stalled thread costs
//!
//! A thread that stays pinned, stalled or with a leaked guard, holds back the reclamation of its whole domain, and
//! never anybody's progress. How much waits is visible on each structure (`backlog`). An isolated domain
//! ([`domain!`](crate::domain)) keeps foreign guards out.
//!
//! # fork, signals
//!
//! After `fork` the child has only the thread that forked; guards that the parent's other threads held at that
//! moment stay pinned in the child for ever: nothing is reclaimed there, and structures still work. Fork while no
//! other thread is pinned, or `exec`. `pin` is not async-signal-safe.

use core::ptr::NonNull;

mod barrier;
#[cfg(feature = "crossbeam")]
#[cfg(not(any(latchfree_loom, latchfree_stall)))]
mod crossbeam;
pub mod epoch;
mod gauge;

#[doc(inline)]
pub use self::barrier::{Barrier, BarrierChosen, barrier, choose_barrier};
pub(crate) use self::barrier::{heavy, is_asymmetric, light};
#[cfg(feature = "crossbeam")]
#[cfg(not(any(latchfree_loom, latchfree_stall)))]
#[doc(inline)]
pub use self::crossbeam::{Crossbeam, CrossbeamGarbage};
#[doc(inline)]
pub use self::epoch::{Epoch, Garbage, Guard, OwnedGuard, Participant, ParticipantGuard};
#[doc(inline)]
pub use self::gauge::Gauge;

/// An object that was unlinked and waits to be reclaimed.
///
/// # Examples
///
/// ```
/// use latchfree::reclaim::Retired;
/// use std::ptr::NonNull;
///
/// /// A box as garbage.
/// fn retired<T>(object: Box<T>) -> Retired {
///     unsafe fn free<T>(object: NonNull<u8>) {
///         // SAFETY: from `Box::into_raw`, and freed once.
///         drop(unsafe { Box::from_raw(object.cast::<T>().as_ptr()) });
///     }
///     let object = NonNull::from(Box::leak(object));
///     Retired { object: object.cast(), reclaim: free::<T>, bytes: size_of::<T>() }
/// }
///
/// let garbage = retired(Box::new([0_u64; 4]));
/// assert_eq!(garbage.bytes, 32);
/// // SAFETY: nobody shares it.
/// unsafe { (garbage.reclaim)(garbage.object) };
/// ```
#[derive(Debug)]
pub struct Retired {
    /// The object.
    pub object: NonNull<u8>,
    /// Frees it: its destructor and its memory.
    pub reclaim: unsafe fn(NonNull<u8>),
    /// What it occupies, in bytes, for the gauge and for how often reclamation is attempted.
    pub bytes: usize,
}

/// What a structure has retired and not yet freed; see [`Gauge`].
///
/// # Examples
///
/// ```
/// let queue = latchfree::Queue::new();
/// queue.push(1);
/// let backlog = queue.backlog();
/// assert_eq!((backlog.objects, backlog.bytes), (0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many objects.
    pub objects: usize,
    /// What they occupy, in bytes, without what their destructors would free besides.
    pub bytes: usize,
}

/// A reclamation scheme: the seam between the structures and the question when memory may be freed.
///
/// Users name one as a structure's last type parameter, or never, as with `HashMap`'s hasher.
///
/// # Safety
///
/// An implementation promises:
///
/// 1. An object passed to [`retire`](Self::retire) is reclaimed at most once, and only when for every guard `g` of
///    this reclaimer either the end of `g` happens before the reclamation, or the retiring call's earlier accesses
///    (the unlinking) happen before the start of `g`.
/// 2. Dropping a [`Garbage`](Self::Garbage) reclaims at once what it still holds, or leaves it to be reclaimed
///    under clause 1 if [`Accepts`] demands `'static`.
/// 3. An object is never reclaimed while `retire` still runs user code over half-made state: `reclaim` is called
///    with the reclaimer's own state consistent, and may itself pin, retire and panic.
/// 4. An object returned by [`reuse`](Self::reuse) was retired into the same garbage, satisfies clause 1, and is
///    not reclaimed as well.
/// 5. [`check`](Self::check) does not return if the guard protects nothing of this reclaimer's.
///
/// # Examples
///
/// ```
/// use latchfree::Queue;
/// use latchfree::reclaim::{Accepts, Reclaim};
///
/// /// Whatever reclaims its memory.
/// fn relay<R: Reclaim + Accepts<u32>>(jobs: impl Iterator<Item = u32>) -> Vec<u32> {
///     let queue: Queue<u32, R> = Queue::default();
///     let guard = R::pin();
///     jobs.for_each(|job| queue.push_with(job, &guard));
///     std::iter::from_fn(|| queue.pop_with(&guard)).collect()
/// }
/// assert_eq!(relay::<latchfree::Epoch>(0..3), [0, 1, 2]);
/// # #[cfg(feature = "crossbeam")]
/// assert_eq!(relay::<latchfree::reclaim::Crossbeam>(0..3), [0, 1, 2]);
/// ```
pub unsafe trait Reclaim: Sized + 'static {
    /// Proof that the caller is in a critical section.
    type Guard;
    /// Where one structure's retired objects wait.
    type Garbage;

    /// Enters a critical section; it lasts as long as the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::{Epoch, reclaim::Reclaim};
    ///
    /// let map: latchfree::HashMap<_, _> = [(1, "one")].into();
    /// let guard = <Epoch>::pin(); // as `latchfree::pin()`
    /// assert_eq!(map.get(&1, &guard), Some(&"one"));
    /// ```
    fn pin() -> Self::Guard;

    /// Runs `f` in a critical section of its own, as short as that: what a structure does inside one operation.
    ///
    /// # Safety
    ///
    /// `f` neither pins nor panics, and runs no user code.
    #[doc(hidden)]
    #[inline(always)]
    unsafe fn briefly<T>(f: impl FnOnce(&Self::Guard) -> T) -> T {
        f(&Self::pin())
    }

    /// A guard for what a structure does inside one operation, or `None` where it has to be pinned after all. To be given back by
    /// [`leave`](Self::leave), not dropped.
    ///
    /// # Safety
    ///
    /// Until it is given back, the thread neither pins nor panics, and runs no user code.
    #[doc(hidden)]
    #[inline(always)]
    unsafe fn enter() -> Option<Self::Guard> {
        Some(Self::pin())
    }

    /// The end of a guard of [`enter`](Self::enter).
    ///
    /// # Safety
    ///
    /// It is one.
    #[doc(hidden)]
    #[inline(always)]
    unsafe fn leave(guard: Self::Guard) {
        drop(guard);
    }

    /// Ends the guard's critical section and begins a new one, if the guard is the only one of its kind here.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::{Epoch, reclaim::Reclaim};
    ///
    /// let queue: latchfree::Queue<_> = (0..100).collect();
    /// let mut guard = <Epoch>::pin();
    /// while queue.pop_with(&guard).is_some() {
    ///     <Epoch>::repin(&mut guard); // lets others reclaim
    /// }
    /// assert!(queue.is_empty());
    /// ```
    fn repin(guard: &mut Self::Guard);

    /// An empty garbage store, for a structure that would like to reuse up to `keep` reclaimable objects.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::{Epoch, reclaim::Reclaim};
    ///
    /// let garbage = <Epoch>::garbage(0);
    /// assert_eq!(<Epoch>::backlog(&garbage).bytes, 0);
    /// ```
    fn garbage(keep: usize) -> Self::Garbage;

    /// Panics unless the guard belongs to this reclaimer.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::{Epoch, reclaim::Reclaim};
    ///
    /// <Epoch>::check(&<Epoch>::pin());
    /// ```
    #[track_caller]
    fn check(guard: &Self::Guard);

    /// Hands over an unlinked object, to be reclaimed when no guard protects it any more.
    ///
    /// # Safety
    ///
    /// 1. The object is unlinked: no thread that enters a critical section after this call can reach it.
    /// 2. It is retired once, and `retired.reclaim` may be called on it once, on any thread if the type that the
    ///    structure holds is `Send`, and while the structure is alive or being dropped.
    /// 3. The unlinking, on whatever thread, happens before this call, and `guard` belongs to this reclaimer.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::ptr::NonNull;
    /// use std::sync::atomic::{AtomicPtr, Ordering};
    ///
    /// use latchfree::Epoch;
    /// use latchfree::reclaim::{Reclaim, Retired};
    ///
    /// unsafe fn free(object: NonNull<u8>) {
    ///     // SAFETY: from `Box::into_raw`, and freed once.
    ///     drop(unsafe { Box::from_raw(object.cast::<String>().as_ptr()) });
    /// }
    ///
    /// let garbage = <Epoch>::garbage(0);
    /// let current = AtomicPtr::new(Box::into_raw(Box::new("old".to_string())));
    /// let guard = <Epoch>::pin();
    /// let old = current.swap(Box::into_raw(Box::new("new".to_string())), Ordering::AcqRel);
    /// let object = NonNull::new(old).unwrap().cast();
    /// let retired = Retired { object, reclaim: free, bytes: size_of::<String>() };
    /// // SAFETY: whoever pins from now on finds the new string; the old one was swapped out once, before.
    /// unsafe { <Epoch>::retire(&garbage, retired, &guard) };
    /// assert_eq!(<Epoch>::backlog(&garbage).objects, 1); // `guard` may have read it
    /// drop(guard);
    /// drop(garbage); // frees it
    /// # drop(unsafe { Box::from_raw(current.into_inner()) });
    /// ```
    unsafe fn retire(garbage: &Self::Garbage, retired: Retired, guard: &Self::Guard);

    /// The oldest retired object that may be reclaimed, back in the caller's hands as it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::{Epoch, reclaim::Reclaim};
    ///
    /// let garbage = <Epoch>::garbage(1);
    /// assert_eq!(<Epoch>::reuse(&garbage, &<Epoch>::pin()), None); // nothing was retired
    /// ```
    fn reuse(garbage: &Self::Garbage, guard: &Self::Guard) -> Option<NonNull<u8>>;

    /// Tries to bring reclamation forward and reclaims what may be.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::{Epoch, reclaim::Reclaim};
    ///
    /// let garbage = <Epoch>::garbage(0);
    /// <Epoch>::collect(&garbage);
    /// assert_eq!(<Epoch>::backlog(&garbage).objects, 0);
    /// ```
    fn collect(garbage: &Self::Garbage);

    /// What waits in this store.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::{Epoch, reclaim::Reclaim};
    ///
    /// let garbage = <Epoch>::garbage(0);
    /// assert_eq!(<Epoch>::backlog(&garbage), Default::default());
    /// ```
    fn backlog(garbage: &Self::Garbage) -> Backlog;
}

/// The types that a reclaimer's structures may hold: any for [`Epoch`], `Send + 'static` for [`Crossbeam`], which
/// may run destructors after the structure is gone and on any thread.
///
/// It bounds the ways to construct a structure, and nothing else.
///
/// # Examples
///
/// ```
/// use latchfree::reclaim::{Accepts, Epoch};
///
/// fn accepts<T, R: Accepts<T>>() {}
/// accepts::<&str, Epoch>();
/// accepts::<std::rc::Rc<u8>, Epoch>(); // a structure that stays on its thread
/// # #[cfg(feature = "crossbeam")]
/// accepts::<String, latchfree::reclaim::Crossbeam>();
/// ```
pub trait Accepts<T>: Reclaim {}
