//! Where garbage waits: in bins of its participants, which others empty when nobody comes to them any more.

mod common;

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use common::{Counted, Ledger};
use latchfree::reclaim::epoch::Domain;
use latchfree::reclaim::{Garbage, Guard, OwnedGuard, Participant, Reclaim, Retired};
use latchfree::{Epoch, domain};

/// Retires a counted item, which nobody else ever reached.
fn retire<D: Domain>(garbage: &Garbage<D>, ledger: &Arc<Ledger>, id: usize, guard: &Guard<D>) {
    unsafe fn reclaim(object: NonNull<u8>) {
        // SAFETY: it came from the box below, and is reclaimed once.
        drop(unsafe { Box::from_raw(object.cast::<Counted>().as_ptr()) });
    }
    let object = NonNull::from(Box::leak(Box::new(ledger.item(id)))).cast();
    // SAFETY: no thread can reach it.
    unsafe { Epoch::<D>::retire(garbage, Retired { object, reclaim, bytes: 8 }, guard) }
}

fn waiting<D: Domain>(garbage: &Garbage<D>) -> usize {
    Epoch::<D>::backlog(garbage).objects
}

/// Does a part of the work on a thread that lives on until the other part is done.
fn beside_a_living_thread(part: impl FnOnce() + Send, rest: impl FnOnce()) {
    std::thread::scope(|scope| {
        let (done, is_done) = channel();
        let (finish, is_finished) = channel::<()>();
        scope.spawn(move || {
            part();
            done.send(()).unwrap();
            // An error as well: the rest has failed.
            let _ = is_finished.recv();
        });
        is_done.recv().unwrap();
        rest();
        drop(finish);
    });
}

#[test]
fn others_take_over_what_a_living_thread_left() {
    domain! { struct Own; }
    let (garbage, left, ours) = (Garbage::<Own>::new(0), Ledger::new(1000), Ledger::new(20_000));
    beside_a_living_thread(
        || (0..1000).for_each(|id| retire(&garbage, &left, id, &Guard::pin())),
        || {
            (0..20_000).for_each(|id| retire(&garbage, &ours, id, &Guard::pin()));
            assert_eq!(left.dropped(), 1000);
            assert!(waiting(&garbage) < 2500, "{} wait", waiting(&garbage));
        },
    );
    drop(garbage);
    left.settle();
    ours.settle();
}

#[test]
fn collect_reaches_the_bins_of_living_threads() {
    domain! { struct Own; }
    let (garbage, ledger) = (Garbage::<Own>::new(0), Ledger::new(200));
    let ids = |ids: std::ops::Range<usize>| ids.for_each(|id| retire(&garbage, &ledger, id, &Guard::pin()));
    beside_a_living_thread(
        || {
            ids(0..100);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    assert_eq!(waiting(&garbage), 100);
                    Epoch::<Own>::collect(&garbage);
                    assert_eq!((waiting(&garbage), ledger.dropped()), (0, 100));
                });
            });
            // Its bin is still its own.
            ids(100..200);
        },
        || {
            assert_eq!(waiting(&garbage), 100);
            Epoch::<Own>::collect(&garbage);
            assert_eq!((waiting(&garbage), ledger.dropped()), (0, 200));
        },
    );
    drop(garbage);
    ledger.settle();
}

/// A thread that stays pinned keeps what it and others retired since, for all to see, and nobody's progress.
#[test]
fn pinned_owner() {
    domain! { struct Own; }
    let (garbage, ledger) = (Garbage::<Own>::new(0), Ledger::new(300));
    let guard = OwnedGuard::<Own>::pin();
    (0..100).for_each(|id| retire(&garbage, &ledger, id, &guard));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (100..200).for_each(|id| retire(&garbage, &ledger, id, &Guard::pin()));
            (0..5).for_each(|_| Epoch::<Own>::collect(&garbage));
            assert_eq!((waiting(&garbage), ledger.dropped()), (200, 0));
        });
    });
    // It comes back to a bin that was asked for.
    (200..300).for_each(|id| retire(&garbage, &ledger, id, &guard));
    Epoch::<Own>::collect(&garbage);
    assert_eq!(waiting(&garbage), 300);
    drop(guard);
    Epoch::<Own>::collect(&garbage);
    assert_eq!((waiting(&garbage), ledger.dropped()), (0, 300));
}

/// More participants than there are bins of their own, all at once: nothing is hidden, and all goes.
#[test]
fn a_thousand_participants() {
    domain! { struct Own; }
    let participants: Vec<_> = (0..1000).map(|_| Participant::<Own>::register()).collect();
    let ledger = Ledger::new(4000);
    for dropped in [false, true] {
        let garbage = Garbage::<Own>::new(0);
        for (number, participant) in participants.iter().enumerate() {
            let first = 2000 * usize::from(dropped) + 2 * number;
            // Both under a guard, or the clock might move on.
            let guard = participant.pin();
            retire(&garbage, &ledger, first, &guard);
            retire(&garbage, &ledger, first + 1, &guard);
        }
        assert!(waiting(&garbage) > 1000, "{} wait", waiting(&garbage));
        assert_eq!(waiting(&garbage), 2000 * (1 + usize::from(dropped)) - ledger.dropped());
        if !dropped {
            Epoch::<Own>::collect(&garbage);
            assert_eq!((waiting(&garbage), ledger.dropped()), (0, 2000));
        }
    }
    ledger.settle();
}

/// Participants that come back to their bins while others ask for them and take them.
#[test]
fn bins_change_hands_under_load() {
    domain! { struct Own; }
    const EACH: usize = if cfg!(miri) { 300 } else { 40_000 };
    let (garbage, ledger) = (Garbage::<Own>::new(0), Ledger::new(4 * EACH));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (garbage, ledger) = (&garbage, &ledger);
                scope.spawn(move || {
                    for id in worker * EACH..(worker + 1) * EACH {
                        retire(garbage, ledger, id, &Guard::pin());
                        if id % (100 << (2 * worker)) == 0 {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                Epoch::<Own>::collect(&garbage);
                std::thread::yield_now();
            }
        });
        let failed =
            workers.into_iter().map(std::thread::ScopedJoinHandle::join).any(|joined| joined.is_err());
        done.store(true, Ordering::Release);
        assert!(!failed);
    });
    Epoch::<Own>::collect(&garbage);
    assert_eq!((waiting(&garbage), ledger.dropped()), (0, 4 * EACH));
    ledger.settle();
}
