//! What the map of inline entries allocates, and that all of it is freed: counted by an allocator of this binary's own.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::Rng;
use latchfree::{CopyMap, HashMap};

struct Counting;

static MADE: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MADE.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        MADE.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        FREED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live() -> usize {
    let freed = FREED.load(Ordering::Relaxed);
    MADE.load(Ordering::Relaxed) - freed
}

fn churn(threads: u64, work: impl Fn(&mut Rng) + Sync) {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let mut rng = Rng(thread + 1);
                    (0..4000).for_each(|_| work(&mut rng));
                })
            })
            .collect();
        // A scope does not wait until its threads have ended, and freed what is theirs.
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// One test: others in the process would be counted with it.
#[test]
fn what_is_allocated_is_freed() {
    let map = CopyMap::with_capacity(1000);
    (0..100).for_each(|n| _ = map.insert(n, n));
    let before = MADE.load(Ordering::Relaxed);
    for n in 0..10_000 {
        map.update_or_insert(n % 100, |n| n + 1, 1);
        assert!(map.get(&(n % 100)).is_some());
        map.remove(&(n % 50));
        map.insert(n % 50, n);
    }
    // A second line, where four of the keys share a bucket.
    assert!(MADE.load(Ordering::Relaxed) - before < 10, "entries lie in the table");
    drop(map);

    let mut rounds = Vec::new();
    for _ in 0..150 {
        let map = CopyMap::new();
        churn(4, |rng| {
            let key = rng.below(2000);
            match rng.below(400) {
                0 => map.reserve(rng.below(4000) as usize),
                1 => map.shrink_to_fit(),
                2 => map.retain(|key, _| key % 3 == 0),
                3..250 => _ = map.insert(key, key),
                _ => _ = map.remove(&key),
            }
        });
        drop(map);
        let map = HashMap::new();
        churn(4, |rng| {
            let key = rng.below(2000);
            match rng.below(400) {
                0 => map.reserve(rng.below(4000) as usize),
                1 => map.shrink_to_fit(),
                2 => map.pin().retain(|key, _| key % 3 == 0),
                3..250 => _ = map.pin().insert(key, key),
                _ => _ = map.pin().remove(&key),
            }
        });
        drop(map);
        rounds.push(live());
    }
    // What threads keep for their successors, and what passes from one to the next, varies by some dozen blocks from round to round; what
    // is lost in a round would add up: one block each would be 50 more on the average of a third.
    let mean = |rounds: &[usize]| rounds.iter().sum::<usize>() / rounds.len();
    assert!(mean(&rounds[100..]) < mean(&rounds[50..100]) + 25, "{rounds:?}");
}
