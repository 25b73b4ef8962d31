//! Prefetching: a hint that a cache line will be read soon.

/// Asks for the line at `place`. A hint: nothing is accessed, so any address will do.
#[inline(always)]
pub(crate) fn prefetch<T>(place: *const T) {
    #[cfg(all(target_arch = "x86_64", not(any(miri, latchfree_loom, latchfree_stall))))]
    // SAFETY: SSE is part of x86_64, and a prefetch accesses nothing.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    #[cfg(all(target_arch = "aarch64", not(any(miri, latchfree_loom, latchfree_stall))))]
    // SAFETY: a prefetch accesses nothing.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{0}]", in(reg) place, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(
        any(target_arch = "x86_64", target_arch = "aarch64"),
        not(any(miri, latchfree_loom, latchfree_stall))
    )))]
    let _ = place;
}
