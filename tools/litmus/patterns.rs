//! The places where a store must come before a later load, each by itself, with the orderings of the library's sources. What the
//! compiler makes of these functions is what `run` gives to herd7. Wider or narrower atomics are ordered alike.

#![no_std]

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicU64, compiler_fence, fence};

/// A guard begins (`reclaim/epoch/domain.rs`, `enter`): announced, then what is shared is read.
#[unsafe(no_mangle)]
pub extern "C" fn pin_fence(announced: &AtomicU64, shared: &AtomicU64) -> u64 {
    announced.store(1, Release);
    fence(SeqCst);
    shared.load(Acquire)
}

#[unsafe(no_mangle)]
pub extern "C" fn pin_light(announced: &AtomicU64, shared: &AtomicU64) -> u64 {
    announced.store(1, Release);
    compiler_fence(SeqCst);
    shared.load(Acquire)
}

/// Something was unlinked; may the clock advance (`try_advance`)?
#[unsafe(no_mangle)]
pub extern "C" fn advance_fence(shared: &AtomicU64, announced: &AtomicU64) -> u64 {
    shared.store(1, Relaxed);
    fence(SeqCst);
    announced.load(Acquire)
}

/// The same without its barrier: what comes before the heavy one, and after.
#[unsafe(no_mangle)]
pub extern "C" fn advance_before(shared: &AtomicU64) {
    shared.store(1, Relaxed);
}

#[unsafe(no_mangle)]
pub extern "C" fn advance_after(announced: &AtomicU64) -> u64 {
    announced.load(Acquire)
}

/// A producer publishes (`queue/segment.rs` and `queue/bounded/slot.rs`, `put`).
#[unsafe(no_mangle)]
pub extern "C" fn publish_light(state: &AtomicU64, verdict: &AtomicU64) -> u64 {
    state.store(1, Release);
    compiler_fence(SeqCst);
    verdict.load(Relaxed)
}

/// A consumer challenges (`challenge`).
#[unsafe(no_mangle)]
pub extern "C" fn challenge_before(verdict: &AtomicU64) {
    verdict.store(1, Relaxed);
}

#[unsafe(no_mangle)]
pub extern "C" fn challenge_after(state: &AtomicU64) -> u64 {
    state.load(Acquire)
}

/// One pushes to one's own queue and looks into another's (`queue/unbounded.rs`, `front`; the bounded queue and the stack).
#[unsafe(no_mangle)]
pub extern "C" fn push_and_look(mine: &AtomicU64, other: &AtomicU64) -> u64 {
    mine.store(1, Release);
    fence(SeqCst);
    other.load(Acquire)
}

/// The same without its fence.
#[unsafe(no_mangle)]
pub extern "C" fn push_and_look_unfenced(mine: &AtomicU64, other: &AtomicU64) -> u64 {
    mine.store(1, Release);
    other.load(Acquire)
}

/// A leaf or a bucket's header is exchanged and another one read (`ordered_map/raw`, `hash_map/raw`).
#[unsafe(no_mangle)]
pub extern "C" fn exchange_and_read(mine: &AtomicU64, other: &AtomicU64) -> u64 {
    mine.swap(1, SeqCst);
    other.load(SeqCst)
}

/// An exchange that acquires and releases, taken for a barrier.
#[unsafe(no_mangle)]
pub extern "C" fn exchange_and_read_acqrel(mine: &AtomicU64, other: &AtomicU64) -> u64 {
    mine.swap(1, AcqRel);
    other.load(Relaxed)
}

/// Two maps as they must not be: with an exchange that acquires and releases, or releases only, and an acquiring load.
#[unsafe(no_mangle)]
pub extern "C" fn exchange_acqrel_and_acquire(mine: &AtomicU64, other: &AtomicU64) -> u64 {
    mine.swap(1, AcqRel);
    other.load(Acquire)
}

#[unsafe(no_mangle)]
pub extern "C" fn exchange_release_and_acquire(mine: &AtomicU64, other: &AtomicU64) -> u64 {
    mine.swap(1, Release);
    other.load(Acquire)
}
