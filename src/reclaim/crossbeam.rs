//! Reclamation by crossbeam-epoch's default collector, for those who share guards with other crates.
//!
//! What differs from [`Epoch`](super::Epoch): garbage goes to the global collector, which may run destructors on any
//! thread and after the structure is gone, hence `Send + 'static`; nothing is reused. crossbeam-epoch frees at most
//! eight bags each 128 outermost pins, and none under a guard that is only repinned, so a structure that retires more
//! than about four objects a pin would grow without bound. We therefore count what we retire and flush.

use alloc::sync::Arc;
use core::ptr::NonNull;

use super::{Accepts, Backlog, Reclaim, Retired};
use crate::sync::{AtomicUsize, Ordering};

/// Reclamation by crossbeam-epoch: its guards, its global collector.
///
/// # Examples
///
/// ```
/// use latchfree::{Queue, reclaim::Crossbeam};
///
/// let queue: Queue<String, Crossbeam> = Queue::default();
/// let guard = crossbeam_epoch::pin(); // protects other crates' structures as well
/// queue.push_with("shared".to_string(), &guard);
/// assert_eq!(queue.pop_with(&guard).as_deref(), Some("shared"));
/// ```
#[derive(Debug)]
pub struct Crossbeam;

/// How much of one structure's garbage the global collector has not freed yet.
///
/// # Examples
///
/// ```
/// use latchfree::reclaim::{Crossbeam, Reclaim};
///
/// let garbage = Crossbeam::garbage(0);
/// assert_eq!(Crossbeam::backlog(&garbage).objects, 0);
/// ```
#[derive(Debug, Default)]
pub struct CrossbeamGarbage(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    objects: AtomicUsize,
    bytes: AtomicUsize,
    retired: AtomicUsize,
}

/// One flush for so many retirements: a bag of crossbeam-epoch's holds 64.
const FLUSH: usize = 64;

// SAFETY: clause 1 is crossbeam-epoch's promise for `defer_unchecked`, 2 holds by the bound of `Accepts`, 3 because
// nothing of ours is half-made when a destructor runs, 4 because nothing is reused; 5 is `check`.
unsafe impl Reclaim for Crossbeam {
    type Guard = crossbeam_epoch::Guard;
    type Garbage = CrossbeamGarbage;

    #[inline]
    fn pin() -> Self::Guard {
        crossbeam_epoch::pin()
    }

    fn repin(guard: &mut Self::Guard) {
        guard.repin();
    }

    fn garbage(_keep: usize) -> CrossbeamGarbage {
        CrossbeamGarbage::default()
    }

    #[inline]
    fn check(guard: &Self::Guard) {
        assert!(
            guard.collector() == Some(crossbeam_epoch::default_collector()),
            "the guard belongs to another collector than crossbeam-epoch's default one"
        );
    }

    unsafe fn retire(garbage: &CrossbeamGarbage, retired: Retired, guard: &Self::Guard) {
        let counts = garbage.0.clone();
        // Relaxed, all of them: gauges.
        counts.objects.fetch_add(1, Ordering::Relaxed);
        counts.bytes.fetch_add(retired.bytes, Ordering::Relaxed);
        let count = counts.retired.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise: unlinked under this guard, reclaimed once and anywhere.
        unsafe {
            guard.defer_unchecked(move || {
                // Counted off first, so that a destructor that panics is not counted for ever.
                counts.objects.fetch_sub(1, Ordering::Relaxed);
                counts.bytes.fetch_sub(retired.bytes, Ordering::Relaxed);
                (retired.reclaim)(retired.object);
            });
        }
        if count % FLUSH == FLUSH - 1 {
            guard.flush();
        }
    }

    fn reuse(_: &CrossbeamGarbage, _: &Self::Guard) -> Option<NonNull<u8>> {
        None
    }

    fn collect(_: &CrossbeamGarbage) {
        // Each pin may see a newer epoch, and each flush collects some bags.
        for _ in 0..4 {
            crossbeam_epoch::pin().flush();
        }
    }

    fn backlog(garbage: &CrossbeamGarbage) -> Backlog {
        // Relaxed: gauges.
        Backlog {
            objects: garbage.0.objects.load(Ordering::Relaxed),
            bytes: garbage.0.bytes.load(Ordering::Relaxed),
        }
    }
}

impl<T: Send + 'static> Accepts<T> for Crossbeam {}
