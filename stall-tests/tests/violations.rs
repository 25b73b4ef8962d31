//! The harness catches what it should: structures in which a stopped thread stops others.

#[path = "common/freeze.rs"]
mod freeze;

use std::ptr;
use std::sync::Arc;

use freeze::{Case, Failure, Job, Stats, Stop, explore};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};

/// The same work for one victim and two others.
fn run<S: Send + Sync + 'static>(new: fn() -> S, work: fn(&S)) -> Result<Stats, Failure> {
    explore(3_000, 1, 12, move || {
        let shared = Arc::new(new());
        let job = || -> Job {
            let shared = shared.clone();
            Box::new(move || work(&shared))
        };
        Case {
            victims: vec![job()],
            others: vec![job(), job()],
            frozen: Box::new(|| ()),
            finish: Box::new(|| ()),
        }
    })
}

#[track_caller]
fn caught(stop: Stop, result: Result<Stats, Failure>) {
    let failure = result.expect_err("a violation that was not caught");
    println!("caught: {failure:?}");
    assert_eq!(failure.stop, stop);
}

#[test]
fn a_mutex_is_caught() {
    caught(Stop::Blocked, run(|| Mutex::new(0), |counter| *counter.lock().unwrap() += 1));
}

#[test]
fn a_spin_lock_is_caught() {
    caught(
        Stop::Livelock,
        run(
            || (AtomicBool::new(false), AtomicUsize::new(0)),
            |(lock, counter)| {
                while lock.swap(true, SeqCst) {
                    shuttle::hint::spin_loop();
                }
                counter.store(counter.load(SeqCst) + 1, SeqCst);
                lock.store(false, SeqCst);
            },
        ),
    );
}

/// M. Michael and M. Scott's queue, producers' side. Nodes are freed with the queue.
struct MichaelScott {
    first: *mut Node,
    tail: AtomicPtr<Node>,
    helps: bool,
}

struct Node {
    next: AtomicPtr<Node>,
}

// SAFETY: nodes are reached through atomics and freed by `drop`, which shares them with nobody.
unsafe impl Send for MichaelScott {}
// SAFETY: as above.
unsafe impl Sync for MichaelScott {}

impl MichaelScott {
    fn new(helps: bool) -> Self {
        let first = Box::into_raw(Box::new(Node { next: AtomicPtr::new(ptr::null_mut()) }));
        Self { first, tail: AtomicPtr::new(first), helps }
    }

    fn push(&self) {
        let node = Box::into_raw(Box::new(Node { next: AtomicPtr::new(ptr::null_mut()) }));
        loop {
            let tail = self.tail.load(SeqCst);
            // SAFETY: nodes are not freed before `drop`.
            let last = unsafe { &*tail };
            let next = last.next.load(SeqCst);
            if !next.is_null() {
                if self.helps {
                    let _ = self.tail.compare_exchange(tail, next, SeqCst, SeqCst);
                }
                continue;
            }
            if last.next.compare_exchange(ptr::null_mut(), node, SeqCst, SeqCst).is_ok() {
                let _ = self.tail.compare_exchange(tail, node, SeqCst, SeqCst);
                return;
            }
        }
    }
}

impl Drop for MichaelScott {
    fn drop(&mut self) {
        let mut next = self.first;
        while !next.is_null() {
            // SAFETY: from `Box::into_raw`, and linked once.
            let mut node = unsafe { Box::from_raw(next) };
            next = *node.next.get_mut();
        }
    }
}

#[test]
fn a_queue_without_helping_is_caught() {
    caught(Stop::Livelock, run(|| MichaelScott::new(false), |queue| (0..3).for_each(|_| queue.push())));
}

#[test]
fn a_queue_with_helping_passes() {
    let stats = run(|| MichaelScott::new(true), |queue| (0..3).for_each(|_| queue.push())).unwrap();
    println!("passed: {stats:?}");
    assert!(stats.stopped > 100);
}

/// D. Vyukov's bounded queue, of four cells and without values: a cell's sequence number says whose turn it is.
struct Ring {
    cells: [AtomicUsize; 4],
    enq: AtomicUsize,
    deq: AtomicUsize,
}

impl Ring {
    fn new() -> Self {
        Self { cells: [0, 1, 2, 3].map(AtomicUsize::new), enq: AtomicUsize::new(0), deq: AtomicUsize::new(0) }
    }

    /// True once it has done its step; false if the ring is full, or empty.
    fn turn(&self, counter: &AtomicUsize, lead: usize, follow: usize) -> bool {
        let mut place = counter.load(SeqCst);
        loop {
            let cell = &self.cells[place % 4];
            let sequence = cell.load(SeqCst);
            if sequence == place + lead {
                match counter.compare_exchange(place, place + 1, SeqCst, SeqCst) {
                    Ok(_) => {
                        cell.store(place + follow, SeqCst);
                        return true;
                    }
                    Err(actual) => place = actual,
                }
            } else if sequence < place + lead {
                return false;
            } else {
                place = counter.load(SeqCst);
            }
        }
    }

    fn push(&self) -> bool {
        self.turn(&self.enq, 0, 1)
    }

    fn pop(&self) -> bool {
        self.turn(&self.deq, 1, 4)
    }
}

/// Its operations return, but a stopped producer hides the items behind it: who retries until they succeed never ends.
#[test]
fn a_ring_is_caught() {
    caught(
        Stop::Livelock,
        run(Ring::new, |ring| {
            while !ring.push() {}
            while !ring.pop() {}
        }),
    );
}
