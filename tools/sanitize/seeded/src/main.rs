//! Faults for the sanitizers to notice: a race, a use after free, a leak.

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

struct Shared(UnsafeCell<u64>, AtomicBool);
// SAFETY: none; that is what a sanitizer has to notice.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared(UnsafeCell::new(0), AtomicBool::new(false));

/// A publication by a Relaxed store: the reader's access races with the writer's.
fn race() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: the only write; it happens before nothing.
            unsafe { *SHARED.0.get() = 1 };
            SHARED.1.store(true, Ordering::Relaxed);
        });
        scope.spawn(|| {
            while !SHARED.1.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            // SAFETY: none.
            black_box(unsafe { *SHARED.0.get() });
        });
    });
}

fn use_after_free() {
    let freed = {
        let boxed = Box::new(black_box(7_u64));
        &raw const *boxed
    };
    // SAFETY: none.
    black_box(unsafe { *black_box(freed) });
}

fn leak() {
    black_box(Box::leak(Box::new(black_box([7_u64; 64]))).as_ptr());
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("thread") => race(),
        Some("address") => use_after_free(),
        Some("leak") => leak(),
        other => panic!("thread, address or leak, not {other:?}"),
    }
}
