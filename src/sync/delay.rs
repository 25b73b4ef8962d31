//! Atomics that dawdle, for `delay-tests`: a thread stops for a while before or after an access, at places that it chooses anew
//! every so often, so that histories of real threads get the schedules that a test otherwise meets once in a million.
//!
//! A pause is a loop of plain instructions, or it gives the processor away. Nothing here is a fence, and what the threads use to
//! choose is their own: a barrier or a shared counter in the way would hide what is looked for.

use core::cell::Cell;
use core::hint::black_box;
use core::panic::Location;

use super::{Ordering, undelayed as atomic};

std::thread_local! {
    static DAWDLER: Dawdler = const { Dawdler { random: Cell::new(0), places: Cell::new(0), left: Cell::new(0) } };
}

/// A thread's state of mind.
struct Dawdler {
    /// xorshift; zero until it is seeded.
    random: Cell<u64>,
    /// Says which places are slow for now.
    places: Cell<u64>,
    /// After how many accesses others will be.
    left: Cell<u32>,
}

/// How many accesses the slow places stay the same.
const STRETCH: u32 = 400;

impl Dawdler {
    fn random(&self) -> u64 {
        let mut random = self.random.get();
        if random == 0 {
            // Threads differ by when and where they began.
            static THREADS: atomic::AtomicU64 = atomic::AtomicU64::new(1);
            random = THREADS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        random >> 16
    }

    fn dawdle(&self, place: &'static Location<'static>) {
        if self.left.get() == 0 {
            self.left.set(STRETCH);
            self.places.set(self.random());
        }
        self.left.set(self.left.get() - 1);
        let place = (core::ptr::from_ref(place).addr() as u64 ^ self.places.get())
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let random = self.random();
        // One place in eight is slow: half of the visits take from a tenth to two microseconds, and one in some thousands until the
        // processor is ours again, which on a busy machine is long.
        let turns = match (place >> 61, random % 8192) {
            (0, 0) => return std::thread::yield_now(),
            (0, 1..4096) => 100 + random / 8192 % 2000,
            (_, 0..128) => random / 8192 % 200,
            _ => return,
        };
        for turn in 0..turns {
            black_box(turn);
        }
    }
}

static OFF: atomic::AtomicBool = atomic::AtomicBool::new(false);
/// The line of the exchange that is not one, and its file's length and address; see [`delays::split`].
static SPLIT_LINE: atomic::AtomicU32 = atomic::AtomicU32::new(0);
static SPLIT_FILE: std::sync::OnceLock<&'static str> = std::sync::OnceLock::new();

#[track_caller]
#[inline]
fn dawdle() {
    // Relaxed: a switch. Not there any more while a thread ends: then there is no hurry.
    if !OFF.load(Ordering::Relaxed) {
        let place = Location::caller();
        let _ = DAWDLER.try_with(|dawdler| dawdler.dawdle(place));
    }
}

/// Whether the caller's exchange is the one that was broken on purpose.
#[track_caller]
#[inline]
fn is_split() -> bool {
    let place = Location::caller();
    // Relaxed: set before the threads of a test begin.
    place.line() == SPLIT_LINE.load(Ordering::Relaxed)
        && SPLIT_FILE.get().is_some_and(|file| place.file().ends_with(file))
}

/// What a test of the delays themselves switches.
pub mod delays {
    use super::{OFF, Ordering, SPLIT_FILE, SPLIT_LINE};

    /// Threads dawdle, as they do at first, or not.
    pub fn switch(on: bool) {
        OFF.store(!on, Ordering::Relaxed);
    }

    /// Breaks the exchange at a place for the rest of the process: a comparison, and then a store. A fault that shows only if
    /// another thread comes between the two.
    ///
    /// # Panics
    ///
    /// If another one was broken before.
    pub fn split(file: &'static str, line: u32) {
        SPLIT_FILE.set(file).expect("one a process");
        SPLIT_LINE.store(line, Ordering::Relaxed);
    }
}

macro_rules! atomic {
    ($name:ident $([$generic:ident])?, $value:ty) => {
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub(crate) struct $name$(<$generic>)?(atomic::$name$(<$generic>)?);

        #[allow(dead_code, reason = "not every width has every use")]
        impl$(<$generic>)? $name$(<$generic>)? {
            pub(crate) const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }
            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                dawdle();
                let value = self.0.load(order);
                dawdle();
                value
            }
            #[track_caller]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                dawdle();
                self.0.store(value, order);
                // None after it: a store that is still on its way when the next load executes is a schedule, too.
            }
            #[track_caller]
            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                dawdle();
                let value = self.0.swap(value, order);
                dawdle();
                value
            }
            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                dawdle();
                if is_split() {
                    let found = self.0.load(Ordering::Acquire);
                    if found != current {
                        return Err(found);
                    }
                    dawdle();
                    self.0.store(new, Ordering::Release);
                    return Ok(found);
                }
                let result = self.0.compare_exchange(current, new, success, failure);
                dawdle();
                result
            }
            pub(crate) fn get_mut(&mut self) -> &mut $value {
                self.0.get_mut()
            }
        }
    };
}
atomic!(AtomicBool, bool);
atomic!(AtomicPtr[T], *mut T);

macro_rules! integer {
    ($name:ident, $value:ty) => {
        atomic!($name, $value);
        integer!(@each $name, $value, fetch_add fetch_sub fetch_or fetch_and);
    };
    (@each $name:ident, $value:ty, $($method:ident)+) => {
        #[allow(dead_code, reason = "not every width has every use")]
        impl $name {$(
            #[track_caller]
            pub(crate) fn $method(&self, value: $value, order: Ordering) -> $value {
                dawdle();
                let value = self.0.$method(value, order);
                dawdle();
                value
            }
        )+}
    };
}
integer!(AtomicUsize, usize);
integer!(AtomicU8, u8);
integer!(AtomicU32, u32);
#[cfg(target_has_atomic = "64")]
integer!(AtomicU64, u64);
