//! Epoch-based reclamation with a guard that costs a plain store.
//!
//! The scheme is K. Fraser's ([*Practical lock-freedom*, 2004, section 5.2.3](https://www.cl.cam.ac.uk/techreports/UCAM-CL-TR-579.pdf)),
//! with the barrier of a guard moved to the rare thread that advances the clock ([`barrier`](super::barrier())).
//!
//! ```text
//!   clock      ... 6            8               10              12 ...      (even; a pinned record holds clock | 1)
//!   reader         |    7-------------7 |
//!   writer         |         7--unlink o, retire(o, tag 6)--7 |
//!                                       ^ 8 -> 10 needs the writer unpinned
//!                                                       ^ clock = tag + 3 steps: o is freed
//! ```
//!
//! **Invariants**
//!
//! 1. *A pinned thread is at most one step behind.* `State::enter` announces an epoch, passes a light barrier and
//!    reads the clock again: it repeats until both agree. An advance from `c` passes a heavy barrier and then
//!    demands that every pinned record holds `c`. If a thread announced `p` and the advance from `p + 1` did not see
//!    it, then the thread's second read of the clock came after that advance's barrier and saw at least `p + 1`: it
//!    would have repeated. So while a record holds `p`, the clock is `p` or `p + 1`.
//! 2. *An object tagged `p` is free at `p + 3`.* Its unlinking happens before a call of `retire` by a thread pinned at `p`.
//!    A thread that is still pinned when the clock shows `p + 3` holds at least `p + 2` by (1), so it read a clock of at
//!    least `p + 2` when it entered; the step from `p + 1` to `p + 2` needed the retiring thread to have left, with
//!    `Release`, which the advance acquired. So the unlinking happens before that thread's critical section, and it
//!    cannot have found the object.
//! 3. *Garbage is tagged without a fence and without reading the clock*, by the epoch of the retiring thread's own
//!    record. A stale tag is impossible by (1).
//! 4. *Thread-local and global state hold no user's value.* Retired objects live in their structure's [`Garbage`],
//!    whose `Drop` reclaims them all; this is why no structure needs `'static`.
//!
//! **Non-invariants**: the clock may be one step ahead of any pinned thread; a record may be claimed and unpinned;
//! records are never freed, only reused.
//!
//! **Progress**: entering repeats only when the clock moved, leaving is wait-free, retiring works in a bin of
//! the participant's own, or claims one that nobody else uses, or makes a new one. A stopped thread stops the clock and nobody's operation.

mod bin;
mod chunks;
mod domain;
mod garbage;
mod guard;

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

#[doc(inline)]
pub use self::domain::{Domain, Global};
#[doc(hidden)]
pub use self::domain::{Local, Record, State};
pub use self::garbage::Garbage;
pub use self::guard::{Guard, OwnedGuard, Participant, ParticipantGuard};
use super::{Accepts, Backlog, Reclaim, Retired};

/// The default reclaimer: epoch-based, with guards that cost a plain store.
///
/// `D` is the domain, whose guards hold back each other's garbage; [`Global`] is the process's.
///
/// # Examples
///
/// ```
/// use latchfree::{Epoch, Queue};
///
/// latchfree::domain! { struct Mine; }
///
/// let (shared, mine) = (Queue::<u8>::new(), Queue::<u8, Epoch<Mine>>::default());
/// shared.push(1);
/// mine.push_with(2, &latchfree::reclaim::Guard::pin());
/// assert_eq!((shared.pop(), mine.pop()), (Some(1), Some(2)));
/// ```
pub struct Epoch<D: Domain = Global>(PhantomData<D>);

impl<D: Domain> fmt::Debug for Epoch<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Epoch")
    }
}

// SAFETY: clause 1 is invariants 1 and 2 of the module head, 2 is `Garbage::drop`, 3 and 4 are `Garbage::retire` and
// `Garbage::reuse`, which take objects out of their bin before anything else happens to them. Clause 5: a
// `Guard<D>` exists only for a pinned record of `D`, so the type is the check.
unsafe impl<D: Domain> Reclaim for Epoch<D> {
    type Guard = Guard<D>;
    type Garbage = Garbage<D>;

    #[inline]
    fn pin() -> Guard<D> {
        Guard::pin()
    }

    #[inline(always)]
    unsafe fn briefly<T>(f: impl FnOnce(&Guard<D>) -> T) -> T {
        // SAFETY: the caller's promise is the same.
        unsafe { Guard::briefly(f) }
    }

    #[inline(always)]
    unsafe fn enter() -> Option<Guard<D>> {
        // SAFETY: the caller's promise is the same.
        unsafe { Guard::uncounted() }
    }

    #[inline(always)]
    unsafe fn leave(guard: Guard<D>) {
        // SAFETY: the caller's promise is the same.
        unsafe { guard.end_uncounted() }
    }

    #[inline]
    fn repin(guard: &mut Guard<D>) {
        guard.repin();
    }

    #[inline]
    fn garbage(keep: usize) -> Garbage<D> {
        Garbage::new(keep)
    }

    #[inline(always)]
    fn check(_: &Guard<D>) {}

    #[inline]
    unsafe fn retire(garbage: &Garbage<D>, retired: Retired, guard: &Guard<D>) {
        // SAFETY: the caller's promise is the same.
        unsafe { garbage.retire(retired, guard) }
    }

    #[inline]
    fn reuse(garbage: &Garbage<D>, guard: &Guard<D>) -> Option<NonNull<u8>> {
        garbage.reuse(guard)
    }

    fn collect(garbage: &Garbage<D>) {
        garbage.collect();
    }

    fn backlog(garbage: &Garbage<D>) -> Backlog {
        garbage.backlog()
    }
}

impl<T, D: Domain> Accepts<T> for Epoch<D> {}
