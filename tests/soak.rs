//! A queue under churn for ten minutes: its memory stays flat, and every value is dropped once.
//!
//! `cargo test --release --test soak -- --ignored --nocapture`, for another time with `SOAK_SECONDS` in the environment. Prints a
//! line for each tenth of the time. A binary of its own, because it counts what the process allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use latchfree::Queue;

/// The system's allocator, with a count of the bytes in use.
struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: passes everything on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Items that the producers may be ahead of the consumers.
const AHEAD: usize = 4096;

static MADE: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// A value on the heap, so that a leak shows twice.
struct Item(Box<usize>);

impl Item {
    fn new(number: usize) -> Self {
        MADE.fetch_add(1, Ordering::Relaxed);
        Self(Box::new(number))
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

fn ahead() -> usize {
    MADE.load(Ordering::Relaxed).saturating_sub(DROPPED.load(Ordering::Relaxed))
}

fn produce(queue: &Queue<Item>, stop: &AtomicBool) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        if ahead() > AHEAD {
            thread::yield_now();
            continue;
        }
        match number % 3 {
            0 => queue.push_all((number..number + number % 100).map(Item::new)),
            1 => (number..number + 50).for_each(|number| queue.push(Item::new(number))),
            _ => {
                let guard = latchfree::pin();
                (number..number + 20).for_each(|number| queue.push_with(Item::new(number), &guard));
            }
        }
        number += 1;
    }
}

fn consume(queue: &Queue<Item>, stop: &AtomicBool) {
    let mut sum = 0_usize;
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if round % 2 == 0 {
            sum = queue.pop_many(40).iter().fold(sum, |sum, item| sum.wrapping_add(*item.0));
        } else if let Some(item) = queue.pop() {
            sum = sum.wrapping_add(*item.0);
        } else {
            thread::yield_now();
        }
    }
    std::hint::black_box(sum);
}

/// Threads that come and go, some of which stay pinned for a while: what others retire meanwhile has to wait.
fn visit(queue: &Queue<Item>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        thread::scope(|scope| {
            for pause in [0, 1, 5] {
                scope.spawn(move || {
                    let guard = latchfree::pin();
                    queue.push_with(Item::new(pause), &guard);
                    thread::sleep(Duration::from_millis(pause as u64));
                    drop(queue.pop_with(&guard));
                });
            }
        });
        thread::sleep(Duration::from_millis(20));
    }
}

fn median(samples: &mut [usize]) -> usize {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

#[test]
#[ignore = "takes ten minutes"]
fn memory_stays_flat() {
    let seconds =
        std::env::var("SOAK_SECONDS").map_or(600, |text| text.parse().expect("a number of seconds"));
    let tenth = Duration::from_secs(seconds) / 10;
    // Made before the count begins.
    let samples = 1000 + usize::try_from(tenth.as_millis() / 3).unwrap();
    let (mut live, mut waiting) = (Vec::with_capacity(samples), Vec::with_capacity(samples));
    let mut medians = Vec::with_capacity(10);
    let before = LIVE.load(Ordering::Relaxed);
    let queue = Queue::new();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (queue, stop) = (&queue, &stop);
        for _ in 0..2 {
            scope.spawn(|| produce(queue, stop));
            scope.spawn(|| consume(queue, stop));
        }
        scope.spawn(|| visit(queue, stop));
        for part in 1..=10 {
            let (began, made) = (Instant::now(), MADE.load(Ordering::Relaxed));
            live.clear();
            waiting.clear();
            while began.elapsed() < tenth {
                thread::sleep(Duration::from_millis(3));
                live.push((LIVE.load(Ordering::Relaxed) - before).max(0) as usize);
                waiting.push(queue.backlog().bytes);
            }
            println!(
                "{part:2}/10: {:9} items; KiB in use {} (median) {} (most); backlog {} (median) {} (most)",
                MADE.load(Ordering::Relaxed) - made,
                median(&mut live) >> 10,
                live.last().copied().unwrap_or(0) >> 10,
                median(&mut waiting) >> 10,
                waiting.last().copied().unwrap_or(0) >> 10,
            );
            medians.push(median(&mut live));
        }
        stop.store(true, Ordering::Relaxed);
    });
    queue.collect();
    assert_eq!(queue.backlog().objects, 0, "nobody is pinned any more");
    drop(queue);
    assert_eq!(MADE.load(Ordering::Relaxed), DROPPED.load(Ordering::Relaxed));
    let left = LIVE.load(Ordering::Relaxed) - before;
    assert!(left < 64 << 10, "{left} bytes are left, more than threads' records");
    // The medians of the parts, since a thread that loses its core while it is pinned makes any maximum possible.
    let (early, late) = medians.split_at(5);
    let (early, late) = (early.iter().max().unwrap(), late.iter().max().unwrap());
    assert!(late <= &(early + early / 2), "{early} bytes in use in the first half, {late} in the second");
}
