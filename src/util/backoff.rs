//! Remembered backoff: after a lost race a thread gets out of the way for a while, and it remembers for how long.
//!
//! When several cores fight for a cache line, every operation pays for its transfer, and the winner of a race gains
//! nothing by it. It is faster by far if one thread at a time does many operations while the line stays where it is.
//! So each thread keeps, for each place where races are lost, a pause that doubles with every lost race and decays
//! slowly with those that it wins. A thread that returns from a pause works undisturbed until the next collision.
//!
//! The pause is bounded in time and waits for nobody: progress does not depend on it. It is never taken while holding
//! a ticket or anything else that others might have to work around. Its price is fairness within a pause.

/// Where races are lost: the address of the word that they are about.
pub(crate) type Place = *const ();

#[cfg(all(feature = "std", not(any(latchfree_loom, latchfree_stall))))]
mod imp {
    use core::cell::Cell;
    use core::hint::spin_loop;
    use std::time::{Duration, Instant};

    use super::Place;

    /// The first pause, in ns: a few transfers of a cache line, at 50 to 100 each.
    const SHORTEST: u32 = 256;
    /// The longest, in ns. Pairs on a queue with 2, 4 and 8 threads on 2 cores took the same with 8, 32 and 131 us, within
    /// the noise (11 to 20 ns an operation); the most and the least that a thread did differed 1.0 to 1.7-fold with 8 us,
    /// up to 2.3-fold with 32, up to 30-fold with 131.
    const LONGEST: u32 = 8_192;
    /// From here on a pause gives its core away, in ns: about what a context switch costs. Without it, flows of 2 and 4
    /// producers and consumers on 2 cores took 24 and 22 ns an item instead of 18 and 18.
    const YIELDING: u32 = 2_048;
    /// A pause shrinks by a 2^-DECAY part with every race won: by half in about as many operations as one thread does
    /// while another pauses.
    const DECAY: u32 = 13;
    /// Places are told apart by a hash; two that share an entry share their memory.
    const PLACES: usize = 16;

    std::thread_local! {
        /// Pauses in ns, in fixed point with DECAY binary digits.
        static PAUSES: [Cell<u32>; PLACES] = const { [const { Cell::new(0) }; PLACES] };
    }

    #[inline(always)]
    fn entry(place: Place) -> usize {
        // Places are at least two cache lines apart.
        (place.addr() >> 7) % PLACES
    }

    /// A race about `place` was won, or there was none.
    #[inline(always)]
    pub(crate) fn won(place: Place) {
        PAUSES.with(|pauses| {
            let pause = &pauses[entry(place)];
            let fixed = pause.get();
            if fixed != 0 {
                pause.set(fixed - (fixed >> DECAY).max(1));
            }
        });
    }

    /// A race about `place` was lost: pauses.
    #[cold]
    pub(crate) fn lost(place: Place) {
        let pause = PAUSES.with(|pauses| {
            let pause = &pauses[entry(place)];
            let ns = ((pause.get() >> DECAY) * 2).clamp(SHORTEST, LONGEST);
            pause.set(ns << DECAY);
            ns
        });
        let end = Instant::now() + Duration::from_nanos(pause.into());
        loop {
            if pause >= YIELDING {
                std::thread::yield_now();
            } else {
                for _ in 0..8 {
                    spin_loop();
                }
            }
            if Instant::now() >= end {
                return;
            }
        }
    }
}

/// Without a clock a pause is a fixed, short spin, and models have no use for pauses.
#[cfg(any(not(feature = "std"), latchfree_loom, latchfree_stall))]
mod imp {
    use super::Place;

    #[inline(always)]
    pub(crate) fn won(_: Place) {}

    pub(crate) fn lost(_: Place) {
        #[cfg(not(any(latchfree_loom, latchfree_stall)))]
        for _ in 0..32 {
            core::hint::spin_loop();
        }
    }
}

pub(crate) use imp::{lost, won};
