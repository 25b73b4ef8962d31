//! Reclamation: what guards protect, when garbage goes, who runs its destructors; `reclaim_fence` runs the same without
//! `membarrier`.

mod common;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use common::{Counted, Ledger, drained};
#[cfg(feature = "crossbeam")]
use latchfree::reclaim::Crossbeam;
use latchfree::reclaim::epoch::Domain;
use latchfree::reclaim::{Garbage, Guard, OwnedGuard, Participant, Reclaim, Retired};
use latchfree::{Epoch, Queue, domain};

fn setup() {
    common::choose(module_path!());
}

/// Retires a value, which nobody else ever reached.
fn retire<R: Reclaim, T: Send + 'static>(garbage: &R::Garbage, value: T, guard: &R::Guard) {
    unsafe fn reclaim<T>(object: NonNull<u8>) {
        // SAFETY: it came from the box below, and is reclaimed once.
        drop(unsafe { Box::from_raw(object.cast::<T>().as_ptr()) });
    }
    let object = NonNull::from(Box::leak(Box::new(value))).cast();
    // SAFETY: no thread can reach it, and it is `Send` and `'static`.
    unsafe { R::retire(garbage, Retired { object, reclaim: reclaim::<T>, bytes: size_of::<T>() }, guard) }
}

fn waiting<D: Domain>(garbage: &Garbage<D>) -> usize {
    Epoch::<D>::backlog(garbage).objects
}

fn collect<D: Domain>(garbage: &Garbage<D>) {
    Epoch::<D>::collect(garbage);
}

/// Runs `f` with another thread pinned in the domain.
fn beside_a_pinned_thread<D: Domain>(f: impl FnOnce()) {
    let (pinned, done) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let guard = Guard::<D>::pin();
            pinned.wait();
            done.wait();
            drop(guard);
        });
        pinned.wait();
        // The other must be let go even if an assertion fails.
        let result = catch_unwind(AssertUnwindSafe(f));
        done.wait();
        result.unwrap();
    });
}

#[test]
fn nested_pins() {
    domain! { struct Own; }
    setup();
    let garbage = Garbage::<Own>::new(0);
    let outer = Guard::<Own>::pin();
    let inner = Guard::<Own>::pin();
    retire::<Epoch<Own>, _>(&garbage, 1_u8, &inner);
    drop(inner);
    collect(&garbage);
    assert_eq!(waiting(&garbage), 1, "the outer guard still protects it");
    // In the other order, too: any guard that is left counts.
    let inner = Guard::<Own>::pin();
    drop(outer);
    collect(&garbage);
    assert_eq!(waiting(&garbage), 1);
    drop(inner);
    collect(&garbage);
    assert_eq!(waiting(&garbage), 0);
}

/// Why three steps: the reader entered a step after the thread that retires, and before the unlinking.
#[test]
fn reader_one_step_ahead_is_protected() {
    domain! { struct Own; }
    setup();
    let garbage = Garbage::<Own>::new(0);
    let (writer, reader) = (Participant::<Own>::register(), Participant::<Own>::register());
    let writing = writer.pin();
    assert!(writing.flush());
    let reading = reader.pin();
    retire::<Epoch<Own>, _>(&garbage, 1_u8, &writing);
    drop(writing);
    (0..5).for_each(|_| collect(&garbage));
    assert_eq!(waiting(&garbage), 1, "the reader may have found it");
    drop(reading);
    collect(&garbage);
    assert_eq!(waiting(&garbage), 0);
}

#[test]
fn leaked_guard() {
    domain! { struct Own; }
    setup();
    let ledger = Ledger::new(100);
    std::thread::spawn(|| std::mem::forget(Guard::<Own>::pin())).join().unwrap();
    let queue = Queue::<u64, Epoch<Own>>::default();
    let mut last = 0;
    for _ in 0..10 {
        queue.push_all(0..10_000);
        queue.clear();
        queue.collect();
        let backlog = queue.backlog();
        assert!(backlog.objects > last && backlog.bytes > 0, "not visible: {backlog:?}");
        last = backlog.objects;
    }
    queue.push(5);
    assert_eq!(queue.pop(), Some(5), "nobody's progress is held back");
    // Whoever owns the garbage frees it.
    let garbage = Garbage::<Own>::new(0);
    (0..100).for_each(|id| retire::<Epoch<Own>, _>(&garbage, ledger.item(id), &Guard::<Own>::pin()));
    collect(&garbage);
    assert_eq!(ledger.dropped(), 0);
    drop(garbage);
    ledger.settle();
}

/// Pins and retires in the destructor of a thread-local.
struct AtExit<D: Domain>(&'static Garbage<D>, mpsc::Sender<()>);

impl<D: Domain> Drop for AtExit<D> {
    fn drop(&mut self) {
        let guard = Guard::<D>::pin();
        let nested = Guard::<D>::pin();
        retire::<Epoch<D>, _>(self.0, 1_u8, &guard);
        drop(guard);
        retire::<Epoch<D>, _>(self.0, 2_u8, &nested);
        drop(nested);
        self.1.send(()).unwrap();
    }
}

#[test]
fn pin_at_thread_exit() {
    domain! { struct Own; }
    static GARBAGE: Garbage<Own> = Garbage::new(0);
    thread_local!(static AT_EXIT: RefCell<Option<AtExit<Own>>> = const { RefCell::new(None) });
    setup();
    for round in 0..100 {
        let (ran, runs) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let ours = || AT_EXIT.with(|slot| *slot.borrow_mut() = Some(AtExit(&GARBAGE, ran)));
            let theirs = || drop(Guard::<Own>::pin());
            // Destructors run in the order of initialisation or in the reverse: this covers both.
            match round % 3 {
                0 => (ours(), theirs()).0,
                1 => (theirs(), ours()).1,
                _ => ours(),
            }
        });
        thread.join().unwrap();
        assert_eq!(runs.recv(), Ok(()));
    }
    // No record stays pinned.
    collect(&GARBAGE);
    assert_eq!(waiting(&GARBAGE), 0);
}

#[test]
fn guard_kept_in_a_thread_local() {
    domain! { struct Own; }
    thread_local!(static KEPT: Cell<Option<Guard<Own>>> = const { Cell::new(None) });
    setup();
    for first in [true, false] {
        std::thread::spawn(move || {
            if first {
                KEPT.set(None);
            }
            KEPT.set(Some(Guard::pin()));
        })
        .join()
        .unwrap();
    }
    let garbage = Garbage::<Own>::new(0);
    retire::<Epoch<Own>, _>(&garbage, 1_u8, &Guard::pin());
    collect(&garbage);
    assert_eq!(waiting(&garbage), 0, "the guards ended with their threads");
}

#[test]
fn panic_unpins() {
    domain! { struct Own; }
    setup();
    let garbage = Garbage::<Own>::new(0);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let guard = Guard::<Own>::pin();
        retire::<Epoch<Own>, _>(&garbage, 1_u8, &guard);
        panic!("seeded");
    }));
    assert!(panicked.is_err());
    collect(&garbage);
    assert_eq!(waiting(&garbage), 0);
}

#[test]
fn stalled_thread_and_recovery() {
    domain! { struct Own; }
    setup();
    const MANY: usize = 5000;
    let ledger = Ledger::new(4 * MANY);
    let garbage = Garbage::<Own>::new(0);
    let step = |id| {
        let before = ledger.dropped();
        retire::<Epoch<Own>, _>(&garbage, ledger.item(id), &Guard::<Own>::pin());
        assert!(ledger.dropped() - before <= 4, "one operation freed {}", ledger.dropped() - before);
    };
    beside_a_pinned_thread::<Own>(|| {
        (0..MANY).for_each(step);
        assert!(waiting(&garbage) > MANY - 1000, "the pinned thread protects all but the first");
        assert_eq!(waiting(&garbage), MANY - ledger.dropped());
    });
    // Each operation adds one and frees up to four, so the backlog shrinks by three, to what is retired in the four
    // periods (three steps and the current one) between the 512 retirements after which an advance is tried.
    (MANY..3 * MANY).for_each(step);
    assert!(waiting(&garbage) < 2500, "{} wait", waiting(&garbage));
    (3 * MANY..4 * MANY).for_each(step);
    assert!(waiting(&garbage) < 2500, "{} wait", waiting(&garbage));
    drop(garbage);
    ledger.settle();
}

/// Also with a guard that is only repinned, and with several threads.
#[test]
fn bounded_at_sixteen_retires_a_pin() {
    domain! { struct Own; }
    setup();
    let garbage = Garbage::<Own>::new(0);
    let highest = AtomicUsize::new(0);
    let run = |pins: usize, repin: bool| {
        let mut kept = Guard::<Own>::pin();
        if !repin {
            drop(std::mem::replace(&mut kept, Guard::pin()));
        }
        let mut kept = repin.then_some(kept);
        for _ in 0..pins {
            match &mut kept {
                Some(guard) => {
                    guard.repin();
                    (0..16).for_each(|i| retire::<Epoch<Own>, _>(&garbage, i, guard));
                }
                None => {
                    let guard = Guard::<Own>::pin();
                    (0..16).for_each(|i| retire::<Epoch<Own>, _>(&garbage, i, &guard));
                }
            }
            highest.fetch_max(waiting(&garbage), Ordering::Relaxed);
        }
    };
    run(100_000, false);
    assert!(highest.load(Ordering::Relaxed) < 2000, "{highest:?} waited");
    run(20_000, true);
    assert!(highest.load(Ordering::Relaxed) < 2000, "{highest:?} waited");
    // A thread that is preempted under its guard stops the clock for a time slice, so no bound here but an end.
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| run(5000, false)))));
    collect(&garbage);
    assert_eq!(waiting(&garbage), 0);
}

#[test]
fn guards_and_participants_move() {
    domain! { struct Own; }
    setup();
    let garbage = Arc::new(Garbage::<Own>::new(0));
    // An owned guard protects from wherever it is, and ends where it is dropped.
    let owned = OwnedGuard::<Own>::pin();
    retire::<Epoch<Own>, _>(&garbage, 1_u8, &owned);
    let there = garbage.clone();
    let mut owned = std::thread::spawn(move || {
        retire::<Epoch<Own>, _>(&there, 2_u8, &owned);
        collect(&there);
        assert_eq!(waiting(&there), 2);
        owned
    })
    .join()
    .unwrap();
    collect(&garbage);
    assert_eq!(waiting(&garbage), 2);
    // Each step of the clock needs it to look again.
    for _ in 0..3 {
        owned.repin();
        collect(&garbage);
    }
    assert_eq!(waiting(&garbage), 0);
    retire::<Epoch<Own>, _>(&garbage, 3_u8, &owned);
    std::thread::spawn(move || drop(owned)).join().unwrap();
    collect(&garbage);
    assert_eq!(waiting(&garbage), 0);
    // A participant is pinned in one thread after the other.
    let mut participant = Participant::<Own>::register();
    for _ in 0..10 {
        let there = garbage.clone();
        participant = std::thread::spawn(move || {
            let mut guard = participant.pin();
            retire::<Epoch<Own>, _>(&there, 4_u8, &guard);
            guard.repin();
            drop(guard);
            participant
        })
        .join()
        .unwrap();
    }
    let guard = participant.pin();
    collect(&garbage);
    assert!(waiting(&garbage) <= 10);
    drop(guard);
    collect(&garbage);
    assert_eq!(waiting(&garbage), 0);
    let _ = format!("{participant:?} {:?}", participant.pin());
    assert_eq!(size_of_val(&participant), size_of::<usize>());
}

#[test]
fn repin_and_flush() {
    domain! { struct Own; }
    setup();
    let garbage = Garbage::<Own>::new(0);
    let mut guard = Guard::<Own>::pin();
    // The first step finds everybody up to date; the second needs this guard to follow.
    assert!(guard.flush());
    assert!(!guard.flush());
    guard.repin();
    assert!(guard.flush());
    retire::<Epoch<Own>, _>(&garbage, 1_u8, &guard);
    for _ in 0..4 {
        guard.repin();
        guard.flush();
    }
    assert!(Epoch::<Own>::reuse(&garbage, &guard).is_some_and(|object| {
        // SAFETY: it is ours again, and was boxed as this.
        unsafe { *Box::from_raw(object.as_ptr()) == 1 }
    }));
    // While there is another guard, it stays where it is.
    let nested = Guard::<Own>::pin();
    retire::<Epoch<Own>, _>(&garbage, 1_u8, &guard);
    for _ in 0..4 {
        guard.repin();
        guard.flush();
    }
    assert!(Epoch::<Own>::reuse(&garbage, &nested).is_none());
    drop((nested, guard));
}

#[test]
fn domains_are_isolated() {
    domain! { struct Own; }
    setup();
    let (foreign, own) = (Garbage::<latchfree::reclaim::epoch::Global>::new(0), Garbage::<Own>::new(0));
    beside_a_pinned_thread::<latchfree::reclaim::epoch::Global>(|| {
        let _mine_too = latchfree::pin();
        retire::<Epoch<Own>, _>(&own, 1_u8, &Guard::pin());
        collect(&own);
        assert_eq!(waiting(&own), 0);
        retire::<Epoch, _>(&foreign, 1_u8, &Guard::pin());
        collect(&foreign);
        assert_eq!(waiting(&foreign), 1);
    });
    assert!(drained(|| collect(&foreign), || waiting(&foreign)));
}

/// Its destructor retires the next into the same garbage, under a guard of the kind that `owned` says.
struct Link<D: Domain> {
    left: usize,
    owned: bool,
    garbage: &'static Garbage<D>,
}

impl<D: Domain> Drop for Link<D> {
    fn drop(&mut self) {
        if let Some(left) = self.left.checked_sub(1) {
            let next = Self { left, ..*self };
            if self.owned {
                retire::<Epoch<D>, _>(self.garbage, next, &OwnedGuard::<D>::pin());
            } else {
                retire::<Epoch<D>, _>(self.garbage, next, &Guard::<D>::pin());
            }
        }
    }
}

#[test]
fn chain_of_destructors() {
    domain! { struct Own; }
    static GARBAGE: Garbage<Own> = Garbage::new(0);
    setup();
    retire::<Epoch<Own>, _>(&GARBAGE, Link { left: 10_000, owned: false, garbage: &GARBAGE }, &Guard::pin());
    // Each frees one and retires one.
    for _ in 0..10_001 {
        assert_eq!(waiting(&GARBAGE), 1);
        collect(&GARBAGE);
    }
    assert_eq!(waiting(&GARBAGE), 0);
}

/// Many wait, and the destructor of each retires another: freeing them must not nest as deep as they are many.
fn many_destructors_that_retire<D: Domain>(garbage: &'static Garbage<D>, owned: bool, at_exit: bool) {
    struct Run(Option<Box<dyn FnOnce()>>);
    impl Drop for Run {
        fn drop(&mut self) {
            if let Some(run) = self.0.take() {
                run();
            }
        }
    }
    thread_local!(static AT_EXIT: RefCell<Run> = const { RefCell::new(Run(None)) });
    // A small stack, so that depth shows soon.
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
        let free = move || {
            // Only moves the clock, so that all may go and nothing has yet.
            collect(&Garbage::<D>::new(0));
            (0..10).for_each(|_| retire::<Epoch<D>, _>(garbage, 0_u8, &Guard::pin()));
            collect(garbage);
        };
        if at_exit {
            AT_EXIT.with(|slot| slot.borrow_mut().0 = Some(Box::new(free)));
        }
        let guard = Guard::<D>::pin();
        (0..20_000).for_each(|_| retire::<Epoch<D>, _>(garbage, Link { left: 1, owned, garbage }, &guard));
        drop(guard);
        if !at_exit {
            free();
        }
    });
    thread.unwrap().join().unwrap();
    (0..3).for_each(|_| collect(garbage));
    assert_eq!(waiting(garbage), 0);
}

#[test]
fn destructors_do_not_nest() {
    domain! { struct Own; }
    static GARBAGE: Garbage<Own> = Garbage::new(0);
    setup();
    many_destructors_that_retire(&GARBAGE, false, false);
}

#[test]
fn destructors_with_owned_guards_do_not_nest() {
    domain! { struct Own; }
    static GARBAGE: Garbage<Own> = Garbage::new(0);
    setup();
    many_destructors_that_retire(&GARBAGE, true, false);
}

#[test]
fn destructors_at_thread_exit_do_not_nest() {
    domain! { struct Own; }
    static GARBAGE: Garbage<Own> = Garbage::new(0);
    setup();
    many_destructors_that_retire(&GARBAGE, false, true);
}

/// Panics when it is dropped, if told to.
struct Mine(#[allow(dead_code, reason = "for its destructor")] Counted, bool);

impl Drop for Mine {
    fn drop(&mut self) {
        assert!(!self.1, "seeded");
    }
}

#[test]
fn panicking_destructor() {
    domain! { struct Own; }
    setup();
    let fill = |ledger: &Arc<Ledger>, at: usize| {
        let garbage = Garbage::<Own>::new(0);
        let guard = Guard::<Own>::pin();
        (0..200).for_each(|id| retire::<Epoch<Own>, _>(&garbage, Mine(ledger.item(id), id == at), &guard));
        garbage
    };
    for at in [0, 1, 3, 4, 61, 62, 199] {
        let ledger = Ledger::new(200);
        let garbage = fill(&ledger, at);
        assert!(catch_unwind(AssertUnwindSafe(|| collect(&garbage))).is_err());
        // Its neighbours in the batch went as well, and none twice.
        assert_eq!(waiting(&garbage) + ledger.dropped(), 200);
        collect(&garbage);
        assert_eq!(waiting(&garbage), 0);
        ledger.settle();
        // By the retiring thread: the panic comes out of `retire`, and the next call goes on.
        let ledger = Ledger::new(200);
        let garbage = fill(&ledger, at);
        let mut panics = 0;
        for _ in 0..400 {
            let step = || {
                let guard = Guard::<Own>::pin();
                retire::<Epoch<Own>, _>(&garbage, 0_u8, &guard);
                guard.flush();
            };
            panics += usize::from(catch_unwind(AssertUnwindSafe(step)).is_err());
        }
        assert_eq!(panics, 1);
        ledger.settle();
        // By the owner.
        let ledger = Ledger::new(200);
        let garbage = fill(&ledger, at);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(garbage))).is_err());
        ledger.settle();
    }
}

#[test]
fn dropped_garbage_frees_all_at_once_here() {
    domain! { struct Own; }
    setup();
    static ELSEWHERE: AtomicBool = AtomicBool::new(false);
    struct Here(std::thread::ThreadId, #[allow(dead_code, reason = "for its destructor")] Counted);
    impl Drop for Here {
        fn drop(&mut self) {
            ELSEWHERE.fetch_or(std::thread::current().id() != self.0, Ordering::Relaxed);
        }
    }
    let ledger = Ledger::new(4000);
    let (garbage, here) = (Garbage::<Own>::new(4000), std::thread::current().id());
    beside_a_pinned_thread::<Own>(|| {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (garbage, ledger) = (&garbage, &ledger);
                scope.spawn(move || {
                    for id in thread * 1000..(thread + 1) * 1000 {
                        retire::<Epoch<Own>, _>(garbage, Here(here, ledger.item(id)), &Guard::pin());
                    }
                });
            }
        });
        assert_eq!(waiting(&garbage), 4000);
        assert_eq!(Epoch::<Own>::backlog(&garbage).bytes, 4000 * size_of::<Here>());
        // Nobody can reach what it holds, whoever is pinned.
        drop(garbage);
        ledger.settle();
    });
    assert!(!ELSEWHERE.load(Ordering::Relaxed));
}

#[cfg(feature = "crossbeam")]
#[test]
fn foreign_guard_is_refused() {
    setup();
    let ledger = Ledger::new(2);
    let queue = Queue::<Counted, Crossbeam>::default();
    let collector = crossbeam_epoch::Collector::new();
    let handle = collector.register();
    let own = handle.pin();
    // SAFETY: nothing is read under it: it must be refused.
    let unprotected = unsafe { crossbeam_epoch::unprotected() };
    for (id, guard) in [&own, unprotected].into_iter().enumerate() {
        assert!(catch_unwind(AssertUnwindSafe(|| queue.push_with(ledger.item(id), guard))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| queue.pop_with(guard))).is_err());
    }
    assert!(queue.is_empty());
    // The refused items were dropped.
    ledger.settle();
}
