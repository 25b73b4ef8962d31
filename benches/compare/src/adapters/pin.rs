//! Entering and leaving a critical section of a reclaimer.

use std::hint::black_box;

pub trait Pin {
    /// Pins and unpins once.
    fn pin_unpin();
}

pub struct Ours;

impl Pin for Ours {
    #[inline(always)]
    fn pin_unpin() {
        drop(black_box(latchfree::pin()));
    }
}

pub struct Crossbeam;

impl Pin for Crossbeam {
    #[inline(always)]
    fn pin_unpin() {
        drop(black_box(crossbeam_epoch::pin()));
    }
}
