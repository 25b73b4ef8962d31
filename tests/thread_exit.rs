//! Threads that come and go leave no memory behind. A binary of its own, because it counts what the process allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use latchfree::{Epoch, Queue, Stack, domain};

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

domain! { struct Own; }

/// Short-lived threads, four at a time, that pin in each of the three ways and use a queue of each kind, and a stack.
fn threads(count: usize, global: &Queue<usize>, own: &Queue<usize, Epoch<Own>>, stack: &Stack<usize>) {
    for _ in 0..count / 4 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    global.push_all(0..50);
                    global.clear();
                    let owned = latchfree::pin_owned();
                    global.push_with(1, &owned);
                    drop(owned);
                    let participant = latchfree::reclaim::Participant::<Own>::register();
                    own.push_with(1, &participant.pin());
                    own.pop();
                    global.pop();
                    (0..100).for_each(|i| stack.push(i));
                    assert!((0..100).all(|_| stack.pop().is_some()));
                });
            }
        });
    }
    global.clear();
    own.clear();
    stack.clear();
    stack.collect();
    global.collect();
    own.collect();
}

// One test only: another would run beside it and allocate.
#[test]
fn ten_thousand_threads_leave_nothing() {
    let (global, own, stack) = (Queue::new(), Queue::default(), Stack::new());
    threads(4000, &global, &own, &stack);
    let before = LIVE.load(Ordering::Relaxed);
    threads(10_000, &global, &own, &stack);
    let grown = LIVE.load(Ordering::Relaxed) - before;
    // Less than a byte a thread; the bins of the garbage may still grow by a few.
    assert!(grown < 8192, "{grown} bytes more after 10,000 threads");
    drop((global, own, stack));
}
