//! A key for comparisons in vain.
//!
//! Whether a bucket has an entry with a look-up's tag is a matter of chance, and so is a branch on it: guessed wrong every other time,
//! each time at the price of the line that was awaited. So a look-up compares some key in any case; but only a key's words may become one,
//! so where the bucket has none that may be it, this is taken, which some insertion left here.
//!
//! The first insertion writes it; it is not changed any more. If the thread that writes it stops, look-ups go on without.

use super::slot::Words;
use crate::sync::{AtomicU8, AtomicU64, Ordering, const_fn};

const NONE: u8 = 0;
const BEING_WRITTEN: u8 = 1;
const THERE: u8 = 2;

/// Models go without: they would have twice the states for a hint.
const USED: bool = !cfg!(any(latchfree_loom, latchfree_stall));

pub(super) struct Sample {
    key: AtomicU64,
    value: AtomicU64,
    state: AtomicU8,
}

impl Sample {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self { key: AtomicU64::new(0), value: AtomicU64::new(0), state: AtomicU8::new(NONE) }
        }
    }

    /// An entry's words, if there are any.
    #[inline(always)]
    pub(super) fn get(&self) -> Option<Words> {
        // Acquire: pairs with the Release in `write`, for the words. Relaxed: they are not changed any more.
        let is_there = USED && self.state.load(Ordering::Acquire) == THERE;
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        is_there.then(|| Words { key: load(&self.key), value: load(&self.value) })
    }

    /// What is inserted: the first one stays.
    #[inline(always)]
    pub(super) fn offer(&self, words: Words) {
        // Relaxed: nothing is read because of it.
        if USED && self.state.load(Ordering::Relaxed) == NONE {
            self.write(words);
        }
    }

    #[cold]
    fn write(&self, words: Words) {
        // Relaxed, both: only one thread comes to the store, which the Release below publishes. Losing means that another did.
        if self.state.compare_exchange(NONE, BEING_WRITTEN, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.key.store(words.key, Ordering::Relaxed);
            self.value.store(words.value, Ordering::Relaxed);
            self.state.store(THERE, Ordering::Release);
        }
    }
}
