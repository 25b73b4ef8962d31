//! A counting allocator over the system's, switched on in the memory pass only: timed passes pay one
//! load of a flag that nobody writes, the same for every peer.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

/// What the reports call the allocator.
pub const NAME: &str = "std::alloc::System, counted in the memory pass only";

pub struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
// Signed: memory from before the pass may be freed during it.
static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

fn grew(by: usize) {
    let by = by as isize;
    PEAK.fetch_max(LIVE.fetch_add(by, Relaxed) + by, Relaxed);
}

fn shrank(by: usize) {
    LIVE.fetch_sub(by as isize, Relaxed);
}

/// Whether threads note that they are inside the allocator.
static WATCHED: AtomicBool = AtomicBool::new(false);

std::thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Notes that this thread is inside the allocator, where a signal should not stop it.
struct Inside(bool);

impl Inside {
    #[inline]
    fn enter() -> Self {
        let watched = WATCHED.load(Relaxed);
        if watched {
            INSIDE.set(true);
        }
        Inside(watched)
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        if self.0 {
            INSIDE.set(false);
        }
    }
}

/// This thread, or the one that a signal interrupted, is inside the allocator.
pub fn is_inside() -> bool {
    INSIDE.get()
}

/// Threads note when they are inside the allocator, from here until dropped.
pub struct Watch;

impl Watch {
    pub fn start() -> Self {
        WATCHED.store(true, Relaxed);
        Watch
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.store(false, Relaxed);
    }
}

// SAFETY: every call goes to `System` unchanged; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            grew(layout.size());
        }
        let _inside = Inside::enter();
        // SAFETY: the caller keeps `alloc`'s contract, which is the same here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            grew(layout.size());
        }
        let _inside = Inside::enter();
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if ON.load(Relaxed) {
            shrank(layout.size());
        }
        let _inside = Inside::enter();
        // SAFETY: `ptr` came from `System` with this layout, through the functions above.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if ON.load(Relaxed) {
            // Grown first: while a block moves, both copies live.
            grew(new_size);
            shrank(layout.size());
        }
        let _inside = Inside::enter();
        // SAFETY: as for `dealloc`; `new_size` is the caller's promise.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

/// Counts from here until dropped. One at a time.
pub struct Counter;

impl Counter {
    pub fn start() -> Self {
        LIVE.store(0, Relaxed);
        PEAK.store(0, Relaxed);
        ON.store(true, Relaxed);
        Counter
    }

    /// Bytes allocated since the start and not yet freed.
    pub fn live(&self) -> isize {
        LIVE.load(Relaxed)
    }

    /// The most bytes live at once since the start or the last `reset_peak`.
    pub fn peak(&self) -> isize {
        PEAK.load(Relaxed)
    }

    pub fn reset_peak(&self) {
        PEAK.store(LIVE.load(Relaxed), Relaxed);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        ON.store(false, Relaxed);
    }
}
