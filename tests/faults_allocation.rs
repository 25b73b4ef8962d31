//! An allocator that fails: an error from the methods that have one to give, and the process's orderly end from all others, never
//! anything else. A binary of its own, for the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};

use latchfree::{BoundedQueue, HashMap, OrderedMap, Queue, Stack};

/// The system's allocator, which fails a thread when that thread says so.
struct Failing;

thread_local! {
    /// The number of the next allocation that fails, counted from one; zero: none does.
    static FAILS_AT: Cell<usize> = const { Cell::new(0) };
    /// Allocations of at least so many bytes fail.
    static FAILS_FROM: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Failing {
    fn fails(layout: Layout) -> bool {
        // std's report of a panic allocates, under a lock that the report of a failing allocation takes, too.
        if std::thread::panicking() {
            return false;
        }
        // Not there any more while the thread ends.
        let turn = FAILS_AT.try_with(|at| match at.get() {
            0 => false,
            n => {
                at.set(n - 1);
                n == 1
            }
        });
        turn.unwrap_or(false) || FAILS_FROM.try_with(Cell::get).is_ok_and(|from| layout.size() >= from)
    }
}

// SAFETY: passes on what it does not refuse, and refuses as an allocator may.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::fails(layout) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Self::fails(layout) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

fn failing_from<T>(bytes: usize, f: impl FnOnce() -> T) -> T {
    FAILS_FROM.set(bytes);
    let result = f();
    FAILS_FROM.set(usize::MAX);
    result
}

/// The n-th allocation fails; true if it came to that.
fn failing_at<T>(n: usize, f: impl FnOnce() -> T) -> (T, bool) {
    FAILS_AT.set(n);
    let result = f();
    (result, FAILS_AT.replace(0) == 0)
}

#[test]
fn a_ring_without_memory_is_an_error() {
    for n in 1.. {
        let (ring, failed) = failing_at(n, || BoundedQueue::<u64>::try_new(1000));
        assert_eq!(ring.is_err(), failed, "allocation {n}");
        if !failed {
            assert!(n > 1);
            break;
        }
    }
}

/// Every allocation for a table that nobody fills yet.
#[test]
fn a_table_without_memory_is_an_error() {
    drop(latchfree::pin()); // This thread's participant is there.
    for n in 1.. {
        let map = HashMap::<u64, u64>::new();
        let (result, failed) = failing_at(n, || map.try_reserve(1000));
        assert_eq!(result.is_err(), failed, "allocation {n}");
        assert_eq!(map.capacity() >= 1000, !failed);
        map.pin().insert(1, 1);
        assert_eq!(map.pin().get(&1), Some(&1));
        if !failed {
            assert!(n > 1);
            break;
        }
    }
}

/// Room that is not there changes nothing, and a map that cannot grow goes on, slower.
#[test]
fn a_map_that_cannot_grow() {
    let map: HashMap<u64, String> = (0..1000).map(|n| (n, n.to_string())).collect();
    let capacity = map.capacity();
    failing_from(1 << 16, || {
        assert!(map.try_reserve(1_000_000).is_err());
        let reserve = catch_unwind(AssertUnwindSafe(|| map.reserve(1_000_000)));
        assert!(reserve.is_err(), "`reserve` panics");
        assert_eq!(map.capacity(), capacity);
        for n in 1000..20_000 {
            assert!(map.pin().insert(n, n.to_string()).is_none());
        }
    });
    assert!(map.capacity() < 20_000);
    let check = || {
        let pinned = map.pin();
        assert_eq!(map.len(), 20_000);
        assert!((0..20_000).all(|n| pinned.get(&n).is_some_and(|value| *value == n.to_string())));
        assert!((20_000..21_000).all(|n| !pinned.contains_key(&n)));
    };
    check();
    // There is memory again.
    map.reserve(1);
    assert!(map.capacity() >= 20_000);
    check();
}

/// What a child does, by name.
const WORK: [(&str, fn()); 7] = [
    ("queue", || {
        let queue = Queue::new();
        (0..2000).for_each(|n| queue.push(Box::new(n)));
        queue.push_all((0..2000).map(Box::new));
        assert_eq!(queue.pop_many(4000).len(), 4000);
    }),
    ("stack", || {
        let stack = Stack::new();
        (0..50).for_each(|n| stack.push(Box::new(n)));
        stack.push_all((0..50).map(Box::new));
        assert_eq!(stack.pop_all().count(), 100);
    }),
    ("bounded_queue", || {
        // `new` has a panic for it.
        let Ok(queue) = BoundedQueue::try_new(10) else { return };
        // What does not fit is gathered.
        assert_eq!(queue.push_all((0..30).map(Box::new)).unwrap_err().count(), 20);
    }),
    ("hash_map", || {
        let map: HashMap<u64, Box<u64>> = (0..300).map(|n| (n, Box::new(n))).collect();
        map.pin().retain(|key, _| key % 2 == 0);
        assert_eq!(map.clone().len(), 150);
    }),
    ("crowded_hash_map", || {
        let map = HashMap::<u64, u64, Crowded>::with_hasher(Crowded);
        map.pin().insert_many((0..60).map(|n| (n, n)));
        (0..60).for_each(|n| assert_eq!(map.pin().remove(&n), Some(&n)));
    }),
    ("ordered_map", || {
        let map: OrderedMap<u64, Box<u64>> = OrderedMap::new();
        (0..400).for_each(|n| _ = map.pin().insert(n * 7 % 400, Box::new(n)));
        assert!((0..400).all(|n| map.pin().pop_first().is_some_and(|(&key, _)| key == n)));
    }),
    ("ordered_map_of_strings", || {
        let map: OrderedMap<String, u64> = (0..100).map(|n| (n.to_string(), n)).collect();
        let ones = (Bound::Included("1"), Bound::Excluded("2"));
        assert_eq!(map.pin().range_snapshot::<str, _>(ones).count(), 11);
        map.retain(|_, value| value % 3 == 0);
        assert_eq!(map.into_iter().count(), 34);
    }),
];

/// All keys in one bucket.
#[derive(Clone, Default)]
struct Crowded;

impl std::hash::BuildHasher for Crowded {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self
    }
}

impl std::hash::Hasher for Crowded {
    fn finish(&self) -> u64 {
        0
    }
    fn write(&mut self, _: &[u8]) {}
}

const CHILD: &str = "LATCHFREE_FAILS";

/// Not a test by itself: the children of the next one run it.
#[test]
fn child() {
    let Ok(what) = std::env::var(CHILD) else { return };
    let (name, n) = what.split_once(' ').expect("a name and a number");
    let (_, work) = WORK.iter().find(|work| work.0 == name).expect("a known name");
    let ((), failed) = failing_at(n.parse().expect("a number"), work);
    // Whoever asks learns that there was no such allocation; one that failed and was survived is no end.
    println!("ended {failed}");
}

/// Where a method has no error to give, the process ends as `handle_alloc_error` ends it: by an abort that names the size.
#[cfg(all(unix, not(miri)))]
#[test]
fn otherwise_the_process_ends_in_order() {
    use std::os::unix::process::ExitStatusExt;

    const SIGABRT: i32 = 6;
    for (name, _) in WORK {
        let (mut aborted, mut n) = (0, 1_usize);
        loop {
            let child = Command::new(std::env::current_exe().expect("this program"))
                .args(["child", "--exact", "--nocapture", "--test-threads=1"])
                .env(CHILD, format!("{name} {n}"))
                .env("RUST_BACKTRACE", "0")
                .stdin(Stdio::null())
                .output()
                .expect("it can be run");
            let (out, err) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
            if out.contains("ended false") {
                assert!(child.status.success(), "{name} {n}: {out}{err}");
                break;
            }
            if !out.contains("ended true") {
                assert_eq!(child.status.signal(), Some(SIGABRT), "{name} {n}: {}\n{out}{err}", child.status);
                assert!(err.contains("memory allocation of "), "{name} {n}: {err}");
                aborted += 1;
            }
            // Each of the first, and then fewer and fewer: they are of the same kinds.
            n += 1 + n / 8;
        }
        assert!(aborted > 0, "{name}: nothing failed");
    }
}
